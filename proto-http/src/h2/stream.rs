//! The streams of a connection: which positions are taken, and how far each has come.
//!
//! Identifiers are given out in order, and stream `2k + 1` lives at position `k mod positions`. So
//! a frame finds its stream by one look, without a map. When a position is still taken by an old
//! stream, its turn is skipped, and with it an identifier, which the protocol allows (RFC 9113
//! section 5.1.1: lower unused ones count as closed).
//!
//! ```text
//!  k:         … 6   7   8   9  10  11  12  13
//!  stream:       13  15  17  19  21  23  25  27       positions = 8
//!                    └written      └next
//!     ended or open ◄─┘ └─ queued ─┘ └─ idle: not given out
//! ```
//!
//! Heads are written in the order of identifiers, so that what is queued is what lies between two
//! counters, and needs no queue.

use super::flow::{ReceiveWindow, SendWindow};
use super::frame::STREAM_ID_MAX;
use alloc::boxed::Box;
use alloc::vec;
use core::num::NonZeroU16;

/// The number of identifiers that a client has: the odd ones.
const IDS: u32 = STREAM_ID_MAX / 2 + 1;

/// The most positions: what a tag can name.
const POSITIONS_MAX: u32 = 1 << 16;

/// How far a stream has come.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Stage {
    /// Its request's head is not written.
    Queued,
    /// Nothing of the response has come.
    Waiting,
    /// An interim response has come, and no more.
    Interim,
    /// The head of the response has come.
    Body,
}

/// One stream, or a free position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    /// 0 when the position is free.
    id: u32,
    /// Which request it carries.
    pub(super) request: u16,
    pub(super) stage: Stage,
    /// Interim responses that have come.
    pub(super) interim: u8,
    /// The status of the response, as long as the owner has to be told of it; else 0.
    pub(super) status: u16,
    /// Content that must still come; [`ANY_LENGTH`](Self::ANY_LENGTH) when nobody said.
    pub(super) content_left: u64,
    pub(super) send_window: SendWindow,
    pub(super) receive_window: ReceiveWindow,
    /// Bytes of the request's body that are not written; 0 while the stream is queued.
    pub(super) unsent: u32,
    /// Whether no content can follow, whatever the head says (RFC 9110 section 9.3.2).
    pub(super) is_head: bool,
    /// Whether a `WINDOW_UPDATE` is owed.
    pub(super) refill: bool,
}

const _: () = assert!(size_of::<Stream>() == 32);

impl Stream {
    /// The length of content of which only the end is known.
    pub(super) const ANY_LENGTH: u64 = u64::MAX;

    const FREE: Self = Self {
        id: 0,
        request: 0,
        stage: Stage::Queued,
        interim: 0,
        status: 0,
        content_left: Self::ANY_LENGTH,
        send_window: SendWindow::new(0),
        receive_window: ReceiveWindow::FULL,
        unsent: 0,
        is_head: false,
        refill: false,
    };

    /// The identifier; 0 when the position is free.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    /// Whether the content may end here, as far as its length is known.
    pub(super) const fn may_end(&self) -> bool {
        matches!(self.content_left, 0 | Self::ANY_LENGTH)
    }

    /// Whether the peer may know of it.
    pub(super) const fn is_written(&self) -> bool {
        self.id != 0 && !matches!(self.stage, Stage::Queued)
    }
}

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    /// As many as there are positions, a power of two.
    table: Box<[Stream]>,
    /// The number of positions less 1.
    mask: u16,
    /// The lowest `k` whose stream may be queued.
    written: u32,
    /// The lowest `k` that was not given out.
    next: u32,
    /// Positions taken.
    open: u32,
    /// Of these, such as the peer may know of.
    on_wire: u32,
    /// Those of whose head the owner has to be told, and where to look for the first of them.
    untold: u32,
    untold_from: u16,
}

/// What the identifier of a frame names.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Found {
    /// The stream at this position.
    Open(u16),
    /// A stream that has ended, or that was skipped.
    Ended,
    /// A stream that the peer cannot know of, or one of its own, which it was forbidden to open.
    Never,
}

