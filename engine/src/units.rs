//! Units as types: a span is [`Nanos`], a moment is [`Instant`], a rate is [`Rate`].
//!
//! Numbers without units are how load generators get latencies wrong by a factor of a thousand.
//! Values are converted where they enter (flags, files) and where they leave (JSON, text); between
//! those edges only these types travel. All arithmetic saturates or is checked: a hostile duration
//! cannot wrap.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, AddAssign, Sub};

/// A span of time in whole nanoseconds; at most 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(u64);

impl Nanos {
    /// The empty span.
    pub const ZERO: Self = Self(0);
    /// The longest span that can be written; used as "no limit".
    pub const MAX: Self = Self(u64::MAX);

    /// A span of `n` nanoseconds.
    #[must_use]
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// A span of `n` microseconds, saturating.
    #[must_use]
    pub const fn from_micros(n: u64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// A span of `n` milliseconds, saturating.
    #[must_use]
    pub const fn from_millis(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }

    /// A span of `n` seconds, saturating.
    #[must_use]
    pub const fn from_secs(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000_000))
    }

    /// The span in nanoseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The span in seconds, for display and for rates; exact below 104 days.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "display only; 52 bits are 52 days of ns")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The sum, or [`Nanos::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The span times `factor`, or [`Nanos::MAX`].
    #[must_use]
    pub const fn saturating_mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Nanos {
    /// Three significant digits in the unit that suits: `999 ns`, `12.3 µs`, `4.56 ms`, `1.20 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, per) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..1_000_000 => ("µs", 1e3),
            1_000_000..1_000_000_000 => ("ms", 1e6),
            _ => ("s", 1e9),
        };
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let value = self.0 as f64 / per;
        let decimals = match value {
            v if v < 9.995 => 2,
            v if v < 99.95 => 1,
            _ => 0,
        };
        write!(f, "{value:.decimals$} {unit}")
    }
}

/// A moment on the monotonic clock, in nanoseconds since an arbitrary origin (boot, on Linux).
///
/// Made by a [`Reactor`](crate::reactor::Reactor) or by [`clock`](crate::reactor::clock) only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment `n` nanoseconds after the origin of the clock.
    #[must_use]
    pub const fn from_origin(n: u64) -> Self {
        Self(n)
    }

    /// Nanoseconds since the origin of the clock.
    #[must_use]
    pub const fn since_origin(self) -> u64 {
        self.0
    }

    /// The span from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Nanos> for Instant {
    type Output = Self;
    fn add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Nanos> for Instant {
    type Output = Self;
    fn sub(self, span: Nanos) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A rate as an exact fraction: `count` events per `period`. Never zero, never endless.
///
/// A fraction, because `1000/m` has no exact representation per second and a schedule must not
/// drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU64,
    period: NonZeroU64,
}

impl Rate {
    /// The highest rate, one event per nanosecond: above it intended starts could not differ.
    pub const MAX_PER_SECOND: u64 = 1_000_000_000;

    /// `count` events in every `period`; `None` if either is zero or the rate is above
    /// [`Rate::MAX_PER_SECOND`].
    #[must_use]
    pub const fn new(count: u64, period: Nanos) -> Option<Self> {
        match (NonZeroU64::new(count), NonZeroU64::new(period.0)) {
            (Some(count), Some(period)) if count.get() <= period.get() => {
                Some(Self { count, period })
            }
            _ => None,
        }
    }

    /// Events per [`Rate::period`].
    #[must_use]
    pub const fn count(self) -> NonZeroU64 {
        self.count
    }

    /// The period in nanoseconds.
    #[must_use]
    pub const fn period(self) -> NonZeroU64 {
        self.period
    }

    /// Events per second, for display.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "display only")]
    pub fn per_second(self) -> f64 {
        self.count.get() as f64 * 1e9 / self.period.get() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_with_three_digits_in_the_unit_that_suits() {
        let shown = |n| Nanos::new(n).to_string();
        assert_eq!(shown(0), "0 ns");
        assert_eq!(shown(999), "999 ns");
        assert_eq!(shown(1_000), "1.00 µs");
        assert_eq!(shown(9_999), "10.0 µs");
        assert_eq!(shown(12_345_678), "12.3 ms");
        assert_eq!(shown(999_600_000), "1000 ms");
        assert_eq!(shown(61_000_000_000), "61.0 s");
    }

    #[test]
    fn a_moment_before_another_is_no_negative_span() {
        let (early, late) = (Instant::from_origin(5), Instant::from_origin(9));
        assert_eq!(late.since(early), Nanos::new(4));
        assert_eq!(early.since(late), Nanos::ZERO);
        assert_eq!(late + Nanos::MAX, Instant::from_origin(u64::MAX));
    }

    #[test]
    fn a_rate_is_neither_zero_nor_finer_than_the_clock() {
        assert!(Rate::new(0, Nanos::from_secs(1)).is_none());
        assert!(Rate::new(1, Nanos::ZERO).is_none());
        assert!(Rate::new(Rate::MAX_PER_SECOND + 1, Nanos::from_secs(1)).is_none());
        assert!(Rate::new(Rate::MAX_PER_SECOND, Nanos::from_secs(1)).is_some());
        let per_minute = Rate::new(90, Nanos::from_secs(60)).unwrap();
        assert!((per_minute.per_second() - 1.5).abs() < 1e-12);
    }
}
