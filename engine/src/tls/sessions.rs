//! What a connector remembers of its server from one connection to the next.
//!
//! The library's own store keeps eight tickets per server. A shard may open thousands of
//! connections at once, and each of them uses up one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Most tickets. Each brings the server's chain with it, so that one is a few kilobytes, and up to
/// 64 if the server likes. It gives more than one per connection as a rule, so that the store fills
/// up, and then the oldest go.
const TICKETS_MAX: usize = 1024;

/// The sessions with one server, which is why names are not looked at.
pub(super) struct Sessions {
    /// Not waited for: a shard shares its connector with nobody.
    kept: Mutex<Kept>,
    /// How many tickets are kept; none where sessions are not taken up again.
    tickets_max: usize,
}

#[derive(Default)]
struct Kept {
    /// The group that the server wants. It is remembered even where sessions are not, or each
    /// handshake would take one more round trip with a server that wants another than the first.
    group: Option<NamedGroup>,
    /// TLS 1.2: one session serves any number of connections.
    session: Option<Tls12ClientSessionValue>,
    /// TLS 1.3: a ticket serves one connection (RFC 8446 appendix C.4).
    tickets: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    /// Keeps sessions.
    pub(super) fn kept() -> Self {
        Self { kept: Mutex::default(), tickets_max: TICKETS_MAX }
    }

    /// Keeps no session.
    pub(super) fn dropped() -> Self {
        Self { kept: Mutex::default(), tickets_max: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What it holds is whole between any two statements.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sessions are secrets.
        f.debug_struct("Sessions").field("tickets_max", &self.tickets_max).finish_non_exhaustive()
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.lock().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        if self.tickets_max > 0 {
            self.lock().session = Some(value);
        }
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().session.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.lock().session = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        if self.tickets_max == 0 {
            return;
        }
        let mut kept = self.lock();
        if kept.tickets.len() >= self.tickets_max {
            kept.tickets.pop_front();
        }
        kept.tickets.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The youngest: it is the least likely to have expired.
        self.lock().tickets.pop_back()
    }
}
