//! What went wrong: phase × cause, a closed set, with the operating system's number where there is
//! one.

use core::fmt;

use pummel_proto_http::ErrorKind as ProtocolErrorKind;

use super::{Exemplar, TlsTrouble, code_name};
use crate::reactor::Errno;

/// How far a connection or a request had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The connection was being established.
    Connect,
    /// The proxy was asked for the way to the server.
    Proxy,
    /// The connection was being secured.
    Tls,
    /// The server was asked to change to HTTP/2.
    Upgrade,
    /// The server was to say how it speaks HTTP/2.
    Settle,
    /// The request's URL, whose server is made of values, was read.
    Url,
    /// The request waited for a free connection.
    Queue,
    /// No request was outstanding.
    Idle,
    /// The request was being sent.
    Send,
    /// The request was sent, and no byte of the response had arrived.
    Wait,
    /// A part of the response's head had arrived.
    Head,
    /// The head was complete, the body was not.
    Body,
}

/// What ended a connection or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The peer closed its side before the response was complete.
    Closed,
    /// It took too long.
    TimedOut,
    /// The peer had announced to close the connection after an earlier response, and did not
    /// process it.
    LeftBehind,
    /// Its connection was closed because of what happened to an older request on it.
    Abandoned,
    /// The peer broke the protocol.
    Protocol(ProtocolErrorKind),
    /// TLS failed.
    Tls(TlsTrouble),
    /// The peer reset the stream, with this code of HTTP/2.
    Reset(u32),
    /// The peer did not process it, and had not processed it the times before either.
    NotProcessed,
    /// The proxy, or the server that was asked for another protocol, answered with this status.
    Answered(u16),
    /// With its values, its head is longer than can be sent.
    TooLong,
    /// Its values lead to a host that is not one of the run.
    OtherHost,
    /// What its values make is no URL that can be asked for.
    Malformed,
    /// The operating system said so.
    System(Errno),
}

/// Who ended a connection or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The server.
    Peer,
    /// Pummel: it would not wait any longer, or closed the connection.
    Client,
    /// The operating system or the network.
    System,
}

impl Party {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Client => "client",
            Self::System => "system",
        }
    }
}

/// One kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trouble {
    /// When it happened.
    pub phase: Phase,
    /// What happened.
    pub cause: Cause,
}

impl Phase {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Settle => "settle",
            Self::Url => "url",
            Self::Queue => "queue",
            Self::Idle => "idle",
            Self::Send => "send",
            Self::Wait => "wait",
            Self::Head => "head",
            Self::Body => "body",
        }
    }
}

impl Trouble {
    /// Who ended it.
    #[must_use]
    pub fn ended_by(&self) -> Party {
        match self.cause {
            // A reset or a refusal is a packet of the peer, and an alert is its word.
            Cause::Closed
            | Cause::LeftBehind
            | Cause::Protocol(_)
            | Cause::Tls(TlsTrouble::Alert(_))
            | Cause::Reset(_)
            | Cause::NotProcessed
            | Cause::Answered(_)
            | Cause::System(Errno::RESET | Errno::REFUSED) => Party::Peer,
            Cause::System(_) => Party::System,
            // Whatever else is wrong with TLS, it is this side that will not go on.
            Cause::TimedOut
            | Cause::Abandoned
            | Cause::TooLong
            | Cause::OtherHost
            | Cause::Malformed
            | Cause::Tls(_) => Party::Client,
        }
    }

    /// The operating system's number, if it was the system that said so.
    #[must_use]
    pub const fn errno(&self) -> Option<i32> {
        match self.cause {
            Cause::System(errno) => Some(errno.0),
            _ => None,
        }
    }

    /// Whether it happened to a connection which carried no request.
    #[must_use]
    pub const fn is_of_connection(&self) -> bool {
        matches!(
            self.phase,
            Phase::Connect
                | Phase::Proxy
                | Phase::Tls
                | Phase::Upgrade
                | Phase::Settle
                | Phase::Idle
        )
    }
}

