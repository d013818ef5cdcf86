//! Bytes that are made during the run: handshakes, frames, everything over TLS.
//!
//! A request in the clear over HTTP/1.x never changes, and is sent by reference. All else is
//! written into a page of the reactor right before the shard waits, once per turn and connection,
//! so that whatever a turn has to say to a server goes out in one send.

use pummel_proto_http::Stored;
use pummel_proto_http::h2::{self, Lent, TunnelEvent};

use super::conn::{Fate, Http, Outgoing, State, Step, phase_of};
use super::opening::unready;
use super::prepared::Prepared;
use super::traffic::{End, Traffic};
use super::user::User;
use super::{Cause, Shard};
use crate::reactor::{Close, Confirm, PAGE, Reactor, SILENT_BYTES_MAX, Sending, Slot};
use crate::record::{Phase, TlsTrouble};
use crate::tls::{Progress, sealed_len};
use crate::units::Instant;

/// What TLS adds, at most, to what it seals in one go.
const SEAL: usize = sealed_len(PAGE) - PAGE;

impl<R: Reactor> Shard<R> {
    /// Notes that `slot` may have something to say.
    pub(super) fn listen_to(&mut self, slot: Slot) {
        if let Some(connection) = self.traffic.get(slot)
            && connection.has_to_say()
            && !connection.outgoing.listed
        {
            connection.outgoing.listed = true;
            self.talkers.push_back(slot);
        }
    }

    /// Sends a page of what each connection has to say. Whoever is not done with that, and may go
    /// on at once, has its turn again after a look at everything else.
    pub(super) fn transmit(&mut self, now: Instant) {
        for _ in 0..self.talkers.len() {
            let Some(slot) = self.talkers.pop_front() else { return };
            if let Some(connection) = self.traffic.get(slot) {
                connection.outgoing.listed = false;
            }
            self.say(slot, now);
        }
    }

    /// Sends a page of what `slot` has to say, if its last one is on its way.
    fn say(&mut self, slot: Slot, now: Instant) {
        let Some(connection) = self.traffic.get(slot) else { return };
        let connected = matches!(connection.state, State::Opening(_) | State::Open);
        let free = connection.outgoing.sending.is_none() && connection.outgoing.failure.is_none();
        if !connected || !free {
            return;
        }
        let mut page = self.reactor.page();
        let written = self.traffic.write(slot, &mut page);
        let len = page.len();
        if len == 0 {
            self.reactor.give_page(page);
        } else {
            self.begin_step(slot);
            let confirm = self.traffic.confirm(slot, len);
            let pending = self.reactor.send_page(slot, page, confirm) == Sending::Pending;
            self.traffic.sent(slot, len, pending);
            // What is pending reports when it is done, and then there is a turn for the rest.
            if !pending {
                self.listen_to(slot);
            }
        }
        if let Err(trouble) = written {
            let fate = self.traffic.unsealed(slot, trouble, now);
            self.settle(slot, fate, now);
        } else if self.traffic.get(slot).is_some_and(|connection| connection.is_worn_out()) {
            self.close(slot, now);
        }
    }

    /// The clock of a handshake begins with its first byte, and not with the arithmetic before it,
    /// of this connection and of all that were established together.
    fn begin_step(&mut self, slot: Slot) {
        let Some(connection) = self.traffic.get(slot) else { return };
        if let State::Opening(opening) = &mut connection.state
            && !opening.begun
        {
            opening.begun = true;
            opening.began = self.reactor.clock();
        }
    }

    /// Says farewell on `slot`, which is about to be closed: why, in HTTP/2, and that this is the
    /// end, in TLS.
    pub(super) fn take_leave(&mut self, slot: Slot) {
        let Some(connection) = self.traffic.get(slot) else { return };
        let plain = connection.tls.is_none() && connection.tunnel.is_none();
        let silent = plain && matches!(connection.http, Http::One(_));
        let free = connection.outgoing.sending.is_none() && connection.outgoing.failure.is_none();
        if silent || !free || self.plan.plan.wire.close == Close::Reset {
            return;
        }
        if let Http::Two(http) = &mut connection.http {
            http.close();
        }
        let mut page = self.reactor.page();
        // Whoever closes does not mind if that cannot be said.
        let _unsaid = self.traffic.write(slot, &mut page);
        self.traffic.write_end(slot, &mut page);
        let len = page.len();
        if len == 0 {
            self.reactor.give_page(page);
        } else {
            // If the last request did not get through, it does not matter any more what does.
            let _pending = self.reactor.send_page(slot, page, Confirm::Always);
            self.traffic.recorder.sent(len as u64);
        }
    }
}

