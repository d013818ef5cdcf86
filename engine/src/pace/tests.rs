//! Schedules as a whole: their counts, their places, and that every way to a slot leads to it.

#![expect(clippy::cast_precision_loss, reason = "statistics of small numbers")]

use core::num::NonZeroU32;

use super::*;
use crate::plan::{Shape, Stage, Stages};
use proptest::prelude::*;

fn secs(n: u64) -> Nanos {
    Nanos::from_secs(n)
}

fn millis(n: u64) -> Nanos {
    Nanos::from_millis(n)
}

fn rate(count: u64, period: Nanos) -> Option<Rate> {
    Rate::new(count, period)
}

fn stage(length: Nanos, from: u64, to: u64) -> Stage {
    Stage { length, from: rate(from, secs(1)), to: rate(to, secs(1)) }
}

fn staged(stages: Vec<Stage>) -> Timetable {
    let shape = Shape::Stages(Stages::new(stages).unwrap());
    Timetable { shape, arrivals: Arrivals::Constant }
}

fn constant(per_second: u64) -> Timetable {
    Timetable::constant(rate(per_second, secs(1)).unwrap())
}

fn bursts(count: u64, every: Nanos) -> Timetable {
    let shape = Shape::Bursts { count: NonZeroU64::new(count).unwrap(), every };
    Timetable { shape, arrivals: Arrivals::Constant }
}

fn shares(of: u32, connections: u32) -> Vec<Share> {
    let (of, connections) = (NonZeroU32::new(of).unwrap(), NonZeroU32::new(connections).unwrap());
    (0..of.get()).filter_map(|index| Share::new(index, of, connections)).collect()
}

/// The whole schedule on one shard.
fn whole(timetable: &Timetable) -> Schedule {
    Schedule::new(timetable, Share::WHOLE, 1)
}

fn scattered(timetable: &Timetable, arrivals: Arrivals) -> Timetable {
    Timetable { arrivals, ..timetable.clone() }
}

/// The first `count` starts in nanoseconds, by going from one to the next.
fn starts(schedule: &Schedule, count: usize) -> Vec<u64> {
    let mut cursor = schedule.cursor();
    let next = |_| {
        let start = cursor.start().get();
        cursor.advance();
        start
    };
    (0..count).map(next).collect()
}

/// How many slots start from `from` and before `to`.
fn count(schedule: &Schedule, from: Nanos, to: Nanos) -> u64 {
    let mut cursor = schedule.cursor();
    cursor.skip(from, u64::MAX);
    cursor.skip(to, u64::MAX)
}

fn requests(n: u64) -> Limit {
    Limit::Requests(NonZeroU64::new(n).unwrap())
}

#[test]
fn gaps_of_all_shards_together_are_the_inverse_of_the_rate() {
    let timetable = constant(5_000);
    let shards = shares(3, 3).into_iter().map(|share| Schedule::new(&timetable, share, 1));
    let mut all: Vec<u64> = shards.flat_map(|shard| starts(&shard, 1_000)).collect();
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 200_000));
}

#[test]
fn ten_seconds_at_five_thousand_are_fifty_thousand_slots() {
    let end = whole(&constant(5_000)).end(Nanos::ZERO, Limit::Duration(secs(10)));
    assert_eq!(end, End { slots: 50_000, time: secs(10) });
}

#[test]
fn a_count_of_requests_is_cut_exactly_over_the_shards() {
    let (warmup, steps) = (millis(150), vec![stage(millis(700), 0, 800), stage(secs(1), 90, 70)]);
    for timetable in [constant(333), staged(steps), bursts(17, millis(40))] {
        for arrivals in [Arrivals::Constant, Arrivals::UniformJitter, Arrivals::Poisson] {
            let timetable = scattered(&timetable, arrivals);
            let counted = shares(7, 30).into_iter().map(|share| {
                let schedule = Schedule::new(&timetable, share, 3);
                let end = schedule.end(warmup, requests(1_000));
                let mut cursor = schedule.cursor();
                cursor.skip(warmup, u64::MAX);
                // Both bounds hold the same slots.
                let by_both = cursor.clone().skip(end.time, end.slots);
                assert_eq!(cursor.skip(Nanos::MAX, end.slots), by_both, "{timetable:?}");
                assert!(by_both == share.slots_below(1_000) || arrivals != Arrivals::Poisson);
                by_both
            });
            assert_eq!(counted.sum::<u64>(), 1_000, "{timetable:?}");
        }
    }
}

