//! Each rule at its limit, with made-up reports and machines.

use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use std::net::SocketAddr;
use std::sync::Arc;

use pummel_proto_http::Request;

use super::*;
use crate::coordinator::Lateness;
use crate::feed::{Dealer, Feed, Rows};
use crate::plan::{
    Addresses, Arrivals, Cores, ExpectedStatus, Limit, Load, OnFull, Pacing, Plan, Protocol, Stop,
    Target, Timeouts, Timetable, Wire, Work,
};
use crate::reactor::{Description, Errno, Kind};
use crate::record::{
    Cause, Chronicle, Fed, Flow, FlowEnd, Moments, Phase, Recorder, Snapshot, Trouble, Unsent,
    Window,
};
use crate::report::{Changes, Ending, ShardReport};
use crate::statistics::trend::Stability;
use crate::units::{Instant, Nanos, Rate};

const SLOTS: u64 = 10_000;
const GAP: Nanos = Nanos::from_millis(1);

const fn micros(n: u64) -> Nanos {
    Nanos::from_micros(n)
}

const fn millis(n: u64) -> Nanos {
    Nanos::from_millis(n)
}

fn plan(open: bool) -> Plan {
    let timetable = Timetable::constant(Rate::new(1_000, Nanos::from_secs(1)).unwrap());
    let pipeline = NonZeroU8::MIN;
    Plan {
        target: Target {
            url: "http://example.org/".to_owned(),
            addresses: Addresses::new(vec![SocketAddr::from(([127, 0, 0, 1], 80))]).unwrap(),
        },
        work: Work::only(
            Request::builder("GET", "example.org", "/").unwrap().build(),
            ExpectedStatus::default(),
        ),
        wire: Wire::default(),
        others: Vec::new(),
        load: if open {
            Load::Open { timetable, pipeline, on_full: OnFull::Queue }
        } else {
            Load::Closed { pipeline, spawn: None }
        },
        connections: NonZeroU32::new(20).unwrap(),
        room: NonZeroU32::MIN,
        stop: Stop {
            warmup: Nanos::ZERO,
            limit: Limit::Duration(Nanos::from_secs(10)),
            drain: Nanos::from_secs(10),
        },
        timeouts: Timeouts {
            connect: Nanos::from_secs(1),
            request: Nanos::from_secs(10),
            deadline: None,
        },
        pacing: Pacing::Sleep,
        cores: Cores::new(vec![0]).unwrap(),
        reactor: Kind::Epoll,
        seed: 1,
    }
}

/// What became of a slot.
#[derive(Clone, Copy)]
struct Slot {
    /// How late the shard was.
    late: Nanos,
    /// How long it waited for a connection after that.
    waited: Nanos,
    took: Nanos,
    light: bool,
    end: Fate,
}

#[derive(Clone, Copy)]
enum Fate {
    Ok,
    Error,
    Unsent,
    /// Nobody has begun.
    Never,
}

const WELL: Slot =
    Slot { late: Nanos::ZERO, waited: Nanos::ZERO, took: micros(500), light: true, end: Fate::Ok };

fn shard(busy: f64) -> ShardReport {
    ShardReport {
        cpu: 3,
        pinned: true,
        requests: SLOTS,
        busy,
        busiest: 0.0,
        spun: 0.0,
        completions_lost: 0,
    }
}

