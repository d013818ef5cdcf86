//! The run from its beginning to its end: when it became steady, whether the target kept up, its
//! worst windows, and whether requests were sent as the timetable would have it.

use super::limits::{DISPERSION, STALL, UNANSWERED};
use super::{Amount, Axis, Findings, Reason, Status, Trust, percent, share};
use crate::pace::offered;
use crate::plan::Arrivals;
use crate::record::{Quantile, Step, buckets};
use crate::report::Report;
use crate::statistics::mser::{self, Truncation};
use crate::statistics::trend::{self, Stability};
use crate::statistics::windows;
use crate::units::{Nanos, Rate};

/// What the steps of a run say.
#[derive(Clone, Debug)]
pub struct Course {
    /// The steps that lie whole in the window.
    pub steps: Vec<Step>,
    /// Length of a step.
    pub step: Nanos,
    /// Requests sent within the window.
    pub sent_in_window: u64,
    /// Steps in which the shard began to be late by more than single slots may be; those that the
    /// same stall reaches are one.
    pub stalls: usize,
    /// The highest rate that a step was to have, per second; 0 in a closed loop.
    pub peak_rate: f64,
    /// When the run became steady, as advice; in steps.
    pub steady: Truncation,
    /// Whether the target kept up; open loop only.
    pub stability: Stability,
    /// The worst windows of 1, 10 and 60 s, as far as the run was longer.
    pub worst: Vec<WorstWindow>,
    /// Whether requests were intended as the timetable would have it; open loop only, and only if
    /// none was given up before it was sent.
    pub fidelity: Option<Fidelity>,
}

/// The windows of a length in which latencies were worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstWindow {
    /// Their length.
    pub length: Nanos,
    /// The greatest median of any, and when its window begins after the beginning of the run's.
    pub p50: (Nanos, Nanos),
    /// The same of the 99th percentile.
    pub p99: (Nanos, Nanos),
}

/// How the counts of intended starts in each step scatter around those that the timetable holds:
/// the sum of (found − planned)² over that of planned, 0 for an even schedule and 1 for Poisson
/// arrivals.
///
/// That slots were sent late is no scatter: how late, and for whose sake, loop lag and the wait for
/// a connection say for each of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fidelity {
    /// As it was.
    pub dispersion: f64,
    /// As it should be at least, and at most.
    pub expected: (f64, f64),
    /// Spans of one or more steps that were looked at.
    pub steps: usize,
}

/// Fewest spans whose scatter says anything, and fewest slots that each must be planned to have.
const STEPS_MIN: usize = 20;
const PLANNED_MIN: f64 = 10.0;

/// Share of the backlog at the end that the line through all of the run must have grown by.
const GROWN: f64 = 1.0 / 3.0;

/// Poisson arrivals scatter further than this, in standard deviations, in one run of two thousand.
const POISSON_SIGMA: f64 = 3.5;

/// Lengths of the windows of which the worst are looked for.
const WINDOWS: [Nanos; 3] = [Nanos::from_secs(1), Nanos::from_secs(10), Nanos::from_secs(60)];

impl Course {
    pub(super) fn of(report: &Report) -> Self {
        let step = report.chronicle.step();
        let mut steps = report.chronicle.steps();
        let whole = usize::try_from(report.window.get() / step.get().max(1)).unwrap_or(usize::MAX);
        let sent_in_window = report.totals.sent_in_window;
        steps.resize(whole.min(steps.len()), Step::default());
        // Another load has other latencies: there is no one state to become steady in.
        let same = report.changes.list.is_empty();
        let steady = if same { mser::truncation(&medians(&steps)) } else { Truncation::Unknown };
        Self {
            step,
            sent_in_window,
            stalls: stalls(&steps, step),
            peak_rate: planned(report, &steps).map(|(rate, _)| rate).fold(0.0, f64::max),
            steady,
            stability: stability(report, &steps),
            worst: worst(&steps, step),
            fidelity: fidelity(report, &steps),
            steps,
        }
    }

    /// How long it took to become steady, if it did.
    #[must_use]
    pub fn steady_from(&self) -> Option<Nanos> {
        match self.steady {
            Truncation::After(steps) => Some(self.step.saturating_mul(steps as u64)),
            Truncation::NoSteadyState | Truncation::Unknown => None,
        }
    }
}

