//! A network and a server in memory and in virtual time, behind the [`Reactor`] trait.
//!
//! The clock stands still but in `wait` and `spin`, which move it to the next event or to the
//! deadline; a wait that nothing ends may be made to end late. What the server does is a script:
//! two closures which say, for each attempt to connect and for each request, what will happen and
//! when. The same script and the same shard give the same run.
//!
//! A reactor may rely on its owner to keep the contract; this one checks that it does.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::reactor::{
    Close, Completion, Confirm, During, Errno, Lease, Payload, Reactor, Sending, Slot,
};
use crate::units::{Instant, Nanos};

/// Waits in which neither the time moves nor anything happens; more of them in a row are a busy
/// loop.
const IDLE_TURNS_MAX: u32 = 16;

/// How long the socket holds on to a confirmed send of `len` bytes: so long that the answer to a
/// large request may come before its last byte has left.
fn sending(len: usize) -> Nanos {
    Nanos::from_micros(1 + len as u64 / 4096)
}

/// What becomes of an attempt to connect.
pub(super) enum Door {
    Opens(Nanos),
    /// Opens, and at once ends what it opened.
    Slams(Nanos),
    Refuses(Nanos),
    Ignores,
}

/// A request as the server sees it.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: Instant,
    /// From 0, over all connections.
    pub(super) number: u64,
    /// From 0, within the life of its connection.
    pub(super) nth: u64,
    pub(super) slot: Slot,
}

/// What the server does on a connection.
#[derive(Clone)]
pub(super) enum Act {
    /// Acts of one moment arrive in one segment.
    Say(Vec<u8>),
    End,
    Reset,
    /// The send of the request fails with this number; what else happens is up to the other acts.
    /// What was sent behind the request never arrives.
    FailSend(i32),
}

/// What follows a request, and how long after it.
pub(super) type Acts = Vec<(Nanos, Act)>;

/// The server: what happens, and how long after it was asked.
pub(super) struct Script {
    pub(super) door: Box<dyn FnMut(Instant, SocketAddr) -> Door>,
    pub(super) answer: Box<dyn FnMut(&Asked) -> Acts>,
}

/// All that the shard did, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Log {
    /// Each send with the number of requests in it.
    pub(super) sent: Vec<(Instant, Slot, usize)>,
    pub(super) dialled: Vec<(Instant, Slot, SocketAddr)>,
    pub(super) closed: Vec<(Instant, Slot, Close)>,
    /// What was published: its length and how its sends are confirmed.
    pub(super) published: Vec<(usize, Confirm)>,
    /// Most sends between two looks at the clock.
    pub(super) burst: u32,
}

enum Happening {
    Connected,
    Refused,
    Sent,
    Act(Act),
}

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
}

/// The bytes of the one lease that may be out.
struct Lent {
    buffer: u16,
    bytes: Vec<u8>,
}

type Due = (Slot, u32, Happening);

pub(super) struct Fake {
    now: Instant,
    script: Script,
    log: Rc<RefCell<Log>>,
    lives: Vec<Life>,
    /// The request; all that is published is this, so many times.
    request: Vec<u8>,
    payloads: Vec<(usize, Confirm)>,
    /// What will happen, by moment and then by the order in which it was decided.
    events: BTreeMap<(Instant, u64), Due>,
    decided: u64,
    batch: VecDeque<Due>,
    lent: Option<Lent>,
    leases: u16,
    asked: u64,
    /// Whether anything was asked of the reactor since the last wait.
    told: bool,
    /// Sends since the last look at the clock.
    burst: u32,
    idle_turns: u32,
    /// How much too late a sleep ends that nothing ends before.
    oversleep: Box<dyn FnMut(Instant) -> Nanos>,
    spun: Nanos,
}

impl Fake {
    pub(super) fn new(
        start: Instant,
        slots: u32,
        request: Vec<u8>,
        script: Script,
    ) -> (Self, Rc<RefCell<Log>>) {
        let log = Rc::new(RefCell::new(Log::default()));
        let fake = Self {
            now: start,
            script,
            log: Rc::clone(&log),
            lives: vec![Life::default(); slots as usize],
            request,
            payloads: Vec::new(),
            events: BTreeMap::new(),
            decided: 0,
            batch: VecDeque::new(),
            lent: None,
            leases: 0,
            asked: 0,
            told: false,
            burst: 0,
            idle_turns: 0,
            oversleep: Box::new(|_| Nanos::ZERO),
            spun: Nanos::ZERO,
        };
        (fake, log)
    }

    /// From now on, a sleep that nothing ends before ends so much too late.
    pub(super) fn oversleep(&mut self, late: impl FnMut(Instant) -> Nanos + 'static) {
        self.oversleep = Box::new(late);
    }

    /// Moves the time on to `next`, and takes the events up to then.
    fn pass(&mut self, next: Instant) {
        assert!(self.batch.is_empty(), "the last batch was not popped to its end");
        let first = self.events.keys().next().map(|(at, _)| *at);
        let told = core::mem::take(&mut self.told);
        let idle = next == self.now && first.is_none_or(|first| first > self.now) && !told;
        self.idle_turns = if idle { self.idle_turns + 1 } else { 0 };
        assert!(self.idle_turns <= IDLE_TURNS_MAX, "the shard spins at {next:?}");
        self.now = next;
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= next
        {
            self.batch.push_back(entry.remove());
        }
    }

    /// The first event, if it comes before `until`.
    fn event_before(&self, until: Instant) -> Option<Instant> {
        self.events.keys().next().map(|(at, _)| *at).filter(|&at| at < until)
    }

