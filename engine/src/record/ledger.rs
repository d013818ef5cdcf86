//! The ledger: every scheduled request ends in exactly one way.
//!
//! `scheduled` is counted when a request starts or from the schedule itself, the outcomes when they
//! happen, at other places of the code. That both sides agree is therefore a check, and not a
//! definition.

/// Counts of the requests whose intended start lies in the measured window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Requests that the run owes an outcome.
    pub scheduled: u64,
    /// A valid response, and every check held.
    pub ok: u64,
    /// A valid response, but a check did not hold.
    pub failed: u64,
    /// No valid response.
    pub errors: u64,
    /// No complete response in time.
    pub timeouts: u64,
    /// Never sent, by policy.
    pub dropped: u64,
    /// Without an outcome when the run ended.
    pub unfinished: u64,
}

impl Ledger {
    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        self.ok += other.ok;
        self.failed += other.failed;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.dropped += other.dropped;
        self.unfinished += other.unfinished;
    }

    /// Requests that have an outcome.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.ok + self.failed + self.errors + self.timeouts + self.dropped + self.unfinished
    }

    /// Whether every scheduled request has one outcome. False during a run, when some are in
    /// flight.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.scheduled == self.accounted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_balances_when_each_request_has_one_outcome() {
        let mut ledger = Ledger { scheduled: 6, ok: 1, failed: 1, errors: 1, ..Ledger::default() };
        assert!(!ledger.balances());
        ledger.merge(&Ledger { timeouts: 1, dropped: 1, unfinished: 1, ..Ledger::default() });
        assert!(ledger.balances());
        ledger.ok += 1;
        assert!(!ledger.balances());
    }
}
