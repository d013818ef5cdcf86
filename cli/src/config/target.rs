//! The target: which host, which port, which path.

use std::net::Ipv6Addr;

use anyhow::{Context, Result, bail, ensure};
use http::Uri;

/// A target as it was meant. The path is kept to the byte: what a server is asked for is the user's
/// choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetUrl {
    /// The whole of it, with what was left out filled in.
    pub(crate) url: String,
    /// Name or address to resolve; an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What the field Host says.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

/// The default port of http.
const PORT: u16 = 80;

/// Parses `http://host[:port]/path?query`, and the same without `http://`.
pub(super) fn parse(text: &str) -> Result<TargetUrl> {
    ensure!(!text.is_empty(), "the target is empty; write for example http://localhost:8080/");
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            bail!("target {text:?}: scheme https is not supported yet; supported: http")
        }
        // A colon and two slashes may also stand in a path or query.
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => {
            bail!("target {text:?}: unknown scheme {scheme:?}; supported: http")
        }
        _ => text,
    };
    // A fragment is the client's own affair and is never sent.
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let path_from = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_from);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let (authority, path) = (authority.to_owned(), format!("{slash}{path}"));
    let (host, port) = host_and_port(&authority).with_context(|| format!("target {text:?}"))?;
    let url = format!("http://{authority}{path}");
    url.parse::<Uri>().with_context(|| format!("target {text:?} is malformed"))?;
    Ok(TargetUrl { url, host, port, authority, path })
}

/// Host and port of an authority; the brackets of an IPv6 address are taken off.
fn host_and_port(authority: &str) -> Result<(String, u16)> {
    ensure!(
        !authority.contains('@'),
        "user and password do not belong into a URL; give -H \"Authorization: …\""
    );
    ensure!(
        authority.parse::<Ipv6Addr>().is_err(),
        "an IPv6 address needs brackets: [{authority}], and [{authority}]:8080 with a port"
    );
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').context("the bracket is not closed")?;
            let parsed = address.parse::<Ipv6Addr>();
            ensure!(parsed.is_ok(), "{address:?} in brackets is no IPv6 address");
            (address, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    ensure!(!host.is_empty(), "the host is missing; write for example http://localhost:8080/");
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => PORT,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = digits.parse().ok().filter(|&port: &u16| port > 0);
            port.with_context(|| format!("port {digits:?} is not a number from 1 to 65535"))?
        }
        _ => bail!("{port:?} after the host is no port; write host:port"),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: u16, authority: &str, path: &str) {
        let url = format!("http://{authority}{path}");
        let expected = TargetUrl {
            url,
            host: host.into(),
            port,
            authority: authority.into(),
            path: path.into(),
        };
        assert_eq!(parse(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn a_target_may_leave_out_what_goes_without_saying() {
        check("http://example.org/a?b=c", "example.org", 80, "example.org", "/a?b=c");
        check("HTTP://example.org", "example.org", 80, "example.org", "/");
        check("localhost", "localhost", 80, "localhost", "/");
        check("127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080", "/");
        check("host:1/x", "host", 1, "host:1", "/x");
        check("http://h?q", "h", 80, "h", "/?q");
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        check("[::1]:8080/x", "::1", 8080, "[::1]:8080", "/x");
        check("http://[fe80::1]", "fe80::1", 80, "[fe80::1]", "/");
        assert!(parse("::1").unwrap_err().root_cause().to_string().contains("[::1]:8080"));
    }

    #[test]
    fn escapes_and_dots_of_a_path_are_sent_as_they_were_given() {
        check("http://h/a%2Fb/../c%20d?x=%C3%A4", "h", 80, "h", "/a%2Fb/../c%20d?x=%C3%A4");
        check("h/x?to=http://y/", "h", 80, "h", "/x?to=http://y/");
    }

    #[test]
    fn a_fragment_is_not_sent() {
        check("http://h/a#b", "h", 80, "h", "/a");
    }

    #[test]
    fn what_cannot_be_a_target_is_refused() {
        for text in [
            "",
            "http://",
            "http:///x",
            "https://h",
            "ftp://h/",
            "http://u:p@h/",
            "u@h:80",
            "h:0",
            "h:65536",
            "h:",
            "h:http",
            "http://h:-1",
            "http://[::1",
            "http://[::1]x",
            "http://[h]/",
            "http://h/a b",
            "http://ho st/",
            "http://h/\n",
            "a:b:c",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_unknown_scheme_is_named_beside_the_supported_ones() {
        let said = |text| parse(text).unwrap_err().to_string();
        assert_eq!(said("ftp://h"), "target \"ftp://h\": unknown scheme \"ftp\"; supported: http");
        assert!(said("https://h").contains("https is not supported yet"));
    }
}
