//! From what was seen of the machine to what the verdict asks about.

use std::time::Duration;

use pummel_engine::Report;
use pummel_engine::verdict::{Machine, ShardThread};
use pummel_tuning::watch::{Disturbance, Peak};
use pummel_tuning::{CpuList, Host, Overlap, is_trusted_clock, shares_cores};

/// Fewer segments sent again are chance: somebody else's connection, or a probe.
const RETRANSMITS_MIN: u64 = 10;

/// What the verdict wants to know. Without a watcher, what is known anyway.
pub(crate) fn of(report: &Report, host: &Host, seen: Option<&Disturbance>) -> Machine {
    let clock = host.kernel.clocksource.as_ref();
    let clock = clock.map(|name| (name.clone(), is_trusted_clock(name)));
    let still = Machine { clock, shares_cpus: shares_cpus(report), ..Machine::default() };
    let Some(Disturbance { cpu, net, threads, .. }) = seen else { return still };
    let tcp = &net.tcp;
    let again = tcp.retransmits.filter(|&again| again >= RETRANSMITS_MIN);
    // Interfaces count as dropped also what nobody here speaks; what a card had no room for is not
    // among that.
    let dropped = [net.softnet_dropped, net.sent_dropped, net.missed].into_iter().flatten();
    Machine {
        shards: threads.shards.iter().map(shard).collect(),
        steal: worst(cpu.steal_worst, cpu.steal),
        pressure: worst(cpu.pressure_worst, cpu.pressure),
        throttled: cpu.throttled,
        retransmits: again.and(tcp.retransmit_share),
        listen_overflows: tcp.listen_overflows.max(tcp.listen_drops),
        packets_dropped: dropped.reduce(u64::saturating_add),
        firewall_dropped: net.firewall_dropped,
        ..still
    }
}

fn shard(thread: &pummel_tuning::watch::ThreadDisturbance) -> ShardThread {
    let seen = thread.seen.max(Duration::from_millis(1)).as_secs_f64();
    ShardThread {
        waited: thread.wait,
        waited_worst: worst(thread.wait_worst, None),
        #[expect(clippy::cast_precision_loss, reason = "a rate for comparison")]
        switches_per_s: thread.switches_involuntary.map(|count| count as f64 / seen),
    }
}

/// The worst second, or the mean of a run that was shorter.
fn worst(peak: Option<Peak>, mean: Option<f64>) -> Option<f64> {
    peak.map(|peak| peak.share).or(mean)
}

/// Whether the target may run on CPUs of the shards; `None` if it is elsewhere or cannot be seen.
fn shares_cpus(report: &Report) -> Option<bool> {
    let shards = CpuList::new(report.shards.iter().map(|shard| shard.cpu))?;
    let target = report.plan.target.addresses.first().inet()?;
    match shares_cores(target, &shards)?.overlap {
        Overlap::Shared(_) => Some(true),
        Overlap::Apart => Some(false),
        Overlap::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use pummel_engine::verdict::{Axis, Status, Verdict};
    use pummel_tuning::watch::{Sources, Watch};

    use super::*;
    use crate::output::tests::{closed, sample};

    /// A machine at rest, in the counters that the verdict asks about.
    const REST: [(&str, &str); 12] = [
        ("proc/stat", "cpu  100 0 0 900 0 0 0 0 0 0\n"),
        ("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000\n"),
        ("proc/self/cgroup", "0::/\n"),
        ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        ("sys/fs/cgroup/cpu.stat", "nr_throttled 2\nthrottled_usec 10\n"),
        ("proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 1000 5\n"),
        ("proc/net/netstat", "TcpExt: ListenOverflows ListenDrops\nTcpExt: 1 1\n"),
        ("proc/net/softnet_stat", "000340fe 00000001 00000000\n"),
        ("proc/net/dev", "eth0: 1 1 0 4 0 0 0 0 1 1 0 4 0\n"),
        ("sys/class/net/eth0/device/vendor", "0x1af4\n"),
        ("sys/class/net/eth0/statistics/rx_missed_errors", "7\n"),
        ("proc/net/stat/nf_conntrack", "entries drop\n5 1\n"),
    ];

    /// The reasons that are about these counters.
    const CODES: [&str; 7] = [
        "steal",
        "pressure",
        "throttled",
        "retransmits",
        "listen_overflows",
        "packets_dropped",
        "firewall_dropped",
    ];

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What was seen in ten seconds in which one file changed.
    fn seen(path: &str, text: &str) -> Disturbance {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in REST {
            write(folder.path(), path, text);
        }
        let sources = Sources::below(folder.path());
        let mut watch = Watch::start(Duration::ZERO, sources.read());
        write(folder.path(), path, text);
        watch.sample(Duration::from_secs(10), sources.read());
        watch.finish()
    }

    #[test]
    fn each_counter_of_the_machine_can_change_the_verdict() {
        let report = sample(closed());
        let host = pummel_tuning::inspect();
        let codes = |path: &str, text: &str| -> Vec<&'static str> {
            // Where the test itself runs is not what is asked about.
            let machine = Machine {
                clock: None,
                shares_cpus: None,
                ..of(&report, &host, Some(&seen(path, text)))
            };
            let verdict = Verdict::of(&report, &machine);
            let ours = |code: &&'static str| CODES.contains(code);
            let found: Vec<_> = verdict.reasons.iter().map(|it| it.code).filter(ours).collect();
            if !found.is_empty() {
                assert_ne!(verdict.of_axis(Axis::Client), Status::Pass, "{path}");
            }
            found
        };
        for (path, text, expected) in [
            ("proc/stat", "cpu  200 0 0 1700 0 0 0 100 0 0\n", "steal"),
            ("proc/pressure/cpu", "some avg10=0 total=1001000\n", "pressure"),
            ("sys/fs/cgroup/cpu.stat", "nr_throttled 3\nthrottled_usec 90\n", "throttled"),
            ("proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 2000 16\n", "retransmits"),
            (
                "proc/net/netstat",
                "TcpExt: ListenOverflows ListenDrops\nTcpExt: 1 2\n",
                "listen_overflows",
            ),
            ("proc/net/softnet_stat", "000340ff 00000002 00000000\n", "packets_dropped"),
            ("proc/net/dev", "eth0: 1 1 0 4 0 0 0 0 1 1 0 5 0\n", "packets_dropped"),
            ("sys/class/net/eth0/statistics/rx_missed_errors", "8\n", "packets_dropped"),
            ("proc/net/stat/nf_conntrack", "entries drop\n5 2\n", "firewall_dropped"),
        ] {
            assert_eq!(codes(path, text), [expected], "{path}");
        }
        // What nobody here speaks is dropped too, and is no loss; a machine at rest is none.
        let foreign = "eth0: 1 1 0 9 0 0 0 0 1 1 0 4 0\n";
        assert_eq!(codes("proc/net/dev", foreign), [""; 0]);
        assert_eq!(codes(REST[0].0, REST[0].1), [""; 0]);
    }
}
