//! Scenarios as a server sees them: what is asked for, in which order, over each protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tests::{Answer, Asked, Authority, Issued, Outcome, Recorder, Wanted};

use super::pummel;

/// The protocols that a scenario is sent over: scheme, flags, and what the server calls it.
pub(crate) const PROTOCOLS: [(&str, &str, &str); 4] = [
    ("http", "", "HTTP/1.1"),
    ("https", "", "HTTP/1.1"),
    ("h2c", "--streams 4", "HTTP/2.0"),
    ("h2", "--streams 4", "HTTP/2.0"),
];

/// A recorder for each of them, and how it is reached.
pub(crate) struct Peer {
    pub(crate) recorder: Recorder,
    url: String,
    flags: Vec<String>,
    _authority: Authority,
}

impl Peer {
    /// The peer of one of [`PROTOCOLS`], which answers as `script` says.
    pub(crate) fn new(
        (scheme, flags, _): (&str, &str, &str),
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::new("root").unwrap();
        let wanted = Wanted { host: "127.0.0.1", years: (2000, 2100) };
        let issued: Issued = authority.issue("server", wanted).unwrap();
        let secured = ["https", "h2"].contains(&scheme);
        let recorder = Recorder::answering(secured.then_some(&issued), script).unwrap();
        let url = format!("{scheme}://{}", recorder.target());
        let mut flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        if secured {
            flags.extend(["--cacert".to_owned(), authority.root().display().to_string()]);
        }
        Self { recorder, url, flags, _authority: authority }
    }

    /// Its URL without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs with this line, which names the URL, to an end as it should be; and the report.
    #[track_caller]
    pub(crate) fn ask(&self, line: &str) -> (Outcome, Value) {
        let words = line.split_whitespace().chain(self.flags.iter().map(String::as_str));
        let outcome = tests::run(&mut pummel(words.chain(["--json"]))).unwrap();
        assert!(outcome.went_well(), "{outcome:?}");
        let report = serde_json::from_str(&outcome.stdout).unwrap();
        (outcome, report)
    }

    /// Runs with a file that says `toml` beside the URL, and with these words.
    pub(crate) fn run(&self, toml: &str, words: &str) -> (Outcome, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("url = \"{}\"\n{toml}", self.url);
        fs::write(folder.path().join("pummel.toml"), text).unwrap();
        let words = words.split_whitespace().chain(self.flags.iter().map(String::as_str));
        let mut command = pummel(words.chain(["--json"]));
        command.current_dir(folder.path());
        (tests::run(&mut command).unwrap(), folder)
    }

    /// The same of a run that ends as it should, and its report.
    #[track_caller]
    pub(crate) fn report(&self, toml: &str, words: &str) -> Value {
        let (outcome, _) = self.run(toml, words);
        assert!(outcome.went_well(), "{outcome:?}");
        serde_json::from_str(&outcome.stdout).unwrap()
    }
}

pub(crate) fn ok(_: &Asked) -> Answer {
    Answer::Status(200)
}

const STEPS: &str = r#"
[scenario]
headers = ["X-Seq: {{seq}}", "X-Id: {{uuid}}"]
vars = { who = "Jo \"e\"", id = 7 }

[[scenario.steps]]
name = "first"
path = "/first/{{seq}}?r={{random(-5,5)}}&c={{choice(a b,c)}}&w={{who}}"
headers = ["X-S: {{timestamp_s}}", "X-Ms: {{timestamp_ms}}"]
think_time = "30ms"

[[scenario.steps]]
name = "second"
method = "put"
path = "/second"
json = { who = "{{who}}", id = "{{id}}", n = "{{seq}}", u = "{{uuid}}", t = "{{who}}-{{seq}}" }

[[scenario.steps]]
name = "third"
path = "/third/{{step}}"
data = "n={{seq}}&u={{uuid}}&r={{random(1,1000000)}}"
"#;

/// The number that comes with each request of a user, from 0 on.
fn seq(asked: &Asked) -> u64 {
    asked.field("x-seq").unwrap().parse().unwrap()
}

