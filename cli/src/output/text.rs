//! The report for a person: a few aligned lines, at most 100 columns wide.

use std::io::{self, Write};

use pummel_engine::plan::Limit;
use pummel_engine::record::Trouble;
use pummel_engine::report::{Ending, Report};
use pummel_engine::units::Nanos;

use super::{
    Environment, Paper, calibration, changes, counted, fed, judgement, load, looked, not_joined,
    origins, per_time, redirects, table, thresholds, unpinned, unset, wire,
};

/// Widest line.
pub(super) const COLUMNS: usize = 100;

/// Width of the words at the beginning of lines.
const LABEL: usize = 15;

/// Between the items of a list.
const APART: &str = "   ";

/// Fewest ticks of which a p99 is more than their maximum.
const P99_NEEDS: u64 = 100;

/// Writes the report.
pub(crate) fn write(
    paper: &Paper<'_>,
    environment: &Environment,
    to: &mut dyn Write,
) -> io::Result<()> {
    let Paper { report, verdict, thresholds } = *paper;
    heading(report, environment, to)?;
    writeln!(to)?;
    requests(report, to)?;
    writeln!(to)?;
    table::latencies(report, verdict, to)?;
    writeln!(to)?;
    looked::write(report, to)?;
    fed::write(report, to)?;
    connections(report, to)?;
    calibration::write(environment.calibration.as_ref(), report, to)?;
    writeln!(to)?;
    thresholds::write(thresholds, to)?;
    judgement::write(report, verdict, to)
}

/// One line, cut where it would be too wide (a long URL is the only reason).
pub(super) fn line(to: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
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
    let method = plan.work.method().unwrap_or("several");
    let spoken = wire::spoken(plan.wire.protocol);
    let proxy = plan
        .wire
        .proxy
        .as_ref()
        .map(|_| format!(" by the proxy {}", plan.target.addresses.first()));
    let proxy = proxy.unwrap_or_default();
    line(to, "Target", &format!("{method} {}{proxy}  ({spoken})", origins::named(plan)))?;
    joined(to, "Load", ", ", load::parts(plan).into_iter())?;
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
    if let Some(count) = environment.rehearsed {
        let sent = counted(count, "request");
        line(
            to,
            "Preflight",
            &format!("{sent} before the run, answered as expected, not counted"),
        )?;
    }
    changes::write(report, to)?;
    match report.ending {
        Ending::Completed => match fed::ending(report) {
            Some(how) => line(to, "Ended", &how),
            None => Ok(()),
        },
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
    rates(report, to)?;
    let statuses =
        report.totals.statuses.rows().map(|(status, count)| format!("{status}: {count}"));
    list(to, "Statuses", statuses)?;
    redirects::write(report, to)?;
    unset::write(report, to)?;
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
    redirects::write_nowhere(report, to)?;
    if !of_connections.is_empty() {
        list(to, "  connections", show(of_connections))?;
    }
    Ok(())
}

/// What was offered beside what came of it. Slots of a schedule are scenarios, so that where these
/// have several requests they are told apart.
fn rates(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let (achieved, good) = (report.achieved_per_second(), report.goodput_per_second());
    let of_requests = format!("achieved {}{APART}good {}", per_time(achieved), per_time(good));
    // A closed loop offers nothing.
    let said = match (report.offered_per_second(), load::scenarios_per_second(report)) {
        (None, _) => of_requests,
        (Some(offered), None) => format!("offered {}{APART}{of_requests}", per_time(offered)),
        (Some(offered), Some(completed)) => {
            let (offered, completed) = (per_time(offered), per_time(completed));
            format!(
                "scenarios: offered {offered}{APART}completed {completed}; requests: {of_requests}"
            )
        }
    };
    line(to, "Rates", &said)
}

/// A list of items over as many lines as it takes; `none` if there is no item.
fn list(to: &mut dyn Write, label: &str, items: impl Iterator<Item = String>) -> io::Result<()> {
    joined(to, label, APART, items)
}

/// The same with `apart` between the items.
pub(super) fn joined(
    to: &mut dyn Write,
    label: &str,
    apart: &str,
    items: impl Iterator<Item = String>,
) -> io::Result<()> {
    let mut label = label;
    let mut row = String::new();
    for item in items {
        if !row.is_empty() && LABEL + row.len() + apart.len() + item.len() > COLUMNS {
            line(to, label, &format!("{row}{apart}"))?;
            (label, row) = ("", String::new());
        }
        row = if row.is_empty() { item } else { format!("{row}{apart}{item}") };
    }
    line(to, label, if row.is_empty() { "none" } else { &row })
}

fn connections(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let totals = &report.totals;
    let lives = totals.connections;
    let always = [
        format!("{} opened", lives.opened),
        format!("{} closed by the peer", lives.closed_by_peer),
        format!("{} reopened", lives.reconnects),
    ];
    let seldom = [
        (lives.cut_off, "cut off without a close_notify"),
        (lives.doubtful, "given up after a length told in two ways"),
        (not_joined(report), "had still to join in when the run ended"),
    ];
    let seldom = seldom.into_iter().filter(|&(count, _)| count > 0);
    let seldom = seldom.map(|(count, words)| format!("{count} {words}"));
    joined(to, "Connections", ", ", always.into_iter().chain(seldom))?;
    origins::write(report, to)?;
    wire::write(report, to)?;
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

/// An amount of bytes in the decimal unit that suits.
pub(super) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}
