//! What every report must say of a run in which nothing went wrong.

use serde_json::Value;
use tests::peers::Door;

use crate::{Ask, CONNECTIONS};

/// What heads, frames, records and handshakes may add to the bodies: so much for each request, for
/// each connection, and for all that is sent and received a sixteenth of it.
const PER_REQUEST: u64 = 1024;
const PER_CONNECTION: u64 = 16 * 1024;
const SHARE: u64 = 16;

#[track_caller]
pub(crate) fn check(report: &Value, ask: &Ask<'_>) {
    let counts = &report["counts"];
    assert_eq!(counts["ok"], ask.count, "{}: {counts} {}", ask.path, report["errors"]);
    for count in ["failed", "errors", "timeouts", "dropped", "unfinished"] {
        assert_eq!(counts[count], 0, "{}: {counts} {}", ask.path, report["errors"]);
    }
    assert_eq!(report["statuses"]["200"], ask.count, "{}", report["statuses"]);
    let protocol = if ask.http2.is_some() { "h2" } else { "http/1.1" };
    assert_eq!(report["plan"]["protocol"], protocol);
    check_tls(report, ask);
}

fn check_tls(report: &Value, ask: &Ask<'_>) {
    let version = match ask.door {
        Door::Tls => "1.3",
        Door::Tls12 => "1.2",
        Door::Plain | Door::Clear | Door::Upgrade => {
            assert!(report["tls"].is_null(), "{}", report["tls"]);
            return;
        }
    };
    let tls = &report["tls"];
    assert_eq!(tls["full"], report["connections"]["opened"], "{tls}");
    assert_eq!(tls["resumed"], 0, "{tls}");
    let [kind] = &tls["kinds"].as_array().unwrap()[..] else {
        panic!("handshakes of one kind: {tls}");
    };
    assert_eq!(kind["version"], version, "{tls}");
    let alpn = if ask.http2.is_some() { "h2" } else { "http/1.1" };
    assert_eq!(kind["alpn"], alpn, "{tls}");
    assert!(report["latency_ns"]["tls"]["p50"].as_u64() > Some(0), "{report}");
}

/// Checks that bodies of `size` bytes have come in, and nothing beside them that has no reason.
/// What is sent is answered, too, by frames that open windows.
#[track_caller]
pub(crate) fn check_received(report: &Value, ask: &Ask<'_>, size: u64) {
    let received = report["bytes"]["received"].as_u64().unwrap();
    let sent = report["bytes"]["sent"].as_u64().unwrap();
    let bodies = ask.count * size;
    let opened = report["connections"]["opened"].as_u64().unwrap();
    let most = bodies + (bodies + sent) / SHARE + ask.count * PER_REQUEST + opened * PER_CONNECTION;
    assert!((bodies..most).contains(&received), "{received} bytes of {}", ask.path);
}

/// Checks that bodies of `size` bytes were sent.
#[track_caller]
pub(crate) fn check_sent(report: &Value, ask: &Ask<'_>, size: u64) {
    let sent = report["bytes"]["sent"].as_u64().unwrap();
    assert!(sent >= ask.count * size, "{sent} bytes to {}", ask.path);
}

/// Checks that connections were opened once and lasted.
#[track_caller]
pub(crate) fn check_kept(report: &Value) {
    let connections = &report["connections"];
    assert_eq!(connections["opened"], CONNECTIONS, "{connections}");
    assert_eq!(connections["reconnects"], 0, "{connections}");
}
