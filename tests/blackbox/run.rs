//! A whole run against a small server: what is counted, what is printed, how it exits.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use serde_json::Value;
use tests::{Outcome, Running, Server};

use super::{check_refusal, pummel};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The document of a run that went well.
#[track_caller]
fn document(outcome: &Outcome) -> Value {
    assert!(outcome.went_well(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// All keys of a document as paths; keys which are data (kinds of error, statuses) are left out.
fn keys(of: &Value, path: &str, into: &mut Vec<String>) {
    match of {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                if path == ".errors" || path == ".statuses" {
                    into.push(path);
                } else {
                    keys(value, &path, into);
                }
            }
        }
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            if let Some(item) = items.first() {
                keys(item, &format!("{path}[]"), into);
            }
        }
        _ => into.push(path.to_owned()),
    }
}

#[test]
fn the_keys_of_the_json_report_are_what_they_were() {
    let server = Server::answering(OK).unwrap();
    let args = [&server.target(), "-n", "20", "-c", "2", "-q", "1k", "--json"];
    let document = document(&tests::run(&mut pummel(args)).unwrap());
    let mut paths = Vec::new();
    keys(&document, "", &mut paths);
    // What is found, and whether threads of so short a run were seen, is the machine's.
    for place in [".verdict.notes", ".verdict.reasons", ".machine.shards"] {
        paths.iter_mut().filter(|path| path.starts_with(place)).for_each(|path| {
            path.truncate(place.len());
        });
    }
    paths.dedup();
    insta::assert_snapshot!(paths.join("\n"));
}

#[test]
fn every_request_of_a_counted_run_arrives_and_is_counted() {
    let server = Server::answering(OK).unwrap();
    let args = [&server.target(), "-n", "1000", "-c", "4", "--json"];
    let document = document(&tests::run(&mut pummel(args)).unwrap());
    assert_eq!(document["counts"]["scheduled"], 1000);
    assert_eq!(document["counts"]["ok"], 1000);
    assert_eq!(document["statuses"]["200"], 1000);
    assert_eq!(document["latency_ns"]["service"]["count"], 1000);
    assert_eq!(document["verdict"]["axes"]["load_delivered"], "pass");
    assert_eq!((server.requests(), server.connections()), (1000, 4));
}

#[test]
fn a_status_that_was_not_expected_is_a_failure_and_no_error() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").unwrap();
    let target = server.target();
    let args = [&target, "-n", "10", "-c", "1", "--json"];
    let counts = document(&tests::run(&mut pummel(args)).unwrap())["counts"].clone();
    assert_eq!((&counts["ok"], &counts["failed"]), (&Value::from(0), &Value::from(10)));
    let args = [&target, "-n", "10", "-c", "1", "--json", "-s", "503"];
    let counts = document(&tests::run(&mut pummel(args)).unwrap())["counts"].clone();
    assert_eq!((&counts["ok"], &counts["failed"]), (&Value::from(10), &Value::from(0)));
}

#[test]
fn a_server_that_answers_garbage_is_counted_and_the_report_is_complete() {
    let server = Server::answering("SSH-2.0-nothing to see here\r\n").unwrap();
    let args = [&server.target(), "-n", "5", "-c", "1", "--json"];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    assert_eq!(outcome.code, Some(3), "nothing was answered: {outcome:?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["counts"]["errors"], 5);
    assert_eq!(document["latency_ns"]["ok"]["count"], 0);
    assert_eq!(document["latency_ns"]["service"]["count"], 5, "the times to the failures");
    let reasons = document["verdict"]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["code"] == "no_answer"), "{reasons:?}");
    let kinds: Vec<&String> = document["errors"].as_object().unwrap().keys().collect();
    assert!(kinds.iter().all(|kind| kind.contains("protocol")), "{kinds:?}");
}

#[test]
fn a_target_that_refuses_all_connections_is_an_impossible_run() {
    // A port that was free a moment ago, and that nobody listens on now.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    drop(listener);
    let outcome = tests::run(&mut pummel([target.as_str(), "-n", "1", "-c", "2"])).unwrap();
    check_refusal(&outcome, 1, &[&target, "nothing was sent"]);
}

/// Both ways to be told to stop.
const SIGNALS: [&str; 2] = ["-INT", "-TERM"];

/// Sends the signal.
#[track_caller]
fn send(signal: &str, running: &Running) {
    let id = running.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

#[test]
fn an_interrupted_run_says_so_is_reported_and_exits_with_130() {
    for signal in SIGNALS {
        let server = Server::answering(OK).unwrap();
        let args = [&server.target(), "-t", "1h", "-c", "1", "--json"];
        let running = tests::start(&mut pummel(args)).unwrap();
        // Once something has arrived the run is under way.
        server.first_request().unwrap();
        send(signal, &running);
        let outcome = running.outcome().unwrap();
        assert_eq!(outcome.code, Some(130), "{outcome:?}");
        assert_eq!(outcome.stderr.matches("stopping: ").count(), 1, "{outcome:?}");
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(document["interrupted"], true);
        assert_ne!(document["verdict"]["status"], "invalid");
    }
}

#[test]
fn the_text_report_goes_to_standard_output() {
    let server = Server::answering(OK).unwrap();
    let outcome = tests::run(&mut pummel([&server.target(), "-n", "10", "-c", "1"])).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("10 scheduled = 10 ok"), "{outcome:?}");
    assert!(outcome.stdout.contains("\n  load delivered  PASS     10 of 10 sent\n"), "{outcome:?}");
}

