//! Reading: from bytes, split anywhere, to frames, and from frames to events.
//!
//! ```text
//!            ┌────────────── a frame without event ──────────────┐
//!            ▼                                                   │
//!  ┌──► State::Frame ── DATA ──► PadLength ──► Content ─ Body ──►┤ Done, if it ends the stream
//!  │         ├── a type without meaning ─────► Skip ────────────►┤
//!  │         ├── any other, split ───────────► Payload ─────────►┤ Head, Reset, …
//!  │         └── any other, whole ──────────────────────────────►┘
//!  └─ all NotProcessed told ◄── Beyond ◄── GOAWAY
//! ```
//!
//! `DATA` is passed on as it comes. All other frames are judged whole: where they lie, if they came
//! in one piece, else gathered first. A header block that takes several frames is gathered, too.

use super::control;
use super::event::{Event, Tag};
use super::flood::Waste;
use super::flow::SendWindow;
use super::frame::{
    self, ACK, Code, END_HEADERS, END_STREAM, HEADER_BYTES, Header, Kind, PADDED,
    PAYLOAD_BYTES_DEFAULT, PRIORITY_BYTES,
};
use super::head::Head;
use super::stream::{Found, Stage, Stream};
use super::{Conn, Tells};
use crate::error::{ErrorKind, ProtocolError};
use crate::limits::{CARRY_KEEP_BYTES_MAX, H2_BLOCK_BYTES_MAX, H2_CONTINUATIONS_MAX, INTERIM_MAX};
use alloc::vec::Vec;
use core::mem;

/// What the next byte is.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// A frame's header, of which a part may have come.
    Frame,
    /// The payload of any frame but `DATA`, a part of which is gathered.
    Payload(Header),
    /// The length of the padding of a `DATA` frame.
    PadLength(Header),
    /// The content of a `DATA` frame.
    Content(Content),
    /// Bytes of no interest.
    Skip(u32),
    /// The streams above `last`, from `position` on, are to be told of as not processed.
    Beyond { last: u32, position: u32 },
    /// After a violation.
    Failed(ProtocolError),
}

/// What is left of a `DATA` frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    stream: u32,
    left: u32,
    /// Bytes of padding behind it.
    padding: u32,
    /// Whether it ends the stream.
    ends: bool,
}

/// What a step of reading came to.
///
/// As small as can be: it is passed in a register, where an [`Event`] would have to be passed
/// through memory, and copied at each return.
#[derive(Clone, Copy)]
enum Step {
    /// Content of a stream comes next.
    Body(Tag),
    /// Anything else that the owner is told.
    Told(Told),
    /// A state was left, or a frame read, of which the owner hears nothing.
    Silent,
    /// All input is consumed.
    Starved,
}

/// An [`Event`] but for content.
#[derive(Debug, Clone, Copy)]
enum Told {
    Settled,
    Interim(Tag, u16),
    Head(Tag, u16),
    Done(Tag),
    Whole(Tag, u16),
    Reset(Tag, u32),
    Malformed(Tag, ErrorKind),
    NotProcessed(Tag, bool),
    GoAway(u32),
}

type Stepped = Result<Step, ErrorKind>;

/// The end of a stream that waits until the owner has been told of its head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    stream: u32,
    code: Option<Code>,
    told: Told,
}

const _: () = assert!(size_of::<Stepped>() == 8);

impl Told {
    #[inline]
    fn event<'b>(self) -> Event<'b> {
        match self {
            Self::Settled => Event::Settled,
            Self::Interim(tag, status) => Event::Interim { tag, status },
            Self::Head(tag, status) => Event::Head { tag, status },
            Self::Done(tag) => Event::Done { tag },
            Self::Whole(tag, status) => Event::Whole { tag, status },
            Self::Reset(tag, code) => {
                Event::Reset { tag, code, processed: code != Code::RefusedStream as u32 }
            }
            Self::Malformed(tag, kind) => Event::Malformed { tag, error: kind.into() },
            Self::NotProcessed(tag, written) => Event::NotProcessed { tag, written },
            Self::GoAway(code) => Event::GoAway { code },
        }
    }
}