/// A thousand slots per second for ten seconds, of which `slot` tells what became of each.
fn run(slot: impl Fn(u64) -> Slot) -> Report {
    let barrier = Instant::from_origin(1_000_000_000);
    let window = Window { from: barrier, to: barrier + GAP.saturating_mul(SLOTS) };
    let mut recorder = Recorder::new(Box::<Snapshot>::default(), true);
    recorder.open_window(window);
    recorder.scheduled(SLOTS);
    for k in 0..SLOTS {
        let Slot { late, waited, took, light, end } = slot(k);
        let intended = barrier + GAP.saturating_mul(k);
        if let Fate::Never = end {
            continue;
        }
        if let Fate::Unsent = end {
            recorder.unsent(intended, window.to, Unsent::Unfinished, 1);
            continue;
        }
        let (picked, written) = (intended + late, intended + late + waited);
        let moments = Moments {
            intended,
            picked,
            granted: written,
            written,
            light,
            first_byte: written + took,
            finished: written + took,
        };
        recorder.started(&moments, 1);
        if let Fate::Error = end {
            recorder.error(&moments, Trouble { phase: Phase::Wait, cause: Cause::Closed }, 0);
        } else {
            recorder.responses(&moments, (200, true), 0, 1);
        }
    }
    let totals = *recorder.into_envelope();
    let mut chronicle = Chronicle::default();
    chronicle.add(&totals.timeline);
    Report {
        plan: Arc::new(plan(true)),
        changes: Changes::default(),
        reactor: Description { name: "none", features: Vec::new() },
        window: GAP.saturating_mul(SLOTS),
        totals,
        chronicle,
        shards: vec![shard(0.1)],
        coordinator: Lateness::default(),
        ticks_lost: 0,
        exchanges: Vec::new(),
        cookies: Vec::new(),
        ending: Ending::Completed,
    }
}

fn well() -> Report {
    run(|_| WELL)
}

fn judge(report: &Report) -> Verdict {
    Verdict::of(report, &Machine::default())
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.reasons.iter().map(|reason| reason.code).collect()
}

fn notes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.notes.iter().map(|note| note.code).collect()
}

fn reasons(report: &Report) -> Vec<&'static str> {
    codes(&judge(report))
}

fn on_machine(machine: &Machine) -> Vec<&'static str> {
    codes(&Verdict::of(&well(), machine))
}

fn thread(waited: f64, worst: f64) -> Machine {
    let thread = ShardThread { waited: Some(waited), waited_worst: Some(worst), ..none() };
    Machine { shards: vec![thread], ..Machine::default() }
}

