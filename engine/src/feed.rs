//! ROWS MADE AHEAD: what a feed is, and the rings through which its rows come to the shards.
//!
//! ```text
//!                              full batches
//!   Rows ── deal ──► Dealer ══════════════════► Tap of shard 0
//!   (a thread of       │    ◄══════════════════
//!    its own)          │       empty ones
//!                      ╞══════════════════════► Tap of shard 1 …
//! ```
//!
//! Whoever makes rows deals them out: row `k` goes to the shard that has slot `k` of the schedule,
//! so that which rows a shard gets is a matter of the plan and not of who was quicker. No row goes
//! to two of them, and nobody has to be asked. A shard never waits: a ring without a row is a fact
//! that it counts. Batches go round, so that nothing is allocated once all of them have been
//! filled.

use core::fmt;
use core::num::NonZeroU32;
use std::io;
use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

/// Rows that a batch holds.
const ROWS_MAX: usize = 512;

/// Bytes of values after which a batch is full.
const BYTES_MAX: usize = 64 * 1024;

/// Full batches ahead of each shard: 8,192 rows are some 20 ms of the highest rates.
const AHEAD: usize = 16;

/// Batches beyond those, by which a shard may be behind another one. They are read in one go, so
/// whoever is behind keeps its rows while the others get theirs.
const APART: usize = 128;

/// Rows of values by name.
#[derive(Clone, Debug)]
pub struct Feed {
    /// What the report calls it.
    pub name: String,
    /// Values of a row.
    pub columns: u16,
    /// Where they come from.
    pub rows: Arc<dyn Rows>,
}

/// Whoever makes the rows of a feed.
pub trait Rows: fmt::Debug + Send + Sync {
    /// Begins to deal rows for one run, from the first on, and returns: a thread goes on with it,
    /// away from the shards on `cpus`, until there are no more rows or the dealer is abandoned.
    ///
    /// # Errors
    /// If there is no thread for it, or the rows cannot be had.
    fn begin(&self, dealer: Dealer, cpus: &[usize]) -> io::Result<()>;

    /// Why there were no more rows in the last run, if that was not their end.
    fn trouble(&self) -> Option<String>;
}

/// Rows in a compact form.
#[derive(Debug, Default)]
struct Batch {
    /// All values, one behind the other.
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<u32>,
    /// Whether none comes behind it.
    last: bool,
}

impl Batch {
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        // A batch is full long before that.
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    fn value(&self, index: usize) -> &[u8] {
        let end = |index: usize| self.ends.get(index).map_or(0, |&end| end as usize);
        let from = index.checked_sub(1).map_or(0, end);
        self.bytes.get(from..end(index)).unwrap_or_default()
    }

    /// The same memory without rows, if that is no more than a batch needs as a rule.
    fn emptied(mut self) -> Self {
        if self.bytes.capacity() > 2 * BYTES_MAX {
            return Self::default();
        }
        self.bytes.clear();
        self.ends.clear();
        Self { last: false, ..self }
    }
}

/// Deals rows out to the shards of a run.
#[derive(Debug)]
pub struct Dealer {
    hands: Vec<Hand>,
    /// Connections of all shards: what slots are shared out by.
    connections: u64,
    columns: usize,
    dealt: u64,
    spare: Vec<Batch>,
    /// Most full batches on their way.
    most: usize,
}

/// The dealer's end for one shard.
#[derive(Debug)]
struct Hand {
    full: Producer<Batch>,
    empty: Consumer<Batch>,
    /// The batch that is being filled. It leaves when there is a row for the next one, so that the
    /// last is known to be the last.
    open: Batch,
}

/// The rows of `columns` values each, for `shards` with `connections` in total: the dealer's end,
/// and that of each shard.
pub(crate) fn rings(columns: u16, shards: usize, connections: NonZeroU32) -> (Dealer, Vec<Tap>) {
    let columns = usize::from(columns.max(1));
    let most = AHEAD * shards + APART;
    let (mut hands, mut taps) = (Vec::new(), Vec::new());
    for _ in 0..shards {
        let (full, full_out) = RingBuffer::new(most + 1);
        let (empty_in, empty) = RingBuffer::new(most + 1);
        hands.push(Hand { full, empty, open: Batch::default() });
        let batch = Batch::default();
        taps.push(Tap { full: full_out, empty: empty_in, columns, batch, row: 0, rows: 0 });
    }
    let connections = u64::from(connections.get());
    (Dealer { hands, connections, columns, dealt: 0, spare: Vec::new(), most }, taps)
}

