//! The reactor in virtual time: a network, a server and a clock, from a seed.
//!
//! The clock stands still but in `wait` and `spin`, which move it to the next event or to the
//! deadline. What happens is decided by a `Peer` when it is asked, for each attempt to connect
//! and for each request: a [`Model`], or in the shard's tests a script. The same peer and the same
//! shards give the same run, in a fraction of the time that it stands for.
//!
//! Each shard has a [`Sim`] of its own, with its own clock; all of them ask the one peer of their
//! [`World`]. Whoever turns the shards takes the one whose clock is earliest each time, so that the
//! peer is asked in the order of time.
//!
//! A reactor may rely on its owner to keep the contract; this one checks that it does.

mod model;
mod random;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use self::model::Target;
pub use self::model::{
    Client, Entrance, Fault, Freeze, Knock, Law, Model, Service, Stall, Way, When, Wrong,
};
use super::page::Pool;
use super::{
    Address, Close, Completion, Confirm, Description, During, Errno, Lease, Payload, Reactor,
    SILENT_BYTES_MAX, Sending, Slot,
};
use crate::units::{Instant, Nanos};

/// When the clock of every world starts.
pub const ORIGIN: Instant = Instant::from_origin(1_000_000_000);

/// Waits in which neither the time moves nor anything happens; more of them in a row are a busy
/// loop.
const IDLE_TURNS_MAX: u32 = 16;

/// Waits of one shard; a run that takes more does not end.
const WAITS_MAX: u64 = 200_000_000;

/// How long the socket holds on to a confirmed send of `len` bytes: so long that the answer to a
/// large request may come before its last byte has left.
fn sending(len: usize) -> Nanos {
    Nanos::from_micros(1 + len as u64 / 4096)
}

/// What becomes of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// A connection, so long after the attempt.
    Opens(Nanos),
    /// A connection, which at once ends.
    Slams(Nanos),
    /// An error, so long after the attempt.
    Refuses(Nanos),
    /// Nothing, ever.
    Ignores,
}

/// What the peer does on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Acts of one moment arrive in one segment.
    Say(Cow<'static, [u8]>),
    /// Closes its side.
    End,
    /// Resets the connection.
    Reset,
    /// The send of the request fails with this number; what else happens is up to the other acts.
    /// What was sent behind the request never arrives.
    FailSend(Errno),
}

/// What follows a request, and how long after it.
pub(crate) type Acts = Vec<(Nanos, Act)>;

/// A request as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    /// From 0, over all connections of all shards.
    pub(crate) number: u64,
    /// From 0, within the life of its connection.
    pub(crate) nth: u64,
    /// The connection, from 0, over all shards.
    pub(crate) line: usize,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// Something happened.
    Event,
    /// Nothing did, until the deadline.
    Alarm,
    /// Either, and the client was not asleep.
    Awake,
}

/// Whoever is at the other end of all connections, and the way there.
pub(crate) trait Peer {
    /// Somebody connects `line` to `to`.
    fn knock(&mut self, at: Instant, line: usize, to: &Address) -> Door;

    /// A request was sent; adds what follows to `acts`, and returns how long after it the answer is
    /// complete, if it ever is.
    fn answer(&mut self, asked: &Asked, acts: &mut Acts) -> Option<Nanos>;

    /// Bytes of a page arrive on `line`. Whoever makes sense of them adds what follows to `acts`,
    /// and says so; to all others they are so many bytes of requests.
    fn hear(&mut self, _at: Instant, _line: usize, _bytes: &[u8], _acts: &mut Acts) -> bool {
        false
    }

    /// `line` was closed.
    fn left(&mut self, at: Instant, line: usize);

    /// When the client goes on whose wait has ended at `until`.
    fn wake(&mut self, until: Instant, end: WaitEnd) -> Instant;
}

/// A request as it was received and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When it was sent.
    pub sent: Instant,
    /// The connection that it was sent on, from 0, over all shards.
    pub line: usize,
    /// When the last byte of the answer was to reach the client; `None` if it never was.
    pub answered: Option<Instant>,
}

/// A target, a network and the conditions of the client, common to the shards of one run.
#[derive(Clone)]
pub struct World(Rc<RefCell<Scene>>);

struct Scene {
    peer: Box<dyn Peer>,
    /// Connections of all shards so far.
    lines: usize,
    /// Requests so far.
    asked: u64,
    exchanges: Option<Vec<Exchange>>,
}

