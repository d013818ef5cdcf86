//! Placement: which CPU carries which shard. Pure.
//!
//! By default one CPU stays free for the coordinator, for everything else on the machine and for
//! interrupts. It is the lowest-numbered one, where interrupts tend to land. The others are taken
//! in the order of what they are worth to a shard: first those that have a core to themselves, then
//! the one beside the free CPU, then those that share a core with a shard; among these, first those
//! at the memory node of the network card, then those on which no interrupts of it arrive.

use core::num::NonZeroU32;

use crate::host::Host;
use crate::host::cpu::{CpuList, Quota};
use crate::host::net::Card;

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Number of shards.
    pub shards: Option<NonZeroU32>,
    /// CPUs to run them on, one each.
    pub cores: Option<CpuList>,
}

/// CPUs for shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// One CPU per shard, best first; as they were listed, if they were. Never empty.
    pub shards: Vec<usize>,
    /// The lowest allowed CPU without a shard; `None` if every allowed CPU has one.
    pub free: Option<usize>,
}

/// A wish that this machine cannot fulfil.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// More shards than CPUs to pin them to.
    #[error("{wanted} shards need {wanted} CPUs, and {usable} may be used: {from}")]
    TooManyShards {
        /// Shards asked for.
        wanted: u32,
        /// CPUs there are.
        usable: usize,
        /// Those CPUs.
        from: CpuList,
    },
    /// Fewer shards than CPUs that were named for them.
    #[error(
        "number of shards {wanted} does not match the {} CPUs that are named: {named}; \
         name one CPU per shard, or leave the number of shards out",
        named.len()
    )]
    TooFewShards {
        /// Shards asked for.
        wanted: u32,
        /// CPUs asked for.
        named: CpuList,
    },
    /// A CPU that this process may not run on.
    #[error("CPU {cpu} is not allowed for this process; allowed: {allowed}")]
    NotAllowed {
        /// The CPU asked for.
        cpu: usize,
        /// CPUs that are allowed.
        allowed: CpuList,
    },
}

/// Chooses CPUs for shards.
///
/// Without a wish: all allowed CPUs but the lowest, at most as many as the CPU quota can feed less
/// one, and at least one. The quota does not bind an explicit wish, which may know better.
///
/// # Errors
/// [`PlacementError`] if the wish names a CPU that is not allowed, more shards than CPUs, or fewer
/// than it names CPUs.
pub fn place(host: &Host, wanted: &Wanted) -> Result<Placement, PlacementError> {
    let allowed = &host.cpus.allowed;
    let candidates: Vec<usize> = match &wanted.cores {
        Some(cores) => {
            if let Some(cpu) = cores.iter().find(|&cpu| !allowed.contains(cpu)) {
                return Err(PlacementError::NotAllowed { cpu, allowed: allowed.clone() });
            }
            cores.iter().collect()
        }
        None => by_worth(host),
    };
    let count = match (wanted.shards, &wanted.cores) {
        (Some(shards), _) => usize::try_from(shards.get()).unwrap_or(usize::MAX),
        (None, Some(_)) => candidates.len(),
        (None, None) => {
            let fed = host.cpus.quota.map_or(usize::MAX, Quota::cpus_ceil);
            candidates.len().min(fed).saturating_sub(1).max(1)
        }
    };
    if count > candidates.len() {
        return Err(PlacementError::TooManyShards {
            wanted: u32::try_from(count).unwrap_or(u32::MAX),
            usable: candidates.len(),
            from: wanted.cores.clone().unwrap_or_else(|| allowed.clone()),
        });
    }
    if let Some(named) = wanted.cores.clone().filter(|named| count < named.len()) {
        let wanted = u32::try_from(count).unwrap_or(u32::MAX);
        return Err(PlacementError::TooFewShards { wanted, named });
    }
    let shards: Vec<usize> = candidates.into_iter().take(count).collect();
    let free = allowed.iter().find(|cpu| !shards.contains(cpu));
    Ok(Placement { shards, free })
}

/// The allowed CPUs, best first. The lowest comes last: it is taken only when nothing else is left.
fn by_worth(host: &Host) -> Vec<usize> {
    let topology = &host.cpus.topology;
    let card = busiest_card(&host.net.cards);
    let lowest = host.cpus.allowed.iter().next();
    let threads_before = |cpu: usize| {
        let core = topology.cores.iter().find(|core| core.contains(cpu));
        core.map_or(0, |core| core.iter().take_while(|thread| *thread != cpu).count())
    };
    let far = |cpu| {
        card.and_then(|card| card.node)
            .is_some_and(|near| topology.node_of(cpu).is_some_and(|node| node != near))
    };
    let busy = card.and_then(Card::interrupted);
    let interrupted = |cpu| busy.as_ref().is_some_and(|cpus| cpus.contains(cpu));
    let mut cpus: Vec<usize> = host.cpus.allowed.iter().collect();
    cpus.sort_by_cached_key(|&cpu| {
        let is_lowest = Some(cpu) == lowest;
        // Within the core of the free CPU, the next one has it nearly to itself.
        let beside =
            !is_lowest && lowest.is_some_and(|it| topology.core_of(it) == topology.core_of(cpu));
        let sharing = threads_before(cpu);
        (is_lowest, sharing, !beside && sharing > 0, far(cpu), interrupted(cpu), cpu)
    });
    cpus
}