fn none() -> ShardThread {
    ShardThread::default()
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_run_that_went_well_on_a_machine_of_which_nothing_is_known_passes() {
    let verdict = judge(&well());
    assert_eq!((codes(&verdict), notes(&verdict)), (vec![], vec![]));
    assert_eq!((verdict.status, verdict.course.stability), (Status::Pass, Stability::Steady));
    assert!(Axis::ALL.iter().all(|&axis| verdict.of_axis(axis) == Status::Pass));
    let threads = Machine { shards: vec![none(), none()], ..Machine::default() };
    assert_eq!(on_machine(&threads), NOTHING);
}

/// One fact of a machine at its limit, and a little above.
#[test]
fn facts_of_the_machine_count_above_their_limits() {
    let base = Machine::default;
    let switches = |rate| Machine {
        shards: vec![none(), ShardThread { switches_per_s: Some(rate), ..none() }],
        ..base()
    };
    let cases = [
        ("run_queue", thread(0.01, 0.0), thread(0.010_01, 0.0)),
        ("run_queue", thread(0.0, 0.01), thread(0.0, 0.010_01)),
        ("switches", switches(1_000.0), switches(1_000.1)),
        (
            "steal",
            Machine { steal: Some(0.01), ..base() },
            Machine { steal: Some(0.010_1), ..base() },
        ),
        (
            "pressure",
            Machine { pressure: Some(0.05), ..base() },
            Machine { pressure: Some(0.050_1), ..base() },
        ),
        (
            "throttled",
            Machine { throttled: Some(0), ..base() },
            Machine { throttled: Some(1), ..base() },
        ),
        (
            "retransmits",
            Machine { retransmits: Some(0.001), ..base() },
            Machine { retransmits: Some(0.001_01), ..base() },
        ),
        (
            "listen_overflows",
            Machine { listen_overflows: Some(0), ..base() },
            Machine { listen_overflows: Some(1), ..base() },
        ),
        (
            "packets_dropped",
            Machine { packets_dropped: Some(0), ..base() },
            Machine { packets_dropped: Some(1), ..base() },
        ),
        (
            "firewall_dropped",
            Machine { firewall_dropped: Some(0), ..base() },
            Machine { firewall_dropped: Some(1), ..base() },
        ),
    ];
    for (code, at, above) in cases {
        assert_eq!(on_machine(&at), NOTHING, "{code} at its limit: {at:?}");
        let verdict = Verdict::of(&well(), &above);
        assert_eq!(codes(&verdict), [code], "{above:?}");
        assert_eq!(verdict.of_axis(Axis::Client), Status::Suspect, "{code}");
        assert_eq!(verdict.of_axis(Axis::Delivery), Status::Pass, "{code}");
        let reason = &verdict.reasons[0];
        assert!(!verdict.blames_target() && !reason.remedy.is_empty(), "{code}");
        assert_ne!(reason.value, reason.limit, "{code}");
    }
}

#[test]
fn surroundings_are_told_and_make_nothing_worse() {
    let machine = Machine {
        clock: Some(("hpet".to_owned(), false)),
        shares_cpus: Some(true),
        ..Machine::default()
    };
    let mut report = well();
    report.shards[0].pinned = false;
    let verdict = Verdict::of(&report, &machine);
    assert_eq!(codes(&verdict), NOTHING);
    assert_eq!(notes(&verdict), ["clock", "shared_cpus", "unpinned"]);
    let machine = Machine {
        clock: Some(("tsc".to_owned(), true)),
        shares_cpus: Some(false),
        ..Machine::default()
    };
    assert_eq!(notes(&Verdict::of(&well(), &machine)), NOTHING);
}

#[test]
fn a_closed_loop_without_a_server_says_for_how_long_in_the_middle_and_to_the_end() {
    for (from, to, silent) in [(3_000, 7_000, 0.4), (5_000, SLOTS, 0.5)] {
        let is_gone = |k| (from..to).contains(&k);
        let mut report =
            run(|k| Slot { end: if is_gone(k) { Fate::Never } else { Fate::Ok }, ..WELL });
        report.plan = Arc::new(plan(false));
        report.totals.ledger.scheduled -= to - from;
        assert!(!reasons(&report).contains(&"target_gone"), "a slow server is not gone");
        let refused = Trouble { phase: Phase::Connect, cause: Cause::System(Errno::REFUSED) };
        report.totals.errors.count(refused);
        let verdict = judge(&report);
        let reason = verdict.reasons.iter().find(|reason| reason.code == "target_gone").unwrap();
        assert_eq!(reason.value, Amount::Share(silent), "{}", reason.message);
    }
}

/// A shard that was kept from its CPU is late for that reason, and for no other.
#[test]
fn of_cause_and_symptom_only_the_cause_is_named() {
    let stall = |k: u64| if (5_000..5_200).contains(&k) { 5_200 - k } else { 0 };
    let stalled = run(|k| Slot { late: GAP.saturating_mul(stall(k)), ..WELL });
    let stalled = |machine: &Machine| codes(&Verdict::of(&stalled, machine));
    assert_eq!(stalled(&Machine::default()), ["client_stall"]);
    assert_eq!(stalled(&thread(0.02, 0.2)), ["run_queue"]);
    assert_eq!(stalled(&thread(0.02, 0.11)), ["run_queue"]);
    // Half of a stall, or less, is not all of it.
    assert_eq!(stalled(&thread(0.02, 0.09)), ["run_queue", "client_stall"]);
    assert_eq!(stalled(&Machine { listen_overflows: Some(1), ..Machine::default() }).len(), 2);
    assert_eq!(stalled(&Machine { steal: Some(0.2), ..Machine::default() }), ["steal"]);
    assert_eq!(stalled(&Machine { throttled: Some(3), ..Machine::default() }), ["throttled"]);
    // The waits of a shard tell more than those of whoever there is.
    let busy_machine = Machine { pressure: Some(0.9), ..thread(0.0, 0.0) };
    let verdict = Verdict::of(&well(), &busy_machine);
    assert_eq!((codes(&verdict), notes(&verdict)), (vec![], vec!["pressure"]));
    // Who waits for the CPU loses it as well.
    let mut machine = thread(0.5, 0.5);
    machine.shards[0].switches_per_s = Some(5_000.0);
    assert_eq!(on_machine(&machine), ["run_queue"]);
    let mut late = run(|_| Slot { late: millis(2), waited: millis(900), light: false, ..WELL });
    let unjudged = "the pool is not judged by a client that is late";
    assert_eq!(reasons(&late), ["loop_lag", "undelivered"], "{unjudged}");
    late.shards[0].busy = 0.9;
    assert_eq!(reasons(&late), ["overloaded"]);
}

#[test]
fn a_shard_is_busy_above_four_fifths_of_a_second() {
    for (busy, busiest, expected) in [
        (0.8, 0.8, [].as_slice()),
        (0.81, 0.0, &["busy"]),
        (0.1, 0.81, &["busy"]),
        (1.0, 1.0, &["busy"]),
    ] {
        let mut report = well();
        report.shards = vec![shard(0.2), ShardReport { busiest, ..shard(busy) }];
        assert_eq!(reasons(&report), expected, "{busy} {busiest}");
    }
}

/// The last so many slots are sent after the window.
fn behind(slots: u64) -> Report {
    let waited = |k| if k >= SLOTS - slots { Nanos::from_secs(11) } else { Nanos::ZERO };
    run(|k| Slot { waited: waited(k), ..WELL })
}

#[test]
fn a_busy_client_that_falls_behind_is_overloaded_and_at_some_point_worthless() {
    for (slots, code, status) in [
        (100, "busy", Status::Suspect),
        (101, "overloaded", Status::Suspect),
        (500, "overloaded", Status::Suspect),
        (501, "overloaded", Status::Invalid),
        (9_000, "overloaded", Status::Invalid),
    ] {
        let mut report = behind(slots);
        report.shards[0].busy = 0.97;
        let verdict = judge(&report);
        assert_eq!((codes(&verdict), verdict.status), (vec![code], status), "{slots}");
        assert_eq!(verdict.delivery.limitation, None);
    }
}

/// Whose CPU is wanted by others is not overloaded; who wants all of it waits for little.
#[test]
fn a_busy_shard_that_waits_a_little_is_overloaded_and_one_that_waits_for_long_is_not() {
    for (busy, waited, slots, expected, status) in [
        (0.9, 0.2, 600, ["overloaded"], Status::Invalid),
        (0.9, 0.2, 0, ["busy"], Status::Suspect),
        (0.5, 0.5, 600, ["run_queue"], Status::Invalid),
        (0.5, 0.5, 300, ["run_queue"], Status::Suspect),
        (0.1, 0.5, 0, ["run_queue"], Status::Suspect),
    ] {
        let mut report = behind(slots);
        report.shards[0].busy = busy;
        let verdict = Verdict::of(&report, &thread(waited, waited));
        assert_eq!(codes(&verdict), expected, "busy {busy}, waited {waited}");
        assert_eq!(verdict.status, status, "busy {busy}, waited {waited}");
    }
}

/// A client that stood still to the end has not delivered what was planned.
#[test]
fn a_stall_that_keeps_back_much_of_the_schedule_makes_the_run_worthless() {
    for (from, expected, status) in [
        (9_500, ["client_stall"].as_slice(), Status::Suspect),
        (9_400, &["undelivered", "client_stall"], Status::Invalid),
    ] {
        let late = |k: u64| if k >= from { 10_001 - k } else { 0 };
        let verdict = judge(&run(|k| Slot { late: GAP.saturating_mul(late(k)), ..WELL }));
        assert_eq!((codes(&verdict), verdict.status), (expected.to_vec(), status), "{from}");
    }
}

#[test]
fn what_was_not_sent_is_missing_whoever_is_to_blame() {
    for (unsent, expected, status) in [
        (100, [].as_slice(), Status::Pass),
        (101, &["undelivered"], Status::Suspect),
        (500, &["undelivered"], Status::Suspect),
        (501, &["undelivered"], Status::Invalid),
    ] {
        let end = |k| if k >= SLOTS - unsent { Fate::Unsent } else { Fate::Ok };
        let mut report = run(|k| Slot { end: end(k), ..WELL });
        let refused = Trouble { phase: Phase::Connect, cause: Cause::System(Errno::REFUSED) };
        report.totals.errors.count_many(refused, 20);
        let verdict = judge(&report);
        assert_eq!((codes(&verdict), verdict.status), (expected.to_vec(), status), "{unsent}");
        assert_eq!(verdict.of_axis(Axis::Client), Status::Pass);
    }
}

/// Where the client was disturbed, nobody can tell who kept the load back; but it was not sent.
#[test]
fn a_load_that_was_not_delivered_is_not_passed_for_the_client_was_disturbed() {
    for (sent, expected) in [
        (SLOTS, ["run_queue"].as_slice()),
        (9_600, &["run_queue"]),
        (9_400, &["run_queue", "undelivered"]),
    ] {
        let waited = |k| if k < sent { Nanos::ZERO } else { Nanos::from_secs(11) };
        let report = run(|k| Slot { waited: waited(k), ..WELL });
        let verdict = Verdict::of(&report, &thread(0.02, 0.02));
        let mut codes = codes(&verdict);
        codes.sort_unstable();
        assert_eq!((codes, verdict.status), (expected.to_vec(), Status::Suspect), "{sent}");
    }
}

/// What a value led to no host is no fault of the client or of the target.
#[test]
fn what_was_led_astray_was_not_sent_and_is_not_missing() {
    let end = |k| if k % 2 == 0 { Fate::Unsent } else { Fate::Ok };
    let mut report = run(|k| Slot { end: end(k), ..WELL });
    let astray = Trouble { phase: Phase::Url, cause: Cause::OtherHost };
    report.totals.errors.count_many(astray, SLOTS / 2);
    let verdict = judge(&report);
    assert_eq!(verdict.of_axis(Axis::Delivery), Status::Pass, "{:?}", verdict.reasons);
    let delivery = verdict.delivery;
    assert_eq!((delivery.astray, delivery.sent_in_window), (SLOTS / 2, SLOTS / 2));
}

/// A client that looks for a server which is gone may be busy with that, and is not to blame.
#[test]
fn where_no_connection_could_be_had_the_server_comes_first() {
    for (failed, first) in [(64, "see to the server first"), (0, "see to the client first")] {
        let end = |k| if k >= SLOTS / 2 { Fate::Unsent } else { Fate::Ok };
        let mut report = run(|k| Slot { end: end(k), ..WELL });
        let refused = Trouble { phase: Phase::Connect, cause: Cause::System(Errno::REFUSED) };
        report.totals.errors.count_many(refused, failed);
        let verdict = Verdict::of(&report, &thread(0.5, 0.5));
        let codes = codes(&verdict);
        assert_eq!(codes, ["undelivered", "run_queue"]);
        assert!(verdict.reasons[0].remedy.starts_with(first), "{:?}", verdict.reasons[0]);
    }
}

#[test]
fn loop_lag_counts_from_a_millisecond_on() {
    for (late, expected) in [(micros(990), [].as_slice()), (micros(1_020), &["loop_lag"])] {
        // A response of a second, so that the lag is no part of its tail.
        let report = run(|_| Slot { late, took: Nanos::from_secs(1), ..WELL });
        assert_eq!(reasons(&report), expected, "{late}");
    }
    // A tenth of the p99.9, but for what is too short to matter.
    for (late, took, expected) in [
        (micros(90), micros(100), [].as_slice()),
        (micros(110), micros(400), &["loop_lag"]),
        (micros(110), micros(1_200), &[]),
    ] {
        let report = run(|_| Slot { late, took, ..WELL });
        assert_eq!(reasons(&report), expected, "{late} of {took}");
    }
}

#[test]
fn a_stall_is_one_that_is_longer_than_ten_milliseconds_and_rare() {
    // A second of the run each time, for so many of its tenths.
    let stalls = |count: u64, length: u64| {
        run(|k| {
            let (step, within) = (k / 100, k % 100);
            let hit = step % 5 == 2 && step / 5 < count && within < length;
            Slot { late: if hit { GAP.saturating_mul(length - within) } else { WELL.late }, ..WELL }
        })
    };
    for (count, length, expected) in [
        (1, 10, [].as_slice()),
        (1, 11, &["client_stall"]),
        (10, 11, &["client_stall"]),
        (11, 11, &["loop_lag"]),
    ] {
        assert_eq!(reasons(&stalls(count, length)), expected, "{count} of {length} ms");
    }
    // Slots that are late by a little here and there do not hide the one stall.
    let noisy = |k: u64| if k.is_multiple_of(100) { millis(2) } else { Nanos::ZERO };
    let hit = |k: u64| if (5_000..5_500).contains(&k) { 5_500 - k } else { 0 };
    let noisy = run(|k| Slot { late: GAP.saturating_mul(hit(k)).max(noisy(k)), ..WELL });
    assert_eq!(reasons(&noisy), ["client_stall"]);
    let verdict = judge(&stalls(3, 40));
    assert_eq!((verdict.course.stalls, verdict.status), (3, Status::Suspect));
}

/// One stall over several steps is one; what begins after its end is another.
#[test]
fn a_stall_is_counted_once_however_many_steps_it_reaches() {
    let stall = |k: u64, from: u64, to: u64| if (from..to).contains(&k) { to - k } else { 0 };
    let one = run(|k| Slot { late: GAP.saturating_mul(stall(k, 2_050, 3_050)), ..WELL });
    assert_eq!(judge(&one).course.stalls, 1);
    let two = |k| stall(k, 2_050, 3_050) + stall(k, 3_250, 3_400);
    let two = run(|k| Slot { late: GAP.saturating_mul(two(k)), ..WELL });
    assert_eq!(judge(&two).course.stalls, 2);
}

#[test]
fn completions_that_wait_count_only_where_they_are_long() {
    for (age, took, expected) in [
        (90, 500, [].as_slice()),
        (200, 500, &["reap_age"]),
        (200, 5_000, &[]),
        (300, 5_000, &["reap_age"]),
    ] {
        let mut report = run(|_| Slot { took: micros(took), ..WELL });
        (0..100).for_each(|_| report.totals.parts.reap_age.record(micros(age)));
        assert_eq!(reasons(&report), expected, "{age} µs of {took} µs");
        report.plan = Arc::new(plan(false));
        let verdict = judge(&report);
        let expected: Vec<&str> = expected.to_vec();
        assert_eq!((codes(&verdict), notes(&verdict)), (vec![], expected), "closed, {age}");
    }
}

#[test]
fn too_few_connections_are_told_from_a_slow_server_by_light_use() {
    // The first of the slots found few connections in use, and all of them waited.
    let report = |light: u64, light_takes: u64, takes: u64| {
        run(move |k| {
            let (light, took) = if k < light { (true, light_takes) } else { (false, takes) };
            Slot { waited: millis(50), took: micros(took), light, ..WELL }
        })
    };
    for (light, light_takes, takes, expected) in [
        (50, 20_000, 20_000, ["connection_limited"].as_slice()),
        (50, 20_000, 29_000, &["connection_limited"]),
        (50, 20_000, 31_000, &[]),
        (0, 0, 31_000, &["connection_limited"]),
        // A pool of 20 that a quick server would leave idle.
        (50, 5_000, 5_000, &[]),
    ] {
        let what = format!("{light_takes} µs under light use, {takes} µs else");
        let verdict = judge(&report(light, light_takes, takes));
        assert_eq!(codes(&verdict), expected, "{what}");
        let limitation = verdict.delivery.limitation;
        match expected {
            [] if takes == 5_000 => {
                assert!(matches!(limitation, Some(Limitation::Stops { .. })), "{limitation:?}");
            }
            [] => assert!(matches!(limitation, Some(Limitation::Server { .. })), "{limitation:?}"),
            _ => {
                let Some(Limitation::Connections { wait, known, .. }) = limitation else {
                    panic!("{what}: {limitation:?}")
                };
                assert!((millis(50)..millis(51)).contains(&wait), "{wait}");
                assert_eq!(known, light > 0, "{what}");
            }
        }
    }
}

#[test]
fn where_requests_are_streams_it_is_streams_that_are_too_few() {
    let report = |streams: u16, allowed: Option<u32>| {
        let waiting = |k| Slot { waited: millis(50), took: millis(20), light: k < 50, ..WELL };
        let mut report = run(waiting);
        let mut plan = (*report.plan).clone();
        (plan.wire.protocol, plan.wire.streams) =
            (Protocol::Http2, NonZeroU16::new(streams).unwrap());
        report.plan = Arc::new(plan);
        report.totals.multiplexed.streams_allowed = allowed;
        judge(&report)
    };
    for (streams, allowed, remedy) in [
        (1, None, "give more --streams, or more connections (-c)"),
        (10, Some(1), "the server allows fewer --streams"),
    ] {
        let verdict = report(streams, allowed);
        assert_eq!(codes(&verdict), ["connection_limited"], "{streams}");
        let reason = &verdict.reasons[0];
        assert!(reason.message.starts_with("the streams were too few"), "{}", reason.message);
        assert!(reason.remedy.starts_with(remedy), "{}", reason.remedy);
    }
    // Ten times as many places as are needed: it is the server that stood still.
    let limitation = report(10, None).delivery.limitation;
    assert!(matches!(limitation, Some(Limitation::Stops { .. })), "{limitation:?}");
}

/// A wait for the CPU that is short beside the wait for a connection is another matter.
#[test]
fn what_a_disturbance_does_not_explain_is_named_beside_it() {
    let pool =
        |light: u64| Slot { waited: millis(500), took: millis(20), light: light < 100, ..WELL };
    let small = run(pool);
    let full = run(|k| Slot { took: if k < 100 { millis(1) } else { millis(20) }, ..pool(k) });
    for (worst, busy, besides) in [(0.1, 0.1, true), (0.13, 0.1, false), (0.1, 0.41, false)] {
        let judge = |report: &Report| {
            let mut report = report.clone();
            report.shards[0].busy = busy;
            Verdict::of(&report, &thread(0.05, worst))
        };
        let verdict = judge(&small);
        let both = ["connection_limited", "run_queue"];
        let mut found = codes(&verdict);
        found.sort_unstable();
        assert_eq!(found, both[usize::from(!besides)..], "pool, {worst} {busy}");
        assert!(!verdict.blames_target());
        let verdict = judge(&full);
        assert_eq!(codes(&verdict), ["run_queue"], "server, {worst} {busy}");
        assert_eq!(verdict.blames_target(), besides, "server, {worst} {busy}");
    }
}

#[test]
fn waits_that_are_short_are_not_worth_a_word() {
    for (waited, took, limited) in
        [(99, 100, false), (101, 100, true), (190, 2_000, false), (210, 2_000, true)]
    {
        let slot = Slot { waited: micros(waited), took: micros(took), ..WELL };
        let verdict = judge(&run(|_| slot));
        assert_eq!(verdict.delivery.limitation.is_some(), limited, "{waited} of {took}");
    }
}

#[test]
fn what_the_system_has_no_more_of_is_named() {
    for (errno, code) in [
        (Errno::ADDRESS_NOT_AVAILABLE, "ports_exhausted"),
        (Errno::TOO_MANY_FILES, "files_exhausted"),
    ] {
        let mut report = well();
        let trouble = Trouble { phase: Phase::Connect, cause: Cause::System(errno) };
        report.totals.errors.count_many(trouble, 1);
        assert_eq!(reasons(&report), [code]);
    }
    let mut report = well();
    let refused = Trouble { phase: Phase::Connect, cause: Cause::System(Errno::REFUSED) };
    report.totals.errors.count_many(refused, 1_000);
    assert_eq!(reasons(&report), NOTHING, "that is the server's");
}

/// A feed of which nobody reads anything.
#[derive(Debug)]
struct NoRows;

impl Rows for NoRows {
    fn begin(&self, _: Dealer, _: &[usize]) -> std::io::Result<()> {
        Ok(())
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

/// What is found in a run of which users waited for rows; the first slot was late by the longest
/// wait, if that is a stall.
fn starved(count: u64, longest: Nanos) -> Vec<&'static str> {
    let stall = |k| k == 0 && longest > millis(10);
    let mut report = run(|k| Slot { late: if stall(k) { longest } else { Nanos::ZERO }, ..WELL });
    let mut plan = plan(true);
    let feed = Feed { name: "users".to_owned(), columns: 1, rows: Arc::new(NoRows) };
    plan.work = plan.work.with_feeds(vec![feed]).unwrap();
    report.plan = Arc::new(plan);
    let waited_longest = if count > 0 { longest } else { Nanos::ZERO };
    report.totals.fed = vec![Fed { rows: SLOTS, starved: count, waited_longest, ..Fed::default() }];
    reasons(&report)
}

#[test]
fn users_that_wait_for_rows_count_above_a_hundredth_or_ten_milliseconds() {
    assert_eq!(starved(0, Nanos::ZERO), NOTHING);
    assert_eq!(starved(100, micros(900)), NOTHING);
    assert_eq!(starved(101, micros(900)), ["starved"]);
    assert_eq!(starved(1, millis(10)), NOTHING);
    // A slot was late for want of a row, and not because the client stood still.
    assert_eq!(starved(1, millis(11)), ["starved"]);
}

#[test]
fn errors_count_above_a_hundredth() {
    for (errors, expected) in [(100, [].as_slice()), (101, &["unanswered"])] {
        let end = |k| if k < errors { Fate::Error } else { Fate::Ok };
        let verdict = judge(&run(|k| Slot { end: end(k), ..WELL }));
        assert_eq!(codes(&verdict), expected, "{errors}");
        assert_eq!(verdict.of_axis(Axis::Client), Status::Pass);
    }
}

/// A scenario that was begun once.
fn begun() -> Flow {
    let mut flow = Flow::default();
    flow.begun += 1;
    flow
}

#[test]
fn books_that_do_not_balance_are_worth_nothing() {
    type Spoil = fn(&mut Report);
    let spoil: [(&str, Spoil); 6] = [
        ("ledger", |report| report.totals.ledger.scheduled += 1),
        ("flows", |report| report.totals.flows = vec![begun()]),
        ("flows", |report| {
            // What one lacks is not made up for by another.
            let mut twice = begun();
            (0..2).for_each(|_| twice.ended(millis(1), FlowEnd::Completed));
            report.totals.flows = vec![twice, begun()];
        }),
        ("disordered", |report| report.totals.oddities.disordered = 1),
        ("completions_lost", |report| report.shards[0].completions_lost = 1),
        ("clamped", |report| {
            report.totals.latency.responses(Nanos::from_secs(4_000), 200, true, 1);
            report.totals.ledger.ok += 1;
            report.totals.ledger.scheduled += 1;
        }),
    ];
    for (code, spoil) in spoil {
        let mut report = well();
        spoil(&mut report);
        let verdict = judge(&report);
        assert_eq!((codes(&verdict), verdict.status), (vec![code], Status::Invalid));
    }
}

#[test]
fn a_run_without_a_request_is_empty_and_nothing_else() {
    let mut report = well();
    report.totals = Snapshot::default();
    report.chronicle = Chronicle::default();
    report.window = Nanos::ZERO;
    let verdict = judge(&report);
    assert_eq!((codes(&verdict), verdict.status), (vec!["empty"], Status::Invalid));
    assert_eq!(verdict.course.stability, Stability::Unknown);
}

/// Starts that are not where the timetable has them.
#[test]
fn starts_beside_the_timetable_are_found() {
    let mut report = well();
    let told = |report: &Report| (reasons(report), judge(report).course.fidelity.unwrap());
    let (none, fidelity) = told(&report);
    assert_eq!((none, fidelity.steps), (vec![], 100));
    assert!(fidelity.dispersion < 1e-9, "{fidelity:?}");
    // Even starts are not Poisson's.
    let mut plan = plan(true);
    if let Load::Open { timetable, .. } = &mut plan.load {
        timetable.arrivals = Arrivals::Poisson;
    }
    report.plan = Arc::new(plan);
    let (codes, fidelity) = told(&report);
    assert_eq!(codes, ["arrivals"]);
    assert!(fidelity.expected.0 > 0.5 && fidelity.expected.1 < 1.6, "{fidelity:?}");
    // Of a tenth more than was asked for, a step has ten too many: their scatter is one.
    let mut plan = self::plan(true);
    if let Load::Open { timetable, .. } = &mut plan.load {
        *timetable = Timetable::constant(Rate::new(909, Nanos::from_secs(1)).unwrap());
    }
    report.plan = Arc::new(plan);
    assert_eq!(told(&report).0, ["arrivals"]);
}

#[test]
fn the_worst_reason_comes_first() {
    let mut report = behind(600);
    report.totals.oddities.disordered = 1;
    report.shards[0].busy = 0.5;
    let verdict = Verdict::of(&report, &thread(0.3, 0.3));
    assert_eq!(codes(&verdict), ["disordered", "run_queue"]);
    assert_eq!(verdict.status, Status::Invalid);
    assert_eq!(verdict.of_axis(Axis::Client), Status::Suspect);
}
