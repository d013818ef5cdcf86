//! Which scenario whoever comes next goes through.

use core::num::NonZeroU32;

use crate::pace::Random;
use crate::plan::{Order, Share, Work};

/// Chooses the scenarios of a shard.
pub(super) struct Choice {
    order: Order,
    /// Where each scenario's share of all weights ends.
    shares: Box<[u64]>,
    /// The part of the whole that the shard is.
    share: Share,
    random: Random,
    /// The number of the next choice: of the scenarios chosen so far; in turn, with those before
    /// the shard's place in the round; in proportion, of the slot.
    ordinal: u64,
    /// What was chosen, for somebody who has not begun yet.
    next: Option<u16>,
}

impl Choice {
    /// The choices of the shard that is `share`, among the scenarios of `work`.
    pub(super) fn new(work: &Work, share: Share, random: Random) -> Self {
        let ordinal = match work.order() {
            Order::ByWeight | Order::InProportion | Order::Tried => 0,
            Order::InTurn => share.beginning(work.scenarios().len()),
        };
        let shares = shares(work.scenarios().iter().map(|scenario| scenario.weight));
        Self { order: work.order(), shares, share, random, ordinal, next: None }
    }

    /// Whoever begins next does so in the shard's slot with this number, if there are slots.
    #[inline]
    pub(super) fn reach(&mut self, slot: Option<u64>) {
        if let (Order::InProportion, Some(slot)) = (self.order, slot) {
            (self.ordinal, self.next) = (slot, None);
        }
    }

    /// The scenario of whoever begins next.
    pub(super) fn look(&mut self) -> u16 {
        let next = self.take();
        self.next = Some(next);
        next
    }

    /// The scenario of somebody who begins it now.
    pub(super) fn take(&mut self) -> u16 {
        if let Some(next) = self.next.take() {
            return next;
        }
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let Some(&sum) = self.shares.last().filter(|_| self.shares.len() > 1) else { return 0 };
        let chosen = match self.order {
            Order::ByWeight => {
                let drawn = (u128::from(self.random.at(ordinal)) * u128::from(sum)) >> u64::BITS;
                self.shares.partition_point(|&end| u128::from(end) <= drawn)
            }
            Order::InProportion => in_proportion(&self.shares, self.share.slot(ordinal)),
            Order::InTurn | Order::Tried => {
                let place = ordinal % self.shares.len() as u64;
                usize::try_from(place).unwrap_or_default()
            }
        };
        // There are no more than 65,535.
        u16::try_from(chosen).unwrap_or_default()
    }

    /// From now on others have these shares.
    pub(super) fn weigh(&mut self, shares: Box<[u64]>) {
        debug_assert_eq!(self.shares.len(), shares.len(), "one for each scenario");
        self.shares = shares;
    }

    /// Whether each scenario was to be tried once, and has begun.
    pub(super) fn is_over(&self) -> bool {
        let begun = self.ordinal - u64::from(self.next.is_some());
        self.order == Order::Tried && begun >= self.shares.len() as u64
    }
}

/// Where the share of each of `weights` ends, if they are laid end to end.
pub(super) fn shares(weights: impl Iterator<Item = NonZeroU32>) -> Box<[u64]> {
    let ends = weights.scan(0, |sum, weight| {
        *sum += u64::from(weight.get());
        Some(*sum)
    });
    ends.collect()
}

/// The scenario of the slot with this number within the whole, where shares end at `ends`.
///
/// The scenarios are parted into two of about the same weight. Of the first *n* slots, so many as
/// its share of *n* is, rounded, are the first part's; and so on within each part, with its slots
/// alone. So of any first slots each scenario has its share, but for two at most, whoever asks for
/// whichever slot. O(log² scenarios).
fn in_proportion(ends: &[u64], slot: u64) -> usize {
    let end = |count: usize| count.checked_sub(1).and_then(|last| ends.get(last)).unwrap_or(&0);
    let (mut from, mut to, mut slot) = (0, ends.len(), slot);
    while to - from > 1 {
        let (begin, sum) = (*end(from), *end(to) - *end(from));
        // The end that is nearest to the middle, with something on either side of it.
        let middle = begin + sum / 2;
        let above = ends.partition_point(|&end| end < middle) + 1;
        let nearer = end(above).abs_diff(middle) <= end(above - 1).abs_diff(middle);
        let parted = if nearer { above } else { above - 1 }.clamp(from + 1, to - 1);
        let (first, sum) = (u128::from(*end(parted) - begin), u128::from(sum));
        // Slots, number and weights have 64 bits.
        let among = |slots: u64| {
            let slots = (u128::from(slots) * first + sum / 2) / sum;
            u64::try_from(slots).unwrap_or(u64::MAX)
        };
        let before = among(slot);
        if among(slot.saturating_add(1)) > before {
            (slot, to) = (before, parted);
        } else {
            (slot, from) = (slot - before, parted);
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ends(weights: &[u32]) -> Box<[u64]> {
        shares(weights.iter().map(|&weight| NonZeroU32::new(weight).unwrap()))
    }

    fn slots(weights: &[u32], count: u64) -> Vec<usize> {
        (0..count).map(|slot| in_proportion(&ends(weights), slot)).collect()
    }

    #[test]
    fn slots_of_a_scenario_are_spread_evenly() {
        assert_eq!(slots(&[1, 1], 6), [0, 1, 0, 1, 0, 1]);
        assert_eq!(slots(&[2, 1], 6), [0, 1, 0, 0, 1, 0]);
        assert_eq!(slots(&[1, 2, 1], 8), slots(&[2, 4, 2], 8));
        assert_eq!(slots(&[7], 3), [0, 0, 0]);
        let rare = slots(&[100, 1], 1_010);
        let rare: Vec<usize> = (0..1_010).filter(|&slot| rare[slot] == 1).collect();
        assert!(rare.len() == 10 && rare.windows(2).all(|two| two[1] - two[0] == 101), "{rare:?}");
    }

    proptest! {
        #[test]
        fn of_any_first_slots_each_scenario_has_its_share(
            weights in prop::collection::vec(prop_oneof![1_u32..10, 1..=u32::MAX], 1..40),
            first in 0_u64..=u64::MAX / 2,
        ) {
            let ends = ends(&weights);
            let sum = u128::from(*ends.last().unwrap());
            // From a multiple of the sum on, nobody is ahead or behind.
            let first = first - u64::try_from(u128::from(first) % sum).unwrap();
            let mut counts = vec![0_u128; weights.len()];
            for passed in 1..=300_u128 {
                let slot = first + u64::try_from(passed).unwrap() - 1;
                counts[in_proportion(&ends, slot)] += 1;
                for (&count, &weight) in counts.iter().zip(&weights) {
                    let ahead = (count * sum).abs_diff(passed * u128::from(weight));
                    prop_assert!(ahead < 2 * sum, "{count} of {passed}: {weight} of {sum}");
                }
            }
        }

        #[test]
        fn a_round_has_as_many_slots_of_each_as_its_weight(
            weights in prop::collection::vec(1_u32..50, 1..10),
            round in 0_u64..1_000_000_000,
        ) {
            let ends = ends(&weights);
            let sum = *ends.last().unwrap();
            let mut counts = vec![0; weights.len()];
            (0..sum).for_each(|n| counts[in_proportion(&ends, round * sum + n)] += 1);
            prop_assert_eq!(counts, weights);
        }
    }
}
