//! A request as HTTP/2 sends it: its header block in the forms that connections need, and its body.

use super::frame::{END_STREAM, HEADER_BYTES, Header, Kind, PAYLOAD_BYTES_DEFAULT, frame_block};
use super::hpack::{Block, Field, Form};
use crate::limits::{H2_REQUEST_BLOCK_BYTES_MAX, H2_VARYING_FIELDS_MAX, HPACK_INTEGER_BYTES_MAX};
use crate::request::{Line, Request, RequestError, Value, write_number};
use crate::stored::Stored;
use crate::text::{Text, Values};
use alloc::vec;
use alloc::vec::Vec;

/// The most that the length of a string takes.
const STRING_LENGTH_BYTES_MAX: usize = HPACK_INTEGER_BYTES_MAX as usize + 1;

/// A request, encoded once and sent by any number of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    block: Block,
    /// What the fields hold that differ from request to request, in their order.
    varying: Vec<Value>,
    body: Text,
    /// The body, if it is read as it is sent.
    stored: Option<Stored>,
    /// Bytes of the longest form of the block without those values, and of their lengths.
    fixed_length: usize,
    /// Whether the method is `HEAD`, so that no content comes back.
    is_head: bool,
    /// The frame of a head that is always the same, as connections send it that have sent it
    /// before, on no stream yet; empty where there is none such.
    frame: Vec<u8>,
}

/// The values of one request: those of its varying fields, and its body if that varies. Its memory
/// is used again for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slip {
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<usize>,
    /// Where the body begins, if it is here.
    body: Option<usize>,
}

/// What a request carries.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Here(&'a [u8]),
    Stored(&'a Stored),
}

impl Content<'_> {
    /// How many bytes that is. A body that is too long was seen when it was rendered.
    pub(super) fn length(self) -> u32 {
        let length = match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Stored(stored) => stored.length(),
        };
        u32::try_from(length).unwrap_or(u32::MAX)
    }

    /// Appends `length` bytes, of which `unsent` and no more are left, to `out`.
    pub(super) fn append(self, unsent: u32, length: usize, out: &mut Vec<u8>) {
        let from = self.length().saturating_sub(unsent);
        match self {
            Self::Here(bytes) => {
                let from = from as usize;
                out.extend_from_slice(bytes.get(from..from + length).unwrap_or_default());
            }
            Self::Stored(stored) => stored.append(from.into(), length, out),
        }
    }
}

