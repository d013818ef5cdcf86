//! What users took from a feed, and how long they waited for it.

use crate::units::Nanos;

/// The rows of one feed that were used, from the start of the run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fed {
    /// Rows that users began with.
    pub rows: u64,
    /// Users that could have begun before there was a row for them.
    pub starved: u64,
    /// How long they waited for it, all together.
    pub waited: Nanos,
    /// The longest of these waits.
    pub waited_longest: Nanos,
    /// Shards that had no more rows.
    pub ended: u64,
}

impl Fed {
    /// A user waited so long for a row.
    pub fn starve(&mut self, wait: Nanos) {
        self.starved += 1;
        self.waited += wait;
        self.waited_longest = self.waited_longest.max(wait);
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.starved += other.starved;
        self.waited += other.waited;
        self.waited_longest = self.waited_longest.max(other.waited_longest);
        self.ended += other.ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_add_up_and_the_longest_stays() {
        let mut one = Fed { rows: 3, ended: 1, ..Fed::default() };
        one.starve(Nanos::new(5));
        one.starve(Nanos::new(2));
        let mut sum = one;
        sum.merge(&one);
        let waits = (sum.starved, sum.waited, sum.waited_longest);
        assert_eq!(waits, (4, Nanos::new(14), Nanos::new(5)));
        assert_eq!((sum.rows, sum.ended), (6, 2));
    }
}
