//! The times of whole scenarios, and of groups of their steps.

use super::{Histogram, Spans};
use crate::units::Nanos;

/// How users came through a scenario or a group.
///
/// At the end of a run each that was begun has been completed, was cut short or is unfinished.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// Begun: its first request has started.
    pub begun: u64,
    /// Gone through to the end, whatever checks said.
    pub completed: u64,
    /// Ended before its time: a request had no response, or a capture found nothing.
    pub cut_short: u64,
    /// The same because a loop went on for too long; not among those.
    pub endless: u64,
    /// Under way when the run ended.
    pub unfinished: u64,
    /// How long those took that were completed.
    known: Histogram,
    /// How long the others had taken. Made when needed.
    censored: Option<Box<Histogram>>,
}

/// How a flow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// It was gone through.
    Completed,
    /// A request had no response, or a capture found nothing.
    CutShort,
    /// A loop went on for too long.
    Endless,
    /// The run ended.
    Unfinished,
}

impl Flow {
    /// One has ended after `took`, pauses left out.
    pub fn ended(&mut self, took: Nanos, how: FlowEnd) {
        let count = match how {
            FlowEnd::Completed => &mut self.completed,
            FlowEnd::CutShort => &mut self.cut_short,
            FlowEnd::Endless => &mut self.endless,
            FlowEnd::Unfinished => &mut self.unfinished,
        };
        *count += 1;
        match how {
            FlowEnd::Completed => self.known.record(took),
            _ => self.censored.get_or_insert_default().record(took),
        }
    }

    /// How long they took; of those that were not gone through is only known that it would have
    /// been longer.
    #[must_use]
    pub fn latency(&self) -> Spans {
        let censored = self.censored.as_deref().cloned().unwrap_or_default();
        Spans { known: self.known.clone(), censored }
    }

    /// Those that have ended, in whichever way.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.completed + self.cut_short + self.endless + self.unfinished
    }

    /// Whether each that was begun has ended, in one way.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.begun == self.over()
    }

    /// Adds all that `other` holds. Exact.
    pub fn merge(&mut self, other: &Self) {
        self.begun += other.begun;
        self.completed += other.completed;
        self.cut_short += other.cut_short;
        self.endless += other.endless;
        self.unfinished += other.unfinished;
        self.known.merge(&other.known);
        if let Some(more) = other.censored.as_ref().filter(|more| !more.is_empty()) {
            self.censored.get_or_insert_default().merge(more);
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        (self.begun, self.completed, self.cut_short) = (0, 0, 0);
        (self.endless, self.unfinished) = (0, 0);
        self.known.clear();
        self.censored.iter_mut().for_each(|censored| censored.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_add_up_and_are_emptied() {
        let mut one = Flow { begun: 2, ..Flow::default() };
        one.ended(Nanos::from_millis(3), FlowEnd::Completed);
        one.ended(Nanos::from_millis(1), FlowEnd::CutShort);
        assert!(one.balances());
        let mut other = Flow { begun: 3, ..Flow::default() };
        other.ended(Nanos::from_millis(5), FlowEnd::Unfinished);
        other.ended(Nanos::from_millis(4), FlowEnd::Endless);
        assert!(!other.balances());
        one.merge(&other);
        let Flow { begun, completed, cut_short, endless, unfinished, .. } = one;
        assert_eq!([begun, completed, cut_short, endless, unfinished], [5, 1, 1, 1, 1]);
        let latency = one.latency();
        assert_eq!((latency.known.count(), latency.censored.count()), (1, 3));
        assert_eq!(latency.known.max(), Nanos::from_millis(3));
        one.clear();
        assert_eq!(one.latency().count(), 0);
        assert!(one.balances() && one.begun == 0);
    }
}
