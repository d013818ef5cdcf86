//! How requests got to the server: protocol, TLS, proxy; as planned, and as it went.

use std::io::{self, Write};

use pummel_engine::plan::{self, Keep, Lookup, Means, Protocol, Resumption, Trust};
use pummel_engine::reactor::Close;
use pummel_engine::record::{Agreed, Alpn, CODES, Histogram, Quantile, Secured};
use pummel_engine::report::Report;
use pummel_engine::statistics::order;
use pummel_engine::units::Rate;

use super::schema::{Handshake, Handshakes, Http2, Proxy, Tls};
use super::{counted, per_time, text};

/// What is spoken, for a person.
pub(super) const fn spoken(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http10 => "HTTP/1.0",
        Protocol::Http11 => "HTTP/1.1",
        Protocol::Http2 => "HTTP/2",
        Protocol::Http2Upgrade => "HTTP/2 by upgrade",
        Protocol::Negotiated => "HTTP/2 or HTTP/1.1",
    }
}

/// What is to be said of the way to the server, beside what goes without saying.
pub(super) fn parts(plan: &plan::Plan) -> Vec<String> {
    let wire = &plan.wire;
    let streams = (wire.protocol.may_be_http2() && wire.streams.get() > 1)
        .then(|| format!("{} streams each", wire.streams));
    let keep = match wire.keep {
        Keep::Open => None,
        Keep::One => Some("one request per connection".to_owned()),
        Keep::Renewed(rate) => {
            Some(format!("{} connections replaced", per_time(rate.per_second())))
        }
    };
    let proxy = wire.proxy.as_ref().map(|proxy| match &proxy.means {
        Means::Tunnel(to) => format!("by a tunnel to {to}"),
        Means::Forward => "by a proxy".to_owned(),
    });
    let sources =
        (!wire.sources.is_empty()).then(|| format!("from {}", addresses(wire.sources.len())));
    [streams, keep, proxy, sources].into_iter().flatten().collect()
}

fn addresses(count: usize) -> String {
    if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") }
}

/// The planned TLS, as JSON.
pub(super) fn tls(tls: &plan::Tls) -> Tls<'_> {
    Tls {
        versions: [tls.versions.0.name(), tls.versions.1.name()],
        groups: tls.groups.iter().map(|group| group.name()).collect(),
        alpn: &tls.alpn,
        sni: &tls.server_name,
        verify: tls.trust != Trust::Anybody,
        identity: tls.identity.is_some(),
        resume: tls.resumption == Resumption::On,
    }
}

/// The proxy, as JSON.
pub(super) fn proxy(proxy: &plan::Proxy) -> Proxy<'_> {
    let (means, to) = match &proxy.means {
        Means::Tunnel(to) => ("tunnel", Some(to.as_str())),
        Means::Forward => ("forward", None),
    };
    Proxy { means, to, http2: proxy.http2 }
}

/// How often the name is looked up.
pub(super) const fn lookup(lookup: Lookup) -> &'static str {
    match lookup {
        Lookup::Once => "once",
        Lookup::Again => "again",
    }
}

/// The name of a way to close.
pub(super) const fn close(close: Close) -> &'static str {
    match close {
        Close::Finish => "fin",
        Close::Reset => "rst",
    }
}

/// Connections that are replaced, per second.
pub(super) fn renewed(keep: Keep) -> Option<f64> {
    match keep {
        Keep::Renewed(rate) => Some(Rate::per_second(rate)),
        Keep::Open | Keep::One => None,
    }
}

/// What handshakes agreed on, as JSON.
pub(super) fn handshakes(secured: &Secured) -> Handshakes {
    let kind = |&(agreed, count): &(Agreed, u64)| Handshake {
        version: agreed.version,
        suite: agreed.suite,
        group: agreed.group,
        alpn: agreed.alpn.map(Alpn::name),
        resumed: agreed.resumed,
        count,
    };
    Handshakes {
        full: secured.total() - secured.resumed(),
        resumed: secured.resumed(),
        kinds: secured.rows().iter().map(kind).collect(),
    }
}

/// What only HTTP/2 knows, as JSON.
pub(super) fn http2(report: &Report) -> Http2 {
    let counts = report.totals.multiplexed;
    let goaways = CODES.into_iter().zip(counts.goaways);
    Http2 {
        refused: counts.refused,
        beyond_goaway: counts.beyond_goaway,
        retried: counts.retried,
        streams_allowed: counts.streams_allowed,
        goaways: goaways.filter(|&(_, count)| count > 0).collect(),
    }
}

