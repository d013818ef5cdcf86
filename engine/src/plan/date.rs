//! Dates as they are written: which parts, in which order.

/// A part of a written date, in UTC by the Gregorian calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// What stands between other parts.
    Text(Vec<u8>),
    /// The year, in four digits.
    Year,
    /// Its last two digits.
    YearOfCentury,
    /// The month, from 01 to 12.
    Month,
    /// The name of the month, or its first three letters.
    MonthName {
        /// Whether it is written in full.
        whole: bool,
    },
    /// The day of the month, from 01 to 31.
    Day,
    /// The day of the year, from 001 to 366.
    DayOfYear,
    /// The name of the day of the week, or its first three letters.
    WeekdayName {
        /// Whether it is written in full.
        whole: bool,
    },
    /// The hour, from 00 to 23.
    Hour,
    /// The hour of half a day, from 01 to 12.
    HalfDayHour,
    /// The half of the day, `AM` or `PM`.
    HalfDay,
    /// The minute, from 00 to 59.
    Minute,
    /// The second, from 00 to 59: Unix time has no others.
    Second,
    /// So many digits of the fraction of the second, 9 at most.
    Fraction(u8),
    /// The Unix time in seconds.
    Unix,
}
