//! How the load changed while the run went on, in words and for JSON.

use core::num::NonZeroU32;
use std::io::{self, Write};

use pummel_engine::plan::Stages;
use pummel_engine::report::{Changed, Report, Turned};
use pummel_engine::units::{Nanos, Rate};
use serde::Serialize;

use super::text::line;
use super::{counted, load, per_time};

/// A change as JSON has it.
#[derive(Serialize)]
pub(super) struct Document {
    /// After the start of the run, of which the warm-up is the beginning.
    at_s: f64,
    /// `rate`, `connections` or `weights`.
    what: &'static str,
    from: String,
    to: String,
    /// How long the way took; 0 where it was a jump.
    over_s: f64,
}

/// The changes of a run, for JSON.
pub(super) fn documents(report: &Report) -> Vec<Document> {
    let scenarios = scenarios(report);
    let all = report.changes.list.iter().map(|changed| {
        let Words { what, from, to, over } = Words::of(changed, &scenarios);
        let (at_s, over_s) = (changed.at.as_secs_f64(), over.as_secs_f64());
        Document { at_s, what, from, to, over_s }
    });
    all.collect()
}

/// A line for each change, and nothing if there was none.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let (scenarios, mut label) = (scenarios(report), "Changes");
    for changed in &report.changes.list {
        line(to, label, &sentence(changed, &scenarios))?;
        label = "";
    }
    Ok(())
}

/// The names of the scenarios.
fn scenarios(report: &Report) -> Vec<&str> {
    report.plan.work.scenarios().iter().map(|scenario| scenario.name.as_str()).collect()
}

/// `at 12.3 s: rate 500/s → 800/s`, with the names of the `scenarios` whose weights change.
pub(crate) fn sentence(changed: &Changed, scenarios: &[impl AsRef<str>]) -> String {
    let Words { what, from, to, over } = Words::of(changed, scenarios);
    let over = if over > Nanos::ZERO { format!(" in {over}") } else { String::new() };
    format!("at {:.1} s: {what} {from} → {to}{over}", changed.at.as_secs_f64())
}

/// A change, taken apart.
struct Words {
    what: &'static str,
    from: String,
    to: String,
    over: Nanos,
}

impl Words {
    fn of(changed: &Changed, scenarios: &[impl AsRef<str>]) -> Self {
        match &changed.what {
            Turned::Rate { from, to, over } => {
                Self { what: "rate", from: rate(from), to: rate(to), over: *over }
            }
            Turned::Connections { from, to } => Self {
                what: "connections",
                from: from.to_string(),
                to: to.to_string(),
                over: Nanos::ZERO,
            },
            Turned::Weights { from, to } => Self {
                what: "weights",
                from: weights(from, scenarios),
                to: weights(to, scenarios),
                over: Nanos::ZERO,
            },
        }
    }
}

/// The only rate, or the range of several stages.
fn rate(stages: &Stages) -> String {
    if let Some(rate) = stages.only_rate() {
        return per_time(Rate::per_second(rate));
    }
    let count = counted(stages.all().len() as u64, "stage");
    format!("{count}, {}", load::range(stages))
}

/// The weights, with the names of the scenarios where they have some.
fn weights(weights: &[NonZeroU32], scenarios: &[impl AsRef<str>]) -> String {
    let words = weights.iter().zip(scenarios).map(|(weight, name)| match name.as_ref() {
        "" => weight.to_string(),
        name => format!("{name} {weight}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_engine::plan::Stage;
    use std::sync::Arc;

    fn stages(list: &[(u64, u64, u64)]) -> Stages {
        let rate = |count| Rate::new(count, Nanos::from_secs(1));
        let stage = |&(length, from, to): &(u64, u64, u64)| Stage {
            length: Nanos::from_secs(length),
            from: rate(from),
            to: rate(to),
        };
        Stages::new(list.iter().map(stage).collect()).unwrap()
    }

    #[track_caller]
    fn check(what: Turned, names: &[&str], expected: &str) {
        let changed = Changed { at: Nanos::from_millis(12_345), what };
        assert_eq!(sentence(&changed, names), format!("at 12.3 s: {expected}"));
    }

    #[test]
    fn a_change_is_a_sentence() {
        let count = |count| NonZeroU32::new(count).unwrap();
        let (one, many) = (stages(&[(1, 500, 500)]), stages(&[(5, 0, 800), (9, 800, 100)]));
        let (over, none) = (Nanos::from_secs(5), Nanos::ZERO);
        let rate = Turned::Rate { from: one.clone(), to: stages(&[(1, 800, 800)]), over: none };
        check(rate, &["a"], "rate 500/s → 800/s");
        let shaped = Turned::Rate { from: one, to: many, over };
        check(shaped, &["a"], "rate 500/s → 2 stages, 0/s to 800/s in 5.00 s");
        let connections = Turned::Connections { from: count(8), to: count(16) };
        check(connections, &["a"], "connections 8 → 16");
        let [from, to] = [[count(1), count(3)], [count(2), count(2)]].map(Arc::from);
        let weights = Turned::Weights { from, to };
        check(weights.clone(), &["browse", "buy"], "weights browse 1, buy 3 → browse 2, buy 2");
        check(weights, &["", ""], "weights 1, 3 → 2, 2");
    }
}
