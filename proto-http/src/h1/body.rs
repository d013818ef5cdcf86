//! The body: where it ends, and which of the bytes are content.
//!
//! The rules are those of RFC 9112 section 6.3, in its order. Content is lent out where it lies in
//! the input; only chunk framing is read byte by byte:
//!
//! ```text
//!  Size ─CR─► SizeLf ─LF─┬─ size > 0 ─► Data ─used up─► DataCr ─CR─► DataLf ─LF─► Size
//!   │ ;  ▲     ▲         └─ size = 0 ─► TrailerStart ─CR─► EndLf ─LF─► Complete
//!   │ SP └digit│                         │ token   ▲
//!   ▼ HT       │                         ▼         └────LF───── TrailerLf
//!  Extension ─CR                        TrailerName ─:─► TrailerValue ─CR─┘
//! ```

use super::fields::Coding;
use super::head::ResponseHead;
use crate::error::ErrorKind;
use crate::event::{Reuse, Version};
use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, FIELDS_MAX, TRAILER_BYTES_MAX,
};
use crate::request::is_token_byte;

/// How the end of a body is found, and how far it has been read.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Body {
    /// This many bytes are still to come; 0 for a response without a body.
    Length(u64),
    /// In chunks.
    Chunked(Chunks),
    /// The connection's end is the body's end.
    UntilClose,
}

/// What was read of a body.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Progress<'b> {
    /// All of the input is consumed, and the body goes on.
    More,
    /// Content, never empty.
    Content(&'b [u8]),
    /// The body is complete; what is left of the input belongs to the next response.
    Complete,
}

/// How a response is framed.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Framing {
    pub(super) body: Body,
    /// Whether the connection may persist after it, as far as this response is concerned.
    pub(super) reuse: Reuse,
}

impl Framing {
    /// Finds the framing of the response with `head`, to a request of which a body is expected or
    /// not (`HEAD`).
    pub(super) fn of(head: &ResponseHead, body_expected: bool) -> Result<Self, ErrorKind> {
        let fields = &head.fields;
        // RFC 9112 section 9.3: `close` wins, then 1.1 persists and 1.0 only with `keep-alive`.
        let persists = !fields.close && (head.version == Version::Http11 || fields.keep_alive);
        let reuse = if persists { Reuse::Keep } else { Reuse::Close };
        // Rule 1: no body whatever the fields say.
        if !body_expected || matches!(head.status, 204 | 304) {
            return Ok(Self { body: Body::Length(0), reuse });
        }
        match fields.coding? {
            Coding::Absent => {}
            Coding::Chunked => {
                // Rule 3 and section 6.1: a length beside the coding, or a coding in HTTP/1.0, is
                // suspect; the message is read by its coding, and the connection ends with it.
                let suspect = head.version == Version::Http10 || !matches!(fields.length, Ok(None));
                let body = Body::Chunked(Chunks::new());
                let reuse = if persists && suspect { Reuse::Doubtful } else { reuse };
                return Ok(Self { body, reuse });
            }
            // Rule 4.
            Coding::Other { .. } => {
                return Ok(Self { body: Body::UntilClose, reuse: Reuse::Close });
            }
        }
        match (fields.length?, head.status) {
            // RFC 9110 section 15.3.6: a 205 has no content. One that does not announce its length
            // has none either; one that announces some is not to be trusted about where it ends.
            (None | Some(0), 205) => Ok(Self { body: Body::Length(0), reuse }),
            (Some(_), 205) => Err(ErrorKind::UnexpectedContent),
            // Rule 6.
            (Some(length), _) => Ok(Self { body: Body::Length(length), reuse }),
            // Rule 8.
            (None, _) => Ok(Self { body: Body::UntilClose, reuse: Reuse::Close }),
        }
    }
}

