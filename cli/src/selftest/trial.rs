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
use pummel_engine::plan::{self, Arrivals, Pacing, Plan, split};
use pummel_engine::reactor::{Kind, clock};
use pummel_engine::record::{Bounds, Histogram, Ledger, Quantile, Spans, Step};
use pummel_engine::report::{Ending, Report};
use pummel_engine::units::{Instant, Nanos};
use pummel_tuning::{CpuList, Host, Wanted, process};
use serde_json::Value;

use super::machine::{self, Cpus};
use super::row::{Row, real};
use crate::args::{LoadArgs, MachineArgs, RunArgs, TargetArgs};
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
    /// The report of a client in another process, as JSON.
    pub(super) document: Value,
    /// For how long that client was stopped.
    pub(super) stopped: Nanos,
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
    fn of(report: &Report) -> Self {
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
        }
    }
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
    pub(super) pacing: Pacing,
    pub(super) control: Control,
}

/// Seed of everything random: the same queues each time.
const SEED: u64 = 1;

/// Longest time beyond its length and its drain that a client in another process may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Bench {
    /// Does it once.
    pub(super) fn measure(&self, trial: &Trial) -> Result<Measured, Failure> {
        let record = trial.recorded.then(tempfile::NamedTempFile::new).transpose();
        let record = record.context("no file for the record of arrivals; free some space in /tmp");
        let record = record.map_err(Failure::impossible)?;
        let path = record.as_ref().map(|file| file.path().display().to_string());
        let spin = if self.cpus.apart() { "--spin" } else { "--spin=false" };
        let mut flags: Vec<&str> = trial.target.split_whitespace().chain([spin]).collect();
        flags.extend(path.iter().flat_map(|path| ["--log-arrivals", path]));
        let target = Companion::start(&flags, Some(self.cpus.target));
        let target = target.map_err(Failure::impossible)?;
        let (began, waited) = (clock::now(), process::waited(target.id()));
        let watcher = Watcher::start();
        let mut seen = self.load(trial, &target.url)?;
        let disturbance = watcher.and_then(Watcher::finish);
        let span = clock::now().since(began).as_secs_f64();
        let waited = process::waited(target.id()).zip(waited);
        let waited = waited.map(|(to, from)| to.saturating_sub(from).as_secs_f64() / span);
        seen.target = target.end().map_err(Failure::impossible)?;
        if let Some(record) = record {
            let rows = read_arrivals(BufReader::new(record.into_file()));
            seen.arrivals = rows.context("the record of arrivals").map_err(Failure::impossible)?;
            seen.arrivals.sort_by_key(|row| row.arrived);
        }
        Ok(Measured {
            rows: (trial.judge)(&trial.load, &seen),
            disturbance: machine::disturbance(disturbance.as_ref(), waited),
        })
    }

    fn load(&self, trial: &Trial, url: &str) -> Result<Seen, Failure> {
        match trial.client {
            Client::Own => self.load_from_here(&trial.load, url),
            Client::Stopped(stop) => self.load_from_there(&trial.load, url, stop),
        }
    }

    fn load_from_here(&self, load: &Load, url: &str) -> Result<Seen, Failure> {
        let mut config = Config::understand(&words(load, url)).map_err(Failure::impossible)?;
        let cores = CpuList::new(self.cpus.shards.iter().copied());
        config.placement = Wanted { shards: None, cores };
        let (mut plan, _) = config::plan(&config, &self.host, self.reactor)?;
        plan.pacing = self.pacing;
        if let plan::Load::Open { timetable, .. } = &mut plan.load {
            timetable.arrivals = load.arrivals;
        }
        let report = pummel_engine::run(plan, Observers::none(), &self.control);
        let report = report.map_err(Failure::impossible)?;
        if report.ending == Ending::Interrupted {
            return Err(Failure::interrupted());
        }
        Ok(Seen { facts: Facts::of(&report), ..Seen::default() })
    }

    /// The same by another process, which stands still for `stop` in the middle of its run.
    fn load_from_there(&self, load: &Load, url: &str, stop: Nanos) -> Result<Seen, Failure> {
        let outcome = self.start_and_stop(load, url, stop).map_err(Failure::impossible)?;
        let (document, stopped) = outcome;
        if document["interrupted"] == true {
            return Err(Failure::interrupted());
        }
        Ok(Seen { document, stopped, ..Seen::default() })
    }

    fn start_and_stop(&self, load: &Load, url: &str, stop: Nanos) -> Result<(Value, Nanos)> {
        let program = std::env::current_exe().context("cannot find the program itself")?;
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
        let text = early.or_else(|| {
            let rest = load.length + load.drain;
            said.recv_timeout(Duration::from_nanos(rest.get()) + PATIENCE).ok()
        });
        if text.is_none() {
            client.kill().context("cannot end the client")?;
        }
        client.wait().context("cannot wait for the client")?;
        let document = serde_json::from_str(&text.unwrap_or_default());
        let Ok(document) = document else {
            bail!("the client that was stopped did not report; try the same load by itself");
        };
        Ok((document, stopped))
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
        if let Some(cores) = cores {
            flag("--cores", cores.to_string());
        }
        words
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

/// A span as it is typed.
fn nanos(span: Nanos) -> String {
    format!("{}ns", span.get())
}

/// The load in the words of the command line.
fn words(load: &Load, url: &str) -> RunArgs {
    RunArgs {
        target: TargetArgs { target: Some(url.to_owned()), url: None },
        load: LoadArgs {
            connections: Some(load.connections),
            rate: Some(load.rate.to_string()),
            duration: Some(nanos(load.length)),
            timeout: Some(nanos(load.timeout)),
            drain: Some(nanos(load.drain)),
            pipeline: 1,
            ..LoadArgs::default()
        },
        machine: MachineArgs { seed: SEED, ..MachineArgs::default() },
        ..RunArgs::default()
    }
}
