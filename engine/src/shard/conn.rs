//! One connection of a shard, from nothing to open and back.
//!
//! ```text
//!           connect              established                ready
//!  Closed ────────► Connecting ────────────► Opening ──────────────► Open ──┐ requests
//!   ▲ ▲ ▲               │          proxy, TLS, │  (skipped where      │  ▲──┘ and responses
//!   │ │ └─── refused ───┘    upgrade, settle   │   nothing is asked)  │
//!   │ └───────── failed, timed out ────────────┘                      │
//!   └──────────────── ended, broken, timed out, spent ────────────────┘
//! ```

use core::num::{NonZeroU8, NonZeroU16};

use pummel_proto_http::{Phase as HttpPhase, Stored, h1, h2};

use crate::reactor::Errno;
use crate::record::{Phase, TlsTrouble, Trouble};
use crate::tls::Session;
use crate::units::Instant;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is none; the shard has it in hand to connect again.
    Closed,
    /// Being established since then.
    Connecting(Instant),
    /// Established, and not ready for requests.
    Opening(Opening),
    /// Ready for requests.
    Open,
}

/// How far a connection is on the way from established to ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// When it was begun to be established.
    pub(super) since: Instant,
    /// When it was.
    pub(super) established: Instant,
    /// What it waits for.
    pub(super) step: Step,
    /// Since when: since its first byte was sent, once `begun`.
    pub(super) began: Instant,
    pub(super) begun: bool,
}

/// What a connection waits for before it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The proxy's answer.
    Proxy,
    /// The end of the TLS handshake.
    Tls,
    /// The server's change to HTTP/2.
    Upgrade,
    /// The server's first word in HTTP/2, if it has never been heard: whether it speaks it at all
    /// is known before a request is sent.
    Settle,
}

impl Step {
    /// The phase in which it is when it fails.
    pub(super) const fn phase(self) -> Phase {
        match self {
            Self::Proxy => Phase::Proxy,
            Self::Tls => Phase::Tls,
            Self::Upgrade => Phase::Upgrade,
            Self::Settle => Phase::Settle,
        }
    }
}

/// What a connection has been through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Its first attempt is not over.
    Untried,
    /// It has failed at every address, and was never ready.
    Failed,
    /// It was ready at least once.
    Opened,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Fate {
    /// It lives on.
    Keep,
    /// It has become ready for requests.
    Ready,
    /// It will never be ready.
    Unready(Trouble),
    /// The shard closes it.
    Close,
}

/// What is spoken on a connection.
pub(super) enum Http {
    /// HTTP/1.x: answers in order.
    One(h1::Conn),
    /// HTTP/2: answers by stream.
    Two(Box<h2::Conn>),
}

impl Http {
    /// HTTP/1.x with up to `depth` requests at once.
    pub(super) const fn one(depth: NonZeroU8) -> Self {
        Self::One(h1::Conn::new(depth))
    }

    /// HTTP/2 with up to `streams` requests at once.
    pub(super) fn two(streams: NonZeroU16) -> Self {
        Self::Two(Box::new(h2::Conn::new(streams)))
    }

    /// Has the fields of responses kept, if they are `wanted`: from now on by HTTP/2, whose
    /// responses come in any order, and for the next one by HTTP/1.x.
    pub(super) fn keep_fields(&mut self, wanted: bool) {
        match self {
            Self::One(http) => http.keep_fields(wanted),
            Self::Two(http) if wanted => http.keep_fields(true),
            Self::Two(_) => {}
        }
    }

    /// Says whether the content of responses is told of.
    pub(super) fn tell_content(&mut self, wanted: bool) {
        match self {
            Self::One(http) => http.tell_content(wanted),
            Self::Two(http) => http.tell_content(wanted),
        }
    }

    /// Requests that may start now.
    pub(super) fn capacity(&self) -> u32 {
        match self {
            Self::One(http) => http.capacity(),
            Self::Two(http) => http.capacity(),
        }
    }

    /// Requests that have started and are not answered.
    pub(super) fn outstanding(&self) -> u32 {
        match self {
            Self::One(http) => http.outstanding(),
            Self::Two(http) => http.outstanding(),
        }
    }
}

/// What goes out on a connection.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Bytes of the send that is pending, if one is; nothing more may be sent until it is done.
    pub(super) sending: Option<usize>,
    /// The send failed with this; what the peer has said before may still arrive.
    pub(super) failure: Option<Errno>,
    /// Handshakes and the like, which could not be sent yet.
    pub(super) unsent: Vec<u8>,
    /// Bytes of HTTP/1.x requests that have started and are still to be written.
    pub(super) owed: usize,
    /// Those requests, where they differ: what is owed is the end of it.
    pub(super) requests: Vec<u8>,
    /// The body behind the only one of them, where that is read as it is sent.
    pub(super) stored: Option<Stored>,
    /// A request has started since the last page.
    pub(super) asks: bool,
    /// A page was sent of which nothing is known until its request is answered.
    pub(super) unproven: bool,
    /// The connection stands in the shard's list of those that have something to say.
    pub(super) listed: bool,
}