impl Dealer {
    /// Whether a shard has few rows left, and there is room for more. Whoever deals looks at this
    /// before each row, and waits for a while if not.
    #[must_use]
    pub fn wants(&self) -> bool {
        let queued = self.hands.iter().map(Hand::queued);
        let (least, sum) =
            queued.fold((usize::MAX, 0), |(least, sum), one| (one.min(least), sum + one));
        least < AHEAD && sum < self.most
    }

    /// Whether a shard has less than half of what it should have ahead.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.hands.iter().any(|hand| hand.queued() < AHEAD / 2)
    }

    /// Whether the run is over for all shards.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.hands.iter().all(|hand| hand.full.is_abandoned())
    }

    /// Deals the next row, which has these values.
    pub fn deal<'v>(&mut self, values: impl IntoIterator<Item = &'v [u8]>) {
        let shards = self.hands.len().max(1) as u64;
        let turn = self.dealt % self.connections % shards;
        self.dealt += 1;
        let Some(hand) = usize::try_from(turn).ok().and_then(|turn| self.hands.get_mut(turn))
        else {
            return;
        };
        if hand.open.ends.len() >= ROWS_MAX * self.columns || hand.open.bytes.len() >= BYTES_MAX {
            hand.send(&mut self.spare);
        }
        let before = hand.open.ends.len();
        values.into_iter().take(self.columns).for_each(|value| hand.open.push(value));
        debug_assert_eq!(hand.open.ends.len(), before + self.columns, "a row has all its values");
        (hand.open.ends.len()..before + self.columns).for_each(|_| hand.open.push(b""));
    }

    /// There are no more rows.
    pub fn finish(mut self) {
        for hand in &mut self.hands {
            hand.open.last = true;
            // A shard that is gone takes none.
            let _gone = hand.full.push(core::mem::take(&mut hand.open));
        }
    }
}

impl Hand {
    /// Full batches that the shard has not taken.
    fn queued(&self) -> usize {
        self.full.buffer().capacity() - self.full.slots()
    }

    /// Sends the batch that is full, and begins another one.
    fn send(&mut self, spare: &mut Vec<Batch>) {
        // Whoever deals more than is wanted makes it longer.
        if self.full.is_full() {
            return;
        }
        while let Ok(batch) = self.empty.pop() {
            spare.push(batch.emptied());
        }
        let next = spare.pop().unwrap_or_default();
        let _gone = self.full.push(core::mem::replace(&mut self.open, next));
    }
}

/// A shard's end: its rows, in order.
#[derive(Debug)]
pub(crate) struct Tap {
    full: Consumer<Batch>,
    empty: Producer<Batch>,
    columns: usize,
    batch: Batch,
    /// Which row of the batch is next.
    row: usize,
    rows: usize,
}

/// What a tap has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// A row.
    Row,
    /// None now.
    Dry,
    /// None any more.
    Spent,
}

impl Tap {
    /// Whether there is a row now. O(1), and allocates nothing.
    pub(crate) fn look(&mut self) -> Flow {
        while self.row >= self.rows {
            if self.batch.last {
                return Flow::Spent;
            }
            // Whoever leaves has sent all that there is before.
            let abandoned = self.full.is_abandoned();
            match self.full.pop() {
                Ok(batch) => {
                    (self.row, self.rows) = (0, batch.ends.len() / self.columns);
                    let old = core::mem::replace(&mut self.batch, batch);
                    let _gone = self.empty.push(old);
                }
                Err(_) if abandoned => self.batch.last = true,
                Err(_) => return Flow::Dry,
            }
        }
        Flow::Row
    }

    /// The value of the next row in `column`; empty if there is none.
    pub(crate) fn value(&self, column: u16) -> &[u8] {
        self.batch.value(self.row * self.columns + usize::from(column))
    }

    /// Goes on to the row behind it.
    pub(crate) fn pass(&mut self) {
        self.row += 1;
    }

    /// Whether it is known that no row is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.row >= self.rows && self.batch.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Share;
    use proptest::prelude::*;

