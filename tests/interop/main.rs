//! The program against servers of other people, in every protocol that both sides know.
//!
//! Each server is its own implementation of HTTP/2, of HPACK, of flow control and of TLS; what all
//! of them agree to is not a misunderstanding of ours.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod closing;
mod matrix;
mod report;
mod tunnel;

use std::process::Command;

use serde_json::Value;
use tests::peers::{Door, Peer};

/// Requests of a run, at most.
const COUNT: u64 = 200;

/// Connections of a run.
const CONNECTIONS: u64 = 4;

/// HTTP/1.1 and HTTP/2, as [`Ask::http2`] has them.
const HTTP1: Option<u16> = None;
const HTTP2: Option<u16> = Some(10);

/// What is asked of a server, how often, and with which flags.
struct Ask<'a> {
    door: Door,
    path: &'a str,
    /// HTTP/2, with so many streams of a connection.
    http2: Option<u16>,
    count: u64,
    more: &'a [&'a str],
}

/// Loads a server and returns the report, once everything in it is as it must be when nothing has
/// gone wrong.
fn load(peer: &Peer, ask: &Ask<'_>) -> Value {
    let outcome = tests::run(&mut command(peer, ask)).unwrap();
    let said = &outcome.stderr;
    assert!(!outcome.stdout.is_empty(), "{:?} {}: no report: {said}", ask.door, ask.path);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    report::check(&report, ask);
    assert_eq!(outcome.code, Some(0), "{:?} {}: {said}", ask.door, ask.path);
    report
}

fn command(peer: &Peer, ask: &Ask<'_>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
    command.arg(peer.url(ask.door, ask.path)).arg("--json");
    command.args(["-n", &ask.count.to_string(), "-c", &CONNECTIONS.to_string()]);
    if let Some(streams) = ask.http2 {
        let flag = if ask.door == Door::Upgrade { "--http2-upgrade" } else { "--http2" };
        command.args([flag, "--streams", &streams.to_string()]);
    }
    if matches!(ask.door, Door::Tls | Door::Tls12) {
        command.arg("--cacert").arg(peer.site().authority());
    }
    command.args(ask.more);
    command
}
