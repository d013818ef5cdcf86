//! What grew between two readings of a counter, and where it grew fastest.

use std::time::Duration;

/// The fastest growth in any window of about a second.
///
/// A window is the time between two samples, never much shorter than a second. Where a sampler came
/// late it is longer, and the share is the mean of it: at most what the worst second in it had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Share of the window, from 0 to 1.
    pub share: f64,
    /// The window's beginning, since the first sample.
    pub from: Duration,
    /// Its end, likewise.
    pub to: Duration,
}

impl Peak {
    /// Puts `share` into `highest` if it is higher than what is there.
    pub(super) fn raise(highest: &mut Option<Self>, share: Option<f64>, window: Window) {
        let Some(share) = share else { return };
        if highest.is_none_or(|peak| peak.share < share) {
            *highest = Some(Self { share, from: window.from, to: window.to });
        }
    }
}

/// The time between two samples, since the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Window {
    pub(super) fn length(self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

/// What a counter grew by. One that is unknown at either end is unknown, and so is one that ran
/// backwards: it is not the counter that it was.
pub(super) fn grown(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    after?.checked_sub(before?)
}

/// `part` of `whole`, at most 1; `None` of nothing. Counters are not read at one moment, so that a
/// part may seem larger than its whole.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64).min(1.0))
}

/// So many nanoseconds as a share of a span.
pub(super) fn share_of_span(nanos: u64, span: Duration) -> Option<f64> {
    share(nanos, u64::try_from(span.as_nanos()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_runs_backwards_is_unknown() {
        assert_eq!(grown(Some(3), Some(5)), Some(2));
        assert_eq!(grown(Some(5), Some(5)), Some(0));
        assert_eq!(grown(Some(5), Some(4)), None);
        assert_eq!(grown(None, Some(4)), None);
        assert_eq!(grown(Some(4), None), None);
    }

    #[test]
    fn a_share_lies_between_nothing_and_all() {
        assert_eq!(share(1, 4), Some(0.25));
        assert_eq!(share(5, 4), Some(1.0));
        assert_eq!(share(0, 0), None);
        assert_eq!(share_of_span(10_000_000, Duration::from_secs(1)), Some(0.01));
        assert_eq!(share_of_span(1, Duration::ZERO), None);
    }

    #[test]
    fn only_a_higher_share_is_a_new_peak() {
        let window =
            |from, to| Window { from: Duration::from_secs(from), to: Duration::from_secs(to) };
        let mut peak = None;
        Peak::raise(&mut peak, None, window(0, 1));
        assert_eq!(peak, None);
        for (share, window) in [(0.1, window(0, 1)), (0.3, window(1, 2)), (0.3, window(2, 3))] {
            Peak::raise(&mut peak, Some(share), window);
        }
        let (from, to) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(peak, Some(Peak { share: 0.3, from, to }));
    }
}
