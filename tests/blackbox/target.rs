//! The built-in target: what it says, how it ends, and whether both sides of a run say the same.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use super::{check_refusal, pummel};

/// A target that runs until its standard input is closed, and for a minute at most.
pub(crate) struct Target {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Target {
    pub(crate) fn start(flags: &str) -> Self {
        let bound = ["target", "--until-stdin-closes", "--duration", "1m"];
        let mut child = pummel(bound.into_iter().chain(flags.split_whitespace()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, stdout, url }
    }

    /// Ends it, and returns what it says that it did.
    pub(crate) fn end(mut self) -> Value {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&said).unwrap()
    }
}

/// Loads a target that is started with `flags`, and returns what the client says and what the
/// target says.
fn both_sides(flags: &str, load: &str) -> (Value, Value) {
    let target = Target::start(flags);
    let words = [target.url.as_str(), "--json"].into_iter().chain(load.split_whitespace());
    let outcome = tests::run(&mut pummel(words)).unwrap();
    assert!(outcome.went_well(), "{outcome:?}");
    (serde_json::from_str(&outcome.stdout).unwrap(), target.end())
}

#[test]
fn client_and_target_count_the_same_requests_on_every_pair_of_reactors() {
    for (ours, theirs) in
        [("auto", "auto"), ("auto", "epoll"), ("epoll", "auto"), ("epoll", "epoll")]
    {
        let load = format!("-n 1000 -c 4 --pipeline 3 --reactor {ours}");
        let flags = format!("--status 200,200,500 --reactor {theirs}");
        let (client, target) = both_sides(&flags, &load);
        assert_eq!(target["requests"], 1000);
        assert_eq!(target["responses"], 1000);
        assert_eq!(target["connections"], 4);
        assert_eq!(client["statuses"], target["by_status"]);
        assert_eq!(client["bytes"]["sent"], target["bytes"]["received"]);
        assert_eq!(client["bytes"]["received"], target["bytes"]["sent"]);
    }
}

#[test]
fn every_form_of_an_answer_is_one_that_the_client_takes() {
    for flags in [
        "--chunked --body-size 1000",
        "--close-after 3",
        "--body-size 300000",
        "--drip 1ms --spin=false --body-size 100",
        "--delay 1ms --spin=false",
        "--status 204",
        "--shards 2",
    ] {
        let (client, target) = both_sides(flags, "-n 60 -c 2");
        assert_eq!(client["counts"]["ok"], 60, "{flags}");
        assert_eq!(target["responses"], 60, "{flags}");
    }
}

#[test]
fn redirects_of_the_target_are_followed_and_are_one_request_to_the_client() {
    let flags = "--status 302,308,200 --location /next --delay 1ms --spin=false";
    for http2 in ["", "--http2 --streams 1"] {
        let load = format!("-n 40 -c 1 --redirect 2 {http2}");
        let (client, target) = both_sides(flags, &load);
        assert_eq!((&client["counts"]["ok"], &target["responses"]), (&40.into(), &120.into()));
        assert_eq!(client["redirects"]["followed"], 80, "{client}");
        assert_eq!(client["statuses"], serde_json::json!({ "200": 40 }));
        // Three answers, each a millisecond after it was asked for.
        assert!(client["latency_ns"]["service"]["min"].as_u64() >= Some(3_000_000), "{client}");
        let (client, _) = both_sides("--status 301 --location /", &load);
        assert_eq!(client["redirects"]["not_followed"]["limit"], 40);
    }
}

#[test]
fn a_delay_of_the_target_is_what_the_client_measures_at_least() {
    let (client, target) = both_sides("--delay 2ms --spin=false", "-n 40 -c 2");
    assert!(client["latency_ns"]["service"]["min"].as_u64() >= Some(2_000_000), "{client}");
    assert_eq!(target["late_ns"]["count"], 40);
}

#[test]
fn faults_with_their_turns_are_each_an_error_of_the_client() {
    let flags = "--silent-every 100 --reset-every 100 --reset-offset 50 --body-size 1000";
    let (client, target) = both_sides(flags, "-n 200 -c 1 --timeout 200ms");
    assert_eq!(target["requests"], 200);
    assert_eq!((&target["silent"], &target["resets"]), (&2.into(), &2.into()));
    assert_eq!(client["counts"]["timeouts"], 2, "{client}");
    assert_eq!(client["counts"]["errors"], 2, "{client}");
    assert_eq!(client["counts"]["ok"], 196, "{client}");
}

#[test]
fn the_target_records_every_request_of_a_run_and_says_how_they_were_spread() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("arrivals.csv");
    let flags = "--shards 2 --service-time 1us --service-law exponential --seed 9 --spin=false";
    let flags = format!("{flags} --log-arrivals {}", file.display());
    let (client, target) = both_sides(&flags, "-n 500 -c 8 -q 5k");
    assert_eq!(client["counts"]["ok"], 500, "{client}");
    let law = r#"{"law":"exponential","mean_ns":1000,"seed":9}"#;
    assert_eq!(target["service"].to_string(), law);
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let header = "shard,sequence,connection,arrived_ns,planned_ns,replied_ns";
    assert_eq!(lines.next(), Some(header));
    let rows: Vec<Vec<u64>> =
        lines.map(|line| line.split(',').map(|field| field.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 500);
    assert!(rows.iter().all(|row| row[3] <= row[4] && row[4] <= row[5]));
    let arrivals = &target["arrivals"];
    assert_eq!(arrivals["first_ns"].as_u64(), rows.iter().map(|row| row[3]).min());
    assert_eq!(arrivals["last_ns"].as_u64(), rows.iter().map(|row| row[3]).max());
    // A tenth of a second has at least eight whole bins, however late the requests were.
    assert!(arrivals["bins_10ms"].as_u64() >= Some(8), "{arrivals}");
    assert!(arrivals["dispersion_10ms"].as_f64() >= Some(0.0), "{arrivals}");
    let seconds = arrivals["per_second"]["counts"].as_array().unwrap();
    assert_eq!(seconds.iter().filter_map(Value::as_u64).sum::<u64>(), 500);
}

#[test]
fn a_fault_of_the_target_is_an_error_of_the_client_and_not_a_response() {
    for (flags, counted) in [
        ("--reset-every 10 --body-size 1000", "resets"),
        ("--break half-head --break-every 10", "broken"),
        ("--break wrong-length --break-every 10", "broken"),
        ("--break garbage --break-every 10", "broken"),
    ] {
        let (client, target) = both_sides(flags, "-n 50 -c 1");
        assert_eq!(client["counts"]["errors"], 5, "{flags}: {client}");
        assert_eq!(client["counts"]["ok"], 45, "{flags}: {client}");
        assert_eq!(target[counted], 5, "{flags}: {target}");
    }
}

#[test]
fn a_target_that_cannot_serve_says_why_in_one_line() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let outcome = tests::run(&mut pummel(["target", "--listen", &taken])).unwrap();
    check_refusal(&outcome, 1, &["listen", &taken]);
    let words = ["target", "--log-arrivals", "/nowhere/at/all.csv"];
    let outcome = tests::run(&mut pummel(words)).unwrap();
    check_refusal(&outcome, 1, &["--log-arrivals", "/nowhere/at/all.csv"]);
    for (flags, word) in [
        ("--freeze 1s --freeze-every 1s", "--freeze-every"),
        ("--freeze 1s", "--freeze-every"),
        ("--cores 8000", "CPU 8000"),
        ("--status 99", "99"),
        ("--location ä", "%XX"),
        ("--delay soon", "soon"),
        ("--service-law exponential", "--service-time"),
        ("--service-time 1ms --service-law gamma", "gamma"),
        ("--service-time 1ms --service-law constant --seed 2", "--seed"),
        ("--reset-every 50 --reset-offset 50", "0 to 49"),
        ("--reactor select", "select"),
    ] {
        let words = ["target"].into_iter().chain(flags.split_whitespace());
        check_refusal(&tests::run(&mut pummel(words)).unwrap(), 2, &[word]);
    }
}

