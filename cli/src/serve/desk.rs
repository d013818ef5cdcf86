//! The part of a shard without IO: from bytes to what is owed for them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pummel_engine::reactor::Slot;
use pummel_engine::units::{Instant, Nanos};
use pummel_proto_http::h2::frame::{Code, PREFACE};

use super::conn::{Conn, Input, Owing, Speaks, What};
use super::h2::{self, Manners, Served};
use super::log::Log;
use super::model::{AT_ONCE, Fault, Model};
use super::record::Unanswered;
use super::reply::{Replies, ReplyId};
use super::request::{Ask, Familiar, Item, Persistence};

/// Bytes of the preface by which HTTP/2 is known: no method of HTTP/1.1 begins so.
const TELLTALE: usize = 4;

/// When to look at a connection again. One that outlives its connection looks at the next in its
/// slot, which does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) due: Instant,
    pub(super) slot: Slot,
}

/// Timers, the earliest first.
pub(super) type Timers = BinaryHeap<Reverse<Timer>>;

/// What a shard has beside its reactor.
pub(super) struct Desk {
    pub(super) conns: Vec<Conn>,
    pub(super) answers: Answers,
    pub(super) frames: h2::Replies,
    pub(super) manners: Manners,
    pub(super) familiar: Familiar,
    pub(super) timers: Timers,
    pub(super) log: Log,
}

impl Desk {
    pub(super) fn conn(&mut self, slot: Slot) -> Option<&mut Conn> {
        self.conns.get_mut(slot.index())
    }