/// The median latency of each step; of one without requests, that of the step before.
fn medians(steps: &[Step]) -> Vec<f64> {
    let mut last = 0.0;
    let median = |step: &Step| {
        if let Some(median) = step.latency.at_rank(Quantile::P50.rank(step.latency.total())) {
            last = median.as_secs_f64();
        }
        last
    };
    steps.iter().map(median).collect()
}

/// How often the shard was held up. Who stands still for long is late in several steps: the first
/// slot of them waits for all of it, and tells how far it reaches.
fn stalls(steps: &[Step], step: Nanos) -> usize {
    let (mut count, mut until) = (0, Nanos::ZERO);
    for (index, row) in (0..).zip(steps) {
        let (from, lag) = (step.saturating_mul(index), row.tally.loop_lag_max);
        if lag <= STALL {
            continue;
        }
        if from + lag > until {
            count += 1;
            // The slot may be the last of its step.
            until = from + lag + step;
        }
    }
    count
}

/// The rate that the timetable has in each step, per second, beside the step; nothing in a closed
/// loop.
fn planned<'a>(
    report: &'a Report,
    steps: &'a [Step],
) -> impl Iterator<Item = (f64, &'a Step)> + use<'a> {
    let (step, warmup) = (report.chronicle.step(), report.plan.stop.warmup);
    let timetable = report.timetable();
    (0..).zip(steps).filter_map(move |(index, row)| {
        let from = warmup + step.saturating_mul(index);
        Some((offered(timetable?, from, from + step), row))
    })
}

/// Whether what is outstanding grows faster than the rate does.
fn stability(report: &Report, steps: &[Step]) -> Stability {
    let Some(whole) = report.offered_per_second() else { return Stability::Unknown };
    let step = report.chronicle.step();
    let (mut arrived, mut ended, mut last) = (0, 0, 0.0);
    let mut outstanding = Vec::with_capacity(steps.len());
    for (rate, row) in planned(report, steps) {
        arrived += row.tally.arrived;
        ended += row.tally.ended;
        // At twice the rate twice as much is outstanding, and nobody has fallen behind.
        if rate > 0.0 {
            last = share(arrived.max(ended) - ended, 1) * whole / rate;
        }
        outstanding.push(last);
    }
    let scheduled = report.totals.ledger.scheduled;
    let all = report.totals.latency.all();
    // What was never answered may leave it open between two bounds; the upper one is the cautious.
    let median = all.quantile(Quantile::P50).hi.unwrap_or(Nanos::MAX);
    let Some(rate) = Rate::new(scheduled, report.window) else { return Stability::Unknown };
    match trend::stability(&outstanding, step, rate, median) {
        // What came up at the very end has not grown, and nobody knows whether it stays.
        Stability::Unstable { growth_per_s, backlog }
            if growth_per_s * report.window.as_secs_f64() < GROWN * backlog =>
        {
            Stability::Steady
        }
        stability => stability,
    }
}

fn worst(steps: &[Step], step: Nanos) -> Vec<WorstWindow> {
    let rows = || steps.iter().map(|step| step.latency.rows());
    let of = |length: Nanos| {
        let count = usize::try_from(length.get() / step.get().max(1)).ok()?;
        if count == 0 || steps.len() < count {
            return None;
        }
        let find = |quantile: Quantile| {
            let found = windows::worst(rows(), count, quantile.share())?;
            let from = step.saturating_mul(found.first as u64);
            Some((from, buckets::edge(usize::from(found.bucket))))
        };
        Some(WorstWindow { length, p50: find(Quantile::P50)?, p99: find(Quantile::P99)? })
    };
    WINDOWS.into_iter().filter_map(of).collect()
}

fn fidelity(report: &Report, steps: &[Step]) -> Option<Fidelity> {
    let timetable = report.timetable()?;
    // Slots that were not sent are told by the dozen, not each at its start.
    let ledger = &report.totals.ledger;
    if ledger.scheduled - ledger.dropped.min(ledger.scheduled) > report.totals.parts.lag.count() {
        return None;
    }
    // Of a number of requests each shard has its part, and streams of their own end one by one.
    let own = timetable.arrivals == Arrivals::Poisson && report.shards.len() > 1;
    if own && report.plan.stop.limit.requests().is_some() {
        return None;
    }
    let length = report.chronicle.step().as_secs_f64();
    let (mut squares, mut wholes, mut chance, mut count) = (0.0, 0.0, 0.0, 0_usize);
    let (mut expected, mut found) = (0.0, 0);
    for (rate, row) in planned(report, steps) {
        expected += rate * length;
        found += row.tally.arrived;
        if expected >= PLANNED_MIN {
            let off = share(found, 1) - expected;
            squares += off * off;
            wholes += expected;
            chance += expected * (2.0 * expected + 1.0);
            count += 1;
            (expected, found) = (0.0, 0);
        }
    }
    if count < STEPS_MIN {
        return None;
    }
    let expected = match timetable.arrivals {
        Arrivals::Poisson => {
            let freedom = 2.0 * wholes * wholes / chance;
            (scatter(freedom, -POISSON_SIGMA), scatter(freedom, POISSON_SIGMA))
        }
        // A slot more or less at each edge of a step is no scatter.
        Arrivals::Constant | Arrivals::UniformJitter => {
            (0.0, DISPERSION + share(count as u64, 1) / wholes)
        }
    };
    Some(Fidelity { dispersion: squares / wholes, expected, steps: count })
}

/// The quantile of chi-square over its degrees of freedom that lies `sigma` standard deviations of
/// a normal distribution from the middle (Wilson and Hilferty 1931).
fn scatter(freedom: f64, sigma: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    (1.0 - spread + sigma * spread.sqrt()).max(0.0).powi(3)
}

/// Whether there was anything to measure: a latency that nobody has is no latency.
fn answers(report: &Report, findings: &mut Findings) {
    let ledger = &report.totals.ledger;
    let (answered, good) = (ledger.ok + ledger.failed, ledger.ok);
    if answered == 0 && ledger.scheduled > 0 {
        findings.reasons.push(Reason {
            axis: Axis::Statistics,
            status: Status::Invalid,
            code: "no_answer",
            message: format!("none of {} requests was answered", ledger.scheduled),
            value: Amount::Count(0),
            limit: Amount::Count(1),
            remedy: "look at the errors, or give a longer --timeout or --drain",
        });
    } else if share(ledger.failed, ledger.scheduled) > UNANSWERED {
        findings.note(
            "failed",
            format!("{} of {answered} responses were not as expected, {good} were", ledger.failed),
        );
    }
}

/// What the statistics do not bear.
pub(super) fn statistics(
    report: &Report,
    course: &Course,
    trust: &[Trust],
    findings: &mut Findings,
) {
    let ledger = &report.totals.ledger;
    answers(report, findings);
    let unanswered = share(ledger.errors, ledger.scheduled);
    if unanswered > UNANSWERED {
        findings.reasons.push(Reason {
            axis: Axis::Statistics,
            status: Status::Suspect,
            code: "unanswered",
            message: format!(
                "{} of {} requests failed; their latency is the time to the failure",
                ledger.errors, ledger.scheduled
            ),
            value: Amount::Share(unanswered),
            limit: Amount::Share(UNANSWERED),
            remedy: "look at the errors first",
        });
    }
    if let Some(Fidelity { dispersion, expected: (least, most), .. }) = course.fidelity
        && !(least..=most).contains(&dispersion)
    {
        findings.reasons.push(Reason {
            axis: Axis::Statistics,
            status: Status::Suspect,
            code: "arrivals",
            message: format!(
                "intended starts are not as the timetable says: their counts scatter by \
                 {dispersion:.3}, and should by {least:.3} to {most:.3}"
            ),
            value: Amount::Share(dispersion),
            limit: Amount::Share(if dispersion > most { most } else { least }),
            remedy: "please report this as a defect",
        });
    }
    let changes = report.changes.list.len();
    if changes > 0 {
        let times = if changes == 1 { "once".to_owned() } else { format!("{changes} times") };
        let message = format!(
            "the load was changed {times} while the run went on; the numbers are of all of it"
        );
        findings.note("changed", message);
    }
    if course.steady == Truncation::NoSteadyState {
        findings.note("unsteady", "latencies had not become steady by the middle of the run");
    } else if let Some(from) = course.steady_from().filter(|&from| from > Nanos::ZERO) {
        findings.note("warm_up", format!("latencies became steady after {from}; try --warmup"));
    }
    let correlated = trust.iter().find(|trust| trust.autocorrelated);
    if let Some(Trust { name, independent: Some(count), .. }) = correlated {
        let (count, all) = (count.round().max(1.0), report.totals.latency.count());
        let of = percent(count / share(all, 1));
        let message = format!(
            "requests resemble their neighbours: at {name} they count as {count:.0} ({of})"
        );
        findings.note("autocorrelated", message);
    }
}
