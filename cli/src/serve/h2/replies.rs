//! What replies look like on HTTP/2: encoded once at start.
//!
//! Most replies leave as they were *canned*: all their frames in a row, in which only the stream
//! differs. The frames of long ones are put together as the windows allow.

use std::sync::Arc;

use pummel_engine::reactor::Close;
use pummel_engine::units::Nanos;
use pummel_proto_http::h2::frame::{
    Code, END_HEADERS, END_STREAM, HEADER_BYTES, Header, Kind, PAYLOAD_BYTES_DEFAULT, write_header,
};
use pummel_proto_http::h2::hpack::{Block, Field, Form};

use super::super::conn::drip_step;
use super::super::reply::{Broken, CHUNKS, Counts, Shape, TEXT};

/// Longest row of frames that is canned, but for one header and the fields at its end.
pub(super) const CANNED_BYTES_MAX: usize = 16 * 1024;

/// Longest payload of a frame with content: what every client takes.
pub(super) const PART_BYTES_MAX: u32 = PAYLOAD_BYTES_DEFAULT;

/// What one request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum What {
    /// This reply, as fast as it leaves.
    Reply(ReplyId),
    /// The body leaves in pieces, one every so often.
    Dripping(ReplyId, Nanos),
    /// The end of the stream, with this code.
    Reset(Code),
    Nothing,
}

impl What {
    /// A reply whose body leaves in pieces over `span`.
    pub(in super::super) fn dripping(reply: ReplyId, span: Nanos) -> Self {
        Self::Dripping(reply, drip_step(span))
    }
}

/// Names a [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct ReplyId(u16);

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) head: Block,
    /// Bytes of content.
    pub(super) body_bytes: u32,
    /// It, if it is in a coding.
    coded: Option<Arc<[u8]>>,
    /// Most bytes of it in one frame.
    pub(super) part_bytes: u32,
    /// Whether fields follow it.
    pub(super) has_trailer: bool,
    /// All of it, where that is not too long.
    pub(super) canned: Option<Canned>,
    pub(super) counts: Counts,
    /// What becomes of the connection after it, if it ends.
    pub(super) end: Option<Close>,
}

/// Frames in a row, for any stream.
#[derive(Debug)]
pub(super) struct Canned {
    bytes: Vec<u8>,
    /// Where the stream goes.
    places: Vec<usize>,
    /// Whether its blocks refer to what the first reply of a connection has entered.
    pub(super) is_indexed: bool,
}

impl Canned {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the frames for `stream`.
    pub(super) fn write(&self, stream: u32, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&self.bytes);
        for place in &self.places {
            if let Some(id) = out.get_mut(at + place..at + place + 4) {
                id.copy_from_slice(&stream.to_be_bytes());
            }
        }
    }

    fn push(&mut self, kind: Kind, flags: u8, payload: &[u8]) {
        self.places.push(self.bytes.len() + HEADER_BYTES - 4);
        let length = length_of(payload.len());
        write_header(&mut self.bytes, Header { length, kind, flags, stream: 0 });
        self.bytes.extend_from_slice(payload);
    }

    /// The whole of a reply, after this block.
    fn whole(head: &[u8], reply: &Reply, is_indexed: bool) -> Option<Self> {
        let mut canned = Self { bytes: Vec::new(), places: Vec::new(), is_indexed };
        let ends = if reply.is_bare() { END_STREAM } else { 0 };
        canned.push(Kind::Headers, END_HEADERS | ends, head);
        let mut sent = 0;
        while sent < reply.body_bytes {
            let part = reply.part_bytes.min(reply.body_bytes - sent);
            if canned.len() + part as usize > CANNED_BYTES_MAX {
                return None;
            }
            let last = sent + part == reply.body_bytes && !reply.has_trailer;
            canned.push(Kind::Data, if last { END_STREAM } else { 0 }, reply.content(sent, part));
            sent += part;
        }
        if reply.has_trailer {
            canned.push(Kind::Headers, END_HEADERS | END_STREAM, &trailer());
        }
        Some(canned)
    }
}

impl Reply {
    /// Whether its head is all of it.
    pub(super) const fn is_bare(&self) -> bool {
        self.body_bytes == 0 && !self.has_trailer
    }

    /// The bytes of its body from `at` on, so many of them, at most those of one frame.
    pub(super) fn content(&self, at: u32, len: u32) -> &[u8] {
        let Some(coded) = &self.coded else { return content(at, len) };
        coded.get(at as usize..(at + len) as usize).unwrap_or_default()
    }
}

