//! When requests start: bound to responses (closed loop), or to the clock (open loop).

use core::num::{NonZeroU8, NonZeroU32, NonZeroU64};
use std::sync::Arc;

use crate::units::{Nanos, Rate};

/// The arrival process of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Each connection keeps `pipeline` requests outstanding and starts the next one when a
    /// response is complete. There is no schedule, hence no response time, only service time.
    Closed {
        /// Requests outstanding per connection.
        pipeline: NonZeroU8,
        /// How connections join in; all at once without it.
        spawn: Option<Spawn>,
    },
    /// Slots are intended at moments of a timetable, whatever the server does.
    Open {
        /// The moments.
        timetable: Timetable,
        /// Most requests outstanding per connection.
        pipeline: NonZeroU8,
        /// What becomes of a slot that is due when no connection is free.
        on_full: OnFull,
    },
}

/// The intended starts of a run: a shape of the rate over time, and how arrivals scatter around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// How many arrivals, when.
    pub shape: Shape,
    /// How they scatter.
    pub arrivals: Arrivals,
}

/// The offered rate over the time from the start barrier on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A piecewise linear rate. After its last stage it stays as it is then.
    Stages(Stages),
    /// So many slots together at the barrier, and again after each period.
    Bursts {
        /// Slots of one burst.
        count: NonZeroU64,
        /// From one burst to the next; not zero.
        every: Nanos,
    },
}

/// Stages, one after the other. Never empty, and the last one does not end at nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stages(pub(super) Arc<[Stage]>);

/// A part of the schedule in which the rate changes linearly, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// How long it lasts; not zero.
    pub length: Nanos,
    /// The rate at its beginning; `None` is nothing.
    pub from: Option<Rate>,
    /// The rate at its end; `None` is nothing.
    pub to: Option<Rate>,
}

/// How arrivals scatter around the shape of the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrivals {
    /// Not at all: slot `k` is where the rate has let `k` slots pass.
    #[default]
    Constant,
    /// Independent of each other (a Poisson process), as users of a public server are.
    Poisson,
    /// Slot `k` anywhere between its constant place and that of slot `k + 1`.
    UniformJitter,
}

/// What becomes of a slot that is due when no connection is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It waits, and its clock runs.
    #[default]
    Queue,
    /// It is dropped, and counted as such.
    Drop,
    /// It waits, and meanwhile further connections are opened.
    Grow {
        /// Most connections over all shards; at least as many as the plan begins with.
        most: NonZeroU32,
    },
}

/// Connections that join in little by little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spawn {
    /// Connections that join in together, over all shards; the first of them at the barrier.
    pub count: NonZeroU32,
    /// From one group to the next; not zero.
    pub every: Nanos,
}

impl Load {
    /// Most requests outstanding on one connection.
    #[must_use]
    pub const fn pipeline(&self) -> NonZeroU8 {
        match self {
            Self::Closed { pipeline, .. } | Self::Open { pipeline, .. } => *pipeline,
        }
    }

    /// The timetable; `None` in a closed loop, which offers as much as the server takes.
    #[must_use]
    pub const fn timetable(&self) -> Option<&Timetable> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { timetable, .. } => Some(timetable),
        }
    }

    /// Whether there is a schedule.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

impl Timetable {
    /// The rate, if it is one and the same for ever.
    #[must_use]
    pub fn only_rate(&self) -> Option<Rate> {
        match &self.shape {
            Shape::Stages(stages) => stages.only_rate(),
            Shape::Bursts { .. } => None,
        }
    }

    /// `rate`, for ever and evenly.
    #[must_use]
    pub fn constant(rate: Rate) -> Self {
        Self { shape: Shape::Stages(Stages::constant(rate)), arrivals: Arrivals::Constant }
    }
}

impl Stages {
    /// The stages; `None` if there is none, if one has no duration, or if the last one ends at
    /// nothing.
    #[must_use]
    pub fn new(stages: Vec<Stage>) -> Option<Self> {
        let timed = stages.iter().all(|stage| stage.length > Nanos::ZERO);
        let goes_on = stages.last().is_some_and(|last| last.to.is_some());
        (timed && goes_on).then(|| Self(stages.into()))
    }

    /// `rate`, for ever.
    #[must_use]
    pub fn constant(rate: Rate) -> Self {
        Self([Stage { length: Nanos::MAX, from: Some(rate), to: Some(rate) }].into())
    }

    /// The stages.
    #[must_use]
    pub fn all(&self) -> &[Stage] {
        &self.0
    }

    /// The rate, if it is one and the same for ever.
    #[must_use]
    pub fn only_rate(&self) -> Option<Rate> {
        match *self.0 {
            [Stage { from, to, .. }] if from == to => from,
            _ => None,
        }
    }
}
