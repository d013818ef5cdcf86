//! A rate that rises or falls linearly: the time at which an amount has passed is the root of a
//! quadratic.
//!
//! Floats find it, and then a comparison settles the nanosecond: the time for an amount is defined
//! as the last nanosecond up to which no more has passed, by one and the same formula, which never
//! falls. So is the time, then: rounding moves a slot by a nanosecond, but never past another.

use super::amount::Amount;
use super::least;
use crate::plan::Stage;
use crate::units::{Nanos, Rate};

/// A stage between two rates, seen from its lower end, where nothing cancels out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    length: u64,
    total: Amount,
    /// The lower rate, in slots per nanosecond.
    low: f64,
    /// Half of what the rate gains per nanosecond.
    bend: f64,
    falls: bool,
}

impl Ramp {
    pub(super) fn new(stage: Stage) -> Self {
        let length = stage.length;
        let [from, to] = [stage.from, stage.to].map(|rate| {
            rate.map_or((Amount::ZERO, 0.0), |rate| (Amount::passing(rate, length), slope(rate)))
        });
        let (low, high) = (from.1.min(to.1), from.1.max(to.1));
        Self {
            length: length.get(),
            total: from.0.midway(to.0),
            low,
            bend: (high - low) / (2.0 * float(length.get())),
            falls: from.1 > to.1,
        }
    }

    /// What has passed after `time`; after the end, all.
    pub(super) fn passed(&self, time: Nanos) -> Amount {
        let time = time.get();
        if time >= self.length {
            self.total
        } else if self.falls {
            self.total - Amount::from_f64(self.passed_from_low(self.length - time))
        } else {
            Amount::from_f64(self.passed_from_low(time)).min(self.total)
        }
    }

    /// The time after which `amount` has passed, rounded down; at most the length. O(1), but for
    /// the rare place at which floats are off by a nanosecond: O(log).
    pub(super) fn time_for(&self, amount: Amount) -> Nanos {
        let time = if self.falls {
            // The least time before the end in which what is left passes.
            let left = (self.total - amount).to_f64();
            let guess = whole(self.root(left).ceil());
            self.length - self.least(guess, |time| self.passed_from_low(time) >= left)
        } else {
            let amount = amount.to_f64();
            let guess = whole(self.root(amount)).saturating_add(1);
            let beyond = self.least(guess, |time| self.passed_from_low(time) > amount);
            beyond.saturating_sub(1)
        };
        Nanos::new(time)
    }

    /// The least time up to the length for which `holds`, which goes on to hold once it does.
    fn least(&self, guess: u64, holds: impl Fn(u64) -> bool) -> u64 {
        let found = (1..=self.length).contains(&guess) && holds(guess) && !holds(guess - 1);
        if found { guess } else { least(0, self.length, holds) }
    }

    /// What passes in `time` beginning, or ending, at the lower rate. Rounding keeps it from
    /// falling: each of its steps does.
    fn passed_from_low(&self, time: u64) -> f64 {
        let time = float(time);
        time * (self.low + self.bend * time)
    }

    /// The time in which as much passes: the form of the quadratic's root that subtracts nothing.
    fn root(&self, amount: f64) -> f64 {
        2.0 * amount / (self.low + (self.low * self.low + 4.0 * self.bend * amount).sqrt())
    }
}

