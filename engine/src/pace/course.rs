//! The rate over time: how much it has let pass at a moment, and at which moment an amount has.

use core::num::NonZeroU64;
use std::sync::Arc;

use super::amount::Amount;
use super::constant;
use super::linear::Ramp;
use crate::plan::{Shape, Stage, Stages};
use crate::units::{Nanos, Rate};

/// A shape, prepared for looking up. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Course {
    /// The parts in which something passes, in order; the last one goes on for ever.
    Legs(Arc<[Leg]>),
    /// `count` slots at once, then nothing for the rest of `every`.
    Bursts { count: NonZeroU64, every: Nanos },
}

/// A part of a course. Pauses are none: between the last slot of one leg and the first of the next
/// there is time, and that is all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    begin: Nanos,
    /// What has passed before it.
    passed: Amount,
    slope: Slope,
}

#[derive(Clone, Copy, Debug)]
enum Slope {
    Flat(Rate),
    Ramp(Ramp),
}

impl Course {
    pub(super) fn new(shape: &Shape) -> Self {
        match *shape {
            Shape::Stages(ref stages) => Self::Legs(lay(stages).into()),
            Shape::Bursts { count, every } => Self::Bursts { count, every },
        }
    }

    /// When `amount` has passed, rounded down, as time after the start barrier; never less for
    /// more. An amount that passes as a pause begins counts as passing at its end: the next slot
    /// comes when something flows again. O(log stages).
    pub(super) fn time_at(&self, amount: Amount) -> Nanos {
        match self {
            Self::Legs(legs) => {
                let after = legs.partition_point(|leg| leg.passed <= amount);
                let leg = after.checked_sub(1).and_then(|at| legs.get(at));
                leg.map_or(Nanos::MAX, |leg| leg.begin + leg.slope.time_for(amount - leg.passed))
            }
            Self::Bursts { count, every } => every.saturating_mul(amount.parts().0 / *count),
        }
    }

    /// What has passed before `time`.
    pub(super) fn passed(&self, time: Nanos) -> Amount {
        match self {
            Self::Legs(legs) => {
                let after = legs.partition_point(|leg| leg.begin <= time);
                let leg = after.checked_sub(1).and_then(|at| legs.get(at));
                let passed = leg.map_or(Amount::ZERO, |leg| leg.passed_at(time));
                legs.get(after).map_or(passed, |next| passed.min(next.passed))
            }
            Self::Bursts { count, every } => {
                let bursts = time.get().div_ceil(every.get().max(1));
                Amount::new(bursts.saturating_mul(count.get()), 0)
            }
        }
    }
}

/// The legs of `stages`. Stages that go on at one and the same rate are one leg, so that a warm-up
/// before a constant rate costs nothing.
fn lay(stages: &Stages) -> Vec<Leg> {
    let mut legs: Vec<Leg> = Vec::new();
    let (mut begin, mut passed, mut before) = (Nanos::ZERO, Amount::ZERO, None);
    let held =
        stages.all().last().map(|&Stage { to, .. }| Stage { length: Nanos::MAX, from: to, to });
    for stage in stages.all().iter().copied().chain(held) {
        let Stage { length, from, to } = stage;
        let slope = Slope::new(stage);
        let goes_on = same(before.flatten(), from) && same(from, to);
        if let Some(slope) = slope
            && !goes_on
        {
            legs.push(Leg { begin, passed, slope });
        }
        begin += length;
        if slope.is_some() {
            passed = legs.last().map_or(passed, |leg| leg.passed_at(begin));
        }
        // A ramp that ends at a rate is not a leg which could go on at that rate.
        before = same(from, to).then_some(to);
    }
    legs
}

/// Whether two rates are the same number; nothing is not the same as nothing.
fn same(one: Option<Rate>, other: Option<Rate>) -> bool {
    one.zip(other).is_some_and(|(one, other)| {
        let crossed = |a: Rate, b: Rate| u128::from(a.count().get()) * u128::from(b.period().get());
        crossed(one, other) == crossed(other, one)
    })
}

impl Leg {
    /// What has passed at `time`, if the leg lasts until then.
    fn passed_at(&self, time: Nanos) -> Amount {
        let within = time.saturating_sub(self.begin);
        self.passed
            + match &self.slope {
                Slope::Flat(rate) => Amount::passing(*rate, within),
                Slope::Ramp(ramp) => ramp.passed(within),
            }
    }
}

impl Slope {
    /// The slope of a stage; `None` if nothing passes in it.
    fn new(stage: Stage) -> Option<Self> {
        match (stage.from, stage.to) {
            (None, None) => None,
            (Some(rate), _) if same(stage.from, stage.to) => Some(Self::Flat(rate)),
            _ => Some(Self::Ramp(Ramp::new(stage))),
        }
    }

    fn time_for(&self, amount: Amount) -> Nanos {
        match self {
            Self::Flat(rate) => constant::time_for(*rate, amount),
            Self::Ramp(ramp) => ramp.time_for(amount),
        }
    }
}
