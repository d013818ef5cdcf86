//! A latency histogram: hdrhistogram behind our units, with what its buckets round kept exactly
//! beside it.
//!
//! Three significant digits from 1 ns to 1 h: a recorded value is reported at most 0.1 % too high.
//! The memory, 270 KB, is fixed at construction. Merging adds counts, and is exact.

use crate::units::Nanos;

/// Longest latency that has a bucket of its own; anything longer is counted in the last one, and as
/// clamped.
const LONGEST: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// Distribution of spans of time.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    /// Exact, where the buckets would round.
    min: u64,
    max: u64,
    sum: u128,
    clamped: u64,
}

/// A share of a distribution, from 0 to 1: `Quantile::P99` is 0.99.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile(f64);

impl Quantile {
    /// The quantiles of every report, with the names that JSON gives them.
    pub const REPORTED: [(&'static str, Self); 7] = [
        ("p50", Self(0.5)),
        ("p75", Self(0.75)),
        ("p90", Self(0.9)),
        ("p95", Self(0.95)),
        ("p99", Self(0.99)),
        ("p99_9", Self(0.999)),
        ("p99_99", Self(0.9999)),
    ];
    /// The median.
    pub const P50: Self = Self(0.5);
    /// 99 of 100.
    pub const P99: Self = Self(0.99);
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    ///
    /// # Panics
    /// Never: the bounds are constants which the library accepts.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds, covered by every test here")]
        let counts =
            hdrhistogram::Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("valid bounds");
        Self { counts, min: u64::MAX, max: 0, sum: 0, clamped: 0 }
    }

    /// Counts one span. O(1), about 5 ns; never allocates.
    pub fn record(&mut self, span: Nanos) {
        let n = span.get();
        self.min = self.min.min(n);
        self.max = self.max.max(n);
        self.sum += u128::from(n);
        self.clamped += u64::from(n > LONGEST);
        self.counts.saturating_record(n);
    }

    /// Adds all that `other` has counted. Exact; associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.clamped += other.clamped;
        // Fails only where the ranges differ, and all of ours are the same.
        let merged = self.counts.add(&other.counts);
        debug_assert!(merged.is_ok());
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.counts.reset();
            (self.min, self.max, self.sum, self.clamped) = (u64::MAX, 0, 0, 0);
        }
    }

    /// Number of spans.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Spans above an hour, which the last bucket holds.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The shortest span, exactly; zero if there is none.
    #[must_use]
    pub fn min(&self) -> Nanos {
        Nanos::new(if self.is_empty() { 0 } else { self.min })
    }

    /// The longest span, exactly; zero if there is none.
    #[must_use]
    pub fn max(&self) -> Nanos {
        Nanos::new(self.max)
    }

    /// The mean in nanoseconds, exactly; zero if there is none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for a mean")]
    pub fn mean(&self) -> f64 {
        if self.is_empty() { 0.0 } else { self.sum as f64 / self.count() as f64 }
    }

    /// The standard deviation in nanoseconds, to the precision of the buckets.
    #[must_use]
    pub fn stddev(&self) -> f64 {
        if self.is_empty() { 0.0 } else { self.counts.stdev() }
    }

    /// The value at the nearest rank of `quantile`, at most 0.1 % too high; zero if there is none.
    #[must_use]
    pub fn quantile(&self, quantile: Quantile) -> Nanos {
        // The top of a bucket may lie above the greatest value in it.
        Nanos::new(self.counts.value_at_quantile(quantile.0)).min(self.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        for &n in values {
            histogram.record(Nanos::new(n));
        }
        histogram
    }

    fn facts(h: &Histogram) -> (u64, Nanos, Nanos, String, Vec<Nanos>, u64) {
        let quantiles = Quantile::REPORTED.iter().map(|&(_, q)| h.quantile(q)).collect();
        (h.count(), h.min(), h.max(), format!("{:.6}", h.mean()), quantiles, h.clamped())
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let empty = of(&[]);
        assert_eq!(facts(&empty).1, Nanos::ZERO);
        assert_eq!(empty.quantile(Quantile::P99), Nanos::ZERO);
        assert!(empty.mean().abs() < f64::EPSILON);
    }

    #[test]
    fn what_is_longer_than_an_hour_is_kept_exactly_as_maximum_and_counted_as_clamped() {
        let two_hours = 2 * LONGEST;
        let h = of(&[5, two_hours]);
        assert_eq!((h.count(), h.clamped(), h.max()), (2, 1, Nanos::new(two_hours)));
    }

    #[test]
    fn clearing_forgets_everything() {
        let mut h = of(&[1, 2, 3]);
        h.clear();
        assert_eq!(facts(&h), facts(&of(&[])));
    }

    proptest! {
        #[test]
        fn a_quantile_is_at_most_a_thousandth_too_high(
            mut values in prop::collection::vec(1..LONGEST, 1..200),
        ) {
            let h = of(&values);
            values.sort_unstable();
            for (_, q) in Quantile::REPORTED {
                #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation,
                    clippy::cast_sign_loss, reason = "small test numbers")]
                let rank = ((q.0 * values.len() as f64).ceil() as usize).max(1);
                let truth = values[rank - 1];
                let measured = h.quantile(q).get();
                prop_assert!(truth <= measured && measured - truth <= truth / 1000 + 1);
            }
        }

        #[test]
        fn merged_parts_equal_the_whole(
            left in prop::collection::vec(0..2 * LONGEST, 0..50),
            right in prop::collection::vec(0..2 * LONGEST, 0..50),
        ) {
            let whole = of(&[left.clone(), right.clone()].concat());
            let (mut a, mut b) = (of(&left), of(&right));
            a.merge(&of(&right));
            b.merge(&of(&left));
            prop_assert_eq!(facts(&a), facts(&whole));
            prop_assert_eq!(facts(&b), facts(&whole));
        }
    }
}
