//! The simulated reactor with a script in the place of a model, and a log of what the shard did.
//!
//! What the server does is in the hands of two closures, which say for each attempt to connect and
//! for each request what will happen and when; a wait that nothing ends may be made to end late.
//! The same script and the same shard give the same run.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::reactor::sim::{self, Peer, Sim, WaitEnd, World};
use crate::reactor::{
    Address, Close, Completion, Confirm, Errno, Lease, Payload, Reactor, Sending, Slot,
};
use crate::units::{Instant, Nanos};

pub(super) use crate::reactor::sim::Door;

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

/// What follows bytes that are no published request.
pub(super) type Hear = dyn FnMut(Slot, &[u8]) -> Acts;

/// The server: what happens, and how long after it was asked.
pub(super) struct Script {
    pub(super) door: Box<dyn FnMut(Instant, SocketAddr) -> Door>,
    pub(super) answer: Box<dyn FnMut(&Asked) -> Acts>,
    /// What follows the bytes of a page, if they are made sense of.
    pub(super) hear: Option<Box<Hear>>,
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
    /// How the send of each page is reported.
    pub(super) pages: Vec<Confirm>,
    /// Most sends between two looks at the clock.
    pub(super) burst: u32,
    /// Waits that were none, because something was to be done at once.
    pub(super) polls: u32,
}

/// How much too late a sleep ends that nothing ends before.
type Oversleep = Rc<RefCell<Box<dyn FnMut(Instant) -> Nanos>>>;

/// A script as the world of a shard.
struct Scripted {
    script: Script,
    oversleep: Oversleep,
}

impl Peer for Scripted {
    fn knock(&mut self, at: Instant, _: usize, to: &Address) -> Door {
        (self.script.door)(at, to.inet().unwrap())
    }

    fn answer(&mut self, asked: &sim::Asked, acts: &mut sim::Acts) -> Option<Nanos> {
        let &sim::Asked { at, number, nth, line } = asked;
        let slot = Slot(u32::try_from(line).unwrap());
        let said = (self.script.answer)(&Asked { at, number, nth, slot });
        acts.extend(said.into_iter().map(simulated));
        None
    }

    fn hear(&mut self, _: Instant, line: usize, bytes: &[u8], acts: &mut sim::Acts) -> bool {
        let Some(hear) = &mut self.script.hear else { return false };
        let slot = Slot(u32::try_from(line).unwrap());
        acts.extend(hear(slot, bytes).into_iter().map(simulated));
        true
    }

    fn left(&mut self, _: Instant, _: usize) {}

    fn wake(&mut self, until: Instant, end: WaitEnd) -> Instant {
        match end {
            WaitEnd::Alarm => until + (self.oversleep.borrow_mut())(until),
            WaitEnd::Event | WaitEnd::Awake => until,
        }
    }
}

fn simulated((after, act): (Nanos, Act)) -> (Nanos, sim::Act) {
    let act = match act {
        Act::Say(bytes) => sim::Act::Say(bytes.into()),
        Act::End => sim::Act::End,
        Act::Reset => sim::Act::Reset,
        Act::FailSend(errno) => sim::Act::FailSend(Errno(errno)),
    };
    (after, act)
}

pub(super) struct Fake {
    sim: Sim,
    oversleep: Oversleep,
    log: Rc<RefCell<Log>>,
    /// The request; all that is published is this, so many times.
    request: Vec<u8>,
    /// Sends since the last look at the clock.
    burst: u32,
}

impl Fake {
    pub(super) fn new(slots: u32, request: Vec<u8>, script: Script) -> (Self, Rc<RefCell<Log>>) {
        let log = Rc::new(RefCell::new(Log::default()));
        let never: Box<dyn FnMut(Instant) -> Nanos> = Box::new(|_| Nanos::ZERO);
        let oversleep = Rc::new(RefCell::new(never));
        let peer = Scripted { script, oversleep: Rc::clone(&oversleep) };
        let sim = World::of(Box::new(peer)).reactor(slots, request.len());
        (Self { sim, oversleep, log: Rc::clone(&log), request, burst: 0 }, log)
    }

    /// From now on, a sleep that nothing ends before ends so much too late.
    pub(super) fn oversleep(&mut self, late: impl FnMut(Instant) -> Nanos + 'static) {
        *self.oversleep.borrow_mut() = Box::new(late);
    }
}

impl Reactor for Fake {
    fn clock(&mut self) -> Instant {
        self.burst = 0;
        self.sim.clock()
    }

    fn now(&self) -> Instant {
        self.sim.now()
    }

    fn cpu_time(&self) -> Nanos {
        self.sim.cpu_time()
    }

    fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload> {
        // The first of several is as long as any.
        assert!(bytes.len().is_multiple_of(self.request.len()), "not the request");
        let mut repeats = bytes.chunks(self.request.len());
        assert!(repeats.all(|repeat| bytes.starts_with(repeat)), "not the same again and again");
        self.log.borrow_mut().published.push((bytes.len(), confirm));
        self.sim.publish(bytes, confirm)
    }

    fn connect(&mut self, slot: Slot, to: &Address, from: Option<IpAddr>) {
        self.log.borrow_mut().dialled.push((self.now(), slot, to.inet().unwrap()));
        self.sim.connect(slot, to, from);
    }

    fn listen(&mut self, listener: OwnedFd) -> io::Result<()> {
        self.sim.listen(listener)
    }

    fn adopt(&mut self, slot: Slot, accepted: OwnedFd) {
        self.sim.adopt(slot, accepted);
    }

    fn send(&mut self, slot: Slot, payload: Payload, range: Range<usize>) -> Sending {
        self.burst += 1;
        let mut log = self.log.borrow_mut();
        log.burst = log.burst.max(self.burst);
        log.sent.push((self.now(), slot, range.len() / self.request.len()));
        drop(log);
        self.sim.send(slot, payload, range)
    }

    fn page(&mut self) -> Vec<u8> {
        self.sim.page()
    }

    fn send_page(&mut self, slot: Slot, page: Vec<u8>, confirm: Confirm) -> Sending {
        self.log.borrow_mut().pages.push(confirm);
        self.sim.send_page(slot, page, confirm)
    }

    fn give_page(&mut self, page: Vec<u8>) {
        self.sim.give_page(page);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.log.borrow_mut().closed.push((self.now(), slot, how));
        self.sim.close(slot, how);
    }

    fn wait(&mut self, until: Instant) -> io::Result<()> {
        self.log.borrow_mut().polls += u32::from(until <= self.sim.now());
        self.sim.wait(until)
    }

    fn spin(&mut self, until: Instant) -> io::Result<()> {
        self.sim.spin(until)
    }

    fn spun(&self) -> Nanos {
        self.sim.spun()
    }

    fn pop(&mut self) -> Option<Completion> {
        self.sim.pop()
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        self.sim.bytes(lease)
    }

    fn bytes_mut(&mut self, lease: &Lease) -> &mut [u8] {
        self.sim.bytes_mut(lease)
    }

    fn release(&mut self, lease: Lease) {
        self.sim.release(lease);
    }
}
