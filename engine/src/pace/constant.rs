//! A constant rate: how long it takes to let an amount pass.

use super::amount::Amount;
use crate::units::{Nanos, Rate};

/// The time in which `rate` lets `amount` pass, rounded down: exact to the nanosecond, O(1).
pub(super) fn time_for(rate: Rate, amount: Amount) -> Nanos {
    let (count, period) = (rate.count().get(), rate.period().get());
    let (slots, fraction) = amount.parts();
    // 64 bits carry 18 s × 10⁹ slots: all but the longest runs take the quick division.
    if fraction == 0
        && let Some(product) = slots.checked_mul(period)
    {
        return Nanos::new(product / count);
    }
    let part = (u128::from(fraction) * u128::from(period)) >> 64;
    let wide = (u128::from(slots) * u128::from(period) + part) / u128::from(count);
    Nanos::new(u64::try_from(wide).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(count: u64, period: u64) -> Rate {
        Rate::new(count, Nanos::new(period)).unwrap()
    }

    #[test]
    fn a_third_of_a_hertz_does_not_drift_in_a_day() {
        let time = time_for(rate(1, 3_000_000_001), Amount::new(28_800, 0));
        assert_eq!(time, Nanos::new(28_800 * 3_000_000_001));
    }

    #[test]
    fn a_fraction_of_a_slot_takes_its_fraction_of_the_gap() {
        let half = Amount::new(7, 1 << 63);
        assert_eq!(time_for(rate(1_000, 1_000_000_000), half), Nanos::from_micros(7_500));
    }

    #[test]
    fn what_never_comes_comes_at_the_end_of_time() {
        assert_eq!(time_for(rate(1, u64::MAX), Amount::new(2, 0)), Nanos::MAX);
        assert_eq!(time_for(rate(1, u64::MAX), Amount::new(u64::MAX, u64::MAX)), Nanos::MAX);
    }

    proptest! {
        #[test]
        fn an_amount_has_passed_after_its_time_and_not_before(
            count in 1_u64..1_000_000_000,
            stretch in 1_u64..1_000,
            slots in 0_u64..1_000_000_000_000,
            fraction: u64,
        ) {
            let rate = rate(count, count.saturating_mul(stretch) + stretch % count);
            let amount = Amount::new(slots, fraction);
            let time = time_for(rate, amount);
            prop_assert!(Amount::passing(rate, time) <= amount);
            prop_assert!(Amount::passing(rate, time + Nanos::new(1)) >= amount);
        }
    }
}