#[track_caller]
fn check_first(asked: &Asked, files: [SystemTime; 2]) {
    let (path, query) = asked.path.split_once('?').unwrap();
    assert_eq!((asked.method.as_str(), path), ("GET", &*format!("/first/{}", seq(asked))));
    assert_eq!((asked.field("content-length"), asked.body.len()), (None, 0));
    let parts: Vec<&str> = query.split('&').collect();
    let [r, c, w] = <[&str; 3]>::try_from(parts).unwrap();
    let r: i32 = r.strip_prefix("r=").unwrap().parse().unwrap();
    assert!((-5..=5).contains(&r), "{r}");
    assert!(["c=a%20b", "c=c"].contains(&c), "{c}");
    assert_eq!(w, "w=Jo%20%22e%22");
    let number = |name| asked.field(name).unwrap().parse::<u64>().unwrap();
    let (s, ms) = (number("x-s"), number("x-ms"));
    assert_eq!(s, ms / 1000);
    // The clock of a file system may be a tick late.
    let slack = Duration::from_secs(1);
    let [before, after] = files.map(|it| it.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    let at = Duration::from_millis(ms);
    assert!(before <= at + slack && at <= after + slack, "{before:?} {at:?} {after:?}");
}

#[track_caller]
fn check_second(asked: &Asked) {
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("PUT", "/second"));
    assert_eq!(asked.field("content-type"), Some("application/json"));
    let (n, u) = (seq(asked), asked.field("x-id").unwrap());
    let expected = format!(r#"{{"who":"Jo \"e\"","id":7,"n":{n},"u":"{u}","t":"Jo \"e\"-{n}"}}"#);
    assert_eq!(asked.text(), expected);
    serde_json::from_str::<Value>(&asked.text()).unwrap();
}

#[track_caller]
fn check_third(asked: &Asked) {
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/third/3"));
    assert_eq!(asked.field("content-type"), None);
    let text = asked.text();
    let id = asked.field("x-id").unwrap();
    let rest = text.strip_prefix(&format!("n={}&u={id}&r=", seq(asked))).unwrap();
    assert!((1..=1_000_000).contains(&rest.parse::<u32>().unwrap()), "{rest}");
}

#[test]
fn every_request_is_what_the_file_says() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let (outcome, folder) = peer.run(STEPS, "-c 3 -n 120 --status 200");
        assert!(outcome.went_well(), "{outcome:?}");
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(report["counts"]["ok"], 120, "{protocol:?}");
        fs::write(folder.path().join("after"), "").unwrap();
        let files = ["pummel.toml", "after"]
            .map(|name| fs::metadata(folder.path().join(name)).unwrap().modified().unwrap());
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 120, "{protocol:?}");
        let mut ids = BTreeSet::new();
        for asked in &asked {
            assert_eq!(format!("{:?}", asked.version), protocol.2);
            if let Some(length) = asked.field("content-length") {
                assert_eq!(length.parse::<usize>().unwrap(), asked.body.len());
            }
            assert_eq!(asked.field("host"), Some(peer.recorder.target().as_str()));
            // Each of the three in its turn: users count all that they ask for.
            match seq(asked) % 3 {
                0 => check_first(asked, files),
                1 => check_second(asked),
                _ => check_third(asked),
            }
            ids.insert(asked.field("x-id").unwrap().to_owned());
        }
        assert_eq!(ids.len(), 120, "each request has a UUID of its own");
        assert!(ids.iter().all(|id| is_uuid(id)), "{ids:?}");
        check_without_gaps(&asked);
    }
}

