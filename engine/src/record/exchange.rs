//! Exchanges, whole: what was sent, what came back, and what was found in it.
//!
//! A run that measures keeps none. Where requests are [tried](crate::plan::Plan::tried), one after
//! the other, there is one for each.

use pummel_proto_http::Version;

use super::{Moments, Phase, Trouble, Unfollowed};

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The index of the request in the work of the plan.
    pub request: u16,
    /// Whether a redirect has led to it, which is the response of the exchange before.
    pub is_redirected: bool,
    /// Whether it was sent in HTTP/2.
    pub http2: bool,
    /// As it was sent: its head, an empty line, its body; in HTTP/2 a line for each field.
    pub sent: Kept,
    /// When what happened.
    pub moments: Moments,
    /// How it ended.
    pub end: End,
    /// What was looked for in the response, in the order of the plan.
    pub found: Vec<Found>,
}

/// How an exchange ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With a response.
    Answered(Box<Answer>),
    /// Without a valid one.
    Failed(Trouble),
    /// It was given up.
    TimedOut(Phase),
    /// The run ended before.
    Unfinished,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The version in its status line; HTTP/2 has none.
    pub version: Option<Version>,
    /// Its status.
    pub status: u16,
    /// Name and value of each field line.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its body, without its codings if they could be undone.
    pub body: Kept,
    /// What became of its codings, if it had any.
    pub coded: Option<Coded>,
    /// Why it was not followed, if it is a redirect that was to be.
    pub unfollowed: Option<Unfollowed>,
    /// Whether its status was expected and all that was looked for was found.
    pub good: bool,
}

/// What became of the codings of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coded {
    /// Bytes of the body as it came.
    pub came: u64,
    /// Whether all of it was decoded, or why nothing was.
    pub decoded: Result<bool, &'static str>,
}

/// Bytes, of which the end may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The beginning.
    pub bytes: Vec<u8>,
    /// How many there were.
    pub len: u64,
}

/// What came of a check or a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number among all that is looked for, as
    /// [`Work::looked_for`](crate::plan::Work::looked_for) lists it.
    pub number: usize,
    /// Whether it held, or why that cannot be told.
    pub answer: Result<bool, &'static str>,
    /// What was captured.
    pub value: Option<Vec<u8>>,
}

impl Exchange {
    /// Whether it was as it should be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(&self.end, End::Answered(answer) if answer.good)
    }
}
