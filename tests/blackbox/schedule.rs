//! Schedules from outside: the requests that they hold, and how the reports tell them.

use serde_json::Value;
use tests::{Outcome, Server};

use super::pummel;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A run with `flags` against a server that answers at once.
#[track_caller]
fn outcome(flags: &[&str]) -> Outcome {
    let server = Server::answering(OK).unwrap();
    let target = server.target();
    let args = [target.as_str(), "-c", "4"].into_iter().chain(flags.iter().copied());
    let outcome = tests::run(&mut pummel(args)).unwrap();
    // A shard that waited for its CPU makes a window of milliseconds INVALID; what was sent is the
    // same.
    assert!(outcome.went_well(), "{outcome:?}");
    outcome
}

#[track_caller]
fn document(flags: &[&str]) -> Value {
    let flags: Vec<&str> = flags.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&outcome(&flags).stdout).unwrap()
}

#[test]
fn stages_hold_their_requests_and_make_the_window() {
    let stages = ["--stage", "100ms:500", "--stage", "100ms:0", "--stage", "200ms:0..1000"];
    let document = document(&stages);
    assert_eq!(document["counts"]["scheduled"], 150);
    assert_eq!(document["counts"]["ok"], 150);
    assert_eq!(document["window"]["seconds"], 0.4);
    assert_eq!(document["rates"]["offered_per_s"], 375.0);
    assert_eq!(document["plan"]["rate_per_s"], Value::Null);
    assert_eq!(document["plan"]["stages"].as_array().unwrap().len(), 3);
    assert_eq!(document["plan"]["stages"][2]["to_per_s"], 1_000.0);
}

#[test]
fn a_longer_window_goes_on_at_the_last_rate_and_a_warm_up_at_the_first() {
    let flags = ["--stage", "100ms:100..300", "-t", "300ms", "--warmup", "200ms"];
    let document = document(&flags);
    assert_eq!(document["counts"]["scheduled"], 80);
    assert_eq!(document["plan"]["stages"][0]["duration_s"], 0.2);
    assert_eq!(document["plan"]["stages"][0]["from_per_s"], 100.0);
    assert_eq!(document["plan"]["stages"][0]["to_per_s"], 100.0);
}

#[test]
fn a_spike_and_bursts_hold_their_requests() {
    let spike = document(&["-q", "100", "-t", "400ms", "--spike", "100ms:1000"]);
    assert_eq!(spike["counts"]["scheduled"], 130);
    let bursts = document(&["--burst-rate", "10", "--burst-delay", "50ms", "-t", "200ms"]);
    assert_eq!(bursts["counts"]["scheduled"], 40);
    assert_eq!(bursts["plan"]["burst"]["count"], 10);
    assert_eq!(bursts["rates"]["offered_per_s"], 200.0);
}

#[test]
fn a_number_of_requests_is_met_however_they_scatter() {
    for arrivals in ["constant", "poisson", "uniform-jitter"] {
        let document =
            document(&["-q", "1k", "-n", "300", "--warmup", "50ms", "--arrivals", arrivals]);
        assert_eq!(document["counts"]["scheduled"], 300, "{arrivals}");
        assert_eq!(document["plan"]["arrivals"], arrivals);
        assert_eq!(document["plan"]["rate_per_s"], 1_000.0);
    }
}

#[test]
fn the_text_report_tells_the_schedule() {
    let load = |flags: &[&str]| {
        let outcome = outcome(flags);
        outcome.stdout.lines().find(|line| line.starts_with("Load")).unwrap().to_owned()
    };
    let poisson = load(&["-q", "700", "-n", "50", "--arrivals", "poisson", "--pacing", "sleep"]);
    let expected = "Load           open loop, poisson arrivals at 700/s, 4 connections, \
                    sleep pacing, seed 1";
    assert_eq!(poisson, expected);
    let stages = ["--stage", "50ms:1000", "--stage", "50ms:1000..5000", "--stage", "50ms:5000"];
    assert!(load(&stages).contains("open loop in 3 stages, 1000/s to 5000/s, 4 connections"));
}

#[test]
fn a_correction_that_changes_nothing_is_accepted_with_a_line() {
    let outcome = outcome(&["-q", "1k", "-n", "5", "--latency-correction"]);
    let lines = outcome.stderr.lines().filter(|line| line.contains("--latency-correction"));
    assert_eq!(lines.count(), 1, "{outcome:?}");
}
