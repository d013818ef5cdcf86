//! What the server did, as it counted it itself, and as one JSON document: the other side's truth,
//! for tests to compare a client's report with.

use std::collections::BTreeMap;

use pummel_engine::record::{Histogram, Quantile};
use pummel_engine::units::{Instant, Nanos};
use pummel_proto_http::h2::frame::Code;
use serde::Serialize;

use super::bins::Bins;
use super::law::Service;
use super::record::Record;
use super::reply::Counts;

/// What one shard did; merged, what all did.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Requests that were complete.
    pub(super) requests: u64,
    /// Responses per status, by its index; handed to the kernel in whole.
    pub(super) responses: Vec<u64>,
    /// Answers of `100 Continue`.
    pub(super) interim: u64,
    /// Refusals of what was no request.
    pub(super) refused: u64,
    /// Requests that were left without an answer, replies cut by a reset, replies that broke the
    /// protocol.
    pub(super) silent: u64,
    pub(super) resets: u64,
    pub(super) broken: u64,
    /// Connections that were served, and those for which there was no room.
    pub(super) connections: u64,
    pub(super) turned_away: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) protocols: Protocols,
    pub(super) tls: Tls,
    pub(super) streams: Streams,
    /// The first arrival and the last.
    arrivals: Option<(Instant, Instant)>,
    /// Arrivals by time.
    bins: Bins,
    /// Each arrival, if a record was asked for; and how many it had no room for. Not merged.
    pub(super) record: Option<Record>,
    pub(super) not_recorded: u64,
    /// Spans from each arrival to the next on the same shard.
    gaps: Histogram,
    /// How long after their time timed replies left.
    late: Histogram,
}

/// Connections by what was spoken on them, as far as they have spoken.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Protocols {
    #[serde(rename = "http/1.1")]
    pub(super) http1: u64,
    #[serde(rename = "h2")]
    pub(super) http2: u64,
    /// Those of HTTP/2 that began as HTTP/1.1.
    pub(super) upgraded: u64,
}

/// What became of TLS.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Tls {
    pub(super) handshakes: u64,
    /// Those of them that took up an earlier session.
    pub(super) resumed: u64,
    /// Sessions that were refused or broken.
    pub(super) failed: u64,
}

/// What became of the streams of HTTP/2.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Streams {
    pub(super) opened: u64,
    /// Those that were not processed, and those that the server has ended otherwise.
    pub(super) refused: u64,
    pub(super) reset: u64,
    /// Those that the client has given up.
    pub(super) cancelled: u64,
    /// How often a client was asked to go.
    pub(super) goaways: u64,
}

impl Streams {
    /// The server ends a stream.
    pub(super) fn count_reset(&mut self, code: Code) {
        match code {
            Code::RefusedStream => self.refused += 1,
            _ => self.reset += 1,
        }
    }
}

impl Log {
    /// An empty one, which records at most `rows_max` arrivals, if any.
    pub(super) fn recording(rows_max: Option<u32>) -> Self {
        Self { record: rows_max.map(Record::new), ..Self::default() }
    }

    /// A request is complete.
    pub(super) fn arrived(&mut self, at: Instant) {
        self.requests += 1;
        self.bins.count(at);
        let first = match self.arrivals {
            Some((first, last)) => {
                self.gaps.record(at.since(last));
                first
            }
            None => at,
        };
        self.arrivals = Some((first, at));
    }

    /// `count` replies of a kind were sent in whole.
    pub(super) fn replied(&mut self, counts: Counts, count: u64) {
        let counter = match counts {
            Counts::Response(status) => {
                if self.responses.len() <= status {
                    self.responses.resize(status + 1, 0);
                }
                let Some(counter) = self.responses.get_mut(status) else { return };
                counter
            }
            Counts::Interim => &mut self.interim,
            Counts::Refusal => &mut self.refused,
            Counts::Reset => &mut self.resets,
            Counts::Broken => &mut self.broken,
        };
        *counter += count;
    }

    /// A timed reply leaves, `late` after its time.
    pub(super) fn left(&mut self, late: Nanos) {
        self.late.record(late);
    }

