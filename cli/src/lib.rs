//! The command line of pummel: words to a plan, events to a screen, a report to paper.
//!
//! | folder | what it knows |
//! |---|---|
//! | `args` | what may be typed |
//! | `config` | where it was set, what it means; reads files and DNS, the last to know of flags |
//! | `calibrate` | what this machine can do at best |
//! | `command` | one file per command: what is done, in which order |
//! | `machine` | from what was seen of the machine to what the verdict asks about |
//! | `output` | a report as text and as JSON |
//! | `progress` | an observer that shows a run while it lasts |
//! | `selftest` | whether measurements are true on this machine |
//! | `serve` | the built-in target |
//! | `threshold` | whether a report keeps the thresholds of its run |
//! | `watch` | a thread that watches the machine while a run lasts |
//!
//! No load logic, no protocol, no statistics: those are the engine's.
#![forbid(unsafe_code)]

mod args;
mod calibrate;
mod command;
mod config;
mod edits;
mod exit;
mod feeds;
mod lookup;
mod machine;
mod output;
mod progress;
mod reach;
mod seccomp;
mod selftest;
mod serve;
mod threshold;
mod wall;
mod watch;

use std::process::ExitCode;

/// Runs the program on the arguments of this process, and returns what it exits with.
///
/// Prints the report on standard output, and everything else on standard error.
#[must_use]
pub fn main() -> ExitCode {
    pummel_engine::reactor::thread::refuse_huge_pages();
    let outcome =
        args::parse(std::env::args_os()).and_then(|typed| command::execute(typed.as_ref()));
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => {
            output::stderr::failure(&failure);
            failure.code.into()
        }
    }
}
