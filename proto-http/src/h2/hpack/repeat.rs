//! A header block that was decoded before, so that its like need not be decoded again.
//!
//! Under load a server says the same again and again. What a block means depends on its bytes and,
//! if it refers to entries, on the dynamic table. So there are two kinds of which a repetition is
//! known by its bytes:
//!
//! - what enters nothing means the same as long as the table stays as it is. This is how servers
//!   answer that keep a table of what they have sent.
//! - what refers to no entry means the same whatever the table holds. This is how nginx answers: it
//!   enters each field each time, and never comes back to one. The table has to follow, for nobody
//!   knows that the peer goes on like this; but it can do so when a block comes that is no
//!   repetition. Then only as many repetitions count as a table can hold.

use super::{TABLE_SIZE, WITH_INDEXING};
use crate::limits::HPACK_REPEAT_BYTES_MAX;
use alloc::vec::Vec;

/// What decoding a block had to do with the table.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trace {
    /// Whether the block refers to entries.
    pub(super) refers: bool,
    /// What it entered, as the table counts it.
    pub(super) entered: usize,
}

/// The block of which a repetition is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Empty if there is none.
    block: Vec<u8>,
    /// The state of the table in which it means what it meant; `None` if that is any.
    generation: Option<u64>,
    /// What one repetition enters into the table.
    entered: usize,
    /// How many repetitions have yet to be entered.
    owed: usize,
}

impl Known {
    /// Whether `block` is a repetition, in a table of this generation; if so, takes note of it.
    #[inline]
    pub(super) fn repeat(&mut self, block: &[u8], generation: u64) -> bool {
        let holds = self.generation.is_none_or(|known| known == generation);
        let same = holds && self.block == block && !block.is_empty();
        self.owed += usize::from(same && self.entered > 0);
        same
    }

    /// Takes `block` instead of the one known, if a repetition of it can be known at all.
    pub(super) fn replace(&mut self, block: &[u8], trace: Trace, generation: u64) -> bool {
        debug_assert_eq!(self.owed, 0);
        let resizes = matches!(block.first(), Some(TABLE_SIZE..WITH_INDEXING));
        let changes_what_it_means = trace.refers && trace.entered > 0;
        if resizes || changes_what_it_means || block.len() > HPACK_REPEAT_BYTES_MAX {
            return false;
        }
        self.block.clear();
        self.block.extend_from_slice(block);
        self.generation = trace.refers.then_some(generation);
        self.entered = trace.entered;
        true
    }

    /// Returns the block, and how often it has to be decoded to bring a table of `size_max` bytes
    /// up to date; none is owed any more.
    ///
    /// What is older than a tableful has left the table again.
    pub(super) fn settle(&mut self, size_max: usize) -> (Vec<u8>, usize) {
        let tableful = size_max.checked_div(self.entered).map_or(0, |times| times + 1);
        let times = core::mem::take(&mut self.owed).min(tableful);
        (core::mem::take(&mut self.block), times)
    }

    /// Whether repetitions have yet to be entered.
    #[inline]
    pub(super) const fn owes(&self) -> bool {
        self.owed > 0
    }

    /// Puts the block back.
    pub(super) fn restore(&mut self, block: Vec<u8>) {
        self.block = block;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_repetitions_are_owed_than_a_table_holds() {
        let trace = Trace { refers: false, entered: 40 };
        for (size_max, most) in [(0, 1), (39, 1), (40, 2), (4096, 103)] {
            let mut known = Known::default();
            assert!(known.replace(b"block", trace, 7));
            for repetitions in [0, 1, 1000] {
                assert!((0..repetitions).all(|_| known.repeat(b"block", 8)));
                assert_eq!(known.owes(), repetitions > 0);
                let (block, times) = known.settle(size_max);
                assert_eq!((&*block, times), (&b"block"[..], repetitions.min(most)));
                assert!(!known.owes());
                known.restore(block);
            }
        }
    }
}
