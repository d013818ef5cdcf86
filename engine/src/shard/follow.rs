//! Redirects: where a response leads on, its user asks there, and to the books that is still the
//! same request.
//!
//! ```text
//!  response ──► 301 … 308, and its request follows some? ──no──► the answer
//!                  │ yes
//!                  ▼
//!               Location, resolved ──► a host of the run, and not one too many? ──no──► the
//!                  │ yes                                                  answer, and a failure
//!                  ▼
//!               the detour there: method and body as the status says, the path a value of the user
//!                  └──► waits for a connection like whatever is sent again (`again.rs`)
//! ```
//!
//! What may be asked for where is worked out before the run ([`Detours`]); a shard resolves, and
//! compares names.

use pummel_proto_http::{Request, Scheme, Text};

use super::flight::{Flight, Hops};
use super::opening::Way;
use super::traffic::Traffic;
use super::user::User;
use super::values::write_integer;
use crate::judge::{Authority, LOCATION_BYTES_MAX, Leads, Needs, resolve};
use crate::plan::{Detours, Plan};
use crate::reactor::Slot;
use crate::record::Unfollowed::{self, Limit, Malformed, NoLocation, OtherHost};
use crate::units::Instant;

/// What redirects lead to.
pub(super) struct Trail {
    detours: Detours,
    /// The servers by number, as URLs name them; none at a socket.
    servers: Box<[Option<Named>]>,
    /// What is sent, by number: where a redirect of it begins.
    begins: Box<[Beginning]>,
    /// Path and query that were asked for, and those that are asked for next.
    base: Vec<u8>,
    target: Vec<u8>,
    /// The host that was led to last.
    elsewhere: Vec<u8>,
}

/// Where a redirect begins.
struct Beginning {
    /// Path and query.
    target: Text,
    /// The server under the name that it was asked by, if that is always the same.
    host: Option<Named>,
    secured: bool,
    /// Whether 301 and 302 make a `GET` of it.
    posts: bool,
}

/// A server, as a URL names it.
struct Named {
    secured: bool,
    host: Box<[u8]>,
    port: u16,
}

impl Named {
    fn of(url: &str) -> Option<Self> {
        match resolve(url.as_bytes(), (false, b"/"), &mut Vec::new())? {
            Leads::Here => None,
            Leads::There(authority) => Some(authority.into()),
        }
    }

    fn authority(&self) -> Authority<'_> {
        Authority { secured: self.secured, host: &self.host, port: self.port }
    }
}

impl From<Authority<'_>> for Named {
    fn from(Authority { secured, host, port }: Authority<'_>) -> Self {
        Self { secured, host: host.into(), port }
    }
}

impl Beginning {
    fn of(request: &Request) -> Self {
        let secured = request.scheme() == Scheme::Https;
        let host = request.host();
        let host = host.constant().and_then(|host| Authority::parse(host, secured));
        Self {
            target: request.target().clone(),
            host: host.map(Named::from),
            secured,
            posts: request.method() == "POST",
        }
    }
}

impl Trail {
    /// What the redirects of `plan` lead to, if any are followed.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let detours = plan.work.detours()?.clone();
        Some(Self {
            detours,
            servers: plan.targets().map(|target| Named::of(&target.url)).collect(),
            begins: plan.work.sent().map(|(request, _)| Beginning::of(request)).collect(),
            base: Vec::with_capacity(LOCATION_BYTES_MAX),
            target: Vec::with_capacity(LOCATION_BYTES_MAX),
            elsewhere: Vec::new(),
        })
    }

    /// Where `location` leads who was sent the response with this `status` to the request `sent`,
    /// which is itself the `asked` one, or a detour of it after these `hops`: the number of the
    /// next detour, and the hops to it. Its path is put into `target`.
    fn next(
        &mut self,
        (asked, sent, origin): (u16, u16, u16),
        (status, location): (u16, &[u8]),
        hops: Hops,
    ) -> Result<(u16, Hops), Unfollowed> {
        let begin = self.begins.get(usize::from(sent)).ok_or(Malformed)?;
        let leads = resolve(location, (begin.secured, &self.base), &mut self.target);
        let origin = match leads.ok_or(Malformed)? {
            Leads::Here => origin,
            Leads::There(there)
                if begin.host.as_ref().is_some_and(|it| it.authority() == there) =>
            {
                origin
            }
            Leads::There(there) => {
                name(there, &mut self.elsewhere);
                self.number_of(there).ok_or(OtherHost)?
            }
        };
        if hops.count >= self.detours.most(asked) {
            return Err(Limit);
        }
        // RFC 9110 section 15.4: 301 and 302 were to keep the method, and nobody has it so.
        let changed = status == 303 || (matches!(status, 301 | 302) && begin.posts);
        let whole = hops.whole && !changed;
        let number = self.detours.of(asked, origin, whole).ok_or(OtherHost)?;
        Ok((number, Hops { count: hops.count + 1, whole, counted: false }))
    }

    fn number_of(&self, there: Authority<'_>) -> Option<u16> {
        let is_it =
            |named: &Option<Named>| named.as_ref().is_some_and(|named| named.authority() == there);
        u16::try_from(self.servers.iter().position(is_it)?).ok()
    }
}