/// What curl says of one request to a target with these `flags`; `None` where there is no curl.
fn curl(flags: &str, words: &str) -> Option<(String, Value)> {
    let mut curl = tests::peers::client("curl").unwrap()?;
    let target = Target::start(flags);
    curl.args(["-sS", "--max-time", "20", "-w", " %{http_version} %{http_code}"]);
    let outcome = tests::run(curl.args(words.split_whitespace()).arg(&target.url)).unwrap();
    assert_eq!(outcome.code, Some(0), "{words}: {outcome:?}");
    Some((outcome.stdout, target.end()))
}

#[test]
fn curl_is_answered_in_each_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let cert = folder.path().join("cert.pem");
    let (cert, tls) = (cert.display(), format!("--tls --write-cert {}", cert.display()));
    for (flags, words, version, handshakes) in [
        ("", String::new(), "1.1", 0),
        ("", "--http2-prior-knowledge".to_owned(), "2", 0),
        ("", "--http2".to_owned(), "2", 0),
        (&tls, format!("--cacert {cert}"), "2", 1),
        (&tls, format!("--cacert {cert} --tls-max 1.2"), "2", 1),
        (&tls, format!("--cacert {cert} --http1.1"), "1.1", 1),
        ("--chunked", "--http2-prior-knowledge".to_owned(), "2", 0),
    ] {
        let Some((said, target)) = curl(flags, &words) else { return };
        assert_eq!(said, format!("hello, world\n {version} 200"), "{flags} {words}");
        assert_eq!(target["bad_requests"], 0);
        assert_eq!(target["tls"]["handshakes"], handshakes);
    }
}

