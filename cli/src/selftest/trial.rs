//! One measurement: the built-in target plays a server of which the truth is known, a run loads it,
//! and what both of them say is gathered for a judge.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pummel_engine::coordinator::{Control, Observers};
use pummel_engine::pace::Schedule;
use pummel_engine::plan::{Arrivals, Pacing, Plan, split};
use pummel_engine::reactor::{Kind, clock};
use pummel_engine::record::{Bounds, Histogram, Ledger, Quantile, Spans, Step};
use pummel_engine::report::{Ending, Report};
use pummel_engine::statistics::trend::Stability;
use pummel_engine::units::{Instant, Nanos};
use pummel_engine::verdict::Verdict;
use pummel_tuning::watch::Disturbance;
use pummel_tuning::{CpuList, Host, process};
use serde_json::Value;

use super::machine::{self, Cpus};
use super::row::{Exposure, Row, real};
use crate::args::{LoadArgs, MachineArgs, RunArgs, TargetArgs, TimetableArgs};
use crate::command::companion::Companion;
use crate::config::{self, Config};
use crate::exit::Failure;
use crate::serve::{Arrival, read_arrivals};
use crate::watch::Watcher;

/// How a target is loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Requests per second.
    pub(super) rate: u64,
    pub(super) arrivals: Arrivals,
    pub(super) length: Nanos,
    pub(super) connections: u32,
    pub(super) timeout: Nanos,
    /// After the window; as long as it takes, up to this.
    pub(super) drain: Nanos,
}

/// Who loads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// This process.
    Own,
    /// One of its own, which is stopped for this long in the middle of its run.
    Stopped(Nanos),
}

/// What both sides of a run have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The report; empty if the client was another process.
    pub(super) facts: Facts,
    /// What happened to this machine and to this process.
    pub(super) disturbance: Option<Disturbance>,
    /// The report of a client in another process, as JSON.
    pub(super) document: Value,
    /// For how long that client was stopped.
    pub(super) stopped: Nanos,
    /// For how long it had to wait for a CPU, if that is known.
    pub(super) waited: Option<Duration>,
    /// What the target says at its end.
    pub(super) target: Value,
    /// Its record of arrivals, in the order of arrival, if one was kept.
    pub(super) arrivals: Vec<Arrival>,
}

/// What is judged of a report.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) ledger: Ledger,
    pub(super) response: Spans,
    pub(super) service: Histogram,
    pub(super) lag: Histogram,
    pub(super) connection_wait: Histogram,
    /// By kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// Connections that took the place of others.
    pub(super) reconnects: u64,
    /// The run in steps of time.
    pub(super) steps: Vec<Step>,
    /// The intended starts of all slots, in order.
    pub(super) intended: Vec<Instant>,
    /// Findings that make all numbers worthless.
    pub(super) defects: u64,
    /// What the verdict names, by its codes.
    pub(super) labels: Vec<String>,
}

/// Says what the truth is, and what was measured.
pub(super) type Judge = Box<dyn Fn(&Load, &Seen) -> Vec<Row>>;

/// One measurement of a test.
pub(super) struct Trial {
    /// What is special about it.
    pub(super) name: String,
    pub(super) load: Load,
    /// Flags of the target.
    pub(super) target: String,
    pub(super) client: Client,
    /// Whether the target keeps a record of arrivals.
    pub(super) recorded: bool,
    pub(super) judge: Judge,
}

/// What came of a measurement.
pub(super) struct Measured {
    pub(super) rows: Vec<Row>,
    /// Who got in the way, if anybody did.
    pub(super) disturbance: Option<String>,
}

impl Trial {
    /// How long it takes, about: with the start of the target, and with what a server that falls
    /// behind has to catch up with.
    pub(super) fn takes(&self) -> Nanos {
        self.load.length + Nanos::new(self.load.length.get() / 10) + AROUND
    }
}

/// What a trial takes besides the run.
const AROUND: Nanos = Nanos::from_millis(500);

impl Load {
    /// An even rate for `length` over `connections`; what goes wrong is given some seconds.
    pub(super) const fn constant(rate: u64, length: Nanos, connections: u32) -> Self {
        let (timeout, drain) = (Nanos::from_secs(60), Nanos::from_secs(60));
        Self { rate, arrivals: Arrivals::Constant, length, connections, timeout, drain }
    }

