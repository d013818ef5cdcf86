//! Text with places where each request has a value of its own.
//!
//! Everything that is known before the run is literal; what is left to be done per request is to
//! copy the literals and to write the values between them, escaped as their surroundings want it.

use alloc::string::String;
use alloc::vec::Vec;

/// Text, and the places in it where values are put in. Without places it is just text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Text {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// A place between two bytes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    at: usize,
    slot: Slot,
    /// How many bytes before it and behind it are left out with a value that is empty.
    around: [usize; 2],
}

/// Which value is put in, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The number of the value, which the owner of the values gives a meaning.
    pub value: u16,
    /// How it is written.
    pub escape: Escape,
}

/// How a value is written, so that it stays one value where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Escape {
    /// As it is: in a body.
    Plain,
    /// As it is, but each control character becomes a blank: in a field's value, which a line
    /// break would end.
    Field,
    /// As it is, but what cannot stand in a path or a query is percent-encoded, and `%` is taken to
    /// have been.
    Target,
    /// As a component of a path or a query: all but the unreserved characters of RFC 3986 is
    /// percent-encoded.
    Component,
    /// As a part of a path that may hold several segments: percent-encoded but for what RFC 3986
    /// section 3.3 has in a path, `/` among it.
    Path,
    /// As a query, or a part of one: percent-encoded but for what RFC 3986 section 3.4 has there
    /// and `&`, `=` and `+`, which separate.
    Query,
    /// As a value of `application/x-www-form-urlencoded`: a blank becomes `+`, and all but letters,
    /// digits, `*`, `-`, `.` and `_` is percent-encoded.
    Form,
    /// Within a string of JSON (RFC 8259 section 7).
    Json,
}

/// The values of a request.
pub trait Values {
    /// The value with this number; empty if there is none.
    fn value(&self, number: u16) -> &[u8];
}

/// The values of a text that has no places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoValues;

impl Values for NoValues {
    fn value(&self, _: u16) -> &[u8] {
        &[]
    }
}

impl Text {
    /// Appends literal bytes.
    pub fn push(&mut self, literal: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(literal.as_ref());
    }

    /// Appends a place for a value.
    pub fn push_slot(&mut self, slot: Slot) {
        self.places.push(Place { at: self.bytes.len(), slot, around: [0, 0] });
    }

    /// Appends a place for a value between two literals, which are left out with a value that is
    /// empty.
    pub fn push_optional(&mut self, before: &str, slot: Slot, after: &str) {
        self.push(before);
        self.places.push(Place { at: self.bytes.len(), slot, around: [before.len(), after.len()] });
        self.push(after);
    }

    /// Appends a value that is known already.
    pub fn push_value(&mut self, value: &[u8], escape: Escape) {
        escape.write(value, &mut self.bytes);
    }

    /// Appends another text.
    pub fn append(&mut self, other: &Self) {
        let before = self.bytes.len();
        self.places.extend(other.places.iter().map(|p| Place { at: p.at + before, ..*p }));
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Returns the literal bytes, without what is put in.
    #[must_use]
    pub fn literal(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes of a text without places.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        self.is_constant().then_some(&self.bytes)
    }

    /// Returns whether there is nothing to be put in.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the numbers of the values that are put in, in the order of the places.
    pub fn values(&self) -> impl Iterator<Item = u16> + '_ {
        self.places.iter().map(|place| place.slot.value)
    }

    /// Appends the text with its values to `out`. O(bytes).
    pub fn fill(&self, values: &impl Values, out: &mut Vec<u8>) {
        let mut from = 0;
        for Place { at, slot, around: [before, after] } in &self.places {
            let value = values.value(slot.value);
            let (end, begin) =
                if value.is_empty() { (at - before, at + after) } else { (*at, *at) };
            out.extend_from_slice(self.bytes.get(from..end).unwrap_or_default());
            slot.escape.write(value, out);
            from = begin;
        }
        out.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
    }

    /// Returns the number of bytes that [`fill`](Self::fill) appends.
    #[must_use]
    pub fn filled_len(&self, values: &impl Values) -> usize {
        let put_in = self.places.iter().map(|place| values.value(place.slot.value));
        let lengths = self.places.iter().zip(put_in).map(|(place, value)| {
            let [before, after] = if value.is_empty() { place.around } else { [0, 0] };
            (place.slot.escape.len(value), before + after)
        });
        let (put_in, left_out) = lengths.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        self.bytes.len() + put_in - left_out
    }

    /// The only place of a text that is nothing else.
    pub(crate) fn only_slot(&self) -> Option<Slot> {
        match self.places[..] {
            [Place { slot, .. }] if self.bytes.is_empty() => Some(slot),
            _ => None,
        }
    }

    /// The same text, in which what would have been put in as it is, is escaped so.
    pub(crate) fn guarded(mut self, escape: Escape) -> Self {
        for place in &mut self.places {
            if place.slot.escape == Escape::Plain {
                place.slot.escape = escape;
            }
        }
        self
    }

