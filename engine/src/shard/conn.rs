//! The connections of a shard, and what is outstanding on them.
//!
//! ```text
//!             connect                established
//!   Closed ────────────► Connecting ────────────► Open ──┐ requests and responses
//!     ▲ ▲                    │                     │  ▲──┘
//!     │ └──── refused ───────┘                     │
//!     └──────────── ended, broken, timed out ──────┘
//! ```
//!
//! This file knows HTTP and the ledger, but not the reactor: it is told what arrived, and answers
//! whether the connection lives on. The shard does the rest.

use core::num::NonZeroU8;

use pummel_proto_http::h1;
use pummel_proto_http::{Event, Expect, Phase as HttpPhase, Reuse};

use super::deadline::Deadlines;
use super::flight::{Flight, Flights};
use crate::plan::{ExpectedStatus, ShardPlan};
use crate::reactor::{Errno, Slot};
use crate::record::{Cause, Phase, Recorder, Trouble};
use crate::units::Instant;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is none; the shard has it in hand to connect again.
    Closed,
    /// Being established since then.
    Connecting(Instant),
    /// Established.
    Open,
}

/// What a connection has been through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Its first attempt is not over.
    Untried,
    /// It has failed at every address, and was never established.
    Failed,
    /// It was established at least once.
    Opened,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Fate {
    /// It lives on.
    Keep,
    /// The shard closes it.
    Close,
}

/// One connection.
pub(super) struct Connection {
    pub(super) state: State,
    http: h1::Conn,
    /// When the first byte of the response that is arriving was reaped.
    first_byte: Option<Instant>,
    /// Status of the response that is arriving.
    status: u16,
    /// Bytes of the send that is pending, if one is; nothing more may be sent until it is done.
    sending: Option<usize>,
    /// The send failed with this; what the peer has said before may still arrive.
    send_failure: Option<Errno>,
    /// The connection stands in the shard's line of free ones.
    pub(super) in_line: bool,
    /// Since when it has had room for a request.
    pub(super) free_since: Instant,
    pub(super) past: Past,
    /// Attempts since the peer last sent anything, which bound how soon the next one may follow.
    pub(super) attempts: u8,
    /// Which of the target's addresses is tried.
    pub(super) address: usize,
}

/// The connections of a shard with their outstanding requests.
pub(super) struct Traffic {
    connections: Box<[Connection]>,
    flights: Flights,
    /// From the sending on.
    timeouts: Deadlines,
    /// From the intended start on.
    deadlines: Option<Deadlines>,
    /// The last response head, of whichever connection.
    recall: h1::Recall,
    pub(super) recorder: Recorder,
    /// Connections that are established.
    open: u32,
    outstanding: u32,
    depth: NonZeroU8,
    expect: Expect,
    expected: ExpectedStatus,
}

impl Traffic {
    /// The tables for the connections of `plan`; all memory is taken here.
    pub(super) fn new(plan: &ShardPlan, recorder: Recorder) -> Self {
        let depth = plan.plan.depth();
        let connections = plan.room.get();
        let flights = Flights::new(connections, u32::from(depth.get()));
        let deadline = plan.plan.timeouts.deadline.filter(|_| plan.plan.load.is_open());
        Self {
            connections: (0..connections).map(|_| Connection::new(depth)).collect(),
            timeouts: Deadlines::new(flights.places(), plan.plan.timeouts.request),
            deadlines: deadline.map(|span| Deadlines::new(flights.places(), span)),
            flights,
            recall: h1::Recall::new(),
            recorder,
            open: 0,
            outstanding: 0,
            depth,
            expect: plan.plan.target.request.expects(),
            expected: plan.plan.target.expected.clone(),
        }
    }

    pub(super) fn get(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.connections.get_mut(slot.index())
    }

