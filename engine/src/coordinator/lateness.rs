//! How late the coordinator's own ticks are.

use crate::record::{Histogram, Quantile};
use crate::units::{Instant, Nanos};

/// The lateness of the coordinator's ticks over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Ticks.
    pub count: u64,
    /// Median lateness.
    pub p50: Nanos,
    /// 99th percentile.
    pub p99: Nanos,
    /// The latest.
    pub max: Nanos,
}

/// Plans the ticks, and measures how late they come.
pub(super) struct Watch {
    period: Nanos,
    next: Instant,
    late: Histogram,
}

impl Watch {
    pub(super) fn new(now: Instant, period: Nanos) -> Self {
        Self { period, next: now + period, late: Histogram::new() }
    }

    /// When the next tick is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Ticks that have come.
    pub(super) fn ticks(&self) -> u64 {
        self.late.count()
    }

    /// Counts the tick, if it has come by `now`. A tick that comes so late that others were due in
    /// between stands for them all.
    pub(super) fn note(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        let late = now.since(self.next);
        self.late.record(late);
        let missed = late.get() / self.period.get().max(1);
        self.next = self.next + self.period.saturating_mul(missed + 1);
    }

    pub(super) fn lateness(&self) -> Lateness {
        Lateness {
            count: self.late.count(),
            p50: self.late.quantile(Quantile::P50),
            p99: self.late.quantile(Quantile::P99),
            max: self.late.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_as_late_as_it_comes_and_stands_for_those_it_missed() {
        let at = Instant::from_origin;
        let mut watch = Watch::new(at(0), Nanos::new(100));
        watch.note(at(50));
        assert_eq!(watch.ticks(), 0, "woken before its time");
        watch.note(at(103));
        watch.note(at(450));
        assert_eq!((watch.ticks(), watch.next()), (2, at(500)));
        assert_eq!(watch.lateness().max, Nanos::new(250));
    }
}
