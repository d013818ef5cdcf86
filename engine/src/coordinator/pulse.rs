//! How busy a shard was at its busiest: a share over a whole run hides the bad second.

use crate::shard::mailbox::Effort;
use crate::units::{Instant, Nanos};

/// A shorter span says more about when it was looked at than about the shard.
const SPAN_MIN: Nanos = Nanos::from_millis(950);

/// The shares of time for which a shard was busy, over spans of about a second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    mark: Option<Effort>,
    busiest: f64,
}

impl Pulse {
    /// The shard's effort so far. Before `barrier` it does not count.
    pub(super) fn note(&mut self, effort: Effort, barrier: Option<Instant>) {
        if barrier.is_none_or(|barrier| effort.at < barrier) {
            return;
        }
        let Some(mark) = self.mark else {
            self.mark = Some(effort);
            return;
        };
        let span = effort.at.since(mark.at);
        if span >= SPAN_MIN {
            let worked = |effort: Effort| effort.cpu.saturating_sub(effort.spun);
            let busy = worked(effort).saturating_sub(worked(mark));
            self.busiest = self.busiest.max(busy.as_secs_f64() / span.as_secs_f64());
            self.mark = Some(effort);
        }
    }

    /// The greatest share; zero if the run was shorter than a second.
    pub(super) const fn busiest(&self) -> f64 {
        self.busiest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effort(at: u64, cpu: u64, spun: u64) -> Effort {
        let millis = Nanos::from_millis;
        Effort { at: Instant::from_origin(0) + millis(at), cpu: millis(cpu), spun: millis(spun) }
    }

    #[test]
    fn the_busiest_second_counts_and_spinning_is_no_work() {
        let mut pulse = Pulse::default();
        let barrier = Some(Instant::from_origin(0) + Nanos::from_millis(500));
        for (at, cpu, spun) in
            [(0, 400, 0), (600, 0, 0), (1_100, 450, 0), (1_600, 500, 0), (2_600, 1_500, 900)]
        {
            pulse.note(effort(at, cpu, spun), barrier);
        }
        assert!((pulse.busiest() - 0.5).abs() < 1e-9, "{}", pulse.busiest());
    }
}
