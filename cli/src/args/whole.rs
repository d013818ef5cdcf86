//! Whole numbers, as they are typed.

use super::Quoted;

/// A parser of whole numbers. Whether one makes sense is decided in `config`; `least` is for the
/// remedy in what this says of a text that is no number.
pub(super) fn whole<N: TryFrom<u64>>(
    least: u8,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static {
    move |text| {
        // Rust's own parser would take `+3`.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{} is no whole number; give {least} or more", Quoted(text)));
        }
        let number = text.parse::<u64>().ok().and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| format!("{} is too large a number; give less", Quoted(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_made_of_digits_alone() {
        assert_eq!(whole::<u32>(1)("0"), Ok(0));
        assert_eq!(whole::<u64>(1)("18446744073709551615"), Ok(u64::MAX));
        for text in ["", "-1", "+1", "1.5", "1k", "many", "-n"] {
            let said = whole::<u32>(1)(text).unwrap_err();
            assert_eq!(said, format!("{text:?} is no whole number; give 1 or more"));
        }
        for text in ["4294967296", "99999999999999999999"] {
            assert!(whole::<u32>(0)(text).unwrap_err().contains("too large"), "{text}");
        }
    }
}
