//! What is said of the machine. What it is depends on the machine, and is not judged here; what is
//! found on machines that were recorded is judged in tuning/src/advice/tests.rs.

use std::fs;
use std::io::{self, Write};
use std::process::Command;

use serde_json::Value;

use super::{check_refusal, pummel};

/// More connections than any process may have files: the kernel's own bound is lower.
const TOO_MANY: &str = "http://127.0.0.1:1/ -c 4000000000";

#[test]
fn a_doctor_names_what_bounds_a_load_and_on_request_what_can_be_had() {
    let outcome = tests::run(&mut pummel(["doctor"])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for label in [
        "Kernel",
        "CPUs",
        "Quota",
        "Governor",
        "Clock",
        "Memory",
        "Open files",
        "Ports",
        "io_uring",
    ] {
        let is = |line: &str| line.starts_with(label) && line.len() > 13;
        assert!(outcome.stdout.lines().any(is), "{label}: {outcome:?}");
    }
    for line in outcome.stdout.lines() {
        let long = line.split_whitespace().count() > 2 && line.chars().count() > 100;
        assert!(!long, "{line}");
    }
    assert!(!outcome.stdout.contains("Calibration"), "{outcome:?}");
    let outcome = tests::run(&mut pummel(["doctor", "--calibrate"])).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for word in ["Calibration", "floor", "ceiling"] {
        assert!(outcome.stdout.contains(word), "{outcome:?}");
    }
}

#[test]
fn a_run_that_cannot_be_done_here_is_named_with_its_numbers_and_what_helps() {
    let outcome = tests::run(&mut pummel(["doctor", "--for", TOO_MANY])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    for words in ["Run          http://127.0.0.1:1/", "4000000000 connections need", "try"] {
        assert!(outcome.stdout.contains(words), "{words}: {outcome:?}");
    }
    let grave = |line: &str| line.starts_with("impossible   4000000000 connections");
    assert!(outcome.stdout.lines().any(grave), "{outcome:?}");
}

#[test]
fn a_doctor_speaks_json() {
    let outcome = tests::run(&mut pummel(["doctor", "--json", "--for", TOO_MANY])).unwrap();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["for"], TOO_MANY);
    let host = &document["host"];
    assert!(host["cpus_allowed"].is_string() && host["io_uring"].is_boolean(), "{host}");
    assert!(document["settings"]["net.ipv4.ip_local_port_range"].is_string(), "{document}");
    let findings = document["findings"].as_array().unwrap();
    let ports = findings.iter().find(|finding| finding["code"] == "local_ports").unwrap();
    assert_eq!((&ports["severity"], &ports["value"]), (&"impossible".into(), &4e9.into()));
    assert!(ports["limit"].as_f64() < Some(65_536.0), "{ports}");
    assert!(ports["cures"].as_array().unwrap().iter().all(|cure| cure["how"].is_string()));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (words, said) in [
        (["--for", "h --nonsense"], "--nonsense"),
        (["--for", "h 'x"], "a quote is not closed"),
        (["--for", "demo"], "it is a command; give a target and flags"),
        (["--for", "h -c 0"], "-c 0"),
        (["--yes", "--json"], "--yes is about what is changed; give --apply, too"),
        (["--revert", "--only=busy"], "--only is about what is changed; give --apply, too"),
        (["--apply", "--json"], "--json"),
        (
            ["--apply", "--only=nothing"],
            "--only \"nothing\" is no finding; give some of open_files",
        ),
    ] {
        let words = ["doctor"].into_iter().chain(words);
        check_refusal(&tests::run(&mut pummel(words)).unwrap(), 2, &[said]);
    }
    let folder = tempfile::tempdir().unwrap();
    let undo = folder.path().join("none");
    let words = ["doctor", "--revert", "--undo", undo.to_str().unwrap()];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    check_refusal(&outcome, 1, &["the undo file", "No such file"]);
}

/// Changes that are the network namespace's own.
const ONLY: &str = "local_ports,accept_queue";
const RUN: &str = "http://127.0.0.1:1/ -c 70000";

#[test]
fn nothing_is_changed_unless_that_is_said_twice() {
    let before = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let words = ["doctor", "--apply", "--for", RUN, "--only", ONLY];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("/proc/sys/net/core/somaxconn = 65535\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("nothing was changed"), "{outcome:?}");
    assert_eq!(fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap(), before);
}

/// In a network namespace of its own: shows all settings of it, changes them, shows them, sets them
/// back, shows them. A namespace that is none of its own is left alone.
const SCRIPT: &str = r#"
[ "$(readlink /proc/self/ns/net)" != "$OUTSIDE" ] || exit 9
show() {
    grep -r . /proc/sys/net/ipv4 /proc/sys/net/core 2>/dev/null | grep -v fastopen_key | sort
}
show > "$FOLDER/before"
"$PUMMEL" doctor --for "$RUN" --only "$ONLY" --apply --yes --undo "$FOLDER/undo" || exit 8
show > "$FOLDER/changed"
"$PUMMEL" doctor --for "$RUN" --only "$ONLY" --apply --yes --undo "$FOLDER/undo" && exit 7
"$PUMMEL" doctor --revert --undo "$FOLDER/undo" || exit 6
show > "$FOLDER/after"
"#;

#[test]
fn what_was_changed_is_set_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let outside = fs::read_link("/proc/self/ns/net").unwrap();
    let root = rustix::process::geteuid().is_root();
    let flags: &[&str] = if root { &["-n"] } else { &["-r", "-n"] };
    let isolated = Command::new("unshare").args(flags).arg("true").output();
    if !isolated.is_ok_and(|output| output.status.success()) {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!(root && ci), "root has no network namespaces, and CI=true");
        // Not by a macro, whose words the harness would keep to itself.
        writeln!(io::stderr(), "left out: there are no network namespaces for this user").unwrap();
        return;
    }
    let mut command = Command::new("unshare");
    command.args(flags).args(["sh", "-c", SCRIPT]).env("FOLDER", folder.path());
    command.env("PUMMEL", env!("CARGO_BIN_EXE_under-test")).env("OUTSIDE", outside);
    let outcome = tests::run(command.env("RUN", RUN).env("ONLY", ONLY)).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let [before, changed, after] = ["before", "changed", "after"]
        .map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    let is_other = |line: &&str| !before.lines().any(|old| old == *line);
    let others: Vec<&str> = changed.lines().filter(is_other).collect();
    let expected = ["/proc/sys/net/core/somaxconn:65535", "ip_local_port_range:1024\t65535"];
    assert_eq!(others.len(), expected.len(), "{others:?}");
    for (line, end) in others.iter().zip(expected) {
        assert!(line.ends_with(end), "{others:?}");
    }
    assert_eq!(after, before);
    assert!(!folder.path().join("undo").exists());
    assert!(outcome.stdout.contains("somaxconn = 65535 (was "), "{outcome:?}");
    assert!(outcome.stderr.contains("revert them first"), "{outcome:?}");
}
