//! The report for a person: a few aligned lines, at most 100 columns wide.

use std::io::{self, Write};

use pummel_engine::plan::{Limit, Load};
use pummel_engine::record::{Bounds, Histogram, Quantile, Spans, Trouble};
use pummel_engine::report::{Ending, Report};
use pummel_engine::units::Nanos;

use super::verdict::{Status, Verdict};
use super::{Environment, calibration, counted, per_time, unpinned};

/// Widest line.
const COLUMNS: usize = 100;

/// Width of the words at the beginning of lines.
const LABEL: usize = 15;

/// Between the items of a list.
const APART: &str = "   ";

/// Fewest values of which a p99 is more than their maximum.
const P99_NEEDS: u64 = 100;

/// Writes the report.
pub(crate) fn write(
    report: &Report,
    environment: &Environment,
    to: &mut dyn Write,
) -> io::Result<()> {
    heading(report, environment, to)?;
    writeln!(to)?;
    requests(report, to)?;
    writeln!(to)?;
    latencies(report, to)?;
    writeln!(to)?;
    wire(report, to)?;
    calibration::write(environment.calibration.as_ref(), report, to)?;
    writeln!(to)?;
    verdict(report, to)
}

/// One line, cut where it would be too wide (a long URL is the only reason).
fn line(to: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    let whole = format!("{label:<LABEL$}{text}");
    let mut shown: String = whole.chars().take(COLUMNS).collect();
    if shown.len() < whole.len() {
        shown.pop();
        shown.push('…');
    }
    writeln!(to, "{}", shown.trim_end())
}

fn heading(report: &Report, environment: &Environment, to: &mut dyn Write) -> io::Result<()> {
    let plan = &report.plan;
    let method = plan.target.request.method();
    line(to, "Target", &format!("{method} {}  (HTTP/1.1)", plan.target.url))?;
    let flow = match plan.load {
        Load::Closed { .. } => "closed loop".to_owned(),
        Load::Open { .. } => {
            let rate = report.offered_per_second().unwrap_or_default();
            format!("open loop at {}", per_time(rate))
        }
    };
    let pipeline = match plan.load.pipeline().get() {
        1 => String::new(),
        depth => format!(", pipeline {depth}"),
    };
    let connections = counted(u64::from(plan.connections.get()), "connection");
    line(to, "Load", &format!("{flow}, {connections}{pipeline}, seed {}", plan.seed))?;
    let cpus = report.shards.iter().map(|shard| shard.cpu.to_string()).collect::<Vec<_>>();
    let shards = counted(report.shards.len() as u64, "shard");
    let cpu = if cpus.len() == 1 { "CPU" } else { "CPUs" };
    let kernel = environment.host.kernel.release.as_deref();
    let kernel = kernel.map_or(String::new(), |release| format!(", Linux {release}"));
    let reactor = report.reactor.name;
    let loose = match unpinned(report) {
        loose if loose.is_empty() => String::new(),
        _ if cpus.len() == 1 => " (not pinned: the kernel refused)".to_owned(),
        loose => format!(" ({} not pinned: the kernel refused)", loose.join(",")),
    };
    line(
        to,
        "Machine",
        &format!("{shards} on {cpu} {}{loose}, {reactor}{kernel}", cpus.join(",")),
    )?;
    let planned = match plan.stop.limit {
        Limit::Duration(_) => String::new(),
        Limit::Requests(count) | Limit::Either(_, count) => {
            format!(", at most {}", counted(count.get(), "request"))
        }
    };
    let warmup = match plan.stop.warmup {
        Nanos::ZERO => String::new(),
        warmup => format!(", after {warmup} of warm-up"),
    };
    line(to, "Window", &format!("{}{planned}{warmup}", report.window))?;
    match report.ending {
        Ending::Completed => Ok(()),
        Ending::Interrupted => line(to, "Ended", "early: interrupted"),
        Ending::TargetLost => {
            line(to, "Ended", "early: target lost, no connection was left and none could be opened")
        }
    }
}

