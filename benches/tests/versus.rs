//! `versus` from outside, with stand-ins for pummel: what counts as a run, and what does not.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
    sync::Mutex,
};

use serde_json::Value;

/// A server that nobody asks anything, since the stand-ins send nothing.
const NO_SERVER: &str = "http://127.0.0.1:9/";

/// Held while a script is written and a process is started: a process that starts meanwhile would
/// inherit the open script, and the kernel runs no file that is open for writing.
static STARTING: Mutex<()> = Mutex::new(());

/// Runs `versus` for two rounds of 128 requests with a shell script as pummel.
fn versus(script: &str, more: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("pummel");
    let starting = STARTING.lock().unwrap();
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_versus"))
        .args(["--rounds", "2", "--requests", "128", "--only", "pummel", "--server", NO_SERVER])
        .args(["--pummel", program.to_str().unwrap()])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    drop(starting);
    child.unwrap().wait_with_output().unwrap()
}

/// The only row of the JSON that `versus` prints.
fn row(script: &str, more: &[&str]) -> Value {
    let output = versus(script, &[more, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document.pointer_mut("/rows/0").unwrap().take()
}

/// A script that claims to have completed so many requests.
fn completing(ok: u32) -> String {
    format!(
        r#"echo '{{"counts":{{"scheduled":{ok},"ok":{ok},"failed":0,"errors":0,"timeouts":0,
            "dropped":0,"unfinished":0}}}}'"#
    )
}

#[test]
fn a_run_that_completes_its_requests_is_measured() {
    let row = row(&completing(128), &[]);
    assert_eq!(row["runs"].as_array().unwrap().len(), 2);
    assert_eq!(row["failures"].as_array().unwrap().len(), 0);
    assert!(row["summary"]["rate"]["median"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_run_that_completes_less_is_a_failure() {
    let row = row(&completing(127), &[]);
    assert_eq!(row["failures"][0]["reason"], "completed 127 of 128 requests");
    assert!(row["summary"].is_null());
}

#[test]
fn a_run_with_another_exit_code_is_a_failure_whatever_it_prints() {
    let row = row(&format!("{}; exit 3", completing(128)), &[]);
    assert!(row["failures"][1]["reason"].as_str().unwrap().starts_with("exit code 3"), "{row}");
}

#[test]
fn a_run_that_does_not_end_is_ended() {
    let row = row("exec sleep 600", &["--bound", "1"]);
    assert_eq!(row["failures"][0]["reason"], "ended after 1 s without a result");
}

#[test]
fn requests_are_rounded_up_to_full_pipelines() {
    let row = row(&completing(1024), &["--pipeline", "16"]);
    assert_eq!(row["runs"][0]["requests"], 1024);
    assert!(row["command"].as_str().unwrap().contains("-n 1024 --pipeline 16"), "{row}");
}

#[test]
fn a_failed_run_stands_in_the_table_with_its_reason() {
    let output = versus("exit 1", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("| pummel | failed |"), "{text}");
    assert!(text.contains("- **pummel, round 2, failed**: exit code 1: no output"), "{text}");
}
