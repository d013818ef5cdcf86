//! Decimal numbers as exact fractions: `1.5` is 15 tenths. No floating point, hence no rounding, no
//! NaN.

/// `digits / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) digits: u64,
    pub(super) scale: u32,
}

/// Most digits of a number; 10^18 still fits into 64 bits.
const DIGITS_MAX: usize = 18;

impl Decimal {
    /// Splits a number off the front of `text`; `None` if there is none, or one with too many
    /// digits.
    pub(super) fn split_off(text: &str) -> Option<(Self, &str)> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = whole.len() + fraction.len();
        if digits == 0 || digits > DIGITS_MAX || fraction.contains('.') {
            return None;
        }
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some((Self { digits, scale: u32::try_from(fraction.len()).ok()? }, rest))
    }

    /// `10^scale`.
    pub(super) const fn divisor(self) -> u64 {
        10_u64.pow(self.scale)
    }
}
