//! The worst window: which ten seconds of a run had the greatest quantile.
//!
//! A minute's p99 hides a bad second. The run is kept as rows, one per interval, of the counts of a
//! histogram; a window slides over them by taking in the row that enters and giving back the one
//! that leaves.

use super::order::nearest_rank;

/// The counts of one interval: buckets of a histogram that are not empty, in any order, each with
/// how many values it holds. Buckets are numbered in the order of their values.
pub type Row = [(u16, u32)];

/// The window in which a quantile was greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worst {
    /// The window's first row, counted from 0.
    pub first: usize,
    /// Values in the window.
    pub n: u64,
    /// The bucket in which the quantile lies.
    pub bucket: u16,
}

/// Finds the window of `length` rows whose quantile `q` lies in the highest bucket; of several, the
/// earliest.
///
/// The quantile is the value at the [nearest rank](nearest_rank), of however few values; windows
/// without any are passed over. `None` where nothing is left: no window of that length, only empty
/// ones, or a `q` that is not from 0 to 1.
///
/// O(rows × their length), and O(buckets) for each time that a worse window is found. Takes 8 bytes
/// per bucket up to the highest.
#[must_use]
pub fn worst<'rows>(
    rows: impl Iterator<Item = &'rows Row> + Clone,
    length: usize,
    q: f64,
) -> Option<Worst> {
    if length == 0 {
        return None;
    }
    let highest = rows.clone().flatten().map(|&(bucket, _)| bucket).max()?;
    let mut window = Window::new(highest);
    let mut found: Option<Worst> = None;
    let mut leaving = rows.clone();
    for (last, entering) in rows.enumerate() {
        for &(bucket, count) in entering {
            window.enter(bucket, count);
        }
        // The rows up to this one are fewer than a window.
        let Some(first) = (last + 1).checked_sub(length) else { continue };
        if let Some(rank) = nearest_rank(window.n, q)
            && (found.is_none() || window.n - window.above < rank)
            && let Some(bucket) = window.bucket_of(rank)
        {
            window.watch(bucket);
            found = Some(Worst { first, n: window.n, bucket });
        }
        for &(bucket, count) in leaving.next().into_iter().flatten() {
            window.leave(bucket, count);
        }
    }
    found
}

/// What the rows of the present window hold together.
struct Window {
    counts: Vec<u64>,
    n: u64,
    /// The highest bucket found so far.
    watched: u16,
    /// Values above it now. A window whose rank is not among them is no worse, and nothing has to
    /// be summed to know it.
    above: u64,
}

impl Window {
    fn new(highest: u16) -> Self {
        Self { counts: vec![0; usize::from(highest) + 1], n: 0, watched: 0, above: 0 }
    }

    fn enter(&mut self, bucket: u16, count: u32) {
        if let Some(sum) = self.counts.get_mut(usize::from(bucket)) {
            *sum += u64::from(count);
            self.n += u64::from(count);
            self.above += if bucket > self.watched { u64::from(count) } else { 0 };
        }
    }

    fn leave(&mut self, bucket: u16, count: u32) {
        if let Some(sum) = self.counts.get_mut(usize::from(bucket)) {
            *sum -= u64::from(count);
            self.n -= u64::from(count);
            self.above -= if bucket > self.watched { u64::from(count) } else { 0 };
        }
    }

    /// The bucket that holds the value at `rank`, counted from 1.
    fn bucket_of(&self, rank: u64) -> Option<u16> {
        let mut upto = 0;
        (0..=u16::MAX).zip(&self.counts).find_map(|(bucket, count)| {
            upto += count;
            (upto >= rank).then_some(bucket)
        })
    }

    fn watch(&mut self, bucket: u16) {
        self.watched = bucket;
        self.above = self.counts.iter().skip(usize::from(bucket) + 1).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slide(rows: &[Vec<(u16, u32)>], length: usize, q: f64) -> Option<Worst> {
        worst(rows.iter().map(Vec::as_slice), length, q)
    }

    #[test]
    fn the_worst_window_is_the_one_with_the_slow_rows() {
        let mut rows = vec![vec![(3, 99), (5, 1)]; 60];
        rows[40] = vec![(3, 50), (900, 50)];
        rows[41] = vec![(3, 50), (800, 50)];
        // One row holds it all; in ten, the slow ones are a tenth.
        assert_eq!(slide(&rows, 1, 0.99), Some(Worst { first: 40, n: 100, bucket: 900 }));
        assert_eq!(slide(&rows, 10, 0.96), Some(Worst { first: 31, n: 1_000, bucket: 900 }));
        assert_eq!(slide(&rows, 10, 0.92), Some(Worst { first: 32, n: 1_000, bucket: 800 }));
        assert_eq!(slide(&rows, 10, 0.5), Some(Worst { first: 0, n: 1_000, bucket: 3 }));
        assert_eq!(slide(&rows, 60, 1.0), Some(Worst { first: 0, n: 6_000, bucket: 900 }));
    }

    #[test]
    fn windows_without_values_are_passed_over() {
        let rows = vec![vec![], vec![(0, 0)], vec![], vec![(0, 4)], vec![], vec![(7, 1)]];
        assert_eq!(slide(&rows, 2, 0.5), Some(Worst { first: 4, n: 1, bucket: 7 }));
        assert_eq!(slide(&rows[..5], 2, 0.5), Some(Worst { first: 2, n: 4, bucket: 0 }));
        assert_eq!(slide(&rows[..3], 2, 0.5), None);
    }

    #[test]
    fn what_has_no_window_or_no_quantile_has_no_worst() {
        let rows = vec![vec![(u16::MAX, u32::MAX)]; 5];
        let all = Worst { first: 0, n: 5 * u64::from(u32::MAX), bucket: u16::MAX };
        assert_eq!(slide(&rows, 5, 0.99), Some(all));
        assert_eq!((slide(&rows, 6, 0.99), slide(&rows, 0, 0.99)), (None, None));
        assert_eq!((slide(&rows, usize::MAX, 0.99), slide(&[], 1, 0.99)), (None, None));
        for q in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            assert_eq!(slide(&rows, 1, q), None, "{q}");
        }
    }

    /// Every window on its own, sorted.
    fn one_by_one(rows: &[Vec<(u16, u32)>], length: usize, q: f64) -> Option<Worst> {
        let mut found: Option<Worst> = None;
        for (first, window) in rows.windows(length).enumerate() {
            let mut values: Vec<u16> = Vec::new();
            for &(bucket, count) in window.iter().flatten() {
                values.extend((0..count).map(|_| bucket));
            }
            values.sort_unstable();
            let n = values.len() as u64;
            let Some(rank) = nearest_rank(n, q) else { continue };
            let bucket = values[usize::try_from(rank).unwrap() - 1];
            if found.is_none_or(|worst| bucket > worst.bucket) {
                found = Some(Worst { first, n, bucket });
            }
        }
        found
    }

    proptest! {
        #[test]
        fn sliding_finds_what_looking_at_every_window_finds(
            rows in prop::collection::vec(
                prop::collection::vec((0_u16..50, 0_u32..6), 0..6), 0..40,
            ),
            length in 1_usize..12,
            q in 0.0..=1.0,
        ) {
            prop_assert_eq!(slide(&rows, length, q), one_by_one(&rows, length, q));
        }
    }
}
