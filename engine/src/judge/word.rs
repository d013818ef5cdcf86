//! The small words of checks and captures: names, texts to search for, ranges of sizes.

use memchr::memmem::Finder;

use super::error::RuleError;

/// The name of a field or of a cookie (RFC 9110 section 5.6.2: a token).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(Box<[u8]>);

impl Token {
    /// Takes a name.
    ///
    /// # Errors
    /// [`RuleError::Token`] if nothing can be called that.
    pub fn parse(name: &str) -> Result<Self, RuleError> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(letter) {
            return Err(RuleError::Token(name.into()));
        }
        Ok(Self(name.as_bytes().into()))
    }

    /// Whether a field with this name is meant (RFC 9110 section 5.1: in whatever case).
    #[inline]
    pub(super) fn names_field(&self, name: &[u8]) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }

    /// Whether a cookie with this name is meant.
    pub(super) fn names_cookie(&self, name: &[u8]) -> bool {
        *self.0 == *name
    }
}

/// A text that is searched for, prepared; never empty.
#[derive(Clone, Debug)]
pub struct Marker(Box<Finder<'static>>);

impl Marker {
    /// Prepares a text.
    ///
    /// # Errors
    /// [`RuleError::Marker`] if it is empty.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, RuleError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(RuleError::Marker);
        }
        Ok(Self(Box::new(Finder::new(text).into_owned())))
    }

    /// Splits `bytes` at the first place where it stands: into what comes before and behind it.
    pub(super) fn split<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let at = self.0.find(bytes)?;
        Some((bytes.get(..at)?, bytes.get(at + self.0.needle().len()..)?))
    }

    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.find(bytes).is_some()
    }
}

/// A range of sizes in bytes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    least: u64,
    most: u64,
}

impl Sizes {
    /// The sizes from `least` to `most`; `u64::MAX` is as good as none.
    ///
    /// # Errors
    /// [`RuleError::Sizes`] if there are none.
    pub const fn new(least: u64, most: u64) -> Result<Self, RuleError> {
        if least > most { Err(RuleError::Sizes { least, most }) } else { Ok(Self { least, most }) }
    }

    pub(super) fn hold(self, bytes: u64) -> bool {
        (self.least..=self.most).contains(&bytes)
    }
}
