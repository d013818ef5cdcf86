//! HTTP/1.1, the client's side of one connection: keep-alive, pipelining, and the refusal to guess.
//!
//! ```text
//!              1xx: Interim          content: Body
//!                 ┌────┐                ┌────┐
//!                 │    ▼  final: Head   │    ▼
//!  start ───────► State::Head ────────► State::Body ──────► Done { Keep } ──► State::Head
//!                 │                     │          └──────► Done { Close } ─► State::Closed
//!                 └──── a violation ◄───┘
//!                            ▼
//!                      State::Failed: every later call returns the same error
//! ```
//!
//! A connection knows its outstanding requests only as a queue of bits: does the response to this
//! one have a body? Bytes that no request asked for, a body whose end is in doubt, a line that two
//! recipients could read differently: each ends the connection with a named error, for after a
//! wrong guess every later response would be matched to the wrong request, and measured.

mod body;
mod fields;
mod head;
mod recall;

use crate::error::{ErrorKind, ProtocolError, StartError};
use crate::event::{Done, Event, Head, Phase, Reuse};
use crate::limits::{INTERIM_MAX, PIPELINE_MAX};
use crate::lines::{FieldLines, Kept};
use crate::request::Expect;
use alloc::boxed::Box;
use body::{Body, Framing, Progress};
use core::num::NonZeroU8;
use head::{HeadReader, ResponseHead};

pub(crate) use fields::read_length;
pub use recall::Recall;

/// The client's side of one HTTP/1.1 connection.
///
/// At most 128 bytes; allocates only when a response head is split over several inputs, and keeps
/// that buffer for the next one, or when [`keep_fields`](Self::keep_fields) asks for it.
#[derive(Debug)]
pub struct Conn {
    queue: Queue,
    state: State,
    head: HeadReader,
    /// `None` until the owner has asked for field lines.
    kept: Option<Box<Kept>>,
    depth: u8,
    /// Interim responses read since the last final one.
    interim: u8,
    /// Whether no request may start any more: either side has announced the end of the connection.
    closing: bool,
    /// Whether the request asks for another protocol.
    upgrade: bool,
    /// Whether the owner is told of content.
    tells_content: bool,
}

const _: () = assert!(size_of::<Conn>() <= 128);

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between responses or within a head.
    Head,
    /// Within the body of the oldest outstanding exchange.
    Body { body: Body, reuse: Reuse },
    /// After the last response of this connection, or after the peer's orderly end.
    Closed,
    /// After a violation, which happened in this phase.
    Failed(ProtocolError, Phase),
}

/// The outstanding requests, oldest first: one bit each, set when no body may follow the head.
#[derive(Debug, Clone, Copy)]
struct Queue {
    bodyless: u128,
    length: u8,
}

impl Queue {
    fn push(&mut self, bodyless: bool) {
        debug_assert!(self.length < PIPELINE_MAX, "the depth is at most PIPELINE_MAX");
        self.bodyless |= u128::from(bodyless) << self.length;
        self.length += 1;
    }

    fn pop(&mut self) {
        debug_assert!(self.length > 0, "an exchange ends only if one was outstanding");
        self.bodyless >>= 1;
        self.length -= 1;
    }

    const fn oldest_expects_body(self) -> bool {
        self.bodyless & 1 == 0
    }
}

impl Conn {
    /// Makes the state of a fresh connection that takes up to `depth` requests at once, at most
    /// [`PIPELINE_MAX`].
    #[must_use]
    pub const fn new(depth: NonZeroU8) -> Self {
        let depth = if depth.get() > PIPELINE_MAX { PIPELINE_MAX } else { depth.get() };
        Self {
            queue: Queue { bodyless: 0, length: 0 },
            state: State::Head,
            head: HeadReader::new(),
            kept: None,
            depth,
            interim: 0,
            closing: false,
            upgrade: false,
            tells_content: true,
        }
    }

    /// Makes the state of a fresh connection whose only request asks for another protocol: a 101 is
    /// an [`Event::Interim`] then, and what follows it belongs to that protocol.
    #[must_use]
    pub const fn for_upgrade() -> Self {
        let mut conn = Self::new(NonZeroU8::MIN);
        conn.upgrade = true;
        conn
    }

