//! Flow control (RFC 9113 section 5.2): how much may be sent, and how much may come.
//!
//! Both directions count bytes of `DATA` payload, padding included, and each is counted twice: for
//! the stream and for the connection. What this side sends waits for its windows. What it receives
//! never has to wait: its windows are as large as can be, and are refilled when half is used, so
//! that a response is measured and not the reader.

use crate::error::ErrorKind;

/// The largest window there can be (RFC 9113 section 6.9.1).
pub const WINDOW_MAX: u32 = (1 << 31) - 1;

/// The window of the connection, and of streams until settings say otherwise (RFC 9113 section
/// 6.9.2).
pub const WINDOW_DEFAULT: u32 = 65_535;

/// A receive window is refilled once this much of it is used.
const REFILL_BYTES: u32 = WINDOW_MAX / 2;

/// How much may be sent. Negative after the peer lowered its initial window by more than was left
/// (RFC 9113 section 6.9.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct SendWindow(i32);

impl SendWindow {
    /// A window of `bytes`, at most [`WINDOW_MAX`].
    pub(super) const fn new(bytes: u32) -> Self {
        Self(if bytes > WINDOW_MAX { i32::MAX } else { bytes.cast_signed() })
    }

    /// Returns how much may be sent now.
    pub(super) const fn available(self) -> u32 {
        if self.0 > 0 { self.0.cast_unsigned() } else { 0 }
    }

    /// Notes that `bytes` were sent, of what was available.
    pub(super) const fn spend(&mut self, bytes: u32) {
        debug_assert!(bytes <= self.available(), "no more is sent than the window has");
        self.0 = self.0.saturating_sub_unsigned(bytes);
    }

    /// Adds what a `WINDOW_UPDATE` grants.
    pub(super) fn grow(&mut self, bytes: u32) -> Result<(), ErrorKind> {
        self.0 = self.0.checked_add_unsigned(bytes).ok_or(ErrorKind::H2WindowOverflow)?;
        Ok(())
    }

    /// Follows a change of the initial window from `before` to `after`, neither of them above
    /// [`WINDOW_MAX`].
    pub(super) fn shift(&mut self, before: u32, after: u32) -> Result<(), ErrorKind> {
        let shifted = i64::from(self.0) - i64::from(before) + i64::from(after);
        self.0 = i32::try_from(shifted).map_err(|_| ErrorKind::H2WindowOverflow)?;
        Ok(())
    }
}

/// How much has come of a window of [`WINDOW_MAX`] since it was last full.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReceiveWindow {
    used: u32,
}

impl ReceiveWindow {
    /// A window of which nothing is used.
    pub(super) const FULL: Self = Self { used: 0 };

    /// Takes note of a `DATA` payload of `bytes`.
    #[inline]
    pub(super) const fn charge(&mut self, bytes: u32) -> Result<(), ErrorKind> {
        // Cannot overflow: a payload has at most 24 bits, and `used` at most 31.
        let used = self.used + bytes;
        if used > WINDOW_MAX {
            return Err(ErrorKind::H2WindowExceeded);
        }
        self.used = used;
        Ok(())
    }

    /// Whether the window should be refilled.
    #[inline]
    pub(super) const fn is_low(self) -> bool {
        self.used >= REFILL_BYTES
    }

    /// Fills the window, and returns what the peer is to be granted for that; never 0 when the
    /// window was low.
    pub(super) const fn refill(&mut self) -> u32 {
        core::mem::replace(&mut self.used, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // RFC 9113 section 6.9.2: a change of the initial window moves all windows, below 0 if need be.
    #[test]
    fn a_send_window_may_fall_below_nothing_and_recovers() {
        let mut window = SendWindow::new(WINDOW_DEFAULT);
        window.spend(60_000);
        window.shift(WINDOW_DEFAULT, 16_384).unwrap();
        assert_eq!(window.available(), 0);
        window.grow(43_616).unwrap();
        assert_eq!(window.available(), 0);
        window.grow(1).unwrap();
        assert_eq!(window.available(), 1);
    }

    // RFC 9113 section 6.9.1: a sender must not let a window exceed 2^31 - 1.
    #[test]
    fn a_send_window_that_would_overflow_is_refused() {
        let mut window = SendWindow::new(WINDOW_MAX - 5);
        assert_eq!(window.grow(6), Err(ErrorKind::H2WindowOverflow));
        assert_eq!(window.available(), WINDOW_MAX - 5);
        window.grow(5).unwrap();
        assert_eq!(window.shift(0, 1), Err(ErrorKind::H2WindowOverflow));
        assert_eq!(window.available(), WINDOW_MAX);
    }

    #[test]
    fn a_receive_window_is_low_at_half_and_spent_at_the_whole() {
        let mut window = ReceiveWindow::FULL;
        window.charge(REFILL_BYTES - 1).unwrap();
        assert!(!window.is_low());
        window.charge(1).unwrap();
        assert!(window.is_low());
        assert_eq!(window.refill(), REFILL_BYTES);
        window.charge(WINDOW_MAX).unwrap();
        assert_eq!(window.charge(1), Err(ErrorKind::H2WindowExceeded));
        assert_eq!(window.refill(), WINDOW_MAX);
    }

    proptest! {
        // Whatever the order, a window is what was granted, less what was sent.
        #[test]
        fn a_send_window_is_an_exact_balance(
            steps in prop::collection::vec((any::<bool>(), 0_u32..1 << 20), 0..100),
        ) {
            let (mut window, mut balance) = (SendWindow::new(WINDOW_DEFAULT), 65_535_i64);
            let mut initial = WINDOW_DEFAULT;
            for (grant, bytes) in steps {
                if grant {
                    window.grow(bytes).unwrap();
                    balance += i64::from(bytes);
                } else {
                    window.shift(initial, bytes).unwrap();
                    balance += i64::from(bytes) - i64::from(initial);
                    initial = bytes;
                }
                let sent = window.available() / 3;
                window.spend(sent);
                balance -= i64::from(sent);
                prop_assert_eq!(i64::from(window.available()), balance.max(0));
            }
        }
    }
}
