//! The verdict: whether the numbers of a report can be trusted, and why not.

use pummel_engine::report::{Defect, Report};
use serde::Serialize;

/// What the status rests on; nothing else was judged.
pub(super) const CHECKED: &[&str] = &["ledger", "latencies", "coverage"];

/// The largest share of requests without an answer. It is where a p99 stops to be one: if more than
/// this share is missing, every missing request may have been slower than the p99 that is shown.
const UNANSWERED_MAX: f64 = 0.01;

/// How far the numbers can be trusted; each is worse than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Everything that was checked held.
    Pass,
    /// The numbers are right, and are not what they seem.
    Suspect,
    /// The numbers are worthless.
    Invalid,
}

/// What was found or allowed: a count, or a share from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Amount {
    Count(u64),
    Share(f64),
}

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    /// Stable, for scripts.
    pub(super) code: &'static str,
    /// In words.
    pub(super) message: String,
    /// What was found.
    pub(super) value: Amount,
    /// What should have been, or what it may be at most.
    pub(super) limit: Amount,
}

/// The status with the findings behind it, the worst first.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) reasons: Vec<Reason>,
}

impl Verdict {
    pub(super) fn of(report: &Report) -> Self {
        let defects: Vec<Reason> = report.defects().iter().map(defect).collect();
        let unanswered = unanswered(report);
        let status = match (defects.is_empty(), &unanswered) {
            (false, _) => Status::Invalid,
            (true, Some(_)) => Status::Suspect,
            (true, None) => Status::Pass,
        };
        Self { status, reasons: defects.into_iter().chain(unanswered).collect() }
    }
}

fn unanswered(report: &Report) -> Option<Reason> {
    let (missing, scheduled) = (report.totals.ledger.errors, report.totals.ledger.scheduled);
    #[expect(clippy::cast_precision_loss, reason = "a share for display")]
    let share = missing as f64 / scheduled.max(1) as f64;
    (share > UNANSWERED_MAX).then(|| Reason {
        code: "unanswered",
        message: format!(
            "{missing} of {scheduled} requests failed; their latency is the time to the failure"
        ),
        value: Amount::Share(share),
        limit: Amount::Share(UNANSWERED_MAX),
    })
}

fn defect(defect: &Defect) -> Reason {
    let (code, message, value, limit) = match *defect {
        Defect::Empty => ("empty", "no request lies in the measured window".to_owned(), 0, 1),
        Defect::Clamped(count) => (
            "clamped",
            format!("{count} latencies are longer than the hour that a histogram can hold"),
            count,
            0,
        ),
        Defect::Ledger { scheduled, accounted } => (
            "ledger",
            format!("{scheduled} requests were scheduled, and {accounted} have an outcome"),
            accounted,
            scheduled,
        ),
        Defect::Disordered(count) => (
            "disordered",
            format!("{count} requests have a moment before the one that leads to it"),
            count,
            0,
        ),
        Defect::Latencies { recorded, expected } => (
            "latencies",
            format!("{recorded} latencies were recorded for {expected} outcomes"),
            recorded,
            expected,
        ),
    };
    Reason { code, message, value: Amount::Count(value), limit: Amount::Count(limit) }
}
