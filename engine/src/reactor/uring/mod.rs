//! The reactor on io_uring.
//!
//! Per connection one multishot receive stays armed, which takes its buffers from a registered
//! ring; per request there is one send, whose success completes silently if it is small and alone
//! on its connection. So a small exchange costs one submission and one completion, and one system
//! call serves many of them. The ring defers the kernel's completion work to our own wait
//! (`DEFER_TASKRUN`), which is what makes it cheaper than epoll.

mod buffers;
mod probe;
mod token;

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode};
use rustix::io::Errno as E;
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockAddr;

use self::buffers::{BUFFER_SIZE, Buffers};
pub(super) use self::probe::{features, probe};
use self::token::{Generation, Operation, Token};
use super::page::{Lingering, Pool, Rest};
use super::payload::Payloads;
use super::socket::{self, Blocking};
use super::spun::Spun;
use super::{
    Address, Close, Completion, Confirm, During, Errno, Lease, Payload, Reactor, SILENT_BYTES_MAX,
    Sending, Slot, clock,
};
use crate::units::{Instant, Nanos};

/// Submissions that one system call can carry; more simply take another call.
const SUBMISSIONS: u32 = 512;

/// Room for the completions of one turn, at least; the kernel keeps what does not fit.
const COMPLETIONS_MIN: u32 = 4096;

/// How long the end of a reactor waits for the kernel to let go of its memory.
const CANCEL_PATIENCE: Timespec = Timespec::new().sec(1);

/// Times that the kernel is asked again to take submissions.
const FLUSH_ATTEMPTS: u32 = 1024;

/// A completion as the kernel wrote it.
#[derive(Clone, Copy)]
struct Raw {
    token: u64,
    result: i32,
    flags: u32,
}

/// One connection.
#[derive(Default)]
struct Life {
    generation: Generation,
    /// None while the slot is free.
    socket: Option<OwnedFd>,
    /// R4: read by the kernel when it takes the submission.
    address: Option<Box<SockAddr>>,
    /// What is left of a confirmed send, or of a page (R5).
    sending: Option<Rest>,
    /// The last page whose send reports only failure (R5).
    silent: Vec<u8>,
}

/// The pages that are in no life of a slot.
#[derive(Default)]
struct Pages {
    pool: Pool,
    lingering: Lingering,
}

/// The reactor on io_uring.
pub struct Uring {
    /// Dropped first: what the kernel reads and writes is below (R1, R3, R5).
    ring: IoUring,
    buffers: Buffers,
    payloads: Payloads,
    pages: Pages,
    lives: Vec<Life>,
    listener: Option<OwnedFd>,
    /// The batch of this turn, and how far it has been popped.
    reaped: Vec<Raw>,
    popped: usize,
    batch: usize,
    /// Completions made up by us, for what failed before the kernel was asked.
    own: Vec<Completion>,
    /// Receives to be armed again with the next wait, as far as there are buffers for them.
    starved: VecDeque<(Slot, Generation)>,
    /// The listener's accept is to be armed again when a descriptor may be had.
    accept_lost: bool,
    /// Why the kernel refused submissions for good; the next wait reports it.
    refusal: Option<io::Error>,
    /// Whether the kernel takes absolute deadlines.
    absolute: bool,
    now: Instant,
    spun: Spun,
}

impl Uring {
    /// A reactor for connections in slots 0 to `slots` − 1, to be used by the calling thread alone.
    ///
    /// # Errors
    /// If the kernel refuses the ring or its buffers.
    pub fn new(slots: u32) -> io::Result<Self> {
        let completions = slots.saturating_mul(2).max(COMPLETIONS_MIN).next_power_of_two();
        let ring = probe::build(SUBMISSIONS, completions)?;
        let buffers = Buffers::register(&ring.submitter())?;
        ring.submitter().register_files_sparse(slots)?;
        let now = clock::now();
        Ok(Self {
            absolute: probe::takes_absolute_deadlines(&ring),
            buffers,
            payloads: Payloads::default(),
            pages: Pages::default(),
            lives: (0..slots).map(|_| Life::default()).collect(),
            listener: None,
            reaped: Vec::with_capacity(completions as usize),
            popped: 0,
            batch: 0,
            own: Vec::new(),
            starved: VecDeque::new(),
            accept_lost: false,
            refusal: None,
            now,
            spun: Spun::new(now),
            ring,
        })
    }

