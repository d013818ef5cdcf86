//! COOKIES: what a server has a user keep, and what of it goes back with a request (RFC 6265).
//!
//! Plain data in, plain data out: no clock, no connection. A [`Jar`] belongs to one virtual user,
//! and holds no more than [`COOKIES_MAX`] cookies of at most [`COOKIE_BYTES_MAX`] bytes.
//!
//! ```text
//!  Set-Cookie ──► parse ──► store: domain, path, Secure, Max-Age ──► Jar
//!                                                                    │ write: those that match
//!                                                                    ▼
//!                                                           a=1; b=2   for the field Cookie
//! ```
//!
//! Which domains belong to everybody is not known here (there is no list of public suffixes); a
//! domain of a single label is taken to be one.

mod date;
mod jar;
mod line;
mod matching;

pub use jar::{COOKIE_BYTES_MAX, COOKIES_MAX, Jar};

use std::collections::BTreeMap;

use crate::units::Nanos;

/// A cookie, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value, with the quotes that it may have.
    pub value: Vec<u8>,
    /// The host that it is for, in small letters.
    pub domain: Vec<u8>,
    /// Whether it is for that host alone, and not for those below it as well.
    pub host_only: bool,
    /// Where the paths begin that it is for.
    pub path: Vec<u8>,
    /// Whether it is for secured connections alone.
    pub secure: bool,
    /// Whether scripts must not see it, which is of no interest here.
    pub http_only: bool,
    /// The Unix time at which it ends; without one it lasts as long as its user does.
    pub expires: Option<Nanos>,
    /// The Unix time at which it was set last.
    pub set: Nanos,
}

impl Cookie {
    /// Whether one with this name, domain and path takes its place (RFC 6265 section 5.3, step 11).
    fn is_called(&self, name: &[u8], domain: &[u8], path: &[u8]) -> bool {
        self.name == name && self.domain.eq_ignore_ascii_case(domain) && self.path == path
    }

    /// `cookies` without those that one which was set later replaces, in the order of their
    /// domains, paths and names.
    #[must_use]
    pub fn last_of_each(cookies: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut last: BTreeMap<[Vec<u8>; 3], Self> = BTreeMap::new();
        for cookie in cookies {
            let key = [&cookie.domain, &cookie.path, &cookie.name].map(Vec::clone);
            match last.get(&key) {
                Some(other) if other.set > cookie.set => {}
                _ => drop(last.insert(key, cookie)),
            }
        }
        last.into_values().collect()
    }

    fn is_over(&self, now: Nanos) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Where a request goes, as far as cookies are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The host, in small letters and without a port.
    pub host: &'a [u8],
    /// The path, without a query.
    pub path: &'a [u8],
    /// Whether the connection is secured.
    pub secure: bool,
}

#[cfg(test)]
mod tests;
