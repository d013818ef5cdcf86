//! A connection that is secured: what is sealed, and what waits for it.
//!
//! Over TLS nothing can be sent by reference, for every byte is sealed for its connection. What a
//! reply looks like is copied from its text into a page, as much as one takes, and sealed on the
//! way.

use core::fmt;
use core::ops::Range;

use pummel_engine::reactor::{Close, PAGE};
use pummel_engine::tls::{Progress, Session, sealed_len};

use super::log::Log;

/// Most plain bytes that are sealed into one page; the rest of it is for what the session has to
/// say of its own accord.
pub(super) const PLAIN_BYTES_MAX: usize = 62 * 1024;
const _: () = assert!(sealed_len(PLAIN_BYTES_MAX) + 1024 <= PAGE);

/// The part of a reply that is still to be sealed.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    /// Which text.
    pub(super) text: usize,
    pub(super) range: Range<usize>,
    /// What ends the connection after it, if anything does.
    pub(super) end: Option<Close>,
}

/// One connection's TLS.
pub(super) struct Secured {
    session: Session,
    /// What the session has to say of its own accord.
    own: Vec<u8>,
    rest: Option<Rest>,
    /// Whether the handshake is over.
    is_open: bool,
    /// Whether there is no session any more. What it has to say is the last word.
    has_failed: bool,
    is_counted: bool,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

impl Secured {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            own: Vec::new(),
            rest: None,
            is_open: false,
            has_failed: false,
            is_counted: false,
        }
    }

    /// Takes in what arrived, and calls `plain` with what it held. Returns whether the client has
    /// ended the session, by a word or by breaking it.
    pub(super) fn receive(&mut self, bytes: &mut [u8], plain: impl FnMut(&[u8])) -> bool {
        let Ok(progress) = self.session.receive(bytes, &mut self.own, plain) else {
            self.fail();
            return true;
        };
        progress == Progress::Ended
    }

    /// Counts a handshake that is over since the last time, and a session that is lost.
    pub(super) fn count(&mut self, log: &mut Log) {
        if let Some(agreed) = self.session.agreed().filter(|_| !self.is_open) {
            self.is_open = true;
            log.tls.handshakes += 1;
            log.tls.resumed += u64::from(agreed.resumed);
        }
        if self.has_failed && !self.is_counted {
            self.is_counted = true;
            log.tls.failed += 1;
        }
    }

    fn fail(&mut self) {
        self.has_failed = true;
        self.rest = None;
    }

    /// Has this part of a reply sealed next.
    pub(super) fn owe(&mut self, rest: Rest) {
        debug_assert!(self.rest.is_none(), "one send at a time");
        self.rest = Some(rest);
    }

    /// Appends to `page` what is to be sent next: what the session has to say, and as much of what
    /// is owed of `texts` as the page takes. Returns how the connection ends, if that is the last.
    pub(super) fn fill(&mut self, texts: &[Vec<u8>], page: &mut Vec<u8>) -> Option<Close> {
        let rest = self.rest.take();
        let Some(mut rest) = rest else { return self.seal(&[], None, page) };
        let whole = texts.get(rest.text).and_then(|text| text.get(rest.range.clone()));
        let whole = whole.unwrap_or_default();
        let (plain, more) = whole.split_at(whole.len().min(PLAIN_BYTES_MAX));
        if more.is_empty() {
            return self.seal(plain, rest.end, page);
        }
        rest.range.start += plain.len();
        let end = self.seal(plain, None, page);
        self.rest = Some(rest).filter(|_| !self.has_failed);
        end
    }

    /// Appends to `page` what the session has to say, then `plain`, sealed, and the farewell if the
    /// connection ends in an orderly way. Returns how it ends.
    pub(super) fn seal(
        &mut self,
        plain: &[u8],
        end: Option<Close>,
        page: &mut Vec<u8>,
    ) -> Option<Close> {
        page.append(&mut self.own);
        if !self.has_failed && !plain.is_empty() && self.session.write(plain, page).is_err() {
            self.fail();
        }
        if self.has_failed {
            return Some(Close::Finish);
        }
        if end == Some(Close::Finish) {
            self.session.close(page);
        }
        end
    }
}
