//! When a run ends, which of its requests count, and how long anything is waited for.

use core::num::NonZeroU64;

use crate::units::Nanos;

/// The measured window and its end. At least one of `duration` and `requests` bounds it.
///
/// The window is `[warmup, warmup + duration)` after the start barrier. A request counts if its
/// intended start (closed loop: its start) lies in the window, whenever it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Left out at the beginning.
    pub warmup: Nanos,
    /// What bounds the window.
    pub limit: Limit,
    /// After the window: how long answers to what was started are waited for.
    pub drain: Nanos,
}

/// What bounds the measured window; whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A length of time.
    Duration(Nanos),
    /// A number of counted requests over all shards (those of the warm-up come on top).
    Requests(NonZeroU64),
    /// Both.
    Either(Nanos, NonZeroU64),
}

impl Limit {
    /// Length of the window, if time bounds it.
    #[must_use]
    pub const fn duration(self) -> Option<Nanos> {
        match self {
            Self::Duration(length) | Self::Either(length, _) => Some(length),
            Self::Requests(_) => None,
        }
    }

    /// Number of counted requests, if it is bounded.
    #[must_use]
    pub const fn requests(self) -> Option<NonZeroU64> {
        match self {
            Self::Requests(count) | Self::Either(_, count) => Some(count),
            Self::Duration(_) => None,
        }
    }
}

/// How long a connection and a response may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the attempt to connect to the established connection.
    pub connect: Nanos,
    /// From the send of a request to the last byte of its response.
    pub request: Nanos,
    /// From the intended start of a request to the last byte of its response, sent or not; only in
    /// an open loop.
    pub deadline: Option<Nanos>,
}
