//! Numbers as JSON writes them, compared as the numbers that they are: `1.50` is `15e-1`.
//!
//! They are compared digit by digit and not as floating-point numbers, for which two identifiers of
//! twenty digits may be the same.

use core::cmp::Ordering;

use super::error::RuleError;

/// A number that is expected.
#[derive(Clone, Debug)]
pub struct Number(Box<str>);

impl Number {
    /// Takes a number in the notation of JSON (RFC 8259 section 6).
    ///
    /// # Errors
    /// [`RuleError::Number`] if it is none.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let known = Decimal::parse(text.as_bytes()).is_some();
        known.then(|| Self(text.into())).ok_or_else(|| Self::error(text))
    }

    /// Whether `text` is the same number.
    pub(super) fn equals(&self, text: &[u8]) -> bool {
        // As it is written nearly always.
        *self.0.as_bytes() == *text
            || match (Decimal::parse(self.0.as_bytes()), Decimal::parse(text)) {
                (Some(own), Some(other)) => own.equals(other),
                _ => false,
            }
    }
}

/// The parts of a number: its digits on both sides of the point, and its exponent of ten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// Reads a number; `None` if `text` is none, or has anything beside it.
    pub(super) fn parse(text: &'t [u8]) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, rest) = digits(rest);
        // No number begins with a zero that says nothing.
        if whole.is_empty() || whole.len() > 1 && whole.first() == Some(&b'0') {
            return None;
        }
        let (fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => Some(digits(rest)).filter(|(fraction, _)| !fraction.is_empty())?,
            None => (&[][..], rest),
        };
        let exponent = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', rest)) => parse_exponent(rest)?,
            Some(_) => return None,
        };
        Some(Self { negative, whole, fraction, exponent })
    }

    fn equals(self, other: Self) -> bool {
        let (own, others) = (self.significant(), other.significant());
        let zero = own == 0 && others == 0;
        let same =
            own == others && self.scale() == other.scale() && self.negative == other.negative;
        zero || same && self.leading().take(own).eq(other.leading().take(others))
    }

    /// Which of the two is the smaller one.
    pub(super) fn compare(self, other: Self) -> Ordering {
        let sign = |of: Self| match (of.significant(), of.negative) {
            (0, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let (own, others) = (self.significant(), other.significant());
        // The power of ten that the first digit counts, and one more.
        let top = |of: Self, digits: usize| {
            of.scale().saturating_add(i64::try_from(digits).unwrap_or(i64::MAX))
        };
        let size = || {
            let digits = self.leading().take(own).cmp(other.leading().take(others));
            top(self, own).cmp(&top(other, others)).then(digits)
        };
        match (sign(self), sign(other)) {
            (-1, -1) => size().reverse(),
            (1, 1) => size(),
            (own, others) => own.cmp(&others),
        }
    }

    /// All digits but the zeros that they begin with.
    fn leading(self) -> impl Iterator<Item = &'t u8> {
        self.whole.iter().chain(self.fraction).skip_while(|digit| **digit == b'0')
    }

    /// Zeros that the digits end with.
    fn trailing(self) -> usize {
        let digits = self.fraction.iter().rev().chain(self.whole.iter().rev());
        digits.take_while(|digit| **digit == b'0').count()
    }

    /// How many digits there are without the zeros on both sides.
    fn significant(self) -> usize {
        self.leading().count().saturating_sub(self.trailing())
    }

    /// The power of ten that the last significant digit counts.
    fn scale(self) -> i64 {
        let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.exponent
            .saturating_sub(length(self.fraction.len()))
            .saturating_add(length(self.trailing()))
    }
}

/// Splits digits off the front.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Reads what follows the `e`; what is beyond all measure is taken for the largest there is.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (digits, rest) = digits(rest);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let value = digits.iter().fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn equal(one: &str, other: &str) -> bool {
        Number::parse(one).unwrap().equals(other.as_bytes())
    }

    // RFC 8259 section 6.
    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-0", "12", "0.50", "1e3", "1E+03", "-1.5e-7", "1e99999999999999999999"] {
            assert!(Number::parse(text).is_ok(), "{text}");
        }
        for text in ["", "-", "+1", "01", ".5", "1.", "1e", "1e+", "0x1", "1 ", "NaN", "1e5.0"] {
            assert_eq!(Number::parse(text).unwrap_err(), RuleError::Number(text.into()));
        }
        assert!(!equal("1", "01"), "what is no number equals none");
    }

    #[test]
    fn numbers_are_equal_whatever_their_notation() {
        for (one, other) in [
            ("42", "42.0"),
            ("100", "1e2"),
            ("1.50", "15E-1"),
            ("0", "-0.00e7"),
            ("-0.001", "-1e-3"),
            ("12345678901234567890", "1234567890123456789e1"),
        ] {
            assert!(equal(one, other) && equal(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("42", "-42"),
            ("1", "10"),
            ("1", "0"),
            ("0.1", "0.01"),
            ("101", "11"),
            ("12345678901234567890", "12345678901234567891"),
        ] {
            assert!(!equal(one, other) && !equal(other, one), "{one} {other}");
        }
    }

    #[test]
    fn numbers_have_an_order_beyond_that_of_floating_point_numbers() {
        let ascending = [
            "-12345678901234567891",
            "-12345678901234567890",
            "-1e3",
            "-1e-400",
            "0",
            "1e-400",
            "9.99",
            "10",
            "12345678901234567890",
            "12345678901234567891",
            "1e400",
        ];
        let of = |text: &'static str| Decimal::parse(text.as_bytes()).unwrap();
        for (at, one) in ascending.into_iter().enumerate() {
            for (place, other) in ascending.into_iter().enumerate() {
                assert_eq!(of(one).compare(of(other)), at.cmp(&place), "{one} {other}");
            }
        }
    }

    proptest! {
        // Numbers of this size are exact as floating-point numbers, and so can be compared as such.
        #[test]
        fn numbers_compare_as_their_values(
            (a, b) in (-99_i64..=99, -99_i64..=99),
            (zeros, places, exponent) in (0_u32..4, 0_usize..4, -3_i32..=3),
        ) {
            let shifted = a * 10_i64.pow(zeros);
            let other = if places == 0 {
                format!("{b}e{exponent}")
            } else {
                format!("{b}.{}e{exponent}", "0".repeat(places))
            };
            let power = 10_i64.pow(exponent.unsigned_abs());
            let same = if exponent < 0 { shifted * power == b } else { shifted == b * power };
            let shifted = shifted.to_string();
            prop_assert_eq!(equal(&shifted, &other), same, "{} {}", shifted, other);
            let [one, two] =
                [&shifted, &other].map(|text| Decimal::parse(text.as_bytes()).unwrap());
            let [value, other_value] = [&shifted, &other].map(|text| text.parse::<f64>().unwrap());
            prop_assert_eq!(Some(one.compare(two)), value.partial_cmp(&other_value));
            prop_assert_eq!(Some(two.compare(one)), other_value.partial_cmp(&value));
        }
    }
}
