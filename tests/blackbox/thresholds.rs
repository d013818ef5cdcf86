//! Thresholds: what crosses them, how that ends, and where it is told.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::{Outcome, Server};

use super::{check_refusal, pummel};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A run of 100 requests on 2 connections with these flags.
fn run(server: &Server, flags: &[&str]) -> Outcome {
    let target = server.target();
    let words = [target.as_str(), "-n", "100", "-c", "2"].into_iter();
    tests::run(&mut pummel(words.chain(flags.iter().copied()))).unwrap()
}

fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn a_run_that_keeps_its_thresholds_exits_with_0_and_one_that_does_not_with_4() {
    let server = Server::answering(OK).unwrap();
    for (flags, code, words) in [
        (&["--fail-if", "p99>1h"][..], 0, "Thresholds:    1 kept\n  PASS  p99>1h  found "),
        (&["--fail-if=max<1h"], 4, "Thresholds:    1 of 1 not kept\n  FAIL  max<1h  found "),
        (
            &["--fail-if", "errors>0.1%", "--fail-if", "rate<900M"],
            4,
            "\n  PASS  errors>0.1%  found 0.000 % (0 of 100)\n  FAIL  rate<900M    found ",
        ),
    ] {
        let outcome = run(&server, flags);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.stdout.contains(words), "{outcome:?}");
    }
}

#[test]
fn json_has_each_threshold_with_what_was_found() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").unwrap();
    let flags = ["failures>50%", "errors>=1", "bytes.sent>1", "p50>1h"];
    let words = flags.iter().flat_map(|flag| ["--fail-if", flag]).chain(["--json"]);
    let outcome = run(&server, &words.collect::<Vec<_>>());
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let found = document(&outcome)["thresholds"].as_array().unwrap().clone();
    let of = |key: &str| found.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("expr"), flags);
    assert_eq!(of("name"), ["failures", "errors", "bytes.sent", "p50"]);
    assert_eq!(of("op"), [">", ">=", ">", ">"]);
    assert_eq!(of("unit"), ["share", "requests", "bytes", "ns"]);
    assert_eq!(of("limit"), [0.5.into(), 1.into(), 1.into(), Value::from(3_600_000_000_000_u64)]);
    assert_eq!(of("passed"), [false, true, false, true]);
    assert_eq!((&found[0]["value"], &found[1]["value"]), (&1.0.into(), &0.into()));
    assert!(found[0]["reason"].as_str().unwrap().contains("100.000 % (100 of 100)"));
    let none = run(&server, &["--json"]);
    assert_eq!((none.code, &document(&none)["thresholds"]), (Some(0), &Value::Array(Vec::new())));
}

#[test]
fn an_invalid_run_is_that_first_and_keeps_no_threshold() {
    let server = Server::answering("SSH-2.0-nothing to see here\r\n").unwrap();
    let flags = ["--json", "--fail-if", "p99>1h", "--fail-if", "ttfb.p99>1h"];
    let outcome = run(&server, &flags);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let found = document(&outcome)["thresholds"].clone();
    assert_eq!((&found[0]["passed"], &found[1]["passed"]), (&false.into(), &false.into()));
    assert!(found[0]["reason"].as_str().unwrap().contains("INVALID"), "{found}");
    assert!(found[1]["value"].is_null(), "{found}");
    assert_eq!(found[1]["reason"], "nothing to measure: no response came");
}

#[test]
fn an_interrupted_run_shows_its_thresholds_and_exits_with_130() {
    let server = Server::answering(OK).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.xml");
    let target = server.target();
    let args = [&target, "-t", "1h", "-c", "1", "--fail-if", "max>=0ns", "--junit"];
    let running = tests::start(pummel(args).arg(&file)).unwrap();
    server.first_request().unwrap();
    let id = running.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let outcome = running.outcome().unwrap();
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    assert!(outcome.stdout.contains("\n  FAIL  max>=0ns  found "), "{outcome:?}");
    assert!(fs::read_to_string(file).unwrap().contains("failures=\"1\""));
}

