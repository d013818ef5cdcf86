//! What leaves a shard: counters and histograms, merged by addition.

use super::{ErrorTable, Histogram, Ledger};

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
    /// Bytes handed to the kernel, from the start of the run on.
    pub bytes_sent: u64,
    /// Bytes received, from the start of the run on.
    pub bytes_received: u64,
    /// Responses whose last byte arrived in the window, whenever they started.
    pub finished_in_window: u64,
    /// Those of them for which every check held.
    pub good_in_window: u64,
    /// Finished − intended start. Empty in a closed loop.
    pub response: Histogram,
    /// Finished − sent.
    pub service: Histogram,
    /// Sent − intended start. Empty in a closed loop.
    pub lag: Histogram,
    /// Attempt to connect → established.
    pub connect: Histogram,
    /// First byte of the response − sent.
    pub ttfb: Histogram,
}

/// Lives of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Established.
    pub opened: u64,
    /// Closed by the peer.
    pub closed_by_peer: u64,
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
    /// Counts one response. The protocol lets no status but 100 to 999 through.
    pub fn count(&mut self, status: u16) {
        let index = usize::from(status).wrapping_sub(100);
        if let Some(count) = self.0.get_mut(index) {
            *count += 1;
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
        self.reconnects += other.reconnects;
    }
}

impl Snapshot {
    /// Adds all that `other` holds. Exact.
    pub fn merge(&mut self, other: &Self) {
        self.ledger.merge(&other.ledger);
        self.statuses.merge(&other.statuses);
        self.errors.merge(&other.errors);
        self.connections.merge(&other.connections);
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.finished_in_window += other.finished_in_window;
        self.good_in_window += other.good_in_window;
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.lag.merge(&other.lag);
        self.connect.merge(&other.connect);
        self.ttfb.merge(&other.ttfb);
    }

    /// Empties the envelope and keeps its memory.
    pub fn clear(&mut self) {
        self.ledger = Ledger::default();
        self.statuses.clear();
        self.errors.clear();
        self.connections = Connections::default();
        (self.bytes_sent, self.bytes_received) = (0, 0);
        (self.finished_in_window, self.good_in_window) = (0, 0);
        self.response.clear();
        self.service.clear();
        self.lag.clear();
        self.connect.clear();
        self.ttfb.clear();
    }
}