#[test]
fn values_are_encoded_and_dated_as_is_said() {
    let file = r#"
[scenario]
basic_auth = "{{who}}:{{seq}}"
vars = { who = "Jo /é", pair = "{{who}}:{{seq}}", object = "[1, {{seq}}]" }

[[scenario.steps]]
path = "/{{encode(who, path)}}?f={{encode(pair, form)}}&t={{now(%H:%M)}}"
headers = [
    "Date: {{now('%a, %d %b %Y %H:%M:%S GMT')}}",
    "X-B: {{base64(pair)}}",
    "X-Seq: {{seq}}",
]

[scenario.steps.json]
object = "{{json(object)}}"
day = "{{now(%F)}}"
who = "{{encode(who)}}"
b = "{{base64(timestamp_s)}}"
"#;
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        peer.report(file, "-c 1 -n 2 --seed 1");
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 2);
        for asked in &asked {
            let n = seq(asked);
            // `printf 'Jo /é:0' | base64`
            let pair = if n == 0 { "Sm8gL8OpOjA=" } else { "Sm8gL8OpOjE=" };
            assert_eq!(asked.field("x-b"), Some(pair));
            assert_eq!(asked.field("authorization"), Some(&*format!("Basic {pair}")));
            let date = asked.field("date").unwrap();
            let [weekday, day, month, year, time, zone] =
                <[&str; 6]>::try_from(date.split(' ').collect::<Vec<_>>()).unwrap();
            assert!(weekday.len() == 4 && month.len() == 3 && zone == "GMT", "{date}");
            let minute = time.get(..5).unwrap().replace(':', "%3A");
            assert_eq!(asked.path, format!("/Jo%20/%C3%A9?f=Jo+%2F%C3%A9%3A{n}&t={minute}"));
            let body: Value = serde_json::from_str(&asked.text()).unwrap();
            assert_eq!(body["who"], "Jo%20%2F%C3%A9");
            assert_eq!(body["object"], serde_json::json!([1, n]));
            let given = body["day"].as_str().unwrap();
            assert!(given.starts_with(&format!("{year}-")), "{given} {date}");
            assert!(given.ends_with(&format!("-{day}")), "{given} {date}");
            // Ten digits are 16 letters of base 64, two of them padding.
            assert_eq!(body["b"].as_str().map(str::len), Some(16));
        }
    }
}

/// Version 4, in the usual form.
fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    lengths == [8, 4, 4, 4, 12]
        && parts.iter().all(|part| part.chars().all(hexadecimal))
        && parts[2].starts_with('4')
        && parts[3].starts_with(['8', '9', 'a', 'b'])
}

/// Every user counts from 0 on: a number is never seen more often than the one before it.
#[track_caller]
fn check_without_gaps(asked: &[Asked]) {
    let mut seen = BTreeMap::new();
    for asked in asked {
        *seen.entry(seq(asked)).or_insert(0) += 1;
    }
    let counts: Vec<u32> = seen.values().copied().collect();
    assert!(counts.is_sorted_by(|a, b| a >= b), "{seen:?}");
    assert_eq!(
        seen.keys().copied().collect::<Vec<_>>(),
        (0..counts.len() as u64).collect::<Vec<_>>()
    );
}

#[test]
fn a_user_does_a_step_after_the_other_and_thinks_as_long_as_the_file_says() {
    for protocol in PROTOCOLS {
        let (scheme, _, version) = protocol;
        let flags = if version == "HTTP/2.0" { "--streams 1" } else { "" };
        let peer = Peer::new((scheme, flags, version), ok);
        peer.report(STEPS, "-c 1 -n 9");
        let asked = peer.recorder.asked();
        let all: Vec<u64> = asked.iter().map(seq).collect();
        assert_eq!(all, (0..9).collect::<Vec<_>>(), "{protocol:?}");
        for pair in asked.windows(2).filter(|pair| pair[0].path.starts_with("/first")) {
            let pause = pair[1].at.duration_since(pair[0].at);
            assert!(pause >= Duration::from_millis(30), "{protocol:?}: {pause:?}");
        }
    }
}

/// How many requests there were for each path.
fn by_path(recorder: &Recorder) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    for asked in recorder.asked() {
        *all.entry(asked.path).or_insert(0) += 1;
    }
    all
}

#[test]
fn weights_say_how_often_targets_and_scenarios_are_chosen() {
    let targets = "[[targets]]\npath = \"/a\"\nweight = 3\n[[targets]]\npath = \"/b\"\n";
    let scenarios = "[scenarios.a]\nweight = 3\nsteps = [{ path = \"/a\" }]\n\
                     [scenarios.b]\nsteps = [{ path = \"/b\" }]\n";
    for protocol in PROTOCOLS {
        for toml in [targets, scenarios] {
            let peer = Peer::new(protocol, ok);
            let report = peer.report(toml, "-c 4 -n 800 --seed 7");
            let seen = by_path(&peer.recorder);
            assert_eq!(seen.values().sum::<u32>(), 800);
            assert!(seen["/a"].abs_diff(600) < 60, "three to one: {seen:?}");
            let rows = report["steps"].as_array().unwrap();
            let counts: Vec<u64> = rows.iter().map(|row| row["ok"].as_u64().unwrap()).collect();
            assert_eq!(counts, ["/a", "/b"].map(|path| u64::from(seen[path])), "{protocol:?}");
        }
    }
}