#[test]
fn a_window_ends_with_its_time_or_its_number_whichever_comes_first() {
    let either = |time, n| Limit::Either(time, NonZeroU64::new(n).unwrap());
    let schedule = whole(&constant(100));
    let (warmup, window) = (secs(1), secs(10));
    let by_number = End { slots: 105, time: millis(1_050) };
    assert_eq!(schedule.end(warmup, either(window, 5)), by_number);
    let by_time = End { slots: 1_100, time: secs(11) };
    assert_eq!(schedule.end(warmup, either(window, 5_000)), by_time);
    let poisson = whole(&scattered(&constant(100), Arrivals::Poisson));
    let by_time = End { slots: u64::MAX, time: secs(11) };
    assert_eq!(poisson.end(warmup, Limit::Duration(window)), by_time);
}

#[test]
fn a_number_that_ends_within_a_burst_takes_a_part_of_it() {
    let schedule = whole(&bursts(10, millis(100)));
    let end = schedule.end(Nanos::ZERO, requests(15));
    assert_eq!(end, End { slots: 15, time: millis(100) + Nanos::new(1) });
    let end = schedule.end(Nanos::ZERO, requests(20));
    assert_eq!(end, End { slots: 20, time: millis(200) });
}

#[test]
fn each_stage_holds_exactly_its_slots() {
    let sixth = Stage { length: secs(10), from: rate(100, secs(60)), to: rate(100, secs(60)) };
    let timetable = staged(vec![
        stage(secs(10), 333, 333),
        stage(secs(20), 0, 1_000),
        // Three times a sixth of a hundred.
        sixth,
        sixth,
        sixth,
        stage(secs(5), 1_000, 200),
        stage(secs(7), 0, 0),
        stage(secs(10), 1, 1),
    ]);
    let schedule = whole(&timetable);
    let counts: Vec<u64> = [(0, 10), (10, 30), (30, 60), (60, 65), (65, 72), (72, 82), (82, 182)]
        .map(|(from, to)| count(&schedule, secs(from), secs(to)))
        .to_vec();
    assert_eq!(counts, [3_330, 10_000, 50, 3_000, 0, 10, 100]);
}

#[test]
fn slots_resume_where_a_pause_ends() {
    let timetable = staged(vec![stage(secs(1), 4, 4), stage(secs(2), 0, 0), stage(secs(1), 2, 2)]);
    let expected = [0, 250, 500, 750, 3_000, 3_500, 4_000, 4_500];
    assert_eq!(starts(&whole(&timetable), 8), expected.map(|ms| millis(ms).get()));
    let pause_first = staged(vec![stage(secs(2), 0, 0), stage(secs(1), 2, 2)]);
    assert_eq!(starts(&whole(&pause_first), 2), [2_000, 2_500].map(|ms| millis(ms).get()));
}

#[test]
fn a_fraction_of_a_slot_is_carried_into_the_next_stage() {
    // 2.5 slots, then 4 per second: slot 3 needs another half of one.
    let timetable = staged(vec![stage(millis(500), 5, 5), stage(secs(1), 4, 4)]);
    let expected = [0, 200, 400, 625, 875].map(|ms| millis(ms).get());
    assert_eq!(starts(&whole(&timetable), 5), expected);
}