    /// The same text without blanks at its ends, as far as they are literal.
    pub(crate) fn trimmed(self) -> Self {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let first = self.places.first().map_or(self.bytes.len(), |place| place.at);
        let last = self.places.last().map_or(0, |place| place.at);
        let before = self.bytes.iter().take(first).take_while(|byte| is_blank(byte)).count();
        let last = last.max(before);
        let after = self.bytes.iter().skip(last).rev().take_while(|byte| is_blank(byte)).count();
        let bytes = self.bytes.get(before..self.bytes.len() - after).unwrap_or_default().to_vec();
        let places = self.places.into_iter().map(|p| Place { at: p.at - before, ..p }).collect();
        Self { bytes, places }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), places: Vec::new() }
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, places: Vec::new() }
    }
}

impl Escape {
    /// How many bytes `byte` becomes.
    const fn weight(self, byte: u8) -> usize {
        match self {
            Self::Plain | Self::Field => 1,
            Self::Target if byte.is_ascii_graphic() && byte != b'#' => 1,
            Self::Component | Self::Path | Self::Query if is_unreserved(byte) => 1,
            Self::Path if is_of_path(byte) => 1,
            Self::Query if is_of_query(byte) => 1,
            Self::Form if byte.is_ascii_alphanumeric() || is_of_form(byte) => 1,
            Self::Target | Self::Component | Self::Path | Self::Query | Self::Form => 3,
            Self::Json => match byte {
                b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
                0..0x20 => 6,
                _ => 1,
            },
        }
    }

    fn len(self, value: &[u8]) -> usize {
        match self {
            Self::Plain | Self::Field => value.len(),
            _ if is_plain(value) => value.len(),
            escape => value.iter().map(|&byte| escape.weight(byte)).sum(),
        }
    }

    fn write(self, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Plain => out.extend_from_slice(value),
            _ if is_plain(value) => out.extend_from_slice(value),
            Self::Field => {
                let blank = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
                out.extend(value.iter().map(blank));
            }
            Self::Form => {
                for &byte in value {
                    match byte {
                        b' ' => out.push(b'+'),
                        byte if self.weight(byte) == 1 => out.push(byte),
                        byte => self.write_byte(byte, out),
                    }
                }
            }
            escape => {
                // Whole runs of what stays as it is.
                for run in value.chunk_by(|a, b| escape.weight(*a) == 1 && escape.weight(*b) == 1) {
                    match run {
                        [byte] if escape.weight(*byte) > 1 => escape.write_byte(*byte, out),
                        run => out.extend_from_slice(run),
                    }
                }
            }
        }
    }

    fn write_byte(self, byte: u8, out: &mut Vec<u8>) {
        let [high, low] = hexadecimal(byte);
        match (self, byte) {
            (Self::Json, b'\n') => out.extend_from_slice(b"\\n"),
            (Self::Json, b'\r') => out.extend_from_slice(b"\\r"),
            (Self::Json, b'\t') => out.extend_from_slice(b"\\t"),
            (Self::Json, 0..0x20) => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]),
            (Self::Json, byte) => out.extend_from_slice(&[b'\\', byte]),
            _ => out.extend_from_slice(&[b'%', high, low]),
        }
    }
}

/// Appends `bytes` in base 64 with padding (RFC 4648 section 4) to `out`.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |index| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * place) & 63) as usize);
            out.push(letter.filter(|_| place <= group.len()).copied().unwrap_or(b'='));
        }
    }
}

/// Whether nothing escapes anything in `value`, as is so of numbers and of most words.
#[inline]
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

/// Whether `byte` means nothing anywhere in a URL (RFC 3986 section 2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether `byte` stands in a path beside those, or between its segments.
const fn is_of_path(byte: u8) -> bool {
    matches!(
        byte,
        b'/' | b':'
            | b'@'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
    )
}

/// Whether `byte` stands in a query beside those, and separates nothing there.
const fn is_of_query(byte: u8) -> bool {
    matches!(
        byte,
        b'?' | b'/' | b':' | b'@' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b',' | b';'
    )
}

/// Whether `byte` takes one byte in a form beside letters and digits.
const fn is_of_form(byte: u8) -> bool {
    matches!(byte, b' ' | b'*' | b'-' | b'.' | b'_')
}

