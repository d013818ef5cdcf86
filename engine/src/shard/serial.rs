//! HTTP/1.x on a connection: one answer after the other, in the order of the requests.

use pummel_proto_http::{Event, Phase as HttpPhase, Reuse};

use super::conn::{Fate, Http, phase_of};
use super::traffic::Traffic;
use super::user::User;
use crate::reactor::Slot;
use crate::record::{Cause, Phase, Trouble};
use crate::units::Instant;

impl Traffic {
    /// `bytes` of responses arrived on `slot`.
    pub(super) fn read_in_order(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> Fate {
        let mut input = bytes;
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        connection.first_byte.get_or_insert(now);
        loop {
            let Some(connection) = self.connections.get_mut(slot.index()) else {
                return Fate::Keep;
            };
            let Http::One(http) = &mut connection.http else { return Fate::Keep };
            match http.receive(&mut input, &mut self.recall) {
                Ok(Some(Event::Head(head))) => {
                    connection.status = head.status;
                    connection.outgoing.unproven = false;
                    if self.looks.any() {
                        let place = self.flights.oldest(slot.index());
                        let flight = place.and_then(|place| self.flights.at(place));
                        let user = flight.map_or(User::default(), |flight| flight.user);
                        let needs = self.way.needs(self.users.asked_by(user), head.status);
                        self.looks.begin(place, needs, Some(head.version), http.fields());
                    }
                }
                Ok(Some(Event::Body(bytes))) => {
                    if self.looks.any() {
                        self.looks.add(self.flights.oldest(slot.index()), bytes);
                    }
                }
                // Not the response that the request waits for.
                Ok(Some(Event::Interim { .. })) => {
                    connection.first_byte = (!input.is_empty()).then_some(now);
                }
                Ok(Some(Event::Done(done))) => {
                    let asked_to_close = self.complete(slot, now);
                    if done.reuse != Reuse::Keep {
                        match done.reuse {
                            Reuse::Doubtful => self.recorder.connections().doubtful += 1,
                            _ if asked_to_close => {}
                            _ => self.recorder.connections().closed_by_peer += 1,
                        }
                        self.abandon(slot, Cause::LeftBehind, now);
                        return Fate::Close;
                    }
                }
                Ok(None) => return self.after_input(slot),
                Err(error) => {
                    let phase = phase_of(http.phase());
                    self.fail(slot, phase, Cause::Protocol(error.kind()), now);
                    return Fate::Close;
                }
            }
        }
    }

    /// The peer closed its side of `slot`; `cause` is what that means to a request.
    pub(super) fn ended_in_order(&mut self, slot: Slot, cause: Cause, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        let Http::One(http) = &mut connection.http else { return Fate::Close };
        let phase = phase_of(http.phase());
        // What lasts until the close is complete now.
        if let Ok(Some(Event::Done(_))) = http.receive_end() {
            self.complete(slot, now);
        } else if phase != Phase::Idle {
            self.fail(slot, phase, cause, now);
            return Fate::Close;
        }
        self.abandon(slot, Cause::Closed, now);
        Fate::Close
    }

    /// The request at `place` of `slot` has waited long enough; those before it and behind it end
    /// with the connection.
    pub(super) fn expire_in_order(&mut self, slot: Slot, place: usize, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        let Http::One(http) = &connection.http else { return Fate::Close };
        let sending = connection.outgoing.sending.is_some() || connection.outgoing.owed > 0;
        let mut phase = if sending { Phase::Send } else { phase_of(http.phase()) };
        if let Some(errno) = connection.outgoing.failure {
            self.fail(slot, Phase::Send, Cause::System(errno), now);
        } else {
            let mut first_byte = self.first_byte(slot).unwrap_or(now);
            while self.flights.oldest(slot.index()).is_some_and(|oldest| oldest != place)
                && let Some(flight) = self.land(slot)
            {
                let trouble = Trouble { phase, cause: Cause::Abandoned };
                self.failed(&flight.heard(first_byte), trouble, slot, now);
                // Nothing has come of the next one.
                (phase, first_byte) = (Phase::Wait, now);
            }
            if let Some(flight) = self.land(slot) {
                self.timed_out(&flight.heard(first_byte), phase, slot, now);
            }
        }
        self.abandon(slot, Cause::Abandoned, now);
        Fate::Close
    }

    /// The oldest request of `slot` has its response. Says whether it had asked for the connection
    /// to be closed.
    fn complete(&mut self, slot: Slot, now: Instant) -> bool {
        let place = self.flights.oldest(slot.index());
        let (Some(flight), Some(place)) = (self.land(slot), place) else { return false };
        let Some(connection) = self.connections.get_mut(slot.index()) else { return false };
        // The first byte of the next response, if it came in the same batch of bytes.
        let first_byte = connection.first_byte.replace(now).unwrap_or(now);
        let status = connection.status;
        self.responded(&flight.heard(first_byte), (place, status), slot, now)
    }

    /// All input was consumed: a connection between responses has no first byte yet.
    fn after_input(&mut self, slot: Slot) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        if let Http::One(http) = &connection.http
            && matches!(http.phase(), HttpPhase::Idle | HttpPhase::AwaitingHead)
        {
            connection.first_byte = None;
            let unsent = connection.outgoing.sending.is_some() || connection.outgoing.owed > 0;
            // The answer came before the end of its request, of which nobody may read the rest.
            if unsent && http.outstanding() == 0 {
                return Fate::Close;
            }
        }
        if connection.spent && connection.is_over() { Fate::Close } else { Fate::Keep }
    }
}