/// The beginning of a header that was split.
#[derive(Debug)]
pub(super) struct Partial {
    bytes: [u8; HEADER_BYTES],
    length: u8,
}

impl Partial {
    pub(super) const EMPTY: Self = Self { bytes: [0; HEADER_BYTES], length: 0 };

    /// What has come of it.
    fn begun(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Consumes a header from the front of `input`; `None` when all of it was consumed before.
    #[cold]
    fn fill(&mut self, input: &mut &[u8]) -> Option<[u8; HEADER_BYTES]> {
        while let Some(place) = self.bytes.get_mut(usize::from(self.length)) {
            let (byte, rest) = input.split_first()?;
            *place = *byte;
            *input = rest;
            self.length += 1;
        }
        self.length = 0;
        Some(self.bytes)
    }
}

/// What had to be put together.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The payload of a frame that was split.
    payload: Vec<u8>,
    /// A header block that takes several frames.
    block: Vec<u8>,
    /// Whose block it is; `None` between blocks.
    of: Option<Unfinished>,
}

/// A header block of which more must come.
#[derive(Debug, Clone, Copy)]
struct Unfinished {
    stream: u32,
    /// Whether the stream ends with it.
    ends: bool,
    continuations: u8,
}

impl Gathered {
    pub(super) const EMPTY: Self = Self { payload: Vec::new(), block: Vec::new(), of: None };

    /// Whether a header block of stream `id` has begun and not ended.
    pub(super) fn is_block_of(&self, id: u32) -> bool {
        self.of.is_some_and(|unfinished| unfinished.stream == id)
    }

    fn extend_block(&mut self, fragment: &[u8]) -> Result<(), ErrorKind> {
        if self.block.len() + fragment.len() > H2_BLOCK_BYTES_MAX as usize {
            return Err(ErrorKind::H2BlockTooLarge);
        }
        self.block.extend_from_slice(fragment);
        Ok(())
    }
}

/// Empties a buffer for the next use, and lets go of a large one.
pub(super) fn recycled(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    if buffer.capacity() > CARRY_KEEP_BYTES_MAX { Vec::new() } else { buffer }
}

