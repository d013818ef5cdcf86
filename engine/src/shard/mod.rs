//! ONE CORE: a shard, with its own reactor, connections and histograms, and nothing shared.
//!
//! [`Shard::run`] is the whole of it: obey, start what is due, expire what is late, wait, take in
//! what happened. Every decision depends on the plan, on the completions and on the time that the
//! reactor tells, so that the same inputs give the same run.

mod again;
mod apart;
mod choice;
mod conn;
mod date;
mod deadline;
mod dial;
mod dials;
mod feed;
mod flight;
mod follow;
mod full;
mod jars;
mod laps;
mod late;
mod lines;
mod look;
pub(crate) mod mailbox;
mod opening;
mod outgoing;
mod patience;
mod prepared;
mod renewal;
mod roam;
mod serial;
mod sign;
mod streams;
mod supply;
mod switch;
#[cfg(test)]
mod tests;
mod traffic;
mod unset;
mod user;
mod values;
mod verdicts;
mod walk;
mod witness;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;

use self::conn::{Fate, State};
use self::dial::Attempt;
use self::dials::Dials;
use self::flight::Flight;
use self::late::HeldUp;
use self::lines::{Lines, Waiting};
use self::mailbox::{Finished, Mailbox, Order, Reply};
use self::patience::{Patience, Wake};
use self::renewal::Renewal;
use self::supply::Supply;
use self::traffic::{End, Traffic};
use crate::feed::Tap;
use crate::plan::{Keep, Load, Plan, ShardPlan};
use crate::reactor::{
    Completion, Confirm, During, Payload, Reactor, SILENT_BYTES_MAX, Sending, Slot,
};
use crate::record::{Cause, Phase as TroublePhase, Recorder, Snapshot, Trouble, Unsent, Window};
use crate::units::{Instant, Nanos};

/// Longest time for which a shard does not look into its mailbox.
pub(crate) const HEARTBEAT: Nanos = Nanos::from_millis(10);

/// Sends that share a moment: after so many the clock is read again, so that the last of them
/// leaves at most about 0.1 ms after the moment that it is recorded with.
const SENDS_PER_TURN: u32 = 32;

/// Longest payload, beyond a single request: a pipeline of large requests is sent in several
/// batches.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// The end of a window that only a number of requests bounds.
const FOREVER: Instant = Instant::from_origin(u64::MAX);

/// How long a closed loop goes on without a single connection before it gives up: there is no
/// schedule that would end it.
const LOST_AFTER: Nanos = Nanos::from_secs(10);

/// How far a shard has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Connections are opened for the first time.
    Opening,
    /// Waits for the start order, and then for the start barrier.
    Ready(Option<Instant>),
    /// Requests start.
    Running,
    /// None starts any more but those which are owed; at this moment the rest is given up.
    Draining(Instant),
    /// Everything has an outcome.
    Done,
}

/// A request, as the reactor holds it.
#[derive(Clone, Copy)]
struct Published {
    payload: Payload,
    /// Bytes of one request.
    len: usize,
}

/// A shard on the reactor `R`.
pub(crate) struct Shard<R> {
    reactor: R,
    plan: ShardPlan,
    mailbox: Mailbox,
    traffic: Traffic,
    dialler: Dials,
    renewal: Renewal,
    supply: Supply,
    patience: Patience,
    phase: Phase,
    /// Connections that may have room for a request.
    lines: Lines,
    /// Connections that have something to say beyond it.
    talkers: VecDeque<Slot>,
    /// The requests by index, as often as may be sent at once; none where each is written anew.
    payloads: Vec<Published>,
    /// Requests that may be sent at once.
    batch: u32,
    /// Room that a connection must have before it is given requests. A closed loop fills a pipeline
    /// up when half of it is free: one send for each answer would cost the kernel as much as no
    /// pipeline at all.
    refill: u32,
    barrier: Instant,
    last_open: Instant,
    last_outcome: Instant,
    /// When the batch of the last turn was reaped, and whether there was one.
    reaped: (Instant, bool),
    held_up: HeldUp,
    /// Requests that have been sent without a look at anything else.
    burst: u64,
    target_lost: bool,
}

