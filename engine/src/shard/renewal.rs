//! Connections that are replaced on a schedule of their own, whatever the requests do.

use std::collections::VecDeque;

use super::conn::State;
use super::{Phase, Shard};
use crate::pace::{Cursor, Schedule};
use crate::plan::{Keep, ShardPlan, Timetable};
use crate::reactor::{Reactor, Slot};
use crate::units::Instant;

/// Says when which connection has to make way for a new one: the oldest, and each only once.
pub(super) struct Renewal(Option<Line>);

struct Line {
    /// The moment, after the barrier, at which the next one has to make way.
    next: Cursor,
    barrier: Option<Instant>,
    /// Connections in the order in which they became ready, some of which have ended since.
    ready: VecDeque<(Slot, Instant)>,
    /// Since when each slot has been ready; `None` if it is not.
    since: Box<[Option<Instant>]>,
}

impl Renewal {
    /// The renewal that `plan` asks for.
    pub(super) fn new(plan: &ShardPlan) -> Self {
        let Keep::Renewed(rate) = plan.plan.wire.keep else { return Self(None) };
        let schedule = Schedule::new(&Timetable::constant(rate), plan.share, plan.plan.seed);
        Self(Some(Line {
            next: schedule.cursor(),
            barrier: None,
            ready: VecDeque::new(),
            since: vec![None; plan.places() as usize].into(),
        }))
    }

    /// The schedule begins at `barrier`.
    pub(super) fn begin(&mut self, barrier: Instant) {
        if let Some(line) = &mut self.0 {
            line.barrier = Some(barrier);
        }
    }

    /// `slot` is ready since `now`.
    pub(super) fn ready(&mut self, slot: Slot, now: Instant) {
        if let Some(line) = &mut self.0
            && let Some(since) = line.since.get_mut(slot.index())
        {
            *since = Some(now);
            line.ready.push_back((slot, now));
            // Those which have ended are let go before they outnumber the others.
            if line.ready.len() > 2 * line.since.len() {
                let since = &line.since;
                line.ready.retain(|(slot, at)| since.get(slot.index()) == Some(&Some(*at)));
            }
        }
    }

    /// `slot` is not ready any more.
    pub(super) fn gone(&mut self, slot: Slot) {
        if let Some(line) = &mut self.0
            && let Some(since) = line.since.get_mut(slot.index())
        {
            *since = None;
        }
    }

    /// When the next connection has to make way.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let line = self.0.as_ref()?;
        line.barrier.map(|barrier| barrier + line.next.start())
    }

    /// Whether one has to make way at `now`; each moment of the schedule is told once.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next_due().is_some_and(|due| due <= now);
        if due && let Some(line) = &mut self.0 {
            line.next.advance();
        }
        due
    }

    /// The oldest ready connection, which is asked for no more.
    fn oldest(&mut self) -> Option<Slot> {
        let line = self.0.as_mut()?;
        loop {
            let (slot, since) = line.ready.pop_front()?;
            let now = line.since.get_mut(slot.index())?;
            if *now == Some(since) {
                *now = None;
                return Some(slot);
            }
        }
    }
}

impl<R: Reactor> Shard<R> {
    /// Has the oldest connections make way whose time has come: at once if nothing is outstanding
    /// on them, else when it is answered. Where all are on their way already, a moment of the
    /// schedule passes without one.
    pub(super) fn renew(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            return;
        }
        while self.renewal.is_due(now) {
            let Some(slot) = self.renewal.oldest() else { continue };
            let Some(connection) = self.traffic.get(slot) else { continue };
            debug_assert!(connection.state == State::Open, "who is gone is not in the line");
            connection.spent = true;
            // It goes because it is asked to: there is no reason to wait before the next one.
            connection.attempts = 0;
            if connection.is_over() {
                self.close(slot, now);
            }
        }
    }
}
