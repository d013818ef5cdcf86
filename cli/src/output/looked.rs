//! What was looked for in responses: a line for each check and each capture.

use std::collections::BTreeMap;
use std::io::{self, Write};

use pummel_engine::report::Report;
use serde::Serialize;

use super::text::line;

/// The answers to a check or a capture, in JSON.
#[derive(Serialize)]
pub(super) struct Document<'r> {
    /// The request that it belongs to.
    step: &'r str,
    name: String,
    held: u64,
    /// All that did not, those with a reason included.
    failed: u64,
    /// Why it could not be told, or there was no value.
    reasons: BTreeMap<&'static str, u64>,
}

/// All of them; none where nothing is looked for.
pub(super) fn documents(report: &Report) -> Vec<Document<'_>> {
    let all = report.plan.work.looked_for().into_iter().zip(&report.totals.looked);
    all.map(|((step, name), looked)| Document {
        step,
        name,
        held: looked.held,
        failed: looked.all_failed(),
        reasons: looked.reasons.iter().copied().collect(),
    })
    .collect()
}

/// Writes them for a person.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let all = documents(report);
    if all.is_empty() {
        return Ok(());
    }
    writeln!(to, "Checks")?;
    let several = report.plan.work.requests().len() > 1;
    for Document { step, name, held, failed, reasons } in all {
        let place = if several { format!("{step}: ") } else { String::new() };
        let mut why = reasons.iter().map(|(reason, count)| format!("{reason}: {count}"));
        let why = match why.next() {
            None => String::new(),
            Some(first) => format!(" ({})", why.fold(first, |all, one| format!("{all}, {one}"))),
        };
        let mark = if failed == 0 { "held" } else { "FAILED" };
        line(
            to,
            &format!("  {mark}"),
            &format!("{place}{name}: {held} held, {failed} failed{why}"),
        )?;
    }
    writeln!(to)
}