impl Body {
    /// Consumes from the front of `input` up to the end of the next piece of content or of the
    /// body.
    #[inline]
    pub(super) fn receive<'b>(&mut self, input: &mut &'b [u8]) -> Result<Progress<'b>, ErrorKind> {
        match self {
            Self::Length(0) => Ok(Progress::Complete),
            Self::Length(left) => Ok(take_content(left, input)),
            Self::Chunked(chunks) => chunks.receive(input),
            Self::UntilClose => {
                let mut left = u64::MAX;
                Ok(take_content(&mut left, input))
            }
        }
    }
}

/// Takes up to `left` bytes of content.
fn take_content<'b>(left: &mut u64, input: &mut &'b [u8]) -> Progress<'b> {
    let length = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    let (content, rest) = input.split_at(length);
    *input = rest;
    *left -= length as u64;
    if content.is_empty() { Progress::More } else { Progress::Content(content) }
}

/// Where in a chunked body the next byte stands (RFC 9112 section 7.1).
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Chunks {
    state: ChunkState,
    /// The size of the chunk as far as it was read; then what is left of its data.
    left: u64,
    /// What has been spent of the bound that goes with `state`: digits, bytes of extension, bytes
    /// of trailers.
    spent: u16,
    /// Trailer fields read.
    trailers: u8,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum ChunkState {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Complete,
}

const _: () = assert!(FIELDS_MAX <= u8::MAX as usize);

impl Chunks {
    const fn new() -> Self {
        Self { state: ChunkState::Size, left: 0, spent: 0, trailers: 0 }
    }

    fn receive<'b>(&mut self, input: &mut &'b [u8]) -> Result<Progress<'b>, ErrorKind> {
        loop {
            match self.state {
                ChunkState::Complete => return Ok(Progress::Complete),
                ChunkState::Data => {
                    let progress = take_content(&mut self.left, input);
                    if self.left == 0 {
                        self.state = ChunkState::DataCr;
                    }
                    return Ok(progress);
                }
                _ => {}
            }
            let Some((&byte, rest)) = input.split_first() else {
                return Ok(Progress::More);
            };
            *input = rest;
            self.state = match self.state {
                ChunkState::Size
                | ChunkState::Extension
                | ChunkState::SizeLf
                | ChunkState::DataCr
                | ChunkState::DataLf => self.receive_framing(byte)?,
                _ => self.receive_trailer(byte)?,
            };
        }
    }

    /// Takes a byte of a size line, or of the line end after the data.
    fn receive_framing(&mut self, byte: u8) -> Result<ChunkState, ErrorKind> {
        match (self.state, byte) {
            (ChunkState::Size, b'\r' | b';' | b' ' | b'\t') if self.spent == 0 => {
                Err(ErrorKind::BadChunkSize)
            }
            (ChunkState::Size | ChunkState::Extension, b'\r') => Ok(ChunkState::SizeLf),
            (ChunkState::Size | ChunkState::Extension, b'\n') => Err(ErrorKind::BareLf),
            // Section 7.1.1 lets whitespace precede an extension; servers that pad their sizes with
            // it are met.
            (ChunkState::Size, b';' | b' ' | b'\t') => {
                self.spent = 0;
                self.spend(CHUNK_EXTENSION_BYTES_MAX, ErrorKind::BadChunkExtension)?;
                Ok(ChunkState::Extension)
            }
            (ChunkState::Size, digit) => {
                let value = char::from(digit).to_digit(16).ok_or(ErrorKind::BadChunkSize)?;
                self.spend(u16::from(CHUNK_SIZE_DIGITS_MAX), ErrorKind::BadChunkSize)?;
                self.left = self.left << 4 | u64::from(value);
                Ok(ChunkState::Size)
            }
            (ChunkState::Extension, byte) if is_text(byte) => {
                self.spend(CHUNK_EXTENSION_BYTES_MAX, ErrorKind::BadChunkExtension)?;
                Ok(ChunkState::Extension)
            }
            (ChunkState::Extension, _) => Err(ErrorKind::BadChunkExtension),
            (ChunkState::SizeLf, b'\n') => {
                self.spent = 0;
                Ok(if self.left == 0 { ChunkState::TrailerStart } else { ChunkState::Data })
            }
            (ChunkState::SizeLf, _) => Err(ErrorKind::BareCr),
            (ChunkState::DataCr, b'\r') => Ok(ChunkState::DataLf),
            (ChunkState::DataLf, b'\n') => Ok(ChunkState::Size),
            _ => Err(ErrorKind::BadChunkEnd),
        }
    }

    /// Takes a byte of the trailer section (section 7.1.2), which is checked and discarded.
    fn receive_trailer(&mut self, byte: u8) -> Result<ChunkState, ErrorKind> {
        self.spend(TRAILER_BYTES_MAX, ErrorKind::TrailerTooLarge)?;
        match (self.state, byte) {
            (ChunkState::EndLf, b'\n') => Ok(ChunkState::Complete),
            (ChunkState::TrailerLf, b'\n') => Ok(ChunkState::TrailerStart),
            (ChunkState::EndLf | ChunkState::TrailerLf, _) => Err(ErrorKind::BareCr),
            (_, b'\n') => Err(ErrorKind::BareLf),
            (_, 0) => Err(ErrorKind::NulByte),
            (ChunkState::TrailerStart, b'\r') => Ok(ChunkState::EndLf),
            (ChunkState::TrailerStart, b' ' | b'\t') => Err(ErrorKind::ObsFold),
            (ChunkState::TrailerStart, byte) if is_token_byte(byte) => {
                if usize::from(self.trailers) == FIELDS_MAX {
                    return Err(ErrorKind::TrailerTooLarge);
                }
                self.trailers += 1;
                Ok(ChunkState::TrailerName)
            }
            (ChunkState::TrailerName, b':') => Ok(ChunkState::TrailerValue),
            (ChunkState::TrailerName, b' ' | b'\t') => Err(ErrorKind::SpaceBeforeColon),
            (ChunkState::TrailerName, byte) if is_token_byte(byte) => Ok(ChunkState::TrailerName),
            (ChunkState::TrailerValue, b'\r') => Ok(ChunkState::TrailerLf),
            (ChunkState::TrailerValue, byte) if is_text(byte) => Ok(ChunkState::TrailerValue),
            (ChunkState::TrailerValue, _) => Err(ErrorKind::BadFieldValue),
            _ => Err(ErrorKind::BadFieldName),
        }
    }

    /// Counts one byte towards a bound.
    fn spend(&mut self, bound: u16, excess: ErrorKind) -> Result<(), ErrorKind> {
        if self.spent >= bound {
            return Err(excess);
        }
        self.spent += 1;
        Ok(())
    }
}

