//! The interval of a quantile, as ranks: distribution-free, for independent samples.
//!
//! Of `n` samples in order, the number that lie below the true quantile is binomial whatever the
//! distribution is. So two ranks can be named between which the quantile lies in 95 of 100 cases.
//! The caller reads the values at these ranks from its cumulative counts.
//!
//! Source: David and Nagaraja, *Order Statistics* (2003), section 7.1. The normal approximation is
//! that of Conover, *Practical Nonparametric Statistics* (1999), section 3.2, rounded outwards.

use super::{Z, real, whole};

/// What may be missed on either side of an interval.
const TAIL: f64 = 0.025;

/// Most samples for which the binomial sum is taken term by term. Above it the normal approximation
/// covers 95 % as well: it is rounded outwards, and held within the samples.
const EXACT_MOST: u64 = 1_000;

/// The ranks `j` and `k`, counted from 1, with the quantile `q` of the distribution between the
/// `j`-th and the `k`-th smallest of `n` samples in at least 95 % of cases.
///
/// `None` where one of them does not exist: with fewer than [`samples_needed`] even the greatest
/// (or the least) sample is no bound. O(n) up to 1000 samples, O(1) above.
#[must_use]
pub fn ranks(n: u64, q: f64) -> Option<(u64, u64)> {
    rarer(q)?;
    if n < samples_needed(q) {
        return None;
    }
    if n <= EXACT_MOST {
        // From the top, ranks of `q` are those of `1 − q` from the bottom.
        return Some((exact(n, q), n + 1 - exact(n, 1.0 - q)));
    }
    let (middle, reach) = (real(n) * q, Z * (real(n) * q * (1.0 - q)).sqrt());
    // With just enough samples the approximation reaches beyond them; the outermost ones suffice.
    let least = whole((middle - reach).floor()).max(1);
    let greatest = whole((middle + reach).ceil()).saturating_add(1).min(n);
    Some((least, greatest))
}

/// The fewest samples of which the least and the greatest bound the quantile `q`; `u64::MAX` where
/// no number suffices, because `q` does not lie between 0 and 1.
///
/// They are 368 for p99 and for p1, 3,688 for p99.9.
#[must_use]
pub fn samples_needed(q: f64) -> u64 {
    // All of n samples lie on one side with probability max(q, 1 − q)ⁿ.
    rarer(q).map_or(u64::MAX, |rarer| whole((TAIL.ln() / (-rarer).ln_1p()).ceil()))
}

/// The rank, counted from 1, at which `n` samples in order have the quantile `q`: the nearest rank
/// `⌈q·n⌉`. `None` without samples, or where `q` is not from 0 to 1.
#[must_use]
pub fn nearest_rank(n: u64, q: f64) -> Option<u64> {
    if n == 0 || !(0.0..=1.0).contains(&q) {
        return None;
    }
    // 0.07 × 100 is a little more than 7 in binary, and must not become 8.
    Some(whole((q * real(n)).next_down().ceil()).clamp(1, n))
}

/// The probability of the rarer side of `q`; `None` where there is none.
fn rarer(q: f64) -> Option<f64> {
    (q > 0.0 && q < 1.0).then_some(q.min(1.0 - q))
}

