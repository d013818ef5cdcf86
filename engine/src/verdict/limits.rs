//! The limits of the verdict, in one place. Where each comes from stands in docs/MEASUREMENT.md,
//! "The verdict", with the experiments behind it.

use crate::units::Nanos;

/// Loop lag at p99 above which the schedule was not kept.
pub(super) const LOOP_LAG_P99: Nanos = Nanos::from_millis(1);
/// Loop lag at p99.9, as a share of the response time there.
pub(super) const LOOP_LAG_SHARE: f64 = 0.10;
/// Below it a loop lag at p99.9, and a wait of completions for their turn, is too short to matter.
pub(super) const LOOP_LAG_MIN: Nanos = Nanos::from_micros(100);
/// Fewest slots of which a p99.9 is looked at: of less it is the longest, which may be chance.
pub(super) const TAIL_MIN: u64 = 1_000;
/// A single loop lag that is a stall of the client.
pub(super) const STALL: Nanos = Nanos::from_millis(10);
/// Share of the users that waited for a row of a feed before they could begin; the longest of the
/// waits may be a [`STALL`].
pub(super) const STARVED: f64 = 0.01;
/// Share of the steps of a run in which the shard begins to be late by more than [`STALL`]: up to
/// it these are single stalls, above it the shard is late all the time.
pub(super) const STALLED_STEPS: f64 = 0.10;
/// Share of a percentile that the client itself made, above which it carries a star.
pub(super) const CLIENT_SHARE: f64 = 0.05;
/// Share of a second for which a shard may be busy.
pub(super) const BUSY: f64 = 0.80;
/// Share of the schedule that must be sent within the window.
pub(super) const DELIVERED: f64 = 0.99;
/// Below this share the run is not the one that was planned.
pub(super) const DELIVERED_MIN: f64 = 0.95;
/// Share of the time that a shard may wait for its CPU.
pub(super) const WAIT: f64 = 0.01;
/// The same within one second: 10 ms.
pub(super) const WAIT_WORST: f64 = 0.010;
/// The wait of a busy shard for its CPU, over the time that it was busy: up to it the shard itself
/// asks for too much, above it others do.
pub(super) const WAIT_OWN: f64 = 0.25;
/// Share of a second for which a shard was busy or waited for its CPU, up to which others can still
/// be blamed for what a disturbance does not explain.
pub(super) const DISTURBED: f64 = 0.5;
/// Times per second that a shard may lose its CPU.
pub(super) const SWITCHES: f64 = 1_000.0;
/// CPU time taken by the hypervisor, as a share of a second.
pub(super) const STEAL: f64 = 0.01;
/// Pressure on the CPUs; judged only where the scheduler does not tell how long shards waited.
pub(super) const PRESSURE: f64 = 0.05;
/// Segments sent again.
pub(super) const RETRANSMITS: f64 = 0.001;
/// How long completions may wait for their turn at p99, as a share of the median response.
pub(super) const REAP_AGE: f64 = 0.05;
/// Share of the window in which a closed loop sent nothing.
pub(super) const SILENT: f64 = 0.05;
/// Requests without a valid response, as a share: where a p99 stops to be one.
pub(super) const UNANSWERED: f64 = 0.01;
/// A median wait for a connection above this share of the median service time is no accident.
pub(super) const POOL_WAIT: f64 = 0.10;
/// A mean service time that is so many times that of light use says that the server is full.
pub(super) const SATURATED: f64 = 1.5;
/// Standard deviations by which it must be longer: few requests may be sent under light use.
pub(super) const SATURATED_SIGMA: f64 = 1.645;
/// Share of the pool that the rate must use at the pace of light use, for most of the slots to wait
/// because the pool is too small.
pub(super) const POOL_USED: f64 = 0.5;
/// How far the starts of a constant schedule may scatter: variance of counts over their mean.
pub(super) const DISPERSION: f64 = 0.02;
