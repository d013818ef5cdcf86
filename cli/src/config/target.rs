//! The target: which host, which port, which path.

use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use http::Uri;
use pummel_proto_http::Scheme;

use crate::args::Quoted;

/// A target as it was meant. The path is kept to the byte: what a server is asked for is the user's
/// choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetUrl {
    /// The whole of it, with what was left out filled in.
    pub(crate) url: String,
    pub(crate) scheme: Scheme,
    /// Whether the scheme said that HTTP/2 is to be spoken.
    pub(crate) http2: bool,
    /// Name or address to resolve; an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What the field Host says.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
    /// The Unix socket to connect to, instead of the host.
    pub(crate) socket: Option<PathBuf>,
}

impl TargetUrl {
    /// The URL without its path.
    pub(super) fn origin(&self) -> String {
        self.url.strip_suffix(&self.path).unwrap_or(&self.url).to_owned()
    }

    /// The same server, and nothing of it in particular.
    pub(super) fn root(&self) -> Self {
        Self { url: format!("{}/", self.origin()), ..self.clone() }
    }

    /// Whether `other` leads to the same server.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        (self.scheme, self.http2, self.port, &self.socket)
            == (other.scheme, other.http2, other.port, &other.socket)
            && self.host.eq_ignore_ascii_case(&other.host)
    }
}

/// The name of a scheme, and the port that goes without saying.
const fn usual(scheme: Scheme) -> (&'static str, u16) {
    match scheme {
        Scheme::Http => ("http", 80),
        Scheme::Https => ("https", 443),
    }
}

/// What may stand before `://`, and whether it says that HTTP/2 is to be spoken.
const SCHEMES: [(&str, Scheme, bool); 4] = [
    ("http", Scheme::Http, false),
    ("https", Scheme::Https, false),
    ("h2c", Scheme::Http, true),
    ("h2", Scheme::Https, true),
];

/// Longest path of a Unix socket, without the zero behind it (unix(7)).
const SOCKET_BYTES_MAX: usize = 107;

/// Parses `http://host[:port]/path?query`, the same without `http://` or with another scheme, and
/// `unix:socket[:/path]`.
pub(super) fn parse(text: &str) -> Result<TargetUrl> {
    ensure!(!text.is_empty(), "the target is empty; write for example http://localhost:8080/");
    let typed = Quoted(text);
    if let Some(place) = unix(text) {
        return at_socket(&place).with_context(|| format!("target {typed}"));
    }
    let (scheme, http2, rest) = match text.split_once("://") {
        // A colon and two slashes may also stand in a path or query.
        Some((word, rest)) if !word.contains(['/', '?', '#']) => {
            let known = SCHEMES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(word));
            let &(_, scheme, http2) = known.with_context(|| {
                let known = SCHEMES.map(|(name, ..)| name).join(", ");
                let word = Quoted(word);
                format!("target {typed}: unknown scheme {word}; supported: {known}, unix")
            })?;
            (scheme, http2, rest)
        }
        _ => (Scheme::Http, false, text),
    };
    let rest = without_fragment(rest);
    let path_from = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_from);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let (authority, path) = (authority.to_owned(), format!("{slash}{path}"));
    let (name, usual_port) = usual(scheme);
    let found = host_and_port(&authority, usual_port);
    let (host, port) = found.with_context(|| format!("target {typed}"))?;
    ensure_escaped(&path).with_context(|| format!("target {typed}"))?;
    let url = format!("{name}://{authority}{path}");
    url.parse::<Uri>().with_context(|| format!("target {typed} is malformed"))?;
    Ok(TargetUrl { url, scheme, http2, host, port, authority, path, socket: None })
}

/// What follows `unix:`, with one slash of any number at its beginning, if that is what it is: a
/// host may be called `unix`, too.
fn unix(text: &str) -> Option<String> {
    let (scheme, place) = text.split_once(':')?;
    let is_path = scheme.eq_ignore_ascii_case("unix") && place.starts_with(['/', '.']);
    let rest = place.trim_start_matches('/');
    let root = if rest.len() < place.len() { "/" } else { "" };
    is_path.then(|| format!("{root}{rest}"))
}

