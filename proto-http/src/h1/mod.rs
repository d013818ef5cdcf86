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

use crate::error::{ErrorKind, ProtocolError, StartError};
use crate::event::{Done, Event, Head, Phase, Reuse};
use crate::limits::{INTERIM_MAX, PIPELINE_MAX};
use crate::request::Expect;
use body::{Body, Framing, Progress};
use core::num::NonZeroU8;
use head::{HeadReader, ResponseHead};

/// The client's side of one HTTP/1.1 connection.
///
/// At most 128 bytes; allocates only when a response head is split over several inputs, and keeps
/// that buffer for the next one.
#[derive(Debug)]
pub struct Conn {
    queue: Queue,
    state: State,
    head: HeadReader,
    depth: u8,
    /// Interim responses read since the last final one.
    interim: u8,
    /// Whether no request may start any more: either side has announced the end of the connection.
    closing: bool,
}

const _: () = assert!(size_of::<Conn>() <= 128);

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between responses or within a head.
    Head,
    /// Within the body of the oldest outstanding exchange.
    Body { body: Body, persists: bool },
    /// After the last response of this connection, or after the peer's orderly end.
    Closed,
    /// After a violation.
    Failed(ProtocolError),
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
            depth,
            interim: 0,
            closing: false,
        }
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

    /// Returns where the oldest outstanding exchange stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Body { .. } => Phase::Body,
            _ if self.queue.length == 0 => Phase::Idle,
            _ if self.head.is_within_head() || self.interim > 0 => Phase::Head,
            _ => Phase::AwaitingHead,
        }
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
    /// end without another byte.
    ///
    /// # Errors
    /// [`ProtocolError`] on the first violation, and again on every later call; what is left of
    /// `input` is meaningless then.
    #[inline]
    pub fn receive<'b>(
        &mut self,
        input: &mut &'b [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let event = match &mut self.state {
            State::Body { body, persists } => {
                let persists = *persists;
                match body.receive(input) {
                    Ok(Progress::More) => Ok(None),
                    Ok(Progress::Content(content)) => Ok(Some(Event::Body(content))),
                    Ok(Progress::Complete) => Ok(Some(self.complete(persists))),
                    Err(kind) => Err(kind),
                }
            }
            State::Failed(error) => return Err(*error),
            State::Head | State::Closed if input.is_empty() => Ok(None),
            State::Head if self.queue.length > 0 => self.receive_head(input),
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
            (State::Failed(error), _) => return Err(error),
            (State::Body { body: Body::UntilClose | Body::Length(0), .. }, _) => {
                return Ok(Some(self.complete(false)));
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

    fn receive_head<'b>(&mut self, input: &mut &'b [u8]) -> Result<Option<Event<'b>>, ErrorKind> {
        let Some(head) = self.head.receive(input)? else {
            return Ok(None);
        };
        if head.status < 200 {
            return self.receive_interim(&head).map(Some);
        }
        self.interim = 0;
        let Framing { body, persists } = Framing::of(&head, self.queue.oldest_expects_body())?;
        self.state = State::Body { body, persists };
        self.closing |= !persists;
        Ok(Some(Event::Head(Head { status: head.status, version: head.version })))
    }

    /// Counts an interim response, which has no body whatever its fields say (RFC 9110 section
    /// 15.2).
    #[cold]
    fn receive_interim(&mut self, head: &ResponseHead) -> Result<Event<'static>, ErrorKind> {
        // RFC 9110 section 7.8: a server must not switch unasked, and no request asks (`Upgrade` is
        // refused).
        if head.status == 101 {
            return Err(ErrorKind::UnexpectedUpgrade);
        }
        if self.interim == INTERIM_MAX {
            return Err(ErrorKind::TooManyInterim);
        }
        self.interim += 1;
        Ok(Event::Interim { status: head.status })
    }

    /// Ends the oldest outstanding exchange.
    fn complete(&mut self, persists: bool) -> Event<'static> {
        self.queue.pop();
        // When this side asked for the close, the last response is the end even if the peer did not
        // say so.
        let reuse = if persists && !(self.closing && self.queue.length == 0) {
            self.state = State::Head;
            Reuse::Keep
        } else {
            self.state = State::Closed;
            self.closing = true;
            Reuse::Close
        };
        Event::Done(Done { reuse })
    }

    #[cold]
    fn fail(&mut self, kind: ErrorKind) -> ProtocolError {
        let error = ProtocolError::from(kind);
        self.state = State::Failed(error);
        self.closing = true;
        error
    }
}
