//! From an established connection to one that is ready for requests: a tunnel through the proxy,
//! the TLS handshake, the change to HTTP/2, as far as the plan asks for them.

use core::num::{NonZeroU8, NonZeroU16};
use std::io;

use pummel_proto_http::{Event, Expect, h1, h2, render_connect};

use super::conn::{Connection, Fate, Http, Opening, Past, State, Step};
use super::follow::Trail;
use super::prepared::{self, Prepared, prepare};
use super::traffic::Traffic;
use crate::plan::{Keep, Means, Plan, Protocol, Proxy, Tls};
use crate::reactor::Slot;
use crate::record::{Alpn, Cause, TlsTrouble, Trouble};
use crate::tls::{Connector, Session};
use crate::units::Instant;

/// The way to the server, ready to be gone.
pub(super) struct Way {
    protocol: Protocol,
    pub(super) streams: NonZeroU16,
    depth: NonZeroU8,
    pub(super) keep: Keep,
    /// What leads to each server, by number.
    pub(super) doors: Box<[Door]>,
    /// Whether what arrives is not what is spoken, but has to be unwrapped first.
    pub(super) wrapped: bool,
    /// The requests, by index, and behind them their detours.
    pub(super) requests: Box<[Prepared]>,
    /// What redirects lead to, if they are followed.
    pub(super) trail: Option<Box<Trail>>,
    /// The only request as HTTP/1.x, if it is always the same.
    pub(super) only: Option<Box<[u8]>>,
    /// Whether requests are written anew each time.
    pub(super) paged: bool,
    /// The requests as HTTP/2.
    pub(super) rendered: Vec<h2::Rendered>,
    /// What arrived before a connection was ready for it.
    pub(super) early: Vec<u8>,
    /// The same, as it came through a tunnel.
    pub(super) early_wrapped: Vec<u8>,
    /// What is to go through a tunnel.
    pub(super) inner: Vec<u8>,
    /// Where frames are put together before they are encrypted.
    pub(super) scratch: Vec<u8>,
}

/// What leads to a server.
pub(super) struct Door {
    pub(super) connector: Option<Connector>,
    /// What a proxy is asked for a tunnel with.
    tunnel: Option<Wish>,
    /// What the server is asked for HTTP/2 with.
    upgrade: Option<Box<[u8]>>,
}

/// What asks a proxy for a tunnel.
enum Wish {
    /// In HTTP/1.1.
    One(Box<[u8]>),
    /// In HTTP/2.
    Two(Box<[u8]>),
}

impl Wish {
    /// What asks `proxy`, if it is to be asked.
    fn of(proxy: &Proxy) -> io::Result<Option<Self>> {
        let Means::Tunnel(to) = &proxy.means else { return Ok(None) };
        if !proxy.http2 {
            return Ok(Some(Self::One(render_connect(to, &proxy.fields).into())));
        }
        let request = h2::Tunnel::request(to, &proxy.fields).map_err(io::Error::other)?;
        Ok(Some(Self::Two(request.into())))
    }
}

