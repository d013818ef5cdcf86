//! The examples of the documentation do what they say.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::pummel;
use super::target::Target;

/// Runs an example against the built-in target; returns its report.
#[track_caller]
fn run(name: &str) -> Value {
    run_in(name).0
}

/// The same, and the folder in which it ran.
#[track_caller]
fn run_in(name: &str) -> (Value, TempDir) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let text = fs::read_to_string(examples.join(name)).unwrap();
    let target = Target::start("");
    let folder = tempfile::tempdir().unwrap();
    let written = "http://127.0.0.1:8080";
    assert!(text.contains(written), "{name} names the usual target");
    let file = folder.path().join(name);
    fs::copy(examples.join("csv-users.csv"), folder.path().join("csv-users.csv")).unwrap();
    fs::write(&file, text.replace(written, target.url.trim_end_matches('/'))).unwrap();
    let outcome = tests::run(&mut pummel(["--config", file.to_str().unwrap(), "--json"])).unwrap();
    // A busy machine may make it doubtful; what it did is the same.
    assert!(outcome.went_well(), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let counts = &report["counts"];
    assert!(counts["ok"].as_u64().unwrap() > 0, "{counts}");
    for bad in ["failed", "errors", "timeouts"] {
        assert_eq!(counts[bad], 0, "{name}: {counts} {}", report["checks"]);
    }
    (report, folder)
}

/// The requests of each row that ended well, by name.
fn rows(report: &Value) -> Vec<(String, u64)> {
    let rows = report["steps"].as_array().unwrap().iter();
    rows.map(|row| (row["name"].as_str().unwrap().to_owned(), row["ok"].as_u64().unwrap()))
        .collect()
}

#[test]
fn smoke() {
    let report = run("smoke.toml");
    assert_eq!(report["counts"]["scheduled"], 100);
}

#[test]
fn steady() {
    let report = run("steady.toml");
    assert_eq!(report["counts"]["scheduled"], 2_500);
}

#[test]
fn ramp() {
    // 100 to 300 per second in two seconds, then to 800.
    let scheduled = run("ramp.toml")["counts"]["scheduled"].as_u64().unwrap();
    assert!(scheduled.abs_diff(400 + 1_100) <= 2, "{scheduled}");
}

#[test]
fn spike() {
    let scheduled = run("spike.toml")["counts"]["scheduled"].as_u64().unwrap();
    assert!(scheduled.abs_diff(400 + 60 + 1_000 + 60 + 400) <= 4, "{scheduled}");
}

#[test]
fn login_flow() {
    let report = run("login-flow.toml");
    let [(login, logins), (look, looks), (leave, leaves)] = &rows(&report)[..] else {
        panic!("three steps")
    };
    assert_eq!([login, look, leave], ["login", "look", "leave"]);
    // Who begins late is under way when the window ends.
    assert!(*logins == 60 && logins >= looks && looks >= leaves && *leaves > 40, "{report}");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["failed"] == 0));
}

#[test]
fn weighted_mix() {
    let rows = rows(&run("weighted-mix.toml"));
    let [(_, reads), (_, writes)] = rows[..] else { panic!("two targets") };
    assert!(reads > 6 * writes && writes > 0, "nine to one: {rows:?}");
}

#[test]
fn csv() {
    let report = run("csv.toml");
    let rows = rows(&report);
    let steps = ["login", "buy"].map(|name| (name.to_owned(), 60));
    assert_eq!(rows, steps);
    assert_eq!(report["feeds"][0]["rows"], 60);
    assert_eq!(report["feeds"][0]["ended"], true);
}

#[test]
fn upload() {
    let rows = rows(&run("upload.toml"));
    assert!(matches!(&rows[..], [] | [_]), "{rows:?}");
}

#[test]
fn thresholds() {
    let (report, folder) = run_in("thresholds.toml");
    let judged = report["thresholds"].as_array().unwrap();
    assert_eq!(judged.len(), 3, "{judged:?}");
    let junit = fs::read_to_string(folder.path().join("pummel-junit.xml")).unwrap();
    assert!(junit.contains("tests=\"3\"") && junit.contains("failures=\"0\""), "{junit}");
}

#[test]
fn branches() {
    let report = run("branches.toml");
    let rows = rows(&report);
    let of = |name: &str| rows.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(of("login"), 4, "one of each user");
    assert!(of("list").abs_diff(of("item")) <= 4, "one after the other: {rows:?}");
    assert!(of("leave") > of("cart") && of("cart").abs_diff(of("pay")) <= 4, "{rows:?}");
    let flows = report["flows"].as_array().unwrap();
    let of = |name: &str, what: &str| {
        let flow = flows.iter().find(|flow| flow["name"] == name).unwrap();
        flow[what].as_u64().unwrap()
    };
    assert_eq!(of("scenario", "cut_short") + of("scenario", "endless"), 0);
    assert!(of("scenario", "begun") > 4 && of("scenario", "unfinished") <= 4);
    assert!(of("browse", "completed") >= of("scenario", "completed"));
    assert_eq!(of("checkout", "completed"), rows.iter().find(|row| row.0 == "pay").unwrap().1);
}

#[test]
fn checks() {
    let report = run("checks.toml");
    let all = report["checks"].as_array().unwrap();
    let held = |name: &str| all.iter().find(|it| it["name"] == name).unwrap()["held"].clone();
    assert_eq!(held("quick"), report["counts"]["ok"]);
    assert_eq!(held("not empty"), report["counts"]["ok"]);
}