#[test]
fn a_large_body_arrives_whole_with_a_value_in_it_and_without() {
    let (half, whole) = ("0123456789".repeat(5_000), "abcdefghij".repeat(20_000));
    let toml = format!(
        "[[scenario.steps]]\nname = \"constant\"\npath = \"/constant\"\ndata = \"{whole}\"\n\
         [[scenario.steps]]\nname = \"varying\"\npath = \"/varying\"\n\
         data = \"{half}{{{{uuid}}}}{half}\"\n"
    );
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        let report = peer.report(&toml, "-c 2 -n 40");
        assert_eq!(report["counts"]["ok"], 40, "{protocol:?}");
        let (mut ids, mut varying) = (BTreeSet::new(), 0);
        for asked in peer.recorder.asked() {
            if asked.path == "/constant" {
                assert!(asked.body == whole.as_bytes(), "{protocol:?}: {}", asked.body.len());
                continue;
            }
            let text = asked.text();
            let id = text.strip_prefix(&half).and_then(|rest| rest.strip_suffix(&half)).unwrap();
            assert!(is_uuid(id), "{protocol:?}: {id}");
            ids.insert(id.to_owned());
            varying += 1;
        }
        // Each of the two or eight users may be a step ahead in the end.
        assert!((ids.len(), (16..=20).contains(&varying)) == (varying, true), "{protocol:?}");
    }
}

/// Logs in once, and then twice asks for what takes two more requests, and says what came of it.
const WAYS: &str = r#"
[scenario]
headers = ["X-Seq: {{seq}}"]

[[scenario.steps]]
once = true
path = "/login"

[[scenario.steps]]
repeat = 2
group = "poll"
steps = [{ path = "/poll" }, { while = "status == 202", max = 5, path = "/again" }]

[[scenario.steps]]
if = "status == 200"
path = "/yes"
else = [{ path = "/no" }]
"#;

/// What a user asks for who has made so many requests before.
fn on_the_way(seq: u64) -> &'static str {
    let round = ["/poll", "/again", "/again", "/poll", "/again", "/again", "/yes"];
    seq.checked_sub(1).map_or("/login", |behind| round[usize::try_from(behind).unwrap() % 7])
}

#[test]
fn users_go_where_the_file_and_the_responses_lead_them() {
    // Both requests behind the first one of a poll have the same path: the second ends it.
    let script = |asked: &Asked| match (asked.path.as_str(), seq(asked)) {
        ("/poll", _) => Answer::Status(202),
        ("/again", n) if (n - 1) % 7 % 3 == 1 => Answer::Status(202),
        _ => Answer::Status(200),
    };
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, script);
        let words = "-c 2 -n 240 --fail-if poll:p50>10s --fail-if scenario:cut_short>0";
        let report = peer.report(WAYS, words);
        let asked = peer.recorder.asked();
        assert_eq!(asked.len(), 240);
        for asked in &asked {
            assert_eq!(asked.path, on_the_way(seq(asked)), "{protocol:?}");
        }
        let users = asked.iter().filter(|asked| asked.path == "/login").count() as u64;
        assert!((2..=8).contains(&users), "{users}");
        let flows = report["flows"].as_array().unwrap();
        let counts = |flow: &Value| {
            ["begun", "completed", "cut_short", "endless", "unfinished"]
                .map(|what| flow[what].as_u64().unwrap())
        };
        let [scenario, poll] = &flows[..] else { panic!("two: {flows:?}") };
        for flow in [scenario, poll] {
            let [begun, completed, cut_short, endless, unfinished] = counts(flow);
            assert_eq!((cut_short, endless, begun), (0, 0, completed + unfinished), "{flow}");
            assert!(unfinished <= users && flow["latency_ns"]["count"] == begun, "{flow}");
        }
        assert_eq!([&scenario["kind"], &poll["kind"]], ["scenario", "group"]);
        let done = asked.iter().filter(|asked| asked.path == "/yes").count() as u64;
        assert_eq!(counts(scenario)[1], done);
        assert_eq!(report["thresholds"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_loop_that_does_not_end_is_counted_and_ends_the_scenario() {
    let toml = "[[scenario.steps]]\npath = \"/\"\n\
                [[scenario.steps]]\nwhile = \"status == 200\"\nmax = 3\npath = \"/more\"\n";
    let peer = Peer::new(PROTOCOLS[0], ok);
    let (outcome, _) = peer.run(toml, "-c 1 -n 40 --fail-if scenario:cut_short>1");
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let flow = &report["flows"][0];
    assert_eq!((&flow["endless"], &flow["completed"]), (&10.into(), &0.into()), "{flow}");
}

#[test]
fn a_rate_says_how_many_scenarios_begin() {
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, ok);
        peer.report(STEPS, "-c 8 --rate 100 -t 500ms --drain 10s");
        let asked = peer.recorder.asked();
        let of = |name| asked.iter().filter(|asked| asked.path.starts_with(name)).count();
        assert_eq!([of("/first"), of("/second"), of("/third")], [50; 3], "{protocol:?}");
    }
}

