//! The numbers of one request of several.

use super::{Histogram, Ledger, Spans};
use crate::units::Nanos;

/// How the requests of one kind ended.
///
/// Slots that were never sent are not among them: nobody had chosen a request for them yet.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Their outcomes; of a request that was begun, so that each has one.
    pub ledger: Ledger,
    /// Response times in an open loop, service times in a closed one; errors count with the time
    /// to their failure.
    known: Histogram,
    /// How long was waited for what did not end. Made when needed.
    censored: Option<Box<Histogram>>,
}

impl Row {
    /// `count` responses took `latency`; `good` says whether every check held.
    pub fn responses(&mut self, latency: Nanos, good: bool, count: u64) {
        let outcome = if good { &mut self.ledger.ok } else { &mut self.ledger.failed };
        *outcome += count;
        self.known.record_many(latency, count);
    }

    /// A request failed after `latency`.
    pub fn error(&mut self, latency: Nanos) {
        self.ledger.errors += 1;
        self.known.record(latency);
    }

    /// A request was given up after `latency`.
    pub fn timeout(&mut self, latency: Nanos) {
        self.ledger.timeouts += 1;
        self.censored.get_or_insert_default().record(latency);
    }

    /// A request was without an outcome after `latency`, when the run ended.
    pub fn unfinished(&mut self, latency: Nanos) {
        self.ledger.unfinished += 1;
        self.censored.get_or_insert_default().record(latency);
    }

    /// Their latencies, with those that did not end.
    #[must_use]
    pub fn latency(&self) -> Spans {
        let censored = self.censored.as_deref().cloned().unwrap_or_default();
        Spans { known: self.known.clone(), censored }
    }

    /// Adds all that `other` holds. Exact.
    pub fn merge(&mut self, other: &Self) {
        self.ledger.merge(&other.ledger);
        self.known.merge(&other.known);
        if let Some(more) = other.censored.as_ref().filter(|more| !more.is_empty()) {
            self.censored.get_or_insert_default().merge(more);
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.ledger = Ledger::default();
        self.known.clear();
        self.censored.iter_mut().for_each(|censored| censored.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_and_are_emptied() {
        let span = Nanos::from_millis;
        let mut one = Row::default();
        one.responses(span(1), true, 1);
        one.responses(span(2), false, 1);
        let mut other = Row::default();
        other.error(span(3));
        other.timeout(span(4));
        other.unfinished(span(5));
        one.merge(&other);
        let Ledger { ok, failed, errors, timeouts, unfinished, .. } = one.ledger;
        assert_eq!([ok, failed, errors, timeouts, unfinished], [1; 5]);
        let latency = one.latency();
        assert_eq!((latency.known.count(), latency.censored.count()), (3, 2));
        assert_eq!(latency.known.max(), span(3));
        one.clear();
        assert_eq!(one.latency().known.count() + one.latency().censored.count(), 0);
        assert_eq!(one.ledger, Ledger::default());
    }
}
