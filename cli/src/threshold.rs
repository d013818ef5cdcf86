//! Whether a report keeps the thresholds of its run.
//!
//! Only what is certain passes: a time that is only known to lie within bounds, of which one is
//! beyond the limit, a number that nothing stands behind, and any number of an invalid run do not.

use pummel_engine::record::{Bounds, Flow, Histogram, Ledger, Quantile, Row, Spans};
use pummel_engine::report::Report;
use pummel_engine::statistics::order;
use pummel_engine::units::Nanos;
use pummel_engine::verdict::Status;

use crate::config::threshold::{
    Amount, Demand, Direction, Op, Outcome, Responses, Series, Statistic, Threshold,
};

/// A threshold, and what was found.
#[derive(Clone, Debug)]
pub(crate) struct Finding<'t> {
    pub(crate) threshold: &'t Threshold,
    pub(crate) found: Found,
    pub(crate) outcome: Kept,
}

/// What there is at the place that a threshold looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found {
    Time {
        bounds: Bounds,
        /// How many values stand behind it, if those are too few.
        few: Option<Few>,
    },
    Count(u64),
    Share {
        count: u64,
        of: u64,
    },
    /// Per second.
    Rate(f64),
    Bytes(u64),
    /// Nothing: says what there was none of.
    Nothing(&'static str),
}

/// Fewer values than a quantile takes to be told with confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Few {
    pub(crate) values: u64,
    pub(crate) needed: u64,
}

/// Whether a threshold was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    Crossed,
    /// What did not end leaves it open.
    Open,
    /// There was nothing to measure.
    Nothing,
    /// It would be, but the run is invalid.
    Invalid,
}

impl Finding<'_> {
    /// Whether it was certainly not crossed.
    pub(crate) fn passed(&self) -> bool {
        self.outcome == Kept::Yes
    }
}

/// Compares what the report holds, whose verdict is `status`, with all thresholds.
pub(crate) fn judge<'t>(
    thresholds: &'t [Threshold],
    report: &Report,
    status: Status,
) -> Vec<Finding<'t>> {
    let one = |threshold: &'t Threshold| {
        let found = find(threshold, report);
        let outcome = match compare(threshold, found) {
            Kept::Yes if status == Status::Invalid => Kept::Invalid,
            outcome => outcome,
        };
        Finding { threshold, found, outcome }
    };
    thresholds.iter().map(one).collect()
}

fn find(threshold: &Threshold, report: &Report) -> Found {
    if let Some(flow) = threshold.step.as_deref().and_then(|name| flow(report, name)) {
        return find_of_flow(threshold, flow);
    }
    let row = match &threshold.step {
        None => None,
        Some(step) => match row(report, step) {
            None => return Found::Nothing("the step is not kept apart"),
            row => row,
        },
    };
    match threshold.demand {
        Demand::Time(series, statistic, _) => {
            let whole = || spans(report, series);
            let of_step = |row: &Row| (row.latency(), "no request of the step was made");
            let (spans, none) = row.map_or_else(whole, of_step);
            time(&spans, statistic, none)
        }
        Demand::Outcomes(outcome, amount) => {
            let (ledger, scheduled) = match row {
                // Requests of a step are counted when they end.
                Some(row) => (row.ledger, row.ledger.accounted()),
                None => (report.totals.ledger, report.totals.ledger.scheduled),
            };
            count(outcome, amount, ledger, scheduled)
        }
        Demand::Rate(..) if report.window == Nanos::ZERO => {
            Found::Nothing("the window has no length")
        }
        Demand::Rate(Responses::All, _) => Found::Rate(report.achieved_per_second()),
        Demand::Rate(Responses::Good, _) => Found::Rate(report.goodput_per_second()),
        Demand::Bytes(Direction::Sent, _) => Found::Bytes(report.totals.bytes_sent),
        Demand::Bytes(Direction::Received, _) => Found::Bytes(report.totals.bytes_received),
    }
}

fn find_of_flow(threshold: &Threshold, flow: &Flow) -> Found {
    const NONE: &str = "it was never begun";
    match threshold.demand {
        Demand::Time(_, statistic, _) => time(&flow.latency(), statistic, NONE),
        Demand::Outcomes(..) if flow.begun == 0 => Found::Nothing(NONE),
        Demand::Outcomes(outcome, amount) => {
            let count = match outcome {
                Outcome::Unfinished => flow.unfinished,
                Outcome::Endless => flow.endless,
                _ => flow.cut_short + flow.endless,
            };
            amount_of(count, amount, flow.begun)
        }
        // Nothing else is kept of flows, and none of it was let through.
        Demand::Rate(..) | Demand::Bytes(..) => Found::Nothing(NONE),
    }
}

/// The numbers of the scenario or the group.
fn flow<'r>(report: &'r Report, name: &str) -> Option<&'r Flow> {
    let index = report.plan.work.flows().iter().position(|flow| flow.name == name)?;
    report.totals.flows.get(index)
}

