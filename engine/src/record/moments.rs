//! The moments of a request, and requests kept as examples with all of theirs.

use super::Trouble;
use crate::units::{Instant, Nanos};

/// The moments of one request that was sent.
///
/// `intended ≤ picked ≤ granted ≤ written ≤ first_byte ≤ finished`. In a closed loop the first four
/// are one: there is no schedule to be late for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// *i*: when the schedule wanted it to start.
    pub intended: Instant,
    /// *p*: the intended start, and as much later as the shard was late for it.
    pub picked: Instant,
    /// *g*: when it was given a connection.
    pub granted: Instant,
    /// *w0*: when its first byte was handed to the kernel.
    pub written: Instant,
    /// Whether at most a quarter of the connections were in use then.
    pub light: bool,
    /// *f*: when the first byte of the final response was reaped; else like `finished`.
    pub first_byte: Instant,
    /// *e*: when the last byte was reaped, or the request was given up.
    pub finished: Instant,
}

impl Moments {
    /// Whether no moment lies before the one that leads to it.
    #[must_use]
    pub fn in_order(&self) -> bool {
        self.intended <= self.picked
            && self.picked <= self.granted
            && self.granted <= self.written
            && self.written <= self.first_byte
            && self.first_byte <= self.finished
    }

    /// Response time: `finished − intended`.
    #[must_use]
    pub fn response(&self) -> Nanos {
        self.finished.since(self.intended)
    }

    /// Service time: `finished − written`.
    #[must_use]
    pub fn service(&self) -> Nanos {
        self.finished.since(self.written)
    }

    /// Schedule lag: `written − intended`.
    #[must_use]
    pub fn lag(&self) -> Nanos {
        self.written.since(self.intended)
    }

    /// The part of the lag that the shard itself made: `picked − intended`.
    #[must_use]
    pub fn loop_lag(&self) -> Nanos {
        self.picked.since(self.intended)
    }

    /// The part of the lag in which no connection was free: `granted − picked`.
    #[must_use]
    pub fn connection_wait(&self) -> Nanos {
        self.granted.since(self.picked)
    }
}

/// How the request of an [`Exemplar`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// With a response of this status.
    Response(u16),
    /// Without a valid response.
    Trouble(Trouble),
}

/// One request with all its moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// When what happened.
    pub moments: Moments,
    /// How it ended.
    pub fate: Fate,
    /// Number of its connection within its shard.
    pub connection: u32,
}

/// Slowest requests that are kept.
const SLOWEST_MAX: usize = 16;

/// The slowest requests, in no order; the memory is taken at once.
#[derive(Clone, Debug)]
pub struct Slowest {
    kept: Vec<Exemplar>,
    /// What a request must exceed to be kept.
    floor: Nanos,
}

impl Default for Slowest {
    fn default() -> Self {
        Self { kept: Vec::with_capacity(SLOWEST_MAX), floor: Nanos::ZERO }
    }
}

impl Slowest {
    /// Whether a request that took `span` would be kept. False for most: it is all that they cost.
    #[must_use]
    pub fn takes(&self, span: Nanos) -> bool {
        span > self.floor || self.kept.len() < SLOWEST_MAX
    }

    /// Keeps `exemplar` if it is one of the slowest.
    pub fn offer(&mut self, exemplar: &Exemplar) {
        if !self.takes(exemplar.moments.response()) {
            return;
        }
        if self.kept.len() < SLOWEST_MAX {
            self.kept.push(*exemplar);
        } else if let Some(quickest) =
            self.kept.iter_mut().min_by_key(|kept| kept.moments.response())
        {
            *quickest = *exemplar;
        }
        if self.kept.len() == SLOWEST_MAX {
            let spans = self.kept.iter().map(|kept| kept.moments.response());
            self.floor = spans.min().unwrap_or_default();
        }
    }

    /// Keeps as many of `count` requests like `exemplar` as are among the slowest.
    pub fn offer_many(&mut self, exemplar: &Exemplar, count: u64) {
        (0..count).take(SLOWEST_MAX).for_each(|_| self.offer(exemplar));
    }

    /// Adds those of `other`.
    pub fn merge(&mut self, other: &Self) {
        for exemplar in &other.kept {
            self.offer(exemplar);
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.floor = Nanos::ZERO;
    }

    /// The slowest first.
    #[must_use]
    pub fn rows(&self) -> Vec<Exemplar> {
        let mut rows = self.kept.clone();
        rows.sort_unstable_by_key(|row| {
            (core::cmp::Reverse(row.moments.response()), row.moments.intended)
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exemplar(span: u64) -> Exemplar {
        let (start, end) = (Instant::from_origin(1_000), Instant::from_origin(1_000 + span));
        let moments = Moments {
            intended: start,
            picked: start,
            granted: start,
            written: start,
            light: false,
            first_byte: end,
            finished: end,
        };
        Exemplar { moments, fate: Fate::Response(200), connection: 0 }
    }

    fn spans(of: &Slowest) -> Vec<u64> {
        of.rows().iter().map(|row| row.moments.response().get()).collect()
    }

    #[test]
    fn moments_out_of_order_are_noticed() {
        let mut moments = exemplar(5).moments;
        assert!(moments.in_order());
        moments.picked = Instant::from_origin(1_001);
        assert!(!moments.in_order(), "picked after it was written");
    }

    proptest! {
        #[test]
        fn the_slowest_are_kept_in_whatever_parts_they_come(
            mut all in prop::collection::vec(0..1_000_u64, 0..60),
            cut in 0..60_usize,
        ) {
            let (left, right) = all.split_at(cut.min(all.len()));
            let (mut one, mut other) = (Slowest::default(), Slowest::default());
            for &span in left {
                one.offer(&exemplar(span));
            }
            for &span in right {
                other.offer(&exemplar(span));
            }
            one.merge(&other);
            all.sort_unstable_by(|a, b| b.cmp(a));
            all.truncate(SLOWEST_MAX);
            prop_assert_eq!(spans(&one), all);
        }
    }
}