/// One connection.
pub(super) struct Connection {
    /// The number of the server that it leads to.
    pub(super) origin: u16,
    pub(super) state: State,
    pub(super) http: Http,
    pub(super) tls: Option<Box<Session>>,
    /// What leads through a proxy that is spoken to in HTTP/2; all else is inside of it.
    pub(super) tunnel: Option<Box<h2::Tunnel>>,
    pub(super) outgoing: Outgoing,
    /// HTTP/1.x: when the first byte of the response that is arriving was reaped.
    pub(super) first_byte: Option<Instant>,
    /// HTTP/1.x: status of the response that is arriving.
    pub(super) status: u16,
    /// When the peer last sent anything.
    pub(super) heard: Instant,
    /// It takes no more requests, and is closed when those that it has are answered.
    pub(super) spent: bool,
    /// The peer has told of its end, which is counted.
    pub(super) leaving: bool,
    /// The connection stands in the shard's line of free ones.
    pub(super) in_line: bool,
    /// Since when it has had room for a request.
    pub(super) free_since: Instant,
    pub(super) past: Past,
    /// Attempts since the peer last sent anything, which bound how soon the next one may follow.
    pub(super) attempts: u8,
    /// Which of its server's addresses is tried.
    pub(super) address: usize,
}

impl Connection {
    pub(super) fn new(depth: NonZeroU8, origin: u32) -> Self {
        Self {
            // There are no more than 1,024.
            origin: u16::try_from(origin).unwrap_or_default(),
            state: State::Closed,
            http: Http::one(depth),
            tls: None,
            tunnel: None,
            outgoing: Outgoing::default(),
            first_byte: None,
            status: 0,
            heard: Instant::from_origin(0),
            spent: false,
            leaving: false,
            in_line: false,
            free_since: Instant::from_origin(0),
            past: Past::Untried,
            attempts: 0,
            address: 0,
        }
    }

    /// Requests that may start now.
    #[inline]
    pub(super) fn room(&self) -> u32 {
        if self.state != State::Open || self.spent || self.outgoing.failure.is_some() {
            return 0;
        }
        match &self.http {
            Http::One(_) if self.outgoing.sending.is_some() || self.outgoing.owed > 0 => 0,
            http => http.capacity(),
        }
    }

    /// Whether there is something to be sent that nobody has asked for.
    pub(super) fn has_to_say(&self) -> bool {
        let said = match &self.http {
            Http::One(_) => self.outgoing.owed > 0,
            Http::Two(http) => http.wants_transmit(),
        };
        let said = said || !self.outgoing.unsent.is_empty();
        match &self.tunnel {
            None => said,
            Some(tunnel) => tunnel.wants_transmit() || said && tunnel.takes(),
        }
    }

    /// Whether it has done what it was there for.
    pub(super) fn is_over(&self) -> bool {
        let finished = match &self.http {
            Http::One(_) => false,
            Http::Two(http) => http.is_finished(),
        };
        finished || (self.spent && self.http.outstanding() == 0)
    }

    /// Whether the keys of TLS are worn, and nobody needs them any more.
    pub(super) fn is_worn_out(&self) -> bool {
        let worn = self.tls.as_deref().is_some_and(Session::is_worn);
        worn && self.state == State::Open && self.is_over()
    }

    /// Whether nothing can be missing if the connection ends here without a word of TLS: what lasts
    /// until the end may have been cut short by anybody (RFC 9112 section 9.8).
    pub(super) fn is_complete(&self) -> Result<(), TlsTrouble> {
        let open_ended = match &self.http {
            Http::One(http) => http.lasts_until_end(),
            Http::Two(_) => false,
        };
        if open_ended { Err(TlsTrouble::Truncated) } else { Ok(()) }
    }

    /// Forgets the life that is over.
    pub(super) fn end(&mut self, depth: NonZeroU8) {
        self.state = State::Closed;
        self.http = Http::one(depth);
        self.tls = None;
        self.tunnel = None;
        let Outgoing { listed, mut requests, .. } = core::mem::take(&mut self.outgoing);
        requests.clear();
        self.outgoing = Outgoing { requests, listed, ..Outgoing::default() };
        self.first_byte = None;
        (self.spent, self.leaving) = (false, false);
    }
}

/// The phase of a request, as HTTP knows it.
pub(super) const fn phase_of(phase: HttpPhase) -> Phase {
    match phase {
        HttpPhase::Idle => Phase::Idle,
        HttpPhase::AwaitingHead => Phase::Wait,
        HttpPhase::Head => Phase::Head,
        HttpPhase::Body => Phase::Body,
    }
}
