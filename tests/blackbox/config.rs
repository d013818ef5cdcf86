//! Settings from files, from the environment and from flags.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Outcome, Server};

use super::pummel;
use super::target::Target;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The program with these arguments, in the folder.
fn pummel_in<'a>(folder: &Path, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = pummel(args);
    command.current_dir(folder);
    command
}

fn run(mut command: Command) -> Outcome {
    tests::run(&mut command).unwrap()
}

/// The report of a run that went well.
#[track_caller]
fn report(outcome: &Outcome) -> Value {
    assert!(outcome.went_well(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn flags_win_over_the_environment_and_that_over_a_file() {
    let server = Server::answering(OK).unwrap();
    let text = format!(
        "url = \"http://{}\"\nrequests = 3\nconnections = 1\nseed = 3\njson = true\n",
        server.target()
    );
    let folder = folder(&[("pummel.toml", &text)]);
    let with = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut command = pummel_in(folder.path(), flags.iter().copied());
        command.envs(variables.iter().copied());
        let report = report(&run(command));
        (report["counts"]["ok"].as_u64().unwrap(), report["plan"]["seed"].as_u64().unwrap())
    };
    assert_eq!(with(&[], &[]), (3, 3));
    assert_eq!(with(&[("PUMMEL_REQUESTS", "5")], &[]), (5, 3));
    assert_eq!(with(&[("PUMMEL_REQUESTS", "5"), ("PUMMEL_SEED", "5")], &["-n", "7"]), (7, 5));
    assert_eq!(with(&[], &["--seed", "7"]), (3, 7));
    assert_eq!(server.requests(), 3 + 5 + 7 + 3);
}

#[test]
fn the_first_file_that_is_there_is_read_unless_a_target_is_typed() {
    let server = Server::answering(OK).unwrap();
    let file = |requests: u32, json: bool| {
        let (url, n) = (format!("http://{}", server.target()), requests);
        if json {
            format!("{{\"url\": \"{url}\", \"requests\": {n}, \"connections\": 1, \"json\": true}}")
        } else {
            format!("url = \"{url}\"\nrequests = {n}\nconnections = 1\njson = true\n")
        }
    };
    let folder = folder(&[]);
    for (name, requests) in
        [("strest.json", 1), ("strest.toml", 2), ("pummel.json", 3), ("pummel.toml", 4)]
    {
        let text = file(requests, name.ends_with("json"));
        fs::write(folder.path().join(name), text).unwrap();
        let outcome = run(pummel_in(folder.path(), []));
        assert_eq!(report(&outcome)["counts"]["ok"], requests, "{name}");
        assert!(outcome.stderr.contains(&format!("settings come from {name}\n")), "{outcome:?}");
    }
    fs::write(folder.path().join("pummel.toml"), "this makes no sense").unwrap();
    let target = server.target();
    let outcome = run(pummel_in(folder.path(), [&target, "-n", "9", "-c", "1", "--json"]));
    assert_eq!(report(&outcome)["counts"]["ok"], 9);
    let outcome = run(pummel_in(folder.path(), ["--config", "strest.json"]));
    assert_eq!(report(&outcome)["counts"]["ok"], 1);
    assert_eq!(run(pummel_in(folder.path(), [])).code, Some(2));
}

#[test]
fn a_mistake_is_a_line_with_its_place_and_the_place_below_it() {
    let folder = folder(&[("pummel.toml", "url = \"http://h\"\n\nratte = 5000 # a slip\n")]);
    let outcome = run(pummel_in(folder.path(), []));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(outcome.stderr, @r#"
    pummel: pummel.toml:3:1: unknown key "ratte"; did you mean "rate"?
      |
    3 | ratte = 5000 # a slip
      | ^^^^^
    "#);
    let file = "{\n  \"url\": \"http://h\",\n  \"headers\": [\"A: b\", \"no colon\"]\n}";
    fs::write(folder.path().join("a.json"), file).unwrap();
    let outcome = run(pummel_in(folder.path(), ["--config", "a.json"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(outcome.stderr, @r#"
    pummel: a.json:3:23: header "no colon" has no colon; write headers "Name: value"
      |
    3 |   "headers": ["A: b", "no colon"]
      |                       ^^^^^^^^^^
    "#);
}

#[test]
fn what_this_machine_cannot_do_is_said_in_the_words_of_the_file() {
    let folder = folder(&[("pummel.toml", "url = \"http://h\"\nconcurrency = 4000000000\n")]);
    let outcome = run(pummel_in(folder.path(), []));
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let said = "pummel.toml:2:1: concurrency 4000000000 needs ";
    assert!(outcome.stderr.contains(said) && !outcome.stderr.contains("-c "), "{outcome:?}");
}

#[test]
fn paths_of_a_file_begin_at_its_folder_and_flags_where_they_are_typed() {
    let text = "url = \"http://h\"\ndata_file = \"body\"\n";
    let folder = folder(&[("sub/pummel.toml", text), ("sub/body", "x"), ("other", "y")]);
    let check = |args: &[&str]| {
        let named = ["config", "--config", "sub/pummel.toml"];
        run(pummel_in(folder.path(), named.into_iter().chain(args.iter().copied())))
    };
    assert_eq!(check(&[]).code, Some(0), "{:?}", check(&[]));
    assert_eq!(check(&["-D", "other"]).code, Some(0));
    assert_eq!(check(&["-D", "body"]).code, Some(2));
    fs::remove_file(folder.path().join("sub/body")).unwrap();
    let outcome = check(&[]);
    assert_eq!(outcome.code, Some(2));
    let said = "sub/pummel.toml:2:13: cannot read body file \"sub/body\": No such file";
    assert!(outcome.stderr.contains(said), "{outcome:?}");
}

#[test]
fn settings_are_shown_with_where_they_come_from_and_are_a_file_themselves() {
    let text = "url = \"http://${HOST_OF_TEST}/\"\nconcurrency = 5\nheaders = [\"A: b\"]\n";
    let folder = folder(&[("pummel.toml", text)]);
    let mut command = pummel_in(folder.path(), ["config", "--show", "-q", "5k", "--json"]);
    command.env("HOST_OF_TEST", "secret.example").env("PUMMEL_TIMEOUT", "2s");
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for (setting, origin) in [
        ("url = \"http://${HOST_OF_TEST}/\"", "pummel.toml:1"),
        ("connections = 5", "pummel.toml:2"),
        ("headers = [\"A: b\"]", "pummel.toml:3"),
        ("timeout = \"2s\"", "PUMMEL_TIMEOUT"),
        ("rate = \"5k\"", "--rate"),
        ("json = true", "--json"),
        ("# warmup = 0s", "default"),
    ] {
        let mut lines = outcome.stdout.lines();
        let line = lines.find(|line| line.starts_with(setting)).unwrap();
        assert!(line.ends_with(&format!(" # {origin}")), "{line}");
    }
    assert!(!outcome.stdout.contains("secret.example"), "{outcome:?}");
    fs::write(folder.path().join("shown.toml"), &outcome.stdout).unwrap();
    let mut command = pummel_in(folder.path(), ["config", "--config", "shown.toml"]);
    command.env("HOST_OF_TEST", "secret.example");
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stderr, "pummel: the settings make sense; --show prints them\n");
}

#[test]
fn the_schema_is_one_document() {
    let outcome = run(pummel(["schema"]));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let schema: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(schema["properties"]["rate"]["anyOf"][0]["type"], "number");
}

/// A file that shows what strest reads, in both forms; and one that rises in stages.
const STREST: [(&str, &str); 3] = [
    (
        "strest.toml",
        r#"
url = "http://localhost:3000"
method = "get"
duration = 60
timeout = "10s"
warmup = "5s"
status = 200
no_ui = true
ui_window_ms = 10000
summary = true
no_charts = true

tls_min = "1.2"
tls_max = "1.3"
http2 = true
alpn = ["h2"]

headers = [
  "Content-Type: application/json",
  "X-Env: local",
]

metrics_range = "10-30"
metrics_max = 1000000

[load]
rate = 1000

[[load.stages]]
duration = "10s"
target = 500

[[load.stages]]
duration = "20s"
target = 1500
"#,
    ),
    (
        "strest.json",
        r#"{
  "url": "http://localhost:3000",
  "method": "get",
  "duration": 60,
  "warmup": "5s",
  "status": 200,
  "no_ui": true,
  "ui_window_ms": 10000,
  "summary": true,
  "no_charts": true,
  "tls_min": "1.2",
  "tls_max": "1.3",
  "http2": true,
  "alpn": ["h2"],
  "headers": [
    "Content-Type: application/json",
    "X-Env: local"
  ],
  "metrics_range": "10-30",
  "metrics_max": 1000000,
  "load": {
    "rate": 1000,
    "stages": [
      { "duration": "10s", "target": 500 },
      { "duration": "20s", "target": 1500 }
    ]
  }
}
"#,
    ),
    (
        "ramp.toml",
        r#"
url = "http://localhost:3000"
duration = 300

[load]
rate = 100

[[load.stages]]
duration = "60s"
target = 300

[[load.stages]]
duration = "120s"
target = 800
"#,
    ),
];

#[test]
fn files_of_strest_run_as_they_are() {
    let folder = folder(&STREST);
    for (name, protocol, rate) in
        [("strest.toml", "h2", 1000), ("strest.json", "h2", 1000), ("ramp.toml", "http/1.1", 100)]
    {
        let target = Target::start("");
        // Its load for a moment, where the target of the test is.
        let here = ["--url", &target.url, "-n", "20", "--warmup", "0", "-c", "2", "--json"];
        let args = ["--config", name].into_iter().chain(here);
        let outcome = run(pummel_in(folder.path(), args));
        let report = report(&outcome);
        assert_eq!(report["counts"]["ok"], 20, "{outcome:?}");
        assert_eq!(report["plan"]["protocol"], protocol);
        let stages = report["plan"]["stages"].as_array().unwrap();
        assert_eq!(stages.len(), 2, "{stages:?}");
        assert_eq!(stages[0]["from_per_s"].as_f64(), Some(f64::from(rate)), "{stages:?}");
        if name != "ramp.toml" {
            let idle =
                format!("{name}: ui_window_ms, metrics_range and metrics_max have no effect");
            assert!(outcome.stderr.contains(&idle), "{outcome:?}");
            assert!(outcome.stderr.contains("tls_min, tls_max and alpn are left aside"));
        }
        target.end();
    }
}
