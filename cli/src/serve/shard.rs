//! One core of the server: its reactor, its connections, and the loop.
//!
//! [`Shard::run`] is the whole of it: send what is due, wait, take in what happened. Replies that
//! are timed leave within microseconds of their time, because the shard stops sleeping shortly
//! before it.

use core::num::NonZeroU64;
use std::cmp::Reverse;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pummel_engine::reactor::{Close, Completion, Confirm, Lease, PAGE, Reactor, Sending, Slot};
use pummel_engine::tls::Acceptor;
use pummel_engine::units::{Instant, Nanos};

use super::conn::{Conn, Input, Output, Speaks, What};
use super::desk::{Answers, Desk, Timer, Timers};
use super::h2;
use super::log::Log;
use super::model::{AT_ONCE, Model};
use super::reply::{Replies, Reply, ReplyId};
use super::request::Familiar;
use super::script::Script;
use super::secure::{PLAIN_BYTES_MAX, Rest, Secured};

/// Longest time for which a shard does not look whether it has to end.
const HEARTBEAT: Nanos = Nanos::from_millis(10);

/// How long before a reply is due the shard stops sleeping: about what the kernel needs to wake it
/// up.
const MARGIN: Nanos = Nanos::from_micros(60);

/// What ends a shard.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) stop: Arc<AtomicBool>,
    /// At the latest then.
    pub(super) at: Option<Instant>,
}

/// Which shard it is, and what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    /// Its number, from 0.
    pub(super) shard: u32,
    /// Its connections are in the slots 0 to `slots` − 1.
    pub(super) slots: u32,
    /// From here freezes are counted, on all shards.
    pub(super) origin: Instant,
    /// Most rows in its record of arrivals, if it keeps one.
    pub(super) rows_max: Option<u32>,
}

/// A shard on the reactor `R`.
pub(super) struct Shard<R> {
    reactor: R,
    desk: Desk,
    free: Vec<Slot>,
    spins: bool,
    /// Makes the sessions of connections, where they are secured.
    acceptor: Option<Acceptor>,
    /// Connections that may have frames to send before the next wait: all in one page then.
    touched: Vec<Slot>,
    /// Frames that are to be sealed.
    plain: Vec<u8>,
}

impl<R: Reactor> Shard<R> {
    /// A shard on `reactor`, which listens already and has room for its connections.
    ///
    /// # Errors
    /// If the reactor does not take the replies.
    pub(super) fn new(mut reactor: R, post: Post, script: &Script) -> io::Result<Self> {
        let Post { shard, slots, origin, rows_max } = post;
        let acceptor = script.acceptor.clone();
        Ok(Self {
            desk: Desk {
                conns: (0..slots).map(|_| Conn::default()).collect(),
                frames: h2::Replies::new(&script.shape),
                manners: script.manners,
                answers: Answers {
                    replies: Replies::publish(&mut reactor, &script.shape, acceptor.is_some())?,
                    model: Model::new(script.timing, script.faults, origin, shard),
                    drip: script.timing.drip,
                    close_after: script.close_after.map_or(u64::MAX, NonZeroU64::get),
                },
                familiar: Familiar::default(),
                timers: Timers::new(),
                log: Log::recording(rows_max),
            },
            free: (0..slots).rev().map(Slot).collect(),
            spins: script.spins,
            acceptor,
            touched: Vec::new(),
            plain: Vec::new(),
            reactor,
        })
    }

    /// Serves until `ending`, and returns what was done.
    ///
    /// # Errors
    /// If the kernel refuses to wait.
    pub(super) fn run(mut self, ending: &Ending) -> io::Result<Log> {
        loop {
            let now = self.reactor.clock();
            let over = ending.at.is_some_and(|at| now >= at);
            if over || ending.stop.load(Ordering::Relaxed) {
                return Ok(self.desk.log);
            }
            self.send_due(now);
            self.write_touched(now);
            self.reactor.wait(self.next_wake(now))?;
            while let Some(completion) = self.reactor.pop() {
                self.take_in(completion);
            }
        }
    }

    /// A moment that is past makes the wait a poll.
    fn next_wake(&self, now: Instant) -> Instant {
        if self.spins {
            return AT_ONCE;
        }
        let heartbeat = now + HEARTBEAT;
        let due = self.desk.timers.peek().map(|Reverse(timer)| timer.due - MARGIN);
        due.map_or(heartbeat, |due| due.min(heartbeat))
    }

    fn send_due(&mut self, now: Instant) {
        while let Some(&Reverse(timer)) = self.desk.timers.peek()
            && timer.due <= now
        {
            self.desk.timers.pop();
            self.flush(timer.slot, now);
        }
    }

