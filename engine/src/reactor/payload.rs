//! Published bytes: what is sent again and again, held in one place until the reactor ends.

use std::io;
use std::ops::Range;

use super::{Confirm, Payload};

/// All that was published to one reactor.
///
/// R1: nothing is ever removed or changed, and each payload has a heap block of its own, which
/// stays where it is when the list grows.
#[derive(Debug, Default)]
pub(super) struct Payloads(Vec<(Box<[u8]>, Confirm)>);

impl Payloads {
    pub(super) fn publish(&mut self, bytes: Vec<u8>, confirm: Confirm) -> io::Result<Payload> {
        let name = u16::try_from(self.0.len())
            .map_err(|_| io::Error::other("too many payloads published"))?;
        self.0.push((bytes.into_boxed_slice(), confirm));
        Ok(Payload(name))
    }

    /// The bytes `range` of `payload`, and how their sending is confirmed; empty for what does not
    /// exist.
    pub(super) fn get(&self, payload: Payload, range: Range<usize>) -> (&[u8], Confirm) {
        match self.0.get(usize::from(payload.0)) {
            Some((bytes, confirm)) => (bytes.get(range).unwrap_or(&[]), *confirm),
            None => (&[], Confirm::Failure),
        }
    }
}
