//! Constant arrivals: slot `k` of the whole run is intended at `k / rate`.
//!
//! Each slot belongs to one shard ([`Share`] says which), so that the gaps of all shards together
//! stay `1 / rate`, with no word between them. Slots are numbered twice: `k` over the whole run,
//! `n` within the shard.

use crate::plan::{Limit, Share};
use crate::units::{Nanos, Rate};

/// One shard's part of a constant schedule. Pure; every method is O(1) and exact to the nanosecond.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    rate: Rate,
    share: Share,
}

impl Constant {
    /// The part `share` of a schedule of `rate`.
    #[must_use]
    pub const fn new(rate: Rate, share: Share) -> Self {
        Self { rate, share }
    }

    /// Intended start of the shard's slot `n`, as time after the start barrier; strictly increasing
    /// in `n`.
    #[must_use]
    pub fn start_of(&self, n: u64) -> Nanos {
        self.start_of_global(self.share.slot(n))
    }

    /// Number of the shard's slots whose intended start is before `time`.
    #[must_use]
    pub fn before(&self, time: Nanos) -> u64 {
        self.share.slots_below(self.global_before(time))
    }

    /// Number of the shard's slots from the start barrier to the end of the window, with the
    /// window's end: the intended start of the first slot, of whatever shard, that lies beyond it.
    #[must_use]
    pub fn end(&self, warmup: Nanos, limit: Limit) -> (u64, Nanos) {
        let by_time = limit.duration().map(|length| {
            let end = warmup + length;
            (self.global_before(end), end)
        });
        let by_count = limit.requests().map(|count| {
            let end = self.global_before(warmup).saturating_add(count.get());
            (end, self.start_of_global(end))
        });
        let ends = [by_time, by_count];
        let (slots, end) = ends.into_iter().flatten().min().unwrap_or((0, warmup));
        (self.share.slots_below(slots), end)
    }

    fn start_of_global(&self, k: u64) -> Nanos {
        let (count, period) = (self.rate.count().get(), self.rate.period().get());
        // 64 bits carry 18 s × 10⁹ slots: all but the longest runs take the quick division.
        let start = if let Some(product) = k.checked_mul(period) {
            product / count
        } else {
            let wide = u128::from(k) * u128::from(period) / u128::from(count);
            u64::try_from(wide).unwrap_or(u64::MAX)
        };
        Nanos::new(start)
    }

    /// Number of slots of all shards before `time`: the smallest `k` with `k × period ≥ time ×
    /// count`.
    fn global_before(&self, time: Nanos) -> u64 {
        let (count, period) = (self.rate.count().get(), self.rate.period().get());
        let slots = (u128::from(time.get()) * u128::from(count)).div_ceil(u128::from(period));
        u64::try_from(slots).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::{NonZeroU32, NonZeroU64};
    use proptest::prelude::*;

    fn schedule(count: u64, period: u64, index: u32, of: u32) -> Constant {
        let of = NonZeroU32::new(of).unwrap();
        let share = Share::new(index, of, of).unwrap();
        Constant::new(Rate::new(count, Nanos::new(period)).unwrap(), share)
    }

    #[test]
    fn gaps_of_all_shards_together_are_the_inverse_of_the_rate() {
        let shards: Vec<_> = (0..3).map(|j| schedule(5_000, 1_000_000_000, j, 3)).collect();
        let mut starts: Vec<u64> =
            shards.iter().flat_map(|shard| (0..1_000).map(|n| shard.start_of(n).get())).collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 200_000));
    }

    #[test]
    fn a_third_of_a_hertz_does_not_drift_in_a_day() {
        let schedule = schedule(1, 3_000_000_001, 0, 1);
        assert_eq!(schedule.start_of(28_800), Nanos::new(28_800 * 3_000_000_001));
    }

    #[test]
    fn a_count_of_requests_is_cut_exactly_over_the_shards() {
        let limit = Limit::Requests(NonZeroU64::new(1_000).unwrap());
        let warmup = Nanos::from_millis(150);
        let counted: u64 = (0..7)
            .map(|j| schedule(333, 1_000_000_000, j, 7))
            .map(|s| s.end(warmup, limit).0 - s.before(warmup))
            .sum();
        assert_eq!(counted, 1_000);
    }

    #[test]
    fn ten_seconds_at_five_thousand_are_fifty_thousand_slots() {
        let (slots, end) = schedule(5_000, 1_000_000_000, 0, 1)
            .end(Nanos::ZERO, Limit::Duration(Nanos::from_secs(10)));
        assert_eq!((slots, end), (50_000, Nanos::from_secs(10)));
    }

    proptest! {
        #[test]
        fn before_is_the_inverse_of_start_of(
            count in 1_u64..1_000_000_000,
            stretch in 1_u64..1_000,
            index in 0_u32..8,
            of in 8_u32..9,
            n in 0_u64..1_000_000_000_000,
        ) {
            let schedule = schedule(count, count.saturating_mul(stretch), index, of);
            let start = schedule.start_of(n);
            prop_assert_eq!(schedule.before(start), n);
            prop_assert_eq!(schedule.before(start + Nanos::new(1)), n + 1);
        }
    }
}
