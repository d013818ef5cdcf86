//! Captures: values out of a response, for the requests that a virtual user sends later.

use super::json::{self, Fault, Value};
use super::path::Path;
use super::pattern::Grouped;
use super::word::{Marker, Token};
use super::{Content, Missed, Needs, Response};

/// The longest value that is captured.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Where a value comes from, and where it goes to.
#[derive(Clone, Debug)]
pub struct Capture {
    from: Extractor,
    into: u16,
}

/// Where in a response a value is.
#[derive(Clone, Debug)]
pub enum Extractor {
    /// Its status, as three digits.
    Status,
    /// The value of its first field with this name.
    Field(Token),
    /// The value of the cookie with this name, as the last `Set-Cookie` of it says.
    Cookie(Token),
    /// What is at this path in its body: a string without quotes and escapes, anything else as it
    /// stands there.
    Json(Path),
    /// A group of the first match in its body.
    Pattern(Grouped),
    /// What stands in its body between the first place of one text and the next of another.
    Between {
        /// What stands before the value.
        before: Marker,
        /// What stands behind it.
        after: Marker,
    },
}

impl Capture {
    /// Takes a value from there into the variable with this number.
    #[must_use]
    pub const fn new(from: Extractor, into: u16) -> Self {
        Self { from, into }
    }

    /// The number of the variable that the value goes to.
    #[must_use]
    pub const fn variable(&self) -> u16 {
        self.into
    }

    /// What must be kept of a response for it.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        match self.from {
            Extractor::Status => Needs::NOTHING,
            Extractor::Field(_) | Extractor::Cookie(_) => Needs::FIELDS,
            Extractor::Json(_) | Extractor::Pattern(_) | Extractor::Between { .. } => Needs::BODY,
        }
    }

    /// Puts the value into `out`, in place of what is there; leaves it empty if there is none.
    ///
    /// Linear in what is looked at. Allocates nothing once `out` is large enough for what comes.
    ///
    /// # Errors
    /// [`Missed`] says why there is none.
    pub fn take<'a, F>(
        &mut self,
        response: &Response<'a, F>,
        out: &mut Vec<u8>,
    ) -> Result<(), Missed>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        out.clear();
        let value = match &mut self.from {
            Extractor::Status => {
                out.extend(digits(response.status));
                return Ok(());
            }
            Extractor::Field(name) => response.values(name).next().ok_or(Missed::NoField),
            Extractor::Cookie(name) => find_cookie(response, name).ok_or(Missed::NoCookie),
            Extractor::Json(path) => return take_json(response.body?, path, out),
            Extractor::Pattern(grouped) => find_group(response.body?, grouped),
            Extractor::Between { before, after } => {
                let Content { bytes, is_cut } = response.body?;
                let between = before.split(bytes).and_then(|(_, rest)| after.split(rest));
                let missed = if is_cut { Missed::BodyCut } else { Missed::NoMarker };
                between.map(|(value, _)| value).ok_or(missed)
            }
        };
        put(value?, out)
    }
}

/// Appends a value, if it is not too long.
fn put(value: &[u8], out: &mut Vec<u8>) -> Result<(), Missed> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Missed::TooLong);
    }
    out.extend_from_slice(value);
    Ok(())
}

/// The three digits of a status.
fn digits(status: u16) -> impl Iterator<Item = u8> {
    let digit = move |unit: u16| b'0' + (status / unit % 10).to_le_bytes()[0];
    [100, 10, 1].into_iter().map(digit)
}

/// The value that the last `Set-Cookie` with this name sets (RFC 6265 section 5.2: up to the first
/// semicolon, without the space around it).
fn find_cookie<'a, F>(response: &Response<'a, F>, name: &Token) -> Option<&'a [u8]>
where
    F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
{
    let lines =
        response.fields.clone().filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie"));
    let values = lines.filter_map(|(_, line)| {
        let pair = line.split(|byte| *byte == b';').next()?;
        let equals = memchr::memchr(b'=', pair)?;
        let (own, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        name.names_cookie(own.trim_ascii()).then_some(value.trim_ascii())
    });
    values.last()
}

fn find_group<'a>(body: Content<'a>, grouped: &mut Grouped) -> Result<&'a [u8], Missed> {
    if body.is_cut {
        grouped.find_before_cut(body.bytes).ok_or(Missed::BodyCut)
    } else {
        grouped.find(body.bytes).ok_or(Missed::NoMatch)
    }
}

fn take_json(body: Content<'_>, path: &Path, out: &mut Vec<u8>) -> Result<(), Missed> {
    let missed = |fault| match fault {
        Fault::Nowhere => Missed::NoValue,
        Fault::Ended if body.is_cut => Missed::BodyCut,
        Fault::Ended | Fault::NotJson => Missed::NotJson,
        Fault::TooDeep => Missed::TooDeep,
    };
    let text = match json::find(body.bytes, body.is_cut, path).map_err(missed)? {
        Value::Text(text) => text,
        Value::Number(value) | Value::Bool(value) | Value::Null(value) | Value::Nested(value) => {
            return put(value, out);
        }
    };
    // What is escaped is no shorter than what it says.
    if text.between.len() > VALUE_BYTES_MAX {
        return Err(Missed::TooLong);
    }
    let read = text.unescape(|piece| out.extend_from_slice(piece));
    read.map_err(|fault| {
        out.clear();
        missed(fault)
    })
}