const fn hexadecimal(byte: u8) -> [u8; 2] {
    const fn digit(bits: u8) -> u8 {
        if bits < 10 { b'0' + bits } else { b'A' + bits - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Values for &[&[u8]] {
        fn value(&self, number: u16) -> &[u8] {
            self.get(usize::from(number)).copied().unwrap_or_default()
        }
    }

    fn slot(value: u16, escape: Escape) -> Slot {
        Slot { value, escape }
    }

    fn filled(text: &Text, values: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        text.fill(&values, &mut out);
        assert_eq!(out.len(), text.filled_len(&values));
        out
    }

    #[test]
    fn values_stand_where_their_places_are() {
        let mut text = Text::from("a");
        text.push_slot(slot(1, Escape::Plain));
        text.push_slot(slot(0, Escape::Plain));
        let mut whole = Text::from("<");
        whole.append(&text);
        whole.push(">");
        assert_eq!(filled(&whole, &[b"zero", b"one"]), b"<aonezero>");
        assert_eq!(filled(&whole, &[b"zero"]), b"<azero>");
        assert_eq!(whole.values().collect::<Vec<_>>(), [1, 0]);
        assert!(whole.constant().is_none());
        assert_eq!(Text::from("x").constant(), Some(&b"x"[..]));
    }

    #[test]
    fn what_is_optional_is_left_out_with_an_empty_value() {
        let mut text = Text::from("a");
        text.push_optional("<", slot(0, Escape::Plain), ">");
        text.push_optional("; ", slot(1, Escape::Plain), "");
        text.push("z");
        assert_eq!(filled(&text, &[b"0", b"1"]), b"a<0>; 1z");
        assert_eq!(filled(&text, &[b"0"]), b"a<0>z");
        assert_eq!(filled(&text, &[b"", b"1"]), b"a; 1z");
        let mut whole = Text::from("--");
        whole.append(&text);
        assert_eq!(filled(&whole, &[]), b"--az");
    }

    #[test]
    fn a_value_is_escaped_as_its_surroundings_want_it() {
        let value = "a b/ü\"\\\n\u{1}%#?".as_bytes();
        for (escape, expected) in [
            (Escape::Plain, "a b/ü\"\\\n\u{1}%#?"),
            (Escape::Field, "a b/ü\"\\  %#?"),
            (Escape::Target, "a%20b/%C3%BC\"\\%0A%01%%23?"),
            (Escape::Component, "a%20b%2F%C3%BC%22%5C%0A%01%25%23%3F"),
            (Escape::Path, "a%20b/%C3%BC%22%5C%0A%01%25%23%3F"),
            (Escape::Query, "a%20b/%C3%BC%22%5C%0A%01%25%23?"),
            (Escape::Form, "a+b%2F%C3%BC%22%5C%0A%01%25%23%3F"),
            (Escape::Json, "a b/ü\\\"\\\\\\n\\u0001%#?"),
        ] {
            let mut text = Text::default();
            text.push_slot(slot(0, escape));
            assert_eq!(filled(&text, &[value]), expected.as_bytes(), "{escape:?}");
        }
    }

    #[test]
    fn base64_is_what_the_rfc_has() {
        // RFC 4648 section 10.
        for (plain, coded) in [
            (&b""[..], &b""[..]),
            (b"f", b"Zg=="),
            (b"fo", b"Zm8="),
            (b"foo", b"Zm9v"),
            (b"foob", b"Zm9vYg=="),
            (b"fooba", b"Zm9vYmE="),
            (b"foobar", b"Zm9vYmFy"),
            (&[0xff, 0xfe], b"//4="),
        ] {
            let mut out = Vec::new();
            write_base64(plain, &mut out);
            assert_eq!(out, coded);
        }
    }

    #[test]
    fn only_what_has_no_escape_is_guarded() {
        let mut text = Text::default();
        text.push_slot(slot(0, Escape::Plain));
        text.push_slot(slot(0, Escape::Component));
        assert_eq!(filled(&text.guarded(Escape::Field), &[b"\r\n"]), b"  %0D%0A");
    }

    #[test]
    fn literal_blanks_at_the_ends_are_trimmed() {
        let mut text = Text::from(" \ta ");
        text.push_slot(slot(0, Escape::Plain));
        text.push(" b \t");
        assert_eq!(filled(&text.trimmed(), &[b"-"]), b"a - b");
        let mut text = Text::from("  ");
        text.push_slot(slot(0, Escape::Plain));
        text.push(" ");
        assert_eq!(filled(&text.trimmed(), &[b" "]), b" ");
        assert_eq!(filled(&Text::from("  ").trimmed(), &[]), b"");
    }

    proptest! {
        #[test]
        fn a_component_is_what_it_was_when_it_is_decoded(value: Vec<u8>) {
            let mut text = Text::default();
            text.push_slot(slot(0, Escape::Component));
            let encoded = filled(&text, &[&value]);
            prop_assert!(encoded.is_ascii());
            let (mut decoded, mut rest) = (Vec::new(), &encoded[..]);
            while let [first, after @ ..] = rest {
                if let (b'%', [high, low, after @ ..]) = (first, after) {
                    let digits = [*high, *low].map(char::from).iter().collect::<String>();
                    decoded.push(u8::from_str_radix(&digits, 16).unwrap());
                    rest = after;
                } else {
                    decoded.push(*first);
                    rest = after;
                }
            }
            prop_assert_eq!(decoded, value);
        }

        #[test]
        fn json_strings_are_read_back_as_they_were(value: String) {
            let mut text = Text::from("\"");
            text.push_slot(slot(0, Escape::Json));
            text.push("\"");
            let document = String::from_utf8(filled(&text, &[value.as_bytes()])).unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(&document).unwrap(), value);
        }
    }
}
