//! The result of a run: final numbers, and the plan which made them.

use core::num::NonZeroU32;
use std::sync::Arc;

use crate::cookies::Cookie;
use crate::coordinator::Lateness;
use crate::pace;
use crate::plan::{Plan, Stages, Timetable};
use crate::record::{Chronicle, Exchange, Snapshot, Spans};
use crate::units::Nanos;

/// What a run found out. Rates and quantiles are computed from it, never stored beside it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan that was run.
    pub plan: Arc<Plan>,
    /// What of it became different meanwhile.
    pub changes: Changes,
    /// How the shards met the kernel: the reactor's name and the features that it runs with.
    pub reactor: crate::reactor::Description,
    /// Length of the measured window: as planned, or up to where it was cut short.
    pub window: Nanos,
    /// The shards' numbers, merged.
    pub totals: Snapshot,
    /// The same in steps of time.
    pub chronicle: Chronicle,
    /// What was exchanged, in its order, if the plan was a [try](Plan::tried).
    pub exchanges: Vec<Exchange>,
    /// What users have in the end, if the plan wants that told; of cookies that would replace each
    /// other, the one that was set last.
    pub cookies: Vec<Cookie>,
    /// One row per shard.
    pub shards: Vec<ShardReport>,
    /// How late the coordinator's own ticks were.
    pub coordinator: Lateness,
    /// Ticks that observers were too slow to take.
    pub ticks_lost: u64,
    /// How the run ended.
    pub ending: Ending,
}

/// What changed while a run went on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// All of it, in order.
    pub list: Vec<Changed>,
    /// The timetable as it was in the end, from the start barrier on; `None` if it is the plan's.
    pub timetable: Option<Timetable>,
}

/// A change of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its moment, after the start barrier.
    pub at: Nanos,
    /// What it was, and what it became.
    pub what: Turned,
}

/// What became different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turned {
    /// The offered rate.
    Rate {
        /// What was asked for before.
        from: Stages,
        /// What was asked for from then on.
        to: Stages,
        /// How long the way from the one to the other took.
        over: Nanos,
    },
    /// Connections, over all shards.
    Connections {
        /// So many before.
        from: NonZeroU32,
        /// So many from then on.
        to: NonZeroU32,
    },
    /// The weights of the scenarios, in the order of the work.
    Weights {
        /// Those of before.
        from: Arc<[NonZeroU32]>,
        /// Those from then on.
        to: Arc<[NonZeroU32]>,
    },
}

/// Numbers of one shard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShardReport {
    /// The CPU that it was pinned to.
    pub cpu: usize,
    /// Whether pinning it succeeded.
    pub pinned: bool,
    /// Requests of the window that it brought to an outcome.
    pub requests: u64,
    /// CPU time, user and system, over wall time from the start barrier to the end of the drain;
    /// without the time in which it spun and found nothing to do.
    pub busy: f64,
    /// The same over the busiest second; zero if the run was shorter.
    pub busiest: f64,
    /// That time over the same wall time; zero unless the pacing makes a shard spin.
    pub spun: f64,
    /// Completions that the kernel had no room for and dropped.
    pub completions_lost: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As planned.
    Completed,
    /// By request, before its time.
    Interrupted,
    /// A closed loop bounded by a number of requests alone found no connection any more.
    TargetLost,
}

impl Report {
    /// The timetable as it was, changes included; `None` in a closed loop.
    #[must_use]
    pub fn timetable(&self) -> Option<&Timetable> {
        self.changes.timetable.as_ref().or(self.plan.load.timetable())
    }

    /// Most connections that there were to be at any time.
    #[must_use]
    pub fn most_connections(&self) -> NonZeroU32 {
        let counts = self.changes.list.iter().map(|changed| match changed.what {
            Turned::Connections { to, .. } => to,
            Turned::Rate { .. } | Turned::Weights { .. } => self.plan.connections,
        });
        counts.fold(self.plan.connections, NonZeroU32::max)
    }

