//! The way to one value in a JSON document: `$.user.items[0]['first name'].id`.
//!
//! It is read once, into steps. Whatever could lead to several values has no place in it: a check
//! and a variable want one.

use core::iter::Peekable;
use core::str::Chars;

use super::error::{PathFault, RuleError};

/// The most names and indexes of a path.
pub const PATH_STEPS_MAX: usize = 64;

/// A path, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Box<[Step]>);

/// One step towards the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the member of an object with this name.
    Member(Box<str>),
    /// To this element of a list, counted from 0.
    Element(u32),
}

impl Path {
    /// Reads a path. The `$` at its beginning stands for the document, and may be left out.
    ///
    /// # Errors
    /// [`RuleError::Path`] with the place and what to write instead.
    pub fn parse(path: &str) -> Result<Self, RuleError> {
        let mut reader = Reader { rest: path.chars().peekable(), at: 1 };
        reader.steps().map(|steps| Self(steps.into())).map_err(|fault| RuleError::Path {
            path: path.into(),
            at: reader.at,
            fault,
        })
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// Reads characters, and knows how many.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// The number of the next one.
    at: usize,
}

impl Reader<'_> {
    fn steps(&mut self) -> Result<Vec<Step>, PathFault> {
        let mut steps = Vec::new();
        match self.peek() {
            None => return Err(PathFault::Empty),
            Some('$') => self.skip(),
            Some('[' | '.') => {}
            Some(_) => steps.push(self.name()?),
        }
        while let Some(next) = self.peek() {
            if steps.len() == PATH_STEPS_MAX {
                return Err(PathFault::Long);
            }
            match next {
                '.' => {
                    self.skip();
                    steps.push(self.name()?);
                }
                '[' => {
                    self.skip();
                    steps.push(self.bracket()?);
                }
                '*' | '?' | ':' => return Err(PathFault::Several),
                _ => return Err(PathFault::Dot),
            }
        }
        Ok(steps)
    }

    /// A name without quotes, up to the next step.
    fn name(&mut self) -> Result<Step, PathFault> {
        let mut name = String::new();
        while let Some(next) = self.peek().filter(|next| !matches!(next, '.' | '[')) {
            let sign = matches!(next, '_' | '-' | '@' | '/' | '+' | '#');
            if next.is_ascii() && !next.is_ascii_alphanumeric() && !sign {
                return Err(stray(next));
            }
            name.push(next);
            self.skip();
        }
        match self.peek() {
            _ if !name.is_empty() => Ok(Step::Member(name.into())),
            Some('.') => Err(PathFault::Several),
            _ => Err(PathFault::Name),
        }
    }

    /// What stands in a bracket, and its end.
    fn bracket(&mut self) -> Result<Step, PathFault> {
        let step = match self.peek() {
            Some(quote @ ('\'' | '"')) => {
                self.skip();
                self.quoted(quote)?
            }
            Some('0'..='9') => self.index()?,
            Some('*' | '?' | ':' | '-' | '.') => return Err(PathFault::Several),
            Some(_) => return Err(PathFault::Bracket),
            None => return Err(PathFault::Open),
        };
        match self.peek() {
            Some(']') => {
                self.skip();
                Ok(step)
            }
            Some(':' | ',') => Err(PathFault::Several),
            Some(_) => Err(PathFault::Bracket),
            None => Err(PathFault::Open),
        }
    }

    fn index(&mut self) -> Result<Step, PathFault> {
        let mut index = 0_u32;
        while let Some(digit) = self.peek().and_then(|next| next.to_digit(10)) {
            let longer = index.checked_mul(10).and_then(|index| index.checked_add(digit));
            index = longer.ok_or(PathFault::Index)?;
            self.skip();
        }
        Ok(Step::Element(index))
    }

