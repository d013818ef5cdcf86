//! Another load while a run goes on: computed here, at leisure, and taken over by all shards at one
//! moment.

use core::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::LEAD;
use crate::plan::{
    Arrivals, CHANGES_MAX, Change, Plan, Scenario, Shape, ShardPlan, Stages, Timetable,
};
use crate::report::{Changed, Changes, Turned};
use crate::shard::HEARTBEAT;
use crate::shard::mailbox::Switch;
use crate::units::{Instant, Nanos};

/// At most so long it takes to count an arrival, where a number of them is met.
const COUNTING: Nanos = Nanos::new(40);

/// The load of the moment, and how it became so.
pub(super) struct Steering {
    plan: Arc<Plan>,
    /// What the rate was asked to be last: transitions lead there.
    stages: Option<Stages>,
    connections: NonZeroU32,
    weights: Arc<[NonZeroU32]>,
    /// When the shards have taken over the last change.
    ready: Instant,
    changes: Changes,
}

/// A change with its moment, that each shard has its part of.
pub(super) struct Turnover<'s> {
    at: Instant,
    steering: &'s Steering,
    schedule: bool,
    connections: bool,
    weights: bool,
}

impl Steering {
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        let stages = match plan.load.timetable().map(|timetable| &timetable.shape) {
            Some(Shape::Stages(stages)) => Some(stages.clone()),
            Some(Shape::Bursts { .. }) | None => None,
        };
        let scenarios = plan.work.scenarios().iter();
        Self {
            plan: Arc::clone(plan),
            stages,
            connections: plan.connections,
            weights: scenarios.map(|Scenario { weight, .. }| *weight).collect(),
            ready: Instant::from_origin(0),
            changes: Changes::default(),
        }
    }

    /// Whether the shards can take another change at `now`.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        now >= self.ready && self.changes.list.len() < CHANGES_MAX
    }

    /// From an order to its moment, so that every shard has heard it; what is computed before that
    /// included.
    pub(super) fn lead(&self) -> Nanos {
        let counted = self.plan.load.timetable().filter(|it| it.arrivals == Arrivals::Poisson);
        let count = counted.and(self.plan.stop.limit.requests()).map_or(0, NonZeroU64::get);
        LEAD + COUNTING.saturating_mul(count)
    }

    /// Makes `change` at `at`, a moment of which all shards hear in time, in a run that began at
    /// `barrier`. `None` if it changes nothing, or what the plan does not allow.
    pub(super) fn turn(
        &mut self,
        change: Change,
        at: Instant,
        barrier: Instant,
    ) -> Option<Turnover<'_>> {
        if self.plan.allows(&change).is_err() {
            return None;
        }
        let Change { stages, transition, connections, weights } = change;
        let after = at.since(barrier);
        let schedule = stages.and_then(|to| self.go_over(to, after, transition));
        let connections = connections.filter(|&to| to != self.connections).map(|to| {
            let from = core::mem::replace(&mut self.connections, to);
            Turned::Connections { from, to }
        });
        let weights = weights.filter(|to| *to != self.weights).map(|to| {
            let from = core::mem::replace(&mut self.weights, Arc::clone(&to));
            Turned::Weights { from, to }
        });
        let parts = [&schedule, &connections, &weights].map(Option::is_some);
        if parts == [false; 3] {
            return None;
        }
        let turned = [schedule, connections, weights].into_iter().flatten();
        self.changes.list.extend(turned.map(|what| Changed { at: after, what }));
        self.ready = at + HEARTBEAT;
        let [schedule, connections, weights] = parts;
        Some(Turnover { at, steering: self, schedule, connections, weights })
    }

    /// Goes over to the rate `to`, if it is another.
    fn go_over(&mut self, to: Stages, at: Nanos, over: Nanos) -> Option<Turned> {
        let from = self.stages.clone().filter(|from| *from != to)?;
        let before = self.changes.timetable.as_ref().or(self.plan.load.timetable())?;
        let Shape::Stages(stages) = &before.shape else { return None };
        let shape = Shape::Stages(stages.spliced(at, over, &to));
        self.changes.timetable = Some(Timetable { shape, ..before.clone() });
        self.stages = Some(to.clone());
        Some(Turned::Rate { from, to, over })
    }

    /// What has changed so far.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }
}

impl Turnover<'_> {
    /// The part of the shard that `part` is the plan of. O(1) but for a number of Poisson arrivals,
    /// which are counted again.
    pub(super) fn of(&self, part: &ShardPlan) -> Switch {
        let Steering { changes, connections, weights, .. } = self.steering;
        let timetable = changes.timetable.as_ref().filter(|_| self.schedule);
        let connections = Some(*connections).filter(|_| self.connections);
        let weights = Some(&**weights).filter(|_| self.weights);
        Switch::new(part, self.at, timetable, connections, weights)
    }
}
