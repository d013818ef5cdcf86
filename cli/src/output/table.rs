//! The latencies for a person: a row per distribution, and where in the run they were.

use std::io::{self, Write};

use pummel_engine::plan;
use pummel_engine::record::{Bounds, Histogram, Ledger, Quantile, Spans, buckets::Sparse};
use pummel_engine::report::Report;
use pummel_engine::statistics::order;
use pummel_engine::units::{Nanos, Rate};
use pummel_engine::verdict::{Trust, Verdict, WorstWindow};

use super::text::line;
use super::{counted, load, per_time};

/// The quantiles of the table, by their names in JSON.
const SHOWN: [&str; 5] = ["p50", "p90", "p99", "p99_9", "p99_99"];

/// Longest name that stands in its row; a longer one has a line of its own.
const NAME_MAX: usize = 15;

/// What stands in the place of a number that there is not.
const NONE: &str = "n/a";

/// A row: minimum, mean, quantiles, maximum.
type Cells = [String; 8];

/// The latency table: one row per distribution, one column per statistic.
pub(super) fn latencies(report: &Report, verdict: &Verdict, to: &mut dyn Write) -> io::Result<()> {
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
        row(to, "response", &starred(bounded(&totals.latency.all()), verdict))?;
        interval_row(verdict, to)?;
        if totals.ledger.ok < totals.ledger.scheduled {
            row(to, "ok only", &statistics(&totals.latency.ok()))?;
        }
        row(to, "lag", &statistics(&parts.lag))?;
        row(to, "by the client", &statistics(&parts.loop_lag))?;
        row(to, "by the pool", &statistics(&parts.connection_wait))?;
    }
    row(to, "service", &bounded(&report.services()))?;
    if !open {
        interval_row(verdict, to)?;
        if totals.ledger.ok < totals.ledger.scheduled {
            row(to, "ok only", &statistics(&totals.latency.ok()))?;
        }
    }
    row(to, "first byte", &statistics(&parts.ttfb))?;
    row(to, "connect", &statistics(&parts.connect))?;
    if let Some(handshakes) = &parts.tls {
        row(to, "handshake", &statistics(handshakes))?;
    }
    if open && starred(bounded(&totals.latency.all()), verdict).iter().any(|c| c.ends_with('*')) {
        writeln!(to, "  * the client itself made more than 5 % of it: see the row by the client")?;
    }
    stages(report, verdict, to)?;
    worst(verdict, to)?;
    steps(report, to)?;
    flows(report, to)
}

/// The latencies of each request of several, and its outcomes where not all are ok.
fn steps(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let names = report.plan.work.rows();
    if names.is_empty() {
        return Ok(());
    }
    writeln!(to, "By request")?;
    for (name, of) in names.into_iter().zip(&report.totals.rows) {
        named(to, name, &of.latency())?;
        let Ledger { ok, failed, errors, timeouts, unfinished, .. } = of.ledger;
        let others = [
            (failed, "failed"),
            (errors, "errors"),
            (timeouts, "timeouts"),
            (unfinished, "unfinished"),
        ];
        line(to, "", &format!("{ok} ok{}", more(&others)))?;
    }
    Ok(())
}

/// The times of scenarios and groups, and what became of them where not all were completed.
fn flows(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let flows = report.plan.work.flows();
    if flows.is_empty() {
        return Ok(());
    }
    writeln!(to, "By scenario and group: first request to last response, without pauses")?;
    for (plan::Flow { group, name }, of) in flows.into_iter().zip(&report.totals.flows) {
        named(to, name, &of.latency())?;
        let others =
            [(of.cut_short, "cut short"), (of.endless, "endless"), (of.unfinished, "unfinished")];
        let kind = if group { "group" } else { "scenario" };
        line(to, "", &format!("{kind}, {} completed{}", of.completed, more(&others)))?;
    }
    Ok(())
}

/// A row, below its name where that is long.
fn named(to: &mut dyn Write, name: &str, of: &Spans) -> io::Result<()> {
    let short: String = name.chars().take(NAME_MAX).collect();
    let fits = short.len() == name.len();
    if !fits {
        writeln!(to, "  {name}")?;
    }
    row(to, if fits { name } else { "" }, &bounded(of))
}

/// The counts that are not zero, with what they count.
fn more(counts: &[(u64, &str)]) -> String {
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let terms: Vec<String> = some.map(|(count, what)| format!(" + {count} {what}")).collect();
    terms.concat()
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

fn row(to: &mut dyn Write, name: &str, cells: &Cells) -> io::Result<()> {
    let name = format!("  {name}");
    line(to, &name, &cells.each_ref().map(|cell| format!("{cell:>9}")).join(" "))
}

/// The cells of one row; `n/a` where there are too few values for a 95 % interval.
fn statistics(of: &Histogram) -> Cells {
    bounded(&Spans { known: of.clone(), censored: Histogram::new() })
}

/// The same of values that are in part bounds: then the mean is one too. The minimum is that of
/// what is known.
fn bounded(of: &Spans) -> Cells {
    let known = &of.known;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of spans lies between the shortest and the longest"
    )]
    let [known_mean, waited_mean] = [known.mean(), of.censored.mean()].map(|mean| mean as u64);
    let some = |span: Nanos| if known.is_empty() { NONE.to_owned() } else { span.to_string() };
    let mean = match (of.count(), of.censored.count()) {
        (0, _) => NONE.to_owned(),
        (_, 0) => Nanos::new(known_mean).to_string(),
        (all, endless) => {
            let sum = u128::from(known_mean) * u128::from(known.count())
                + u128::from(waited_mean) * u128::from(endless);
            let mean = u64::try_from(sum / u128::from(all)).unwrap_or(u64::MAX);
            format!("≥{}", Nanos::new(mean))
        }
    };
    let [p50, p90, p99, p99_9, p99_99] = SHOWN.map(|name| {
        let quantile = Quantile::REPORTED.iter().find(|(reported, _)| *reported == name);
        let quantile = quantile.map(|&(_, quantile)| quantile);
        let enough = |quantile: &Quantile| of.count() >= order::samples_needed(quantile.share());
        quantile.filter(enough).map_or(NONE.to_owned(), |q| shown(of.quantile(q)))
    });
    let max = if of.count() == 0 { NONE.to_owned() } else { shown(of.max()) };
    [some(known.min()), mean, p50, p90, p99, p99_9, p99_99, max]
}

