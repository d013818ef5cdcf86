//! Was the load delivered as planned, and if not: who was in the way?

use super::course::Course;
use super::limits::{
    DELIVERED, DELIVERED_MIN, POOL_USED, POOL_WAIT, SATURATED, SATURATED_SIGMA, SILENT,
};
use super::{Amount, Axis, Findings, Reason, Status, share};
use crate::plan::{Load, OnFull, Protocol};
use crate::record::{Alpn, Histogram, Phase, Quantile};
use crate::report::{Defect, Report};
use crate::units::Nanos;

/// How the load was delivered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    /// Slots of the window; in a closed loop, requests that started in it.
    pub scheduled: u64,
    /// Of these, sent; in the drain too.
    pub sent: u64,
    /// Sent within the window.
    pub sent_in_window: u64,
    /// Not sent, because the values of their URLs led to no host of the run.
    pub astray: u64,
    /// Sent within the window or led astray, as a share of the scheduled; 1 in a closed loop.
    pub in_time: f64,
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
        /// Whether enough requests were sent under light use to know that the server was not
        /// slower than then.
        known: bool,
    },
    /// The server: it answers more slowly the more it is asked.
    Server {
        /// Mean service time when at most a quarter of the connections were in use.
        light: Nanos,
        /// Mean service time over all.
        mean: Nanos,
    },
    /// The server: as quick as it mostly is, it would have kept up, but it stood still meanwhile.
    Stops {
        /// Longest service time, or longest wait for what did not end.
        longest: Nanos,
    },
}

/// Waits shorter than this are not worth a word.
const WAIT_MIN: Nanos = Nanos::from_micros(100);

impl Delivery {
    pub(super) fn of(report: &Report, course: &Course) -> Self {
        let ledger = &report.totals.ledger;
        let open = report.plan.load.is_open();
        let astray = troubles(report, Phase::Url).min(ledger.scheduled);
        let sent = if open { report.totals.parts.lag.count() } else { ledger.scheduled - astray };
        let judged = open && ledger.scheduled > 0;
        let in_time = share(course.sent_in_window + astray, ledger.scheduled.max(1));
        let in_time = if judged { in_time } else { 1.0 };
        let sent_in_window = if open { course.sent_in_window.min(sent) } else { sent };
        Self {
            scheduled: ledger.scheduled,
            sent,
            sent_in_window,
            astray,
            in_time: in_time.min(1.0),
            limitation: None,
        }
    }

    /// Finds out what slots waited for, if they did. Only where the client had no part in it: one
    /// that is late makes servers look slow and connections few.
    pub(super) fn explain(&mut self, report: &Report, course: &Course) {
        self.limitation = limitation(report, course, self.in_time);
    }
}

fn limitation(report: &Report, course: &Course, in_time: f64) -> Option<Limitation> {
    let parts = &report.totals.parts;
    let mut services = parts.services().known;
    if let Some(censored) = &parts.service_censored {
        services.merge(censored);
    }
    if parts.connection_wait.is_empty() || services.is_empty() || unreachable(report) {
        return None;
    }
    let wait = parts.connection_wait.quantile(Quantile::P50);
    let median = services.quantile(Quantile::P50);
    let waits = wait > WAIT_MIN && wait.as_secs_f64() > POOL_WAIT * median.as_secs_f64();
    if !waits && starved(report) <= 1.0 - DELIVERED && in_time >= DELIVERED {
        return None;
    }
    let (light, all) = (Pace::of(&parts.service_light), Pace::of(&services));
    // How far a mean of so few may lie beside the truth by chance.
    let chance = SATURATED_SIGMA * all.deviation / light.count.max(1.0).sqrt();
    let few = light.count < 1.0 || chance > (SATURATED - 1.0) * all.mean;
    let slower = all.mean >= SATURATED * light.mean && all.mean - light.mean >= chance;
    if slower && light.count >= 1.0 {
        return Some(Limitation::Server { light: nanos(light.mean), mean: nanos(all.mean) });
    }
    let used = usage(report, course, light.mean + chance);
    if !few && used < if waits { POOL_USED } else { 1.0 } {
        return Some(Limitation::Stops { longest: services.max() });
    }
    Some(Limitation::Connections { wait, longest: parts.connection_wait.max(), known: !few })
}

/// How quick a server mostly is, in nanoseconds: of those times of service that are not among the
/// longest hundredth. One stop of the server would outweigh thousands of them.
struct Pace {
    count: f64,
    mean: f64,
    deviation: f64,
}