#[test]
fn a_step_that_fails_is_counted_in_its_own_row() {
    // The second step fails, which is an answer, and the third is torn off every other time.
    let script = |asked: &Asked| match (asked.path.as_str(), seq(asked)) {
        ("/second", _) => Answer::Status(500),
        ("/third/3", n) if n % 2 == 0 => Answer::Reset,
        _ => Answer::Status(200),
    };
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, script);
        let report = peer.report(STEPS, "-c 1 -n 60 --status 200");
        let rows = report["steps"].as_array().unwrap();
        let counts =
            |row: &Value| ["ok", "failed", "errors"].map(|what| row[what].as_u64().unwrap());
        let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["first", "second", "third"]);
        let all: Vec<_> = rows.iter().map(counts).collect();
        let [first, second, third] = <[_; 3]>::try_from(all).unwrap();
        assert_eq!((first, second), ([20, 0, 0], [0, 20, 0]), "{protocol:?}");
        assert_eq!(third[0] + third[2], 20, "{protocol:?}: {third:?}");
        let torn = peer
            .recorder
            .asked()
            .iter()
            .filter(|it| it.path == "/third/3" && seq(it).is_multiple_of(2))
            .count();
        assert_eq!(third[2], torn as u64, "{protocol:?}");
        assert!(torn > 0);
    }
}

/// No text, and no JSON.
const BINARY: &[u8] = &[0, 0xFF, 0xFE, b'{', 0x80, b'\r', b'\n'];

#[test]
fn what_cannot_be_told_of_a_body_has_failed_with_its_reason() {
    let file = r#"
[[scenario.steps]]
path = "/binary"
checks = [
    { json = "$.a", equals = 1 },
    { body_matches = "a+" },
    { body_contains = "{" },
    { size = 7 },
]

[[scenario.steps]]
path = "/text"
capture.x = { json = "$.a" }

[[scenario.steps]]
path = "/never/{{x}}"
"#;
    for protocol in PROTOCOLS {
        let peer = Peer::new(protocol, |asked| match asked.path.as_str() {
            "/binary" => Answer::Said(200, &[], BINARY),
            _ => Answer::Status(200),
        });
        let report = peer.report(file, "-c 1 -n 40 --shards 1");
        assert_eq!(report["counts"]["failed"], 40, "{}", report["counts"]);
        let all = report["checks"].as_array().unwrap();
        let told = |check: &Value| (check["held"].as_u64(), check["reasons"].to_string());
        let all: Vec<_> = all.iter().map(told).collect();
        let asked = peer.recorder.asked();
        let of = |path: &str| asked.iter().filter(|asked| asked.path == path).count() as u64;
        let (binary, text) = (of("/binary"), of("/text"));
        assert!(binary > 0 && text > 0 && binary + text == 40, "{protocol:?}: {binary}");
        let not_json = |count: u64| (Some(0), format!("{{\"not_json\":{count}}}"));
        let held = |count: u64| (Some(count), "{}".to_owned());
        let expected = [not_json(binary), held(0), held(binary), held(binary), not_json(text)];
        assert_eq!(all, expected, "{protocol:?}");
    }
}
