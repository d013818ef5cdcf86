//! pummel beside its peers: the same work, the same server, in turns.
//!
//! Every contender gets one core, the server another. A round runs each contender once, so that a
//! drift of the machine hits all alike; the table shows medians over the rounds with their spread.
//! CPU time and memory are the kernel's figures for the whole process, starting and connecting
//! included; the number of requests is what each tool itself reports.
//!
//! `cargo build --release --workspace`, then `target/release/versus > section.md` on a machine that
//! does nothing else. `--json` gives every single run.

mod case;
mod machine;
mod measure;
mod memory;
mod meter;
mod metered;
mod server;
mod table;
mod tally;
mod tools;

use std::{
    fs,
    io::{self, Write},
    num::{NonZeroU32, NonZeroU64},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{
    case::Case,
    machine::{Machine, allowed_cores},
    measure::measure,
    memory::MemoryArgs,
    meter::MeterArgs,
    server::{Choice, Place, Server},
    table::{Comparison, Failure, Row, Summary},
    tools::{Absent, Contender, PummelRow, Work, assemble, wrk_script},
};

/// Compares pummel with every load generator that is installed
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    plan: PlanArgs,
}

#[derive(Subcommand)]
enum Part {
    /// Runs one command on one core and prints what it cost
    #[command(hide = true)]
    Meter(MeterArgs),
    /// Shows what an idle connection of pummel costs in memory
    Memory(MemoryArgs),
}

