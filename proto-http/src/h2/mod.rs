//! HTTP/2, the client's side of one connection: many requests at once, each on a stream of its own.
//!
//! ```text
//!  start ──► queued ──► waiting ──► body ──► Done      the peer may end a stream at any time:
//!               │  transmit  │ ▲ 1xx   │               Reset, or Malformed when it broke a rule
//!               │            └─┘       │               of the stream
//!               └── cancel ◄──┴────────┘               GoAway: NotProcessed for what is beyond it
//!
//!  a rule of the connection broken: every later call returns the same error, and `transmit` writes
//!  the GOAWAY that tells the peer
//! ```
//!
//! Nothing waits for the peer's `SETTINGS`: requests may follow the preface at once (RFC 9113
//! section 3.4). Windows are as large as can be, so that flow control never holds a response up.
//! What a peer may make this side remember is bounded, and what it may make it do in vain is
//! budgeted (`flood.rs`).

mod control;
mod event;
mod flood;
pub mod flow;
pub mod frame;
mod head;
pub mod hpack;
mod outbox;
mod peer;
mod receive;
mod rendered;
mod stream;
#[cfg(test)]
mod tests;
mod transmit;
mod tunnel;

pub use event::{Event, Tag};
pub use rendered::{Rendered, Slip};
pub use tunnel::{Lent, Tunnel, TunnelEvent};

use crate::error::{ErrorKind, ProtocolError, StartError};
use crate::event::Phase;
use crate::limits::HPACK_TABLE_BYTES;
use crate::lines::FieldLines;
use core::num::NonZeroU16;
use flood::Budgets;
use flow::{ReceiveWindow, SendWindow, WINDOW_DEFAULT};
use frame::{Code, Kind};
use head::HeadReader;
use outbox::Outbox;
use peer::Peer;
use receive::{Ending, Gathered, Partial, State};
use stream::{Stage, Streams};
use transmit::Uploads;

pub use outbox::UPGRADE_SETTINGS;

/// The client's side of one HTTP/2 connection.
///
/// Allocates its table of streams when made: 32 bytes for each of [`positions`](Self::positions).
/// What the peer indexes takes up to 8 KiB more, and frames that were split over inputs are
/// gathered in buffers that are kept small.
#[derive(Debug)]
pub struct Conn {
    streams: Streams,
    state: State,
    /// The beginning of a frame's header.
    partial: Partial,
    gathered: Gathered,
    heads: HeadReader,
    peer: Peer,
    outbox: Outbox,
    budgets: Budgets,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    uploads: Uploads,
    /// Most streams that the owner wants at once.
    limit: u16,
    /// Whether no request may start any more.
    closing: bool,
    /// Whether the peer was told so, or cannot be told any more.
    farewell: bool,
    /// Whether stream 1 carries the request that asked for the upgrade, of which the owner knows
    /// nothing here.
    silent: bool,
    tells: Tells,
    ending: Option<Ending>,
    /// The lowest last stream of all `GOAWAY`s.
    last_stream: Option<u32>,
}

/// What the owner is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    All,
    AllButContent,
    /// How responses end. Heads are told of only where the input ends before the response does.
    Ends,
}

impl Tells {
    const fn of(content: bool, fields: bool) -> Self {
        match (content, fields) {
            (true, _) => Self::All,
            (false, true) => Self::AllButContent,
            (false, false) => Self::Ends,
        }
    }
}

/// Where stream 1 lives.
const UPGRADED: Tag = Tag(0);

impl Conn {
    /// Returns how many tags a connection with up to `streams` requests at once has: tags are below
    /// it. A power of two.
    #[must_use]
    pub const fn positions(streams: NonZeroU16) -> u32 {
        Streams::positions(streams)
    }

    /// Makes the state of a fresh connection that takes up to `streams` requests at once. What
    /// [`transmit`](Self::transmit) writes first opens it.
    #[must_use]
    pub fn new(streams: NonZeroU16) -> Self {
        Self {
            streams: Streams::new(streams),
            state: State::Frame,
            partial: Partial::EMPTY,
            gathered: Gathered::EMPTY,
            heads: HeadReader::new(HPACK_TABLE_BYTES),
            peer: Peer::UNKNOWN,
            outbox: Outbox::new(),
            budgets: Budgets::new(),
            send_window: SendWindow::new(WINDOW_DEFAULT),
            receive_window: ReceiveWindow::FULL,
            uploads: Uploads::NONE,
            limit: streams.get(),
            closing: false,
            farewell: false,
            silent: false,
            tells: Tells::All,
            ending: None,
            last_stream: None,
        }
    }