/// The bytes of a body of text from `at` on, so many of them, at most those of one frame.
fn content(at: u32, len: u32) -> &'static [u8] {
    const LEN: usize = PART_BYTES_MAX as usize + TEXT.len();
    static REPEATED: [u8; LEN] = {
        let mut bytes = [0; LEN];
        let mut place = 0;
        while place < LEN {
            #[expect(clippy::indexing_slicing, reason = "at compile time")]
            {
                bytes[place] = TEXT[place % TEXT.len()];
            }
            place += 1;
        }
        bytes
    };
    let from = at as usize % TEXT.len();
    REPEATED.get(from..from + len as usize).unwrap_or_default()
}

/// The fields after a body in parts.
fn trailer() -> Vec<u8> {
    let mut block = Vec::new();
    Block::new(&[Field::fixed(b"served-by", b"pummel")]).write(Form::Plain, &[], &mut block);
    block
}

/// The same number as frames hold it.
pub(super) fn length_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// All replies of a server.
#[derive(Debug)]
pub(in super::super) struct Replies {
    /// Per distinct status one with a body and one without, then the one that is cut, then the one
    /// that breaks the protocol.
    all: Vec<Reply>,
    /// The statuses in the order of their turns, as places among the distinct ones.
    turns: Vec<u16>,
    /// The block after a body in parts.
    trailer: Vec<u8>,
}

impl Replies {
    pub(in super::super) fn new(shape: &Shape) -> Self {
        let statuses = shape.distinct();
        let lists: Vec<_> = statuses.iter().map(|&status| fields(shape, status)).collect();
        let lists: Vec<Vec<_>> = lists.iter().map(|list| borrowed(list)).collect();
        let lists: Vec<&[Field<'_>]> = lists.iter().map(Vec::as_slice).collect();
        let mut all = Vec::new();
        for (place, (block, &status)) in Block::set(&lists).into_iter().zip(&statuses).enumerate() {
            let whole = Reply::of(shape, status, block, Counts::Response(place));
            let (head, counts) = (whole.head.clone(), whole.counts);
            let bare = Reply::of(&Shape { body_bytes: 0, ..shape.clone() }, status, head, counts);
            all.extend([whole, bare].map(Reply::canned));
        }
        let status = shape.statuses.first().copied().unwrap_or(200);
        all.push(cut(shape, status));
        all.push(broken(shape, status));
        let place = |status| statuses.binary_search(status).unwrap_or(0);
        let place = |status| u16::try_from(place(status)).unwrap_or(0);
        Self { all, turns: shape.statuses.iter().map(place).collect(), trailer: trailer() }
    }

    /// The reply of this name.
    #[expect(clippy::indexing_slicing, reason = "names are made below, for what `new` has made")]
    pub(super) fn get(&self, id: ReplyId) -> &Reply {
        &self.all[usize::from(id.0)]
    }

    pub(super) fn trailer(&self) -> &[u8] {
        &self.trailer
    }

    /// The response to the request `number` of the shard.
    pub(in super::super) fn response(&self, number: u64, body: bool) -> ReplyId {
        let turn = usize::try_from(number % self.turns.len().max(1) as u64).unwrap_or(0);
        let status = self.turns.get(turn).copied().unwrap_or(0);
        ReplyId(2 * status + u16::from(!body))
    }

    /// A reply that a reset of the connection cuts.
    pub(in super::super) fn reset(&self) -> ReplyId {
        self.last_but(1)
    }

    /// A reply that breaks the protocol.
    pub(in super::super) fn broken(&self) -> ReplyId {
        self.last_but(0)
    }

    fn last_but(&self, places: usize) -> ReplyId {
        ReplyId(u16::try_from(self.all.len().saturating_sub(places + 1)).unwrap_or(0))
    }
}

impl Reply {
    /// An ordinary response, which is not canned yet.
    fn of(shape: &Shape, status: u16, head: Block, counts: Counts) -> Self {
        let body_bytes = length_of(shape.body_of(status));
        let has_trailer = shape.chunked && body_bytes > 0;
        let parts = if has_trailer { length_of(CHUNKS) } else { 1 };
        let part_bytes = body_bytes.div_ceil(parts).clamp(1, PART_BYTES_MAX);
        let coded = shape.coded.as_ref().map(|coded| Arc::clone(&coded.bytes));
        let (canned, end) = (None, None);
        Self { head, body_bytes, coded, part_bytes, has_trailer, canned, counts, end }
    }