impl fmt::Display for Trouble {
    /// The name in reports: `connect_refused`, `body_closed`, `head_protocol_bad_status_line`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.phase.name();
        match self.cause {
            Cause::Closed => write!(f, "{phase}_closed"),
            Cause::TimedOut => write!(f, "{phase}_timeout"),
            Cause::Abandoned => write!(f, "{phase}_abandoned"),
            Cause::TooLong => write!(f, "{phase}_too_long"),
            Cause::OtherHost => write!(f, "{phase}_other_host"),
            Cause::Malformed => write!(f, "{phase}_malformed"),
            Cause::LeftBehind => write!(f, "{phase}_left_behind"),
            Cause::Protocol(kind) => write!(f, "{phase}_protocol_{}", kind.name()),
            // The phase of a handshake says `tls` already.
            Cause::Tls(trouble) if self.phase == Phase::Tls => {
                write!(f, "{phase}_{}", trouble.name())
            }
            Cause::Tls(trouble) => write!(f, "{phase}_tls_{}", trouble.name()),
            Cause::Reset(code) => write!(f, "{phase}_reset_{}", code_name(code)),
            Cause::NotProcessed => write!(f, "{phase}_not_processed"),
            Cause::Answered(status) => write!(f, "{phase}_status_{status}"),
            Cause::System(errno) => match errno.word() {
                Some(word) => write!(f, "{phase}_{word}"),
                None => write!(f, "{phase}_errno_{}", errno.0),
            },
        }
    }
}

/// Counts by kind of trouble, in order of first occurrence.
///
/// The kinds are few: the phases times the causes that a server can think of. They are bounded all
/// the same.
#[derive(Clone, Debug)]
pub struct ErrorTable {
    counts: Vec<Kind>,
    /// Occurrences of kinds for which there was no row left.
    other: u64,
}

/// One row of an [`ErrorTable`].
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What happened.
    pub trouble: Trouble,
    /// How often.
    pub count: u64,
    /// A request that it happened to, the first of its shard; `None` if it happened to none.
    pub exemplar: Option<Exemplar>,
}

/// Most kinds of trouble that are told apart.
const KINDS_MAX: usize = 128;

impl Default for ErrorTable {
    fn default() -> Self {
        Self { counts: Vec::with_capacity(KINDS_MAX), other: 0 }
    }
}

impl ErrorTable {
    /// Counts one occurrence. O(kinds); allocates nothing.
    pub fn count(&mut self, trouble: Trouble) {
        self.add(Kind { trouble, count: 1, exemplar: None });
    }

    /// Counts `count` occurrences.
    pub fn count_many(&mut self, trouble: Trouble, count: u64) {
        self.add(Kind { trouble, count, exemplar: None });
    }

    /// Counts what happened to a request.
    pub fn count_request(&mut self, trouble: Trouble, exemplar: Exemplar) {
        self.add(Kind { trouble, count: 1, exemplar: Some(exemplar) });
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|kind| self.add(*kind));
        self.other += other.other;
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.other = 0;
    }

    /// The kinds and their counts, by phase.
    #[must_use]
    pub fn rows(&self) -> Vec<(Trouble, u64)> {
        self.kinds().iter().map(|kind| (kind.trouble, kind.count)).collect()
    }

    /// The kinds with their counts and exemplars, by phase.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = self.counts.clone();
        kinds.sort_unstable_by_key(|kind| kind.trouble);
        kinds
    }

    /// Occurrences beyond the kinds that are told apart.
    #[must_use]
    pub fn other(&self) -> u64 {
        self.other
    }

    /// Occurrences of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|kind| kind.count).sum::<u64>() + self.other
    }

    fn add(&mut self, kind: Kind) {
        if let Some(row) = self.counts.iter_mut().find(|row| row.trouble == kind.trouble) {
            row.count += kind.count;
            row.exemplar = row.exemplar.or(kind.exemplar);
        } else if self.counts.len() < KINDS_MAX {
            self.counts.push(kind);
        } else {
            self.other += kind.count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_phase_and_cause() {
        let name = |phase, cause| Trouble { phase, cause }.to_string();
        assert_eq!(name(Phase::Connect, Cause::System(Errno(111))), "connect_refused");
        assert_eq!(name(Phase::Body, Cause::Closed), "body_closed");
        assert_eq!(name(Phase::Wait, Cause::TimedOut), "wait_timeout");
        assert_eq!(name(Phase::Url, Cause::OtherHost), "url_other_host");
        assert_eq!(name(Phase::Send, Cause::System(Errno(9_999))), "send_errno_9999");
    }

    #[test]
    fn kinds_are_bounded_and_nothing_is_lost() {
        let mut table = ErrorTable::default();
        for errno in 0..1_000 {
            table.count(Trouble { phase: Phase::Send, cause: Cause::System(Errno(errno)) });
        }
        assert_eq!(table.rows().len(), KINDS_MAX);
        assert_eq!(table.total(), 1_000);
        let mut merged = ErrorTable::default();
        merged.merge(&table);
        merged.merge(&table);
        assert_eq!(merged.total(), 2_000);
    }
}
