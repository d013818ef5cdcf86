//! The server's side of one HTTP/2 connection (RFC 9113), without IO: frames in, what is asked and
//! what it gets, frames out.
//!
//! ```text
//!  bytes ──► receive ──► frames ──► heads ──► Clerk::asked: what it gets, and when
//!                           │                       │ due now             │ later
//!                           ▼                       ▼                     ▼
//!                        control                  ready ◄────────────── waiting
//!                           └────────► transmit ◄───┘   in the order of their times
//! ```
//!
//! It reads strictly, because it is the witness of a client: whatever a client must not do ends the
//! stream or the connection, and is counted.
//!
//! | file | what it knows |
//! |---|---|
//! | `heads` | what a header block asks for |
//! | `streams` | the streams that are not over |
//! | `replies` | what replies look like |
//! | `receive` | what each frame means |
//! | `transmit` | what is to be said, as far as there is room |

mod heads;
mod receive;
mod replies;
mod streams;
#[cfg(test)]
mod tests;
mod transmit;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use pummel_engine::reactor::Close;
use pummel_engine::units::Instant;
use pummel_proto_http::h2::flow::WINDOW_DEFAULT;
use pummel_proto_http::h2::frame::{
    self, Code, PAYLOAD_BYTES_DEFAULT, Setting, write_goaway, write_settings, write_window_update,
};
use pummel_proto_http::limits::HPACK_TABLE_BYTES;

pub(super) use self::replies::{Replies, What};

use self::heads::{Heads, LIST_BYTES_MAX};
use self::streams::Streams;
use super::desk::Clerk;

/// The window that each stream of a client gets, and the connection.
const STREAM_WINDOW: u32 = 1 << 20;
const WINDOW: u32 = 16 << 20;

/// Most bytes that wait to be sent beside replies. A client that causes more without reading is
/// refused.
const CONTROL_BYTES_MAX: usize = 16 * 1024;

/// Least room for what is said: for all that waits beside replies, or for the longest row of frames
/// that is written at once.
const ROOM_BYTES_MIN: usize = CONTROL_BYTES_MAX + 1024;
const _: () = assert!(ROOM_BYTES_MIN >= replies::CANNED_BYTES_MAX + 1024);

/// What answers a request to change to HTTP/2 (RFC 7540 section 3.2).
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// How connections are to be, beside the replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manners {
    /// Streams that a client may have open at once.
    pub(super) streams_max: u32,
    /// The client is asked to go with its stream of this number.
    pub(super) goaway_after: u64,
}

/// The server's side of one connection.
#[derive(Debug)]
pub(super) struct Served {
    manners: Manners,
    /// Bytes of the client's preface that have come.
    preface: usize,
    /// Whether its first settings have.
    is_settled: bool,
    /// The beginning of a frame, of which the rest has not arrived.
    begun: Vec<u8>,
    /// The stream of a header block that is not complete, and whether it ends with it.
    block_of: Option<(u32, bool)>,
    block: Vec<u8>,
    heads: Heads,
    streams: Streams,
    /// The highest stream that the client has opened, and how many it has.
    last: u32,
    opened: u64,
    /// The highest stream that is served, once the client was asked to go.
    last_taken: Option<u32>,
    /// What has arrived of the connection's window.
    received: u32,
    peer: Peer,
    /// Frames beside replies.
    control: Vec<u8>,
    /// Streams with an answer that is due, by turns.
    ready: VecDeque<u32>,
    /// Streams with an answer that is not due yet.
    waiting: BinaryHeap<Reverse<(Instant, u32)>>,
    end: End,
}

/// What the client has said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peer {
    /// What may be sent on the connection.
    window: i64,
    /// The window of a new stream.
    initial_window: u32,
    /// Bytes of the table that blocks are encoded for, and whether it has to be told.
    table_bytes: u32,
    tells_table: bool,
    /// Whether the table holds what indexed blocks refer to.
    is_entered: bool,
}

/// How the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not of our own accord.
    Open,
    /// When all that was asked has been answered.
    Answered,
    /// The client has ended its side: when nothing more can leave, for no window will open.
    Deaf,
    /// When the last word has left. Nothing is read any more.
    Now(Close),
}

