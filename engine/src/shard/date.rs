//! Dates, written into requests.

use super::values::write_integer;
use crate::plan::DatePart;

/// Months, as RFC 9110 section 5.6.7 calls them by their first three letters.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Days of the week, from that of the first day of Unix time on.
const WEEKDAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

const SECONDS_OF_DAY: u64 = 86_400;
const NANOS_OF_SECOND: u64 = 1_000_000_000;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: u64,
    /// From 0 to 11.
    month: u64,
    /// From 1 to 31.
    day: u64,
    /// From 1 to 366.
    of_year: u64,
}

impl Date {
    /// The day that is so many days after 1970-01-01.
    ///
    /// Counted from the first of March of the year 0, leap days come last, in years, in centuries
    /// and in the 400 years after which all comes again.
    const fn since_1970(days: u64) -> Self {
        const DAYS_BEFORE: u64 = 719_468;
        const ERA: u64 = 146_097;
        const CENTURY: u64 = 36_524;
        const FOUR_YEARS: u64 = 1_461;
        const YEAR: u64 = 365;
        let days = days + DAYS_BEFORE;
        let (era, rest) = (days / ERA, days % ERA);
        let century = if rest / CENTURY > 3 { 3 } else { rest / CENTURY };
        let rest = rest - century * CENTURY;
        let (four, rest) = (rest / FOUR_YEARS, rest % FOUR_YEARS);
        let single = if rest / YEAR > 3 { 3 } else { rest / YEAR };
        // From March on, 31, 30, 31, 30, 31 days come twice and begin once more.
        let since_march = rest - single * YEAR;
        let shifted = (5 * since_march + 2) / 153;
        let day = since_march - (153 * shifted + 2) / 5 + 1;
        let march_year = era * 400 + century * 100 + four * 4 + single;
        let year = march_year + (shifted >= 10) as u64;
        let month = (shifted + 2) % 12;
        let of_year = if shifted >= 10 {
            since_march - 306 + 1
        } else {
            since_march + 59 + is_leap(year) as u64 + 1
        };
        Self { year, month, day, of_year }
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

/// Appends the date at `unix` nanoseconds of Unix time to `out`.
pub(super) fn write(parts: &[DatePart], unix: u64, out: &mut Vec<u8>) {
    let (second, fraction) = (unix / NANOS_OF_SECOND, unix % NANOS_OF_SECOND);
    let (days, time) = (second / SECONDS_OF_DAY, second % SECONDS_OF_DAY);
    let day = Date::since_1970(days);
    let hour = time / 3600;
    for part in parts {
        match part {
            DatePart::Text(text) => out.extend_from_slice(text),
            DatePart::Year => digits(day.year, 4, out),
            DatePart::YearOfCentury => digits(day.year % 100, 2, out),
            DatePart::Month => digits(day.month + 1, 2, out),
            DatePart::MonthName { whole } => name(&MONTHS, day.month, *whole, out),
            DatePart::Day => digits(day.day, 2, out),
            DatePart::DayOfYear => digits(day.of_year, 3, out),
            DatePart::WeekdayName { whole } => name(&WEEKDAYS, days % 7, *whole, out),
            DatePart::Hour => digits(hour, 2, out),
            DatePart::HalfDayHour => digits((hour + 11) % 12 + 1, 2, out),
            DatePart::HalfDay => out.extend_from_slice(if hour < 12 { b"AM" } else { b"PM" }),
            DatePart::Minute => digits(time / 60 % 60, 2, out),
            DatePart::Second => digits(time % 60, 2, out),
            DatePart::Fraction(count) => {
                let count = (*count).min(9);
                digits(fraction / 10_u64.pow(9 - u32::from(count)), count, out);
            }
            DatePart::Unix => write_integer(second.into(), out),
        }
    }
}

/// Appends the last `count` digits of `number`, with zeros before it.
fn digits(number: u64, count: u8, out: &mut Vec<u8>) {
    for place in (0..count).rev() {
        let digit = number / 10_u64.pow(place.into()) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or_default());
    }
}

fn name(names: &[&str], index: u64, whole: bool, out: &mut Vec<u8>) {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied();
    let name = name.unwrap_or_default();
    let shown = if whole { Some(name) } else { name.get(..3) };
    out.extend_from_slice(shown.unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[DatePart], unix: u64) -> String {
        let mut out = Vec::new();
        write(parts, unix, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_follow_each_other_as_in_the_calendar() {
        let (mut year, mut day, mut of_year) = (1970, 1, 1);
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut months = lengths.into_iter().zip(0..).cycle().peekable();
        // Beyond 2400, which is a leap year, as 2100, 2200 and 2300 are not.
        for days in 0..170_000 {
            let (length, month) = *months.peek().unwrap();
            assert_eq!(Date::since_1970(days), Date { year, month, day, of_year });
            (day, of_year) = (day + 1, of_year + 1);
            if day > length + u64::from(month == 1 && is_leap(year)) {
                (day, _) = (1, months.next());
                if month == 11 {
                    (year, of_year) = (year + 1, 1);
                }
            }
        }
        assert!(year > 2400);
    }

    #[test]
    fn each_part_is_written_in_its_width() {
        use DatePart as P;
        // 2001-02-03 (a Saturday) 04:05:06.007008009.
        let at = 981_173_106_007_008_009;
        for (part, expected) in [
            (P::Text(b"x".to_vec()), "x"),
            (P::Year, "2001"),
            (P::YearOfCentury, "01"),
            (P::Month, "02"),
            (P::MonthName { whole: true }, "February"),
            (P::MonthName { whole: false }, "Feb"),
            (P::Day, "03"),
            (P::DayOfYear, "034"),
            (P::WeekdayName { whole: true }, "Saturday"),
            (P::WeekdayName { whole: false }, "Sat"),
            (P::Hour, "04"),
            (P::HalfDayHour, "04"),
            (P::HalfDay, "AM"),
            (P::Minute, "05"),
            (P::Second, "06"),
            (P::Fraction(3), "007"),
            (P::Fraction(9), "007008009"),
            (P::Unix, "981173106"),
        ] {
            assert_eq!(shown(std::slice::from_ref(&part), at), expected, "{part:?}");
        }
        let half = [P::HalfDayHour, P::HalfDay];
        let hour = 3600 * NANOS_OF_SECOND;
        assert_eq!([0, 12, 23].map(|h| shown(&half, h * hour)), ["12AM", "12PM", "11PM"]);
    }
}