fn requests(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let ledger = report.totals.ledger;
    let main = [("ok", ledger.ok), ("failed", ledger.failed), ("errors", ledger.errors)];
    let rare = [
        ("timeouts", ledger.timeouts),
        ("dropped", ledger.dropped),
        ("unfinished", ledger.unfinished),
    ];
    // Zeros are left out where they are the rule: the sum stays true without them.
    let shown = main.into_iter().chain(rare.into_iter().filter(|&(_, count)| count > 0));
    let terms: Vec<String> = shown.map(|(name, count)| format!("{count} {name}")).collect();
    line(to, "Requests", &format!("{} scheduled = {}", ledger.scheduled, terms.join(" + ")))?;
    // A closed loop offers nothing.
    let rates = [
        ("offered", report.offered_per_second()),
        ("achieved", Some(report.achieved_per_second())),
        ("good", Some(report.goodput_per_second())),
    ];
    let rates = rates.into_iter().filter_map(|(name, rate)| Some((name, rate?)));
    let rates: Vec<String> =
        rates.map(|(name, rate)| format!("{name} {}", per_time(rate))).collect();
    line(to, "Rates", &rates.join(APART))?;
    let statuses =
        report.totals.statuses.rows().map(|(status, count)| format!("{status}: {count}"));
    list(to, "Statuses", statuses)?;
    // What happens to connections that carry no request is no request's outcome: it is told apart.
    let rows = report.totals.errors.rows();
    let (of_connections, of_requests): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(trouble, _)| trouble.is_of_connection());
    let show = |rows: Vec<(Trouble, u64)>| {
        rows.into_iter().map(|(trouble, count)| format!("{trouble}: {count}"))
    };
    let other = Some(report.totals.errors.other()).filter(|&count| count > 0);
    let other = other.map(|count| format!("other: {count}"));
    list(to, "Errors", show(of_requests).chain(other))?;
    if !of_connections.is_empty() {
        list(to, "  connections", show(of_connections))?;
    }
    Ok(())
}

/// A list of items over as many lines as it takes; `none` if there is no item.
fn list(to: &mut dyn Write, label: &str, items: impl Iterator<Item = String>) -> io::Result<()> {
    let mut label = label;
    let mut row = String::new();
    for item in items {
        if !row.is_empty() && LABEL + row.len() + APART.len() + item.len() > COLUMNS {
            line(to, label, &row)?;
            (label, row) = ("", String::new());
        }
        row = if row.is_empty() { item } else { format!("{row}{APART}{item}") };
    }
    line(to, label, if row.is_empty() { "none" } else { &row })
}

