//! Values that were used before they were captured, and what to do about it.

use std::collections::HashSet;
use std::io::{self, Write};

use pummel_engine::plan::{Unsure, Work};
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
    let work = &report.plan.work;
    let mut all = all(report).peekable();
    // Most runs lack nothing.
    let unsure = all.peek().map(|_| work.unsure()).unwrap_or_default();
    all.map(|(number, name, unset)| {
        let steps = if unset.requests > 0 { steps_with(work, &unsure, number) } else { Vec::new() };
        sentence(name, unset, steps)
    })
    .collect()
}

/// What is said of the value with this name, which `steps` may lack: what to do about the requests.
/// A condition that compares it first is ordinary, and no step's fault.
fn sentence(name: &str, unset: record::Unset, mut steps: Vec<String>) -> String {
    let mut said = Vec::new();
    if unset.requests > 0 {
        if steps.len() > NAMED_MAX {
            let more = steps.len() - NAMED_MAX;
            steps.truncate(NAMED_MAX);
            steps.push(format!("{more} more"));
        }
        let there = if steps.is_empty() { "there".to_owned() } else { steps.join(", ") };
        said.push(format!(
            "in {}: capture it on every way to {there}, or ask first whether it is there: \
             if = \"{{{{{name}}}}}\"",
            counted(unset.requests, "request")
        ));
    }
    if unset.conditions > 0 {
        said.push(format!(
            "in {} of a condition, as is ordinary before the first pass of a loop that captures it",
            counted(unset.conditions, "comparison")
        ));
    }
    format!("{{{{{name}}}}} was empty {}", said.join("; and "))
}

/// The names of the steps that may lack the value with this number, each once.
fn steps_with(work: &Work, unsure: &Unsure, number: u16) -> Vec<String> {
    let mut known = HashSet::new();
    let all = work.requests().iter().zip(&unsure.requests);
    let lacking = all.filter(|(_, values)| values.contains(&number));
    let names = lacking.map(|(asking, _)| asking.name.as_str());
    names.filter(|name| known.insert(*name)).map(|name| format!("\"{name}\"")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(requests: u64, conditions: u64, steps: &[&str]) -> String {
        let steps = steps.iter().map(|step| (*step).to_owned()).collect();
        sentence("t", record::Unset { requests, conditions }, steps)
    }

    #[test]
    fn requests_are_told_with_the_remedy_and_comparisons_without_blame() {
        let ordinary = "of a condition, as is ordinary before the first pass of a loop that \
                        captures it";
        assert_eq!(of(0, 1, &[]), format!("{{{{t}}}} was empty in 1 comparison {ordinary}"));
        let remedy = "or ask first whether it is there: if = \"{{t}}\"";
        let said = format!(
            "{{{{t}}}} was empty in 2 requests: capture it on every way to a, b, c, 1 more, \
             {remedy}; and in 3 comparisons {ordinary}"
        );
        assert_eq!(of(2, 3, &["a", "b", "c", "d"]), said);
        let said = "{{t}} was empty in 1 request: capture it on every way to there, ";
        assert_eq!(of(1, 0, &[]), said.to_owned() + remedy);
    }
}
