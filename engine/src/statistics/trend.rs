//! Whether something grows: the trend test of Mann and Kendall, and overload by its backlog.
//!
//! A target that takes less than is offered falls behind without end: what is outstanding grows,
//! and response times say how long the run was, not how quick the target is.
//!
//! Source of the test: Mann, "Nonparametric tests against trend" (1945); Kendall, *Rank Correlation
//! Methods* (1975) for ties.

use super::{Z, length, real};
use crate::units::{Nanos, Rate};

/// Fewest values to judge by. Below, the normal approximation of the test is not one.
const VALUES_MIN: usize = 8;

/// A backlog at the end is growth when it is more than so many times that of the first quarter.
const GROWTH: f64 = 3.0;

/// Part of a series that is its beginning.
const QUARTER: usize = 4;

/// The outcome of the test of Mann and Kendall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Pairs in which the later value is greater, less those in which it is smaller.
    pub s: i64,
    /// The same in standard deviations of a series without a trend; 0 where all values are equal.
    pub z: f64,
}

/// Which way a series goes, at the level of 5 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Later values are greater, more often than by chance.
    Rising,
    /// Later values are smaller, more often than by chance.
    Falling,
    /// Chance would do as well.
    Neither,
}

/// Whether the target kept up with what it was offered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stability {
    /// The backlog did not grow.
    Steady,
    /// The target took less than was offered.
    Unstable {
        /// Requests by which the backlog grew in a second.
        growth_per_s: f64,
        /// Requests that were outstanding at the end.
        backlog: f64,
    },
    /// The series is too short, or holds what is no count.
    Unknown,
}

impl Trend {
    /// Which way the series goes.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self.z {
            z if z > Z => Direction::Rising,
            z if z < -Z => Direction::Falling,
            _ => Direction::Neither,
        }
    }
}

/// Tests a series for a trend, whatever its shape. O(n log n).
///
/// `None` with fewer than 8 values, or where one of them is not finite.
#[must_use]
pub fn mann_kendall(series: &[f64]) -> Option<Trend> {
    if series.len() < VALUES_MIN || !series.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut sorted = series.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (mut rises, mut falls) = (0_u64, 0_u64);
    let mut seen = Seen(vec![0; series.len() + 1]);
    for (earlier, value) in (0_u64..).zip(series) {
        rises += seen.below(sorted.partition_point(|other| other < value));
        let upto = sorted.partition_point(|other| other <= value);
        falls += earlier - seen.below(upto);
        seen.add(upto);
    }
    let s = rises.cast_signed() - falls.cast_signed();
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    // In order, what is not smaller than the next is equal to it.
    let ties: f64 = sorted.chunk_by(|a, b| a >= b).map(|tied| spread(length(tied.len()))).sum();
    let variance = (spread(length(series.len())) - ties) / 18.0;
    // One pair less, because the sum goes in steps and the normal distribution does not.
    let beyond = real(s.unsigned_abs().saturating_sub(1));
    let size = if variance > 0.0 { beyond / variance.sqrt() } else { 0.0 };
    Some(Trend { s, z: if s < 0 { -size } else { size } })
}

/// How many values were seen up to each rank: a tree of partial sums (Fenwick 1994), which both
/// notes and answers in O(log n).
struct Seen(Vec<u64>);

impl Seen {
    /// Notes a value that stands at `rank`, counted from 1.
    fn add(&mut self, mut rank: usize) {
        while let Some(sum) = self.0.get_mut(rank).filter(|_| rank > 0) {
            *sum += 1;
            rank += rank & rank.wrapping_neg();
        }
    }

    /// Number of values seen at `rank` or below.
    fn below(&self, mut rank: usize) -> u64 {
        let mut sum = 0;
        while rank > 0 {
            sum += self.0.get(rank).copied().unwrap_or_default();
            rank &= rank - 1;
        }
        sum
    }
}

/// Says whether the target kept up, from the requests outstanding at the end of each interval,
/// those that are due and not sent included.
///
/// Unstable is a series that rises by the test of Mann and Kendall and by its regression, and ends
/// both at more than three times the mean of its first quarter and at more than the `offered` rate
/// has outstanding anyway, which is that rate times the `median` response time (Little 1961).
/// The test is there because a steady queue can end high by chance: without it, one run in ten of
/// an M/M/1 queue at half its capacity would be called unstable.
///
/// Of `median`, no more than a quarter of the series counts. An overload that is twofold or worse
/// makes the median grow faster than the backlog, which would hide behind it. Give [`Nanos::MAX`]
/// where nothing was answered. A series shorter than three response times of a slow target rises
/// as an overload does, and is called one.
#[must_use]
pub fn stability(outstanding: &[f64], interval: Nanos, offered: Rate, median: Nanos) -> Stability {
    let counts = outstanding.iter().all(|&count| count >= 0.0);
    let trend = mann_kendall(outstanding).filter(|_| counts);
    let (Some(trend), Some(&backlog)) = (trend, outstanding.last()) else {
        return Stability::Unknown;
    };
    let beginning = outstanding.len() / QUARTER;
    let early: f64 = outstanding.iter().take(beginning).sum::<f64>() / length(beginning);
    let quarter = interval.as_secs_f64() * length(outstanding.len()) / length(QUARTER);
    let usual = offered.per_second() * median.as_secs_f64().min(quarter);
    let growth_per_s = slope(outstanding) / interval.as_secs_f64();
    // No interval, or sums beyond all numbers.
    if !growth_per_s.is_finite() {
        return Stability::Unknown;
    }
    let rises = trend.direction() == Direction::Rising && growth_per_s > 0.0;
    if rises && backlog > GROWTH * early && backlog > usual {
        Stability::Unstable { growth_per_s, backlog }
    } else {
        Stability::Steady
    }
}