impl Conn {
    /// Consumes from the front of `input` and returns the next event; `None` when all of `input` is
    /// consumed and more is needed.
    ///
    /// O(bytes consumed), but for `SETTINGS` and `GOAWAY`, which look at each stream. Call it until
    /// it returns `None`, with the same `input`: a request may end without another byte.
    ///
    /// # Errors
    /// [`ProtocolError`] on the first violation of a rule of the connection, and again on every
    /// later call; what is left of `input` is meaningless then, and [`transmit`](Self::transmit)
    /// writes the peer a last word.
    #[inline]
    pub fn receive<'b>(
        &mut self,
        input: &mut &'b [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        // Each step consumes input, leaves a state for `Frame` or ends a stream.
        loop {
            let step = if self.ending.is_some() { Ok(self.end()) } else { self.step(input) };
            let event = match step {
                Ok(Step::Silent) => continue,
                Ok(Step::Starved) => match self.tell_head() {
                    Some(head) => head,
                    None => return Ok(None),
                },
                Ok(Step::Body(tag)) => {
                    let bytes = self.take_body(input);
                    if self.tells != Tells::All {
                        continue;
                    }
                    Event::Body { tag, bytes }
                }
                Ok(Step::Told(told)) => told.event(),
                Err(kind) => {
                    let error = self.fail_once(kind);
                    self.tell_head().ok_or(error)?
                }
            };
            if self.silent && event.tag() == Some(super::UPGRADED) {
                self.silent = !event.is_end();
                continue;
            }
            return Ok(Some(event));
        }
    }

    #[inline]
    fn step(&mut self, input: &mut &[u8]) -> Stepped {
        match self.state {
            State::Frame => self.receive_frame(input),
            State::Content(_) => Ok(self.receive_content(input)),
            State::Payload(header) => self.gather_payload(header, input),
            State::PadLength(header) => self.receive_pad_length(header, input),
            State::Skip(left) => Ok(self.skip(left, input)),
            State::Beyond { last, position } => Ok(self.tell_beyond(last, position)),
            State::Failed(error) => Err(error.kind()),
        }
    }

    #[cold]
    fn fail_once(&mut self, kind: ErrorKind) -> ProtocolError {
        match self.state {
            State::Failed(error) => error,
            _ => self.fail(kind),
        }
    }

    #[inline]
    fn receive_frame(&mut self, input: &mut &[u8]) -> Stepped {
        let header = match input.split_first_chunk() {
            Some((bytes, rest)) if self.partial.length == 0 && self.peer.settled => {
                *input = rest;
                Header::parse(bytes)
            }
            _ => match self.receive_header(input)? {
                Some(header) => header,
                None => return Ok(Step::Starved),
            },
        };
        if header.length > PAYLOAD_BYTES_DEFAULT {
            return Err(ErrorKind::H2FrameTooLarge);
        }
        // RFC 9113 section 6.10: nothing may stand between the frames of a header block.
        if self.gathered.of.is_some() && header.kind != Kind::Continuation {
            return Err(ErrorKind::H2Continuation);
        }
        match header.kind {
            Kind::Data => self.begin_data(header, input),
            Kind::Unknown => {
                self.budgets.spend(Waste::Ignored)?;
                self.state = State::Skip(header.length);
                Ok(Step::Silent)
            }
            // RFC 9113 section 8.4: this side has set SETTINGS_ENABLE_PUSH to 0.
            Kind::PushPromise => Err(ErrorKind::H2PushPromise),
            _ => {
                if let Some((payload, rest)) = input.split_at_checked(header.length as usize) {
                    *input = rest;
                    return self.receive_payload(header, payload);
                }
                self.state = State::Payload(header);
                Ok(Step::Silent)
            }
        }
    }

    /// Reads a header that may be split, or the first one.
    #[cold]
    fn receive_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, ErrorKind> {
        let Some(bytes) = self.partial.fill(input) else {
            // An alert is shorter than a frame's header, and nothing may come after it.
            let tls = !self.peer.settled && is_tls(self.partial.begun());
            return if tls { Err(ErrorKind::NotHttp2Tls) } else { Ok(None) };
        };
        let header = Header::parse(&bytes);
        if !self.peer.settled {
            check_first(&bytes, header)?;
        }
        Ok(Some(header))
    }

    #[cold]
    fn gather_payload(&mut self, header: Header, input: &mut &[u8]) -> Stepped {
        let missing = (header.length as usize).saturating_sub(self.gathered.payload.len());
        let (taken, rest) = input.split_at_checked(missing).unwrap_or((input, &[]));
        self.gathered.payload.extend_from_slice(taken);
        *input = rest;
        if taken.len() < missing {
            return Ok(Step::Starved);
        }
        self.state = State::Frame;
        let payload = mem::take(&mut self.gathered.payload);
        let step = self.receive_payload(header, &payload);
        self.gathered.payload = recycled(payload);
        step
    }

    /// Judges a whole frame that is neither `DATA` nor without meaning.
    fn receive_payload(&mut self, header: Header, payload: &[u8]) -> Stepped {
        match header.kind {
            Kind::Headers => self.receive_headers(header, payload),
            Kind::Continuation => self.receive_continuation(header, payload),
            Kind::WindowUpdate => self.receive_window_update(header, payload),
            Kind::RstStream => self.receive_reset(header, payload),
            Kind::Settings => self.receive_settings(header, payload),
            Kind::Ping => self.receive_ping(header, payload),
            Kind::GoAway => self.receive_goaway(header, payload),
            Kind::Priority => self.receive_priority(header, payload),
            // They do not come here.
            Kind::Data | Kind::PushPromise | Kind::Unknown => Ok(Step::Silent),
        }
    }

    // Header blocks.

    #[inline]
    fn receive_headers(&mut self, header: Header, payload: &[u8]) -> Stepped {
        let fragment = frame::fragment(header, payload)?;
        let ends = header.has(END_STREAM);
        if header.has(END_HEADERS) {
            return self.receive_block(header.stream, ends, fragment);
        }
        if self.streams.find(header.stream) == Found::Never {
            return Err(ErrorKind::H2BadStream);
        }
        self.gathered.of = Some(Unfinished { stream: header.stream, ends, continuations: 0 });
        self.gathered.extend_block(fragment)?;
        Ok(Step::Silent)
    }

    #[cold]
    fn receive_continuation(&mut self, header: Header, payload: &[u8]) -> Stepped {
        let Some(unfinished) = &mut self.gathered.of else {
            return Err(ErrorKind::H2Continuation);
        };
        if unfinished.stream != header.stream {
            return Err(ErrorKind::H2Continuation);
        }
        if unfinished.continuations == H2_CONTINUATIONS_MAX {
            return Err(ErrorKind::H2ContinuationFlood);
        }
        unfinished.continuations += 1;
        let Unfinished { stream, ends, .. } = *unfinished;
        self.gathered.extend_block(payload)?;
        if !header.has(END_HEADERS) {
            return Ok(Step::Silent);
        }
        self.gathered.of = None;
        let block = mem::take(&mut self.gathered.block);
        let step = self.receive_block(stream, ends, &block);
        self.gathered.block = recycled(block);
        step
    }

    #[inline]
    fn receive_block(&mut self, id: u32, ends: bool, block: &[u8]) -> Stepped {
        let position = match self.streams.find(id) {
            Found::Open(position) => position,
            Found::Never => return Err(ErrorKind::H2BadStream),
            Found::Ended => {
                self.heads.skip(block)?;
                self.budgets.spend_late(bytes_of(block))?;
                return Ok(Step::Silent);
            }
        };
        let Some(stream) = self.streams.at_mut(position) else { return Ok(Step::Silent) };
        let tag = Tag(position);
        let judged = if stream.stage == Stage::Body {
            self.heads.trailers(block)?.and_then(|()| take_trailers(stream, ends)).map(|()| None)
        } else {
            self.heads.head(block)?.and_then(|head| take_head(stream, tag, head, ends)).map(Some)
        };
        let told = match judged {
            Ok(Some(Told::Head(_, status))) if self.tells == Tells::Ends => {
                self.streams.keep_status(position, status);
                None
            }
            Ok(told) => told,
            Err(kind) => return Ok(self.malformed(position, kind)),
        };
        if ends {
            self.state = State::Content(Content { stream: id, left: 0, padding: 0, ends });
        }
        self.budgets.work();
        Ok(told.map_or(Step::Silent, Step::Told))
    }

    // Content.

    #[inline]
    fn begin_data(&mut self, header: Header, input: &mut &[u8]) -> Stepped {
        // RFC 9113 section 6.9.1: all of the payload counts, on whatever stream it comes.
        self.receive_window.charge(header.length)?;
        if self.receive_window.is_low() {
            self.outbox.refill();
        }
        if header.has(PADDED) {
            if header.length == 0 {
                return Err(ErrorKind::H2FrameSize);
            }
            self.state = State::PadLength(header);
            return Ok(Step::Silent);
        }
        self.open_content(header, (header.length, 0), input)
    }

    #[cold]
    fn receive_pad_length(&mut self, header: Header, input: &mut &[u8]) -> Stepped {
        let Some((padding, rest)) = input.split_first() else {
            return Ok(Step::Starved);
        };
        *input = rest;
        let padding = u32::from(*padding);
        let length = header.length.checked_sub(1 + padding).ok_or(ErrorKind::H2Padding)?;
        self.open_content(header, (length, padding), input)
    }

    /// Judges `DATA` with `length` bytes of content and `padding` behind them. Where nobody is told
    /// of it, and all of it is there, it is passed over at once.
    #[inline]
    fn open_content(
        &mut self,
        header: Header,
        (length, padding): (u32, u32),
        input: &mut &[u8],
    ) -> Stepped {
        let position = match self.streams.find(header.stream) {
            Found::Open(position) => position,
            Found::Never => return Err(ErrorKind::H2BadStream),
            Found::Ended => {
                self.budgets.spend_late(header.length)?;
                self.state = State::Skip(length + padding);
                return Ok(Step::Silent);
            }
        };
        let Some(stream) = self.streams.at_mut(position) else { return Ok(Step::Silent) };
        let ends = header.has(END_STREAM);
        stream.receive_window.charge(header.length)?;
        if stream.receive_window.is_low() && !ends && !stream.refill {
            stream.refill = true;
            self.outbox.refill_stream();
        }
        if let Err(kind) = take_content(stream, u64::from(length), ends) {
            self.state = State::Skip(length + padding);
            return Ok(self.malformed(position, kind));
        }
        if length > 0 {
            self.budgets.work();
        } else if !ends {
            self.budgets.spend(Waste::EmptyData)?;
        }
        if self.tells != Tells::All
            && padding == 0
            && let Some((_, rest)) = input.split_at_checked(length as usize)
        {
            *input = rest;
            self.state = State::Frame;
            return Ok(if ends { self.finish(position) } else { Step::Silent });
        }
        let stream = header.stream;
        self.state = State::Content(Content { stream, left: length, padding, ends });
        Ok(Step::Silent)
    }

    #[inline]
    fn receive_content(&mut self, input: &mut &[u8]) -> Step {
        let State::Content(content) = &mut self.state else { return Step::Silent };
        let Found::Open(position) = self.streams.find(content.stream) else {
            // It was cancelled since.
            self.state = State::Skip(content.left + content.padding);
            return Step::Silent;
        };
        if content.left > 0 {
            return if input.is_empty() { Step::Starved } else { Step::Body(Tag(position)) };
        }
        if content.padding > 0 {
            take(&mut content.padding, input);
            if content.padding > 0 {
                return Step::Starved;
            }
        }
        let ends = content.ends;
        self.state = State::Frame;
        if ends { self.finish(position) } else { Step::Silent }
    }

    /// Ends the stream at `position`, whose response is complete.
    #[inline]
    fn finish(&mut self, position: u16) -> Step {
        // RFC 9113 section 8.1: nobody waits for the rest of a request that is answered.
        let stream = self.streams.at(position);
        let (unsent, status) = stream.map_or((0, 0), |stream| (stream.unsent, stream.status));
        self.end_stream(position, (unsent > 0).then_some(Code::Cancel));
        let tag = Tag(position);
        Step::Told(if status > 0 { Told::Whole(tag, status) } else { Told::Done(tag) })
    }

    /// Takes what has come of the content that comes next.
    #[inline]
    fn take_body<'b>(&mut self, input: &mut &'b [u8]) -> &'b [u8] {
        match &mut self.state {
            State::Content(content) => take(&mut content.left, input),
            _ => &[],
        }
    }

    #[cold]
    fn skip(&mut self, left: u32, input: &mut &[u8]) -> Step {
        let mut left = left;
        take(&mut left, input);
        if left > 0 {
            self.state = State::Skip(left);
            return Step::Starved;
        }
        self.state = State::Frame;
        Step::Silent
    }

    // All the others.

    /// Ends a stream whose rules the peer has broken (RFC 9113 section 5.4.2).
    #[cold]
    fn malformed(&mut self, position: u16, kind: ErrorKind) -> Step {
        self.end_early(position, Some(Code::of(kind)), Told::Malformed(Tag(position), kind))
    }

    /// Ends a stream otherwise than by a response. The owner is told of the head before, if it was
    /// not yet; until then the tag is not free.
    #[cold]
    fn end_early(&mut self, position: u16, code: Option<Code>, told: Told) -> Step {
        let stream = self.streams.at(position).map_or(0, Stream::id);
        let Some(status) = self.streams.take_status(position) else {
            self.end_stream(position, code);
            return Step::Told(told);
        };
        self.ending = Some(Ending { stream, code, told });
        Step::Told(Told::Head(Tag(position), status))
    }

    /// Ends the stream of whose head the owner has been told now, unless it was cancelled.
    #[cold]
    fn end(&mut self) -> Step {
        let Some(Ending { stream, code, told }) = self.ending.take() else { return Step::Silent };
        let Found::Open(position) = self.streams.find(stream) else { return Step::Silent };
        self.end_stream(position, code);
        Step::Told(told)
    }

    /// The next head of which the owner was not told: what ends its response has not come.
    #[inline]
    fn tell_head<'b>(&mut self) -> Option<Event<'b>> {
        let (position, status) = self.streams.tell_next()?;
        Some(Event::Head { tag: Tag(position), status })
    }

    fn receive_reset(&mut self, header: Header, payload: &[u8]) -> Stepped {
        let code = frame::rst_stream(payload)?;
        match self.streams.find(header.stream) {
            Found::Never => Err(ErrorKind::H2BadStream),
            // Often the farewell of a server that did not want to read all of a body.
            Found::Ended => self.budgets.spend(Waste::Reset).map(|()| Step::Silent),
            Found::Open(position) => {
                Ok(self.end_early(position, None, Told::Reset(Tag(position), code)))
            }
        }
    }

    fn receive_window_update(&mut self, header: Header, payload: &[u8]) -> Stepped {
        let increment = frame::window_update(payload)?;
        self.budgets.spend(Waste::WindowUpdate)?;
        self.uploads.unblock();
        let grow = |window: &mut SendWindow| match increment {
            0 => Err(ErrorKind::H2ZeroIncrement),
            increment => window.grow(increment),
        };
        if header.stream == 0 {
            return grow(&mut self.send_window).map(|()| Step::Silent);
        }
        let position = match self.streams.find(header.stream) {
            Found::Never => return Err(ErrorKind::H2BadStream),
            // RFC 9113 section 5.1: may come for a while after the end.
            Found::Ended => return Ok(Step::Silent),
            Found::Open(position) => position,
        };
        let grown = self.streams.at_mut(position).map(|stream| grow(&mut stream.send_window));
        match grown {
            Some(Err(kind)) => Ok(self.malformed(position, kind)),
            _ => Ok(Step::Silent),
        }
    }

    fn receive_settings(&mut self, header: Header, payload: &[u8]) -> Stepped {
        let settled = self.peer.settled;
        let windows = control::settings(header, payload, &mut self.peer, &mut self.budgets)?;
        let Some([before, after]) = windows else { return Ok(Step::Silent) };
        if after != before {
            // RFC 9113 section 6.9.2: streams that are open follow.
            for stream in self.streams.iter_mut() {
                stream.send_window.shift(before, after)?;
            }
            self.uploads.unblock();
        }
        self.outbox.settings_ack();
        Ok(if settled { Step::Silent } else { Step::Told(Told::Settled) })
    }

    fn receive_ping(&mut self, header: Header, payload: &[u8]) -> Stepped {
        control::ping(header, payload, &mut self.budgets, &mut self.outbox)?;
        Ok(Step::Silent)
    }

    fn receive_goaway(&mut self, header: Header, payload: &[u8]) -> Stepped {
        let (last, code) =
            control::goaway(header, payload, &mut self.last_stream, &mut self.budgets)?;
        self.closing = true;
        self.state = State::Beyond { last, position: 0 };
        Ok(Step::Told(Told::GoAway(code)))
    }

    fn tell_beyond(&mut self, last: u32, from: u32) -> Step {
        let Some(position) = self.streams.beyond(last, from) else {
            self.state = State::Frame;
            return Step::Silent;
        };
        self.state = State::Beyond { last, position: u32::from(position) + 1 };
        let written = self.streams.at(position).is_some_and(Stream::is_written);
        self.end_early(position, None, Told::NotProcessed(Tag(position), written))
    }

    fn receive_priority(&mut self, header: Header, payload: &[u8]) -> Stepped {
        if header.stream == 0 {
            return Err(ErrorKind::H2BadStream);
        }
        self.budgets.spend(Waste::Ignored)?;
        match self.streams.find(header.stream) {
            // RFC 9113 section 6.3: an error of the stream, which may be in any state.
            Found::Open(position) if payload.len() != PRIORITY_BYTES => {
                Ok(self.malformed(position, ErrorKind::H2FrameSize))
            }
            _ => Ok(Step::Silent),
        }
    }
}

