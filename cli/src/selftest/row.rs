//! One number of a test: what it must be, what it is, and how far apart they may be.
//!
//! The tolerance has two parts: what the design allows on a quiet machine, and what this machine's
//! own jitter, measured before and after, can have added. Where the second part is so large that a
//! wrong number could hide in it, the row is *undecided*, whatever was measured.

use super::machine::Noise;

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) truth: f64,
    /// NaN, which is never right, if there is no such number.
    pub(super) measured: f64,
    pub(super) unit: Unit,
    pub(super) side: Side,
    /// The tolerance on a quiet machine.
    pub(super) base: f64,
    pub(super) noise: Exposure,
}

/// What the number is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Count,
    /// A share or a ratio.
    Ratio,
}

/// On which side of the truth a tolerance applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// On both.
    Near,
    /// The measured one may be less by any amount.
    AtMost,
    /// It may be more by any amount.
    AtLeast,
}

/// How the machine's jitter gets into a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Exposure {
    /// Not at all: what is wrong here is wrong on any machine.
    None,
    /// As `scale` times the delay of a request at the quantile `q`.
    Delay { q: f64, scale: f64 },
    /// As so many of `of` requests as are delayed for longer than `span_s`.
    Beyond { span_s: f64, of: f64 },
    /// As arrivals at this rate are moved from one bin to another, which makes their counts vary.
    Bunched { per_second: f64 },
    /// Not in its value; but a verdict that names what disturbed it may leave out what it is to
    /// name.
    Label,
}

/// What comes of a row or of a test; each is worse than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Pass,
    /// The machine was too noisy to tell.
    Undecided,
    Fail,
}

/// The jitter may add this many times the tolerance of a quiet machine. Above, the row decides
/// nothing.
const NOISE_MAX: f64 = 4.0;

/// What the jitter may add to a span in any case: the tolerance of the median of the first test.
const NOISE_SPAN_S: f64 = 100e-6;

/// Above this jitter of a p99, a verdict has more to say than what it is asked for.
const LABEL_NOISE_S: f64 = 1e-3;

/// A histogram tells a span up to a thousandth too high.
const HISTOGRAM_ERROR: f64 = 0.001;

impl Row {
    /// A quantile, or the maximum if `q` is 1, which is `truth` to within `base`.
    pub(super) fn quantile(q: f64, measured: f64, truth: f64, base: f64) -> Self {
        Self::span(name(q), measured, truth, base).exposed(q)
    }

    /// A span; as little exposed as a median until told otherwise.
    pub(super) fn span(what: impl Into<String>, measured: f64, truth: f64, base: f64) -> Self {
        Self {
            what: what.into(),
            truth,
            measured,
            unit: Unit::Seconds,
            side: Side::Near,
            base: base + truth.abs() * HISTOGRAM_ERROR,
            noise: Exposure::Delay { q: 0.5, scale: 1.0 },
        }
    }

    /// A count which is `truth` exactly, on any machine.
    pub(super) fn count(what: impl Into<String>, measured: u64, truth: u64) -> Self {
        Self {
            what: what.into(),
            truth: real(truth),
            measured: real(measured),
            unit: Unit::Count,
            side: Side::Near,
            base: 0.0,
            noise: Exposure::None,
        }
    }

    /// A count which is `truth` to within `base`, but for requests that jitter holds up.
    pub(super) fn about(what: impl Into<String>, measured: u64, truth: f64, base: f64) -> Self {
        Self { truth, base, ..Self::count(what, measured, 0) }
    }

    /// A pure number.
    pub(super) fn ratio(what: impl Into<String>, measured: f64, truth: f64, base: f64) -> Self {
        Self { unit: Unit::Ratio, noise: Exposure::None, ..Self::span(what, measured, truth, base) }
    }

    /// The same, exposed as the quantile `q`.
    pub(super) fn exposed(self, q: f64) -> Self {
        Self { noise: Exposure::Delay { q, scale: 1.0 }, ..self }
    }

    /// The same, with another exposure.
    pub(super) fn with(self, noise: Exposure) -> Self {
        Self { noise, ..self }
    }

    /// The same, wrong only above the truth.
    pub(super) fn at_most(self) -> Self {
        Self { side: Side::AtMost, ..self }
    }

    /// The same, wrong only below the truth.
    pub(super) fn at_least(self) -> Self {
        Self { side: Side::AtLeast, ..self }
    }

    /// Measured less true.
    pub(super) fn error(&self) -> f64 {
        self.measured - self.truth
    }

    /// How far off the number may be on this machine.
    pub(super) fn tolerance(&self, noise: &Noise) -> f64 {
        self.base + self.added(noise)
    }

    /// What the machine may have added.
    fn added(&self, noise: &Noise) -> f64 {
        match self.noise {
            Exposure::None | Exposure::Label => 0.0,
            Exposure::Delay { q, scale } => noise.delay(q) * scale,
            Exposure::Beyond { span_s, of } => noise.beyond(span_s) * of,
            Exposure::Bunched { per_second } => noise.bunching(per_second),
        }
    }

    /// The most that the machine may add if the row is to decide anything.
    fn bearable(&self) -> f64 {
        let scale = match self.noise {
            Exposure::Delay { scale, .. } => scale,
            _ => 0.0,
        };
        (self.base * NOISE_MAX).max(NOISE_SPAN_S * scale)
    }