    /// Reads the requests in `bytes`, and notes what they get. Returns `false` if that is more than
    /// can be kept in mind for one connection.
    pub(super) fn hear(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> bool {
        let Some(conn) = self.conns.get_mut(slot.index()) else { return true };
        match conn.speaks {
            Speaks::Http1 => self.hear_requests(slot, bytes, now),
            Speaks::Nothing(known) => self.hear_first(slot, usize::from(known), bytes, now),
            Speaks::Http2(_) => {
                self.hear_frames(slot, bytes, now);
                true
            }
        }
    }

    /// The first bytes of a connection tell what it speaks. `known` of them have come, and are
    /// those of the preface.
    #[cold]
    fn hear_first(&mut self, slot: Slot, known: usize, bytes: &[u8], now: Instant) -> bool {
        let Some(conn) = self.conns.get_mut(slot.index()) else { return true };
        let (before, expected) = PREFACE.split_at(known);
        let expected = expected.get(..TELLTALE - known).unwrap_or_default();
        if bytes.starts_with(expected) {
            conn.speaks = Speaks::Http2(Box::new(Served::new(self.manners, known)));
            self.log.protocols.http2 += 1;
            self.hear_frames(slot, bytes, now);
            return true;
        }
        if expected.starts_with(bytes) {
            // Fewer than four.
            conn.speaks = Speaks::Nothing(u8::try_from(known + bytes.len()).unwrap_or(0));
            return true;
        }
        conn.speaks = Speaks::Http1;
        self.log.protocols.http1 += 1;
        self.hear_requests(slot, before, now) && self.hear(slot, bytes, now)
    }

    fn hear_frames(&mut self, slot: Slot, bytes: &[u8], now: Instant) {
        self.log.bytes_received += bytes.len() as u64;
        self.with_frames(slot, now, now, |served, clerk| served.receive(bytes, clerk));
    }

    /// Does something with a connection that speaks HTTP/2. What leaves does so `at` then.
    pub(super) fn with_frames<T>(
        &mut self,
        slot: Slot,
        now: Instant,
        at: Instant,
        act: impl FnOnce(&mut Served, &mut Clerk<'_>) -> T,
    ) -> Option<T> {
        let Self { conns, answers, frames, timers, log, .. } = self;
        let conn = conns.get_mut(slot.index())?;
        let Speaks::Http2(served) = &mut conn.speaks else { return None };
        let number = conn.number;
        let mut clerk = Clerk { answers, replies: frames, timers, log, slot, number, now, at };
        Some(act(served, &mut clerk))
    }

    fn hear_requests(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> bool {
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
                    if ask.upgrades && conn.may_upgrade() {
                        self.upgrade(slot, ask, now);
                        return self.hear(slot, input, now);
                    }
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

    /// Changes a connection to HTTP/2, with the request that asked for it.
    #[cold]
    fn upgrade(&mut self, slot: Slot, ask: Ask, now: Instant) {
        let Self { conns, answers, frames, manners, timers, log, .. } = self;
        let Some(conn) = conns.get_mut(slot.index()) else { return };
        let settings = conn.requests.take_settings();
        let number = conn.number;
        log.protocols.http2 += 1;
        log.protocols.upgraded += 1;
        log.protocols.http1 -= 1;
        let mut clerk = Clerk { answers, replies: frames, timers, log, slot, number, now, at: now };
        let served = Served::upgraded(*manners, &settings, !ask.body, &mut clerk);
        conn.speaks = Speaks::Http2(Box::new(served));
    }
}

/// What a connection that speaks HTTP/2 may do with the shard that it belongs to.
pub(super) struct Clerk<'a> {
    answers: &'a mut Answers,
    pub(super) replies: &'a h2::Replies,
    timers: &'a mut Timers,
    pub(super) log: &'a mut Log,
    slot: Slot,
    /// Of the connection.
    number: u32,
    /// The moment of the turn, and that at which what is written is handed over.
    pub(super) now: Instant,
    at: Instant,
}

/// What a request on a stream gets.
pub(super) struct Granted {
    pub(super) what: h2::What,
    pub(super) due: Instant,
    /// Whether the client is asked to go.
    pub(super) is_last: bool,
    pub(super) row: Unanswered,
}

impl Clerk<'_> {
    /// Notes a request that is complete, and says what it gets: the `asked`-th of its connection.
    pub(super) fn asked(&mut self, body: bool, asked: u64) -> Granted {
        let now = self.now;
        self.log.arrived(now);
        let (what, due, is_last) = self.answers.grant(self.replies, body, asked, now);
        let mut row = Unanswered::default();
        if let Some(record) = &mut self.log.record {
            let planned = (what != h2::What::Nothing).then(|| due.max(now));
            if !record.arrived(&mut row, self.number, now, planned) {
                self.log.not_recorded += 1;
            }
        }
        if due > now {
            self.wake(due);
        }
        Granted { what, due, is_last, row }
    }

    /// An answer that was to leave at `due` leaves now.
    pub(super) fn leaves(&mut self, due: Instant, row: &mut Unanswered) {
        if due != AT_ONCE {
            self.log.left(self.now.since(due));
        }
        if let Some(record) = &mut self.log.record {
            record.replied(row, 1, self.at);
        }
    }

    /// Looks at the connection again at `due`.
    pub(super) fn wake(&mut self, due: Instant) {
        self.timers.push(Reverse(Timer { due, slot: self.slot }));
    }
}

/// What every request gets: the script, and where it stands.
pub(super) struct Answers {
    pub(super) replies: Replies,
    pub(super) model: Model,
    pub(super) drip: Nanos,
    pub(super) close_after: u64,
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
            // There is no stream that it could happen to.
            Some(Fault::StreamRefused | Fault::StreamReset) | None => {}
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

    /// The same for a request on a stream: what it gets, when, and whether it is the last.
    fn grant(
        &mut self,
        replies: &h2::Replies,
        body: bool,
        asked: u64,
        now: Instant,
    ) -> (h2::What, Instant, bool) {
        let answer = self.model.answer(now);
        let what = match (answer.fault, self.drip) {
            (Some(Fault::Silent), _) => h2::What::Nothing,
            (Some(Fault::Reset), _) => h2::What::Reply(replies.reset()),
            (Some(Fault::Broken), _) => h2::What::Reply(replies.broken()),
            (Some(Fault::StreamRefused), _) => h2::What::Reset(Code::RefusedStream),
            (Some(Fault::StreamReset), _) => h2::What::Reset(Code::InternalError),
            (None, Nanos::ZERO) => h2::What::Reply(replies.response(answer.number, body)),
            (None, span) => h2::What::dripping(replies.response(answer.number, body), span),
        };
        (what, answer.due, asked >= self.close_after)
    }
}
