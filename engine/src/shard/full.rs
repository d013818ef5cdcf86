//! Slots that are due when no connection is free: they wait, are dropped, or make the pool grow.

use super::{Phase, Shard};
use crate::plan::{Load, OnFull};
use crate::reactor::Reactor;
use crate::record::Unsent;
use crate::units::{Instant, Nanos};

impl<R: Reactor> Shard<R> {
    /// What the plan says about such slots. A closed loop has none.
    pub(super) fn on_full(&self) -> OnFull {
        match self.plan.plan.load {
            Load::Open { on_full, .. } => on_full,
            Load::Closed { .. } => OnFull::Queue,
        }
    }

    /// Gives up the slots whose deadline has passed before they were sent, or sent again.
    pub(super) fn give_up_late(&mut self, now: Instant) {
        self.traffic.expire_retries(now);
        if let Some(deadline) = self.plan.plan.timeouts.deadline {
            // Those at the very moment of their deadline too.
            let before = now - deadline + Nanos::new(1);
            self.give_up(before, now, Unsent::TimedOut);
        }
    }

    /// Deals with the slots that are due and found no connection to the only server.
    pub(super) fn relieve(&mut self, now: Instant) {
        match self.on_full() {
            OnFull::Queue => {}
            OnFull::Drop => self.give_up(now + Nanos::new(1), now, Unsent::Dropped),
            OnFull::Grow { .. } => {
                let most = self.dialler.of(0).map_or(0, |first| first.under_way() + first.room());
                let owed = self.supply.due(most, now);
                self.dialler.grow(0, owed, now);
            }
        }
    }

    /// Gives up the slots intended before `before` that have not been sent.
    pub(super) fn give_up(&mut self, before: Instant, now: Instant, why: Unsent) {
        let recorder = &mut self.traffic.recorder;
        self.supply.give_up(before, now, |intended, count| {
            recorder.unsent(intended, now, why, count);
        });
        self.give_up_waiting(before, now, why);
    }

    /// When something is to be done about the next slot, even if no connection is free.
    pub(super) fn next_relief(&self) -> Option<Instant> {
        if !matches!(self.phase, Phase::Running | Phase::Draining(_)) {
            return None;
        }
        if self.lines.are_apart() {
            return self.next_given_up();
        }
        let due = self.supply.next_due()?;
        let at_once = match self.on_full() {
            OnFull::Queue => false,
            OnFull::Drop => true,
            // With one under way it is looked at again when that is established.
            OnFull::Grow { .. } => self.dialler.may_grow(),
        };
        let given_up = self.plan.plan.timeouts.deadline.map(|deadline| due + deadline);
        at_once.then_some(due).or(given_up)
    }
}
