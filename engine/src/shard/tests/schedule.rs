//! Open loop: the intended start rules, whatever the server does. Closed loop: starts are counted
//! exactly.

use super::*;
use crate::pace::Schedule;
use crate::plan::Share;
use crate::record::Quantile;
use crate::shard::HEARTBEAT;
use crate::shard::supply::Supply;

/// `got` is `expected`, but for the histogram's 0.1 % and the moment of one slot.
#[track_caller]
fn check_near(got: Nanos, expected: Nanos, slot: Nanos) {
    let room = Nanos::new(expected.get() / 500) + slot;
    assert!(expected <= got + room && got <= expected + room, "{got}, not {expected}");
}

#[test]
fn slots_are_sent_at_their_intended_starts_to_the_nanosecond() {
    let ended = run(plan(&open(3_000), 10, requests(50)), prompt(Nanos::from_micros(10)));
    let intended: Vec<_> = (0..50).map(|k| Nanos::new(k * 1_000_000_000 / 3_000)).collect();
    assert_eq!(ended.sent(), intended);
    assert_eq!(ended.numbers.parts.lag.max(), Nanos::ZERO);
}

#[test]
fn every_timetable_is_kept_slot_by_slot() {
    for timetable in timetables() {
        let plan = plan(&timed(timetable.clone(), 1), 300, Limit::Duration(millis(400)));
        let mut cursor = Schedule::new(&timetable, Share::WHOLE, plan.seed).cursor();
        let mut intended = Vec::new();
        while cursor.start() < millis(400) {
            intended.push(cursor.start());
            cursor.advance();
        }
        let ended = run(plan, prompt(Nanos::from_micros(10)));
        let ledger = ended.numbers.ledger;
        assert_eq!(ledger.scheduled, intended.len() as u64, "{timetable:?}");
        assert_eq!((ledger.ok, ended.numbers.parts.lag.max()), (ledger.scheduled, Nanos::ZERO));
        assert_eq!(ended.sent(), intended, "{timetable:?}");
    }
}

#[test]
fn a_slot_that_starts_at_its_very_moment_is_scheduled_then_and_not_given_up() {
    let plan = Arc::new(plan(&open(1_000), 4, Limit::Duration(millis(100))));
    let mut supply = Supply::new(&split(&plan).remove(0));
    assert_eq!(supply.newly_scheduled(BARRIER), 0, "not begun");
    supply.give_up(BARRIER + millis(9), BARRIER + millis(9), |_, _| panic!("not begun"));
    let window = supply.begin(BARRIER, plan.stop);
    let now = BARRIER + millis(2);
    let taken = [0, 1, 2].map(|_| supply.take(now, window));
    assert_eq!(taken, [0, 1, 2].map(|ms| Some(BARRIER + millis(ms))));
    assert_eq!(supply.take(now, window), None);
    assert_eq!(supply.newly_scheduled(now), 3);
    supply.cut(now, |_, _| panic!("all that was due was taken"));
    assert_eq!(supply.newly_scheduled(now + millis(50)), 0);
}

/// Freeze F of a window P: L(q) = F − P (1 − q), however many connections there are (measurement,
/// T2).
#[test]
fn a_freeze_is_charged_to_every_slot_that_is_due_in_it() {
    let mut service_p99 = Vec::new();
    for connections in [1, 4, 300] {
        let plan = plan(&open(1_000), connections, Limit::Duration(millis(1_000)));
        let numbers = run(plan, freezing(millis(500), millis(700), Nanos::ZERO)).numbers;
        assert_eq!(numbers.ledger.ok, 1_000);
        let response = numbers.latency.all().known;
        assert_eq!(response.max(), millis(200));
        check_near(response.quantile(Quantile::P99), millis(190), millis(1));
        let [_, _, (_, p90), (_, p95), ..] = Quantile::REPORTED;
        check_near(response.quantile(p90), millis(100), millis(1));
        check_near(response.quantile(p95), millis(150), millis(1));
        assert_eq!(response.quantile(Quantile::P50), Nanos::ZERO);
        service_p99.push(numbers.parts.service.quantile(Quantile::P99));
    }
    assert_eq!(service_p99[0], Nanos::ZERO, "one connection hides the freeze from service time");
    check_near(service_p99[2], millis(190), millis(1));
}

