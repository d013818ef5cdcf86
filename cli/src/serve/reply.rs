//! What replies look like: rendered once at start, published to the reactor, sent by reference.
//!
//! Each status comes in three forms, after what becomes of the connection. The form for a
//! connection that persists without a word is published many times over, so that the answers to
//! pipelined requests leave in one send; an answer to `HEAD` is the same bytes up to the end of the
//! head.

use std::io;

use pummel_engine::reactor::{Close, Confirm, Payload, Reactor};

use super::coding::Coded;
use super::request::{Persistence, Refusal};

/// Most replies that leave in one send.
const COPIES_MAX: usize = 128;

/// Most bytes that replies are repeated for.
const COPIES_BYTES_MAX: usize = 64 * 1024;

/// Chunks that a chunked body has, unless it has fewer bytes.
pub(super) const CHUNKS: usize = 4;

/// A body is this, again and again.
pub(super) const TEXT: &[u8] = b"hello, world\n";

/// How replies are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Sent in turns. Never empty, each from 200 to 599.
    pub(super) statuses: Vec<u16>,
    /// Of the body, in its coding if it has one.
    pub(super) body_bytes: usize,
    /// The body, if it is in a coding.
    pub(super) coded: Option<Coded>,
    /// Whether the body is sent in chunks, to those who know chunks.
    pub(super) chunked: bool,
    /// Where redirects lead, if they say so.
    pub(super) location: Option<String>,
    pub(super) broken: Broken,
}

/// How a reply breaks the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Broken {
    /// The connection ends in the middle of the head
    HalfHead,
    /// The connection ends before the promised length is reached
    WrongLength,
    /// What comes is not HTTP
    #[default]
    Garbage,
}

/// Names a [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplyId(usize);

/// What a reply counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// A response with the status of this index among the distinct ones.
    Response(usize),
    /// An interim response.
    Interim,
    /// The refusal of something that is no request.
    Refusal,
    /// A reply cut by a reset.
    Reset,
    /// A reply that breaks the protocol.
    Broken,
}

impl Counts {
    /// Whether it answers a request that is counted as one.
    pub(super) const fn is_of_a_request(self) -> bool {
        !matches!(self, Self::Interim | Self::Refusal)
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) payload: Payload,
    /// Its place among the texts, where those are kept.
    pub(super) text: usize,
    /// Bytes of the head, and of the whole.
    pub(super) head_len: usize,
    pub(super) len: usize,
    /// How often it stands in the payload.
    pub(super) copies: usize,
    /// What ends the connection after it, if anything does.
    pub(super) end: Option<Close>,
    pub(super) counts: Counts,
}

/// Forms per status: three for what becomes of the connection, each with a body and without.
const FORMS: usize = 6;

/// All replies of a shard.
#[derive(Debug)]
pub(super) struct Replies {
    /// What was published, where it has to be sealed; else nothing.
    texts: Vec<Vec<u8>>,
    /// `FORMS` per distinct status, then the [`Other`] ones.
    all: Vec<Reply>,
    /// The statuses in the order of their turns, as places among the distinct ones.
    turns: Vec<usize>,
    statuses: usize,
}

/// Replies beside those with a status of choice, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    Continue,
    Malformed,
    TooLarge,
    Reset,
    Broken,
}

impl Replies {
    /// Renders all replies and publishes them to `reactor`; `keeps` their texts as well, or does
    /// not.
    ///
    /// # Errors
    /// If the reactor does not take them.
    pub(super) fn publish(
        reactor: &mut impl Reactor,
        shape: &Shape,
        keeps: bool,
    ) -> io::Result<Self> {
        let mut all = Vec::new();
        let mut texts = Vec::new();
        let mut publish = |text: Text, counts| {
            if keeps {
                texts.push(text.bytes.repeat(text.copies));
            }
            text.publish(reactor, texts.len().saturating_sub(1), counts)
        };
        let statuses = shape.distinct();
        for (index, &status) in statuses.iter().enumerate() {
            let counts = Counts::Response(index);
            for persistence in [Persistence::Implied, Persistence::Requested, Persistence::Ends] {
                let text = Text::of(shape, status, persistence);
                let reply = publish(text, counts)?;
                all.extend([reply, Reply { len: reply.head_len, copies: 1, ..reply }]);
            }
        }
        let status = shape.statuses.first().copied().unwrap_or(200);
        let reset = Text::of(shape, status, Persistence::Implied).cut(Close::Reset);
        let refusal = |status| Text::of(&Shape::refusal(), status, Persistence::Ends);
        for (text, counts) in [
            (Text::bare("HTTP/1.1 100 Continue\r\n\r\n"), Counts::Interim),
            (refusal(400), Counts::Refusal),
            (refusal(431), Counts::Refusal),
            (reset, Counts::Reset),
            (Text::broken(shape, status), Counts::Broken),
        ] {
            all.push(publish(text, counts)?);
        }
        let place = |status| statuses.binary_search(status).unwrap_or(0);
        let turns = shape.statuses.iter().map(place).collect();
        Ok(Self { texts, all, turns, statuses: statuses.len() })
    }

