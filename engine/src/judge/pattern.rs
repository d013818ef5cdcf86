//! Regular expressions over the bytes of a body or of a field.

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::error::RuleError;

/// The most memory that a regular expression takes when it is compiled.
pub const PATTERN_BYTES_MAX: usize = 4 << 20;

/// How many bytes beyond the end of a match may have had a say in it: those of one character, for a
/// word's end.
const BEYOND_MATCH_BYTES: usize = 4;

/// A regular expression, compiled. Searching takes time linear in what is searched.
///
/// What a search needs for itself is made at the first one, and kept for the thread that made it.
/// So each shard searches with a clone of its own: a clone shares the expression and nothing else.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression; `.` stands for any character but a line's end, and bytes that are no
    /// UTF-8 are no characters.
    ///
    /// # Errors
    /// [`RuleError::Pattern`] or [`RuleError::PatternSize`].
    pub fn parse(pattern: &str) -> Result<Self, RuleError> {
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        compiled.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RuleError::PatternSize(pattern.into()),
            error => explain(pattern, &error),
        })
    }

    /// How many groups it has, but for the one that is all of the match.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.0.captures_len() - 1
    }

    /// Whether it matches anywhere in `bytes`.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }

    /// Whether it matches in the beginning of something longer, whatever follows.
    pub(super) fn is_surely_in(&self, beginning: &[u8]) -> bool {
        let end = self.0.shortest_match(beginning);
        end.is_some_and(|end| is_clear_of_cut(beginning, end))
    }
}

/// Whether what follows `beginning` has no say in a match that ends at `end`.
fn is_clear_of_cut(beginning: &[u8], end: usize) -> bool {
    beginning.len() - end >= BEYOND_MATCH_BYTES
}

/// Puts the library's words, which take several lines, into one.
fn explain(pattern: &str, error: &regex::Error) -> RuleError {
    // The pattern stands in the second line, behind four spaces, and a caret below the place.
    let text = error.to_string();
    let caret = text.lines().nth(2).filter(|line| line.trim_start().starts_with('^'));
    let at = caret.and_then(|line| line.find('^')).and_then(|column| column.checked_sub(3));
    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    RuleError::Pattern { pattern: pattern.into(), at, reason: reason.into() }
}

/// Which part of a match is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group<'a> {
    /// By its number: 0 is all of the match, 1 what the first parentheses hold.
    Number(usize),
    /// By its name, as in `(?<name>…)`.
    Name(&'a str),
}

/// A group of a regular expression, whose text is captured.
#[derive(Clone, Debug)]
pub struct Grouped {
    pattern: Pattern,
    group: usize,
    /// Where the groups of the last match were: memory that is used again.
    locations: CaptureLocations,
}

impl Grouped {
    /// The group of `pattern` that is meant.
    ///
    /// # Errors
    /// [`RuleError::Group`] if it has no such group.
    pub fn new(pattern: Pattern, group: Group<'_>) -> Result<Self, RuleError> {
        let found = match group {
            Group::Number(number) => Some(number).filter(|number| *number <= pattern.groups()),
            Group::Name(name) => pattern.0.capture_names().position(|other| other == Some(name)),
        };
        let Some(number) = found else {
            let group: Box<str> = match group {
                Group::Number(number) => number.to_string().into(),
                Group::Name(name) => name.into(),
            };
            let groups = pattern.groups();
            return Err(RuleError::Group { pattern: pattern.0.as_str().into(), group, groups });
        };
        let locations = pattern.0.capture_locations();
        Ok(Self { pattern, group: number, locations })
    }

    /// The text of the group in the first match in `bytes`; `None` if there is no match, or if the
    /// group has no part in it.
    pub(super) fn find<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        self.pattern.0.captures_read(&mut self.locations, bytes)?;
        let (from, to) = self.locations.get(self.group)?;
        bytes.get(from..to)
    }

    /// The same in the beginning of something longer, if the match ends before the cut.
    pub(super) fn find_before_cut<'b>(&mut self, beginning: &'b [u8]) -> Option<&'b [u8]> {
        let text = self.find(beginning)?;
        let (_, end) = self.locations.get(0)?;
        is_clear_of_cut(beginning, end).then_some(text)
    }
}