#[test]
fn a_stuck_connection_delays_no_slot_while_another_is_free() {
    let mut plan = plan(&open(1_000), 2, Limit::Duration(millis(500)));
    plan.timeouts.request = Nanos::from_secs(60);
    let script = server(|asked| match asked.slot {
        Slot(0) => vec![(millis(450), Act::Say(OK.to_vec()))],
        _ => vec![(Nanos::from_micros(900), Act::Say(OK.to_vec()))],
    });
    let ended = run(plan, script);
    assert_eq!(ended.numbers.ledger.ok, 500);
    assert_eq!(ended.numbers.parts.lag.max(), Nanos::ZERO);
}

/// First come, first served: after a freeze of 100 slots, each is one service time later than its
/// predecessor and was due one gap after it, so the first one has waited longest.
#[test]
fn the_oldest_due_slot_is_taken_first() {
    let (from, to, service) = (millis(100), millis(200), Nanos::from_micros(500));
    let script = freezing(from, to, service);
    let numbers = run(plan(&open(1_000), 1, Limit::Duration(millis(500))), script).numbers;
    assert_eq!(numbers.ledger.ok, 500);
    assert_eq!(numbers.latency.all().known.max(), millis(100) + service);
}

#[test]
fn slots_owed_after_the_window_are_sent_in_the_drain() {
    let plan = plan(&open(1_000), 1, Limit::Duration(millis(400)));
    let ended = run(plan, freezing(millis(200), millis(900), Nanos::ZERO));
    assert_eq!(ended.numbers.ledger.ok, 400);
    assert_eq!(ended.numbers.latency.all().known.max(), millis(700));
    assert_eq!(ended.finished.window, millis(400));
    assert_eq!(ended.numbers.finished_in_window, 200, "in the drain is after the window");
}

#[test]
fn slots_that_the_drain_does_not_reach_are_unfinished() {
    let mut plan = plan(&open(1_000), 4, Limit::Duration(millis(400)));
    plan.stop.drain = millis(100);
    let ended = run(plan, freezing(millis(200), millis(900), Nanos::ZERO));
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.scheduled, ledger.ok, ledger.unfinished), (400, 200, 200));
    assert_eq!(ended.requests_sent(), 204);
}

#[test]
fn a_slot_belongs_to_the_warm_up_by_its_intended_start() {
    let mut plan = plan(&open(1_000), 8, Limit::Duration(millis(1_000)));
    plan.stop.warmup = millis(500);
    let ended = run(plan, freezing(millis(400), millis(600), Nanos::ZERO));
    assert_eq!((ended.numbers.ledger.scheduled, ended.numbers.ledger.ok), (1_000, 1_000));
    assert_eq!(ended.requests_sent(), 1_500);
    assert_eq!(
        ended.numbers.latency.all().known.max(),
        millis(100),
        "the slot of 500 ms, not that of 400 ms"
    );
    assert_eq!(ended.finished.window, millis(1_000));
}

#[test]
fn a_closed_loop_counts_what_starts_after_the_warm_up() {
    let mut plan = plan(&closed(1), 1, Limit::Duration(millis(100)));
    plan.stop.warmup = millis(50);
    // Starts at 0, 3, 6 … ms: that of 48 ms ends in the window, the first to count starts at 51 ms.
    let ended = run(plan, prompt(millis(3)));
    assert_eq!(ended.requests_sent(), 50);
    assert_eq!(ended.numbers.ledger.ok, 33);
    assert_eq!(ended.numbers.finished_in_window, 33);
    assert!(ended.numbers.parts.lag.is_empty(), "no schedule, nothing to be late for");
    let services = ended.numbers.latency.all().known;
    assert_eq!((services.min(), services.max()), (millis(3), millis(3)));
}

