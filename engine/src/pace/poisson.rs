//! Poisson arrivals: each independent of all others, as users of a public server come.
//!
//! Every shard has a stream of its own, whose rate is in proportion to its connections. Streams
//! that are independent add up to one of the whole rate, so that no shard needs to know of another.
//! Where the rate changes over time, so does the time that an arrival takes, and not the number of
//! them: gaps are drawn in slots, and the course turns slots into time.

use super::amount::Amount;
use super::random::Random;
use crate::plan::Share;

/// A shard's stream of gaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poisson {
    random: Random,
    /// Slots of all shards for each of this one.
    others: f64,
}

impl Poisson {
    pub(super) fn new(share: Share, seed: u64) -> Self {
        let (all, own) = (share.connections_of_all().get(), share.connections().get());
        // Stream 0 is not a shard's.
        let random = Random::new(seed, u64::from(share.index()) + 1);
        Self { random, others: f64::from(all) / f64::from(own) }
    }

    /// What passes, over all shards, between the slot before `n` and slot `n`.
    ///
    /// The logarithm is the C library's, as everywhere in Rust: another platform's may differ in
    /// the last bit, and with it a start by a nanosecond.
    pub(super) fn gap(&self, n: u64) -> Amount {
        Amount::from_f64(-self.random.unit(n).ln() * self.others)
    }
}