/// A target at `socket` or `socket:/path`.
fn at_socket(place: &str) -> Result<TargetUrl> {
    let place = without_fragment(place);
    let (socket, path) = match place.find(":/") {
        Some(colon) => place.split_at(colon),
        None => (place, ":/"),
    };
    let path = path.trim_start_matches(':').to_owned();
    ensure_socket(Path::new(socket))?;
    ensure_escaped(&path)?;
    Ok(TargetUrl {
        url: format!("unix:{socket}:{path}"),
        scheme: Scheme::Http,
        http2: false,
        host: LOCAL.to_owned(),
        port: usual(Scheme::Http).1,
        authority: LOCAL.to_owned(),
        path,
        socket: Some(PathBuf::from(socket)),
    })
}

/// What a server behind a socket without a name is called.
const LOCAL: &str = "localhost";

/// Refuses what the kernel takes for no path of a socket.
pub(super) fn ensure_socket(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    ensure!(
        (1..=SOCKET_BYTES_MAX).contains(&bytes.len()) && !bytes.contains(&0),
        "the path of a socket has 1 to {SOCKET_BYTES_MAX} bytes, and {} has {}; give a shorter \
         one, a symbolic link for instance",
        Quoted(&path.display().to_string()),
        bytes.len()
    );
    Ok(())
}

/// A path behind another one.
pub(super) fn joined(base: &str, path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{}{slash}{path}", base.trim_end_matches('/'))
}

/// A fragment is the client's own affair and is never sent.
pub(super) fn without_fragment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}

/// Refuses a character that cannot stand in a path or a query as it is, with its escape.
pub(super) fn ensure_escaped(path: &str) -> Result<()> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let refuses = |before: &str, c: char| {
        !c.is_ascii_graphic() || format!("http://h/{before}{c}").parse::<Uri>().is_err()
    };
    let found = path.chars().find(|&c| refuses("", c));
    let Some(c) = found.or_else(|| query.chars().find(|&c| refuses("?", c))) else {
        return Ok(());
    };
    let bytes = c.to_string().into_bytes();
    let escape: Vec<String> = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    bail!("{c:?} cannot stand in a URL as it is; write {}", escape.concat())
}

/// Refuses a character that no host name has.
pub(super) fn ensure_host_name(host: &str) -> Result<()> {
    match host.chars().find(|c| !c.is_ascii_alphanumeric() && !"-._~".contains(*c)) {
        None => Ok(()),
        Some(c) if c.is_ascii() => {
            bail!("{c:?} cannot stand in a host name; write for example localhost:8080/path")
        }
        Some(c) => bail!("{c:?} cannot stand in a host name; write the name in punycode (xn--…)"),
    }
}