    /// What was published, in the order of [`Reply::text`].
    pub(super) fn texts(&self) -> &[Vec<u8>] {
        &self.texts
    }

    /// The reply of this name.
    #[expect(
        clippy::indexing_slicing,
        reason = "names are made below, for what `publish` has made"
    )]
    pub(super) fn get(&self, id: ReplyId) -> Reply {
        self.all[id.0]
    }

    /// The response to the request `number` of the shard.
    pub(super) fn response(&self, number: u64, body: bool, persistence: Persistence) -> ReplyId {
        let turn = usize::try_from(number % self.turns.len().max(1) as u64).unwrap_or(0);
        let status = self.turns.get(turn).copied().unwrap_or(0);
        ReplyId(status * FORMS + persistence as usize * 2 + usize::from(!body))
    }

    /// `100 Continue`.
    pub(super) fn interim(&self) -> ReplyId {
        self.other(Other::Continue)
    }

    /// The answer to what cannot be read.
    pub(super) fn refusal(&self, refusal: Refusal) -> ReplyId {
        self.other(match refusal {
            Refusal::Malformed => Other::Malformed,
            Refusal::TooLarge => Other::TooLarge,
        })
    }

    /// A reply that a reset cuts.
    pub(super) fn reset(&self) -> ReplyId {
        self.other(Other::Reset)
    }

    /// A reply that breaks the protocol.
    pub(super) fn broken(&self) -> ReplyId {
        self.other(Other::Broken)
    }

    fn other(&self, other: Other) -> ReplyId {
        ReplyId(self.statuses * FORMS + other as usize)
    }
}

impl Shape {
    /// Each status once, ascending.
    pub(super) fn distinct(&self) -> Vec<u16> {
        let mut statuses = self.statuses.clone();
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }

    /// Bytes of the body of a response with this status.
    pub(super) const fn body_of(&self, status: u16) -> usize {
        // RFC 9110, sections 15.3.5 and 15.4.5: neither has a body.
        if matches!(status, 204 | 304) { 0 } else { self.body_bytes }
    }

    /// The field Location of a response with this status: of those redirects that have one
    /// (RFC 9110 section 15.4).
    pub(super) fn location_of(&self, status: u16) -> Option<&str> {
        self.location.as_deref().filter(|_| matches!(status, 301..=303 | 307 | 308))
    }

    /// The coding of a response with this status, if it has a body in one.
    pub(super) fn coding_of(&self, status: u16) -> Option<&'static str> {
        let coded = self.coded.as_ref().filter(|_| self.body_of(status) > 0);
        coded.map(|coded| coded.name)
    }

    /// The first bytes of a body; what a coding has no more of is text.
    fn content(&self, len: usize) -> Vec<u8> {
        let coded = self.coded.as_ref().map_or(&[][..], |coded| &coded.bytes);
        coded.iter().chain(TEXT.iter().cycle()).copied().take(len).collect()
    }

    fn refusal() -> Self {
        let (statuses, broken) = (Vec::new(), Broken::default());
        Self { statuses, body_bytes: 0, coded: None, chunked: false, location: None, broken }
    }
}

/// A reply before it is published.
#[derive(Debug)]
struct Text {
    bytes: Vec<u8>,
    head_len: usize,
    copies: usize,
    end: Option<Close>,
}