    /// A name up to its closing quote.
    fn quoted(&mut self, quote: char) -> Result<Step, PathFault> {
        let mut name = String::new();
        loop {
            let next = self.peek().ok_or(PathFault::Open)?;
            self.skip();
            match next {
                '\\' => {
                    let escaped = self.peek().ok_or(PathFault::Open)?;
                    if !matches!(escaped, '\'' | '"' | '\\') {
                        return Err(PathFault::Escape);
                    }
                    name.push(escaped);
                    self.skip();
                }
                next if next == quote => return Ok(Step::Member(name.into())),
                next => name.push(next),
            }
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn skip(&mut self) {
        self.rest.next();
        self.at += 1;
    }
}

/// The fault of a character that is no part of a name without quotes.
const fn stray(character: char) -> PathFault {
    match character {
        '*' | '?' | ':' => PathFault::Several,
        other => PathFault::Stray(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;
    use proptest::prelude::*;

    fn steps(path: &str) -> Vec<Step> {
        Path::parse(path).unwrap().steps().to_vec()
    }

    fn member(name: &str) -> Step {
        Step::Member(name.into())
    }

    #[test]
    fn a_path_is_names_and_indexes() {
        let all = [member("a"), member("b"), Step::Element(0), member("c d"), member("e")];
        assert_eq!(steps("$.a.b[0]['c d'].e"), all);
        assert_eq!(steps("a.b[0][\"c d\"].e"), all);
        assert_eq!(steps(".a['b'][0]['c d']['e']"), all);
        assert_eq!(steps("$"), []);
        assert_eq!(steps("[4294967295][007]"), [Step::Element(u32::MAX), Step::Element(7)]);
        assert_eq!(steps("@id.x-y_z/1+2#é"), [member("@id"), member("x-y_z/1+2#é")]);
        assert_eq!(
            steps(r#"['it\'s']["\"\\"][''].0"#),
            [member("it's"), member("\"\\"), member(""), member("0"),]
        );
    }

    #[test]
    fn what_is_no_path_is_refused_with_place_and_remedy() {
        for (path, at, fault) in [
            ("", 1, PathFault::Empty),
            ("$.", 3, PathFault::Name),
            ("a.[0]", 3, PathFault::Name),
            ("$..a", 3, PathFault::Several),
            ("$.a b", 4, PathFault::Stray(' ')),
            ("$.a]", 4, PathFault::Stray(']')),
            ("é'", 2, PathFault::Stray('\'')),
            ("$a", 2, PathFault::Dot),
            ("a[0]b", 5, PathFault::Dot),
            ("a[", 3, PathFault::Open),
            ("a[0", 4, PathFault::Open),
            ("a['b", 5, PathFault::Open),
            ("a['b\\", 6, PathFault::Open),
            ("a['b'", 6, PathFault::Open),
            ("a[]", 3, PathFault::Bracket),
            ("a[b]", 3, PathFault::Bracket),
            ("a[0x]", 4, PathFault::Bracket),
            ("a['b\\n']", 6, PathFault::Escape),
            ("a[4294967296]", 12, PathFault::Index),
            ("*", 1, PathFault::Several),
            ("$[*]", 3, PathFault::Several),
            ("$.*", 3, PathFault::Several),
            ("a[-1]", 3, PathFault::Several),
            ("a[?(@.b)]", 3, PathFault::Several),
            ("a[0:2]", 4, PathFault::Several),
            ("a[0,1]", 4, PathFault::Several),
        ] {
            let error = RuleError::Path { path: path.into(), at, fault };
            assert_eq!(Path::parse(path), Err(error), "{path}");
        }
        let long = "[0]".repeat(PATH_STEPS_MAX);
        assert_eq!(steps(&long).len(), PATH_STEPS_MAX);
        assert!(matches!(
            Path::parse(&(long + "[0]")),
            Err(RuleError::Path { fault: PathFault::Long, .. })
        ));
        assert_eq!(
            Path::parse("$.a[").unwrap_err().to_string(),
            "`$.a[` is no JSON path: character 5: the bracket is not closed; write [0] or ['name']"
        );
    }

    proptest! {
        #[test]
        fn any_names_can_be_written_in_quotes(
            names in prop::collection::vec(".{0,8}", 0..6),
            quote in prop::sample::select(&['\'', '"'][..]),
        ) {
            let mut path = String::from("$");
            for name in &names {
                let escaped = name.replace('\\', "\\\\").replace(quote, &format!("\\{quote}"));
                write!(path, "[{quote}{escaped}{quote}]").unwrap();
            }
            let members: Vec<Step> = names.iter().map(|name| member(name)).collect();
            prop_assert_eq!(steps(&path), members);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,12}", path in "[$.a0'\"\\[\\]\\\\*é-]{0,10}") {
            for text in [text, path] {
                if let Err(RuleError::Path { at, .. }) = Path::parse(&text) {
                    prop_assert!((1..=text.chars().count() + 1).contains(&at));
                }
            }
        }
    }
}
