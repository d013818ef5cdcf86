//! Thresholds on paper: a line each for a person, a row each for JSON.

use std::io::{self, Write};

use pummel_engine::record::Bounds;
use pummel_engine::units::Nanos;

use super::judgement::lines;
use super::schema::{Amount as Number, Threshold};
use super::table::shown;
use super::text::{COLUMNS, bytes, line};
use crate::config::threshold::{Amount, Demand};
use crate::threshold::{Few, Finding, Found, Kept};

/// Widest column of thresholds; a longer one has a line of its own.
const WIDTH_MAX: usize = 32;

/// Columns up to the first word behind PASS or FAIL.
const AFTER_WORD: usize = 8;

/// Writes a line per threshold and an empty one, or nothing if there is none.
pub(super) fn write(findings: &[Finding<'_>], to: &mut dyn Write) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let crossed = findings.iter().filter(|finding| !finding.passed()).count();
    let sum = match crossed {
        0 => format!("{} kept", findings.len()),
        crossed => format!("{crossed} of {} not kept", findings.len()),
    };
    line(to, "Thresholds:", &sum)?;
    let expressions: Vec<String> = findings.iter().map(|of| legal(&expression(of))).collect();
    let widths = expressions.iter().map(|text| text.chars().count());
    let width = widths.filter(|&width| width <= WIDTH_MAX).max().unwrap_or(0);
    for (finding, expression) in findings.iter().zip(&expressions) {
        let word = if finding.passed() { "PASS" } else { "FAIL" };
        let mut beginning = format!("  {word}  {expression:<width$}  ");
        if expression.chars().count() > width {
            line(to, beginning.trim_end(), "")?;
            beginning = " ".repeat(AFTER_WORD);
        }
        let columns = beginning.chars().count();
        for part in lines(&said(finding), COLUMNS - columns) {
            writeln!(to, "{beginning}{part}")?;
            beginning = " ".repeat(columns);
        }
    }
    writeln!(to)
}

/// What was found, and why that is not enough, where it is not plain.
fn said(finding: &Finding<'_>) -> String {
    let found = match finding.found {
        Found::Nothing(_) => None,
        _ => Some(format!("found {}", found(finding))),
    };
    let remark = reason(finding).filter(|_| finding.outcome != Kept::Crossed);
    found.into_iter().chain(remark).collect::<Vec<_>>().join("; ")
}

/// The threshold as it would be typed.
pub(super) fn expression(finding: &Finding<'_>) -> String {
    finding.threshold.to_string()
}

/// Without characters that end a line, or that XML has no place for.
pub(super) fn legal(text: &str) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if odd(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// What was found, in words.
pub(super) fn found(finding: &Finding<'_>) -> String {
    match finding.found {
        Found::Time { bounds, few } => time(bounds, few, finding.threshold.demand),
        Found::Count(count) => count.to_string(),
        Found::Share { count, of } => {
            let percent = share(count, of) * 100.0;
            format!("{percent:.3} % ({count} of {of})")
        }
        Found::Rate(rate) => format!("{rate:.2}/s"),
        Found::Bytes(count) => format!("{} ({count} B)", bytes(count)),
        Found::Nothing(_) => "nothing".to_owned(),
    }
}

fn time(bounds: Bounds, few: Option<Few>, demand: Demand) -> String {
    let mut said = shown(bounds);
    // Three digits may hide which side of the limit it is on.
    if let (Some(value), Demand::Time(_, _, limit)) = (bounds.exact(), demand)
        && value != limit
        && said == limit.to_string()
    {
        said = format!("{said} ({} ns)", value.get());
    }
    if let Some(Few { values, needed }) = few {
        said = format!("{said} (of {values} values; {needed} are needed)");
    }
    said
}

/// Why it has not passed, in words; none if it has.
pub(super) fn reason(finding: &Finding<'_>) -> Option<String> {
    match (finding.outcome, finding.found) {
        (Kept::Yes, _) => None,
        (Kept::Crossed, _) => Some(format!("crossed: found {}", found(finding))),
        (Kept::Open, _) => {
            Some("not known to be kept: requests without an end leave it open".to_owned())
        }
        (Kept::Nothing, Found::Nothing(what)) => Some(format!("nothing to measure: {what}")),
        (Kept::Nothing, _) => Some("nothing to measure".to_owned()),
        (Kept::Invalid, _) => Some("the verdict is INVALID: such numbers keep nothing".to_owned()),
    }
}

/// The row in JSON.
pub(super) fn row<'t>(finding: &Finding<'t>) -> Threshold<'t> {
    let threshold = finding.threshold;
    let (unit, limit) = limit(threshold.demand);
    let (value, at_most, exact) = value(finding.found);
    Threshold {
        expr: threshold.to_string(),
        step: threshold.step.as_deref(),
        name: &threshold.name,
        op: threshold.op.sign(),
        unit,
        limit,
        value,
        at_most,
        exact,
        passed: finding.passed(),
        reason: reason(finding),
    }
}

