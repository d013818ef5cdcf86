//! Values that were used before they were captured, and what to do about it.

use std::io::{self, Write};

use pummel_engine::record;
use pummel_engine::report::Report;
use serde::Serialize;

use super::counted;
use super::text;

/// Most steps that are named as those that may lack one value.
const NAMED_MAX: usize = 3;

/// A value that was, in JSON.
#[derive(Serialize)]
pub(super) struct Document<'r> {
    name: &'r str,
    /// Requests with an empty text in its place.
    requests: u64,
    /// Times that a condition compared the empty text.
    conditions: u64,
}

/// All of them; none where every value was captured before it was used.
pub(super) fn documents(report: &Report) -> Vec<Document<'_>> {
    let all = all(report).map(|(_, name, unset)| Document {
        name,
        requests: unset.requests,
        conditions: unset.conditions,
    });
    all.collect()
}

/// Number, name and counts of each.
fn all(report: &Report) -> impl Iterator<Item = (u16, &str, record::Unset)> {
    let variables = (0..).zip(report.plan.work.variables());
    let all = variables.zip(&report.totals.unset).filter(|(_, unset)| !unset.is_none());
    all.map(|((number, variable), unset)| (number, variable.name.as_str(), *unset))
}

/// Writes them for a person, with the remedy.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let mut label = "Not captured";
    for said in sentences(report) {
        text::joined(to, label, " ", said.split(' ').map(str::to_owned))?;
        label = "";
    }
    Ok(())
}

/// What is said of each.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let sentence = |(number, name, unset): (u16, &str, record::Unset)| {
        let uses = [(unset.requests, "request"), (unset.conditions, "comparison")];
        let uses = uses.into_iter().filter(|(count, _)| *count > 0);
        let uses: Vec<String> = uses.map(|(count, thing)| counted(count, thing)).collect();
        let steps = steps_with(report, number);
        let there = if steps.is_empty() { "there" } else { &steps };
        format!(
            "{{{{{name}}}}} was empty in {}: capture it on every way to {there}, or ask first \
             whether it is there: if = \"{{{{{name}}}}}\"",
            uses.join(" and ")
        )
    };
    all(report).map(sentence).collect()
}

/// The names of the steps that may lack the value with this number.
fn steps_with(report: &Report, number: u16) -> String {
    let work = &report.plan.work;
    let unsure = work.unsure().requests;
    let mut names = Vec::new();
    for (asking, values) in work.requests().iter().zip(&unsure) {
        let name = format!("\"{}\"", asking.name);
        if values.contains(&number) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > NAMED_MAX {
        let more = names.len() - NAMED_MAX;
        names.truncate(NAMED_MAX);
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
