//! Which row comes next, where that is not the one behind the last.

/// In which order rows are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they stand in the file.
    Sequential,
    /// Each once, in an order of its own each time.
    Shuffled,
    /// Any row at any time.
    Random,
}

/// A one-to-one scrambling of the numbers below some other, of which nothing has to be kept.
///
/// A network of Feistel's on the least even number of bits that hold them all; whatever falls
/// beyond them goes through it again, at most four times on average.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shuffle {
    key: u64,
    below: u64,
    /// Bits of each half.
    half: u32,
}

/// Enough for the order to look like none.
const ROUNDS: u64 = 6;

impl Shuffle {
    pub(super) fn new(key: u64, below: u64) -> Self {
        let bits = u64::BITS - below.saturating_sub(1).leading_zeros();
        Self { key, below, half: bits.div_ceil(2).max(1) }
    }

    /// Where `number`, which is below the bound, comes to stand.
    pub(super) fn at(self, number: u64) -> u64 {
        let mut number = self.scramble(number);
        while number >= self.below {
            number = self.scramble(number);
        }
        number
    }

    fn scramble(self, number: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for round in 0..ROUNDS {
            let mixed = mix(right ^ mix(self.key.wrapping_add(round))) & mask;
            (left, right) = (right, left ^ mixed);
        }
        left << self.half | right
    }
}

/// The random number `n` of those that belong to `key`.
pub(super) fn random(key: u64, n: u64) -> u64 {
    mix(mix(key).wrapping_add(n))
}

/// Any of the numbers below `below`, by all bits of `random`.
pub(super) fn within(random: u64, below: u64) -> u64 {
    let scaled = (u128::from(random) * u128::from(below)) >> u64::BITS;
    u64::try_from(scaled).unwrap_or_default()
}

/// A key for what is called `name` in a run with this seed.
pub(crate) fn key(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mix(seed), |key, byte| mix(key ^ u64::from(byte)))
}

/// A one-to-one scrambling of 64 bits, `SplitMix64` (Steele, Lea and Flood, 2014).
const fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shuffle_has_each_number_once(key: u64, below in 1_u64..3_000) {
            let shuffle = Shuffle::new(key, below);
            let mut all: Vec<u64> = (0..below).map(|number| shuffle.at(number)).collect();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..below));
        }

        #[test]
        fn a_drawn_number_is_below_the_bound(random: u64, below in 1_u64..) {
            prop_assert!(within(random, below) < below);
        }
    }

    #[test]
    fn shuffles_differ_by_their_keys_and_leave_nothing_where_it_was() {
        let of = |key| Shuffle::new(key, 1_000);
        let same = (0..1_000).filter(|&n| of(1).at(n) == of(2).at(n)).count();
        let left = (0..1_000).filter(|&n| of(1).at(n) == n).count();
        // One each is what chance leaves.
        assert!(same < 8 && left < 8, "{same} {left}");
        // Neighbours do not stay neighbours, and no part of the numbers comes first.
        let near = (1..1_000).filter(|&n| of(1).at(n).abs_diff(of(1).at(n - 1)) == 1).count();
        assert!(near < 12, "{near}");
        let low = (0..500).filter(|&n| of(1).at(n) < 500).count();
        assert!(low.abs_diff(250) < 60, "{low}");
    }

    #[test]
    fn what_is_drawn_is_spread_evenly() {
        let mut counts = [0; 10];
        for n in 0..10_000 {
            counts[usize::try_from(within(random(7, n), 10)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (880..1_120).contains(count)), "{counts:?}");
        assert_ne!(key(1, "a"), key(1, "b"));
        assert_ne!(key(1, "a"), key(2, "a"));
    }
}