    /// Returns how many requests may start now; 0 once the connection is closing, closed or failed.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        if self.closing { 0 } else { u32::from(self.depth - self.queue.length) }
    }

    /// Returns how many requests have started and not been answered to the end. Those that a closed
    /// or failed connection leaves behind will never be.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        u32::from(self.queue.length)
    }

    /// Returns where the oldest outstanding exchange stands; on a failed connection, where it stood
    /// when the violation was met.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Body { .. } => Phase::Body,
            State::Failed(_, phase) => phase,
            _ if self.queue.length == 0 => Phase::Idle,
            _ if self.head.is_within_head() || self.interim > 0 => Phase::Head,
            _ => Phase::AwaitingHead,
        }
    }

    /// Returns whether a body is being read that nothing but the end of the connection ends.
    #[must_use]
    pub const fn lasts_until_end(&self) -> bool {
        matches!(self.state, State::Body { body: Body::UntilClose, .. })
    }

    /// Says whether the field lines of final responses are kept, from the next head on.
    ///
    /// They are not, at first. May change between exchanges; a change forgets those of the last
    /// one. The first time that it is wanted allocates, as does a head with more in it than those
    /// before.
    pub fn keep_fields(&mut self, wanted: bool) {
        if wanted || self.kept.is_some() {
            self.kept.get_or_insert_default().want(wanted);
        }
    }

    /// Says whether [`Event::Body`] is told, from the next piece on. It is, at first; where it is
    /// not, content is judged all the same.
    pub fn tell_content(&mut self, wanted: bool) {
        self.tells_content = wanted;
    }

    /// Returns the field lines of the final response whose head was reported last, until the head
    /// of the next one is; none if they are not [kept](Self::keep_fields).
    #[must_use]
    pub fn fields(&self) -> FieldLines<'_> {
        self.kept.as_deref().map(Kept::view).unwrap_or_default()
    }

    /// Notes that a request was sent, of which `expect` is
    /// [`Request::expects`](crate::Request::expects).
    ///
    /// # Errors
    /// [`StartError`] when [`capacity`](Self::capacity) is 0; nothing changes then.
    pub fn start(&mut self, expect: Expect) -> Result<(), StartError> {
        if self.closing {
            return Err(StartError::Closing);
        }
        if self.queue.length >= self.depth {
            return Err(StartError::Full);
        }
        self.queue.push(!expect.body);
        // RFC 9112 section 9.6: a client must not send further requests after `close`.
        self.closing = expect.close;
        Ok(())
    }

    /// Consumes from the front of `input` and returns the next event; `None` when all of `input` is
    /// consumed and more is needed.
    ///
    /// O(bytes consumed). Call it until it returns `None`, with the same `input`: an exchange may
    /// end without another byte. `recall` only saves time: it may be fresh, or shared with any
    /// other connections.
    ///
    /// # Errors
    /// [`ProtocolError`] on the first violation, and again on every later call; what is left of
    /// `input` is meaningless then.
    #[inline]
    pub fn receive<'b>(
        &mut self,
        input: &mut &'b [u8],
        recall: &mut Recall,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let event = match &mut self.state {
            State::Body { body, reuse } => {
                let reuse = *reuse;
                // Each round consumes input.
                loop {
                    break match body.receive(input) {
                        Ok(Progress::More) => Ok(None),
                        Ok(Progress::Content(_)) if !self.tells_content => continue,
                        Ok(Progress::Content(content)) => Ok(Some(Event::Body(content))),
                        Ok(Progress::Complete) => Ok(Some(self.complete(reuse))),
                        Err(kind) => Err(kind),
                    };
                }
            }
            State::Failed(error, _) => return Err(*error),
            State::Head | State::Closed if input.is_empty() => Ok(None),
            State::Head if self.queue.length > 0 => self.receive_head(input, recall),
            // RFC 9112 section 9.2: not to be taken for a response to a later request.
            State::Head | State::Closed => Err(ErrorKind::UnsolicitedBytes),
        };
        event.map_err(|kind| self.fail(kind))
    }

    /// Notes that the peer closed its side: this ends a body that lasts until the close.
    ///
    /// Returns the last event, or `None` when nothing was outstanding. No more requests may start.
    ///
    /// # Errors
    /// [`ErrorKind::TruncatedWait`], [`TruncatedHead`](ErrorKind::TruncatedHead) or
    /// [`TruncatedBody`](ErrorKind::TruncatedBody) when an exchange was cut short; the earlier
    /// error of a failed connection.
    pub fn receive_end(&mut self) -> Result<Option<Event<'static>>, ProtocolError> {
        // RFC 9112 section 8: a response cut short is incomplete, and must not pass for a complete
        // one.
        let kind = match (self.state, self.phase()) {
            (State::Failed(error, _), _) => return Err(error),
            (State::Body { body: Body::UntilClose | Body::Length(0), .. }, _) => {
                return Ok(Some(self.complete(Reuse::Close)));
            }
            (_, Phase::Idle) => {
                self.state = State::Closed;
                self.closing = true;
                return Ok(None);
            }
            (_, Phase::AwaitingHead) => ErrorKind::TruncatedWait,
            (_, Phase::Head) => ErrorKind::TruncatedHead,
            (_, Phase::Body) => ErrorKind::TruncatedBody,
        };
        Err(self.fail(kind))
    }

    fn receive_head<'b>(
        &mut self,
        input: &mut &'b [u8],
        recall: &mut Recall,
    ) -> Result<Option<Event<'b>>, ErrorKind> {
        let whole = *input;
        let head = if let Some(head) = self.head.receive_whole(input, recall) {
            if let Some(kept) = &mut self.kept {
                let length = whole.len() - input.len();
                head.keep(kept, whole.get(..length).unwrap_or_default());
            }
            head
        } else {
            let Some(head) = self.head.receive_lines(input, self.kept.as_deref_mut())? else {
                return Ok(None);
            };
            head
        };
        if head.status < 200 {
            return self.receive_interim(&head).map(Some);
        }
        self.interim = 0;
        let Framing { body, reuse } = Framing::of(&head, self.queue.oldest_expects_body())?;
        self.state = State::Body { body, reuse };
        self.closing |= reuse != Reuse::Keep;
        Ok(Some(Event::Head(Head { status: head.status, version: head.version })))
    }

    /// Counts an interim response, which has no body whatever its fields say (RFC 9110 section
    /// 15.2).
    #[cold]
    fn receive_interim(&mut self, head: &ResponseHead) -> Result<Event<'static>, ErrorKind> {
        // RFC 9110 section 7.8: a server must not switch unasked.
        if head.status == 101 && !self.upgrade {
            return Err(ErrorKind::UnexpectedUpgrade);
        }
        if self.interim == INTERIM_MAX {
            return Err(ErrorKind::TooManyInterim);
        }
        self.interim += 1;
        Ok(Event::Interim { status: head.status })
    }

    /// Ends the oldest outstanding exchange.
    fn complete(&mut self, reuse: Reuse) -> Event<'static> {
        self.queue.pop();
        // When this side asked for the close, the last response is the end even if the peer did not
        // say so.
        let last = self.closing && self.queue.length == 0;
        let reuse = if reuse == Reuse::Keep && last { Reuse::Close } else { reuse };
        if reuse == Reuse::Keep {
            self.state = State::Head;
        } else {
            self.state = State::Closed;
            self.closing = true;
        }
        Event::Done(Done { reuse })
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind) -> ProtocolError {
        let error = ProtocolError::from(kind);
        // What was read in the state of waiting for a head was meant to be one.
        let phase = match self.phase() {
            Phase::AwaitingHead if kind != ErrorKind::TruncatedWait => Phase::Head,
            phase => phase,
        };
        self.state = State::Failed(error, phase);
        self.closing = true;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{GET, HEAD, Transcript};
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, fs, path::Path};

    /// Reads `stream` as the responses to `requests`, and compares with the line that
    /// [`Transcript`] makes of it.
    #[track_caller]
    fn check_all(requests: &[Expect], stream: impl AsRef<[u8]>, expected: &str) {
        assert_eq!(Transcript::of(requests, [stream.as_ref()]).to_string(), expected);
        let split = Transcript::of(requests, stream.as_ref().chunks(1));
        assert_eq!(split.to_string(), expected, "byte by byte");
    }

    #[track_caller]
    fn check(stream: impl AsRef<[u8]>, expected: &str) {
        check_all(&[GET], stream, expected);
    }

    /// Puts `fields`, each with its line end, and `rest` behind a plain status line.
    fn ok(fields: &str, rest: &str) -> String {
        format!("HTTP/1.1 200 OK\r\n{fields}\r\n{rest}")
    }

    #[test]
    fn a_failed_connection_remembers_how_far_it_had_come() {
        let phase_after = |stream: &str| {
            let mut conn = Conn::new(NonZeroU8::MIN);
            conn.start(GET).unwrap();
            let mut input = stream.as_bytes();
            while conn.receive(&mut input, &mut Recall::new()).unwrap_or(None).is_some() {}
            assert_eq!(conn.capacity(), 0);
            conn.phase()
        };
        assert_eq!(phase_after("garbage\r\n\r\n"), Phase::Head);
        let chunked = ok("Transfer-Encoding: chunked\r\n", "x\r\n");
        assert_eq!(phase_after(&chunked), Phase::Body);
        assert_eq!(phase_after(&ok("Content-Length: 0\r\n", "more")), Phase::Idle);
    }

    fn conn(depth: u8) -> Conn {
        Conn::new(NonZeroU8::new(depth).unwrap())
    }

    #[test]
    fn wire_images_read_as_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wire");
        let origins = fs::read_to_string(folder.join("../README.md")).unwrap();
        let listed = [
            ("bare-lf", "!bare_lf"),
            ("chunk-size-beyond", "200 !bad_chunk_size"),
            ("chunk-without-end", "200 \"hello\" !bad_chunk_end"),
            ("chunked", "200 \"MozillaDeveloper Network\" keep !truncated_wait"),
            ("chunked-and-length", "200 \"hello\" doubtful !truncated_wait"),
            ("chunked-empty", "404 keep !truncated_wait"),
            ("close", "503 \"busy\" close !truncated_wait"),
            ("empty-line-first", "!leading_whitespace"),
            ("http09", "!bad_status_line"),
            ("http2-preface", "!bad_status_line"),
            ("interim", "100 103 200 keep !truncated_wait"),
            ("length", "200 \"Hello, world!\" keep !truncated_wait"),
            ("length-beyond", "!bad_length"),
            ("length-conflict", "!conflicting_length"),
            ("length-http10-keep", "200/1.0 \"ok\" keep !truncated_wait"),
            ("length-repeated", "200 \"hello\" keep !truncated_wait"),
            ("no-content", "204 keep 304 keep 200 \".\" keep"),
            ("obs-fold", "!obs_fold"),
            ("pipeline", "200 \"a\" keep 200 keep 200 \"c\" keep"),
            ("space-before-colon", "!space_before_colon"),
            ("split-response", "200 keep 200 keep !unsolicited_bytes"),
            ("ssh", "!bad_status_line"),
            ("switching", "!unexpected_upgrade"),
            ("timeout-when-idle", "408 close !truncated_wait"),
            ("tls-alert", "!bad_status_line"),
            ("until-close", "200 \"as much as comes\\n\" close"),
            ("until-close-http10", "200/1.0 \"\\x00\\xff\\r\\n\\r\\n\" close"),
        ];
        for (name, expected) in listed {
            let bytes = fs::read(folder.join(format!("{name}.http"))).unwrap();
            // Two requests show what is left of the connection; the pipelines need three, with a
            // HEAD.
            let requests: &[Expect] = match name {
                "no-content" | "pipeline" => &[GET, HEAD, GET],
                "split-response" => &[GET, HEAD],
                _ => &[GET, GET],
            };
            assert_eq!(Transcript::of(requests, [&*bytes]).to_string(), expected, "{name}");
            assert!(origins.contains(&format!("`wire/{name}.http`")), "{name} has no origin");
        }
        assert_eq!(fs::read_dir(folder).unwrap().count(), listed.len());
    }

    // RFC 9110 section 15.2: a client parses interim responses before the final one, wanted or not.
    #[test]
    fn interim_responses_are_discarded_up_to_a_bound() {
        let interim =
            |count: u8| "HTTP/1.1 102 Wait\r\nContent-Length: 7\r\n\r\n".repeat(count.into());
        let told = |count: u8| "102 ".repeat(count.into());
        let last = ok("Content-Length: 0\r\n", "");
        let (most, excess) = (INTERIM_MAX, INTERIM_MAX + 1);
        check(interim(most) + &last, &(told(most) + "200 keep"));
        check(interim(excess) + &last, &(told(most) + "!too_many_interim"));
        // The bound is per response.
        let twice = (interim(most) + &last).repeat(2);
        check_all(&[GET, GET], twice, &(told(most) + "200 keep " + &told(most) + "200 keep"));
    }

    // RFC 9110 section 7.8: a server must not switch to a protocol that was not asked for.
    #[test]
    fn switching_protocols_unasked_is_an_error() {
        check("HTTP/1.1 101 Switching\r\n\r\n", "!unexpected_upgrade");
    }

    // RFC 9112 section 6.3, rule 1.
    #[test]
    fn head_204_and_304_have_no_body_whatever_the_fields_say() {
        for fields in [
            "",
            "Content-Length: 5\r\n",
            "Content-Length: x\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            check_all(&[HEAD], ok(fields, ""), "200 keep");
            check(format!("HTTP/1.1 204 No Content\r\n{fields}\r\n"), "204 keep");
            check(format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n"), "304 keep");
        }
        let stream = "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello";
        check(stream, "204 keep !unsolicited_bytes");
    }

    // RFC 9110 section 15.3.6: a server must not generate content in a 205.
    #[test]
    fn a_205_has_no_body_and_must_not_announce_one() {
        let reset = |fields: &str, rest: &str| format!("HTTP/1.1 205 Reset\r\n{fields}\r\n{rest}");
        check(reset("", ""), "205 keep");
        check(reset("Content-Length: 0\r\n", ""), "205 keep");
        check(reset("Content-Length: 5\r\n", "hello"), "!unexpected_content");
        // An empty chunked body is a way to say so (RFC 9112 section 6.3 excepts no 205 from
        // chunking).
        check(reset("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), "205 keep");
    }

    // RFC 9112 section 6.3, rules 3 and 4, and section 6.1.
    #[test]
    fn transfer_encoding_overrides_length_and_must_end_in_chunked() {
        let body = "5\r\nhello\r\n0\r\n\r\n";
        let coded = |value: &str| ok(&format!("Transfer-Encoding: {value}\r\n"), body);
        for value in
            ["chunked", "CHUNKED", " chunked\t", "gzip, chunked", ",chunked,", "gzip;q=1,chunked"]
        {
            check(coded(value), "200 \"hello\" keep");
        }
        let until_close = format!("200 \"{}\" close", body.escape_debug());
        for value in ["gzip", "chunked, gzip", "identity", "xchunked", "chunked gzip"] {
            check(coded(value), &until_close);
        }
        // Section 7.1: chunked has no parameters, and is not applied twice.
        for value in [
            "",
            ",",
            "chunked, chunked",
            "chunked;a=b",
            "chunked,gzip,chunked",
            "gzip;a=\"b\"",
            ";a",
        ] {
            check(coded(value), "!bad_transfer_encoding");
        }
        check(
            ok("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", body),
            "200 \"hello\" keep",
        );
        // Rule 3: the coding wins, be the length valid or not, and the connection is not used
        // again.
        for length in ["3", "5", "x", "1, 2"] {
            let fields = format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n");
            check(ok(&fields, body), "200 \"hello\" doubtful");
        }
        // Section 6.1: in HTTP/1.0 the framing is taken for faulty, and the connection closed
        // afterwards.
        let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(format!("{old}{body}"), "200/1.0 \"hello\" doubtful");
    }

    // RFC 9112 section 6.3, rule 5, and RFC 9110 section 8.6.
    #[test]
    fn lengths_are_decimal_and_agree() {
        let read = |values: &[&str]| {
            let fields: String =
                values.iter().map(|value| ["Content-Length: ", value, "\r\n"].concat()).collect();
            Transcript::of(&[GET], [ok(&fields, "hello").as_bytes()]).to_string()
        };
        for values in
            [&["5"][..], &["5, 5"], &["5", "5"], &["5,5 ,\t5", "05"], &["0000000000000000000005"]]
        {
            assert_eq!(read(values), "200 \"hello\" keep", "{values:?}");
        }
        for values in [&["5, 6"][..], &["5", "6"], &["5", "5", "4"]] {
            assert_eq!(read(values), "!conflicting_length", "{values:?}");
        }
        for values in [
            "",
            "+5",
            "-5",
            "5.0",
            "0x5",
            "5 5",
            "five",
            "5,",
            ",5",
            "18446744073709551616",
            "99999999999999999999999",
        ] {
            assert_eq!(read(&[values]), "!bad_length", "{values:?}");
        }
        assert_eq!(read(&["18446744073709551615"]), "200 \"hello\" !truncated_body");
    }

    // RFC 9112 section 6.3, rule 8, and section 8.
    #[test]
    fn without_a_length_the_body_ends_with_the_connection() {
        check(ok("", "hello"), "200 \"hello\" close");
        check(ok("", ""), "200 close");
        check(ok("Connection: keep-alive\r\n", "hello"), "200 \"hello\" close");
    }

    // RFC 9112 section 9.3.
    #[test]
    fn persistence_follows_version_and_connection_options() {
        let read = |minor: u8, lines: &[&str]| {
            let fields: String =
                lines.iter().map(|line| ["Connection: ", line, "\r\n"].concat()).collect();
            let stream = format!("HTTP/1.{minor} 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
            let transcript = Transcript::of(&[GET], [stream.as_bytes()]).to_string();
            transcript.rsplit(' ').next().map(String::from)
        };
        for (minor, lines, reuse) in [
            (1, &[][..], "keep"),
            (1, &["keep-alive"], "keep"),
            (1, &["close"], "close"),
            (1, &["CLOSE"], "close"),
            (1, &["foo,\tClose ,bar"], "close"),
            (1, &["foo", "close"], "close"),
            (1, &["keep-alive, close"], "close"),
            (1, &["closed", "not close"], "keep"),
            (0, &[], "close"),
            (0, &["Keep-Alive"], "keep"),
            (0, &["foo", "bar, keep-alive"], "keep"),
            (0, &["keep-alive", "close"], "close"),
        ] {
            assert_eq!(read(minor, lines).as_deref(), Some(reuse), "1.{minor} {lines:?}");
        }
    }

    // RFC 9112 section 9.6: no requests after `close`, and no responses either.
    #[test]
    fn a_request_that_asks_for_close_is_the_last() {
        let mut conn = conn(4);
        assert_eq!(conn.start(GET), Ok(()));
        assert_eq!(conn.start(Expect { body: true, close: true }), Ok(()));
        assert_eq!(conn.capacity(), 0);
        assert_eq!(conn.start(GET), Err(StartError::Closing));
        let stream = ok("Content-Length: 0\r\n", "").repeat(2);
        let mut input = stream.as_bytes();
        let mut reuses = Vec::new();
        while let Some(event) = conn.receive(&mut input, &mut Recall::new()).unwrap() {
            if let Event::Done(done) = event {
                reuses.push(done.reuse);
            }
        }
        assert_eq!(reuses, [Reuse::Keep, Reuse::Close]);
        assert_eq!(conn.receive_end(), Ok(None));
    }

    #[test]
    fn a_response_that_announces_close_stops_further_requests_at_its_head() {
        let mut conn = conn(2);
        conn.start(GET).unwrap();
        let stream = ok("Connection: close\r\nContent-Length: 1\r\n", "");
        assert!(conn.receive(&mut stream.as_bytes(), &mut Recall::new()).unwrap().is_some());
        assert_eq!((conn.capacity(), conn.phase()), (0, Phase::Body));
        assert_eq!(conn.start(GET), Err(StartError::Closing));
    }

    // RFC 9112 section 9.3.2: responses come in the order of the requests.
    #[test]
    fn the_pipeline_holds_as_many_requests_as_its_depth() {
        let mut conn = conn(u8::MAX);
        assert_eq!(conn.capacity(), u32::from(PIPELINE_MAX));
        let kinds: Vec<Expect> =
            (0..PIPELINE_MAX).map(|at| if at % 3 == 0 { HEAD } else { GET }).collect();
        for kind in &kinds {
            assert_eq!(conn.start(*kind), Ok(()));
        }
        assert_eq!((conn.capacity(), conn.start(GET)), (0, Err(StartError::Full)));
        for kind in kinds {
            let stream = ok("Content-Length: 1\r\n", if kind.body { "." } else { "" });
            let mut input = stream.as_bytes();
            let mut bodies = 0;
            while let Some(event) = conn.receive(&mut input, &mut Recall::new()).unwrap() {
                bodies += u8::from(event == Event::Body(b"."));
            }
            assert_eq!(bodies, u8::from(kind.body));
        }
        assert_eq!((conn.outstanding(), conn.phase()), (0, Phase::Idle));
    }

    // RFC 9112 section 9.2: bytes beyond the last expected response are not a response to a later
    // request.
    #[test]
    fn bytes_that_no_request_asked_for_are_an_error() {
        check_all(&[], "H", "!unsolicited_bytes");
        check(ok("Content-Length: 1\r\n", "a\r\n"), "200 \"a\" keep !unsolicited_bytes");
        check(
            ok("Connection: close\r\nContent-Length: 1\r\n", "ab"),
            "200 \"a\" close !unsolicited_bytes",
        );
    }

    // RFC 9112 section 8.
    #[test]
    fn an_early_end_is_named_by_the_part_it_cut() {
        check_all(&[], "", "");
        check("", "!truncated_wait");
        check("HTTP/1.1 100 Continue\r\n\r\n", "100 !truncated_head");
        check("HTTP/1.1 200 OK\r\n", "!truncated_head");
        check(ok("Content-Length: 5\r\n", "hell"), "200 \"hell\" !truncated_body");
        for rest in
            ["", "5", "5\r\n", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\nA: b\r\n"]
        {
            let content = if rest.contains("hello") { "\"hello\" " } else { "" };
            let expected = format!("200 {content}!truncated_body");
            check(ok("Transfer-Encoding: chunked\r\n", rest), &expected);
        }
    }

    #[test]
    fn the_phase_tells_what_is_awaited() {
        let mut conn = conn(1);
        assert_eq!(conn.phase(), Phase::Idle);
        conn.start(GET).unwrap();
        assert_eq!(conn.phase(), Phase::AwaitingHead);
        for (bytes, phase) in [
            ("HTTP/1.1 100 Continue\r\n\r\n", Phase::Head),
            ("HTTP/1.1 200 OK\r\nContent-", Phase::Head),
            ("Length: 2\r\n\r\n", Phase::Body),
            ("a", Phase::Body),
            ("b", Phase::Idle),
        ] {
            let mut input = bytes.as_bytes();
            while conn.receive(&mut input, &mut Recall::new()).unwrap().is_some() {}
            assert_eq!(conn.phase(), phase, "after {bytes:?}");
        }
        conn.start(GET).unwrap();
        assert_eq!(conn.phase(), Phase::AwaitingHead);
    }

    #[test]
    fn a_failed_connection_repeats_its_error() {
        let mut conn = conn(2);
        conn.start(GET).unwrap();
        let error = conn.receive(&mut &b"nonsense"[..], &mut Recall::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadStatusLine);
        assert_eq!(
            conn.receive(&mut &b"HTTP/1.1 200 OK\r\n\r\n"[..], &mut Recall::new()),
            Err(error)
        );
        assert_eq!(conn.receive(&mut &b""[..], &mut Recall::new()), Err(error));
        assert_eq!(conn.receive_end(), Err(error));
        assert_eq!((conn.capacity(), conn.start(GET)), (0, Err(StartError::Closing)));
    }

    #[test]
    fn content_is_lent_where_it_lies() {
        let mut conn = conn(1);
        conn.start(GET).unwrap();
        let stream = ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
        let mut input = stream.as_bytes();
        let mut lent = false;
        while let Some(event) = conn.receive(&mut input, &mut Recall::new()).unwrap() {
            if let Event::Body(content) = event {
                lent = stream.as_bytes().as_ptr_range().contains(&content.as_ptr());
            }
        }
        assert!(lent);
        assert_eq!(conn.head.carry_bytes(), 0, "a head that comes whole allocates nothing");
    }
}
