//! The program from outside: what it takes, what it says, how it exits.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail")]

mod bad_input;
mod config;
mod cookies;
mod demo;
mod doctor;
mod examples;
mod fallback;
mod feeds;
mod help;
mod hosts;
mod midrun;
mod nginx;
mod odd_servers;
mod preflight;
mod rates;
mod redirects;
mod requests;
mod roams;
mod run;
mod scenarios;
mod schedule;
mod secured;
mod selftest;
mod signed;
mod strest;
mod target;
mod thresholds;
mod tries;
mod unset;
mod watch;

use std::process::Command;

use tests::Outcome;

/// The program with these arguments.
fn pummel<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
    command.args(args);
    command
}

/// Checks that the program refused: with this code, nothing on standard output, and one line on
/// standard error which holds each of `words`.
#[track_caller]
fn check_refusal(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    assert_eq!(outcome.stdout, "", "{outcome:?}");
    let mut lines = outcome.stderr.lines();
    let line = lines.next().unwrap_or_default();
    assert!(line.starts_with("pummel: "), "{outcome:?}");
    assert_eq!(lines.next(), None, "{outcome:?}");
    for word in words {
        assert!(line.contains(word), "{word:?} is missing in {line:?}");
    }
}