/// A value, or between what it lies.
pub(super) fn shown(bounds: Bounds) -> String {
    match (bounds.exact(), bounds.hi) {
        (Some(value), _) => value.to_string(),
        (None, None) => format!("≥{}", bounds.lo),
        (None, Some(hi)) => format!("{}–{hi}", bounds.lo),
    }
}

/// The 95 % intervals below the values, if there are any.
fn interval_row(verdict: &Verdict, to: &mut dyn Write) -> io::Result<()> {
    let cells = intervals(verdict);
    if cells.iter().all(String::is_empty) { Ok(()) } else { row(to, "95 % interval", &cells) }
}

/// The 95 % intervals as percent of the values.
fn intervals(verdict: &Verdict) -> Cells {
    let [p50, p90, p99, p99_9, p99_99] = SHOWN.map(|name| {
        let trust = verdict.trust.iter().find(|trust| trust.name == name);
        match trust.and_then(half) {
            Some(half) if half > 100.0 => "±>100 %".to_owned(),
            Some(half) => format!("±{half:.1} %"),
            None => String::new(),
        }
    });
    let none = String::new;
    [none(), none(), p50, p90, p99, p99_9, p99_99, none()]
}

/// Half the width of the interval in percent of the value, if both are known.
fn half(trust: &Trust) -> Option<f64> {
    let (low, high) = trust.interval?;
    let value = trust.bounds.exact()?.as_secs_f64();
    let known = high != Nanos::MAX && value > 0.0;
    known.then(|| high.saturating_sub(low).as_secs_f64() / 2.0 / value * 100.0)
}

/// With a star behind each quantile of which the client made too much.
fn starred(mut cells: Cells, verdict: &Verdict) -> Cells {
    for (cell, name) in cells.iter_mut().skip(2).zip(SHOWN) {
        if cell != NONE && verdict.trust.iter().any(|trust| trust.starred && trust.name == name) {
            cell.push('*');
        }
    }
    cells
}

/// One line per stage, where there is more than one: what was offered in it, and how that went.
fn stages(report: &Report, verdict: &Verdict, to: &mut dyn Write) -> io::Result<()> {
    let stages = report.timetable().and_then(load::stages).unwrap_or_default();
    if stages.len() < 2 {
        return Ok(());
    }
    let (step, mut begin) = (verdict.course.step, Nanos::ZERO);
    let warmup = report.plan.stop.warmup;
    for (number, stage) in (1..).zip(stages) {
        let end = begin + stage.length;
        let within = |index: u64| {
            let from = warmup + step.saturating_mul(index);
            begin <= from && from < end
        };
        let rows = (0..).zip(&verdict.course.steps).filter(|&(index, _)| within(index));
        let (mut latency, mut arrived, mut ok) = (Sparse::default(), 0, 0);
        let mut endless = 0;
        for (_, row) in rows {
            latency.merge(&row.latency);
            arrived += row.tally.arrived;
            ok += row.tally.ok;
            endless += row.tally.censored;
        }
        let at = |quantile: Quantile| {
            let value = latency.at_rank(quantile.rank(latency.total()));
            let bound = if endless > 0 { "≥" } else { "" };
            value.map_or(NONE.to_owned(), |value| format!("{bound}{value}"))
        };
        let rates = [stage.from, stage.to].map(|rate| per_time(rate.map_or(0.0, Rate::per_second)));
        let [from, last] = rates;
        let rate = if from == last { from } else { format!("{from} to {last}") };
        let (p50, p99) = (at(Quantile::P50), at(Quantile::P99));
        let label = format!("  stage {number}");
        line(to, &label, &format!("{rate}: {arrived} scheduled, {ok} ok, p50 {p50}, p99 {p99}"))?;
        begin = end;
    }
    Ok(())
}

/// The worst windows, which a whole run hides; as bounds where something in them did not end.
fn worst(verdict: &Verdict, to: &mut dyn Write) -> io::Result<()> {
    let course = &verdict.course;
    let bound = |from: Nanos, length: Nanos| {
        let place = |span: Nanos| usize::try_from(span.get() / course.step.get().max(1));
        let (from, count) = (place(from).unwrap_or(0), place(length).unwrap_or(0));
        let endless = course.steps.iter().skip(from).take(count).any(|s| s.tally.censored > 0);
        if endless { "≥" } else { "" }
    };
    for WorstWindow { length, p50, p99 } in &course.worst {
        let label = format!("  worst {}", seconds(*length));
        let (at50, at99) = (seconds(p50.0), seconds(p99.0));
        let (b50, b99) = (bound(p50.0, *length), bound(p99.0, *length));
        let (p50, p99) = (p50.1, p99.1);
        line(to, &label, &format!("p50 {b50}{p50} from {at50}   p99 {b99}{p99} from {at99}"))?;
    }
    Ok(())
}

/// A place in a run, to a tenth of a second where there are any.
fn seconds(span: Nanos) -> String {
    let tenths = span.get() / 100_000_000;
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} s"),
        (whole, tenth) => format!("{whole}.{tenth} s"),
    }
}
