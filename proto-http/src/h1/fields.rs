//! The three fields that frame a response: `Content-Length`, `Transfer-Encoding` and `Connection`.
//!
//! All others are passed over by the length of their name. Faults are noted here and judged in
//! [`super::body`], because a fault in a field that does not count is none: `Content-Length` means
//! nothing beside `Transfer-Encoding`, and neither means anything in a response to `HEAD`.

use crate::error::ErrorKind;

/// What the fields of a head say about the framing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// How many field lines there are, of any name.
    pub(super) count: u8,
    /// The value of all `Content-Length` lines; `None` if there is no such line.
    pub(super) length: Result<Option<u64>, ErrorKind>,
    /// The coding that all `Transfer-Encoding` lines together end in.
    pub(super) coding: Result<Coding, ErrorKind>,
    /// Whether `Connection` lists `close`.
    pub(super) close: bool,
    /// Whether `Connection` lists `keep-alive`.
    pub(super) keep_alive: bool,
}

/// What the list of transfer codings says about the end of a body.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Coding {
    /// There is no `Transfer-Encoding`.
    Absent,
    /// `chunked` comes last: the body knows its end.
    Chunked,
    /// Another coding comes last: the body ends with the connection.
    Other {
        /// Whether `chunked` came before it.
        chunked_before: bool,
    },
}

const _: () = assert!(crate::limits::FIELDS_MAX <= u8::MAX as usize);

impl Fields {
    /// Reads the fields of a head, of which there are at most
    /// [`FIELDS_MAX`](crate::limits::FIELDS_MAX).
    #[inline]
    pub(super) fn read(lines: &[httparse::Header<'_>]) -> Self {
        let mut fields = Self {
            count: u8::try_from(lines.len()).unwrap_or(u8::MAX),
            length: Ok(None),
            coding: Ok(Coding::Absent),
            close: false,
            keep_alive: false,
        };
        for line in lines {
            // The length decides nearly always; only then is the name compared.
            match line.name.len() {
                10 if line.name.eq_ignore_ascii_case("Connection") => {
                    fields.read_connection(line.value);
                }
                14 if line.name.eq_ignore_ascii_case("Content-Length") => {
                    fields.length = read_length(fields.length, line.value);
                }
                17 if line.name.eq_ignore_ascii_case("Transfer-Encoding") => {
                    fields.coding = read_coding(fields.coding, line.value);
                }
                _ => {}
            }
        }
        fields
    }

    /// Adds a `Connection` line (RFC 9110 section 7.6.1: a list, case-insensitive).
    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

/// Adds a `Content-Length` line to what earlier ones said.
///
/// RFC 9112 section 6.3, rule 5: a list of one valid value repeated counts as that value, whether
/// it is spread over one line or several; anything else is an error.
pub(crate) fn read_length(
    earlier: Result<Option<u64>, ErrorKind>,
    value: &[u8],
) -> Result<Option<u64>, ErrorKind> {
    let mut length = earlier?;
    for element in value.split(|&byte| byte == b',') {
        let parsed = parse_decimal(trim(element)).ok_or(ErrorKind::BadLength)?;
        if length.is_some_and(|length| length != parsed) {
            return Err(ErrorKind::ConflictingLength);
        }
        length = Some(parsed);
    }
    Ok(length)
}

/// Returns the number that `digits` spell; `None` for anything but digits, and above 2⁶⁴ − 1.
fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Adds a `Transfer-Encoding` line to what earlier ones said.
///
/// RFC 9112 section 6.1 forbids `chunked` twice, section 7.1 gives it no parameters. A quoted
/// parameter may hold a comma, over which recipients disagree, and no coding in use has one: it is
/// refused.
fn read_coding(earlier: Result<Coding, ErrorKind>, value: &[u8]) -> Result<Coding, ErrorKind> {
    let mut coding = earlier?;
    if value.contains(&b'"') {
        return Err(ErrorKind::BadTransferEncoding);
    }
    for element in value.split(|&byte| byte == b',').map(trim) {
        let mut parts = element.splitn(2, |&byte| byte == b';');
        let name = trim(parts.next().unwrap_or_default());
        let has_parameters = parts.next().is_some();
        let chunked_before =
            matches!(coding, Coding::Chunked | Coding::Other { chunked_before: true });
        if name.eq_ignore_ascii_case(b"chunked") {
            if chunked_before || has_parameters {
                return Err(ErrorKind::BadTransferEncoding);
            }
            coding = Coding::Chunked;
        } else if !name.is_empty() {
            coding = Coding::Other { chunked_before };
        } else if has_parameters {
            return Err(ErrorKind::BadTransferEncoding);
        }
    }
    match coding {
        // The field is there and names nothing: whether it overrides a length is anybody's guess.
        Coding::Absent => Err(ErrorKind::BadTransferEncoding),
        coding => Ok(coding),
    }
}

/// Strips optional whitespace (RFC 9110 section 5.6.3).
fn trim(bytes: &[u8]) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(first) = bytes.iter().position(|byte| !space(byte)) else {
        return &[];
    };
    let last = bytes.iter().rposition(|byte| !space(byte)).unwrap_or(first);
    bytes.get(first..=last).unwrap_or_default()
}
