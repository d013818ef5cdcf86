//! The response head: status line and fields, from bytes that may be split anywhere.
//!
//! A head that arrives whole is parsed where it lies. One that is split is gathered line by line in
//! a carry buffer, and each line is judged as soon as it is complete, so that a fault is found at
//! the same byte whether the head came in one piece or in single bytes.
//!
//! `httparse` does the reading. It forgives what RFC 9112 lets a recipient forgive (a bare LF,
//! empty lines before the status line); this module does not, because what one recipient forgives
//! and another does not is how requests and responses get out of step.

use super::fields::Fields;
use super::recall::Recall;
use crate::error::ErrorKind;
use crate::event::Version;
use crate::limits::{CARRY_KEEP_BYTES_MAX, FIELDS_COMMON, FIELDS_MAX, HEAD_BYTES_MAX};
use crate::lines::Kept;
use alloc::vec::Vec;

/// What a complete head says about itself and about what follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) version: Version,
    pub(super) fields: Fields,
}

impl ResponseHead {
    /// Puts the lines of this head, which is all of `bytes`, into `kept` if they are wanted: those
    /// of an interim one are not.
    #[cold]
    pub(super) fn keep(self, kept: &mut Kept, bytes: &[u8]) {
        if kept.is_wanted() && self.status >= 200 {
            kept.replace(bytes);
        }
    }
}

/// Reads one head after another.
#[derive(Debug)]
pub(super) struct HeadReader {
    /// The complete lines of a split head, and the beginning of its next line.
    carry: Vec<u8>,
    /// Where in `carry` the line begins that is not complete yet.
    line_start: usize,
}

impl HeadReader {
    pub(super) const fn new() -> Self {
        Self { carry: Vec::new(), line_start: 0 }
    }

    /// Whether a part of a head has been consumed.
    pub(super) const fn is_within_head(&self) -> bool {
        !self.carry.is_empty()
    }

    /// Consumes a head that lies whole and faultless at the front of `input`, where no part of it
    /// came before; `None` if there is none, and then nothing is consumed.
    ///
    /// O(bytes of the head).
    pub(super) fn receive_whole(
        &mut self,
        input: &mut &[u8],
        recall: &mut Recall,
    ) -> Option<ResponseHead> {
        if !self.carry.is_empty() {
            return None;
        }
        if let Some((head, length)) = recall.find(input) {
            *input = input.get(length..).unwrap_or_default();
            return Some(head);
        }
        let (head, length) = parse_in_place(input)?;
        let (bytes, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
        recall.keep(bytes, head);
        *input = rest;
        Some(head)
    }

    /// Consumes any other head, line by line: one that is split, faulty or both; `None` when all of
    /// `input` was consumed before its end. The lines of a final one go into `kept`, if they are
    /// wanted.
    ///
    /// O(bytes of the head), however it is split.
    #[cold]
    pub(super) fn receive_lines(
        &mut self,
        input: &mut &[u8],
        kept: Option<&mut Kept>,
    ) -> Result<Option<ResponseHead>, ErrorKind> {
        while !input.is_empty() {
            let line_end = memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1);
            let room = HEAD_BYTES_MAX - self.carry.len();
            let (taken, rest) = input.split_at(line_end.min(room));
            self.carry.extend_from_slice(taken);
            *input = rest;
            check_start(&self.carry)?;
            if line_end > room {
                return Err(ErrorKind::HeadTooLarge);
            }
            if taken.last() != Some(&b'\n') {
                return Ok(None);
            }
            match self.carry.get(self.line_start..).unwrap_or_default() {
                b"\r\n" => return self.finish(kept).map(Some),
                line => check_line(line, self.line_start == 0)?,
            }
            self.line_start = self.carry.len();
        }
        Ok(None)
    }

    /// Parses the complete head in `carry`, and makes room for the next one.
    fn finish(&mut self, kept: Option<&mut Kept>) -> Result<ResponseHead, ErrorKind> {
        let head = match parse::<FIELDS_MAX>(&self.carry) {
            Ok(Some((head, length))) => {
                debug_assert_eq!(length, self.carry.len(), "every line of the carry was judged");
                head
            }
            Err(httparse::Error::TooManyHeaders) => return Err(ErrorKind::TooManyFields),
            Ok(None) | Err(_) => return Err(ErrorKind::BadStatusLine),
        };
        if let Some(kept) = kept {
            head.keep(kept, &self.carry);
        }
        self.line_start = 0;
        self.carry.clear();
        if self.carry.capacity() > CARRY_KEEP_BYTES_MAX {
            self.carry = Vec::new();
        }
        if head.status < 100 {
            return Err(ErrorKind::BadStatusLine);
        }
        Ok(head)
    }
}

