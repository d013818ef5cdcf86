//! Cookies and compressed bodies as a server sees them, over each protocol.

use std::fs;

use serde_json::Value;
use tests::{Answer, Asked};

use super::scenarios::{PROTOCOLS, Peer, ok};
use super::{check_refusal, pummel};

const FLOW: &str = r#"
cookies = "on"
cookies_save = "jar.txt"

[scenario]
[[scenario.steps]]
path = "/login"
method = "post"

[[scenario.steps]]
path = "/app/{{seq}}"
headers = ["Cookie: own=1"]

[[scenario.steps]]
path = "/other"
"#;

fn script(asked: &Asked) -> Answer {
    let set: &[(&str, &str)] = &[
        ("set-cookie", "session=abc; Path=/; HttpOnly"),
        ("set-cookie", "app=1; Path=/app"),
        ("set-cookie", "secure=1; Secure; Path=/"),
        ("set-cookie", "gone=1; Max-Age=0"),
    ];
    match asked.path.as_str() {
        "/login" => Answer::Said(200, set, b"{}"),
        _ => Answer::Status(200),
    }
}

#[test]
fn what_a_server_sets_comes_back_in_one_field_where_it_belongs() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, script);
        let (outcome, folder) = peer.run(FLOW, "-c 2 -n 60");
        assert!(outcome.went_well(), "{outcome:?}");
        let secure = if ["https", "h2"].contains(&protocol.0) { "; secure=1" } else { "" };
        let mut first = 0;
        for asked in peer.recorder.asked() {
            let session = format!("session=abc{secure}");
            match asked.path.as_str() {
                "/login" if asked.field("cookie").is_none() => first += 1,
                "/login" | "/other" => assert_eq!(asked.field("cookie"), Some(&*session)),
                _ => {
                    let all = format!("own=1; app=1; {session}");
                    assert_eq!(asked.field("cookie"), Some(&*all), "{protocol:?}");
                }
            }
        }
        // Each of the users logs in once without cookies.
        assert!((1..=8).contains(&first), "{first}");
        let text = fs::read_to_string(folder.path().join("jar.txt")).unwrap();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let expected = [
            "127.0.0.1\tFALSE\t/\tTRUE\t0\tsecure\t1",
            "#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc",
            "127.0.0.1\tFALSE\t/app\tFALSE\t0\tapp\t1",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn what_was_saved_is_what_the_next_run_begins_with() {
    let peer = Peer::new(PROTOCOLS[0], script);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jar").display().to_string();
    let url = format!("{}/login", peer.url());
    for words in [["--cookies-save", &file], ["--cookies-load", &file]] {
        let words = words.into_iter().chain([&*url, "-n", "1", "-c", "1", "--json"]);
        let outcome = tests::run(&mut pummel(words)).unwrap();
        assert!(outcome.went_well(), "{outcome:?}");
    }
    let asked = peer.recorder.asked();
    let [first, second] = &asked[..] else { panic!("two: {asked:?}") };
    assert_eq!((first.field("cookie"), second.field("cookie")), (None, Some("session=abc")));
}

#[test]
fn without_being_asked_nobody_keeps_anything() {
    let peer = Peer::new(PROTOCOLS[0], script);
    peer.ask(&format!("{}/login -n 20 -c 2", peer.url()));
    assert!(peer.recorder.asked().iter().all(|asked| asked.field("cookie").is_none()));
}

#[test]
fn cookies_that_make_no_sense_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jar").display().to_string();
    fs::write(&file, "# a comment\nlocalhost FALSE\n").unwrap();
    let nowhere = folder.path().join("no/such").display().to_string();
    let jar = format!("{file}:2: a cookie has the 7 columns");
    for (words, said) in [
        (["--cookies-load", &*file], &*jar),
        (["--cookies-save", &*nowhere], "cannot be written"),
        (["--cookies", "maybe"], "give off, on or iteration"),
    ] {
        let words = words.into_iter().chain(["127.0.0.1:1", "-n", "1"]);
        let outcome = tests::run(&mut pummel(words)).unwrap();
        check_refusal(&outcome, 2, &[said]);
    }
}

const LOOK: &str = r#"
[scenario]
[[scenario.steps]]
name = "look"
path = "/"
capture.token = { json = "$.token" }
checks = [{ body_contains = "t1" }, { size = 34 }]

[[scenario.steps]]
name = "use"
path = "/{{token}}"
headers = ["Accept-Encoding: br"]
"#;

/// `{"token":"t1"}`, as gzip has it.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 201, 207, 78, 205, 83, 178, 82, 42, 49, 84, 170,
    5, 0, 150, 221, 12, 183, 14, 0, 0, 0,
];

fn compressed(asked: &Asked) -> Answer {
    match asked.path.as_str() {
        "/" => Answer::Said(200, &[("content-encoding", "gzip")], GZIP),
        _ => Answer::Status(200),
    }
}

#[test]
fn compressed_bodies_are_asked_for_where_that_is_wanted_and_read_where_somebody_looks() {
    for protocol in PROTOCOLS {
        for (words, asked) in [
            ("", None),
            ("--compression", Some("gzip, br, zstd, deflate")),
            ("--disable-compression", None),
        ] {
            let peer = Peer::new(protocol, compressed);
            let report: Value = peer.report(LOOK, &format!("-c 2 -n 20 {words}"));
            assert_eq!(report["counts"]["ok"], 20, "{protocol:?} {words}: {}", report["checks"]);
            for it in peer.recorder.asked() {
                let expected = if it.path == "/" { asked } else { Some("br") };
                assert_eq!(it.field("accept-encoding"), expected);
                assert!(["/", "/t1"].contains(&&*it.path), "{}", it.path);
            }
        }
    }
}

#[test]
fn a_body_that_is_not_what_it_says_fails_its_checks_with_a_reason() {
    let peer = Peer::new(PROTOCOLS[0], |_| Answer::Said(200, &[("content-encoding", "br")], GZIP));
    let toml = "[scenario]\n[[scenario.steps]]\nchecks = [{ body_contains = \"t1\" }]\n";
    let report = peer.report(toml, "-c 1 -n 5");
    assert_eq!(report["checks"][0]["reasons"]["not_decoded"], 5, "{report}");
    // Where nobody looks, nobody minds.
    let plain = Peer::new(PROTOCOLS[0], |_| Answer::Said(200, &[("content-encoding", "br")], GZIP));
    let (_, report) = plain.ask(&format!("{} -n 5 -c 1", plain.url()));
    assert_eq!(report["counts"]["ok"], 5);
    let quiet = Peer::new(PROTOCOLS[0], ok);
    quiet.ask(&format!("{} -n 1 -c 1", quiet.url()));
    assert_eq!(quiet.recorder.asked()[0].field("accept-encoding"), None);
}