/// Writes a server down as a URL names it.
fn name(Authority { secured, host, port }: Authority<'_>, out: &mut Vec<u8>) {
    let (scheme, usual): (&[u8], _) = if secured { (b"https://", 443) } else { (b"http://", 80) };
    out.clear();
    out.extend_from_slice(scheme);
    out.extend_from_slice(host);
    out.make_ascii_lowercase();
    if port != usual {
        out.push(b':');
        write_integer(port.into(), out);
    }
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// It answers the request.
    Answer,
    /// It is a redirect that is not followed: it answers the request, and is a failure.
    Stand(Unfollowed),
    /// It has led on.
    On,
}

/// Whether a response with this status leads on, if it says where to (RFC 9110 section 15.4).
const fn is_redirect(status: u16) -> bool {
    matches!(status, 301..=303 | 307 | 308)
}

impl Way {
    /// What is kept of a response with this `status` to the request of the index `asked`.
    pub(super) fn needs(&self, asked: u16, status: u16) -> Needs {
        let mut needs = self.request(asked).map_or(Needs::NOTHING, |request| request.needs);
        needs.fields |= self.trail.is_some() && is_redirect(status);
        needs
    }
}

impl Traffic {
    /// Has the user of `flight` asked for what the response at `place` leads to, if it does and
    /// that may be followed.
    pub(super) fn follow(
        &mut self,
        flight: &Flight,
        (place, status): (usize, u16),
        slot: Slot,
        now: Instant,
    ) -> Course {
        let user = flight.user;
        let asked = self.users.asked_by(user);
        let Some(trail) = self.way.trail.as_deref_mut().filter(|_| is_redirect(status)) else {
            return Course::Answer;
        };
        if trail.detours.most(asked) == 0 {
            return Course::Answer;
        }
        let sent = self.users.request_of(user);
        let origin = self.way.requests.get(usize::from(sent)).map_or(0, |request| request.origin);
        trail.base.clear();
        if let Some(begin) = trail.begins.get(usize::from(sent)) {
            begin.target.fill(&self.users.values(user), &mut trail.base);
        }
        let next = match self.looks.field(place, b"location") {
            None => Err(NoLocation),
            Some(location) => trail.next((asked, sent, origin), (status, location), flight.hops),
        };
        match next {
            Err(why) => {
                self.recorder.redirected(flight.intended, Err(why));
                if let Some(trail) = self.way.trail.as_deref().filter(|_| why == OtherHost) {
                    self.recorder.led_elsewhere(flight.intended, &trail.elsewhere);
                }
                Course::Stand(why)
            }
            Ok((number, hops)) => {
                self.leave((place, slot), flight, status, now);
                self.send_on(user, number, now);
                self.keep_for_later(Flight { hops, retries: 0, ..*flight });
                Course::On
            }
        }
    }

    /// `user` asks for the detour `number` in the place of what it asked for, at the path that was
    /// found.
    fn send_on(&mut self, user: User, number: u16, now: Instant) {
        if let Some(trail) = &mut self.way.trail
            && let Some(cell) = self.users.cell(user, trail.detours.target())
        {
            cell.clear();
            cell.extend_from_slice(&trail.target);
        }
        self.users.send_on(user, number, now);
    }
}
