//! Which statuses are expected.

use core::ops::RangeInclusive;

/// The statuses that make a response `ok`: a bit for each, so that asking is O(1) however many
/// ranges there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedStatus([u64; STATUS_WORDS]);

/// Words of 64 bits for all statuses: they have three digits.
const STATUS_WORDS: usize = 1000_usize.div_ceil(64);

impl ExpectedStatus {
    /// The statuses from the first to the last of each of `ranges`. What has more than three digits
    /// is no status and left out.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let mut words = [0; STATUS_WORDS];
        for range in ranges {
            for status in *range.start()..=(*range.end()).min(999) {
                if let Some(word) = words.get_mut(usize::from(status / 64)) {
                    *word |= 1 << (status % 64);
                }
            }
        }
        Self(words)
    }

    /// Whether `status` is one of them.
    #[must_use]
    pub fn holds(&self, status: u16) -> bool {
        let word = self.0.get(usize::from(status / 64));
        word.is_some_and(|word| word >> (status % 64) & 1 == 1)
    }
}

impl Default for ExpectedStatus {
    /// 200 to 399: the server did what it was asked, or said where that is.
    fn default() -> Self {
        Self::new([200..=399])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_status_is_expected_if_one_of_the_ranges_has_it(
            ranges in prop::collection::vec((0_u16..1000, 0_u16..300), 0..4),
        ) {
            let ranges = ranges.into_iter().map(|(first, more)| first..=first + more);
            let ranges: Vec<RangeInclusive<u16>> = ranges.collect();
            let expected = ExpectedStatus::new(ranges.iter().cloned());
            for status in 0..1000 {
                let within = ranges.iter().any(|range| range.contains(&status));
                prop_assert_eq!(expected.holds(status), within, "{}", status);
            }
            prop_assert!(!expected.holds(u16::MAX));
        }
    }
}