impl Way {
    /// The way that `plan` goes.
    ///
    /// # Errors
    /// If TLS cannot be set up so.
    pub(super) fn new(plan: &Plan) -> io::Result<Self> {
        let wire = &plan.wire;
        let requests = prepare(plan);
        let doors = (0..).zip(plan.ways()).map(|(n, way)| Door::new(plan, n, way));
        Ok(Self {
            protocol: wire.protocol,
            streams: wire.streams,
            depth: plan.depth(),
            keep: wire.keep,
            doors: doors.collect::<io::Result<_>>()?,
            wrapped: plan.is_wrapped(),
            only: plan
                .work
                .is_single()
                .then(|| requests.iter().flat_map(Prepared::bytes).collect()),
            requests,
            trail: Trail::of(plan).map(Box::new),
            paged: prepared::is_paged(plan),
            rendered: prepared::render(plan)?,
            early: Vec::new(),
            early_wrapped: Vec::new(),
            inner: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// The request with `index`.
    #[inline]
    pub(super) fn request(&self, index: u16) -> Option<&Prepared> {
        self.requests.get(usize::from(index))
    }

    /// Whether there are several servers.
    #[inline]
    pub(super) const fn has_several(&self) -> bool {
        self.doors.len() > 1
    }

    /// Whether a proxy is asked for a tunnel first, to any server.
    pub(super) fn asks_for_tunnel(&self) -> bool {
        self.doors.iter().any(|door| door.tunnel.is_some())
    }

    /// What is to be done on `connection` after `step`, or first.
    fn after(&self, connection: &Connection, step: Option<Step>) -> Option<Step> {
        self.doors.get(usize::from(connection.origin))?.after(step)
    }
}

impl Door {
    /// What leads to the server with this number, whose TLS and proxy are so.
    fn new(
        plan: &Plan,
        number: u16,
        (tls, proxy): (Option<&Tls>, Option<&Proxy>),
    ) -> io::Result<Self> {
        let connector = tls.map(Connector::new).transpose().map_err(io::Error::other)?;
        // The first handshake of a thread pays for what the library sets up once: not the server's.
        if let Some(connector) = &connector {
            let rehearsed = connector.connect().and_then(|mut one| one.begin(&mut Vec::new()));
            rehearsed.map_err(|trouble| io::Error::other(trouble.name()))?;
        }
        let upgrades = plan.wire.protocol == Protocol::Http2Upgrade;
        let upgrade = plan.work.sent().find(|(_, origin)| upgrades && *origin == number);
        Ok(Self {
            connector,
            tunnel: proxy.map(Wish::of).transpose()?.flatten(),
            upgrade: upgrade.map(|(request, _)| request.render_upgrade().into()),
        })
    }

    /// What is to be done after `step`, or first.
    fn after(&self, step: Option<Step>) -> Option<Step> {
        let all = [
            self.tunnel.is_some().then_some(Step::Proxy),
            self.connector.is_some().then_some(Step::Tls),
            self.upgrade.is_some().then_some(Step::Upgrade),
        ];
        let steps = all.into_iter().flatten();
        match step {
            None => steps.into_iter().next(),
            Some(done) => steps.skip_while(|step| *step != done).nth(1),
        }
    }
}

/// A tunnel's answer has no body (RFC 9110 section 9.3.6), and any other ends the connection.
const TUNNEL: Expect = Expect { body: false, close: false };

/// The answer to the wish for HTTP/2 comes as HTTP/2, if it is granted.
const UPGRADE: Expect = Expect { body: true, close: false };

impl Traffic {
    /// `slot` is established.
    pub(super) fn connected(&mut self, slot: Slot, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        let State::Connecting(since) = connection.state else { return Fate::Keep };
        let first = self.way.after(connection, None);
        if let Some(step) = first {
            let opening = Opening { since, established: now, step, began: now, begun: false };
            connection.state = State::Opening(opening);
        }
        self.begin(slot, first, now)
    }

    /// `step` is done on `slot`.
    fn go_on(&mut self, slot: Slot, step: Step, now: Instant) -> Fate {
        let Some(connection) = self.connections.get(slot.index()) else { return Fate::Keep };
        self.begin(slot, self.way.after(connection, Some(step)), now)
    }

    /// Begins the next step, or ends the opening.
    fn begin(&mut self, slot: Slot, step: Option<Step>, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        let door = self.way.doors.get(usize::from(connection.origin));
        if let (State::Opening(opening), Some(step)) = (&mut connection.state, step) {
            (opening.step, opening.began, opening.begun) = (step, now, false);
        }
        match step {
            None => return self.choose(slot, now),
            Some(Step::Proxy) => match door.and_then(|door| door.tunnel.as_ref()) {
                Some(Wish::Two(request)) => {
                    connection.tunnel = Some(Box::new(h2::Tunnel::new(request)));
                }
                Some(Wish::One(request)) => ask(connection, request, h1_once(), TUNNEL),
                None => {}
            },
            Some(Step::Upgrade) => {
                let http = h1::Conn::for_upgrade();
                let wish = door.and_then(|door| door.upgrade.as_deref());
                ask(connection, wish.unwrap_or_default(), http, UPGRADE);
            }
            // It follows from what is chosen, and is never asked for.
            Some(Step::Settle) => {}
            Some(Step::Tls) => {
                let connector = door.and_then(|door| door.connector.as_ref());
                let begun = connector.map(Connector::connect).transpose();
                let Ok(Some(mut session)) = begun else {
                    return unready(Step::Tls, Cause::Tls(TlsTrouble::Internal));
                };
                if let Err(trouble) = session.begin(&mut connection.outgoing.unsent) {
                    return unready(Step::Tls, Cause::Tls(trouble));
                }
                connection.tls = Some(Box::new(session));
            }
        }
        Fate::Keep
    }

    /// The way is free: what is spoken on `slot`?
    fn choose(&mut self, slot: Slot, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        let way = &self.way;
        let secured = connection.tls.as_deref();
        let agreed = secured.and_then(Session::agreed).and_then(|agreed| agreed.alpn);
        connection.http = match way.protocol {
            Protocol::Http2 if secured.is_some() && agreed != Some(Alpn::Http2) => {
                return unready(Step::Tls, Cause::Tls(TlsTrouble::AlpnRefused));
            }
            Protocol::Http2Upgrade => Http::Two(Box::new(h2::Conn::upgraded(way.streams))),
            Protocol::Http2 => Http::two(way.streams),
            Protocol::Negotiated if agreed == Some(Alpn::Http2) => Http::two(way.streams),
            Protocol::Http10 | Protocol::Http11 | Protocol::Negotiated => Http::one(way.depth),
        };
        connection.http.tell_content(self.looks.any());
        let known = connection.past == Past::Opened || matches!(connection.http, Http::One(_));
        if known {
            return Fate::Ready;
        }
        connection.state = match connection.state {
            State::Connecting(since) => State::Opening(Opening {
                since,
                established: now,
                step: Step::Settle,
                began: now,
                begun: true,
            }),
            State::Opening(opening) => {
                State::Opening(Opening { step: Step::Settle, began: now, begun: true, ..opening })
            }
            state => state,
        };
        Fate::Keep
    }

    /// `bytes` of frames arrived on `slot`, of which nothing is known yet.
    fn settle(&mut self, slot: Slot, bytes: &[u8]) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        let Http::Two(http) = &mut connection.http else { return Fate::Keep };
        let mut input = bytes;
        loop {
            match http.receive(&mut input) {
                Ok(Some(h2::Event::Settled)) => {
                    self.way.early.clear();
                    self.way.early.extend_from_slice(input);
                    return Fate::Ready;
                }
                Ok(Some(h2::Event::GoAway { code })) => {
                    return unready(Step::Settle, Cause::Reset(code));
                }
                // Nothing else can come where nothing was asked for.
                Ok(Some(_)) => {}
                Ok(None) => return Fate::Keep,
                Err(error) => return unready(Step::Settle, Cause::Protocol(error.kind())),
            }
        }
    }

    /// `bytes` arrived on `slot`, which is not ready: an answer to what it asked for.
    #[cold]
    pub(super) fn open_on(&mut self, slot: Slot, bytes: &[u8], now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        let State::Opening(Opening { step, .. }) = connection.state else { return Fate::Keep };
        let Http::One(http) = &mut connection.http else { return self.settle(slot, bytes) };
        let mut input = bytes;
        let (mut status, mut granted) = (0, false);
        loop {
            match http.receive(&mut input, &mut self.recall) {
                Ok(Some(Event::Head(head))) => {
                    status = head.status;
                    if step == Step::Proxy && (200..300).contains(&status) {
                        granted = true;
                    } else {
                        return unready(step, Cause::Answered(status));
                    }
                }
                Ok(Some(Event::Interim { status: 101 })) if step == Step::Upgrade => {
                    granted = true;
                    break;
                }
                Ok(Some(Event::Interim { .. } | Event::Body(_))) => {}
                Ok(None | Some(Event::Done(_))) => break,
                Err(error) => return unready(step, Cause::Protocol(error.kind())),
            }
        }
        if !granted {
            debug_assert_eq!(status, 0, "every other final answer has been refused");
            return Fate::Keep;
        }
        let fate = self.go_on(slot, step, now);
        if input.is_empty() {
            return fate;
        }
        // What follows the answer is the first of what was asked for.
        match fate {
            Fate::Ready => {
                self.way.early.clear();
                self.way.early.extend_from_slice(input);
                Fate::Ready
            }
            Fate::Keep if matches!(self.http_of(slot), Some(Http::Two(_))) => {
                self.settle(slot, input)
            }
            // Nobody speaks first in TLS but the client.
            Fate::Keep => unready(step, Cause::Tls(TlsTrouble::NotTls)),
            fate => fate,
        }
    }

    fn http_of(&self, slot: Slot) -> Option<&Http> {
        self.connections.get(slot.index()).map(|connection| &connection.http)
    }

    /// The proxy has opened the tunnel of `slot`.
    pub(super) fn through(&mut self, slot: Slot, now: Instant) -> Fate {
        // Whatever was kept is another connection's.
        self.way.early.clear();
        self.go_on(slot, Step::Proxy, now)
    }

    /// The handshake of `slot` is done.
    pub(super) fn secured(&mut self, slot: Slot, now: Instant) -> Fate {
        let Some(connection) = self.connections.get_mut(slot.index()) else { return Fate::Keep };
        if let State::Opening(opening) = connection.state
            && let Some(agreed) = connection.tls.as_deref().and_then(Session::agreed)
        {
            self.recorder.secured(now.since(opening.began), *agreed);
        }
        self.go_on(slot, Step::Tls, now)
    }
}

/// An exchange of HTTP/1.1 by itself.
const fn h1_once() -> h1::Conn {
    h1::Conn::new(NonZeroU8::MIN)
}

/// Asks for something on `connection`, in HTTP/1.1.
fn ask(connection: &mut Connection, request: &[u8], mut http: h1::Conn, expect: Expect) {
    let started = http.start(expect);
    debug_assert!(started.is_ok(), "it is fresh");
    connection.http = Http::One(http);
    connection.outgoing.unsent.extend_from_slice(request);
}

pub(super) const fn unready(step: Step, cause: Cause) -> Fate {
    Fate::Unready(Trouble { phase: step.phase(), cause })
}
