//! Why there is no such check or capture. The texts follow the place in the file and the key.

use super::decimal::Number;
use super::path::PATH_STEPS_MAX;
use super::pattern::PATTERN_BYTES_MAX;

/// What cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A path that cannot be read.
    #[error("`{path}` is no JSON path: character {at}: {fault}")]
    Path {
        /// The path, as given.
        path: Box<str>,
        /// Which character, counted from 1.
        at: usize,
        /// What is wrong there.
        fault: PathFault,
    },
    /// A regular expression that cannot be read.
    #[error("`{pattern}` is no regular expression: {}{reason}; {ESCAPES}", place(*.at))]
    Pattern {
        /// The expression, as given.
        pattern: Box<str>,
        /// Which character, counted from 1, if the library tells.
        at: Option<usize>,
        /// What is wrong there, as the library says it.
        reason: Box<str>,
    },
    /// A regular expression that would take too much memory.
    #[error(
        "`{0}` takes more than the {PATTERN_BYTES_MAX} bytes that a regular expression may; \
         repeat less in it, for example .* instead of .{{0,5000}}"
    )]
    PatternSize(Box<str>),
    /// A group that the regular expression does not have.
    #[error(
        "`{pattern}` has no group {group}: its groups are 0 to {groups}; put what is to be \
         captured in parentheses"
    )]
    Group {
        /// The expression, as given.
        pattern: Box<str>,
        /// The number or name of the group.
        group: Box<str>,
        /// The number of the last one that it has.
        groups: usize,
    },
    /// Nothing to search for.
    #[error("there is nothing to search for in an empty text; write at least one character")]
    Marker,
    /// A name that no field and no cookie can have.
    #[error(
        "`{0}` can be no name: names consist of letters, digits and !#$%&'*+-.^_`|~; write for \
         example X-Request-Id"
    )]
    Token(Box<str>),
    /// A text that is no number.
    #[error("`{0}` is no number in JSON; write for example 42 or -1.5e3")]
    Number(Box<str>),
    /// A range that no size is in.
    #[error("no size is from {least} to {most} bytes; give the smaller number first")]
    Sizes {
        /// The smaller bound, as given.
        least: u64,
        /// The larger bound, as given.
        most: u64,
    },
}

/// What is wrong with a JSON path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// It says nothing.
    #[error("there is no path; write for example $.user.id, or $ for all of the body")]
    Empty,
    /// A dot without a name behind it.
    #[error("there is no name behind the dot; write .name, or ['name'] for an unusual one")]
    Name,
    /// A name that follows something without a dot.
    #[error("a dot is missing; write .name or [0]")]
    Dot,
    /// What may stand in a name in quotes only.
    #[error("{0:?} may stand in a name in quotes only; write it as ['name']")]
    Stray(char),
    /// A bracket without an index or name in it.
    #[error("there is neither index nor name in the bracket; write [0] or ['name']")]
    Bracket,
    /// A bracket or a quotation that does not end.
    #[error("the bracket is not closed; write [0] or ['name']")]
    Open,
    /// An index that no list reaches.
    #[error("the index is too large; the largest is 4294967295")]
    Index,
    /// An escape that is not known.
    #[error("there are no escapes in a name but \\', \\\" and \\\\; write the character itself")]
    Escape,
    /// What would lead to several values.
    #[error("a path leads to one value; write names and indexes in place of *, .., ?, : and -")]
    Several,
    /// More names and indexes than a path may have.
    #[error("the path is longer than the {PATH_STEPS_MAX} names and indexes that are followed")]
    Long,
}

/// The remedy that helps most: what was meant as it stands has a meaning of its own.
const ESCAPES: &str = r"put \ before each of .+*?()[]{}|^$\ that is meant as it stands";

/// The words before a reason that is at this character.
fn place(at: Option<usize>) -> Place {
    Place(at)
}

struct Place(Option<usize>);

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.map_or(Ok(()), |at| write!(f, "character {at}: "))
    }
}

impl Number {
    /// The error of a text that is none.
    pub(super) fn error(text: &str) -> RuleError {
        RuleError::Number(text.into())
    }
}
