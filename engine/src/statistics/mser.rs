//! Where the warm-up ends: MSER-5, the marginal standard error rule on means of five.
//!
//! Leaving out more of the beginning takes bias away, and samples with it. The rule cuts where the
//! standard error of the mean of what is kept is least. It is advice: series can be made for which
//! it fails (Wang and Glynn 2016), so a caller warns and does not cut in silence.
//!
//! Source: White, "An effective truncation heuristic for bias reduction in simulation output"
//! (1997); Spratt, *Heuristics for the Startup Problem* (1998) for the batches of five.

use super::length;

/// Observations whose mean is one value of the rule.
const BATCH: usize = 5;

/// Fewest batches to judge by. Of fewer, even a series that is nothing but noise is cut at its
/// middle, and called unsteady, more often than once in twenty times.
const BATCHES_MIN: usize = 15;

/// What the rule says of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// The warm-up ends after so many observations; a multiple of five, and 0 without a warm-up.
    After(usize),
    /// The best place to cut is the middle of the series, the last that the rule may take.
    NoSteadyState,
    /// The series is too short, or holds what is not a number.
    Unknown,
}

/// Finds the end of the warm-up in a series of one value per equal interval. O(n).
///
/// Minimises `Σ(Z − mean)² / (m − d)²` over `0 ≤ d ≤ m/2`, where `Z` are the `m` means of five and
/// sum and mean are over those after the `d`-th. Up to four observations at the end are left over.
#[must_use]
pub fn truncation(series: &[f64]) -> Truncation {
    let batches = series.len() / BATCH;
    if batches < BATCHES_MIN || !series.iter().all(|value| value.is_finite()) {
        return Truncation::Unknown;
    }
    let furthest = batches / 2;
    let (mut kept, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let mut best = (f64::INFINITY, furthest);
    // From the end, so that one pass (Welford 1962) has the squares of every remainder.
    for (cut, batch) in series.chunks_exact(BATCH).enumerate().rev() {
        let value = batch.iter().sum::<f64>() / length(BATCH);
        kept += 1.0;
        let off = value - mean;
        mean += off / kept;
        squares += off * (value - mean);
        let error = squares / (kept * kept);
        // Of places that are equally good, the earliest keeps most.
        if cut <= furthest && error <= best.0 {
            best = (error, cut);
        }
    }
    match best {
        _ if !f64::is_finite(squares) => Truncation::Unknown,
        (_, cut) if cut == furthest => Truncation::NoSteadyState,
        (_, cut) => Truncation::After(cut * BATCH),
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::*;
    use proptest::prelude::*;

    /// The rule as it is written down, with a sum for every place to cut.
    fn by_the_book(series: &[f64]) -> Truncation {
        let means: Vec<f64> =
            series.chunks_exact(5).map(|batch| batch.iter().sum::<f64>() / 5.0).collect();
        let error = |cut: usize| {
            let rest = &means[cut..];
            let mean = rest.iter().sum::<f64>() / length(rest.len());
            let squares: f64 = rest.iter().map(|z| (z - mean).powi(2)).sum();
            squares / length(rest.len()).powi(2)
        };
        let furthest = means.len() / 2;
        let best = (0..=furthest).min_by(|&a, &b| error(a).total_cmp(&error(b))).unwrap();
        if best == furthest { Truncation::NoSteadyState } else { Truncation::After(5 * best) }
    }

    fn noise(length: usize, seed: u64) -> Vec<f64> {
        let mut random = Seeded::new(seed);
        (0..length).map(|_| 10.0 + random.normal()).collect()
    }

    #[test]
    fn a_ramp_is_cut_off_where_it_ends() {
        let mut series = noise(600, 1);
        for (value, above) in series.iter_mut().take(100).zip((0..100_u32).rev()) {
            *value += f64::from(above);
        }
        // The last of the ramp is lost in the noise, so it may be cut a little early.
        let Truncation::After(cut) = truncation(&series) else { panic!("no steady state") };
        assert!((85..=105).contains(&cut), "{cut}");
    }

    #[test]
    fn a_step_is_cut_off_at_the_next_batch() {
        for (step, cut) in [(1, 5), (4, 5), (5, 5), (6, 10), (50, 50)] {
            let series: Vec<f64> = (0..200).map(|i| if i < step { 9.0 } else { 2.0 }).collect();
            assert_eq!(truncation(&series), Truncation::After(cut), "a step after {step}");
        }
    }

    #[test]
    fn a_series_that_never_settles_has_no_steady_state() {
        let rising: Vec<f64> = (0..300).map(f64::from).collect();
        assert_eq!(truncation(&rising), Truncation::NoSteadyState);
        let falling: Vec<f64> = rising.iter().map(|value| -value).collect();
        assert_eq!(truncation(&falling), Truncation::NoSteadyState);
    }

    #[test]
    fn noise_alone_is_rarely_taken_for_a_warm_up() {
        let unsteady = |length| {
            let steady = |seed| truncation(&noise(length, seed)) != Truncation::NoSteadyState;
            (0..400).filter(|&seed| !steady(seed)).count()
        };
        assert!(unsteady(75) <= 28, "{} of 400 short series", unsteady(75));
        assert!(unsteady(600) <= 3, "{} of 400 long series", unsteady(600));
    }

    #[test]
    fn a_constant_series_is_steady_from_the_start() {
        assert_eq!(truncation(&[0.1; 100]), Truncation::After(0));
        assert_eq!(truncation(&[0.0; 77]), Truncation::After(0));
    }

    #[test]
    fn a_series_that_says_nothing_is_unknown() {
        for short in [0, 1, 4, 5, 74] {
            assert_eq!(truncation(&vec![1.0; short]), Truncation::Unknown, "{short} values");
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            // Also where it belongs to no batch.
            for place in [0, 50, 99, 100] {
                let mut series = noise(101, 3);
                series[place] = bad;
                assert_eq!(truncation(&series), Truncation::Unknown, "{bad} at {place}");
            }
        }
        let huge: Vec<f64> =
            (0..100).map(|i| if i % 10 < 5 { f64::MAX } else { f64::MIN }).collect();
        assert_eq!(truncation(&huge), Truncation::Unknown);
    }

    proptest! {
        #[test]
        fn one_pass_cuts_where_the_book_does(
            series in prop::collection::vec(0.0..1e9, 75..200), slope in -1e8..1e8,
        ) {
            let series: Vec<f64> =
                series.iter().enumerate().map(|(i, value)| value + slope / length(i + 1)).collect();
            prop_assert_eq!(truncation(&series), by_the_book(&series));
        }

        #[test]
        fn no_input_is_too_hostile(series in prop::collection::vec(any::<f64>(), 0..120)) {
            if let Truncation::After(cut) = truncation(&series) {
                prop_assert!(cut % 5 == 0 && cut < series.len() / 2);
            }
        }
    }
}
