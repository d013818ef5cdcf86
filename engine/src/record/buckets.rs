//! A small histogram for one moment of a run: 128 buckets per doubling, at most 0.8 % wide.
//!
//! A run has thousands of these, so they are half the size of a
//! [`Histogram`](super::Histogram) with as many digits, and have two forms: dense while a shard
//! counts, sparse when they are kept.

use crate::units::Nanos;

/// Buckets per doubling, as a power of two.
const PRECISION: u32 = 7;

/// Spans are counted in units of this power of two nanoseconds: 64 ns.
const UNIT: u32 = 6;

/// Everything from 2^42 ns (73 minutes) on is in the last bucket.
const LONGEST: u32 = 42;

/// Number of buckets.
pub const BUCKETS: usize = ((LONGEST - UNIT - PRECISION + 1) << PRECISION) as usize;

/// The bucket of `span`.
fn index(span: Nanos) -> usize {
    index_of((span.get() >> UNIT).min((1 << (LONGEST - UNIT)) - 1), PRECISION)
}

/// The bucket of `value`, where there are 2^`precision` per doubling: the layout of HdrHistogram.
/// The first doublings are linear, one bucket for each value.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a bucket's number has at most 17 bits")]
pub(super) const fn index_of(value: u64, precision: u32) -> usize {
    let doublings = doublings_of(value, precision);
    ((doublings << precision) as usize) + (value >> doublings) as usize
}

/// How many doublings of `value` lie beyond the linear ones; so many of its bits its bucket leaves
/// open.
#[inline]
pub(super) const fn doublings_of(value: u64, precision: u32) -> u32 {
    (u64::BITS - value.leading_zeros()).saturating_sub(precision + 1)
}

/// The greatest value in the bucket `index`.
pub(super) const fn edge_of(index: usize, precision: u32) -> u64 {
    let (row, column) = (index >> precision, (index & ((1 << precision) - 1)) as u64);
    let (doublings, mantissa) = match row {
        0 => (0, column),
        row => (row - 1, column + (1 << precision)),
    };
    ((mantissa + 1) << doublings) - 1
}

/// The longest span in the bucket `index`.
#[must_use]
pub const fn edge(index: usize) -> Nanos {
    Nanos::new(((edge_of(index, PRECISION) + 1) << UNIT) - 1)
}

/// Counts while they grow.
#[derive(Clone, Debug)]
pub struct Dense {
    counts: Box<[u32]>,
    total: u64,
}

impl Default for Dense {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), total: 0 }
    }
}

impl Dense {
    /// Counts one span. O(1), about 2 ns; never allocates.
    pub fn record(&mut self, span: Nanos) {
        if let Some(count) = self.counts.get_mut(index(span)) {
            *count = count.saturating_add(1);
        }
        self.total += 1;
    }

    /// Counts `count` equal spans.
    pub fn record_many(&mut self, span: Nanos, count: u64) {
        if let Some(sum) = self.counts.get_mut(index(span)) {
            *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
        self.total += count;
    }

    /// Spans.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Adds what `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        if other.total > 0 {
            for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
                *sum = sum.saturating_add(*more);
            }
            self.total += other.total;
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        if self.total > 0 {
            self.counts.fill(0);
            self.total = 0;
        }
    }

    fn rows(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        (0..).zip(self.counts.iter().copied()).filter(|&(_, count)| count > 0)
    }
}

/// Counts that are kept: the buckets that hold something, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    rows: Vec<(u16, u32)>,
    total: u64,
}

impl Sparse {
    /// Adds what `other` has counted.
    pub fn add(&mut self, other: &Dense) {
        if other.total > 0 {
            self.add_rows(other.rows(), other.total);
        }
    }

    /// Counts `count` equal spans. O(rows).
    pub fn record_many(&mut self, span: Nanos, count: u64) {
        let index = u16::try_from(index(span)).unwrap_or(u16::MAX);
        let more = u32::try_from(count).unwrap_or(u32::MAX);
        match self.rows.binary_search_by_key(&index, |row| row.0) {
            Ok(place) => {
                if let Some(row) = self.rows.get_mut(place) {
                    row.1 = row.1.saturating_add(more);
                }
            }
            Err(place) => self.rows.insert(place, (index, more)),
        }
        self.total += count;
    }

    /// Adds what `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        self.add_rows(other.rows.iter().copied(), other.total);
    }

    fn add_rows(&mut self, more: impl Iterator<Item = (u16, u32)>, total: u64) {
        let mut sum = Vec::with_capacity(self.rows.len() + 16);
        let mut own = self.rows.iter().copied().peekable();
        for (index, count) in more {
            while let Some(row) = own.next_if(|row| row.0 < index) {
                sum.push(row);
            }
            let mine = own.next_if(|row| row.0 == index).map_or(0, |row| row.1);
            sum.push((index, count.saturating_add(mine)));
        }
        sum.extend(own);
        sum.shrink_to_fit();
        self.rows = sum;
        self.total += total;
    }

    /// Spans.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The buckets that hold something, ascending, with their counts.
    #[must_use]
    pub fn rows(&self) -> &[(u16, u32)] {
        &self.rows
    }

    /// The upper edge of the bucket at `rank`, from 1 for the least; `None` if there is nothing.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> Option<Nanos> {
        let mut seen = 0;
        let row = self.rows.iter().find(|row| {
            seen += u64::from(row.1);
            seen >= rank
        });
        row.or(self.rows.last()).map(|&(index, _)| edge(usize::from(index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS - 1 {
            let edge = edge(bucket);
            assert_eq!(index(edge), bucket, "{edge}");
            assert_eq!(index(edge + Nanos::new(1)), bucket + 1, "{edge}");
        }
        assert_eq!(index(Nanos::MAX), BUCKETS - 1);
    }

    fn dense(spans: &[u64]) -> Dense {
        let mut dense = Dense::default();
        for &span in spans {
            dense.record(Nanos::new(span));
        }
        dense
    }

    proptest! {
        #[test]
        fn a_span_is_reported_less_than_a_hundredth_too_high(span in 0..1_u64 << 42) {
            let reported = edge(index(Nanos::new(span))).get();
            prop_assert!(reported >= span && reported - span <= span / 128 + 64);
        }

        #[test]
        fn sparse_parts_sum_to_the_whole(
            left in prop::collection::vec(0..1_u64 << 30, 0..40),
            right in prop::collection::vec(0..1_u64 << 30, 0..40),
        ) {
            let mut whole = Sparse::default();
            whole.add(&dense(&[left.clone(), right.clone()].concat()));
            let mut parts = Sparse::default();
            parts.add(&dense(&right));
            parts.add(&dense(&left));
            prop_assert_eq!(&parts, &whole);
            let mut merged = Sparse::default();
            merged.add(&dense(&left));
            let mut other = Sparse::default();
            other.add(&dense(&right));
            merged.merge(&other);
            prop_assert_eq!(merged, whole);
        }
    }
}
