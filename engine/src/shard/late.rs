//! Whose fault a late start is: the shard's, or that of a pool without a free connection.
//!
//! A slot starts when it is due, a connection is free and the shard looks. The time in which both
//! were there and the shard did not look is the shard's; the rest of the delay is the pool's. A
//! shard that was stopped for a while does not know when connections became free meanwhile, so all
//! of that while is charged to it.

use crate::units::{Instant, Nanos};

/// A shard that comes so late to what it has to do was held up, and not only woken late.
const HELD_UP: Nanos = Nanos::from_millis(1);

/// The last time that the shard was held up.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldUp {
    from: Instant,
    to: Instant,
}

impl HeldUp {
    /// Never so far.
    pub(super) const NEVER: Self =
        Self { from: Instant::from_origin(0), to: Instant::from_origin(0) };

    /// The shard was to go on at `from`, and did so at `to`.
    /// Says whether that was a hold-up.
    pub(super) fn note(&mut self, from: Instant, to: Instant) -> bool {
        let held_up = to.since(from) > HELD_UP;
        if held_up {
            *self = Self { from, to };
        }
        held_up
    }

    /// Of the delay of a slot that was intended at `intended` and starts `now`, on a connection
    /// that has been free since `ready`: the part that is the shard's.
    pub(super) fn share(&self, intended: Instant, ready: Instant, now: Instant) -> Nanos {
        let unseen = now.since(intended.max(ready));
        let held = self.to.since(intended.max(self.from));
        unseen.max(held).min(now.since(intended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(0) + Nanos::from_millis(1_000 + millis)
    }

    fn millis(n: u64) -> Nanos {
        Nanos::from_millis(n)
    }

    #[test]
    fn a_free_connection_that_was_not_used_is_the_shards_fault() {
        assert_eq!(HeldUp::NEVER.share(at(10), at(3), at(12)), millis(2));
    }

    #[test]
    fn a_connection_that_was_not_free_is_the_pools() {
        assert_eq!(HeldUp::NEVER.share(at(10), at(50), at(50)), Nanos::ZERO);
        assert_eq!(HeldUp::NEVER.share(at(10), at(50), at(53)), millis(3));
    }

    #[test]
    fn what_came_due_while_the_shard_was_held_up_is_charged_to_it_to_the_end_of_that() {
        let mut held = HeldUp::NEVER;
        assert!(held.note(at(100), at(600)));
        assert_eq!(held.share(at(200), at(601), at(650)), millis(400));
        // It had waited for a connection before.
        assert_eq!(held.share(at(50), at(601), at(601)), millis(500));
        assert_eq!(held.share(at(600), at(700), at(700)), Nanos::ZERO);
    }

    #[test]
    fn waking_a_little_late_is_no_hold_up() {
        let mut held = HeldUp::NEVER;
        assert!(!held.note(at(100), at(101)));
        assert_eq!(held.share(at(100), at(101), at(101)), Nanos::ZERO);
    }
}
