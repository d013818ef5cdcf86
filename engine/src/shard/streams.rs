//! HTTP/2 on a connection: answers by stream, in any order.

use pummel_proto_http::h2::{Event, Tag};

use super::conn::{Fate, Http, phase_of};
use super::flight::Flight;
use super::traffic::Traffic;
use crate::reactor::Slot;
use crate::record::{Cause, Phase, Trouble};
use crate::units::Instant;

/// Responses to the same request that resemble each other: asked for together, and come together.
/// Where there are many streams, nearly all of a batch do, and cost the books no more than one.
struct Alike {
    flight: Flight,
    count: u64,
}

impl Traffic {
    /// `bytes` of frames arrived on `slot`.
    pub(super) fn read_streams(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> Fate {
        let mut answered = None;
        let fate = self.read_frames(slot, bytes, &mut answered, now);
        self.book(answered.as_ref(), slot, now);
        fate
    }

    /// The same; those that were `answered` last are still to be booked.
    fn read_frames(
        &mut self,
        slot: Slot,
        bytes: &[u8],
        answered: &mut Option<Alike>,
        now: Instant,
    ) -> Fate {
        let mut input = bytes;
        if let Some(connection) = self.get(slot) {
            connection.heard = now;
        }
        let row = self.flights.place(slot.index(), 0);
        loop {
            let Some(connection) = self.connections.get_mut(slot.index()) else {
                return Fate::Keep;
            };
            let Http::Two(http) = &mut connection.http else { return Fate::Keep };
            let place = |tag: Tag| row + usize::from(tag.0);
            match http.receive(&mut input) {
                Ok(Some(Event::Head { tag, status })) => {
                    connection.attempts = 0;
                    connection.outgoing.unproven = false;
                    let Some(flight) = self.flights.at(place(tag)) else { continue };
                    (flight.status, flight.first_byte) = (status, now);
                    if self.looks.any() {
                        let needs = self.way.needs(self.users.asked_by(flight.user), status);
                        self.looks.begin(Some(place(tag)), needs, None, http.fields());
                    }
                }
                Ok(Some(Event::Body { tag, bytes })) => {
                    if self.looks.any() {
                        self.looks.add(Some(place(tag)), bytes);
                    }
                }
                Ok(Some(Event::Interim { .. } | Event::Settled)) => {}
                Ok(Some(Event::Done { tag })) => {
                    self.answered(slot, (place(tag), None), answered, now);
                }
                Ok(Some(Event::Whole { tag, status })) => {
                    connection.attempts = 0;
                    connection.outgoing.unproven = false;
                    self.answered(slot, (place(tag), Some(status)), answered, now);
                }
                Ok(Some(event)) => self.unanswered(slot, &event, now),
                Ok(None) => break,
                Err(error) => {
                    self.fail(slot, Phase::Wait, Cause::Protocol(error.kind()), now);
                    return Fate::Close;
                }
            }
        }
        let over = self.get(slot).is_some_and(|connection| connection.is_over());
        if over { Fate::Close } else { Fate::Keep }
    }

    /// The request with this `index` starts on a stream of `slot`; returns its place.
    pub(super) fn start_stream(&mut self, slot: Slot, index: u16, flight: Flight) -> Option<usize> {
        let connection = self.connections.get_mut(slot.index())?;
        let Http::Two(http) = &mut connection.http else { return None };
        let tag = http.start(index).ok()?;
        let place = self.flights.put(slot.index(), tag.0, &flight)?;
        let request = self.way.rendered.get(usize::from(index));
        if let (Some(slip), Some(request)) = (self.slips.get_mut(place), request)
            && !request.fill(&self.users.values(flight.user), slip)
        {
            self.too_long.push((slot, tag));
        }
        Some(place)
    }

    /// Ends a request that has started and turned out to be longer than can be sent; returns whose
    /// connection it was. Nothing of it has been written.
    pub(super) fn end_too_long(&mut self, now: Instant) -> Option<Slot> {
        let (slot, tag) = self.too_long.pop()?;
        let place = self.flights.place(slot.index(), tag.0);
        if let Some(Http::Two(http)) = self.get(slot).map(|connection| &mut connection.http) {
            http.cancel(tag);
        }
        if let Some(flight) = self.land_at(place) {
            let trouble = Trouble { phase: Phase::Send, cause: Cause::TooLong };
            self.failed(&flight.heard(now), trouble, slot, now);
        }
        Some(slot)
    }

    /// The request at `place` has its response, which is booked at once or with others; `whole` is
    /// its status where its head comes with its end.
    fn answered(
        &mut self,
        slot: Slot,
        (place, whole): (usize, Option<u16>),
        before: &mut Option<Alike>,
        now: Instant,
    ) {
        let Some(mut flight) = self.land_at(place) else { return };
        if let Some(status) = whole {
            (flight.status, flight.first_byte) = (status, now);
        }
        if !self.are_alike() {
            self.responded(&flight, (place, flight.status), slot, now);
            return;
        }
        match before {
            Some(alike) if alike.flight.resembles(&flight) => alike.count += 1,
            before => {
                let others = before.replace(Alike { flight, count: 1 });
                self.book(others.as_ref(), slot, now);
            }
        }
    }

    /// Books responses on `slot` that came together.
    fn book(&mut self, alike: Option<&Alike>, slot: Slot, now: Instant) {
        if let Some(Alike { flight, count }) = alike
            && let Some(request) = self.way.request(0)
        {
            let outcome = (flight.status, request.expected.holds(flight.status));
            let moments = flight.ended(flight.first_byte, now);
            self.recorder.responses(&moments, outcome, slot.0, *count);
        }
    }

    /// Something happened that is not a part of a response.
    #[cold]
    fn unanswered(&mut self, slot: Slot, event: &Event<'_>, now: Instant) {
        let place = |tag: &Tag| self.flights.place(slot.index(), tag.0);
        match event {
            Event::Reset { tag, processed: false, .. } => {
                let place = place(tag);
                self.recorder.multiplexed().refused += 1;
                self.again(slot, place, now);
            }
            Event::NotProcessed { tag, written: false } => self.return_unsent(place(tag)),
            Event::NotProcessed { tag, written: true } => {
                let place = place(tag);
                self.recorder.multiplexed().beyond_goaway += 1;
                self.again(slot, place, now);
            }
            Event::Reset { tag, code, .. } => {
                self.stream_failed(slot, place(tag), Cause::Reset(*code), now);
            }
            Event::Malformed { tag, error } => {
                self.stream_failed(slot, place(tag), Cause::Protocol(error.kind()), now);
            }
            Event::GoAway { code } => {
                self.recorder.multiplexed().goaway(*code);
                if let Some(connection) = self.get(slot)
                    && !core::mem::replace(&mut connection.spent, true)
                {
                    connection.leaving = true;
                    self.recorder.connections().closed_by_peer += 1;
                }
            }
            Event::Settled
            | Event::Interim { .. }
            | Event::Head { .. }
            | Event::Body { .. }
            | Event::Done { .. }
            | Event::Whole { .. } => {}
        }
    }

    /// One stream failed, and the connection goes on.
    fn stream_failed(&mut self, slot: Slot, place: usize, cause: Cause, now: Instant) {
        let Some(flight) = self.land_at(place) else { return };
        let phase = if flight.status == 0 { Phase::Wait } else { Phase::Body };
        let trouble = Trouble { phase, cause };
        self.failed(&flight, trouble, slot, now);
    }

    /// The request at `place` has waited long enough. Its stream is called off; but where it has
    /// been `silent` for the whole timeout, and nothing at all has arrived since it was sent, it is
    /// the connection that is dead.
    pub(super) fn expire_stream(
        &mut self,
        slot: Slot,
        place: usize,
        silent: bool,
        now: Instant,
    ) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        let Http::Two(http) = &mut connection.http else { return Fate::Close };
        let tag = Tag(self.flights.position_of(place));
        let unsent = connection.outgoing.failure.is_some() || !http.is_sent(tag);
        let phase = if unsent { Phase::Send } else { phase_of(http.phase(tag)) };
        http.cancel(tag);
        let heard = connection.heard;
        let Some(flight) = self.land_at(place) else { return Fate::Close };
        let first_byte = if flight.status == 0 { now } else { flight.first_byte };
        self.timed_out(&flight.heard(first_byte), phase, slot, now);
        if silent && heard <= flight.sent().unwrap_or(flight.written) {
            self.abandon_dead(slot, now);
            return Fate::Close;
        }
        let over = self.get(slot).is_some_and(|connection| connection.is_over());
        if over { Fate::Close } else { Fate::Keep }
    }
}
