//! A whole machine, sampled twice or more: every signal shows where it should, and nowhere else.

use proptest::prelude::*;

use super::*;
use crate::tree::fake::Machine;

const MISSED: &str = "/sys/class/net/eth0/statistics/rx_missed_errors";
const DEVICE: &str = "/sys/class/net/eth0/device/vendor";
const FIREWALL: &str = "/proc/net/stat/nf_conntrack";
const TRACKED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// A machine at rest, and where it says so.
const REST: &[(&str, &str)] = &[
    ("/proc/stat", "cpu  100 0 50 850 0 0 0 0 0 0\ncpu0 100 0 50 850 0 0 0 0 0 0\nintr 5 0\n"),
    ("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000\n"),
    ("/proc/self/cgroup", "0::/app\n"),
    ("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
    ("/sys/fs/cgroup/app/cpu.stat", "nr_periods 4\nnr_throttled 2\nthrottled_usec 300\n"),
    ("/proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 1000 20\n"),
    (
        "/proc/net/netstat",
        "TcpExt: ListenOverflows ListenDrops TCPTimeouts TCPSynRetrans TCPSpuriousRtxHostQueues\n\
         TcpExt: 1 2 3 4 5\n",
    ),
    ("/proc/net/softnet_stat", "000340fe 00000001 00000002 00000000\n"),
    ("/proc/net/dev", "  lo: 1 1 0 3 0 0 0 0 1 1 0 3 0\neth0: 1 1 0 4 0 0 0 0 1 1 0 5 0\n"),
    (DEVICE, "0x1af4\n"),
    (MISSED, "7\n"),
    (FIREWALL, "entries drop\n28 1\n28 2\n"),
    (TRACKED, "40\n"),
    ("/proc/net/sockstat", "TCP: inuse 1 orphan 0 tw 6 alloc 1 mem 0\n"),
    ("/proc/self/stat", "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 11 12\n"),
    (
        "/proc/self/task/7/status",
        "Name:\tpummel\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t2\n",
    ),
    ("/proc/self/task/7/schedstat", "1000 2000 3\n"),
    ("/proc/self/task/7/sched", "pummel (7, #threads: 1)\nse.nr_migrations   :   4\n"),
];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is seen of a machine at rest on which `change` happens within ten seconds.
fn seen(change: impl FnOnce(&Machine)) -> Disturbance {
    let machine = Machine::of(REST);
    let sources = Sources::below(machine.root());
    let mut watch = Watch::start(seconds(100), sources.read());
    change(&machine);
    watch.sample(seconds(110), sources.read());
    watch.finish()
}

fn rest() -> Disturbance {
    seen(|_| {})
}

/// The thread that the machine at rest has.
fn thread(disturbance: &mut Disturbance) -> &mut ThreadDisturbance {
    &mut disturbance.threads.others[0]
}

/// Checks that `text` instead of what `path` says changes what is seen by `change`, and no more.
#[track_caller]
fn check(path: &str, text: &str, change: impl FnOnce(&mut Disturbance)) {
    assert!(REST.iter().any(|file| file.0 == path), "{path} is a file of the machine at rest");
    let mut expected = rest();
    change(&mut expected);
    assert_ne!(expected, rest(), "a change that can be seen");
    assert_eq!(seen(|machine| machine.set(path, text)), expected, "{path}");
}

/// All ten seconds.
fn peak(share: f64) -> Peak {
    Peak { share, from: seconds(0), to: seconds(10) }
}

#[test]
fn at_rest_everything_is_known_and_nothing_grew() {
    let known = rest();
    assert_eq!((known.span, known.samples, known.faults_major), (seconds(10), 2, Some(0)));
    assert_eq!(known.cpu.throttled, Some(0));
    assert_eq!(known.cpu.throttled_time, Some(Duration::ZERO));
    assert_eq!((known.cpu.pressure, known.cpu.pressure_worst), (Some(0.0), Some(peak(0.0))));
    // No tick passed, on a machine that is made of files.
    assert_eq!((known.cpu.busy, known.cpu.steal, known.cpu.steal_worst), (None, None, None));
    let tcp = TcpDisturbance {
        segments_sent: Some(0),
        retransmits: Some(0),
        retransmit_share: None,
        timeouts: Some(0),
        syn_retransmits: Some(0),
        host_queue_retransmits: Some(0),
        listen_overflows: Some(0),
        listen_drops: Some(0),
    };
    let net = NetDisturbance {
        tcp,
        softnet_dropped: Some(0),
        softnet_squeezed: Some(0),
        received_dropped: Some(0),
        sent_dropped: Some(0),
        missed: Some(0),
        firewall_dropped: Some(0),
        tracked_max: Some(40),
        time_wait: Some(TimeWait::of(6)),
    };
    assert_eq!(known.net, net);
    let thread = ThreadDisturbance {
        name: "pummel".to_owned(),
        seen: seconds(10),
        ran: Some(Duration::ZERO),
        waited: Some(Duration::ZERO),
        wait: Some(0.0),
        wait_worst: Some(peak(0.0)),
        switches_voluntary: Some(0),
        switches_involuntary: Some(0),
        migrations: Some(0),
    };
    let threads = ThreadsDisturbance { shards: vec![], others: vec![thread], complete: true };
    assert_eq!(known.threads, threads);
}

#[test]
fn a_busy_cpu_shows() {
    let stat = "cpu  400 0 50 1550 0 0 0 0 0 0\ncpu0 400 0 50 1550 0 0 0 0 0 0\n";
    check("/proc/stat", stat, |seen| {
        (seen.cpu.busy, seen.cpu.steal) = (Some(0.3), Some(0.0));
        seen.cpu.steal_worst = Some(peak(0.0));
        seen.cpu.each[0].busy = Some(0.3);
        seen.cpu.each[0].steal = Some(0.0);
    });
}

#[test]
fn steal_shows() {
    let stat = "cpu  100 0 50 1650 0 0 0 200 0 0\ncpu0 100 0 50 1650 0 0 0 200 0 0\n";
    check("/proc/stat", stat, |seen| {
        (seen.cpu.busy, seen.cpu.steal) = (Some(0.2), Some(0.2));
        seen.cpu.steal_worst = Some(peak(0.2));
        seen.cpu.each[0].busy = Some(0.2);
        seen.cpu.each[0].steal = Some(0.2);
    });
}

#[test]
fn a_cpu_that_is_there_at_one_end_only_has_no_share() {
    let stat = "cpu  100 0 50 850 0 0 0 0 0 0\ncpu1 100 0 50 850 0 0 0 0 0 0\n";
    check("/proc/stat", stat, |seen| seen.cpu.each.clear());
}

#[test]
fn pressure_shows() {
    check("/proc/pressure/cpu", "some avg10=1 total=501000\n", |seen| {
        (seen.cpu.pressure, seen.cpu.pressure_worst) = (Some(0.05), Some(peak(0.05)));
    });
}

#[test]
fn throttling_shows() {
    let stat = "nr_periods 9\nnr_throttled 7\nthrottled_usec 1300\n";
    check("/sys/fs/cgroup/app/cpu.stat", stat, |seen| {
        seen.cpu.throttled = Some(5);
        seen.cpu.throttled_time = Some(Duration::from_millis(1));
    });
}

#[test]
fn retransmits_show() {
    check("/proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 3000 30\n", |seen| {
        seen.net.tcp.segments_sent = Some(2_000);
        seen.net.tcp.retransmits = Some(10);
        seen.net.tcp.retransmit_share = Some(0.005);
    });
}

#[test]
fn what_tcp_did_about_losses_shows() {
    let names =
        "TcpExt: ListenOverflows ListenDrops TCPTimeouts TCPSynRetrans TCPSpuriousRtxHostQueues";
    check("/proc/net/netstat", &format!("{names}\nTcpExt: 1 2 13 24 35\n"), |seen| {
        seen.net.tcp.timeouts = Some(10);
        seen.net.tcp.syn_retransmits = Some(20);
        seen.net.tcp.host_queue_retransmits = Some(30);
    });
    check("/proc/net/netstat", &format!("{names}\nTcpExt: 2 4 3 4 5\n"), |seen| {
        seen.net.tcp.listen_overflows = Some(1);
        seen.net.tcp.listen_drops = Some(2);
    });
}

#[test]
fn drops_show() {
    check("/proc/net/softnet_stat", "000340fe 00000003 00000002\n", |seen| {
        seen.net.softnet_dropped = Some(2);
    });
    check("/proc/net/softnet_stat", "000340fe 00000001 0000000c\n", |seen| {
        seen.net.softnet_squeezed = Some(10);
    });
    let dev = "  lo: 1 1 0 9 0 0 0 0 1 1 0 9 0\neth0: 1 1 0 6 0 0 0 0 1 1 0 8 0\n";
    check("/proc/net/dev", dev, |seen| {
        seen.net.received_dropped = Some(2);
        seen.net.sent_dropped = Some(3);
    });
}

#[test]
fn what_a_card_or_the_firewall_had_no_room_for_shows() {
    check(MISSED, "12\n", |seen| seen.net.missed = Some(5));
    check(FIREWALL, "entries drop\n29 3\n29 f\n", |seen| {
        seen.net.firewall_dropped = Some(15);
    });
    check(TRACKED, "90\n", |seen| seen.net.tracked_max = Some(90));
}

#[test]
fn sockets_in_time_wait_show() {
    check("/proc/net/sockstat", "TCP: inuse 1 orphan 0 tw 4 alloc 1 mem 0\n", |seen| {
        seen.net.time_wait = Some(TimeWait { first: 6, last: 4, max: 6 });
    });
}

#[test]
fn faults_show() {
    check("/proc/self/stat", "7 (a) b) c) S 1 2 3 4 5 6 7 8 12 10 11 12\n", |seen| {
        seen.faults_major = Some(3);
    });
}

#[test]
fn what_a_thread_waited_shows() {
    check("/proc/self/task/7/schedstat", "3001000 100002000 9\n", |seen| {
        let thread = thread(seen);
        thread.ran = Some(Duration::from_millis(3));
        thread.waited = Some(Duration::from_millis(100));
        (thread.wait, thread.wait_worst) = (Some(0.01), Some(peak(0.01)));
    });
}

#[test]
fn how_often_a_thread_was_put_off_shows() {
    let status = "Name:\tpummel\nvoluntary_ctxt_switches:\t11\nnonvoluntary_ctxt_switches:\t22\n";
    check("/proc/self/task/7/status", status, |seen| {
        thread(seen).switches_voluntary = Some(10);
        thread(seen).switches_involuntary = Some(20);
    });
    check("/proc/self/task/7/sched", "se.nr_migrations : 5\n", |seen| {
        thread(seen).migrations = Some(1);
    });
}

#[test]
fn a_machine_that_tells_nothing_is_unknown() {
    let machine = Machine::of(&[]);
    assert_eq!(Counters::read(machine.root()), Counters::default());
    let mut watch = Watch::start(seconds(0), Counters::default());
    watch.sample(seconds(5), Counters::default());
    let expected = Disturbance { span: seconds(5), samples: 2, ..Disturbance::default() };
    assert_eq!(watch.finish(), expected);
}

#[test]
fn a_file_that_goes_makes_its_own_signal_unknown_and_no_other() {
    for (path, _) in REST.iter().filter(|(path, _)| !path.contains("/task/")) {
        let lost = seen(|machine| machine.remove(path));
        match *path {
            // The first three are read once, to find others; the last two have numbers of the
            // moment, and what was seen stays true.
            "/proc/self/cgroup"
            | "/proc/self/mountinfo"
            | DEVICE
            | "/proc/net/sockstat"
            | TRACKED => {
                assert_eq!(lost, rest(), "{path}");
            }
            _ => assert_ne!(lost, rest(), "{path}"),
        }
        assert_eq!(lost.threads, rest().threads, "{path}");
    }
}

#[test]
fn a_file_that_turns_to_garbage_says_nothing() {
    for (path, text) in REST {
        for garbage in ["", "\n\n", "garbage", "-1 -1 -1\n", "a: b\nc d\n", "\0\0\0"] {
            let odd = seen(|machine| machine.set(path, garbage));
            assert_eq!(odd.span, seconds(10), "{path}");
            // No garbage is taken for a growth.
            assert!(odd.faults_major.is_none_or(|count| count == 0), "{path} {garbage:?}");
            assert!(odd.cpu.throttled.is_none_or(|count| count == 0), "{path} {garbage:?}");
            assert!(odd.net.tcp.retransmits.is_none_or(|count| count == 0), "{path} {garbage:?}");
        }
        assert_eq!(seen(|machine| machine.set(path, text)), rest(), "{path}");
    }
}

#[test]
fn numbers_beyond_all_bounds_are_no_panic() {
    let huge = u64::MAX.to_string();
    for (path, text) in REST.iter().filter(|(path, _)| !path.contains("mountinfo")) {
        let words = text.split_inclusive(['\n', ' ', '\t']).map(|word| {
            let number = word.trim();
            if number.parse::<u64>().is_ok() { word.replace(number, &huge) } else { word.into() }
        });
        let text: String = words.collect();
        seen(|machine| machine.set(path, &text));
    }
}

/// Counters with this much pressure, and nothing else.
fn pressed(micros: u64) -> Counters {
    let cpu = CpuCounters { pressure_micros: Some(micros), ..CpuCounters::default() };
    Counters { cpu, ..Counters::default() }
}

/// What is seen of samples: milliseconds, and the pressure until then in µs.
fn seen_of(samples: &[(u64, u64)]) -> Disturbance {
    let mut samples = samples.iter().map(|&(at, micros)| (Duration::from_millis(at), micros));
    let (at, micros) = samples.next().unwrap();
    let mut watch = Watch::start(at, pressed(micros));
    for (at, micros) in samples {
        watch.sample(at, pressed(micros));
    }
    watch.finish()
}

#[test]
fn a_tenth_of_a_second_is_no_window_of_its_own() {
    let seen = seen_of(&[(0, 0), (100, 50_000), (1_000, 50_000), (2_000, 60_000)]);
    let (from, to) = (Duration::ZERO, seconds(1));
    assert_eq!(seen.cpu.pressure_worst, Some(Peak { share: 0.05, from, to }));
    assert_eq!(seen.cpu.pressure, Some(0.03));
}

#[test]
fn a_run_that_is_shorter_than_a_second_has_no_worst_one() {
    let seen = seen_of(&[(0, 0), (100, 50_000), (800, 80_000)]);
    assert_eq!((seen.cpu.pressure, seen.cpu.pressure_worst), (Some(0.1), None));
}

#[test]
fn a_sampler_that_comes_late_makes_the_window_longer() {
    let seen = seen_of(&[(0, 0), (1_000, 10_000), (4_000, 100_000), (5_000, 101_000)]);
    let (from, to) = (seconds(1), seconds(4));
    assert_eq!(seen.cpu.pressure_worst, Some(Peak { share: 0.03, from, to }));
}

#[test]
fn a_sample_that_is_not_later_is_left_out() {
    let seen = seen_of(&[(1_000, 0), (3_000, 20_000), (3_000, 900_000), (500, 900_000)]);
    assert_eq!((seen.samples, seen.span, seen.cpu.pressure), (2, seconds(2), Some(0.01)));
}

proptest! {
    /// However samples are spaced, a worst window is as long as it must be and lies within the run,
    /// and its share is that of its ends.
    #[test]
    fn a_worst_second_is_a_second_of_the_run(
        steps in prop::collection::vec((1_u64..1_500, 0_u64..1_000), 1..300)
    ) {
        let (mut at, mut micros, mut samples) = (7, 0, vec![(7, 0)]);
        for (step, permille) in steps {
            at += step;
            micros += step * permille;
            samples.push((at, micros));
        }
        let seen = seen_of(&samples);
        prop_assert_eq!(seen.samples, samples.len() as u64);
        match seen.cpu.pressure_worst {
            None => prop_assert!(seen.span < WINDOW_MIN),
            Some(peak) => {
                let length = peak.to.checked_sub(peak.from).unwrap();
                prop_assert!(length >= WINDOW_MIN && peak.to <= seen.span);
                let until = |at: Duration| {
                    let is_it = |sample: &&(u64, u64)| Duration::from_millis(sample.0 - 7) == at;
                    samples.iter().find(is_it).unwrap().1
                };
                let grown = until(peak.to) - until(peak.from);
                prop_assert_eq!(Some(peak.share), growth::share_of_span(grown * 1_000, length));
            }
        }
    }
}

proptest! {
    /// Wherever a burst lies, and however samples are spaced, it lies in some window.
    #[test]
    fn no_burst_falls_between_two_windows(
        steps in prop::collection::vec(1_u64..1_500, 1..100), burst: prop::sample::Index
    ) {
        let burst = burst.index(steps.len());
        let (mut at, mut samples) = (0, vec![(0, 0)]);
        for (index, step) in steps.into_iter().enumerate() {
            at += step;
            samples.push((at, if index < burst { 0 } else { 1_000 }));
        }
        let worst = seen_of(&samples).cpu.pressure_worst;
        prop_assert_eq!(worst.is_some(), at >= 900);
        prop_assert!(worst.is_none_or(|peak| peak.share > 0.0), "{:?} of {:?}", worst, samples);
    }
}

#[test]
fn samples_that_come_densely_cost_no_more_memory() {
    let mut watch = Watch::start(Duration::ZERO, pressed(0));
    for millis in 1..=5_000 {
        watch.sample(Duration::from_millis(millis), pressed(millis * 20));
        assert!(watch.recent.len() <= RECENT_MAX);
    }
    let worst = watch.finish().cpu.pressure_worst.unwrap();
    assert!((worst.share - 0.02).abs() < 1e-9, "{worst:?}");
}

#[test]
fn this_machine_can_be_watched() {
    let sources = Sources::below(Path::new("/"));
    let mut watch = Watch::start(seconds(0), sources.read());
    watch.sample(seconds(1), sources.read());
    let seen = watch.finish();
    assert!(seen.threads.complete);
    assert!(!seen.threads.others.is_empty());
}