/// The slope of the least-squares line, per place in the series.
fn slope(series: &[f64]) -> f64 {
    let n = length(series.len());
    let (middle, mean) = ((n - 1.0) / 2.0, series.iter().sum::<f64>() / n);
    let places = (0..series.len()).map(|place| length(place) - middle);
    let product: f64 = places.zip(series).map(|(place, value)| place * (value - mean)).sum();
    product * 12.0 / (n * (n * n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::*;
    use proptest::prelude::*;

    /// Both counted over all pairs, and the variance from the groups of ties, with `NumPy`.
    #[test]
    fn the_test_of_mann_and_kendall_counts_pairs_and_heeds_ties() {
        for (series, s, z) in [
            (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 28, 3.340_383_700),
            (vec![4.0, 2.0, 2.0, 5.0, 7.0, 7.0, 6.0, 9.0, 9.0, 9.0], 32, 2.837_793_619),
            (vec![23.0, 24.0, 29.0, 6.0, 29.0, 24.0, 24.0, 29.0, 23.0], 3, 0.218_652_155),
            (vec![5.0, 4.0, 3.0, 3.0, 2.0, 1.0, 1.0, 0.0, -1.0, -2.0], -43, -3.787_012_466),
            (vec![0.0; 10], 0, 0.0),
        ] {
            let trend = mann_kendall(&series).unwrap();
            assert_eq!(trend.s, s, "{series:?}");
            assert!((trend.z - z).abs() < 1e-8, "{} of {series:?}", trend.z);
        }
    }

    #[test]
    fn a_trend_has_a_direction_beyond_chance_only() {
        let of = |z| Trend { s: 0, z }.direction();
        assert_eq!((of(1.97), of(-1.97)), (Direction::Rising, Direction::Falling));
        assert_eq!(
            (of(1.95), of(-1.95), of(0.0)),
            (Direction::Neither, Direction::Neither, of(0.1))
        );
        let zeros: Vec<f64> = (0..40).map(|i| if i < 20 { -0.0 } else { 0.0 }).collect();
        assert_eq!(mann_kendall(&zeros), Some(Trend { s: 0, z: 0.0 }), "both zeros are one");
    }

    #[test]
    fn noise_has_a_trend_in_one_series_of_twenty() {
        let mut random = Seeded::new(4);
        let trends = (0..1_000).filter(|_| {
            let series: Vec<f64> = (0..50).map(|_| (random.uniform() * 8.0).floor()).collect();
            mann_kendall(&series).unwrap().direction() != Direction::Neither
        });
        let trends = trends.count();
        assert!((30..=70).contains(&trends), "{trends} of 1000");
    }

    #[test]
    fn a_series_that_says_nothing_has_no_trend() {
        for short in 0..8 {
            assert_eq!(mann_kendall(&vec![1.0; short]), None, "{short} values");
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(mann_kendall(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, bad]), None);
        }
    }

    const INTERVAL: Nanos = Nanos::from_millis(100);

    fn rate(per_second: u64) -> Rate {
        Rate::new(per_second, Nanos::from_secs(1)).unwrap()
    }

    /// Outstanding requests of a target that takes exactly `taken` of `offered` in a second.
    fn behind(offered: f64, taken: f64, intervals: u32) -> Vec<f64> {
        (1..=intervals).map(|i| f64::from(i) * 0.1 * (offered - taken)).collect()
    }

    #[test]
    fn a_target_that_takes_less_than_is_offered_is_unstable() {
        // 1000 of 1200 taken for 30 s: the median response time is 3.001 s.
        let series = behind(1_200.0, 1_000.0, 300);
        let found = stability(&series, INTERVAL, rate(1_200), Nanos::from_millis(3_001));
        let Stability::Unstable { growth_per_s, backlog } = found else { panic!("{found:?}") };
        assert!((growth_per_s - 200.0).abs() < 1e-6, "{growth_per_s}");
        assert!((backlog - 6_000.0).abs() < 1e-6, "{backlog}");
    }

    #[test]
    fn an_overload_of_many_times_is_seen_although_the_median_outgrows_the_backlog() {
        for times in [2_u32, 5, 50] {
            let offered = 1_000 * u64::from(times);
            let series = behind(1_000.0 * f64::from(times), 1_000.0, 300);
            // Half of 30 s × (times − 1): what half of the requests waited in the end.
            let median = Nanos::from_secs(15).saturating_mul(u64::from(times) - 1);
            for median in [median, Nanos::MAX] {
                let found = stability(&series, INTERVAL, rate(offered), median);
                assert!(matches!(found, Stability::Unstable { .. }), "{times} times: {found:?}");
            }
        }
    }

    #[test]
    fn a_backlog_that_does_not_grow_or_hardly_is_steady() {
        let steady = |series: &[f64]| {
            stability(series, INTERVAL, rate(1_000), Nanos::from_millis(10)) == Stability::Steady
        };
        assert!(steady(&[0.0; 50]) && steady(&[400.0; 50]), "level");
        let falling: Vec<f64> = behind(1_000.0, 900.0, 100).into_iter().rev().collect();
        assert!(steady(&falling), "falling");
        let doubled: Vec<f64> = (0..100).map(|i| 100.0 + f64::from(i)).collect();
        assert!(steady(&doubled), "less than threefold");
        let few: Vec<f64> = (0..100).map(|i| f64::from(i) / 10.0).collect();
        assert!(steady(&few), "no more than is outstanding anyway");
        assert!(
            !steady(&few.iter().map(|count| count * 2.0).collect::<Vec<_>>()),
            "more than that"
        );
    }

    #[test]
    fn one_high_value_at_the_end_is_no_growth() {
        let mut random = Seeded::new(2);
        let mut series: Vec<f64> = (0..100).map(|_| (random.uniform() * 20.0).floor()).collect();
        series[99] = 500.0;
        let found = stability(&series, INTERVAL, rate(1_000), Nanos::from_millis(10));
        assert_eq!(found, Stability::Steady);
    }

    /// Outstanding requests of an M/M/1 queue that serves 1000 in a second, every 100 ms for 20 s
    /// after two seconds, and the median response time.
    fn queue(load: f64, random: &mut Seeded) -> (Vec<f64>, f64) {
        let (mut now, mut free, mut moments) = (0.0_f64, 0.0_f64, Vec::new());
        while now < 22.0 {
            now += random.exponential() / (1_000.0 * load);
            free = free.max(now) + random.exponential() / 1_000.0;
            moments.push((now, free));
        }
        let looks = (0..200).map(|i| 2.0 + f64::from(i) * 0.1);
        let at = |t: f64| moments.iter().filter(|&&(came, left)| came <= t && t < left).count();
        let outstanding = looks.map(|t| length(at(t))).collect();
        let mut times: Vec<f64> = moments.iter().map(|(came, left)| left - came).collect();
        times.sort_unstable_by(f64::total_cmp);
        (outstanding, times[times.len() / 2])
    }

    #[test]
    fn a_queue_is_unstable_above_its_capacity_and_hardly_ever_below() {
        let mut random = Seeded::new(11);
        for (load, offered, unstable) in
            [(0.5, 500, 0..=0), (0.9, 900, 0..=2), (1.1, 1_100, 20..=20), (3.0, 3_000, 20..=20)]
        {
            let found = (0..20).filter(|_| {
                let (outstanding, median) = queue(load, &mut random);
                let median = Nanos::new(super::super::whole(median * 1e9));
                let found = stability(&outstanding, INTERVAL, rate(offered), median);
                matches!(found, Stability::Unstable { .. })
            });
            let found = found.count();
            assert!(unstable.contains(&found), "{found} of 20 at a load of {load}");
        }
    }

    #[test]
    fn a_backlog_that_says_nothing_is_unknown() {
        let of = |series: &[f64], interval| {
            stability(series, interval, rate(1_000), Nanos::from_millis(10))
        };
        let growing = behind(2_000.0, 1_000.0, 100);
        assert_eq!(of(&growing, Nanos::ZERO), Stability::Unknown);
        assert_eq!(of(&[0.0; 100], Nanos::ZERO), Stability::Unknown);
        for short in 0..8 {
            assert_eq!(of(&growing[..short], INTERVAL), Stability::Unknown, "{short} values");
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            let mut series = growing.clone();
            series[40] = bad;
            assert_eq!(of(&series, INTERVAL), Stability::Unknown, "{bad}");
        }
        assert_eq!(of(&[f64::MAX; 100], INTERVAL), Stability::Unknown, "sums beyond all numbers");
    }

    proptest! {
        #[test]
        fn the_tree_counts_the_pairs_that_two_loops_count(
            series in prop::collection::vec(0_u8..20, 8..60),
        ) {
            let series: Vec<f64> = series.into_iter().map(f64::from).collect();
            let mut s = 0;
            for (place, later) in series.iter().enumerate() {
                for earlier in &series[..place] {
                    s += i64::from(later > earlier) - i64::from(later < earlier);
                }
            }
            prop_assert_eq!(mann_kendall(&series).unwrap().s, s);
        }

        #[test]
        fn no_input_is_too_hostile(
            series in prop::collection::vec(any::<f64>(), 0..40), interval: u64, median: u64,
        ) {
            let (interval, median) = (Nanos::new(interval), Nanos::new(median));
            if let Stability::Unstable { growth_per_s, backlog } =
                stability(&series, interval, rate(1), median)
            {
                prop_assert!(growth_per_s > 0.0 && backlog > 0.0);
            }
        }
    }
}
