//! A tunnel through a proxy that is spoken to in HTTP/2 (RFC 9113 section 8.5): one connection, and
//! on it one stream, whose `DATA` are the bytes of the tunnel in both directions.
//!
//! ```text
//!          2xx              END_STREAM
//!  Asked ───────► Open ──────────────────► Over     a rule broken: every later call returns the
//!    │              └──── Reset ────────────▲       same error, and `transmit` writes the GOAWAY
//!    └─ Refused, Reset ─────────────────────┘
//! ```
//!
//! What comes through is lent where it lies and may be changed there, so that TLS can decrypt it in
//! place. All other frames are few, and are put together before they are judged. Windows, budgets
//! and what is owed to the peer are those of [`Conn`](super::Conn).

use super::control;
use super::flood::{Budgets, Waste};
use super::flow::{ReceiveWindow, SendWindow, WINDOW_DEFAULT};
use super::frame::{
    self, Code, END_HEADERS, END_STREAM, HEADER_BYTES, Header, Kind, PADDED, PAYLOAD_BYTES_DEFAULT,
};
use super::head::HeadReader;
use super::hpack::{Block, Field, Form};
use super::outbox::{Outbox, Owed};
use super::peer::Peer;
use super::receive::{bytes_of, check_first, is_tls, recycled};
use super::transmit::{PIECE_BYTES_MIN, REFILL_BYTES};
use crate::error::{ErrorKind, ProtocolError};
use crate::limits::{
    H2_BLOCK_BYTES_MAX, H2_CONTINUATIONS_MAX, H2_REQUEST_BLOCK_BYTES_MAX, HPACK_TABLE_BYTES,
    INTERIM_MAX,
};
use crate::request::{Request, RequestError};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

/// The only stream.
const STREAM: u32 = 1;

/// What happened to a tunnel, in the order of the wire.
#[derive(Debug, PartialEq, Eq)]
pub enum TunnelEvent<'b> {
    /// The proxy has opened it (2xx).
    Open,
    /// The proxy has not, and has answered with this status.
    Refused(u16),
    /// Bytes came through it, never none.
    Content(&'b mut [u8]),
    /// The other side has said all that it had to say.
    Ended,
    /// The proxy tore it down, or never opened it, with this error code (RFC 9113 section 7).
    Reset(u32),
}

/// Bytes that arrived and may be changed; the front is consumed.
#[derive(Debug)]
pub struct Lent<'b>(pub &'b mut [u8]);

/// A tunnel, from the wish for one on.
#[derive(Debug)]
pub struct Tunnel {
    stage: Stage,
    next: Next,
    gathered: Gathered,
    heads: HeadReader,
    peer: Peer,
    budgets: Budgets,
    /// Interim responses so far.
    interim: u8,
    /// Of the connection and of the stream.
    receive_windows: [ReceiveWindow; 2],
    send_windows: [SendWindow; 2],
    /// The lowest last stream of all `GOAWAY`s.
    last_stream: Option<u32>,
    outbox: Outbox,
    request: Unsent,
    content: Unsent,
    /// What this side says of its own end.
    ending: Ending,
}

/// Where a tunnel stands, as far as the peer is concerned.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Stage {
    /// There is no final answer yet.
    Asked,
    Open,
    /// Nothing that comes is of interest any more.
    Over,
    Failed(ProtocolError),
}

/// Whether more is sent into a tunnel.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Ending {
    No,
    /// When all is sent.
    Wanted,
    Told,
}

/// What the next byte is.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// A frame's header, of which a part may be gathered.
    Frame,
    /// The payload of any frame but `DATA`, of which a part may be gathered.
    Payload(Header),
    /// The length of the padding of a `DATA` frame.
    PadLength(Header),
    Content(Content),
    /// Bytes of no interest.
    Skip(u32),
}

/// What is left of a `DATA` frame.
#[derive(Debug, Clone, Copy)]
struct Content {
    left: u32,
    /// Bytes of padding behind it.
    padding: u32,
    /// Whether it ends the stream.
    ends: bool,
}

