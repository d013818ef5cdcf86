//! Edits of the file while the run goes on: what they change, and what they do not.
//!
//! Nothing is timed: what is waited for are lines of the program, and requests.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Answer, Recorder, Server};

use super::{check_refusal, pummel};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Far more than a machine needs for what takes a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run of a file that is edited. It ends when this is dropped.
struct Watched {
    folder: TempDir,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Watched {
    /// Runs a file with this text, and waits until it has been read.
    fn start(text: &str, flags: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        fs::write(&file, text).unwrap();
        let words = ["--config", file.to_str().unwrap(), "--watch", "--json"];
        let mut child = pummel(words.into_iter().chain(flags.split_whitespace()))
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("report.json")).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut watched = Self { folder, child, stderr };
        watched.wait_for(" s of ");
        watched
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("run.toml")
    }

    /// Puts another file in its place, as editors do.
    fn replace(&self, text: &str) {
        let other = self.folder.path().join("run.toml~");
        fs::write(&other, text).unwrap();
        fs::rename(&other, self.file()).unwrap();
    }

    /// The next line of standard error that holds `words`.
    #[track_caller]
    fn wait_for(&mut self, words: &str) -> String {
        let mut passed = String::new();
        loop {
            let begin = passed.len();
            let read = self.stderr.read_line(&mut passed).unwrap();
            assert!(read > 0, "the run is over, and {words:?} was not said: {passed}");
            let line = passed[begin..].trim_end();
            if line.contains(words) {
                return line.to_owned();
            }
        }
    }

    /// Ends the run from outside, and returns its report.
    fn interrupt(self) -> Value {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.report()
    }

