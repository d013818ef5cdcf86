//! Redirects as servers see them: every status with every method over each protocol, other hosts,
//! and what is not followed.

use std::fs;

use serde_json::{Value, json};
use tests::{Answer, Asked, Outcome, Recorder};

use super::scenarios::{PROTOCOLS, Peer};
use super::{check_refusal, pummel};

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];

/// A redirect with this status to there.
fn redirect(status: u16, to: &str) -> Answer {
    let fields: &'static [_] = vec![("Location", &*to.to_owned().leak())].leak();
    Answer::Said(status, fields, b"there")
}

/// Answers `/STATUS` with that status and where it leads to, and all else with 200.
fn leading(asked: &Asked) -> Answer {
    let answer = match asked.path.trim_start_matches('/').parse() {
        Ok(status) if STATUSES.contains(&status) => redirect(status, "end/../end?a=b#c"),
        _ => Answer::Said(200, &[], b"ok"),
    };
    match answer {
        // Over HTTP/2 this server would send a body to HEAD as well.
        Answer::Said(status, fields, _) if asked.method == "HEAD" => {
            Answer::Said(status, fields, b"")
        }
        answer => answer,
    }
}

/// What becomes of a method that is sent on with this status.
fn changed(status: u16, method: &str) -> &str {
    match (status, method) {
        (303, "HEAD") => "HEAD",
        (303, _) | (301 | 302, "POST") => "GET",
        _ => method,
    }
}

#[test]
fn each_status_is_followed_with_each_method_over_each_protocol() {
    let all = METHODS.iter().flat_map(|method| STATUSES.map(|status| (*method, status)));
    let all: Vec<(&str, u16)> = all.collect();
    let step = |(method, status): &(&str, u16)| {
        let body = if ["POST", "PUT"].contains(method) { "data = \"hello\"\n" } else { "" };
        format!("[[scenario.steps]]\nmethod = \"{method}\"\npath = \"/{status}\"\n{body}")
    };
    let steps: String = all.iter().map(step).collect();
    let toml = format!("headers = [\"X-A: 1\", \"Content-Type: a/b\"]\nredirect = 1\n{steps}");
    for (scheme, flags, version) in PROTOCOLS {
        // One user, who goes through them in their order.
        let protocol = (scheme, if flags.is_empty() { "" } else { "--streams 1" }, version);
        let peer = Peer::new(protocol, leading);
        let report = peer.report(&toml, "-c 1 -n 25 --shards 1");
        assert_eq!(report["counts"]["ok"], 25, "{protocol:?}");
        assert_eq!(report["redirects"]["followed"], 25);
        assert_eq!(report["statuses"], json!({ "200": 25 }));
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 50);
        for (pair, (method, status)) in asked.chunks(2).zip(&all) {
            let [first, next] = pair else { panic!("they come in pairs") };
            assert_eq!((first.method.as_str(), next.path.as_str()), (*method, "/end?a=b"));
            let expected = changed(*status, method);
            assert_eq!(next.method, expected, "{protocol:?} {method} {status}");
            let whole = expected == *method && *status != 303;
            assert_eq!(next.text(), if whole { first.text() } else { String::new() });
            assert_eq!(next.field("content-type").is_some(), whole, "{method} {status}");
            assert_eq!(next.field("x-a"), Some("1"));
            assert_eq!(next.field("host"), first.field("host"));
        }
    }
}

#[test]
fn a_loop_ends_in_a_failure_and_without_the_flag_a_redirect_is_an_answer() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, |_| redirect(302, "/again"));
        let url = peer.url().to_owned();
        let (_, report) = peer.ask(&format!("{url} --redirect 4 -c 2 -n 10 --shards 1"));
        assert_eq!(report["counts"]["failed"], 10, "{protocol:?}");
        let not_followed =
            json!({ "limit": 10, "malformed": 0, "no_location": 0, "other_host": 0 });
        let expected = json!({ "followed": 40, "not_followed": not_followed });
        assert_eq!((&report["redirects"], &report["other_host"]), (&expected, &Value::Null));
        assert_eq!((&report["statuses"]["302"], peer.recorder.asked().len()), (&json!(10), 50));
        let (_, report) = peer.ask(&format!("{url} -c 2 -n 10 --shards 1"));
        assert_eq!((&report["counts"]["ok"], &report["redirects"]), (&json!(10), &Value::Null));
    }
}

/// Runs with a file that says `toml`, and these words.
fn run(toml: &str, words: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("redirects.toml"), toml).unwrap();
    let words = ["--config", "redirects.toml"].into_iter().chain(words.split_whitespace());
    tests::run(pummel(words).current_dir(folder.path())).unwrap()
}