/// The lines about TLS and HTTP/2, where there is anything to say.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    if let Some(tls) = report.plan.ways().find_map(|(tls, _)| tls) {
        text::joined(to, "TLS", "; ", secured(report, tls).into_iter())?;
    }
    let counts = report.totals.multiplexed;
    let goaways = CODES.iter().zip(counts.goaways);
    let goaways = goaways.map(|(name, count)| (format!("GOAWAY {name}"), count));
    let rows = [
        ("refused".to_owned(), counts.refused),
        ("beyond a GOAWAY".to_owned(), counts.beyond_goaway),
        ("sent again".to_owned(), counts.retried),
    ];
    let rows = rows.into_iter().chain(goaways).filter(|&(_, count)| count > 0);
    let rows = rows.map(|(name, count)| format!("{name}: {count}"));
    let asked = report.plan.wire.streams;
    let few = counts.streams_allowed.map(|few| format!("streams allowed: {few} of {asked}"));
    let rows: Vec<String> = few.into_iter().chain(rows).collect();
    if rows.is_empty() {
        return Ok(());
    }
    text::joined(to, "HTTP/2", "   ", rows.into_iter())
}

/// What is to be said of TLS; that nothing was verified comes first, because nobody may miss it.
fn secured(report: &Report, tls: &plan::Tls) -> Vec<String> {
    let secured = &report.totals.secured;
    let unverified = tls.trust == Trust::Anybody;
    let mut parts: Vec<String> =
        unverified.then(|| "NOT VERIFIED (--insecure)".to_owned()).into_iter().collect();
    let kinds = kinds(secured);
    let several = kinds.len() > 1;
    let shown = |(agreed, count): &(Agreed, u64)| {
        let name = kind(agreed);
        if several { format!("{name}: {count}") } else { name }
    };
    parts.extend(kinds.iter().map(shown));
    let handshakes = counted(secured.total(), "handshake");
    parts.push(format!("{handshakes} ({} resumed)", secured.resumed()));
    parts.extend(report.totals.parts.tls.as_deref().and_then(median));
    parts
}

/// What was agreed on, and how often. Whether a session was taken up is told in the sum; such a
/// handshake is of the kind of the one that made the session, though in TLS 1.2 it has no group.
fn kinds(secured: &Secured) -> Vec<(Agreed, u64)> {
    let mut kinds: Vec<(Agreed, u64)> = Vec::new();
    let (whole, taken_up): (Vec<_>, Vec<_>) =
        secured.rows().iter().copied().partition(|(agreed, _)| agreed.group.is_some());
    for (agreed, count) in whole.into_iter().chain(taken_up) {
        let agreed = Agreed { resumed: false, ..agreed };
        let same = |other: &Agreed| {
            *other == agreed
                || (agreed.group.is_none() && Agreed { group: None, ..*other } == agreed)
        };
        match kinds.iter_mut().find(|(other, _)| same(other)) {
            Some((_, sum)) => *sum += count,
            None => kinds.push((agreed, count)),
        }
    }
    kinds
}

pub(super) fn kind(agreed: &Agreed) -> String {
    // Keys of a session that was taken up may come from that session alone.
    let group = agreed.group.map_or(String::new(), |group| format!(" {group}"));
    let alpn = agreed.alpn.map_or(String::new(), |alpn| format!(", ALPN {}", alpn.name()));
    format!("{} {}{group}{alpn}", agreed.version, agreed.suite)
}

