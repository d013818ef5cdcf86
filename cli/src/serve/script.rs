//! WHAT the server does to those who ask: complete, immutable, the same for every shard.

use core::num::NonZeroU64;

use pummel_engine::tls::Acceptor;

use super::h2::Manners;
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
    /// How connections of HTTP/2 are to be.
    pub(super) manners: Manners,
    /// Makes the sessions of connections, if they are to be secured.
    pub(super) acceptor: Option<Acceptor>,
}
