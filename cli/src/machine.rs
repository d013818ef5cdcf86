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
    let dropped = [net.softnet_dropped, net.sent_dropped].into_iter().flatten();
    Machine {
        shards: threads.shards.iter().map(shard).collect(),
        steal: worst(cpu.steal_worst, cpu.steal),
        pressure: worst(cpu.pressure_worst, cpu.pressure),
        throttled: cpu.throttled,
        retransmits: again.and(tcp.retransmit_share),
        listen_overflows: tcp.listen_overflows,
        packets_dropped: dropped.reduce(|one, other| one + other),
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
