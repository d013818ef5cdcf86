//! Was the load delivered as planned, and if not: who was in the way?

use super::course::Course;
use super::limits::{DELIVERED, DELIVERED_MIN, POOL_WAIT, SATURATED, STALL};
use super::{Amount, Axis, Findings, Reason, Status, share};
use crate::record::{Phase, Quantile};
use crate::report::{Defect, Report};
use crate::units::Nanos;

/// How the load was delivered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    /// Slots of the window; in a closed loop, requests that started in it.
    pub scheduled: u64,
    /// Of these, sent.
    pub sent: u64,
    /// Sent within the window, as a share of the scheduled; 1 in a closed loop.
    pub in_time: f64,
    /// Whether the client's own lateness explains what was not sent in time.
    pub late_by_client: bool,
    /// What slots waited for, if most of them had to.
    pub limitation: Option<Limitation>,
}

/// What slots waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limitation {
    /// More connections: the server answers as quickly as when little is asked of it.
    Connections {
        /// Median wait for a connection.
        wait: Nanos,
        /// Longest one.
        longest: Nanos,
    },
    /// The server: it answers more slowly the more it is asked.
    Server {
        /// Median service time when at most a quarter of the connections were in use.
        light: Nanos,
        /// Median service time over all.
        median: Nanos,
    },
}

/// Waits shorter than this are not worth a word.
const WAIT_MIN: Nanos = Nanos::from_micros(100);

impl Delivery {
    pub(super) fn of(report: &Report, course: &Course) -> Self {
        let ledger = &report.totals.ledger;
        let open = report.plan.load.is_open();
        let sent = if open { report.totals.parts.lag.count() } else { ledger.scheduled };
        let in_time = if open { share(course.sent_in_window, ledger.scheduled) } else { 1.0 };
        let late = report.totals.parts.loop_lag.buckets().filter(|&(lag, _)| lag > STALL);
        let late = late.map(|(_, count)| count).sum::<u64>();
        Self {
            scheduled: ledger.scheduled,
            sent,
            in_time: in_time.min(1.0),
            late_by_client: share(late, ledger.scheduled) >= 1.0 - in_time,
            limitation: limitation(report),
        }
    }
}

fn limitation(report: &Report) -> Option<Limitation> {
    let parts = &report.totals.parts;
    let services = parts.services();
    if parts.connection_wait.is_empty() || services.count() == 0 {
        return None;
    }
    // Slots that were dropped or gave up waiting found none either; unless none could be opened.
    let ledger = &report.totals.ledger;
    let kinds = report.totals.errors.kinds();
    let count = |phase: Phase| {
        let kinds = kinds.iter().filter(|kind| kind.trouble.phase == phase);
        kinds.map(|kind| kind.count).sum::<u64>()
    };
    let starved = if count(Phase::Connect) == 0 { ledger.dropped + count(Phase::Queue) } else { 0 };
    let wait = parts.connection_wait.quantile(Quantile::P50);
    let median = services.quantile(Quantile::P50).lo;
    let waits = wait > WAIT_MIN && as_f64(wait) > POOL_WAIT * as_f64(median);
    if !waits && share(starved, ledger.scheduled) <= 1.0 - DELIVERED {
        return None;
    }
    let light = parts.service_light.quantile(Quantile::P50);
    let slower = as_f64(median) >= SATURATED * as_f64(light);
    if !parts.service_light.is_empty() && slower {
        return Some(Limitation::Server { light, median });
    }
    Some(Limitation::Connections { wait, longest: parts.connection_wait.max() })
}

/// Whether slots were not held up for want of a connection.
pub(super) fn kept_up(report: &Report) -> bool {
    limitation(report).is_none()
}

fn as_f64(span: Nanos) -> f64 {
    span.as_secs_f64()
}

/// What must not be, whatever else happened.
pub(super) fn defects(report: &Report, findings: &mut Findings) {
    for defect in report.defects() {
        let (code, message, value, limit) = describe(&defect);
        findings.reasons.push(Reason {
            axis: if code == "clamped" { Axis::Statistics } else { Axis::Delivery },
            status: Status::Invalid,
            code,
            message,
            value: Amount::Count(value),
            limit: Amount::Count(limit),
            remedy: match defect {
                Defect::Empty => "give a longer --duration or a higher --rate",
                Defect::Clamped(_) => "give a --timeout below an hour",
                _ => "please report this as a defect",
            },
        });
    }
}

fn describe(defect: &Defect) -> (&'static str, String, u64, u64) {
    match *defect {
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
        Defect::CompletionsLost(count) => {
            ("completions_lost", format!("the kernel dropped {count} completions"), count, 0)
        }
        Defect::Latencies { recorded, expected } => (
            "latencies",
            format!("{recorded} latencies were recorded for {expected} outcomes"),
            recorded,
            expected,
        ),
    }
}

/// Slots that waited for a connection, or were not sent, and nothing on the client's side explains
/// it. That a server is slow is no fault of the run.
pub(super) fn shortfall(delivery: &Delivery, findings: &mut Findings) {
    let blamed = findings.blames_client();
    match delivery.limitation {
        // A client that comes late leaves connections idle that were free, and knows nothing of it.
        Some(Limitation::Connections { .. }) if blamed => {}
        Some(Limitation::Connections { wait, longest }) => findings.reasons.push(Reason {
            axis: Axis::Delivery,
            status: Status::Suspect,
            code: "connection_limited",
            message: format!(
                "the connections were too few for the rate: slots waited {wait} for a free one \
                 at p50, {longest} at most, and the server was not slower for it"
            ),
            value: Amount::Count(wait.get()),
            limit: Amount::Count(WAIT_MIN.get()),
            remedy: "give more connections (-c), or --on-full grow",
        }),
        None if delivery.in_time < DELIVERED && !delivery.late_by_client => {
            findings.reasons.push(undelivered(delivery));
        }
        // That a server is slow is no fault of the run.
        Some(Limitation::Server { .. }) | None => {}
    }
}

fn undelivered(delivery: &Delivery) -> Reason {
    let sent = super::percent(delivery.in_time);
    let invalid = delivery.in_time < DELIVERED_MIN;
    Reason {
        axis: Axis::Delivery,
        status: if invalid { Status::Invalid } else { Status::Suspect },
        code: "undelivered",
        message: format!("only {sent} of {} slots were sent within the window", delivery.scheduled),
        value: Amount::Share(delivery.in_time),
        limit: Amount::Share(DELIVERED),
        remedy: "look at the troubles of connections, or lower --rate",
    }
}
