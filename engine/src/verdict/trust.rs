//! How far each printed quantile can be trusted: its interval, how many samples it needs, and how
//! much of it the client made itself.

use super::course::Course;
use super::limits::CLIENT_SHARE;
use crate::record::{Bounds, Quantile, Spans, buckets::Sparse};
use crate::report::Report;
use crate::statistics::{order, sections};
use crate::units::Nanos;

/// What an interval rests on; of two, the wider one is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The order of the samples, as if they were independent.
    Order,
    /// How much the quantile differs between sections of the run.
    Sections,
}

/// What is known about one quantile of the latencies.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// Its name: `p99_9`.
    pub name: &'static str,
    /// Which it is.
    pub quantile: Quantile,
    /// Between what its value lies, for what did not end.
    pub bounds: Bounds,
    /// Fewest samples of which it can be told.
    pub needs: u64,
    /// The 95 % confidence interval; `None` of too few samples.
    pub interval: Option<(Nanos, Nanos)>,
    /// What that rests on.
    pub basis: Basis,
    /// How many independent samples the requests count for, if that can be told.
    pub independent: Option<f64>,
    /// Whether those are few of them.
    pub autocorrelated: bool,
    /// The share of its value that loop lag made; open loop only.
    pub client_share: Option<f64>,
    /// Whether that is too much.
    pub starred: bool,
}

/// Sections of a run.
const SECTIONS: usize = 20;

/// How far each quantile of a report can be trusted.
pub(super) fn of(report: &Report, course: &Course) -> Vec<Trust> {
    let all = report.totals.latency.all();
    let sections = cut(course);
    Quantile::REPORTED.iter().map(|&named| one(named, report, &all, &sections)).collect()
}

/// The latencies of the sections of equal length, if the run can be cut into them.
fn cut(course: &Course) -> Vec<Sparse> {
    let steps = &course.steps;
    if steps.len() < SECTIONS {
        return Vec::new();
    }
    let sum = |rows: &[crate::record::Step]| {
        let mut sum = Sparse::default();
        for row in rows {
            sum.merge(&row.latency);
        }
        sum
    };
    let edge = |section: usize| section * steps.len() / SECTIONS;
    let section = |n: usize| sum(steps.get(edge(n)..edge(n + 1)).unwrap_or_default());
    (0..SECTIONS).map(section).collect()
}

fn one(
    (name, quantile): (&'static str, Quantile),
    report: &Report,
    all: &Spans,
    cuts: &[Sparse],
) -> Trust {
    let (bounds, n) = (all.quantile(quantile), all.count());
    let needs = order::samples_needed(quantile.share());
    let ordered = order::ranks(n, quantile.share()).map(|(low, high)| {
        let (low, high) = (all.at_rank(low), all.at_rank(high));
        (low.lo, high.hi.unwrap_or(Nanos::MAX))
    });
    // Where bounds are all that is known, sections know no more.
    let known = bounds.exact().is_some();
    let width = by_sections(quantile, needs, cuts).filter(|_| known);
    let half = |(low, high): (Nanos, Nanos)| high.saturating_sub(low).as_secs_f64() / 2.0;
    let independent = ordered
        .zip(width)
        .and_then(|(ordered, width)| sections::n_eff(n, half(ordered), width.as_secs_f64()));
    let sectioned = width.map(|width| (bounds.lo.saturating_sub(width), bounds.lo + width));
    let wider = match (ordered, sectioned) {
        (Some(ordered), Some(sectioned)) if half(sectioned) > half(ordered) => {
            (Some(sectioned), Basis::Sections)
        }
        (ordered, _) => (ordered, Basis::Order),
    };
    let client_share = client_share(quantile, report, all);
    Trust {
        name,
        quantile,
        bounds,
        needs,
        interval: wider.0,
        basis: wider.1,
        independent,
        autocorrelated: independent
            .is_some_and(|independent| sections::strongly_autocorrelated(n, independent)),
        client_share,
        starred: client_share.is_some_and(|share| share > CLIENT_SHARE),
    }
}

/// Half the width of the interval, from how the sections differ.
fn by_sections(quantile: Quantile, needs: u64, cuts: &[Sparse]) -> Option<Nanos> {
    if cuts.len() < SECTIONS || cuts.iter().any(|cut| cut.total() < needs) {
        return None;
    }
    let values: Option<Vec<f64>> = cuts
        .iter()
        .map(|cut| cut.at_rank(quantile.rank(cut.total())).map(Nanos::as_secs_f64))
        .collect();
    // In the same buckets as the sections: their width is no difference.
    let mut all = Sparse::default();
    for cut in cuts {
        all.merge(cut);
    }
    let whole = all.at_rank(quantile.rank(all.total()))?;
    let width = sections::half_width(&values?, whole.as_secs_f64())?;
    Some(super::machine::of_a_second(width))
}

/// How much less the quantile would be if the shard had never been late.
fn client_share(quantile: Quantile, report: &Report, all: &Spans) -> Option<f64> {
    let unhindered = &report.totals.parts.unhindered;
    if unhindered.is_empty() {
        return None;
    }
    let with = all.known.quantile(quantile).as_secs_f64();
    let without = unhindered.quantile(quantile).as_secs_f64();
    Some(if with > 0.0 { ((with - without) / with).max(0.0) } else { 0.0 })
}