/// Parses a head that lies whole and faultless at the front of `input`; `None` for any other.
fn parse_in_place(input: &[u8]) -> Option<(ResponseHead, usize)> {
    // `httparse` would skip empty lines.
    if input.first() != Some(&b'H') {
        return None;
    }
    let input = input.get(..HEAD_BYTES_MAX).unwrap_or(input);
    let parsed = match parse::<FIELDS_COMMON>(input) {
        Err(httparse::Error::TooManyHeaders) => parse::<FIELDS_MAX>(input),
        parsed => parsed,
    };
    let (head, length) = parsed.ok()??;
    // A CR that is not followed by LF does not parse. So there are as many CRs as lines (the
    // fields, the status line and the empty line) exactly if every LF is preceded by one.
    let lines = usize::from(head.fields.count) + 2;
    let returns = memchr::memchr_iter(b'\r', input.get(..length)?).count();
    (returns == lines && head.status >= 100).then_some((head, length))
}

/// Parses a head of at most `N` fields; `None` if it is not complete.
fn parse<const N: usize>(bytes: &[u8]) -> Result<Option<(ResponseHead, usize)>, httparse::Error> {
    let mut fields = [httparse::EMPTY_HEADER; N];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = response.parse(bytes)? else {
        return Ok(None);
    };
    let version = match response.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(httparse::Error::Version),
    };
    let status = response.code.unwrap_or_default();
    let fields = Fields::read(response.headers);
    Ok(Some((ResponseHead { status, version, fields }, length)))
}

/// Judges the first bytes of a head, as far as they have come.
fn check_start(bytes: &[u8]) -> Result<(), ErrorKind> {
    const PROTOCOL: &[u8] = b"HTTP/1.";
    let Some(fault) = bytes.iter().zip(PROTOCOL).position(|(byte, expected)| byte != expected)
    else {
        return match bytes.get(PROTOCOL.len()) {
            None | Some(b'0' | b'1') => Ok(()),
            Some(_) => Err(ErrorKind::BadVersion),
        };
    };
    Err(match (fault, bytes.first()) {
        (0, Some(b' ' | b'\t' | b'\r' | b'\n')) => ErrorKind::LeadingWhitespace,
        (fault, _) if fault >= b"HTTP/".len() => ErrorKind::BadVersion,
        _ => ErrorKind::BadStatusLine,
    })
}

/// Judges one complete line of a head, by itself: `line` ends in LF and is not empty.
fn check_line(line: &[u8], is_status_line: bool) -> Result<(), ErrorKind> {
    let parsed = if is_status_line {
        httparse::Response::new(&mut []).parse(line).map(drop)
    } else {
        httparse::parse_headers(line, &mut [httparse::EMPTY_HEADER]).map(drop)
    };
    let content = line.strip_suffix(b"\r\n");
    match (parsed, content) {
        (Ok(()), Some(_)) => Ok(()),
        (Ok(()), None) => Err(ErrorKind::BareLf),
        (Err(error), content) => Err(classify(error, content.unwrap_or(line), is_status_line)),
    }
}

