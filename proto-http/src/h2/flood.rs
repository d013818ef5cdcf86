//! How much of what leads nowhere is put up with.
//!
//! Each frame that is cheap to send and brings nobody forward is paid for from the budget of its
//! kind, and useful frames fill all budgets up again. So a peer that works may chat as it likes for
//! days, and one that only chats is cut off. Work is counted once and shared out when a budget is
//! spent, which keeps the cost off the path of useful frames.

use super::frame::HEADER_BYTES;
use crate::error::ErrorKind;
use crate::limits::{
    H2_BYTES_PER_UPDATE, H2_EMPTY_DATA_MAX, H2_IGNORED_MAX, H2_LATE_BYTES_MAX,
    H2_LATE_BYTES_PER_CANCEL, H2_LATE_FRAMES_MIN, H2_PINGS_MAX, H2_RESETS_MAX, H2_SETTINGS_MAX,
    H2_WINDOW_UPDATES_MAX,
};

/// The kinds of frames that lead nowhere.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Waste {
    Ping,
    Settings,
    /// On a stream that has ended.
    Reset,
    /// `DATA` without content that ends nothing.
    EmptyData,
    WindowUpdate,
    /// `PRIORITY`, repeated `GOAWAY`, and types that nobody knows.
    Ignored,
}

const KINDS: usize = 6;

impl Waste {
    const fn max(self) -> u16 {
        match self {
            Self::Ping => H2_PINGS_MAX,
            Self::Settings => H2_SETTINGS_MAX,
            Self::Reset => H2_RESETS_MAX,
            Self::EmptyData => H2_EMPTY_DATA_MAX,
            Self::WindowUpdate => H2_WINDOW_UPDATES_MAX,
            Self::Ignored => H2_IGNORED_MAX,
        }
    }

    const fn error(self) -> ErrorKind {
        match self {
            Self::Ping => ErrorKind::H2PingFlood,
            Self::Settings => ErrorKind::H2SettingsFlood,
            Self::Reset => ErrorKind::H2ResetFlood,
            Self::EmptyData => ErrorKind::H2EmptyDataFlood,
            Self::WindowUpdate => ErrorKind::H2WindowFlood,
            Self::Ignored => ErrorKind::H2IgnoredFlood,
        }
    }
}

/// What of one budget is used.
#[derive(Debug, Clone, Copy, Default)]
struct Budget {
    used: u16,
    /// The work that had been done when it was last used.
    work: u32,
}

/// The budgets of one connection.
#[derive(Debug)]
pub(super) struct Budgets {
    work: u32,
    each: [Budget; KINDS],
    /// Frames of responses that may still come on streams that have ended.
    late: u32,
    /// Bytes of such frames that may come before those are counted.
    cancelled: u64,
}

impl Budgets {
    pub(super) const fn new() -> Self {
        Self {
            work: 0,
            each: [Budget { used: 0, work: 0 }; KINDS],
            late: H2_LATE_FRAMES_MIN,
            cancelled: 0,
        }
    }

    /// Notes a frame that was of use.
    #[inline]
    pub(super) const fn work(&mut self) {
        self.work = self.work.wrapping_add(1);
    }

    /// Notes that `bytes` of content were sent. A receiver may open its windows in steps much
    /// smaller than the frames that it gets, and twice each: of the stream and of the connection.
    #[inline]
    pub(super) const fn work_of(&mut self, bytes: u32) {
        self.work = self.work.wrapping_add(1 + bytes / H2_BYTES_PER_UPDATE);
    }

    /// Pays for a frame that was not.
    pub(super) fn spend(&mut self, waste: Waste) -> Result<(), ErrorKind> {
        let Some(budget) = self.each.get_mut(waste as usize) else { return Ok(()) };
        let earned = u16::try_from(self.work.wrapping_sub(budget.work)).unwrap_or(u16::MAX);
        budget.work = self.work;
        budget.used = budget.used.saturating_sub(earned) + 1;
        if budget.used > waste.max() { Err(waste.error()) } else { Ok(()) }
    }

    /// Pays for a frame of a response, with a payload of `length` bytes, on a stream that has
    /// ended.
    pub(super) fn spend_late(&mut self, length: u32) -> Result<(), ErrorKind> {
        match self.cancelled.checked_sub(HEADER_BYTES as u64 + u64::from(length)) {
            Some(left) => self.cancelled = left,
            None => self.late = self.late.checked_sub(1).ok_or(ErrorKind::H2StreamClosed)?,
        }
        Ok(())
    }

    /// Notes that this side ended a stream early, so that frames of it may be under way.
    pub(super) fn expect_late(&mut self) {
        self.cancelled = (self.cancelled + H2_LATE_BYTES_PER_CANCEL).min(H2_LATE_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Waste; KINDS] = [
        Waste::Ping,
        Waste::Settings,
        Waste::Reset,
        Waste::EmptyData,
        Waste::WindowUpdate,
        Waste::Ignored,
    ];

    #[test]
    fn each_kind_has_its_own_budget_and_its_own_name() {
        let mut budgets = Budgets::new();
        for waste in ALL {
            for _ in 0..waste.max() {
                assert_eq!(budgets.spend(waste), Ok(()));
            }
            assert_eq!(budgets.spend(waste), Err(waste.error()));
        }
    }

    #[test]
    fn work_fills_a_budget_up_but_not_beyond_its_bound() {
        let mut budgets = Budgets::new();
        for _ in 0..100_000 {
            budgets.work();
            assert_eq!(budgets.spend(Waste::Ping), Ok(()));
        }
        for _ in 0..200_000 {
            budgets.work();
        }
        for _ in 0..H2_PINGS_MAX {
            assert_eq!(budgets.spend(Waste::Ping), Ok(()));
        }
        assert_eq!(budgets.spend(Waste::Ping), Err(ErrorKind::H2PingFlood));
    }

    #[test]
    fn content_that_was_sent_buys_updates_of_its_windows() {
        let mut budgets = Budgets::new();
        // Three for each frame, as some servers have it.
        for _ in 0..100_000 {
            budgets.work_of(16_384);
            for _ in 0..3 {
                assert_eq!(budgets.spend(Waste::WindowUpdate), Ok(()));
            }
        }
    }

    #[test]
    fn late_frames_are_bought_by_cancelling_however_small_they_are() {
        let mut budgets = Budgets::new();
        let spend = |budgets: &mut Budgets, length| {
            (0..u32::MAX).take_while(|_| budgets.spend_late(length).is_ok()).count() as u64
        };
        assert_eq!(spend(&mut budgets, 16_384), u64::from(H2_LATE_FRAMES_MIN));
        for length in [100, 16_384] {
            budgets.expect_late();
            assert_eq!(
                spend(&mut budgets, length),
                H2_LATE_BYTES_PER_CANCEL / u64::from(9 + length)
            );
        }
        (0..1_000_000).for_each(|_| budgets.expect_late());
        assert_eq!(spend(&mut budgets, 1 << 20), H2_LATE_BYTES_MAX / (9 + (1 << 20)));
    }
}