    fn take_in(&mut self, completion: Completion) {
        let now = self.reactor.now();
        match completion {
            Completion::Received(slot, lease) => self.received(slot, lease, now),
            Completion::Sent(slot) => self.sent(slot, now),
            Completion::Accepted(socket) => self.accepted(socket),
            Completion::Ended(slot) => self.ended(slot, now),
            Completion::Failed(slot, ..) => self.close(slot, Close::Finish),
            // A server connects to nobody.
            Completion::Connected(_) => debug_assert!(false, "nobody was connected to"),
        }
    }

    fn accepted(&mut self, socket: OwnedFd) {
        let session = self.acceptor.as_ref().map(Acceptor::accept);
        let Some(slot) = self.free.pop().filter(|_| !matches!(session, Some(Err(_)))) else {
            // Dropping the socket closes it.
            self.desk.log.turned_away += 1;
            return;
        };
        // The numbers of more connections than that are of no use to anybody.
        let number = u32::try_from(self.desk.log.connections).unwrap_or(u32::MAX);
        if let Some(conn) = self.desk.conn(slot) {
            conn.number = number;
            conn.secured = session.and_then(Result::ok).map(Secured::new).map(Box::new);
        }
        self.desk.log.connections += 1;
        self.reactor.adopt(slot, socket);
    }

    fn ended(&mut self, slot: Slot, now: Instant) {
        let Some(conn) = self.desk.conn(slot) else { return };
        conn.input = Input::Ended;
        if let Speaks::Http2(served) = &mut conn.speaks {
            served.receive_end();
        }
        match conn.output {
            // Nothing will ever be sent.
            Output::Mute => self.close(slot, Close::Finish),
            _ => self.flush(slot, now),
        }
    }

    fn received(&mut self, slot: Slot, lease: Lease, now: Instant) {
        if self.acceptor.is_some() {
            return self.received_sealed(slot, lease, now);
        }
        let kept = self.desk.hear(slot, self.reactor.bytes(&lease), now);
        self.reactor.release(lease);
        if kept {
            self.flush(slot, now);
        } else {
            self.close(slot, Close::Finish);
        }
    }

    fn received_sealed(&mut self, slot: Slot, lease: Lease, now: Instant) {
        let Self { reactor, desk, .. } = self;
        // It leaves its connection for as long as it may call for it.
        let secured = desk.conn(slot).and_then(|conn| conn.secured.take());
        let (mut kept, mut ended) = (true, false);
        if let Some(mut secured) = secured {
            ended = secured.receive(reactor.bytes_mut(&lease), |plain| {
                kept = kept && desk.hear(slot, plain, now);
            });
            secured.count(&mut desk.log);
            if let Some(conn) = desk.conn(slot) {
                conn.secured = Some(secured);
            }
        }
        self.reactor.release(lease);
        match (kept, ended) {
            (false, _) => self.close(slot, Close::Finish),
            (true, true) => self.ended(slot, now),
            (true, false) => self.flush(slot, now),
        }
    }

    fn sent(&mut self, slot: Slot, now: Instant) {
        let Some(conn) = self.desk.conn(slot) else { return };
        if let Output::Closing(how) = conn.output {
            self.close(slot, how);
            return;
        }
        conn.output = Output::Idle;
        self.flush(slot, now);
    }

    /// Sends what is owed to `slot` and due, until a send is under way; frames before the next
    /// wait.
    fn flush(&mut self, slot: Slot, now: Instant) {
        while let Some(conn) = self.desk.conn(slot)
            && conn.output == Output::Idle
        {
            if matches!(conn.speaks, Speaks::Http2(_)) {
                if !core::mem::replace(&mut conn.is_touched, true) {
                    self.touched.push(slot);
                }
                return;
            }
            if conn.secured.is_some() && self.send_sealed(slot) {
                continue;
            }
            let Some(conn) = self.desk.conn(slot) else { return };
            let Some(front) = conn.front() else {
                if conn.input == Input::Ended {
                    self.close(slot, Close::Finish);
                }
                return;
            };
            if front.due > now {
                return;
            }
            match front.what {
                What::Whole(id) => self.send_whole(slot, id, front.due, now),
                What::Dripping(id, step) => self.send_piece(slot, id, step),
                What::Nothing => {
                    let ended = conn.input == Input::Ended;
                    conn.mute();
                    self.desk.log.silent += 1;
                    if ended {
                        self.close(slot, Close::Finish);
                        return;
                    }
                }
            }
        }
    }

    fn send_whole(&mut self, slot: Slot, id: ReplyId, due: Instant, now: Instant) {
        let reply = self.desk.answers.replies.get(id);
        let Some(conn) = self.desk.conn(slot) else { return };
        let count = conn.take_whole(&reply);
        self.note_replies(slot, &reply, count);
        self.desk.log.replied(reply.counts, count as u64);
        if due != AT_ONCE {
            self.desk.log.left(now.since(due));
        }
        self.send(slot, &reply, 0..count * reply.len, reply.end);
    }

