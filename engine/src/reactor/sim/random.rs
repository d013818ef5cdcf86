//! Numbers that look random and come from a seed: the same seed, the same numbers.

use crate::units::Nanos;

/// A stream of numbers (`SplitMix64`, Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream `stream` of `seed`. Streams are independent, so that drawing more from one leaves
    /// the others as they were.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ Self(stream).next());
        mixed.next();
        mixed
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, each equally likely; zero if `end` is zero.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A span of up to `most`, each equally likely.
    pub(super) fn up_to(&mut self, most: Nanos) -> Nanos {
        Nanos::new(self.below(most.get().saturating_add(1)))
    }

    /// Whether something happens that does so `of_a_million` times in a million.
    pub(super) fn happens(&mut self, of_a_million: u32) -> bool {
        self.below(1_000_000) < u64::from(of_a_million)
    }

    /// A span from the exponential distribution with this mean.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for a random number")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..2^63")]
    pub(super) fn exponential(&mut self, mean: Nanos) -> Nanos {
        // Above 0 and at most 1, so that the logarithm is finite.
        let uniform = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Nanos::new((-uniform.ln() * mean.get() as f64).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_stream_give_their_own_numbers_every_time() {
        let numbers = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(numbers(7, 1), numbers(7, 1));
        assert_ne!(numbers(7, 1), numbers(7, 2));
        assert_ne!(numbers(7, 1), numbers(8, 1));
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small test numbers")]
    fn exponential_spans_have_their_mean_and_their_quantiles() {
        const N: usize = 100_000;
        let mut random = Random::new(1, 0);
        let mean = Nanos::from_millis(1);
        let mut spans: Vec<u64> = (0..N).map(|_| random.exponential(mean).get()).collect();
        spans.sort_unstable();
        let average = spans.iter().sum::<u64>() as f64 / N as f64;
        assert!((average - 1e6).abs() < 1e4, "{average}");
        let median = spans[N / 2] as f64;
        assert!((median - 1e6 * f64::ln(2.0)).abs() < 1e4, "{median}");
    }

    #[test]
    fn a_number_stays_below_its_end_and_comes_near_it() {
        let mut random = Random::new(3, 0);
        let drawn: Vec<u64> = (0..1_000).map(|_| random.below(10)).collect();
        assert!((0..10).all(|n| drawn.contains(&n)) && drawn.iter().all(|&n| n < 10));
        assert_eq!(random.below(0), 0);
        assert!(!random.happens(0) && random.happens(1_000_000));
    }
}
