//! How requests end: the books are told, and so is the user who asked.

use super::flight::Flight;
use super::traffic::Traffic;
use crate::reactor::Slot;
use crate::record::{Phase, Row, Trouble};
use crate::units::Instant;

impl Traffic {
    /// `flight` has its response, whose first byte and status are `head`. Says whether the request
    /// had asked for the connection to be closed.
    #[inline]
    pub(super) fn responded(
        &mut self,
        flight: &Flight,
        head: (Instant, u16),
        slot: Slot,
        now: Instant,
    ) -> bool {
        let (first_byte, status) = head;
        let index = self.users.request_of(flight.user);
        let Some(request) = self.way.request(index) else { return false };
        let (good, close) = (request.expected.holds(status), request.expect.close);
        let moments = flight.ended(first_byte, now);
        self.recorder.response(&moments, status, good, slot.0);
        self.recorder.row(index, &moments, |row, latency| row.response(latency, good));
        self.users.answered(flight.user, now);
        close
    }

    /// `flight` has no valid response.
    pub(super) fn failed(&mut self, flight: &Flight, trouble: Trouble, slot: Slot, now: Instant) {
        let moments = flight.ended(flight.first_byte, now);
        self.recorder.error(&moments, trouble, slot.0);
        let index = self.users.request_of(flight.user);
        self.recorder.row(index, &moments, Row::error);
        self.users.failed(flight.user);
    }

    /// `flight` was given up in `phase`.
    pub(super) fn timed_out(&mut self, flight: &Flight, phase: Phase, slot: Slot, now: Instant) {
        let moments = flight.ended(flight.first_byte, now);
        self.recorder.timeout(&moments, phase, slot.0);
        let index = self.users.request_of(flight.user);
        self.recorder.row(index, &moments, Row::timeout);
        self.users.failed(flight.user);
    }

    /// `flight` was without an outcome when the run ended.
    pub(super) fn unfinished(&mut self, flight: &Flight, now: Instant) {
        let moments = flight.ended(now, now);
        self.recorder.unfinished(&moments);
        let index = self.users.request_of(flight.user);
        self.recorder.row(index, &moments, Row::unfinished);
        self.users.failed(flight.user);
    }
}
