//! WHETHER TO BELIEVE IT: a verdict on a report, with the reasons and their numbers. Pure.
//!
//! Three questions are asked apart from each other: was the load delivered as planned, was the
//! client healthy, do the statistics bear what is printed? A reason names a cause, not a symptom: a
//! shard that had to wait for its CPU is late as well, and its pool runs empty, but only the wait
//! is named. What the *target* does, be it errors or falling behind, is a finding and never a fault
//! of the run.
//!
//! | file | what it knows |
//! |---|---|
//! | `limits` | every threshold |
//! | `machine` | what whoever watched the machine hands over |
//! | `trust` | how far each printed quantile can be trusted |
//! | `course` | what the steps of the run say: steady or not, worst windows, arrivals |
//! | `delivery`, `client` | the rules |

mod client;
mod course;
mod delivery;
mod limits;
mod machine;
#[cfg(test)]
mod tests;
mod trust;

use core::fmt;

pub use course::{Course, Fidelity, WorstWindow};
pub use delivery::{Delivery, Limitation};
pub use machine::{Machine, ShardThread};
pub use trust::{Basis, Trust};

use crate::report::Report;

/// How far something can be trusted; each is worse than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Everything that was checked held.
    Pass,
    /// The numbers are what was measured, and may not be what they seem.
    Suspect,
    /// The numbers are worthless.
    Invalid,
}

impl Status {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
        }
    }
}

/// The three questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Was the load delivered as planned?
    Delivery,
    /// Was the client healthy, and left alone?
    Client,
    /// Do the statistics bear what is printed?
    Statistics,
}

impl Axis {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 3] = [Self::Delivery, Self::Client, Self::Statistics];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivery => "load delivered",
            Self::Client => "client health",
            Self::Statistics => "statistics",
        }
    }
}

/// What was found or allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// A number of things, or of nanoseconds where the code says so (`…_ns`).
    Count(u64),
    /// A share from 0 to 1, or a ratio.
    Share(f64),
}

/// One finding that makes a run worse than it seems.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// Which question it answers.
    pub axis: Axis,
    /// How bad it is.
    pub status: Status,
    /// Stable, for scripts.
    pub code: &'static str,
    /// In words.
    pub message: String,
    /// What was found.
    pub value: Amount,
    /// What it may be at most (or at least, where more is better).
    pub limit: Amount,
    /// The next thing to try.
    pub remedy: &'static str,
}

/// Something worth knowing that makes nothing worse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Stable, for scripts.
    pub code: &'static str,
    /// In words.
    pub message: String,
}

/// The verdict on a run.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The worst of all reasons.
    pub status: Status,
    /// The worst first.
    pub reasons: Vec<Reason>,
    /// What else is worth knowing.
    pub notes: Vec<Note>,
    /// How the load was delivered.
    pub delivery: Delivery,
    /// How the run went from beginning to end.
    pub course: Course,
    /// How far each quantile can be trusted, from the median up.
    pub trust: Vec<Trust>,
}

impl Verdict {
    /// Judges `report`, made on `machine`.
    #[must_use]
    pub fn of(report: &Report, machine: &Machine) -> Self {
        let course = Course::of(report);
        let trust = trust::of(report, &course);
        let mut findings = Findings::default();
        delivery::defects(report, &mut findings);
        client::disturbances(report, machine, &mut findings);
        client::starvation(report, &mut findings);
        let mut delivery = Delivery::of(report, &course);
        client::work(report, machine, &delivery, &mut findings);
        client::lateness(report, machine, &course, &mut findings);
        if client::is_beside(report, machine, &findings) {
            delivery.explain(report, &course);
        }
        delivery::silence(report, &course, &mut findings);
        delivery::shortfall(report, &course, &delivery, &mut findings);
        course::statistics(report, &course, &trust, &mut findings);
        let Findings { mut reasons, notes } = findings;
        reasons.sort_by_key(|reason| core::cmp::Reverse(reason.status));
        let status = reasons.first().map_or(Status::Pass, |reason| reason.status);
        Self { status, reasons, notes, delivery, course, trust }
    }

    /// Whether a backlog is the target's: nothing on this side explains it.
    #[must_use]
    pub fn blames_target(&self) -> bool {
        match self.delivery.limitation {
            Some(Limitation::Connections { .. }) => false,
            Some(Limitation::Server { .. } | Limitation::Stops { .. }) => true,
            None => self.reasons.iter().all(|reason| reason.axis != Axis::Client),
        }
    }

    /// The status of one axis.
    #[must_use]
    pub fn of_axis(&self, axis: Axis) -> Status {
        let statuses = self.reasons.iter().filter(|reason| reason.axis == axis);
        statuses.map(|reason| reason.status).max().unwrap_or(Status::Pass)
    }
}

/// What has been found so far. A rule may look at it, to leave out what another one explains.
#[derive(Debug, Default)]
struct Findings {
    reasons: Vec<Reason>,
    notes: Vec<Note>,
}

impl Findings {
    fn note(&mut self, code: &'static str, message: impl fmt::Display) {
        self.notes.push(Note { code, message: message.to_string() });
    }

    /// Whether anything kept the client itself from sending: what befalls packets does not.
    fn client_held_back(&self) -> bool {
        const KEEP: [&str; 9] = [
            "throttled",
            "steal",
            "run_queue",
            "switches",
            "busy",
            "overloaded",
            "client_stall",
            "loop_lag",
            "starved",
        ];
        self.reasons.iter().any(|reason| KEEP.contains(&reason.code))
    }

    /// Whether anything makes the client suspect already.
    fn blames_client(&self) -> bool {
        self.reasons.iter().any(|reason| reason.axis == Axis::Client)
    }
}

/// A share for people.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p < 0.095 => format!("{p:.2} %"),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for display and comparison")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
