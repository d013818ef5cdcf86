//! Frames as they stand on the wire (RFC 9113 sections 4 and 6): how each is read and written.
//!
//! Nothing here knows a connection or a stream's state, and nothing knows a role: a client and a
//! server read and write the same frames. Whatever depends on what came before is judged by the
//! connection.

use crate::error::ErrorKind;
use alloc::vec::Vec;

/// What a client sends before its first frame (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of the header that every frame begins with.
pub const HEADER_BYTES: usize = 9;

/// Where a header names the stream.
const STREAM_AT: usize = 5;

/// The longest payload that a peer may send before it was allowed more, and the least that it must
/// take (RFC 9113 section 4.2).
pub const PAYLOAD_BYTES_DEFAULT: u32 = 16_384;

/// The longest payload that any peer may allow (RFC 9113 section 4.2).
pub const PAYLOAD_BYTES_MAX: u32 = 16_777_215;

/// The highest stream identifier: one bit of the field is reserved.
pub const STREAM_ID_MAX: u32 = (1 << 31) - 1;

/// The stream ends with this frame (`DATA`, `HEADERS`).
pub const END_STREAM: u8 = 0x1;
/// The frame acknowledges one of the other side (`SETTINGS`, `PING`).
pub const ACK: u8 = 0x1;
/// The header block ends with this frame (`HEADERS`, `CONTINUATION`).
pub const END_HEADERS: u8 = 0x4;
/// The payload is padded (`DATA`, `HEADERS`).
pub const PADDED: u8 = 0x8;
/// Five bytes of the deprecated priority scheme precede the block (`HEADERS`).
pub const PRIORITY: u8 = 0x20;

/// Bytes that [`PRIORITY`] puts before a block, and the payload of a `PRIORITY` frame.
pub const PRIORITY_BYTES: usize = 5;

/// The types of frames.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
#[repr(u8)]
pub enum Kind {
    /// Content.
    Data = 0x0,
    /// The beginning of a header block.
    Headers = 0x1,
    /// A deprecated scheme's priority; ignored.
    Priority = 0x2,
    /// The immediate end of a stream.
    RstStream = 0x3,
    /// What the sender wants the receiver to keep to.
    Settings = 0x4,
    /// A response to a request that nobody sent.
    PushPromise = 0x5,
    /// Are you there?
    Ping = 0x6,
    /// No new streams, please.
    GoAway = 0x7,
    /// More content may be sent.
    WindowUpdate = 0x8,
    /// More of a header block.
    Continuation = 0x9,
    /// A type that this file does not know, which is to be ignored (RFC 9113 section 5.5).
    Unknown = 0xff,
}

impl Kind {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::RstStream,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }
}

/// The error codes of `RST_STREAM` and `GOAWAY` (RFC 9113 section 7).
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
#[repr(u32)]
pub enum Code {
    /// Nothing went wrong.
    NoError = 0x0,
    /// The protocol was violated, in a way that has no code of its own.
    ProtocolError = 0x1,
    /// A defect of the sender.
    InternalError = 0x2,
    /// More was sent than the window allowed, or the window grew beyond its bound.
    FlowControlError = 0x3,
    /// Settings were not acknowledged in time.
    SettingsTimeout = 0x4,
    /// A frame came on a stream that had ended.
    StreamClosed = 0x5,
    /// A frame has a length that it must not have.
    FrameSizeError = 0x6,
    /// The request was not processed at all.
    RefusedStream = 0x7,
    /// The stream is no longer wanted.
    Cancel = 0x8,
    /// A header block could not be decoded.
    CompressionError = 0x9,
    /// The connection of a `CONNECT` broke.
    ConnectError = 0xa,
    /// The peer does too much of something that leads nowhere.
    EnhanceYourCalm = 0xb,
    /// The transport is not safe enough.
    InadequateSecurity = 0xc,
    /// HTTP/1.1 is required.
    Http11Required = 0xd,
}

