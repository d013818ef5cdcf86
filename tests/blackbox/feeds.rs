//! Rows of files in requests, as a server sees them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Asked, Outcome};

use super::pummel;
use super::scenarios::{PROTOCOLS, Peer, ok};

/// The section of a feed `users` from a file of this name and text, whose folder must live on.
fn feed((name, text): (&str, &str), keys: &str) -> (String, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (format!("[feeds.users]\nfile = '{}'\n{keys}\n", path.display()), folder)
}

const STEPS: &str = r#"
[[scenario.steps]]
path = "/a?n={{users.name}}&i={{users[0]}}"
headers = ["X-Name: {{users['name']}}"]

[[scenario.steps]]
path = "/b/{{seq}}"
json = { name = "{{users.name}}" }
"#;

/// What a user asks for in both steps, by its number.
fn check_pair(first: &Asked, second: &Asked) {
    let query = first.path.strip_prefix("/a?n=").unwrap();
    let (name, id) = query.split_once("&i=").unwrap();
    let plain = name.replace("%20", " ").replace("%2C", ",").replace("%22", "\"");
    assert_eq!(plain, format!("a \"b\", {id}"));
    assert_eq!(first.field("x-name"), Some(plain.as_str()));
    let body: Value = serde_json::from_slice(&second.body).unwrap();
    assert_eq!(body["name"], plain);
}

#[test]
fn each_user_has_a_row_for_all_of_its_steps_and_no_row_is_used_twice() {
    const ROWS: usize = 300;
    let mut text = String::from("id,name\n");
    (0..ROWS).for_each(|id| writeln!(text, "{id},\"a \"\"b\"\", {id}\"").unwrap());
    let (section, _folder) = feed(("users.csv", &text), "order = \"unique\"");
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let (outcome, _) = peer.run(&format!("{section}{STEPS}"), "-t 60s -c 6 --shards 2");
        assert!(outcome.went_well(), "{outcome:?}");
        assert!(outcome.stderr.contains("the feed users ended: there were no more rows"));
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let expected = (ROWS as u64, true);
        let fed = &report["feeds"][0];
        assert_eq!((fed["rows"].as_u64().unwrap(), fed["ended"].as_bool().unwrap()), expected);
        assert_eq!(report["counts"]["ok"], 2 * ROWS as u64);
        let asked = peer.recorder.asked();
        let of = |path: &str| {
            let mut all: Vec<&Asked> =
                asked.iter().filter(|it| it.path.starts_with(path)).collect();
            all.sort_by_key(|it| match it.field("x-name") {
                Some(name) => name.to_owned(),
                None => serde_json::from_slice::<Value>(&it.body).unwrap()["name"].to_string(),
            });
            all
        };
        let (first, second) = (of("/a?"), of("/b/"));
        let ids: BTreeSet<&str> = first.iter().map(|it| it.path.as_str()).collect();
        assert_eq!((first.len(), ids.len(), second.len()), (ROWS, ROWS, ROWS));
        for first in first {
            let name = first.field("x-name").unwrap();
            let own = second
                .iter()
                .find(|it| serde_json::from_slice::<Value>(&it.body).unwrap()["name"] == name);
            check_pair(first, own.unwrap());
        }
    }
}

/// The paths that a server is asked for, in their order.
fn paths(toml: &str, words: &str) -> (Vec<String>, Value) {
    let peer = Peer::new(PROTOCOLS[0], ok);
    let report = peer.report(toml, words);
    (peer.recorder.asked().into_iter().map(|asked| asked.path).collect(), report)
}

const LINE: &str = "[[scenario.steps]]\npath = \"/{{users}}\"\n";

#[test]
fn lines_come_in_their_order_and_begin_again() {
    let (section, _folder) = feed(("users.txt", "a\nb\r\n\nc d\n"), "");
    let (paths, report) = paths(&format!("{section}{LINE}"), "-n 7 -c 1");
    assert_eq!(paths, ["/a", "/b", "/c%20d", "/a", "/b", "/c%20d", "/a"]);
    let fed = &report["feeds"][0];
    assert_eq!(
        (&fed["name"], &fed["rows"], &fed["ended"]),
        (&Value::from("users"), &Value::from(7), &Value::from(false))
    );
}