impl Traffic {
    /// The request of `user` has started on `slot`, and is to be written there; `count` times, if
    /// there is only one.
    pub(super) fn owe(&mut self, slot: Slot, user: User, count: u32) {
        let index = self.users.request_of(user);
        let Some(Prepared { serial, stored, .. }) = self.way.request(index) else { return };
        let Some(connection) = self.connections.get_mut(slot.index()) else { return };
        let outgoing = &mut connection.outgoing;
        outgoing.asks = true;
        if matches!(connection.http, Http::Two(_)) {
            return;
        }
        if let Some(only) = &self.way.only {
            outgoing.owed += only.len() * count as usize;
            return;
        }
        if outgoing.owed == 0 {
            outgoing.requests.clear();
        }
        let before = outgoing.requests.len();
        serial.fill(&self.users.values(user), &mut outgoing.requests);
        outgoing.owed += outgoing.requests.len() - before;
        outgoing.stored.clone_from(stored);
        if let Some(stored) = stored {
            outgoing.owed = outgoing.owed.saturating_add(behind(stored));
        }
    }

    /// How the send of a page of `len` bytes on `slot` is to be reported. Where requests come one
    /// at a time, the answer says that it was sent, and saves a completion.
    fn confirm(&mut self, slot: Slot, len: usize) -> Confirm {
        let one_at_a_time = self.one_at_a_time;
        let Some(connection) = self.get(slot) else { return Confirm::Always };
        let asked = core::mem::take(&mut connection.outgoing.asks);
        let whole = asked && connection.state == State::Open && !connection.has_to_say();
        let small = len <= SILENT_BYTES_MAX && connection.tunnel.is_none();
        if core::mem::replace(&mut connection.outgoing.unproven, false) {
            Confirm::InTurn
        } else if one_at_a_time && whole && small {
            connection.outgoing.unproven = true;
            Confirm::Failure
        } else {
            Confirm::Always
        }
    }

    /// `bytes` were handed over on `slot`; `pending` says that the kernel is not done with them.
    pub(super) fn sent(&mut self, slot: Slot, bytes: usize, pending: bool) {
        if !pending {
            self.recorder.sent(bytes as u64);
        } else if let Some(connection) = self.get(slot) {
            connection.outgoing.sending = Some(bytes);
        }
    }

    /// The pending send of `slot` is done.
    pub(super) fn send_done(&mut self, slot: Slot) {
        if let Some(bytes) = self.get(slot).and_then(|c| c.outgoing.sending.take()) {
            self.recorder.sent(bytes as u64);
        }
    }

    /// Writes what `slot` has to say into the empty `page`, as far as there is room.
    fn write(&mut self, slot: Slot, page: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        let Some(mut tunnel) = self.get(slot).and_then(|c| c.tunnel.take()) else {
            return self.write_plain(slot, page);
        };
        let mut written = Ok(());
        if tunnel.takes() {
            let mut inner = core::mem::take(&mut self.way.inner);
            inner.clear();
            written = self.write_plain(slot, &mut inner);
            tunnel.send(&inner);
            self.way.inner = inner;
        }
        tunnel.transmit(page, PAGE);
        if let Some(connection) = self.get(slot) {
            connection.tunnel = Some(tunnel);
        }
        written
    }

    /// Writes behind all else in `page` that nothing follows on `slot`.
    fn write_end(&mut self, slot: Slot, page: &mut Vec<u8>) {
        let Some(connection) = self.get(slot) else { return };
        let Some(tunnel) = &mut connection.tunnel else {
            if let Some(session) = &mut connection.tls {
                session.close(page);
            }
            return;
        };
        let mut end = Vec::new();
        if let Some(session) = &mut connection.tls {
            session.close(&mut end);
        }
        tunnel.send(&end);
        tunnel.end();
        tunnel.transmit(page, PAGE.saturating_sub(page.len()));
    }