/// The card that load most likely leaves by: the fastest, and of several the first.
fn busiest_card(cards: &[Card]) -> Option<&Card> {
    cards.iter().rev().max_by_key(|card| card.speed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    fn host(allowed: &str, quota: Option<Quota>) -> Host {
        let mut host = crate::inspect_below(Machine::of(&[]).root());
        host.cpus.allowed = allowed.parse().unwrap();
        host.cpus.quota = quota;
        host
    }

    #[track_caller]
    fn check(
        host: &Host,
        shards: u32,
        cores: &str,
        expected: Result<(&[usize], Option<usize>), &str>,
    ) {
        let wanted = Wanted { shards: NonZeroU32::new(shards), cores: cores.parse().ok() };
        let placed = place(host, &wanted);
        match expected {
            Ok((shards, free)) => {
                assert_eq!(placed, Ok(Placement { shards: shards.to_vec(), free }));
            }
            Err(text) => assert_eq!(placed.map_err(|error| error.to_string()), Err(text.into())),
        }
    }

    #[test]
    fn by_default_the_lowest_cpu_stays_free() {
        check(&host("0-3", None), 0, "", Ok((&[1, 2, 3], Some(0))));
        check(&host("4,6", None), 0, "", Ok((&[6], Some(4))));
    }

    #[test]
    fn a_single_cpu_carries_a_shard_and_nothing_stays_free() {
        check(&host("5", None), 0, "", Ok((&[5], None)));
    }

    #[test]
    fn a_quota_bounds_the_default_but_not_a_wish() {
        let host = host("0-7", Quota::new(250_000, 100_000));
        check(&host, 0, "", Ok((&[1, 2], Some(0))));
        check(&host, 4, "", Ok((&[1, 2, 3, 4], Some(0))));
        check(&self::host("0-7", Quota::new(1, 100)), 0, "", Ok((&[1], Some(0))));
    }

    #[test]
    fn as_many_shards_as_cpus_take_them_all() {
        check(&host("0-1", None), 2, "", Ok((&[1, 0], None)));
    }

    #[test]
    fn more_shards_than_cpus_are_refused_with_the_number_there_is() {
        check(&host("0-1", None), 3, "", Err("3 shards need 3 CPUs, and 2 may be used: 0-1"));
        check(&host("0-3", None), 2, "1", Err("2 shards need 2 CPUs, and 1 may be used: 1"));
    }

    /// A server with 2 nodes of 8 cores of 2 hyperthreads, and the fastest card at the second.
    const BARE_METAL: &str = include_str!("../testdata/bare-metal.txt");

    #[test]
    fn cores_near_the_card_come_first_and_second_threads_last() {
        let host = crate::inspect_below(Machine::recorded(BARE_METAL).root());
        let placed = |shards| {
            let wanted = Wanted { shards: NonZeroU32::new(shards), cores: None };
            place(&host, &wanted).unwrap().shards
        };
        assert_eq!(placed(4), [8, 9, 10, 11]);
        let cores: Vec<usize> = (8..16).chain(1..8).collect();
        assert_eq!(placed(15), cores);
        assert_eq!(placed(16).last(), Some(&16), "beside the free CPU");
        assert_eq!(placed(17).last(), Some(&24), "beside a shard, near the card");
        assert_eq!(placed(0).len(), 31);
        assert_eq!(placed(32).last(), Some(&0));
    }

    #[test]
    fn cpus_on_which_the_card_interrupts_come_after_their_likes() {
        let mut host = host("0-3", None);
        let interrupts = [(40, "1-2".parse().unwrap())].into();
        host.net.cards = vec![Card { interrupts, ..Card::default() }];
        check(&host, 2, "", Ok((&[3, 1], Some(0))));
        host.net.cards.push(Card { speed: Some(100), ..Card::default() });
        check(&host, 2, "", Ok((&[1, 2], Some(0))));
    }

    #[test]
    fn every_core_that_is_listed_carries_a_shard() {
        check(&host("0-7", None), 0, "0,3-4", Ok((&[0, 3, 4], Some(1))));
        check(&host("0-7", None), 3, "0,3-4", Ok((&[0, 3, 4], Some(1))));
    }

    #[test]
    fn a_core_that_would_be_listed_in_vain_is_refused() {
        let error = "number of shards 2 does not match the 3 CPUs that are named: 0,3-4; \
                     name one CPU per shard, or leave the number of shards out";
        check(&host("0-7", None), 2, "0,3-4", Err(error));
    }

    #[test]
    fn a_core_that_is_not_allowed_is_named_beside_those_that_are() {
        let error = "CPU 9 is not allowed for this process; allowed: 0-3";
        check(&host("0-3", None), 0, "1,9", Err(error));
    }
}
