//! What leaves a shard: counters and histograms, merged by addition.

use super::{
    ErrorTable, Fed, Flow, Histogram, Latencies, Ledger, Looked, Multiplexed, Reached, Redirects,
    Row, Secured, Slowest, Spans, Timeline, Unset,
};
use crate::units::Nanos;

/// All that was counted since the envelope was empty. Merging is associative and commutative.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Outcomes of the requests of the window.
    pub ledger: Ledger,
    /// Responses by status.
    pub statuses: Statuses,
    /// Troubles by kind, of requests and of connections.
    pub errors: ErrorTable,
    /// Lives of connections, from the start of the run on.
    pub connections: Connections,
    /// Handshakes of TLS, from the start of the run on.
    pub secured: Secured,
    /// What only HTTP/2 knows, from the start of the run on.
    pub multiplexed: Multiplexed,
    /// Bytes handed to the kernel, from the start of the run on.
    pub bytes_sent: u64,
    /// Bytes received, from the start of the run on.
    pub bytes_received: u64,
    /// Requests of the window that were sent in it.
    pub sent_in_window: u64,
    /// Responses whose last byte arrived in the window, whenever they started.
    pub finished_in_window: u64,
    /// Those of them for which every check held.
    pub good_in_window: u64,
    /// What a report is about: response times in an open loop (finished − intended start), service
    /// times in a closed one (finished − sent).
    pub latency: Latencies,
    /// How they came about.
    pub parts: Parts,
    /// The run in tenths of a second.
    pub timeline: Timeline,
    /// The slowest requests.
    pub slowest: Slowest,
    /// The numbers of each kind of requests, if they are kept apart.
    pub rows: Vec<Row>,
    /// What was looked for in responses, if anything was.
    pub looked: Vec<Looked>,
    /// What was taken from each feed, if there are some.
    pub fed: Vec<Fed>,
    /// The times of whole scenarios and groups, if they are kept.
    pub flows: Vec<Flow>,
    /// Connections to each server, if there are several.
    pub origins: Vec<Reached>,
    /// Values that were used before they were captured, by number; none where none was.
    pub unset: Vec<Unset>,
    /// What became of redirects, where they are followed.
    pub redirects: Redirects,
    /// What should not be.
    pub oddities: Oddities,
}

/// What latencies are made of, each a distribution of its own.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Finished − sent. Empty in a closed loop, where it is the latency.
    pub service: Histogram,
    /// How long was waited for the ends that did not come, from the sending on. Made when needed.
    pub service_censored: Option<Box<Histogram>>,
    /// Service times of responses to requests that found at most a quarter of the connections in
    /// use when they were sent, from the warm-up on: how quick the server is when little is asked
    /// of it. Empty in a closed loop.
    pub service_light: Histogram,
    /// Response time less loop lag: as it would have been with a client that is never late. Empty
    /// in a closed loop.
    pub unhindered: Histogram,
    /// Sent − intended start. Empty in a closed loop.
    pub lag: Histogram,
    /// The part of it that the shard made, whether or not the request was sent. Empty in a closed
    /// loop.
    pub loop_lag: Histogram,
    /// The part of it in which no connection was free. Empty in a closed loop.
    pub connection_wait: Histogram,
    /// First byte of the response − sent.
    pub ttfb: Histogram,
    /// Attempt to connect → established; of TCP alone.
    pub connect: Histogram,
    /// First byte of the TLS handshake sent → both sides ready. Made when needed.
    pub tls: Option<Box<Histogram>>,
    /// How long completions had waited when the last of a batch had been taken in.
    pub reap_age: Histogram,
}

/// What should not be, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Requests with a moment before the one that leads to it.
    pub disordered: u64,
    /// Most requests that were sent one after the other without a wait.
    pub longest_burst: u64,
    /// The longest time by which a shard came late to what it had to do.
    pub longest_hold_up: Nanos,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            service: Histogram::new(),
            service_censored: None,
            service_light: Histogram::coarse(),
            unhindered: Histogram::new(),
            lag: Histogram::new(),
            loop_lag: Histogram::coarse(),
            connection_wait: Histogram::new(),
            ttfb: Histogram::coarse(),
            connect: Histogram::coarse(),
            tls: None,
            reap_age: Histogram::coarse(),
        }
    }
}

impl Parts {
    /// Service times with those that did not end; in an open loop.
    #[must_use]
    pub fn services(&self) -> Spans {
        let censored = self.service_censored.as_deref().cloned().unwrap_or_default();
        Spans { known: self.service.clone(), censored }
    }

    fn merge(&mut self, other: &Self) {
        if let Some(more) = &other.service_censored {
            self.service_censored.get_or_insert_default().merge(more);
        }
        if let Some(more) = &other.tls {
            self.tls.get_or_insert_default().merge(more);
        }
        for (sum, more) in [
            (&mut self.service, &other.service),
            (&mut self.service_light, &other.service_light),
            (&mut self.unhindered, &other.unhindered),
            (&mut self.lag, &other.lag),
            (&mut self.loop_lag, &other.loop_lag),
            (&mut self.connection_wait, &other.connection_wait),
            (&mut self.ttfb, &other.ttfb),
            (&mut self.connect, &other.connect),
            (&mut self.reap_age, &other.reap_age),
        ] {
            sum.merge(more);
        }
    }

    fn clear(&mut self) {
        self.service_censored.iter_mut().for_each(|censored| censored.clear());
        self.tls.iter_mut().for_each(|tls| tls.clear());
        for part in [
            &mut self.service,
            &mut self.service_light,
            &mut self.unhindered,
            &mut self.lag,
            &mut self.loop_lag,
            &mut self.connection_wait,
            &mut self.ttfb,
            &mut self.connect,
            &mut self.reap_age,
        ] {
            part.clear();
        }
    }
}

