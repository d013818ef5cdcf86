//! A run in tenths of a second: when requests were intended and how long they took, when they were
//! sent, and when they ended.
//!
//! Latencies and outcomes are those of the requests *intended* in a row, whenever they ended; sends
//! and ends are counted in the row in which they happened. A freeze of the server is thus a
//! descending ramp of latencies, and not one bad row at its end.
//!
//! A shard writes into a [`Timeline`], of which a few rows are open at a time; the coordinator
//! gathers them in a [`Chronicle`].

use std::collections::BTreeMap;

use super::buckets::{Dense, Sparse};
use crate::units::{Instant, Nanos};

/// Length of a row.
pub const ROW: Nanos = Nanos::from_millis(100);

/// Rows for which a timeline has memory at the start: those of an exchange, some that still wait
/// for answers, and room to spare.
const ROWS_OPEN: usize = 16;

/// Counts of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests intended in the row that have an outcome.
    pub arrived: u64,
    /// Of these: a response, and every check held.
    pub ok: u64,
    /// Of these: those of which only is known how long was waited for them.
    pub censored: u64,
    /// Requests sent in the row.
    pub sent: u64,
    /// Requests of the window that ended in the row, however they ended.
    pub ended: u64,
    /// Responses that were complete in the row.
    pub finished: u64,
    /// Those of them for which every check held.
    pub good: u64,
    /// The greatest loop lag of the requests intended in the row.
    pub loop_lag_max: Nanos,
}

impl Tally {
    fn merge(&mut self, other: &Self) {
        self.arrived += other.arrived;
        self.ok += other.ok;
        self.censored += other.censored;
        self.sent += other.sent;
        self.ended += other.ended;
        self.finished += other.finished;
        self.good += other.good;
        self.loop_lag_max = self.loop_lag_max.max(other.loop_lag_max);
    }
}

/// A row that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Its number, from the beginning of the window.
    number: u64,
    pub(super) tally: Tally,
    /// Latencies of the requests intended in it; what did not end counts with the time waited.
    pub(super) latency: Counts,
}

/// Latencies of a row, in the form that suits their number.
#[derive(Clone, Debug)]
pub(super) enum Counts {
    /// Quick to write, of a fixed size.
    Dense(Dense),
    /// Small where there is little in it.
    Sparse(Sparse),
}

impl Default for Counts {
    fn default() -> Self {
        Self::Dense(Dense::default())
    }
}

impl Counts {
    pub(super) fn record_many(&mut self, span: Nanos, count: u64) {
        match self {
            Self::Dense(dense) => dense.record_many(span, count),
            Self::Sparse(sparse) => sparse.record_many(span, count),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Dense(dense) => dense.clear(),
            Self::Sparse(sparse) => *sparse = Sparse::default(),
        }
    }

    fn add_to(&self, sum: &mut Sparse) {
        match self {
            Self::Dense(dense) => sum.add(dense),
            Self::Sparse(sparse) => sum.merge(sparse),
        }
    }

    fn merge(&mut self, other: &Self) {
        if let (Self::Dense(sum), Self::Dense(more)) = (&mut *self, other) {
            sum.merge(more);
            return;
        }
        let mut sum = Sparse::default();
        self.add_to(&mut sum);
        other.add_to(&mut sum);
        *self = Self::Sparse(sum);
    }
}

/// Rows that are written densely. A run that ends with an hour of slots owed opens a row for every
/// tenth of a second of it at once: beyond so many they are small, and found by their numbers.
const ROWS_DENSE: usize = 256;

/// The rows of one shard that were written since the envelope was empty.
#[derive(Clone, Debug)]
pub struct Timeline {
    origin: Instant,
    /// The first `used` rows are in use, the others are kept for their memory.
    rows: Vec<Row>,
    used: usize,
    /// Where the rows beyond [`ROWS_DENSE`] are.
    places: BTreeMap<u64, usize>,
    /// The row written last, and the moments that belong to it: most writes go where the one
    /// before them went.
    last: usize,
    from: Instant,
    to: Instant,
}