    fn canned(self) -> Self {
        let mut head = Vec::new();
        self.head.write(Form::Indexed, &[], &mut head);
        Self { canned: Canned::whole(&head, &self, true), ..self }
    }

    /// What is only canned: what is wrong on purpose.
    fn special(canned: Canned, body_bytes: u32, counts: Counts, end: Option<Close>) -> Self {
        let (head, canned) = (Block::new(&[]), Some(canned));
        let (coded, part_bytes, has_trailer) = (None, 1, false);
        Self { head, body_bytes, coded, part_bytes, has_trailer, canned, counts, end }
    }
}

/// The fields of a response.
fn fields(shape: &Shape, status: u16) -> Vec<(&'static str, String)> {
    let mut fields = vec![(":status", status.to_string())];
    fields.push(("content-type", "text/plain".to_owned()));
    fields.extend(shape.coding_of(status).map(|name| ("content-encoding", name.to_owned())));
    fields.extend(shape.location_of(status).map(|to| ("location", to.to_owned())));
    let body_bytes = shape.body_of(status);
    let in_parts = shape.chunked && body_bytes > 0;
    // RFC 9110 section 8.6: a 204 has no length; that of a 304 would be another answer's.
    if !matches!(status, 204 | 304) && !in_parts {
        fields.push(("content-length", body_bytes.to_string()));
    }
    if in_parts {
        fields.push(("trailer", "served-by".to_owned()));
    }
    fields
}

fn borrowed<'a>(fields: &'a [(&'static str, String)]) -> Vec<Field<'a>> {
    fields.iter().map(|(name, value)| Field::fixed(name.as_bytes(), value.as_bytes())).collect()
}

/// A block that depends on no table.
fn plain(shape: &Shape, status: u16) -> Vec<u8> {
    let mut block = Vec::new();
    Block::new(&borrowed(&fields(shape, status))).write(Form::Plain, &[], &mut block);
    block
}

/// A response in plain form, which is to be damaged.
fn whole(shape: &Shape, status: u16, body_bytes: u32) -> Canned {
    let reply = Reply { body_bytes, ..Reply::of(shape, status, Block::new(&[]), Counts::Broken) };
    let empty = || Canned { bytes: Vec::new(), places: Vec::new(), is_indexed: false };
    Canned::whole(&plain(shape, status), &reply, false).unwrap_or_else(empty)
}

/// A part of a body that is promised whole, or of the head where there is none; then a reset.
fn cut(shape: &Shape, status: u16) -> Reply {
    let body_bytes = length_of(shape.body_of(status) / 2).min(PART_BYTES_MAX / 2);
    let mut canned = Canned { bytes: Vec::new(), places: Vec::new(), is_indexed: false };
    canned.push(Kind::Headers, END_HEADERS, &plain(shape, status));
    if body_bytes > 0 {
        let whole = Reply::of(shape, status, Block::new(&[]), Counts::Reset);
        canned.push(Kind::Data, 0, whole.content(0, body_bytes));
    } else {
        canned.bytes.truncate(canned.len() - 1);
    }
    Reply::special(canned, body_bytes, Counts::Reset, Some(Close::Reset))
}

fn broken(shape: &Shape, status: u16) -> Reply {
    let end = Some(Close::Finish);
    let bare = Shape { body_bytes: 0, chunked: false, ..shape.clone() };
    match shape.broken {
        Broken::HalfHead => {
            let mut canned = whole(&bare, status, 0);
            let kept = HEADER_BYTES + (canned.len() - HEADER_BYTES) / 2;
            canned.bytes.truncate(kept);
            Reply::special(canned, 0, Counts::Broken, end)
        }
        Broken::WrongLength => {
            // Less content than was promised, after which the stream ends as if it were all.
            let body_bytes = length_of(shape.body_bytes).clamp(1, PART_BYTES_MAX / 4);
            let longer = Shape { body_bytes: body_bytes as usize * 2, ..bare };
            Reply::special(whole(&longer, 200, body_bytes), body_bytes, Counts::Broken, None)
        }
        Broken::Garbage => {
            let bytes = b"\x16\x03 this is no HTTP\r\n\r\n".to_vec();
            let canned = Canned { bytes, places: Vec::new(), is_indexed: false };
            Reply::special(canned, 0, Counts::Broken, end)
        }
    }
}