impl Pace {
    fn of(services: &Histogram) -> Self {
        let mut left = Quantile::P99.rank(services.count()).min(services.count());
        let (mut sum, mut squares, all) = (0.0, 0.0, share(left, 1));
        for (span, count) in services.buckets() {
            let (span, count) = (share(span.get(), 1), count.min(left));
            left -= count;
            sum += span * share(count, 1);
            squares += span * span * share(count, 1);
        }
        let mean = if all > 0.0 { sum / all } else { 0.0 };
        let variance = if all > 0.0 { squares / all - mean * mean } else { 0.0 };
        Self { count: all, mean, deviation: variance.max(0.0).sqrt() }
    }
}

/// Troubles of a phase.
fn troubles(report: &Report, phase: Phase) -> u64 {
    let kinds = report.totals.errors.kinds();
    kinds.iter().filter(|kind| kind.trouble.phase == phase).map(|kind| kind.count).sum()
}

/// Whether connections could not be had, so that how many there were to be says nothing.
fn unreachable(report: &Report) -> bool {
    troubles(report, Phase::Connect) >= u64::from(report.most_connections().get())
}

/// The share of the slots that found no connection before they were given up.
fn starved(report: &Report) -> f64 {
    let ledger = &report.totals.ledger;
    share(ledger.dropped + troubles(report, Phase::Queue), ledger.scheduled)
}

/// How many requests a connection could have outstanding, and whether they were streams.
fn at_once(report: &Report) -> (u32, bool) {
    let wire = &report.plan.wire;
    let streams = match wire.protocol {
        Protocol::Negotiated => {
            let agreed = report.totals.secured.rows();
            agreed.iter().any(|(agreed, _)| agreed.alpn == Some(Alpn::Http2))
        }
        protocol => protocol.may_be_http2(),
    };
    let most = if streams {
        let asked = u32::from(wire.streams.get());
        report.totals.multiplexed.streams_allowed.map_or(asked, |allowed| allowed.min(asked))
    } else {
        u32::from(report.plan.depth().get())
    };
    (most, streams)
}

/// How much of the pool the highest rate would use if each request took `service`, in nanoseconds,
/// and brought its part of the reconnects.
fn usage(report: &Report, course: &Course, service: f64) -> f64 {
    let most = match report.plan.load {
        Load::Open { on_full: OnFull::Grow { most }, .. } => most,
        Load::Open { .. } | Load::Closed { .. } => report.most_connections(),
    };
    let places = u64::from(most.get()) * u64::from(at_once(report).0);
    let again = share(report.totals.connections.reconnects, report.totals.ledger.scheduled);
    let taken = service + again * report.totals.parts.connect.mean();
    course.peak_rate * taken / 1e9 / share(places, 1)
}

