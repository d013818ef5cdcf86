//! What was taken from feeds, and what was waited for.

use std::io::{self, Write};

use pummel_engine::report::Report;
use serde::Serialize;

use super::counted;
use super::text::line;

/// A feed, in JSON.
#[derive(Serialize)]
pub(super) struct Document<'r> {
    name: &'r str,
    /// Rows that users began with.
    rows: u64,
    /// Whether a shard had no more rows.
    ended: bool,
    /// Users that waited for a row, and how long.
    starved: u64,
    starved_ns: u64,
    starved_max_ns: u64,
}

/// All of them; none where there is no feed.
pub(super) fn documents(report: &Report) -> Vec<Document<'_>> {
    let all = report.plan.work.feeds().iter().zip(&report.totals.fed);
    all.map(|(feed, fed)| Document {
        name: &feed.name,
        rows: fed.rows,
        ended: fed.ended > 0,
        starved: fed.starved,
        starved_ns: fed.waited.get(),
        starved_max_ns: fed.waited_longest.get(),
    })
    .collect()
}

/// Says that the run ended with a feed, if it did.
pub(super) fn ending(report: &Report) -> Option<String> {
    let mut ended = documents(report).into_iter().filter(|feed| feed.ended);
    let name = ended.next()?.name;
    Some(format!("with the feed {name}, which has no more rows"))
}

/// Writes them for a person.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    for (feed, fed) in report.plan.work.feeds().iter().zip(&report.totals.fed) {
        let ended = if fed.ended > 0 { ", and no more were left" } else { "" };
        let starved = match fed.starved {
            0 => String::new(),
            starved => format!(
                "; {} waited for a row: {} in total, {} at most",
                counted(starved, "user"),
                fed.waited,
                fed.waited_longest
            ),
        };
        let rows = counted(fed.rows, "row");
        line(to, "Feed", &format!("{}: {rows} used{ended}{starved}", feed.name))?;
    }
    Ok(())
}
