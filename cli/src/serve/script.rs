//! WHAT the server does to those who ask: complete, immutable, the same for every shard.

use core::num::NonZeroU64;

use super::model::{Faults, Timing};
use super::reply::Shape;

/// The whole of it.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) shape: Shape,
    pub(super) timing: Timing,
    pub(super) faults: Faults,
    /// Requests per connection; the answer to the last says that it is the last.
    pub(super) close_after: Option<NonZeroU64>,
    /// Whether shards poll all the time instead of sleeping: arrivals get their exact moments then.
    pub(super) spins: bool,
}