impl Served {
    /// A connection on which `preface` bytes of the client's preface have come.
    pub(super) fn new(manners: Manners, preface: usize) -> Self {
        let mut control = Vec::new();
        let settings = [
            (Setting::MaxConcurrentStreams, manners.streams_max),
            (Setting::InitialWindowSize, STREAM_WINDOW),
            (Setting::MaxHeaderListSize, LIST_BYTES_MAX),
        ];
        write_settings(&mut control, &settings);
        write_window_update(&mut control, 0, WINDOW - WINDOW_DEFAULT);
        Self {
            manners,
            preface,
            is_settled: false,
            begun: Vec::new(),
            block_of: None,
            block: Vec::new(),
            heads: Heads::new(),
            streams: Streams::default(),
            last: 0,
            opened: 0,
            last_taken: None,
            received: 0,
            peer: Peer {
                window: WINDOW_DEFAULT.into(),
                initial_window: WINDOW_DEFAULT,
                table_bytes: HPACK_TABLE_BYTES,
                tells_table: false,
                is_entered: false,
            },
            control,
            ready: VecDeque::new(),
            waiting: BinaryHeap::new(),
            end: End::Open,
        }
    }

    /// A connection that has changed from HTTP/1.1 with a complete request, which is the one of
    /// stream 1. `settings` are those that came with it.
    pub(super) fn upgraded(
        manners: Manners,
        settings: &[u8],
        head_only: bool,
        clerk: &mut Clerk<'_>,
    ) -> Self {
        let mut served = Self::new(manners, 0);
        served.control.splice(0..0, SWITCHING.iter().copied());
        served.last = 1;
        let begun = served.heed(settings);
        served.open(1, heads::Ask { head_only, ..heads::Ask::default() }, clerk);
        served.complete(1, clerk);
        if let Err(code) = begun {
            served.fail(code, clerk);
        }
        served
    }

    /// Tells the client to go, with a word why, and serves no stream that is not open.
    fn dismiss(&mut self, code: Code, clerk: &mut Clerk<'_>) {
        if self.last_taken.is_none() {
            self.last_taken = Some(self.last);
            write_goaway(&mut self.control, self.last, code);
            clerk.log.streams.goaways += 1;
        }
    }

    /// Ends the connection, because the client has broken a rule of it.
    #[cold]
    fn fail(&mut self, code: Code, clerk: &mut Clerk<'_>) {
        self.last_taken = None;
        self.dismiss(code, clerk);
        clerk.log.refused += 1;
        self.ready.clear();
        self.waiting.clear();
        self.end = End::Now(Close::Finish);
    }

    /// The longest payload that is taken: what was not allowed to be longer.
    const fn payload_max() -> u32 {
        PAYLOAD_BYTES_DEFAULT
    }

    /// Does what the client's settings ask for.
    fn heed(&mut self, payload: &[u8]) -> Result<(), Code> {
        for (setting, value) in frame::settings(payload).map_err(|_| Code::FrameSizeError)? {
            match setting {
                Setting::HeaderTableSize => self.peer.resize_table(value),
                Setting::InitialWindowSize => self.resize_windows(value)?,
                Setting::EnablePush if value > 1 => return Err(Code::ProtocolError),
                Setting::MaxFrameSize if !frame_size_is_valid(value) => {
                    return Err(Code::ProtocolError);
                }
                // What is sent is short enough for anybody, and nothing is pushed.
                _ => {}
            }
        }
        Ok(())
    }
}

const fn frame_size_is_valid(bytes: u32) -> bool {
    matches!(bytes, PAYLOAD_BYTES_DEFAULT..=frame::PAYLOAD_BYTES_MAX)
}

impl Peer {
    /// Follows the client's limit (RFC 7541 section 4.2): what it lowers is lowered, and never more
    /// is used than the default.
    fn resize_table(&mut self, limit: u32) {
        let bytes = limit.min(HPACK_TABLE_BYTES);
        if bytes != self.table_bytes {
            self.table_bytes = bytes;
            self.tells_table = true;
            self.is_entered = false;
        }
    }
}
