//! The connections of a shard, and what is outstanding on them.
//!
//! This room knows HTTP, TLS and the ledger, but not the reactor: it is told what arrived, and
//! answers what becomes of the connection. The shard does the rest. What the two versions of HTTP
//! do in their own ways is in `serial` and `streams`, the way to a ready connection in `opening`,
//! what goes out in `outgoing`.

use core::num::NonZeroU8;
use std::io;

use pummel_proto_http::h2::Tag;
use pummel_proto_http::{h1, h2};

use super::again::Again;
use super::conn::{Connection, Fate, Http, Past, State, phase_of};
use super::deadline::Deadlines;
use super::flight::{Flight, Flights, Hops};
use super::look::Looks;
use super::opening::Way;
use super::user::{User, Users};
use super::witness::Witness;
use crate::feed::Tap;
use crate::judge::Needs;
use crate::plan::{Keep, Protocol, ShardPlan};
use crate::reactor::{Errno, Slot};
use crate::record::{Cause, Phase, Recorder, Trouble};
use crate::units::Instant;

/// How the end of a connection became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer has closed it.
    Seen,
    /// The peer has said that it will, in TLS: nothing has been cut off.
    Said,
}

/// How often a request is sent again that the peer did not process. Where a server takes ten
/// requests per connection and says so by a GOAWAY, the same one may be beyond the last of several.
const RETRIES_MAX: u8 = 16;

/// The connections of a shard with their outstanding requests.
pub(super) struct Traffic {
    pub(super) connections: Box<[Connection]>,
    pub(super) flights: Flights,
    /// From the sending on.
    timeouts: Deadlines,
    /// From the intended start on.
    deadlines: Option<Deadlines>,
    /// The same for those that have started before, who come in no order; they are few. Those that
    /// redirects have led on have their timeouts here as well.
    deadlines_again: Option<Deadlines>,
    /// Requests that are to be sent again.
    pub(super) again: Again,
    /// The last response head, of whichever connection.
    pub(super) recall: h1::Recall,
    pub(super) recorder: Recorder,
    pub(super) way: Way,
    /// Connections that are ready.
    open: u32,
    outstanding: u32,
    pub(super) users: Users,
    /// What is kept of responses, by place; nothing where nobody looks.
    pub(super) looks: Looks,
    /// Requests that have started, and are longer than can be sent.
    pub(super) too_long: Vec<(Slot, Tag)>,
    /// The values of requests in HTTP/2, by place; none where they have none.
    pub(super) slips: Vec<h2::Slip>,
    depth: NonZeroU8,
    /// Whether no connection has more than one request outstanding.
    pub(super) one_at_a_time: bool,
}

impl Traffic {
    /// The tables for the connections of `plan`, whose feeds end at `taps`; all memory is taken
    /// here, but for that of TLS and HTTP/2, which comes and goes with the connections.
    ///
    /// # Errors
    /// If TLS cannot be set up as the plan says.
    pub(super) fn new(plan: &ShardPlan, recorder: Recorder, taps: Vec<Tap>) -> io::Result<Self> {
        let depth = plan.plan.depth();
        let wire = &plan.plan.wire;
        // An upgrade has a stream of its own.
        let more = u16::from(wire.protocol == Protocol::Http2Upgrade);
        let streams = wire.streams.saturating_add(more);
        let row = if wire.protocol.may_be_http2() {
            h2::Conn::positions(streams).max(u32::from(depth.get()))
        } else {
            u32::from(depth.get())
        };
        let (room, places) = (plan.room.get(), plan.places());
        let flights = Flights::new(places, row);
        let at_once = if wire.protocol.may_be_http2() {
            u32::from(wire.streams.get().max(u16::from(depth.get())))
        } else {
            u32::from(depth.get())
        };
        let differ = wire.protocol.may_be_http2() && !plan.plan.work.is_constant();
        let slips = if differ { flights.places() } else { 0 };
        let flights_places = flights.places();
        let way = Way::new(&plan.plan)?;
        let keeps_cookies = plan.plan.work.cookies().is_some();
        let looked_at = way.requests.iter().any(|request| request.is_looked_at);
        let looked_at = looked_at || way.trail.is_some();
        let deadline = plan.plan.timeouts.deadline.filter(|_| plan.plan.load.is_open());
        let later = deadline.or(way.trail.is_some().then_some(plan.plan.timeouts.request));
        Ok(Self {
            connections: (0..places).map(|place| Connection::new(depth, place / room)).collect(),
            timeouts: Deadlines::new(flights.places(), plan.plan.timeouts.request),
            deadlines: deadline.map(|span| Deadlines::new(flights.places(), span)),
            deadlines_again: later.map(|span| Deadlines::new(flights.places(), span)),
            flights,
            again: Again::new(plan.plan.servers()),
            recall: h1::Recall::new(),
            recorder,
            way,
            open: 0,
            outstanding: 0,
            users: Users::new(plan, at_once as usize, taps),
            looks: Looks::new(
                if looked_at { flights_places } else { 0 },
                keeps_cookies,
                Witness::of(plan),
            ),
            too_long: Vec::new(),
            slips: vec![h2::Slip::default(); slips],
            depth,
            one_at_a_time: depth.get() == 1 && wire.streams.get() == 1,
        })
    }

