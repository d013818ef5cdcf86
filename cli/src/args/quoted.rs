//! How a message shows what was typed: in quotes, without line breaks, and never longer than a
//! reader needs to recognise it.

use core::fmt;

/// Longest text that is shown whole, in characters.
const SHOWN_MAX: usize = 100;

/// A text in quotes and with escapes; of a long one the beginning and an ellipsis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_MAX) {
            Some((end, _)) => write!(f, "{:?}", format!("{}…", self.0.split_at(end).0)),
            None => write!(f, "{:?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_shown_whole_and_a_long_one_by_its_beginning() {
        let ä = |n| "ä".repeat(n);
        assert_eq!(Quoted("a\nb").to_string(), r#""a\nb""#);
        assert_eq!(Quoted(&ä(100)).to_string(), format!("\"{}\"", ä(100)));
        assert_eq!(Quoted(&ä(101)).to_string(), format!("\"{}…\"", ä(100)));
    }
}
