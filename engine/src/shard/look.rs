//! What is kept of a response while it arrives, for the checks and captures that look at it.
//!
//! One place for each request that may be outstanding, made when somebody looks at anything at all;
//! its memory is used again for the next response.

use pummel_proto_http::{FieldLines, Version};

use super::witness::Witness;
use crate::judge::{Codings, Content, Needs, Response, Undecoded};
use crate::units::Nanos;

/// The most that is kept of a body.
pub(super) const BODY_KEPT_BYTES_MAX: usize = 1 << 20;

/// A buffer that has grown beyond this is given back when its response is over.
const BUFFER_KEEP_BYTES_MAX: usize = 64 * 1024;

/// What is kept of responses, by the places of their requests.
pub(super) struct Looks {
    places: Box<[Look]>,
    /// Where bodies are decoded.
    spare: Vec<u8>,
    /// Whether users keep cookies.
    pub(super) keeps_cookies: bool,
    /// Who keeps exchanges whole, where requests are tried.
    pub(super) witness: Option<Box<Witness>>,
}

/// What is kept of one.
#[derive(Clone)]
pub(super) struct Look {
    needs: Needs,
    lines: Vec<u8>,
    /// Where each name and each value of `lines` ends.
    ends: Vec<[u32; 2]>,
    body: Vec<u8>,
    body_len: u64,
    /// What the body is coded in; where nobody looks at it, nothing.
    codings: Codings,
    /// Whether something is missing of the body, once its codings are undone.
    decoded: Result<bool, Undecoded>,
    /// The version of a response in HTTP/1.x.
    version: Option<Version>,
}

impl Looks {
    /// Room for so many.
    pub(super) fn new(places: usize, keeps_cookies: bool, witness: Option<Witness>) -> Self {
        let (places, spare) = (vec![Look::default(); places].into(), Vec::new());
        Self { places, spare, keeps_cookies, witness: witness.map(Box::new) }
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
        if needs.body {
            let coded = |(name, _): &(&[u8], _)| name.eq_ignore_ascii_case(b"content-encoding");
            fields.iter().filter(coded).for_each(|(_, value)| look.codings.add(value));
        }
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

    /// The value of the first field with this name that is kept of the response at `place`.
    pub(super) fn field(&self, place: usize, name: &[u8]) -> Option<&[u8]> {
        let mut lines = self.places.get(place)?.lines();
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Takes out what is kept of the response at `place`, without its codings; it is
    /// [given back](Self::give).
    pub(super) fn take(&mut self, place: usize) -> Option<Look> {
        let mut look = self.places.get_mut(place).map(core::mem::take)?;
        let is_cut = look.body_len > look.body.len() as u64;
        look.decoded = if look.codings.is_none() {
            Ok(is_cut)
        } else {
            let body = (&mut look.body, is_cut);
            look.codings.undo(body, BODY_KEPT_BYTES_MAX, &mut self.spare)
        };
        Some(look)
    }

    /// Gives back what was taken, for its memory.
    pub(super) fn give(&mut self, place: usize, mut look: Look) {
        look.clear();
        if self.spare.capacity() > BUFFER_KEEP_BYTES_MAX {
            self.spare = Vec::new();
        }
        if let Some(own) = self.places.get_mut(place) {
            *own = look;
        }
    }
}

impl Default for Look {
    fn default() -> Self {
        Self {
            needs: Needs::NOTHING,
            lines: Vec::new(),
            ends: Vec::new(),
            body: Vec::new(),
            body_len: 0,
            codings: Codings::default(),
            decoded: Ok(false),
            version: None,
        }
    }
}

impl Look {
    fn clear(&mut self) {
        self.codings = Codings::default();
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

    /// Whether its body is coded.
    pub(super) const fn is_coded(&self) -> bool {
        !self.codings.is_none()
    }

    /// Name and value of each field line that is kept.
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let mut from = 0;
        self.ends.iter().map(move |&[name_end, end]| {
            let (begin, name_end, end) = (from, name_end as usize, end as usize);
            from = end;
            let part = |range| self.lines.get(range).unwrap_or_default();
            (part(begin..name_end), part(name_end..end))
        })
    }

    /// The response, which has that `status` and `took` so long.
    pub(super) fn response(
        &self,
        status: u16,
        took: Nanos,
    ) -> Response<'_, impl Iterator<Item = (&[u8], &[u8])> + Clone> {
        let fields = self.lines();
        let body = self.decoded.map(|is_cut| Content { bytes: &self.body, is_cut });
        Response { status, fields, body, body_len: self.body_len, took }
    }
}
