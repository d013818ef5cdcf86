//! Values that are used where nothing has captured them.

use serde_json::{Value, json};
use tests::{Answer, Asked};

use super::pummel;
use super::scenarios::{PROTOCOLS, Peer};

/// The first pass of the loop lacks what its second step captures.
const LOOP: &str = r#"
connections = 1
requests = 12

[[scenario.steps]]
repeat = 2
steps = [
    { name = "use", path = "/use?{{token}}" },
    { name = "login", path = "/login", capture.token = { header = "X-Token" } },
    { name = "twice", if = "{{token}} == 'empty'", path = "/never" },
]
"#;

fn script(_: &Asked) -> Answer {
    Answer::Said(200, &[("x-token", "t1")], b"")
}

#[test]
fn how_often_an_empty_text_was_sent_is_told_by_value_with_the_remedy() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, script);
        let report = peer.report(LOOP, "");
        let told = report["unset_values"].as_array().unwrap();
        let paths: Vec<String> = peer.recorder.asked().into_iter().map(|it| it.path).collect();
        let empty = paths.iter().filter(|path| *path == "/use?").count();
        assert!(empty >= 1 && paths.iter().any(|path| path == "/use?t1"), "{paths:?}");
        assert_eq!(told[..], [json!({"name": "token", "requests": empty, "conditions": 0})]);
    }
}

#[test]
fn the_text_and_a_dry_run_say_so_too_and_a_run_that_lacks_nothing_does_not() {
    let peer = Peer::new(PROTOCOLS[0], script);
    let of = |toml: &str, words: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("url = \"{}\"\n{toml}", peer.url());
        std::fs::write(folder.path().join("pummel.toml"), text).unwrap();
        let mut command = pummel(words.iter().copied());
        tests::run(command.current_dir(folder.path())).unwrap().stdout
    };
    let said = "{{token}} was empty in 3 requests: capture it on every way to \"use\", or ask";
    let text = of(LOOP, &[]);
    assert!(text.contains(&format!("Not captured   {said}")), "{text}");
    let text = of(LOOP, &["--dry-run"]);
    assert!(text.contains("not captured: {{token}} was empty in 1 request: "), "{text}");
    let sure = LOOP.replace("/use?{{token}}", "/use");
    let (text, json) = (of(&sure, &[]), of(&sure, &["--json"]));
    assert!(!text.contains("Not captured"), "{text}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["unset_values"], json!([]));
}