    /// Established connections.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Requests without an outcome.
    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// When the next request times out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.deadlines.as_ref().and_then(Deadlines::next);
        [self.timeouts.next(), deadline].into_iter().flatten().min()
    }

    /// Requests that may start on `slot` now.
    pub(super) fn room(&self, slot: Slot) -> u32 {
        match self.connections.get(slot.index()) {
            Some(c)
                if c.state == State::Open && c.sending.is_none() && c.send_failure.is_none() =>
            {
                c.http.capacity()
            }
            _ => 0,
        }
    }

    /// A request starts on `slot`, which has room.
    pub(super) fn start(&mut self, slot: Slot, flight: Flight) {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return };
        let started = connection.http.start(self.expect);
        debug_assert!(started.is_ok(), "there was room");
        if let Some(place) = self.flights.push(slot.index(), flight) {
            self.timeouts.arm(place, flight.written);
            if let Some(deadlines) = &mut self.deadlines {
                // Slots are taken in the order of their intended starts.
                deadlines.arm(place, flight.intended);
            }
            self.outstanding += 1;
            self.recorder.started(&flight.ended(flight.written, flight.written));
        }
    }

    /// `bytes` were handed over on `slot`; `pending` says that the kernel is not done with them.
    pub(super) fn sent(&mut self, slot: Slot, bytes: usize, pending: bool) {
        if !pending {
            self.recorder.sent(bytes as u64);
        } else if let Some(connection) = self.get(slot) {
            connection.sending = Some(bytes);
        }
    }

    /// The pending send of `slot` is done.
    pub(super) fn send_done(&mut self, slot: Slot) {
        if let Some(bytes) = self.get(slot).and_then(|connection| connection.sending.take()) {
            self.recorder.sent(bytes as u64);
        }
    }

    /// `slot` is established since `now`.
    pub(super) fn established(&mut self, slot: Slot, now: Instant) {
        let depth = self.depth;
        let Some(connection) = self.get(slot) else { return };
        let State::Connecting(since) = connection.state else { return };
        let again = connection.past == Past::Opened;
        connection.state = State::Open;
        connection.past = Past::Opened;
        connection.http = h1::Conn::new(depth);
        self.open += 1;
        self.recorder.connected(now.since(since), again);
    }

    /// `bytes` arrived on `slot`.
    pub(super) fn receive(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> Fate {
        self.recorder.received(bytes.len() as u64);
        let mut input = bytes;
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        connection.first_byte.get_or_insert(now);
        connection.attempts = 0;
        loop {
            let Some(connection) = self.connections.get_mut(slot.index()) else {
                return Fate::Keep;
            };
            match connection.http.receive(&mut input, &mut self.recall) {
                Ok(Some(Event::Head(head))) => connection.status = head.status,
                Ok(Some(Event::Body(_))) => {}
                // Not the response that the request waits for.
                Ok(Some(Event::Interim { .. })) => {
                    connection.first_byte = (!input.is_empty()).then_some(now);
                }
                Ok(Some(Event::Done(done))) => {
                    self.complete(slot, now);
                    if done.reuse == Reuse::Close {
                        if !self.expect.close {
                            self.recorder.closed_by_peer();
                        }
                        self.abandon(slot, Cause::LeftBehind, now);
                        return Fate::Close;
                    }
                }
                Ok(None) => return self.after_input(slot),
                Err(error) => {
                    let phase = phase_of(connection.http.phase());
                    self.fail(slot, phase, Cause::Protocol(error.kind()), now);
                    return Fate::Close;
                }
            }
        }
    }

    /// The peer closed its side of `slot`.
    pub(super) fn ended(&mut self, slot: Slot, now: Instant) -> Fate {
        self.recorder.closed_by_peer();
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        let phase = phase_of(connection.http.phase());
        let cause = connection.send_failure.map_or(Cause::Closed, Cause::System);
        // What lasts until the close is complete now.
        if let Ok(Some(Event::Done(_))) = connection.http.receive_end() {
            self.complete(slot, now);
        } else if phase != Phase::Idle {
            self.fail(slot, phase, cause, now);
            return Fate::Close;
        }
        self.abandon(slot, Cause::Closed, now);
        Fate::Close
    }

    /// Receiving on `slot` failed.
    pub(super) fn broken(&mut self, slot: Slot, errno: Errno, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        let phase = phase_of(connection.http.phase());
        self.fail(slot, phase, Cause::System(errno), now);
        Fate::Close
    }

    /// Sending on `slot` failed. If that is because the peer has closed, it may have answered
    /// before, so what it said is read first: the receive that is armed will bring it, and then its
    /// end.
    pub(super) fn send_failed(&mut self, slot: Slot, errno: Errno, now: Instant) -> Fate {
        if [Errno::BROKEN_PIPE, Errno::RESET].contains(&errno) {
            if let Some(connection) = self.get(slot) {
                connection.send_failure = Some(errno);
            }
            return Fate::Keep;
        }
        self.fail(slot, Phase::Send, Cause::System(errno), now);
        Fate::Close
    }

    /// The connection whose oldest request has waited long enough at `now`; that request is
    /// accounted for, and the shard closes the connection.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Slot> {
        let late = self.deadlines.as_ref().and_then(|deadlines| deadlines.expired(now));
        let connection = self.flights.connection_of(self.timeouts.expired(now).or(late)?);
        let slot = Slot(u32::try_from(connection).ok()?);
        let state = self.connections.get_mut(connection)?;
        // A slow server is not a dead one: the connection is replaced at once.
        state.attempts = 0;
        let phase =
            if state.sending.is_some() { Phase::Send } else { phase_of(state.http.phase()) };
        if let Some(errno) = state.send_failure {
            self.fail(slot, Phase::Send, Cause::System(errno), now);
        } else if let Some(flight) = self.land(slot) {
            let first_byte = self.first_byte(slot).unwrap_or(now);
            self.recorder.timeout(&flight.ended(first_byte, now), phase, slot.0);
        }
        self.abandon(slot, Cause::Abandoned, now);
        Some(slot)
    }

    /// `slot` was closed by the shard. Nothing may be outstanding on it.
    pub(super) fn closed(&mut self, slot: Slot) {
        let Some(connection) = self.get(slot) else { return };
        let was_open = connection.state == State::Open;
        connection.state = State::Closed;
        connection.sending = None;
        connection.send_failure = None;
        connection.first_byte = None;
        self.open -= u32::from(was_open);
    }

    /// Gives up what is outstanding at the end of the run.
    pub(super) fn leave_unfinished(&mut self, now: Instant) {
        for slot in (0..).map(Slot).take(self.connections.len()) {
            while let Some(flight) = self.land(slot) {
                self.recorder.unfinished(&flight.ended(now, now));
            }
        }
    }

    /// The oldest request of `slot` has its response.
    fn complete(&mut self, slot: Slot, now: Instant) {
        let Some(flight) = self.land(slot) else { return };
        let Some(connection) = self.connections.get_mut(slot.index()) else { return };
        // The first byte of the next response, if it came in the same batch of bytes.
        let first_byte = connection.first_byte.replace(now).unwrap_or(now);
        let status = connection.status;
        let good = self.expected.holds(status);
        self.recorder.response(&flight.ended(first_byte, now), status, good, slot.0);
    }

    /// All input was consumed: a connection between responses has no first byte yet.
    fn after_input(&mut self, slot: Slot) -> Fate {
        if let Some(connection) = self.connections.get_mut(slot.index())
            && matches!(connection.http.phase(), HttpPhase::Idle | HttpPhase::AwaitingHead)
        {
            connection.first_byte = None;
        }
        Fate::Keep
    }

    /// The oldest request of `slot` failed with `cause` in `phase`, and all younger ones with it.
    fn fail(&mut self, slot: Slot, phase: Phase, cause: Cause, now: Instant) {
        let trouble = Trouble { phase, cause };
        let first_byte = self.first_byte(slot).unwrap_or(now);
        match self.land(slot) {
            Some(flight) => self.recorder.error(&flight.ended(first_byte, now), trouble, slot.0),
            None => self.recorder.connection_trouble(trouble),
        }
        let younger = if cause == Cause::Closed { cause } else { Cause::Abandoned };
        self.abandon(slot, younger, now);
    }

    /// All that is outstanding on `slot`, and of whose answers nothing has arrived, ends with an
    /// error.
    fn abandon(&mut self, slot: Slot, cause: Cause, now: Instant) {
        let trouble = Trouble { phase: Phase::Wait, cause };
        while let Some(flight) = self.land(slot) {
            self.recorder.error(&flight.ended(now, now), trouble, slot.0);
        }
    }

    /// When the first byte of the response that is arriving on `slot` was reaped.
    fn first_byte(&self, slot: Slot) -> Option<Instant> {
        self.connections.get(slot.index())?.first_byte
    }

    /// Takes the oldest request of `slot` out of flight.
    fn land(&mut self, slot: Slot) -> Option<Flight> {
        let (place, flight) = self.flights.pop(slot.index())?;
        self.timeouts.disarm(place);
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.disarm(place);
        }
        self.outstanding -= 1;
        Some(flight)
    }
}

impl Connection {
    fn new(depth: NonZeroU8) -> Self {
        Self {
            state: State::Closed,
            http: h1::Conn::new(depth),
            first_byte: None,
            status: 0,
            sending: None,
            send_failure: None,
            in_line: false,
            free_since: Instant::from_origin(0),
            past: Past::Untried,
            attempts: 0,
            address: 0,
        }
    }
}

fn phase_of(phase: HttpPhase) -> Phase {
    match phase {
        HttpPhase::Idle => Phase::Idle,
        HttpPhase::AwaitingHead => Phase::Wait,
        HttpPhase::Head => Phase::Head,
        HttpPhase::Body => Phase::Body,
    }
}
