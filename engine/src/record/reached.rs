//! What became of the connections to one server of several.

/// Counts of one server, from the start of the run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Connections that were established.
    pub opened: u64,
    /// Those of them that took the place of an earlier one.
    pub reconnects: u64,
    /// Attempts that failed at every address.
    pub failed: u64,
    /// Requests that were sent to it.
    pub requests: u64,
}

impl Reached {
    /// A connection was established.
    pub const fn connected(&mut self, again: bool) {
        self.opened += 1;
        self.reconnects += again as u64;
    }

    /// Adds all that `other` holds.
    pub const fn merge(&mut self, other: &Self) {
        self.opened += other.opened;
        self.reconnects += other.reconnects;
        self.failed += other.failed;
        self.requests += other.requests;
    }
}
