//! What a response is looked at for: checks that hold or do not, and values for later requests.
//!
//! Plain data in, an answer out: no clock, no connection, nothing of a run. Whatever can be worked
//! out beforehand (a path, a pattern, what to search for) is parsed when a check or a capture is
//! made, and a mistake in it is said there. Looking at a response then allocates nothing but what
//! the first searches of a regular expression need; decoding a body that was compressed takes more.
//!
//! ```text
//!  Check    Status │ Field  │ Body │ Json │ Size │ Time ──► true, false, or why it cannot be told
//!  Capture  Status │ Field  │ Cookie │ Json │ Pattern │ Between ──► bytes, or why there are none
//!                    └ needs().fields   └ needs().body: kept by the owner if anybody asks
//! ```
//!
//! A check that does not hold makes a response a *failure*, never an *error*; so does one of which
//! it cannot be told whether it holds.

mod capture;
mod check;
mod condition;
mod decimal;
mod decode;
mod error;
mod json;
mod location;
mod nesting;
mod path;
mod pattern;
mod status;
#[cfg(test)]
mod tests;
mod word;

pub use capture::{Capture, Extractor, VALUE_BYTES_MAX};
pub use check::{BodyTest, Check, FieldTest, JsonTest, Scalar, Test};
pub use condition::{Claim, Condition, Operand, Relation, Term};
pub use decimal::Number;
pub use decode::{Codings, Undecoded};
pub use error::{PathFault, RuleError};
pub use location::{Authority, LOCATION_BYTES_MAX, Leads, locate, resolve};
pub use path::{PATH_STEPS_MAX, Path};
pub use pattern::{Group, Grouped, PATTERN_BYTES_MAX, Pattern};
pub use status::ExpectedStatus;
pub use word::{Marker, Sizes, Token};

use self::nesting::DEPTH_MAX;
use crate::units::Nanos;

/// A response, as far as anybody looks at it.
///
/// `F` lends the field lines, as [`FieldLines::iter`](pummel_proto_http::FieldLines::iter) does; it
/// is cloned for each look. Where no check that is asked [needs](Check::needs) fields, it may be
/// empty, and so may the body.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a, F> {
    /// The status code.
    pub status: u16,
    /// Name and value of each field line.
    pub fields: F,
    /// Its body without its codings, or why it has none so.
    pub body: Result<Content<'a>, Undecoded>,
    /// Bytes of the whole body, as it came.
    pub body_len: u64,
    /// How long it took, as the owner counts it.
    pub took: Nanos,
}

/// What a body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// Its beginning: all of it, or as much as is kept.
    pub bytes: &'a [u8],
    /// Whether there was more.
    pub is_cut: bool,
}

impl<'a, F> Response<'a, F>
where
    F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
{
    /// The values of the fields with this name.
    fn values(&self, name: &Token) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.clone();
        fields.filter(|(other, _)| name.names_field(other)).map(|(_, value)| value)
    }
}

/// What must be kept of a response for those who look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The field lines of its head.
    pub fields: bool,
    /// Its body, and what it is coded in.
    pub body: bool,
}

impl Needs {
    /// Status, length and time are always known.
    pub const NOTHING: Self = Self { fields: false, body: false };
    /// Field lines alone.
    pub const FIELDS: Self = Self { fields: true, body: false };
    /// The body alone.
    pub const BODY: Self = Self { fields: false, body: true };

    /// Both.
    pub const ALL: Self = Self { fields: true, body: true };

    /// What must be kept for all of these checks and captures.
    #[must_use]
    pub fn of(checks: &[Check], captures: &[Capture]) -> Self {
        let needs = checks.iter().map(Check::needs).chain(captures.iter().map(Capture::needs));
        needs.fold(Self::NOTHING, |all, one| Self {
            fields: all.fields | one.fields,
            body: all.body | one.body,
        })
    }
}

/// Declares a closed set of reasons with their names and texts from one table, so that they cannot
/// drift apart.
macro_rules! reasons {
    (
        $(#[$doc:meta])* $set:ident {
            $($(#[$about:meta])* $reason:ident = $name:literal, $text:literal;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
        pub enum $set {
            $($(#[$about])* #[error($text)] $reason,)+
        }

        impl $set {
            /// All of them, in the order of their discriminants, which are dense from 0.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)+];

            /// The stable `snake_case` name, as reports print it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// Why it cannot be told whether a check holds. It counts as one that does not.
    Unjudged {
        /// A path leads into a body that is no JSON where it was read.
        NotJson = "not_json", "the body is no JSON";
        /// More came of the body than is kept, and what is kept does not decide it.
        BodyCut = "body_cut", "the body is longer than what is kept, and that does not decide";
        /// The body is nested more deeply than is followed.
        TooDeep = "too_deep", "the body is nested more than {DEPTH_MAX} deep";
        /// The body has a content coding that is not known.
        Encoding = "encoding", "the body has a content coding that is not known";
        /// The body is not in the content coding that it names.
        NotDecoded = "not_decoded", "the body is not in the content coding that it names";
    }
}

reasons! {
    /// Why a response has no value for a variable.
    Missed {
        /// It has no field of that name.
        NoField = "no_field", "the response has no such field";
        /// It sets no cookie of that name.
        NoCookie = "no_cookie", "the response sets no such cookie";
        /// The path leads nowhere in its body.
        NoValue = "no_value", "the body has nothing at that path";
        /// The pattern, or the group of it, is nowhere in its body.
        NoMatch = "no_match", "the body does not match";
        /// Its body lacks a marker, or the second one behind the first.
        NoMarker = "no_marker", "the body lacks one of the markers";
        /// A path leads into a body that is no JSON where it was read.
        NotJson = "not_json", "the body is no JSON";
        /// More came of the body than is kept, and the value is not surely in what is.
        BodyCut = "body_cut", "the body is longer than what is kept, and the value not in that";
        /// The body is nested more deeply than is followed.
        TooDeep = "too_deep", "the body is nested more than {DEPTH_MAX} deep";
        /// The value is longer than [`VALUE_BYTES_MAX`].
        TooLong = "too_long", "the value is longer than {VALUE_BYTES_MAX} bytes";
        /// The body has a content coding that is not known.
        Encoding = "encoding", "the body has a content coding that is not known";
        /// The body is not in the content coding that it names.
        NotDecoded = "not_decoded", "the body is not in the content coding that it names";
    }
}
