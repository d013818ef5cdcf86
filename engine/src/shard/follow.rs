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

use pummel_proto_http::{Request, Scheme, Text, Values};

use super::flight::{Flight, Hops};
use super::opening::Way;
use super::traffic::Traffic;
use super::user::User;
use super::values::write_integer;
use crate::judge::{Authority, LOCATION_BYTES_MAX, Leads, Needs, locate, resolve};
use crate::plan::{Detours, Plan, Url};
use crate::reactor::Slot;
use crate::record::Cause;
use crate::record::Unfollowed::{self, Limit, Malformed, NoLocation, OtherHost};
use crate::units::Instant;

/// What redirects and values lead to.
pub(super) struct Trail {
    detours: Detours,
    /// The names of the servers as URLs have them, in order, and their numbers; none at a socket.
    servers: Box<[(Box<[u8]>, u16)]>,
    /// The URLs of requests, by number, if values say where they go.
    urls: Box<[Option<Url>]>,
    /// What is sent, by number: where a redirect of it begins.
    begins: Box<[Beginning]>,
    /// Path and query that were asked for, and those that are asked for next.
    base: Vec<u8>,
    target: Vec<u8>,
    /// The server that was led to last.
    name: Vec<u8>,
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
        let mut servers = Vec::with_capacity(plan.servers());
        for (number, target) in (0..).zip(plan.targets()) {
            let (url, mut written) = (target.url.as_bytes(), Vec::new());
            if target.addresses.first().inet().is_none() {
                continue;
            }
            if let Some(there) = locate(url, b"", &mut Vec::new()) {
                name(there, &mut written);
                servers.push((written.into_boxed_slice(), number));
            }
        }
        servers.sort_unstable();
        Some(Self {
            detours,
            servers: servers.into(),
            urls: plan.work.requests().iter().map(|asking| asking.url.clone()).collect(),
            begins: plan.work.sent().map(|(request, _)| Beginning::of(request)).collect(),
            base: Vec::with_capacity(LOCATION_BYTES_MAX),
            target: Vec::with_capacity(LOCATION_BYTES_MAX),
            name: Vec::new(),
        })
    }

    /// Whether values say where the request `asked` goes.
    pub(super) fn roams(&self, asked: u16) -> bool {
        self.urls.get(usize::from(asked)).is_some_and(Option::is_some)
    }

    /// Where the request `asked` with these `values` goes, if values say that: the number of its
    /// detour, and of the server. Its path is put into `target`.
    ///
    /// # Errors
    /// If that is no server of the run.
    pub(super) fn set_out(
        &mut self,
        asked: u16,
        values: &impl Values,
    ) -> Result<(u16, u16), Cause> {
        let url = self.urls.get(usize::from(asked)).and_then(Option::as_ref);
        let Url { base, rest, .. } = url.ok_or(Cause::Malformed)?;
        self.base.clear();
        base.fill(values, &mut self.base);
        let seam = self.base.len();
        rest.fill(values, &mut self.base);
        let (base, rest) = self.base.split_at_checked(seam).ok_or(Cause::Malformed)?;
        let there = locate(base, rest, &mut self.target).ok_or(Cause::Malformed)?;
        name(there, &mut self.name);
        let origin = self.number().ok_or(Cause::OtherHost)?;
        let number = self.detours.of(asked, (origin, origin), true).ok_or(Cause::OtherHost)?;
        Ok((number, origin))
    }

    /// The path that was found last.
    pub(super) fn target(&self) -> &[u8] {
        &self.target
    }

    /// The number of the value that paths are put into.
    pub(super) const fn place(&self) -> u16 {
        self.detours.target()
    }

    /// The server that was led to last, as a URL names it.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Where `location` leads who was sent the response with this `status` to the request `sent`,
    /// which is itself the `asked` one, or a detour of it after these `hops`: the number of the
    /// next detour, and the hops to it. Its path is put into `target`. The request was for the
    /// server `home` first, and is now for `origin`.
    fn next(
        &mut self,
        (asked, sent): (u16, u16),
        (home, origin): (u16, u16),
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
                name(there, &mut self.name);
                self.number().ok_or(OtherHost)?
            }
        };
        if hops.count >= self.detours.most(asked) {
            return Err(Limit);
        }
        // RFC 9110 section 15.4: 301 and 302 were to keep the method, and nobody has it so.
        let changed = status == 303 || (matches!(status, 301 | 302) && begin.posts);
        let whole = hops.whole && !changed;
        let number = self.detours.of(asked, (origin, home), whole).ok_or(OtherHost)?;
        Ok((number, Hops { count: hops.count + 1, whole, counted: false }))
    }

    /// The number of the server that was led to last. O(log servers).
    fn number(&self) -> Option<u16> {
        let found = self.servers.binary_search_by(|(name, _)| (**name).cmp(&self.name[..]));
        self.servers.get(found.ok()?).map(|&(_, number)| number)
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
            Some(location) => {
                let home = self.users.home_of(user);
                trail.next((asked, sent), (home, origin), (status, location), flight.hops)
            }
        };
        match next {
            Err(why) => {
                self.recorder.redirected(flight.intended, Err(why));
                if let Some(trail) = self.way.trail.as_deref().filter(|_| why == OtherHost) {
                    self.recorder.led_elsewhere(flight.intended, trail.name());
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
        self.put_target(user);
        self.users.send_on(user, number, now);
    }

    /// The path that was found last becomes a value of `user`.
    pub(super) fn put_target(&mut self, user: User) {
        if let Some(trail) = &self.way.trail
            && let Some(cell) = self.users.cell(user, trail.place())
        {
            cell.clear();
            cell.extend_from_slice(trail.target());
        }
    }
}