    /// The same with Poisson arrivals.
    pub(super) const fn poisson(rate: u64, length: Nanos, connections: u32) -> Self {
        Self { arrivals: Arrivals::Poisson, ..Self::constant(rate, length, connections) }
    }

    /// Its length in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.length.as_secs_f64()
    }

    /// Slots of an even rate.
    pub(super) fn slots(&self) -> u64 {
        self.rate * self.length.get() / 1_000_000_000
    }

    /// The rate as a number to calculate with.
    pub(super) fn per_second(&self) -> f64 {
        real(self.rate)
    }
}

impl Seen {
    /// The quantile `q` of response times in seconds; the longest, if `q` is 1. NaN if it is not
    /// known.
    pub(super) fn response(&self, q: f64) -> f64 {
        let bounds = Quantile::new(q).map(|quantile| self.facts.response.quantile(quantile));
        let exact = bounds.and_then(Bounds::exact);
        exact.map_or(f64::NAN, Nanos::as_secs_f64)
    }

    /// Requests that took longer than `span_s` seconds, or were given up.
    pub(super) fn slower(&self, span_s: f64) -> u64 {
        let known = self.facts.response.known.buckets();
        let known = known.filter(|(edge, _)| edge.as_secs_f64() > span_s);
        known.map(|(_, count)| count).sum::<u64>() + self.facts.response.censored.count()
    }

    /// Rows that hold of every run: each slot was scheduled, and each ended in one way. `ok` of
    /// them well.
    pub(super) fn books(&self, load: &Load, ok: u64) -> Vec<Row> {
        let ledger = &self.facts.ledger;
        let unaccounted = ledger.scheduled.abs_diff(ledger.accounted());
        vec![
            Row::count("scheduled", ledger.scheduled, load.slots()),
            Row::count("without an outcome", unaccounted, 0),
            Row::about("ok", ledger.ok, real(ok), 0.5),
            Row::count("defects of the report", self.facts.defects, 0),
        ]
    }
}

impl Facts {
    fn of(report: &Report, verdict: &Verdict) -> Self {
        let totals = &report.totals;
        let rows = totals.errors.rows();
        Self {
            ledger: totals.ledger,
            response: totals.latency.all(),
            service: report.services().known,
            lag: totals.parts.lag.clone(),
            connection_wait: totals.parts.connection_wait.clone(),
            errors: rows.into_iter().map(|(kind, count)| (kind.to_string(), count)).collect(),
            reconnects: totals.connections.reconnects,
            steps: report.chronicle.steps(),
            intended: intended(&report.plan, totals.timeline.origin()),
            defects: report.defects().len() as u64,
            labels: labels(verdict),
        }
    }
}

/// What a server that falls behind is called; the verdict has no code for it.
pub(super) const UNSTABLE: &str = "unstable";

/// The codes of the verdict's reasons, and whether the server falls behind.
fn labels(verdict: &Verdict) -> Vec<String> {
    let reasons = verdict.reasons.iter().map(|reason| reason.code);
    let unstable = matches!(verdict.course.stability, Stability::Unstable { .. });
    reasons.chain(unstable.then_some(UNSTABLE)).map(str::to_owned).collect()
}

/// The row that says whether the verdict names what it is to name.
pub(super) fn labelled(labels: &[String], code: &str) -> Row {
    let named = labels.iter().any(|label| label == code);
    Row::count(format!("verdict names {code}"), u64::from(named), 1).with(Exposure::Label)
}

/// The intended starts of the slots of `plan`, which has no warm-up and began at `barrier`.
fn intended(plan: &Arc<Plan>, barrier: Instant) -> Vec<Instant> {
    let Some(timetable) = plan.load.timetable() else { return Vec::new() };
    let mut starts = Vec::new();
    for part in split(plan) {
        let mut cursor = Schedule::new(timetable, part.share, plan.seed).cursor();
        let length = plan.stop.limit.duration().unwrap_or_default();
        while cursor.start() < length {
            starts.push(barrier + cursor.start());
            cursor.advance();
        }
    }
    starts.sort_unstable();
    starts
}

/// Where measurements are made, and how.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) host: Host,
    pub(super) cpus: Cpus,
    pub(super) reactor: Kind,
    /// As typed.
    pub(super) pacing: Option<String>,
    pub(super) control: Control,
}

/// Seed of everything random: the same queues each time.
const SEED: u64 = 1;

/// Longest time beyond its length and its drain that a client in another process may take.
const PATIENCE: Nanos = Nanos::from_secs(30);

