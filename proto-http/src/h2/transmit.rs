//! Writing: what is owed to the peer, the heads of requests, and their bodies as windows allow.

use super::Conn;
use super::frame::{self, END_STREAM, HEADER_BYTES, Header, Kind, PAYLOAD_BYTES_DEFAULT};
use super::outbox::Owed;
use super::peer::{Peer, TABLE_SIZE_BYTES_MAX};
use super::receive::State;
use super::rendered::{Content, Rendered, Slip};
use super::stream::Stream;
use crate::limits::H2_VARYING_FIELDS_MAX;
use alloc::vec::Vec;

/// Bytes of a `WINDOW_UPDATE` frame.
pub(super) const REFILL_BYTES: usize = HEADER_BYTES + 4;

/// Content is cut into pieces smaller than this only where a window or its end wants it.
pub(super) const PIECE_BYTES_MIN: usize = 256;

/// Room for a frame of such a piece.
const PIECE_ROOM_MIN: usize = HEADER_BYTES + PIECE_BYTES_MIN;

/// The streams whose bodies are not written to the end.
#[derive(Debug)]
pub(super) struct Uploads {
    count: u32,
    /// Whether all of them wait for windows to open.
    blocked: bool,
    /// The position whose turn it is.
    turn: u16,
}

impl Uploads {
    pub(super) const NONE: Self = Self { count: 0, blocked: false, turn: 0 };

    /// Notes that there is another body to write.
    const fn begin(&mut self) {
        self.count += 1;
        self.blocked = false;
    }

    /// Notes that a body is written, or not wanted any more.
    pub(super) const fn end(&mut self) {
        self.count -= 1;
    }

    /// Notes that a window may have opened.
    pub(super) const fn unblock(&mut self) {
        self.blocked = false;
    }
}

/// The requests of a connection, with the values of those which have some.
struct Requests<'a> {
    rendered: &'a [Rendered],
    slips: &'a [Slip],
}

/// A request with its values.
struct Filled<'a> {
    rendered: &'a Rendered,
    slip: Option<&'a Slip>,
}

impl<'a> Requests<'a> {
    #[inline]
    fn get(&self, index: u16, position: u16) -> Option<Filled<'a>> {
        let rendered = self.rendered.get(usize::from(index))?;
        Some(Filled { rendered, slip: self.slips.get(usize::from(position)) })
    }
}

impl<'a> Filled<'a> {
    #[inline]
    fn body(&self) -> Content<'a> {
        self.rendered.body(self.slip)
    }
}

/// Where frames are written, up to a bound.
struct Page<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Page<'_> {
    #[inline]
    fn room(&self) -> usize {
        self.end.saturating_sub(self.out.len())
    }
}

