//! One connection: what it has asked, what it is owed, and in which order that leaves.
//!
//! Answers leave in the order of the requests (RFC 9112, section 9.3.2), whatever their times: one
//! that is due waits behind one that is not. Equal answers that are due at the same time are kept
//! as one entry with a count, so that a pipelined batch is one entry, and one send.

use core::ops::Range;
use std::collections::VecDeque;

use pummel_engine::reactor::Close;
use pummel_engine::units::{Instant, Nanos};

use super::h2::Served;
use super::record::Unanswered;
use super::reply::{Reply, ReplyId};
use super::request::Requests;
use super::secure::Secured;

/// Pieces that a dripping body is sent in.
pub(super) const DRIP_PIECES: u32 = 10;

/// Most entries that one connection can be owed. A client that asks for more without reading is
/// refused.
const OWED_MAX: usize = 4096;

/// What is still read from the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Input {
    #[default]
    Open,
    /// The last answer is owed: what comes now is not looked at.
    Ignored,
    /// The peer has ended its side.
    Ended,
}

/// What is going on towards the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Output {
    #[default]
    Idle,
    /// A send is under way.
    Busy,
    /// The last send is under way; then the connection is closed so.
    Closing(Close),
    /// An answer is withheld for ever, and with it all that come after it.
    Mute,
}

/// What one or more equal requests get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Whole(ReplyId),
    /// The body leaves in pieces, one every so often.
    Dripping(ReplyId, Nanos),
    Nothing,
}

impl What {
    /// A reply whose body leaves in pieces over `span`.
    pub(super) fn dripping(reply: ReplyId, span: Nanos) -> Self {
        Self::Dripping(reply, drip_step(span))
    }
}

/// From one piece to the next of a body that leaves over `span`.
pub(super) fn drip_step(span: Nanos) -> Nanos {
    Nanos::new(span.get() / u64::from(DRIP_PIECES))
}

/// What a connection speaks.
#[derive(Debug)]
pub(super) enum Speaks {
    /// So many bytes have come, too few to tell; they are those of the preface of HTTP/2.
    Nothing(u8),
    Http1,
    Http2(Box<Served>),
}

/// What became of an answer that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owing {
    /// It is an entry of its own.
    Added,
    /// It is counted in the entry before it.
    Joined,
    /// An answer before it is withheld, hence so is it.
    Withheld,
    /// There are too many.
    TooMany,
}

/// An entry of what is owed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) what: What,
    /// Not sent before.
    pub(super) due: Instant,
    count: usize,
    /// Bytes of a dripping reply that have left.
    sent: usize,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) speaks: Speaks,
    /// Its TLS, where it has any.
    pub(super) secured: Option<Box<Secured>>,
    /// Whether it is among those that may have frames to send.
    pub(super) is_touched: bool,
    pub(super) requests: Requests,
    /// How many came to the shard before it.
    pub(super) number: u32,
    /// Requests so far.
    pub(super) asked: u64,
    pub(super) input: Input,
    pub(super) output: Output,
    /// Its rows in the record of arrivals, if there is one.
    pub(super) unanswered: Unanswered,
    owed: VecDeque<Owed>,
}

impl Default for Conn {
    fn default() -> Self {
        Self {
            speaks: Speaks::Nothing(0),
            secured: None,
            is_touched: false,
            requests: Requests::default(),
            number: 0,
            asked: 0,
            input: Input::default(),
            output: Output::default(),
            unanswered: Unanswered::default(),
            owed: VecDeque::new(),
        }
    }
}

impl Conn {
    /// A new connection in the place of this one.
    pub(super) fn renew(&mut self) {
        // The queue keeps its memory, and the slot its place among those that were touched.
        let mut owed = core::mem::take(&mut self.owed);
        owed.clear();
        *self = Self { owed, is_touched: self.is_touched, ..Self::default() };
    }

    /// Whether nothing stands in the way of changing to HTTP/2.
    pub(super) fn may_upgrade(&self) -> bool {
        self.owed.is_empty() && self.output == Output::Idle
    }

    /// Notes an answer behind those that are owed already.
    pub(super) fn owe(&mut self, what: What, due: Instant) -> Owing {
        if self.output == Output::Mute {
            return Owing::Withheld;
        }
        if let Some(last) = self.owed.back_mut()
            && matches!(what, What::Whole(_))
            && (last.what, last.due) == (what, due)
        {
            last.count += 1;
            return Owing::Joined;
        }
        if self.owed.len() >= OWED_MAX {
            return Owing::TooMany;
        }
        self.owed.push_back(Owed { what, due, count: 1, sent: 0 });
        Owing::Added
    }