/// The numbers of the step.
fn row<'r>(report: &'r Report, step: &str) -> Option<&'r Row> {
    let names = report.plan.work.rows();
    let index = names.into_iter().position(|name| name == step)?;
    report.totals.rows.get(index)
}

/// The times of a series, and what is said where there are none.
fn spans(report: &Report, series: Series) -> (Spans, &'static str) {
    let parts = &report.totals.parts;
    let known = |of: &Histogram| Spans { known: of.clone(), censored: Histogram::new() };
    match series {
        Series::Latency => (report.totals.latency.all(), "no request was scheduled"),
        Series::Service => (report.services(), "no request was sent"),
        Series::Lag => (known(&parts.lag), "no request was sent"),
        Series::FirstByte => (known(&parts.ttfb), "no response came"),
        Series::Connect => (known(&parts.connect), "no connection was established"),
        Series::Handshake => {
            let handshakes = parts.tls.as_deref().map(known).unwrap_or_default();
            (handshakes, "no TLS handshake was made")
        }
    }
}

fn time(spans: &Spans, statistic: Statistic, none: &'static str) -> Found {
    let count = spans.count();
    if count == 0 {
        return Found::Nothing(none);
    }
    let (bounds, needed) = match statistic {
        Statistic::Min => (min(spans), 0),
        Statistic::Mean => (mean(spans), 0),
        Statistic::Max => (spans.max(), 0),
        Statistic::Quantile(quantile) => (spans.quantile(quantile), needed(quantile)),
    };
    let few = (count < needed).then_some(Few { values: count, needed });
    Found::Time { bounds, few }
}

/// As many values as bear a quantile, at its far side.
fn needed(quantile: Quantile) -> u64 {
    order::samples_needed(quantile.share())
}

/// The shortest is shorter than a wait without an end, or nobody knows.
fn min(spans: &Spans) -> Bounds {
    let (known, censored) = (&spans.known, &spans.censored);
    let hi = (!known.is_empty()).then(|| known.min());
    let waited = (!censored.is_empty()).then(|| censored.min());
    let lo = hi.into_iter().chain(waited).min().unwrap_or_default();
    Bounds { lo, hi }
}

/// A mean with waits in it is a lower bound.
fn mean(spans: &Spans) -> Bounds {
    let mut both = spans.known.clone();
    both.merge(&spans.censored);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of spans lies between the shortest and the longest"
    )]
    let mean = Nanos::new(both.mean() as u64);
    Bounds { lo: mean, hi: spans.censored.is_empty().then_some(mean) }
}

fn count(outcome: Outcome, amount: Amount, ledger: Ledger, scheduled: u64) -> Found {
    if scheduled == 0 {
        return Found::Nothing("no request was scheduled");
    }
    let count = match outcome {
        Outcome::Errors => ledger.errors,
        Outcome::Failures => ledger.failed,
        Outcome::Timeouts => ledger.timeouts,
        Outcome::Dropped => ledger.dropped,
        Outcome::Unfinished => ledger.unfinished,
        // They are of scenarios and groups only.
        Outcome::CutShort | Outcome::Endless => 0,
    };
    amount_of(count, amount, scheduled)
}

fn amount_of(count: u64, amount: Amount, of: u64) -> Found {
    match amount {
        Amount::Count(_) => Found::Count(count),
        Amount::Share { .. } => Found::Share { count, of },
    }
}

fn compare(threshold: &Threshold, found: Found) -> Kept {
    let op = threshold.op;
    let crossed = match (found, threshold.demand) {
        (Found::Time { bounds, .. }, Demand::Time(_, _, limit)) => {
            return within(bounds, op, limit);
        }
        (Found::Count(count), Demand::Outcomes(_, Amount::Count(limit))) => op.holds(count, limit),
        (Found::Share { count, of }, Demand::Outcomes(_, Amount::Share { parts, whole })) => {
            let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
            op.holds(product(count, whole), product(parts, of))
        }
        (Found::Rate(rate), Demand::Rate(_, limit)) => op.holds(rate, limit),
        (Found::Bytes(bytes), Demand::Bytes(_, limit)) => op.holds(bytes, limit),
        // What is found is what was asked for, or nothing.
        _ => return Kept::Nothing,
    };
    if crossed { Kept::Crossed } else { Kept::Yes }
}

/// Where the truth lies within bounds, both must be on the same side of the limit. A missing upper
/// one is beyond any.
fn within(bounds: Bounds, op: Op, limit: Nanos) -> Kept {
    // Bounds that agree within the precision of a histogram are one value.
    let (lo, hi) = match bounds.exact() {
        Some(value) => (value, value),
        None => (bounds.lo, bounds.hi.unwrap_or(Nanos::MAX)),
    };
    match (op.holds(lo, limit), op.holds(hi, limit)) {
        (true, true) => Kept::Crossed,
        (false, false) => Kept::Yes,
        _ => Kept::Open,
    }
}