/// How many bytes `block` has; none has more than a `u32` counts.
pub(super) fn bytes_of(block: &[u8]) -> u32 {
    u32::try_from(block.len()).unwrap_or(u32::MAX)
}

/// Takes up to `left` bytes off the front of `input`.
#[inline]
fn take<'b>(left: &mut u32, input: &mut &'b [u8]) -> &'b [u8] {
    let (taken, rest) = input.split_at_checked(*left as usize).unwrap_or((input, &[]));
    *input = rest;
    // Not more than `left`.
    *left -= u32::try_from(taken.len()).unwrap_or(*left);
    taken
}

/// Judges the first bytes of the peer, which must be those of `SETTINGS` (RFC 9113 section 3.4).
#[cold]
pub(super) fn check_first(bytes: &[u8; HEADER_BYTES], header: Header) -> Result<(), ErrorKind> {
    if bytes.starts_with(b"HTTP/") {
        return Err(ErrorKind::NotHttp2Http1);
    }
    if is_tls(bytes) {
        return Err(ErrorKind::NotHttp2Tls);
    }
    let settings = header.kind == Kind::Settings && header.stream == 0 && !header.has(ACK);
    let plausible = header.length <= PAYLOAD_BYTES_DEFAULT && header.length.is_multiple_of(6);
    if settings && plausible { Ok(()) } else { Err(ErrorKind::NotHttp2) }
}