/// Names the fault of a line that does not parse, given without its line end.
fn classify(error: httparse::Error, line: &[u8], is_status_line: bool) -> ErrorKind {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let before_colon = line.split(|&byte| byte == b':').next().unwrap_or_default();
    if line.contains(&0) {
        ErrorKind::NulByte
    } else if line.contains(&b'\r') {
        ErrorKind::BareCr
    } else if is_status_line {
        ErrorKind::BadStatusLine
    } else if line.first().is_some_and(space) {
        ErrorKind::ObsFold
    } else if error != httparse::Error::HeaderName {
        ErrorKind::BadFieldValue
    } else if before_colon.len() < line.len() && before_colon.last().is_some_and(space) {
        ErrorKind::SpaceBeforeColon
    } else {
        ErrorKind::BadFieldName
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{GET, Transcript};
    use std::format;
    use std::string::{String, ToString};

    impl HeadReader {
        /// The memory held for split heads.
        pub(in crate::h1) const fn carry_bytes(&self) -> usize {
            self.carry.capacity()
        }
    }

    /// Checks what the response with this head, and no body, comes out as, whole and split.
    #[track_caller]
    fn check(head: impl AsRef<[u8]>, expected: &str) {
        let head = head.as_ref();
        assert_eq!(Transcript::of(&[GET], [head]).to_string(), expected, "{}", head.escape_ascii());
        let split = Transcript::of(&[GET], head.chunks(1)).to_string();
        assert_eq!(split, expected, "byte by byte: {}", head.escape_ascii());
    }

    #[track_caller]
    fn check_field(line: &str, expected: &str) {
        check(format!("HTTP/1.1 200 OK\r\n{line}Content-Length: 0\r\n\r\n"), expected);
    }

    // RFC 9112 section 4.
    #[test]
    fn a_status_line_is_a_version_three_digits_and_perhaps_a_reason() {
        for line in
            ["HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.1 200 \u{e9}t\u{e9} 1\t2"]
        {
            check(format!("{line}\r\nContent-Length: 0\r\n\r\n"), "200 keep");
        }
        for line in [
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 2x0 OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1",
            "HTTP/1.1\t200 OK",
            "HTTP/1.1 099 Low",
            "HTTP/1.10 200 OK",
            "HTTP/1.1 200 a\x01b",
            "http/1.1 200 OK",
            "ICY 200 OK",
            "garbage",
        ] {
            check(format!("{line}\r\n\r\n"), "!bad_status_line");
        }
        check("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", "999 keep");
    }

    // RFC 9112 section 2.3: other major versions are not for this parser.
    #[test]
    fn only_versions_1_0_and_1_1_are_read() {
        for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/2", "HTTP/11.1", "HTTP/x"] {
            check(format!("{version} 200 OK\r\n\r\n"), "!bad_version");
        }
    }

    // RFC 9112 section 2.2.
    #[test]
    fn nothing_may_precede_the_status_line() {
        for lead in [" ", "\t", "\r\n", "\n", "\r"] {
            check(format!("{lead}HTTP/1.1 200 OK\r\n\r\n"), "!leading_whitespace");
        }
    }

    // RFC 9112 section 2.2: a recipient may accept a bare LF; this one does not.
    #[test]
    fn every_line_ends_in_cr_and_lf() {
        check("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "!bare_lf");
        check("HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n", "!bare_lf");
        check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", "!bare_lf");
        check("HTTP/1.1 200 OK\n\n", "!bare_lf");
        check("HTTP/1.1 200 O\rK\r\n\r\n", "!bare_cr");
        check_field("A: b\rc\r\n", "!bare_cr");
        check_field("\rA: b\r\n", "!bare_cr");
    }

    // RFC 9112 section 5 and RFC 9110 sections 5.1 and 5.5.
    #[test]
    fn field_lines_are_a_token_a_colon_and_visible_text() {
        for line in
            ["A:\r\n", "A:b\r\n", "A: \tb c\t \r\n", "A: \u{e9}\r\n", "!#$%&'*+-.^_`|~9z: :\r\n"]
        {
            check_field(line, "200 keep");
        }
        for (line, expected) in [
            ("A : b\r\n", "!space_before_colon"),
            ("A\t: b\r\n", "!space_before_colon"),
            (" A: b\r\n", "!obs_fold"),
            ("A: b\r\n\tc\r\n", "!obs_fold"),
            ("A: b\0c\r\n", "!nul_byte"),
            ("A\0: b\r\n", "!nul_byte"),
            ("A: b\x07c\r\n", "!bad_field_value"),
            ("A: b\x7f\r\n", "!bad_field_value"),
            ("A b: c\r\n", "!bad_field_name"),
            (": b\r\n", "!bad_field_name"),
            ("A\r\n", "!bad_field_name"),
            ("(A): b\r\n", "!bad_field_name"),
        ] {
            check_field(line, expected);
        }
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let head = |count: usize| {
            format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "A: b\r\n".repeat(count - 1))
        };
        for count in [1, FIELDS_COMMON, FIELDS_COMMON + 1, FIELDS_MAX] {
            check(head(count), "200 keep");
        }
        check(head(FIELDS_MAX + 1), "!too_many_fields");
    }

    #[test]
    fn the_size_of_a_head_is_bounded() {
        let head = |bytes: usize| {
            let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: ";
            let filler = bytes - start.len() - "\r\n\r\n".len();
            String::from(start) + &"x".repeat(filler) + "\r\n\r\n"
        };
        check(head(HEAD_BYTES_MAX), "200 keep");
        check(head(HEAD_BYTES_MAX + 1), "!head_too_large");
        check("HTTP/1.1 200 OK\r\n".to_string() + &"x".repeat(HEAD_BYTES_MAX), "!head_too_large");
    }

    #[test]
    fn a_large_split_head_gives_its_memory_back() {
        let mut reader = HeadReader::new();
        let head = |filler: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(filler));
        for (filler, kept) in [(100, true), (2 * CARRY_KEEP_BYTES_MAX, false)] {
            let head = head(filler);
            let (mut front, mut back) = head.as_bytes().split_at(20);
            assert!(reader.receive_whole(&mut front, &mut Recall::new()).is_none());
            assert!(reader.receive_lines(&mut front, None).unwrap().is_none());
            assert!(reader.is_within_head());
            assert!(reader.receive_whole(&mut back, &mut Recall::new()).is_none());
            assert!(reader.receive_lines(&mut back, None).unwrap().is_some());
            assert!(!reader.is_within_head());
            assert_eq!(reader.carry_bytes() > 0, kept);
        }
    }
}