impl Streams {
    /// How many positions there are for up to `streams` at once: a power of two, with a quarter to
    /// spare so that a free one is found soon.
    pub(super) const fn positions(streams: NonZeroU16) -> u32 {
        let streams = streams.get() as u32;
        let positions = (streams + streams / 4).next_power_of_two();
        if positions < POSITIONS_MAX { positions } else { POSITIONS_MAX }
    }

    pub(super) fn new(streams: NonZeroU16) -> Self {
        let mask = low_half(Self::positions(streams) - 1);
        let table = vec![Stream::FREE; usize::from(mask) + 1].into_boxed_slice();
        Self { table, mask, written: 0, next: 0, open: 0, on_wire: 0, untold: 0, untold_from: 0 }
    }

    /// How many positions are taken.
    pub(super) const fn open(&self) -> u32 {
        self.open
    }

    /// How many streams the peer may know of.
    pub(super) const fn on_wire(&self) -> u32 {
        self.on_wire
    }

    /// Whether identifiers may run out before the next free position is found.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.next > IDS - 1 - self.mask as u32
    }

    /// Whether they may run out within a batch: each position comes up once in one.
    pub(super) const fn is_nearly_exhausted(&self) -> bool {
        self.next > IDS - 2 * (1 + self.mask as u32)
    }

    /// Opens a stream for `request`, whose head is to be written; returns its position, or `None`
    /// if none is free.
    pub(super) fn open_next(&mut self, request: u16, send_window: SendWindow) -> Option<u16> {
        // Each position comes up once.
        for _ in 0..=self.mask {
            if self.next >= IDS {
                return None;
            }
            let (k, position) = (self.next, low_half(self.next) & self.mask);
            self.next += 1;
            if let Some(place) = self.table.get_mut(usize::from(position))
                && place.id == 0
            {
                *place = Stream { id: 2 * k + 1, request, send_window, ..Stream::FREE };
                self.open += 1;
                return Some(position);
            }
        }
        None
    }

    /// The stream at `position`; `None` if it is free.
    #[inline]
    pub(super) fn at(&self, position: u16) -> Option<&Stream> {
        self.table.get(usize::from(position)).filter(|stream| stream.id != 0)
    }

    /// The stream at `position`, to be changed; `None` if it is free.
    #[inline]
    pub(super) fn at_mut(&mut self, position: u16) -> Option<&mut Stream> {
        self.table.get_mut(usize::from(position)).filter(|stream| stream.id != 0)
    }

    /// What stream `id` is to the peer.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Found {
        let k = id / 2;
        let position = low_half(k) & self.mask;
        match self.table.get(usize::from(position)) {
            Some(stream) if stream.id == id && stream.is_written() => Found::Open(position),
            _ if id % 2 == 1 && k < self.written => Found::Ended,
            _ => Found::Never,
        }
    }

    /// The position of the oldest stream that is queued.
    pub(super) fn queued(&mut self) -> Option<u16> {
        // Each identifier is passed over once.
        while self.written < self.next {
            let position = low_half(self.written) & self.mask;
            let id = 2 * self.written + 1;
            if self.at(position).is_some_and(|stream| stream.id == id) {
                return Some(position);
            }
            self.written += 1;
        }
        None
    }

    /// Whether streams may be queued.
    pub(super) const fn has_queued(&self) -> bool {
        self.written < self.next
    }

    /// Notes that the head of the stream that [`queued`](Self::queued) found is written.
    pub(super) fn mark_written(&mut self, position: u16) {
        if let Some(stream) = self.at_mut(position) {
            debug_assert_eq!(stream.stage, Stage::Queued, "a head is written once");
            stream.stage = Stage::Waiting;
            self.on_wire += 1;
            self.written += 1;
        }
    }

    /// Frees `position`; returns what was there.
    pub(super) fn free(&mut self, position: u16) -> Option<Stream> {
        let stream = self.table.get_mut(usize::from(position))?;
        let stream = core::mem::replace(stream, Stream::FREE);
        if stream.id == 0 {
            return None;
        }
        self.open -= 1;
        self.on_wire -= u32::from(stream.is_written());
        self.untold -= u32::from(stream.status > 0);
        Some(stream)
    }

    /// Notes that the owner has to be told of the head of a stream, if it is not told of its end
    /// before.
    #[inline]
    pub(super) fn keep_status(&mut self, position: u16, status: u16) {
        if let Some(stream) = self.at_mut(position) {
            stream.status = status;
            if self.untold == 0 {
                self.untold_from = position;
            }
            self.untold += 1;
        }
    }

    /// The status of the stream at `position`, if the owner has to be told of it; it is told now.
    pub(super) fn take_status(&mut self, position: u16) -> Option<u16> {
        let status = core::mem::take(&mut self.at_mut(position)?.status);
        let untold = status > 0;
        self.untold -= u32::from(untold);
        untold.then_some(status)
    }

    /// The next such stream, as position and status.
    ///
    /// O(positions passed over), none of them twice until all have been told of.
    #[inline]
    pub(super) fn tell_next(&mut self) -> Option<(u16, u16)> {
        if self.untold == 0 { None } else { self.find_untold() }
    }

    fn find_untold(&mut self) -> Option<(u16, u16)> {
        // Each position is passed once.
        for _ in 0..=self.mask {
            let position = self.untold_from;
            self.untold_from = self.after(position);
            if let Some(status) = self.take_status(position) {
                return Some((position, status));
            }
        }
        None
    }

    /// The first position from `from` on whose stream is above `last`, or is not written.
    pub(super) fn beyond(&self, last: u32, from: u32) -> Option<u16> {
        let rest = self.table.get(from as usize..)?;
        let beyond = |stream: &Stream| stream.id > last || !stream.is_written();
        let offset = rest.iter().position(|stream| stream.id != 0 && beyond(stream))?;
        u16::try_from(from as usize + offset).ok()
    }

    /// How many positions there are.
    pub(super) const fn count(&self) -> usize {
        self.table.len()
    }

    /// The position after `position`, in a circle.
    pub(super) const fn after(&self, position: u16) -> u16 {
        position.wrapping_add(1) & self.mask
    }

    /// Passes over all identifiers below `id`, for tests of what happens when they end.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, id: u32) {
        (self.written, self.next) = (id / 2, id / 2);
    }

    /// All open streams, with their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Stream)> {
        (0..=u16::MAX).zip(&self.table).filter(|(_, stream)| stream.id != 0)
    }

    /// The first open position from `from` on that is `wanted`.
    pub(super) fn next(&self, from: u16, wanted: impl Fn(u16) -> bool) -> Option<u16> {
        let rest = (from..=u16::MAX).zip(self.table.get(usize::from(from)..)?);
        rest.filter(|(_, stream)| stream.id != 0).map(|(position, _)| position).find(|p| wanted(*p))
    }

    /// All open streams, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.table.iter_mut().filter(|stream| stream.id != 0)
    }
}

/// The low 16 bits.
const fn low_half(number: u32) -> u16 {
    let [low, high, _, _] = number.to_le_bytes();
    u16::from_le_bytes([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    // What is cheap is that nothing is looked for where nobody has to be told of anything.
    #[test]
    fn what_is_untold_is_counted_and_looked_for_from_the_first_on() {
        let mut streams = Streams::new(NonZeroU16::new(100).unwrap());
        let window = SendWindow::new(0);
        let open: Vec<u16> = (0..8).filter_map(|_| streams.open_next(0, window)).collect();
        for at in [6, 2, 4, 7] {
            streams.keep_status(open[at], 200);
        }
        streams.free(open[4]);
        streams.free(open[5]);
        assert_eq!((streams.untold, streams.untold_from), (3, open[6]));
        assert_eq!(streams.take_status(open[7]), Some(200));
        assert_eq!(streams.take_status(open[7]), None);
        assert_eq!(streams.tell_next(), Some((open[6], 200)));
        assert_eq!(streams.tell_next(), Some((open[2], 200)));
        assert_eq!((streams.untold, streams.tell_next()), (0, None));
        streams.keep_status(open[1], 404);
        assert_eq!((streams.untold, streams.untold_from), (1, open[1]));
    }
}
