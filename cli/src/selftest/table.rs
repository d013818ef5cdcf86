//! What is printed: a table of all numbers for a person, and the same as JSON.

use std::io::{self, Write};

use pummel_engine::plan::Pacing;
use pummel_engine::reactor::Kind;
use pummel_engine::units::Nanos;
use serde_json::{Value, json as object};

use super::machine::{Gaps, Jitter, at};
use super::row::{Exposure, Outcome, Row, Side, Unit};
use super::{Findings, Mode, Tested, Tried};
use crate::output::counted;

/// Writes the table.
pub(crate) fn text(findings: &Findings, to: &mut dyn Write) -> io::Result<()> {
    heading(findings, to)?;
    for tested in &findings.tests {
        writeln!(to)?;
        test(findings, tested, to)?;
    }
    writeln!(to)?;
    let [passed, undecided, failed] = counts(findings);
    let took = findings.took;
    writeln!(to, "Selftest: {passed} passed, {undecided} undecided, {failed} failed, in {took}")?;
    if undecided > 0 {
        writeln!(to, "The machine was too noisy to decide all; leave it alone and try again.")?;
    }
    Ok(())
}

fn counts(findings: &Findings) -> [usize; 3] {
    [Outcome::Pass, Outcome::Undecided, Outcome::Fail].map(|outcome| findings.count(outcome))
}

fn heading(findings: &Findings, to: &mut dyn Write) -> io::Result<()> {
    let bench = &findings.bench;
    let shards: Vec<String> = bench.cpus.shards.iter().map(ToString::to_string).collect();
    let place = if bench.cpus.apart() { "" } else { ", which has a shard too" };
    writeln!(
        to,
        "Machine   {} on CPU {}, target on CPU {}{place}; {}, pacing {}",
        counted(shards.len() as u64, "shard"),
        shards.join(","),
        bench.cpus.target,
        reactor(bench.reactor),
        pacing(findings.pacing),
    )?;
    for (name, jitter) in named(findings) {
        writeln!(
            to,
            "{name:<9} taken from the shards {:.2} %, from the target {:.2} %; at most {} at once",
            jitter.shards.share() * 100.0,
            jitter.target.share() * 100.0,
            span(jitter.shards.longest().max(jitter.target.longest())),
        )?;
        let wakes = [0.5, 0.99, 1.0].map(|q| span(at(&jitter.wakes, q)));
        let [p50, p99, max] = wakes;
        writeln!(to, "          woken up late by {p50} at p50, {p99} at p99, {max} at most")?;
    }
    let added = [0.5, 0.99, 0.999].map(|q| span(findings.noise.delay(q)));
    let [p50, p99, p99_9] = added;
    writeln!(to, "Noise     can add {p50} to a p50, {p99} to a p99, {p99_9} to a p99.9")
}

/// The measurements of the machine, with their names.
fn named(findings: &Findings) -> impl Iterator<Item = (&'static str, &Jitter)> {
    ["Before", "After"].into_iter().zip(&findings.noise.samples)
}

fn test(findings: &Findings, tested: &Tested, to: &mut dyn Write) -> io::Result<()> {
    let outcome = tested.outcome(&findings.noise).name();
    let title = format!("{} {}", tested.test.name, tested.test.title);
    let columns = ["truth", "measured", "error", "tolerance"];
    let columns = columns.map(|column| format!("{column:>11}")).join(" ");
    writeln!(to, "{title:<34} {columns}  {outcome}")?;
    for tried in &tested.trials {
        if tested.trials.len() > 1 {
            writeln!(to, "  {}", tried.name)?;
        }
        if let Some(reason) = &tried.disturbance {
            let times = counted(u64::from(tried.repeats), "repetition");
            writeln!(to, "    disturbed after {times}: {reason}")?;
        }
        for row in &tried.rows {
            line(findings, tried, row, to)?;
        }
    }
    Ok(())
}

fn line(findings: &Findings, tried: &Tried, row: &Row, to: &mut dyn Write) -> io::Result<()> {
    let sign = match row.side {
        Side::Near => "",
        Side::AtMost => "≤ ",
        Side::AtLeast => "≥ ",
    };
    let cells = [
        format!("{sign}{}", amount(row.unit, row.truth)),
        amount(row.unit, row.measured),
        amount(row.unit, row.error()),
        amount(row.unit, row.tolerance(&findings.noise)),
    ];
    let cells = cells.map(|cell| format!("{cell:>11}")).join(" ");
    let outcome = tried.outcome_of(row, &findings.noise).name();
    writeln!(to, "    {:<30} {cells}  {outcome}", row.what)
}

