//! What a response's header block means, and the memory of the last one.
//!
//! Responses to the same request differ in little: the block of one is often, byte for byte, that
//! of the one before. The decoder knows when the same bytes mean the same again, so that comparing
//! them is nearly all that a head costs.

use super::hpack::Decoder;
use crate::error::ErrorKind;
use crate::h1::read_length;
use crate::limits::H2_BLOCK_BYTES_MAX;
use crate::lines::{FieldLines, Kept};
use alloc::boxed::Box;

/// What counts of a response's head.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Head {
    /// 100 to 999.
    pub(super) status: u16,
    pub(super) length: Option<u64>,
}

/// A block that is decoded may be malformed, which is no concern of the connection as a whole
/// (RFC 9113 section 8.1.1).
pub(super) type Meaning<T> = Result<T, ErrorKind>;

/// Reads one header block after another.
#[derive(Debug)]
pub(super) struct HeadReader {
    decoder: Decoder,
    /// What the block meant that the decoder remembers: only blocks of heads are.
    remembered: Head,
    /// `None` until the owner has asked for field lines.
    kept: Option<Box<Kept>>,
    /// Whether those kept are of the block that the decoder remembers.
    kept_remembered: bool,
}

impl HeadReader {
    /// A reader whose decoder may use `table_max` bytes of dynamic table.
    pub(super) fn new(table_max: u32) -> Self {
        let remembered = Head { status: 0, length: None };
        let decoder = Decoder::new(table_max);
        Self { decoder, remembered, kept: None, kept_remembered: false }
    }

    /// Says whether the field lines of final responses are kept, from the next block on.
    pub(super) fn keep_fields(&mut self, wanted: bool) {
        if wanted || self.kept.is_some() {
            let kept = self.kept.get_or_insert_default();
            self.kept_remembered &= kept.is_wanted() == wanted;
            kept.want(wanted);
        }
    }

    /// Whether they are.
    pub(super) fn keeps_fields(&self) -> bool {
        self.kept.as_deref().is_some_and(Kept::is_wanted)
    }

    /// The field lines of the last head, if it was a final one and they are kept.
    pub(super) fn fields(&self) -> FieldLines<'_> {
        self.kept.as_deref().map(Kept::view).unwrap_or_default()
    }

    /// Reads the block of a response's head.
    ///
    /// An outer error means that the decoder has lost its place, and the connection with it.
    #[inline]
    pub(super) fn head(&mut self, block: &[u8]) -> Result<Meaning<Head>, ErrorKind> {
        if self.kept.is_some() {
            return self.head_and_fields(block);
        }
        if self.decoder.repeat(block) {
            return Ok(Ok(self.remembered));
        }
        self.decode_head(block)
    }

    /// The same, where field lines are wanted or were before.
    #[inline(never)]
    fn head_and_fields(&mut self, block: &[u8]) -> Result<Meaning<Head>, ErrorKind> {
        let kept = self.kept.as_deref_mut().filter(|kept| kept.is_wanted());
        // A block that comes again has the lines that are kept, or is decoded for their sake.
        if (kept.is_none() || self.kept_remembered) && self.decoder.repeat(block) {
            return Ok(Ok(self.remembered));
        }
        let Some(kept) = kept else { return self.decode_head(block) };
        kept.clear();
        self.kept_remembered = false;
        let mut fields = Fields::default();
        let decoded = self.decoder.decode(block, H2_BLOCK_BYTES_MAX, |name, value| {
            fields.read(name, value);
            if name.first() != Some(&b':') {
                kept.push(name, value);
            }
        });
        let meaning = decoded.map(|()| fields.head());
        if !matches!(meaning, Ok(Ok(Head { status: 200.., .. }))) {
            kept.clear();
        } else if let Ok(Ok(head)) = meaning
            && self.decoder.remember(block)
        {
            self.remembered = head;
            self.kept_remembered = true;
        }
        meaning
    }

    fn decode_head(&mut self, block: &[u8]) -> Result<Meaning<Head>, ErrorKind> {
        let mut fields = Fields::default();
        self.decoder.decode(block, H2_BLOCK_BYTES_MAX, |name, value| fields.read(name, value))?;
        let meaning = fields.head();
        if let Ok(head) = meaning
            && self.decoder.remember(block)
        {
            self.remembered = head;
        }
        Ok(meaning)
    }

    /// Reads the block of trailers.
    pub(super) fn trailers(&mut self, block: &[u8]) -> Result<Meaning<()>, ErrorKind> {
        let mut fault = None;
        self.decoder.decode(block, H2_BLOCK_BYTES_MAX, |name, value| {
            // RFC 9113 section 8.1: trailers have no pseudo-header fields.
            let pseudo = name.first() == Some(&b':');
            let judged = if pseudo { Err(ErrorKind::H2BadPseudo) } else { check(name, value) };
            fault = fault.or(judged.err());
        })?;
        Ok(fault.map_or(Ok(()), Err))
    }

    /// Reads a block that nobody waits for any more: the decoder must see it all the same (RFC 9113
    /// section 4.3).
    pub(super) fn skip(&mut self, block: &[u8]) -> Result<(), ErrorKind> {
        self.decoder.decode(block, H2_BLOCK_BYTES_MAX, |_, _| {})
    }
}