#[test]
fn a_ramp_from_nothing_follows_the_root() {
    let schedule = whole(&staged(vec![stage(secs(10), 0, 1_000)]));
    for (k, start) in (0_u128..).zip(starts(&schedule, 5_000)) {
        let expected = (k * 1_000_000_000_000_000_000 / 50).isqrt();
        assert!(u128::from(start).abs_diff(expected) <= 1, "slot {k}: {start}");
    }
    // Afterwards the last rate is held.
    assert_eq!(count(&schedule, secs(10), secs(11)), 1_000);
    assert_eq!(count(&schedule, secs(3_600), secs(3_601)), 1_000);
}

#[test]
fn a_warm_up_at_the_first_rate_changes_nothing() {
    let plain = whole(&constant(123_457));
    let split = whole(&staged(vec![stage(millis(333), 123_457, 123_457); 4]));
    assert!(matches!(&split.course, Course::Legs(legs) if legs.len() == 1));
    assert_eq!(starts(&plain, 300_000), starts(&split, 300_000));
}

#[test]
fn the_slots_of_a_burst_come_together() {
    let schedule = whole(&bursts(3, millis(250)));
    let expected = [0, 0, 0, 250, 250, 250, 500].map(|ms| millis(ms).get());
    assert_eq!(starts(&schedule, 7), expected);
    assert_eq!(count(&schedule, Nanos::ZERO, millis(250)), 3);
    assert_eq!(count(&schedule, Nanos::ZERO, millis(250) + Nanos::new(1)), 6);
}

#[test]
fn jitter_keeps_each_slot_within_its_gap_and_fills_the_gap() {
    let schedule = whole(&scattered(&constant(1_000), Arrivals::UniformJitter));
    let offsets: Vec<u64> = (0..20_000_u64)
        .zip(starts(&schedule, 20_000))
        .map(|(k, start)| start.checked_sub(k * 1_000_000).unwrap())
        .collect();
    assert!(offsets.iter().all(|&offset| offset < 1_000_000));
    for quarter in 0..4 {
        let within = offsets.iter().filter(|&&offset| offset / 250_000 == quarter).count();
        // Five standard deviations of 61.
        assert!(within.abs_diff(5_000) < 306, "{within} in quarter {quarter}");
    }
}

#[test]
fn jitter_is_the_same_over_any_number_of_shards() {
    let timetable = scattered(&constant(700), Arrivals::UniformJitter);
    let alone = starts(&whole(&timetable), 3_000);
    let shards = shares(5, 12);
    let mut together: Vec<u64> = shards
        .into_iter()
        .flat_map(|share| starts(&Schedule::new(&timetable, share, 1), 1_500))
        .collect();
    together.sort_unstable();
    assert_eq!(together[..3_000], alone);
}

/// Mean and variance.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

/// The starts of all shards before `end`, in order.
fn poisson(timetable: &Timetable, shares: &[Share], seed: u64, end: Nanos) -> Vec<u64> {
    let timetable = scattered(timetable, Arrivals::Poisson);
    let mut all = Vec::new();
    for &share in shares {
        let mut cursor = Schedule::new(&timetable, share, seed).cursor();
        while cursor.start() < end {
            all.push(cursor.start().get());
            cursor.advance();
        }
    }
    all.sort_unstable();
    all
}

/// Sums within `bins` bins up to `end`: their mean and their index of dispersion.
fn dispersion(starts: &[u64], end: Nanos, bins: usize) -> (f64, f64) {
    let mut counts = vec![0.0; bins];
    for &start in starts {
        counts[usize::try_from(start / (end.get() / bins as u64)).unwrap()] += 1.0;
    }
    let (mean, variance) = moments(&counts);
    (mean, variance / mean)
}

/// Five standard deviations of the index of dispersion of so many bins.
fn tolerance(bins: usize) -> f64 {
    5.0 * (2.0 / bins as f64).sqrt()
}

