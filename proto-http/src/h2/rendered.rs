//! A request as HTTP/2 sends it: its header block in the forms that connections need, and its body.

use super::hpack::{Block, Field, Form};
use crate::limits::H2_REQUEST_BLOCK_BYTES_MAX;
use crate::request::{Request, RequestError};
use alloc::vec::Vec;

/// A request, encoded once and sent by any number of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    block: Block,
    body: Vec<u8>,
    /// Whether the method is `HEAD`, so that no content comes back.
    is_head: bool,
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
        let fields: Vec<Vec<Field<'_>>> = lists
            .iter()
            .map(|list| list.iter().map(|(name, value)| Field::fixed(name, value)).collect())
            .collect();
        let slices: Vec<&[Field<'_>]> = fields.iter().map(Vec::as_slice).collect();
        requests
            .iter()
            .zip(Block::set(&slices))
            .map(|(request, block)| {
                let forms = [Form::First, Form::Indexed, Form::Plain];
                let length =
                    forms.into_iter().map(|form| block.length(form, &[])).max().unwrap_or(0);
                if length > H2_REQUEST_BLOCK_BYTES_MAX {
                    return Err(RequestError::HeadTooLong(length));
                }
                let body = request.content();
                if u32::try_from(body.len()).is_err() {
                    return Err(RequestError::BodyTooLong(body.len()));
                }
                Ok(Self { block, body: body.to_vec(), is_head: !request.expects().body })
            })
            .collect()
    }

    pub(super) const fn block(&self) -> &Block {
        &self.block
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) const fn is_head(&self) -> bool {
        self.is_head
    }
}