/// The fields of a head, as they come.
#[derive(Debug)]
struct Fields {
    status: Option<u16>,
    length: Result<Option<u64>, ErrorKind>,
    /// Whether a regular field has come, after which no pseudo-header field may.
    regular: bool,
    fault: Option<ErrorKind>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { status: None, length: Ok(None), regular: false, fault: None }
    }
}

impl Fields {
    fn read(&mut self, name: &[u8], value: &[u8]) {
        if let Err(kind) = self.try_read(name, value) {
            self.fault.get_or_insert(kind);
        }
    }

    fn try_read(&mut self, name: &[u8], value: &[u8]) -> Result<(), ErrorKind> {
        if name.first() == Some(&b':') {
            if self.regular || name != b":status" {
                return Err(ErrorKind::H2BadPseudo);
            }
            let status = parse_status(value).ok_or(ErrorKind::H2BadStatus)?;
            return match self.status.replace(status) {
                None => Ok(()),
                Some(_) => Err(ErrorKind::H2BadStatus),
            };
        }
        self.regular = true;
        check(name, value)?;
        if name == b"content-length" {
            self.length = read_length(self.length, value);
        }
        Ok(())
    }

    fn head(self) -> Meaning<Head> {
        if let Some(kind) = self.fault {
            return Err(kind);
        }
        let status = self.status.ok_or(ErrorKind::H2BadStatus)?;
        Ok(Head { status, length: self.length? })
    }
}

/// Returns the status code that three digits spell, from 100 on.
fn parse_status(value: &[u8]) -> Option<u16> {
    let &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value else {
        return None;
    };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}

/// Judges a regular field by itself (RFC 9113 sections 8.2.1 and 8.2.2).
fn check(name: &[u8], value: &[u8]) -> Result<(), ErrorKind> {
    if name.is_empty() || !name.iter().all(|byte| may_stand_in_name(*byte)) {
        return Err(ErrorKind::BadFieldName);
    }
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
        || space(value.first())
        || space(value.last())
    {
        return Err(ErrorKind::BadFieldValue);
    }
    match name {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
            Err(ErrorKind::H2ConnectionField)
        }
        b"te" if value != b"trailers" => Err(ErrorKind::H2ConnectionField),
        _ => Ok(()),
    }
}

/// RFC 9113 section 8.2.1: neither control characters, space, capitals nor bytes above ASCII; a
/// colon begins pseudo-header fields only.
const fn may_stand_in_name(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !byte.is_ascii_uppercase() && byte != b':'
}
