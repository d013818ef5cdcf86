//! Rules about what may be named where.

use crate::sources::{self, Source, names};
use crate::{Finding, check};

pub(crate) const HOT: &str = "the data plane neither locks nor formats nor builds strings";

/// The code that runs on a shard.
const DATA_PLANE: &[&str] =
    &["engine/src/pace", "engine/src/record", "engine/src/shard", "engine/src/reactor"];

/// The members which make the program, without what measures and tests it.
const PROGRAM: &[&str] = &["proto-http/src", "engine/src", "cli/src", "tuning/src"];

/// All places of the code in `folders`, but for those in `except`, at which one of `words` stands.
fn uses(folders: &[&str], except: &[&str], words: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let within = |source: &Source| source.is_in(folders) && !source.is_in(except);
    for source in sources::rust().into_iter().filter(within) {
        for (line, code) in source.code() {
            for word in words.iter().filter(|word| names(&code, word)) {
                let what = format!("names `{word}`");
                findings.push(Finding { path: source.path.clone(), line, what });
            }
        }
    }
    findings
}

#[test]
fn unsafe_code_stands_in_the_reactor_only() {
    let mut findings = Vec::new();
    for source in sources::rust().iter().filter(|source| !source.is_in(&["engine/src/reactor"])) {
        for (line, _) in source.lines().filter(|(_, line)| names(line, "unsafe")) {
            let what = "unsafe code".to_owned();
            findings.push(Finding { path: source.path.clone(), line, what });
        }
    }
    check(
        "unsafe code stands in engine/src/reactor only",
        &findings,
        "find a safe API (rustix, socket2), or move what needs it behind the reactor",
    );
}

#[test]
fn the_lint_against_unsafe_code_is_lifted_at_one_place_only() {
    let mut findings = Vec::new();
    for source in sources::rust() {
        for (line, code) in source.lines() {
            let lifted = names(&code, "unsafe_code") && !code.contains("forbid(");
            if lifted && source.path != "engine/src/reactor/mod.rs" {
                let what = "lifts the lint".to_owned();
                findings.push(Finding { path: source.path.clone(), line, what });
            }
        }
    }
    let cure = "the invariants that unsafe code rests on are numbered in engine/src/reactor/mod.rs";
    check("`unsafe_code` is expected in engine/src/reactor/mod.rs only", &findings, cure);
}

#[test]
fn members_without_unsafe_code_forbid_it() {
    let roots = ["proto-http/src/lib.rs", "cli/src/lib.rs", "tuning/src/lib.rs"];
    let sources = sources::rust();
    let forbids = |root: &&str| {
        let root = sources.iter().find(|source| source.path == *root);
        root.is_some_and(|root| root.text.contains("#![forbid(unsafe_code)]"))
    };
    let findings = roots.into_iter().filter(|root| !forbids(root)).map(|root| Finding {
        path: root.to_owned(),
        line: 0,
        what: "lacks `#![forbid(unsafe_code)]`".to_owned(),
    });
    check(
        "members without unsafe code forbid it",
        &findings.collect::<Vec<_>>(),
        "a lint can be lifted further down, a prohibition cannot",
    );
}

#[test]
fn only_one_folder_knows_io_uring() {
    check(
        "only engine/src/reactor/uring knows io_uring",
        &uses(PROGRAM, &["engine/src/reactor/uring"], &["io_uring::"]),
        "what the rest needs belongs into the trait `Reactor`, or shards stop being testable",
    );
}

#[test]
fn only_one_room_knows_the_tls_library() {
    let words = ["rustls::", "aws_lc_rs::", "webpki::"];
    check(
        "only engine/src/tls knows the TLS library",
        &uses(PROGRAM, &["engine/src/tls"], &words),
        "what the rest needs belongs into `tls::Session`: the library's interface will change",
    );
}

#[test]
fn only_one_room_of_the_engine_knows_regular_expressions() {
    check(
        "only engine/src/judge knows regular expressions",
        &uses(&["engine/src", "proto-http/src"], &["engine/src/judge"], &["regex::"]),
        "what a search needs is kept for one thread: `judge::Pattern` says who clones it",
    );
}

#[test]
fn only_one_room_of_the_engine_knows_content_codings() {
    let words = ["flate2::", "brotli_decompressor::", "ruzstd::"];
    check(
        "only engine/src/judge knows content codings",
        &uses(&["engine/src", "proto-http/src"], &["engine/src/judge"], &words),
        "bodies are decoded for those who look at them: `judge::Codings`",
    );
}

#[test]
fn only_one_file_of_the_engine_reads_a_clock() {
    let clocks = ["clock_gettime", "Instant::now", "SystemTime", "_rdtsc", "elapsed()"];
    check(
        "only engine/src/reactor/clock.rs reads a clock",
        &uses(&["engine/src", "proto-http/src"], &["engine/src/reactor/clock.rs"], &clocks),
        "take the time from `Reactor::now` (a shard) or `reactor::clock` (the coordinator)",
    );
}

#[test]
fn a_shard_takes_the_present_from_its_reactor() {
    let pure = ["engine/src/plan", "engine/src/pace", "engine/src/record", "engine/src/shard"];
    check(
        "plan, pace, record and shard do not ask the clock for the present",
        &uses(&pure, &[], &["clock::now"]),
        "take it from `Reactor::now` or `Reactor::clock`, so that a simulated reactor can tell it",
    );
}

#[test]
fn the_data_plane_neither_locks_nor_formats_nor_builds_strings() {
    let words = ["Mutex", "RwLock", "Condvar", "format!", "String", "to_string", "to_owned"];
    check(
        HOT,
        &uses(DATA_PLANE, &[], &words),
        "share nothing; keep numbers and enums, and put words to them where they are printed",
    );
}

#[test]
fn the_data_plane_says_nothing() {
    let words = ["println!", "eprintln!", "print!", "eprint!", "dbg!", "log::", "tracing::"];
    check(
        "neither the engine nor the protocol prints or logs",
        &uses(&["engine/src", "proto-http/src"], &[], &words),
        "count it, or send an event to the observers",
    );
}

#[test]
fn no_part_of_the_program_runs_on_an_async_runtime() {
    check(
        "neither protocol, engine nor tuning is asynchronous",
        &uses(&["proto-http/src", "engine/src", "tuning/src"], &[], &["async", "await"]),
        "shards have the reactor (docs/adr/0003-own-reactor-on-io-uring-with-an-epoll-fallback.md)",
    );
}
