//! What was looked for in responses, and how often it was there.

/// The answers to one check, or to one capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// It held; there was a value.
    pub held: u64,
    /// It did not hold.
    pub failed: u64,
    /// It could not be told, or there was no value, by the name of the reason.
    pub reasons: Vec<(&'static str, u64)>,
}

impl Looked {
    /// Counts an answer, or why there was none. The first one of a reason allocates.
    pub fn count(&mut self, answer: Result<bool, &'static str>) {
        match answer {
            Ok(true) => self.held += 1,
            Ok(false) => self.failed += 1,
            Err(reason) => self.add(reason, 1),
        }
    }

    /// All answers that count as failed.
    #[must_use]
    pub fn all_failed(&self) -> u64 {
        self.failed + self.reasons.iter().map(|(_, count)| count).sum::<u64>()
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.held += other.held;
        self.failed += other.failed;
        other.reasons.iter().for_each(|&(reason, count)| self.add(reason, count));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.held, self.failed) = (0, 0);
        self.reasons.clear();
    }

    fn add(&mut self, reason: &'static str, count: u64) {
        match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, so_far)) => *so_far += count,
            None => self.reasons.push((reason, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_add_up_by_their_reasons() {
        let mut one = Looked::default();
        for answer in [Ok(true), Ok(false), Err("a"), Err("b"), Err("a")] {
            one.count(answer);
        }
        let mut sum = one.clone();
        sum.merge(&one);
        assert_eq!((sum.held, sum.failed, sum.all_failed()), (2, 2, 8));
        assert_eq!(sum.reasons, [("a", 4), ("b", 2)]);
        sum.clear();
        assert_eq!(sum, Looked::default());
    }
}
