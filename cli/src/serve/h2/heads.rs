//! What a request's header block asks for.
//!
//! A load generator sends the same fields again and again, so a block that equals the one before it
//! byte for byte, over an unchanged table, is not decoded: it means the same.

use pummel_proto_http::ErrorKind;
use pummel_proto_http::h2::frame::Code;
use pummel_proto_http::h2::hpack::Decoder;
use pummel_proto_http::limits::HPACK_TABLE_BYTES;

use super::super::request::digits;

/// The longest header list, as RFC 9113 section 6.5.2 counts it. The client is told.
pub(super) const LIST_BYTES_MAX: u32 = 64 * 1024;

/// The longest block that is remembered for comparison.
const FAMILIAR_BYTES_MAX: usize = 4 * 1024;

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ask {
    /// Whether the answer has no content: after `HEAD`.
    pub(super) head_only: bool,
    /// How much content it promises to send.
    pub(super) length: Option<u64>,
    /// Whether it waits for `100 Continue` before it sends any.
    pub(super) expects_continue: bool,
}

/// Decodes the blocks of one connection.
#[derive(Debug)]
pub(super) struct Heads {
    decoder: Decoder,
    familiar: Vec<u8>,
    /// What the familiar one asks for, and the state of the table that it was decoded over.
    known: Option<(Ask, u64)>,
}

impl Heads {
    pub(super) fn new() -> Self {
        Self { decoder: Decoder::new(HPACK_TABLE_BYTES), familiar: Vec::new(), known: None }
    }

    /// Reads the block of a request; `None` if it is not one of a request (RFC 9113 section 8.1.1).
    ///
    /// # Errors
    /// The code for the end of the connection, if the block cannot be decoded.
    pub(super) fn read(&mut self, block: &[u8]) -> Result<Option<Ask>, Code> {
        if let Some((ask, generation)) = self.known
            && self.familiar == block
            && self.decoder.generation() == generation
        {
            return Ok(Some(ask));
        }
        let before = self.decoder.generation();
        let mut fields = Fields::default();
        self.decode(block, |name, value| fields.take(name, value))?;
        let ask = fields.ask();
        self.known = None;
        if let Some(ask) = ask
            && block.len() <= FAMILIAR_BYTES_MAX
            && self.decoder.generation() == before
        {
            self.familiar.clear();
            self.familiar.extend_from_slice(block);
            self.known = Some((ask, before));
        }
        Ok(ask)
    }

    /// Reads a block whose fields do not matter: trailers, and what is refused.
    ///
    /// # Errors
    /// The code for the end of the connection, if the block cannot be decoded.
    pub(super) fn skip(&mut self, block: &[u8]) -> Result<(), Code> {
        self.decode(block, |_, _| ())
    }

    fn decode(&mut self, block: &[u8], field: impl FnMut(&[u8], &[u8])) -> Result<(), Code> {
        self.decoder.decode(block, LIST_BYTES_MAX, field).map_err(|kind| match kind {
            ErrorKind::HeaderListTooLarge => Code::EnhanceYourCalm,
            _ => Code::CompressionError,
        })
    }
}

const METHOD: u8 = 1;
const SCHEME: u8 = 2;
const PATH: u8 = 4;
const AUTHORITY: u8 = 8;

/// The fields of a request that a server must heed.
#[derive(Default)]
struct Fields {
    /// The pseudo-fields so far.
    pseudo: u8,
    /// Whether an ordinary field has come.
    ordinary: bool,
    malformed: bool,
    connect: bool,
    ask: Ask,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        let pseudo = match name {
            b":method" => METHOD,
            b":scheme" => SCHEME,
            b":path" => PATH,
            b":authority" => AUTHORITY,
            _ => {
                self.ordinary = true;
                return self.take_ordinary(name, value);
            }
        };
        // RFC 9113 section 8.3: each at most once, and before all others.
        self.malformed |= self.ordinary || self.pseudo & pseudo != 0;
        self.malformed |= pseudo == PATH && value.is_empty();
        self.pseudo |= pseudo;
        if pseudo == METHOD {
            self.ask.head_only = value == b"HEAD";
            self.connect = value == b"CONNECT";
        }
    }

    fn take_ordinary(&mut self, name: &[u8], value: &[u8]) {
        match name {
            // RFC 9113 section 8.2.2: what is of a connection has no place here; section 8.2.1: nor
            // has an empty name, or a pseudo-field that nobody knows.
            b"connection"
            | b"keep-alive"
            | b"proxy-connection"
            | b"transfer-encoding"
            | b"upgrade"
            | []
            | [b':', ..] => self.malformed = true,
            b"te" => self.malformed |= value != b"trailers",
            b"content-length" => {
                let length = digits(value);
                let other = self.ask.length.is_some() && self.ask.length != length;
                self.malformed |= length.is_none() || other;
                self.ask.length = length;
            }
            b"expect" => {
                self.ask.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            }
            _ => self.malformed |= name.iter().any(|byte| !is_of_name(*byte)),
        }
        let controls = |byte: &u8| matches!(byte, b'\0' | b'\r' | b'\n');
        self.malformed |= value.iter().any(controls);
    }

    fn ask(&self) -> Option<Ask> {
        let needed = if self.connect { AUTHORITY } else { METHOD | SCHEME | PATH };
        let whole = self.pseudo & needed == needed && !self.malformed;
        whole.then_some(self.ask)
    }
}