impl<R: Reactor> Shard<R> {
    /// Prepares a shard; nothing is connected yet.
    ///
    /// # Errors
    /// If the reactor does not take the request, or TLS cannot be set up.
    pub(crate) fn new(
        plan: ShardPlan,
        mut reactor: R,
        mailbox: Mailbox,
        taps: Vec<Tap>,
    ) -> io::Result<Self> {
        let open_loop = matches!(plan.plan.load, Load::Open { .. });
        let work = &plan.plan.work;
        let empty = Snapshot::new(work.rows().len(), work.looked_for().len());
        let empty = Box::new(empty.with(work.feeds().len(), work.flows().len()));
        let traffic = Traffic::new(&plan, Recorder::new(empty, open_loop), taps)?;
        let longest = traffic.way.requests.iter().map(|request| request.bytes().len()).max();
        let (batch, refill) = portions(&plan.plan, longest.unwrap_or_default());
        let published = traffic.way.requests.iter().filter(|_| !traffic.way.paged);
        // The depth looks at all requests, so it is asked for once and not for each of them.
        let in_turn = plan.plan.depth().get() == 1;
        let payloads = published.map(|one| publish(&mut reactor, &one.bytes(), batch, in_turn));
        let payloads = payloads.collect::<io::Result<_>>()?;
        let now = reactor.clock();
        Ok(Self {
            traffic,
            dialler: Dials::new(&plan),
            renewal: Renewal::new(&plan),
            supply: Supply::new(&plan),
            patience: Patience::new(&plan.plan),
            phase: Phase::Opening,
            lines: Lines::new(plan.plan.servers(), plan.room.get() as usize, plan.plan.is_apart()),
            talkers: VecDeque::with_capacity(plan.places() as usize),
            payloads,
            batch,
            refill,
            barrier: now,
            last_open: now,
            last_outcome: now,
            reaped: (now, false),
            held_up: HeldUp::NEVER,
            burst: 0,
            target_lost: false,
            reactor,
            plan,
            mailbox,
        })
    }

    /// Runs to the end of the plan.
    ///
    /// # Errors
    /// If the kernel refuses to wait.
    pub(crate) fn run(mut self, pinned: bool) -> io::Result<()> {
        while !self.is_done() {
            self.turn()?;
        }
        self.finish(pinned);
        Ok(())
    }

