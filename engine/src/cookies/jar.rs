//! The cookies of a user.

use super::line::Line;
use super::matching::{default_path, domain_matches};
use super::{Cookie, Place};
use crate::units::Nanos;

/// Most cookies of a user; one more takes the place of the oldest.
pub const COOKIES_MAX: usize = 128;

/// Most bytes of a cookie's name and value, and of each attribute; a longer one is not taken.
pub const COOKIE_BYTES_MAX: usize = 4096;

/// The cookies of a user, in the order in which they are sent: longer paths first, then those that
/// were set first (RFC 6265 section 5.4).
#[derive(Clone, Debug, Default)]
pub struct Jar {
    cookies: Vec<Kept>,
    /// Cookies that were ever put in.
    count: u64,
}

/// A cookie, and its number in the order in which they came.
#[derive(Clone, Debug)]
struct Kept {
    cookie: Cookie,
    number: u64,
}

impl Jar {
    /// Empties it, and puts these in, of which none replaces another.
    pub fn reset(&mut self, cookies: &[Cookie]) {
        self.cookies.clear();
        for cookie in cookies {
            self.put(cookie.clone());
        }
    }

    /// All of them.
    pub fn cookies(&self) -> impl Iterator<Item = &Cookie> {
        self.cookies.iter().map(|kept| &kept.cookie)
    }

    /// Takes in what the value of a field `Set-Cookie` says, of the response to a request that went
    /// to `place`, at the Unix time `now`. What may not be set is passed over. O(cookies).
    pub fn store(&mut self, line: &[u8], place: Place<'_>, now: Nanos) {
        let Some(line) = Line::parse(line) else { return };
        let longest = [line.name.len() + line.value.len(), line.domain.len(), line.path.len()];
        if longest.into_iter().any(|len| len > COOKIE_BYTES_MAX) {
            return;
        }
        let host_only = line.domain.is_empty();
        let domain = if host_only { place.host } else { line.domain };
        // A domain of one label is everybody's, but for the host that it is.
        let shared = !domain.contains(&b'.') && !domain.eq_ignore_ascii_case(place.host);
        if shared || !domain_matches(place.host, domain) {
            return;
        }
        let path = if line.path.is_empty() { default_path(place.path) } else { line.path };
        let expires = line.expires(now);
        let mut kept = self.cookies.iter_mut().map(|kept| &mut kept.cookie);
        if let Some(kept) = kept.find(|kept| kept.is_called(line.name, domain, path)) {
            // Its memory is used again.
            kept.value.clear();
            kept.value.extend_from_slice(line.value);
            (kept.host_only, kept.secure, kept.http_only) =
                (host_only, line.secure, line.http_only);
            (kept.expires, kept.set) = (expires, now);
        } else if expires.is_none_or(|expires| expires > now) {
            self.put(Cookie {
                name: line.name.to_vec(),
                value: line.value.to_vec(),
                domain: domain.to_ascii_lowercase(),
                host_only,
                path: path.to_vec(),
                secure: line.secure,
                http_only: line.http_only,
                expires,
                set: now,
            });
        }
        self.cookies.retain(|kept| !kept.cookie.is_over(now));
    }

    /// Puts in a cookie that replaces none.
    fn put(&mut self, cookie: Cookie) {
        if self.cookies.len() == COOKIES_MAX {
            let oldest = self.cookies.iter().enumerate().min_by_key(|(_, kept)| kept.number);
            if let Some((at, _)) = oldest {
                self.cookies.remove(at);
            }
        }
        let len = cookie.path.len();
        let at = self.cookies.partition_point(|kept| kept.cookie.path.len() >= len);
        self.cookies.insert(at, Kept { cookie, number: self.count });
        self.count += 1;
    }

    /// Appends what the field `Cookie` of a request to `place` says at the Unix time `now`; nothing
    /// if no cookie is for it. O(cookies).
    pub fn write(&self, place: Place<'_>, now: Nanos, out: &mut Vec<u8>) {
        let before = out.len();
        for Kept { cookie, .. } in &self.cookies {
            if !cookie.is_for(place) || cookie.is_over(now) {
                continue;
            }
            if out.len() > before {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(&cookie.name);
            out.push(b'=');
            out.extend_from_slice(&cookie.value);
        }
    }
}
