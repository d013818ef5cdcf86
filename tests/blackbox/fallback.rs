//! The program where io_uring is forbidden, and which reactor it says it used.

use std::process::Command;

use serde_json::Value;
use tests::{Outcome, Server};

use super::{check_refusal, pummel};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a container and an old kernel answer, with the reason and the cure that the user is told.
const REFUSALS: [(&str, &str, &str); 2] = [
    ("EPERM", "not permitted", "kernel.io_uring_disabled"),
    ("ENOSYS", "not implemented", "Linux 6.0"),
];

/// The program with `args`, where every system call of io_uring fails with `errno`.
fn forbidden(errno: &str, args: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_without-io-uring"));
    command.arg(errno).arg(env!("CARGO_BIN_EXE_under-test")).args(args);
    tests::run(&mut command).unwrap()
}

/// The lines of standard error that speak of io_uring.
fn words_about_io_uring(outcome: &Outcome) -> Vec<&str> {
    outcome.stderr.lines().filter(|line| line.contains("io_uring")).collect()
}

fn reactor(outcome: &Outcome) -> String {
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    document.pointer("/environment/reactor").and_then(Value::as_str).unwrap().to_owned()
}

#[test]
fn where_io_uring_is_forbidden_epoll_is_used_and_one_line_says_why() {
    let server = Server::answering(OK).unwrap();
    for (errno, reason, cure) in REFUSALS {
        for choice in [&[][..], &["--reactor", "auto"]] {
            let target = server.target();
            let args = [&[target.as_str(), "-n", "20", "-c", "2", "--json"], choice].concat();
            let outcome = forbidden(errno, &args);
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
            assert_eq!(reactor(&outcome), "epoll");
            let [line] = words_about_io_uring(&outcome)[..] else { panic!("{outcome:?}") };
            for word in [reason, cure, "using epoll"] {
                assert!(line.contains(word), "{word:?} is missing in {line:?}");
            }
        }
    }
}

#[test]
fn io_uring_that_was_asked_for_and_is_forbidden_is_an_error_with_a_cure() {
    let server = Server::answering(OK).unwrap();
    for (errno, reason, cure) in REFUSALS {
        let outcome = forbidden(errno, &[&server.target(), "-n", "20", "--reactor", "uring"]);
        check_refusal(&outcome, 1, &["io_uring", reason, cure, "--reactor epoll"]);
    }
    assert_eq!(server.connections(), 0, "nothing may be sent");
}

#[test]
fn epoll_that_was_asked_for_is_no_fallback() {
    let server = Server::answering(OK).unwrap();
    let target = server.target();
    let args = [&target, "-n", "20", "-c", "2", "--json", "--reactor", "epoll"];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    assert_eq!((outcome.code, reactor(&outcome).as_str()), (Some(0), "epoll"));
    assert!(words_about_io_uring(&outcome).is_empty(), "{outcome:?}");
}

#[test]
fn a_fallback_is_never_silent() {
    let server = Server::answering(OK).unwrap();
    let args = [&server.target(), "-n", "20", "-c", "2", "--json"];
    let outcome = tests::run(&mut pummel(args)).unwrap();
    let fell_back = !words_about_io_uring(&outcome).is_empty();
    assert_eq!(reactor(&outcome), if fell_back { "epoll" } else { "io_uring" }, "{outcome:?}");
}
