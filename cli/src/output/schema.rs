//! The JSON report, schema version 1: keys only grow within a version.
//!
//! Units stand in the names (`_s`, `_per_s`, `_ns`). What a run has not got is null, never zero.

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// What became different of the load meanwhile; `plan` has what it began with.
    pub(super) changes: Vec<super::changes::Document>,
    pub(super) counts: Counts,
    /// By kind, connections' troubles included.
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) rates: Rates,
    pub(super) bytes: Bytes,
    pub(super) connections: Connections,
    /// Each server of several; empty where there is only one.
    pub(super) origins: Vec<super::origins::Document<'r>>,
    /// Null in the clear.
    pub(super) tls: Option<Handshakes>,
    /// Null where HTTP/2 is never spoken.
    pub(super) http2: Option<Http2>,
    /// The share of the counted requests that stand behind the latencies, from 0 to 1.
    pub(super) latency_coverage: f64,
    pub(super) latency_ns: Latencies,
    /// Each request of several; empty where there is only one.
    pub(super) steps: Vec<ByRequest<'r>>,
    /// Each scenario, then each group; empty where every scenario is one request.
    pub(super) flows: Vec<ByFlow<'r>>,
    /// Each check and capture; empty where nothing is looked for.
    pub(super) checks: Vec<super::looked::Document<'r>>,
    /// Each feed; empty without any.
    pub(super) feeds: Vec<super::fed::Document<'r>>,
    /// Null where none are followed.
    pub(super) redirects: Option<super::redirects::Document>,
    /// Each captured value that was used before there was one; empty where none was.
    pub(super) unset_values: Vec<super::unset::Document<'r>>,
    /// One that redirects or values led to and that is none of the run; null without any.
    pub(super) other_host: Option<String>,
    pub(super) shards: Vec<Shard>,
    pub(super) coordinator: Coordinator,
    pub(super) timeline: Timeline,
    pub(super) slowest: Vec<Exemplar>,
    pub(super) error_kinds: BTreeMap<String, ErrorKind>,
    pub(super) machine: Option<Seen>,
    /// Null unless it was asked for.
    pub(super) preflight: Option<Preflight>,
    /// Null unless it was asked for.
    pub(super) calibration: Option<super::calibration::Document>,
    /// In the order in which they were given; empty without any.
    pub(super) thresholds: Vec<Threshold<'r>>,
    pub(super) verdict: Verdict,
}

/// What was sent before the run; all of it was answered as expected.
#[derive(Serialize)]
pub(super) struct Preflight {
    /// In no number of the run.
    pub(super) requests: u64,
}

/// A threshold (`--fail-if`), and what was found.
#[derive(Serialize)]
pub(super) struct Threshold<'r> {
    pub(super) expr: String,
    /// The request of several that it is about; null if it is about all.
    pub(super) step: Option<&'r str>,
    pub(super) name: &'r str,
    /// `>`, `>=`, `<` or `<=`: how a value compares that has crossed the limit.
    pub(super) op: &'static str,
    /// Of `limit` and `value`: `ns`, `requests`, `share` (of what was scheduled, 0 to 1), `per_s`
    /// or `bytes`.
    pub(super) unit: &'static str,
    pub(super) limit: Amount,
    /// Null where there was nothing to measure. Of a time that is only known to lie within bounds,
    /// the lower one.
    pub(super) value: Option<Amount>,
    /// The upper bound of such a time; null where there is none, and of all others.
    pub(super) at_most: Option<Amount>,
    /// Whether the value is known, and not only a bound.
    pub(super) exact: bool,
    pub(super) passed: bool,
    /// Why not; null if it has passed.
    pub(super) reason: Option<String>,
}

/// The numbers of one request of several.
#[derive(Serialize)]
pub(super) struct ByRequest<'r> {
    pub(super) name: &'r str,
    pub(super) ok: u64,
    pub(super) failed: u64,
    pub(super) errors: u64,
    pub(super) timeouts: u64,
    pub(super) unfinished: u64,
    /// Response times in an open loop, service times in a closed one.
    pub(super) latency_ns: Distribution,
}