impl Bench {
    /// How the shards of this machine wait for a slot.
    ///
    /// # Errors
    /// A usage failure if what was typed makes no sense.
    pub(super) fn paced(&self) -> Result<Pacing, Failure> {
        let load = Load::constant(1, Nanos::from_secs(1), 1);
        let config = Config::understand(&self.words(&load, "127.0.0.1:1"));
        let config = config.map_err(Failure::usage)?;
        Ok(config::plan(&config, &self.host, self.reactor)?.0.pacing)
    }

    /// Does it once.
    pub(super) fn measure(&self, trial: &Trial) -> Result<Measured, Failure> {
        let record = trial.recorded.then(tempfile::NamedTempFile::new).transpose();
        let record = record.context("no file for the record of arrivals; free some space in /tmp");
        let record = record.map_err(Failure::impossible)?;
        let path = record.as_ref().map(|file| file.path().display().to_string());
        let poll = if self.cpus.apart() { "--spin" } else { "--spin=false" };
        let mut flags: Vec<&str> = trial.target.split_whitespace().chain([poll]).collect();
        flags.extend(path.iter().flat_map(|path| ["--log-arrivals", path]));
        let target = Companion::start(&flags, Some(self.cpus.target));
        let target = target.map_err(Failure::impossible)?;
        let (began, waited) = (clock::now(), process::waited(target.id()));
        let mut seen = self.load(trial, &target.url)?;
        let span = Duration::from_nanos(clock::now().since(began).get());
        let waited = process::waited(target.id()).zip(waited);
        let waited = waited.map(|(to, from)| to.saturating_sub(from));
        let others = [("the target", waited), ("the client", seen.waited)];
        let others = others.map(|(name, waited)| (name, waited.map(|waited| share(waited, span))));
        seen.target = target.end().map_err(Failure::impossible)?;
        if let Some(record) = record {
            let rows = read_arrivals(BufReader::new(record.into_file()));
            seen.arrivals = rows.context("the record of arrivals").map_err(Failure::impossible)?;
            seen.arrivals.sort_by_key(|row| row.arrived);
        }
        Ok(Measured {
            rows: (trial.judge)(&trial.load, &seen),
            disturbance: machine::disturbance(seen.disturbance.as_ref(), &others),
        })
    }

    fn load(&self, trial: &Trial, url: &str) -> Result<Seen, Failure> {
        match trial.client {
            Client::Own => self.load_from_here(&trial.load, url),
            Client::Stopped(stop) => self.load_from_there(&trial.load, url, stop),
        }
    }

    fn load_from_here(&self, load: &Load, url: &str) -> Result<Seen, Failure> {
        let config = Config::understand(&self.words(load, url)).map_err(Failure::impossible)?;
        let (plan, _) = config::plan(&config, &self.host, self.reactor)?;
        let watcher = Watcher::start(plan.cores.cpus());
        let report = pummel_engine::run(plan, Observers::none(), &self.control);
        let report = report.map_err(Failure::impossible)?;
        if report.ending == Ending::Interrupted {
            return Err(Failure::interrupted());
        }
        let disturbance = watcher.and_then(Watcher::finish);
        let machine = crate::machine::of(&report, &self.host, disturbance.as_ref());
        let facts = Facts::of(&report, &Verdict::of(&report, &machine));
        Ok(Seen { facts, disturbance, ..Seen::default() })
    }

    /// The same by another process, which stands still for `stop` in the middle of its run.
    fn load_from_there(&self, load: &Load, url: &str, stop: Nanos) -> Result<Seen, Failure> {
        let seen = self.start_and_stop(load, url, stop).map_err(Failure::impossible)?;
        if seen.document.get("interrupted") == Some(&Value::Bool(true)) {
            return Err(Failure::interrupted());
        }
        Ok(seen)
    }

