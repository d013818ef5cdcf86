//! The verdict for a person: one line per question, the reasons, and what to do next.

use std::io::{self, Write};

use pummel_engine::record::Quantile;
use pummel_engine::report::Report;
use pummel_engine::statistics::trend::Stability;
use pummel_engine::verdict::{Axis, Limitation, Status, Verdict};

use super::text::line;

/// Width of the names of the axes.
const NAME: usize = 16;

/// Writes the verdict, the last thing in a report.
pub(super) fn write(report: &Report, verdict: &Verdict, to: &mut dyn Write) -> io::Result<()> {
    line(to, "Verdict:", &verdict.status.name().to_uppercase())?;
    for axis in Axis::ALL {
        let status = verdict.of_axis(axis).name().to_uppercase();
        let facts = match axis {
            Axis::Delivery => delivery(report, verdict),
            Axis::Client => client(report),
            Axis::Statistics => statistics(report, verdict),
        };
        row(to, axis.name(), &format!("{status:<8} {facts}"))?;
        for reason in verdict.reasons.iter().filter(|reason| reason.axis == axis) {
            let code = if reason.status == Status::Invalid { "invalid" } else { "suspect" };
            wrapped(to, &format!("{code}: {}: {}", reason.code, reason.message))?;
        }
    }
    if let Some(target) = target(verdict) {
        row(to, "target", &target)?;
    }
    for note in &verdict.notes {
        row(to, "note", &note.message)?;
    }
    match verdict.reasons.first() {
        Some(reason) => row(to, "next step", reason.remedy),
        None => Ok(()),
    }
}

fn row(to: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    let mut name = format!("  {name:<NAME$}");
    for part in lines(text, super::text::COLUMNS - name.chars().count()) {
        writeln!(to, "{}", format!("{name}{part}").trim_end())?;
        name = " ".repeat(name.chars().count());
    }
    Ok(())
}

fn wrapped(to: &mut dyn Write, text: &str) -> io::Result<()> {
    row(to, "", text)
}

/// `text` in lines of at most `width` columns, cut between words.
pub(super) fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(last) = lines.last_mut() else { continue };
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn delivery(report: &Report, verdict: &Verdict) -> String {
    let delivery = &verdict.delivery;
    let (sent, all) = (delivery.sent_in_window, delivery.scheduled);
    let lag = &report.totals.parts.loop_lag;
    let astray = match delivery.astray {
        0 => String::new(),
        count => format!(", {count} led to no host of the run"),
    };
    if lag.is_empty() {
        return format!("{sent} of {all} sent{astray}");
    }
    let back = match delivery.limitation {
        Some(Limitation::Server { .. } | Limitation::Stops { .. }) if sent < all => {
            ", the target held back the rest"
        }
        _ => "",
    };
    let sent = format!("{sent} of {all} sent in the window{back}{astray}");
    let (p99, max) = (lag.quantile(Quantile::P99), lag.max());
    format!("{sent}, loop lag {p99} at p99, {max} at most")
}

fn client(report: &Report) -> String {
    let busiest = report.shards.iter().map(|shard| shard.busiest.max(shard.busy));
    let busiest = busiest.fold(0.0, f64::max) * 100.0;
    let burst = report.totals.oddities.longest_burst;
    let burst = if report.plan.load.is_open() && burst > 1 {
        format!(", at most {burst} sends in a row")
    } else {
        String::new()
    };
    format!("busiest shard {busiest:.0} % of a second{burst}")
}

fn statistics(report: &Report, verdict: &Verdict) -> String {
    let steady = match verdict.course.steady_from() {
        None if !report.changes.list.is_empty() => "the load changed".to_owned(),
        Some(from) => format!("steady from {:.1} s", from.as_secs_f64()),
        None => "no steady state found".to_owned(),
    };
    let needs = verdict.trust.iter().find(|trust| trust.interval.is_none());
    let needs = needs.map(|trust| format!("{} n/a (needs {})", dotted(trust.name), trust.needs));
    let parts: Vec<String> = core::iter::once(steady).chain(needs).collect();
    parts.join(", ")
}

/// `p99.9` for `p99_9`.
fn dotted(name: &str) -> String {
    name.replace('_', ".")
}

/// What the run says about the target: no fault of the run, whatever it is.
fn target(verdict: &Verdict) -> Option<String> {
    if let Stability::Unstable { growth_per_s, backlog } = verdict.course.stability
        && verdict.blames_target()
    {
        return Some(format!(
            "UNSTABLE: it takes less than is offered; {backlog:.0} requests waited at the end, \
             {growth_per_s:.0} more each second"
        ));
    }
    match verdict.delivery.limitation {
        Some(Limitation::Server { light, mean }) => Some(format!(
            "saturated: it answers in {mean} on average, and under light use in {light}"
        )),
        Some(Limitation::Stops { longest }) => Some(format!(
            "slots waited because it stood still now and then; it took up to {longest} to answer"
        )),
        Some(Limitation::Connections { .. }) | None => None,
    }
}
