//! `--preflight`: each request once before the run, which does not begin if one is not as expected.

use serde_json::{Value, json};
use tests::{Answer, Asked, Recorder};

use super::scenarios::{PROTOCOLS, Peer};
use super::target::Target;
use super::{check_refusal, pummel};

const FLOW: &str = r#"
connections = 2
requests = 20
preflight = true

[[scenario.steps]]
name = "login"
path = "/login"
capture.token = { header = "X-Token" }
think_time = "1h"

[[scenario.steps]]
name = "use"
path = "/use/{{token}}"
checks = [{ body_contains = "hello" }]
"#;

fn script(_: &Asked) -> Answer {
    Answer::Said(200, &[("x-token", "t1")], b"hello")
}

#[test]
fn each_step_is_sent_once_before_the_run_and_is_in_no_number() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, script);
        let flow = FLOW.replace("think_time = \"1h\"\n", "");
        let report = peer.report(&flow, "");
        assert_eq!(report["preflight"], json!({"requests": 2}));
        assert_eq!(report["counts"]["ok"], 20);
        let paths: Vec<String> = peer.recorder.asked().into_iter().map(|it| it.path).collect();
        assert_eq!(paths.len(), 22);
        assert_eq!(paths[..2], ["/login", "/use/t1"]);
    }
}

#[test]
fn the_text_tells_of_it_and_without_it_nothing_is_sent_before() {
    let recorder = Recorder::new().unwrap();
    let target = recorder.target();
    let of = |words: &[&str]| {
        let words = [&[target.as_str(), "-n", "8"], words].concat();
        tests::run(&mut pummel(words)).unwrap()
    };
    let outcome = of(&["--preflight"]);
    assert!(outcome.went_well(), "{outcome:?}");
    let line = "Preflight      1 request before the run, answered as expected, not counted\n";
    assert!(outcome.stdout.contains(line), "{}", outcome.stdout);
    assert_eq!(recorder.asked().len(), 9);
    let outcome = of(&["--json"]);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((recorder.asked().len(), &report["preflight"]), (17, &Value::Null));
}

#[test]
fn a_response_that_is_not_as_expected_ends_it_before_it_begins() {
    for (answer, said) in [
        (Answer::Status(404), "preflight: login: status 404"),
        (Answer::Status(200), "login: status 200, but capture token does not hold ("),
        (
            Answer::Said(200, &[("x-token", "t1")], b"bye"),
            "use: status 200, but body_contains \"hello\" does not hold; the run has not begun",
        ),
        (Answer::Reset, "preflight: login: "),
    ] {
        let peer = Peer::new(PROTOCOLS[0], move |_| answer);
        let (outcome, _folder) = peer.run(FLOW, "");
        let (code, lines) = (outcome.code, outcome.stderr.lines().count());
        assert_eq!((code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}\nexpected {said}");
        // The other one says which file the settings come from.
        assert!(lines <= 2 && peer.recorder.asked().len() <= 2, "{outcome:?}");
    }
}

#[test]
fn what_does_not_answer_or_not_in_http_ends_it_too() {
    for (flags, said) in [
        ("--silent-every 1", "preflight: GET /: timeout: "),
        ("--break garbage", "preflight: GET /: "),
    ] {
        let target = Target::start(flags);
        let words = [target.url.as_str(), "--preflight", "--timeout", "200ms", "-t", "1h"];
        check_refusal(&tests::run(&mut pummel(words)).unwrap(), 1, &[said]);
        target.end();
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}/");
    let outcome = tests::run(&mut pummel([url.as_str(), "--preflight", "-t", "1h"])).unwrap();
    check_refusal(&outcome, 1, &["preflight: ", "refused"]);
    let both = [url.as_str(), "--preflight", "--dry-run"];
    check_refusal(&tests::run(&mut pummel(both)).unwrap(), 2, &["--preflight", "--dry-run"]);
}

#[test]
fn of_many_urls_the_first_hundred_are_asked_for() {
    let recorder = Recorder::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("urls").display().to_string();
    let urls: Vec<String> = (0..150).map(|n| format!("{}/{n}", recorder.target())).collect();
    std::fs::write(&path, urls.join("\n")).unwrap();
    let words = [&path, "--urls-from-file", "--preflight", "-n", "10", "--json"];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    assert!(outcome.went_well(), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["preflight"]["requests"], 100);
    assert_eq!(recorder.asked().len(), 110);
}

#[test]
fn a_scenario_for_which_a_feed_has_no_row_is_named_however_many_requests_others_make() {
    let recorder = Recorder::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let step = |path: &str| format!("{{ path = \"{path}/{{{{users}}}}\" }}");
    let toml = format!(
        "url = \"{}\"\n[feeds.users]\nfile = \"users\"\norder = \"unique\"\n\
         [scenarios.a]\nsteps = [{}, {}]\n[scenarios.b]\nsteps = [{}]\n",
        recorder.target(),
        step("/1"),
        step("/2"),
        step("/3"),
    );
    std::fs::write(folder.path().join("users"), "only\n").unwrap();
    std::fs::write(folder.path().join("pummel.toml"), toml).unwrap();
    for (flag, said) in [
        ("--preflight", "preflight: a feed has no row for scenario b; the run has not begun"),
        ("--dry-run", "a feed has no row for scenario b\n"),
    ] {
        let mut command = pummel([flag, "-t", "1h"]);
        let outcome = tests::run(command.current_dir(folder.path())).unwrap();
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(said), "{outcome:?}");
    }
    assert_eq!(recorder.asked().len(), 4);
}

#[test]
fn a_redirect_that_is_followed_is_no_request_of_its_own() {
    let peer = Peer::new(PROTOCOLS[0], |asked| match asked.path.as_str() {
        "/b" => Answer::Said(200, &[], b""),
        "/a" => Answer::Said(302, &[("location", "/b")], b""),
        _ => Answer::Said(302, &[("location", "/a")], b""),
    });
    let report = peer.report("", "--preflight --redirect 5 -c 1 -n 1");
    assert_eq!(report["preflight"], json!({"requests": 1}));
    assert_eq!(peer.recorder.asked().len(), 6);
}
