//! What an idle connection of pummel costs in memory: the difference between many connections and
//! few, divided by how many there are more.
//!
//! Peaks are compared, since the kernel keeps those. All connections are opened at the start and
//! have next to nothing to do, so the peak is the rest. Whatever a process needs once cancels out:
//! the few are enough to outweigh what it needs at its start and at its end only.

use std::{fmt::Write as _, num::NonZeroU64, path::Path};

use anyhow::{Context, Result, ensure};
use benches::bare_loop::per;
use clap::Args;
use serde_json::Value;

use crate::{
    case::Case,
    cores,
    machine::Machine,
    meter::{End, MeterArgs},
    metered::{Metered, printed},
    server::{Choice, Place, Server},
    table::Spread,
    tools::PummelRow,
};

/// Connections of the run that is subtracted.
const FEW: u64 = 1000;
/// Streams of a connection of HTTP/2.
const STREAMS: u64 = 100;
/// Seconds after which a run is ended.
const BOUND: u64 = 60;
/// What is asked while connections are idle: enough to be a run.
const IDLE: &str = "--rate 10 -t 2s";

/// What is looked at.
#[derive(Args, Debug)]
pub(crate) struct MemoryArgs {
    /// A build of pummel, as `[LABEL=]PATH [ARGUMENTS]`; without it: the one built beside this
    /// program, with each reactor
    #[arg(long)]
    pummel: Vec<PummelRow>,
    /// How many connections there are more
    #[arg(long, default_value = "3000")]
    more: NonZeroU64,
    /// Pairs of runs
    #[arg(long, default_value = "5")]
    rounds: u32,
    /// The server: available (the one of each case, else target), nginx, h2o, or target
    #[arg(long, default_value = "available")]
    server: Choice,
}

/// Runs all pairs and returns a section for `RESULTS.md`.
///
/// # Errors
/// A server cannot be started, or a run fails.
pub(crate) fn compare(args: &MemoryArgs) -> Result<String> {
    let machine = Machine::read()?;
    let [core, client] = cores(None, None)?;
    let usual = PummelRow::both_reactors();
    let rows = if args.pummel.is_empty() { &usual } else { &args.pummel };
    let pummel = rows.first().context("no pummel")?.program();
    let mut text = format!(
        "## {date}, commit {commit}: memory of an idle connection\n\n\
         Linux {kernel}; peak resident memory with {most} connections less that with {FEW}, \
         divided; {STREAMS} streams on one of HTTP/2; pairs of runs: {rounds}.\n\n    {command}\n\n\
         | case | client | KiB/connection | min–max |\n|---|---|--:|--:|\n",
        date = machine.date.split('T').next().unwrap_or_default(),
        commit = machine.commit,
        kernel = machine.kernel,
        most = FEW + args.more.get(),
        rounds = args.rounds,
        command = machine.command,
    );
    for case in Case::LASTING {
        let bound = u64::from(args.rounds + 1) * 4 * BOUND;
        let server = Server::start(&args.server, &Place { case, core, bound, pummel })?;
        for row in rows {
            let pair = || growth(row, &server.url, case, client, args.more);
            let pairs: Vec<f64> = (0..args.rounds).map(|_| pair()).collect::<Result<_>>()?;
            let Spread { median, min, max } =
                Spread::of(pairs.into_iter()).context("no round to run")?;
            let (title, label) = (case.title(), row.label());
            writeln!(text, "| {title} | {label} | {median:.1} | {min:.1}–{max:.1} |")?;
        }
    }
    Ok(text)
}

/// KiB that each connection more has taken.
fn growth(row: &PummelRow, url: &str, case: Case, core: usize, more: NonZeroU64) -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let peak = |connections: u64| {
        let command = row.command(&arguments(url, case, connections, core));
        peak_kib(command, connections, core, directory.path())
            .with_context(|| format!("{}, {connections} connections", case.title()))
    };
    let few = peak(FEW)?;
    Ok(per(peak(FEW + more.get())?.saturating_sub(few), more))
}

/// What pummel is called with for idle connections.
fn arguments(url: &str, case: Case, connections: u64, core: usize) -> String {
    let http2 =
        if case.is_http2() { format!(" --http2 --streams {STREAMS}") } else { String::new() };
    let insecure = if case.is_tls() { " -k" } else { "" };
    format!("{url} -c {connections} {IDLE} --cores {core} --json{http2}{insecure}")
}

/// The peak of a run that went well, with so many connections and no other ones.
fn peak_kib(command: Vec<String>, expected: u64, core: usize, directory: &Path) -> Result<u64> {
    let args = MeterArgs { core, bound: BOUND, directory: directory.to_owned(), command };
    let cost = Metered::start(&args)?.finish()?;
    let errors = printed(directory, "stderr");
    ensure!(cost.end == End::Exited(0), "{:?}: {}", cost.end, errors.trim());
    let report: Value = serde_json::from_str(&printed(directory, "stdout"))?;
    let opened = report.pointer("/connections/opened").and_then(Value::as_u64);
    ensure!(opened == Some(expected), "{opened:?} connections instead of {expected}");
    Ok(cost.peak_rss_kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_speak_what_the_case_says() {
        assert_eq!(
            arguments("URL", Case::H2Tls, 1010, 1),
            "URL -c 1010 --rate 10 -t 2s --cores 1 --json --http2 --streams 100 -k"
        );
        assert_eq!(arguments("URL", Case::H1, 10, 1), "URL -c 10 --rate 10 -t 2s --cores 1 --json");
    }
}