#[test]
fn a_schedule_ends_with_the_last_row() {
    let mut text = String::new();
    (0..40).for_each(|n| writeln!(text, "{{\"n\": {{\"m\": {n}}}}}").unwrap());
    let (section, _folder) = feed(("users.jsonl", &text), "repeat = false");
    let step = "[[scenario.steps]]\npath = \"/{{users.n.m}}\"\n";
    let toml = format!("{section}{step}");
    let (paths, report) = paths(&toml, "--rate 200 -t 60s -c 4 --shards 2");
    let expected: BTreeSet<String> = (0..40).map(|n| format!("/{n}")).collect();
    assert_eq!(paths.len(), 40);
    assert_eq!(paths.into_iter().collect::<BTreeSet<_>>(), expected);
    let counts = &report["counts"];
    assert_eq!(counts["ok"], 40, "{counts}");
    assert_eq!(report["ending"], "completed");
    let window = report["window"]["seconds"].as_f64().unwrap();
    assert!((0.19..10.0).contains(&window), "{window}");
}

#[test]
fn shuffled_rows_are_others_each_time_and_the_same_with_one_seed() {
    let mut text = String::new();
    (0..20).for_each(|n| writeln!(text, "{n}").unwrap());
    let (section, _folder) = feed(("users.txt", &text), "order = \"shuffled\"");
    let toml = format!("{section}{LINE}");
    let (first, _) = paths(&toml, "-n 40 -c 1 --seed 5");
    let (again, _) = paths(&toml, "-n 40 -c 1 --seed 5");
    assert_eq!(first, again);
    let all: BTreeSet<&String> = first.iter().take(20).collect();
    assert_eq!(all.len(), 20);
    assert_ne!(first[..20], first[20..]);
}

/// A file of a million rows: each is used once, by any of the shards.
#[test]
fn a_million_rows_are_read_as_they_are_wanted() {
    let mut text = String::from("id,filler\n");
    for id in 0..1_000_000_u32 {
        writeln!(text, "{id},some more text of row {}", id % 97).unwrap();
    }
    for order in ["unique", "shuffled"] {
        let (section, _folder) = feed(("users.csv", &text), &format!("order = {order:?}"));
        let toml = format!("{section}[[scenario.steps]]\npath = \"/{{{{users.id}}}}\"\n");
        let (paths, report) = paths(&toml, "-n 3000 -c 8 --shards 2");
        let ids: BTreeSet<u32> = paths.iter().map(|path| path[1..].parse().unwrap()).collect();
        assert_eq!((paths.len(), ids.len()), (3_000, 3_000), "{}", report["counts"]);
        let last = *ids.last().unwrap();
        assert_eq!(last == 2_999, order == "unique", "{last}");
    }
}

/// What is said of a run with this feed and this path, which does not begin.
fn refused(file: (&str, &[u8]), keys: &str, path: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file.0), file.1).unwrap();
    let toml = format!(
        "url = \"http://127.0.0.1:1\"\n[feeds.users]\nfile = {:?}\n{keys}\n\
         [[scenario.steps]]\npath = {path:?}\n",
        file.0
    );
    fs::write(folder.path().join("pummel.toml"), toml).unwrap();
    let mut command = pummel(["--config", "pummel.toml"]);
    let Outcome { code, stderr, .. } = tests::run(command.current_dir(folder.path())).unwrap();
    assert_eq!(code, Some(2), "{stderr}");
    stderr.lines().find(|line| line.starts_with("pummel: ")).unwrap().to_owned()
}

