//! The run from its beginning to its end: when it became steady, whether the target kept up, its
//! worst windows, and whether requests were sent as the timetable would have it.

use super::limits::{DISPERSION, LOOP_LAG_P99, UNANSWERED};
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
    /// Share of the steps in which a slot was late by more than the limit of loop lag.
    pub late_steps: f64,
    /// When the run became steady, as advice; in steps.
    pub steady: Truncation,
    /// Whether the target kept up; open loop only.
    pub stability: Stability,
    /// The worst windows of 1, 10 and 60 s, as far as the run was longer.
    pub worst: Vec<WorstWindow>,
    /// Whether requests were sent as the timetable would have it; open loop only.
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

/// How the counts of requests sent in each step scatter around those that the timetable holds: the
/// mean of (sent − planned)² / planned, 0 for a schedule that is kept and 1 for Poisson arrivals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fidelity {
    /// As it was.
    pub dispersion: f64,
    /// As it should be at least, and at most.
    pub expected: (f64, f64),
    /// Steps that were looked at.
    pub steps: usize,
}

/// Fewest steps whose scatter says anything.
const STEPS_MIN: usize = 20;

/// Poisson arrivals scatter further than this, in standard deviations, in one run of two thousand.
const POISSON_SIGMA: f64 = 3.5;

/// Lengths of the windows of which the worst are looked for.
const WINDOWS: [Nanos; 3] = [Nanos::from_secs(1), Nanos::from_secs(10), Nanos::from_secs(60)];

impl Course {
    pub(super) fn of(report: &Report) -> Self {
        let step = report.chronicle.step();
        let mut steps = report.chronicle.steps();
        let whole = usize::try_from(report.window.get() / step.get().max(1)).unwrap_or(usize::MAX);
        // A part of a step at the end of the window counts for what was sent in it.
        let partial = !report.window.get().is_multiple_of(step.get().max(1));
        let sent = steps.iter().take(whole.saturating_add(usize::from(partial)));
        let sent_in_window = sent.map(|step| step.tally.sent).sum();
        steps.resize(whole.min(steps.len()), Step::default());
        let late = |step: &&Step| step.tally.loop_lag_max > LOOP_LAG_P99;
        let late_steps = share(steps.iter().filter(late).count() as u64, steps.len().max(1) as u64);
        let medians = medians(&steps);
        Self {
            step,
            sent_in_window,
            late_steps,
            steady: mser::truncation(&medians),
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

/// Whether what is outstanding grows faster than the rate does.
fn stability(report: &Report, steps: &[Step]) -> Stability {
    let Some(timetable) = report.plan.load.timetable() else { return Stability::Unknown };
    let (step, warmup) = (report.chronicle.step(), report.plan.stop.warmup);
    let (mut arrived, mut ended, mut last) = (0, 0, 0.0);
    let mut outstanding = Vec::with_capacity(steps.len());
    let whole = offered(timetable, warmup, warmup + report.window);
    for (index, row) in (0..).zip(steps) {
        arrived += row.tally.arrived;
        ended += row.tally.ended;
        let from = warmup + step.saturating_mul(index);
        let rate = offered(timetable, from, from + step);
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
    match Rate::new(scheduled, report.window) {
        Some(rate) => trend::stability(&outstanding, step, rate, median),
        None => Stability::Unknown,
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
    let timetable = report.plan.load.timetable()?;
    let (step, warmup) = (report.chronicle.step(), report.plan.stop.warmup);
    let (mut sum, mut planned_sum, mut count) = (0.0, 0.0, 0_usize);
    for (index, row) in (0..).zip(steps) {
        let from = warmup + step.saturating_mul(index);
        let planned = offered(timetable, from, from + step) * step.as_secs_f64();
        if planned > 0.0 {
            let off = share(row.tally.sent, 1) - planned;
            sum += off * off / planned;
            planned_sum += planned;
            count += 1;
        }
    }
    if count < STEPS_MIN {
        return None;
    }
    let steps = share(count as u64, 1);
    let expected = match timetable.arrivals {
        Arrivals::Poisson => {
            let off = POISSON_SIGMA * (2.0 / steps).sqrt();
            (1.0 - off, 1.0 + off)
        }
        // A slot more or less at each edge of a step is no scatter.
        Arrivals::Constant | Arrivals::UniformJitter => (0.0, DISPERSION + steps / planned_sum),
    };
    Some(Fidelity { dispersion: sum / steps, expected, steps: count })
}

/// What the statistics do not bear.
pub(super) fn statistics(
    report: &Report,
    course: &Course,
    trust: &[Trust],
    findings: &mut Findings,
) {
    let ledger = &report.totals.ledger;
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
        && findings.reasons.is_empty()
        && super::delivery::kept_up(report)
        // A server that stood still holds up slots by its connections, and scatters them.
        && report.totals.parts.connection_wait.max() <= LOOP_LAG_P99
    {
        findings.reasons.push(Reason {
            axis: Axis::Statistics,
            status: Status::Suspect,
            code: "arrivals",
            message: format!(
                "requests were not sent as the timetable says: their counts scatter by \
                 {dispersion:.3}, and should by {least:.3} to {most:.3}"
            ),
            value: Amount::Share(dispersion),
            limit: Amount::Share(if dispersion > most { most } else { least }),
            remedy: "try --pacing hybrid or spin",
        });
    }
    if course.steady == Truncation::NoSteadyState {
        findings.note("unsteady", "latencies had not become steady by the middle of the run");
    } else if let Some(from) = course.steady_from().filter(|&from| from > Nanos::ZERO) {
        findings.note("warm_up", format!("latencies became steady after {from}; try --warmup"));
    }
    let correlated = trust.iter().find(|trust| trust.autocorrelated);
    if let Some(Trust { name, independent: Some(count), .. }) = correlated {
        let (count, all) = (count.round(), report.totals.latency.count());
        let of = percent(count / share(all, 1));
        let message = format!(
            "requests resemble their neighbours: at {name} they count as {count:.0} ({of})"
        );
        findings.note("autocorrelated", message);
    }
}