/// What had to be put together.
#[derive(Debug, Default)]
struct Gathered {
    /// The header of a frame, or its payload.
    frame: Vec<u8>,
    /// A header block that takes several frames.
    block: Vec<u8>,
    /// Frames of it so far, and whether the stream ends with it; `None` between blocks.
    of: Option<(u8, bool)>,
}

/// Bytes to be written.
#[derive(Debug, Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// So many of them are written.
    written: usize,
}

impl Unsent {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Appends the next `length` bytes to `out`, no more than there are.
    fn write(&mut self, length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.rest().get(..length).unwrap_or_default());
        self.written += length;
        if self.is_empty() {
            self.bytes = recycled(mem::take(&mut self.bytes));
            self.written = 0;
        }
    }
}

/// What a step of reading came to.
enum Step<'b> {
    Event(TunnelEvent<'b>),
    /// A state was left, or a frame read, of which the owner hears nothing.
    Silent,
    /// All input is consumed.
    Starved,
}

type Stepped<'b> = Result<Step<'b>, ErrorKind>;

impl Tunnel {
    /// Renders what asks for a tunnel to `authority`, with `fields` for the proxy: the opening of a
    /// connection, and its only request.
    ///
    /// Allocates the result; made for once per run.
    ///
    /// # Errors
    /// [`RequestError`] names what HTTP/2 cannot send.
    pub fn request(authority: &str, fields: &[(String, String)]) -> Result<Vec<u8>, RequestError> {
        let lines = Request::connect_lines(authority, fields)?;
        let list: Vec<Field<'_>> =
            lines.iter().map(|(name, value)| Field::fixed(name, value)).collect();
        let block = Block::new(&list);
        let length = block.length(Form::Plain, &[]);
        if length > H2_REQUEST_BLOCK_BYTES_MAX {
            return Err(RequestError::HeadTooLong(length));
        }
        let mut out = Vec::new();
        Owed::Greeting.write(&mut out);
        let at = out.len();
        out.extend_from_slice(&[0; HEADER_BYTES]);
        block.write(Form::Plain, &[], &mut out);
        let header = Header { length: 0, kind: Kind::Headers, flags: 0, stream: STREAM };
        frame::frame_block(&mut out, at, header, PAYLOAD_BYTES_DEFAULT);
        Ok(out)
    }

    /// A tunnel that is asked for with `request`, which [`Tunnel::request`] has made.
    #[must_use]
    pub fn new(request: &[u8]) -> Self {
        Self {
            stage: Stage::Asked,
            next: Next::Frame,
            gathered: Gathered::default(),
            heads: HeadReader::new(HPACK_TABLE_BYTES),
            peer: Peer::UNKNOWN,
            budgets: Budgets::new(),
            interim: 0,
            receive_windows: [ReceiveWindow::FULL; 2],
            send_windows: [SendWindow::new(WINDOW_DEFAULT); 2],
            last_stream: None,
            outbox: Outbox::greeted(),
            request: Unsent { bytes: request.to_owned(), written: 0 },
            content: Unsent::default(),
            ending: Ending::No,
        }
    }

    /// Whether [`send`](Self::send) may be called: the tunnel is open, and all that was sent before
    /// is written.
    #[must_use]
    pub fn takes(&self) -> bool {
        self.stage == Stage::Open && self.content.is_empty() && self.ending == Ending::No
    }

    /// Sends `bytes` through the tunnel, as the peer's windows open.
    ///
    /// They are kept until they are written: an owner that asks [`takes`](Self::takes) first bounds
    /// them.
    pub fn send(&mut self, bytes: &[u8]) {
        self.content.bytes.extend_from_slice(bytes);
    }

    /// Says that no more will be sent, once all is written.
    pub fn end(&mut self) {
        if self.stage == Stage::Open && self.ending == Ending::No {
            self.ending = Ending::Wanted;
        }
    }

