//! Several servers, or such that values choose: whoever is due chooses what to ask, and then needs
//! a connection to that very server.
//!
//! With one server it is the other way round: a free connection takes whoever is due. There, nobody
//! chooses before somebody can be asked, and a request that waits has no name yet.

use super::lines::Waiting;
use super::{SENDS_PER_TURN, Shard};
use crate::plan::OnFull;
use crate::reactor::{Reactor, Slot};
use crate::record::{Phase as TroublePhase, Trouble, Unsent};
use crate::shard::flight::Flight;
use crate::shard::supply::Supply;
use crate::shard::traffic::Traffic;
use crate::shard::user::User;
use crate::units::{Instant, Nanos};

impl<R: Reactor> Shard<R> {
    /// Starts requests on free connections of their own servers; says whether there are more than
    /// may share this moment.
    pub(super) fn start_apart(&mut self, now: Instant) -> bool {
        let more = (0..SENDS_PER_TURN).all(|_| self.start_one(now));
        if self.traffic.has_retries() {
            self.seek_room(now);
        }
        more
    }

    /// Those that started and wait for their server want connections as others do.
    fn seek_room(&mut self, now: Instant) {
        let grows = matches!(self.on_full(), OnFull::Grow { .. });
        for (origin, owed) in self.traffic.again.servers() {
            if self.lines.has_free(origin) {
                continue;
            }
            if grows {
                self.dialler.grow(origin, owed, now);
            }
            self.dialler.hasten(origin, now);
        }
    }

    /// Starts a request, or has it wait for its server; says whether there was one.
    fn start_one(&mut self, now: Instant) -> bool {
        while self.traffic.has_retries()
            && let Some(origin) =
                self.traffic.again.next_server(|origin| self.lines.has_free(origin))
        {
            if let Some(slot) = self.take_free(origin)
                && let Some(flight) = self.traffic.next_retry_to(origin, now)
            {
                self.start_flight(slot, flight);
                return true;
            }
        }
        while let Some(origin) = self.lines.next_met() {
            if let Some(slot) = self.take_free(origin)
                && let Some(waiting) = self.lines.next_of(origin)
            {
                self.start_waiting(slot, waiting, now);
                return true;
            }
        }
        let Some(waiting) = self.next_choice(now) else { return false };
        match self.traffic.set_out(&waiting, now) {
            Err(cause) => self.end_nowhere(waiting, cause, now),
            Ok(origin) => match self.take_free(origin) {
                Some(slot) => self.start_waiting(slot, waiting, now),
                None => self.wait_for(origin, waiting, now),
            },
        }
        true
    }

    /// Takes a connection to the server `origin` out of its line that has room for a request. Those
    /// before it that have none leave the line, too.
    fn take_free(&mut self, origin: u16) -> Option<Slot> {
        loop {
            let slot = self.lines.take_free(origin)?;
            self.leave_line(slot);
            if self.traffic.room(slot) > 0 {
                return Some(slot);
            }
        }
    }

    /// Whoever may ask next: somebody who is under way, or who begins.
    fn next_choice(&mut self, now: Instant) -> Option<Waiting> {
        let window = self.traffic.recorder.window();
        let closed_loop = matches!(self.supply, Supply::Closed { .. });
        if closed_loop && self.supply.exhausted(now, window) {
            return None;
        }
        let onward = self.traffic.users.has_ready();
        if !onward && !self.may_begin(now, window) {
            return None;
        }
        if let Some((user, intended)) = self.traffic.users.go_on() {
            return Some(Waiting { user, intended, onward: true, starved: Nanos::ZERO });
        }
        let taken = if closed_loop { Some(now) } else { self.supply.take(now, window) };
        let intended = taken?;
        let Traffic { users, recorder, .. } = &mut self.traffic;
        let (user, starved) = users.begin(intended, recorder);
        Some(Waiting { user, intended, onward: false, starved })
    }

