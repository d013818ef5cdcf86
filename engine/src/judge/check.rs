//! Checks: what is expected of a response, under a name by which it is counted.

use super::decimal::Number;
use super::json::{self, Fault, Value};
use super::path::Path;
use super::pattern::Pattern;
use super::word::{Marker, Sizes, Token};
use super::{Content, ExpectedStatus, Needs, Response, Unjudged};
use crate::units::Nanos;

/// A test of responses, and what the report calls it.
#[derive(Clone, Debug)]
pub struct Check {
    name: Box<str>,
    test: Test,
}

/// What a response is tested for.
#[derive(Clone, Debug)]
pub enum Test {
    /// That its status is one of these.
    Status(ExpectedStatus),
    /// That it has a field of this name with such a value; of several, one is enough.
    Field {
        /// The name.
        name: Token,
        /// What its value must be like.
        value: FieldTest,
    },
    /// That its body is like this.
    Body(BodyTest),
    /// That its body is JSON with such a value at this path.
    Json {
        /// Where the value is.
        path: Path,
        /// What it must be like.
        value: JsonTest,
    },
    /// That its body is so long.
    Size(Sizes),
    /// That it took less than this.
    Time(Nanos),
}

/// What the value of a field must be like.
#[derive(Clone, Debug)]
pub enum FieldTest {
    /// There is one.
    Present,
    /// It is this.
    Equals(Box<[u8]>),
    /// This stands in it.
    Contains(Marker),
    /// This matches in it.
    Matches(Pattern),
}

/// What a body must be like.
#[derive(Clone, Debug)]
pub enum BodyTest {
    /// This stands in it.
    Contains(Marker),
    /// This matches in it.
    Matches(Pattern),
}

/// What a value in JSON must be like.
#[derive(Clone, Debug)]
pub enum JsonTest {
    /// There is one.
    Present,
    /// It is this.
    Equals(Scalar),
}

/// A value in JSON that has no parts.
#[derive(Clone, Debug)]
pub enum Scalar {
    /// A string, without its quotes and escapes.
    Text(Box<str>),
    /// A number, whatever its notation.
    Number(Number),
    /// True or false.
    Bool(bool),
    /// Null.
    Null,
}

impl Check {
    /// A test under a name.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>, test: Test) -> Self {
        Self { name: name.into(), test }
    }

    /// What the report calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What must be kept of a response for it.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        match self.test {
            Test::Field { .. } => Needs::FIELDS,
            Test::Body(_) | Test::Json { .. } => Needs::BODY,
            Test::Status(_) | Test::Size(_) | Test::Time(_) => Needs::NOTHING,
        }
    }

    /// Whether `response` is as expected.
    ///
    /// Linear in what is looked at. Of a body that is longer than what is kept, that part decides
    /// if the rest could not change the answer.
    ///
    /// # Errors
    /// [`Unjudged`] if it cannot be told; the check counts as failed then.
    pub fn holds<'a, F>(&self, response: &Response<'a, F>) -> Result<bool, Unjudged>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        match &self.test {
            Test::Status(expected) => Ok(expected.holds(response.status)),
            Test::Field { name, value } => Ok(response.values(name).any(|line| value.holds(line))),
            Test::Body(test) => match response.body? {
                Content { bytes, is_cut: false } => Ok(test.holds(bytes)),
                Content { bytes, is_cut: true } => {
                    test.holds_surely(bytes).then_some(true).ok_or(Unjudged::BodyCut)
                }
            },
            Test::Json { path, value } => value.holds(response.body?, path),
            Test::Size(sizes) => Ok(sizes.hold(response.body_len)),
            Test::Time(limit) => Ok(response.took < *limit),
        }
    }
}

impl FieldTest {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Equals(expected) => **expected == *value,
            Self::Contains(marker) => marker.is_in(value),
            Self::Matches(pattern) => pattern.is_in(value),
        }
    }
}

impl BodyTest {
    fn holds(&self, body: &[u8]) -> bool {
        match self {
            Self::Contains(marker) => marker.is_in(body),
            Self::Matches(pattern) => pattern.is_in(body),
        }
    }

    /// Whether it holds whatever follows `beginning`.
    fn holds_surely(&self, beginning: &[u8]) -> bool {
        match self {
            Self::Contains(marker) => marker.is_in(beginning),
            Self::Matches(pattern) => pattern.is_surely_in(beginning),
        }
    }
}

impl JsonTest {
    fn holds(&self, body: Content<'_>, path: &Path) -> Result<bool, Unjudged> {
        match json::find(body.bytes, body.is_cut, path) {
            Ok(value) => Ok(match self {
                Self::Present => true,
                Self::Equals(scalar) => scalar.equals(value),
            }),
            Err(Fault::Nowhere) => Ok(false),
            Err(Fault::Ended) if body.is_cut => Err(Unjudged::BodyCut),
            Err(Fault::Ended | Fault::NotJson) => Err(Unjudged::NotJson),
            Err(Fault::TooDeep) => Err(Unjudged::TooDeep),
        }
    }
}

impl Scalar {
    fn equals(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Text(expected), Value::Text(text)) => text.equals(expected.as_bytes()),
            (Self::Number(expected), Value::Number(text)) => expected.equals(text),
            (Self::Bool(expected), Value::Bool(word)) => *expected == (word == b"true"),
            (Self::Null, Value::Null(_)) => true,
            _ => false,
        }
    }
}