    fn start_and_stop(&self, load: &Load, url: &str, stop: Nanos) -> Result<Seen> {
        let program = std::env::current_exe().context("cannot find the program itself")?;
        let watcher = Watcher::start(&[]);
        let mut client = Command::new(program)
            .args(self.line(load, url))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the client")?;
        let mut stdout = client.stdout.take().context("cannot talk to the client")?;
        let (tell, said) = mpsc::channel();
        thread::spawn(move || {
            let mut text = String::new();
            // What cannot be read is missed by whoever parses it.
            let _ = stdout.read_to_string(&mut text);
            let _ = tell.send(text);
        });
        let half = Duration::from_nanos(load.length.get() / 2);
        // It says nothing before its end, unless it ends before its time.
        let early = said.recv_timeout(half).ok();
        let stopped = match &early {
            Some(_) => Nanos::ZERO,
            None => stand_still(client.id(), &said, stop)?,
        };
        let patience = load.length + load.drain + PATIENCE;
        let (text, waited) = match early {
            Some(text) => (Some(text), None),
            None => hear(client.id(), &said, patience),
        };
        if text.is_none() {
            client.kill().context("cannot end the client")?;
        }
        client.wait().context("cannot wait for the client")?;
        let document = serde_json::from_str(&text.unwrap_or_default());
        let Ok(document) = document else {
            bail!("the client that was stopped did not report; try the same load by itself");
        };
        let disturbance = watcher.and_then(Watcher::finish);
        Ok(Seen { disturbance, document, stopped, waited, ..Seen::default() })
    }

    /// The command line of a run as [`Self::load_from_here`] does it, as far as it can be typed.
    fn line(&self, load: &Load, url: &str) -> Vec<String> {
        let cores = CpuList::new(self.cpus.shards.iter().copied());
        let reactor = match self.reactor {
            Kind::Uring => "uring",
            Kind::Epoll => "epoll",
        };
        let mut words = vec![url.to_owned(), "--json".to_owned(), "--no-tui".to_owned()];
        let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
        flag("--connections", load.connections.to_string());
        flag("--rate", load.rate.to_string());
        flag("--duration", nanos(load.length));
        flag("--timeout", nanos(load.timeout));
        flag("--drain", nanos(load.drain));
        flag("--reactor", reactor.to_owned());
        if let Some(pacing) = &self.pacing {
            flag("--pacing", pacing.clone());
        }
        if let Some(cores) = cores {
            flag("--cores", cores.to_string());
        }
        words
    }
    /// The load in the words of the command line.
    fn words(&self, load: &Load, url: &str) -> RunArgs {
        let arrivals = match load.arrivals {
            Arrivals::Constant => "constant",
            Arrivals::Poisson => "poisson",
            Arrivals::UniformJitter => "uniform-jitter",
        };
        let arrivals = Some(arrivals.to_owned());
        let cores = CpuList::new(self.cpus.shards.iter().copied());
        RunArgs {
            target: TargetArgs { target: Some(url.to_owned()), ..TargetArgs::default() },
            load: LoadArgs {
                connections: Some(load.connections),
                rate: Some(load.rate.to_string()),
                duration: Some(nanos(load.length)),
                timeout: Some(nanos(load.timeout)),
                drain: Some(nanos(load.drain)),
                pipeline: 1,
                timetable: TimetableArgs { arrivals, ..TimetableArgs::default() },
                ..LoadArgs::default()
            },
            machine: MachineArgs {
                seed: SEED,
                cores: cores.map(|cores| cores.to_string()),
                pacing: self.pacing.clone(),
                ..MachineArgs::default()
            },
            ..RunArgs::default()
        }
    }
}

/// Stops the client for `stop`, and returns for how long it was.
fn stand_still(client: u32, said: &mpsc::Receiver<String>, stop: Nanos) -> Result<Nanos> {
    process::pause(client).context("cannot stop the client")?;
    let began = clock::now();
    // Nobody who stands still says anything.
    let _timed_out = said.recv_timeout(Duration::from_nanos(stop.get()));
    process::resume(client).context("cannot let the client go on")?;
    Ok(clock::now().since(began))
}