/// A rate in slots per nanosecond.
fn slope(rate: Rate) -> f64 {
    float(rate.count().get()) / float(rate.period().get())
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days, and never less for more")]
const fn float(n: u64) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a guess, which is checked")]
#[expect(clippy::cast_sign_loss, reason = "a guess, which is checked")]
const fn whole(guess: f64) -> u64 {
    guess as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(per_second: u64) -> Option<Rate> {
        Rate::new(per_second, Nanos::from_secs(1))
    }

    fn ramp(seconds: u64, from: u64, to: u64) -> Ramp {
        let (from, to) = (rate(from), rate(to));
        Ramp::new(Stage { length: Nanos::from_secs(seconds), from, to })
    }

    #[test]
    fn from_nothing_slot_k_comes_with_the_root_of_k() {
        // 50 t² slots after t seconds.
        let ramp = ramp(10, 0, 1_000);
        assert_eq!(ramp.total, Amount::new(5_000, 0));
        for k in 0..5_000_u64 {
            let expected = (u128::from(k) * 1_000_000_000_000_000_000 / 50).isqrt();
            let time = ramp.time_for(Amount::new(k, 0)).get();
            assert!(u128::from(time).abs_diff(expected) <= 1, "slot {k}: {time}, not {expected}");
        }
        assert_eq!(ramp.time_for(Amount::new(50, 0)), Nanos::from_secs(1));
        assert_eq!(ramp.time_for(Amount::new(1_250, 0)), Nanos::from_secs(5));
    }

    #[test]
    fn down_to_nothing_is_up_from_nothing_backwards() {
        let (up, down) = (ramp(10, 0, 1_000), ramp(10, 1_000, 0));
        for k in 1..5_000_u64 {
            let (rise, fall) = (Amount::new(k, 0), Amount::new(5_000 - k, 0));
            let (rise, fall) = (up.time_for(rise).get(), down.time_for(fall).get());
            assert!((rise + fall).abs_diff(10_000_000_000) <= 1, "slot {k}: {rise}, {fall}");
        }
        assert_eq!(down.time_for(Amount::ZERO), Nanos::ZERO);
    }

    #[test]
    fn half_of_a_ramp_has_passed_where_its_formula_says() {
        let (half, all) = (Nanos::from_secs(5), Nanos::from_secs(10));
        assert_eq!(ramp(10, 0, 1_000).passed(half), Amount::new(1_250, 0));
        assert_eq!(ramp(10, 1_000, 0).passed(half), Amount::new(3_750, 0));
        assert_eq!(ramp(10, 200, 400).passed(half), Amount::new(1_250, 0));
        assert_eq!(ramp(10, 200, 400).passed(all), Amount::new(3_000, 0));
        assert_eq!(ramp(10, 200, 400).passed(Nanos::MAX), Amount::new(3_000, 0));
    }

    fn ends() -> impl Strategy<Value = Option<Rate>> {
        prop_oneof![
            Just(None),
            (1_u64..1_000_000_000).prop_map(rate),
            (1_u64..1_000, 0_u64..u64::MAX - 1_000)
                .prop_map(|(count, more)| { Rate::new(count, Nanos::new(count + more)) }),
        ]
    }

    proptest! {
        #[test]
        fn times_never_fall_and_stay_within_the_ramp(
            length in prop_oneof![1_u64..=1_000, 1_u64..=1 << 40, 1_u64..=u64::MAX],
            from in ends(),
            to in ends(),
            at: u128,
            step in prop_oneof![Just(1_u64), any::<u64>()],
        ) {
            let ramp = Ramp::new(Stage { length: Nanos::new(length), from, to });
            let (slots, fraction) = ramp.total.parts();
            let total = (u128::from(slots) << 64) | u128::from(fraction);
            if total == 0 {
                return Ok(());
            }
            let one = at % total;
            let next = one.saturating_add(u128::from(step)).min(total - 1);
            let low = u128::from(u64::MAX);
            let times = [one, next].map(|bits| {
                let halves = [bits >> 64, bits & low].map(|half| u64::try_from(half).unwrap());
                ramp.time_for(Amount::new(halves[0], halves[1])).get()
            });
            prop_assert!(times[0] <= times[1], "{:?}", times);
            prop_assert!(times[1] <= length);
        }

        #[test]
        fn an_amount_has_passed_after_its_time(
            seconds in 1_u64..100_000,
            from in 0_u64..2_000_000,
            to in 1_u64..2_000_000,
            part in 0.0..1.0_f64,
        ) {
            let ramp = ramp(seconds, from, to);
            let amount = Amount::from_f64(ramp.total.to_f64() * part);
            let time = ramp.time_for(amount);
            let passed = [time, time + Nanos::new(1)].map(|time| ramp.passed(time).to_f64());
            let room = 1e-15 * ramp.total.to_f64();
            prop_assert!(passed[0] <= amount.to_f64() + room);
            prop_assert!(passed[1] >= amount.to_f64() - room);
        }
    }
}