    /// The report when the run is over.
    fn report(mut self) -> Value {
        self.child.wait().unwrap();
        let report = fs::read(self.folder.path().join("report.json")).unwrap();
        serde_json::from_slice(&report).unwrap()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Both fail once the program has ended, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file for a run against `server` at `rate` over `connections`.
fn text(server: &str, rate: u32, connections: u32) -> String {
    format!("url = \"http://{server}\"\nrate = {rate}\nconnections = {connections}\n")
}

#[test]
fn an_edited_rate_is_taken_over_and_no_request_is_lost_or_sent_twice() {
    let server = Server::answering(OK).unwrap();
    let mut run = Watched::start(&text(&server.target(), 50, 4), "-n 1000 -t 60s");
    run.replace(&text(&server.target(), 2_000, 4));
    let said = run.wait_for(": rate ");
    assert!(said.contains("rate 50.0/s → 2000/s"), "{said}");
    let report = run.report();
    assert_eq!(report["counts"]["scheduled"], 1_000, "{}", report["counts"]);
    assert_eq!(server.requests(), 1_000);
    let [changed] = &report["changes"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!(changed["what"], "rate");
    assert_eq!((&changed["from"], &changed["to"]), (&json!("50.0/s"), &json!("2000/s")));
    assert_eq!(changed["over_s"], 0.0);
    // The window ends where both rates together have let a thousand pass.
    let [at, length] =
        [&changed["at_s"], &report["window"]["seconds"]].map(|n| n.as_f64().unwrap());
    let passed = 50.0 * at + 2_000.0 * (length - at);
    assert!((passed - 1_000.0).abs() < 1e-3, "{passed} in {length} s, changed at {at} s");
    let note = report["verdict"]["notes"]["changed"].as_str().unwrap();
    assert!(note.starts_with("the load was changed once while the run went on"), "{note}");
    assert_eq!(report["plan"]["rate_per_s"], 50.0, "the plan is what the run began with");
}

#[test]
fn an_edit_that_cannot_be_taken_over_is_told_with_its_place_and_the_run_goes_on() {
    let server = Server::answering(OK).unwrap();
    let begun = text(&server.target(), 50, 4);
    let mut run = Watched::start(&begun, "-t 60s");
    run.replace("url = ");
    let said = run.wait_for("run.toml:1:");
    assert!(said.ends_with("; the run goes on as it was"), "{said}");
    run.replace(&begun.replace("50", "\"fast\""));
    let said = run.wait_for("run.toml:2:8: rate: \"fast\" is no rate");
    assert!(said.ends_with("; the run goes on as it was"), "{said}");
    run.replace(&format!("{begun}timeout = 3\n"));
    run.wait_for("run.toml:4:1: timeout cannot change while the run goes on");
    run.replace(&begun.replace("rate = 50", ""));
    run.wait_for("without a rate there is none");
    run.replace(&begun.replace("= 4", "= 4000"));
    run.wait_for("connections 4000 is more than the 40 that this run has room for");
    fs::remove_file(run.file()).unwrap();
    run.wait_for("run.toml is gone; the run goes on as it was");
    run.replace(&begun);
    run.wait_for("nothing of the load is different");
    // Written in place, too.
    fs::write(run.file(), begun.replace("= 4", "= 6")).unwrap();
    run.wait_for(": connections 4 → 6");
    run.replace(&begun.replace("= 4", "= 2"));
    run.wait_for(": connections 6 → 2");
    let report = run.interrupt();
    let whats: Vec<_> = report["changes"].as_array().unwrap().iter().map(|c| &c["what"]).collect();
    assert_eq!(whats, ["connections", "connections"]);
    let counts = &report["counts"];
    let [scheduled, ok, unfinished] =
        ["scheduled", "ok", "unfinished"].map(|name| counts[name].as_u64().unwrap());
    // What is due when the run is interrupted may be left.
    assert_eq!(scheduled, ok + unfinished, "{counts}");
}

#[test]
fn connections_of_a_closed_loop_follow_and_weights_choose_what_begins() {
    let (tell, told) = mpsc::channel();
    let server = Recorder::answering(None, move |asked| {
        if asked.path == "/rare" {
            // Nobody listens when enough were counted.
            let _over = tell.send(());
        }
        Answer::Status(200)
    });
    let target = server.unwrap().target();
    let weighed = |connections: u32, [often, rare]: [u32; 2]| {
        format!(
            "url = \"http://{target}\"\nconnections = {connections}\n\
             [scenarios.often]\nweight = {often}\nsteps = [{{ path = \"/often\" }}]\n\
             [scenarios.rare]\nweight = {rare}\nsteps = [{{ path = \"/rare\" }}]\n"
        )
    };
    let much = 4_000_000_000;
    let mut run = Watched::start(&weighed(2, [much, 1]), "-t 60s");
    assert!(told.try_recv().is_err(), "one in four thousand million");
    run.replace(&weighed(3, [1, much]).replace("/rare", "/rarer"));
    run.wait_for("scenarios.rare.steps cannot change while the run goes on");
    run.replace(&weighed(3, [1, much]));
    run.wait_for(": connections 2 → 3");
    run.wait_for(": weights often 4000000000, rare 1 → often 1, rare 4000000000");
    (0..100).for_each(|_| told.recv_timeout(PATIENCE).unwrap());
    let report = run.interrupt();
    assert_eq!(report["connections"]["opened"], 3, "{}", report["connections"]);
    assert_eq!(report["changes"].as_array().unwrap().len(), 2);
}

#[test]
fn an_edited_rate_of_a_scenario_changes_that_of_the_run_and_the_share_of_each() {
    let (tell, told) = mpsc::channel();
    let server = Recorder::answering(None, move |asked| {
        if asked.path == "/rare" {
            let _over = tell.send(());
        }
        Answer::Status(200)
    });
    let target = server.unwrap().target();
    let rated = |often: &str, rare: &str| {
        format!(
            "url = \"http://{target}\"\n\
             [scenarios.often]\n{often}\nsteps = [{{ path = \"/often\" }}]\n\
             [scenarios.rare]\n{rare}\nsteps = [{{ path = \"/rare\" }}]\n"
        )
    };
    let mut run = Watched::start(&rated("rate = 200", "rate = \"1/h\""), "-t 60s");
    assert!(told.try_recv().is_err(), "it comes behind more than a hundred thousand others");
    run.replace(&rated("rate = 200", ""));
    run.wait_for("scenarios.rare has no rate, and others have");
    run.replace(&rated("", ""));
    run.wait_for("without a rate there is none");
    run.replace(&format!("rate = 200\n{}", rated("", "")));
    run.wait_for("rates of scenarios cannot come or go while the run goes on");
    run.replace(&rated("rate = 200", "rate = 600"));
    run.wait_for(": rate 200/s → 800/s");
    run.wait_for(": weights often 720000, rare 1 → often 1, rare 3");
    (0..100).for_each(|_| told.recv_timeout(PATIENCE).unwrap());
    let report = run.interrupt();
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{report}");
}

/// A file for requests to two hosts, with these weights.
fn two_hosts([one, other]: [&Recorder; 2], connections: u32, [often, rare]: [u32; 2]) -> String {
    let (one, other) = (one.target(), other.target());
    format!(
        "connections = {connections}\n\
         [[targets]]\nurl = \"http://{one}/one\"\nweight = {often}\n\
         [[targets]]\nurl = \"http://{other}/other\"\nweight = {rare}\n"
    )
}

#[test]
fn connections_to_several_hosts_follow_and_so_does_who_is_asked_more_often() {
    let (tell, told) = mpsc::channel();
    let one = Recorder::answering(None, |_| Answer::Status(200)).unwrap();
    let other = Recorder::answering(None, move |_| {
        let _over = tell.send(());
        Answer::Status(200)
    });
    let other = other.unwrap();
    let both = [&one, &other];
    let much = 4_000_000_000;
    let mut run = Watched::start(&two_hosts(both, 2, [much, 1]), "-t 60s --shards 1");
    assert!(told.try_recv().is_err(), "one in four thousand million");
    run.replace(&two_hosts(both, 5, [1, much]));
    run.wait_for(": connections 2 → 5");
    run.wait_for(": weights 4000000000, 1 → 1, 4000000000");
    (0..100).for_each(|_| told.recv_timeout(PATIENCE).unwrap());
    run.replace(&two_hosts(both, 1, [1, much]));
    run.wait_for(": connections 5 → 1");
    while told.try_recv().is_ok() {}
    (0..100).for_each(|_| told.recv_timeout(PATIENCE).unwrap());
    let report = run.interrupt();
    // Five to each of them.
    assert_eq!(report["connections"]["opened"], 10, "{}", report["connections"]);
    let hosts = report["origins"].as_array().unwrap();
    let opened: Vec<_> = hosts.iter().map(|host| &host["connections"]["opened"]).collect();
    assert_eq!(opened, [5, 5], "{hosts:?}");
}

#[test]
fn there_is_a_file_to_be_watched() {
    let outcome = tests::run(&mut pummel(["127.0.0.1:1", "--watch"])).unwrap();
    check_refusal(&outcome, 2, &["--watch looks for edits of a file", "give --config FILE"]);
    let flags = ["127.0.0.1:1", "--watch", "--watch-transition", "soon"];
    let outcome = tests::run(&mut pummel(flags)).unwrap();
    check_refusal(&outcome, 2, &["--watch"]);
}
