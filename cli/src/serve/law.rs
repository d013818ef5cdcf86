//! How long the queue's server works on each request: a law with a known mean, drawn from a seed.
//!
//! A constant makes the queue one of type D (deterministic), an exponential law one of type M, and
//! for both queueing theory gives the whole distribution of response times. The same seed gives the
//! same times in the same order, so that a run can be repeated.

use pummel_engine::units::Nanos;

/// How long the server of the queue works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Service {
    /// There is no queue.
    #[default]
    None,
    /// As long on each request.
    Constant(Nanos),
    /// Exponentially distributed.
    Exponential { mean: Nanos, seed: u64 },
}

impl Service {
    /// The law as the shard of this number draws from it: each has a stream of its own.
    pub(super) fn of_shard(self, shard: u64) -> Self {
        match self {
            Self::Exponential { mean, seed } => {
                Self::Exponential { mean, seed: scramble(seed.wrapping_add(scramble(shard))) }
            }
            Self::None | Self::Constant(_) => self,
        }
    }
}

/// The times of service, one after the other.
#[derive(Debug)]
pub(super) struct Times {
    service: Service,
    state: u64,
}

/// Added to the state for each number: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Times {
    pub(super) fn of(service: Service) -> Self {
        let state = match service {
            Service::Exponential { seed, .. } => seed,
            Service::None | Service::Constant(_) => 0,
        };
        Self { service, state }
    }

    /// How long the next request is worked on; `None` if there is no queue. O(1).
    pub(super) fn draw(&mut self) -> Option<Nanos> {
        match self.service {
            Service::None => None,
            Service::Constant(time) => Some(time),
            Service::Exponential { mean, .. } => Some(exponential(mean, self.uniform())),
        }
    }

    /// Uniform in [0, 1), from the generator `SplitMix64` (Steele, Lea and Flood, 2014).
    #[expect(clippy::cast_precision_loss, reason = "53 bits are all that is kept")]
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(STEP);
        (scramble(self.state) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The exponential quantile of `uniform`, to the nanosecond; 36.8 times the mean at most.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "neither negative nor more than 37 years, as a mean is at most a year"
)]
fn exponential(mean: Nanos, uniform: f64) -> Nanos {
    Nanos::new((-(-uniform).ln_1p() * mean.get() as f64).round() as u64)
}

/// Spreads the bits of `n` over all 64 of them, one to one.
const fn scramble(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEAN: Nanos = Nanos::from_millis(1);

    fn times(service: Service, count: usize) -> Vec<u64> {
        let mut times = Times::of(service);
        (0..count).map(|_| times.draw().unwrap().get()).collect()
    }

    #[test]
    fn the_generator_is_the_one_that_is_named() {
        // The first two numbers of SplitMix64 from the state 0, as published with it.
        let (one, two) = (scramble(STEP), scramble(STEP.wrapping_mul(2)));
        assert_eq!((one, two), (0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4));
    }

    #[test]
    fn a_constant_is_one_and_nothing_is_none() {
        assert_eq!(times(Service::Constant(MEAN), 3), [1_000_000; 3]);
        assert_eq!(Times::of(Service::None).draw(), None);
    }

    #[test]
    fn the_quantiles_of_the_law_are_those_of_the_books() {
        assert_eq!(exponential(MEAN, 0.0), Nanos::ZERO);
        // ln 2, ln 100.
        assert_eq!(exponential(MEAN, 0.5), Nanos::new(693_147));
        assert_eq!(exponential(MEAN, 0.99), Nanos::new(4_605_170));
        let last = exponential(MEAN, 1.0 - f64::EPSILON / 2.0);
        assert!(last < MEAN.saturating_mul(37), "{last}");
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small test numbers")]
    fn exponential_times_have_their_mean_and_their_shape() {
        const COUNT: usize = 100_000;
        for seed in [0, 1, 2, u64::MAX] {
            let law = Service::Exponential { mean: MEAN, seed };
            for shard in [0, 1] {
                let mut times = times(law.of_shard(shard), COUNT);
                let mean = times.iter().sum::<u64>() as f64 / COUNT as f64;
                // Four standard errors of the mean.
                let error = 4.0 * 1e6 / (COUNT as f64).sqrt();
                assert!((mean - 1e6).abs() < error, "seed {seed}, shard {shard}: mean {mean}");
                times.sort_unstable();
                let distance = |(rank, &time): (usize, &u64)| {
                    let expected = 1.0 - (-(time as f64) / 1e6).exp();
                    let [below, up_to] = [rank, rank + 1].map(|rank| rank as f64 / COUNT as f64);
                    (expected - below).abs().max((expected - up_to).abs())
                };
                let greatest = times.iter().enumerate().map(distance).fold(0.0, f64::max);
                // Dvoretzky, Kiefer and Wolfowitz at 0.1 %: sqrt(ln(2000) / 2n).
                let bound = (2_000_f64.ln() / (2.0 * COUNT as f64)).sqrt();
                assert!(greatest < bound, "seed {seed}, shard {shard}: {greatest}");
            }
        }
    }

    #[test]
    fn times_one_after_the_other_have_nothing_to_do_with_each_other() {
        let times = times(Service::Exponential { mean: MEAN, seed: 1 }, 100_000);
        // Whether each of two neighbours is above the median: all four cases are as frequent.
        let above = |&time: &u64| usize::from(time > 693_147);
        let mut cases = [0_u32; 4];
        for pair in times.chunks_exact(2) {
            cases[above(&pair[0]) * 2 + above(&pair[1])] += 1;
        }
        // Four standard deviations of a count of 50,000 with probability a quarter.
        assert!(cases.iter().all(|case| case.abs_diff(12_500) < 388), "{cases:?}");
    }

    proptest! {
        #[test]
        fn a_seed_says_all_and_each_shard_has_its_own(seed: u64) {
            let law = Service::Exponential { mean: MEAN, seed };
            prop_assert_eq!(times(law.of_shard(0), 20), times(law.of_shard(0), 20));
            prop_assert_ne!(times(law.of_shard(0), 20), times(law.of_shard(1), 20));
            let other = Service::Exponential { mean: MEAN, seed: seed.wrapping_add(1) };
            prop_assert_ne!(times(law.of_shard(0), 20), times(other.of_shard(0), 20));
        }
    }
}
