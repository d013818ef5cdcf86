//! The proxy: where it is, what it is told, and how it is used.

use anyhow::{Context, Result, bail, ensure};
use pummel_engine::plan::{Means, Protocol, Proxy};
use pummel_proto_http::{Request, Scheme, write_base64};

use super::request;
use super::target::{self, TargetUrl};
use crate::args::{ProxyArgs, Quoted};

/// Where a proxy is, and as whom it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProxyUrl {
    pub(super) host: String,
    pub(super) port: u16,
    /// `user:password`, as bytes.
    credentials: Option<Vec<u8>>,
}

/// The proxy that was typed, if any.
pub(super) fn url(args: &ProxyArgs) -> Result<Option<ProxyUrl>> {
    let Some(typed) = args.proxy.as_deref() else {
        for (flag, given) in [
            ("--proxy-header", !args.proxy_header.is_empty()),
            ("--proxy-http-version", args.proxy_http_version.is_some()),
            ("--proxy-http2", args.proxy_http2),
        ] {
            ensure!(!given, "{flag} is for a proxy; give --proxy URL, too");
        }
        return Ok(None);
    };
    // The password is not repeated on a screen.
    parse(typed).with_context(|| format!("--proxy {}", Quoted(without_password(typed)))).map(Some)
}

/// What follows the last `@` of a URL that has a user.
fn without_password(typed: &str) -> &str {
    typed.rsplit_once('@').map_or(typed, |(_, rest)| rest)
}

fn parse(typed: &str) -> Result<ProxyUrl> {
    let rest = match typed.split_once("://") {
        None => typed,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) => bail!(
            "a proxy is spoken to by http alone, not by {}; write http://host:port",
            Quoted(scheme)
        ),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    ensure!(!rest.contains(['/', '?', '#']), "a proxy has no path; write http://host:port");
    let (credentials, authority) = match rest.rsplit_once('@') {
        Some((user, authority)) => {
            let mut credentials = unescaped(user)?;
            // RFC 7617 section 2: a colon stands between them, also before no password.
            if !user.contains(':') {
                credentials.push(b':');
            }
            (Some(credentials), authority)
        }
        None => (None, rest),
    };
    let (host, port) = target::host_and_port(authority, PORT)?;
    Ok(ProxyUrl { host, port, credentials })
}

/// The port of a proxy that names none, as of any URL of http.
const PORT: u16 = 80;

/// How the proxy leads to `server`, for a target that is spoken to in `protocol`.
pub(super) fn understand(
    args: &ProxyArgs,
    at: &ProxyUrl,
    (target, server): (&TargetUrl, &(String, u16)),
    protocol: Protocol,
) -> Result<Proxy> {
    let through = target.scheme == Scheme::Https || protocol.may_be_http2();
    let (host, port) = server;
    let detour = (host.as_str(), *port) != (target.host.as_str(), target.port);
    ensure!(
        through || !detour,
        "--connect-to and --proxy go together in a tunnel only, and http goes without; \
         leave one of them out"
    );
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let means = if through { Means::Tunnel(format!("{host}:{port}")) } else { Means::Forward };
    let http2 = http2(args)?;
    let mut fields = Vec::new();
    if let Some(credentials) = &at.credentials {
        let value = format!("Basic {}", base64(credentials));
        fields.push(("Proxy-Authorization".to_owned(), value));
    }
    for line in &args.proxy_header {
        let (name, value) = field(line, http2)?;
        ensure!(
            at.credentials.is_none() || !name.eq_ignore_ascii_case("Proxy-Authorization"),
            "--proxy-header {name} and a user in --proxy do not go together; give one of them"
        );
        fields.push((name, value));
    }
    Ok(Proxy { means, fields, http2 })
}

