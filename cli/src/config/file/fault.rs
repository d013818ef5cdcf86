//! What is wrong with a file, and where: a line that is complete by itself, and below it the line
//! of the file.

use core::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Widest excerpt; of a longer line, the part around the place is shown.
const COLUMNS: usize = 100;

/// Something that is wrong with the bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(super) span: Range<usize>,
    pub(in crate::config) what: String,
}

/// A line of a file, and a part of it.
#[derive(Debug)]
pub(super) struct Place<'t> {
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, counted from 1.
    column: usize,
    text: &'t str,
    /// Bytes of the line.
    part: Range<usize>,
}

impl Fault {
    pub(crate) fn new(span: Range<usize>, what: String) -> Self {
        Self { span, what }
    }
}

impl<'t> Place<'t> {
    /// Where `span` begins in `text`.
    pub(super) fn of(text: &'t str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let (before, after) = text.split_at(start);
        let from = before.rfind('\n').map_or(0, |newline| newline + 1);
        let to = after.find(['\n', '\r']).map_or(text.len(), |length| start + length);
        let end = floor(text, span.end).clamp(start, to);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|&letter| letter != '\n').count() + 1,
            text: text.get(from..to).unwrap_or_default(),
            part: start - from..end - from,
        }
    }

    /// `FILE:LINE:COLUMN`.
    pub(super) fn named(&self, file: &str) -> String {
        format!("{file}:{}:{}", self.line, self.column)
    }

    /// The line with its number, and the part underlined.
    pub(super) fn excerpt(&self) -> String {
        let part = AnnotationKind::Primary.span(self.part.clone());
        let snippet = Snippet::source(self.text).line_start(self.line).annotation(part);
        let group = Group::with_level(Level::ERROR).element(snippet);
        Renderer::plain().term_width(COLUMNS).render(&[group])
    }
}

/// The last place up to `at` at which a character of `text` begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_in_characters() {
        let text = "a = 1\r\nä = \"ö\" # ü\nb";
        let of = |from, to| Place::of(text, &(from..to)).named("f");
        assert_eq!(of(0, 1), "f:1:1");
        assert_eq!(of(7, 9), "f:2:1");
        assert_eq!(of(12, 16), "f:2:5");
        // In the middle of a character, behind the end, and backwards.
        assert_eq!(of(14, 15), "f:2:6");
        assert_eq!(of(99, 7), "f:3:2");
        assert_eq!(Place::of("", &(0..5)).named("f"), "f:1:1");
    }

    #[test]
    fn an_excerpt_shows_the_line_and_underlines_the_part() {
        let text = "url = \"x\"\nratte = 5\nrate = 5";
        let excerpt = Place::of(text, &(10..15)).excerpt();
        assert_eq!(excerpt, "  |\n2 | ratte = 5\n  | ^^^^^");
        // A place that spans lines is shown by the first one.
        let excerpt = Place::of(text, &(16..99)).excerpt();
        assert_eq!(excerpt, "  |\n2 | ratte = 5\n  |       ^^^");
    }

    #[test]
    fn of_a_long_line_a_part_is_shown() {
        let text = format!("a = \"{}\" oops {}", "x".repeat(5_000), "y".repeat(5_000));
        let excerpt = Place::of(&text, &(5_007..5_011)).excerpt();
        assert!(excerpt.contains("oops") && excerpt.len() < 1_000, "{excerpt}");
    }
}
