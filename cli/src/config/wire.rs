//! The way to the server as a whole: what is spoken, how it is secured, who stands in between, and
//! how long a connection lasts.

use core::num::NonZeroU16;
use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use pummel_engine::plan::{Keep, Lookup, Protocol, Tls, Wire};
use pummel_engine::reactor::Close;
use pummel_proto_http::Scheme;

use super::servers::Server;
use super::target::TargetUrl;
use super::way::{self, Destination, Way};
use super::{protocol, proxy, rate, tls};
use crate::args::{Quoted, RunArgs};

/// What was typed about the way to the servers.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) wire: Wire,
    pub(super) way: Way,
    /// The servers beside the first one.
    pub(super) others: Vec<Server>,
    /// What is ignored.
    pub(super) remarks: Vec<String>,
    /// What is ignored, too, if it is for each server.
    unmet: Option<String>,
}

/// Understands what was typed about the way to each of `targets`, of which there is at least one.
pub(super) fn understand(args: &RunArgs, targets: &[TargetUrl]) -> Result<Terms> {
    let secured = targets.iter().any(|target| target.scheme == Scheme::Https);
    let mut known = None;
    let mut all = Vec::new();
    for target in targets {
        let terms = one(args, target, (secured, known.as_ref()))?;
        known = known.or_else(|| terms.wire.tls.clone());
        all.push((target, terms));
    }
    let (protocol, streams) = common(&all)?;
    let unmet = all.iter().map(|(_, terms)| terms.unmet.clone()).collect::<Option<Vec<_>>>();
    let unmet = unmet.and_then(|unmet| unmet.into_iter().next());
    let mut all = all.into_iter();
    let (_, mut first) = all.next().context("no target")?;
    (first.wire.protocol, first.wire.streams) = (protocol, streams);
    for (target, Terms { wire, way, remarks, .. }) in all {
        let Wire { tls, proxy, lookup, .. } = wire;
        first.others.push(Server { target: target.root(), way, tls, proxy, lookup });
        first.remarks.retain(|remark| remarks.contains(remark));
    }
    first.remarks.extend(unmet);
    Ok(first)
}

/// What is spoken with all servers, and on how many streams: one version, but that a server in the
/// clear may have no choice where others do.
fn common(all: &[(&TargetUrl, Terms)]) -> Result<(Protocol, NonZeroU16)> {
    let (first, terms) = all.first().context("no target")?;
    let mut common = (terms.wire.protocol, terms.wire.streams);
    for (target, Terms { wire, .. }) in all {
        common = match (common.0, wire.protocol) {
            (one, other) if one == other => common,
            (Protocol::Negotiated, Protocol::Http11) => common,
            (Protocol::Http11, Protocol::Negotiated) => (wire.protocol, wire.streams),
            (one, other) => bail!(
                "{} is spoken to in {} and {} in {}, and a run speaks one version; give --http2 \
                 or --http-version, or a run to each",
                Quoted(&first.origin()),
                one.name(),
                Quoted(&target.origin()),
                other.name()
            ),
        };
    }
    Ok(common)
}

/// Understands what was typed about the way to `target`; others may be `secured`, and one of them
/// has `known` TLS.
fn one(
    args: &RunArgs,
    target: &TargetUrl,
    (secured, known): (bool, Option<&Tls>),
) -> Result<Terms> {
    let typed = &args.wire;
    // What is said of https is for those that speak it.
    let clear = secured && target.scheme == Scheme::Http;
    let offers = if clear { Vec::new() } else { tls::offers(&args.tls.alpn)? };
    let protocol = protocol::understand(args, target, &offers)?;
    let (server, unmet) = way::server(typed, target)?;
    let proxy_url = proxy::url(&args.proxy)?;
    let proxy = proxy_url
        .as_ref()
        .map(|at| proxy::understand(&args.proxy, at, (target, &server), protocol))
        .transpose()?;
    let protocol = match &proxy {
        // Who is given the requests themselves is spoken to as they are.
        Some(proxy) if proxy.http2 && !proxy.frames() => protocol::to_proxy(args)?,
        _ => protocol,
    };
    let (streams, ignored) = protocol::streams(typed, protocol)?;
    let offers = if offers.is_empty() { protocol::usual_offers(protocol) } else { offers };
    let tls = match known {
        _ if clear => None,
        Some(known) => Some(tls::also(&args.tls, target, known)?),
        None => tls::understand(&args.tls, target, offers)?,
    };
    let keep = keep(args, protocol)?;
    let way = way::understand(typed, target, server, proxy_url.as_ref())?;
    let (lookup, nameless) = lookup(typed.no_pre_lookup, &way.to);
    let wire = Wire {
        protocol,
        streams,
        tls,
        proxy,
        lookup,
        sources: way::sources(&typed.source_ip)?.into(),
        close: close(typed.close.as_deref())?,
        keep,
    };
    let remarks = [ignored, nameless].into_iter().flatten().collect();
    Ok(Terms { wire, way, others: Vec::new(), remarks, unmet })
}