impl Oddities {
    fn merge(&mut self, other: &Self) {
        self.disordered += other.disordered;
        self.longest_burst = self.longest_burst.max(other.longest_burst);
        self.longest_hold_up = self.longest_hold_up.max(other.longest_hold_up);
    }
}

/// Lives of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Established.
    pub opened: u64,
    /// Closed by the peer.
    pub closed_by_peer: u64,
    /// Ended in TLS without the peer's word that it is the end (`close_notify`): by the peer, or by
    /// anybody on the way (RFC 8446 section 6.1).
    pub cut_off: u64,
    /// Closed by pummel, because a response told its length in two ways (RFC 9112 section 6.1).
    pub doubtful: u64,
    /// Established in place of an earlier one.
    pub reconnects: u64,
}

/// Counts by response status.
#[derive(Clone, Debug)]
pub struct Statuses(Box<[u64; 900]>);

impl Default for Statuses {
    fn default() -> Self {
        Self(Box::new([0; 900]))
    }
}

impl Statuses {
    /// Counts responses of one status. The protocol lets no status but 100 to 999 through.
    pub fn count(&mut self, status: u16, responses: u64) {
        let index = usize::from(status).wrapping_sub(100);
        if let Some(count) = self.0.get_mut(index) {
            *count += responses;
        }
        debug_assert!(index < self.0.len());
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0.iter()) {
            *count += more;
        }
    }

    /// The statuses that occurred, in ascending order, with their counts.
    pub fn rows(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        (100..).zip(self.0.iter().copied()).filter(|&(_, count)| count > 0)
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }
}

impl Connections {
    fn merge(&mut self, other: &Self) {
        self.opened += other.opened;
        self.closed_by_peer += other.closed_by_peer;
        self.cut_off += other.cut_off;
        self.doubtful += other.doubtful;
        self.reconnects += other.reconnects;
    }
}

impl Snapshot {
    /// An empty envelope with so many rows, in which so much is looked for.
    #[must_use]
    pub fn new(rows: usize, looked: usize) -> Self {
        let (rows, looked) = (vec![Row::default(); rows], vec![Looked::default(); looked]);
        Self { rows, looked, ..Self::default() }
    }

    /// The same of a run with so many feeds, in which so many flows have their times taken.
    #[must_use]
    pub fn with(self, feeds: usize, flows: usize) -> Self {
        Self { fed: vec![Fed::default(); feeds], flows: vec![Flow::default(); flows], ..self }
    }

    /// Users that waited for a row, of whatever feed.
    #[must_use]
    pub fn starved(&self) -> u64 {
        self.fed.iter().map(|fed| fed.starved).sum()
    }

    /// Adds all that `other` holds. Exact.
    pub fn merge(&mut self, other: &Self) {
        self.ledger.merge(&other.ledger);
        self.statuses.merge(&other.statuses);
        self.errors.merge(&other.errors);
        self.connections.merge(&other.connections);
        self.secured.merge(&other.secured);
        self.multiplexed.merge(&other.multiplexed);
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.sent_in_window += other.sent_in_window;
        self.finished_in_window += other.finished_in_window;
        self.good_in_window += other.good_in_window;
        self.latency.merge(&other.latency);
        self.parts.merge(&other.parts);
        self.timeline.merge(&other.timeline);
        self.slowest.merge(&other.slowest);
        self.redirects.merge(&other.redirects);
        self.oddities.merge(&other.oddities);
        let more = other.rows.len().saturating_sub(self.rows.len());
        self.rows.extend((0..more).map(|_| Row::default()));
        self.rows.iter_mut().zip(&other.rows).for_each(|(row, more)| row.merge(more));
        let more = other.origins.len().saturating_sub(self.origins.len());
        self.origins.extend((0..more).map(|_| Reached::default()));
        self.origins.iter_mut().zip(&other.origins).for_each(|(one, more)| one.merge(more));
        let more = other.unset.len().saturating_sub(self.unset.len());
        self.unset.extend((0..more).map(|_| Unset::default()));
        self.unset.iter_mut().zip(&other.unset).for_each(|(one, more)| one.merge(more));
        let more = other.looked.len().saturating_sub(self.looked.len());
        self.looked.extend((0..more).map(|_| Looked::default()));
        self.looked.iter_mut().zip(&other.looked).for_each(|(looked, more)| looked.merge(more));
        let more = other.fed.len().saturating_sub(self.fed.len());
        self.fed.extend((0..more).map(|_| Fed::default()));
        self.fed.iter_mut().zip(&other.fed).for_each(|(fed, more)| fed.merge(more));
        let more = other.flows.len().saturating_sub(self.flows.len());
        self.flows.extend((0..more).map(|_| Flow::default()));
        self.flows.iter_mut().zip(&other.flows).for_each(|(flow, more)| flow.merge(more));
    }

    /// Empties the envelope and keeps its memory.
    pub fn clear(&mut self) {
        self.ledger = Ledger::default();
        self.statuses.clear();
        self.errors.clear();
        self.connections = Connections::default();
        self.secured.clear();
        self.multiplexed = Multiplexed::default();
        (self.bytes_sent, self.bytes_received) = (0, 0);
        (self.finished_in_window, self.good_in_window, self.sent_in_window) = (0, 0, 0);
        self.latency.clear();
        self.parts.clear();
        self.timeline.clear();
        self.slowest.clear();
        self.redirects.clear();
        self.oddities = Oddities::default();
        self.rows.iter_mut().for_each(Row::clear);
        self.origins.fill(Reached::default());
        self.unset.fill(Unset::default());
        self.looked.iter_mut().for_each(Looked::clear);
        self.fed.fill(Fed::default());
        self.flows.iter_mut().for_each(Flow::clear);
    }
}
