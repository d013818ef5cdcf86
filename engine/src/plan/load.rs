//! When requests start: bound to responses (closed loop), or to the clock (open loop).

use core::num::NonZeroU8;

use crate::units::Rate;

/// The arrival process of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Each connection keeps `pipeline` requests outstanding and starts the next one when a
    /// response is complete. There is no schedule, hence no response time, only service time.
    Closed {
        /// Requests outstanding per connection.
        pipeline: NonZeroU8,
    },
    /// Slot `k` is intended at `k / rate` after the start barrier, whatever the server does.
    Open {
        /// Offered rate over all shards.
        rate: Rate,
        /// Most requests outstanding per connection.
        pipeline: NonZeroU8,
    },
}

impl Load {
    /// Most requests outstanding on one connection.
    #[must_use]
    pub const fn pipeline(&self) -> NonZeroU8 {
        match self {
            Self::Closed { pipeline } | Self::Open { pipeline, .. } => *pipeline,
        }
    }

    /// The offered rate; `None` in a closed loop, which offers as much as the server takes.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { rate, .. } => Some(*rate),
        }
    }
}
