//! How requests end: the books are told, and so is the user who asked.

use super::flight::Flight;
use super::follow::Course;
use super::look::Look;
use super::traffic::Traffic;
use super::user::User;
use super::witness;
use crate::judge::{Missed, Response, Unjudged};
use crate::reactor::Slot;
use crate::record::{End, Moments, Phase, Row, Trouble};
use crate::units::Instant;

/// What came of looking at a response.
struct Held {
    /// All checks held.
    checks: bool,
    /// All that was to be captured was there.
    complete: bool,
}

impl Traffic {
    /// `flight` has its response; it was at `place`, and the response has this `status`. Says
    /// whether the request had asked for the connection to be closed.
    #[inline]
    pub(super) fn responded(
        &mut self,
        flight: &Flight,
        (place, status): (usize, u16),
        slot: Slot,
        now: Instant,
    ) -> bool {
        let index = self.users.asked_by(flight.user);
        let Some(request) = self.way.request(index) else { return false };
        let (mut good, close) = (request.expected.holds(status), request.expect.close);
        let (row, is_looked_at) = (request.row, request.is_looked_at);
        let moments = flight.ended(flight.first_byte, now);
        let mut unfollowed = None;
        if self.way.trail.is_some() {
            match self.follow(flight, (place, status), slot, now) {
                Course::Answer => {}
                Course::Stand(why) => (good, unfollowed) = (false, Some(why)),
                Course::On => return close,
            }
        }
        let mut complete = true;
        if is_looked_at {
            let held = self.look((place, slot), flight, status, &moments);
            complete = held.complete;
            good &= held.checks && complete;
            // A try looks at everything.
            if let Some(witness) = &mut self.looks.witness {
                witness.judged(good, unfollowed);
            }
        }
        self.recorder.responses(&moments, (status, good), slot.0, 1);
        self.recorder.row(row, &moments, |row, latency| row.responses(latency, good, 1));
        if complete {
            self.users.answered(flight.user, status, now, &mut self.recorder);
        } else {
            self.users.failed(flight.user, now, &mut self.recorder);
        }
        close
    }

    /// Looks at what was kept of the response at `place`, as its request wants. Apart, so that what
    /// nobody looks at does not pay for the room that this takes on the stack.
    #[inline(never)]
    fn look(
        &mut self,
        (place, slot): (usize, Slot),
        flight: &Flight,
        status: u16,
        moments: &Moments,
    ) -> Held {
        let mut held = Held { checks: true, complete: true };
        let Some(look) = self.looks.take(place) else { return held };
        self.take_note(&look, (flight, slot), status, moments);
        self.ask(&look.response(status, moments.response()), (flight.user, moments), &mut held);
        self.looks.give(place, look);
        held
    }

    /// The response to `flight` at `place` has led on: nobody asks about it, and what else there is
    /// to be kept of it is kept.
    pub(super) fn leave(
        &mut self,
        (place, slot): (usize, Slot),
        flight: &Flight,
        status: u16,
        now: Instant,
    ) {
        if !self.looks.keeps_cookies && self.looks.witness.is_none() {
            return;
        }
        let Some(look) = self.looks.take(place) else { return };
        let moments = flight.ended(flight.first_byte, now);
        self.take_note(&look, (flight, slot), status, &moments);
        self.looks.give(place, look);
        if let Some(witness) = &mut self.looks.witness {
            witness.judged(true, None);
        }
    }

    /// Keeps what is kept of every response: its cookies, and in a try all of it.
    fn take_note(
        &mut self,
        look: &Look,
        (flight, slot): (&Flight, Slot),
        status: u16,
        moments: &Moments,
    ) {
        if self.looks.witness.is_some() {
            let answer = witness::answer(look, status);
            self.witness((flight, slot), moments, End::Answered(Box::new(answer)));
        }
        if self.looks.keeps_cookies {
            let fields = look.response(status, moments.response()).fields;
            self.users.keep_cookies(flight.user, moments.finished, fields);
        }
    }

    /// Asks all checks and captures of the request of `user` about its `response`.
    fn ask<'a, F>(
        &mut self,
        response: &Response<'a, F>,
        (user, moments): (User, &Moments),
        held: &mut Held,
    ) where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        let index = usize::from(self.users.asked_by(user));
        let Some(request) = self.way.requests.get_mut(index) else { return };
        let mut number = request.first_look;
        for check in &request.checks {
            let answer = check.holds(response).map_err(Unjudged::name);
            held.checks &= answer == Ok(true);
            self.recorder.looked(number, moments, answer);
            if let Some(witness) = &mut self.looks.witness {
                witness.found(number, answer, None);
            }
            number += 1;
        }
        for capture in &mut request.captures {
            let Some(cell) = self.users.cell(user, capture.variable()) else { continue };
            let taken = capture.take(response, cell).map(|()| true).map_err(Missed::name);
            held.complete &= taken.is_ok();
            self.recorder.looked(number, moments, taken);
            if let Some(witness) = &mut self.looks.witness {
                witness.found(number, taken, taken.is_ok().then_some(&**cell));
            }
            if taken.is_ok() {
                self.users.captured(user, capture.variable());
            }
            number += 1;
        }
    }

    /// `flight` has no valid response.
    pub(super) fn failed(&mut self, flight: &Flight, trouble: Trouble, slot: Slot, now: Instant) {
        let moments = flight.ended(flight.first_byte, now);
        self.recorder.error(&moments, trouble, slot.0);
        self.recorder.row(self.row_of(flight), &moments, Row::error);
        self.witness((flight, slot), &moments, End::Failed(trouble));
        self.users.failed(flight.user, now, &mut self.recorder);
    }

    /// `flight` was given up in `phase`.
    pub(super) fn timed_out(&mut self, flight: &Flight, phase: Phase, slot: Slot, now: Instant) {
        let moments = flight.ended(flight.first_byte, now);
        self.recorder.timeout(&moments, phase, slot.0);
        self.recorder.row(self.row_of(flight), &moments, Row::timeout);
        self.witness((flight, slot), &moments, End::TimedOut(phase));
        self.users.failed(flight.user, now, &mut self.recorder);
    }

    /// `flight` was without an outcome when the run ended.
    pub(super) fn unfinished(&mut self, flight: &Flight, now: Instant) {
        let moments = flight.ended(now, now);
        self.recorder.unfinished(&moments);
        self.recorder.row(self.row_of(flight), &moments, Row::unfinished);
        self.witness((flight, Slot(0)), &moments, End::Unfinished);
    }

    /// The row of the request of `flight`.
    fn row_of(&self, flight: &Flight) -> u16 {
        let request = self.way.request(self.users.asked_by(flight.user));
        request.map_or(0, |request| request.row)
    }
}