    fn life(&mut self, slot: Slot) -> Option<&mut Life> {
        self.lives.get_mut(slot.index())
    }

    /// Queues a submission; when the queue is full, the kernel is given what is in it first.
    fn submit(&mut self, entry: &Entry) {
        // SAFETY: R1, R3, R4, R5 — what the entry points to outlives the operation.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.flush();
            if self.refusal.is_some() {
                return;
            }
        }
    }

    /// Gives the kernel all that is queued, before the next wait would.
    ///
    /// The kernel may ask for patience while it is short of memory or of room for completions;
    /// reaping is what gives it room. If that does not help, the ring is of no more use.
    fn flush(&mut self) {
        for _ in 0..FLUSH_ATTEMPTS {
            if self.queued() == 0 {
                return;
            }
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) if is_passing(&error) => self.collect(),
                Err(error) => {
                    self.refusal = Some(error);
                    return;
                }
            }
        }
        self.refusal = Some(io::Error::from(E::AGAIN));
    }

    fn token(&self, operation: Operation, slot: Slot) -> u64 {
        let generation =
            self.lives.get(slot.index()).map_or_else(Generation::default, |l| l.generation);
        Token { operation, generation, slot }.pack()
    }

    /// Puts `socket` into `slot`, both in our table and in the kernel's.
    fn install(&mut self, slot: Slot, socket: OwnedFd) -> io::Result<()> {
        self.ring.submitter().register_files_update(slot.0, &[socket.as_raw_fd()])?;
        if let Some(life) = self.life(slot) {
            debug_assert!(life.socket.is_none(), "the slot is not free");
            life.socket = Some(socket);
        }
        Ok(())
    }

    fn arm_receive(&mut self, slot: Slot) {
        let token = self.token(Operation::Receive, slot);
        let entry = opcode::RecvMulti::new(Fixed(slot.0), buffers::GROUP).build().user_data(token);
        self.submit(&entry);
    }

    fn arm_accept(&mut self) {
        if let Some(listener) = &self.listener {
            let token = Token {
                operation: Operation::Accept,
                generation: Generation::default(),
                slot: Slot(0),
            };
            let entry = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
            self.submit(&entry.user_data(token.pack()));
        }
    }

    /// Sends a page that reports only failure, from memory of the slot's own.
    fn send_silently(&mut self, slot: Slot, page: Vec<u8>) -> Sending {
        debug_assert!(page.len() <= SILENT_BYTES_MAX, "such a send is small");
        let token = self.token(Operation::SendPageSilent, slot);
        if let Some(life) = self.lives.get_mut(slot.index()).filter(|life| life.socket.is_some()) {
            // Memory that never moves: the kernel may still read what the last one left here, if
            // the peer has answered without reading.
            if life.silent.capacity() < SILENT_BYTES_MAX {
                life.silent = Vec::with_capacity(SILENT_BYTES_MAX);
            }
            life.silent.clear();
            life.silent.extend_from_slice(&page);
            let entry = send_entry(slot, &life.silent, token);
            self.submit(&entry.flags(Flags::SKIP_SUCCESS));
        }
        self.pages.pool.give(page);
        Sending::Free
    }

    /// Asks whether the last silent send of `slot` is through. What is left to be sent follows when
    /// it is.
    fn ask(&mut self, slot: Slot) {
        let silent = CancelBuilder::user_data(self.token(Operation::SendPageSilent, slot));
        let token = self.token(Operation::Ask, slot);
        self.submit(&opcode::AsyncCancel2::new(silent).build().user_data(token));
    }

    /// The answer to that. A send that had to be called off has left the connection at an unknown
    /// byte.
    fn asked(&mut self, slot: Slot, result: i32) -> Option<Completion> {
        const THROUGH: i32 = -E::NOENT.raw_os_error();
        if result == THROUGH {
            self.submit_rest(slot);
            return None;
        }
        let rest = self.life(slot)?.sending.take()?;
        rest.recycle(&mut self.pages.pool);
        Some(Completion::Failed(slot, During::Send, Errno(E::NOBUFS.raw_os_error())))
    }

    /// Begins a send that reports its success.
    fn begin_send(&mut self, slot: Slot, rest: Rest, confirm: Confirm) -> Sending {
        let life = self.lives.get_mut(slot.index()).filter(|life| life.socket.is_some());
        debug_assert!(life.as_ref().is_none_or(|l| l.sending.is_none()), "a send is pending");
        // R5: what the kernel has in hand is not replaced, whatever is asked for.
        match life.filter(|life| life.sending.is_none()) {
            Some(life) => {
                life.sending = Some(rest);
                let ask = confirm == Confirm::InTurn && !life.silent.is_empty();
                if ask { self.ask(slot) } else { self.submit_rest(slot) }
            }
            None => rest.recycle(&mut self.pages.pool),
        }
        Sending::Pending
    }

    /// Hands over what is left of the send in `slot`.
    fn submit_rest(&mut self, slot: Slot) {
        let Some(rest) = self.lives.get(slot.index()).and_then(|life| life.sending.as_ref()) else {
            return;
        };
        let operation = match rest {
            Rest::Published(..) => Operation::SendConfirmed,
            Rest::Page(..) => Operation::SendPage,
        };
        let entry = send_entry(slot, rest.bytes(&self.payloads), self.token(operation, slot));
        self.submit(&entry);
    }

    fn open(&mut self, slot: Slot, to: &Address, from: Option<IpAddr>) -> io::Result<SockAddr> {
        let name = to.name()?;
        let socket = socket::open(to, from, Blocking::Yes)?;
        self.install(slot, socket)?;
        Ok(name)
    }

    /// Translates a completion; `None` if it is of no interest, or of an earlier life of its slot.
    fn translate(&mut self, raw: Raw) -> Option<Completion> {
        let token = Token::unpack(raw.token);
        let slot = token.slot;
        if token.operation == Operation::Accept {
            return self.accepted(raw);
        }
        let current = self
            .lives
            .get(slot.index())
            .is_some_and(|life| life.generation == token.generation && life.socket.is_some());
        if !current {
            self.give_back(raw.flags);
            let of = match token.operation {
                Operation::SendPage | Operation::Ignored => raw.token,
                // Its answer was waited for, so that page was never handed over.
                Operation::Ask => Token { operation: Operation::SendPage, ..token }.pack(),
                _ => return None,
            };
            if let Some(page) = self.pages.lingering.reaped(of) {
                self.pages.pool.give(page);
            }
            return None;
        }
        match token.operation {
            Operation::Connect => Some(self.connected(slot, raw.result)),
            Operation::Receive => self.received(slot, raw),
            Operation::SendSilent | Operation::SendPageSilent => {
                Some(Completion::Failed(slot, During::Send, failure_of_send(raw.result)))
            }
            Operation::SendConfirmed | Operation::SendPage => self.sent(slot, raw.result),
            Operation::Ask => self.asked(slot, raw.result),
            Operation::Accept | Operation::Ignored => None,
        }
    }

    fn connected(&mut self, slot: Slot, result: i32) -> Completion {
        if let Some(life) = self.life(slot) {
            life.address = None;
        }
        if result < 0 {
            return Completion::Failed(slot, During::Connect, Errno(-result));
        }
        self.arm_receive(slot);
        Completion::Connected(slot)
    }

    fn received(&mut self, slot: Slot, raw: Raw) -> Option<Completion> {
        const NO_BUFFERS: i32 = -E::NOBUFS.raw_os_error();
        const INTERRUPTED: i32 = -E::INTR.raw_os_error();
        let armed = cqueue::more(raw.flags);
        match (raw.result, cqueue::buffer_select(raw.flags)) {
            (1.., Some(buffer)) => {
                self.buffers.lend(buffer);
                if !armed {
                    self.arm_receive(slot);
                }
                let len = raw.result.unsigned_abs().min(BUFFER_SIZE);
                Some(Completion::Received(slot, Lease { buffer, len }))
            }
            // All buffers were lent out. They are back with the next wait, and so is the receive.
            (NO_BUFFERS | INTERRUPTED, _) => {
                self.give_back(raw.flags);
                let generation = self.lives.get(slot.index())?.generation;
                self.starved.push_back((slot, generation));
                None
            }
            (result, _) => {
                self.give_back(raw.flags);
                if result >= 0 {
                    Some(Completion::Ended(slot))
                } else {
                    Some(Completion::Failed(slot, During::Receive, Errno(-result)))
                }
            }
        }
    }

    fn sent(&mut self, slot: Slot, result: i32) -> Option<Completion> {
        let life = self.lives.get_mut(slot.index())?;
        let mut rest = life.sending.take()?;
        let done = result <= 0 || rest.advance(result.unsigned_abs() as usize);
        if done {
            rest.recycle(&mut self.pages.pool);
            return Some(match result {
                1.. => Completion::Sent(slot),
                _ => Completion::Failed(slot, During::Send, failure_of_send(result)),
            });
        }
        // Cut short in spite of WAITALL: going on either works or tells why.
        life.sending = Some(rest);
        self.submit_rest(slot);
        None
    }

    /// Arms the receives again which ran out of buffers: at most as many as there are buffers, or
    /// most of them would run out at once and come back here.
    fn feed_starved(&mut self) {
        for _ in 0..buffers::BUFFER_COUNT {
            let Some((slot, generation)) = self.starved.pop_front() else { return };
            let life = self.lives.get(slot.index());
            if life.is_some_and(|l| l.generation == generation && l.socket.is_some()) {
                self.arm_receive(slot);
            }
        }
    }

    fn accepted(&mut self, raw: Raw) -> Option<Completion> {
        if raw.result < 0 {
            // Out of descriptors, most likely: armed again at once it would fail at once.
            self.accept_lost |= !cqueue::more(raw.flags);
            return None;
        }
        if !cqueue::more(raw.flags) {
            self.arm_accept();
        }
        // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
        Some(Completion::Accepted(unsafe { OwnedFd::from_raw_fd(raw.result) }))
    }

    /// R2: a buffer that a dropped completion names goes back to the kernel.
    fn give_back(&mut self, flags: u32) {
        if let Some(buffer) = cqueue::buffer_select(flags) {
            self.buffers.lend(buffer);
            self.buffers.give(buffer);
        }
    }

    /// Hands over all submissions and waits for a completion until `until`; at once if that is
    /// past.
    fn enter(&self, until: Instant, want: u32) -> io::Result<usize> {
        let time = if self.absolute {
            Nanos::new(until.since_origin())
        } else {
            until.since(clock::now())
        };
        let timeout = Timespec::new()
            .sec(time.get() / 1_000_000_000)
            .nsec(u32::try_from(time.get() % 1_000_000_000).unwrap_or(0));
        let args = SubmitArgs::new().timespec(&timeout);
        // Deferred completion work runs only in a call that asks for events.
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        flags.set(EnterFlags::ABS_TIMER, self.absolute);
        let queued = u32::try_from(self.queued()).unwrap_or(u32::MAX);
        // SAFETY: the arguments live until the call returns; R1 and R3 to R5 cover the submissions.
        unsafe { self.ring.submitter().enter(queued, want, flags.bits(), Some(&args)) }
    }

    fn queued(&self) -> usize {
        // SAFETY: the ring belongs to this thread, so nobody else has a view of the queue.
        unsafe { self.ring.submission_shared() }.len()
    }

    /// Begins a turn: makes room for its batch, and arms what has to be armed again. Says whether
    /// there is nothing to pop yet.
    fn open_turn(&mut self) -> io::Result<bool> {
        debug_assert!(self.popped >= self.batch, "the last batch was not popped to its end");
        self.reaped.drain(..self.popped);
        self.popped = 0;
        self.feed_starved();
        if let Some(error) = self.refusal.take() {
            return Err(error);
        }
        Ok(self.own.is_empty() && self.reaped.is_empty() && self.starved.is_empty())
    }

    /// Takes in the batch that was there at `now`.
    fn close_turn(&mut self, now: Instant) {
        self.now = now;
        self.collect();
        self.batch = self.reaped.len();
    }

    /// Lets the kernel take what is queued and do its deferred work, without waiting for anything.
    fn poll(&mut self) -> io::Result<()> {
        match self.enter(self.now, 0) {
            Err(error) if !is_passing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a call would get anywhere: something is queued, or the kernel has flagged work that
    /// it left for our next call. All of it is read from the memory that is shared with it.
    fn call_due(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.taskrun() || queue.cq_overflow() || !queue.is_empty()
    }

    /// Takes the completions that are there to those which wait to be popped.
    fn collect(&mut self) {
        let batch = self.ring.completion().map(|c| Raw {
            token: c.user_data(),
            result: c.result(),
            flags: c.flags(),
        });
        self.reaped.extend(batch);
    }
}

/// Whether an error of a submission or a wait passes by itself. TIME: the deadline. INTR: a signal.
/// BUSY, AGAIN: the kernel wants us to reap first, or is short of memory.
fn is_passing(error: &io::Error) -> bool {
    let passing = [E::TIME, E::INTR, E::BUSY, E::AGAIN];
    E::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

/// A send of `bytes`, which must stay where they are until it has completed (R1, R5).
fn send_entry(slot: Slot, bytes: &[u8], token: u64) -> Entry {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // WAITALL: the kernel itself goes on when the socket's buffer was full.
    let flags = RecvFlags::WAITALL.bits() | SendFlags::NOSIGNAL.bits();
    let entry = opcode::Send::new(Fixed(slot.0), bytes.as_ptr(), len).flags(flags.cast_signed());
    entry.build().user_data(token)
}

/// A silent send that is short, or a confirmed one of nothing, met a peer that is gone.
fn failure_of_send(result: i32) -> Errno {
    if result < 0 { Errno(-result) } else { Errno::BROKEN_PIPE }
}

impl Drop for Uring {
    /// Takes back what the kernel may still read or write (R1, R3, R5): closing a ring only starts
    /// that.
    fn drop(&mut self) {
        let all = CancelBuilder::any();
        let cancelled = self.ring.submitter().register_sync_cancel(Some(CANCEL_PATIENCE), all);
        // Nothing to cancel is as good as everything cancelled.
        let quiet = match cancelled {
            Ok(()) => true,
            Err(error) => E::from_io_error(&error) == Some(E::NOENT),
        };
        let _reaped = self.enter(self.now, 0);
        self.collect();
        self.listener = None;
        for raw in std::mem::take(&mut self.reaped).drain(self.popped..) {
            if Token::unpack(raw.token).operation == Operation::Accept {
                // A connection that nobody took is closed.
                drop(self.accepted(raw));
            }
        }
        if !quiet {
            self.buffers.leak();
            std::mem::forget(std::mem::take(&mut self.payloads));
            std::mem::forget(std::mem::take(&mut self.pages.lingering));
            for life in &mut self.lives {
                std::mem::forget(life.sending.take());
                std::mem::forget(std::mem::take(&mut life.silent));
            }
        }
    }
}

impl Reactor for Uring {
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
        let name = match self.open(slot, to, from) {
            Ok(name) => name,
            Err(error) => {
                self.own.push(Completion::Failed(slot, During::Connect, Errno::from(&error)));
                return;
            }
        };
        let token = self.token(Operation::Connect, slot);
        let Some(life) = self.life(slot) else { return };
        let address = life.address.insert(Box::new(name));
        let entry = opcode::Connect::new(Fixed(slot.0), address.as_ptr().cast(), address.len());
        self.submit(&entry.build().user_data(token));
    }

    fn listen(&mut self, listener: OwnedFd) -> io::Result<()> {
        self.listener = Some(listener);
        self.arm_accept();
        Ok(())
    }

    fn adopt(&mut self, slot: Slot, accepted: OwnedFd) {
        let adopted = socket::adopt(&accepted).and_then(|()| self.install(slot, accepted));
        match adopted {
            Ok(()) => self.arm_receive(slot),
            Err(error) => {
                self.own.push(Completion::Failed(slot, During::Connect, Errno::from(&error)));
            }
        }
    }

    fn send(&mut self, slot: Slot, payload: Payload, range: Range<usize>) -> Sending {
        let (bytes, confirm) = self.payloads.get(payload, range.clone());
        if confirm != Confirm::Failure {
            return self.begin_send(slot, Rest::Published(payload, range), confirm);
        }
        let entry = send_entry(slot, bytes, self.token(Operation::SendSilent, slot));
        self.submit(&entry.flags(Flags::SKIP_SUCCESS));
        Sending::Free
    }

    fn page(&mut self) -> Vec<u8> {
        self.pages.pool.take()
    }

    fn send_page(&mut self, slot: Slot, page: Vec<u8>, confirm: Confirm) -> Sending {
        debug_assert!(!page.is_empty(), "nothing to send");
        if confirm == Confirm::Failure {
            return self.send_silently(slot, page);
        }
        let page = self.pages.pool.compact(page);
        self.begin_send(slot, Rest::Page(page, 0), confirm)
    }

    fn give_page(&mut self, page: Vec<u8>) {
        self.pages.pool.give(page);
    }

    fn close(&mut self, slot: Slot, how: Close) {
        // A failure that was noted for this life must not meet the next one.
        self.own.retain(|c| !matches!(c, Completion::Failed(failed, ..) if *failed == slot));
        let page_sent = self.token(Operation::SendPage, slot);
        let called_off = self.token(Operation::Ignored, slot);
        let Some(life) = self.lives.get_mut(slot.index()) else { return };
        life.generation = life.generation.next();
        if let Some(rest) = life.sending.take() {
            self.pages.lingering.keep(page_sent, rest);
        }
        if !life.silent.is_empty() {
            let silent = std::mem::take(&mut life.silent);
            self.pages.lingering.keep(called_off, Rest::Page(silent, 0));
        }
        let Some(socket) = life.socket.take() else { return };
        if how == Close::Finish {
            // What was queued to be sent goes out before the farewell.
            self.flush();
        }
        socket::hang_up(&socket, how);
        // Pending operations hold the file open beyond `close`. The slot means this socket only
        // until the table is changed, so the kernel gets what is queued for it first.
        let all = CancelBuilder::fd(Fixed(slot.0)).all();
        self.submit(&opcode::AsyncCancel2::new(all).build().user_data(called_off));
        self.flush();
        let _never_installed = self.ring.submitter().register_files_update(slot.0, &[-1]);
        if std::mem::take(&mut self.accept_lost) {
            drop(socket);
            self.arm_accept();
        }
    }

    fn wait(&mut self, until: Instant) -> io::Result<()> {
        // A deadline that is past makes this a poll, which must not pay for a timer.
        let idle = self.open_turn()?;
        let want = u32::from(idle && until > self.now);
        if let Err(error) = self.enter(until, want)
            && !is_passing(&error)
        {
            return Err(error);
        }
        self.close_turn(clock::now());
        Ok(())
    }

    fn spin(&mut self, until: Instant) -> io::Result<()> {
        let idle = self.open_turn()?;
        if self.call_due() {
            self.poll()?;
        }
        let mut now = clock::now();
        self.spun.begin(now);
        while idle && now < until && self.ring.completion().is_empty() {
            if self.call_due() {
                self.poll()?;
                now = clock::now();
                self.spun.begin(now);
            } else {
                spin_loop();
                now = clock::now();
                self.spun.look(now);
            }
        }
        self.close_turn(now);
        Ok(())
    }

    fn completions_lost(&mut self) -> u64 {
        u64::from(self.ring.completion().overflow())
    }

    fn spun(&self) -> Nanos {
        self.spun.total()
    }

    fn pop(&mut self) -> Option<Completion> {
        if let Some(completion) = self.own.pop() {
            return Some(completion);
        }
        // What was collected since the wait belongs to the next turn: its moment is later than
        // `now`.
        while self.popped < self.batch
            && let Some(&raw) = self.reaped.get(self.popped)
        {
            self.popped += 1;
            if let Some(completion) = self.translate(raw) {
                return Some(completion);
            }
        }
        None
    }

    fn bytes(&self, lease: &Lease) -> &[u8] {
        self.buffers.bytes(lease.buffer, lease.len)
    }

    fn bytes_mut(&mut self, lease: &Lease) -> &mut [u8] {
        self.buffers.bytes_mut(lease.buffer, lease.len)
    }

    fn release(&mut self, lease: Lease) {
        self.buffers.give(lease.buffer);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::reactor::PAGE;
    use crate::reactor::conformance::uring_works;

    const PATIENCE: Nanos = Nanos::from_secs(30);

    /// The next completion.
    fn next(uring: &mut Uring) -> Completion {
        let deadline = clock::now() + PATIENCE;
        loop {
            if let Some(completion) = uring.pop() {
                return completion;
            }
            assert!(clock::now() < deadline, "nothing happens");
            uring.wait(deadline).unwrap();
        }
    }

    /// Sends pages to a peer that reads nothing, until one is stuck; returns where that one is.
    fn send_until_stuck(uring: &mut Uring, fill: u8) -> *const u8 {
        for _ in 0..10_000 {
            let mut page = uring.page();
            page.resize(PAGE, fill);
            let memory = page.as_ptr();
            assert_eq!(uring.send_page(Slot(0), page, Confirm::Always), Sending::Pending);
            uring.wait(clock::now() + Nanos::from_millis(50)).unwrap();
            match uring.pop() {
                Some(Completion::Sent(_)) => {}
                None => return memory,
                other => panic!("{other:?}"),
            }
        }
        panic!("the sockets hold all of it");
    }

    fn connect(uring: &mut Uring, listener: &TcpListener) -> TcpStream {
        uring.connect(Slot(0), &listener.local_addr().unwrap().into(), None);
        assert!(matches!(next(uring), Completion::Connected(_)));
        let peer = listener.accept().unwrap().0;
        peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        peer
    }

    #[test]
    fn a_page_in_the_kernels_hands_outlives_its_connection() {
        if !uring_works() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut uring = Uring::new(1).unwrap();
        for how in [Close::Finish, Close::Reset] {
            let mut peer = connect(&mut uring, &listener);
            let stuck = send_until_stuck(&mut uring, b'1');
            uring.close(Slot(0), how);
            assert_eq!(uring.pages.lingering.len(), 1);
            // The slot lives again, with a page that is another one, before the first is reaped.
            let other = uring.page();
            assert_ne!(other.as_ptr(), stuck);
            uring.give_page(other);
            let mut again = connect(&mut uring, &listener);
            let _stuck = send_until_stuck(&mut uring, b'2');
            assert_eq!(uring.pages.lingering.len(), 0, "reaped");
            uring.close(Slot(0), Close::Reset);
            // Only now the kernel lets go of the socket.
            uring.wait(clock::now() + Nanos::from_millis(5)).unwrap();
            assert!(uring.pop().is_none());
            let (mut first, mut second) = (Vec::new(), Vec::new());
            // Either may end with a reset.
            let _ends = (peer.read_to_end(&mut first), again.read_to_end(&mut second));
            assert!(first.iter().all(|&byte| byte == b'1'));
            assert!(second.iter().all(|&byte| byte == b'2'));
            assert!(first.len().min(second.len()) > PAGE);
        }
        // What is stuck at the end is taken back from the kernel, or leaked.
        let _peer = connect(&mut uring, &listener);
        send_until_stuck(&mut uring, b'3');
    }

    #[test]
    fn what_was_sent_silently_is_kept_until_nothing_of_its_slot_is_pending() {
        if !uring_works() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut uring = Uring::new(1).unwrap();
        let _peer = connect(&mut uring, &listener);
        let page = b"question".to_vec();
        assert_eq!(uring.send_page(Slot(0), page, Confirm::Failure), Sending::Free);
        uring.close(Slot(0), Close::Finish);
        assert_eq!(uring.pages.lingering.len(), 1);
        assert!(uring.lives[0].silent.is_empty());
        uring.wait(clock::now() + Nanos::from_millis(5)).unwrap();
        assert!(uring.pop().is_none());
        assert_eq!(uring.pages.lingering.len(), 0, "the kernel has confirmed the cancellation");
    }

    #[test]
    fn a_page_that_waits_for_its_turn_goes_with_its_connection() {
        if !uring_works() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut uring = Uring::new(1).unwrap();
        for _ in 0..3 {
            let _peer = connect(&mut uring, &listener);
            let page = b"question".to_vec();
            assert_eq!(uring.send_page(Slot(0), page, Confirm::Failure), Sending::Free);
            let page = b"more".to_vec();
            assert_eq!(uring.send_page(Slot(0), page, Confirm::InTurn), Sending::Pending);
            uring.close(Slot(0), Close::Finish);
            for _ in 0..3 {
                uring.wait(clock::now() + Nanos::from_millis(2)).unwrap();
                assert!(uring.pop().is_none());
            }
        }
        assert_eq!(uring.pages.lingering.len(), 0);
    }

    #[test]
    fn what_is_sent_silently_stays_where_it_is_whatever_the_peer_answers() {
        if !uring_works() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut uring = Uring::new(1).unwrap();
        let _peer = connect(&mut uring, &listener);
        let mut first = None;
        for len in [1, 100, SILENT_BYTES_MAX, 7] {
            let page = vec![b'x'; len];
            assert_eq!(uring.send_page(Slot(0), page, Confirm::Failure), Sending::Free);
            let memory = uring.lives[0].silent.as_ptr();
            assert_eq!(*first.get_or_insert(memory), memory, "{len}");
        }
    }

    #[test]
    fn a_send_that_had_to_be_called_off_is_the_end_of_its_connection() {
        if !uring_works() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut uring = Uring::new(1).unwrap();
        let _peer = connect(&mut uring, &listener);
        uring.lives[0].sending = Some(Rest::Page(b"more".to_vec(), 0));
        // As if the kernel had found it, and cancelled it.
        let told = uring.asked(Slot(0), 0);
        assert!(matches!(told, Some(Completion::Failed(Slot(0), During::Send, _))), "{told:?}");
        assert!(uring.lives[0].sending.is_none());
    }

    #[test]
    fn a_send_that_is_cut_short_goes_on_with_the_rest() {
        if !uring_works() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut uring = Uring::new(1).unwrap();
        let mut peer = connect(&mut uring, &listener);
        let payload = uring.publish(b"payload".to_vec(), Confirm::Always).unwrap();
        let page = b"..page".to_vec();
        for rest in [Rest::Page(page, 0), Rest::Published(payload, 0..7)] {
            // As if the kernel had taken the first two bytes.
            uring.lives[0].sending = Some(rest);
            assert!(uring.sent(Slot(0), 2).is_none());
            assert!(matches!(next(&mut uring), Completion::Sent(_)));
        }
        let mut bytes = [0; 9];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"pageyload");
    }
}