impl World {
    /// A world as `model` says, for one run.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        Self::of(Box::new(Target::new(model)))
    }

    /// The same, which keeps a list of all [exchanges](Self::exchanges).
    #[must_use]
    pub fn listed(model: &Model) -> Self {
        let world = Self::new(model);
        world.0.borrow_mut().exchanges = Some(Vec::new());
        world
    }

    /// A world with `peer` in it.
    pub(crate) fn of(peer: Box<dyn Peer>) -> Self {
        let scene = Scene { peer, lines: 0, asked: 0, exchanges: None };
        Self(Rc::new(RefCell::new(scene)))
    }

    /// A reactor for connections in slots 0 to `slots` − 1, which send requests of `request_len`
    /// bytes.
    pub(crate) fn reactor(&self, slots: u32, request_len: usize) -> Sim {
        let mut scene = self.0.borrow_mut();
        let first_line = scene.lines;
        scene.lines += slots as usize;
        Sim {
            now: Rc::new(Cell::new(ORIGIN)),
            scene: Rc::clone(&self.0),
            first_line,
            lives: vec![Life::default(); slots as usize],
            request_len,
            payloads: Vec::new(),
            pool: Pool::default(),
            events: BinaryHeap::new(),
            decided: 0,
            batch: VecDeque::new(),
            lent: None,
            acts: Vec::new(),
            told: false,
            idle_turns: 0,
            waits: 0,
            spun: Nanos::ZERO,
        }
    }

    /// All requests in the order in which they were sent; empty unless the world was made to keep
    /// them.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.0.borrow().exchanges.clone().unwrap_or_default()
    }

    /// The name of the reactor, for reports.
    pub(crate) fn describe() -> Description {
        Description { name: "simulated", features: Vec::new() }
    }
}

impl Scene {
    /// A request was sent; `acts` becomes what follows.
    fn ask(&mut self, asked: &Asked, acts: &mut Acts) {
        acts.clear();
        let answered = self.peer.answer(asked, acts);
        self.asked += 1;
        if let Some(exchanges) = &mut self.exchanges {
            let answered = answered.map(|after| asked.at + after);
            exchanges.push(Exchange { sent: asked.at, line: asked.line, answered });
        }
    }
}

enum Happening {
    Connected,
    Refused,
    Sent,
    Act(Act),
}

/// Something that will happen to a connection.
struct Event {
    at: Instant,
    /// Breaks ties: what was decided first happens first.
    order: u64,
    slot: Slot,
    generation: u32,
    what: Happening,
}

impl Event {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.order)
    }
}

/// The earliest is the greatest, for the heap gives out the greatest first.
impl Ord for Event {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Event {}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    Connecting,
    Established,
}

#[derive(Clone, Copy, Default)]
struct Life {
    generation: u32,
    state: State,
    sending: bool,
    /// A send has failed, so that no other may follow.
    broken: bool,
    asked: u64,
    /// Bytes of a request whose rest is still to be sent, which pages may do.
    begun: usize,
}

/// The reactor of one shard in a [`World`].
pub struct Sim {
    /// Shared with whoever turns the shard.
    now: Rc<Cell<Instant>>,
    scene: Rc<RefCell<Scene>>,
    /// The number of this reactor's first connection among those of all shards.
    first_line: usize,
    lives: Vec<Life>,
    /// Length of a request; all that is published is one, so many times.
    request_len: usize,
    payloads: Vec<(usize, Confirm)>,
    pool: Pool,
    events: BinaryHeap<Event>,
    /// Events so far.
    decided: u64,
    batch: VecDeque<Event>,
    /// The bytes of the one lease that may be out.
    lent: Option<Cow<'static, [u8]>>,
    /// What follows the request of the moment; here to keep its memory.
    acts: Acts,
    /// Whether anything was asked of the reactor since the last wait.
    told: bool,
    idle_turns: u32,
    waits: u64,
    spun: Nanos,
}

impl Sim {
    /// The clock, to be read from outside.
    pub(crate) fn watch(&self) -> Rc<Cell<Instant>> {
        Rc::clone(&self.now)
    }

    fn life(&mut self, slot: Slot) -> &mut Life {
        let life = self.lives.get_mut(slot.index());
        #[expect(clippy::expect_used, reason = "a broken contract is what this reactor looks for")]
        life.expect("no such slot")
    }

    fn line(&self, slot: Slot) -> usize {
        self.first_line + slot.index()
    }

    fn plan(&mut self, slot: Slot, after: Nanos, what: Happening) {
        let generation = self.life(slot).generation;
        let event =
            Event { at: self.now.get() + after, order: self.decided, slot, generation, what };
        self.events.push(event);
        self.decided += 1;
    }