    pub(super) fn get(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.connections.get_mut(slot.index())
    }

    /// Ready connections.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Requests without an outcome.
    pub(super) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Those of them that are on a connection, and do not wait to be sent again.
    pub(super) fn in_flight(&self) -> u32 {
        self.outstanding - u32::try_from(self.again.len()).unwrap_or(self.outstanding)
    }

    /// When the next request times out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [&self.deadlines, &self.deadlines_again];
        let [deadline, again] = deadlines.map(|all| all.as_ref().and_then(Deadlines::next));
        let all = [self.timeouts.next(), deadline, again, self.again.next_look()];
        all.into_iter().flatten().min()
    }

    /// Requests that may start on `slot` now.
    pub(super) fn room(&self, slot: Slot) -> u32 {
        self.connections.get(slot.index()).map_or(0, Connection::room)
    }

    /// A request starts on `slot`, which has room.
    pub(super) fn start(&mut self, slot: Slot, flight: Flight) {
        let counted = flight.hops.counted;
        let flight = Flight { hops: Hops { counted: true, ..flight.hops }, ..flight };
        let Some(connection) = self.connections.get_mut(slot.index()) else { return };
        connection.spent |= self.way.keep == Keep::One;
        if !flight.again {
            let moments = (flight.intended, flight.written);
            self.users.make_values(flight.user, moments, &mut self.recorder);
        }
        let index = self.users.request_of(flight.user);
        if self.looks.any() {
            let asked = self.users.asked_by(flight.user);
            let needs = self.way.request(asked).map_or(Needs::NOTHING, |request| request.needs);
            // Among them is what a body is coded in, and where a redirect leads.
            let wanted = needs.fields || needs.body || self.way.trail.is_some();
            connection.http.keep_fields(wanted);
        }
        let place = match &mut connection.http {
            Http::One(http) => {
                let Some(request) = self.way.request(index) else { return };
                let started = http.start(request.expect);
                debug_assert!(started.is_ok(), "there was room");
                self.flights.push(slot.index(), &flight)
            }
            Http::Two(_) => self.start_stream(slot, index, flight),
        };
        let Some(place) = place else {
            debug_assert!(false, "there was room");
            return;
        };
        if self.way.paged {
            self.owe(slot, flight.user, 1);
        }
        self.outstanding += 1;
        if !counted {
            self.count_request(slot);
            if flight.hops.count > 0 {
                self.recorder.redirected(flight.intended, Ok(()));
            }
        }
        if flight.again {
            self.arm_again(place, &flight);
            return;
        }
        self.timeouts.arm(place, flight.written);
        if let Some(deadlines) = self.deadlines.as_mut().filter(|_| !flight.onward) {
            // Slots are taken in the order of their intended starts; who is under way in a scenario
            // has no place in it, and has the timeout.
            deadlines.arm(place, flight.intended);
        }
        self.recorder.started(&flight.ended(flight.written, flight.written), 1);
    }

    /// The same for one that has started before. Where redirects have led it, it is sent anew, and
    /// its time goes on.
    fn arm_again(&mut self, place: usize, flight: &Flight) {
        if flight.hops.count == 0 {
            self.timeouts.arm(place, flight.written);
        }
        if let (Some(until), Some(deadlines)) = (self.end_of(flight), &mut self.deadlines_again) {
            deadlines.arm_until(place, until);
        }
    }

    /// When a request that has started before is given up, if that does not depend on when it is
    /// sent again. Who is under way in a scenario has no deadline.
    fn end_of(&self, flight: &Flight) -> Option<Instant> {
        let deadlines = self.deadlines.as_ref().filter(|_| !flight.onward);
        let deadline = deadlines.map(|deadlines| flight.intended + deadlines.span());
        let timeout = (flight.hops.count > 0).then(|| flight.written + self.timeouts.span());
        [deadline, timeout].into_iter().flatten().min()
    }

    /// Counts a request for the server of `slot`, if there are several.
    fn count_request(&mut self, slot: Slot) {
        if self.way.has_several()
            && let Some(origin) = self.get(slot).map(|connection| connection.origin)
        {
            self.recorder.origin(origin, |reached| reached.requests += 1);
        }
    }

    /// Whether one request is like another: there is one server that is asked for one thing, of
    /// whose responses nothing is looked at but the status.
    #[inline]
    pub(super) fn are_alike(&self) -> bool {
        let uniform = matches!(self.users, Users::Uniform);
        uniform && !self.looks.any() && !self.way.has_several()
    }

    /// `count` requests that are [alike](Self::are_alike) start on `slot`, which has room for them.
    pub(super) fn start_alike(&mut self, slot: Slot, flight: &Flight, count: u32) {
        let mut started = 0;
        let Some(connection) = self.connections.get_mut(slot.index()) else { return };
        let Some(request) = self.way.request(0) else { return };
        connection.spent |= self.way.keep == Keep::One;
        for _ in 0..count {
            let place = match &mut connection.http {
                Http::One(http) => {
                    let started = http.start(request.expect);
                    debug_assert!(started.is_ok(), "there was room");
                    self.flights.push(slot.index(), flight)
                }
                Http::Two(http) => {
                    http.start(0).ok().and_then(|tag| self.flights.put(slot.index(), tag.0, flight))
                }
            };
            let Some(place) = place else {
                debug_assert!(false, "there was room");
                continue;
            };
            self.timeouts.arm(place, flight.written);
            started += 1;
        }
        if self.way.paged {
            self.owe(slot, flight.user, started);
        }
        self.outstanding += started;
        self.recorder.started(&flight.ended(flight.written, flight.written), started.into());
    }

    /// Whether requests wait to be sent again.
    pub(super) fn has_retries(&self) -> bool {
        self.again.len() > 0
    }

    /// Whether a request that has started is to be sent again, or may yet be.
    pub(super) fn goes_on(&self) -> bool {
        self.has_retries() || (self.way.trail.is_some() && self.outstanding > 0)
    }

    /// Ends those that wait to be sent again and have waited long enough. None of them may be
    /// started after that, so this comes before anything starts.
    pub(super) fn expire_retries(&mut self, now: Instant) {
        while let Some(flight) = self.again.next_late(now) {
            self.outstanding -= 1;
            self.timed_out(&flight.heard(now), Phase::Queue, Slot(0), now);
        }
    }

    /// The oldest request that is to be sent to the server `origin` again, `now`.
    pub(super) fn next_retry_to(&mut self, origin: u16, now: Instant) -> Option<Flight> {
        let flight = self.again.pop(origin)?;
        self.outstanding -= 1;
        let written = if flight.hops.count > 0 { flight.written } else { now };
        Some(Flight { written, first_byte: now, status: 0, ..flight })
    }

    /// The number of the server that `user` asks.
    pub(super) fn server_of(&self, user: User) -> u16 {
        self.way.request(self.users.request_of(user)).map_or(0, |request| request.origin)
    }

    /// `slot` is ready for requests since `now`.
    pub(super) fn established(&mut self, slot: Slot, now: Instant) {
        let Some(connection) = self.get(slot) else { return };
        let took = match connection.state {
            State::Connecting(since) => now.since(since),
            State::Opening(opening) => opening.established.since(opening.since),
            State::Closed | State::Open => return,
        };
        let again = connection.past == Past::Opened;
        connection.state = State::Open;
        connection.past = Past::Opened;
        connection.heard = now;
        let origin = connection.origin;
        self.open += 1;
        self.recorder.connected(took, again);
        if self.way.has_several() {
            self.recorder.origin(origin, |reached| reached.connected(again));
        }
    }

    /// Bytes arrived on `slot`, in the clear.
    #[inline]
    pub(super) fn receive(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> Fate {
        self.recorder.received(bytes.len() as u64);
        self.read(slot, bytes, now)
    }

    /// What HTTP has to read arrived on `slot`.
    #[inline]
    pub(super) fn read(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        if connection.state != State::Open {
            return self.open_on(slot, bytes, now);
        }
        match connection.http {
            Http::One(_) => {
                connection.attempts = 0;
                self.read_in_order(slot, bytes, now)
            }
            Http::Two(_) => self.read_streams(slot, bytes, now),
        }
    }

    /// The peer closed its side of `slot`.
    pub(super) fn ended(&mut self, slot: Slot, end: End, now: Instant) -> Fate {
        self.count_end(slot, end);
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        if let (End::Seen, Some(session)) = (end, &mut connection.tls)
            && let Err(trouble) = session.receive_end().and_then(|()| connection.is_complete())
        {
            return self.unsealed(slot, trouble, now);
        }
        if let State::Opening(opening) = connection.state {
            return Fate::Unready(Trouble { phase: opening.step.phase(), cause: Cause::Closed });
        }
        let cause = connection.outgoing.failure.map_or(Cause::Closed, Cause::System);
        match &connection.http {
            Http::One(_) => self.ended_in_order(slot, cause, now),
            Http::Two(http) if http.outstanding() > 0 => {
                self.fail(slot, Phase::Wait, cause, now);
                Fate::Close
            }
            Http::Two(_) => Fate::Close,
        }
    }

    /// Counts the end of `slot`, if it was ready, and the peer has not told of its end before.
    fn count_end(&mut self, slot: Slot, end: End) {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return };
        if connection.state != State::Open || core::mem::replace(&mut connection.leaving, true) {
            return;
        }
        // TLS says when it ends; where it does not, anybody may have ended it.
        let unsaid = end == End::Seen && connection.tls.is_some();
        let lives = self.recorder.connections();
        let count = if unsaid { &mut lives.cut_off } else { &mut lives.closed_by_peer };
        *count += 1;
    }

    /// Receiving on `slot` failed.
    pub(super) fn broken(&mut self, slot: Slot, errno: Errno, now: Instant) -> Fate {
        self.torn(slot, Cause::System(errno), now)
    }

    /// What `slot` lies in is gone.
    pub(super) fn torn(&mut self, slot: Slot, cause: Cause, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Close };
        if let State::Opening(opening) = connection.state {
            return Fate::Unready(Trouble { phase: opening.step.phase(), cause });
        }
        let phase = match &connection.http {
            Http::One(http) => phase_of(http.phase()),
            Http::Two(_) => Phase::Idle,
        };
        self.fail(slot, phase, cause, now);
        Fate::Close
    }

    /// Sending on `slot` failed. If that is because the peer has closed, it may have answered
    /// before, so what it said is read first: the receive that is armed will bring it, and then its
    /// end.
    pub(super) fn send_failed(&mut self, slot: Slot, errno: Errno, now: Instant) -> Fate {
        if [Errno::BROKEN_PIPE, Errno::RESET].contains(&errno) {
            if let Some(connection) = self.get(slot) {
                connection.outgoing.failure = Some(errno);
            }
            return Fate::Keep;
        }
        let cause = Cause::System(errno);
        if let Some(State::Opening(opening)) = self.get(slot).map(|connection| connection.state) {
            return Fate::Unready(Trouble { phase: opening.step.phase(), cause });
        }
        self.fail(slot, Phase::Send, cause, now);
        Fate::Close
    }

    /// The connection whose longest waiting request has waited long enough at `now`, and what
    /// becomes of it; that request is accounted for.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(Slot, Fate)> {
        self.expire_retries(now);
        let late = |all: &Option<Deadlines>| all.as_ref().and_then(|all| all.expired(now));
        let late = late(&self.deadlines).or_else(|| late(&self.deadlines_again));
        let silent = self.timeouts.expired(now);
        let place = silent.or(late)?;
        let silent = silent.is_some() || self.has_led_astray(place, now);
        let slot = Slot(u32::try_from(self.flights.connection_of(place)).ok()?);
        let connection = self.connections.get_mut(slot.index())?;
        // A slow server is not a dead one: the connection is replaced at once.
        connection.attempts = 0;
        let fate = match connection.http {
            Http::One(_) => self.expire_in_order(slot, place, now),
            Http::Two(_) => self.expire_stream(slot, place, silent, now),
        };
        Some((slot, fate))
    }

    /// Whether redirects have led the request at `place` to a server that has had most of the
    /// timeout to answer, and has not begun to.
    fn has_led_astray(&mut self, place: usize, now: Instant) -> bool {
        let span = self.timeouts.span();
        let flight = self.flights.at(place).filter(|flight| flight.hops.count > 0);
        flight.is_some_and(|flight| {
            flight.sent().is_some_and(|sent| now.since(sent).saturating_mul(2) >= span)
        })
    }

    /// `slot` was closed by the shard. Nothing may be outstanding on it. Says whether it was ready.
    pub(super) fn closed(&mut self, slot: Slot) -> bool {
        let depth = self.depth;
        let Some(connection) = self.get(slot) else { return false };
        let was_open = connection.state == State::Open;
        self.note_streams(slot);
        let Some(connection) = self.get(slot) else { return false };
        connection.end(depth);
        self.open -= u32::from(was_open);
        was_open
    }

    /// Notes how many streams the server allowed on `slot`, if that is fewer than were asked for.
    fn note_streams(&mut self, slot: Slot) {
        let asked = u32::from(self.way.streams.get());
        if let Some(Connection { http: Http::Two(http), .. }) = self.connections.get(slot.index())
            && let Some(allowed) = http.streams_allowed().filter(|&allowed| allowed < asked)
        {
            self.recorder.multiplexed().allow(allowed);
        }
    }

    /// Gives up what is outstanding at the end of the run.
    pub(super) fn leave_unfinished(&mut self, now: Instant) {
        for slot in (0..).map(Slot).take(self.connections.len()) {
            self.note_streams(slot);
            let mut from = Tag(0);
            while let Some((_, flight)) = self.land_any(slot, &mut from) {
                self.unfinished(&flight, now);
            }
        }
        while let Some(origin) = self.again.next_server(|_| true)
            && let Some(flight) = self.again.pop(origin)
        {
            self.outstanding -= 1;
            self.unfinished(&flight, now);
        }
        self.users.leave(now, &mut self.recorder);
    }

    /// A request of `slot` failed with `cause` in `phase`, and all others with it: the oldest where
    /// answers come in order, and any of them where they do not; the phase is then its own.
    pub(super) fn fail(&mut self, slot: Slot, phase: Phase, cause: Cause, now: Instant) {
        match self.land_any(slot, &mut Tag(0)) {
            Some((own, flight)) => {
                let first_byte = self.first_byte(slot).unwrap_or(now);
                let trouble = Trouble { phase: own.unwrap_or(phase), cause };
                self.failed(&flight.heard(first_byte), trouble, slot, now);
            }
            None => self.recorder.connection_trouble(Trouble { phase: Phase::Idle, cause }),
        }
        let others = if cause == Cause::Closed { cause } else { Cause::Abandoned };
        self.abandon(slot, others, now);
    }

    /// The same for a connection that is dead, of which no answer can come: whoever has waited for
    /// as long as anybody would is a timeout, and the others end with an error.
    pub(super) fn abandon_dead(&mut self, slot: Slot, now: Instant) {
        let mut from = Tag(0);
        while let Some((phase, flight)) = self.land_any(slot, &mut from) {
            let phase = phase.unwrap_or(Phase::Wait);
            if flight.written + self.timeouts.span() <= now {
                self.timed_out(&flight.heard(now), phase, slot, now);
            } else {
                let trouble = Trouble { phase, cause: Cause::Abandoned };
                self.failed(&flight.heard(now), trouble, slot, now);
            }
        }
    }

    /// All that is outstanding on `slot`, and of whose answers nothing has arrived, ends with an
    /// error.
    pub(super) fn abandon(&mut self, slot: Slot, cause: Cause, now: Instant) {
        let mut from = Tag(0);
        while let Some((phase, flight)) = self.land_any(slot, &mut from) {
            let trouble = Trouble { phase: phase.unwrap_or(Phase::Wait), cause };
            self.failed(&flight.heard(now), trouble, slot, now);
        }
    }

    /// The request at `place` never left, and its connection takes none: it is sent on another one.
    /// That is no retry, for the peer has not heard of it.
    pub(super) fn return_unsent(&mut self, place: usize) {
        if let Some(flight) = self.land_at(place) {
            self.keep_for_later(flight);
        }
    }

    /// The request at `place` of `slot` was not processed by the peer: it is sent again, or ends
    /// with an error if that has been tried often enough.
    pub(super) fn again(&mut self, slot: Slot, place: usize, now: Instant) {
        let Some(flight) = self.land_at(place) else { return };
        if flight.retries == RETRIES_MAX {
            let trouble = Trouble { phase: Phase::Wait, cause: Cause::NotProcessed };
            self.failed(&flight.heard(now), trouble, slot, now);
            return;
        }
        self.recorder.multiplexed().retried += 1;
        self.keep_for_later(Flight { retries: flight.retries + 1, ..flight });
    }

    /// Keeps `flight` until a connection to the server that its user asks is free, or it has waited
    /// long enough.
    pub(super) fn keep_for_later(&mut self, flight: Flight) {
        self.outstanding += 1;
        let until = self.end_of(&flight);
        self.again.push(self.server_of(flight.user), Flight { again: true, ..flight }, until);
    }

    /// When the first byte of the response that is arriving on `slot` was reaped.
    pub(super) fn first_byte(&self, slot: Slot) -> Option<Instant> {
        self.connections.get(slot.index())?.first_byte
    }

    /// Takes the oldest request of `slot` out of flight.
    pub(super) fn land(&mut self, slot: Slot) -> Option<Flight> {
        let (place, flight) = self.flights.pop(slot.index())?;
        self.landed(place);
        Some(flight)
    }

    /// Takes the request at `place` out of flight.
    pub(super) fn land_at(&mut self, place: usize) -> Option<Flight> {
        let flight = *self.flights.at(place)?;
        self.landed(place);
        Some(flight)
    }

    /// Takes a request of `slot` out of flight, if there is one; on HTTP/2 the first one from the
    /// tag `from` on, which moves on, with the phase in which it was.
    fn land_any(&mut self, slot: Slot, from: &mut Tag) -> Option<(Option<Phase>, Flight)> {
        let connection = self.connections.get_mut(slot.index())?;
        let Http::Two(http) = &mut connection.http else {
            return self.land(slot).map(|flight| (None, flight));
        };
        let tag = http.next_tag(*from)?;
        *from = tag;
        let phase = phase_of(http.phase(tag));
        http.cancel(tag);
        let place = self.flights.place(slot.index(), tag.0);
        self.land_at(place).map(|flight| (Some(phase), flight))
    }

    fn landed(&mut self, place: usize) {
        self.timeouts.disarm(place);
        for deadlines in [&mut self.deadlines, &mut self.deadlines_again].into_iter().flatten() {
            deadlines.disarm(place);
        }
        self.outstanding -= 1;
    }
}