/// The settings (RFC 9113 section 6.5.2).
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
#[repr(u16)]
pub enum Setting {
    /// Bytes of the table with which the sender decodes header blocks; 4,096 at first.
    HeaderTableSize = 0x1,
    /// Whether the sender takes `PUSH_PROMISE`.
    EnablePush = 0x2,
    /// Streams that the receiver may have open at once; unlimited at first.
    MaxConcurrentStreams = 0x3,
    /// The window of new streams; 65,535 at first.
    InitialWindowSize = 0x4,
    /// The longest payload that the sender takes; 16,384 at first.
    MaxFrameSize = 0x5,
    /// The longest header list that the sender takes, each field with 32 bytes more than it has.
    MaxHeaderListSize = 0x6,
}

impl Setting {
    const fn from_id(id: u16) -> Option<Self> {
        Some(match id {
            0x1 => Self::HeaderTableSize,
            0x2 => Self::EnablePush,
            0x3 => Self::MaxConcurrentStreams,
            0x4 => Self::InitialWindowSize,
            0x5 => Self::MaxFrameSize,
            0x6 => Self::MaxHeaderListSize,
            _ => return None,
        })
    }
}

/// The header of a frame: 24 bits of length, 8 of type, 8 of flags, one reserved, 31 of stream.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Header {
    /// Bytes of the payload that follows.
    pub length: u32,
    /// The type.
    pub kind: Kind,
    /// Flags, whose meaning depends on the type; unknown ones are to be ignored.
    pub flags: u8,
    /// The stream, or 0 for the connection as a whole.
    pub stream: u32,
}

impl Header {
    /// Reads a header; whether its parts make sense together is not looked at.
    #[inline]
    #[must_use]
    pub const fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [high, middle, low, kind, flags, a, b, c, d] = *bytes;
        Self {
            length: u32::from_be_bytes([0, high, middle, low]),
            kind: Kind::from_byte(kind),
            flags,
            // RFC 9113 section 4.1: the reserved bit is ignored.
            stream: u32::from_be_bytes([a, b, c, d]) & STREAM_ID_MAX,
        }
    }

    /// Returns the header's bytes. A length above [`PAYLOAD_BYTES_MAX`] does not fit.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> [u8; HEADER_BYTES] {
        debug_assert!(self.length <= PAYLOAD_BYTES_MAX, "the length has 24 bits");
        let [_, high, middle, low] = self.length.to_be_bytes();
        let [a, b, c, d] = self.stream.to_be_bytes();
        [high, middle, low, self.kind as u8, self.flags, a, b, c, d]
    }

    /// Whether all of `flags` are set.
    #[inline]
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// Returns the part of a header block that a whole `HEADERS` payload holds, without padding and
/// priority (RFC 9113 section 6.2).
///
/// # Errors
/// [`ErrorKind::H2Padding`] when they leave less than nothing, [`ErrorKind::H2FrameSize`] when the
/// payload is too short for the fields that its flags announce.
#[inline]
pub fn fragment(header: Header, payload: &[u8]) -> Result<&[u8], ErrorKind> {
    if header.flags & (PADDED | PRIORITY) == 0 {
        return Ok(payload);
    }
    let (padding, rest) = match payload.split_first() {
        Some((length, rest)) if header.has(PADDED) => (usize::from(*length), rest),
        None if header.has(PADDED) => return Err(ErrorKind::H2FrameSize),
        _ => (0, payload),
    };
    let skipped = if header.has(PRIORITY) { PRIORITY_BYTES } else { 0 };
    let rest = rest.get(skipped..).ok_or(ErrorKind::H2FrameSize)?;
    let length = rest.len().checked_sub(padding).ok_or(ErrorKind::H2Padding)?;
    Ok(rest.get(..length).unwrap_or_default())
}