    fn nonzero(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    /// All rows that a tap has now, by their first value.
    fn drained(tap: &mut Tap) -> Vec<u64> {
        let mut rows = Vec::new();
        while tap.look() == Flow::Row {
            rows.push(core::str::from_utf8(tap.value(0)).unwrap().parse().unwrap());
            tap.pass();
        }
        rows
    }

    fn deal(dealer: &mut Dealer, row: u64) {
        let (number, twice) = (row.to_string(), (2 * row).to_string());
        dealer.deal([number.as_bytes(), twice.as_bytes()]);
    }

    proptest! {
        #[test]
        fn each_row_goes_to_the_shard_that_has_the_slot_of_its_number(
            shards in 1_u32..9,
            more in 0_u32..50,
            rows in 0_u64..20_000,
        ) {
            let connections = nonzero(shards + more);
            let (mut dealer, taps) = rings(2, shards as usize, connections);
            (0..rows).for_each(|row| deal(&mut dealer, row));
            dealer.finish();
            for (index, mut tap) in (0..).zip(taps) {
                let share = Share::new(index, nonzero(shards), connections).unwrap();
                let own = (0..).map(|n| share.slot(n)).take_while(|&slot| slot < rows);
                prop_assert_eq!(drained(&mut tap), own.collect::<Vec<_>>());
                prop_assert_eq!(tap.look(), Flow::Spent);
            }
        }
    }

    #[test]
    fn a_row_has_its_values_until_it_is_passed_and_a_tap_knows_its_last() {
        let (mut dealer, mut taps) = rings(2, 1, nonzero(3));
        let tap = &mut taps[0];
        assert_eq!(tap.look(), Flow::Dry);
        (1..=2).for_each(|row| deal(&mut dealer, row));
        assert_eq!(tap.look(), Flow::Dry, "nobody knows yet whether it is the last batch");
        dealer.finish();
        assert_eq!(tap.look(), Flow::Row);
        assert_eq!((tap.value(0), tap.value(1), tap.value(2)), (&b"1"[..], &b"2"[..], &b"2"[..]));
        tap.pass();
        assert!(!tap.is_spent());
        assert_eq!((tap.look(), tap.value(1)), (Flow::Row, &b"4"[..]));
        tap.pass();
        assert!(tap.is_spent(), "without another look");
        assert_eq!((tap.look(), tap.value(0)), (Flow::Spent, &b""[..]));
    }

    #[test]
    fn who_deals_hears_when_to_pause_and_when_nobody_is_left() {
        let (mut dealer, mut taps) = rings(1, 2, nonzero(2));
        let mut dealt = 0_u64;
        while dealer.wants() {
            dealer.deal([&b"x"[..]]);
            dealt += 1;
        }
        // One row of each shard is in an open batch.
        assert_eq!(dealt, 2 * (ROWS_MAX * AHEAD + 1) as u64);
        assert!(!dealer.is_behind());
        // One shard goes on and the other does not: it keeps its rows, up to a bound.
        while taps[0].look() == Flow::Row || dealer.wants() {
            while taps[0].look() == Flow::Row {
                taps[0].pass();
            }
            assert!(dealer.is_behind());
            while dealer.wants() {
                dealer.deal([&b"x"[..]]);
            }
        }
        assert_eq!(dealer.hands[1].queued(), dealer.most);
        taps.remove(0);
        assert!(!dealer.is_abandoned());
        taps.clear();
        assert!(dealer.is_abandoned());
    }

    #[test]
    fn batches_go_round_and_long_ones_do_not() {
        let (mut dealer, mut taps) = rings(1, 1, nonzero(1));
        let long = vec![b'x'; 3 * BYTES_MAX];
        for round in 0..100 {
            dealer.deal([&long[..if round == 7 { long.len() } else { BYTES_MAX }]]);
            while taps[0].look() == Flow::Row {
                taps[0].pass();
            }
        }
        assert!(dealer.spare.len() <= 2, "{}", dealer.spare.len());
        assert!(dealer.spare.iter().all(|batch| batch.bytes.capacity() <= 2 * BYTES_MAX));
    }

    #[test]
    fn a_dealer_that_breaks_off_leaves_what_it_has_sent() {
        let (mut dealer, mut taps) = rings(1, 1, nonzero(1));
        (0..=ROWS_MAX as u64).for_each(|row| dealer.deal([row.to_string().as_bytes()]));
        drop(dealer);
        assert_eq!(drained(&mut taps[0]).len(), ROWS_MAX);
        assert_eq!(taps[0].look(), Flow::Spent);
        assert!(taps[0].is_spent());
    }
}
