//! What the value of a field `Set-Cookie` says (RFC 6265 section 5.2).

use super::date;
use crate::units::Nanos;

/// A line that makes a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    /// Of the domain attribute, without a dot at its front; empty if there is none.
    pub(super) domain: &'a [u8],
    /// Of the path attribute; empty if there is none that is one.
    pub(super) path: &'a [u8],
    pub(super) secure: bool,
    pub(super) http_only: bool,
    expires: Option<Nanos>,
    /// Seconds from now on, none of which means that it is over.
    max_age: Option<u64>,
}

impl<'a> Line<'a> {
    /// Reads a line; `None` if it makes no cookie.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        // What a request must not carry is not taken (RFC 6265bis section 5.6).
        if text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return None;
        }
        let mut parts = text.split(|&byte| byte == b';');
        let (name, value) = split(parts.next()?)?;
        if name.is_empty() {
            return None;
        }
        let mut line = Self { name, value, ..Self::default() };
        for part in parts {
            let (name, value) = split(part).unwrap_or((part.trim_ascii(), b""));
            line.attribute(name, value);
        }
        Some(line)
    }

    /// The last attribute of a name is the one that counts.
    fn attribute(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("Expires") {
            self.expires = date::parse(value).or(self.expires);
        } else if is("Max-Age") {
            self.max_age = seconds(value).or(self.max_age);
        } else if is("Domain") && !value.is_empty() {
            self.domain = value.strip_prefix(b".").unwrap_or(value);
        } else if is("Path") {
            self.path = if value.starts_with(b"/") { value } else { b"" };
        } else if is("Secure") {
            self.secure = true;
        } else if is("HttpOnly") {
            self.http_only = true;
        }
    }

    /// When the cookie ends that is set `now`, if it does.
    pub(super) fn expires(&self, now: Nanos) -> Option<Nanos> {
        let age = |seconds: u64| now + Nanos::from_secs(1).saturating_mul(seconds);
        self.max_age.map(age).or(self.expires)
    }
}

/// What stands before the first equals sign and what behind it, without the space around them.
fn split(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', part)?;
    let (name, value) = part.split_at_checked(equals)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

/// A number of seconds; one below zero is zero.
fn seconds(text: &[u8]) -> Option<u64> {
    let (below, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add =
        |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(if below { 0 } else { digits.iter().fold(0, add) })
}
