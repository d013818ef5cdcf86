//! The interval of a quantile when requests are not independent: by sections of the run.
//!
//! A queue makes neighbours resemble each other, and an interval from order statistics is then far
//! too narrow. Cut into sections much longer than such a resemblance lasts, a run is a handful of
//! nearly independent measurements of the same quantile, and how they scatter says how far to trust
//! the whole.
//!
//! Source: Asmussen and Glynn, *Stochastic Simulation* (2007), which calls it sectioning; Chu and
//! Nakayama, "Confidence intervals for quantiles when applying variance-reduction techniques"
//! (2012) for its use with quantiles.

use super::{length, real};

/// Two-sided 95 % points of Student's t for 1 to 9 degrees of freedom.
const FEW: [f64; 9] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004,
    2.262_157,
];

/// The same for endless degrees of freedom: the normal distribution's.
const ENDLESS: f64 = 1.959_963_984_540_054;

/// Below this share of the samples, those that count as independent are few.
const FEW_INDEPENDENT: f64 = 0.1;

/// Half the width of the interval around `whole`, the quantile of the whole run, from the same
/// quantile of each of its sections: `t · √(Σ(section − whole)² / (B(B − 1)))`.
///
/// `None` with fewer than two sections, or where one of the values is not finite. Each section
/// needs [`samples_needed`](super::order::samples_needed) samples, or its quantile is a guess.
#[must_use]
pub fn half_width(sections: &[f64], whole: f64) -> Option<f64> {
    let degrees = sections.len().checked_sub(1)?;
    let squares: f64 = sections.iter().map(|section| (section - whole).powi(2)).sum();
    let spread = (squares / (length(sections.len()) * length(degrees))).sqrt();
    let width = t_quantile(degrees as u64)? * spread;
    width.is_finite().then_some(width)
}

/// The 0.975 quantile of Student's t with so many degrees of freedom, to 5 digits; `None` for zero.
///
/// From 10 on by the expansion of Cornish and Fisher (Abramowitz and Stegun 1964, 26.7.5).
#[must_use]
pub fn t_quantile(degrees: u64) -> Option<f64> {
    /// The polynomial in `ENDLESS²` with these coefficients, the highest power first.
    const fn polynomial([eighth, sixth, fourth, second, zeroth]: [f64; 5]) -> f64 {
        let square = ENDLESS * ENDLESS;
        (((eighth * square + sixth) * square + fourth) * square + second) * square + zeroth
    }
    const FIRST: f64 = ENDLESS * polynomial([0.0, 0.0, 0.0, 1.0, 1.0]) / 4.0;
    const SECOND: f64 = ENDLESS * polynomial([0.0, 0.0, 5.0, 16.0, 3.0]) / 96.0;
    const THIRD: f64 = ENDLESS * polynomial([0.0, 3.0, 19.0, 17.0, -15.0]) / 384.0;
    const FOURTH: f64 = ENDLESS * polynomial([79.0, 776.0, 1482.0, -1920.0, -945.0]) / 92_160.0;

    let above_first = degrees.checked_sub(1)?;
    let listed = usize::try_from(above_first).ok().and_then(|at| FEW.get(at));
    let each = 1.0 / real(degrees);
    let expanded = || ENDLESS + each * (FIRST + each * (SECOND + each * (THIRD + each * FOURTH)));
    Some(listed.copied().unwrap_or_else(expanded))
}

/// How many independent samples the `n` are worth: `n · (ordered / sectioned)²`, and at most `n`.
///
/// `ordered` is half the width of the interval between [`ranks`](super::order::ranks), `sectioned`
/// that of [`half_width`]. `None` where they say nothing: not finite, negative, or no width at all
/// in the first, when its ranks share a bucket of the histogram.
#[must_use]
pub fn n_eff(n: u64, ordered: f64, sectioned: f64) -> Option<f64> {
    let sensible =
        ordered.is_finite() && ordered > 0.0 && sectioned.is_finite() && sectioned >= 0.0;
    // Sections that agree better than independent samples would are luck, not more samples.
    let share = if ordered < sectioned { (ordered / sectioned).powi(2) } else { 1.0 };
    sensible.then_some(real(n) * share)
}

