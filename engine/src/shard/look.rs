//! What is kept of a response while it arrives, for the checks and captures that look at it.
//!
//! One place for each request that may be outstanding, made when somebody looks at anything at all;
//! its memory is used again for the next response.

use pummel_proto_http::{FieldLines, Version};

use super::witness::Witness;
use crate::judge::{Needs, Response};
use crate::units::Nanos;

/// The most that is kept of a body.
pub(super) const BODY_KEPT_BYTES_MAX: usize = 1 << 20;

/// A buffer that has grown beyond this is given back when its response is over.
const BUFFER_KEEP_BYTES_MAX: usize = 64 * 1024;

/// What is kept of responses, by the places of their requests.
pub(super) struct Looks {
    places: Box<[Look]>,
    /// Who keeps exchanges whole, where requests are tried.
    pub(super) witness: Option<Box<Witness>>,
}

/// What is kept of one.
#[derive(Clone, Default)]
pub(super) struct Look {
    needs: Needs,
    lines: Vec<u8>,
    /// Where each name and each value of `lines` ends.
    ends: Vec<[u32; 2]>,
    body: Vec<u8>,
    body_len: u64,
    /// The version of a response in HTTP/1.x.
    version: Option<Version>,
}

impl Looks {
    /// Room for so many.
    pub(super) fn new(places: usize, witness: Option<Witness>) -> Self {
        Self { places: vec![Look::default(); places].into(), witness: witness.map(Box::new) }
    }

    /// Takes out who has kept exchanges whole.
    pub(super) fn take_witness(&mut self) -> Option<Witness> {
        self.witness.take().map(|witness| *witness)
    }

    /// Whether anybody looks at anything.
    #[inline]
    pub(super) fn any(&self) -> bool {
        !self.places.is_empty()
    }

    /// The response at `place` has begun, with these fields.
    pub(super) fn begin(
        &mut self,
        place: Option<usize>,
        needs: Needs,
        version: Option<Version>,
        fields: FieldLines<'_>,
    ) {
        let Some(look) = place.and_then(|place| self.places.get_mut(place)) else { return };
        look.clear();
        (look.needs, look.version) = (needs, version);
        if needs.fields {
            for (name, value) in fields {
                look.lines.extend_from_slice(name);
                let end = look.lines.len();
                look.lines.extend_from_slice(value);
                look.ends.push([end, look.lines.len()].map(|end| u32::try_from(end).unwrap_or(0)));
            }
        }
    }

    /// Content of the response at `place` has arrived.
    pub(super) fn add(&mut self, place: Option<usize>, bytes: &[u8]) {
        let Some(look) = place.and_then(|place| self.places.get_mut(place)) else { return };
        look.body_len += bytes.len() as u64;
        if look.needs.body {
            let room = BODY_KEPT_BYTES_MAX.saturating_sub(look.body.len());
            look.body.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// Takes out what is kept of the response at `place`; it is [given back](Self::give).
    pub(super) fn take(&mut self, place: usize) -> Option<Look> {
        self.places.get_mut(place).map(core::mem::take)
    }

    /// Gives back what was taken, for its memory.
    pub(super) fn give(&mut self, place: usize, mut look: Look) {
        look.clear();
        if let Some(own) = self.places.get_mut(place) {
            *own = look;
        }
    }
}

impl Look {
    fn clear(&mut self) {
        self.lines.clear();
        self.ends.clear();
        self.body.clear();
        self.body_len = 0;
        if self.body.capacity() > BUFFER_KEEP_BYTES_MAX {
            self.body = Vec::new();
        }
    }

    /// The version of a response in HTTP/1.x.
    pub(super) const fn version(&self) -> Option<Version> {
        self.version
    }

    /// The response, which has that `status` and `took` so long.
    pub(super) fn response(
        &self,
        status: u16,
        took: Nanos,
    ) -> Response<'_, impl Iterator<Item = (&[u8], &[u8])> + Clone> {
        let mut from = 0;
        let fields = self.ends.iter().map(move |&[name_end, end]| {
            let (begin, name_end, end) = (from, name_end as usize, end as usize);
            from = end;
            let part = |range| self.lines.get(range).unwrap_or_default();
            (part(begin..name_end), part(name_end..end))
        });
        Response { status, fields, body: &self.body, body_len: self.body_len, took }
    }
}
