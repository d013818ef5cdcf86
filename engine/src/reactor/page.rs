//! Pages: memory that an owner fills with bytes which were not known before the run, and that goes
//! back to the reactor with the send.
//!
//! ```text
//!   pool ──page()──► owner ──send_page()──► reactor ──the kernel is done──► pool
//!     ▲                └──────give_page()────┐
//!     └──────────────────────────────────────┘
//! ```
//!
//! A connection with nothing to send holds none.

use std::collections::VecDeque;
use std::ops::Range;

use super::payload::Payloads;
use super::{PAGE, Payload};

/// Bytes of a small page: what most sends fit into. Many of them may be in the kernel's hands at
/// once, and they are to be neither allocated each time nor spread over many large pages.
pub(super) const SMALL: usize = 4 * 1024;

/// Pages that are kept for the next one who asks; more are freed. The large ones are filled one at
/// a time, and are long in the kernel's hands only where a peer is slow.
const LARGE_KEPT: usize = 64;
const SMALL_KEPT: usize = 1024;

/// Pages that nobody uses.
#[derive(Default)]
pub(super) struct Pool {
    large: Vec<Vec<u8>>,
    small: Vec<Vec<u8>>,
}

impl Pool {
    /// An empty page with room for [`PAGE`] bytes: the one given back last, which is still warm.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.large.pop().unwrap_or_else(|| Vec::with_capacity(PAGE))
    }

    /// Takes a page back, whoever has made it.
    pub(super) fn give(&mut self, mut page: Vec<u8>) {
        let (kept, most) = match page.capacity() {
            PAGE.. => (&mut self.large, LARGE_KEPT),
            SMALL.. => (&mut self.small, SMALL_KEPT),
            _ => return,
        };
        if kept.len() < most {
            page.clear();
            kept.push(page);
        }
    }

    /// The same bytes in as little memory as there is for them.
    pub(super) fn compact(&mut self, page: Vec<u8>) -> Vec<u8> {
        if page.len() > SMALL || page.capacity() < PAGE {
            return page;
        }
        let mut small = self.small.pop().unwrap_or_else(|| Vec::with_capacity(SMALL));
        small.extend_from_slice(&page);
        self.give(page);
        small
    }
}

/// Pages whose connection was closed while a ring had them in hand (R5).
///
/// The completions of what was closed come in about the order of closing, so that a page is found
/// near the front.
#[derive(Default)]
pub(super) struct Lingering(VecDeque<(u64, Vec<u8>)>);

impl Lingering {
    /// Keeps what is left of the send with `token`, as long as the ring may read it.
    pub(super) fn keep(&mut self, token: u64, rest: Rest) {
        if let Rest::Page(page, _) = rest {
            self.0.push_back((token, page));
        }
    }

    /// The page of the send with `token`, whose completion has been reaped.
    pub(super) fn reaped(&mut self, token: u64) -> Option<Vec<u8>> {
        let place = self.0.iter().position(|(kept, _)| *kept == token)?;
        self.0.remove(place).map(|(_, page)| page)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What is left of a send.
pub(super) enum Rest {
    Published(Payload, Range<usize>),
    /// The page, and the bytes of it that have been sent.
    Page(Vec<u8>, usize),
}

impl Rest {
    pub(super) fn bytes<'a>(&'a self, payloads: &'a Payloads) -> &'a [u8] {
        match self {
            Self::Published(payload, range) => payloads.get(*payload, range.clone()).0,
            Self::Page(page, sent) => page.get(*sent..).unwrap_or(&[]),
        }
    }

    /// Notes that `len` bytes more have been sent; returns whether they were the last.
    pub(super) fn advance(&mut self, len: usize) -> bool {
        match self {
            Self::Published(_, range) => {
                range.start = range.start.saturating_add(len);
                range.start >= range.end
            }
            Self::Page(page, sent) => {
                *sent = sent.saturating_add(len);
                *sent >= page.len()
            }
        }
    }

    /// Gives the page back, if it is one: nobody reads it any more.
    pub(super) fn recycle(self, pool: &mut Pool) {
        if let Self::Page(page, _) = self {
            pool.give(page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Confirm;

    #[test]
    fn a_page_comes_back_empty_and_is_the_next_to_be_used() {
        let mut pool = Pool::default();
        let mut page = pool.take();
        assert!(page.is_empty() && page.capacity() >= PAGE);
        page.push(1);
        let memory = page.as_ptr();
        pool.give(page);
        let again = pool.take();
        assert_eq!((again.as_ptr(), again.len()), (memory, 0));
        assert!(pool.large.is_empty());
    }

    #[test]
    fn no_more_is_kept_than_was_said() {
        let mut pool = Pool::default();
        (0..2 * LARGE_KEPT).for_each(|_| pool.give(Vec::with_capacity(PAGE)));
        (0..2 * SMALL_KEPT).for_each(|_| pool.give(Vec::with_capacity(SMALL)));
        pool.give(Vec::with_capacity(SMALL - 1));
        assert_eq!((pool.large.len(), pool.small.len()), (LARGE_KEPT, SMALL_KEPT));
        assert!(pool.take().capacity() >= PAGE);
    }

    #[test]
    fn a_little_is_sent_from_a_small_page() {
        let mut pool = Pool::default();
        for (len, is_small) in [(1, true), (SMALL, true), (SMALL + 1, false), (PAGE, false)] {
            let mut page = pool.take();
            page.resize(len, b'x');
            let large = page.as_ptr();
            let compact = pool.compact(page);
            assert_eq!(compact, vec![b'x'; len]);
            assert_eq!(compact.capacity() < PAGE, is_small, "{len}");
            assert_eq!(pool.large.iter().any(|page| page.as_ptr() == large), is_small, "{len}");
            pool.give(compact);
        }
        // What is small already stays where it is.
        let mut own = Vec::with_capacity(SMALL);
        own.push(1);
        let memory = own.as_ptr();
        let own = pool.compact(own);
        assert_eq!(own.as_ptr(), memory);
    }

    #[test]
    fn a_page_lingers_until_its_own_send_was_reaped() {
        let (mut lingering, mut payloads) = (Lingering::default(), Payloads::default());
        let payload = payloads.publish(vec![0], Confirm::Always).unwrap();
        (0..3).for_each(|token| lingering.keep(token.into(), Rest::Page(vec![token], 0)));
        lingering.keep(3, Rest::Published(payload, 0..1));
        assert_eq!(lingering.len(), 3, "published bytes need not be kept");
        for token in [1, 0, 2] {
            assert_eq!(lingering.reaped(token.into()), Some(vec![token]));
            assert_eq!(lingering.reaped(token.into()), None);
        }
    }

    #[test]
    fn a_rest_shrinks_until_nothing_is_left() {
        let mut payloads = Payloads::default();
        let payload = payloads.publish(b"0123456789".to_vec(), Confirm::Always).unwrap();
        let rests = [Rest::Published(payload, 2..8), Rest::Page(b"0123456789"[..8].to_vec(), 2)];
        for mut rest in rests {
            assert_eq!(rest.bytes(&payloads), b"234567");
            assert!(!rest.advance(5));
            assert_eq!(rest.bytes(&payloads), b"7");
            assert!(rest.advance(1));
            assert_eq!(rest.bytes(&payloads), b"");
        }
    }
}