/// Whether so few of `n` samples count as independent that a report has to say so.
#[must_use]
pub fn strongly_autocorrelated(n: u64, n_eff: f64) -> bool {
    n_eff < FEW_INDEPENDENT * real(n)
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::*;
    use proptest::prelude::*;

    /// From `scipy.stats.t.ppf(0.975, degrees)`, `SciPy` 1.17.
    #[test]
    fn quantiles_of_students_t_are_those_of_the_tables() {
        for (degrees, expected) in [
            (1, 12.706_204_736),
            (2, 4.302_652_730),
            (3, 3.182_446_305),
            (4, 2.776_445_105),
            (5, 2.570_581_836),
            (6, 2.446_911_851),
            (7, 2.364_624_252),
            (8, 2.306_004_135),
            (9, 2.262_157_163),
            (10, 2.228_138_852),
            (12, 2.178_812_830),
            (19, 2.093_024_054),
            (20, 2.085_963_447),
            (30, 2.042_272_456),
            (59, 2.000_995_378),
            (100, 1.983_971_519),
            (1_000, 1.962_339_081),
            (u64::MAX, 1.959_963_985),
        ] {
            let t = t_quantile(degrees).unwrap();
            assert!((t - expected).abs() < 1e-5, "{t} for {degrees}");
        }
        assert_eq!(t_quantile(0), None);
    }

    /// `t.ppf(0.975, 7) * sqrt(sum((q - 10.05)**2) / (8 * 7))` with `SciPy` 1.17.
    #[test]
    fn the_half_width_is_that_of_the_formula() {
        let sections = [10.1, 9.8, 10.4, 10.0, 9.9, 10.6, 9.7, 10.2];
        let width = half_width(&sections, 10.05).unwrap();
        assert!((width - 0.256_708_408).abs() < 1e-6, "{width}");
        assert_eq!(half_width(&[7.0; 20], 7.0), Some(0.0));
    }

    #[test]
    fn values_that_say_nothing_give_no_width() {
        assert_eq!((half_width(&[], 1.0), half_width(&[1.0], 1.0)), (None, None));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            assert_eq!(half_width(&[1.0, bad, 2.0], 1.0), None, "section {bad}");
            assert_eq!(half_width(&[1.0, 2.0], bad), None, "whole {bad}");
        }
    }

    #[test]
    fn the_sections_hold_the_truth_in_95_of_100_runs_although_neighbours_resemble_each_other() {
        let mut random = Seeded::new(7);
        let mut held = 0;
        for _ in 0..1_000 {
            // Each value keeps 0.9 of the one before; their true mean is zero. The mean stands for
            // the quantile: what is tried here is the interval, not what it is drawn around.
            let mut value = random.normal() / (1.0_f64 - 0.81).sqrt();
            let sections: [f64; 20] = core::array::from_fn(|_| {
                let mut sum = 0.0;
                for _ in 0..300 {
                    value = 0.9 * value + random.normal();
                    sum += value;
                }
                sum / 300.0
            });
            let whole = sections.iter().sum::<f64>() / 20.0;
            held += u32::from(whole.abs() <= half_width(&sections, whole).unwrap());
        }
        assert!((930..=970).contains(&held), "{held} of 1000");
    }

    #[test]
    fn samples_count_as_independent_as_the_widths_compare() {
        assert_eq!(n_eff(1_000, 1.0, 2.0), Some(250.0));
        assert_eq!(n_eff(1_000, 2.0, 1.0), Some(1_000.0), "never more than there are");
        assert_eq!((n_eff(9, 1.0, 0.0), n_eff(9, 1.0, -0.0)), (Some(9.0), Some(9.0)));
        let few = n_eff(1_000, 1.0, 4.0).unwrap();
        assert!(strongly_autocorrelated(1_000, few), "{few}");
        assert!(!strongly_autocorrelated(1_000, 100.0));
        for (ordered, sectioned) in [
            (0.0, 1.0),
            (0.0, 0.0),
            (-1.0, 1.0),
            (1.0, -1.0),
            (f64::NAN, 1.0),
            (1.0, f64::NAN),
            (f64::INFINITY, f64::INFINITY),
            (1.0, f64::INFINITY),
        ] {
            assert_eq!(n_eff(1_000, ordered, sectioned), None, "{ordered} {sectioned}");
        }
    }

    proptest! {
        #[test]
        fn no_input_is_too_hostile(
            sections in prop::collection::vec(any::<f64>(), 0..8), whole: f64, n: u64, width: f64,
        ) {
            let found = half_width(&sections, whole);
            prop_assert!(found.is_none_or(|width| width >= 0.0 && width.is_finite()));
            let worth = n_eff(n, width, found.unwrap_or(whole));
            prop_assert!(worth.is_none_or(|worth| (0.0..=real(n)).contains(&worth)));
        }
    }
}
