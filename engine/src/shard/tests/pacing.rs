//! How a shard waits: what it costs to be in time for a slot, and who is.

use super::*;

/// Sleeps end so much too late, all of them.
const LATE: Nanos = Nanos::from_micros(30);

/// A lag of no interest: that of a margin which is too small by less than its step.
const NOTHING: Nanos = Nanos::new(50);

fn micros(n: u64) -> Nanos {
    Nanos::from_micros(n)
}

fn paced(pacing: Pacing, load: &Load, limit: Limit) -> ShardPlan {
    let plan = Plan { pacing, ..plan(load, 10, limit) };
    split(&Arc::new(plan)).remove(0)
}

/// A run at 5,000 slots per second against a server whose answers come long before the next slot,
/// so that it is the timer which ends the sleeps.
fn run_paced(pacing: Pacing, slots: u64, late: impl FnMut(Instant) -> Nanos + 'static) -> Ended {
    let part = paced(pacing, &open(5_000), requests(slots));
    run_sleeper(part, prompt(micros(20)), None, late)
}

/// How long after its intended start each slot was sent.
fn lags(ended: &Ended) -> Vec<Nanos> {
    let intended = (0..).map(|k| Nanos::new(k * 200_000));
    let lag = |(sent, intended): (Nanos, Nanos)| {
        assert!(sent >= intended, "the slot of {intended} was sent at {sent}");
        sent.saturating_sub(intended)
    };
    ended.sent().into_iter().zip(intended).map(lag).collect()
}

#[test]
fn one_who_sleeps_is_late_and_one_who_spins_is_not() {
    let asleep = lags(&run_paced(Pacing::Sleep, 2_000, |_| LATE));
    assert!(asleep.iter().filter(|&&lag| lag == LATE).count() > 1_000);
    let awake = lags(&run_paced(Pacing::Spin, 2_000, |_| LATE));
    assert!(awake.iter().all(|&lag| lag == Nanos::ZERO));
}

/// Late wake-ups are within the margin from the first slot on, which is at the barrier. Where they
/// are all equally late, the margin goes down until it is too small by less than its step.
#[test]
fn a_hybrid_wait_is_in_time_and_spins_for_a_part_of_it_only() {
    let ended = run_paced(Pacing::Hybrid, 10_000, |_| LATE);
    let lags = lags(&ended);
    assert!(lags.iter().all(|&lag| lag <= NOTHING));
    let late = lags.iter().filter(|&&lag| lag > Nanos::ZERO).count();
    assert!(late <= 110, "{late} of {} are late", lags.len());
    let spun = ended.finished.effort.spun;
    assert!(spun > Nanos::ZERO && spun < millis(500), "{spun} of two seconds");
}

/// Lateness from 20 µs to 60 µs: nothing is early, and one slot of a hundred or fewer is late.
#[test]
fn a_hybrid_wait_is_never_early_and_rarely_late_when_wake_ups_scatter() {
    let mut number = 0;
    let ended = run_paced(Pacing::Hybrid, 20_000, move |_| {
        number += 1;
        micros(20) + Nanos::new(number * 7_919 % 40_000)
    });
    let lags = lags(&ended);
    let late = lags.iter().filter(|&&lag| lag > Nanos::ZERO).count();
    assert!(late > 0 && late <= 400, "{late} of {} are late", lags.len());
}

#[test]
fn the_margin_follows_when_wake_ups_become_later_and_earlier_again() {
    let (worse, better) = (BARRIER + millis(1_000), BARRIER + millis(2_000));
    let late = move |at: Instant| match at {
        at if at < worse => micros(10),
        at if at < better => micros(90),
        _ => micros(10),
    };
    let ended = run_paced(Pacing::Hybrid, 15_000, late);
    let lags = lags(&ended);
    let count =
        |range: core::ops::Range<usize>| lags[range].iter().filter(|&&lag| lag > NOTHING).count();
    assert_eq!(count(0..5_000), 0);
    let shifted = count(5_000..10_000);
    assert!((1..=150).contains(&shifted), "{shifted} slots were late when wake-ups became later");
    assert_eq!(count(10_000..15_000), 0);
    // A margin of 90 µs for good would cost 80 µs of each gap of the last second.
    let spent = |until: u64| run_paced(Pacing::Hybrid, until, late).finished.effort.spun;
    let last = ended.finished.effort.spun.saturating_sub(spent(14_000));
    assert!(last < micros(1_000 * 30), "{last} were spun in the last 200 ms");
}

/// Each answer comes after the alarm and before the sleeper is awake, who then spins for less than
/// 20 µs. Had the margin learnt from that, it would have gone down until the answer, which comes
/// 40 µs before the slot, is what ends the sleep.
#[test]
fn a_sleep_in_which_something_completed_teaches_nothing() {
    let slots = 5_000;
    let part = paced(Pacing::Hybrid, &open(5_000), requests(slots));
    let ended = run_sleeper(part, prompt(micros(160)), None, |_| LATE);
    let spun = ended.finished.effort.spun;
    assert!(spun >= micros(19 * (slots - 1)), "{spun} for {slots} slots");
    assert!(spun <= micros(20 * slots), "{spun} for {slots} slots");
}

#[test]
fn all_the_time_between_completions_is_spun_and_nothing_else() {
    let ended = run_paced(Pacing::Spin, 1_000, |_| Nanos::ZERO);
    let Finished { effort: Effort { spun, .. }, wall_time, .. } = ended.finished;
    assert_eq!(spun, wall_time, "in virtual time nothing else takes any");
    assert_eq!(run_paced(Pacing::Sleep, 1_000, |_| LATE).finished.effort.spun, Nanos::ZERO);
}

#[test]
fn what_completes_ends_the_spin() {
    for pacing in [Pacing::Hybrid, Pacing::Spin] {
        // One slot per second, and an answer far away from any of them.
        let part = paced(pacing, &open(1), requests(3));
        let ended = run_sleeper(part, prompt(micros(1_234)), None, |_| Nanos::ZERO);
        assert_eq!(ended.numbers.latency.all().known.max(), micros(1_234), "{pacing:?}");
    }
}

#[test]
fn a_closed_loop_never_spins() {
    for pacing in [Pacing::Hybrid, Pacing::Spin] {
        let part = paced(pacing, &closed(2), requests(1_000));
        let ended = run_sleeper(part, prompt(millis(1)), None, |_| LATE);
        assert_eq!((ended.numbers.ledger.ok, ended.finished.effort.spun), (1_000, Nanos::ZERO));
    }
}

#[test]
fn the_pacing_changes_no_outcome() {
    for pacing in [Pacing::Hybrid, Pacing::Spin] {
        let slow = || freezing(millis(100), millis(300), micros(700));
        let limit = Limit::Duration(millis(500));
        let asleep = run_shard(paced(Pacing::Sleep, &open(3_000), limit), slow(), None);
        let paced = run_shard(paced(pacing, &open(3_000), limit), slow(), None);
        assert_eq!(asleep.numbers.ledger, paced.numbers.ledger);
        assert_eq!(asleep.sent(), paced.sent(), "{pacing:?}");
    }
}