#[test]
fn poisson_arrivals_have_the_mean_and_the_dispersion_of_their_name() {
    let (end, bins) = (secs(100), 2_000);
    for seed in 1..6 {
        for shares in [shares(1, 1), shares(3, 7), shares(8, 64)] {
            let starts = poisson(&constant(1_000), &shares, seed, end);
            // Five standard deviations of 316.
            assert!(starts.len().abs_diff(100_000) < 1_581, "{} arrivals", starts.len());
            let (_, index) = dispersion(&starts, end, bins);
            assert!((index - 1.0).abs() < tolerance(bins), "index of dispersion {index}");
        }
    }
}

/// Anderson and Darling's test for exponential gaps of an unknown mean (measurement, 3e).
#[test]
fn gaps_of_several_shards_together_are_exponential() {
    for seed in 1..6 {
        let starts = poisson(&constant(1_000), &shares(3, 7), seed, secs(20));
        let mut gaps: Vec<f64> =
            starts.windows(2).map(|pair| (pair[1] - pair[0]).max(1) as f64).collect();
        gaps.sort_unstable_by(f64::total_cmp);
        let (n, (mean, _)) = (gaps.len() as f64, moments(&gaps));
        let below = |gap: f64| 1.0 - (-gap / mean).exp();
        let sum: f64 = (0..gaps.len())
            .map(|i| {
                let (one, other) = (below(gaps[i]), below(gaps[gaps.len() - 1 - i]));
                (2 * i + 1) as f64 * (one.ln() + (1.0 - other).ln())
            })
            .sum();
        let distance = -n - sum / n;
        // Random exponential gaps are beyond it once in a hundred times; the seeds are fixed.
        assert!(distance < 1.959, "A² = {distance} with seed {seed}");
    }
}

#[test]
fn poisson_arrivals_follow_a_changing_rate() {
    let timetable = staged(vec![stage(secs(50), 0, 2_000), stage(secs(50), 500, 500)]);
    let starts = poisson(&timetable, &shares(3, 7), 1, secs(100));
    let within = |from: Nanos, to: Nanos| {
        starts.iter().filter(|&&start| from.get() <= start && start < to.get()).count() as f64
    };
    for (from, to, expected) in
        [(0, 25, 12_500.0), (25, 50, 37_500.0), (50, 75, 12_500.0), (75, 100, 12_500.0_f64)]
    {
        let counted = within(secs(from), secs(to));
        assert!((counted - expected).abs() < 5.0 * expected.sqrt(), "{counted}, not {expected}");
    }
}

#[test]
fn a_shard_has_arrivals_in_proportion_to_its_connections() {
    for share in shares(3, 7) {
        let arrivals = poisson(&constant(7_000), &[share], 1, secs(10)).len() as f64;
        let expected = 10_000.0 * f64::from(share.connections().get());
        assert!((arrivals - expected).abs() < 5.0 * expected.sqrt(), "{arrivals}, not {expected}");
    }
}

#[test]
fn a_seed_is_a_schedule_and_each_shard_has_its_own() {
    let share = shares(2, 2);
    let of = |share, seed| poisson(&constant(1_000), &[share], seed, secs(1));
    assert_eq!(of(share[0], 7), of(share[0], 7));
    assert_ne!(of(share[0], 7), of(share[0], 8));
    assert_ne!(of(share[0], 7), of(share[1], 7));
    // What a seed meant yesterday it means today.
    assert_eq!(of(share[0], 7)[..3], [2_141_091, 4_744_777, 10_152_612]);
}

#[test]
fn the_offered_rate_is_what_the_timetable_holds() {
    let (none, ten) = (Nanos::ZERO, secs(10));
    let check = |timetable: &Timetable, from, to, expected: f64| {
        let offered = offered(timetable, from, to);
        assert!((offered - expected).abs() < 1e-9 * expected.max(1.0), "{offered}");
    };
    check(&constant(333), none, ten, 333.0);
    check(&constant(333), ten, ten, 333.0);
    let ramp = staged(vec![stage(ten, 0, 1_000)]);
    check(&ramp, none, ten, 500.0);
    check(&ramp, secs(5), ten, 750.0);
    check(&ramp, secs(5), secs(15), 875.0);
    check(&ramp, ten, ten, 0.0);
    check(&bursts(5, millis(500)), none, ten, 10.0);
    let pause = staged(vec![stage(secs(1), 0, 0), stage(secs(1), 10, 10)]);
    check(&pause, none, secs(1), 0.0);
    check(&pause, none, secs(2), 5.0);
}

