//! The cookies of a shard's users.

use pummel_proto_http::{Request, Scheme, Text};

use super::values::Row;
use crate::cookies::{Cookie, Jar, Place};
use crate::plan::{Cookies, Until, Work};
use crate::units::Nanos;

/// The jars of all users, by number.
pub(super) struct Jars {
    all: Vec<Jar>,
    /// What each of them holds at first.
    loaded: Box<[Cookie]>,
    /// Whether a user has them for one scenario only.
    of_scenario: bool,
    /// Where each request goes.
    places: Box<[Going]>,
    /// Host and path of the request of the moment.
    host: Vec<u8>,
    path: Vec<u8>,
}

/// Where a request goes; host and path may have values in them.
struct Going {
    host: Text,
    target: Text,
    secure: bool,
}

impl Going {
    fn of(request: &Request) -> Self {
        let secure = request.scheme() == Scheme::Https;
        Self { host: request.host(), target: request.target().clone(), secure }
    }
}

impl Jars {
    /// The jars of `work`, if its users keep cookies. Nobody has one yet.
    pub(super) fn of(work: &Work, is_open: bool) -> Option<Self> {
        let Cookies { until, loaded, .. } = work.cookies()?;
        Some(Self {
            all: Vec::new(),
            loaded: loaded.clone().into(),
            // Each who comes in an open loop is a user of its own.
            of_scenario: is_open || *until == Until::Scenario,
            places: work.sent().map(|(request, _)| Going::of(request)).collect(),
            host: Vec::new(),
            path: Vec::new(),
        })
    }

    /// A jar for one user more.
    pub(super) fn grow(&mut self) {
        let mut jar = Jar::default();
        jar.reset(&self.loaded);
        self.all.push(jar);
    }

    /// `user` begins a scenario.
    pub(super) fn begin(&mut self, user: u32) {
        if self.of_scenario
            && let Some(jar) = self.all.get_mut(user as usize)
        {
            jar.reset(&self.loaded);
        }
    }

    /// Appends the cookies of a user for the request with this index and these values.
    pub(super) fn write(
        &mut self,
        (user, request): (u32, u16),
        values: &Row<'_>,
        now: Nanos,
        out: &mut Vec<u8>,
    ) {
        let Some(secure) = self.go(request, values) else { return };
        let place = Place { host: &self.host, path: &self.path, secure };
        if let Some(jar) = self.all.get(user as usize) {
            jar.write(place, now, out);
        }
    }

    /// Takes in what a response to it sets.
    pub(super) fn keep<'a>(
        &mut self,
        (user, request): (u32, u16),
        values: &Row<'_>,
        now: Nanos,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        let mut lines = fields
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie"))
            .map(|(_, line)| line)
            .peekable();
        if lines.peek().is_none() {
            return;
        }
        let Some(secure) = self.go(request, values) else { return };
        let place = Place { host: &self.host, path: &self.path, secure };
        if let Some(jar) = self.all.get_mut(user as usize) {
            lines.for_each(|line| jar.store(line, place, now));
        }
    }

    /// Works out host and path of a request; says whether its connection is secured.
    fn go(&mut self, request: u16, values: &Row<'_>) -> Option<bool> {
        let Self { places, host, path, .. } = self;
        let going = places.get(usize::from(request))?;
        host.clear();
        going.host.fill(values, host);
        // Behind the last colon stands a port, unless that is within an address of version 6.
        let port = host.iter().rposition(|&byte| byte == b':');
        let port = port.filter(|&at| !host.iter().skip(at).any(|&byte| byte == b']'));
        host.truncate(port.unwrap_or(host.len()));
        host.make_ascii_lowercase();
        path.clear();
        going.target.fill(values, path);
        let query = path.iter().position(|&byte| byte == b'?');
        path.truncate(query.unwrap_or(path.len()));
        Some(going.secure)
    }

    /// What all users have. Of those that would replace each other, the one that was set last.
    pub(super) fn all(&self) -> Vec<Cookie> {
        Cookie::last_of_each(self.all.iter().flat_map(Jar::cookies).cloned())
    }
}
