//! A network and a server in memory and in virtual time, behind the [`Reactor`] trait.
//!
//! The clock stands still but in `wait`, which moves it to the next event or to the deadline. What
//! the server does is a script: two closures which say, for each attempt to connect and for each
//! request, what will happen and when. The same script and the same shard give the same run.
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

/// How long the socket holds on to a confirmed send.
const SENDING: Nanos = Nanos::from_micros(1);

/// What becomes of an attempt to connect.
pub(super) enum Door {
    Opens(Nanos),
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
    pub(super) sent: Vec<(Instant, Slot, Vec<u8>)>,
    pub(super) dialled: Vec<(Instant, Slot, SocketAddr)>,
    pub(super) closed: Vec<(Instant, Slot)>,
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
    asked: u64,
}

type Due = (Slot, u32, Happening);

pub(super) struct Fake {
    now: Instant,
    script: Script,
    log: Rc<RefCell<Log>>,
    lives: Vec<Life>,
    payloads: Vec<(Vec<u8>, Confirm)>,
    /// What will happen, by moment and then by the order in which it was decided.
    events: BTreeMap<(Instant, u64), Due>,
    decided: u64,
    batch: VecDeque<Due>,
    lent: Vec<u8>,
    leases: u32,
    asked: u64,
    idle_turns: u32,
}

impl Fake {
    pub(super) fn new(start: Instant, slots: u32, script: Script) -> (Self, Rc<RefCell<Log>>) {
        let log = Rc::new(RefCell::new(Log::default()));
        let fake = Self {
            now: start,
            script,
            log: Rc::clone(&log),
            lives: vec![Life::default(); slots as usize],
            payloads: Vec::new(),
            events: BTreeMap::new(),
            decided: 0,
            batch: VecDeque::new(),
            lent: Vec::new(),
            leases: 0,
            asked: 0,
            idle_turns: 0,
        };
        (fake, log)
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
        self.lent = bytes;
        self.leases += 1;
        let len = u32::try_from(self.lent.len()).unwrap();
        Completion::Received(slot, Lease { buffer: 0, len })
    }
}

impl Reactor for Fake {
    fn clock(&mut self) -> Instant {
        self.now
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload> {
        self.payloads.push((bytes, confirm));
        Ok(Payload(u16::try_from(self.payloads.len() - 1).unwrap()))
    }

    fn connect(&mut self, slot: Slot, to: SocketAddr) {
        let life = &mut self.lives[slot.index()];
        assert!(life.state == State::Free, "{slot:?} is not free");
        *life = Life { generation: life.generation, state: State::Connecting, ..Life::default() };
        self.log.borrow_mut().dialled.push((self.now, slot, to));
        match (self.script.door)(self.now, to) {
            Door::Opens(after) => self.plan(slot, after, Happening::Connected),
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
        assert!(life.state == State::Established && !life.sending, "{slot:?} cannot send");
        let (bytes, confirm) = &self.payloads[usize::from(payload.0)];
        let (bytes, confirm) = (bytes[range].to_vec(), *confirm);
        assert!(bytes.ends_with(b"\r\n\r\n"), "part of a request");
        for _ in bytes.windows(4).filter(|window| window == b"\r\n\r\n") {
            let nth = self.lives[slot.index()].asked;
            let asked = Asked { at: self.now, number: self.asked, nth, slot };
            self.lives[slot.index()].asked += 1;
            self.asked += 1;
            for (after, act) in (self.script.answer)(&asked) {
                self.plan(slot, after, Happening::Act(act));
            }
        }
        self.log.borrow_mut().sent.push((self.now, slot, bytes));
        if confirm == Confirm::Failure {
            return Sending::Free;
        }
        self.lives[slot.index()].sending = true;
        self.plan(slot, SENDING, Happening::Sent);
        Sending::Pending
    }

    fn close(&mut self, slot: Slot, _: Close) {
        let life = &mut self.lives[slot.index()];
        assert!(life.state != State::Free, "{slot:?} is closed twice");
        *life = Life { generation: life.generation + 1, ..Life::default() };
        self.log.borrow_mut().closed.push((self.now, slot));
    }

    fn wait(&mut self, until: Instant) -> io::Result<()> {
        assert!(self.batch.is_empty(), "the last batch was not popped to its end");
        let first = self.events.keys().next().map_or(until, |(at, _)| *at);
        let next = first.min(until).max(self.now);
        let idle = next == self.now && first > self.now;
        self.idle_turns = if idle { self.idle_turns + 1 } else { 0 };
        assert!(self.idle_turns <= IDLE_TURNS_MAX, "the shard spins at {next:?}");
        self.now = next;
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= next
        {
            self.batch.push_back(entry.remove());
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<Completion> {
        assert!(self.leases == 0, "a lease was not released");
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
            });
        }
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        assert_eq!(lease.len as usize, self.lent.len());
        &self.lent
    }

    fn release(&mut self, _: Lease) {
        self.leases -= 1;
    }
}

/// ECONNRESET.
const CONNECTION_RESET: i32 = 104;
