//! What this machine can do at best: the same load against a target that does nothing.
//!
//! A latency near the *floor* is the client's and the kernel's more than the server's, and a rate
//! near the *ceiling* is what the client can ask for, not what the server can take. Both are
//! measured before the run, with its own shards, connections and request, against the built-in
//! target in a process of its own, and on a CPU without a shard where there is one.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use pummel_engine::RunError;
use pummel_engine::coordinator::{Control, Observers};
use pummel_engine::plan::{Addresses, ExpectedStatus, Limit, Load, Plan, Stop};
use pummel_engine::record::Quantile;
use pummel_engine::report::{Ending, Report};
use pummel_engine::units::Nanos;
use pummel_tuning::Host;

use crate::command::companion::Companion;
use crate::exit::Failure;

/// Longest window of either measurement.
const WINDOW_MAX: Nanos = Nanos::from_secs(2);

/// Left out at the beginning of either, and the longest wait for what is owed at the end.
const WARMUP: Nanos = Nanos::from_millis(200);
const DRAIN: Nanos = Nanos::from_secs(1);

/// A run whose latency is less than this many times the floor, or whose rate is more than this part
/// of the ceiling, says as much about the client as about the server.
const NEAR: f64 = 2.0;

/// The best that a load can get on this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Calibration {
    /// Response times at the load's rate, or service times of a closed loop; `None` if nothing was
    /// answered.
    pub(crate) floor: Option<Floor>,
    /// Responses per second, flat out over as many connections.
    pub(crate) ceiling_per_second: f64,
}

/// The least latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) p50: Nanos,
    pub(crate) p99: Nanos,
}

/// How far a run was from the best; larger is farther. `None` where there is nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Headroom {
    /// The ceiling over the achieved rate.
    pub(crate) rate: Option<f64>,
    /// The p50 over that of the floor.
    pub(crate) latency: Option<f64>,
}

impl Headroom {
    /// Whether the client may have been what was measured.
    pub(crate) fn is_small(self) -> bool {
        [self.rate, self.latency].into_iter().flatten().any(|headroom| headroom < NEAR)
    }
}

impl Calibration {
    /// Loads the built-in target as `plan` says, and then flat out. Takes about five seconds, less
    /// if the run itself is shorter.
    ///
    /// # Errors
    /// If the target cannot be started or loaded, or the user calls it off by `control`.
    pub(crate) fn measure(plan: &Plan, host: &Host, control: &Control) -> Result<Self, Failure> {
        let shards = plan.cores.cpus();
        let free = host.cpus.allowed.iter().find(|cpu| !shards.contains(cpu));
        // One that spins on the CPU of a shard would take it from the shard.
        let flags: &[&str] = if free.is_some() { &["--spin"] } else { &[] };
        let cpu = free.or(shards.first().copied());
        let target = Companion::start(flags, cpu).map_err(Failure::impossible)?;
        let measured = Self::against(plan, &target.url, control);
        // First of all the target is ended, whatever came of it.
        target.end().map_err(Failure::impossible)?;
        measured
    }

    fn against(plan: &Plan, url: &str, control: &Control) -> Result<Self, Failure> {
        let plan = aimed(plan, url).map_err(Failure::impossible)?;
        let flat_out = Load::Closed { pipeline: plan.load.pipeline(), spawn: None };
        let floor = load(plan.clone(), control)?;
        let ceiling = if plan.load.is_open() {
            load(Plan { load: flat_out, ..plan }, control)?
        } else {
            floor.clone()
        };
        Ok(Self { floor: Floor::of(&floor), ceiling_per_second: ceiling.achieved_per_second() })
    }

    /// How far `report` was from the best.
    pub(crate) fn headroom(&self, report: &Report) -> Headroom {
        let (achieved, own) = (report.achieved_per_second(), Floor::of(report));
        Headroom {
            rate: (achieved > 0.0).then(|| self.ceiling_per_second / achieved),
            latency: own.zip(self.floor).and_then(|(own, floor)| ratio(own.p50, floor.p50)),
        }
    }
}

impl Floor {
    /// The latencies of a run; what did not end counts with the time that was waited for it.
    fn of(report: &Report) -> Option<Self> {
        let all = report.totals.latency.all();
        let at = |quantile| all.quantile(quantile).lo;
        (all.count() > 0).then(|| Self { p50: at(Quantile::P50), p99: at(Quantile::P99) })
    }
}

/// `a / b`; `None` by nothing.
fn ratio(a: Nanos, b: Nanos) -> Option<f64> {
    (b > Nanos::ZERO).then(|| a.as_secs_f64() / b.as_secs_f64())
}

/// `plan` against the built-in target at `url`, for a short time.
fn aimed(plan: &Plan, url: &str) -> Result<Plan> {
    let address: Option<SocketAddr> =
        url.strip_prefix("http://").and_then(|address| address.parse().ok());
    let address = address.with_context(|| format!("the target listens at no address: {url}"))?;
    let mut plan = plan.clone();
    url.clone_into(&mut plan.target.url);
    plan.target.addresses = Addresses::new(vec![address]).context("no address of the target")?;
    plan.others.clear();
    plan.work = plan.work.expecting(&ExpectedStatus::default()).to_one_server();
    // Addresses that lead to the server need not lead to this machine itself.
    plan.wire.sources = Arc::default();
    let length = plan.stop.limit.duration().unwrap_or(WINDOW_MAX).min(WINDOW_MAX);
    plan.stop = Stop { warmup: WARMUP, limit: Limit::Duration(length), drain: DRAIN };
    Ok(plan)
}

fn load(plan: Plan, control: &Control) -> Result<Report, Failure> {
    match pummel_engine::run(plan, Observers::none(), control) {
        Ok(report) if report.ending == Ending::Interrupted => Err(Failure::interrupted()),
        Ok(report) => Ok(report),
        Err(RunError::StoppedBeforeStart) => Err(Failure::interrupted()),
        Err(error) => Err(Failure::impossible(anyhow!("calibration: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU8;
    use std::net::IpAddr;

    use super::*;
    use crate::output::tests as sample;

    #[test]
    fn a_run_within_twice_of_the_best_is_marked() {
        for (rate, latency, small) in [
            (Some(2.0), Some(2.0), false),
            (Some(1.9), Some(9.0), true),
            (Some(9.0), Some(1.9), true),
            (None, Some(5.0), false),
            (None, None, false),
        ] {
            assert_eq!(Headroom { rate, latency }.is_small(), small, "{rate:?} {latency:?}");
        }
    }

    #[test]
    fn the_load_is_aimed_at_the_target_from_wherever_it_can_be_reached() {
        let load = Load::Closed { pipeline: NonZeroU8::MIN, spawn: None };
        let mut plan = sample::plan(load);
        plan.wire.sources = Arc::from([IpAddr::from([192, 0, 2, 1])]);
        let aimed = aimed(&plan, "http://127.0.0.1:9").unwrap();
        assert!(aimed.wire.sources.is_empty());
        let expected = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(aimed.target.addresses.all(), [expected.into()]);
        assert_eq!(aimed.connections, plan.connections);
    }

    #[test]
    fn nothing_is_no_divisor() {
        let span = Nanos::from_millis;
        assert_eq!(ratio(span(4), span(2)), Some(2.0));
        assert_eq!(ratio(span(4), Nanos::ZERO), None);
    }
}
