//! Which cookies are for which request (RFC 6265 sections 5.1.3 and 5.1.4).

use super::{Cookie, Place};

/// Whether `host` is `domain`, or lies below it, whatever the case of their letters.
pub(super) fn domain_matches(host: &[u8], domain: &[u8]) -> bool {
    let Some(above) = host.len().checked_sub(domain.len()) else { return false };
    let (rest, end) = host.split_at(above);
    if domain.is_empty() || !end.eq_ignore_ascii_case(domain) {
        return false;
    }
    rest.is_empty() || (rest.ends_with(b".") && !is_address(host))
}

/// Whether a host is an address and no name: those of version 6 stand in brackets, and no domain
/// ends with a number (RFC 1123 section 2.1).
pub(super) fn is_address(host: &[u8]) -> bool {
    let last = host.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    host.starts_with(b"[") || (!last.is_empty() && last.iter().all(u8::is_ascii_digit))
}

/// Whether `path` is `prefix`, or lies below it.
pub(super) fn path_matches(path: &[u8], prefix: &[u8]) -> bool {
    match path.strip_prefix(prefix) {
        None => false,
        Some(rest) => rest.is_empty() || prefix.ends_with(b"/") || rest.starts_with(b"/"),
    }
}

/// The path of a cookie that does not say any: up to the last slash of the request's.
pub(super) fn default_path(path: &[u8]) -> &[u8] {
    let last = path.iter().rposition(|&byte| byte == b'/');
    match last.filter(|_| path.starts_with(b"/")) {
        None | Some(0) => b"/",
        Some(at) => path.get(..at).unwrap_or(b"/"),
    }
}

impl Cookie {
    /// Whether it goes with a request to `place`.
    pub(super) fn is_for(&self, place: Place<'_>) -> bool {
        let host = if self.host_only {
            place.host == self.domain
        } else {
            domain_matches(place.host, &self.domain)
        };
        host && path_matches(place.path, &self.path) && (place.secure || !self.secure)
    }
}
