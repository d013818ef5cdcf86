//! Latencies by outcome, and what is known of those that never ended.
//!
//! A request that was given up, dropped or left unfinished has no latency, but a bound: it would
//! have taken at least as long as it was waited for. Left out, it would flatter the server; counted
//! at the bound, it would flatter it less. So both are kept apart, and each quantile is an interval
//! that holds the truth ([`Spans::quantile`]).

use super::{Histogram, Quantile};
use crate::units::Nanos;

/// Status classes, 1xx to 9xx: the protocol lets three digits through.
const CLASSES: usize = 9;

/// Latencies of a run: response times in an open loop, service times in a closed one.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Responses of the usual class, 2xx, for which every check held.
    usual: Histogram,
    /// Responses of the other classes for which every check held, by class. Made when needed.
    ok: [Option<Box<Histogram>>; CLASSES],
    /// Responses for which a check did not hold, by class.
    failed: [Option<Box<Histogram>>; CLASSES],
    /// Time to the failure of requests without a valid response.
    errors: Option<Box<Histogram>>,
    /// How long was waited for what did not end.
    censored: Option<Box<Histogram>>,
}

/// Index of the usual class, 2xx.
const USUAL: usize = 1;

impl Default for Latencies {
    fn default() -> Self {
        Self {
            usual: Histogram::new(),
            ok: [const { None }; CLASSES],
            failed: [const { None }; CLASSES],
            errors: None,
            censored: None,
        }
    }
}

impl Latencies {
    /// `count` responses of `status` took `span`; `good` says whether every check held.
    pub fn responses(&mut self, span: Nanos, status: u16, good: bool, count: u64) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if good && class == USUAL {
            self.usual.record_many(span, count);
            return;
        }
        let cells = if good { &mut self.ok } else { &mut self.failed };
        if let Some(cell) = cells.get_mut(class) {
            cell.get_or_insert_default().record_many(span, count);
        }
    }

    /// A request failed after `span`.
    pub fn error(&mut self, span: Nanos) {
        self.errors.get_or_insert_default().record(span);
    }

    /// `count` requests would have taken longer than `span`.
    pub fn censored(&mut self, span: Nanos, count: u64) {
        if count > 0 {
            self.censored.get_or_insert_default().record_many(span, count);
        }
    }

    /// All outcomes.
    #[must_use]
    pub fn all(&self) -> Spans {
        let mut known = self.ok();
        let others = self.failed.iter().flatten().chain(&self.errors);
        others.for_each(|cell| known.merge(cell));
        Spans { known, censored: self.censored.as_deref().cloned().unwrap_or_default() }
    }

    /// Responses for which every check held.
    #[must_use]
    pub fn ok(&self) -> Histogram {
        let mut sum = self.usual.clone();
        self.ok.iter().flatten().for_each(|cell| sum.merge(cell));
        sum
    }

    /// The classes that occurred, from 1 for 1xx to 9, with their responses, ok or failed.
    #[must_use]
    pub fn classes(&self) -> Vec<(u8, Histogram)> {
        let class = |index: usize| {
            let mut sum = Histogram::new();
            if index == USUAL {
                sum.merge(&self.usual);
            }
            for cells in [&self.ok, &self.failed] {
                if let Some(cell) = cells.get(index).and_then(Option::as_ref) {
                    sum.merge(cell);
                }
            }
            Some((u8::try_from(index + 1).ok()?, sum)).filter(|(_, sum)| !sum.is_empty())
        };
        (0..CLASSES).filter_map(class).collect()
    }

    /// Latencies and bounds together.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.cells().map(Histogram::count).sum()
    }

    /// Spans that were longer than a histogram holds.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.cells().map(Histogram::clamped).sum()
    }

    /// Adds all that `other` holds. Exact.
    pub fn merge(&mut self, other: &Self) {
        self.usual.merge(&other.usual);
        let pairs = self.ok.iter_mut().zip(&other.ok);
        let pairs = pairs.chain(self.failed.iter_mut().zip(&other.failed));
        let rest = [(&mut self.errors, &other.errors), (&mut self.censored, &other.censored)];
        for (cell, more) in pairs.chain(rest) {
            if let Some(more) = more.as_ref().filter(|more| !more.is_empty()) {
                cell.get_or_insert_default().merge(more);
            }
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.usual.clear();
        let cells = self.ok.iter_mut().chain(&mut self.failed).flatten();
        cells.chain(&mut self.errors).chain(&mut self.censored).for_each(|cell| cell.clear());
    }

    fn cells(&self) -> impl Iterator<Item = &Histogram> {
        let cells = self.ok.iter().chain(&self.failed).flatten();
        let cells = cells.chain(&self.errors).chain(&self.censored);
        core::iter::once(&self.usual).chain(cells.map(Box::as_ref))
    }
}

/// Spans of which some are only known to be longer than they were waited for.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// Those that are known.
    pub known: Histogram,
    /// Those that would have been longer (right-censored).
    pub censored: Histogram,
}

