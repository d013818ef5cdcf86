//! Ways through a proxy that is spoken to in HTTP/2: haproxy, in front of what opens tunnels, or of
//! what answers.

use std::process::Command;

use serde_json::Value;
use tests::Tunnels;
use tests::peers::{Door, Limits, Peer};

use crate::{Ask, CONNECTIONS, HTTP1, HTTP2, load};

#[test]
fn https_goes_through_a_tunnel_of_haproxy() {
    for http2 in [HTTP1, HTTP2] {
        // More than a frame holds, and more than a window of haproxy's.
        for path in ["13", "1048576"] {
            let tunnels = Tunnels::open().unwrap();
            let Some(proxy) = Peer::haproxy_before(tunnels.address()).unwrap() else { return };
            let Some(server) = Peer::nginx(Limits::default()).unwrap() else { return };
            let at = proxy.url(Door::Clear, "");
            let more = ["--proxy", &at, "--proxy-http2"];
            let report =
                load(&server, &Ask { door: Door::Tls, path, http2, count: 40, more: &more });
            assert_eq!(tunnels.opened(), CONNECTIONS);
            assert_eq!(report["plan"]["proxy"]["http2"], true);
            assert_eq!(report["plan"]["proxy"]["means"], "tunnel");
        }
    }
}

#[test]
fn http_is_forwarded_by_haproxy_in_http2() {
    let Some(proxy) = Peer::haproxy(Limits::default()).unwrap() else { return };
    let at = proxy.url(Door::Clear, "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
    command.args(["http://far.invalid/1048576", "--json", "-c", "4", "-n", "40", "--streams", "5"]);
    let outcome = tests::run(command.args(["--proxy", &at, "--proxy-http2"])).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&report["counts"]["ok"], &report["statuses"]["200"]), (&40.into(), &40.into()));
    assert_eq!(report["plan"]["proxy"]["means"], "forward");
    assert!(report["bytes"]["received"].as_u64() >= Some(40 << 20), "{}", report["bytes"]);
}

#[test]
fn a_body_goes_up_through_a_tunnel_of_haproxy_as_its_window_opens() {
    let tunnels = Tunnels::open().unwrap();
    let Some(proxy) = Peer::haproxy_before(tunnels.address()).unwrap() else { return };
    let Some(server) = Peer::nginx(Limits::default()).unwrap() else { return };
    let at = proxy.url(Door::Clear, "");
    let body = "x".repeat(100_000);
    let more = ["--proxy", &at, "--proxy-http2", "-d", &body];
    let ask = Ask { door: Door::Tls, path: "take", http2: HTTP1, count: 20, more: &more };
    load(&server, &ask);
}
