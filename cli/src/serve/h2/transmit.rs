//! What a connection has to say, as far as there is room for it.

use std::cmp::Reverse;

use pummel_engine::reactor::Close;
use pummel_engine::units::Nanos;
use pummel_proto_http::h2::frame::{
    END_HEADERS, END_STREAM, HEADER_BYTES, Header, Kind, frame_block, write_header,
    write_rst_stream,
};
use pummel_proto_http::h2::hpack::{Form, write_table_size};

use super::replies::{PART_BYTES_MAX, Reply, What, length_of};
use super::streams::{Stage, Stream};
use super::{End, Peer, ROOM_BYTES_MIN, Served};
use crate::serve::conn::DRIP_PIECES;
use crate::serve::desk::Clerk;

/// Room in which content is begun; with less, it waits for the next page.
const ROOM_MIN: u32 = 1024;

/// Room that a head has to have: what a status and three fields take, and a size of the table.
const HEAD_ROOM: usize = 512;

/// Room that is left for the fields after the content.
const TRAILER_ROOM: usize = 64;

/// How far the answer of a stream came.
enum Turn {
    /// To its end.
    Over,
    /// As far as it may for now; the next one has its turn.
    Again,
    /// To the next piece, which is due then.
    Later,
    /// Until the client opens the stream's window.
    Blocked,
    /// There is no room.
    Full,
    /// Until the client opens the connection's window.
    Dry,
    /// To the end of the connection.
    End(Close),
}

impl Served {
    /// Appends at most `room` bytes of what is to be said now; there is room for at least
    /// [`ROOM_BYTES_MIN`]. Returns how the connection ends, if
    /// that was the last of it.
    pub(in super::super) fn transmit(
        &mut self,
        clerk: &mut Clerk<'_>,
        out: &mut Vec<u8>,
        room: usize,
    ) -> Option<Close> {
        debug_assert!(room >= ROOM_BYTES_MIN, "what is canned has to fit into an empty page");
        let most = out.len() + room;
        // It is bounded to be less than any page has room for.
        out.append(&mut self.control);
        if let End::Now(how) = self.end {
            return Some(how);
        }
        while let Some(&Reverse((due, id))) = self.waiting.peek()
            && due <= clerk.now
        {
            self.waiting.pop();
            self.ready.push_back(id);
        }
        // Each round takes a turn away, or writes something into the room.
        while let Some(&id) = self.ready.front() {
            let Some(stream) = self.streams.find(id) else {
                self.ready.pop_front();
                continue;
            };
            let turn = write(stream, &mut self.peer, clerk, out, most);
            if matches!(turn, Turn::Full | Turn::Dry) {
                let never = matches!(turn, Turn::Dry) && self.end == End::Deaf;
                return never.then_some(Close::Finish);
            }
            self.ready.pop_front();
            match turn {
                Turn::Over => drop(self.streams.end(id)),
                Turn::Again => self.ready.push_back(id),
                Turn::Later => {
                    clerk.wake(stream.due);
                    self.waiting.push(Reverse((stream.due, id)));
                }
                Turn::Blocked => stream.stage = Stage::Blocked,
                Turn::Full | Turn::Dry => {}
                Turn::End(how) => {
                    self.end = End::Now(how);
                    return Some(how);
                }
            }
        }
        let done = match self.end {
            End::Answered => self.waiting.is_empty() && !self.is_owed(),
            End::Deaf => self.waiting.is_empty(),
            End::Open | End::Now(_) => false,
        };
        done.then_some(Close::Finish)
    }

    /// Whether a stream waits for its client: for the rest of its request, which a GOAWAY has
    /// promised to take, or for room for its answer.
    fn is_owed(&mut self) -> bool {
        let owed = |stage| matches!(stage, Stage::Asking(_) | Stage::Blocked);
        self.streams.iter_mut().any(|stream| owed(stream.stage))
    }
}