    /// The same after an upgrade from HTTP/1.1, whose request is answered on stream 1 (RFC 7540
    /// section 3.2). That answer is read and dropped; it counts towards what the peer has open.
    /// Tags are below the positions of one more than `streams`.
    #[must_use]
    pub fn upgraded(streams: NonZeroU16) -> Self {
        let mut conn = Self::new(streams.saturating_add(1));
        conn.limit = streams.get();
        if let Some(position) = conn.streams.open_next(0, SendWindow::new(0)) {
            debug_assert_eq!(Tag(position), UPGRADED);
            conn.streams.mark_written(position);
            if let Some(stream) = conn.streams.at_mut(position) {
                // What asks for an upgrade is a HEAD.
                stream.is_head = true;
            }
            conn.silent = true;
        }
        conn
    }

    /// Returns how many requests may start now: the owner's bound or the peer's, whichever is
    /// lower, less those open. Until the peer has told its bound, 100 is assumed. 0 once the
    /// connection is closing, closed or failed, or has used up its identifiers.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> u32 {
        if self.is_closing() {
            return 0;
        }
        let own = u32::from(self.limit).saturating_sub(self.outstanding());
        let room = own.min(self.peer.streams_max.saturating_sub(self.streams.open()));
        // What is granted can be started, to the last.
        if self.streams.is_nearly_exhausted() { room.min(1) } else { room }
    }

    /// Returns how many streams the peer allows at a time, as it said last; `None` where it has not
    /// said.
    #[must_use]
    pub const fn streams_allowed(&self) -> Option<u32> {
        match self.peer.streams_max {
            u32::MAX => None,
            _ if !self.peer.settled => None,
            allowed => Some(allowed),
        }
    }

    /// Returns how many requests have started and not ended. Those that a closed or failed
    /// connection leaves behind never will.
    #[inline]
    #[must_use]
    pub const fn outstanding(&self) -> u32 {
        self.streams.open() - self.silent as u32
    }

    /// Returns the tags of the requests that are outstanding. O(positions).
    pub fn tags(&self) -> impl Iterator<Item = Tag> {
        let tags = self.streams.iter().map(|(position, _)| Tag(position));
        tags.filter(|tag| !self.is_silent(*tag))
    }

    /// Returns the first tag from `from` on whose request is outstanding. O(positions passed).
    #[must_use]
    pub fn next_tag(&self, from: Tag) -> Option<Tag> {
        self.streams.next(from.0, |position| !self.is_silent(Tag(position))).map(Tag)
    }

    /// Returns whether a request has been written to its last byte.
    #[must_use]
    pub fn is_sent(&self, tag: Tag) -> bool {
        let Some(stream) = self.streams.at(tag.0) else { return true };
        !matches!(stream.stage, Stage::Queued) && stream.unsent == 0
    }

    /// Returns where a request stands; on a failed connection, where it stood when the violation
    /// was met. [`Phase::Idle`] when the tag is free.
    #[must_use]
    pub fn phase(&self, tag: Tag) -> Phase {
        let Some(stream) = self.streams.at(tag.0) else { return Phase::Idle };
        match stream.stage {
            Stage::Interim => Phase::Head,
            Stage::Queued | Stage::Waiting if self.is_within_head_of(stream.id()) => Phase::Head,
            Stage::Queued | Stage::Waiting => Phase::AwaitingHead,
            Stage::Body => Phase::Body,
        }
    }

    /// Says whether the field lines of final responses are kept, from the next head on.
    ///
    /// They are not, at first. It holds for all streams: heads come in any order. A change forgets
    /// those of the last head. The first time that it is wanted allocates, as does a head with more
    /// in it than those before.
    pub fn keep_fields(&mut self, wanted: bool) {
        self.heads.keep_fields(wanted);
        self.tells = Tells::of(self.tells == Tells::All, wanted);
    }

    /// Says whether [`Event::Body`] is told, from the next frame on. It is, at first; where it is
    /// not, content is judged and counted all the same. If fields are not [kept](Self::keep_fields)
    /// either, a response whose head and end are in the same input is told of at once, as
    /// [`Event::Whole`].
    pub fn tell_content(&mut self, wanted: bool) {
        self.tells = Tells::of(wanted, self.heads.keeps_fields());
    }

    /// Returns the field lines of the final response whose head was just reported, until the next
    /// [`receive`](Self::receive); none if they are not [kept](Self::keep_fields).
    #[must_use]
    pub fn fields(&self) -> FieldLines<'_> {
        self.heads.fields()
    }

    /// Opens a stream for a request: `request` is its index in the list that
    /// [`transmit`](Self::transmit) is given, which writes it.
    ///
    /// # Errors
    /// [`StartError`] when [`capacity`](Self::capacity) is 0; nothing changes then.
    #[inline]
    pub fn start(&mut self, request: u16) -> Result<Tag, StartError> {
        if self.is_closing() {
            return Err(StartError::Closing);
        }
        if self.capacity() == 0 {
            return Err(StartError::Full);
        }
        let window = SendWindow::new(self.peer.initial_window);
        self.streams.open_next(request, window).map(Tag).ok_or(StartError::Full)
    }

    /// Gives a request up: its tag is free again, and whatever still comes for it is ignored. The
    /// peer is told, if it can know of the request. Does nothing when the tag is free.
    pub fn cancel(&mut self, tag: Tag) {
        if self.is_silent(tag) {
            return;
        }
        self.end_stream(tag.0, Some(Code::Cancel));
    }

    /// Starts no more requests, and queues a `GOAWAY` that says so in an orderly way (RFC 9113
    /// section 5.4.1: a good custom before closing), to a peer that has said so first too (section
    /// 6.8). Once is enough, and after a violation there was another word.
    pub fn close(&mut self) {
        self.closing = true;
        if !self.farewell {
            self.farewell = true;
            self.outbox.goaway(Code::NoError);
        }
    }

    /// Notes that the peer closed its side. No more requests may start, and none that is
    /// outstanding will be answered.
    ///
    /// # Errors
    /// [`ErrorKind::TruncatedBody`], [`TruncatedHead`](ErrorKind::TruncatedHead) or
    /// [`TruncatedWait`](ErrorKind::TruncatedWait) when requests are outstanding, by the one that
    /// had come farthest; [`phase`](Self::phase) tells of each. The earlier error of a failed
    /// connection.
    pub fn receive_end(&mut self) -> Result<(), ProtocolError> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        (self.closing, self.farewell) = (true, true);
        let kind = match self.tags().map(|tag| self.phase(tag)).max_by_key(|phase| *phase as u8) {
            None | Some(Phase::Idle) => return Ok(()),
            Some(Phase::AwaitingHead) => ErrorKind::TruncatedWait,
            Some(Phase::Head) => ErrorKind::TruncatedHead,
            Some(Phase::Body) => ErrorKind::TruncatedBody,
        };
        let error = kind.into();
        self.state = State::Failed(error);
        self.outbox.close();
        Err(error)
    }

    /// Returns whether the owner should close the connection: it takes no more requests and none is
    /// outstanding.
    #[inline]
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.is_closing() && self.outstanding() == 0
    }

    const fn is_closing(&self) -> bool {
        self.closing || self.streams.is_exhausted()
    }

    fn is_silent(&self, tag: Tag) -> bool {
        self.silent && tag == UPGRADED
    }

    /// Whether a part of a header block of stream `id` has come, and not all of it.
    fn is_within_head_of(&self, id: u32) -> bool {
        let gathering = match self.state {
            State::Payload(header) => matches!(header.kind, Kind::Headers) && header.stream == id,
            _ => false,
        };
        gathering || self.gathered.is_block_of(id)
    }

    /// Frees a position, and tells the peer with `code` if it may know of the stream.
    fn end_stream(&mut self, position: u16, code: Option<Code>) {
        let Some(stream) = self.streams.free(position) else { return };
        if stream.unsent > 0 {
            self.uploads.end();
        }
        if stream.refill {
            self.outbox.refills -= 1;
        }
        // After a violation there is nothing left to be said but why.
        if let Some(code) = code
            && stream.is_written()
            && !matches!(self.state, State::Failed(_))
        {
            self.outbox.reset(stream.id(), code);
            self.budgets.expect_late();
        }
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind) -> ProtocolError {
        let error = ProtocolError::from(kind);
        self.state = State::Failed(error);
        (self.closing, self.farewell) = (true, true);
        self.outbox.fail(kind);
        error
    }
}

impl Code {
    /// What a peer is told that did this.
    const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::H2FrameTooLarge | ErrorKind::H2FrameSize => Self::FrameSizeError,
            ErrorKind::H2WindowOverflow | ErrorKind::H2WindowExceeded => Self::FlowControlError,
            ErrorKind::H2StreamClosed => Self::StreamClosed,
            ErrorKind::HpackBadIndex
            | ErrorKind::HpackBadInteger
            | ErrorKind::HpackBadHuffman
            | ErrorKind::HpackTableSize
            | ErrorKind::HpackTruncated => Self::CompressionError,
            ErrorKind::HeaderListTooLarge
            | ErrorKind::H2BlockTooLarge
            | ErrorKind::H2ContinuationFlood
            | ErrorKind::H2PingFlood
            | ErrorKind::H2SettingsFlood
            | ErrorKind::H2ResetFlood
            | ErrorKind::H2EmptyDataFlood
            | ErrorKind::H2WindowFlood
            | ErrorKind::H2IgnoredFlood
            | ErrorKind::TooManyInterim => Self::EnhanceYourCalm,
            _ => Self::ProtocolError,
        }
    }
}