/// Returns the settings that a whole `SETTINGS` payload holds, in order; unknown ones are left out
/// (RFC 9113 section 6.5.2: to be ignored).
///
/// # Errors
/// [`ErrorKind::H2FrameSize`] when the length is no multiple of 6.
pub fn settings(payload: &[u8]) -> Result<impl Iterator<Item = (Setting, u32)>, ErrorKind> {
    let (entries, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(ErrorKind::H2FrameSize);
    }
    Ok(entries.iter().filter_map(|&[high, low, a, b, c, d]| {
        let setting = Setting::from_id(u16::from_be_bytes([high, low]))?;
        Some((setting, u32::from_be_bytes([a, b, c, d])))
    }))
}

/// Returns the last stream and the error code of a whole `GOAWAY` payload, whose rest is for people
/// (RFC 9113 section 6.8).
///
/// # Errors
/// [`ErrorKind::H2FrameSize`] when it is too short.
pub fn goaway(payload: &[u8]) -> Result<(u32, u32), ErrorKind> {
    let (last, rest) = payload.split_first_chunk().ok_or(ErrorKind::H2FrameSize)?;
    let code = rest.first_chunk().ok_or(ErrorKind::H2FrameSize)?;
    Ok((u32::from_be_bytes(*last) & STREAM_ID_MAX, u32::from_be_bytes(*code)))
}

/// Returns the error code of a whole `RST_STREAM` payload (RFC 9113 section 6.4).
///
/// # Errors
/// [`ErrorKind::H2FrameSize`] unless it has four bytes.
pub fn rst_stream(payload: &[u8]) -> Result<u32, ErrorKind> {
    let bytes = payload.try_into().map_err(|_| ErrorKind::H2FrameSize)?;
    Ok(u32::from_be_bytes(bytes))
}

/// Returns the increment of a whole `WINDOW_UPDATE` payload, which may wrongly be 0 (RFC 9113
/// section 6.9).
///
/// # Errors
/// [`ErrorKind::H2FrameSize`] unless it has four bytes.
pub fn window_update(payload: &[u8]) -> Result<u32, ErrorKind> {
    let bytes = payload.try_into().map_err(|_| ErrorKind::H2FrameSize)?;
    Ok(u32::from_be_bytes(bytes) & STREAM_ID_MAX)
}

/// Returns the payload of a whole `PING` (RFC 9113 section 6.7).
///
/// # Errors
/// [`ErrorKind::H2FrameSize`] unless it has eight bytes.
pub fn ping(payload: &[u8]) -> Result<[u8; 8], ErrorKind> {
    payload.try_into().map_err(|_| ErrorKind::H2FrameSize)
}

/// Appends a frame's header.
#[inline]
pub fn write_header(out: &mut Vec<u8>, header: Header) {
    out.extend_from_slice(&header.bytes());
}

