//! Plan × n → one [`ShardPlan`] per shard; pure, and the parts sum to the whole.

use core::num::NonZeroU32;
use std::sync::Arc;

use super::{Load, Plan};

/// Which part of the whole a shard is: the `index`-th of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From 0 to `of` − 1.
    pub index: u32,
    /// Number of shards.
    pub of: NonZeroU32,
}

impl Share {
    /// The whole, for a single shard.
    pub const WHOLE: Self = Self { index: 0, of: NonZeroU32::MIN };

    /// This share of `total` things: the remainder goes to the first shards, so that the shares sum
    /// to `total` and differ by at most one.
    #[must_use]
    pub const fn of_total(self, total: u64) -> u64 {
        let of = self.of.get() as u64;
        total / of + if (self.index as u64) < total % of { 1 } else { 0 }
    }
}

/// What one shard does.
#[derive(Clone, Debug)]
pub struct ShardPlan {
    /// The whole plan; read only.
    pub plan: Arc<Plan>,
    /// This shard's part of it.
    pub share: Share,
    /// The CPU that the shard is pinned to.
    pub cpu: usize,
    /// Connections of this shard; at least one.
    pub connections: NonZeroU32,
    /// Closed loop with a number of requests: how many of them this shard may start. In an open
    /// loop the schedule itself says which slots are the shard's.
    pub quota: Option<u64>,
}

/// Cuts a plan into one part per shard.
///
/// There are as many parts as cores, but never more than connections: a shard without a connection
/// would own slots which it could never send.
#[must_use]
pub fn split(plan: &Arc<Plan>) -> Vec<ShardPlan> {
    let of = plan.cores.shards().min(plan.connections);
    let parts = (0..of.get()).zip(plan.cores.cpus()).filter_map(|(index, &cpu)| {
        let share = Share { index, of };
        let connections = share.of_total(u64::from(plan.connections.get()));
        let quota = match plan.load {
            Load::Closed { .. } => plan.stop.limit.requests().map(|n| share.of_total(n.get())),
            Load::Open { .. } => None,
        };
        Some(ShardPlan {
            plan: Arc::clone(plan),
            share,
            cpu,
            connections: NonZeroU32::new(u32::try_from(connections).ok()?)?,
            quota,
        })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_sum_to_the_whole_and_differ_by_at_most_one(total: u64, of in 1_u32..300) {
            let of = NonZeroU32::new(of).unwrap();
            let shares: Vec<u64> =
                (0..of.get()).map(|index| Share { index, of }.of_total(total)).collect();
            prop_assert_eq!(shares.iter().map(|&n| u128::from(n)).sum::<u128>(), u128::from(total));
            let (low, high) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            prop_assert!(high - low <= 1);
        }
    }
}
