//! Tests of the machine and of the measurements on it: what they print and how they exit. What they
//! find depends on the machine, and is not judged here.

use serde_json::Value;

use super::{check_refusal, pummel};

/// The document of a selftest of `tests`, with its exit code.
#[track_caller]
fn selftest(tests: &str) -> Value {
    let words = ["selftest", "--json", "--only", tests];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    // Undecided is no failure; a wrong number is.
    let code = if document.get("failed") == Some(&Value::from(0)) { 0 } else { 3 };
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    document
}

#[test]
fn a_selftest_says_of_each_number_what_it_is_and_what_it_should_be() {
    let document = selftest("T6,T11");
    let names: Vec<&Value> =
        document["tests"].as_array().unwrap().iter().map(|test| &test["name"]).collect();
    assert_eq!(names, ["T6", "T11"]);
    let count = |outcome: &str| document[outcome].as_u64().unwrap();
    assert_eq!(count("passed") + count("undecided") + count("failed"), 2);
    assert_eq!(document["jitter"].as_array().unwrap().len(), 2);
    for test in document["tests"].as_array().unwrap() {
        for trial in test["trials"].as_array().unwrap() {
            let rows = trial["rows"].as_array().unwrap();
            assert!(rows.len() >= 5, "{trial}");
            for row in rows {
                assert!(row["truth"].is_f64() && row["tolerance"].is_f64(), "{row}");
                let outcome = row["outcome"].as_str().unwrap();
                assert!(["pass", "undecided", "fail"].contains(&outcome), "{row}");
                // What jitter cannot change is right on any machine.
                assert!(row["exposed"] == true || outcome == "pass", "{row}");
            }
        }
    }
}

#[test]
fn a_client_that_is_stopped_reports_all_the_same() {
    let document = selftest("T10");
    let rows = document["tests"][0]["trials"][0]["rows"].as_array().unwrap();
    let scheduled = rows.iter().find(|row| row["what"] == "scheduled").unwrap();
    assert_eq!(scheduled["outcome"], "pass", "{scheduled}");
}

#[test]
fn a_selftest_that_makes_no_sense_is_refused() {
    for (words, said) in [
        (vec!["selftest", "--only", "T13"], "T1 to T12"),
        (vec!["selftest", "--pacing", "doze"], "sleep, hybrid or spin"),
        (vec!["selftest", "--reactor", "select"], "auto, uring or epoll"),
        (vec!["selftest", "--shards", "0"], "--shards 0"),
        (vec!["selftest", "--cores", "8000"], "CPU 8000"),
    ] {
        check_refusal(&tests::run(&mut pummel(words)).unwrap(), 2, &[said]);
    }
}

#[test]
fn a_calibrated_run_says_how_far_it_is_from_the_best() {
    let server = tests::Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let server = server.unwrap();
    let target = server.target();
    for load in ["-q 200", "--pipeline 2"] {
        let words = [&target, "--json", "--calibrate", "-t", "300ms", "-c", "2"];
        let words = words.into_iter().chain(load.split_whitespace());
        let outcome = tests::run(&mut pummel(words)).unwrap();
        assert!(outcome.went_well(), "{outcome:?}");
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let found = &document["calibration"];
        assert!(found["ceiling_per_s"].as_f64() > Some(0.0), "{found}");
        assert!(found["floor_p50_ns"].as_u64() > Some(0), "{found}");
        assert!(found["headroom_rate"].as_f64() > Some(0.0), "{found}");
        assert!(found["marked"].is_boolean(), "{found}");
    }
}
