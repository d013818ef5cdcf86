//! What people have from strest: its command lines and its files run here as they are.
//!
//! Targets and times are other ones; everything else is what its documentation shows.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Answer, Asked, Outcome, Recorder};

use super::pummel;

/// Where strest's documentation has its server.
const USUAL: &str = "http://localhost:3000";

/// A server that answers as its scenarios expect, and a folder to run in.
struct World {
    recorder: Recorder,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let script = |asked: &Asked| match asked.path.as_str() {
            "/login" => Answer::Said(200, &[], b"{\"token\": 1}"),
            _ => Answer::Status(200),
        };
        let recorder = Recorder::answering(None, script).unwrap();
        Self { recorder, folder: tempfile::tempdir().unwrap() }
    }

    /// `text` with this server in the place of the usual one.
    fn here(&self, text: &str) -> String {
        text.replace(USUAL, &format!("http://{}", self.recorder.target()))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), self.here(text)).unwrap();
    }

    /// What a line of strest does, without its name, and with `more` words.
    fn run(&self, line: &str, more: &str) -> Outcome {
        let line = self.here(line);
        let words = line.strip_prefix("strest ").unwrap();
        let words = words.split_whitespace().chain(more.split_whitespace());
        let mut command = pummel(words);
        command.current_dir(self.folder.path());
        tests::run(&mut command).unwrap()
    }

    /// The report of such a line that runs.
    #[track_caller]
    fn report(&self, line: &str, more: &str) -> (Value, String) {
        let outcome = self.run(line, &format!("--json {more}"));
        assert!(outcome.went_well(), "{line}: {outcome:?}");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let counts = &report["counts"];
        assert!(counts["ok"].as_u64().unwrap() > 0, "{line}: {counts}");
        for bad in ["failed", "errors", "timeouts"] {
            assert_eq!(counts[bad], 0, "{line}: {counts}");
        }
        (report, outcome.stderr)
    }
}

#[test]
fn its_command_lines_run() {
    let world = World::new();
    for line in [
        "strest -u http://localhost:3000 -t 0.3",
        "strest -u http://localhost:3000 -t 0.3 --no-charts",
        "strest -u http://localhost:3000 -t 0.3 --no-tui --summary --no-charts",
        "strest -u http://localhost:3000 -t 0.3 --no-tui --no-charts --summary --rss-log-ms 5000 \
         --alloc-profiler-ms 5000 --alloc-profiler-dump-ms 5000 \
         --alloc-profiler-dump-path ./alloc-prof",
    ] {
        world.report(line, "-m 8");
    }
    // The presets, smoke and steady.
    for (line, rate) in [
        (
            "strest -u http://localhost:3000 -t 0.6 --rate 50 --max-tasks 50 --spawn-rate 10 \
             --spawn-interval 100 --no-charts",
            50,
        ),
        (
            "strest -u http://localhost:3000 -t 0.6 --rate 500 --max-tasks 500 --spawn-rate 20 \
             --spawn-interval 100 --no-tui --summary --no-charts",
            500,
        ),
    ] {
        let (report, said) = world.report(line, "");
        assert_eq!(report["counts"]["scheduled"], rate * 6 / 10);
        assert!(said.contains("--spawn-rate is left aside"), "{said}");
    }
}

#[test]
fn flags_without_an_effect_are_named_and_those_for_what_is_done_anyway_are_not() {
    let world = World::new();
    let line = "strest -u http://localhost:3000 -n 5 --summary --no-charts --no-color \
                --metrics-range 10-30 --tmp-path ./t --keep-tmp --fps 10";
    let (_, said) = world.report(line, "-c 1");
    let idle = "--fps, --keep-tmp, --metrics-range and --tmp-path have no effect yet";
    assert!(said.contains(idle), "{said}");
}

const RAMP: &str = r#"
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
"#;

