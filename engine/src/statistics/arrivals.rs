//! Whether requests started as a Poisson process would have them: by their gaps and their counts.
//!
//! The gaps of such a process are exponential, which Anderson and Darling test with weight on both
//! ends. Counts in equal bins have a variance as large as their mean; this sees bursts that are
//! longer than a gap, and it needs no memory.
//!
//! Source: Stephens, "EDF statistics for goodness of fit and some comparisons" (1974) for a mean
//! that is estimated; the thresholds are the later ones that `SciPy` uses. Cox and Lewis, *The
//! Statistical Analysis of Series of Events* (1966) for dispersion.

use super::{Z, length, real};
use crate::units::Nanos;

/// Fewest gaps to judge by.
const GAPS_MIN: usize = 5;

/// What stands for a gap of zero nanoseconds, of which there is no logarithm: such a gap is shorter
/// than the clock can tell.
const BELOW_CLOCK: f64 = 0.5;

/// How often a test may reject what is in truth a Poisson process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One time in 20.
    FivePercent,
    /// One time in 100.
    OnePercent,
}

/// The distance of gaps from an exponential distribution of the same mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AndersonDarling {
    /// The statistic A².
    pub a_squared: f64,
    /// Number of gaps.
    pub gaps: usize,
}

impl AndersonDarling {
    /// Whether gaps so far from exponential would come by chance more rarely than `level` allows.
    #[must_use]
    pub fn rejects(self, level: Level) -> bool {
        let asymptotic = match level {
            Level::FivePercent => 1.321,
            Level::OnePercent => 1.959,
        };
        self.a_squared > asymptotic / (1.0 + 0.6 / length(self.gaps))
    }
}

/// Measures how far `gaps` are from an exponential distribution whose mean is theirs. O(n log n).
///
/// `A² = −n − (1/n) Σ (2i − 1) (ln F(xᵢ) + ln(1 − F(xₙ₊₁₋ᵢ)))` over the sorted gaps, with
/// `F(x) = 1 − exp(−x / mean)`. `None` with fewer than 5 gaps.
#[must_use]
pub fn anderson_darling(gaps: &[Nanos]) -> Option<AndersonDarling> {
    if gaps.len() < GAPS_MIN {
        return None;
    }
    let mut sorted: Vec<f64> = gaps.iter().map(|gap| real(gap.get()).max(BELOW_CLOCK)).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = length(gaps.len());
    let mean = sorted.iter().sum::<f64>() / n;
    let pairs = sorted.iter().zip(sorted.iter().rev());
    let terms = pairs.enumerate().map(|(place, (from_below, from_above))| {
        let weight = 2.0 * length(place) + 1.0;
        // The logarithm of 1 − F is the exponent itself.
        weight * ((-(-from_below / mean).exp_m1()).ln() - from_above / mean)
    });
    Some(AndersonDarling { a_squared: -n - terms.sum::<f64>() / n, gaps: gaps.len() })
}

/// The index of dispersion of counts in equal bins, one bin after another (Welford 1962).
///
/// It is 1 for a Poisson process, 0 for constant arrivals that fill every bin alike, and larger
/// than 1 where arrivals come in bursts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dispersion {
    bins: u64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Dispersion {
    /// No bins yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bins: 0, mean: 0.0, squares: 0.0 }
    }

    /// Takes in the next bin, with `count` arrivals. O(1).
    pub fn add(&mut self, count: u64) {
        self.bins += 1;
        let off = real(count) - self.mean;
        self.mean += off / real(self.bins);
        self.squares += off * (real(count) - self.mean);
    }

    /// Number of bins.
    #[must_use]
    pub const fn bins(&self) -> u64 {
        self.bins
    }

    /// Variance of the counts divided by their mean. `None` with fewer than two bins, or where all
    /// are empty.
    #[must_use]
    pub fn index(&self) -> Option<f64> {
        let variance = self.squares / real(self.bins.checked_sub(1).filter(|&rest| rest > 0)?);
        (self.mean > 0.0).then(|| variance / self.mean)
    }

    /// How far from 1 the index of a Poisson process is in 19 of 20 cases: `1.96 · √(2 / bins)`.
    /// `None` without bins.
    #[must_use]
    pub fn tolerance(&self) -> Option<f64> {
        (self.bins > 0).then(|| Z * (2.0 / real(self.bins)).sqrt())
    }

    /// Whether the counts may be those of a Poisson process. `None` where there is no index.
    #[must_use]
    pub fn is_poisson(&self) -> Option<bool> {
        Some((self.index()? - 1.0).abs() <= self.tolerance()?)
    }
}