#[test]
fn what_is_wrong_with_a_file_is_said_in_a_line_with_its_place() {
    let at = "pummel: pummel.toml:3:8: feeds.users.file names a file that cannot be used: ";
    let csv = |text: &str, said: &str| {
        let error = refused(("u.csv", text.as_bytes()), "", "/{{users[0]}}");
        assert_eq!(error, format!("{at}u.csv:{said}"));
    };
    csv("a,a\n1,2\n", "1: it names two columns \"a\"; rename one, or give all of them `names`");
    csv(
        "a,b\n1,5\"\n",
        "2: it has a quote amid a field; put all of the field in quotes and write that quote \
         twice, or give another `quote`",
    );
    csv(
        "a,b\n\"1\" ,2\n",
        "2: it has text behind a closing quote; write a quote within quotes twice",
    );
    csv(
        "a,b\n1,2\n\n3\n",
        "4: it has 1 field, and 2 are wanted; look at its delimiters and quotes",
    );
    csv("a,b\n1,\"2\n", "2: it has a quote that is never closed; close it");
    csv("a,b\n", " it has no row behind the header; give it at least one");
    csv("a,b\n1,\0\n", "2: it is no text: there is a zero byte; give a text file in UTF-8");
    let json = refused(("u.json", b"{}\n{\n"), "", "/{{users}}");
    assert_eq!(json, format!("{at}u.json:2: it is no JSON at column 1; write a value per line"));
    let path = refused(("u.json", b"{}\n"), "", "/{{users.a}}");
    assert_eq!(path, format!("{at}u.json:1: it has no value at $.a"));
    let odd = refused(("u.json", b"{}\n\"\xFF\"\n"), "", "/{{users}}");
    let said = format!("{at}u.json:2: it is no JSON, since it is no UTF-8; write it as UTF-8");
    assert_eq!(odd, said);
    let twice = refused(("u.csv", b"1,2\n"), "names = [\"a\", \"a\"]", "/{{users.a}}");
    assert!(
        twice.ends_with(":4:9: feeds.users.names names two columns \"a\"; rename one"),
        "{twice}"
    );
    let gone = refused(("u.csv", b"a\n1\n"), "", "/{{users.b}}");
    let said = "pummel: pummel.toml:6:8: scenario.steps[0].path: {{users.b}}: the feed users has \
                no column \"b\"";
    assert!(gone.starts_with(said), "{gone}");
    let none = refused(("u.csv", b"a\n1\n"), "delimiter = \"ab\"", "/{{users.a}}");
    assert!(none.starts_with("pummel: pummel.toml:4:13: feeds.users.delimiter is"), "{none}");
    assert!(!Path::new("u.csv").exists());
}

#[test]
fn a_column_says_which_way_a_user_goes_and_needs_no_other_place() {
    let text = "name,role\nann,admin\nbob,user\ncid,admin\n";
    let (section, _folder) = feed(("users.csv", text), "order = \"unique\"");
    let steps = r#"
[scenario]
vars = { role = "{{users.role}}" }

[[scenario.steps]]
path = "/begin"

[[scenario.steps]]
if = "{{role}} == 'admin' and {{users.name}} != 'cid'"
path = "/admin"
else = [{ path = "/other/{{users.name}}" }]

[[scenario.steps]]
while = "{{users.role}} == 'user'"
max = 2
path = "/again"
"#;
    for protocol in PROTOCOLS {
        let (scheme, _, version) = protocol;
        let flags = if version == "HTTP/2.0" { "--streams 1" } else { "" };
        let peer = Peer::new((scheme, flags, version), ok);
        let (outcome, _) = peer.run(&format!("{section}{steps}"), "-t 60s -c 1");
        assert!(outcome.went_well(), "{outcome:?}");
        let paths: Vec<String> = peer.recorder.asked().into_iter().map(|it| it.path).collect();
        let expected = ["/begin", "/admin", "/begin", "/other/bob", "/again", "/again"];
        let expected = expected.into_iter().chain(["/begin", "/other/cid"]);
        assert_eq!(paths, expected.collect::<Vec<_>>(), "{protocol:?}");
    }
}