    /// Whether [`transmit`](Self::transmit) has something to write.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        if !self.request.is_empty() {
            return !self.has_failed();
        }
        let content = self.stage == Stage::Open && self.sendable() > 0;
        self.outbox.is_owed() || content || self.wants_end()
    }

    fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Failed(_))
    }

    fn wants_end(&self) -> bool {
        self.ending == Ending::Wanted && self.content.is_empty() && self.stage == Stage::Open
    }

    /// Bytes that the next frame may hold.
    fn sendable(&self) -> usize {
        let windows = self.send_windows.iter().map(|window| window.available());
        let most = windows.fold(self.peer.payload_max, u32::min);
        self.content.rest().len().min(most as usize)
    }

    /// Appends at most `room` bytes to `out`: the request, what is owed to the peer, and what goes
    /// through the tunnel as far as windows allow. Makes headway in a room of 300 bytes.
    pub fn transmit(&mut self, out: &mut Vec<u8>, room: usize) {
        let end = out.len().saturating_add(room);
        if !self.request.is_empty() {
            if self.has_failed() {
                return;
            }
            self.request.write(self.request.rest().len().min(room), out);
            if !self.request.is_empty() {
                return;
            }
        }
        if !self.transmit_owed(out, end) || self.stage != Stage::Open {
            return;
        }
        loop {
            let wanted = self.sendable();
            let room = end.saturating_sub(out.len()).saturating_sub(HEADER_BYTES);
            let length = wanted.min(room);
            if wanted == 0 || length < wanted.min(PIECE_BYTES_MIN) {
                break;
            }
            self.transmit_piece(length, out);
        }
        if self.wants_end() && end.saturating_sub(out.len()) >= HEADER_BYTES {
            let header = Header { length: 0, kind: Kind::Data, flags: END_STREAM, stream: STREAM };
            frame::write_header(out, header);
            self.ending = Ending::Told;
        }
    }

    /// Writes what is owed; returns whether there was room for all of it.
    fn transmit_owed(&mut self, out: &mut Vec<u8>, end: usize) -> bool {
        if !self.outbox.is_owed() {
            return true;
        }
        while let Some(owed) = self.outbox.next() {
            if end.saturating_sub(out.len()) < Owed::BYTES_MAX {
                return false;
            }
            owed.write(out);
            self.outbox.done(owed);
        }
        for (stream, window) in [0, STREAM].into_iter().zip(&mut self.receive_windows) {
            // Who is done needs no more of the stream.
            let wanted = stream == 0 || self.stage == Stage::Open;
            if !window.is_low() || !wanted {
                continue;
            }
            if end.saturating_sub(out.len()) < REFILL_BYTES {
                return false;
            }
            frame::write_window_update(out, stream, window.refill());
        }
        self.outbox.emptied();
        true
    }

    fn transmit_piece(&mut self, length: usize, out: &mut Vec<u8>) {
        let bytes = u32::try_from(length).unwrap_or(PAYLOAD_BYTES_DEFAULT);
        let header = Header { length: bytes, kind: Kind::Data, flags: 0, stream: STREAM };
        frame::write_header(out, header);
        self.content.write(length, out);
        for window in &mut self.send_windows {
            window.spend(bytes);
        }
        self.budgets.work_of(bytes);
    }

    /// Consumes from the front of `input` and returns the next event; `None` when all of `input` is
    /// consumed and more is needed.
    ///
    /// O(bytes consumed). Call it until it returns `None`, with the same `input`.
    ///
    /// # Errors
    /// [`ProtocolError`] on the first violation, and again on every later call; what is left of
    /// `input` is meaningless then, and [`transmit`](Self::transmit) writes the peer a last word.
    pub fn receive<'b>(
        &mut self,
        input: &mut Lent<'b>,
    ) -> Result<Option<TunnelEvent<'b>>, ProtocolError> {
        // Each step consumes input or leaves a state for `Frame`.
        loop {
            match self.step(input) {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::Silent) => {}
                Ok(Step::Starved) => return Ok(None),
                Err(kind) => {
                    return Err(match self.stage {
                        Stage::Failed(error) => error,
                        _ => self.fail(kind),
                    });
                }
            }
        }
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind) -> ProtocolError {
        let error = ProtocolError::from(kind);
        self.stage = Stage::Failed(error);
        self.outbox.fail(kind);
        error
    }

    fn step<'b>(&mut self, input: &mut Lent<'b>) -> Stepped<'b> {
        if let Stage::Failed(error) = self.stage {
            return Err(error.kind());
        }
        match self.next {
            Next::Content(content) => Ok(self.receive_content(content, input)),
            Next::Frame => self.receive_frame(input),
            Next::Payload(header) => self.gather_payload(header, input),
            Next::PadLength(header) => self.receive_pad_length(header, input),
            Next::Skip(left) => {
                let left = left - skip(left, input);
                self.next = if left > 0 { Next::Skip(left) } else { Next::Frame };
                Ok(if left > 0 { Step::Starved } else { Step::Silent })
            }
        }
    }

    /// Gathers up to `length` bytes; returns whether they are there.
    fn gather(&mut self, length: usize, input: &mut Lent<'_>) -> bool {
        let missing = length.saturating_sub(self.gathered.frame.len());
        self.gathered.frame.extend_from_slice(take(missing, input));
        self.gathered.frame.len() >= length
    }

    fn receive_frame<'b>(&mut self, input: &mut Lent<'_>) -> Stepped<'b> {
        if !self.gather(HEADER_BYTES, input) {
            let tls = !self.peer.settled && is_tls(&self.gathered.frame);
            return if tls { Err(ErrorKind::NotHttp2Tls) } else { Ok(Step::Starved) };
        }
        let Some(bytes) = self.gathered.frame.first_chunk() else { return Ok(Step::Starved) };
        let header = Header::parse(bytes);
        if !self.peer.settled {
            check_first(bytes, header)?;
        }
        self.gathered.frame.clear();
        if header.length > PAYLOAD_BYTES_DEFAULT {
            return Err(ErrorKind::H2FrameTooLarge);
        }
        // RFC 9113 section 6.10: nothing may stand between the frames of a header block.
        if self.gathered.of.is_some() && header.kind != Kind::Continuation {
            return Err(ErrorKind::H2Continuation);
        }
        match header.kind {
            Kind::Data => return self.begin_data(header),
            Kind::Unknown => {
                self.budgets.spend(Waste::Ignored)?;
                self.next = Next::Skip(header.length);
            }
            // RFC 9113 section 8.4: this side has set SETTINGS_ENABLE_PUSH to 0.
            Kind::PushPromise => return Err(ErrorKind::H2PushPromise),
            _ => self.next = Next::Payload(header),
        }
        Ok(Step::Silent)
    }

    fn gather_payload<'b>(&mut self, header: Header, input: &mut Lent<'_>) -> Stepped<'b> {
        if !self.gather(header.length as usize, input) {
            return Ok(Step::Starved);
        }
        self.next = Next::Frame;
        let payload = mem::take(&mut self.gathered.frame);
        let step = self.receive_payload(header, &payload);
        self.gathered.frame = recycled(payload);
        step
    }

    /// Judges a whole frame that is neither `DATA` nor without meaning.
    fn receive_payload<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        match header.kind {
            Kind::Headers => self.receive_headers(header, payload),
            Kind::Continuation => self.receive_continuation(header, payload),
            Kind::WindowUpdate => self.receive_window_update(header, payload),
            Kind::RstStream => self.receive_reset(header, payload),
            Kind::Settings => self.receive_settings(header, payload),
            Kind::Ping => self.receive_ping(header, payload),
            Kind::GoAway => self.receive_goaway(header, payload),
            Kind::Priority if header.stream == 0 => Err(ErrorKind::H2BadStream),
            Kind::Priority => self.budgets.spend(Waste::Ignored).map(|()| Step::Silent),
            // They do not come here.
            Kind::Data | Kind::PushPromise | Kind::Unknown => Ok(Step::Silent),
        }
    }

    /// Judges the stream of a frame: there is one, from the request on.
    fn ensure_stream(&self, header: Header) -> Result<(), ErrorKind> {
        let known = header.stream == STREAM && self.request.is_empty();
        if known { Ok(()) } else { Err(ErrorKind::H2BadStream) }
    }

    // Header blocks.

    fn receive_headers<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        self.ensure_stream(header)?;
        let fragment = frame::fragment(header, payload)?;
        let ends = header.has(END_STREAM);
        if header.has(END_HEADERS) {
            return self.receive_block(ends, fragment);
        }
        self.gathered.of = Some((0, ends));
        self.extend_block(fragment)
    }

    fn extend_block<'b>(&mut self, fragment: &[u8]) -> Stepped<'b> {
        if self.gathered.block.len() + fragment.len() > H2_BLOCK_BYTES_MAX as usize {
            return Err(ErrorKind::H2BlockTooLarge);
        }
        self.gathered.block.extend_from_slice(fragment);
        Ok(Step::Silent)
    }

    fn receive_continuation<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        let Some((continuations, ends)) = self.gathered.of.filter(|_| header.stream == STREAM)
        else {
            return Err(ErrorKind::H2Continuation);
        };
        if continuations == H2_CONTINUATIONS_MAX {
            return Err(ErrorKind::H2ContinuationFlood);
        }
        self.gathered.of = Some((continuations + 1, ends));
        self.extend_block(payload)?;
        if !header.has(END_HEADERS) {
            return Ok(Step::Silent);
        }
        self.gathered.of = None;
        let block = mem::take(&mut self.gathered.block);
        let step = self.receive_block(ends, &block);
        self.gathered.block = recycled(block);
        step
    }

    fn receive_block<'b>(&mut self, ends: bool, block: &[u8]) -> Stepped<'b> {
        match self.stage {
            Stage::Asked => self.receive_head(ends, block),
            // RFC 9113 section 8.5: nothing but DATA, RST_STREAM and WINDOW_UPDATE; trailers are
            // put up with where they end the stream.
            Stage::Open => {
                self.heads.trailers(block)??;
                if !ends {
                    return Err(ErrorKind::H2BadTrailers);
                }
                self.stage = Stage::Over;
                Ok(Step::Event(TunnelEvent::Ended))
            }
            Stage::Over | Stage::Failed(_) => {
                self.heads.skip(block)?;
                self.budgets.spend_late(bytes_of(block))?;
                Ok(Step::Silent)
            }
        }
    }

    fn receive_head<'b>(&mut self, ends: bool, block: &[u8]) -> Stepped<'b> {
        // RFC 9110 section 9.3.6: a length means nothing here.
        let status = self.heads.head(block)??.status;
        match status {
            // RFC 9113 section 8.6: HTTP/2 has no 101.
            101 => Err(ErrorKind::UnexpectedUpgrade),
            ..200 if ends => Err(ErrorKind::H2InterimEnds),
            ..200 if self.interim == INTERIM_MAX => Err(ErrorKind::TooManyInterim),
            ..200 => {
                self.interim += 1;
                Ok(Step::Silent)
            }
            200..300 => {
                self.stage = Stage::Open;
                self.budgets.work();
                if ends {
                    self.next = Next::Content(Content { left: 0, padding: 0, ends });
                }
                Ok(Step::Event(TunnelEvent::Open))
            }
            _ => {
                self.stage = Stage::Over;
                Ok(Step::Event(TunnelEvent::Refused(status)))
            }
        }
    }

    // Content.

    fn begin_data<'b>(&mut self, header: Header) -> Stepped<'b> {
        self.ensure_stream(header)?;
        // RFC 9113 section 6.9.1: all of the payload counts.
        for window in &mut self.receive_windows {
            window.charge(header.length)?;
            if window.is_low() {
                self.outbox.refill();
            }
        }
        if header.has(PADDED) {
            if header.length == 0 {
                return Err(ErrorKind::H2FrameSize);
            }
            self.next = Next::PadLength(header);
            return Ok(Step::Silent);
        }
        self.open_content(header, header.length, 0)
    }

    fn receive_pad_length<'b>(&mut self, header: Header, input: &mut Lent<'_>) -> Stepped<'b> {
        let &mut [padding] = take(1, input) else { return Ok(Step::Starved) };
        let padding = u32::from(padding);
        let length = header.length.checked_sub(1 + padding).ok_or(ErrorKind::H2Padding)?;
        self.open_content(header, length, padding)
    }

    /// Judges `DATA` with `length` bytes of content and `padding` behind them.
    fn open_content<'b>(&mut self, header: Header, length: u32, padding: u32) -> Stepped<'b> {
        let ends = header.has(END_STREAM);
        match self.stage {
            Stage::Asked => return Err(ErrorKind::H2UnexpectedData),
            Stage::Over | Stage::Failed(_) => {
                self.budgets.spend_late(header.length)?;
                self.next = Next::Skip(length + padding);
                return Ok(Step::Silent);
            }
            Stage::Open => {}
        }
        if length > 0 {
            self.budgets.work();
        } else if !ends {
            self.budgets.spend(Waste::EmptyData)?;
        }
        self.next = Next::Content(Content { left: length, padding, ends });
        Ok(Step::Silent)
    }

    fn receive_content<'b>(&mut self, mut content: Content, input: &mut Lent<'b>) -> Step<'b> {
        if content.left > 0 {
            let bytes = take(content.left as usize, input);
            if bytes.is_empty() {
                return Step::Starved;
            }
            // Not more than is left.
            content.left -= u32::try_from(bytes.len()).unwrap_or(content.left);
            self.next = Next::Content(content);
            return Step::Event(TunnelEvent::Content(bytes));
        }
        content.padding -= skip(content.padding, input);
        if content.padding > 0 {
            self.next = Next::Content(content);
            return Step::Starved;
        }
        self.next = Next::Frame;
        if !content.ends {
            return Step::Silent;
        }
        self.stage = Stage::Over;
        Step::Event(TunnelEvent::Ended)
    }

    // All the others.

    fn receive_reset<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        self.ensure_stream(header)?;
        let code = frame::rst_stream(payload)?;
        if self.stage == Stage::Over {
            return self.budgets.spend(Waste::Reset).map(|()| Step::Silent);
        }
        self.stage = Stage::Over;
        Ok(Step::Event(TunnelEvent::Reset(code)))
    }

    fn receive_window_update<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        if header.stream != 0 {
            self.ensure_stream(header)?;
        }
        let increment = frame::window_update(payload)?;
        self.budgets.spend(Waste::WindowUpdate)?;
        if increment == 0 {
            return Err(ErrorKind::H2ZeroIncrement);
        }
        let [connection, stream] = &mut self.send_windows;
        let window = if header.stream == 0 { connection } else { stream };
        window.grow(increment).map(|()| Step::Silent)
    }

    fn receive_settings<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        let windows = control::settings(header, payload, &mut self.peer, &mut self.budgets)?;
        let Some([before, after]) = windows else { return Ok(Step::Silent) };
        // RFC 9113 section 6.9.2: streams that are open follow, the connection does not.
        let [_, stream] = &mut self.send_windows;
        stream.shift(before, after)?;
        self.outbox.settings_ack();
        Ok(Step::Silent)
    }

    fn receive_ping<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        control::ping(header, payload, &mut self.budgets, &mut self.outbox)?;
        Ok(Step::Silent)
    }

    /// A tunnel that is not beyond it goes on (RFC 9113 section 6.8).
    fn receive_goaway<'b>(&mut self, header: Header, payload: &[u8]) -> Stepped<'b> {
        let (last, code) =
            control::goaway(header, payload, &mut self.last_stream, &mut self.budgets)?;
        let failed = code != Code::NoError as u32;
        if self.stage == Stage::Over || !(failed || last < STREAM) {
            return Ok(Step::Silent);
        }
        self.stage = Stage::Over;
        Ok(Step::Event(TunnelEvent::Reset(code)))
    }
}

/// Takes up to `most` bytes off the front of `input`.
fn take<'b>(most: usize, input: &mut Lent<'b>) -> &'b mut [u8] {
    let whole = mem::take(&mut input.0);
    let at = most.min(whole.len());
    // It is not beyond the end.
    let (taken, rest) = whole.split_at_mut_checked(at).unwrap_or_default();
    input.0 = rest;
    taken
}

/// Takes up to `most` bytes off the front of `input`; returns how many there were.
fn skip(most: u32, input: &mut Lent<'_>) -> u32 {
    u32::try_from(take(most as usize, input).len()).unwrap_or(most)
}

#[cfg(test)]
mod tests;