    /// Whether the plan is at its end, so that nothing is left but to finish.
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// One round: start what is due, wait, take in what happened.
    ///
    /// # Errors
    /// If the kernel refuses to wait.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        let now = self.reactor.clock();
        let (reaped, busy) = self.reaped;
        if busy {
            self.traffic.recorder.reaped(now.since(reaped));
        }
        self.note_hold_up(reaped, now);
        self.obey(now);
        while self.proceed(now) {}
        if let Some(switch) = self.mailbox.due(now) {
            self.switch(*switch, now);
        }
        let mut more = self.start_due(now);
        while let Some(slot) = self.traffic.end_too_long(now) {
            self.enter_line(slot, now);
            more = true;
        }
        let outstanding = self.traffic.outstanding();
        self.expire(now);
        self.renew(now);
        self.dial(now);
        self.transmit(now);
        let more = more || !self.talkers.is_empty();
        let wake = if more { Wake::at(self.reactor.now()) } else { self.next_wake(now) };
        self.patience.wait(&mut self.reactor, wake, now)?;
        let mut completed = false;
        while let Some(completion) = self.reactor.pop() {
            self.take_in(completion);
            completed = true;
        }
        let woken = self.reactor.now();
        self.patience.woken(woken, completed);
        self.note_hold_up(now.max(wake.first()), woken);
        self.reaped = (woken, completed);
        if self.traffic.outstanding() < outstanding {
            self.last_outcome = self.reactor.now();
        }
        Ok(())
    }

    fn note_hold_up(&mut self, from: Instant, to: Instant) {
        if self.held_up.note(from, to) {
            self.traffic.recorder.held_up(from, to);
        }
    }

    /// Does what the coordinator asks for.
    fn obey(&mut self, now: Instant) {
        if self.mailbox.abandoned() {
            self.stop(now, Nanos::ZERO);
        }
        let mut offered = None;
        while let Some(order) = self.mailbox.order() {
            match order {
                Order::Start(barrier) => self.phase = Phase::Ready(Some(barrier)),
                Order::Exchange(empty) => offered = Some(empty),
                Order::Readdress(origin, addresses) => {
                    self.dialler.readdress((origin, addresses), &mut self.traffic);
                }
                Order::Switch(switch) => self.mailbox.keep(switch),
                Order::Stop(patience) => self.stop(now, patience),
            }
        }
        // At last, because a change that was ordered says what the schedule is.
        if let Some(empty) = offered {
            self.account_schedule(now);
            let full = self.traffic.recorder.exchange(empty);
            let effort = self.patience.effort(&self.reactor);
            self.mailbox.reply(Reply::Envelope(full, effort));
        }
    }

    /// Moves on to the next phase if its time has come; says whether it had.
    fn proceed(&mut self, now: Instant) -> bool {
        let before = self.phase;
        match self.phase {
            Phase::Opening => {
                if self.traffic.users.are_primed()
                    && let Some(opened) = self.dialler.opened()
                {
                    self.phase = Phase::Ready(None);
                    self.mailbox.reply(Reply::Opened(opened));
                }
            }
            Phase::Ready(Some(barrier)) if now >= barrier => self.begin(barrier, now),
            Phase::Running => {
                let window = self.traffic.recorder.window();
                let over = now >= window.to || self.supply.exhausted(now, window);
                let over = over || self.has_tried_all() || self.is_fed_out(now);
                if over || self.lost_target(now) {
                    // The last slot may be sent long before the window ends.
                    let scheduled = matches!(self.supply, Supply::Open { .. });
                    let end = if scheduled { window.to.max(now) } else { now };
                    self.drain(end + self.plan.plan.stop.drain);
                }
            }
            Phase::Draining(until) => {
                let owed = self.supply.next_due().is_some() || self.goes_on();
                if (self.traffic.outstanding() == 0 && !owed) || now >= until {
                    self.phase = Phase::Done;
                }
            }
            Phase::Ready(_) | Phase::Done => {}
        }
        self.phase != before
    }

    /// The start barrier is passed.
    fn begin(&mut self, barrier: Instant, now: Instant) {
        let window = self.supply.begin(barrier, self.plan.plan.stop);
        self.traffic.recorder.open_window(window);
        let joining = self.dialler.begin(&self.plan, barrier);
        self.renewal.begin(barrier);
        self.barrier = barrier;
        self.patience.begin(&self.reactor);
        // Nobody is lost who is yet to come.
        self.last_open = joining.map_or(now, |joining| joining.max(now));
        self.phase = Phase::Running;
    }

    fn drain(&mut self, until: Instant) {
        self.phase = Phase::Draining(until);
        let owed = self.supply.next_due().is_some() || self.goes_on();
        if !owed && !self.traffic.goes_on() {
            self.dialler.forget();
        }
        self.mailbox.reply(Reply::Draining);
    }

    /// Ends the schedule here and now, and gives what is outstanding `patience`.
    fn stop(&mut self, now: Instant, patience: Nanos) {
        match self.phase {
            Phase::Opening | Phase::Ready(_) => self.phase = Phase::Done,
            Phase::Running => {
                self.cut(now);
                self.drain(now + patience);
            }
            Phase::Draining(until) => {
                self.cut(now);
                self.phase = Phase::Draining(until.min(now + patience));
            }
            Phase::Done => {}
        }
    }

    fn cut(&mut self, now: Instant) {
        self.mailbox.forget();
        self.account_schedule(now);
        let recorder = &mut self.traffic.recorder;
        let unfinished = Unsent::Unfinished;
        self.supply.cut(now, |intended, count| recorder.unsent(intended, now, unfinished, count));
        self.give_up_waiting(FOREVER, now, unfinished);
        let window = self.traffic.recorder.window();
        // What started at this very moment still counts.
        let to = window.to.min(now + Nanos::new(1)).max(window.from);
        self.traffic.recorder.set_window(Window { to, ..window });
    }

    /// Whether nobody is under way, and nobody will ever begin.
    fn has_tried_all(&self) -> bool {
        let users = &self.traffic.users;
        users.begin_no_more()
            && !users.pause()
            && !self.lines.anybody_waits()
            && self.traffic.outstanding() == 0
    }

    /// Whether a closed loop has nobody left to talk to.
    fn lost_target(&mut self, now: Instant) -> bool {
        // A connection that is open and takes nothing is of no use either.
        let busy = self.traffic.in_flight() > 0 || !self.lines.none_free();
        if self.traffic.open() > 0 && busy {
            self.last_open = now;
        }
        let bounded_by_time = self.plan.plan.stop.limit.duration().is_some();
        let closed = matches!(self.supply, Supply::Closed { .. });
        let lost = closed && !bounded_by_time && now.since(self.last_open) > LOST_AFTER;
        if lost {
            self.target_lost = true;
            self.cut(now);
        }
        lost
    }

    /// Starts requests on free connections, as many as there are of both; says whether there are
    /// more than may share this moment.
    fn start_due(&mut self, now: Instant) -> bool {
        if !matches!(self.phase, Phase::Running | Phase::Draining(_)) {
            return false;
        }
        self.give_up_late(now);
        self.traffic.users.wake(now);
        let more = self.start_free(now);
        self.end_with_feed(now);
        if !more {
            self.traffic.recorder.burst(core::mem::take(&mut self.burst));
            if !self.lines.are_apart() && self.lines.front().is_none() {
                self.relieve(now);
            }
        }
        more
    }

    /// Starts requests as long as connections are free.
    fn start_free(&mut self, now: Instant) -> bool {
        if self.lines.are_apart() {
            return self.start_apart(now);
        }
        // An open loop spreads its slots over the connections; a closed one fills each of them.
        let open_loop = matches!(self.supply, Supply::Open { .. });
        let most = if open_loop { 1 } else { self.batch };
        for _ in 0..SENDS_PER_TURN {
            let Some(slot) = self.lines.front() else { return false };
            let room = self.traffic.room(slot).min(most);
            let started = self.start_on(slot, room, now);
            if started == 0 && room > 0 {
                // Nothing is due: the connection keeps its place.
                return false;
            }
            self.lines.pop_front();
            self.leave_line(slot);
            if started > 0 {
                self.stay_in_line(slot);
            }
        }
        self.lines.front().is_some()
    }

    /// Starts and sends up to `room` requests on `slot`, and returns how many there were.
    fn start_on(&mut self, slot: Slot, room: u32, now: Instant) -> u32 {
        let closed_loop = matches!(self.supply, Supply::Closed { .. });
        if closed_loop && self.traffic.are_alike() && !self.traffic.has_retries() {
            return self.start_alike(slot, room, now);
        }
        let ready = self.traffic.get(slot).map_or(now, |connection| connection.free_since);
        let (mut started, mut same, mut index) = (0, 0, 0);
        while started < room {
            let flight = match self.traffic.next_retry_to(0, now) {
                Some(flight) => flight,
                None => match self.next_flight(ready, now) {
                    Some(flight) => flight,
                    None => break,
                },
            };
            // Neighbours that ask for the same are sent together.
            let other = self.traffic.users.request_of(flight.user);
            if other != index && same > 0 {
                self.send(slot, index, core::mem::take(&mut same));
            }
            index = other;
            self.traffic.start(slot, flight);
            (started, same) = (started + 1, same + 1);
        }
        if same > 0 {
            self.send(slot, index, same);
        }
        started
    }

    /// The same in a closed loop whose requests are alike: they differ in nothing, so that they are
    /// made and booked as one.
    fn start_alike(&mut self, slot: Slot, room: u32, now: Instant) -> u32 {
        let window = self.traffic.recorder.window();
        let count = self.supply.take_many(room, now, window);
        if count == 0 {
            return 0;
        }
        if window.contains(now) {
            self.traffic.recorder.scheduled(count.into());
        }
        self.burst += u64::from(count);
        let light = 4 * self.traffic.outstanding() <= self.plan.connections.get();
        let flight = Flight { light, ..Flight::new(now, now, now) };
        self.traffic.start_alike(slot, &flight, count);
        self.send(slot, 0, count);
        count
    }

    /// The next request that may start on a connection which has been free since `ready`: of a user
    /// who is under way, or of one who begins.
    fn next_flight(&mut self, ready: Instant, now: Instant) -> Option<Flight> {
        let window = self.traffic.recorder.window();
        let closed_loop = matches!(self.supply, Supply::Closed { .. });
        let onward = self.traffic.users.has_ready();
        if !onward && !self.may_begin(now, window) {
            return None;
        }
        // The schedule of an open loop is about those who begin, and it counts them.
        let taken =
            if onward && !closed_loop { None } else { Some(self.supply.take(now, window)?) };
        let Traffic { users, recorder, .. } = &mut self.traffic;
        let (user, due, starved) = if let Some((user, due)) = users.go_on() {
            (user, due, Nanos::ZERO)
        } else {
            let since = taken.filter(|_| !closed_loop).unwrap_or(ready);
            let (user, starved) = users.begin(since, recorder);
            (user, now, starved)
        };
        let waiting = Waiting { user, intended: taken.unwrap_or(due), onward, starved };
        Some(self.flight(waiting, ready, now))
    }

    /// The flight of a request that was `waiting`, and starts now on a connection which has been
    /// free since `ready`.
    fn flight(&mut self, waiting: Waiting, ready: Instant, now: Instant) -> Flight {
        let Waiting { user, intended, onward, starved } = waiting;
        self.traffic.users.starts(user, intended, &mut self.traffic.recorder);
        let closed_loop = matches!(self.supply, Supply::Closed { .. });
        if (closed_loop || onward) && self.traffic.recorder.window().contains(intended) {
            self.traffic.recorder.scheduled(1);
        }
        self.burst += 1;
        let late = self.held_up.share(intended, ready, now);
        let picked = intended + late.max(starved).min(now.since(intended));
        let light = 4 * self.traffic.outstanding() <= self.plan.connections.get();
        let flight = Flight::new(intended, picked, now);
        Flight { light, user, onward, ..flight }
    }

    /// Whether somebody is in the middle of a scenario that an open loop lets them finish, or waits
    /// for their server.
    fn goes_on(&self) -> bool {
        let somebody = self.traffic.users.pause() || self.lines.anybody_waits();
        matches!(self.supply, Supply::Open { .. }) && somebody
    }

    fn send(&mut self, slot: Slot, index: u16, count: u32) {
        let Some(&Published { payload, len }) = self.payloads.get(usize::from(index)) else {
            self.listen_to(slot);
            return;
        };
        let len = count as usize * len;
        let pending = self.reactor.send(slot, payload, 0..len) == Sending::Pending;
        self.traffic.sent(slot, len, pending);
    }

    /// Gives up the requests that have waited long enough, and their connections with them.
    fn expire(&mut self, now: Instant) {
        while let Some((slot, fate)) = self.traffic.expire(now) {
            self.settle(slot, fate, now);
        }
        while let Some(slot) = self.dialler.expired(now) {
            let phase = match self.traffic.get(slot).map(|connection| connection.state) {
                Some(State::Opening(opening)) => opening.step.phase(),
                _ => TroublePhase::Connect,
            };
            self.connect_failed(slot, Trouble { phase, cause: Cause::TimedOut }, now);
        }
    }

    fn connect_failed(&mut self, slot: Slot, trouble: Trouble, now: Instant) {
        self.take_leave(slot);
        self.renewal.gone(slot);
        self.reactor.close(slot, self.plan.plan.wire.close);
        let cut_off = self.dialler.failed(slot, trouble, &mut self.traffic, now);
        if cut_off
            && self.lines.are_apart()
            && let Some(origin) = self.traffic.get(slot).map(|connection| connection.origin)
        {
            self.turn_away(origin, trouble, now);
        }
    }

    /// Establishes the connections whose time has come.
    fn dial(&mut self, now: Instant) {
        while let Some(Attempt { slot, to }) = self.dialler.next(&mut self.traffic, now) {
            let from = self.source(slot);
            self.reactor.connect(slot, &to, from);
        }
    }

    /// The address that the connection in `slot` comes from, if the plan names some: they take
    /// turns over the connections of all shards.
    fn source(&self, slot: Slot) -> Option<IpAddr> {
        let sources = &self.plan.plan.wire.sources;
        let number = usize::try_from(self.plan.share.connection(slot.0)).unwrap_or_default();
        sources.get(number.checked_rem(sources.len())?).copied()
    }

    /// The moment at which something is to be done, whatever arrives.
    fn next_wake(&self, now: Instant) -> Wake {
        let heartbeat = now + HEARTBEAT;
        let wakes = [
            self.traffic.next_deadline(),
            self.dialler.next_wake(),
            self.renewal.next_due().filter(|_| self.phase == Phase::Running),
            self.next_relief(),
            self.traffic.users.next_look(now),
            self.mailbox.next_due(),
            match self.phase {
                Phase::Running => Some(self.traffic.recorder.window().to),
                Phase::Draining(until) => Some(until),
                Phase::Opening | Phase::Ready(_) | Phase::Done => None,
            },
        ];
        let other = wakes.into_iter().flatten().fold(heartbeat, Instant::min);
        Wake { slot: self.next_start(), other }
    }

    /// When the next request is due, if a connection waits for it. The first may be due at the
    /// barrier.
    fn next_start(&self) -> Option<Instant> {
        if let Phase::Ready(barrier) = self.phase {
            return barrier;
        }
        // A slot without a row waits for that.
        let (users, slot) = (&self.traffic.users, self.supply.next_due());
        let starts = users.next_look(self.barrier).is_none();
        let may = starts && (!self.lines.are_apart() || users.has_room());
        let next = [slot.filter(|_| may), users.next_due()].into_iter().flatten().min();
        // Of several servers it is not known which one is asked before somebody is due.
        if self.lines.are_apart() { next } else { self.lines.front().and(next) }
    }

    fn take_in(&mut self, completion: Completion) {
        let now = self.reactor.now();
        match completion {
            Completion::Received(slot, lease) => {
                let fate = if self.traffic.way.wrapped {
                    self.traffic.unwrap(slot, self.reactor.bytes_mut(&lease), now)
                } else {
                    self.traffic.receive(slot, self.reactor.bytes(&lease), now)
                };
                self.reactor.release(lease);
                self.settle(slot, fate, now);
            }
            Completion::Connected(slot) => {
                let fate = self.traffic.connected(slot, now);
                self.settle(slot, fate, now);
            }
            Completion::Ended(slot) => {
                let fate = self.traffic.ended(slot, End::Seen, now);
                self.settle(slot, fate, now);
            }
            Completion::Sent(slot) => {
                self.traffic.send_done(slot);
                self.settle(slot, Fate::Keep, now);
            }
            Completion::Failed(slot, During::Connect, errno) => {
                let trouble = Trouble { phase: TroublePhase::Connect, cause: Cause::System(errno) };
                self.connect_failed(slot, trouble, now);
            }
            Completion::Failed(slot, During::Send, errno) => {
                let fate = self.traffic.send_failed(slot, errno, now);
                self.settle(slot, fate, now);
            }
            Completion::Failed(slot, During::Receive, errno) => {
                let fate = self.traffic.broken(slot, errno, now);
                self.settle(slot, fate, now);
            }
            // A shard does not listen.
            Completion::Accepted(_) => debug_assert!(false, "nobody listens"),
        }
    }

    fn settle(&mut self, slot: Slot, fate: Fate, now: Instant) {
        match fate {
            Fate::Keep => self.enter_line(slot, now),
            Fate::Close => return self.close(slot, now),
            Fate::Unready(trouble) => return self.connect_failed(slot, trouble, now),
            Fate::Ready => {
                self.dialler.established(slot, &mut self.traffic, now);
                self.traffic.users.join(self.dialler.joined());
                self.renewal.ready(slot, now);
                let fate = self.traffic.read_early(slot, now);
                self.enter_line(slot, now);
                if fate == Fate::Close || self.dialler.is_surplus(slot, &mut self.traffic) {
                    return self.close(slot, now);
                }
            }
        }
        if self.payloads.is_empty() || self.traffic.way.asks_for_tunnel() {
            self.listen_to(slot);
        }
    }

    fn close(&mut self, slot: Slot, now: Instant) {
        self.take_leave(slot);
        self.renewal.gone(slot);
        self.reactor.close(slot, self.plan.plan.wire.close);
        if self.traffic.closed(slot) {
            self.dialler.gone(slot, &mut self.traffic);
        }
        // A new connection is of use only if something may still start.
        let over = match self.phase {
            Phase::Opening | Phase::Ready(_) => false,
            Phase::Running | Phase::Draining(_) => {
                let window = self.traffic.recorder.window();
                let idle = !self.traffic.goes_on() && !self.goes_on();
                self.supply.exhausted(now, window) && idle
            }
            Phase::Done => true,
        };
        if !over {
            self.dialler.redial(slot, &mut self.traffic, now);
        }
    }

    /// Puts a connection that has enough room since `now` at the end of the line of free ones,
    /// once.
    fn enter_line(&mut self, slot: Slot, now: Instant) {
        if self.stay_in_line(slot)
            && let Some(connection) = self.traffic.get(slot)
        {
            connection.free_since = now;
        }
    }

    /// Puts a connection that still has enough room at the end of the line, once; says whether it
    /// was not in it.
    fn stay_in_line(&mut self, slot: Slot) -> bool {
        if self.traffic.room(slot) >= self.refill
            && let Some(connection) = self.traffic.get(slot)
            && !connection.in_line
        {
            connection.in_line = true;
            self.lines.push(connection.origin, slot);
            return true;
        }
        false
    }

    fn leave_line(&mut self, slot: Slot) {
        if let Some(connection) = self.traffic.get(slot) {
            connection.in_line = false;
        }
    }

    /// Open loop: what the schedule made due since the last time counts as scheduled, sent or not;
    /// what another schedule makes due when that is taken over.
    fn account_schedule(&mut self, now: Instant) {
        let last = self.mailbox.next_due().map_or(now, |at| now.min(at - Nanos::new(1)));
        let fresh = self.supply.newly_scheduled(last);
        self.traffic.recorder.scheduled(fresh);
    }

    /// Hands over the last envelope.
    pub(crate) fn finish(mut self, pinned: bool) {
        let now = self.reactor.clock();
        // Before the books are closed: that may take a while, and is no work of the run.
        let effort = self.patience.effort(&self.reactor);
        let started = self.traffic.recorder.window() != Window::NEVER;
        self.account_schedule(now);
        let Traffic { users, recorder, .. } = &mut self.traffic;
        users.leave_feeds(now, recorder);
        self.traffic.leave_unfinished(now);
        self.give_up(FOREVER, now, Unsent::Unfinished);
        let window = self.traffic.recorder.window();
        // A schedule has its length; a closed loop that is bounded by a number ends with its last
        // answer.
        let end = match self.supply {
            Supply::Open { .. } => window.to,
            Supply::Closed { .. } if window.to == FOREVER => self.last_outcome,
            Supply::Closed { .. } => window.to.min(now),
        };
        let wall_time = now.since(self.barrier);
        let finished = Finished {
            pinned,
            window: if started { end.since(window.from) } else { Nanos::ZERO },
            effort,
            wall_time: if started { wall_time } else { Nanos::ZERO },
            target_lost: self.target_lost,
            completions_lost: self.reactor.completions_lost(),
        };
        if let Some(witness) = self.traffic.looks.take_witness() {
            self.mailbox.reply(Reply::Exchanged(witness.into_exchanges()));
        }
        if self.plan.plan.work.cookies().is_some_and(|cookies| cookies.told) {
            self.mailbox.reply(Reply::Cookies(self.traffic.users.cookies()));
        }
        let envelope = self.traffic.recorder.into_envelope();
        self.mailbox.reply(Reply::Finished(envelope, finished));
    }
}

