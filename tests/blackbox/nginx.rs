//! The program against nginx, which counts for itself.

use serde_json::Value;
use tests::peers::{Seen, nginx};

use super::pummel;

/// The report of a run of `-n count -c connections`.
fn load(target: &str, count: &str, connections: &str, reactor: &str) -> Value {
    let args = [target, "-n", count, "-c", connections, "--reactor", reactor, "--json"];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn nginx_has_seen_every_request_that_is_reported_and_not_one_connection_more() {
    for reactor in ["auto", "epoll"] {
        let Some(server) = nginx(1_000_000).unwrap() else { return };
        let report = load(&server.target(), "2000", "4", reactor);
        assert_eq!(report["counts"]["ok"], 2000);
        assert_eq!(report["statuses"]["200"], 2000);
        assert_eq!(server.seen().unwrap(), Seen { connections: 4, requests: 2000 });
    }
}

#[test]
fn connections_that_nginx_closes_in_good_order_cost_no_request() {
    for reactor in ["auto", "epoll"] {
        let Some(server) = nginx(10).unwrap() else { return };
        let report = load(&server.target(), "200", "2", reactor);
        assert_eq!(report["counts"]["ok"], 200);
        assert_eq!(report["counts"]["errors"], 0);
        assert_eq!(server.seen().unwrap().requests, 200);
        assert!(report["connections"]["reconnects"].as_u64() > Some(0), "{report}");
    }
}
