//! What of a run may become different while it goes on.
//!
//! The schedule after a change is again one in closed form: the old stages up to the moment, then
//! the new ones as they are *at that time of the run*, as if they had been there from the
//! beginning. So a change that is taken back leaves no trace in what comes after, a spike stays in
//! the middle of the window, and a ramp that has been climbed is not climbed again.

use core::num::NonZeroU32;
use std::sync::Arc;

use super::{Load, Order, Plan, Shape, Stage, Stages};
use crate::units::{Nanos, Rate};

/// Most changes of one run; each makes the schedule longer by its stages.
pub const CHANGES_MAX: usize = 1_000;

/// Another load. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The offered rate, over the time from the start barrier on.
    pub stages: Option<Stages>,
    /// In which time the rate gets from the old one to the new one, linearly.
    pub transition: Nanos,
    /// Connections in total.
    pub connections: Option<NonZeroU32>,
    /// How often each scenario is chosen, compared with the others, in the order of the work.
    pub weights: Option<Arc<[NonZeroU32]>>,
}

/// Why a run cannot change so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no schedule.
    #[error("a closed loop has no rate that could change")]
    Closed,
    /// There is another sort of schedule.
    #[error("bursts have no rate that could change")]
    Bursts,
    /// Too few, or too many.
    #[error("{asked} connections are not from {least} to {most}, as this run can have")]
    Connections {
        /// So many are wanted.
        asked: u32,
        /// As many as there are shards.
        least: u32,
        /// As many as there is room for.
        most: u32,
    },
    /// There are others to be weighed.
    #[error("{0} weights are not one for each scenario that is chosen by weight")]
    Weights(usize),
}

impl Change {
    /// Whether nothing becomes different.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.stages.is_none() && self.connections.is_none() && self.weights.is_none()
    }
}

impl Plan {
    /// Whether a run of this plan can change so.
    ///
    /// # Errors
    /// The first part of `change` that it has no room for.
    pub fn allows(&self, change: &Change) -> Result<(), ChangeError> {
        if change.stages.is_some() {
            match self.load.timetable().map(|timetable| &timetable.shape) {
                Some(Shape::Stages(_)) => {}
                Some(Shape::Bursts { .. }) => return Err(ChangeError::Bursts),
                None => return Err(ChangeError::Closed),
            }
        }
        if let Some(asked) = change.connections {
            let (least, most) = (self.cores.shards().min(self.connections), self.most());
            if asked < least || asked > most {
                let (asked, least, most) = (asked.get(), least.get(), most.get());
                return Err(ChangeError::Connections { asked, least, most });
            }
        }
        let scenarios = match self.work.order() {
            Order::ByWeight | Order::InProportion => self.work.scenarios().len(),
            Order::InTurn | Order::Tried => 0,
        };
        match &change.weights {
            Some(weights) if weights.len() != scenarios => Err(ChangeError::Weights(weights.len())),
            Some(_) | None => Ok(()),
        }
    }

    /// Most connections that it may come to have.
    #[must_use]
    pub fn most(&self) -> NonZeroU32 {
        let grown = match self.load {
            Load::Open { on_full: super::OnFull::Grow { most }, .. } => most,
            Load::Open { .. } | Load::Closed { .. } => self.connections,
        };
        grown.max(self.room).max(self.connections)
    }
}

impl Stages {
    /// These up to `at`, then the way to `next` in the time of `transition`, and from there on
    /// `next` as it is at that time.
    #[must_use]
    pub fn spliced(&self, at: Nanos, transition: Nanos, next: &Self) -> Self {
        let mut stages = self.before(at);
        let arrived = at + transition;
        if transition > Nanos::ZERO {
            let (from, to) = (self.rate_at(at), next.rate_at(arrived));
            stages.push(Stage { length: transition, from, to });
        }
        stages.extend(next.since(arrived));
        Self(stages.into())
    }

    /// The rate at `time`; where it jumps, the one behind the jump. `None` is nothing.
    #[must_use]
    pub fn rate_at(&self, time: Nanos) -> Option<Rate> {
        let mut begin = Nanos::ZERO;
        for stage in self.all() {
            let within = time.saturating_sub(begin);
            if within < stage.length {
                return stage.rate_at(within);
            }
            begin += stage.length;
        }
        self.all().last().and_then(|last| last.to)
    }

    /// What they are before `end`.
    fn before(&self, end: Nanos) -> Vec<Stage> {
        let (mut stages, mut begin) = (Vec::new(), Nanos::ZERO);
        for stage in self.all().iter().chain(&self.held()) {
            let left = end.saturating_sub(begin);
            if left == Nanos::ZERO {
                break;
            }
            stages.push(stage.first(left));
            begin += stage.length;
        }
        stages
    }

    /// What they are from `begin` on: something at any rate, as the last rate is held.
    fn since(&self, begin: Nanos) -> Vec<Stage> {
        let (mut stages, mut passed) = (Vec::new(), Nanos::ZERO);
        for stage in self.all() {
            let over = begin.saturating_sub(passed);
            if over < stage.length {
                stages.push(stage.rest(over));
            }
            passed += stage.length;
        }
        if stages.is_empty() {
            stages.extend(self.held());
        }
        stages
    }

    /// The last rate, for ever.
    fn held(&self) -> Option<Stage> {
        let rate = self.all().last().and_then(|last| last.to);
        rate.map(|rate| Stage { length: Nanos::MAX, from: Some(rate), to: Some(rate) })
    }
}

/// The period of rates in the middle of a ramp: so long that the finest of them is nearer to the
/// truth than a float.
const PERIOD: Nanos = Nanos::new(1_000_000_000_000_000_000);

impl Stage {
    /// The rate so long after its beginning.
    fn rate_at(&self, within: Nanos) -> Option<Rate> {
        if self.from == self.to || within == Nanos::ZERO {
            return self.from;
        }
        let slope = |rate: Option<Rate>| rate.map_or(0.0, |rate| rate.per_second() / 1e9);
        let (from, to) = (slope(self.from), slope(self.to));
        let share = within.as_secs_f64() / self.length.as_secs_f64();
        let at = (from + (to - from) * share).clamp(0.0, 1.0);
        #[expect(clippy::cast_precision_loss, reason = "a power of ten below 2⁶⁴")]
        let count = at * PERIOD.get() as f64;
        #[expect(clippy::cast_possible_truncation, reason = "at most the period")]
        #[expect(clippy::cast_sign_loss, reason = "clamped")]
        let count = count as u64;
        Rate::new(count, PERIOD)
    }

    /// Its first part, of at most `length`.
    fn first(self, length: Nanos) -> Self {
        if length >= self.length { self } else { Self { length, to: self.rate_at(length), ..self } }
    }

    /// What is left of it after `over`.
    fn rest(self, over: Nanos) -> Self {
        Self { length: self.length.saturating_sub(over), from: self.rate_at(over), ..self }
    }
}