    fn plan(&mut self, slot: Slot, after: Nanos, happening: Happening) {
        let due = (slot, self.lives[slot.index()].generation, happening);
        self.events.insert((self.now + after, self.decided), due);
        self.decided += 1;
    }

    /// What the same peer says at the same moment, it says in one segment.
    fn segment(&mut self, slot: Slot, mut bytes: Vec<u8>) -> Completion {
        while let Some((next, _, Happening::Act(Act::Say(more)))) = self.batch.front()
            && *next == slot
        {
            bytes.extend_from_slice(more);
            self.batch.pop_front();
        }
        self.leases = self.leases.wrapping_add(1);
        let (buffer, len) = (self.leases, u32::try_from(bytes.len()).unwrap());
        self.lent = Some(Lent { buffer, bytes });
        Completion::Received(slot, Lease { buffer, len })
    }

    /// The bytes behind `lease`, which is the one that is out.
    fn lent(&self, lease: &Lease) -> &[u8] {
        let lent = self.lent.as_ref().expect("the lease was released");
        assert_eq!((lease.buffer, lease.len as usize), (lent.buffer, lent.bytes.len()));
        &lent.bytes
    }

    /// A request arrives; returns whether its send fails.
    fn ask(&mut self, slot: Slot) -> bool {
        let nth = self.lives[slot.index()].asked;
        let asked = Asked { at: self.now, number: self.asked, nth, slot };
        self.lives[slot.index()].asked += 1;
        self.asked += 1;
        let acts = (self.script.answer)(&asked);
        let fails = acts.iter().any(|(_, act)| matches!(act, Act::FailSend(_)));
        for (after, act) in acts {
            self.plan(slot, after, Happening::Act(act));
        }
        fails
    }
}

impl Reactor for Fake {
    fn clock(&mut self) -> Instant {
        self.burst = 0;
        self.now
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload> {
        let repeats = bytes.chunks(self.request.len());
        assert!(repeats.clone().all(|repeat| repeat == self.request), "not the request");
        self.payloads.push((repeats.len(), confirm));
        self.log.borrow_mut().published.push((bytes.len(), confirm));
        Ok(Payload(u16::try_from(self.payloads.len() - 1).unwrap()))
    }

    fn connect(&mut self, slot: Slot, to: SocketAddr) {
        let life = &mut self.lives[slot.index()];
        assert!(life.state == State::Free, "{slot:?} is not free");
        *life = Life { generation: life.generation, state: State::Connecting, ..Life::default() };
        self.told = true;
        self.log.borrow_mut().dialled.push((self.now, slot, to));
        match (self.script.door)(self.now, to) {
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
        unreachable!("a shard does not listen");
    }

    fn adopt(&mut self, _: Slot, _: OwnedFd) {
        unreachable!("a shard does not listen");
    }

    fn send(&mut self, slot: Slot, payload: Payload, range: Range<usize>) -> Sending {
        let life = self.lives[slot.index()];
        assert!(life.state == State::Established, "{slot:?} is not established");
        assert!(!life.sending, "a send is pending on {slot:?}");
        assert!(!life.broken, "a send on {slot:?} has failed");
        let (repeats, confirm) = self.payloads[usize::from(payload.0)];
        let (len, whole) = (range.len(), self.request.len());
        assert!(range.start.is_multiple_of(whole), "part of a request");
        assert!(len.is_multiple_of(whole) && len > 0, "part of a request, or nothing");
        assert!(range.end <= repeats * whole, "more than was published");
        self.told = true;
        self.burst += 1;
        let mut log = self.log.borrow_mut();
        log.burst = log.burst.max(self.burst);
        log.sent.push((self.now, slot, len / whole));
        drop(log);
        let fails = (0..len / whole).any(|_| self.ask(slot));
        if confirm == Confirm::Failure {
            return Sending::Free;
        }
        self.lives[slot.index()].sending = true;
        if !fails {
            self.plan(slot, sending(len), Happening::Sent);
        }
        Sending::Pending
    }

    fn close(&mut self, slot: Slot, how: Close) {
        let life = &mut self.lives[slot.index()];
        assert!(life.state != State::Free, "{slot:?} is closed twice");
        *life = Life { generation: life.generation + 1, ..Life::default() };
        self.told = true;
        self.log.borrow_mut().closed.push((self.now, slot, how));
    }

    fn wait(&mut self, until: Instant) -> io::Result<()> {
        let next = match self.event_before(until) {
            Some(event) => event.max(self.now),
            // What is past is a poll, and no sleep.
            None if until <= self.now => self.now,
            None => until + (self.oversleep)(until),
        };
        self.pass(next);
        Ok(())
    }

    fn spin(&mut self, until: Instant) -> io::Result<()> {
        let next = self.event_before(until).unwrap_or(until).max(self.now);
        self.spun += next.since(self.now);
        self.pass(next);
        Ok(())
    }

    fn spun(&self) -> Nanos {
        self.spun
    }

    fn pop(&mut self) -> Option<Completion> {
        assert!(self.lent.is_none(), "a lease was not released");
        loop {
            let (slot, generation, happening) = self.batch.pop_front()?;
            let life = &mut self.lives[slot.index()];
            if life.generation != generation {
                continue;
            }
            return Some(match happening {
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
                    Completion::Failed(slot, During::Receive, Errno(CONNECTION_RESET))
                }
                Happening::Act(Act::FailSend(errno)) => {
                    life.broken = true;
                    Completion::Failed(slot, During::Send, Errno(errno))
                }
            });
        }
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        self.lent(lease)
    }

    fn release(&mut self, lease: Lease) {
        self.lent(&lease);
        self.lent = None;
    }
}

/// ECONNRESET.
const CONNECTION_RESET: i32 = 104;