#[test]
fn a_second_interrupt_ends_the_run_at_once_and_without_a_report() {
    // It reads and never answers, so that the first signal alone would wait for a second.
    let server = Server::answering("").unwrap();
    let target = server.target();
    let args = [&target, "-t", "1h", "-c", "1", "--timeout", "1h"];
    let running = tests::start(&mut pummel(args)).unwrap();
    server.first_request().unwrap();
    // Signals that are pending are one signal: the program must get to run in between.
    for _ in 0..400 {
        send("-INT", &running);
    }
    let outcome = running.outcome().unwrap();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(130), ""), "{outcome:?}");
}

#[test]
fn a_second_request_to_terminate_does_not_cost_the_report() {
    let server = Server::answering(OK).unwrap();
    let target = server.target();
    let running = tests::start(&mut pummel([&target, "-t", "1h", "-c", "1", "--json"])).unwrap();
    server.first_request().unwrap();
    // As timeout(1) has it: the child, and then its group.
    for _ in 0..2 {
        send("-TERM", &running);
    }
    let outcome = running.outcome().unwrap();
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((outcome.code, &document["interrupted"]), (Some(130), &Value::Bool(true)));
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_hold_back_the_report() {
    let server = Server::answering(OK).unwrap();
    let target = server.target();
    // Long enough for a line of progress. epoll, so that there is no word about the reactor before.
    let args = [&target, "-t", "2s", "-c", "1", "--json", "--reactor", "epoll"];
    let outcome = tests::run_into_full_stderr(&mut pummel(args)).unwrap();
    assert_eq!(document(&outcome)["ending"], "completed");
}

#[test]
fn a_report_that_cannot_be_written_is_a_run_that_could_not_be_done() {
    let server = Server::answering(OK).unwrap();
    let program = env!("CARGO_BIN_EXE_under-test");
    // Full, and open for reading only.
    for place in [">/dev/full", "1</dev/null"] {
        let script = format!("exec \"$0\" \"$@\" {place}");
        let target = server.target();
        let args = ["-c", &script, program, &target, "-n", "10", "-c", "1", "--reactor", "epoll"];
        let outcome = tests::run(Command::new("sh").args(args)).unwrap();
        assert_eq!(outcome.code, Some(1), "{place}: {outcome:?}");
        assert!(outcome.stderr.contains("cannot write the report"), "{place}: {outcome:?}");
    }
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_bounds_and_an_invalid_run() {
    // It takes one connection, answers ten requests on it, and is gone.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut to = &stream;
        let lines = BufReader::new(&stream).lines().map_while(Result::ok);
        for _ in lines.filter(String::is_empty).take(10) {
            to.write_all(OK.as_bytes()).unwrap();
        }
    });
    let args = [&target, "-q", "100", "-t", "500ms", "-c", "1", "--drain", "0s"];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    server.join().unwrap();
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stdout.contains("40 of 50: requests without an end"), "{outcome:?}");
    let first = outcome.stdout.lines().find_map(|line| line.trim().strip_prefix("invalid: "));
    let said = "undelivered: only 20 % of 50 slots were sent within the window, and no";
    assert!(first.is_some_and(|first| first.starts_with(said)), "{outcome:?}");
    assert!(outcome.stdout.contains("see to the server first"), "{outcome:?}");
    assert!(outcome.stderr.contains("connection trouble"), "{outcome:?}");
}

#[test]
fn a_report_says_who_never_joined_and_tells_scenarios_from_requests() {
    let recorder = tests::Recorder::new().unwrap();
    let target = recorder.target();
    let joining = ["-c", "5", "-n", "3", "--spawn-rate", "1", "--spawn-interval", "100s"];
    let of = |words: &[&str]| {
        let outcome = tests::run(&mut pummel(words.iter().copied())).unwrap();
        assert!(outcome.went_well(), "{outcome:?}");
        outcome.stdout
    };
    let text = of(&[&[target.as_str()][..], &joining].concat());
    assert!(text.contains("reopened, 4 had still to join in when the run ended\n"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.toml").display().to_string();
    let toml = format!("[[scenario.steps]]\nurl = \"http://{target}/a?b\"\n[[scenario.steps]]\n");
    std::fs::write(&path, toml).unwrap();
    let text = of(&["--config", &path, "--rate", "100", "-n", "10"]);
    assert!(text.contains(&format!("Target         GET http://{target}  (")), "{text}");
    for said in ["scenarios: offered ", "   completed ", "; requests: achieved ", "   good "] {
        assert!(text.contains(said), "{text}\nexpected {said}");
    }
}