/// The number at `path` of a document, such as `/arrivals/count`; NaN if there is none.
pub(super) fn number(of: &Value, path: &str) -> f64 {
    of.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// The whole number at `path`; more than there ever are if there is none.
pub(super) fn whole(of: &Value, path: &str) -> u64 {
    of.pointer(path).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

/// How often a client is asked how long it has waited for a CPU.
const LOOK: Duration = Duration::from_millis(100);

/// Hears what the client says at its end, and how long it had to wait for a CPU until shortly
/// before that. `None` if it says nothing in time.
fn hear(
    client: u32,
    said: &mpsc::Receiver<String>,
    patience: Nanos,
) -> (Option<String>, Option<Duration>) {
    let began = clock::now();
    let mut waited = None;
    while clock::now().since(began) < patience {
        match said.recv_timeout(LOOK) {
            Ok(text) => return (Some(text), waited),
            Err(mpsc::RecvTimeoutError::Timeout) => waited = process::waited(client).or(waited),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    (None, waited)
}

/// The part of the whole.
fn share(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// A span as it is typed.
fn nanos(span: Nanos) -> String {
    format!("{}ns", span.get())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::machine::tests::quiet;
    use super::super::row::Outcome;
    use super::*;

    /// Spans in seconds as a histogram.
    pub(in crate::selftest) fn histogram(spans: &[f64]) -> Histogram {
        let mut histogram = Histogram::new();
        for &span in spans {
            histogram.record(span_of(span));
        }
        histogram
    }

    /// Seconds as a span.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test numbers")]
    pub(in crate::selftest) fn span_of(seconds: f64) -> Nanos {
        Nanos::new((seconds * 1e9).round() as u64)
    }

    /// A run in which each request was answered, after these seconds.
    pub(in crate::selftest) fn seen(responses: &[f64]) -> Seen {
        let count = responses.len() as u64;
        let response = Spans { known: histogram(responses), censored: Histogram::new() };
        let ledger = Ledger { scheduled: count, ok: count, ..Ledger::default() };
        let facts = Facts { ledger, response, ..Facts::default() };
        Seen { facts, ..Seen::default() }
    }

    /// What the trial says of `seen` on a machine without jitter: the rows that are wrong.
    pub(in crate::selftest) fn wrong(trial: &Trial, seen: &Seen) -> Vec<String> {
        let rows = (trial.judge)(&trial.load, seen);
        assert!(rows.len() >= 5, "{} rows of {}", rows.len(), trial.name);
        let wrong = rows.iter().filter(|row| row.outcome(&quiet(), false) == Outcome::Fail);
        wrong.map(|row| row.what.clone()).collect()
    }

    #[test]
    fn books_that_do_not_balance_are_wrong_on_any_machine() {
        let load = Load::constant(1_000, Nanos::from_secs(1), 1);
        let failing = |scheduled, ok, timeouts, defects| {
            let ledger = Ledger { scheduled, ok, timeouts, ..Ledger::default() };
            let facts = Facts { ledger, defects, ..Facts::default() };
            let rows = Seen { facts, ..Seen::default() }.books(&load, 1_000);
            let fails = |row: &&Row| row.outcome(&quiet(), true) == Outcome::Fail;
            rows.iter().filter(fails).map(|row| row.what.clone()).collect::<Vec<_>>()
        };
        assert!(failing(1_000, 1_000, 0, 0).is_empty());
        assert_eq!(failing(1_000, 999, 0, 0), ["without an outcome", "ok"]);
        assert_eq!(failing(999, 999, 0, 0), ["scheduled", "ok"]);
        assert_eq!(failing(1_000, 999, 1, 0), ["ok"]);
        assert_eq!(failing(1_000, 1_000, 0, 1), ["defects of the report"]);
    }

    #[test]
    fn those_who_gave_up_are_slower_than_anything() {
        let mut seen = seen(&[0.001, 0.002, 0.003]);
        seen.facts.response.censored.record(Nanos::from_millis(1));
        assert_eq!((seen.slower(0.0015), seen.slower(9.0)), (3, 1));
        assert!((seen.response(0.25) - 0.001).abs() < 1e-5);
        assert!(seen.response(1.0).is_nan());
    }

    #[test]
    fn a_client_of_its_own_gets_the_same_load_in_words() {
        let bench = Bench {
            host: pummel_tuning::inspect(),
            cpus: Cpus { shards: vec![1, 3], target: 0 },
            reactor: Kind::Epoll,
            pacing: Some("spin".to_owned()),
            control: Control::default(),
        };
        let load = Load::constant(700, Nanos::from_millis(1_500), 9);
        let line = bench.line(&load, "http://127.0.0.1:1").join(" ");
        let expected = "http://127.0.0.1:1 --json --no-tui --connections 9 --rate 700 \
                        --duration 1500000000ns --timeout 60000000000ns --drain 60000000000ns \
                        --reactor epoll --pacing spin --cores 1,3";
        assert_eq!(line, expected);
        let config = Config::understand(&bench.words(&load, "127.0.0.1:1")).unwrap();
        assert_eq!(config.pacing, Some(Pacing::Spin));
        assert_eq!(config.stop.limit.duration(), Some(load.length));
        assert_eq!(config.connections.get(), 9);
    }
}