/// Appends what may leave of a stream's answer, while `out` has at most `most` bytes.
fn write(
    stream: &mut Stream,
    peer: &mut Peer,
    clerk: &mut Clerk<'_>,
    out: &mut Vec<u8>,
    most: usize,
) -> Turn {
    let (id, step) = match stream.what {
        What::Reply(id) => (id, None),
        What::Dripping(id, step) => (id, Some(step)),
        What::Reset(code) => {
            if out.len() + HEADER_BYTES + 4 > most {
                return Turn::Full;
            }
            write_rst_stream(out, stream.id, code);
            clerk.leaves(stream.due, &mut stream.row);
            clerk.log.streams.count_reset(code);
            return Turn::Over;
        }
        What::Nothing => return Turn::Over,
    };
    let reply = clerk.replies.get(id);
    let Some(canned) = reply.canned.as_ref().filter(|_| stream.sent.is_none() && step.is_none())
    else {
        return write_part(stream, peer, clerk, out, &Part { reply, step, most });
    };
    let fits = i64::from(reply.body_bytes) <= peer.window.min(stream.window);
    if canned.is_indexed && !(fits && peer.is_ready()) {
        return write_part(stream, peer, clerk, out, &Part { reply, step, most });
    }
    if out.len() + canned.len() > most {
        return Turn::Full;
    }
    canned.write(stream.id, out);
    peer.window -= i64::from(reply.body_bytes);
    clerk.leaves(stream.due, &mut stream.row);
    clerk.log.replied(reply.counts, 1);
    reply.end.map_or(Turn::Over, Turn::End)
}

/// A reply whose frames are put together as there is room for them.
struct Part<'a> {
    reply: &'a Reply,
    /// From one piece to the next, if it drips.
    step: Option<Nanos>,
    most: usize,
}

/// Appends the head of a reply, if it has not left, and at most one frame of content.
fn write_part(
    stream: &mut Stream,
    peer: &mut Peer,
    clerk: &mut Clerk<'_>,
    out: &mut Vec<u8>,
    part: &Part<'_>,
) -> Turn {
    let Part { reply, step, most } = *part;
    if out.len() + HEAD_ROOM > most {
        return Turn::Full;
    }
    let sent = if let Some(sent) = stream.sent {
        sent
    } else {
        write_head(stream.id, reply, peer, out);
        clerk.leaves(stream.due, &mut stream.row);
        if reply.is_bare() {
            clerk.log.replied(reply.counts, 1);
            return Turn::Over;
        }
        stream.sent = Some(0);
        if let Some(step) = step {
            stream.due = clerk.now.max(stream.due) + step;
            return Turn::Later;
        }
        0
    };
    let left = reply.body_bytes - sent;
    let room = most.saturating_sub(out.len() + HEADER_BYTES + TRAILER_ROOM);
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let piece = match step {
        Some(_) => reply.body_bytes.div_ceil(DRIP_PIECES).min(PART_BYTES_MAX),
        None => reply.part_bytes,
    };
    let len = left.min(piece);
    let allowed = u32::try_from(peer.window.min(stream.window)).unwrap_or(0);
    if room < len.min(ROOM_MIN) {
        return Turn::Full;
    }
    let len = len.min(room).min(allowed);
    if len == 0 {
        return if stream.window <= 0 { Turn::Blocked } else { Turn::Dry };
    }
    let is_last = len == left;
    let flags = if is_last && !reply.has_trailer { END_STREAM } else { 0 };
    write_header(out, Header { length: len, kind: Kind::Data, flags, stream: stream.id });
    out.extend_from_slice(reply.content(sent, len));
    peer.window -= i64::from(len);
    stream.window -= i64::from(len);
    stream.sent = Some(sent + len);
    match step {
        _ if is_last => {
            if reply.has_trailer {
                write_trailer(stream.id, clerk.replies.trailer(), out);
            }
            clerk.log.replied(reply.counts, 1);
            Turn::Over
        }
        Some(step) => {
            stream.due = stream.due + step;
            Turn::Later
        }
        None => Turn::Again,
    }
}

fn write_head(stream: u32, reply: &Reply, peer: &mut Peer, out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + HEADER_BYTES, 0);
    if core::mem::take(&mut peer.tells_table) {
        write_table_size(peer.table_bytes, out);
    }
    let form = if peer.is_entered {
        Form::Indexed
    } else if reply.head.table_size_needed() <= peer.table_bytes {
        peer.is_entered = true;
        Form::First
    } else {
        Form::Plain
    };
    reply.head.write(form, &[], out);
    let flags = if reply.is_bare() { END_STREAM } else { 0 };
    let header = Header { length: 0, kind: Kind::Headers, flags, stream };
    frame_block(out, at, header, PART_BYTES_MAX);
}

fn write_trailer(stream: u32, block: &[u8], out: &mut Vec<u8>) {
    let (length, kind) = (length_of(block.len()), Kind::Headers);
    let flags = END_HEADERS | END_STREAM;
    write_header(out, Header { length, kind, flags, stream });
    out.extend_from_slice(block);
}

impl Peer {
    /// Whether blocks may refer to what was entered into the client's table.
    const fn is_ready(&self) -> bool {
        self.is_entered && !self.tells_table
    }
}
