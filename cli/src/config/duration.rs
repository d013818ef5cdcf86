//! Durations: `90`, `1.5s`, `1m30s`, `250us`.

use anyhow::{Result, bail, ensure};
use pummel_engine::units::Nanos;

use super::number::Decimal;
use crate::args::Quoted;

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// A longer time is a slip of the finger.
pub(super) const LONGEST: Nanos = Nanos::from_secs(366 * 24 * 3600);

/// Longer units stand before those that begin like them.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a duration that may be zero.
pub(crate) fn parse(text: &str) -> Result<Nanos> {
    parse_in(text, SECOND)
}

/// The same where a bare number is a number of milliseconds.
pub(super) fn parse_in_millis(text: &str) -> Result<Nanos> {
    parse_in(text, MILLISECOND)
}

/// A duration in which a bare number is one of spans of `bare` nanoseconds.
fn parse_in(text: &str, bare: u64) -> Result<Nanos> {
    let Some(nanos) = sum(text, bare) else {
        bail!("{} is no duration; write for example 10, 1.5s, 250ms or 1m30s", Quoted(text));
    };
    match u64::try_from(nanos).map(Nanos::new) {
        Ok(span) if span <= LONGEST => Ok(span),
        _ => bail!("{} is longer than a year; write for example 1h", Quoted(text)),
    }
}

/// Parses a duration that must not be zero.
pub(super) fn parse_positive(text: &str) -> Result<Nanos> {
    let span = parse(text)?;
    ensure!(span > Nanos::ZERO, "{} is no time at all; give more than zero", Quoted(text));
    Ok(span)
}

/// The sum of all parts, in nanoseconds; `None` if `text` is not made of such parts.
fn sum(text: &str, bare: u64) -> Option<u128> {
    if let Some((number, "")) = Decimal::split_off(text) {
        return Some(nanos(number, bare));
    }
    let (mut rest, mut total) = (text, 0);
    while !rest.is_empty() {
        let (number, after) = Decimal::split_off(rest)?;
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let (_, per) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += nanos(number, *per);
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// `number` units of `per` nanoseconds, rounded down to whole ones.
fn nanos(number: Decimal, per: u64) -> u128 {
    u128::from(number.digits) * u128::from(per) / u128::from(number.divisor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_numbers_with_units_and_bare_numbers_are_seconds() {
        for (text, nanos) in [
            ("10", 10_000_000_000),
            ("1.5", 1_500_000_000),
            (".5s", 500_000_000),
            ("1m30s", 90_000_000_000),
            ("1h1m1s1ms1us1ns", 3_661_001_001_001),
            ("250µs", 250_000),
            ("0.1ms", 100_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text).unwrap(), Nanos::new(nanos), "{text}");
        }
    }

    #[test]
    fn a_bare_number_may_be_milliseconds() {
        for (text, millis) in [("100", 100), ("0.5s", 500), ("1.5", 1), ("2ms", 2)] {
            assert_eq!(parse_in_millis(text).unwrap().get() / MILLISECOND, millis, "{text}");
        }
        assert!(parse_in_millis("100x").is_err());
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "ten",
            "-1",
            "+1",
            "1e3",
            "NaN",
            "inf",
            "1 s",
            "1s2",
            "1.2.3",
            "1d",
            "10S",
            ".",
            "99999999999999999999",
            "9000h",
            "1s-1s",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse_positive("0s").is_err());
        assert!(parse_positive("0.1ns").is_err());
    }
}