impl Extend<u64> for Dispersion {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, counts: I) {
        counts.into_iter().for_each(|count| self.add(count));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{seeded::Seeded, whole};
    use super::*;
    use proptest::prelude::*;

    fn a_squared(gaps: &[u64]) -> f64 {
        let gaps: Vec<Nanos> = gaps.iter().copied().map(Nanos::new).collect();
        anderson_darling(&gaps).unwrap().a_squared
    }

    /// `scipy.stats.anderson(gaps, 'expon').statistic`, `SciPy` 1.17.
    #[test]
    fn the_statistic_is_that_of_the_literature() {
        let counted: Vec<u64> = (1..=20).collect();
        for (gaps, expected) in [
            (&[12, 3, 45, 7, 88, 21, 9, 33, 150, 2, 61, 17][..], 0.312_094_548),
            (&[5; 10], 4.586_751_454),
            (&counted, 1.437_699_649),
            (&[1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144], 1.756_264_413),
        ] {
            let found = a_squared(gaps);
            assert!((found - expected).abs() < 1e-8, "{found} of {gaps:?}");
        }
    }

    #[test]
    fn the_threshold_rises_with_the_number_of_gaps() {
        let rejects = |a_squared, gaps, level| AndersonDarling { a_squared, gaps }.rejects(level);
        // 1.321 / 1.06 = 1.2462 and 1.959 / 1.06 = 1.8481.
        assert!(rejects(1.247, 10, Level::FivePercent) && !rejects(1.246, 10, Level::FivePercent));
        assert!(rejects(1.849, 10, Level::OnePercent) && !rejects(1.848, 10, Level::OnePercent));
        assert!(!rejects(1.320, 1_000_000, Level::FivePercent));
    }

    fn exponential(n: usize, random: &mut Seeded) -> Vec<Nanos> {
        (0..n).map(|_| Nanos::new(whole(1e5 * random.exponential()))).collect()
    }

    #[test]
    fn true_poisson_arrivals_are_rejected_as_often_as_the_level_says() {
        let mut random = Seeded::new(5);
        for n in [10, 100, 1_000] {
            let (mut five, mut one) = (0, 0);
            for _ in 0..1_000 {
                let found = anderson_darling(&exponential(n, &mut random)).unwrap();
                five += u32::from(found.rejects(Level::FivePercent));
                one += u32::from(found.rejects(Level::OnePercent));
            }
            assert!((30..=70).contains(&five), "{five} of 1000 at 5 %, {n} gaps");
            assert!((2..=20).contains(&one), "{one} of 1000 at 1 %, {n} gaps");
        }
    }

    #[test]
    fn gaps_of_another_kind_are_rejected() {
        let mut random = Seeded::new(6);
        let uniform: Vec<u64> = (0..200).map(|_| whole(2e5 * random.uniform())).collect();
        let bursts: Vec<u64> = (0..200).map(|i| if i % 2 == 0 { 0 } else { 200_000 }).collect();
        for (kind, gaps) in [
            ("constant", vec![100_000; 20]),
            ("none at all", vec![0; 20]),
            ("uniform", uniform),
            ("bursts", bursts),
            ("the longest that can be written", vec![u64::MAX; 20]),
        ] {
            let gaps: Vec<Nanos> = gaps.into_iter().map(Nanos::new).collect();
            let found = anderson_darling(&gaps).unwrap();
            assert!(found.rejects(Level::OnePercent), "{kind}: {found:?}");
        }
    }