impl Conn {
    /// Returns whether [`transmit`](Self::transmit) may have something to write. Cheap.
    #[inline]
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        if self.outbox.is_owed() {
            return true;
        }
        let heads = self.streams.has_queued() && self.may_open();
        let bodies = self.uploads.count > 0 && !self.uploads.blocked;
        (heads || bodies && self.send_window.available() > 0) && !self.has_failed()
    }

    /// Appends at most `room` bytes to `out`: first what is owed to the peer, then the heads of
    /// requests, then their bodies as far as windows allow. `requests` are those of which
    /// [`start`](Self::start) is given the index, made by one call of [`Rendered::set`].
    ///
    /// It may append nothing. To make headway it needs a room of
    /// [`H2_ROOM_BYTES_MIN`](crate::limits::H2_ROOM_BYTES_MIN); call it again while
    /// [`wants_transmit`](Self::wants_transmit).
    pub fn transmit(&mut self, requests: &[Rendered], out: &mut Vec<u8>, room: usize) {
        self.transmit_with(requests, &[], out, room);
    }

    /// The same for requests with values of their own, which `slips` holds by the numbers of their
    /// [`Tag`](super::Tag)s. A slip stays as it is until its request has been
    /// [sent](Self::is_sent).
    pub fn transmit_with(
        &mut self,
        requests: &[Rendered],
        slips: &[Slip],
        out: &mut Vec<u8>,
        room: usize,
    ) {
        let end = out.len().saturating_add(room);
        let page = &mut Page { out, end };
        let requests = Requests { rendered: requests, slips };
        if self.outbox.is_owed() && !self.transmit_owed(page) || self.has_failed() {
            return;
        }
        if self.streams.has_queued() {
            self.transmit_heads(&requests, page);
        }
        if self.uploads.count > 0 && !self.uploads.blocked {
            self.transmit_bodies(&requests, page);
        }
    }

    const fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed(_))
    }

    /// Whether the peer takes another stream now.
    const fn may_open(&self) -> bool {
        self.streams.on_wire() < self.peer.streams_max
    }

    /// Writes what is owed; returns whether there was room for all of it.
    #[cold]
    fn transmit_owed(&mut self, page: &mut Page<'_>) -> bool {
        while let Some(owed) = self.outbox.next() {
            if page.room() < Owed::BYTES_MAX {
                return false;
            }
            owed.write(page.out);
            self.outbox.done(owed);
        }
        if !self.has_failed() && !self.transmit_refills(page) {
            return false;
        }
        self.outbox.emptied();
        true
    }

    fn transmit_refills(&mut self, page: &mut Page<'_>) -> bool {
        if page.room() < REFILL_BYTES {
            return false;
        }
        if self.receive_window.is_low() {
            frame::write_window_update(page.out, 0, self.receive_window.refill());
        }
        if self.outbox.refills == 0 {
            return true;
        }
        for stream in self.streams.iter_mut().filter(|stream| stream.refill) {
            if page.room() < REFILL_BYTES {
                return false;
            }
            frame::write_window_update(page.out, stream.id(), stream.receive_window.refill());
            stream.refill = false;
            self.outbox.refills -= 1;
        }
        true
    }

    #[inline]
    fn transmit_heads(&mut self, requests: &Requests<'_>, page: &mut Page<'_>) {
        // Each round opens a stream.
        while self.may_open() {
            let Some(position) = self.streams.queued() else { return };
            let Some(stream) = self.streams.at_mut(position) else { return };
            let Some(request) = requests.get(stream.request, position) else {
                debug_assert!(false, "a request is started by its index");
                return;
            };
            if !write_head(&mut self.peer, stream.id(), &request, page) {
                return;
            }
            stream.is_head = request.rendered.is_head();
            stream.unsent = request.body().length();
            if stream.unsent > 0 {
                self.uploads.begin();
            }
            let has_body = stream.unsent > 0;
            self.streams.mark_written(position);
            if has_body {
                self.transmit_body(position, &request, page);
            }
        }
    }

    /// Writes bodies, a frame of each in turn.
    #[cold]
    fn transmit_bodies(&mut self, requests: &Requests<'_>, page: &mut Page<'_>) {
        // Each round writes a frame, or is the last.
        loop {
            let mut wrote = false;
            for _ in 0..self.streams.count() {
                if self.send_window.available() == 0 || page.room() < PIECE_ROOM_MIN {
                    return;
                }
                let position = self.uploads.turn;
                self.uploads.turn = self.streams.after(position);
                let stream = self.streams.at(position).filter(|stream| stream.unsent > 0);
                let request = stream.and_then(|stream| requests.get(stream.request, position));
                wrote |=
                    request.is_some_and(|request| self.transmit_body(position, &request, page));
            }
            if !wrote {
                self.uploads.blocked = true;
                return;
            }
        }
    }

    /// Writes a frame of a body, if its windows and the page have room for one.
    #[inline]
    fn transmit_body(&mut self, position: u16, request: &Filled<'_>, page: &mut Page<'_>) -> bool {
        let Some(stream) = self.streams.at_mut(position) else { return false };
        let most = self.peer.payload_max.min(self.send_window.available());
        let Some(sent) = write_content(stream, request.body(), most, page) else { return false };
        self.send_window.spend(sent);
        self.budgets.work_of(sent);
        if stream.unsent == 0 {
            self.uploads.end();
        }
        true
    }
}

/// Writes the head of a request; returns whether there was room.
#[inline]
fn write_head(peer: &mut Peer, stream: u32, request: &Filled<'_>, page: &mut Page<'_>) -> bool {
    // Nearly always the same bytes as for the request before.
    match request.rendered.frame() {
        Some(frame) if peer.table.is_steady(request.rendered.block().table_size_needed()) => {
            let fits = frame.len() <= page.room();
            if fits {
                frame::write_on_stream(page.out, frame, stream);
            }
            fits
        }
        _ => encode_head(peer, stream, request, page),
    }
}

/// The same, put together for this request and this peer.
fn encode_head(peer: &mut Peer, stream: u32, request: &Filled<'_>, page: &mut Page<'_>) -> bool {
    let block = request.rendered.block();
    let mut values = [&[][..]; H2_VARYING_FIELDS_MAX];
    let values = request.slip.map_or(&[][..], |slip| slip.values(&mut values));
    let form = peer.table.form(block.table_size_needed());
    let length = block.length(form, values) + TABLE_SIZE_BYTES_MAX;
    let frames = length / PAYLOAD_BYTES_DEFAULT as usize + 1;
    if page.room() < length + frames * HEADER_BYTES {
        return false;
    }
    let at = page.out.len();
    page.out.extend_from_slice(&[0; HEADER_BYTES]);
    peer.table.write_size(form, page.out);
    block.write(form, values, page.out);
    let flags = if request.body().length() == 0 { END_STREAM } else { 0 };
    let header = Header { length: 0, kind: Kind::Headers, flags, stream };
    frame::frame_block(page.out, at, header, peer.payload_max);
    true
}

/// Writes a frame of at most `most` bytes of what is unsent of `body`; `None` if a window or the
/// page has no room for a sensible one.
#[inline]
fn write_content(
    stream: &mut Stream,
    body: Content<'_>,
    most: u32,
    page: &mut Page<'_>,
) -> Option<u32> {
    let wanted = stream.unsent.min(most).min(stream.send_window.available());
    let room = page.room().saturating_sub(HEADER_BYTES);
    let length = room.min(wanted as usize);
    if wanted == 0 || length < PIECE_BYTES_MIN.min(wanted as usize) {
        return None;
    }
    let sent = u32::try_from(length).unwrap_or(wanted);
    let unsent = stream.unsent;
    stream.unsent -= sent;
    stream.send_window.spend(sent);
    let flags = if stream.unsent == 0 { END_STREAM } else { 0 };
    let header = Header { length: sent, kind: Kind::Data, flags, stream: stream.id() };
    frame::write_header(page.out, header);
    body.append(unsent, length, page.out);
    Some(sent)
}