    /// Writes what `slot` has to say, as it would without a tunnel.
    fn write_plain(&mut self, slot: Slot, page: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Ok(()) };
        page.append(&mut connection.outgoing.unsent);
        // A handshake has its own words, and so have the questions for a tunnel and an upgrade.
        let ready = match connection.state {
            State::Opening(opening) => opening.step == Step::Settle,
            state => state == State::Open,
        };
        if !ready {
            return Ok(());
        }
        let room = PAGE.saturating_sub(page.len());
        let Outgoing { requests, owed, stored, .. } = &mut connection.outgoing;
        let serial = self.way.only.as_deref().unwrap_or(requests);
        let stored = stored.as_ref();
        let slips = self.slips.get(self.flights.row(slot.index())).unwrap_or_default();
        let Some(session) = &mut connection.tls else {
            match &mut connection.http {
                Http::One(_) => match stored {
                    Some(stored) => write_stored(serial, stored, owed, (page, room)),
                    None => {
                        copies(serial, owed, room).for_each(|part| page.extend_from_slice(part));
                    }
                },
                Http::Two(http) => http.transmit_with(&self.way.rendered, slips, page, room),
            }
            return Ok(());
        };
        let room = room.saturating_sub(SEAL);
        let written = match &mut connection.http {
            // One request is sealed where it stands, several in as few records as there may be.
            Http::One(_) if *owed <= serial.len() && stored.is_none() => {
                copies(serial, owed, room).try_for_each(|part| session.write(part, page))
            }
            http => {
                let scratch = &mut self.way.scratch;
                scratch.clear();
                match (http, stored) {
                    (Http::One(_), Some(stored)) => {
                        write_stored(serial, stored, owed, (scratch, room));
                    }
                    (Http::One(_), None) => {
                        copies(serial, owed, room).for_each(|part| scratch.extend_from_slice(part));
                    }
                    (Http::Two(http), _) => {
                        http.transmit_with(&self.way.rendered, slips, scratch, room);
                    }
                }
                if scratch.is_empty() { Ok(()) } else { session.write(scratch, page) }
            }
        };
        // Its keys do for what has begun, and for no more.
        connection.spent |= session.is_worn();
        written
    }

    /// Bytes arrived on `slot`, where what is spoken is wrapped up.
    pub(super) fn unwrap(&mut self, slot: Slot, bytes: &mut [u8], now: Instant) -> Fate {
        self.recorder.received(bytes.len() as u64);
        self.unwrap_counted(slot, bytes, now)
    }

    fn unwrap_counted(&mut self, slot: Slot, bytes: &mut [u8], now: Instant) -> Fate {
        match self.get(slot).and_then(|connection| connection.tunnel.take()) {
            None => self.decrypt(slot, bytes, now),
            Some(mut tunnel) => {
                let fate = self.read_tunnel(slot, &mut tunnel, bytes, now);
                if let Some(connection) = self.get(slot) {
                    connection.tunnel = Some(tunnel);
                }
                fate
            }
        }
    }

    /// Frames arrived on `slot`, whose `tunnel` was taken out of it.
    fn read_tunnel(
        &mut self,
        slot: Slot,
        tunnel: &mut h2::Tunnel,
        bytes: &mut [u8],
        now: Instant,
    ) -> Fate {
        let mut input = Lent(bytes);
        loop {
            let fate = match tunnel.receive(&mut input) {
                Ok(None) => return Fate::Keep,
                Ok(Some(TunnelEvent::Open)) => self.through(slot, now),
                Ok(Some(TunnelEvent::Content(bytes))) => self.decrypt(slot, bytes, now),
                Ok(Some(TunnelEvent::Refused(status))) => {
                    unready(Step::Proxy, Cause::Answered(status))
                }
                Ok(Some(TunnelEvent::Ended)) => self.ended(slot, End::Seen, now),
                Ok(Some(TunnelEvent::Reset(code))) => self.torn(slot, Cause::Reset(code), now),
                Err(error) => self.torn(slot, Cause::Protocol(error.kind()), now),
            };
            if fate == Fate::Ready {
                // The rest is for a connection that takes requests, which this one is to become.
                self.way.early_wrapped.clear();
                self.way.early_wrapped.extend_from_slice(input.0);
            }
            if fate != Fate::Keep {
                return fate;
            }
        }
    }

    /// Bytes of the way behind the proxy arrived on `slot`, sealed by TLS as soon as it has begun
    /// there.
    fn decrypt(&mut self, slot: Slot, bytes: &mut [u8], now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        let Some(mut session) = connection.tls.take() else { return self.read(slot, bytes, now) };
        let mut unsent = core::mem::take(&mut connection.outgoing.unsent);
        let handshaking = session.agreed().is_none();
        self.way.early.clear();
        let mut fate = Fate::Keep;
        let progress = session.receive(bytes, &mut unsent, |plain| {
            if handshaking {
                // The server may go on right after its last word of the handshake.
                self.way.early.extend_from_slice(plain);
            } else {
                match fate {
                    Fate::Keep => fate = self.read(slot, plain, now),
                    // What comes behind the word that made it ready.
                    Fate::Ready => self.way.early.extend_from_slice(plain),
                    Fate::Unready(_) | Fate::Close => {}
                }
            }
        });
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        connection.tls = Some(session);
        connection.outgoing.unsent = unsent;
        match progress {
            // The farewell in the same breath is read again with the end of the connection.
            Ok(_) if fate != Fate::Keep => fate,
            Err(_) if matches!(fate, Fate::Unready(_) | Fate::Close) => fate,
            Ok(Progress::Open) if handshaking => match self.secured(slot, now) {
                Fate::Keep => self.read_early(slot, now),
                fate => fate,
            },
            Ok(Progress::Open | Progress::Handshaking) => Fate::Keep,
            Ok(Progress::Ended) => self.ended(slot, End::Said, now),
            Err(trouble) => self.unsealed(slot, trouble, now),
        }
    }

    /// What arrived before `slot` was ready is read now that it is.
    pub(super) fn read_early(&mut self, slot: Slot, now: Instant) -> Fate {
        let mut wrapped = core::mem::take(&mut self.way.early_wrapped);
        if !self.way.early.is_empty() {
            let early = core::mem::take(&mut self.way.early);
            let fate = self.read(slot, &early, now);
            if fate != Fate::Keep {
                return fate;
            }
        }
        if wrapped.is_empty() { Fate::Keep } else { self.unwrap_counted(slot, &mut wrapped, now) }
    }

    /// TLS failed on `slot`.
    pub(super) fn unsealed(&mut self, slot: Slot, trouble: TlsTrouble, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        let cause = Cause::Tls(trouble);
        if let State::Opening(opening) = connection.state {
            return unready(opening.step, cause);
        }
        let phase = match &connection.http {
            Http::One(http) => phase_of(http.phase()),
            Http::Two(_) => Phase::Idle,
        };
        self.fail(slot, phase, cause, now);
        Fate::Close
    }
}