    /// A request leaves; returns whether its send fails.
    fn ask(&mut self, slot: Slot) -> bool {
        let life = self.life(slot);
        let nth = life.asked;
        life.asked += 1;
        let mut acts = core::mem::take(&mut self.acts);
        let mut scene = self.scene.borrow_mut();
        let (at, number) = (self.now.get(), scene.asked);
        scene.ask(&Asked { at, number, nth, line: self.line(slot) }, &mut acts);
        drop(scene);
        let fails = acts.iter().any(|(_, act)| matches!(act, Act::FailSend(_)));
        for (after, act) in acts.drain(..) {
            self.plan(slot, after, Happening::Act(act));
        }
        self.acts = acts;
        fails
    }

    /// So many requests leave; returns whether the send fails. What follows the one that fails
    /// never leaves.
    fn ask_all(&mut self, slot: Slot, requests: usize) -> bool {
        (0..requests).any(|_| self.ask(slot))
    }

    /// The connection in `slot`, on which something is sent.
    fn may_send(&mut self, slot: Slot) -> &mut Life {
        self.told = true;
        let life = self.life(slot);
        assert!(life.state == State::Established, "{slot:?} is not established");
        assert!(!life.sending, "a send is pending on {slot:?}");
        assert!(!life.broken, "a send on {slot:?} has failed");
        life
    }

    /// A confirmed send of `len` bytes is under way.
    fn pend(&mut self, slot: Slot, len: usize, fails: bool) -> Sending {
        self.life(slot).sending = true;
        if !fails {
            self.plan(slot, sending(len), Happening::Sent);
        }
        Sending::Pending
    }

    /// The first event, or `until` if that comes before.
    fn next(&self, until: Instant) -> Instant {
        let first = self.events.peek().map_or(until, |event| event.at);
        first.min(until).max(self.now.get())
    }

    /// Moves the time on to `next`, or later if the client is late, and takes the events up to it.
    fn pass(&mut self, next: Instant, end: WaitEnd) -> io::Result<()> {
        assert!(self.batch.is_empty(), "the last batch was not popped to its end");
        let (now, mut next) = (self.now.get(), next);
        if next > now {
            next = self.scene.borrow_mut().peer.wake(next, end).max(next);
        }
        self.now.set(next);
        while self.events.peek().is_some_and(|event| event.at <= next) {
            self.batch.extend(self.events.pop());
        }
        let told = core::mem::take(&mut self.told);
        let idle = next == now && self.batch.is_empty() && !told;
        self.idle_turns = if idle { self.idle_turns + 1 } else { 0 };
        self.waits += 1;
        if self.idle_turns > IDLE_TURNS_MAX {
            return Err(io::Error::other("the shard spins, with nothing to do"));
        }
        if self.waits > WAITS_MAX {
            return Err(io::Error::other("the simulated run does not end"));
        }
        Ok(())
    }

    /// What the same peer says at the same moment, it says in one segment.
    fn segment(&mut self, slot: Slot, mut bytes: Cow<'static, [u8]>) -> Completion {
        let generation = self.life(slot).generation;
        while let Some(Event { what: Happening::Act(Act::Say(more)), .. }) =
            self.batch.front().filter(|next| (next.slot, next.generation) == (slot, generation))
        {
            bytes.to_mut().extend_from_slice(more);
            self.batch.pop_front();
        }
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.lent = Some(bytes);
        Completion::Received(slot, Lease { buffer: 0, len })
    }

    /// The bytes behind `lease`, which is the one that is out.
    fn lent(&self, lease: &Lease) -> &[u8] {
        let lent = self.lent.as_deref().unwrap_or_default();
        assert!(lent.len() == lease.len as usize && self.lent.is_some(), "the lease was released");
        lent
    }
}

impl Reactor for Sim {
    fn clock(&mut self) -> Instant {
        self.now.get()
    }

    fn now(&self) -> Instant {
        self.now.get()
    }

    /// What a simulated shard does takes no time, unless it does nothing.
    fn cpu_time(&self) -> Nanos {
        self.spun
    }

    fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload> {
        assert!(bytes.len().is_multiple_of(self.request_len), "published a part of a request");
        let name = u16::try_from(self.payloads.len())
            .map_err(|_| io::Error::other("too many payloads published"))?;
        self.payloads.push((bytes.len(), confirm));
        Ok(Payload(name))
    }

    fn connect(&mut self, slot: Slot, to: &Address, _: Option<IpAddr>) {
        let life = self.life(slot);
        assert!(life.state == State::Free, "{slot:?} is not free");
        *life = Life { generation: life.generation, state: State::Connecting, ..Life::default() };
        self.told = true;
        let door = self.scene.borrow_mut().peer.knock(self.now.get(), self.line(slot), to);
        match door {
            Door::Opens(after) => self.plan(slot, after, Happening::Connected),
            Door::Slams(after) => {
                self.plan(slot, after, Happening::Connected);
                self.plan(slot, after, Happening::Act(Act::End));
            }
            Door::Refuses(after) => self.plan(slot, after, Happening::Refused),
            Door::Ignores => {}
        }
    }