/// The latency table: one row per distribution, one column per statistic.
fn latencies(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let totals = &report.totals;
    let names = ["min", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"];
    let open = report.plan.load.is_open();
    let title = if open {
        "Latency: response time, from the intended start"
    } else {
        "Latency: service time, closed loop (not response time under load)"
    };
    writeln!(to, "{title}")?;
    remarks(report, to)?;
    row(to, "", &names.map(str::to_owned))?;
    let parts = &totals.parts;
    if open {
        row(to, "response", &bounded(&totals.latency.all()))?;
        if totals.ledger.ok < totals.ledger.scheduled {
            row(to, "ok only", &statistics(&totals.latency.ok()))?;
        }
        row(to, "lag", &statistics(&parts.lag))?;
        row(to, "by the client", &statistics(&parts.loop_lag))?;
        row(to, "by the pool", &statistics(&parts.connection_wait))?;
    }
    row(to, "service", &bounded(&report.services()))?;
    if !open && totals.ledger.ok < totals.ledger.scheduled {
        row(to, "ok only", &statistics(&totals.latency.ok()))?;
    }
    row(to, "first byte", &statistics(&parts.ttfb))?;
    row(to, "connect", &statistics(&parts.connect))
}

/// What the table holds that is not what it seems, said before anybody reads it.
fn remarks(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let ledger = report.totals.ledger;
    let endless = ledger.timeouts + ledger.dropped + ledger.unfinished;
    if endless > 0 {
        let what = if endless == 1 { "one request" } else { "requests" };
        let all = ledger.scheduled;
        writeln!(
            to,
            "  {endless} of {all}: {what} without an end; ≥ and – are bounds of the truth"
        )?;
    }
    if ledger.errors > 0 {
        let errors = counted(ledger.errors, "error");
        writeln!(to, "  {errors}: their latency is the time to the failure")?;
    }
    Ok(())
}

fn row(to: &mut dyn Write, name: &str, cells: &[String; 8]) -> io::Result<()> {
    let name = format!("  {name}");
    line(to, &name, &cells.each_ref().map(|cell| format!("{cell:>9}")).join(" "))
}

/// The quantiles of the table, with how many values each needs: 1 / (1 − q), or it would be the
/// maximum under a finer name.
const COLUMNS_SHOWN: [(&str, u64); 5] =
    [("p50", 2), ("p90", 10), ("p99", P99_NEEDS), ("p99_9", 1_000), ("p99_99", 10_000)];

/// The cells of one row: minimum, mean, quantiles, maximum; `n/a` where there are too few values.
fn statistics(of: &Histogram) -> [String; 8] {
    bounded(&Spans { known: of.clone(), censored: Histogram::new() })
}

/// The same of values that are in part bounds. Minimum and mean are those of what is known.
fn bounded(of: &Spans) -> [String; 8] {
    let mut cells = [const { String::new() }; 8];
    let known = &of.known;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of spans lies between the shortest and the longest"
    )]
    let mean = Nanos::new(known.mean() as u64);
    let some = |span: Nanos| if known.is_empty() { NONE.to_owned() } else { span.to_string() };
    let quantiles = COLUMNS_SHOWN.into_iter().map(|(name, needs)| {
        let quantile = Quantile::REPORTED.iter().find(|(reported, _)| *reported == name);
        match quantile.filter(|_| of.count() >= needs) {
            Some(&(_, quantile)) => shown(of.quantile(quantile)),
            None => NONE.to_owned(),
        }
    });
    let max = if of.count() == 0 { NONE.to_owned() } else { shown(of.max()) };
    let values = [some(known.min()), some(mean)].into_iter().chain(quantiles).chain([max]);
    cells.iter_mut().zip(values).for_each(|(cell, value)| *cell = value);
    cells
}

/// What stands in the place of a number that there is not.
const NONE: &str = "n/a";

/// A value, or between what it lies.
fn shown(bounds: Bounds) -> String {
    match (bounds.exact(), bounds.hi) {
        (Some(value), _) => value.to_string(),
        (None, None) => format!("≥{}", bounds.lo),
        (None, Some(hi)) => format!("{}–{hi}", bounds.lo),
    }
}

fn wire(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let totals = &report.totals;
    let lives = totals.connections;
    let connections = format!(
        "{} opened, {} closed by the peer, {} reopened",
        lives.opened, lives.closed_by_peer, lives.reconnects
    );
    line(to, "Connections", &connections)?;
    let (sent, received) = (bytes(totals.bytes_sent), bytes(totals.bytes_received));
    line(to, "Bytes", &format!("{sent} sent, {received} received"))?;
    let shards =
        report.shards.iter().map(|shard| format!("CPU {} {:.0} %", shard.cpu, shard.busy * 100.0));
    list(to, "Shards busy", shards)?;
    let late = &report.coordinator;
    let span = match late.count {
        count if count < P99_NEEDS => format!("at most {}", late.max),
        _ => format!("{} at p99", late.p99),
    };
    let ticks = counted(late.count, "tick");
    let lost = counted(report.ticks_lost, "progress update");
    line(to, "Coordinator", &format!("ticks late by {span} ({ticks}); {lost} lost"))
}

fn verdict(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let Verdict { status, reasons } = Verdict::of(report);
    let reasons: Vec<String> = reasons.into_iter().map(|reason| reason.message).collect();
    match status {
        Status::Pass => line(to, "Verdict:", "ledger balances"),
        Status::Suspect => line(to, "Verdict:", &format!("SUSPECT; {}", reasons.join("; "))),
        Status::Invalid => {
            let advice = "INVALID; these numbers are worthless, please report this as a defect";
            line(to, "Verdict:", advice)?;
            reasons.iter().try_for_each(|reason| line(to, "", reason))
        }
    }
}

/// An amount of bytes in the decimal unit that suits.
fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}