/// Whether `bytes` begin a TLS record, with an alert or a handshake in it (RFC 8446 section 5.1).
/// As a frame it would be longer than any may be.
pub(super) const fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, 0..=4, ..])
}

/// Takes in the head of a response (RFC 9113 section 8.1).
#[inline]
fn take_head(stream: &mut Stream, tag: Tag, head: Head, ends: bool) -> Result<Told, ErrorKind> {
    let status = head.status;
    if status < 200 {
        return take_interim(stream, status, ends).map(|()| Told::Interim(tag, status));
    }
    // RFC 9110 sections 6.4.1 and 15.3.6: no content follows, whatever length is given.
    stream.content_left = if stream.is_head || matches!(status, 204 | 205 | 304) {
        0
    } else {
        head.length.unwrap_or(Stream::ANY_LENGTH)
    };
    if ends && !stream.may_end() {
        return Err(ErrorKind::H2LengthMismatch);
    }
    stream.stage = Stage::Body;
    Ok(Told::Head(tag, status))
}

#[cold]
fn take_interim(stream: &mut Stream, status: u16, ends: bool) -> Result<(), ErrorKind> {
    if ends {
        return Err(ErrorKind::H2InterimEnds);
    }
    // RFC 9113 section 8.6: HTTP/2 has no 101.
    if status == 101 {
        return Err(ErrorKind::UnexpectedUpgrade);
    }
    if stream.interim == INTERIM_MAX {
        return Err(ErrorKind::TooManyInterim);
    }
    stream.interim += 1;
    stream.stage = Stage::Interim;
    Ok(())
}

/// Takes in trailers, whose fields were judged (RFC 9113 section 8.1).
#[cold]
fn take_trailers(stream: &Stream, ends: bool) -> Result<(), ErrorKind> {
    if !ends {
        return Err(ErrorKind::H2BadTrailers);
    }
    if stream.may_end() { Ok(()) } else { Err(ErrorKind::H2LengthMismatch) }
}

/// Takes in `length` bytes of content (RFC 9113 section 8.1.1).
#[inline]
fn take_content(stream: &mut Stream, length: u64, ends: bool) -> Result<(), ErrorKind> {
    if stream.stage != Stage::Body {
        return Err(ErrorKind::H2UnexpectedData);
    }
    if stream.content_left != Stream::ANY_LENGTH {
        stream.content_left = match stream.content_left.checked_sub(length) {
            Some(left) => left,
            None if stream.content_left == 0 => return Err(ErrorKind::H2UnexpectedData),
            None => return Err(ErrorKind::H2LengthMismatch),
        };
    }
    if ends && !stream.may_end() { Err(ErrorKind::H2LengthMismatch) } else { Ok(()) }
}