/// The numbers of a scenario or a group as a whole; `begun` is the sum of the other counts.
#[derive(Serialize)]
pub(super) struct ByFlow<'r> {
    pub(super) name: &'r str,
    /// `scenario` or `group`.
    pub(super) kind: &'static str,
    pub(super) begun: u64,
    pub(super) completed: u64,
    /// By a request without a response, or a capture that found nothing.
    pub(super) cut_short: u64,
    /// By a loop that went on for too long.
    pub(super) endless: u64,
    pub(super) unfinished: u64,
    /// From the first request to the last response, without pauses; of those that were not
    /// completed, as far as they came.
    pub(super) latency_ns: Distribution,
}

#[derive(Serialize)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

#[derive(Serialize)]
pub(super) struct Plan<'r> {
    /// Of several URLs the first that leads to the first host.
    pub(super) url: &'r str,
    /// All servers, as URLs without a path.
    pub(super) hosts: Vec<&'r str>,
    pub(super) addresses: Vec<String>,
    pub(super) method: &'r str,
    /// `http/1.0`, `http/1.1`, `h2`, or `negotiated`: one of the last two, as the server chooses.
    pub(super) protocol: &'static str,
    /// Most requests outstanding on an HTTP/2 connection; null where it is never spoken.
    pub(super) streams: Option<u16>,
    /// Null in the clear.
    pub(super) tls: Option<Tls<'r>>,
    /// Null where there is none.
    pub(super) proxy: Option<Proxy<'r>>,
    /// `once` before the run, or `again` during it: then `addresses` are the first ones.
    pub(super) lookup: &'static str,
    /// Addresses that connections come from; empty where the system chooses.
    pub(super) sources: Vec<String>,
    /// `fin` or `rst`.
    pub(super) close: &'static str,
    /// Whether a connection has more than one request.
    pub(super) keepalive: bool,
    /// Connections that are replaced; null where none is.
    pub(super) connections_per_s: Option<f64>,
    pub(super) model: &'static str,
    /// Null of a rate that changes, and in a closed loop.
    pub(super) rate_per_s: Option<f64>,
    /// `constant`, `poisson` or `uniform-jitter`; null in a closed loop, as are the next two.
    pub(super) arrivals: Option<&'static str>,
    /// Null of a rate that never changes.
    pub(super) stages: Option<Vec<Stage>>,
    pub(super) burst: Option<Batches>,
    pub(super) connections: u32,
    /// `queue`, `drop` or `grow`; null in a closed loop.
    pub(super) on_full: Option<&'static str>,
    /// How far connections grow, if they do.
    pub(super) max_connections: Option<u32>,
    /// How connections join in, if not all at once.
    pub(super) spawn: Option<Batches>,
    pub(super) pipeline: u8,
    pub(super) shards: usize,
    pub(super) cores: Vec<usize>,
    pub(super) duration_s: Option<f64>,
    pub(super) requests: Option<u64>,
    pub(super) warmup_s: f64,
    pub(super) drain_s: f64,
    pub(super) timeout_s: f64,
    pub(super) connect_timeout_s: f64,
    /// Null where there is none.
    pub(super) deadline_s: Option<f64>,
    /// `sleep`, `hybrid` or `spin`; null in a closed loop.
    pub(super) pacing: Option<&'static str>,
    pub(super) seed: u64,
    /// Until when users keep cookies: `off`, `on` (until the run ends) or `iteration`.
    pub(super) cookies: &'static str,
    /// Most redirects that any request follows; null where none are.
    pub(super) redirect: Option<u8>,
}

#[derive(Serialize)]
pub(super) struct Tls<'r> {
    /// The oldest and the newest version that are offered.
    pub(super) versions: [&'static str; 2],
    pub(super) groups: Vec<&'static str>,
    pub(super) alpn: &'r [String],
    pub(super) sni: &'r str,
    /// Whether the certificate is verified.
    pub(super) verify: bool,
    /// Whether a client's certificate is at hand.
    pub(super) identity: bool,
    pub(super) resume: bool,
}