impl Default for Timeline {
    fn default() -> Self {
        let origin = Instant::from_origin(0);
        let rows = (0..ROWS_OPEN).map(|_| Row::default()).collect();
        Self { origin, rows, used: 0, places: BTreeMap::new(), last: 0, from: origin, to: origin }
    }
}

impl Timeline {
    /// Rows are numbered from `origin`, the beginning of the window.
    pub fn set_origin(&mut self, origin: Instant) {
        debug_assert!(self.used == 0, "rows were written");
        self.origin = origin;
    }

    /// When the first row begins.
    #[must_use]
    pub const fn origin(&self) -> Instant {
        self.origin
    }

    /// The row of `moment`, which is not before the origin.
    pub(super) fn at(&mut self, moment: Instant) -> Option<&mut Row> {
        if !(self.from <= moment && moment < self.to) {
            self.seek(moment);
        }
        self.rows.get_mut(self.last)
    }

    /// Finds the row of `moment`, or opens it.
    #[cold]
    fn seek(&mut self, moment: Instant) {
        let number = moment.since(self.origin).get() / ROW.get();
        self.from = self.origin + ROW.saturating_mul(number);
        self.to = self.from + ROW;
        // The newest are the likeliest.
        let found = (0..self.used.min(ROWS_DENSE))
            .rev()
            .find(|&index| self.rows.get(index).is_some_and(|row| row.number == number));
        let found = found.or_else(|| self.places.get(&number).copied());
        self.last = found.unwrap_or_else(|| self.open(number));
    }

    fn open(&mut self, number: u64) -> usize {
        let index = self.used;
        if index >= ROWS_DENSE {
            let latency = Counts::Sparse(Sparse::default());
            self.rows.push(Row { number, tally: Tally::default(), latency });
            self.places.insert(number, index);
        } else if index == self.rows.len() {
            // A server that was silent for long answers all at once.
            self.rows.push(Row::default());
        }
        if let Some(row) = self.rows.get_mut(index) {
            row.number = number;
        }
        self.used += 1;
        index
    }

    /// The rows in use.
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().take(self.used)
    }

    /// Adds the rows of `other`, which has the same origin.
    pub fn merge(&mut self, other: &Self) {
        if self.used == 0 {
            self.origin = other.origin;
        }
        for row in other.rows() {
            let moment = self.origin + ROW.saturating_mul(row.number);
            if let Some(own) = self.at(moment) {
                own.tally.merge(&row.tally);
                own.latency.merge(&row.latency);
            }
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        for row in self.rows.iter_mut().take(self.used) {
            row.tally = Tally::default();
            row.latency.clear();
        }
        self.rows.truncate(ROWS_DENSE);
        self.places.clear();
        self.used = 0;
        self.to = self.from;
    }
}

/// Most steps that are kept: at the finest, those of ten minutes.
const ROWS_MAX: u64 = 6_000;

const SECOND: Nanos = Nanos::from_secs(1);

/// How many rows become one when there are too many.
const COARSER: u64 = 10;

/// One step of a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Its counts.
    pub tally: Tally,
    /// Latencies of the requests intended in it, to 0.8 %; what did not end counts with the time
    /// waited.
    pub latency: Sparse,
}

/// A whole run in steps of a tenth of a second, or longer ones if it lasted long: memory is bounded
/// by six thousand steps of a few kilobytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chronicle {
    step: Nanos,
    steps: BTreeMap<u64, Step>,
}

impl Default for Chronicle {
    fn default() -> Self {
        Self { step: ROW, steps: BTreeMap::new() }
    }
}

