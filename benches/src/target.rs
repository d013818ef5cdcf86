//! Where a bare loop sends its requests, and what they look like on the wire.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

/// An `http://` URL, resolved to one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    address: SocketAddr,
    authority: String,
    path: String,
}

/// Why a text is no [`Target`].
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It does not start with `http://`.
    #[error("read a scheme other than http://")]
    Scheme,
    /// Its host is unknown, or its port is missing or no number.
    #[error("resolve its host:port")]
    Authority(#[source] io::Error),
}

impl Target {
    /// Returns the address to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the smallest request that HTTP/1.1 allows: a request line and `Host`.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", self.path, self.authority).into_bytes()
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        let rest = url.strip_prefix("http://").ok_or(TargetError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = authority
            .to_socket_addrs()
            .and_then(|mut all| all.next().ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(TargetError::Authority)?;
        Ok(Self { address, authority: authority.to_owned(), path: format!("/{path}") })
    }
}

/// Returns the length of the response at the start of `bytes`, head and body together.
///
/// `None` until the whole head is there, and for a head without a usable `Content-Length`:
/// enough to learn one length once, and no more than that.
#[must_use]
pub fn response_length(bytes: &[u8]) -> Option<usize> {
    let head_length = head_length(bytes)?;
    let head = str::from_utf8(bytes.get(..head_length)?).ok()?;
    let body_length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.eq_ignore_ascii_case("content-length");
        named.then(|| value.trim().parse::<usize>().ok()).flatten()
    })?;
    head_length.checked_add(body_length)
}

/// Returns the length of the response head at the start of `bytes`, its empty line included.
#[must_use]
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_an_address_and_a_request() {
        let target: Target = "http://127.0.0.1:8080/a/b".parse().unwrap();
        assert_eq!(target.address(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(target.request(), b"GET /a/b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
    }

    #[test]
    fn a_url_without_a_path_asks_for_the_root() {
        let target: Target = "http://127.0.0.1:8080".parse().unwrap();
        assert!(target.request().starts_with(b"GET / HTTP/1.1\r\n"));
    }

    #[test]
    fn only_http_urls_with_a_port_are_targets() {
        assert!("https://127.0.0.1:1/".parse::<Target>().is_err());
        assert!("http://127.0.0.1/".parse::<Target>().is_err());
    }

    #[test]
    fn a_length_counts_head_and_body() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\n";
        assert_eq!(response_length(head), Some(head.len() + 5));
    }

    #[test]
    fn half_a_head_has_no_length() {
        assert_eq!(response_length(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), None);
        assert_eq!(response_length(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }
}