/// What a proxy is told is nobody's business.
#[derive(Serialize)]
pub(super) struct Proxy<'r> {
    /// `tunnel` or `forward`.
    pub(super) means: &'static str,
    /// Where the tunnel leads to.
    pub(super) to: Option<&'r str>,
    pub(super) http2: bool,
}

/// A stage of the rate, the warm-up included. After the last one its last rate is held.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "these are the names in the document")]
pub(super) struct Stage {
    pub(super) duration_s: f64,
    pub(super) from_per_s: f64,
    pub(super) to_per_s: f64,
}

/// So many together, again and again.
#[derive(Serialize)]
pub(super) struct Batches {
    pub(super) count: u64,
    pub(super) every_s: f64,
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
    pub(super) cpu_governor: Option<String>,
    pub(super) clocksource: Option<&'r str>,
    pub(super) open_files_limit: Option<u64>,
    /// The names of what `pummel doctor` would have said of the machine before this run.
    pub(super) findings: Vec<&'static str>,
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
    /// Scenarios that were gone through; null where they are not told apart from requests.
    pub(super) scenarios_per_s: Option<f64>,
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
    /// Over TLS, without a word that it is the end.
    pub(super) cut_off: u64,
    /// By pummel, for a response that told its length in two ways.
    pub(super) doubtful: u64,
    pub(super) reconnects: u64,
    /// Those that were still to join in when the run ended.
    pub(super) not_joined: u64,
}

/// Handshakes of the whole run.
#[derive(Serialize)]
pub(super) struct Handshakes {
    pub(super) full: u64,
    pub(super) resumed: u64,
    /// By what was agreed on.
    pub(super) kinds: Vec<Handshake>,
}

#[derive(Serialize)]
pub(super) struct Handshake {
    pub(super) version: &'static str,
    pub(super) suite: &'static str,
    pub(super) group: Option<&'static str>,
    pub(super) alpn: Option<&'static str>,
    pub(super) resumed: bool,
    pub(super) count: u64,
}

/// What only HTTP/2 knows, of the whole run.
#[derive(Serialize)]
pub(super) struct Http2 {
    pub(super) refused: u64,
    pub(super) beyond_goaway: u64,
    pub(super) retried: u64,
    /// The fewest that a server allowed on a connection; null where there were as many as planned.
    pub(super) streams_allowed: Option<u32>,
    /// By the name of the error code.
    pub(super) goaways: BTreeMap<&'static str, u64>,
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
    /// Null in the clear.
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
    pub(super) busiest_second: f64,
    pub(super) spun: f64,
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
    /// `pass`, `suspect` or `invalid`.
    pub(super) status: &'static str,
    /// The same for each question.
    pub(super) axes: BTreeMap<&'static str, &'static str>,
    /// The worst first.
    pub(super) reasons: Vec<Reason>,
    /// What else is worth knowing, by code.
    pub(super) notes: BTreeMap<&'static str, String>,
    pub(super) target: TargetFinding,
    pub(super) trust: Vec<Trust>,
    /// Scatter of the intended starts; 0 for an even schedule, 1 for Poisson arrivals.
    pub(super) arrivals: Option<Fidelity>,
    /// When latencies became steady, as advice.
    pub(super) steady_from_s: Option<f64>,
    pub(super) worst_windows: Vec<WorstWindow>,
}

#[derive(Serialize)]
pub(super) struct Reason {
    pub(super) axis: &'static str,
    pub(super) status: &'static str,
    /// Stable, for scripts.
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) value: Amount,
    pub(super) limit: Amount,
    pub(super) remedy: &'static str,
}

/// A count, or nanoseconds; or a share.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Amount {
    Count(u64),
    Share(f64),
}