/// Between what the truth of a quantile lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// It is at least this: what was waited for counts as the end.
    pub lo: Nanos,
    /// It is at most this: what was waited for might have lasted for ever. `None` if nobody knows.
    pub hi: Option<Nanos>,
}

impl Bounds {
    /// The value, if the bounds agree within the precision of a histogram.
    #[must_use]
    pub fn exact(self) -> Option<Nanos> {
        let hi = self.hi?;
        (hi.saturating_sub(self.lo).get() <= self.lo.get() / 1000 + 1).then_some(hi)
    }
}

impl Spans {
    /// Spans, known or not.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.known.count() + self.censored.count()
    }

    /// The bounds of a quantile.
    #[must_use]
    pub fn quantile(&self, quantile: Quantile) -> Bounds {
        self.at_rank(quantile.rank(self.count()))
    }

    /// The bounds of the value at `rank`, from 1 for the least.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> Bounds {
        let hi = (rank <= self.known.count()).then(|| self.known.at_rank(rank));
        if self.censored.is_empty() {
            return Bounds { lo: hi.unwrap_or_default(), hi };
        }
        let mut both = self.known.clone();
        both.merge(&self.censored);
        let lo = both.at_rank(rank);
        // The top of a bucket may lie above the greatest value that is known.
        Bounds { lo: hi.map_or(lo, |hi| hi.min(lo)), hi }
    }

    /// The longest span, or the longest wait if that was longer.
    #[must_use]
    pub fn max(&self) -> Bounds {
        self.at_rank(self.count().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(n: u64) -> Nanos {
        Nanos::from_millis(n)
    }

    #[test]
    fn a_tenth_that_timed_out_leaves_the_p99_open_and_the_p50_known() {
        let mut latencies = Latencies::default();
        for n in 1..=90 {
            latencies.responses(millis(n), 200, true, 1);
        }
        latencies.censored(millis(1_000), 10);
        let all = latencies.all();
        assert_eq!(all.count(), 100);
        let p50 = all.quantile(Quantile::P50);
        assert!(p50.exact().is_some_and(|p50| p50 >= millis(50) && p50 < millis(51)), "{p50:?}");
        let p99 = all.quantile(Quantile::P99);
        assert_eq!(p99.hi, None);
        assert!(p99.lo >= millis(1_000), "{p99:?}");
    }

    #[test]
    fn short_waits_pull_the_lower_bound_down_only() {
        let mut latencies = Latencies::default();
        for _ in 0..50 {
            latencies.responses(millis(100), 200, true, 1);
        }
        latencies.censored(millis(1), 40);
        let p50 = latencies.all().quantile(Quantile::P50);
        // 40 of 90 at 1 ms and 50 at 100 ms: the 45th is 100 ms either way.
        assert!(p50.exact().is_some());
        latencies.censored(millis(1), 20);
        let p50 = latencies.all().quantile(Quantile::P50);
        assert!(p50.lo <= millis(2) && p50.hi.is_none_or(|hi| hi >= millis(100)), "{p50:?}");
        assert_eq!(p50.exact(), None);
    }

    #[test]
    fn outcomes_are_kept_apart_and_sum_to_all() {
        let mut latencies = Latencies::default();
        latencies.responses(millis(1), 200, true, 1);
        latencies.responses(millis(2), 301, true, 1);
        latencies.responses(millis(3), 503, false, 1);
        latencies.responses(millis(4), 204, false, 1);
        latencies.error(millis(5));
        latencies.censored(millis(6), 2);
        assert_eq!(latencies.count(), 7);
        assert_eq!(latencies.ok().count(), 2);
        let classes: Vec<_> = latencies.classes().iter().map(|(c, h)| (*c, h.count())).collect();
        assert_eq!(classes, [(2, 2), (3, 1), (5, 1)]);
        let mut twice = latencies.clone();
        twice.merge(&latencies);
        assert_eq!((twice.count(), twice.all().known.count()), (14, 10));
        twice.clear();
        assert_eq!(twice.count(), 0);
    }

    proptest! {
        #[test]
        fn the_truth_lies_within_the_bounds(
            known in prop::collection::vec(1..1_000_000_u64, 1..60),
            cut in prop::collection::vec((1..1_000_000_u64, 0..1_000_000_u64), 0..30),
        ) {
            // Of each pair the first part was waited for, and the second would have followed.
            let mut latencies = Latencies::default();
            let mut truth: Vec<u64> = known.clone();
            for &n in &known {
                latencies.responses(Nanos::new(n), 200, true, 1);
            }
            for &(waited, more) in &cut {
                latencies.censored(Nanos::new(waited), 1);
                truth.push(waited + more);
            }
            truth.sort_unstable();
            let all = latencies.all();
            for (rank, &truth) in (1..).zip(&truth) {
                let Bounds { lo, hi } = all.at_rank(rank);
                // A histogram reports the top of a bucket: up to a thousandth too high.
                prop_assert!(lo.get() <= truth + truth / 1000 + 1, "{lo} > {truth}");
                prop_assert!(hi.is_none_or(|hi| hi.get() >= truth), "{hi:?} < {truth}");
                prop_assert!(hi.is_none_or(|hi| hi >= lo));
            }
        }
    }
}
