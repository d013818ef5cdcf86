//! Numbers of slots with a fraction: what the rate has let pass up to some moment.
//!
//! In fixed point, because a sum of stages must not drift, and because the place of slot 10¹² needs
//! as fine a fraction as that of slot 1. A float has the one or the other.

use core::ops::{Add, Sub};

use crate::units::{Nanos, Rate};

/// A number of slots, in steps of 2⁻⁶⁴. Its arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(u128);

/// One slot in steps of an amount.
const SLOT: f64 = 18_446_744_073_709_551_616.0;

impl Amount {
    pub(super) const ZERO: Self = Self(0);

    /// So many slots, and so many 2⁻⁶⁴ of one.
    pub(super) fn new(slots: u64, fraction: u64) -> Self {
        Self((u128::from(slots) << 64) | u128::from(fraction))
    }

    /// What `rate` lets pass in `time`, rounded down.
    ///
    /// Down, because a slot begins when the amount has reached it: where stages sum to a whole
    /// number of slots, the next slot is the next stage's, and a sum that is a trifle too small
    /// keeps it there.
    pub(super) fn passing(rate: Rate, time: Nanos) -> Self {
        let (count, period) = (u128::from(rate.count().get()), u128::from(rate.period().get()));
        let product = u128::from(time.get()) * count;
        // A rate is at most one slot per nanosecond, so that the whole part has 64 bits.
        Self(((product / period) << 64) + ((product % period) << 64) / period)
    }

    /// The mean of two amounts, rounded down.
    pub(super) const fn midway(self, other: Self) -> Self {
        Self((self.0 & other.0) + ((self.0 ^ other.0) >> 1))
    }

    /// The whole slots, and the 2⁻⁶⁴ beyond them.
    #[expect(clippy::cast_possible_truncation, reason = "each half of 128 bits has 64")]
    pub(super) const fn parts(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    /// The amount as a float, to 53 bits; never less for more.
    #[expect(clippy::cast_precision_loss, reason = "53 bits is what a ramp is computed with")]
    pub(super) fn to_f64(self) -> f64 {
        self.0 as f64 / SLOT
    }

    /// So many slots as a float says; none of what is below zero.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and so do amounts")]
    #[expect(clippy::cast_sign_loss, reason = "below zero there is nothing")]
    pub(super) fn from_f64(slots: f64) -> Self {
        Self((slots * SLOT) as u128)
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_of_slots_have_no_fraction() {
        let rate = Rate::new(333, Nanos::from_secs(1)).unwrap();
        assert_eq!(Amount::passing(rate, Nanos::from_secs(10)), Amount::new(3_330, 0));
        let sixth = Rate::new(100, Nanos::from_secs(60)).unwrap();
        let part = Amount::passing(sixth, Nanos::from_secs(10));
        assert_eq!(part, Amount::new(16, u64::MAX / 3 * 2));
        assert!(part + part + part < Amount::new(50, 0), "down, never up");
        assert_eq!((part + part + part + Amount(2)), Amount::new(50, 0));
    }

    #[test]
    fn the_highest_rate_over_the_longest_time_fits() {
        let most = Rate::new(u64::MAX, Nanos::MAX).unwrap();
        assert_eq!(Amount::passing(most, Nanos::MAX), Amount::new(u64::MAX, 0));
        assert_eq!(Amount(u128::MAX) + Amount(1), Amount(u128::MAX));
        assert_eq!(Amount::ZERO - Amount(1), Amount::ZERO);
        assert_eq!(Amount::from_f64(f64::INFINITY), Amount(u128::MAX));
        assert_eq!(Amount::from_f64(-1.0), Amount::ZERO);
    }

    proptest! {
        #[test]
        fn the_mean_lies_in_the_middle(a: u64, b: u64, c: u64, d: u64) {
            let (one, other) = (Amount::new(a, b), Amount::new(c, d));
            let (low, high) = (one.min(other), one.max(other));
            let mean = one.midway(other);
            prop_assert!(low <= mean && mean <= high);
            prop_assert!((high - mean).0 - (mean - low).0 <= 1);
        }
    }
}