/// The next `room` bytes, at most, of requests of which `owed` bytes are still to be written: parts
/// of `request`, again and again. Takes them off.
fn copies<'r>(
    request: &'r [u8],
    owed: &mut usize,
    mut room: usize,
) -> impl Iterator<Item = &'r [u8]> {
    core::iter::from_fn(move || {
        let len = request.len().max(1);
        // All of them end with the end of a request.
        let left = match *owed % len {
            0 if *owed > 0 => len,
            left => left,
        };
        let part = left.min(room);
        let from = len - left;
        let bytes = request.get(from..from + part).filter(|bytes| !bytes.is_empty())?;
        *owed -= part;
        room -= part;
        Some(bytes)
    })
}

/// How many bytes of a request come behind its head.
fn behind(stored: &Stored) -> usize {
    usize::try_from(stored.length()).unwrap_or(usize::MAX)
}

/// Appends at most `room` bytes of the only request of which `owed` bytes are still to be written
/// to `out`: its `head`, then the body that is `stored`. Takes them off.
fn write_stored(
    head: &[u8],
    stored: &Stored,
    owed: &mut usize,
    (out, room): (&mut Vec<u8>, usize),
) {
    let body = behind(stored);
    let left = owed.saturating_sub(body);
    let part = head.get(head.len().saturating_sub(left)..).unwrap_or_default();
    let part = part.get(..room).unwrap_or(part);
    out.extend_from_slice(part);
    *owed -= part.len();
    if *owed <= body {
        let length = (*owed).min(room - part.len());
        stored.append((body - *owed) as u64, length, out);
        *owed -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_proto_http::BodySource;

    #[test]
    fn requests_are_written_one_after_the_other_whatever_room_there_is() {
        for room in 1..12 {
            let (mut owed, mut written) = (15, Vec::new());
            while owed > 0 {
                for part in copies(b"hello", &mut owed, room) {
                    written.extend_from_slice(part);
                }
            }
            assert_eq!(written, b"hello".repeat(3), "{room}");
        }
    }

    #[test]
    fn a_body_that_is_read_as_it_is_sent_comes_behind_the_head() {
        #[derive(Debug)]
        struct Ten;

        impl BodySource for Ten {
            fn length(&self) -> u64 {
                10
            }

            fn read(&self, from: u64, into: &mut [u8]) {
                let digits = b"0123456789".iter().skip(usize::try_from(from).unwrap());
                into.iter_mut().zip(digits).for_each(|(to, digit)| *to = *digit);
            }

            fn failure(&self) -> Option<&str> {
                None
            }
        }

        for room in 1..20 {
            let stored = Stored::new(Ten);
            let (mut owed, mut written) = (4 + behind(&stored), Vec::new());
            while owed > 0 {
                let mut page = Vec::new();
                write_stored(b"head", &stored, &mut owed, (&mut page, room));
                assert!((1..=room).contains(&page.len()));
                written.append(&mut page);
            }
            assert_eq!(written, b"head0123456789", "{room}");
        }
    }
}
