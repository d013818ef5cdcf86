//! The JSON report, schema version 1: keys only grow within a version.
//!
//! Units stand in the names (`_s`, `_per_s`, `_ns`). What a run has not got is null, never zero.

use std::collections::BTreeMap;

use serde::Serialize;

use super::verdict::{Reason, Status};

pub(super) const VERSION: u32 = 1;

#[derive(Serialize)]
pub(super) struct Document<'r> {
    pub(super) schema_version: u32,
    pub(super) tool: Tool,
    pub(super) started_at: String,
    pub(super) interrupted: bool,
    /// `completed`, `interrupted`, or `target_lost`: no connection was left, and none could be
    /// opened.
    pub(super) ending: &'static str,
    pub(super) plan: Plan<'r>,
    pub(super) environment: Environment<'r>,
    pub(super) window: Window,
    pub(super) counts: Counts,
    /// By kind, connections' troubles included.
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) rates: Rates,
    pub(super) bytes: Bytes,
    pub(super) connections: Connections,
    /// The share of the counted requests that stand behind the latencies, from 0 to 1.
    pub(super) latency_coverage: f64,
    pub(super) latency_ns: Latencies,
    pub(super) shards: Vec<Shard>,
    pub(super) coordinator: Coordinator,
    /// Null unless it was asked for.
    pub(super) calibration: Option<super::calibration::Document>,
    pub(super) verdict: Verdict,
}

#[derive(Serialize)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

#[derive(Serialize)]
pub(super) struct Plan<'r> {
    pub(super) url: &'r str,
    pub(super) addresses: Vec<String>,
    pub(super) method: &'r str,
    pub(super) protocol: &'static str,
    pub(super) model: &'static str,
    pub(super) rate_per_s: Option<f64>,
    pub(super) connections: u32,
    pub(super) pipeline: u8,
    pub(super) shards: usize,
    pub(super) cores: Vec<usize>,
    pub(super) duration_s: Option<f64>,
    pub(super) requests: Option<u64>,
    pub(super) warmup_s: f64,
    pub(super) drain_s: f64,
    pub(super) timeout_s: f64,
    pub(super) connect_timeout_s: f64,
    pub(super) seed: u64,
}

#[derive(Serialize)]
pub(super) struct Environment<'r> {
    pub(super) reactor: &'static str,
    pub(super) reactor_features: &'r [&'static str],
    pub(super) kernel: Option<&'r str>,
    /// CPUs online.
    pub(super) cpus: Option<usize>,
    pub(super) cpus_allowed: String,
    /// CPUs' worth of time that the control groups grant.
    pub(super) cpu_quota: Option<f64>,
    pub(super) cpu_model: Option<&'r str>,
    pub(super) clocksource: Option<&'r str>,
    pub(super) open_files_limit: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Window {
    pub(super) seconds: f64,
}

#[derive(Serialize)]
pub(super) struct Counts {
    pub(super) scheduled: u64,
    pub(super) ok: u64,
    pub(super) failed: u64,
    pub(super) errors: u64,
    pub(super) timeouts: u64,
    pub(super) dropped: u64,
    pub(super) unfinished: u64,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "these are the names in the document")]
pub(super) struct Rates {
    pub(super) offered_per_s: Option<f64>,
    pub(super) achieved_per_s: f64,
    pub(super) goodput_per_s: f64,
}

#[derive(Serialize)]
pub(super) struct Bytes {
    pub(super) sent: u64,
    pub(super) received: u64,
}

#[derive(Serialize)]
pub(super) struct Connections {
    pub(super) opened: u64,
    pub(super) closed_by_peer: u64,
    pub(super) reconnects: u64,
}

/// `response` and `lag` are null in a closed loop, which has no schedule to measure from.
#[derive(Serialize)]
pub(super) struct Latencies {
    /// All outcomes.
    pub(super) response: Option<Distribution>,
    /// Responses for which every check held.
    pub(super) ok: Distribution,
    /// Responses by status class: `2xx`, `5xx`.
    pub(super) classes: BTreeMap<String, Distribution>,
    pub(super) service: Distribution,
    pub(super) lag: Option<Distribution>,
    pub(super) loop_lag: Option<Distribution>,
    pub(super) connection_wait: Option<Distribution>,
    pub(super) connect: Distribution,
    pub(super) tls: Option<Distribution>,
    pub(super) ttfb: Distribution,
    pub(super) reap_age: Distribution,
}

#[derive(Serialize)]
pub(super) struct Distribution {
    pub(super) count: u64,
    /// Of these, how many are only known to be longer than they were waited for.
    pub(super) censored: u64,
    /// Upper bounds of the quantiles, where some are; null where nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_most: Option<BTreeMap<&'static str, Option<u64>>>,
    /// This and what follows is null of nothing: a target that never answered was not quick.
    pub(super) min: Option<u64>,
    pub(super) mean: Option<f64>,
    pub(super) stddev: Option<f64>,
    pub(super) p50: Option<u64>,
    pub(super) p75: Option<u64>,
    pub(super) p90: Option<u64>,
    pub(super) p95: Option<u64>,
    pub(super) p99: Option<u64>,
    pub(super) p99_9: Option<u64>,
    pub(super) p99_99: Option<u64>,
    pub(super) max: Option<u64>,
    /// Values above an hour, which the quantiles know as an hour.
    pub(super) clamped: u64,
}

#[derive(Serialize)]
pub(super) struct Shard {
    pub(super) core: usize,
    pub(super) pinned: bool,
    pub(super) requests: u64,
    pub(super) busy: f64,
}

#[derive(Serialize)]
pub(super) struct Coordinator {
    pub(super) ticks: u64,
    pub(super) lateness_p50_ns: u64,
    pub(super) lateness_p99_ns: u64,
    pub(super) lateness_max_ns: u64,
    pub(super) ticks_lost: u64,
}

#[derive(Serialize)]
pub(super) struct Verdict {
    pub(super) status: Status,
    /// What the status rests on; nothing else was judged.
    pub(super) checked: &'static [&'static str],
    pub(super) reasons: Vec<Reason>,
}
