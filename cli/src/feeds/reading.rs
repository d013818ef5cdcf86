//! The rows of one run, in the order in which they are dealt.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pummel_engine::feed::Dealer;

use super::order::{Order, Shuffle, random, within};
use super::records::{Fault, Records};
use super::{Course, Format, PORTION, Row, Source};

/// Bytes that are read at once where rows come from anywhere in the file.
const PORTION_AT_RANDOM: usize = 2 * 1024;

/// Rows between two looks at what is wanted.
const AT_ONCE: usize = 64;

/// How long the thread sleeps when the shards have enough.
const PAUSE_MIN: Duration = Duration::from_micros(500);
const PAUSE_MAX: Duration = Duration::from_millis(16);

/// Rows that are read.
pub(super) struct Reading {
    records: Records,
    format: Format,
    row: Row,
    /// Where the first row begins.
    first: u64,
    course: Course,
    index: Arc<[u64]>,
    /// Rows so far.
    read: u64,
}

impl Reading {
    pub(super) fn new(
        source: &Source,
        row: Row,
        course: Course,
        index: Arc<[u64]>,
    ) -> Result<Self, Fault> {
        let in_order = course.order == Order::Sequential;
        let portion = if in_order { PORTION } else { PORTION_AT_RANDOM };
        let mut records = source.records(portion)?;
        records.pass_header(source)?;
        let (format, first) = (source.format, source.first);
        Ok(Self { records, format, row, first, course, index, read: 0 })
    }

    /// Deals rows until there are no more, or nobody takes them.
    pub(super) fn deal(mut self, mut dealer: Dealer) -> Result<(), Fault> {
        let mut pause = PAUSE_MIN;
        loop {
            while dealer.wants() {
                for _ in 0..AT_ONCE {
                    if !self.next()? {
                        dealer.finish();
                        return Ok(());
                    }
                    dealer.deal(self.values());
                }
            }
            if dealer.is_abandoned() {
                return Ok(());
            }
            // Nobody wakes the thread: a shard that did would have to ask the kernel.
            thread::park_timeout(pause);
            pause = if dealer.is_behind() { pause / 2 } else { pause * 2 };
            pause = pause.clamp(PAUSE_MIN, PAUSE_MAX);
        }
    }

    /// Goes on to the next row; `false` if there is none.
    pub(super) fn next(&mut self) -> Result<bool, Fault> {
        let found = match self.course.order {
            Order::Sequential => self.next_in_order()?,
            Order::Shuffled | Order::Random => self.next_anywhere()?,
        };
        if found {
            self.read += 1;
            self.row.read(&self.records, self.format)?;
        }
        Ok(found)
    }

    /// The values of the row.
    pub(super) fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.row.values()
    }

    fn next_in_order(&mut self) -> Result<bool, Fault> {
        if self.records.next()? {
            return Ok(true);
        }
        if !self.course.repeat {
            return Ok(false);
        }
        self.records.go_to(self.first)?;
        if self.records.next()? {
            return Ok(true);
        }
        Err(self.records.fault("has no row any more; leave the file alone during a run"))
    }

    fn next_anywhere(&mut self) -> Result<bool, Fault> {
        let Course { order, repeat, seed } = self.course;
        let rows = (self.index.len() as u64).max(1);
        let (pass, number) = (self.read / rows, self.read % rows);
        if pass > 0 && !repeat {
            return Ok(false);
        }
        let chosen = match order {
            Order::Random => within(random(seed, self.read), rows),
            _ => Shuffle::new(random(seed, pass), rows).at(number),
        };
        let chosen = usize::try_from(chosen).ok().and_then(|chosen| self.index.get(chosen));
        self.records.go_to(chosen.copied().unwrap_or_default())?;
        if self.records.next()? {
            return Ok(true);
        }
        Err(self.records.fault("lacks a row that was there; leave the file alone during a run"))
    }
}
