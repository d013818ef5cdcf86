//! What the server did, as it counted it itself, and as one JSON document: the other side's truth,
//! for tests to compare a client's report with.

use std::collections::BTreeMap;

use pummel_engine::record::{Histogram, Quantile};
use pummel_engine::units::{Instant, Nanos};
use serde::Serialize;

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
    /// The first arrival and the last.
    arrivals: Option<(Instant, Instant)>,
    /// Spans from each arrival to the next on the same shard.
    gaps: Histogram,
    /// How long after their time timed replies left.
    late: Histogram,
}

impl Log {
    /// A request is complete.
    pub(super) fn arrived(&mut self, at: Instant) {
        self.requests += 1;
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
        ] {
            *sum += count;
        }
        self.arrivals = match (self.arrivals, other.arrivals) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
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
    /// When freezes began to be counted.
    pub(super) origin: Instant,
}

/// The document. Moments are nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine
/// share.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    url: String,
    reactor: String,
    origin_ns: u64,
    #[serde(flatten)]
    totals: Counted,
    /// What `gaps_ns` is of: `server`, or `shards` where each counts its own and they were merged.
    gaps_of: &'static str,
    shards: Vec<Counted>,
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
    bytes: Bytes,
    arrivals: Arrivals,
    gaps_ns: Distribution,
    late_ns: Distribution,
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
            totals: Counted::of(&totals, server.statuses),
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
            bytes: Bytes { received: log.bytes_received, sent: log.bytes_sent },
            arrivals: Arrivals::of(log),
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
        }
    }
}

impl Distribution {
    fn of(histogram: &Histogram) -> Self {
        let quantile = |(name, quantile): (_, Quantile)| (name, histogram.quantile(quantile).get());
        Self {
            count: histogram.count(),
            min: histogram.min().get(),
            mean: histogram.mean(),
            quantiles: Quantile::REPORTED.into_iter().map(quantile).collect(),
            max: histogram.max().get(),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let server = Server { url: "http://a", reactor: "epoll", statuses, origin };
        serde_json::to_value(Document::new(&server, logs)).unwrap()
    }

    #[test]
    fn a_server_that_nobody_asked_reports_zeros() {
        let json = json(&[Log::default()]);
        assert_eq!(json["requests"], 0);
        assert!(json["arrivals"]["rate_per_s"].is_null());
        assert_eq!(json["gaps_ns"]["max"], 0);
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
