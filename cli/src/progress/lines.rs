//! A line every few seconds, for a pipe or a log.

use pummel_engine::coordinator::Tick;
use pummel_engine::units::Nanos;

use super::{View, Whole, words};
use crate::output::stderr;

/// The first line comes early: somebody wants to see that the run has begun.
const FIRST: Nanos = Nanos::from_secs(1);

/// Time between lines.
const EVERY: Nanos = Nanos::from_secs(5);

pub(super) struct Lines {
    whole: Whole,
    due: Nanos,
}

impl Lines {
    pub(super) fn new(whole: Whole) -> Self {
        Self { whole, due: FIRST }
    }

    /// The line for this tick, if one is due.
    fn line(&mut self, tick: &Tick) -> Option<String> {
        if tick.elapsed < self.due {
            return None;
        }
        let periods = tick.elapsed.get() / EVERY.get();
        self.due = EVERY.saturating_mul(periods + 1);
        let elapsed = tick.elapsed.as_secs_f64();
        let stop = self.whole.0;
        let total = stop.limit.duration().map(|length| (stop.warmup + length).as_secs_f64());
        let total = total.map_or(String::new(), |total| format!(" of {total:.0} s"));
        Some(format!("{elapsed:.0} s{total}  {}", words(tick)))
    }
}

impl View for Lines {
    fn tick(&mut self, tick: &Tick) {
        if let Some(line) = self.line(tick) {
            stderr::line(&line);
        }
    }

    fn draining(&mut self) {}

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_engine::plan::{Limit, Stop};
    use pummel_engine::record::Ledger;

    #[test]
    fn a_line_comes_after_one_second_and_then_at_every_fifth() {
        let limit = Limit::Duration(Nanos::from_secs(10));
        let stop = Stop { warmup: Nanos::ZERO, limit, drain: Nanos::ZERO };
        let mut lines = Lines::new(Whole(stop));
        let mut shown = Vec::new();
        for tenth in 0..130 {
            let tick = Tick {
                elapsed: Nanos::from_millis(tenth * 100),
                warming_up: false,
                ledger: Ledger { timeouts: 2, errors: 1, ..Ledger::default() },
                troubles: 3,
                rate_per_second: 12_345.0,
                p50: Nanos::from_micros(900),
                p99: Nanos::from_millis(2),
            };
            shown.extend(lines.line(&tick));
        }
        assert_eq!(shown.len(), 3);
        assert_eq!(shown[1], "5 s of 10 s  12.3k/s  p50 900 µs  p99 2.00 ms  3 errors");
    }
}