/// Whether this is no control, no capital and no other byte that no name has (RFC 9113 section
/// 8.2.1).
const fn is_of_name(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !byte.is_ascii_uppercase() && byte != b':'
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_proto_http::h2::hpack::{Block, Field, Form};

    const GET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];

    fn block(fields: &[(&str, &str)], form: Form) -> Vec<u8> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| Field::fixed(name.as_bytes(), value.as_bytes()))
            .collect();
        let mut out = Vec::new();
        Block::new(&fields).write(form, &[], &mut out);
        out
    }

    fn read(more: &[(&str, &str)]) -> Option<Ask> {
        Heads::new().read(&block(&[&GET[..], more].concat(), Form::Plain)).unwrap()
    }

    #[test]
    fn a_request_says_what_it_asks_for() {
        assert_eq!(read(&[("x", "y")]), Some(Ask::default()));
        let ask = read(&[("content-length", "12"), ("expect", "100-Continue")]).unwrap();
        let promised = Ask { length: Some(12), expects_continue: true, head_only: false };
        assert_eq!(ask, promised);
        let head = [(":method", "HEAD"), (":scheme", "http"), (":path", "/")];
        assert!(Heads::new().read(&block(&head, Form::First)).unwrap().unwrap().head_only);
        let connect = [(":method", "CONNECT"), (":authority", "a:1")];
        assert!(Heads::new().read(&block(&connect, Form::First)).unwrap().is_some());
    }

    // RFC 9113 sections 8.2 and 8.3.
    #[test]
    fn what_is_no_request_is_told_apart() {
        for more in [
            &[(":path", "/again")][..],
            &[("x", "y"), (":late", "1")],
            &[(":unknown", "1")],
            &[("Upper", "1")],
            &[("connection", "close")],
            &[("transfer-encoding", "chunked")],
            &[("te", "gzip")],
            &[("content-length", "+1")],
            &[("content-length", "1"), ("content-length", "2")],
            &[("x", "a\r\nb")],
            &[("", "y")],
            &[("a b", "y")],
        ] {
            assert_eq!(read(more), None, "{more:?}");
        }
        for fields in [&GET[..3], &GET[1..], &[(":method", "GET")]] {
            let block = block(fields, Form::Plain);
            assert_eq!(Heads::new().read(&block).unwrap(), None, "{fields:?}");
        }
    }

    #[test]
    fn the_same_bytes_mean_the_same_only_while_the_table_does() {
        let mut heads = Heads::new();
        let fields = [&GET[..], &[("content-length", "7")]].concat();
        let other = [&GET[..], &[("content-length", "8")]].concat();
        let mut lengths = Vec::new();
        for (fields, form) in [
            (&fields, Form::First),
            (&fields, Form::Indexed),
            (&fields, Form::Indexed),
            (&other, Form::First),
            // The very bytes of the third, which now name the other length.
            (&fields, Form::Indexed),
        ] {
            lengths.push(heads.read(&block(fields, form)).unwrap().unwrap().length);
        }
        assert_eq!(lengths, [Some(7), Some(7), Some(7), Some(8), Some(8)]);
        // Trailers change the table, too.
        heads.skip(&block(&other[..], Form::First)).unwrap();
        heads.skip(&block(&fields, Form::First)).unwrap();
        assert_eq!(heads.read(&block(&fields, Form::Indexed)).unwrap().unwrap().length, Some(7));
    }

    #[test]
    fn what_cannot_be_decoded_ends_the_connection() {
        assert_eq!(Heads::new().read(&[0x80]), Err(Code::CompressionError));
        let long = "v".repeat(LIST_BYTES_MAX as usize);
        let block = block(&[("a", &long)], Form::Plain);
        assert_eq!(Heads::new().read(&block), Err(Code::EnhanceYourCalm));
    }
}