impl Rendered {
    /// Encodes requests that may be sent on the same connections, in their order: what their
    /// fields have in common shares the tables of those.
    ///
    /// # Errors
    /// [`RequestError`] names what HTTP/2 cannot send.
    pub fn set(requests: &[&Request]) -> Result<Vec<Self>, RequestError> {
        let lists: Vec<_> =
            requests.iter().map(|request| request.h2_fields()).collect::<Result<_, _>>()?;
        let fields: Vec<Vec<Field<'_>>> =
            lists.iter().map(|list| list.iter().map(field).collect()).collect();
        let slices: Vec<&[Field<'_>]> = fields.iter().map(Vec::as_slice).collect();
        let blocks = Block::set(&slices);
        requests
            .iter()
            .zip(&lists)
            .zip(blocks)
            .map(|((request, list), block)| Self::new(request, list, block))
            .collect()
    }

    fn new(request: &Request, list: &[Line], block: Block) -> Result<Self, RequestError> {
        let forms = [Form::First, Form::Indexed, Form::Plain];
        let length = forms.into_iter().map(|form| block.length(form, &[])).max().unwrap_or(0);
        if length > H2_REQUEST_BLOCK_BYTES_MAX {
            return Err(RequestError::HeadTooLong(length));
        }
        let body = request.content();
        let stored = request.stored().cloned();
        let body_length = stored.as_ref().map_or(body.literal().len() as u64, Stored::length);
        if u32::try_from(body_length).is_err() {
            return Err(RequestError::BodyTooLong(body_length));
        }
        let varying = list.iter().map(|(_, value)| value).filter(|value| varies(value));
        let varying: Vec<Value> = varying.cloned().collect();
        if varying.len() > H2_VARYING_FIELDS_MAX {
            return Err(RequestError::TooManyVarying(varying.len()));
        }
        let fixed_length = length + varying.len() * STRING_LENGTH_BYTES_MAX;
        let is_head = !request.expects().body;
        let frame = if varying.is_empty() && body.is_constant() {
            frame_of(&block, body_length > 0)
        } else {
            Vec::new()
        };
        Ok(Self { block, varying, body, stored, fixed_length, is_head, frame })
    }

    /// Puts the values of a request into `slip`; says whether its header block can be sent then.
    /// O(bytes).
    #[must_use]
    pub fn fill(&self, values: &impl Values, slip: &mut Slip) -> bool {
        let Slip { bytes, ends, body } = slip;
        bytes.clear();
        ends.clear();
        for value in &self.varying {
            let begin = bytes.len();
            match value {
                Value::Text(text) | Value::Optional(text) => text.fill(values, bytes),
                Value::Length => write_number(self.body.filled_len(values), bytes),
            }
            trim(bytes, begin);
            ends.push(bytes.len());
        }
        *body = (!self.body.is_constant()).then_some(bytes.len());
        let head = bytes.len() + self.fixed_length;
        if body.is_some() {
            self.body.fill(values, bytes);
        }
        head <= H2_REQUEST_BLOCK_BYTES_MAX
    }

    /// The frame of the head, as connections send it that have sent it before, but for its stream;
    /// `None` if that differs from request to request, or takes several frames.
    #[inline]
    pub(super) fn frame(&self) -> Option<&[u8]> {
        Some(self.frame.as_slice()).filter(|frame| !frame.is_empty())
    }

    pub(super) const fn block(&self) -> &Block {
        &self.block
    }

    /// The body of the request that `slip` has the values of.
    pub(super) fn body<'a>(&'a self, slip: Option<&'a Slip>) -> Content<'a> {
        if let Some(stored) = &self.stored {
            return Content::Stored(stored);
        }
        Content::Here(match slip.and_then(|slip| slip.bytes.get(slip.body?..)) {
            Some(body) => body,
            None => self.body.literal(),
        })
    }

    pub(super) const fn is_head(&self) -> bool {
        self.is_head
    }
}

/// The frame of a head without values in it, if one is enough.
fn frame_of(block: &Block, has_body: bool) -> Vec<u8> {
    let mut frame = vec![0; HEADER_BYTES];
    block.write(Form::Indexed, &[], &mut frame);
    if frame.len() - HEADER_BYTES > PAYLOAD_BYTES_DEFAULT as usize {
        return Vec::new();
    }
    let flags = if has_body { 0 } else { END_STREAM };
    let header = Header { length: 0, kind: Kind::Headers, flags, stream: 0 };
    frame_block(&mut frame, 0, header, PAYLOAD_BYTES_DEFAULT);
    frame
}

/// Takes the blanks off both ends of the value that begins at `begin`: a field value has none there
/// (RFC 9113 section 8.2.1).
fn trim(bytes: &mut Vec<u8>, begin: usize) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    while bytes.len() > begin && bytes.last().is_some_and(is_blank) {
        bytes.pop();
    }
    let blanks = bytes.iter().skip(begin).take_while(|byte| is_blank(byte)).count();
    if blanks > 0 {
        bytes.drain(begin..begin + blanks);
    }
}

impl Slip {
    /// The values of the varying fields, written to the front of `into`.
    pub(super) fn values<'a, 'v>(
        &'a self,
        into: &'v mut [&'a [u8]; H2_VARYING_FIELDS_MAX],
    ) -> &'v [&'a [u8]] {
        let mut from = 0;
        for (value, &end) in into.iter_mut().zip(&self.ends) {
            *value = self.bytes.get(from..end).unwrap_or_default();
            from = end;
        }
        into.get(..self.ends.len()).unwrap_or_default()
    }
}

fn varies(value: &Value) -> bool {
    match value {
        Value::Text(text) => !text.is_constant(),
        Value::Optional(_) | Value::Length => true,
    }
}

fn field((name, value): &Line) -> Field<'_> {
    match value {
        Value::Text(text) => match text.constant() {
            Some(constant) => Field::fixed(name, constant),
            None => Field::varying(name),
        },
        Value::Optional(_) => Field::optional(name),
        Value::Length => Field::varying(name),
    }
}