#[test]
fn a_file_of_stages_runs_and_a_shorter_duration_ends_it_within_them() {
    let world = World::new();
    world.write("ramp.toml", RAMP);
    let line = "strest --config ramp.toml --no-tui --summary --no-charts";
    let (report, said) = world.report(line, "-t 0.5s");
    // A hundred per second, and hardly more at the beginning of a minute's rise.
    assert_eq!(report["counts"]["scheduled"], 51);
    assert!(said.contains("--duration ends the run after 500 ms, within its stages"), "{said}");
    let stages = report["plan"]["stages"].as_array().unwrap();
    let from: Vec<f64> = stages.iter().filter_map(|it| it["from_per_s"].as_f64()).collect();
    assert_eq!(from, [100.0, 300.0]);
    // In the file itself, it is said with its place.
    world.write("ramp.toml", &RAMP.replace("300\n\n", "0.5\n\n"));
    let (_, said) = world.report("strest --config ramp.toml", "");
    assert!(said.contains("ramp.toml:3:"), "{said}");
    assert!(said.contains("duration ends the run after 500 ms"), "{said}");
}

const TOML: &str = r#"
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
"#;

const JSON: &str = r#"{
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
  "headers": ["Content-Type: application/json", "X-Env: local"],
  "metrics_range": "10-30",
  "metrics_max": 1000000,
  "load": {
    "rate": 1000,
    "stages": [
      { "duration": "10s", "target": 500 },
      { "duration": "20s", "target": 1500 }
    ]
  }
}"#;

#[test]
fn its_files_run() {
    for (name, text) in [("strest.toml", TOML), ("strest.json", JSON)] {
        let world = World::new();
        world.write(name, text);
        // Both are found by themselves.
        let (_, said) = world.report("strest -t 0.3", "--warmup 0.1");
        assert!(said.contains(&format!("settings come from {name}")), "{said}");
        assert!(said.contains("tls_min, tls_max and alpn are left aside"), "{said}");
        assert!(said.contains("ui_window_ms, metrics_range and metrics_max have no"), "{said}");
        for asked in world.recorder.asked() {
            assert_eq!(asked.method, "GET");
            assert_eq!(format!("{:?}", asked.version), "HTTP/2.0");
            assert_eq!(asked.field("content-type"), Some("application/json"));
            assert_eq!(asked.field("x-env"), Some("local"));
        }
    }
}

const SMOKE: &str = r#"
[scenario]
base_url = "http://localhost:3000"

[[scenario.steps]]
method = "get"
path = "/health"
assert_status = 200
"#;

const LOGIN: &str = r#"
[scenario]
base_url = "http://localhost:3000"
vars = { user = "demo" }

[[scenario.steps]]
name = "login"
method = "post"
path = "/login"
headers = ["Content-Type: application/json"]
data = "{\"user\":\"{{user}}\",\"seq\":\"{{seq}}\"}"
assert_status = 200
assert_body_contains = "token"
think_time = "500ms"

[[scenario.steps]]
name = "profile"
method = "get"
path = "/profile"
headers = ["Authorization: Bearer {{seq}}"]
"#;

const LOGIN_JSON: &str = r#"{
  "scenario": {
    "base_url": "http://localhost:3000",
    "vars": { "user": "demo" },
    "steps": [
      {
        "name": "login",
        "method": "post",
        "path": "/login",
        "headers": ["Content-Type: application/json"],
        "data": "{\"user\":\"{{user}}\",\"seq\":\"{{seq}}\"}",
        "assert_status": 200,
        "assert_body_contains": "token",
        "think_time": "500ms"
      },
      {
        "name": "profile",
        "method": "get",
        "path": "/profile",
        "headers": ["Authorization: Bearer {{seq}}"]
      }
    ]
  }
}"#;