/// The greatest rank `j` with at most [`TAIL`] for fewer than `j` of `n` samples below `q`.
fn exact(n: u64, q: f64) -> u64 {
    let odds = (q / (1.0 - q)).ln();
    // As a logarithm, because 0.01¹⁰⁰⁰ is no number any more.
    let mut term = real(n) * (-q).ln_1p();
    let mut sum = 0.0;
    for below in 0..n {
        sum += term.exp();
        if sum > TAIL {
            return below.max(1);
        }
        term += (real(n - below) / real(below + 1)).ln() + odds;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quantile_needs_as_many_samples_as_the_literature_says() {
        let needed = [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3_688)];
        for (q, n) in needed.into_iter().chain([(0.9999, 36_887), (0.99999, 368_887)]) {
            assert_eq!(samples_needed(q), n, "of {q}");
            assert_eq!(ranks(n - 1, q), None, "of {q}");
            assert!(ranks(n, q).is_some_and(|(_, greatest)| greatest == n), "of {q}");
        }
        assert_eq!((samples_needed(0.01), samples_needed(0.001)), (368, 3_688));
        assert_eq!(ranks(368, 0.01).map(|(least, _)| least), Some(1));
    }

    /// From `binom.ppf` and `binom.cdf` of `SciPy` 1.17: the greatest j with `cdf(j − 1) ≤ 0.025`,
    /// and the same from the other end.
    #[test]
    fn few_samples_have_the_ranks_of_the_binomial_sum() {
        for (n, q, expected) in [
            (6, 0.5, (1, 6)),
            (10, 0.5, (2, 9)),
            (100, 0.5, (40, 61)),
            (1_000, 0.5, (469, 532)),
            (20, 0.25, (2, 10)),
            (37, 0.1, (1, 9)),
            (1_000, 0.9, (881, 919)),
            (999, 0.95, (935, 963)),
            (368, 0.99, (360, 368)),
            (1_000, 0.99, (983, 997)),
            (500, 0.01, (1, 11)),
        ] {
            assert_eq!(ranks(n, q), Some(expected), "of {n} at {q}");
        }
    }

    /// Computed with Python from the formula; their coverage by `SciPy` is 0.9501 to 0.9834.
    #[test]
    fn many_samples_have_the_ranks_of_the_normal_approximation() {
        for (n, q, expected) in [
            (1_001, 0.99, (984, 999)),
            (3_688, 0.999, (3_680, 3_688)),
            (36_887, 0.9999, (36_879, 36_887)),
            (100_000, 0.999, (99_880, 99_921)),
            (1_000_000, 0.5, (499_020, 500_981)),
            (1_000_000, 0.99, (989_804, 990_197)),
            (1_000_000, 0.01, (9_804, 10_197)),
        ] {
            assert_eq!(ranks(n, q), Some(expected), "of {n} at {q}");
        }
    }

    #[test]
    fn what_is_no_quantile_has_no_ranks() {
        for q in [0.0, 1.0, -0.5, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((ranks(u64::MAX, q), samples_needed(q)), (None, u64::MAX), "of {q}");
        }
        assert_eq!(ranks(0, 0.5), None);
        // No number that a run could reach: the least positive number, and one next to 1.
        assert_eq!(samples_needed(f64::MIN_POSITIVE), u64::MAX);
        assert_eq!(ranks(u64::MAX, f64::MIN_POSITIVE).map(|(least, _)| least), Some(1));
        assert!(samples_needed(1.0_f64.next_down()) > 1 << 53);
    }

    #[test]
    fn the_nearest_rank_is_not_moved_by_the_rounding_of_a_product() {
        let rank = |n, q| nearest_rank(n, q).unwrap();
        assert_eq!((rank(100, 0.07), rank(100, 0.99), rank(1_000, 0.999)), (7, 99, 999));
        assert_eq!((rank(10, 0.0), rank(10, 0.01), rank(10, 0.11), rank(10, 1.0)), (1, 1, 2, 10));
        for (n, q) in [(0, 0.5), (5, -0.1), (5, 1.1), (5, f64::NAN), (5, f64::INFINITY)] {
            assert_eq!(nearest_rank(n, q), None, "of {n} at {q}");
        }
    }

    /// Share of 1000 seeded samples of `n` uniform numbers, of which the quantile `q` is `q`, that
    /// have it between the ranks.
    fn coverage(n: u64, q: f64) -> f64 {
        let mut random = Seeded::new(n);
        let (least, greatest) = ranks(n, q).unwrap();
        let covers = |random: &mut Seeded| {
            let below = (0..n).filter(|_| random.uniform() < q).count() as u64;
            // The j-th smallest is below q when at least j are.
            least <= below && below < greatest
        };
        super::super::length((0..1_000).filter(|_| covers(&mut random)).count()) / 1_000.0
    }

    #[test]
    fn the_interval_holds_the_truth_in_95_of_100_samples() {
        for (n, q) in [(1_000, 0.5), (1_000, 0.9), (5_000, 0.5), (5_000, 0.9), (20_000, 0.99)] {
            let share = coverage(n, q);
            assert!((0.93..=0.97).contains(&share), "{share} of {n} at {q}");
        }
        // Where the ranks are few they cannot be met exactly, and the interval is too wide instead.
        for (n, q) in [(10, 0.5), (40, 0.9), (400, 0.99), (1_001, 0.99), (4_000, 0.999)] {
            let share = coverage(n, q);
            assert!(share >= 0.94, "{share} of {n} at {q}");
        }
    }

    proptest! {
        #[test]
        fn ranks_lie_within_the_samples_and_around_the_quantile(n in 1_u64..5_000, q in 0.0..1.0) {
            if let Some((least, greatest)) = ranks(n, q) {
                let own = nearest_rank(n, q).unwrap();
                prop_assert!(1 <= least && least <= own && own <= greatest && greatest <= n);
            }
        }

        #[test]
        fn no_input_is_too_hostile(n: u64, q: f64) {
            let needed = samples_needed(q);
            if let Some((least, greatest)) = ranks(n, q) {
                prop_assert!(needed <= n && 1 <= least && least < greatest && greatest <= n);
            }
        }
    }
}