impl Text {
    /// An ordinary response.
    fn of(shape: &Shape, status: u16, persistence: Persistence) -> Self {
        let body_bytes = shape.body_of(status);
        let chunked = shape.chunked && body_bytes > 0 && persistence != Persistence::Requested;
        let framing = match status {
            204 | 304 => String::new(),
            _ if chunked => "Transfer-Encoding: chunked\r\nTrailer: Served-By\r\n".to_owned(),
            _ => format!("Content-Length: {body_bytes}\r\n"),
        };
        let (connection, end) = match persistence {
            Persistence::Implied => ("", None),
            Persistence::Requested => ("Connection: keep-alive\r\n", None),
            Persistence::Ends => ("Connection: close\r\n", Some(Close::Finish)),
        };
        let reason = reason(status);
        let location = shape.location_of(status);
        let location = location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
        let coding = shape.coding_of(status);
        let coding = coding.map(|name| format!("Content-Encoding: {name}\r\n"));
        let coding = coding.unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\n\
             {coding}{location}{framing}{connection}\r\n"
        );
        let body = shape.content(body_bytes);
        let body = if chunked { in_chunks(&body) } else { body };
        let (head_len, len) = (head.len(), head.len() + body.len());
        let copies = match persistence {
            Persistence::Implied => (COPIES_BYTES_MAX / len).clamp(1, COPIES_MAX),
            Persistence::Requested | Persistence::Ends => 1,
        };
        Self { bytes: [head.into_bytes(), body].concat(), head_len, copies, end }
    }

    fn bare(text: &str) -> Self {
        Self { bytes: text.into(), head_len: text.len(), copies: 1, end: None }
    }

    /// Half of what there is of it: of the body, else of the head; then the connection ends.
    fn cut(self, end: Close) -> Self {
        let body_len = self.bytes.len() - self.head_len;
        let kept = if body_len > 1 { self.head_len + body_len / 2 } else { self.head_len / 2 };
        let mut bytes = self.bytes;
        bytes.truncate(kept);
        Self { head_len: kept, copies: 1, end: Some(end), bytes }
    }

    fn broken(shape: &Shape, status: u16) -> Self {
        match shape.broken {
            Broken::HalfHead => {
                let bare = Shape { body_bytes: 0, ..shape.clone() };
                Self::of(&bare, status, Persistence::Implied).cut(Close::Finish)
            }
            Broken::WrongLength => {
                // The bytes of a smaller body, after the promise of one that is twice as long.
                let longer = Shape {
                    body_bytes: shape.body_bytes.max(1) * 2,
                    chunked: false,
                    ..shape.clone()
                };
                Self::of(&longer, 200, Persistence::Implied).cut(Close::Finish)
            }
            Broken::Garbage => Self {
                end: Some(Close::Finish),
                ..Self::bare("\u{16}\u{3} this is no HTTP\r\n\r\n")
            },
        }
    }

    fn publish(
        self,
        reactor: &mut impl Reactor,
        place: usize,
        counts: Counts,
    ) -> io::Result<Reply> {
        let Self { bytes, head_len, copies, end } = self;
        let len = bytes.len();
        let payload = reactor.publish(bytes.repeat(copies), Confirm::Always)?;
        Ok(Reply { payload, text: place, head_len, len, copies, end, counts })
    }
}

/// `body` in chunks that carry an extension, and a trailer after them.
fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (part, chunk) in body.chunks(body.len().div_ceil(CHUNKS).max(1)).enumerate() {
        bytes.extend_from_slice(format!("{:x};part={part}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\nServed-By: pummel\r\n\r\n");
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(body_bytes: usize, chunked: bool) -> Shape {
        let (location, broken) = (None, Broken::default());
        Shape { statuses: vec![200], body_bytes, coded: None, chunked, location, broken }
    }

    fn text(shape: &Shape, status: u16, persistence: Persistence) -> String {
        String::from_utf8(Text::of(shape, status, persistence).bytes).unwrap()
    }

    #[test]
    fn the_plain_response_is_minimal() {
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n\
                        hello, world\n";
        assert_eq!(text(&shape(13, false), 200, Persistence::Implied), expected);
    }

    #[test]
    fn chunks_carry_extensions_and_a_trailer_and_add_up_to_the_body() {
        assert_eq!(
            String::from_utf8(in_chunks(b"hello, world\n")).unwrap(),
            "4;part=0\r\nhell\r\n4;part=1\r\no, w\r\n4;part=2\r\norld\r\n1;part=3\r\n\n\r\n\
             0\r\nServed-By: pummel\r\n\r\n"
        );
    }

    #[test]
    fn no_content_has_neither_a_length_nor_a_body() {
        let expected = "HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n";
        assert_eq!(text(&shape(13, true), 204, Persistence::Implied), expected);
    }

    #[test]
    fn http_1_0_is_told_that_the_connection_persists_and_gets_no_chunks() {
        let response = text(&shape(13, true), 200, Persistence::Requested);
        assert!(response.contains("Connection: keep-alive\r\n"), "{response}");
        assert!(response.contains("Content-Length: 13\r\n"), "{response}");
    }

    #[test]
    fn a_cut_response_lacks_a_part_of_its_body_or_of_its_head() {
        let whole = Text::of(&shape(100, false), 200, Persistence::Implied);
        let (head_len, cut) = (whole.head_len, whole.cut(Close::Reset));
        assert_eq!(cut.bytes.len(), head_len + 50);
        let bodyless = Text::of(&shape(0, false), 200, Persistence::Implied).cut(Close::Reset);
        assert!(!bodyless.bytes.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn what_is_repeated_stays_within_its_bounds() {
        for body_bytes in [0, 13, 1_000, 100_000, 1_000_000] {
            let text = Text::of(&shape(body_bytes, false), 200, Persistence::Implied);
            assert!(text.copies >= 1 && text.copies <= COPIES_MAX);
            assert!(text.copies == 1 || text.copies * text.bytes.len() <= COPIES_BYTES_MAX);
        }
    }
}