/// A field line, by the same rules as those of the request.
fn field(line: &str, http2: bool) -> Result<(String, String)> {
    let typed = Quoted(line);
    let (name, value) = line.split_once(':').with_context(|| {
        format!("--proxy-header {typed} has no colon; write --proxy-header \"Name: value\"")
    })?;
    let value = value.trim();
    let checked = Request::builder("GET", "h", "/").and_then(|any| any.field(name, value));
    let checked = checked
        .map_err(request::reason)
        .and_then(|any| if http2 { request::ensure_http2(&any.build()) } else { Ok(()) });
    checked.with_context(|| format!("--proxy-header {typed}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn http2(args: &ProxyArgs) -> Result<bool> {
    match (args.proxy_http_version.as_deref(), args.proxy_http2) {
        (None, http2) => Ok(http2),
        (Some("2"), _) => Ok(true),
        (Some("1.1"), false) => Ok(false),
        (Some("1.1"), true) => {
            bail!("--proxy-http-version 1.1 and --proxy-http2 do not go together; give one of them")
        }
        (Some(other), _) => {
            bail!("--proxy-http-version {} is not spoken to a proxy; give 1.1 or 2", Quoted(other))
        }
    }
}

/// `text` with each `%XX` as the byte that it stands for (RFC 3986 section 2.1).
fn unescaped(text: &str) -> Result<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.context("user or password has a % without two digits; write %25 for it")?;
        bytes.push(byte);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    Ok(bytes)
}

/// Base64 with padding (RFC 4648 section 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    write_base64(bytes, &mut text);
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    fn read(flags: &str, target: &str, protocol: Protocol) -> Result<Option<Proxy>> {
        let args = args::words(&format!("p {target} {flags}")).run;
        let target = target::parse(target)?;
        let Some(at) = url(&args.proxy)? else { return Ok(None) };
        let (server, _) = super::super::way::server(&args.wire, &target)?;
        understand(&args.proxy, &at, (&target, &server), protocol).map(Some)
    }

    fn of(flags: &str, target: &str) -> Proxy {
        read(flags, target, Protocol::Http11).unwrap().unwrap()
    }

    #[track_caller]
    fn check_refused(flags: &str, words: &str) {
        let said = format!("{:#}", read(flags, "http://h", Protocol::Http11).unwrap_err());
        assert!(said.contains(words), "{flags}: {said}");
    }

    #[test]
    fn a_proxy_has_a_host_and_a_port_and_maybe_a_user() {
        let at = |text: &str| {
            let parsed = parse(text).unwrap();
            (parsed.host, parsed.port, parsed.credentials)
        };
        let user = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(at("http://p:3128/"), ("p".to_owned(), 3128, None));
        assert_eq!(at("p"), ("p".to_owned(), 80, None));
        assert_eq!(at("http://u:w@[::1]:1"), ("::1".to_owned(), 1, user("u:w")));
        assert_eq!(at("u%40x:w%2f@p:1"), ("p".to_owned(), 1, user("u@x:w/")));
        assert_eq!(at("u@p:1"), ("p".to_owned(), 1, user("u:")));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        check_refused("--proxy socks5://p", "not by \"socks5\"");
        check_refused("--proxy https://p", "not by \"https\"");
        check_refused("--proxy http://p/x", "a proxy has no path");
        check_refused("--proxy http://p:0", "1 to 65535");
        check_refused("--proxy u%4:x@p", "% without two digits");
        check_refused("--proxy http://", "host is missing");
        let said =
            format!("{:#}", url(&args::words("p h -p http://u:secret@p:x").run.proxy).unwrap_err());
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn https_and_http2_go_through_a_tunnel_and_http_as_whole_urls() {
        let proxy = "--proxy http://p:1";
        assert_eq!(of(proxy, "http://h").means, Means::Forward);
        assert_eq!(of(proxy, "https://h").means, Means::Tunnel("h:443".to_owned()));
        assert_eq!(of(proxy, "https://[::1]").means, Means::Tunnel("[::1]:443".to_owned()));
        let detour = "--proxy http://p:1 --connect-to ::g:9";
        assert_eq!(of(detour, "https://h").means, Means::Tunnel("g:9".to_owned()));
        check_refused(detour, "go together in a tunnel only");
        let http2 = read(proxy, "http://h", Protocol::Http2).unwrap().unwrap();
        assert_eq!(http2.means, Means::Tunnel("h:80".to_owned()));
    }

    #[test]
    fn a_proxy_is_told_fields_of_its_own() {
        let proxy = of("--proxy u:w@p --proxy-header X-A:1", "http://h");
        let expected = [("Proxy-Authorization", "Basic dTp3"), ("X-A", "1")];
        assert_eq!(proxy.fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        check_refused("--proxy p --proxy-header X", "has no colon");
        check_refused("--proxy p --proxy-header :x", "--proxy-header \":x\"");
        let twice = "--proxy u@p --proxy-header proxy-authorization:x";
        check_refused(twice, "do not go together");
        for flag in ["--proxy-header X:1", "--proxy-http2", "--proxy-http-version 2"] {
            check_refused(flag, "is for a proxy; give --proxy");
        }
    }

    #[test]
    fn a_proxy_is_spoken_to_in_one_of_two_versions() {
        let http2 = |flags: &str| of(&format!("--proxy p {flags}"), "http://h").http2;
        assert!(!http2("--proxy-http-version 1.1"));
        assert!(http2("--proxy-http2") && http2("--proxy-http-version 2"));
        check_refused("--proxy p --proxy-http-version 1.1 --proxy-http2", "do not go together");
        check_refused("--proxy p --proxy-http-version 3", "give 1.1 or 2");
        let about = "--proxy p --proxy-http2 --proxy-header Connection:close";
        check_refused(about, "--proxy-header \"Connection:close\"");
    }
}