    /// A request finds no connection to its server.
    fn wait_for(&mut self, origin: u16, waiting: Waiting, now: Instant) {
        match self.on_full() {
            OnFull::Drop if !waiting.onward => {
                self.traffic.recorder.unsent(waiting.intended, now, Unsent::Dropped, 1);
                self.dismiss(waiting.user, now);
            }
            OnFull::Queue | OnFull::Drop => {
                self.lines.wait(origin, waiting);
                self.dialler.hasten(origin, now);
            }
            OnFull::Grow { .. } => {
                let owed = self.lines.wait(origin, waiting);
                self.dialler.grow(origin, owed, now);
                self.dialler.hasten(origin, now);
            }
        }
    }

    /// A request that has waited or has not starts on `slot`, which has just left its line.
    fn start_waiting(&mut self, slot: Slot, waiting: Waiting, now: Instant) {
        let ready = self.traffic.get(slot).map_or(now, |connection| connection.free_since);
        if let Some(flight) = self.depart(waiting, ready, now) {
            self.start_flight(slot, flight);
        } else {
            // The window is over, or all requests are taken.
            self.stay_in_line(slot);
            self.dismiss(waiting.user, now);
        }
    }

    /// The flight of a request that starts now on a connection which has been free since `ready`.
    /// In a closed loop a request counts from here on: nothing is waited for that has a name.
    pub(super) fn depart(
        &mut self,
        waiting: Waiting,
        ready: Instant,
        now: Instant,
    ) -> Option<Flight> {
        let window = self.traffic.recorder.window();
        let closed_loop = matches!(self.supply, Supply::Closed { .. });
        let taken = if closed_loop { self.supply.take(now, window)? } else { waiting.intended };
        Some(self.flight(Waiting { intended: taken, ..waiting }, ready, now))
    }

    fn start_flight(&mut self, slot: Slot, flight: Flight) {
        let index = self.traffic.users.request_of(flight.user);
        self.traffic.start(slot, flight);
        self.send(slot, index, 1);
        self.stay_in_line(slot);
    }

    /// No connection to the server `origin` is ready, and an attempt to open one failed with
    /// `trouble`: whoever waits for it ends with that, or they would be waited for in vain, and in
    /// a closed loop keep everybody else from asking the others.
    pub(super) fn turn_away(&mut self, origin: u16, trouble: Trouble, now: Instant) {
        let trouble = Trouble { phase: TroublePhase::Queue, ..trouble };
        while let Some(flight) = self.traffic.next_retry_to(origin, now) {
            self.traffic.failed(&flight, trouble, Slot(0), now);
        }
        while let Some(waiting) = self.lines.next_of(origin) {
            match self.depart(waiting, now, now) {
                Some(flight) => self.traffic.failed(&flight, trouble, Slot(0), now),
                None => self.dismiss(waiting.user, now),
            }
        }
    }

    /// Gives up requests that wait for their server, begin a scenario and were intended before
    /// `before`. In a closed loop they have not started, and need no outcome.
    pub(super) fn give_up_waiting(&mut self, before: Instant, now: Instant, why: Unsent) {
        if matches!(self.supply, Supply::Closed { .. }) {
            return;
        }
        while let Some(waiting) = self.lines.next_late(before) {
            self.traffic.recorder.unsent(waiting.intended, now, why, 1);
            self.dismiss(waiting.user, now);
        }
    }

    /// A user that waited asks for nothing, which ends its scenario.
    pub(super) fn dismiss(&mut self, user: User, now: Instant) {
        let Traffic { users, recorder, .. } = &mut self.traffic;
        users.failed(user, now, recorder);
    }

    /// When the next of them is given up.
    pub(super) fn next_given_up(&self) -> Option<Instant> {
        let open_loop = matches!(self.supply, Supply::Open { .. });
        let deadline = self.plan.plan.timeouts.deadline.filter(|_| open_loop)?;
        self.lines.earliest().map(|intended| intended + deadline)
    }
}