    /// The offered rate per second: what the timetable holds in the window, over its length; `None`
    /// in a closed loop.
    #[must_use]
    pub fn offered_per_second(&self) -> Option<f64> {
        // A number that ends the window may end it within a burst.
        let counted = self.plan.stop.limit.requests().is_some();
        if counted && self.plan.load.is_open() && self.window > Nanos::ZERO {
            return Some(self.per_second(self.totals.ledger.scheduled));
        }
        let from = self.plan.stop.warmup;
        Some(pace::offered(self.timetable()?, from, from + self.window))
    }

    /// Responses per second of the window, by the moment of their last byte.
    #[must_use]
    pub fn achieved_per_second(&self) -> f64 {
        self.per_second(self.totals.finished_in_window)
    }

    /// Responses for which every check held, per second of the window.
    #[must_use]
    pub fn goodput_per_second(&self) -> f64 {
        self.per_second(self.totals.good_in_window)
    }

    /// The share of the window's requests whose latency is known, from 0 to 1; of the others, those
    /// that timed out, were dropped or left unfinished, a lower bound is.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for display")]
    pub fn coverage(&self) -> f64 {
        let scheduled = self.totals.ledger.scheduled;
        let known = self.totals.latency.all().known.count();
        if scheduled == 0 { 0.0 } else { known as f64 / scheduled as f64 }
    }

    /// Service times, with those that did not end.
    #[must_use]
    pub fn services(&self) -> Spans {
        // A closed loop has no other latencies.
        if self.plan.load.is_open() {
            self.totals.parts.services()
        } else {
            self.totals.latency.all()
        }
    }

    /// The findings that make the numbers worthless; empty if there are none.
    #[must_use]
    pub fn defects(&self) -> Vec<Defect> {
        let ledger = &self.totals.ledger;
        let latencies = self.totals.latency.count();
        let expected = ledger.accounted();
        let mut defects = Vec::new();
        if ledger.scheduled == 0 {
            defects.push(Defect::Empty);
        }
        let clamped = self.totals.latency.clamped();
        if clamped > 0 {
            defects.push(Defect::Clamped(clamped));
        }
        let lost = self.shards.iter().map(|shard| shard.completions_lost).sum();
        if lost > 0 {
            defects.push(Defect::CompletionsLost(lost));
        }
        let disordered = self.totals.oddities.disordered;
        if disordered > 0 {
            defects.push(Defect::Disordered(disordered));
        }
        if !ledger.balances() {
            let (scheduled, accounted) = (ledger.scheduled, ledger.accounted());
            defects.push(Defect::Ledger { scheduled, accounted });
        }
        let unbalanced = self.totals.flows.iter().filter(|flow| !flow.balances());
        let sums = unbalanced.map(|flow| (flow.begun, flow.over()));
        if let Some((begun, over)) = sums.reduce(|one, other| (one.0 + other.0, one.1 + other.1)) {
            defects.push(Defect::Flows { begun, over });
        }
        if latencies != expected {
            defects.push(Defect::Latencies { recorded: latencies, expected });
        }
        defects
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    fn per_second(&self, count: u64) -> f64 {
        if self.window == Nanos::ZERO { 0.0 } else { count as f64 / self.window.as_secs_f64() }
    }
}

/// Something that must not be, and makes a run's numbers worthless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// No request lay in the measured window.
    Empty,
    /// So many latencies were longer than the histograms can hold.
    Clamped(u64),
    /// The outcomes do not sum to the scheduled requests.
    Ledger {
        /// Requests that were scheduled.
        scheduled: u64,
        /// Requests with an outcome.
        accounted: u64,
    },
    /// Of scenarios and groups there are some that do not end as often as they begin.
    Flows {
        /// How often they begin.
        begun: u64,
        /// How often they end.
        over: u64,
    },
    /// The latencies do not hold one value for each outcome.
    Latencies {
        /// Values in the histograms.
        recorded: u64,
        /// Outcomes in the ledger.
        expected: u64,
    },
    /// The kernel dropped so many completions.
    CompletionsLost(u64),
    /// So many requests have a moment before the one that leads to it.
    Disordered(u64),
}