    #[test]
    fn one_gap_that_the_clock_cannot_tell_does_not_reject_the_others() {
        let mut gaps = exponential(1_000, &mut Seeded::new(8));
        assert!(!anderson_darling(&gaps).unwrap().rejects(Level::FivePercent));
        gaps[500] = Nanos::ZERO;
        assert!(!anderson_darling(&gaps).unwrap().rejects(Level::FivePercent));
    }

    #[test]
    fn few_gaps_say_nothing() {
        for few in 0..5 {
            assert_eq!(anderson_darling(&vec![Nanos::new(7); few]), None, "{few} gaps");
        }
    }

    fn of(counts: impl IntoIterator<Item = u64>) -> Dispersion {
        let mut dispersion = Dispersion::new();
        dispersion.extend(counts);
        dispersion
    }

    #[test]
    fn the_index_is_variance_by_mean() {
        // `var(counts, ddof=1) / mean(counts)` with NumPy.
        let index = of([3, 7, 2, 5, 5, 9, 0, 4, 6, 3]).index().unwrap();
        assert!((index - 1.525_252_525).abs() < 1e-8, "{index}");
        let constant = of([100; 1_000]);
        assert_eq!((constant.index(), constant.is_poisson()), (Some(0.0), Some(false)));
        assert!((constant.tolerance().unwrap() - 0.087_653_8).abs() < 1e-6);
    }

    /// Poisson counts: arrivals with exponential gaps, 20 to a bin in the mean.
    fn counts(bins: u64, random: &mut Seeded) -> Vec<u64> {
        let mut left = random.exponential();
        let mut bin = || {
            let mut count = 0;
            while left < 20.0 {
                left += random.exponential();
                count += 1;
            }
            left -= 20.0;
            count
        };
        (0..bins).map(|_| bin()).collect()
    }

    #[test]
    fn counts_of_a_poisson_process_are_accepted_in_95_of_100_samples() {
        let mut random = Seeded::new(9);
        let accepts = |random: &mut Seeded| of(counts(200, random)).is_poisson() == Some(true);
        let accepted = (0..500).filter(|_| accepts(&mut random)).count();
        assert!((465..=485).contains(&accepted), "{accepted} of 500");
        let pairs = counts(1_000, &mut random).into_iter().map(|count| 2 * count);
        assert_eq!(of(pairs).is_poisson(), Some(false), "arrivals two by two");
    }

    #[test]
    fn counts_that_say_nothing_have_no_index() {
        assert_eq!((of([]).index(), of([]).tolerance(), of([]).is_poisson()), (None, None, None));
        assert_eq!((of([5]).index(), of([5]).is_poisson()), (None, None));
        assert_eq!((of([0; 50]).index(), of([0; 50]).bins()), (None, 50));
        assert!(of([u64::MAX, 0, u64::MAX]).index().is_some_and(f64::is_finite));
    }

    proptest! {
        #[test]
        fn no_gaps_are_too_hostile(gaps in prop::collection::vec(any::<u64>(), 5..40)) {
            prop_assert!(a_squared(&gaps).is_finite());
        }

        #[test]
        fn the_index_online_is_the_index_of_the_whole(
            counts in prop::collection::vec(0_u64..1_000_000, 2..100),
        ) {
            let n = length(counts.len());
            let mean = counts.iter().copied().map(real).sum::<f64>() / n;
            let squares: f64 = counts.iter().map(|&count| (real(count) - mean).powi(2)).sum();
            match of(counts.iter().copied()).index() {
                Some(index) => {
                    let expected = squares / (n - 1.0) / mean;
                    prop_assert!((index - expected).abs() <= 1e-9 * (1.0 + expected));
                }
                None => prop_assert!(mean == 0.0),
            }
        }
    }
}
