//! The built-in target: what it says, how it ends, and whether both sides of a run say the same.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use super::{check_refusal, pummel};

/// A target that runs until its standard input is closed, and for a minute at most.
struct Target {
    child: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Target {
    fn start(flags: &str) -> Self {
        let bound = ["target", "--until-stdin-closes", "--duration", "1m"];
        let mut child = pummel(bound.into_iter().chain(flags.split_whitespace()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, stdout, url }
    }

    /// Ends it, and returns what it says that it did.
    fn end(mut self) -> Value {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&said).unwrap()
    }
}

/// Loads a target that is started with `flags`, and returns what the client says and what the
/// target says.
fn both_sides(flags: &str, load: &str) -> (Value, Value) {
    let target = Target::start(flags);
    let words = [target.url.as_str(), "--json"].into_iter().chain(load.split_whitespace());
    let outcome = tests::run(&mut pummel(words)).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    (serde_json::from_str(&outcome.stdout).unwrap(), target.end())
}

#[test]
fn client_and_target_count_the_same_requests_on_every_pair_of_reactors() {
    for (ours, theirs) in
        [("auto", "auto"), ("auto", "epoll"), ("epoll", "auto"), ("epoll", "epoll")]
    {
        let load = format!("-n 1000 -c 4 --pipeline 3 --reactor {ours}");
        let flags = format!("--status 200,200,500 --reactor {theirs}");
        let (client, target) = both_sides(&flags, &load);
        assert_eq!(target["requests"], 1000);
        assert_eq!(target["responses"], 1000);
        assert_eq!(target["connections"], 4);
        assert_eq!(client["statuses"], target["by_status"]);
        assert_eq!(client["bytes"]["sent"], target["bytes"]["received"]);
        assert_eq!(client["bytes"]["received"], target["bytes"]["sent"]);
    }
}

#[test]
fn every_form_of_an_answer_is_one_that_the_client_takes() {
    for flags in [
        "--chunked --body-size 1000",
        "--close-after 3",
        "--body-size 300000",
        "--drip 1ms --spin=false --body-size 100",
        "--delay 1ms --spin=false",
        "--status 204",
        "--shards 2",
    ] {
        let (client, target) = both_sides(flags, "-n 60 -c 2");
        assert_eq!(client["counts"]["ok"], 60, "{flags}");
        assert_eq!(target["responses"], 60, "{flags}");
    }
}

#[test]
fn a_delay_of_the_target_is_what_the_client_measures_at_least() {
    let (client, target) = both_sides("--delay 2ms --spin=false", "-n 40 -c 2");
    assert!(client["latency_ns"]["service"]["min"].as_u64() >= Some(2_000_000), "{client}");
    assert_eq!(target["late_ns"]["count"], 40);
}

#[test]
fn a_fault_of_the_target_is_an_error_of_the_client_and_not_a_response() {
    for (flags, counted) in [
        ("--reset-every 10 --body-size 1000", "resets"),
        ("--break half-head --break-every 10", "broken"),
        ("--break wrong-length --break-every 10", "broken"),
        ("--break garbage --break-every 10", "broken"),
    ] {
        let (client, target) = both_sides(flags, "-n 50 -c 1");
        assert_eq!(client["counts"]["errors"], 5, "{flags}: {client}");
        assert_eq!(client["counts"]["ok"], 45, "{flags}: {client}");
        assert_eq!(target[counted], 5, "{flags}: {target}");
    }
}

#[test]
fn a_target_that_cannot_serve_says_why_in_one_line() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let outcome = tests::run(&mut pummel(["target", "--listen", &taken])).unwrap();
    check_refusal(&outcome, 1, &["listen", &taken]);
    for (flags, word) in [
        ("--freeze 1s --freeze-every 1s", "--freeze-every"),
        ("--freeze 1s", "--freeze-every"),
        ("--cores 8000", "CPU 8000"),
        ("--status 99", "99"),
        ("--delay soon", "soon"),
        ("--reactor select", "select"),
    ] {
        let words = ["target"].into_iter().chain(flags.split_whitespace());
        check_refusal(&tests::run(&mut pummel(words)).unwrap(), 2, &[word]);
    }
}