/// Host and port of an authority, whose default is `port`; the brackets of an IPv6 address are
/// taken off.
pub(super) fn host_and_port(authority: &str, port: u16) -> Result<(String, u16)> {
    let default = port;
    ensure!(
        !authority.contains('@'),
        "user and password do not belong into a URL; give -H \"Authorization: …\""
    );
    ensure!(
        authority.parse::<Ipv6Addr>().is_err(),
        "an IPv6 address needs brackets: [{authority}], and [{authority}]:8080 with a port"
    );
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']').context("the bracket is not closed")?;
        let parsed = address.parse::<Ipv6Addr>();
        ensure!(parsed.is_ok(), "{} in brackets is no IPv6 address", Quoted(address));
        (address, port)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        ensure_host_name(host)?;
        (host, port)
    };
    ensure!(!host.is_empty(), "the host is missing; write for example http://localhost:8080/");
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = digits.parse().ok().filter(|&port: &u16| port > 0);
            port.with_context(|| {
                format!("port {} is not a number from 1 to 65535", Quoted(digits))
            })?
        }
        _ => bail!("{} after the host is no port; write host:port", Quoted(port)),
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
            scheme: Scheme::Http,
            http2: false,
            host: host.into(),
            port,
            authority: authority.into(),
            path: path.into(),
            socket: None,
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
        let said = |text: &str| parse(text).unwrap_err().to_string();
        let supported = "supported: http, https, h2c, h2, unix";
        for scheme in ["ftp", "ws", "h3"] {
            let text = format!("{scheme}://h");
            let expected = format!("target \"{text}\": unknown scheme \"{scheme}\"; {supported}");
            assert_eq!(said(&text), expected);
        }
    }

    #[test]
    fn the_scheme_says_what_is_spoken_and_on_which_port() {
        for (text, url, scheme, http2, port) in [
            ("HTTPS://h", "https://h/", Scheme::Https, false, 443),
            ("h2c://h:81/x", "http://h:81/x", Scheme::Http, true, 81),
            ("h2c://h", "http://h/", Scheme::Http, true, 80),
            ("h2://h", "https://h/", Scheme::Https, true, 443),
        ] {
            let target = parse(text).unwrap();
            assert_eq!((target.url.as_str(), target.scheme), (url, scheme), "{text}");
            assert_eq!((target.http2, target.port), (http2, port), "{text}");
        }
    }

    #[test]
    fn a_socket_may_be_the_target() {
        for (text, socket, path) in [
            ("unix:/run/a.sock", "/run/a.sock", "/"),
            ("unix://run/a.sock", "/run/a.sock", "/"),
            ("unix:///run/a.sock:/x?y", "/run/a.sock", "/x?y"),
            ("UNIX:./a.sock:/", "./a.sock", "/"),
        ] {
            let target = parse(text).unwrap();
            assert_eq!(target.socket.as_deref(), Some(Path::new(socket)), "{text}");
            assert_eq!((target.path.as_str(), target.authority.as_str()), (path, "localhost"));
            assert_eq!(parse(&target.url).unwrap(), target);
        }
        assert_eq!(parse("unix:8080").unwrap().port, 8080);
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(format!("{:#}", parse(&long).unwrap_err()).contains("1 to 107 bytes"));
        assert!(parse(&long[..long.len() - 1]).is_ok());
        assert!(parse("unix:/a:/b c").is_err());
    }

    #[track_caller]
    fn check_reason(text: &str, reason: &str) {
        let error = parse(text).unwrap_err();
        assert_eq!(error.root_cause().to_string(), reason);
    }

    #[test]
    fn a_character_that_needs_an_escape_is_named_with_it() {
        check_reason("http://h/a b", "' ' cannot stand in a URL as it is; write %20");
        check_reason("http://h/?q=a b", "' ' cannot stand in a URL as it is; write %20");
        check_reason("http://h/ä", "'ä' cannot stand in a URL as it is; write %C3%A4");
        check_reason("http://h/\n", "'\\n' cannot stand in a URL as it is; write %0A");
        check_reason("http://h/<", "'<' cannot stand in a URL as it is; write %3C");
    }

    #[test]
    fn a_host_name_is_ascii() {
        let remedy = "cannot stand in a host name; write the name in punycode (xn--…)";
        check_reason("http://bücher.example/", &format!("'ü' {remedy}"));
        let remedy = "cannot stand in a host name; write for example localhost:8080/path";
        check_reason("ho st", &format!("' ' {remedy}"));
        assert!(parse("my_host:80").is_ok() && parse("xn--bcher-kva.example").is_ok());
    }

    #[test]
    fn a_long_target_is_named_by_its_beginning() {
        for text in [format!("h/{} ", "x".repeat(10_000)), format!("h:{}", "9".repeat(10_000))] {
            let said = format!("{:#}", parse(&text).unwrap_err());
            assert!(said.contains("…\"") && said.len() < 300, "{said}");
        }
    }
}
