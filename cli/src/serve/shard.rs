//! One core of the server: its reactor, its connections, and the loop.
//!
//! [`Shard::run`] is the whole of it: send what is due, wait, take in what happened. Replies that
//! are timed leave within microseconds of their time, because the shard stops sleeping shortly
//! before it.

use core::num::NonZeroU64;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pummel_engine::reactor::{Close, Completion, Lease, Reactor, Sending, Slot};
use pummel_engine::units::{Instant, Nanos};

use super::conn::{Conn, Input, Output, Owing, What};
use super::log::Log;
use super::model::{AT_ONCE, Fault, Model};
use super::reply::{Replies, Reply, ReplyId};
use super::request::{Ask, Familiar, Item, Persistence};
use super::script::Script;

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

/// When to look at a connection again. One that outlives its connection looks at the next in its
/// slot, which does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    due: Instant,
    slot: Slot,
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
}

impl<R: Reactor> Shard<R> {
    /// A shard on `reactor`, which listens already and has room for its connections.
    ///
    /// # Errors
    /// If the reactor does not take the replies.
    pub(super) fn new(mut reactor: R, post: Post, script: &Script) -> io::Result<Self> {
        let Post { shard, slots, origin, rows_max } = post;
        Ok(Self {
            desk: Desk {
                conns: (0..slots).map(|_| Conn::default()).collect(),
                answers: Answers {
                    replies: Replies::publish(&mut reactor, &script.shape)?,
                    model: Model::new(script.timing, script.faults, origin, shard),
                    drip: script.timing.drip,
                    close_after: script.close_after.map_or(u64::MAX, NonZeroU64::get),
                },
                familiar: Familiar::default(),
                timers: BinaryHeap::new(),
                log: Log::recording(rows_max),
            },
            free: (0..slots).rev().map(Slot).collect(),
            spins: script.spins,
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
            Completion::Accepted(socket) => {
                let Some(slot) = self.free.pop() else {
                    // Dropping the socket closes it.
                    self.desk.log.turned_away += 1;
                    return;
                };
                // The numbers of more connections than that are of no use to anybody.
                let number = u32::try_from(self.desk.log.connections).unwrap_or(u32::MAX);
                if let Some(conn) = self.desk.conn(slot) {
                    conn.number = number;
                }
                self.desk.log.connections += 1;
                self.reactor.adopt(slot, socket);
            }
            Completion::Ended(slot) => {
                let Some(conn) = self.desk.conn(slot) else { return };
                conn.input = Input::Ended;
                match conn.output {
                    // Nothing will ever be sent.
                    Output::Mute => self.close(slot, Close::Finish),
                    _ => self.flush(slot, now),
                }
            }
            Completion::Failed(slot, ..) => self.close(slot, Close::Finish),
            // A server connects to nobody.
            Completion::Connected(_) => debug_assert!(false, "nobody was connected to"),
        }
    }

    fn received(&mut self, slot: Slot, lease: Lease, now: Instant) {
        let kept = self.desk.hear(slot, self.reactor.bytes(&lease), now);
        self.reactor.release(lease);
        if kept {
            self.flush(slot, now);
        } else {
            self.close(slot, Close::Finish);
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

    /// Sends what is owed to `slot` and due, until a send is under way.
    fn flush(&mut self, slot: Slot, now: Instant) {
        while let Some(conn) = self.desk.conn(slot)
            && conn.output == Output::Idle
        {
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
        let sending = self.reactor.send(slot, reply.payload, range);
        let Some(conn) = self.desk.conn(slot) else { return };
        match (sending, end) {
            (Sending::Free, None) => {}
            (Sending::Free, Some(how)) => self.close(slot, how),
            (Sending::Pending, None) => conn.output = Output::Busy,
            (Sending::Pending, Some(how)) => conn.output = Output::Closing(how),
        }
    }

    fn close(&mut self, slot: Slot, how: Close) {
        self.reactor.close(slot, how);
        if let Some(conn) = self.desk.conn(slot) {
            conn.renew();
            self.free.push(slot);
        }
    }
}

/// The part of a shard without IO: from bytes to what is owed for them.
struct Desk {
    conns: Vec<Conn>,
    answers: Answers,
    familiar: Familiar,
    timers: BinaryHeap<Reverse<Timer>>,
    log: Log,
}

impl Desk {
    fn conn(&mut self, slot: Slot) -> Option<&mut Conn> {
        self.conns.get_mut(slot.index())
    }

    /// Reads the requests in `bytes`, and notes what they get. Returns `false` if that is more than
    /// can be kept in mind for one connection.
    fn hear(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> bool {
        let Some(conn) = self.conns.get_mut(slot.index()) else { return true };
        self.log.bytes_received += bytes.len() as u64;
        let mut input = bytes;
        while conn.input == Input::Open {
            let decision = match conn.requests.next(&mut input, &mut self.familiar) {
                Ok(None) => return true,
                Ok(Some(Item::Continue)) => {
                    Decision::at_once(self.answers.replies.interim(), false)
                }
                Ok(Some(Item::Request(ask))) => {
                    self.log.arrived(now);
                    conn.asked += 1;
                    let decision = self.answers.decide(ask, conn.asked, now);
                    if let Some(record) = &mut self.log.record {
                        let planned = decision.planned(now);
                        let number = conn.number;
                        if !record.arrived(&mut conn.unanswered, number, now, planned) {
                            self.log.not_recorded += 1;
                        }
                    }
                    decision
                }
                Err(refusal) => Decision::at_once(self.answers.replies.refusal(refusal), true),
            };
            if decision.ends {
                conn.input = Input::Ignored;
            }
            match conn.owe(decision.what, decision.due) {
                Owing::Added if decision.due > now => {
                    self.timers.push(Reverse(Timer { due: decision.due, slot }));
                }
                Owing::Added | Owing::Joined | Owing::Withheld => {}
                Owing::TooMany => return false,
            }
        }
        true
    }
}

/// What every request gets: the script, and where it stands.
struct Answers {
    replies: Replies,
    model: Model,
    drip: Nanos,
    close_after: u64,
}

/// What one request gets.
struct Decision {
    what: What,
    due: Instant,
    /// Whether the connection ends with it.
    ends: bool,
}

impl Decision {
    fn at_once(reply: ReplyId, ends: bool) -> Self {
        Self { what: What::Whole(reply), due: AT_ONCE, ends }
    }

    /// When the answer to what arrived at `now` is to leave; `None` if never.
    fn planned(&self, now: Instant) -> Option<Instant> {
        // What is not timed is due at once, which is now.
        (self.what != What::Nothing).then(|| self.due.max(now))
    }
}

impl Answers {
    /// Decides about the request that is complete at `now`, the `asked`-th of its connection.
    fn decide(&mut self, ask: Ask, asked: u64, now: Instant) -> Decision {
        let answer = self.model.answer(now);
        let due = answer.due;
        match answer.fault {
            Some(Fault::Silent) => return Decision { what: What::Nothing, due, ends: false },
            Some(Fault::Reset) => {
                return Decision { due, ..Decision::at_once(self.replies.reset(), true) };
            }
            Some(Fault::Broken) => {
                return Decision { due, ..Decision::at_once(self.replies.broken(), true) };
            }
            None => {}
        }
        let last = asked >= self.close_after;
        let persistence = if last { Persistence::Ends } else { ask.persistence };
        let reply = self.replies.response(answer.number, ask.body, persistence);
        let what = match self.drip {
            Nanos::ZERO => What::Whole(reply),
            span => What::dripping(reply, span),
        };
        Decision { what, due, ends: persistence == Persistence::Ends }
    }
}