#[derive(clap::Args)]
struct PlanArgs {
    /// What is spoken, and how long a connection lasts
    #[arg(long, value_enum, default_value_t)]
    case: Case,
    /// The server: available (the one of the case, else target), nginx, h2o, target, or a URL
    #[arg(long, default_value = "available")]
    server: Choice,
    /// A row of pummel, as `[LABEL=]PATH [ARGUMENTS]`; repeatable. Without it: the one built beside
    /// this program, with each reactor
    #[arg(long)]
    pummel: Vec<PummelRow>,
    /// Compare only contenders whose label starts with one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Compare the loops on other runtimes, too
    #[arg(long)]
    runtimes: bool,
    /// Requests per run, rounded up to a multiple of all that are outstanding [default: some
    /// seconds' worth, by case]
    #[arg(long)]
    requests: Option<NonZeroU64>,
    /// Seconds per run for tools that know only a duration
    #[arg(long, default_value = "5")]
    seconds: NonZeroU64,
    /// Connections at a time [default: by case]
    #[arg(short, long)]
    connections: Option<NonZeroU64>,
    /// Requests in flight on each connection of HTTP/1.1
    #[arg(long, default_value = "1")]
    pipeline: NonZeroU64,
    /// Requests in flight on each connection of HTTP/2 [default: by case]
    #[arg(long)]
    streams: Option<NonZeroU64>,
    /// Runs of each contender
    #[arg(long, default_value = "5")]
    rounds: NonZeroU32,
    /// Seconds after which a run is ended and counts as failed
    #[arg(long, default_value = "120")]
    bound: NonZeroU64,
    /// The server's core [default: the first allowed one]
    #[arg(long)]
    server_core: Option<usize>,
    /// The clients' core [default: the second allowed one]
    #[arg(long)]
    client_core: Option<usize>,
    /// Print one JSON document with every run instead of the table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed, too.
            _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the arguments say and prints the result on stdout.
fn run(Args { part, plan }: Args) -> Result<()> {
    let json = plan.json;
    let text = match part {
        Some(Part::Meter(args)) => serde_json::to_string(&meter::run(&args, io::stdin())?)?,
        Some(Part::Memory(args)) => memory::compare(&args)?,
        None if json => serde_json::to_string_pretty(&compare(plan)?)?,
        None => compare(plan)?.markdown(),
    };
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Starts the server, runs the rounds, and sums up.
fn compare(mut plan: PlanArgs) -> Result<Comparison> {
    let lined = plan.case.lasts() && !plan.case.is_http2();
    ensure!(lined || plan.pipeline.get() == 1, "--pipeline is for --case h1 and h1-tls");
    let machine = Machine::read()?;
    let [core, client_core] = cores(plan.server_core, plan.client_core)?;
    if plan.pummel.is_empty() {
        plan.pummel = PummelRow::both_reactors();
    }
    let (contenders, absent) = plan.lineup();
    ensure!(!contenders.is_empty(), "nobody to compare");

    let runs = u64::from(plan.rounds.get()) * u64::try_from(contenders.len())?;
    let bound = (runs + 1) * (plan.bound.get() + 10);
    let pummel = plan.pummel.first().context("no pummel for a target")?.program();
    let place = Place { case: plan.case, core, bound, pummel };
    let server = Server::start(&plan.server, &place)?;

    let directory = tempfile::tempdir()?;
    let work = plan.work(&server.url, client_core, directory.path());
    fs::write(&work.wrk_script, wrk_script(work.pipeline))?;
    let rows = plan.run_rounds(&contenders, &work, directory.path())?;
    Ok(Comparison {
        machine,
        server,
        case: work.case,
        connections: work.connections,
        pipeline: work.pipeline,
        streams: work.streams,
        requests: work.requests,
        seconds: work.seconds,
        client_core,
        rounds: plan.rounds.get(),
        rows,
        absent,
    })
}

/// The cores of server and clients: different ones if two are allowed.
fn cores(server: Option<usize>, client: Option<usize>) -> Result<[usize; 2]> {
    let allowed = allowed_cores()?;
    let first = *allowed.first().context("no core allowed")?;
    let server = server.unwrap_or(first);
    let other = allowed.iter().copied().find(|&core| core != server);
    Ok([server, client.or(other).unwrap_or(server)])
}

impl PlanArgs {
    /// Who of the wanted ones takes part, and who cannot.
    fn lineup(&self) -> (Vec<Contender>, Vec<Absent>) {
        let wanted = |label: &str| {
            self.only.is_empty() || self.only.iter().any(|start| label.starts_with(start))
        };
        let (mut present, mut absent) =
            assemble(&self.pummel, self.case, self.pipeline.get(), self.runtimes);
        present.retain(|contender| wanted(&contender.label));
        absent.retain(|absent| wanted(&absent.label));
        (present, absent)
    }

    /// The work of every run.
    fn work(&self, url: &str, core: usize, directory: &Path) -> Work {
        let case = self.case;
        let connections = self.connections.map_or(case.connections(), NonZeroU64::get);
        let streams = self.streams.map_or(case.streams(), NonZeroU64::get);
        let requests = self.requests.map_or(case.requests(), NonZeroU64::get);
        let outstanding = connections * self.pipeline.get() * streams;
        Work {
            case,
            url: url.to_owned(),
            requests: requests.next_multiple_of(outstanding),
            seconds: self.seconds.get(),
            connections,
            pipeline: self.pipeline.get(),
            streams,
            core,
            wrk_script: directory.join("pipeline.lua"),
        }
    }

    /// Runs every contender once per round, in turns.
    fn run_rounds(
        &self,
        contenders: &[Contender],
        work: &Work,
        directory: &Path,
    ) -> Result<Vec<Row>> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
        }
        let mut rows: Vec<Row> =
            contenders.iter().map(|contender| Row::new(contender, work)).collect();
        for round in 1..=self.rounds.get() {
            for (contender, row) in contenders.iter().zip(&mut rows) {
                let run = measure(contender, work, self.bound.get(), directory);
                // Returning drops the server and the directories, which a plain exit would leave.
                ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
                row.take(round, run)?;
            }
        }
        Ok(rows)
    }
}

impl Row {
    /// A row without runs.
    fn new(contender: &Contender, work: &Work) -> Self {
        Self {
            label: contender.label.clone(),
            version: contender.version.clone(),
            command: contender.command(work).join(" "),
            summary: None,
            runs: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Takes in a run, good or bad, and says so on stderr.
    fn take(&mut self, round: u32, run: Result<measure::Run>) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        match run {
            Ok(run) => {
                let cpu_us = run.cpu_us();
                writeln!(stderr, "round {round}: {}: {cpu_us:.2} µs/request", self.label)?;
                self.runs.push(run);
                self.summary = Summary::of(&self.runs);
            }
            Err(error) => {
                let reason = format!("{error:#}");
                writeln!(stderr, "round {round}: {}: failed: {reason}", self.label)?;
                self.failures.push(Failure { round, reason });
            }
        }
        Ok(())
    }
}
