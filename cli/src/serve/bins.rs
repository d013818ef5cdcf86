//! How many requests arrived when: counts in bins of 10 ms.
//!
//! Bins are cut at whole multiples of their width on the monotonic clock, hence at the same moments
//! on every shard, and what shards counted can be added. An hour from the first arrival is kept,
//! in memory that is there from the start.

use pummel_engine::units::{Instant, Nanos};

/// Width of a bin.
const WIDTH: Nanos = Nanos::from_millis(10);

/// Bins of a second.
const PER_SECOND: usize = 100;

/// Most bins: an hour of them.
const BINS_MAX: usize = 3_600 * PER_SECOND;

/// Arrivals by time.
#[derive(Debug)]
pub(super) struct Bins {
    /// The number of the first bin, counted from the origin of the clock.
    first: u64,
    /// From the first bin to the last one in which something arrived.
    counts: Vec<u32>,
    beyond: u64,
}

impl Default for Bins {
    fn default() -> Self {
        Self { first: 0, counts: Vec::with_capacity(BINS_MAX), beyond: 0 }
    }
}

impl Bins {
    /// Counts one arrival. O(1) but for the bins since the last one; never allocates.
    pub(super) fn count(&mut self, at: Instant) {
        let bin = at.since_origin() / WIDTH.get();
        if self.counts.is_empty() {
            self.first = bin;
        }
        self.add(bin, 1);
    }

    /// Adds to a bin that is not before the first.
    fn add(&mut self, bin: u64, count: u32) {
        let place = usize::try_from(bin.saturating_sub(self.first)).unwrap_or(usize::MAX);
        if place >= BINS_MAX {
            self.beyond += u64::from(count);
            return;
        }
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        if let Some(sum) = self.counts.get_mut(place) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Adds what another shard counted. Exact, unless together they span more than an hour.
    pub(super) fn merge(&mut self, other: &Self) {
        self.beyond += other.beyond;
        if other.counts.is_empty() {
            return;
        }
        let first = if self.counts.is_empty() { other.first } else { self.first.min(other.first) };
        let mut sum = Self { first, beyond: self.beyond, ..Self::default() };
        for part in [&*self, other] {
            for (bin, &count) in (part.first..).zip(&part.counts) {
                sum.add(bin, count);
            }
        }
        *self = sum;
    }

    /// The bins that lie between the first arrival and the last with their whole width.
    fn whole(&self) -> &[u32] {
        self.counts.get(1..self.counts.len().saturating_sub(1)).unwrap_or_default()
    }

    /// Number of the bins behind the index of dispersion.
    pub(super) fn whole_count(&self) -> usize {
        self.whole().len()
    }

    /// The variance of the counts over their mean: 0 for a steady stream, about 1 for a Poisson
    /// process. `None` for fewer than two whole bins, or where all are empty.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for counts")]
    pub(super) fn dispersion(&self) -> Option<f64> {
        let counts = self.whole();
        let total: u64 = counts.iter().copied().map(u64::from).sum();
        if counts.len() < 2 || total == 0 {
            return None;
        }
        let mean = total as f64 / counts.len() as f64;
        let squares: f64 = counts.iter().map(|&count| (f64::from(count) - mean).powi(2)).sum();
        Some(squares / (counts.len() - 1) as f64 / mean)
    }

    /// When the first bin begins; `None` if nothing arrived.
    pub(super) fn begin(&self) -> Option<Instant> {
        let begin = Instant::from_origin(self.first.saturating_mul(WIDTH.get()));
        (!self.counts.is_empty()).then_some(begin)
    }

    /// Arrivals in each second from [`begin`](Self::begin); the last one may not be over.
    pub(super) fn seconds(&self) -> Vec<u64> {
        let sum = |bins: &[u32]| bins.iter().copied().map(u64::from).sum();
        self.counts.chunks(PER_SECOND).map(sum).collect()
    }

    /// Arrivals later than an hour after the first.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn of(arrivals: impl IntoIterator<Item = u64>) -> Bins {
        let mut bins = Bins::default();
        for n in arrivals {
            bins.count(Instant::from_origin(n));
        }
        bins
    }

    fn facts(bins: &Bins) -> (Option<Instant>, Vec<u32>, u64) {
        (bins.begin(), bins.counts.clone(), bins.beyond())
    }

    #[test]
    fn without_arrivals_there_is_nothing_to_say() {
        let mut bins = of([]);
        bins.merge(&of([]));
        assert_eq!((bins.begin(), bins.dispersion(), bins.whole_count()), (None, None, 0));
        assert_eq!(bins.seconds(), [] as [u64; 0]);
    }

    #[test]
    fn a_steady_stream_has_no_dispersion() {
        // Ten per bin; it begins and ends within one.
        let bins = of((0..1_000).map(|k| 5 * MS + k * MS));
        assert_eq!(bins.dispersion(), Some(0.0));
        assert_eq!(bins.whole_count(), 99);
    }

    #[test]
    fn the_index_of_dispersion_is_the_variance_over_the_mean() {
        // Whole bins of 1, 3, 0 and 4: mean 2, variance 10/3.
        let bins = of([0, 10, 20, 21, 22, 40, 41, 42, 43, 50].map(|ms| ms * MS));
        assert_eq!(bins.counts, [1, 1, 3, 0, 4, 1]);
        assert!((bins.dispersion().unwrap() - 5.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn bursts_once_in_five_bins_are_five_times_as_dispersed_as_their_size() {
        // 20 in every fifth bin: mean 4, variance 64 but for the correction of 1/n.
        let bins = of((0..10_000).flat_map(|k| [k * 50 * MS; 20]));
        assert!((bins.dispersion().unwrap() - 16.0).abs() < 0.01);
    }

    #[test]
    fn two_bins_or_more_are_needed() {
        assert_eq!(of([0, 10 * MS, 20 * MS]).dispersion(), None);
        assert_eq!(of([0, 30 * MS]).dispersion(), None);
        assert_eq!(of([0, 10 * MS, 20 * MS, 30 * MS]).dispersion(), Some(0.0));
    }

    #[test]
    fn seconds_begin_with_the_bin_of_the_first_arrival() {
        let bins = of([1_237, 1_238, 2_229, 2_230, 4_300].map(|ms| ms * MS));
        assert_eq!(bins.begin(), Some(Instant::from_origin(1_230 * MS)));
        assert_eq!(bins.seconds(), [3, 1, 0, 1]);
    }

    #[test]
    fn what_comes_after_an_hour_is_counted_apart_and_takes_no_memory() {
        let hour = 3_600_000 * MS;
        let bins = of([5 * MS, hour - 1, hour, 2 * hour, u64::MAX]);
        assert_eq!((bins.counts.len(), bins.beyond()), (BINS_MAX, 3));
        assert_eq!(bins.seconds().len(), 3_600);
        assert_eq!(bins.counts.capacity(), BINS_MAX);
    }

    proptest! {
        #[test]
        fn merging_is_counting_together(
            mut arrivals in prop::collection::vec((0..5_000 * MS, 0..3_usize), 0..100),
        ) {
            arrivals.sort_unstable();
            let mut merged = Bins::default();
            for shard in 0..3 {
                let own = arrivals.iter().filter(|(_, on)| *on == shard);
                merged.merge(&of(own.map(|(at, _)| *at)));
            }
            prop_assert_eq!(facts(&merged), facts(&of(arrivals.iter().map(|(at, _)| *at))));
        }
    }
}