/// Appends a `SETTINGS` frame (RFC 9113 section 6.5).
pub fn write_settings(out: &mut Vec<u8>, settings: &[(Setting, u32)]) {
    let length = u32::try_from(settings.len() * 6).unwrap_or(PAYLOAD_BYTES_DEFAULT);
    write_header(out, Header { length, kind: Kind::Settings, flags: 0, stream: 0 });
    for (setting, value) in settings {
        out.extend_from_slice(&(*setting as u16).to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of a `SETTINGS` frame (RFC 9113 section 6.5.3).
pub fn write_settings_ack(out: &mut Vec<u8>) {
    write_header(out, Header { length: 0, kind: Kind::Settings, flags: ACK, stream: 0 });
}

/// Appends a `PING`, or with [`ACK`] the answer to one (RFC 9113 section 6.7).
pub fn write_ping(out: &mut Vec<u8>, flags: u8, payload: [u8; 8]) {
    write_header(out, Header { length: 8, kind: Kind::Ping, flags, stream: 0 });
    out.extend_from_slice(&payload);
}

/// Appends a `RST_STREAM` (RFC 9113 section 6.4).
pub fn write_rst_stream(out: &mut Vec<u8>, stream: u32, code: Code) {
    write_header(out, Header { length: 4, kind: Kind::RstStream, flags: 0, stream });
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends a `GOAWAY` without words for people (RFC 9113 section 6.8).
pub fn write_goaway(out: &mut Vec<u8>, last_stream: u32, code: Code) {
    write_header(out, Header { length: 8, kind: Kind::GoAway, flags: 0, stream: 0 });
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

/// Appends a `WINDOW_UPDATE` of a stream, or of the connection as stream 0 (RFC 9113 section 6.9).
pub fn write_window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    write_header(out, Header { length: 4, kind: Kind::WindowUpdate, flags: 0, stream });
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Turns the block that stands in `out` from `at` on into a `HEADERS` frame with as many
/// `CONTINUATION`s as payloads of at most `payload_max` bytes need (RFC 9113 section 6.10).
///
/// [`HEADER_BYTES`] of room must precede the block at `at`. Allocates nothing when `out` has room
/// for the additional headers.
pub fn frame_block(out: &mut Vec<u8>, at: usize, header: Header, payload_max: u32) {
    let begin = at + HEADER_BYTES;
    let block = out.len().saturating_sub(begin);
    let most = usize::try_from(payload_max.max(PAYLOAD_BYTES_DEFAULT)).unwrap_or(block);
    let first = block.min(most);
    let mut header = Header { kind: Kind::Headers, length: u32_of(first), ..header };
    if block <= most {
        header.flags |= END_HEADERS;
        return put(out, at, &header);
    }
    put(out, at, &header);
    // From the back, so that each part is moved once, past parts that have moved already.
    let parts = block.div_ceil(most);
    out.resize(out.len() + (parts - 1) * HEADER_BYTES, 0);
    for part in (1..parts).rev() {
        let (from, to) = (part * most, block.min((part + 1) * most));
        let place = begin + from + part * HEADER_BYTES;
        out.copy_within(begin + from..begin + to, place);
        let flags = if part + 1 == parts { END_HEADERS } else { 0 };
        let length = u32_of(to - from);
        let header = Header { length, kind: Kind::Continuation, flags, stream: header.stream };
        put(out, place - HEADER_BYTES, &header);
    }
}

/// Appends a whole `frame`, on `stream`.
#[inline]
pub fn write_on_stream(out: &mut Vec<u8>, frame: &[u8], stream: u32) {
    let at = out.len() + STREAM_AT;
    out.extend_from_slice(frame);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&stream.to_be_bytes());
    }
}

fn u32_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(PAYLOAD_BYTES_MAX)
}

fn put(out: &mut [u8], at: usize, header: &Header) {
    if let Some(place) = out.get_mut(at..at + HEADER_BYTES) {
        place.copy_from_slice(&header.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    // RFC 9113 section 6.10: a block of any length, in frames that follow one another.
    #[test]
    fn a_block_is_cut_into_as_many_frames_as_it_needs() {
        for length in [0, 1, 16_383, 16_384, 16_385, 32_768, 32_769, 70_000] {
            let block: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[1]).collect();
            let mut out = vec![b'?'; HEADER_BYTES + 1];
            out.extend_from_slice(&block);
            let header = Header { length: 0, kind: Kind::Headers, flags: END_STREAM, stream: 5 };
            frame_block(&mut out, 1, header, PAYLOAD_BYTES_DEFAULT);
            let (mut rest, mut joined, mut flags) = (&out[1..], Vec::new(), Vec::new());
            while let Some((bytes, after)) = rest.split_first_chunk() {
                let header = Header::parse(bytes);
                let first = flags.is_empty();
                assert_eq!(header.kind, if first { Kind::Headers } else { Kind::Continuation });
                assert_eq!((header.stream, header.length <= PAYLOAD_BYTES_DEFAULT), (5, true));
                let (payload, after) = after.split_at(header.length as usize);
                joined.extend_from_slice(payload);
                flags.push(header.flags & !if first { END_STREAM } else { 0 });
                rest = after;
            }
            assert!(rest.is_empty() && joined == block, "{length}");
            assert_eq!(flags.pop(), Some(END_HEADERS));
            assert!(flags.iter().all(|flags| *flags == 0));
            assert_eq!(out[0], b'?', "what was there stays");
        }
    }
}
