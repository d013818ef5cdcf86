//! How a date is to be written: a format in the letters of `strftime`, read once.

use pummel_engine::plan::DatePart;

/// A date and a time as RFC 3339 has them, which stands where no format is given.
const RFC3339: &str = "%Y-%m-%dT%H:%M:%SZ";

/// Understands a format.
///
/// # Errors
/// A letter that means nothing, with what there is.
pub(super) fn parts(format: &str) -> Result<Vec<DatePart>, String> {
    let mut parts = Vec::new();
    let mut rest = if format.is_empty() { RFC3339 } else { format };
    while let Some((before, after)) = rest.split_once('%') {
        push(before, &mut parts);
        let mut letters = after.chars();
        let letter = letters.next();
        rest = letters.as_str();
        let part = match letter {
            Some('Y') => DatePart::Year,
            Some('y') => DatePart::YearOfCentury,
            Some('m') => DatePart::Month,
            Some('B') => DatePart::MonthName { whole: true },
            Some('b') => DatePart::MonthName { whole: false },
            Some('d') => DatePart::Day,
            Some('j') => DatePart::DayOfYear,
            Some('A') => DatePart::WeekdayName { whole: true },
            Some('a') => DatePart::WeekdayName { whole: false },
            Some('H') => DatePart::Hour,
            Some('I') => DatePart::HalfDayHour,
            Some('p') => DatePart::HalfDay,
            Some('M') => DatePart::Minute,
            Some('S') => DatePart::Second,
            Some('s') => DatePart::Unix,
            Some(digit @ ('3' | '6' | '9')) if rest.starts_with('f') => {
                rest = rest.get(1..).unwrap_or_default();
                DatePart::Fraction(match digit {
                    '3' => 3,
                    '6' => 6,
                    _ => 9,
                })
            }
            Some('f') => DatePart::Fraction(9),
            Some('F') => {
                parts.extend(self::parts("%Y-%m-%d")?);
                continue;
            }
            Some('T') => {
                parts.extend(self::parts("%H:%M:%S")?);
                continue;
            }
            Some('z') => DatePart::Text(b"+0000".to_vec()),
            Some('Z') => DatePart::Text(b"UTC".to_vec()),
            Some('%') => DatePart::Text(b"%".to_vec()),
            other => {
                let letter = other.map(String::from).unwrap_or_default();
                return Err(format!(
                    "%{letter} means nothing in a date; write %Y %m %d %H %M %S, %3f, %j, %a %b \
                     or %%"
                ));
            }
        };
        parts.push(part);
    }
    push(rest, &mut parts);
    Ok(parts)
}

/// Appends what stands for itself, if there is anything.
fn push(text: &str, parts: &mut Vec<DatePart>) {
    if !text.is_empty() {
        parts.push(DatePart::Text(text.as_bytes().to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_read_letter_by_letter() {
        let text = |text: &str| DatePart::Text(text.as_bytes().to_vec());
        assert_eq!(
            parts("%d.%m.%Y, %H:%M 100%%").unwrap(),
            [
                DatePart::Day,
                text("."),
                DatePart::Month,
                text("."),
                DatePart::Year,
                text(", "),
                DatePart::Hour,
                text(":"),
                DatePart::Minute,
                text(" 100"),
                text("%"),
            ]
        );
        assert_eq!(parts("").unwrap(), parts("%FT%TZ").unwrap());
        assert_eq!(parts("%3f%6f").unwrap(), [DatePart::Fraction(3), DatePart::Fraction(6)]);
        assert_eq!(parts("é%f").unwrap(), [text("é"), DatePart::Fraction(9)]);
        for wrong in ["%", "%Q", "%3", "%4f", "%é"] {
            assert!(parts(wrong).unwrap_err().contains("means nothing in a date"), "{wrong}");
        }
    }
}