/// What the run says about the target. Never a fault of the run.
#[derive(Serialize)]
pub(super) struct TargetFinding {
    /// `steady`, `unstable` (it takes less than is offered), or null.
    pub(super) stability: Option<&'static str>,
    pub(super) backlog: Option<f64>,
    pub(super) growth_per_s: Option<f64>,
    /// What slots waited for: `connections`, `server`, or null.
    pub(super) limited_by: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Trust {
    pub(super) quantile: &'static str,
    /// The 95 % interval; null of fewer than `needs` samples. Its end is null where nobody knows.
    pub(super) interval_ns: Option<(u64, Option<u64>)>,
    /// `order` of the samples, or `sections` of the run.
    pub(super) basis: &'static str,
    pub(super) needs: u64,
    pub(super) independent_samples: Option<f64>,
    /// The share of the value that the client itself made.
    pub(super) client_share: Option<f64>,
    /// Whether that is too much.
    pub(super) starred: bool,
}

#[derive(Serialize)]
pub(super) struct Fidelity {
    pub(super) dispersion: f64,
    pub(super) expected_min: f64,
    pub(super) expected_max: f64,
    pub(super) steps: usize,
}

#[derive(Serialize)]
pub(super) struct WorstWindow {
    pub(super) length_s: f64,
    pub(super) p50_ns: u64,
    pub(super) p50_from_s: f64,
    pub(super) p99_ns: u64,
    pub(super) p99_from_s: f64,
}

/// The run in steps: latencies and outcomes by intended start, `sent` by the sending, `finished` by
/// the last byte.
#[derive(Serialize)]
pub(super) struct Timeline {
    pub(super) step_s: f64,
    pub(super) steps: Vec<Step>,
}

#[derive(Serialize)]
pub(super) struct Step {
    pub(super) arrived: u64,
    pub(super) ok: u64,
    pub(super) censored: u64,
    pub(super) sent: u64,
    pub(super) finished: u64,
    pub(super) p50_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    pub(super) loop_lag_max_ns: u64,
}

/// A kind of error, or a slow request, with the moments of one that it happened to, in nanoseconds
/// after its intended start.
#[derive(Serialize)]
pub(super) struct Exemplar {
    /// After the beginning of the run's window.
    pub(super) intended_s: f64,
    pub(super) picked_ns: u64,
    pub(super) granted_ns: u64,
    pub(super) sent_ns: u64,
    pub(super) first_byte_ns: u64,
    pub(super) finished_ns: u64,
    pub(super) connection: u32,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ErrorKind {
    pub(super) phase: &'static str,
    pub(super) count: u64,
    /// `peer`, `client` or `system`.
    pub(super) ended_by: &'static str,
    pub(super) errno: Option<i32>,
    pub(super) exemplar: Option<Exemplar>,
}

/// What happened to the machine while the run lasted; null is unknown.
#[derive(Serialize)]
pub(super) struct Seen {
    pub(super) steal_worst: Option<f64>,
    pub(super) cpu_pressure_worst: Option<f64>,
    pub(super) throttled: Option<u64>,
    pub(super) throttled_s: Option<f64>,
    pub(super) tcp_retransmits: Option<u64>,
    pub(super) tcp_segments_sent: Option<u64>,
    pub(super) listen_overflows: Option<u64>,
    pub(super) listen_drops: Option<u64>,
    /// By the queues between cards and protocols.
    pub(super) packets_dropped: Option<u64>,
    /// By interfaces on receipt, those that nobody here speaks among them, and on sending.
    pub(super) received_dropped: Option<u64>,
    pub(super) sent_dropped: Option<u64>,
    /// For want of room in cards.
    pub(super) missed: Option<u64>,
    pub(super) firewall_dropped: Option<u64>,
    pub(super) firewall_tracked_max: Option<u64>,
    pub(super) major_faults: Option<u64>,
    pub(super) shards: Vec<SeenShard>,
}

#[derive(Serialize)]
pub(super) struct SeenShard {
    pub(super) run_queue_wait: Option<f64>,
    pub(super) run_queue_wait_worst: Option<f64>,
    pub(super) switches_involuntary: Option<u64>,
    pub(super) migrations: Option<u64>,
}