/// Whether `byte` may stand in a field value: anything but a control character, HT excepted (RFC
/// 9110 section 5.5).
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use crate::fuzz::{GET, Transcript};
    use crate::limits::{
        CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, FIELDS_MAX, TRAILER_BYTES_MAX,
    };
    use std::format;
    use std::string::ToString;

    /// Checks what a chunked body comes out as, whole and split.
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let stream = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        for size in [stream.len(), 1] {
            let transcript = Transcript::of(&[GET], stream.as_bytes().chunks(size)).to_string();
            assert_eq!(transcript.strip_prefix("200 "), Some(expected), "pieces of {size}");
        }
    }

    // RFC 9112 section 7.1.
    #[test]
    fn chunks_are_joined_to_the_content() {
        check("0\r\n\r\n", "keep");
        check("5\r\nhello\r\n1\r\n!\r\n000\r\n\r\n", "\"hello!\" keep");
        check("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "\"01234567890123456789\" keep");
        check("5\r\n\r\n0\r\n\r\n0\r\n\r\n", "\"\\r\\n0\\r\\n\" keep");
    }

    // RFC 9112 section 7.1: a recipient must anticipate large numerals and not overflow.
    #[test]
    fn chunk_sizes_are_hexadecimal_and_bounded() {
        for size in ["", "x", "-1", "+1", "0x5", "5g", "; a", " 5", "\u{b2}"] {
            check(&format!("{size}\r\nhello\r\n0\r\n\r\n"), "!bad_chunk_size");
        }
        let digits = usize::from(CHUNK_SIZE_DIGITS_MAX);
        check(&format!("{}\r\nhello", "f".repeat(digits)), "\"hello\" !truncated_body");
        check(&format!("{}\r\nhello", "f".repeat(digits + 1)), "!bad_chunk_size");
        check(&format!("{}5\r\nhello", "0".repeat(digits)), "!bad_chunk_size");
    }

    // RFC 9112 section 7.1.1: a recipient must ignore unrecognized extensions, and bound them.
    #[test]
    fn extensions_are_skipped_up_to_a_bound() {
        for extension in [";a", ";a=b", " ;a=\"b;c d\"", "\t; a = b;c", "  ", ";\u{e9}"] {
            check(&format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n"), "\"hello\" keep");
        }
        let most = usize::from(CHUNK_EXTENSION_BYTES_MAX);
        let extension = |bytes: usize| format!(";{}", "x".repeat(bytes - 1));
        // The bound is per chunk.
        let (fits, exceeds) = (extension(most), extension(most + 1));
        check(&format!("5{fits}\r\nhello\r\n0{fits}\r\n\r\n"), "\"hello\" keep");
        check(&format!("5{exceeds}\r\nhello\r\n0\r\n\r\n"), "!bad_chunk_extension");
        check("5;a\0\r\n", "!bad_chunk_extension");
    }

    // RFC 9112 sections 2.2 and 7.1.
    #[test]
    fn every_line_of_the_framing_ends_in_cr_and_lf() {
        check("5\nhello\r\n0\r\n\r\n", "!bare_lf");
        check("5;a\nhello\r\n0\r\n\r\n", "!bare_lf");
        check("5\rhello\r\n0\r\n\r\n", "!bare_cr");
        for end in ["", "\n", "\r", "\r\r", "x\r\n"] {
            check(&format!("5\r\nhello{end}0\r\n\r\n"), "\"hello\" !bad_chunk_end");
        }
        check("0\r\n\n", "!bare_lf");
        check("0\r\n\rx", "!bare_cr");
    }

    // RFC 9112 section 7.1.2: a recipient may discard the trailer section.
    #[test]
    fn trailers_are_checked_and_skipped() {
        check("0\r\nA: b\r\nContent-Length: 7\r\nC:\r\n\r\n", "keep");
        for (line, expected) in [
            ("A b: c", "!space_before_colon"),
            ("A", "!bad_field_name"),
            (": b", "!bad_field_name"),
            ("A: b\r\n c", "!obs_fold"),
            ("A: b\nC: d", "!bare_lf"),
            ("A: b\rC: d", "!bare_cr"),
            ("A: \0", "!nul_byte"),
            ("A: \x07", "!bad_field_value"),
        ] {
            check(&format!("0\r\n{line}\r\n\r\n"), expected);
        }
    }

    #[test]
    fn the_trailer_section_is_bounded() {
        let most = usize::from(TRAILER_BYTES_MAX) - "A:\r\n\r\n".len();
        check(&format!("0\r\nA:{}\r\n\r\n", "x".repeat(most)), "keep");
        check(&format!("0\r\nA:{}\r\n\r\n", "x".repeat(most + 1)), "!trailer_too_large");
        check(&format!("0\r\n{}\r\n", "A:\r\n".repeat(FIELDS_MAX)), "keep");
        check(&format!("0\r\n{}\r\n", "A:\r\n".repeat(FIELDS_MAX + 1)), "!trailer_too_large");
    }
}