    /// Adds what another shard did. Gaps stay those within each shard.
    fn merge(&mut self, other: &Self) {
        let both = self.responses.len().max(other.responses.len());
        self.responses.resize(both, 0);
        for (sum, count) in self.responses.iter_mut().zip(&other.responses) {
            *sum += count;
        }
        for (sum, count) in [
            (&mut self.requests, other.requests),
            (&mut self.interim, other.interim),
            (&mut self.refused, other.refused),
            (&mut self.silent, other.silent),
            (&mut self.resets, other.resets),
            (&mut self.broken, other.broken),
            (&mut self.connections, other.connections),
            (&mut self.turned_away, other.turned_away),
            (&mut self.bytes_received, other.bytes_received),
            (&mut self.bytes_sent, other.bytes_sent),
            (&mut self.protocols.http1, other.protocols.http1),
            (&mut self.protocols.http2, other.protocols.http2),
            (&mut self.protocols.upgraded, other.protocols.upgraded),
            (&mut self.tls.handshakes, other.tls.handshakes),
            (&mut self.tls.resumed, other.tls.resumed),
            (&mut self.tls.failed, other.tls.failed),
            (&mut self.streams.opened, other.streams.opened),
            (&mut self.streams.refused, other.streams.refused),
            (&mut self.streams.reset, other.streams.reset),
            (&mut self.streams.cancelled, other.streams.cancelled),
            (&mut self.streams.goaways, other.streams.goaways),
        ] {
            *sum += count;
        }
        self.arrivals = match (self.arrivals, other.arrivals) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        self.bins.merge(&other.bins);
        self.gaps.merge(&other.gaps);
        self.late.merge(&other.late);
    }
}

/// What surrounds the counts.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) url: &'a str,
    /// `io_uring` or `epoll`.
    pub(super) reactor: &'a str,
    /// The distinct statuses, in the order of [`Counts::Response`].
    pub(super) statuses: &'a [u16],
    /// From when on freezes were counted.
    pub(super) origin: Instant,
    pub(super) service: Service,
}

/// Quantiles that the document names, besides those of every report: of gaps, the short ones tell
/// as much as the long ones.
const SHORT: [(&str, f64); 2] = [("p1", 0.01), ("p10", 0.1)];

/// The document. Moments are nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine
/// share.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    url: String,
    reactor: String,
    origin_ns: u64,
    /// The law of the queue; null if there is none.
    service: Option<Queue>,
    #[serde(flatten)]
    totals: Counted,
    /// What `gaps_ns` is of: `server`, or `shards` where each counts its own and they were merged.
    gaps_of: &'static str,
    shards: Vec<Counted>,
}

/// The law of the queue, with what it takes to repeat it.
#[derive(Debug, Serialize)]
struct Queue {
    law: &'static str,
    mean_ns: u64,
    seed: Option<u64>,
}

impl Queue {
    fn of(service: Service) -> Option<Self> {
        match service {
            Service::None => None,
            Service::Constant(time) => {
                Some(Self { law: "constant", mean_ns: time.get(), seed: None })
            }
            Service::Exponential { mean, seed } => {
                Some(Self { law: "exponential", mean_ns: mean.get(), seed: Some(seed) })
            }
        }
    }
}

#[derive(Debug, Serialize)]
struct Counted {
    requests: u64,
    responses: u64,
    by_status: BTreeMap<u16, u64>,
    interim: u64,
    bad_requests: u64,
    silent: u64,
    resets: u64,
    broken: u64,
    connections: u64,
    turned_away: u64,
    protocols: Protocols,
    tls: Tls,
    streams: Streams,
    bytes: Bytes,
    arrivals: Arrivals,
    /// What the record of arrivals holds; null if none was asked for.
    recorded: Option<Recorded>,
    gaps_ns: Distribution,
    late_ns: Distribution,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Recorded {
    rows: u64,
    /// Requests that there was no room for.
    left_out: u64,
}

impl Recorded {
    fn of(log: &Log) -> Option<Self> {
        let record = log.record.as_ref()?;
        Some(Self { rows: record.len(), left_out: log.not_recorded })
    }

    fn plus(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, left_out: self.left_out + other.left_out }
    }
}

#[derive(Debug, Serialize)]
struct Bytes {
    received: u64,
    sent: u64,
}

