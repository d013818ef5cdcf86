//! What is spoken, and how many requests are outstanding on a connection that can tell them apart.

use core::num::NonZeroU16;

use anyhow::{Context, Result, bail, ensure};
use pummel_engine::plan::Protocol;
use pummel_proto_http::Scheme;

use super::target::TargetUrl;
use crate::args::{Quoted, RunArgs, WireArgs};

/// Most streams of a connection. Servers allow some hundred, and a hundred are enough for any
/// rate.
const STREAMS_MAX: u16 = 4096;

/// What was said about HTTP/2 or another version, by flag or scheme.
type Asked = (Protocol, &'static str);

/// The protocol, with `offers` as what is to be named in the TLS handshake.
pub(super) fn understand(
    args: &RunArgs,
    target: &TargetUrl,
    offers: &[String],
) -> Result<Protocol> {
    let asked = asked(&args.wire, target)?;
    let protocol = match (asked, agreed(offers)?) {
        (None, None) => Protocol::Http11,
        (Some((protocol, _)), None) | (None, Some(protocol)) => protocol,
        (Some((Protocol::Http2, _)), Some(Protocol::Negotiated)) => Protocol::Negotiated,
        (Some((protocol, _)), Some(other)) if protocol == other => protocol,
        (Some((_, flag)), Some(_)) => bail!(
            "{flag} and --alpn {} do not go together; leave --alpn out",
            offers.join(" --alpn ")
        ),
    };
    ensure_streams(args, protocol)?;
    let pipelined = args.load.pipeline > 1;
    ensure!(
        !(pipelined && protocol == Protocol::Http10),
        "--pipeline and HTTP/1.0 do not go together; leave --pipeline out"
    );
    Ok(protocol)
}

/// The protocol in which a proxy that is spoken to in HTTP/2 is given the requests themselves.
pub(super) fn to_proxy(args: &RunArgs) -> Result<Protocol> {
    if let Some(version) = args.wire.http_version.as_deref() {
        ensure!(
            version == "2",
            "--http-version {version} and HTTP/2 to the proxy do not go together: without a \
             tunnel it is the proxy that requests are sent to; leave one of them out"
        );
    }
    ensure_streams(args, Protocol::Http2)?;
    Ok(Protocol::Http2)
}

/// Refuses a pipeline where there are streams.
fn ensure_streams(args: &RunArgs, protocol: Protocol) -> Result<()> {
    ensure!(
        !(args.load.pipeline > 1 && protocol.may_be_http2()),
        "--pipeline is for HTTP/1.1, and HTTP/2 has streams; give --streams {} instead",
        args.load.pipeline
    );
    Ok(())
}

/// What was asked for in words.
fn asked(args: &WireArgs, target: &TargetUrl) -> Result<Option<Asked>> {
    let version = args.http_version.as_deref().map(version).transpose()?;
    if args.http2_upgrade {
        ensure!(
            target.scheme == Scheme::Http,
            "--http2-upgrade is for servers in the clear, and over https both sides agree in the \
             TLS handshake; give --http2"
        );
        ensure!(
            !args.http2,
            "--http2 begins with HTTP/2 and --http2-upgrade with HTTP/1.1; give one of them"
        );
    }
    let http2 = [
        (args.http2_upgrade, Protocol::Http2Upgrade, "--http2-upgrade"),
        (args.http2, Protocol::Http2, "--http2"),
        (target.http2, Protocol::Http2, "the scheme of HTTP/2"),
    ];
    let http2 = http2.into_iter().find(|(given, ..)| *given);
    let http2 = http2.map(|(_, protocol, flag)| (protocol, flag));
    match (http2, version) {
        (Some((_, flag)), Some((Protocol::Http10 | Protocol::Http11, version))) => {
            bail!("{version} and {flag} do not go together; give one of them")
        }
        (Some(asked), _) => Ok(Some(asked)),
        (None, version) => Ok(version),
    }
}

fn version(text: &str) -> Result<Asked> {
    match text {
        "1.0" => Ok((Protocol::Http10, "--http-version 1.0")),
        "1.1" => Ok((Protocol::Http11, "--http-version 1.1")),
        "2" => Ok((Protocol::Http2, "--http-version 2")),
        "0.9" | "3" => {
            bail!("--http-version {text}: pummel has no HTTP/{text}; give 1.0, 1.1 or 2")
        }
        other => bail!("--http-version {} is unknown; give 1.0, 1.1 or 2", Quoted(other)),
    }
}

/// What a server can agree to that is offered these; `None` without an offer.
fn agreed(offers: &[String]) -> Result<Option<Protocol>> {
    let has = |name: &str| offers.iter().any(|offer| offer == name);
    match (has("h2"), has("http/1.1"), has("http/1.0")) {
        (false, false, false) => Ok(None),
        (true, false, false) => Ok(Some(Protocol::Http2)),
        (false, true, false) => Ok(Some(Protocol::Http11)),
        (true, true, false) => Ok(Some(Protocol::Negotiated)),
        (false, false, true) => Ok(Some(Protocol::Http10)),
        (_, _, true) => {
            bail!("--alpn http/1.0 is offered alone or not at all; leave the other --alpn out")
        }
    }
}

/// What is offered in the handshake where nothing is said. Servers that know HTTP/1.0 only know
/// nothing of offers.
pub(super) fn usual_offers(protocol: Protocol) -> Vec<String> {
    let offers: &[&str] = match protocol {
        Protocol::Http10 => &[],
        Protocol::Http11 => &["http/1.1"],
        Protocol::Http2 | Protocol::Http2Upgrade => &["h2"],
        Protocol::Negotiated => &["h2", "http/1.1"],
    };
    offers.iter().map(|&offer| offer.to_owned()).collect()
}

/// Most requests outstanding on an HTTP/2 connection, and what there is to say of that.
pub(super) fn streams(args: &WireArgs, protocol: Protocol) -> Result<(NonZeroU16, Option<String>)> {
    let Some(typed) = args.streams else { return Ok((NonZeroU16::MIN, None)) };
    let streams = u16::try_from(typed).ok().filter(|&streams| streams <= STREAMS_MAX);
    let streams = streams
        .and_then(NonZeroU16::new)
        .with_context(|| format!("--streams {typed} is out of bounds; give 1 to {STREAMS_MAX}"))?;
    if protocol.may_be_http2() {
        ensure!(
            !(args.disable_keepalive && streams > NonZeroU16::MIN),
            "--streams needs connections that last, and with --disable-keepalive each has one \
             request; leave one of them out"
        );
        return Ok((streams, None));
    }
    let remark = (streams > NonZeroU16::MIN)
        .then(|| "--streams is for HTTP/2 and is ignored; give --http2, too".to_owned());
    Ok((NonZeroU16::MIN, remark))
}

#[cfg(test)]
mod tests {
    use super::super::{target, tls};
    use super::*;
    use crate::args;

    fn read(line: &str) -> Result<Protocol> {
        let args = args::words(&format!("p {line}")).run;
        let target = target::parse(args.target.any().unwrap())?;
        understand(&args, &target, &tls::offers(&args.tls.alpn)?)
    }

    #[track_caller]
    fn check_refused(line: &str, words: &str) {
        let said = read(line).unwrap_err().to_string();
        assert!(said.contains(words), "{line}: {said}");
    }

    #[test]
    fn flags_schemes_and_offers_say_what_is_spoken() {
        use Protocol::{Http2, Http2Upgrade, Http10, Http11, Negotiated};
        for (line, protocol) in [
            ("http://h", Http11),
            ("https://h", Http11),
            ("https://h --http2", Http2),
            ("http://h --http2", Http2),
            ("h2c://h", Http2),
            ("h2://h", Http2),
            ("h2://h --http2", Http2),
            ("http://h --http2-upgrade", Http2Upgrade),
            ("h2c://h --http2-upgrade --http-version 2", Http2Upgrade),
            ("http://h --http-version 1.0", Http10),
            ("http://h --http-version 1.1", Http11),
            ("http://h --http-version 2", Http2),
            ("https://h --alpn h2", Http2),
            ("https://h --alpn http/1.1", Http11),
            ("https://h --alpn http/1.0", Http10),
            ("https://h --alpn http/1.1 --alpn h2", Negotiated),
            ("https://h --http2 --alpn h2 --alpn http/1.1", Negotiated),
            ("https://h --http-version 1.1 --alpn http/1.1", Http11),
        ] {
            assert_eq!(read(line).unwrap(), protocol, "{line}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_the_names_of_both() {
        check_refused("http://h --http2 --http-version 1.0", "--http-version 1.0 and --http2 do");
        check_refused("h2c://h --http-version 1.1", "1.1 and the scheme of HTTP/2 do not go");
        check_refused("http://h --http2 --http2-upgrade", "give one of them");
        check_refused("https://h --http2-upgrade", "give --http2");
        check_refused("https://h --http2 --alpn http/1.1", "--http2 and --alpn http/1.1 do not");
        check_refused("https://h --http-version 1.1 --alpn h2", "1.1 and --alpn h2 do not go");
        check_refused("https://h --alpn http/1.0 --alpn h2", "offered alone");
        check_refused("http://h --http2 --pipeline 8", "give --streams 8 instead");
        check_refused("https://h --alpn h2 --alpn http/1.1 --pipeline 8", "give --streams 8");
        check_refused("http://h --http-version 1.0 --pipeline 2", "HTTP/1.0 do not go together");
        for version in ["0.9", "3"] {
            let words = format!("pummel has no HTTP/{version}; give 1.0, 1.1 or 2");
            check_refused(&format!("http://h --http-version {version}"), &words);
        }
        check_refused("http://h --http-version 1.2", "\"1.2\" is unknown");
    }

    #[test]
    fn streams_are_for_http2_and_bounded() {
        let of = |flags: &str, protocol| {
            streams(&args::words(&format!("p h{flags}")).run.wire, protocol)
                .map(|(streams, remark)| (streams.get(), remark.is_some()))
        };
        let http2 = Protocol::Http2;
        assert_eq!(of("", http2).unwrap(), (1, false));
        assert_eq!(of(" --streams 100", http2).unwrap(), (100, false));
        assert_eq!(of(" --http2-parallel 7", Protocol::Negotiated).unwrap(), (7, false));
        assert_eq!(of(" --streams 100", Protocol::Http11).unwrap(), (1, true));
        assert_eq!(of(" --streams 1", Protocol::Http11).unwrap(), (1, false));
        assert_eq!(of(" --streams 4096", http2).unwrap(), (4096, false));
        for typed in ["0", "4097", "65537"] {
            let said = of(&format!(" --streams {typed}"), http2).unwrap_err().to_string();
            assert!(said.contains(&format!("--streams {typed} is out of bounds")), "{said}");
        }
        assert!(of(" --disable-keepalive --streams 2", http2).is_err());
        assert!(of(" --disable-keepalive --streams 1", http2).is_ok());
    }

    #[test]
    fn what_is_spoken_is_offered() {
        assert_eq!(usual_offers(Protocol::Http2), ["h2"]);
        assert_eq!(usual_offers(Protocol::Http11), ["http/1.1"]);
        assert!(usual_offers(Protocol::Http10).is_empty());
    }
}