#[test]
fn counting_poisson_arrivals_has_an_end() {
    let timetable = scattered(&constant(1_000_000_000), Arrivals::Poisson);
    let end = whole(&timetable).end(secs(1), requests(u64::MAX));
    assert_eq!(end.slots, COUNTED_MAX);
    assert!(end.time < secs(1));
}

fn rates() -> impl Strategy<Value = Option<Rate>> {
    prop_oneof![
        2 => Just(None),
        2 => Just(rate(1, secs(3_600))),
        2 => Just(rate(1_000_000_000, secs(1))),
        1 => Just(rate(1, Nanos::MAX)),
        1 => Just(rate(u64::MAX, Nanos::MAX)),
        8 => (1_u64..100_000).prop_map(|count| rate(count, secs(1))),
        2 => (1_u64..100_000).prop_map(|count| rate(count, secs(60))),
    ]
}

fn lengths() -> impl Strategy<Value = Nanos> {
    prop_oneof![
        1 => Just(Nanos::MAX),
        1 => Just(Nanos::new(1)),
        2 => (1_u64..1_000).prop_map(Nanos::new),
        8 => (1_u64..20_000).prop_map(millis),
        1 => (1_u64..).prop_map(Nanos::new),
    ]
}

fn stages() -> impl Strategy<Value = Stages> {
    let stage = prop_oneof![
        (lengths(), rates(), rates()).prop_map(|(length, from, to)| Stage { length, from, to }),
        (lengths(), rates()).prop_map(|(length, rate)| Stage { length, from: rate, to: rate }),
    ];
    prop::collection::vec(stage, 1..6)
        .prop_filter_map("the last stage ends at nothing", Stages::new)
}

fn timetables() -> impl Strategy<Value = Timetable> {
    let shape = prop_oneof![
        6 => stages().prop_map(Shape::Stages),
        1 => (1_u64..1_000, lengths()).prop_map(|(count, every)| {
            Shape::Bursts { count: NonZeroU64::new(count).unwrap(), every }
        }),
        1 => lengths().prop_map(|every| Shape::Bursts { count: NonZeroU64::MAX, every }),
    ];
    let arrivals = prop_oneof![
        Just(Arrivals::Constant),
        Just(Arrivals::UniformJitter),
        Just(Arrivals::Poisson),
    ];
    (shape, arrivals).prop_map(|(shape, arrivals)| Timetable { shape, arrivals })
}

prop_compose! {
    fn schedules()(
        timetable in timetables(),
        (of, index) in (1_u32..9).prop_flat_map(|of| (Just(of), 0..of)),
        more in 0_u32..50,
        seed: u64,
    ) -> Schedule {
        let of = NonZeroU32::new(of).unwrap();
        let share = Share::new(index, of, of.saturating_add(more)).unwrap();
        Schedule::new(&timetable, share, seed)
    }
}

/// A cursor somewhere: at the first slots, or far away where that is possible.
fn somewhere(schedule: &Schedule, number: u64) -> Cursor {
    let mut cursor = schedule.cursor();
    let number = if schedule.is_by_number() { number } else { number % 1_000 };
    cursor.go_to(number);
    cursor
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..100, 0_u64..1_000_000_000, 0..u64::MAX - 1_000]
}

