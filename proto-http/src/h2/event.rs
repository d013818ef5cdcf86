//! What an HTTP/2 connection tells its owner.

use crate::error::ProtocolError;

/// Which of the requests under way: a number below [`Conn::positions`](super::Conn::positions),
/// which is free for another request once the owner was told that this one is over.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Hash, PartialOrd, Ord)]
pub struct Tag(pub u16);

/// One thing that happened on a connection: those of a request in the order of the wire, and all of
/// them, unless neither content nor fields are wanted.
///
/// `Done`, `Whole`, `Reset`, `Malformed` and `NotProcessed` are the ends of a request; its tag is
/// free then.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Event<'b> {
    /// The peer's first `SETTINGS` came: it speaks HTTP/2, and has said how many streams it takes.
    Settled,
    /// An interim response (1xx) was read and discarded; the final one is still to come.
    Interim {
        /// The request.
        tag: Tag,
        /// Its status code, 100 to 199 but never 101.
        status: u16,
    },
    /// The head of the final response is complete.
    Head {
        /// The request.
        tag: Tag,
        /// Its status code, 200 to 999.
        status: u16,
    },
    /// Bytes of content, never empty, without padding.
    Body {
        /// The request.
        tag: Tag,
        /// As many slices as frames and the input make of the content.
        bytes: &'b [u8],
    },
    /// The response is complete.
    Done {
        /// The request.
        tag: Tag,
    },
    /// `Head` and `Done` in one: both were in the same input, and nobody wants to know what was in
    /// between (see [`Conn::tell_content`](super::Conn::tell_content)).
    Whole {
        /// The request.
        tag: Tag,
        /// Its status code, 200 to 999.
        status: u16,
    },
    /// The peer ended the stream (`RST_STREAM`).
    Reset {
        /// The request.
        tag: Tag,
        /// The error code, of which anything may be said (RFC 9113 section 7).
        code: u32,
        /// False if the peer states that it has not processed the request (`REFUSED_STREAM`), so
        /// that it may safely be sent again (RFC 9113 section 8.7).
        processed: bool,
    },
    /// The response is malformed, or the stream broke a rule of its own; the connection goes on.
    Malformed {
        /// The request.
        tag: Tag,
        /// What was violated.
        error: ProtocolError,
    },
    /// The request is beyond the last one that a `GOAWAY` promises to process: it may safely be
    /// sent again, elsewhere.
    NotProcessed {
        /// The request.
        tag: Tag,
        /// Whether anything of it was written, so that the peer may have heard of it.
        written: bool,
    },
    /// The peer takes no new requests (`GOAWAY`); it may say so more than once. Those which it will
    /// not process follow.
    GoAway {
        /// The error code; 0 is an orderly farewell.
        code: u32,
    },
}

impl Event<'_> {
    /// Returns the request that it is about, if it is about one.
    #[inline]
    #[must_use]
    pub const fn tag(&self) -> Option<Tag> {
        match *self {
            Self::Interim { tag, .. }
            | Self::Head { tag, .. }
            | Self::Body { tag, .. }
            | Self::Done { tag }
            | Self::Whole { tag, .. }
            | Self::Reset { tag, .. }
            | Self::Malformed { tag, .. }
            | Self::NotProcessed { tag, .. } => Some(tag),
            Self::Settled | Self::GoAway { .. } => None,
        }
    }

    /// Returns whether it is the end of a request.
    #[inline]
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Done { .. }
                | Self::Whole { .. }
                | Self::Reset { .. }
                | Self::Malformed { .. }
                | Self::NotProcessed { .. }
        )
    }
}