/// The p50, of enough values.
fn median(of: &Histogram) -> Option<String> {
    let enough = of.count() >= order::samples_needed(Quantile::P50.share());
    enough.then(|| format!("p50 {}", of.quantile(Quantile::P50)))
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU16;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use pummel_engine::plan::{Group, Plan, TlsVersion, Wire};
    use pummel_engine::units::Nanos;
    use serde_json::{Value, json};

    use super::super::json as document;
    use super::super::tests::{closed, environment, paper, plan, sample, verdict};
    use super::*;

    const FULL: Agreed = Agreed {
        version: "1.3",
        suite: "TLS13_AES_128_GCM_SHA256",
        group: Some("x25519"),
        alpn: Some(Alpn::Http2),
        resumed: false,
    };

    fn secure(trust: Trust) -> plan::Tls {
        plan::Tls {
            server_name: "h".to_owned(),
            trust,
            identity: None,
            versions: (TlsVersion::Tls12, TlsVersion::Tls13),
            groups: vec![Group::X25519],
            alpn: vec!["h2".to_owned()],
            resumption: Resumption::Off,
        }
    }

    /// A sample of a run over HTTP/2 and TLS.
    fn over_http2(trust: Trust) -> Report {
        let wire = Wire {
            protocol: Protocol::Http2,
            streams: NonZeroU16::new(100).unwrap(),
            tls: Some(secure(trust)),
            ..Wire::default()
        };
        let mut report = sample(closed());
        report.plan = Arc::new(Plan { wire, ..plan(closed()) });
        let mut times = Histogram::new();
        for millis in 1..=64 {
            report.totals.secured.count(FULL);
            times.record(Nanos::from_millis(millis));
        }
        report.totals.parts.tls = Some(Box::new(times));
        report
    }

    fn printed(report: &Report) -> (String, Value) {
        let (mut words, mut keys) = (Vec::new(), Vec::new());
        let verdict = verdict(report);
        text::write(&paper(report, &verdict), &environment(), &mut words).unwrap();
        document::write(&paper(report, &verdict), &environment(), &mut keys).unwrap();
        (String::from_utf8(words).unwrap(), serde_json::from_slice(&keys).unwrap())
    }

    /// The line that begins with `label`, and those that go on with it.
    fn paragraph(words: &str, label: &str) -> String {
        let mut lines = words.lines().skip_while(|line| !line.starts_with(label));
        let first = lines.next().unwrap_or_default().to_owned();
        lines.take_while(|line| line.starts_with("     ")).fold(first, |all, line| all + line)
    }

    #[test]
    fn a_run_in_the_clear_says_nothing_of_tls_and_http2() {
        let (words, keys) = printed(&sample(closed()));
        assert!(!words.contains("TLS") && !words.contains("HTTP/2"), "{words}");
        assert!(keys["tls"].is_null() && keys["http2"].is_null());
        assert!(keys["latency_ns"]["tls"].is_null());
        let plan = &keys["plan"];
        assert_eq!((&plan["protocol"], &plan["close"]), (&json!("http/1.1"), &json!("fin")));
        assert!(plan["tls"].is_null() && plan["streams"].is_null() && plan["proxy"].is_null());
        assert_eq!((&plan["keepalive"], &plan["sources"]), (&json!(true), &json!([])));
        assert_eq!(plan["lookup"], "once");
    }

    #[test]
    fn a_secured_run_says_what_was_agreed_on_and_how_long_it_took() {
        let (words, keys) = printed(&over_http2(Trust::Roots(Arc::default())));
        assert_eq!(
            paragraph(&words, "TLS"),
            "TLS            1.3 TLS13_AES_128_GCM_SHA256 x25519, ALPN h2; \
             64 handshakes (0 resumed); p50 32.0 ms"
        );
        assert!(words.contains("(HTTP/2)") && words.contains("64 connections, 100 streams each"));
        assert!(words.contains("\n  handshake "), "{words}");
        let kind = json!({
            "version": "1.3", "suite": FULL.suite, "group": "x25519", "alpn": "h2",
            "resumed": false, "count": 64
        });
        assert_eq!(keys["tls"], json!({"full": 64, "resumed": 0, "kinds": [kind]}));
        assert_eq!(keys["latency_ns"]["tls"]["count"], 64);
        let expected = json!({
            "versions": ["1.2", "1.3"], "groups": ["x25519"], "alpn": ["h2"], "sni": "h",
            "verify": true, "identity": false, "resume": false
        });
        assert_eq!(keys["plan"]["tls"], expected);
        assert_eq!(
            (&keys["plan"]["protocol"], &keys["plan"]["streams"]),
            (&json!("h2"), &json!(100))
        );
    }

    #[test]
    fn that_nobody_was_verified_is_the_first_thing_that_is_said() {
        let (words, keys) = printed(&over_http2(Trust::Anybody));
        assert!(words.contains("\nTLS            NOT VERIFIED (--insecure); 1.3"), "{words}");
        assert_eq!(keys["plan"]["tls"]["verify"], false);
        for line in words.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn handshakes_of_several_kinds_are_counted_apart_and_resumed_ones_in_the_sum() {
        let mut report = over_http2(Trust::Anybody);
        report.totals.secured.count(Agreed { resumed: true, ..FULL });
        report.totals.secured.count(Agreed { version: "1.2", group: None, alpn: None, ..FULL });
        let (words, keys) = printed(&report);
        let said = paragraph(&words, "TLS");
        assert!(said.contains("ALPN h2: 65;"), "{said}");
        assert!(said.contains("1.2 TLS13_AES_128_GCM_SHA256: 1;"), "{said}");
        assert!(said.contains("66 handshakes (1 resumed)"), "{said}");
        assert_eq!((&keys["tls"]["full"], &keys["tls"]["resumed"]), (&json!(65), &json!(1)));
    }

    #[test]
    fn sessions_that_were_taken_up_are_of_the_kind_that_made_them() {
        let mut report = sample(closed());
        let wire = Wire { tls: Some(secure(Trust::Roots(Arc::default()))), ..Wire::default() };
        report.plan = Arc::new(Plan { wire, ..plan(closed()) });
        let full = Agreed { version: "1.2", alpn: None, ..FULL };
        // In TLS 1.2 there is no exchange of keys then, and so no group.
        let resumed = Agreed { group: None, resumed: true, ..full };
        for agreed in [resumed, full, full, resumed, resumed] {
            report.totals.secured.count(agreed);
        }
        let said = paragraph(&printed(&report).0, "TLS");
        let expected = "1.2 TLS13_AES_128_GCM_SHA256 x25519; 5 handshakes (3 resumed)";
        assert_eq!(said, format!("TLS            {expected}"));
    }

    #[test]
    fn what_http2_alone_knows_is_said_where_it_is_not_nothing() {
        let mut report = over_http2(Trust::Anybody);
        let (words, keys) = printed(&report);
        assert!(!words.contains("\nHTTP/2"), "{words}");
        let none = json!({
            "refused": 0, "beyond_goaway": 0, "retried": 0, "streams_allowed": null, "goaways": {}
        });
        assert_eq!(keys["http2"], none);
        let counts = &mut report.totals.multiplexed;
        (counts.refused, counts.retried) = (3, 2);
        counts.goaway(11);
        let (words, keys) = printed(&report);
        assert_eq!(
            paragraph(&words, "HTTP/2"),
            "HTTP/2         refused: 3   sent again: 2   GOAWAY enhance_your_calm: 1"
        );
        assert_eq!(keys["http2"]["goaways"], json!({"enhance_your_calm": 1}));
        let mut report = over_http2(Trust::Anybody);
        report.totals.multiplexed.allow(5);
        let (words, keys) = printed(&report);
        assert_eq!(paragraph(&words, "HTTP/2"), "HTTP/2         streams allowed: 5 of 100");
        assert_eq!(keys["http2"]["streams_allowed"], 5);
    }

    #[test]
    fn a_proxy_is_named_without_what_it_is_told() {
        let fields = vec![("Proxy-Authorization".to_owned(), "Basic secret".to_owned())];
        let proxy = plan::Proxy { means: Means::Tunnel("h:443".to_owned()), fields, http2: false };
        let sources = Arc::from([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        let rate = Rate::new(5, Nanos::from_secs(1)).unwrap();
        let wire = Wire {
            proxy: Some(proxy),
            sources,
            lookup: Lookup::Again,
            keep: Keep::Renewed(rate),
            close: Close::Reset,
            ..Wire::default()
        };
        let mut report = sample(closed());
        report.plan = Arc::new(Plan { wire, ..plan(closed()) });
        let (words, keys) = printed(&report);
        for part in ["5.00/s connections replaced", "by a tunnel to h:443", "from 1 address,"] {
            assert!(words.contains(part), "{words}");
        }
        let plan = &keys["plan"];
        let expected = json!({"means": "tunnel", "to": "h:443", "http2": false});
        assert_eq!(plan["proxy"], expected);
        assert_eq!((&plan["sources"], &plan["close"]), (&json!(["127.0.0.1"]), &json!("rst")));
        assert_eq!(plan["connections_per_s"], 5.0);
        assert_eq!(plan["lookup"], "again");
        assert!(!words.contains("secret") && !keys.to_string().contains("secret"));
    }
}