/// How often the name is looked up, and what there is to say where there is none.
fn lookup(again: bool, to: &Destination) -> (Lookup, Option<String>) {
    let named = match to {
        Destination::Host(host, _) => host.parse::<IpAddr>().is_err(),
        Destination::Socket(_) => false,
    };
    let lookup = if again && named { Lookup::Again } else { Lookup::Once };
    let remark = "--no-pre-lookup changes nothing: connections go to an address, not to a name";
    (lookup, (again && !named).then(|| remark.to_owned()))
}

fn keep(args: &RunArgs, protocol: Protocol) -> Result<Keep> {
    let typed = &args.wire;
    let Some(text) = typed.connections_per_second.as_deref() else {
        ensure!(
            !(typed.disable_keepalive && args.load.pipeline > 1),
            "--pipeline needs connections that last, and with --disable-keepalive each has one \
             request; leave one of them out"
        );
        return Ok(if typed.disable_keepalive { Keep::One } else { Keep::Open });
    };
    ensure!(
        !typed.disable_keepalive,
        "--connections-per-second replaces connections by the clock, and --disable-keepalive \
         after each request; give one of them"
    );
    ensure!(
        protocol != Protocol::Http10,
        "--connections-per-second and HTTP/1.0 do not go together: its connections have one \
         request each; leave one of them out"
    );
    rate::parse(text).context("--connections-per-second").map(Keep::Renewed)
}

