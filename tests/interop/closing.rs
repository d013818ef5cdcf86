//! Servers that limit: connections that end in mid-run, and few streams at a time.

use std::fs;

use serde_json::Value;
use tests::peers::{Door, Limits, Peer};

use crate::{Ask, COUNT, HTTP1, HTTP2, load};

/// Requests that a server allows a connection.
const REQUESTS: u32 = 10;

/// Streams that a server allows a connection.
const STREAMS: u32 = 5;

/// Thirteen bytes, often.
fn ask(door: Door, http2: Option<u16>) -> Ask<'static> {
    Ask { door, path: "13", http2, count: COUNT, more: &[] }
}

/// Checks that connections were replaced: each has had `REQUESTS`, and the last ones may be idle.
#[track_caller]
fn check_replaced(report: &Value) {
    let connections = &report["connections"];
    let needed = COUNT / u64::from(REQUESTS);
    assert!(connections["opened"].as_u64() >= Some(needed), "{connections}");
    assert!(connections["reconnects"].as_u64() > Some(0), "{connections}");
}

#[test]
fn a_good_bye_of_nginx_costs_no_request() {
    for (door, http2) in
        [(Door::Plain, HTTP1), (Door::Tls, HTTP1), (Door::Clear, HTTP2), (Door::Tls, HTTP2)]
    {
        let limits = Limits { requests: REQUESTS, ..Limits::default() };
        let Some(peer) = Peer::nginx(limits).unwrap() else { return };
        let report = load(&peer, &ask(door, http2));
        check_replaced(&report);
        if http2.is_some() {
            let goaways = report["http2"]["goaways"].as_object().unwrap();
            assert!(goaways["no_error"].as_u64() > Some(0), "{goaways:?}");
            assert_eq!(goaways.len(), 1, "{goaways:?}");
        }
    }
}

/// Checks that a server that allows few streams is asked for no more of them.
#[track_caller]
fn check_few_streams(peer: &Peer, door: Door) {
    let report = load(peer, &ask(door, Some(100)));
    assert_eq!(report["connections"]["reconnects"], 0, "{}", report["connections"]);
    let refused = report["http2"]["refused"].as_u64().unwrap();
    // Before a server has said how few it allows, so many may be under way.
    assert!(refused <= 4 * 100, "{}", report["http2"]);
}

#[test]
fn nghttpd_is_asked_for_no_more_streams_than_it_allows() {
    for door in [Door::Clear, Door::Tls] {
        let most = format!("--max-concurrent-streams={STREAMS}");
        let Some(peer) = Peer::nghttpd(door, &[&most]).unwrap() else { return };
        check_few_streams(&peer, door);
    }
}

#[test]
fn nginx_is_asked_for_no_more_streams_than_it_allows() {
    let limits = Limits { streams: STREAMS, ..Limits::default() };
    let Some(peer) = Peer::nginx(limits).unwrap() else { return };
    check_few_streams(&peer, Door::Tls);
    check_few_streams(&peer, Door::Clear);
}

#[test]
fn h2o_is_asked_for_no_more_streams_than_it_allows() {
    let limits = Limits { streams: STREAMS, ..Limits::default() };
    let Some(peer) = Peer::h2o(limits).unwrap() else { return };
    check_few_streams(&peer, Door::Tls);
    check_few_streams(&peer, Door::Clear);
}

#[test]
fn haproxy_is_asked_for_no_more_streams_than_it_allows() {
    let limits = Limits { streams: STREAMS, ..Limits::default() };
    let Some(peer) = Peer::haproxy(limits).unwrap() else { return };
    check_few_streams(&peer, Door::Tls);
    check_few_streams(&peer, Door::Clear);
}

/// RFC 9113 section 8.1: a complete answer counts, though the rest of the request is not wanted.
#[test]
fn an_answer_that_comes_before_the_request_has_ended_is_an_answer() {
    let Some(peer) = Peer::caddy().unwrap() else { return };
    let file = peer.site().path().join("posted");
    fs::write(&file, vec![b'.'; 1_000_000]).unwrap();
    let more = ["--method", "POST", "--data-file", file.to_str().unwrap()];
    for door in [Door::Clear, Door::Tls] {
        load(&peer, &Ask { door, path: "early", http2: HTTP2, count: 40, more: &more });
    }
}