proptest! {
    #[test]
    fn starts_never_fall(schedule in schedules(), number in numbers()) {
        let mut cursor = somewhere(&schedule, number);
        for _ in 0..200 {
            let before = cursor.start();
            cursor.advance();
            prop_assert!(before <= cursor.start(), "slot {}", cursor.number());
        }
    }

    #[test]
    fn skipping_is_advancing_one_by_one(
        schedule in schedules(),
        number in numbers(),
        time in prop_oneof![Just(None), lengths().prop_map(Some)],
        slots in 0_u64..300,
    ) {
        let mut walking = somewhere(&schedule, number);
        let mut skipping = walking.clone();
        let time = time.map_or(Nanos::MAX, |time| walking.start() + time);
        let slots = walking.number().saturating_add(slots);
        let mut passed = 0;
        while walking.start() < time && walking.number() < slots {
            walking.advance();
            passed += 1;
        }
        prop_assert_eq!(skipping.skip(time, slots), passed);
        prop_assert_eq!(skipping.number(), walking.number());
        prop_assert_eq!(skipping.start(), walking.start());
        skipping.advance();
        walking.advance();
        prop_assert_eq!(skipping.start(), walking.start());
    }

    #[test]
    fn exactly_the_slots_before_one_start_before_it(
        stages in stages(),
        arrivals in prop_oneof![Just(Arrivals::Constant), Just(Arrivals::UniformJitter)],
        number in numbers(),
    ) {
        let timetable = Timetable { shape: Shape::Stages(stages), arrivals };
        let at = somewhere(&whole(&timetable), number);
        if at.start() == Nanos::MAX {
            return Ok(());
        }
        let mut cursor = whole(&timetable).cursor();
        let before = cursor.skip(at.start(), u64::MAX);
        // Scattered slots may share a nanosecond, and floats put some into one where the rate is
        // about one per nanosecond.
        prop_assert!(before <= number);
        let shared = cursor.skip(at.start() + Nanos::new(1), u64::MAX);
        prop_assert!(before + shared > number);
    }

    #[test]
    fn the_end_is_found_whatever_the_timetable(
        schedule in schedules(),
        warmup in prop_oneof![Just(Nanos::ZERO), lengths()],
        length in lengths(),
        n in prop_oneof![1_u64..1_000, Just(u64::MAX)],
    ) {
        let n = NonZeroU64::new(n).unwrap();
        // Counting arrivals takes its time, and has a test of its own.
        let countable = schedule.is_by_number();
        let limits = [Limit::Duration(length), Limit::Requests(n), Limit::Either(length, n)];
        for limit in limits.into_iter().take(if countable { 3 } else { 1 }) {
            let end = schedule.end(warmup, limit);
            // What starts at the end of time does not start before it, and numbers end, too.
            if countable && end.time < Nanos::MAX && end.slots < 1 << 60 {
                prop_assert_eq!(end.slots, schedule.cursor().skip(end.time, end.slots));
            }
        }
    }

    #[test]
    fn what_is_offered_is_a_number(timetable in timetables(), from in lengths(), to in lengths()) {
        let offered = offered(&timetable, from, to);
        prop_assert!(offered.is_finite() && offered >= 0.0, "{}", offered);
    }
}

/// Stages of rates and lengths as people give them, beside the odd ones.
fn turnovers() -> impl Strategy<Value = (Stages, Stages, Nanos, Nanos)> {
    // At the end of time all moments are one.
    let moments = || lengths().prop_map(|length| length.min(Nanos::new(1 << 60)));
    let transition = prop_oneof![Just(Nanos::ZERO), moments()];
    (stages(), stages(), moments(), transition)
}