/// Requests that may be sent on a connection at once, and the room that it must have for some.
fn portions(plan: &Plan, request_len: usize) -> (u32, u32) {
    let streams = u32::from(plan.wire.streams.get());
    let depth = u32::from(plan.depth().get());
    let fit = u32::try_from(BATCH_BYTES_MAX / request_len.max(1)).unwrap_or(u32::MAX);
    let batch = fit.clamp(1, depth);
    match plan.load {
        // Each asks its own server.
        _ if plan.wire.keep == Keep::One || plan.is_apart() => (1, 1),
        // What differs is published one by one.
        _ if !prepared::is_paged(plan) && !plan.work.is_single() => (1, 1),
        // A turn's requests leave together, so there is no need to wait for more room.
        _ if plan.wire.protocol.may_be_http2() => (streams.max(batch), 1),
        Load::Open { .. } => (batch, 1),
        Load::Closed { .. } => (batch, depth.div_ceil(2).min(batch)),
    }
}

/// Hands the request to `reactor`, as often as may be sent at once; `in_turn` if one response is
/// waited for before the next request is sent.
fn publish(
    reactor: &mut impl Reactor,
    request: &[u8],
    batch: u32,
    in_turn: bool,
) -> io::Result<Published> {
    // Only where there is one request at a time does an answer say that the last send is done.
    let silent = in_turn && request.len() <= SILENT_BYTES_MAX;
    let confirm = if silent { Confirm::Failure } else { Confirm::Always };
    let payload = reactor.publish(request.repeat(batch as usize), confirm)?;
    Ok(Published { payload, len: request.len() })
}