    fn send_piece(&mut self, slot: Slot, id: ReplyId, step: Nanos) {
        let reply = self.desk.answers.replies.get(id);
        let Some(conn) = self.desk.conn(slot) else { return };
        let piece = conn.take_piece(&reply, step);
        let last = piece.end == reply.len;
        if last {
            self.desk.log.replied(reply.counts, 1);
        } else if let Some(next) = conn.front() {
            self.desk.timers.push(Reverse(Timer { due: next.due, slot }));
        }
        if piece.start == 0 {
            self.note_replies(slot, &reply, 1);
        }
        self.send(slot, &reply, piece, reply.end.filter(|_| last));
    }

    /// Notes in the record, if one is kept, that `count` replies of this kind leave now.
    fn note_replies(&mut self, slot: Slot, reply: &Reply, count: usize) {
        let Desk { conns, log, .. } = &mut self.desk;
        let (Some(record), Some(conn)) = (&mut log.record, conns.get_mut(slot.index())) else {
            return;
        };
        if reply.counts.is_of_a_request() {
            record.replied(&mut conn.unanswered, count, self.reactor.clock());
        }
    }

    fn send(
        &mut self,
        slot: Slot,
        reply: &Reply,
        range: core::ops::Range<usize>,
        end: Option<Close>,
    ) {
        self.desk.log.bytes_sent += range.len() as u64;
        if let Some(conn) = self.desk.conn(slot)
            && let Some(secured) = &mut conn.secured
        {
            // The next round sends it.
            return secured.owe(Rest { text: reply.text, range, end });
        }
        let sending = self.reactor.send(slot, reply.payload, range);
        self.note_sending(slot, sending, end);
    }

    fn note_sending(&mut self, slot: Slot, sending: Sending, end: Option<Close>) {
        let Some(conn) = self.desk.conn(slot) else { return };
        match (sending, end) {
            (Sending::Free, None) => {}
            (Sending::Free, Some(how)) => self.close(slot, how),
            (Sending::Pending, None) => conn.output = Output::Busy,
            (Sending::Pending, Some(how)) => conn.output = Output::Closing(how),
        }
    }

    /// Sends what is sealed or to be sealed for `slot`; returns whether there was anything.
    fn send_sealed(&mut self, slot: Slot) -> bool {
        let mut page = self.reactor.page();
        let Desk { conns, answers, .. } = &mut self.desk;
        let secured = conns.get_mut(slot.index()).and_then(|conn| conn.secured.as_mut());
        let end = secured.and_then(|secured| secured.fill(answers.replies.texts(), &mut page));
        self.send_page(slot, page, end)
    }

    /// Sends a page, if there is anything in it, and ends the connection if that was the last;
    /// returns whether it did one or the other.
    fn send_page(&mut self, slot: Slot, page: Vec<u8>, end: Option<Close>) -> bool {
        match end {
            _ if !page.is_empty() => {
                let sending = self.reactor.send_page(slot, page, Confirm::Always);
                self.note_sending(slot, sending, end);
                return true;
            }
            Some(how) => self.close(slot, how),
            None => {}
        }
        self.reactor.give_page(page);
        end.is_some()
    }

    /// Sends the frames that the last turn has brought about.
    fn write_touched(&mut self, now: Instant) {
        while let Some(slot) = self.touched.pop() {
            if let Some(conn) = self.desk.conn(slot) {
                conn.is_touched = false;
            }
            // Bounded by what is owed: a round that writes nothing is the last.
            while self.write_frames(slot, now) {}
        }
    }

    /// Sends a page of frames, if `slot` has any to send and may; returns whether it might have
    /// more.
    fn write_frames(&mut self, slot: Slot, now: Instant) -> bool {
        let Some(conn) = self.desk.conn(slot) else { return false };
        if conn.output != Output::Idle || !matches!(conn.speaks, Speaks::Http2(_)) {
            return false;
        }
        let at = if self.desk.log.record.is_some() { self.reactor.clock() } else { now };
        let mut page = self.reactor.page();
        let Self { desk, plain, .. } = self;
        let Some(mut secured) = desk.conn(slot).and_then(|conn| conn.secured.take()) else {
            let end = desk.with_frames(slot, now, at, |served, clerk| {
                served.transmit(clerk, &mut page, PAGE)
            });
            desk.log.bytes_sent += page.len() as u64;
            return self.send_page(slot, page, end.flatten());
        };
        plain.clear();
        let end = desk.with_frames(slot, now, at, |served, clerk| {
            served.transmit(clerk, plain, PLAIN_BYTES_MAX)
        });
        desk.log.bytes_sent += plain.len() as u64;
        let end = secured.seal(plain, end.flatten(), &mut page);
        if let Some(conn) = desk.conn(slot) {
            conn.secured = Some(secured);
        }
        self.send_page(slot, page, end)
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.reactor.close(slot, how);
        if let Some(conn) = self.desk.conn(slot) {
            conn.renew();
            self.free.push(slot);
        }
    }
}
