//! Ways through a proxy that is spoken to in HTTP/2: haproxy, in front of what opens tunnels, or of
//! what answers.

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