#[derive(Debug, Serialize)]
struct Arrivals {
    count: u64,
    first_ns: Option<u64>,
    last_ns: Option<u64>,
    /// Gaps per second between the first and the last; null for fewer than two arrivals.
    rate_per_s: Option<f64>,
    /// Variance over mean of the counts in bins of 10 ms, and how many whole ones there are between
    /// the first arrival and the last; null if they are too few, or empty.
    dispersion_10ms: Option<f64>,
    bins_10ms: usize,
    per_second: PerSecond,
}

/// Arrivals in each second, an hour at most.
#[derive(Debug, Serialize)]
struct PerSecond {
    /// When the first of them begins.
    begin_ns: Option<u64>,
    counts: Vec<u64>,
    /// Arrivals after that hour.
    beyond: u64,
}

#[derive(Debug, Serialize)]
struct Distribution {
    count: u64,
    min: u64,
    mean: f64,
    #[serde(flatten)]
    quantiles: BTreeMap<&'static str, u64>,
    max: u64,
}

impl Document {
    /// The document about a server whose shards did `logs`.
    pub(super) fn new(server: &Server<'_>, logs: &[Log]) -> Self {
        let mut totals = Log::default();
        for log in logs {
            totals.merge(log);
        }
        Self {
            url: server.url.to_owned(),
            reactor: server.reactor.to_owned(),
            origin_ns: server.origin.since_origin(),
            service: Queue::of(server.service),
            totals: Counted {
                recorded: logs.iter().filter_map(Recorded::of).reduce(Recorded::plus),
                ..Counted::of(&totals, server.statuses)
            },
            gaps_of: if logs.len() > 1 { "shards" } else { "server" },
            shards: logs.iter().map(|log| Counted::of(log, server.statuses)).collect(),
        }
    }
}

impl Counted {
    fn of(log: &Log, statuses: &[u16]) -> Self {
        let mut by_status = BTreeMap::new();
        for (&status, count) in statuses.iter().zip(&log.responses) {
            *by_status.entry(status).or_default() += count;
        }
        Self {
            requests: log.requests,
            responses: log.responses.iter().sum(),
            by_status,
            interim: log.interim,
            bad_requests: log.refused,
            silent: log.silent,
            resets: log.resets,
            broken: log.broken,
            connections: log.connections,
            turned_away: log.turned_away,
            protocols: log.protocols,
            tls: log.tls,
            streams: log.streams,
            bytes: Bytes { received: log.bytes_received, sent: log.bytes_sent },
            arrivals: Arrivals::of(log),
            recorded: Recorded::of(log),
            gaps_ns: Distribution::of(&log.gaps),
            late_ns: Distribution::of(&log.late),
        }
    }
}

impl Arrivals {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for a count")]
    fn of(log: &Log) -> Self {
        let span = log.arrivals.map(|(first, last)| last.since(first)).unwrap_or_default();
        let rate = || log.requests.saturating_sub(1) as f64 / span.as_secs_f64();
        Self {
            count: log.requests,
            first_ns: log.arrivals.map(|(first, _)| first.since_origin()),
            last_ns: log.arrivals.map(|(_, last)| last.since_origin()),
            rate_per_s: (span > Nanos::ZERO).then(rate),
            dispersion_10ms: log.bins.dispersion(),
            bins_10ms: log.bins.whole_count(),
            per_second: PerSecond {
                begin_ns: log.bins.begin().map(Instant::since_origin),
                counts: log.bins.seconds(),
                beyond: log.bins.beyond(),
            },
        }
    }
}

