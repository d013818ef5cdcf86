//! A dry run: each request once, and all that is exchanged on paper.

use serde_json::{Value, json};
use tests::{Answer, Asked};

use super::pummel;
use super::scenarios::{PROTOCOLS, Peer};

const FLOW: &str = r#"
connections = 8
rate = 100

[scenario]
headers = ["Authorization: Bearer secret"]

[[scenario.steps]]
name = "login"
path = "/login"
data = "who=me"
capture.token = { json = "$.token" }
think_time = "1h"

[[scenario.steps]]
name = "use"
path = "/use/{{token}}"
checks = [{ name = "says hello", body_contains = "hello" }, { json = "$.a" }]
"#;

fn script(asked: &Asked) -> Answer {
    let json: &[(&str, &str)] = &[("content-type", "application/json")];
    match asked.path.as_str() {
        "/login" => Answer::Said(200, json, br#"{"token":"t1"}"#),
        "/use/t1" => Answer::Said(200, &[], b"hello\x00\xff"),
        _ => Answer::Status(500),
    }
}

/// What is looked for, whether it held, why not, and what was captured.
fn found(exchange: &Value) -> Vec<Value> {
    let checks = exchange["checks"].as_array().unwrap().iter();
    checks.map(|it| json!([it["name"], it["held"], it["reason"], it["value"]])).collect()
}

#[test]
fn each_step_is_sent_once_and_everything_is_told() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, script);
        let (outcome, _folder) = peer.run(FLOW, "--dry-run");
        // One check cannot be told to hold.
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let [login, used] = &document["exchanges"].as_array().unwrap()[..] else {
            panic!("two: {document}")
        };
        assert_eq!(
            (&login["good"], &used["good"], &document["good"]),
            (&json!(true), &json!(false), &json!(1))
        );
        assert_eq!(found(login), [json!(["capture token", true, null, "t1"])]);
        assert_eq!(
            found(used),
            [
                json!(["says hello", true, null, null]),
                json!(["json \"$.a\"", false, "not_json", null])
            ]
        );
        assert_eq!(login["request"]["body"]["text"], "who=me");
        assert_eq!(login["response"]["body"]["text"], r#"{"token":"t1"}"#);
        assert_eq!(
            used["response"]["body"],
            json!({"bytes": 7, "text": null, "hex": "68656c6c6f00ff"})
        );
        let version = protocol.2.trim_end_matches(".0");
        assert_eq!(login["response"]["protocol"], version);
        let head = serde_json::to_string(&login["request"]["head"]).unwrap().to_lowercase();
        assert!(head.contains("authorization: bearer secret"), "{head}");
        assert_eq!(document["tls"].is_null(), !["https", "h2"].contains(&protocol.0));
        let paths: Vec<String> = peer.recorder.asked().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/login", "/use/t1"]);
    }
}

#[test]
fn a_person_reads_it_like_a_conversation() {
    let peer = Peer::new(PROTOCOLS[0], script);
    let url = format!("{}/login", peer.url());
    let outcome = tests::run(&mut pummel([&*url, "--dry-run", "-d", "who=me", "-c", "9"])).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for line in [
        "1. POST /login",
        "> POST /login HTTP/1.1",
        "> Content-Length: 6",
        "> who=me",
        "< HTTP/1.1 200",
        "< content-type: application/json",
        "< {\"token\":\"t1\"}",
        "1 request on 1 connection, 1 as expected",
    ] {
        assert!(outcome.stdout.lines().any(|said| said == line), "{line}: {}", outcome.stdout);
    }
    assert_eq!(peer.recorder.asked().len(), 1);
}

#[test]
fn of_a_body_that_is_read_as_it_is_sent_the_beginning_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large").display().to_string();
    let (length, shown) = (3 << 19, 16 * 1024);
    std::fs::write(&file, vec![b'x'; length]).unwrap();
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, super::scenarios::ok);
        let (outcome, _folder) = peer.run("", &format!("--dry-run -D {file}"));
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let body = &document["exchanges"][0]["request"]["body"];
        assert_eq!(body["bytes"], length);
        assert!(body["text"].as_str().unwrap().len() > shown);
        assert_eq!(peer.recorder.asked()[0].body.len(), length);
    }
    let peer = Peer::new(PROTOCOLS[0], super::scenarios::ok);
    let outcome = tests::run(&mut pummel([peer.url(), "--dry-run", "-D", &file])).unwrap();
    let rest = format!("> [and {} bytes more]", length - shown);
    assert!(outcome.stdout.lines().any(|line| line == rest), "{}", outcome.stderr);
}

const FED: &str = r#"
[feeds.names]
file = "names.txt"
order = "unique"

[scenarios.a]
[[scenarios.a.steps]]
path = "/a/{{names}}"

[scenarios.b]
[[scenarios.b.steps]]
path = "/b/{{names}}"
"#;

#[test]
fn rows_of_files_are_put_in_and_a_scenario_that_lacks_one_is_not_tried() {
    for (rows, code, expected) in [("x\ny\nz\n", 0, &["/a/x", "/b/y"][..]), ("x\n", 1, &["/a/x"])] {
        let peer = Peer::new(PROTOCOLS[0], super::scenarios::ok);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("names.txt"), rows).unwrap();
        let text = format!("url = \"{}\"\n{FED}", peer.url());
        std::fs::write(folder.path().join("pummel.toml"), text).unwrap();
        let outcome = tests::run(pummel(["--dry-run"]).current_dir(folder.path())).unwrap();
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert_eq!(outcome.stderr.contains("the feed names ended"), code == 1, "{outcome:?}");
        let paths: Vec<String> = peer.recorder.asked().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, expected);
    }
}

#[test]
fn what_is_not_as_expected_makes_the_exit_code_1_and_is_named() {
    let peer = Peer::new(PROTOCOLS[0], |asked| match asked.path.as_str() {
        "/reset" => Answer::Reset,
        _ => Answer::Status(404),
    });
    for (path, said) in [("/", "FAILED  status 404 is not expected"), ("/reset", "! wait_")] {
        let url = format!("{}{path}", peer.url());
        let outcome = tests::run(&mut pummel([&*url, "--dry-run"])).unwrap();
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stdout.contains(said), "{outcome:?}");
        let last = outcome.stdout.lines().last().unwrap();
        assert_eq!(last, format!("not as expected: GET {path}"));
    }
    let url = format!("{}/", peer.url());
    let outcome = tests::run(&mut pummel([&*url, "--dry-run", "--status", "404"])).unwrap();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}
