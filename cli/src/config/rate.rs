//! Rates: `1000`, `5k`, `1.5M`, `300/m`; exact fractions.

use anyhow::{Result, bail};
use pummel_engine::units::{Nanos, Rate};

use super::number::Decimal;
use crate::args::Quoted;

const SECOND: u64 = 1_000_000_000;

/// Parses a rate; never zero.
pub(super) fn parse(text: &str) -> Result<Rate> {
    let Some(rate) = parse_or_nothing(text)? else {
        bail!(
            "{} would send nothing; give more than zero, or leave it out to go flat out",
            Quoted(text)
        );
    };
    Ok(rate)
}

/// Parses a rate that may be zero, which is none.
pub(super) fn parse_or_nothing(text: &str) -> Result<Option<Rate>> {
    let Some((count, period)) = fraction(text) else {
        bail!("{} is no rate; write for example 5000, 5k, 1.5M, 300/m or 10/h", Quoted(text));
    };
    let rate = Rate::new(count, Nanos::new(period));
    if rate.is_none() && count > 0 {
        bail!("{} is more than {} per second; give less", Quoted(text), Rate::MAX_PER_SECOND);
    }
    Ok(rate)
}

/// A number per minute, in the words of a rate.
pub(super) fn per_minute(text: &str) -> Result<String> {
    let (number, factor) = text.split_at(text.trim_end_matches(['k', 'M']).len());
    let is_number = matches!(Decimal::split_off(number), Some((_, "")));
    if !is_number || factor.len() > 1 {
        bail!("{} is no number per minute; write for example 300 or 5k", Quoted(text));
    }
    Ok(format!("{text}/m"))
}

/// The rate as requests in a number of nanoseconds, in lowest terms.
fn fraction(text: &str) -> Option<(u64, u64)> {
    let (number, rest) = Decimal::split_off(text)?;
    let (factor, rest) = match rest.strip_prefix('k') {
        Some(rest) => (1_000, rest),
        None => rest.strip_prefix('M').map_or((1, rest), |rest| (1_000_000, rest)),
    };
    let per = match rest {
        "" | "/s" => SECOND,
        "/m" => 60 * SECOND,
        "/h" => 3_600 * SECOND,
        _ => return None,
    };
    let count = u128::from(number.digits) * factor;
    let period = u128::from(per) * u128::from(number.divisor());
    let common = gcd(count, period);
    // A count beyond 64 bits is beyond the highest rate as well, and is refused as such.
    let count = u64::try_from(count / common).unwrap_or(u64::MAX);
    Some((count, u64::try_from(period / common).ok()?))
}

/// Euclid's; at most some 180 steps on 128 bits.
pub(super) fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_an_exact_fraction() {
        for (text, count, period) in [
            ("1000", 1, 1_000_000),
            ("5k", 1, 200_000),
            ("1.5M", 3, 2_000),
            ("1.5/s", 3, 2_000_000_000),
            ("300/m", 1, 200_000_000),
            ("7/h", 7, 3_600_000_000_000),
            ("1000M", 1, 1),
        ] {
            let rate = parse(text).unwrap();
            assert_eq!((rate.count().get(), rate.period().get()), (count, period), "{text}");
        }
    }

    #[test]
    fn nothing_may_be_a_rate() {
        assert_eq!(parse_or_nothing("0").unwrap(), None);
        assert_eq!(parse_or_nothing("0.0/m").unwrap(), None);
        assert_eq!(parse_or_nothing("5").unwrap(), Some(parse("5").unwrap()));
        assert!(parse_or_nothing("1001M").is_err());
    }

    #[test]
    fn a_number_per_minute_has_no_unit() {
        for (text, rate) in [("300", "300/m"), ("5k", "5k/m"), ("1.5M", "1.5M/m"), ("0", "0/m")] {
            assert_eq!(per_minute(text).unwrap(), rate);
            assert!(parse_or_nothing(rate).is_ok(), "{rate}");
        }
        for text in ["", "k", "5/s", "5kk", "-5", "1e3", "5 "] {
            let said = per_minute(text).unwrap_err().to_string();
            assert!(said.contains("is no number per minute; write"), "{said}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "0",
            "0.0/m",
            "-5",
            "+5",
            "NaN",
            "inf",
            "1e3",
            "k",
            "5K",
            "5/d",
            "5 k",
            "1001M",
            "999999999999999999M",
            "1.2.3",
            "5k/",
            "99999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
