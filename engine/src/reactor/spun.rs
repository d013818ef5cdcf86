//! The time for which a reactor has spun and found nothing to do.

use crate::units::{Instant, Nanos};

/// Longest step from one look to the next that counts as spinning. In a longer one the thread was
/// not running, or not for us, and the CPU time that it did not use must not be taken off again.
const STEP_MAX: Nanos = Nanos::from_micros(20);

/// Adds up the steps between looks that found nothing.
pub(super) struct Spun {
    total: Nanos,
    last: Instant,
}

impl Spun {
    pub(super) fn new(now: Instant) -> Self {
        Self { total: Nanos::ZERO, last: now }
    }

    /// Spinning begins at `now`, or goes on after something was done.
    pub(super) fn begin(&mut self, now: Instant) {
        self.last = now;
    }

    /// Nothing was done since the last look, or since the beginning.
    pub(super) fn look(&mut self, now: Instant) {
        let step = now.since(self.last);
        if step <= STEP_MAX {
            self.total += step;
        }
        self.last = now;
    }

    /// All of it.
    pub(super) fn total(&self) -> Nanos {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_add_up_but_for_work_and_for_time_without_the_cpu() {
        let micros = |n: u64| Instant::from_origin(n * 1_000);
        let mut spun = Spun::new(micros(0));
        spun.begin(micros(100));
        spun.look(micros(101));
        spun.look(micros(103));
        // Something was done for five microseconds.
        spun.begin(micros(108));
        spun.look(micros(128));
        assert_eq!(spun.total(), Nanos::from_micros(23));
        // Somebody else had the CPU.
        spun.look(micros(149));
        spun.look(micros(150));
        assert_eq!(spun.total(), Nanos::from_micros(24));
    }
}
