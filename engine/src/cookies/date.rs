//! Dates as servers write them (RFC 6265 section 5.1.1): in whatever order, with whatever between.

use crate::units::Nanos;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// The Unix time of a date, that of the epoch if it lies before; `None` if it is none.
pub(super) fn parse(text: &[u8]) -> Option<Nanos> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|byte| is_delimiter(*byte)).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    let ([hour, minute, second], day, month) = (time?, day?, month?);
    let exists = (1601..).contains(&year) && (1..=days_in(month, year)).contains(&day);
    if !exists || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(Nanos::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// RFC 6265 section 5.1.1: `delimiter`.
const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2F | 0x3B..=0x40 | 0x5B..=0x60 | 0x7B..=0x7E)
}

/// The number at the beginning of `token`, if it has from `least` to `most` digits.
fn number(token: &[u8], least: usize, most: usize) -> Option<u32> {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(least..=most).contains(&digits) {
        return None;
    }
    let digits = token.get(..digits)?.iter();
    Some(digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

/// `h:m:s`, with whatever behind it.
fn time_of(token: &[u8]) -> Option<[u32; 3]> {
    let mut parts = token.splitn(3, |&byte| byte == b':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if !whole(hour) || !whole(minute) {
        return None;
    }
    Some([number(hour, 1, 2)?, number(minute, 1, 2)?, number(second, 1, 2)?])
}

/// From 1 to 12.
fn month_of(token: &[u8]) -> Option<u32> {
    let name = token.get(..3)?;
    (1..).zip(MONTHS).find(|(_, known)| name.eq_ignore_ascii_case(known)).map(|(number, _)| number)
}

const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(month: u32, year: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_since_epoch(year: u32, month: u32, day: u32) -> i64 {
    // Leap days up to the end of the year before.
    let before = i64::from(year) - 1;
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (before - 1969) * 365 + leaps(before) - leaps(1969);
    let months: u32 = (1..month).map(|month| days_in(month, year)).sum();
    years + i64::from(months + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: Option<u64>) {
        assert_eq!(parse(text.as_bytes()), seconds.map(Nanos::from_secs), "{text}");
    }

    #[test]
    fn dates_of_all_forms_are_read() {
        // As `date -u +%s` has them.
        check("Wed, 09 Jun 2021 10:18:14 GMT", Some(1_623_233_894));
        check("Wednesday, 09-Jun-21 10:18:14 GMT", Some(1_623_233_894));
        check("Wed Jun  9 10:18:14 2021", Some(1_623_233_894));
        check("9 june 2021 10:18:14GMT+1", Some(1_623_233_894));
        check("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
        check("01 Jan 2000 00:00:00", Some(946_684_800));
    }

    #[test]
    fn what_lies_before_the_epoch_is_over() {
        check("Fri, 31 Dec 1969 23:59:59 GMT", Some(0));
        check("01 Jan 1601 00:00:00", Some(0));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "tomorrow",
            "09 Jun 2021",
            "09 Jun 10:18:14",
            "10:18:14 Jun 2021",
            "31 Jun 2021 00:00:00",
            "29 Feb 2023 00:00:00",
            "09 Jun 2021 24:00:00",
            "09 Jun 1600 10:18:14",
            "09 Jun 2021 10:18",
        ] {
            check(text, None);
        }
    }
}