    /// Whether the number is right. `disturbed` says that somebody got in the way of just this
    /// measurement: then only what holds on any machine is judged.
    pub(super) fn outcome(&self, noise: &Noise, disturbed: bool) -> Outcome {
        let exposed = self.noise != Exposure::None;
        let hidden = self.noise == Exposure::Label && noise.delay(0.99) > LABEL_NOISE_S;
        if exposed && (disturbed || hidden || self.added(noise) > self.bearable()) {
            return Outcome::Undecided;
        }
        let (error, tolerance) = (self.error(), self.tolerance(noise));
        let right = match self.side {
            Side::Near => error.abs() <= tolerance,
            Side::AtMost => error <= tolerance,
            Side::AtLeast => error >= -tolerance,
        };
        if right { Outcome::Pass } else { Outcome::Fail }
    }
}

impl Outcome {
    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Undecided => "undecided",
            Self::Fail => "fail",
        }
    }
}

/// The name of a quantile: `p99.9`, `max`.
pub(super) fn name(q: f64) -> String {
    if q >= 1.0 {
        return "max".to_owned();
    }
    // Six digits, so that 0.999 × 100 is no 99.89999.
    let percent = format!("{:.4}", q * 100.0);
    format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "53 bits are enough for a count")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::machine::tests::{quiet, stolen};

    #[test]
    fn a_quantile_is_named_as_people_say_it() {
        let names: Vec<String> = [0.5, 0.989, 0.999, 0.9999, 1.0].map(name).into();
        assert_eq!(names, ["p50", "p98.9", "p99.9", "p99.99", "max"]);
    }

    #[test]
    fn a_wrong_number_fails_and_a_right_one_passes() {
        let outcome =
            |measured: f64| Row::quantile(0.5, measured, 0.010, 0.001).outcome(&quiet(), false);
        for right in [0.010, 0.010_9, 0.009_1] {
            assert_eq!(outcome(right), Outcome::Pass, "{right}");
        }
        for wrong in [0.011_2, 0.008_8, 0.0, 1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(outcome(wrong), Outcome::Fail, "{wrong}");
        }
    }

    #[test]
    fn a_bound_is_wrong_on_one_side_only() {
        let row = |measured| Row::span("x", measured, 1.0, 0.1);
        let quiet = quiet();
        assert_eq!(row(0.0).at_most().outcome(&quiet, false), Outcome::Pass);
        assert_eq!(row(1.2).at_most().outcome(&quiet, false), Outcome::Fail);
        assert_eq!(row(9.0).at_least().outcome(&quiet, false), Outcome::Pass);
        assert_eq!(row(0.8).at_least().outcome(&quiet, false), Outcome::Fail);
        assert_eq!(row(f64::NAN).at_least().outcome(&quiet, false), Outcome::Fail);
    }

    #[test]
    fn jitter_widens_the_tolerance_up_to_a_bound_and_then_decides_nothing() {
        // A thousandth of the time stolen, in pieces of 1 ms and of 50 ms.
        let (some, much) = (stolen(0.001, 0.001), stolen(0.05, 0.05));
        let row = |measured| Row::quantile(0.999, measured, 0.010, 0.001);
        let widened = row(0.0).tolerance(&some);
        assert!(widened > 0.001_5 && widened < 0.005, "{widened}");
        assert_eq!(row(0.011_5).outcome(&some, false), Outcome::Pass);
        assert_eq!(row(0.011_5).outcome(&quiet(), false), Outcome::Fail);
        assert_eq!(row(0.016).outcome(&some, false), Outcome::Fail);
        for measured in [0.010, 0.016, 9.0] {
            assert_eq!(row(measured).outcome(&much, false), Outcome::Undecided, "{measured}");
        }
    }

    #[test]
    fn a_disturbed_measurement_decides_only_what_holds_on_any_machine() {
        let span = Row::quantile(0.5, 0.010, 0.010, 0.001);
        assert_eq!(span.outcome(&quiet(), true), Outcome::Undecided);
        let count = |measured| Row::count("scheduled", measured, 10);
        assert_eq!(count(10).outcome(&quiet(), true), Outcome::Pass);
        assert_eq!(count(9).outcome(&quiet(), true), Outcome::Fail);
    }

    #[test]
    fn a_label_is_judged_as_it_is_unless_the_machine_has_more_to_say() {
        let row = |named| Row::count("named", named, 1).with(Exposure::Label);
        for (named, outcome) in [(1, Outcome::Pass), (0, Outcome::Fail)] {
            assert_eq!(row(named).outcome(&quiet(), false), outcome);
            assert_eq!(row(named).outcome(&quiet(), true), Outcome::Undecided);
            assert_eq!(row(named).outcome(&stolen(0.05, 0.05), false), Outcome::Undecided);
        }
    }

    #[test]
    fn a_count_may_be_off_by_those_that_jitter_holds_up() {
        let row = Row::about("slow", 12, 10.0, 1.0)
            .with(Exposure::Beyond { span_s: 0.000_1, of: 1_000.0 });
        assert_eq!(row.outcome(&quiet(), false), Outcome::Fail);
        assert_eq!(row.outcome(&stolen(0.001, 0.001), false), Outcome::Pass);
        assert_eq!(row.outcome(&stolen(0.05, 0.05), false), Outcome::Undecided);
    }
}