#[test]
fn its_scenarios_run() {
    let world = World::new();
    world.write("strest.toml", SMOKE);
    world.report("strest --config strest.toml -t 0.3 --no-tui --summary --no-charts", "-c 2");
    assert!(world.recorder.asked().iter().all(|asked| asked.path == "/health"));
    for (name, text) in [("strest.toml", LOGIN), ("strest.json", LOGIN_JSON)] {
        let world = World::new();
        world.write(name, text);
        let (report, _) = world.report(&format!("strest --config {name}"), "-c 2 -n 8");
        let names: Vec<&str> =
            report["steps"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
        assert_eq!(names, ["login", "profile"]);
        for asked in world.recorder.asked() {
            match asked.path.as_str() {
                "/login" => {
                    let seq = asked.text();
                    let seq = seq.strip_prefix("{\"user\":\"demo\",\"seq\":\"").unwrap();
                    assert!(seq.strip_suffix("\"}").unwrap().parse::<u32>().unwrap() % 2 == 0);
                }
                "/profile" => {
                    let who = asked.field("authorization").unwrap();
                    let seq = who.strip_prefix("Bearer ").unwrap().parse::<u32>().unwrap();
                    assert!(seq % 2 == 1, "{seq}");
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn several_scenarios_beside_the_only_one_are_for_a_controller() {
    let world = World::new();
    let registry = "\n[scenarios.login]\nbase_url = \"http://localhost:3000\"\n\
                    [[scenarios.login.steps]]\nmethod = \"post\"\npath = \"/login\"\n\
                    data = \"{\\\"user\\\":\\\"demo\\\"}\"\nassert_status = 200\n";
    world.write("strest.toml", &format!("{SMOKE}{registry}"));
    let (_, said) = world.report("strest --config strest.toml", "-c 1 -n 5");
    assert!(world.recorder.asked().iter().all(|asked| asked.path == "/health"));
    assert!(said.contains("scenarios is left aside beside scenario"), "{said}");
}

#[test]
fn sinks_are_named_and_the_run_is_done() {
    let world = World::new();
    let sinks = "url = \"http://localhost:3000\"\n[sinks]\nupdate_interval_ms = 1000\n\
                 [sinks.prometheus]\npath = \"./out/strest.prom\"\n[sinks.otel]\n\
                 path = \"./out/strest.otel.json\"\n[sinks.influx]\npath = \"./out/strest.influx\"";
    world.write("strest.toml", sinks);
    world.report("strest --config strest.toml", "-c 1 -n 5");
}

#[test]
fn modes_that_there_are_not_are_refused_in_one_line() {
    let world = World::new();
    for (line, what) in [
        ("--replay --tmp-path ~/.strest/tmp", "--replay: replaying a run is"),
        ("--replay --export-csv ./metrics.csv", "--replay: replaying a run is"),
        ("--script ./script.wasm --no-tui", "--script: scenarios that a program makes are"),
        (
            "--controller-listen 0.0.0.0:9009 --min-agents 2 --auth-token secret",
            "--controller-listen: runs on several machines are",
        ),
        (
            "--agent-join 10.0.0.5:9009 --auth-token secret --agent-weight 2",
            "--agent-join: runs on several machines are",
        ),
        ("--install-service --service-name x", "--install-service: services of systemd are"),
    ] {
        let outcome = world.run(&format!("strest {line}"), "");
        super::check_refusal(&outcome, 2, &[what, "not supported yet"]);
    }
    for (text, what) in [
        ("[distributed]\nrole = \"controller\"\nlisten = \"0.0.0.0:9009\"", "runs on several"),
        ("[distributed]\nrole = \"agent\"\njoin = \"10.0.0.5:9009\"", "runs on several"),
        ("script = \"./script.wasm\"", "scenarios that a program makes"),
        ("http3 = true", "HTTP/3"),
    ] {
        world.write("strest.toml", &format!("url = \"http://localhost:3000\"\n{text}\n"));
        let outcome = world.run("strest --config strest.toml", "");
        let line = outcome.stderr.lines().next().unwrap_or_default();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(line.starts_with("pummel: strest.toml:2:"), "{line}");
        assert!(line.contains(what) && line.contains("not supported yet"), "{line}");
    }
    assert!(world.recorder.asked().is_empty());
}