fn nanos(mean: f64) -> Nanos {
    super::machine::of_a_second(mean / 1e9)
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
                Defect::Clamped(_) => "give a --timeout or a --deadline below an hour",
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
        Defect::Flows { begun, over } => (
            "flows",
            format!("scenarios and groups were begun {begun} times, and ended {over} times"),
            over,
            begun,
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

/// Whether the client itself kept back so much of the schedule that the run is another one.
fn held_back(report: &Report, delivery: &Delivery, findings: &Findings) -> bool {
    let parts = &report.totals.parts;
    let told = findings.reasons.iter().any(|reason| reason.status == Status::Invalid);
    let itself = parts.loop_lag.mean() >= parts.connection_wait.mean();
    delivery.in_time < DELIVERED_MIN && itself && !told
}

/// A closed loop that could send nothing for a part of the window, because no connection could be
/// had.
pub(super) fn silence(report: &Report, course: &Course, findings: &mut Findings) {
    if report.plan.load.is_open() || troubles(report, Phase::Connect) == 0 {
        return;
    }
    // A slow server is waited for, and that is no silence.
    let (mut arrived, mut ended) = (0, 0);
    let silent = course.steps.iter().filter(|step| {
        arrived += step.tally.arrived;
        ended += step.tally.ended;
        step.tally.sent == 0 && arrived <= ended
    });
    let mut silent = silent.count() as u64;
    // Behind the last step there is nothing at all.
    let told = course.steps.len() as u64;
    let whole = report.window.get().checked_div(course.step.get()).unwrap_or(told).max(told);
    if arrived <= ended {
        silent += whole - told;
    }
    let part = share(silent, whole.max(1));
    if part > SILENT {
        findings.reasons.push(Reason {
            axis: Axis::Delivery,
            status: Status::Suspect,
            code: "target_gone",
            message: format!(
                "for {} of the window nothing was sent, for no connection could be had",
                super::percent(part)
            ),
            value: Amount::Share(part),
            limit: Amount::Share(SILENT),
            remedy: "look at the troubles of connections; rates are means over the whole window",
        });
    }
}

/// That much of the schedule was not sent, and who kept it back is unknown: a client that had a
/// part in it makes servers look slow and connections few.
fn unexplained(delivery: &Delivery, findings: &mut Findings) {
    let told = findings.reasons.iter().any(|reason| reason.status == Status::Invalid);
    if told || delivery.in_time >= DELIVERED_MIN {
        return;
    }
    let why = ", and whether the target or the client kept back the others cannot be told";
    findings.reasons.push(Reason {
        status: Status::Suspect,
        remedy: "see to the client first, then to the longest service times and to the errors",
        ..undelivered(delivery, why)
    });
}

/// Whether most of what was not sent in time was due while no connection could be had: in steps in
/// which nothing was sent.
fn cut_off(report: &Report, course: &Course, delivery: &Delivery) -> bool {
    let silent = course.steps.iter().filter(|step| step.tally.sent == 0 && step.tally.arrived > 0);
    let silent = share(silent.count() as u64, course.steps.len().max(1) as u64);
    unreachable(report) && 2.0 * silent >= 1.0 - delivery.in_time
}

/// Slots that were not sent, for the server was gone. Whatever it does to the client that it looks
/// for a server again and again, the server comes first.
fn undelivered_for_server(delivery: &Delivery, findings: &mut Findings) {
    let reason = undelivered(delivery, ", and no connection could be had for most of the others");
    let remedy = "see to the server first: connections to it failed (errors and troubles say how)";
    findings.reasons.insert(0, Reason { remedy, ..reason });
}

/// That slots were not sent in time, with what there is to say of it.
fn undelivered(delivery: &Delivery, why: &str) -> Reason {
    let invalid = delivery.in_time < DELIVERED_MIN;
    Reason {
        axis: Axis::Delivery,
        status: if invalid { Status::Invalid } else { Status::Suspect },
        code: "undelivered",
        message: format!(
            "only {} of {} slots were sent within the window{why}",
            super::percent(delivery.in_time),
            delivery.scheduled
        ),
        value: Amount::Share(delivery.in_time),
        limit: Amount::Share(DELIVERED),
        remedy: "look at the troubles of connections, or lower --rate",
    }
}

/// Slots that waited for a connection, or were not sent, and nothing on the client's side explains
/// it. That a server is slow is no fault of the run.
pub(super) fn shortfall(
    report: &Report,
    course: &Course,
    delivery: &Delivery,
    findings: &mut Findings,
) {
    let late = delivery.in_time < DELIVERED;
    match delivery.limitation {
        None if late && cut_off(report, course, delivery) => {
            undelivered_for_server(delivery, findings);
        }
        Some(Limitation::Connections { wait, longest, known }) => findings.reasons.push(Reason {
            axis: Axis::Delivery,
            status: Status::Suspect,
            code: "connection_limited",
            message: format!(
                "the {} were too few for the rate: slots waited {wait} for a free one \
                 at p50, {longest} at most, and {}",
                if at_once(report).1 { "streams" } else { "connections" },
                if known {
                    "the server was not slower for it"
                } else {
                    "too few were sent under light use to tell whether the server was slower for it"
                }
            ),
            value: Amount::Count(wait.get()),
            limit: Amount::Count(WAIT_MIN.get()),
            remedy: match (at_once(report).1, report.totals.multiplexed.streams_allowed) {
                (false, _) => "give more connections (-c), or --on-full grow",
                (true, None) => "give more --streams, or more connections (-c)",
                (true, Some(_)) => {
                    "the server allows fewer --streams than were asked for; give more connections \
                     (-c)"
                }
            },
        }),
        None if findings.client_held_back() && !held_back(report, delivery, findings) => {
            unexplained(delivery, findings);
        }
        None if late => {
            let reason = undelivered(delivery, "");
            // Whoever gave up waiting for a connection did not wait for the client.
            let gave_up = 2.0 * starved(report) >= 1.0 - delivery.in_time;
            let blamed = findings.blames_client() && !gave_up;
            let remedy = if blamed { "see to the client first" } else { reason.remedy };
            findings.reasons.push(Reason { remedy, ..reason });
        }
        // That a server is slow is no fault of the run.
        Some(Limitation::Server { .. } | Limitation::Stops { .. }) | None => {}
    }
}
