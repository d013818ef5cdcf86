//! Every server, at each of its doors: bodies of every size, in both directions.

use std::fs;

use tests::peers::{Door, Limits, Peer, SIZES};

use crate::report::{check_kept, check_received, check_sent};
use crate::{Ask, COUNT, HTTP1, HTTP2, load};

/// Bytes of all bodies of a run, at most: the large ones are asked for less often.
const BYTES_MAX: u64 = 80_000_000;

/// Requests of a run with bodies of `size` bytes.
fn count(size: u64) -> u64 {
    COUNT.min(BYTES_MAX / size.max(1))
}

/// Asks for a file of each size, and posts a body of each size.
fn check_bodies(peer: &Peer, door: Door, http2: Option<u16>) {
    for size in SIZES {
        let path = size.to_string();
        let ask = Ask { door, path: &path, http2, count: count(size), more: &[] };
        let report = load(peer, &ask);
        check_received(&report, &ask, size);
        check_kept(&report);
    }
    for size in [0, 1024, 10_000_000] {
        let file = peer.site().path().join("posted");
        // Not zeros alone, or a server that sees half of it would not notice.
        let body: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        fs::write(&file, body).unwrap();
        let more = ["--method", "POST", "--data-file", file.to_str().unwrap()];
        let size = u64::try_from(size).unwrap();
        let ask = Ask { door, path: "take", http2, count: count(size), more: &more };
        let report = load(peer, &ask);
        check_sent(&report, &ask, size);
        check_received(&report, &ask, 2);
        check_kept(&report);
    }
}

#[test]
fn nginx_http1_in_the_clear() {
    let Some(peer) = Peer::nginx(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Plain, HTTP1);
}

#[test]
fn nginx_http1_over_tls() {
    let Some(peer) = Peer::nginx(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP1);
}

#[test]
fn nginx_http1_over_tls_1_2() {
    let Some(peer) = Peer::nginx(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls12, HTTP1);
}

#[test]
fn nginx_http2_in_the_clear() {
    let Some(peer) = Peer::nginx(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Clear, HTTP2);
}

#[test]
fn nginx_http2_over_tls() {
    let Some(peer) = Peer::nginx(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP2);
}

#[test]
fn nginx_http2_over_tls_1_2() {
    let Some(peer) = Peer::nginx(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls12, HTTP2);
}

#[test]
fn nghttpd_http2_in_the_clear() {
    let Some(peer) = Peer::nghttpd(Door::Clear, &[]).unwrap() else { return };
    check_bodies(&peer, Door::Clear, HTTP2);
}

#[test]
fn nghttpd_http2_over_tls() {
    let Some(peer) = Peer::nghttpd(Door::Tls, &[]).unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP2);
}

#[test]
fn nghttpd_with_padding_trailers_and_the_smallest_table() {
    let args = ["--padding=256", "--trailer=seen: all", "--encoder-header-table-size=0"];
    let Some(peer) = Peer::nghttpd(Door::Clear, &args).unwrap() else { return };
    for size in SIZES {
        let path = size.to_string();
        let count = count(size);
        let ask = Ask { door: Door::Clear, path: &path, http2: HTTP2, count, more: &[] };
        load(&peer, &ask);
    }
}

#[test]
fn nghttpd_with_a_table_that_holds_nothing_of_ours() {
    let Some(peer) = Peer::nghttpd(Door::Clear, &["--header-table-size=0"]).unwrap() else {
        return;
    };
    check_bodies(&peer, Door::Clear, HTTP2);
}

#[test]
fn nghttpd_with_windows_of_the_smallest_size() {
    let args = ["--window-bits=10", "--connection-window-bits=16"];
    let Some(peer) = Peer::nghttpd(Door::Clear, &args).unwrap() else { return };
    check_bodies(&peer, Door::Clear, HTTP2);
}

#[test]
fn h2o_http1_in_the_clear() {
    let Some(peer) = Peer::h2o(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Plain, HTTP1);
}

#[test]
fn h2o_http1_over_tls() {
    let Some(peer) = Peer::h2o(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP1);
}

#[test]
fn h2o_http2_in_the_clear() {
    let Some(peer) = Peer::h2o(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Clear, HTTP2);
}

#[test]
fn h2o_http2_begun_as_http1() {
    let Some(peer) = Peer::h2o(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Upgrade, HTTP2);
}

#[test]
fn h2o_http2_over_tls() {
    let Some(peer) = Peer::h2o(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP2);
}

#[test]
fn haproxy_http1_in_the_clear() {
    let Some(peer) = Peer::haproxy(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Plain, HTTP1);
}

#[test]
fn haproxy_http1_over_tls() {
    let Some(peer) = Peer::haproxy(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP1);
}

#[test]
fn haproxy_http2_in_the_clear() {
    let Some(peer) = Peer::haproxy(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Clear, HTTP2);
}

#[test]
fn haproxy_http2_over_tls() {
    let Some(peer) = Peer::haproxy(Limits::default()).unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP2);
}

#[test]
fn caddy_http1_in_the_clear() {
    let Some(peer) = Peer::caddy().unwrap() else { return };
    check_bodies(&peer, Door::Plain, HTTP1);
}

#[test]
fn caddy_http1_over_tls() {
    let Some(peer) = Peer::caddy().unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP1);
}

#[test]
fn caddy_http2_in_the_clear() {
    let Some(peer) = Peer::caddy().unwrap() else { return };
    check_bodies(&peer, Door::Clear, HTTP2);
}

#[test]
fn caddy_http2_begun_as_http1() {
    let Some(peer) = Peer::caddy().unwrap() else { return };
    check_bodies(&peer, Door::Upgrade, HTTP2);
}

#[test]
fn caddy_http2_over_tls() {
    let Some(peer) = Peer::caddy().unwrap() else { return };
    check_bodies(&peer, Door::Tls, HTTP2);
}