#[test]
fn junit_has_a_case_per_threshold_and_replaces_what_was_there() {
    let server = Server::answering(OK).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.xml");
    fs::write(&file, "before").unwrap();
    let flags = ["--fail-if", "errors>0", "--fail-if", "max<1h", "--junit", file.to_str().unwrap()];
    let outcome = run(&server, &flags);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let document = fs::read_to_string(&file).unwrap();
    for words in [
        "<testsuite name=\"pummel\" tests=\"2\" failures=\"1\" errors=\"0\"",
        "<property name=\"scheduled\" value=\"100\"/>",
        "<testcase name=\"errors&gt;0\" classname=\"pummel.thresholds\" time=\"0\"/>",
        "<testcase name=\"max&lt;1h\" classname=\"pummel.thresholds\" time=\"0\">",
        "<failure message=\"crossed: found ",
    ] {
        assert!(document.contains(words), "{words} is missing in {document}");
    }
    assert_eq!(files(folder.path()), ["found.xml"]);
}

/// The names of what is in the folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let server = Server::answering(OK).unwrap();
    for (flags, words) in [
        (["--fail-if", "p9x>20ms"], &["--fail-if \"p9x>20ms\": ", "did you mean p90?"][..]),
        (["--fail-if", "p99"], &["--fail-if \"p99\": nothing is compared", "p99>20ms"]),
        (["--fail-if", "p99>20"], &["\"20\" has no unit; write 20ms or 20s"]),
        (["--fail-if", "p99>1%"], &["p99 is a time, and \"1%\" a share"]),
        (["--fail-if", "login:p99>1ms"], &["leave \"login\" out"]),
        (["--fail-if", "lag.p99>1ms"], &["a closed loop has no schedule", "give --rate"]),
        (["--fail-if", "tls.p99>1ms"], &["the target is in the clear"]),
        (["--junit", "/no/such/folder/a.xml"], &["\"/no/such/folder/a.xml\"", "No such file"]),
        (["--junit", "/dev/null"], &["--junit \"/dev/null\" is no regular file"]),
    ] {
        check_refusal(&run(&server, &flags), 2, words);
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_file_has_thresholds_of_the_run_and_of_its_steps() {
    let server = Server::answering(OK).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pummel.toml");
    let with = |thresholds: &str| {
        let text = format!(
            "url = \"http://{}\"\nrequests = 100\nconnections = 2\njson = true\njunit = \"a.xml\"\n\
             fail_if = {thresholds}\n[[scenario.steps]]\nname = \"login\"\npath = \"/l\"\n\
             [[scenario.steps]]\npath = \"/cart\"\n",
            server.target()
        );
        fs::write(&file, text).unwrap();
        tests::run(&mut pummel(["--config", file.to_str().unwrap()])).unwrap()
    };
    let outcome = with("['login:max<1h', '\"GET /cart\":errors>0', 'p99>1h']");
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let found = document(&outcome)["thresholds"].clone();
    let of = |key: &str| [0, 1, 2].map(|row: usize| found[row][key].clone());
    assert_eq!(of("step"), ["login".into(), "GET /cart".into(), Value::Null]);
    assert_eq!(of("passed"), [false, true, true]);
    // A path of a file is relative to its folder.
    assert!(folder.path().join("a.xml").is_file());
    let outcome = with("['p99>1h', 'logn:max<1h']");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    let words =
        "pummel.toml:6:22: fail_if \"logn:max<1h\": there is no step \"logn\"; did you mean";
    assert!(outcome.stderr.contains(words), "{outcome:?}");
    let outcome = with("'p99>1'");
    assert!(outcome.stderr.contains("pummel.toml:6:11: fail_if \"p99>1\": "), "{outcome:?}");
}