fn limit(demand: Demand) -> (&'static str, Number) {
    match demand {
        Demand::Time(_, _, limit) => ("ns", Number::Count(limit.get())),
        Demand::Outcomes(_, Amount::Count(limit)) => ("requests", Number::Count(limit)),
        Demand::Outcomes(_, Amount::Share { parts, whole }) => {
            ("share", Number::Share(share(parts, whole)))
        }
        Demand::Rate(_, limit) => ("per_s", Number::Share(limit)),
        Demand::Bytes(_, limit) => ("bytes", Number::Count(limit)),
    }
}

/// The value, its upper bound if it is a lower one, and whether it is none.
fn value(found: Found) -> (Option<Number>, Option<Number>, bool) {
    let whole = |value: Nanos| Some(Number::Count(value.get()));
    match found {
        Found::Time { bounds, .. } => match bounds.exact() {
            Some(value) => (whole(value), None, true),
            None => (whole(bounds.lo), bounds.hi.and_then(whole), false),
        },
        Found::Count(count) | Found::Bytes(count) => (Some(Number::Count(count)), None, true),
        Found::Share { count, of } => (Some(Number::Share(share(count, of))), None, true),
        Found::Rate(rate) => (Some(Number::Share(rate)), None, true),
        Found::Nothing(_) => (None, None, false),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for display")]
fn share(parts: u64, of: u64) -> f64 {
    parts as f64 / of as f64
}

#[cfg(test)]
mod tests {
    use pummel_engine::report::Report;
    use pummel_engine::verdict::Status;

    use super::super::tests::{closed, sample};
    use super::*;
    use crate::args;
    use crate::config::Config;
    use crate::config::threshold::Threshold as Typed;
    use crate::threshold::judge;

    fn typed(texts: &[&str]) -> Vec<Typed> {
        let flags: Vec<String> = texts.iter().map(|text| format!(" --fail-if={text}")).collect();
        let words = args::words(&format!("p http://h{}", flags.concat()));
        Config::understand(&words.run).unwrap().thresholds
    }

    fn judged(report: &Report, text: &str) -> (bool, String) {
        let thresholds = typed(&[text]);
        let findings = judge(&thresholds, report, Status::Pass);
        (findings[0].passed(), format!("{} | {:?}", found(&findings[0]), reason(&findings[0])))
    }

    #[track_caller]
    fn check(report: &Report, text: &str, passed: bool, words: &str) {
        let (found, said) = judged(report, text);
        assert!(found == passed && said.contains(words), "{text}: {found} {said}");
    }

    /// The sample has 99 good responses of 10 µs to 990 µs, one failure of 1 ms, two errors of
    /// 500 µs and 600 µs, and three that had no end after 1 s.
    #[test]
    fn each_name_is_the_number_that_the_report_has() {
        let report = sample(closed());
        check(&report, "min>9us", false, "10.0 µs");
        check(&report, "min>10us", true, "10.0 µs");
        check(&report, "p50<400us", true, "5");
        check(&report, "p50>600us", true, "");
        check(&report, "p50>400us", false, "crossed: found 5");
        check(&report, "ttfb.max>=900us", false, "900 µs");
        check(&report, "ttfb.max>900us", true, "900 µs");
        check(&report, "errors>=2", false, "crossed: found 2");
        check(&report, "errors>2", true, "2");
        check(&report, "errors>1.9%", false, "1.905 % (2 of 105)");
        check(&report, "errors>1.91%", true, "1.905 % (2 of 105)");
        check(&report, "failures>0", false, "found 1");
        check(&report, "timeouts>0", true, "0");
        check(&report, "dropped>0", true, "0");
        check(&report, "unfinished>2", false, "found 3");
        check(&report, "rate<50.1", false, "50.00/s");
        check(&report, "rate<50", true, "50.00/s");
        check(&report, "goodput<50", false, "49.50/s");
        check(&report, "bytes.sent>12kB", false, "12.3 kB (12345 B)");
        check(&report, "bytes.received>1.3MB", true, "1.2 MB (1234567 B)");
    }

    #[test]
    fn a_bound_crosses_what_it_is_beyond_and_keeps_only_what_it_cannot_cross() {
        let report = sample(closed());
        // Of 105, the 104th had no end after 1 s.
        check(&report, "p99>900ms", false, "crossed: found ≥1.00 s");
        check(&report, "p99>2s", false, "not known to be kept");
        check(&report, "p99<2s", false, "not known to be kept");
        check(&report, "p99<900ms", true, "≥1.00 s");
        check(&report, "max>900ms", false, "crossed");
        check(&report, "max>1h", false, "not known to be kept");
        check(&report, "mean>1ms", false, "crossed: found ≥");
        check(&report, "mean>1s", false, "not known to be kept");
        check(&report, "p90>2s", true, "");
    }

    #[test]
    fn where_there_is_nothing_to_measure_nothing_is_kept_and_the_reason_is_said() {
        let report = sample(closed());
        check(
            &report,
            "connect.p99>1s",
            false,
            "nothing to measure: no connection was established",
        );
        let thresholds = typed(&["connect.p99>1s"]);
        let findings = judge(&thresholds, &report, Status::Pass);
        let row = serde_json::to_value(row(&findings[0])).unwrap();
        assert!(row["value"].is_null() && row["passed"] == false, "{row}");
        let mut empty = report;
        empty.totals.ledger = pummel_engine::record::Ledger::default();
        empty.window = Nanos::ZERO;
        check(&empty, "errors>1%", false, "no request was scheduled");
        check(&empty, "errors>1", false, "no request was scheduled");
        check(&empty, "rate>1", false, "the window has no length");
    }

    #[test]
    fn numbers_of_an_invalid_run_keep_nothing() {
        let (report, thresholds) = (sample(closed()), typed(&["errors>50", "errors>1"]));
        let findings = judge(&thresholds, &report, Status::Invalid);
        assert!(findings.iter().all(|finding| !finding.passed()));
        assert!(reason(&findings[0]).unwrap().contains("INVALID"));
        assert!(reason(&findings[1]).unwrap().contains("crossed"));
        let suspect = judge(&thresholds, &report, Status::Suspect);
        assert!(suspect[0].passed() && !suspect[1].passed());
    }

    #[test]
    fn too_few_values_and_a_value_that_rounds_to_its_limit_are_told() {
        let mut report = sample(closed());
        report.totals.latency.clear();
        report.totals.latency.responses(Nanos::new(20_000_001), 200, true, 1);
        check(&report, "max>20ms", false, "20.0 ms (20000001 ns)");
        check(&report, "p99>30ms", true, "(of 1 values; 368 are needed)");
    }

    #[test]
    fn the_text_has_a_line_per_threshold() {
        let report = sample(closed());
        let long = "a_step_whose_name_is_long_and_not_there:p99>1s";
        let thresholds = typed(&["p99>900ms", "errors>5%", "connect.p50>1s", "max>1h", long]);
        let findings = judge(&thresholds, &report, Status::Pass);
        let mut text = Vec::new();
        write(&findings, &mut text).unwrap();
        let expected = "\
Thresholds:    4 of 5 not kept
  FAIL  p99>900ms       found ≥1.00 s (of 105 values; 368 are needed)
  PASS  errors>5%       found 1.905 % (2 of 105)
  FAIL  connect.p50>1s  nothing to measure: no connection was established
  FAIL  max>1h          found ≥1.00 s; not known to be kept: requests without an end leave it open
  FAIL  a_step_whose_name_is_long_and_not_there:p99>1s
        nothing to measure: the step is not kept apart

";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        let mut none = Vec::new();
        write(&[], &mut none).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn json_has_the_limit_and_the_value_in_one_unit() {
        let report = sample(closed());
        let of = |text: &str| {
            let thresholds = typed(&[text]);
            let findings = judge(&thresholds, &report, Status::Pass);
            serde_json::to_value(row(&findings[0])).unwrap()
        };
        let times = of("p99.90>=900ms");
        assert_eq!((&times["expr"], &times["name"]), (&"p99.9>=900ms".into(), &"p99.9".into()));
        assert_eq!((&times["op"], &times["unit"]), (&">=".into(), &"ns".into()));
        assert_eq!((&times["limit"], &times["exact"]), (&900_000_000.into(), &false.into()));
        assert!(times["value"].as_u64().unwrap() >= 1_000_000_000 && times["at_most"].is_null());
        let share = of("errors>0.5%");
        assert_eq!((&share["limit"], &share["unit"]), (&0.005.into(), &"share".into()));
        assert_eq!(share["value"], 2.0 / 105.0);
        let kept = of("errors>10");
        assert_eq!((&kept["value"], &kept["passed"]), (&2.into(), &true.into()));
        assert!(kept["reason"].is_null() && kept["exact"] == true);
    }
}