/// A number in its unit.
fn amount(unit: Unit, value: f64) -> String {
    match unit {
        _ if value.is_nan() => "n/a".to_owned(),
        Unit::Seconds => span(value),
        Unit::Count if value.fract().abs() < 1e-9 => format!("{value:.0}"),
        Unit::Count => format!("{value:.1}"),
        Unit::Ratio if value.abs() >= 100.0 => format!("{value:.1}"),
        Unit::Ratio => format!("{value:.3}"),
    }
}

/// Seconds in the unit that suits, with their sign if they are less than nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nanoseconds of a span that is shown with three digits"
)]
fn span(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    format!("{sign}{}", Nanos::new((seconds.abs() * 1e9).round() as u64))
}

const fn reactor(kind: Kind) -> &'static str {
    match kind {
        Kind::Uring => "io_uring",
        Kind::Epoll => "epoll",
    }
}

const fn pacing(pacing: Pacing) -> &'static str {
    match pacing {
        Pacing::Sleep => "sleep",
        Pacing::Hybrid => "hybrid",
        Pacing::Spin => "spin",
    }
}

/// Writes the document and a line break.
pub(crate) fn json(findings: &Findings, to: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, &document(findings))?;
    writeln!(to)
}

fn document(findings: &Findings) -> Value {
    let bench = &findings.bench;
    let [passed, undecided, failed] = counts(findings);
    let jitter: Vec<Value> = findings.noise.samples.iter().map(jitter).collect();
    let tests: Vec<Value> = findings.tests.iter().map(|one| tested(findings, one)).collect();
    object!({
        "selftest_version": 1,
        "mode": match findings.mode { Mode::Quick => "quick", Mode::Full => "full" },
        "seconds": findings.took.as_secs_f64(),
        "passed": passed,
        "undecided": undecided,
        "failed": failed,
        "cores": bench.cpus.shards,
        "target_core": bench.cpus.target,
        "reactor": reactor(bench.reactor),
        "pacing": pacing(findings.pacing),
        "jitter": jitter,
        "tests": tests,
    })
}

fn jitter(of: &Jitter) -> Value {
    let gaps = |gaps: &Gaps| object!({ "taken": gaps.share(), "longest_s": gaps.longest() });
    object!({
        "shards": gaps(&of.shards),
        "target": gaps(&of.target),
        "wakes_s": {
            "p50": at(&of.wakes, 0.5),
            "p99": at(&of.wakes, 0.99),
            "max": at(&of.wakes, 1.0),
        },
    })
}

fn tested(findings: &Findings, tested: &Tested) -> Value {
    let trials: Vec<Value> = tested.trials.iter().map(|one| tried(findings, one)).collect();
    object!({
        "name": tested.test.name,
        "title": tested.test.title,
        "outcome": tested.outcome(&findings.noise).name(),
        "trials": trials,
    })
}

fn tried(findings: &Findings, tried: &Tried) -> Value {
    let rows: Vec<Value> = tried.rows.iter().map(|row| described(findings, tried, row)).collect();
    object!({
        "name": tried.name,
        "repeats": tried.repeats,
        "disturbance": tried.disturbance,
        "outcome": tried.outcome(&findings.noise).name(),
        "rows": rows,
    })
}

/// One row. What there is no number of is null.
fn described(findings: &Findings, tried: &Tried, row: &Row) -> Value {
    object!({
        "what": row.what,
        "unit": match row.unit {
            Unit::Seconds => "s",
            Unit::Count => "count",
            Unit::Ratio => "ratio",
        },
        "bound": match row.side {
            Side::Near => "near",
            Side::AtMost => "at_most",
            Side::AtLeast => "at_least",
        },
        "truth": row.truth,
        "measured": row.measured,
        "error": row.error(),
        "tolerance": row.tolerance(&findings.noise),
        "tolerance_quiet": row.base,
        "exposed": row.noise != Exposure::None,
        "outcome": tried.outcome_of(row, &findings.noise).name(),
    })
}