fn close(text: Option<&str>) -> Result<Close> {
    match text {
        None | Some("fin") => Ok(Close::Finish),
        Some("rst") => Ok(Close::Reset),
        Some(other) => bail!("--close {} is unknown; give fin or rst", Quoted(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::target;
    use super::*;
    use crate::args;
    use pummel_engine::plan::{Means, Trust};
    use pummel_engine::units::{Nanos, Rate};

    fn read(line: &str) -> Result<Terms> {
        let args = args::words(&format!("p {line}")).run;
        understand(&args, &[target::parse(args.target.any().unwrap())?])
    }

    fn wire(line: &str) -> Wire {
        read(line).unwrap().wire
    }

    #[track_caller]
    fn check_refused(line: &str, words: &str) {
        let said = format!("{:#}", read(line).unwrap_err());
        assert!(said.contains(words), "{line}: {said}");
    }

    #[test]
    fn nothing_said_is_http_in_the_clear_straight_to_the_server() {
        let Terms { wire, way, remarks, .. } = read("http://h").unwrap();
        assert_eq!((wire.protocol, wire.streams.get()), (Protocol::Http11, 1));
        assert!(wire.tls.is_none() && wire.proxy.is_none() && wire.sources.is_empty());
        assert_eq!((wire.close, wire.keep), (Close::Finish, Keep::Open));
        assert_eq!(way.to, Destination::Host("h".to_owned(), 80));
        assert!(remarks.is_empty());
    }

    #[test]
    fn https_is_secured_and_what_is_spoken_is_offered() {
        let tls = |line: &str| wire(line).tls.unwrap();
        let plain = tls("https://h -k");
        assert_eq!((plain.trust, plain.alpn), (Trust::Anybody, vec!["http/1.1".to_owned()]));
        assert_eq!(tls("https://h -k --http2").alpn, ["h2"]);
        assert_eq!(tls("https://h -k --alpn http/1.1 --alpn h2").alpn, ["http/1.1", "h2"]);
        // Where a detour leads does not change who is asked for.
        let Terms { wire, way, .. } = read("https://h -k --connect-to ::g:1 --host x").unwrap();
        assert_eq!(wire.tls.unwrap().server_name, "h");
        assert_eq!(way.to, Destination::Host("g".to_owned(), 1));
    }

    fn several(flags: &str, urls: &[&str]) -> Result<Terms> {
        let args = args::words(&format!("p h {flags}")).run;
        let urls = urls.iter().map(|url| target::parse(url)).collect::<Result<Vec<_>>>()?;
        understand(&args, &urls)
    }

    #[test]
    fn each_of_several_servers_has_a_way_of_its_own() {
        let to = |way: &Way| match &way.to {
            Destination::Host(host, port) => format!("{host}:{port}"),
            Destination::Socket(path) => path.display().to_string(),
        };
        let urls = ["http://h/x", "https://g", "https://i:8"];
        let terms = several("-k --connect-to g::x:9", &urls).unwrap();
        assert!(terms.wire.tls.is_none() && terms.remarks.is_empty());
        let [second, third] = &terms.others[..] else { panic!("two others") };
        assert_eq!([to(&terms.way), to(&second.way), to(&third.way)], ["h:80", "x:9", "i:8"]);
        let name = |server: &Server| server.tls.clone().unwrap().server_name;
        assert_eq!([name(second), name(third)], ["g", "i"]);
        assert_eq!(second.target.url, "https://g/");
        let unmet = several("--connect-to x:::1", &["http://h", "http://g"]).unwrap();
        assert_eq!(unmet.remarks.len(), 1);
        let clear = several("--sni x", &["http://h", "http://g"]).unwrap_err().to_string();
        assert!(clear.starts_with("--sni is for https"), "{clear}");
    }

    #[test]
    fn a_proxy_leads_to_each_of_several_servers_in_its_way() {
        let terms = several("-k -p p:1", &["http://h", "https://g"]).unwrap();
        assert_eq!(terms.wire.proxy.unwrap().means, Means::Forward);
        let other = &terms.others[0];
        assert_eq!(other.proxy.clone().unwrap().means, Means::Tunnel("g:443".to_owned()));
        assert_eq!(other.way.to, Destination::Host("p".to_owned(), 1));
    }

    #[test]
    fn one_version_is_spoken_with_all_servers() {
        let spoken = |flags: &str, urls: &[&str]| several(flags, urls).map(|it| it.wire.protocol);
        let mixed = ["http://h", "https://g"];
        assert_eq!(spoken("-k", &mixed).unwrap(), Protocol::Http11);
        assert_eq!(spoken("-k --http2", &mixed).unwrap(), Protocol::Http2);
        let both = "-k --alpn h2 --alpn http/1.1";
        assert_eq!(spoken(both, &mixed).unwrap(), Protocol::Negotiated);
        let said = spoken("", &["h2c://h", "http://g"]).unwrap_err().to_string();
        assert!(
            said.contains("\"http://h\" is spoken to in h2 and \"http://g\" in http"),
            "{said}"
        );
    }

    #[test]
    fn connections_go_to_the_proxy_if_there_is_one() {
        let Terms { wire, way, .. } = read("https://h -k -p http://p:3128").unwrap();
        assert_eq!(way.to, Destination::Host("p".to_owned(), 3128));
        assert_eq!(wire.proxy.unwrap().means, Means::Tunnel("h:443".to_owned()));
        check_refused("http://h --unix-socket /a -p p", "--proxy and a Unix socket");
    }

    #[test]
    fn a_proxy_that_speaks_http2_is_given_requests_in_it_where_there_is_no_tunnel() {
        let to_proxy = wire("http://h -p p --proxy-http2 --streams 9");
        assert_eq!((to_proxy.protocol, to_proxy.streams.get()), (Protocol::Http2, 9));
        assert_eq!(to_proxy.proxy.unwrap().means, Means::Forward);
        let through = wire("https://h -k -p p --proxy-http2");
        assert_eq!(through.protocol, Protocol::Http11);
        assert!(through.proxy.unwrap().frames());
        check_refused("http://h -p p --proxy-http2 --http-version 1.1", "leave one of them out");
        check_refused("http://h -p p --proxy-http2 --pipeline 2", "give --streams 2 instead");
    }

    #[test]
    fn connections_last_as_long_as_was_said() {
        assert_eq!(wire("http://h --disable-keepalive").keep, Keep::One);
        let rate = Rate::new(1, Nanos::from_millis(200)).unwrap();
        assert_eq!(wire("http://h --connections-per-second 5").keep, Keep::Renewed(rate));
        let both = "http://h --disable-keepalive --connections-per-second 5";
        check_refused(both, "give one of them");
        check_refused("http://h --disable-keepalive --pipeline 2", "--pipeline needs connections");
        check_refused("http://h --connections-per-second 0", "--connections-per-second: \"0\"");
        let old = "http://h --http-version 1.0 --connections-per-second 5";
        check_refused(old, "HTTP/1.0 do not go together");
    }

    #[test]
    fn connections_end_as_was_said() {
        assert_eq!(wire("http://h --close rst").close, Close::Reset);
        assert_eq!(wire("http://h --close fin").close, Close::Finish);
        check_refused("http://h --close abort", "give fin or rst");
    }

    #[test]
    fn what_is_ignored_is_said() {
        let remarks = |line: &str| read(line).unwrap().remarks;
        assert!(remarks("http://h --streams 9")[0].starts_with("--streams is for HTTP/2"));
        assert!(remarks("http://h --connect-to g:::1")[0].contains("says nothing about \"h\""));
        assert!(remarks("http://h --http2 --streams 9").is_empty());
        assert!(remarks("http://[::1] --no-pre-lookup")[0].starts_with("--no-pre-lookup"));
        assert!(remarks("http://h --unix-socket /a --no-pre-lookup")[0].contains("an address"));
    }

    #[test]
    fn a_name_is_looked_up_before_the_run_or_again_and_again() {
        assert_eq!(wire("http://h").lookup, Lookup::Once);
        assert_eq!(wire("http://h --no-pre-lookup").lookup, Lookup::Again);
        assert!(read("http://h --no-pre-lookup").unwrap().remarks.is_empty());
        assert_eq!(wire("http://127.0.0.1 --no-pre-lookup").lookup, Lookup::Once);
        // It is the proxy's name that connections go to.
        assert_eq!(wire("http://127.0.0.1 -p p --no-pre-lookup").lookup, Lookup::Again);
    }
}
