//! Random numbers by their number: the `n`-th of a stream is computed from `n` and a key.
//!
//! So any shard can tell where any slot lies, and two runs with one seed have one schedule, on any
//! machine. The generator is `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom
//! number generators", 2014): a counter, and a mixer that makes each bit depend on each.

/// A stream of random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random {
    key: u64,
}

/// 2⁶⁴ divided by the golden ratio, made odd: the counter's step.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The stream `stream` of those that `seed` has.
    pub(crate) const fn new(seed: u64, stream: u64) -> Self {
        // Mixed twice: streams of one seed, and one stream of several, begin far apart.
        Self { key: mix(mix(seed.wrapping_add(STEP)) ^ stream) }
    }

    /// The stream's number `n`, all of whose bits are random.
    pub(crate) const fn at(self, n: u64) -> u64 {
        mix(self.key.wrapping_add(n.wrapping_add(1).wrapping_mul(STEP)))
    }

    /// The same as a float above 0 and up to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits and no more")]
    pub(super) const fn unit(self, n: u64) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        ((self.at(n) >> 11) + 1) as f64 * UNIT
    }
}

/// A one-to-one scrambling of 64 bits.
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers that the generator's authors give for the seed 1234567.
    #[test]
    fn the_generator_is_the_one_that_it_claims_to_be() {
        let random = Random { key: 1_234_567 };
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.at(0), random.at(1)], expected);
    }

    #[test]
    fn units_are_above_zero_and_spread_evenly() {
        let random = Random::new(1, 0);
        let units: Vec<f64> = (0..100_000).map(|n| random.unit(n)).collect();
        assert!(units.iter().all(|&unit| 0.0 < unit && unit <= 1.0));
        for tenth in 0..10 {
            let (from, to) = (f64::from(tenth) / 10.0, f64::from(tenth + 1) / 10.0);
            let within = units.iter().filter(|&&unit| from < unit && unit <= to).count();
            // Four standard deviations of 95.
            assert!(within.abs_diff(10_000) < 380, "{within} in tenth {tenth}");
        }
    }

    #[test]
    fn seeds_and_streams_differ() {
        let first = |seed, stream| Random::new(seed, stream).at(0);
        let mut all: Vec<u64> =
            (0..50).flat_map(|seed| (0..50).map(move |stream| first(seed, stream))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2_500);
    }
}