#[track_caller]
fn report(toml: &str, words: &str) -> Value {
    let outcome = run(toml, &format!("{words} --json"));
    assert!(outcome.went_well(), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn another_host_that_was_named_is_asked_without_secrets_and_one_that_was_not_is_not_asked() {
    let there = Recorder::new().unwrap();
    let to = format!("http://{}/there", there.target());
    let here = Recorder::answering(None, move |_| redirect(307, &to)).unwrap();
    let toml = |hosts: &str| {
        format!(
            "url = \"http://{}/\"\nredirect = 2\n{hosts}\ndata = \"hello\"\n\
             headers = [\"Authorization: Bearer x\", \"Cookie: a=b\", \"X-A: 1\"]\n",
            here.target()
        )
    };
    let hosts = format!("allow_hosts = [\"http://{}\"]", there.target());
    let told = report(&toml(&hosts), "-c 2 -n 20 --shards 1");
    assert_eq!((&told["counts"]["ok"], &told["redirects"]["followed"]), (&json!(20), &json!(20)));
    let asked = there.asked();
    assert_eq!((asked.len(), &told["origins"][1]["requests"]), (20, &json!(20)));
    for asked in &asked {
        assert_eq!((asked.method.as_str(), asked.text().as_str()), ("POST", "hello"));
        assert_eq!(asked.field("host"), Some(there.target().as_str()));
        assert_eq!((asked.field("authorization"), asked.field("cookie")), (None, None));
        assert_eq!(asked.field("x-a"), Some("1"));
    }
    let outcome = run(&toml(""), "-c 2 -n 20 --shards 1");
    let remedy = format!("20 not followed: another host; --allow-host http://{}", there.target());
    assert!(outcome.stdout.contains(&remedy), "{outcome:?}");
    let told = report(&toml(""), "-c 2 -n 20 --shards 1");
    assert_eq!(told["redirects"]["not_followed"]["other_host"], 20);
    assert_eq!(told["other_host"], format!("http://{}", there.target()));
    assert_eq!((&told["counts"]["failed"], there.asked().len()), (&json!(20), 20));
}

#[test]
fn steps_say_for_themselves_how_many_are_followed_and_take_values_from_the_last_answer() {
    let peer = Peer::new(PROTOCOLS[0], |asked| match asked.path.as_str() {
        "/a" | "/b" => redirect(302, &format!("{}/1", asked.path)),
        "/a/1" => redirect(302, "2"),
        "/a/2" => Answer::Said(200, &[("X-Token", "t")], b"ok"),
        _ => Answer::Status(200),
    });
    let toml = "redirect = 2\n\
                [[scenario.steps]]\npath = \"/a\"\ncapture.token = { header = \"X-Token\" }\n\
                [[scenario.steps]]\npath = \"/b\"\nredirect = 0\nassert_status = 302\n\
                [[scenario.steps]]\npath = \"/c/{{token}}\"\n";
    let report = peer.report(toml, "-c 1 -n 3 --shards 1");
    assert_eq!((&report["counts"]["ok"], &report["redirects"]["followed"]), (&json!(3), &json!(2)));
    let paths: Vec<String> = peer.recorder.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/a", "/a/1", "/a/2", "/b", "/c/t"]);
}

#[test]
fn a_large_body_is_sent_again_where_the_status_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, body) = (folder.path().join("body"), "0123456789".repeat(150_000));
    fs::write(&file, &body).unwrap();
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, leading);
        let url = peer.url().to_owned();
        let line = format!("{url}/308 -D {} --redirect 1 -c 1 -n 2 --shards 1", file.display());
        let (_, report) = peer.ask(&line);
        assert_eq!(report["counts"]["ok"], 2, "{protocol:?}");
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|asked| asked.text() == body), "{protocol:?}");
    }
}

#[test]
fn a_try_shows_each_hop_and_why_one_was_not_followed() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, |asked| match asked.path.as_str() {
            "/" => redirect(302, "/a"),
            "/a" => redirect(302, "http://nowhere.example/"),
            _ => Answer::Status(200),
        });
        let (outcome, _folder) = peer.run("redirect = 3\n", "--dry-run");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let exchanges = document["exchanges"].as_array().unwrap();
        let of = |exchange: &Value| {
            let response = &exchange["response"];
            json!([exchange["redirected"], exchange["good"], response["not_followed"]])
        };
        let all: Vec<Value> = exchanges.iter().map(of).collect();
        assert_eq!(all, [json!([false, true, null]), json!([true, false, "other_host"])]);
        let (outcome, _folder) = peer.run("redirect = 0\n", "--dry-run");
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_remedy() {
    let refused = |line: &str, words: &[&str]| {
        let outcome = tests::run(&mut pummel(line.split_whitespace())).unwrap();
        check_refusal(&outcome, 2, words);
    };
    refused("h --redirect 256", &["--redirect", "256", "255"]);
    refused("h --allow-host http://g", &["--allow-host", "give --redirect"]);
    let path = "h --redirect 1 --allow-host http://g/x";
    refused(path, &["--allow-host \"http://g/x\"", "path", "http://localhost:8080"]);
    refused("h --redirect 1 --allow-host http://u:p@g", &["--allow-host", "password"]);
    refused("h --redirect 1 --allow-host ftp://g", &["--allow-host", "unknown scheme"]);
    let signed = "h --redirect 1 --aws-sigv4 aws:amz:r:s -a key:secret";
    refused(signed, &["--redirect", "--aws-sigv4", "leave one of them out"]);
    let outcome = run("url = \"h\"\n[[scenario.steps]]\npath = \"/\"\nredirect = 999\n", "");
    let said =
        "redirects.toml:4:12: scenario.steps[0].redirect: 999 redirects are more than the 255";
    assert!(outcome.code == Some(2) && outcome.stderr.contains(said), "{outcome:?}");
}