#[test]
fn a_number_of_requests_is_met_exactly_over_all_shards() {
    let timed = timetables().into_iter().map(|timetable| timed(timetable, 1));
    for load in [closed(1), closed(4), open(2_000)].into_iter().chain(timed) {
        for (n, warmup) in [(1, 0), (2, 20), (100, 0), (101, 33)] {
            let mut plan = plan(&load, 7, requests(n));
            plan.cores = Cores::new(vec![0, 1, 2]).unwrap();
            plan.stop.warmup = millis(warmup);
            let shards = split(&Arc::new(plan));
            let ended = shards.into_iter().map(|part| run_shard(part, prompt(millis(1)), None));
            let ledgers: Vec<_> = ended.map(|ended| ended.numbers.ledger).collect();
            let ok: u64 = ledgers.iter().map(|ledger| ledger.ok).sum();
            assert_eq!(ok, n, "{load:?}, warm-up of {warmup} ms: {ledgers:?}");
        }
    }
}

#[test]
fn a_shard_without_a_quota_sends_nothing_but_its_warm_up() {
    let mut plan = plan(&closed(1), 2, requests(1));
    plan.cores = Cores::new(vec![0, 1]).unwrap();
    plan.stop.warmup = millis(100);
    let part = split(&Arc::new(plan)).remove(1);
    assert_eq!(part.quota, Some(0));
    let ended = run_shard(part, prompt(millis(1)), None);
    assert_eq!(ended.numbers.ledger.scheduled, 0);
    assert!(ended.sent().iter().all(|&at| at < millis(100)));
    assert!(ended.log.sent.last().is_none_or(|last| last.0 < ended.barrier + millis(100)));
}

#[test]
fn the_same_plan_sends_the_same_bytes_at_the_same_moments() {
    let ragged = || {
        server(|asked| {
            let after = Nanos::from_micros(asked.number * 7_919 % 4_001);
            let end = if asked.number % 23 == 22 { Act::Reset } else { Act::Say(OK.to_vec()) };
            vec![(after, end)]
        })
    };
    for load in [closed(3), open(5_000)] {
        let once = run(plan(&load, 16, requests(2_000)), ragged());
        let again = run(plan(&load, 16, requests(2_000)), ragged());
        assert!(once.log == again.log);
        assert_eq!(once.numbers.ledger, again.numbers.ledger);
        assert!(once.log.sent.iter().map(|sent| sent.1).any(|slot| slot != Slot(0)));
    }
}

#[test]
fn an_early_stop_starts_nothing_more_and_the_ledger_balances() {
    let halt = Halt { at: millis(300), patience: millis(500) };
    // Too slow for the rate, and never done with two requests at once.
    let ragged =
        || server(|asked| vec![(millis(20 + 17 * u64::from(asked.slot.0)), Act::Say(OK.to_vec()))]);
    let timed = timetables().into_iter().map(|timetable| timed(timetable, 1));
    for load in [closed(1), closed(4), open(1_000)].into_iter().chain(timed) {
        for warmup in [0, 250, 2_000] {
            let mut plan = plan(&load, 4, Limit::Duration(millis(5_000)));
            plan.stop.warmup = millis(warmup);
            let ended = run_and_halt(plan, ragged(), halt);
            let last = ended.sent().into_iter().max().unwrap();
            assert!(last <= halt.at, "{load:?}, warm-up {warmup} ms: a request started at {last}");
            let ledger = ended.numbers.ledger;
            assert_eq!(ledger.scheduled > 0, warmup < 300, "{ledger:?}");
            let expected = if warmup < 300 { millis(300 - warmup) } else { Nanos::ZERO };
            check_near(ended.finished.window, expected, HEARTBEAT);
        }
    }
}

#[test]
fn a_stop_in_the_drain_gives_up_what_is_owed() {
    let halt = Halt { at: millis(500), patience: millis(400) };
    let plan = plan(&open(1_000), 2, Limit::Duration(millis(300)));
    let ended = run_and_halt(plan, freezing(millis(200), millis(800), Nanos::ZERO), halt);
    let ledger = ended.numbers.ledger;
    assert_eq!((ledger.scheduled, ledger.ok, ledger.unfinished), (300, 202, 98));
    assert_eq!(ended.requests_sent(), 202);
}

#[test]
fn a_stop_without_patience_leaves_the_outstanding_unfinished() {
    let halt = Halt { at: millis(10), patience: Nanos::ZERO };
    let plan = plan(&closed(2), 3, Limit::Duration(millis(1_000)));
    let ledger = run_and_halt(plan, prompt(millis(400)), halt).numbers.ledger;
    assert_eq!((ledger.scheduled, ledger.unfinished), (6, 6));
}