impl Distribution {
    fn of(histogram: &Histogram) -> Self {
        let quantile = |(name, quantile): (_, Quantile)| (name, histogram.quantile(quantile).get());
        let named = |(name, share)| Some((name, Quantile::new(share)?));
        let short = SHORT.into_iter().filter_map(named);
        Self {
            count: histogram.count(),
            min: histogram.min().get(),
            mean: histogram.mean(),
            quantiles: short.chain(Quantile::REPORTED).map(quantile).collect(),
            max: histogram.max().get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Unanswered;
    use super::*;

    fn log(arrivals: &[u64]) -> Log {
        let mut log = Log::default();
        for &n in arrivals {
            log.arrived(Instant::from_origin(n));
            log.replied(Counts::Response(usize::from(n % 2 == 1)), 1);
        }
        log
    }

    fn json(logs: &[Log]) -> serde_json::Value {
        let origin = Instant::from_origin(5);
        let statuses = &[200, 500];
        let service = Service::Exponential { mean: Nanos::new(9), seed: 7 };
        let server = Server { url: "http://a", reactor: "epoll", statuses, origin, service };
        serde_json::to_value(Document::new(&server, logs)).unwrap()
    }

    #[test]
    fn a_server_that_nobody_asked_reports_zeros() {
        let json = json(&[Log::default()]);
        assert_eq!(json["requests"], 0);
        assert!(json["arrivals"]["rate_per_s"].is_null());
        assert_eq!(json["gaps_ns"]["max"], 0);
        assert!(json["arrivals"]["dispersion_10ms"].is_null() && json["recorded"].is_null());
        assert!(json["arrivals"]["per_second"]["begin_ns"].is_null());
        assert_eq!(json["service"].to_string(), r#"{"law":"exponential","mean_ns":9,"seed":7}"#);
    }

    #[test]
    fn arrivals_on_all_shards_are_one_stream_whose_evenness_is_told() {
        // Every other one on either shard: each counts five in a bin, together they are ten.
        let all: Vec<u64> = (0..3_000).map(|ms| 10_000_000_000 + ms * 1_000_000).collect();
        let on = |shard: usize| {
            let own: Vec<u64> = all.iter().copied().skip(shard).step_by(2).collect();
            log(&own)
        };
        let json = json(&[on(0), on(1)]);
        let arrivals = &json["arrivals"];
        assert_eq!(arrivals["dispersion_10ms"], 0.0);
        assert_eq!(arrivals["bins_10ms"], 298);
        let seconds = &arrivals["per_second"];
        assert_eq!(seconds["begin_ns"], 10_000_000_000_u64);
        assert_eq!(seconds["counts"].to_string(), "[1000,1000,1000]");
        assert_eq!(json["shards"][1]["arrivals"]["per_second"]["counts"][2], 500);
        for name in ["p1", "p10", "p50", "p90", "p99", "p99_9"] {
            // At most 0.1 % too high, and never above the maximum.
            assert_eq!(json["gaps_ns"][name], 2_000_000, "{name}");
        }
    }

    #[test]
    fn what_the_records_of_shards_hold_is_added_up() {
        let log = |rows_max, not_recorded| {
            let mut log = Log::recording(Some(rows_max));
            let at = Instant::from_origin(9);
            for _ in 0..rows_max {
                let record = log.record.as_mut().unwrap();
                assert!(record.arrived(&mut Unanswered::default(), 0, at, None));
            }
            Log { not_recorded, ..log }
        };
        let json = json(&[log(2, 10), log(3, 20)]);
        assert_eq!(json["recorded"].to_string(), r#"{"left_out":30,"rows":5}"#);
        assert_eq!(json["shards"][0]["recorded"]["rows"], 2);
    }

    #[test]
    fn short_gaps_have_their_quantiles() {
        // Five short gaps, then 95 long ones.
        let short = (0..=5).map(|k| k * 10);
        let long = (1..=95).map(|k| 50 + k * 1_000);
        let arrivals: Vec<u64> = short.chain(long).collect();
        let gaps = &json(&[log(&arrivals)])["gaps_ns"];
        assert_eq!((&gaps["p1"], &gaps["p10"]), (&10.into(), &1_000.into()));
    }

    #[test]
    fn gaps_are_counted_within_each_shard_and_then_merged() {
        let json = json(&[log(&[1_000, 1_200, 1_300]), log(&[900, 2_001])]);
        assert_eq!(json["gaps_of"], "shards");
        assert_eq!(json["requests"], 5);
        assert_eq!(json["gaps_ns"]["count"], 3);
        assert_eq!(json["gaps_ns"]["min"], 100);
        assert_eq!(json["gaps_ns"]["max"], 1_101);
        assert_eq!(json["arrivals"]["first_ns"], 900);
        assert_eq!(json["arrivals"]["last_ns"], 2_001);
        assert_eq!(json["shards"][0]["gaps_ns"]["count"], 2);
        assert_eq!(json["by_status"]["200"], 4);
        assert_eq!(json["by_status"]["500"], 1);
    }

    #[test]
    fn the_rate_is_that_of_the_gaps() {
        let log = log(&[0, 500_000_000, 1_000_000_000]);
        assert_eq!(json(&[log])["arrivals"]["rate_per_s"], 2.0);
    }
}
