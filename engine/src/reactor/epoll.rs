//! The reactor on epoll, for kernels and containers without io_uring.
//!
//! Sockets are registered once, edge-triggered, and never touched again: no `epoll_ctl` per
//! request, and an idle socket is never looked at twice. An edge obliges to read to the end; a read
//! that leaves room in the buffer has done so (epoll(7)), so the usual exchange costs one `recv`,
//! one `send` and a share of an `epoll_pwait2`.
//!
//! Sends happen at once, receives when their completion is popped, both on this thread. Events come
//! in batches of a few only, so that [`now`](Reactor::now) stays close to the moment of the
//! receive.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno as E;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};
use socket2::{SockAddr, SockRef};

use super::page::{Pool, Rest};
use super::payload::Payloads;
use super::socket::{self, Blocking};
use super::spun::Spun;
use super::{
    Address, Close, Completion, Confirm, During, Errno, Lease, Payload, Reactor, Sending, Slot,
    clock,
};
use crate::units::{Instant, Nanos};

/// Events per wait, and so the most receives that share a moment. Measured in benches/RESULTS.md,
/// "Batches".
const BATCH: usize = 16;

/// Bytes that one receive takes.
const BUFFER_SIZE: usize = 64 * 1024;

/// Most connections that are accepted per turn.
const ACCEPTS_MAX: u32 = 64;

/// How long an attempt waits that met a full queue of a unix socket: nobody tells when there is
/// room again.
const PAUSE: Nanos = Nanos::from_millis(1);

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The event data of the listener; those of connections are `generation << 32 | slot`.
const LISTENER: u64 = u64::MAX;

#[derive(Default)]
struct Life {
    /// Which of its lives the slot lives.
    generation: u32,
    /// None while the slot is free.
    socket: Option<OwnedFd>,
    state: State,
    /// What is left of a pending send.
    sending: Option<Rest>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Connecting,
    Established,
    /// The peer's end has been told; it is told once.
    Ended,
}

/// An attempt to connect to a unix socket whose queue is full.
struct Queued {
    slot: Slot,
    socket: OwnedFd,
    to: SockAddr,
}

/// What is left to be looked at in one event.
#[derive(Clone, Copy)]
struct Ready {
    slot: Slot,
    generation: u32,
    writable: bool,
    readable: bool,
    /// The peer's end is in the queue: reading goes on until it is met.
    ended: bool,
}

/// The reactor on epoll.
pub struct Epoll {
    interest: OwnedFd,
    lives: Vec<Life>,
    /// The attempts that are made again with every turn, and at least every millisecond.
    queued: VecDeque<Queued>,
    payloads: Payloads,
    pool: Pool,
    listener: Option<OwnedFd>,
    listener_ready: bool,
    events: Vec<epoll::Event>,
    /// The batch of this turn, in reverse.
    ready: Vec<Ready>,
    /// What had more to read than one buffer: it goes on in the next turn, so that one fast peer
    /// neither holds up the others nor stretches the moment that the turn stands for.
    unread: Vec<Ready>,
    /// Connections that may still be accepted in this turn.
    accepts_left: u32,
    own: Vec<Completion>,
    buffer: Box<[u8]>,
    now: Instant,
    spun: Spun,
}

