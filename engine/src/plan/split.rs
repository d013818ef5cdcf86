//! Plan × n → one [`ShardPlan`] per shard; pure, and the parts sum to the whole.

use core::num::NonZeroU32;
use std::sync::Arc;

use super::{Load, Plan, Unsure};

/// Which part of the whole a shard is: the `index`-th of `of`.
///
/// All that is shared out goes by connections: shard `j` has the connections `c ≡ j` (mod `of`),
/// and connection `c` of `C` stands for the slots `k ≡ c` (mod `C`). Where the shards have equally
/// many connections this is `k ≡ j` (mod `of`); where they have not, each gets as much work as it
/// has connections to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u32,
    of: NonZeroU32,
    connections: NonZeroU32,
}

impl Share {
    /// The whole, for a single shard.
    pub const WHOLE: Self = Self { index: 0, of: NonZeroU32::MIN, connections: NonZeroU32::MIN };

    /// The part `index` of `of`, with `connections` in total; `None` if that part has none.
    #[must_use]
    pub const fn new(index: u32, of: NonZeroU32, connections: NonZeroU32) -> Option<Self> {
        if index < of.get() && index < connections.get() {
            Some(Self { index, of, connections })
        } else {
            None
        }
    }

    /// From 0 to the number of shards − 1.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Connections of this shard; at least one.
    #[must_use]
    pub const fn connections(self) -> NonZeroU32 {
        // One, and those that follow it at a distance of `of` each.
        let others = (self.connections.get() - 1 - self.index) / self.of.get();
        NonZeroU32::MIN.saturating_add(others)
    }

    /// Connections of this shard if there were `all` in total; `None` if it had none.
    #[must_use]
    pub const fn connections_of(self, all: NonZeroU32) -> Option<NonZeroU32> {
        match Self::new(self.index, self.of, all) {
            Some(other) => Some(other.connections()),
            None => None,
        }
    }

    /// Connections of all shards.
    #[must_use]
    pub const fn connections_of_all(self) -> NonZeroU32 {
        self.connections
    }

    /// Where in a round of `len` this shard begins, so that all shards together go through it
    /// evenly.
    #[must_use]
    pub fn beginning(self, len: usize) -> u64 {
        // Both are far below 2³².
        (len as u64).saturating_mul(u64::from(self.index)) / u64::from(self.of.get())
    }

    /// The number within the whole of this shard's connection `n`.
    #[must_use]
    pub fn connection(self, n: u32) -> u64 {
        u64::from(n) * u64::from(self.of.get()) + u64::from(self.index)
    }

    /// The number within the whole of this shard's slot `n`; strictly increasing in `n`.
    #[must_use]
    pub fn slot(self, n: u64) -> u64 {
        let own = u64::from(self.connections().get());
        let connection = n % own * u64::from(self.of.get()) + u64::from(self.index);
        (n / own).saturating_mul(u64::from(self.connections.get())).saturating_add(connection)
    }

    /// How many of the slots below `end` are this shard's.
    #[must_use]
    pub fn slots_below(self, end: u64) -> u64 {
        let own = u64::from(self.connections().get());
        let (rounds, rest) =
            (end / u64::from(self.connections.get()), end % u64::from(self.connections.get()));
        let started = rest.saturating_sub(u64::from(self.index)).div_ceil(u64::from(self.of.get()));
        rounds * own + started
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
    /// Connections to each server that this shard begins with; at least one.
    pub connections: NonZeroU32,
    /// Connections to each server that it may come to have; as many as it begins with, unless the
    /// plan says otherwise.
    pub room: NonZeroU32,
    /// Closed loop with a number of requests: how many of them this shard may start. In an open
    /// loop the schedule itself says which slots are the shard's.
    pub quota: Option<u64>,
    /// The captured values that users may lack; of the whole plan, and read only.
    pub unsure: Arc<Unsure>,
}

impl ShardPlan {
    /// Places for connections, to all servers: `room` to the first, then `room` to the next.
    #[must_use]
    pub fn places(&self) -> u32 {
        let servers = u32::try_from(self.plan.servers()).unwrap_or(u32::MAX);
        self.room.get().saturating_mul(servers)
    }
}

/// Cuts a plan into one part per shard.
///
/// There are as many parts as cores, but never more than connections: a shard without a connection
/// would own slots which it could never send.
#[must_use]
pub fn split(plan: &Arc<Plan>) -> Vec<ShardPlan> {
    let of = plan.cores.shards().min(plan.connections);
    let unsure = Arc::new(plan.work.unsure());
    let parts = (0..of.get()).zip(plan.cores.cpus()).filter_map(|(index, &cpu)| {
        let share = Share::new(index, of, plan.connections)?;
        let quota = match plan.load {
            Load::Closed { .. } => plan.stop.limit.requests().map(|n| share.slots_below(n.get())),
            Load::Open { .. } => None,
        };
        let connections = share.connections();
        let room = share.connections_of(plan.most())?;
        let (plan, unsure) = (Arc::clone(plan), Arc::clone(&unsure));
        Some(ShardPlan { plan, share, cpu, connections, room, quota, unsure })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares(of: u32, connections: u32) -> Vec<Share> {
        let (of, total) = (NonZeroU32::new(of).unwrap(), NonZeroU32::new(connections).unwrap());
        (0..of.get()).filter_map(|index| Share::new(index, of, total)).collect()
    }

    proptest! {
        #[test]
        fn connections_and_slots_of_all_shards_sum_to_the_whole(
            of in 1_u32..40,
            connections in 1_u32..500,
            end: u64,
        ) {
            let shares = shares(of, connections);
            let all: u32 = shares.iter().map(|share| share.connections().get()).sum();
            prop_assert_eq!(all, connections);
            let slots: u128 = shares.iter().map(|share| u128::from(share.slots_below(end))).sum();
            prop_assert_eq!(slots, u128::from(end));
        }

        #[test]
        fn a_shard_has_work_in_proportion_to_its_connections(
            of in 1_u32..40,
            connections in 1_u32..500,
            rounds in 1_u64..1_000_000,
        ) {
            for share in shares(of, connections) {
                let own = u64::from(share.connections().get());
                prop_assert_eq!(share.slots_below(rounds * u64::from(connections)), rounds * own);
            }
        }

        #[test]
        fn slots_below_counts_the_slots_up_to_each_slot(
            of in 1_u32..40,
            connections in 1_u32..500,
            n in 0_u64..1_000_000_000_000,
        ) {
            for share in shares(of, connections) {
                prop_assert_eq!(share.slots_below(share.slot(n)), n);
                prop_assert_eq!(share.slots_below(share.slot(n) + 1), n + 1);
            }
        }
    }

    #[test]
    fn equal_shards_take_turns() {
        let shares = shares(2, 64);
        let owner = |k: u64| shares.iter().position(|s| s.slots_below(k + 1) > s.slots_below(k));
        assert!((0..200).all(|k| owner(k) == usize::try_from(k % 2).ok()));
    }
}