    /// What is to be sent next, whenever it is due.
    pub(super) fn front(&self) -> Option<Owed> {
        self.owed.front().copied()
    }

    /// Takes as much of the next whole replies as one send can carry, and returns their number.
    pub(super) fn take_whole(&mut self, reply: &Reply) -> usize {
        let Some(front) = self.owed.front_mut() else { return 0 };
        let count = front.count.min(reply.copies);
        front.count -= count;
        if front.count == 0 {
            self.owed.pop_front();
        }
        count
    }

    /// Takes the next piece of a dripping reply, whose other pieces follow by `step`: the head,
    /// then the body in equal parts.
    pub(super) fn take_piece(&mut self, reply: &Reply, step: Nanos) -> Range<usize> {
        let Some(front) = self.owed.front_mut() else { return 0..0 };
        let from = front.sent;
        let to = if from == 0 {
            reply.head_len
        } else {
            let body_len = (reply.len - reply.head_len) as u64;
            let piece =
                usize::try_from(body_len.div_ceil(DRIP_PIECES.into())).unwrap_or(usize::MAX);
            from.saturating_add(piece).min(reply.len)
        };
        if to >= reply.len {
            self.owed.pop_front();
        } else {
            front.sent = to;
            front.due = front.due + step;
        }
        from..to
    }

    /// Nothing is sent any more.
    pub(super) fn mute(&mut self) {
        self.output = Output::Mute;
        self.owed.clear();
    }
}

#[cfg(test)]
mod tests {
    use pummel_engine::reactor::Epoll;

    use super::super::reply::{Broken, Replies, Shape};
    use super::super::request::Persistence;
    use super::*;

    const NOW: Instant = Instant::from_origin(1_000);

    fn replies(body_bytes: usize) -> (Replies, ReplyId) {
        let mut reactor = Epoll::new(1).unwrap();
        let broken = Broken::default();
        let location = None;
        let statuses = vec![200];
        let shape = Shape { statuses, body_bytes, coded: None, chunked: false, location, broken };
        let replies = Replies::publish(&mut reactor, &shape, false).unwrap();
        let id = replies.response(0, true, Persistence::Implied);
        (replies, id)
    }

    #[test]
    fn equal_answers_are_one_entry_and_leave_in_as_few_sends_as_possible() {
        let (replies, id) = replies(13);
        let reply = replies.get(id);
        let mut conn = Conn::default();
        assert_eq!(conn.owe(What::Whole(id), NOW), Owing::Added);
        for _ in 0..reply.copies {
            assert_eq!(conn.owe(What::Whole(id), NOW), Owing::Joined);
        }
        assert_eq!(conn.owe(What::Whole(id), NOW + Nanos::new(1)), Owing::Added);
        assert_eq!(conn.take_whole(&reply), reply.copies);
        assert_eq!(conn.take_whole(&reply), 1);
        assert_eq!(conn.front().unwrap().due, NOW + Nanos::new(1));
    }

    #[test]
    fn what_is_owed_is_bounded() {
        let (_, id) = replies(13);
        let mut conn = Conn::default();
        for k in 0..OWED_MAX as u64 {
            assert_eq!(conn.owe(What::Whole(id), NOW + Nanos::new(k)), Owing::Added);
        }
        assert_eq!(conn.owe(What::Whole(id), NOW), Owing::TooMany);
    }

    #[test]
    fn the_pieces_of_a_dripping_reply_add_up_to_it_and_fill_its_span() {
        // The head, then as many pieces as there are equal parts.
        for (body_bytes, expected) in [(0, 1), (1, 2), (9, 10), (10, 11), (11, 7), (1_000, 11)] {
            let (replies, id) = replies(body_bytes);
            let (reply, step) = (replies.get(id), Nanos::new(7));
            let mut conn = Conn::default();
            conn.owe(What::Dripping(id, step), NOW);
            let (mut sent, mut pieces) = (0, 0);
            while let Some(front) = conn.front() {
                assert_eq!(front.due, NOW + step.saturating_mul(pieces));
                let piece = conn.take_piece(&reply, step);
                assert_eq!(piece.start, sent);
                (sent, pieces) = (piece.end, pieces + 1);
            }
            assert_eq!(sent, reply.len);
            assert_eq!(pieces, expected);
        }
    }
}