impl Epoll {
    /// A reactor for connections in slots 0 to `slots` − 1.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn new(slots: u32) -> io::Result<Self> {
        let interest = epoll::create(CreateFlags::CLOEXEC)?;
        // Waits in nanoseconds are the one thing that an old kernel or a sandbox may lack.
        let mut events = Vec::with_capacity(1);
        epoll::wait(&interest, rustix::buffer::spare_capacity(&mut events), Some(&AT_ONCE))
            .map_err(|errno| io::Error::other(format!("epoll_pwait2 (Linux 5.11): {errno}")))?;
        let now = clock::now();
        Ok(Self {
            interest,
            lives: (0..slots).map(|_| Life::default()).collect(),
            queued: VecDeque::new(),
            payloads: Payloads::default(),
            pool: Pool::default(),
            listener: None,
            listener_ready: false,
            events: Vec::with_capacity(BATCH),
            ready: Vec::with_capacity(BATCH),
            unread: Vec::new(),
            accepts_left: 0,
            own: Vec::new(),
            buffer: vec![0; BUFFER_SIZE].into_boxed_slice(),
            now,
            spun: Spun::new(now),
        })
    }

    fn life(&mut self, slot: Slot) -> Option<&mut Life> {
        self.lives.get_mut(slot.index())
    }

    /// Watches `socket` for the rest of its life, and puts it into `slot`.
    fn install(&mut self, slot: Slot, socket: OwnedFd, state: State) -> io::Result<()> {
        let Some(life) = self.lives.get_mut(slot.index()) else { return Ok(()) };
        debug_assert!(life.socket.is_none(), "the slot is not free");
        let data = EventData::new_u64(u64::from(life.generation) << 32 | u64::from(slot.0));
        let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.interest, &socket, data, edges)?;
        life.socket = Some(socket);
        life.state = state;
        Ok(())
    }

    fn start_connect(&mut self, slot: Slot, to: &Address, from: Option<IpAddr>) -> io::Result<()> {
        let (name, socket) = (to.name()?, socket::open(to, from, Blocking::No)?);
        if let Address::Unix(_) = to {
            let full = self.connect_unix(Queued { slot, socket, to: name })?;
            self.queued.extend(full);
            return Ok(());
        }
        // Registered first, so that no edge can be missed.
        self.install(slot, socket, State::Connecting)?;
        let Some(socket) = self.life(slot).and_then(|life| life.socket.as_ref()) else {
            return Ok(());
        };
        match SockRef::from(socket).connect(&name) {
            Err(error) if E::from_io_error(&error) == Some(E::INPROGRESS) => Ok(()),
            result => result,
        }
    }

    /// Connects to a unix socket, which is done at once or not at all: returns the attempt if the
    /// queue is full. The socket is watched only then, for it looks established before it is.
    fn connect_unix(&mut self, attempt: Queued) -> io::Result<Option<Queued>> {
        match SockRef::from(&attempt.socket).connect(&attempt.to) {
            Ok(()) => self.install(attempt.slot, attempt.socket, State::Connecting).map(|()| None),
            Err(error) if E::from_io_error(&error) == Some(E::AGAIN) => Ok(Some(attempt)),
            Err(error) => Err(error),
        }
    }

    /// Makes the attempts again that met a full queue, until the first that still does.
    fn connect_queued(&mut self) {
        while let Some(attempt) = self.queued.pop_front() {
            let slot = attempt.slot;
            match self.connect_unix(attempt) {
                Ok(None) => {}
                Ok(Some(full)) => return self.queued.push_back(full),
                Err(error) => {
                    self.own.push(Completion::Failed(slot, During::Connect, Errno::from(&error)));
                }
            }
        }
    }

    /// Begins a turn that is to last until `until`, and says until when it does.
    fn open_turn(&mut self, until: Instant) -> Instant {
        debug_assert!(self.ready.is_empty(), "the last batch was not popped to its end");
        if self.queued.is_empty() {
            return until;
        }
        self.connect_queued();
        until.min(clock::now() + PAUSE)
    }

    /// The next completion of one event, and the event with what is left of it.
    fn look(&mut self, mut ready: Ready) -> (Option<Completion>, Option<Ready>) {
        let slot = ready.slot;
        let Some(life) = self.lives.get_mut(slot.index()) else { return (None, None) };
        let Some(socket) = life.socket.as_ref().filter(|_| life.generation == ready.generation)
        else {
            return (None, None);
        };
        if life.state == State::Connecting {
            if !ready.writable {
                return (None, None);
            }
            return match sockopt::socket_error(socket) {
                Ok(Ok(())) => {
                    life.state = State::Established;
                    (Some(Completion::Connected(slot)), Some(ready))
                }
                Ok(Err(errno)) | Err(errno) => {
                    (Some(Completion::Failed(slot, During::Connect, errno.into())), None)
                }
            };
        }
        if ready.writable {
            ready.writable = false;
            if life.sending.is_some() {
                return (self.push_on(slot), Some(ready));
            }
        }
        if ready.readable { self.receive(ready) } else { (None, None) }
    }

    fn receive(&mut self, ready: Ready) -> (Option<Completion>, Option<Ready>) {
        let slot = ready.slot;
        let Some(life) = self.lives.get_mut(slot.index()) else { return (None, None) };
        let Some(socket) = life.socket.as_ref().filter(|_| life.state != State::Ended) else {
            return (None, None);
        };
        match recv(socket, &mut *self.buffer, RecvFlags::empty()).map(|(len, _)| len) {
            Ok(0) => {
                life.state = State::Ended;
                (Some(Completion::Ended(slot)), None)
            }
            Ok(len) => {
                let drained = len < self.buffer.len() && !ready.ended;
                let lease = Lease { buffer: 0, len: u32::try_from(len).unwrap_or(u32::MAX) };
                if !drained {
                    self.unread.push(ready);
                }
                (Some(Completion::Received(slot, lease)), None)
            }
            Err(E::AGAIN) => (None, None),
            Err(E::INTR) => (None, Some(ready)),
            Err(errno) => {
                life.state = State::Ended;
                (Some(Completion::Failed(slot, During::Receive, errno.into())), None)
            }
        }
    }

    /// Goes on with a pending send.
    fn push_on(&mut self, slot: Slot) -> Option<Completion> {
        let life = self.lives.get_mut(slot.index())?;
        let mut rest = life.sending.take()?;
        match send_some(life.socket.as_ref()?, rest.bytes(&self.payloads)) {
            Ok(sent) if rest.advance(sent) => {
                rest.recycle(&mut self.pool);
                Some(Completion::Sent(slot))
            }
            Ok(_) => {
                life.sending = Some(rest);
                None
            }
            Err(errno) => {
                rest.recycle(&mut self.pool);
                Some(Completion::Failed(slot, During::Send, errno.into()))
            }
        }
    }

    fn fail_send(&mut self, slot: Slot, errno: E) -> Sending {
        self.own.push(Completion::Failed(slot, During::Send, errno.into()));
        Sending::Free
    }

    fn accept(&mut self) -> Option<Completion> {
        let may_accept = self.listener_ready && self.accepts_left > 0;
        let listener = self.listener.as_ref().filter(|_| may_accept)?;
        self.accepts_left -= 1;
        loop {
            match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => return Some(Completion::Accepted(socket)),
                // The connection is gone, or the call was interrupted: there may be another one.
                Err(E::INTR | E::CONNABORTED) => {}
                Err(_) => {
                    self.listener_ready = false;
                    return None;
                }
            }
        }
    }

    fn note(&mut self, event: epoll::Event) {
        let (data, flags) = (event.data.u64(), event.flags);
        if data == LISTENER {
            self.listener_ready = true;
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "cuts the fields out")]
        let (generation, slot) = ((data >> 32) as u32, Slot(data as u32));
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        self.ready.push(Ready {
            slot,
            generation,
            writable: flags.contains(EventFlags::OUT) || broken,
            readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP) || broken,
            ended: flags.contains(EventFlags::RDHUP) || broken,
        });
    }

    /// Whether there is nothing to pop yet.
    fn idle(&self) -> bool {
        self.own.is_empty() && self.unread.is_empty() && !self.listener_ready
    }

    /// Asks the kernel for events, and waits for them as long as `timeout` says.
    fn ask(&mut self, timeout: &Timespec) -> io::Result<()> {
        self.events.clear();
        let events = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.interest, events, Some(timeout)) {
            Ok(_) | Err(E::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes in the batch that was there at `now`.
    fn close_turn(&mut self, now: Instant) {
        self.now = now;
        while let Some(event) = self.events.pop() {
            self.note(event);
        }
        // The oldest on top.
        self.ready.extend(self.unread.drain(..).rev());
        self.accepts_left = ACCEPTS_MAX;
    }

    fn timeout(&self, until: Instant) -> Timespec {
        let span = if self.idle() { until.since(clock::now()).get() } else { 0 };
        Timespec {
            tv_sec: i64::try_from(span / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(span % 1_000_000_000).unwrap_or(0),
        }
    }
}

/// Sends what `socket` takes of `bytes` now, and returns how much that was.
fn send_some(socket: &OwnedFd, mut bytes: &[u8]) -> Result<usize, E> {
    let len = bytes.len();
    while !bytes.is_empty() {
        match send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or(&[]),
            Err(E::AGAIN) => break,
            Err(E::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(len - bytes.len())
}

impl Reactor for Epoll {
    fn clock(&mut self) -> Instant {
        clock::now()
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload> {
        self.payloads.publish(bytes, confirm)
    }

    fn connect(&mut self, slot: Slot, to: &Address, from: Option<IpAddr>) {
        if let Err(error) = self.start_connect(slot, to, from) {
            self.own.push(Completion::Failed(slot, During::Connect, Errno::from(&error)));
        }
    }

    fn listen(&mut self, listener: OwnedFd) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&listener, true)?;
        // Edge-triggered: when descriptors run out, the next connection brings the next attempt,
        // and until then nothing spins.
        let (data, edges) = (EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ET);
        epoll::add(&self.interest, listener.as_fd(), data, edges)?;
        self.listener = Some(listener);
        Ok(())
    }

    fn adopt(&mut self, slot: Slot, accepted: OwnedFd) {
        let adopted = socket::adopt(&accepted)
            .and_then(|()| self.install(slot, accepted, State::Established));
        if let Err(error) = adopted {
            self.own.push(Completion::Failed(slot, During::Connect, Errno::from(&error)));
        }
    }

    fn send(&mut self, slot: Slot, payload: Payload, range: Range<usize>) -> Sending {
        let Some(life) = self.lives.get_mut(slot.index()) else { return Sending::Free };
        debug_assert!(life.sending.is_none(), "a send is pending");
        let Some(socket) = &life.socket else { return Sending::Free };
        let (bytes, _) = self.payloads.get(payload, range.clone());
        match send_some(socket, bytes) {
            Ok(sent) if sent == bytes.len() => Sending::Free,
            Ok(sent) => {
                life.sending = Some(Rest::Published(payload, range.start + sent..range.end));
                Sending::Pending
            }
            Err(errno) => self.fail_send(slot, errno),
        }
    }

    fn page(&mut self) -> Vec<u8> {
        self.pool.take()
    }

    fn send_page(&mut self, slot: Slot, page: Vec<u8>, _: Confirm) -> Sending {
        debug_assert!(!page.is_empty(), "nothing to send");
        let life = self.lives.get_mut(slot.index());
        let Some((sending, socket)) = life.and_then(|l| Some((&mut l.sending, l.socket.as_ref()?)))
        else {
            self.pool.give(page);
            return Sending::Free;
        };
        debug_assert!(sending.is_none(), "a send is pending");
        let sent = send_some(socket, &page);
        if let Ok(sent) = sent
            && sent < page.len()
        {
            *sending = Some(Rest::Page(page, sent));
            return Sending::Pending;
        }
        self.pool.give(page);
        sent.map_or_else(|errno| self.fail_send(slot, errno), |_| Sending::Free)
    }

    fn give_page(&mut self, page: Vec<u8>) {
        self.pool.give(page);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        // A failure that was noted for this life must not meet the next one.
        self.own.retain(|c| !matches!(c, Completion::Failed(failed, ..) if *failed == slot));
        self.queued.retain(|attempt| attempt.slot != slot);
        let Some(life) = self.lives.get_mut(slot.index()) else { return };
        life.generation = life.generation.wrapping_add(1);
        if let Some(rest) = life.sending.take() {
            rest.recycle(&mut self.pool);
        }
        if let Some(socket) = life.socket.take() {
            socket::hang_up(&socket, how);
        }
    }

    fn wait(&mut self, until: Instant) -> io::Result<()> {
        let until = self.open_turn(until);
        self.ask(&self.timeout(until))?;
        self.close_turn(clock::now());
        Ok(())
    }

    fn spin(&mut self, until: Instant) -> io::Result<()> {
        let until = self.open_turn(until);
        let idle = self.idle();
        self.spun.begin(clock::now());
        self.ask(&AT_ONCE)?;
        let mut now = clock::now();
        while idle && now < until && self.events.is_empty() {
            self.spun.look(now);
            self.ask(&AT_ONCE)?;
            now = clock::now();
        }
        self.close_turn(now);
        Ok(())
    }

    fn spun(&self) -> Nanos {
        self.spun.total()
    }

    fn pop(&mut self) -> Option<Completion> {
        if let Some(completion) = self.own.pop().or_else(|| self.accept()) {
            return Some(completion);
        }
        while let Some(ready) = self.ready.pop() {
            let (completion, rest) = self.look(ready);
            self.ready.extend(rest);
            if completion.is_some() {
                return completion;
            }
        }
        None
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        self.buffer.get(..lease.len as usize).unwrap_or(&[])
    }

    fn bytes_mut(&mut self, lease: &Lease) -> &mut [u8] {
        self.buffer.get_mut(..lease.len as usize).unwrap_or(&mut [])
    }

    fn release(&mut self, lease: Lease) {
        debug_assert!(lease.len as usize <= self.buffer.len());
    }
}