proptest! {
    #[test]
    fn a_change_loses_no_slot_and_has_none_twice_whatever_the_shards(
        (old, new, at, transition) in turnovers(),
        scattered: bool,
        (of, more) in (1_u32..5, 0_u32..20),
        later in 0_u64..1 << 60,
        number in 0_u64..1_000_000,
    ) {
        let arrivals = if scattered { Arrivals::UniformJitter } else { Arrivals::Constant };
        let flat = old.all().iter().all(|stage| stage.from == stage.to);
        let length = old.all().iter().fold(Nanos::ZERO, |sum, stage| sum + stage.length);
        let changed = old.spliced(at, transition, &new);
        let [old, changed] = [old, changed]
            .map(|stages| Timetable { shape: Shape::Stages(stages), arrivals });
        let until = at + Nanos::new(later);
        let (mut before, mut all) = (0_u64, 0_u64);
        for share in shares(of, of + more) {
            let mut cursor = Schedule::new(&old, share, 1).cursor();
            before = before.saturating_add(cursor.skip(at, u64::MAX));
            cursor.follow(&Schedule::new(&changed, share, 1));
            cursor.skip(until, u64::MAX);
            // As if it had followed that from the beginning.
            let mut direct = Schedule::new(&changed, share, 1).cursor();
            direct.skip(until, u64::MAX);
            prop_assert!(cursor.number() >= direct.number());
            all = all.saturating_add(direct.number());
        }
        let [old, changed] = [old, changed].map(|timetable| whole(&timetable));
        prop_assert_eq!(before, count(&old, Nanos::ZERO, at));
        prop_assert_eq!(all, count(&changed, Nanos::ZERO, until));
        // What lies before the moment is as it was, but for what floats make of a ramp.
        let room = if flat { 0 } else { 2 + (count(&old, Nanos::ZERO, length) >> 48) };
        let still = count(&changed, Nanos::ZERO, at);
        prop_assert!(still.abs_diff(before) <= room);
        if let Some(number) = number.checked_rem(before).filter(|_| flat) {
            prop_assert_eq!(old.start_of(number), changed.start_of(number));
        }
    }
}

#[test]
fn a_rate_that_changes_goes_on_with_the_fraction_of_a_slot() {
    let fast = Stages::constant(rate(1_000, secs(1)).unwrap());
    let slow = Stages::constant(rate(10, secs(1)).unwrap());
    let changed = slow.spliced(millis(250), Nanos::ZERO, &fast);
    let timetable = Timetable { shape: Shape::Stages(changed), arrivals: Arrivals::Constant };
    // Two and a half slots have passed at a quarter of a second: half a slot is left.
    let expected = [0, 100_000_000, 200_000_000, 250_500_000, 251_500_000];
    assert_eq!(starts(&whole(&timetable), 5), expected);
}

#[test]
fn a_change_leads_to_the_new_stages_as_they_are_at_that_time_of_the_run() {
    let old = Stages::constant(rate(100, secs(1)).unwrap());
    let new = [stage(secs(10), 0, 1_000), stage(secs(10), 1_000, 1_000), stage(secs(5), 50, 50)];
    let new = Stages::new(new.to_vec()).unwrap();
    let at_once = old.spliced(secs(5), Nanos::ZERO, &new);
    let rates = |stages: &Stages, times: &[u64]| -> Vec<f64> {
        let rate = |&time: &u64| stages.rate_at(millis(time)).map_or(0.0, Rate::per_second);
        times.iter().map(rate).map(f64::round).collect()
    };
    let times = [0, 4_999, 5_000, 7_500, 10_000, 19_999, 20_000, 25_000, 99_000];
    let expected = [100.0, 100.0, 500.0, 750.0, 1_000.0, 1_000.0, 50.0, 50.0, 50.0];
    assert_eq!(rates(&at_once, &times), expected);
    // 500 before, half of a ramp, ten seconds, and 50 per second from then on.
    let timetable = Timetable { shape: Shape::Stages(at_once), arrivals: Arrivals::Constant };
    assert_eq!(count(&whole(&timetable), Nanos::ZERO, secs(30)), 500 + 3_750 + 10_000 + 500);
    // In two seconds from 100 to 700, which is where the ramp is then.
    let by_and_by = old.spliced(secs(5), secs(2), &new);
    assert_eq!(rates(&by_and_by, &[5_000, 6_000, 7_000, 7_500]), [100.0, 400.0, 700.0, 750.0]);
    // Taken back at once, nothing is left of it.
    let back = old.spliced(secs(5), Nanos::ZERO, &new).spliced(secs(5), Nanos::ZERO, &old);
    assert_eq!(rates(&back, &times), [100.0; 9]);
    assert_eq!(old.spliced(Nanos::ZERO, Nanos::ZERO, &new), new);
}