#[test]
fn h2load_gets_all_its_answers() {
    let flags = ["", "--tls", "--body-size 100000", "--status 200,204,500", "--max-streams 7"];
    for flags in flags {
        let Some(mut h2load) = tests::peers::client("h2load").unwrap() else { return };
        let target = Target::start(flags);
        let words = ["-n", "2000", "-c", "4", "-m", "20", &target.url];
        let outcome = tests::run(h2load.args(words)).unwrap();
        let done = "2000 total, 2000 started, 2000 done";
        assert!(outcome.stdout.contains(done), "{flags}: {outcome:?}");
        let said = target.end();
        // It asks before it has heard how many streams it may have.
        let refused = said["streams"]["refused"].as_u64().unwrap();
        assert_eq!(refused > 0, flags.starts_with("--max-streams"), "{refused}");
        assert_eq!(
            (&said["responses"], &said["bad_requests"]),
            (&(2_000 - refused).into(), &0.into())
        );
        assert_eq!((&said["protocols"]["h2"], &said["streams"]["reset"]), (&4.into(), &0.into()));
    }
}

/// What a target says that sends its bodies in a coding, of so many bytes before; and how many
/// bytes came for each.
fn coded(coding: &str, (bytes, pattern): (u32, &str), more: &str, load: &str) -> (Value, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coded.toml").display().to_string();
    let toml = format!("[[scenario.steps]]\nchecks = [{{ body_matches = '{pattern}' }}]\n");
    std::fs::write(&path, toml).unwrap();
    let flags = format!("--encoding {coding} --body-size {bytes} {more}");
    let load = format!("-n 40 -c 2 --compression --config {path} {load}");
    let (client, _) = both_sides(&flags, &load);
    assert_eq!(client["counts"]["scheduled"], 40);
    (client["counts"]["ok"].clone(), client["bytes"]["received"].as_u64().unwrap() / 40)
}

#[test]
fn what_comes_in_a_coding_is_what_was_coded_on_each_protocol() {
    for coding in ["gzip", "br", "zstd", "deflate"] {
        for (more, load) in [("", ""), ("", "--http2 --streams 4"), ("--chunked", "")] {
            let whole = (650, r"^(hello, world\n){50}$");
            let (ok, received) = coded(coding, whole, more, load);
            assert_eq!(ok, 40, "{coding} {more} {load}");
            assert_eq!(received < 400, coding != "br", "{coding} {more} {load}: {received}");
        }
        let long = (260_000, r"^hello, world\nhello(?s:.*)world\n$");
        assert_eq!(coded(coding, long, "", "--http2").0, 40, "{coding}");
    }
}
