//! What each frame of a client means.

use core::mem;
use std::cmp::Reverse;

use pummel_engine::reactor::Close;
use pummel_proto_http::h2::flow::WINDOW_MAX;
use pummel_proto_http::h2::frame::{
    self, ACK, Code, END_HEADERS, END_STREAM, HEADER_BYTES, Header, Kind, PADDED, PREFACE,
    PRIORITY_BYTES, write_ping, write_rst_stream, write_settings_ack, write_window_update,
};

use super::heads::{Ask, LIST_BYTES_MAX};
use super::streams::{Stage, Stream};
use super::{CONTROL_BYTES_MAX, End, STREAM_WINDOW, Served, WINDOW};
use crate::serve::desk::Clerk;

/// `100 Continue`: a status that no table holds, in plain form.
const CONTINUE: [u8; 5] = [0x08, 0x03, b'1', b'0', b'0'];

impl Served {
    /// Reads what arrived.
    pub(in super::super) fn receive(&mut self, bytes: &[u8], clerk: &mut Clerk<'_>) {
        if let Err(code) = self.read(bytes, clerk) {
            self.fail(code, clerk);
        } else if self.control.len() > CONTROL_BYTES_MAX {
            self.fail(Code::EnhanceYourCalm, clerk);
        }
    }

    fn read(&mut self, mut bytes: &[u8], clerk: &mut Clerk<'_>) -> Result<(), Code> {
        self.read_preface(&mut bytes)?;
        if !self.begun.is_empty() {
            let mut begun = mem::take(&mut self.begun);
            let whole = complete(&mut begun, &mut bytes)?;
            if whole && let Some((header, payload)) = split(&mut begun.as_slice())? {
                self.take(header, payload, clerk)?;
                begun.clear();
            }
            self.begun = begun;
        }
        while let Some((header, payload)) = split(&mut bytes)? {
            self.take(header, payload, clerk)?;
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }

    fn read_preface(&mut self, bytes: &mut &[u8]) -> Result<(), Code> {
        let expected = PREFACE.get(self.preface..).unwrap_or_default();
        let (came, rest) = bytes.split_at(expected.len().min(bytes.len()));
        if !expected.starts_with(came) {
            return Err(Code::ProtocolError);
        }
        self.preface += came.len();
        *bytes = rest;
        Ok(())
    }

    fn take(&mut self, header: Header, payload: &[u8], clerk: &mut Clerk<'_>) -> Result<(), Code> {
        if matches!(self.end, End::Now(_)) {
            return Ok(());
        }
        // RFC 9113 section 3.4: settings are the first frame; section 6.10: nothing may come
        // within a block.
        let first = self.is_settled || header.kind == Kind::Settings;
        let within = self.block_of.is_none() || header.kind == Kind::Continuation;
        if !first || !within {
            return Err(Code::ProtocolError);
        }
        match header.kind {
            Kind::Headers => self.take_headers(header, payload, clerk),
            Kind::Data => self.take_data(header, payload, clerk),
            Kind::Continuation => self.take_continuation(header, payload, clerk),
            Kind::Settings => self.take_settings(header, payload),
            Kind::WindowUpdate => self.take_window_update(header, payload),
            Kind::RstStream => self.take_reset(header, payload, clerk),
            Kind::Ping => self.take_ping(header, payload),
            Kind::Priority if payload.len() != PRIORITY_BYTES => Err(Code::FrameSizeError),
            Kind::Priority if header.stream == 0 => Err(Code::ProtocolError),
            Kind::GoAway if header.stream != 0 => Err(Code::ProtocolError),
            Kind::GoAway => frame::goaway(payload).map(drop).map_err(|_| Code::FrameSizeError),
            Kind::PushPromise => Err(Code::ProtocolError),
            Kind::Priority | Kind::Unknown => Ok(()),
        }
    }

    fn take_headers(
        &mut self,
        header: Header,
        payload: &[u8],
        clerk: &mut Clerk<'_>,
    ) -> Result<(), Code> {
        if header.stream.is_multiple_of(2) {
            return Err(Code::ProtocolError);
        }
        let block = frame::fragment(header, payload).map_err(|_| Code::ProtocolError)?;
        let ends = header.has(END_STREAM);
        if header.has(END_HEADERS) {
            return self.take_block(header.stream, ends, block, clerk);
        }
        self.block_of = Some((header.stream, ends));
        self.block.clear();
        self.block.extend_from_slice(block);
        Ok(())
    }

    fn take_continuation(
        &mut self,
        header: Header,
        payload: &[u8],
        clerk: &mut Clerk<'_>,
    ) -> Result<(), Code> {
        let Some((stream, ends)) = self.block_of.filter(|(id, _)| *id == header.stream) else {
            return Err(Code::ProtocolError);
        };
        // An empty one leads nowhere, and might be followed by any number of others.
        if payload.is_empty() && !header.has(END_HEADERS)
            || self.block.len() + payload.len() > LIST_BYTES_MAX as usize
        {
            return Err(Code::EnhanceYourCalm);
        }
        self.block.extend_from_slice(payload);
        if !header.has(END_HEADERS) {
            return Ok(());
        }
        self.block_of = None;
        let block = mem::take(&mut self.block);
        self.take_block(stream, ends, &block, clerk)
    }

    /// A whole header block: it opens a stream, or ends one as its trailers.
    fn take_block(
        &mut self,
        id: u32,
        ends: bool,
        block: &[u8],
        clerk: &mut Clerk<'_>,
    ) -> Result<(), Code> {
        if id <= self.last {
            return self.take_trailers(id, ends, block, clerk);
        }
        self.last = id;
        if self.last_taken.is_some() {
            // It was told: what comes after the last one is not processed.
            return self.heads.skip(block);
        }
        let full = self.streams.open() >= self.manners.streams_max as usize;
        let ask = self.heads.read(block)?;
        match ask {
            _ if full => {
                self.reset(id, Code::RefusedStream, clerk);
                return Ok(());
            }
            None => {
                self.violate(id, clerk);
                return Ok(());
            }
            Some(ask) => self.open(id, ask, clerk),
        }
        if ends {
            self.complete(id, clerk);
        } else if ask.is_some_and(|ask| ask.expects_continue) {
            let (length, kind) = (5, Kind::Headers);
            let header = Header { length, kind, flags: END_HEADERS, stream: id };
            frame::write_header(&mut self.control, header);
            self.control.extend_from_slice(&CONTINUE);
            clerk.log.interim += 1;
        }
        Ok(())
    }

    /// Opens a stream, with which it may be enough.
    pub(super) fn open(&mut self, id: u32, ask: Ask, clerk: &mut Clerk<'_>) {
        self.opened += 1;
        clerk.log.streams.opened += 1;
        self.streams.push(Stream::new(id, ask, self.peer.initial_window));
        if self.opened >= self.manners.goaway_after {
            self.dismiss(Code::NoError, clerk);
        }
    }

    fn take_trailers(
        &mut self,
        id: u32,
        ends: bool,
        block: &[u8],
        clerk: &mut Clerk<'_>,
    ) -> Result<(), Code> {
        self.heads.skip(block)?;
        match self.streams.find(id) {
            // It was reset, which the client need not have known.
            None => Ok(()),
            Some(Stream { stage: Stage::Asking(_), .. }) if ends => {
                self.complete(id, clerk);
                Ok(())
            }
            Some(Stream { stage: Stage::Asking(_), .. }) => {
                self.violate(id, clerk);
                Ok(())
            }
            Some(_) => Err(Code::StreamClosed),
        }
    }

    fn take_data(
        &mut self,
        header: Header,
        payload: &[u8],
        clerk: &mut Clerk<'_>,
    ) -> Result<(), Code> {
        if header.stream == 0 || header.stream > self.last {
            return Err(Code::ProtocolError);
        }
        let padding = match payload.first() {
            Some(bytes) if header.has(PADDED) => usize::from(*bytes) + 1,
            None if header.has(PADDED) => return Err(Code::FrameSizeError),
            _ => 0,
        };
        let content = payload.len().checked_sub(padding).ok_or(Code::ProtocolError)?;
        self.received += header.length;
        if self.received > WINDOW {
            return Err(Code::FlowControlError);
        }
        if self.received >= WINDOW / 2 {
            write_window_update(&mut self.control, 0, mem::take(&mut self.received));
        }
        let Some(stream) = self.streams.find(header.stream) else { return Ok(()) };
        if !matches!(stream.stage, Stage::Asking(_)) {
            return Err(Code::StreamClosed);
        }
        stream.received += header.length;
        if stream.received > STREAM_WINDOW {
            return Err(Code::FlowControlError);
        }
        let ends = header.has(END_STREAM);
        if stream.received >= STREAM_WINDOW / 2 && !ends {
            let bytes = mem::take(&mut stream.received);
            write_window_update(&mut self.control, header.stream, bytes);
        }
        if let Some(promised) = &mut stream.promised {
            let Some(rest) = promised.checked_sub(content as u64) else {
                self.violate(header.stream, clerk);
                return Ok(());
            };
            *promised = rest;
        }
        if ends {
            self.complete(header.stream, clerk);
        }
        Ok(())
    }

    fn take_settings(&mut self, header: Header, payload: &[u8]) -> Result<(), Code> {
        if header.stream != 0 {
            return Err(Code::ProtocolError);
        }
        if header.has(ACK) {
            return if payload.is_empty() { Ok(()) } else { Err(Code::FrameSizeError) };
        }
        self.is_settled = true;
        self.heed(payload)?;
        write_settings_ack(&mut self.control);
        Ok(())
    }

    /// Moves the windows of all streams (RFC 9113 section 6.9.2).
    pub(super) fn resize_windows(&mut self, initial: u32) -> Result<(), Code> {
        if initial > WINDOW_MAX {
            return Err(Code::FlowControlError);
        }
        let change = i64::from(initial) - i64::from(self.peer.initial_window);
        self.peer.initial_window = initial;
        let (streams, ready) = (&mut self.streams, &mut self.ready);
        for stream in streams.iter_mut() {
            stream.window += change;
            if stream.window > i64::from(WINDOW_MAX) {
                return Err(Code::FlowControlError);
            }
            if stream.stage == Stage::Blocked && stream.window > 0 {
                stream.stage = Stage::Answering;
                ready.push_back(stream.id);
            }
        }
        Ok(())
    }

    fn take_window_update(&mut self, header: Header, payload: &[u8]) -> Result<(), Code> {
        let bytes = frame::window_update(payload).map_err(|_| Code::FrameSizeError)?;
        if bytes == 0 || header.stream > self.last {
            return Err(Code::ProtocolError);
        }
        let (bytes, most) = (i64::from(bytes), i64::from(WINDOW_MAX));
        let window = match self.streams.find(header.stream) {
            _ if header.stream == 0 => &mut self.peer.window,
            None => return Ok(()),
            Some(stream) => {
                if stream.stage == Stage::Blocked && stream.window + bytes > 0 {
                    stream.stage = Stage::Answering;
                    self.ready.push_back(stream.id);
                }
                &mut stream.window
            }
        };
        *window += bytes;
        if *window > most { Err(Code::FlowControlError) } else { Ok(()) }
    }

    fn take_reset(
        &mut self,
        header: Header,
        payload: &[u8],
        clerk: &mut Clerk<'_>,
    ) -> Result<(), Code> {
        frame::rst_stream(payload).map_err(|_| Code::FrameSizeError)?;
        if header.stream == 0 || header.stream > self.last {
            return Err(Code::ProtocolError);
        }
        clerk.log.streams.cancelled += u64::from(self.streams.end(header.stream));
        self.tidy();
        Ok(())
    }

    fn take_ping(&mut self, header: Header, payload: &[u8]) -> Result<(), Code> {
        if header.stream != 0 {
            return Err(Code::ProtocolError);
        }
        let payload = frame::ping(payload).map_err(|_| Code::FrameSizeError)?;
        if !header.has(ACK) {
            write_ping(&mut self.control, ACK, payload);
        }
        Ok(())
    }

    /// The request of a stream is complete.
    pub(super) fn complete(&mut self, id: u32, clerk: &mut Clerk<'_>) {
        let Some(stream) = self.streams.find(id) else { return };
        let Stage::Asking(ask) = stream.stage else { return };
        if stream.promised.is_some_and(|rest| rest > 0) {
            return self.violate(id, clerk);
        }
        let granted = clerk.asked(!ask.head_only, self.opened);
        stream.stage = Stage::Answering;
        stream.what = granted.what;
        stream.due = granted.due;
        stream.row = granted.row;
        match granted.what {
            super::What::Nothing => clerk.log.silent += 1,
            _ if granted.due > clerk.now => self.waiting.push(Reverse((granted.due, id))),
            _ => self.ready.push_back(id),
        }
        if granted.is_last {
            self.dismiss(Code::NoError, clerk);
            self.end = End::Answered;
        }
    }

    /// Ends a stream on which the client has broken a rule.
    #[cold]
    fn violate(&mut self, id: u32, clerk: &mut Clerk<'_>) {
        clerk.log.refused += 1;
        self.reset(id, Code::ProtocolError, clerk);
    }

    fn reset(&mut self, id: u32, code: Code, clerk: &mut Clerk<'_>) {
        write_rst_stream(&mut self.control, id, code);
        clerk.log.streams.count_reset(code);
        self.streams.end(id);
    }

    /// Forgets the turns of streams that are over, before there are many more of them than streams.
    fn tidy(&mut self) {
        let most = 2 * self.streams.open() + TURNS_MIN;
        if self.ready.len() > most {
            let Self { ready, streams, .. } = self;
            ready.retain(|id| streams.find(*id).is_some());
        }
        if self.waiting.len() > most {
            let Self { waiting, streams, .. } = self;
            waiting.retain(|Reverse((_, id))| streams.find(*id).is_some());
        }
    }

    /// The client has ended its side. Nothing more will be asked.
    pub(in super::super) fn receive_end(&mut self) {
        if !matches!(self.end, End::Now(_)) {
            self.end = End::Deaf;
        }
        if self.preface < PREFACE.len() {
            self.end = End::Now(Close::Finish);
        }
    }
}

/// Turns that are tolerated, however few streams there are.
const TURNS_MIN: usize = 64;

/// Takes from `bytes` what `begun` lacks of a frame; returns whether it is whole.
fn complete(begun: &mut Vec<u8>, bytes: &mut &[u8]) -> Result<bool, Code> {
    fill(begun, bytes, HEADER_BYTES);
    let Some(header) = begun.first_chunk() else { return Ok(false) };
    let whole = HEADER_BYTES + payload_of(&Header::parse(header))?;
    fill(begun, bytes, whole);
    Ok(begun.len() == whole)
}

/// Takes from `bytes` what `begun` lacks of `len` bytes.
fn fill(begun: &mut Vec<u8>, bytes: &mut &[u8], len: usize) {
    let missing = len.saturating_sub(begun.len()).min(bytes.len());
    let (taken, rest) = bytes.split_at(missing);
    begun.extend_from_slice(taken);
    *bytes = rest;
}

fn payload_of(header: &Header) -> Result<usize, Code> {
    let fits = header.length <= Served::payload_max();
    if fits { Ok(header.length as usize) } else { Err(Code::FrameSizeError) }
}

/// Takes a whole frame from the front of `bytes`.
fn split<'b>(bytes: &mut &'b [u8]) -> Result<Option<(Header, &'b [u8])>, Code> {
    let Some((header, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let header = Header::parse(header);
    let Some((payload, rest)) = rest.split_at_checked(payload_of(&header)?) else {
        return Ok(None);
    };
    *bytes = rest;
    Ok(Some((header, payload)))
}