    fn listen(&mut self, _: OwnedFd) -> io::Result<()> {
        Err(io::Error::other("nobody connects to a simulated client"))
    }

    fn adopt(&mut self, _: Slot, _: OwnedFd) {
        debug_assert!(false, "nobody connects to a simulated client");
    }

    fn send(&mut self, slot: Slot, payload: Payload, range: Range<usize>) -> Sending {
        let begun = self.may_send(slot).begun;
        assert!(begun == 0, "a page on {slot:?} has ended within a request");
        let published = self.payloads.get(usize::from(payload.0)).copied();
        let (end, confirm) = published.unwrap_or((0, Confirm::Failure));
        let (len, whole) = (range.len(), self.request_len);
        assert!(range.start.is_multiple_of(whole), "part of a request");
        assert!(len.is_multiple_of(whole) && len > 0, "part of a request, or nothing");
        assert!(range.end <= end, "more than was published");
        let fails = self.ask_all(slot, len / whole);
        if confirm == Confirm::Failure {
            return Sending::Free;
        }
        self.pend(slot, len, fails)
    }

    fn page(&mut self) -> Vec<u8> {
        self.pool.take()
    }

    /// A request is asked when its last byte is sent: whatever the bytes say, so many of them are
    /// one.
    fn send_page(&mut self, slot: Slot, page: Vec<u8>, confirm: Confirm) -> Sending {
        assert!(!page.is_empty(), "nothing to send");
        let (len, whole) = (page.len(), self.request_len);
        let (now, number) = (self.now.get(), self.line(slot));
        let mut acts = core::mem::take(&mut self.acts);
        let heard = self.scene.borrow_mut().peer.hear(now, number, &page, &mut acts);
        for (after, act) in acts.drain(..) {
            self.plan(slot, after, Happening::Act(act));
        }
        self.acts = acts;
        let life = self.may_send(slot);
        let mut fails = false;
        if !heard {
            let bytes = life.begun + len;
            life.begun = bytes % whole;
            fails = self.ask_all(slot, bytes / whole);
        }
        self.pool.give(page);
        if confirm == Confirm::Failure {
            assert!(len <= SILENT_BYTES_MAX, "such a send is small");
            return Sending::Free;
        }
        self.pend(slot, len, fails)
    }

    fn give_page(&mut self, page: Vec<u8>) {
        self.pool.give(page);
    }

    fn close(&mut self, slot: Slot, _: Close) {
        let life = self.life(slot);
        assert!(life.state != State::Free, "{slot:?} is closed twice");
        *life = Life { generation: life.generation + 1, ..Life::default() };
        self.told = true;
        self.scene.borrow_mut().peer.left(self.now.get(), self.line(slot));
    }

    fn wait(&mut self, until: Instant) -> io::Result<()> {
        let next = self.next(until);
        self.pass(next, if next < until { WaitEnd::Event } else { WaitEnd::Alarm })
    }

    fn spin(&mut self, until: Instant) -> io::Result<()> {
        let next = self.next(until);
        self.spun += next.since(self.now.get());
        self.pass(next, WaitEnd::Awake)
    }

    fn spun(&self) -> Nanos {
        self.spun
    }

    fn pop(&mut self) -> Option<Completion> {
        assert!(self.lent.is_none(), "a lease was not released");
        loop {
            let Event { slot, generation, what, .. } = self.batch.pop_front()?;
            let life = self.life(slot);
            // Of an earlier life of the slot.
            if life.generation != generation {
                continue;
            }
            return Some(match what {
                Happening::Connected => {
                    life.state = State::Established;
                    Completion::Connected(slot)
                }
                Happening::Refused => Completion::Failed(slot, During::Connect, Errno::REFUSED),
                Happening::Sent => {
                    life.sending = false;
                    Completion::Sent(slot)
                }
                Happening::Act(Act::Say(bytes)) => self.segment(slot, bytes),
                Happening::Act(Act::End) => Completion::Ended(slot),
                Happening::Act(Act::Reset) => {
                    Completion::Failed(slot, During::Receive, Errno::RESET)
                }
                Happening::Act(Act::FailSend(errno)) => {
                    life.broken = true;
                    Completion::Failed(slot, During::Send, errno)
                }
            });
        }
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        self.lent(lease)
    }

    fn bytes_mut(&mut self, lease: &Lease) -> &mut [u8] {
        self.lent(lease);
        self.lent.as_mut().map_or(&mut [], |lent| lent.to_mut())
    }

    fn release(&mut self, lease: Lease) {
        self.lent(&lease);
        self.lent = None;
    }
}