impl Chronicle {
    /// Adds the rows of `timeline`.
    pub fn add(&mut self, timeline: &Timeline) {
        for row in timeline.rows() {
            let number = row.number / (self.step.get() / ROW.get());
            let step = self.steps.entry(number).or_default();
            step.tally.merge(&row.tally);
            row.latency.add_to(&mut step.latency);
        }
        while self.steps.last_key_value().is_some_and(|(&last, _)| last >= ROWS_MAX) {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.step = self.step.saturating_mul(COARSER);
        for (number, step) in core::mem::take(&mut self.steps) {
            let sum = self.steps.entry(number / COARSER).or_default();
            sum.tally.merge(&step.tally);
            sum.latency.merge(&step.latency);
        }
    }

    /// The same in steps of a second at least.
    #[must_use]
    pub fn per_second(&self) -> Self {
        let mut coarse = self.clone();
        while coarse.step < SECOND {
            coarse.coarsen();
        }
        coarse
    }

    /// Length of a step.
    #[must_use]
    pub const fn step(&self) -> Nanos {
        self.step
    }

    /// The steps from the beginning of the window to the last in which anything happened, without
    /// a gap; the drain is part of it. O(steps).
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let Some((&last, _)) = self.steps.last_key_value() else { return Vec::new() };
        (0..=last).map(|number| self.steps.get(&number).cloned().unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(5) + Nanos::from_millis(millis)
    }

    fn timeline(moments: &[u64]) -> Timeline {
        let mut timeline = Timeline::default();
        timeline.set_origin(at(0));
        for &millis in moments {
            let row = timeline.at(at(millis)).unwrap();
            row.tally.arrived += 1;
            row.latency.record_many(Nanos::from_micros(millis), 1);
        }
        timeline
    }

    fn arrived(timeline: &Timeline) -> Vec<u64> {
        let mut chronicle = Chronicle::default();
        chronicle.add(timeline);
        chronicle.steps().iter().map(|step| step.tally.arrived).collect()
    }

    #[test]
    fn a_moment_belongs_to_its_tenth_of_a_second_in_whatever_order_they_come() {
        let timeline = timeline(&[0, 250, 99, 100, 299, 0, 530]);
        assert_eq!(arrived(&timeline), [3, 1, 2, 0, 0, 1]);
    }

    #[test]
    fn more_rows_than_were_planned_for_are_kept() {
        let moments: Vec<u64> = (0..100).map(|n| n * 100).collect();
        assert_eq!(arrived(&timeline(&moments)), vec![1; 100]);
    }

    #[test]
    fn an_hour_of_rows_is_small_and_nothing_of_it_is_lost() {
        let moments: Vec<u64> = (0..36_000).flat_map(|n| [n * 100, 3_600_000]).collect();
        let mut timeline = timeline(&moments);
        let dense = timeline.rows().filter(|row| matches!(row.latency, Counts::Dense(_))).count();
        assert_eq!(dense, ROWS_DENSE);
        let mut chronicle = Chronicle::default();
        chronicle.add(&timeline);
        let steps = chronicle.steps();
        assert_eq!(steps.iter().map(|step| step.tally.arrived).sum::<u64>(), 72_000);
        assert_eq!(steps.iter().map(|step| step.latency.total()).sum::<u64>(), 72_000);
        timeline.clear();
        assert_eq!(arrived(&timeline), [0_u64; 0]);
    }

    #[test]
    fn a_cleared_timeline_remembers_nothing() {
        let mut timeline = timeline(&[0, 100, 200]);
        timeline.clear();
        assert_eq!(arrived(&timeline), [0_u64; 0]);
        timeline.at(at(100)).unwrap().tally.arrived += 1;
        assert_eq!(arrived(&timeline), [0, 1]);
    }

    #[test]
    fn timelines_of_shards_sum() {
        let mut one = timeline(&[0, 150]);
        one.merge(&timeline(&[150, 320]));
        assert_eq!(arrived(&one), [1, 2, 0, 1]);
    }

    #[test]
    fn a_long_run_has_longer_steps_and_loses_nothing() {
        let mut chronicle = Chronicle::default();
        let rows = 3 * ROWS_MAX;
        for number in 0..rows {
            chronicle.add(&timeline(&[number * 100]));
        }
        assert_eq!(chronicle.step(), Nanos::from_secs(1));
        let steps = chronicle.steps();
        assert!(steps.iter().all(|step| step.tally.arrived == 10 && step.latency.total() == 10));
        assert_eq!(steps.len() as u64, rows / 10);
    }
}
