//! The result of a comparison: medians with their spread, as Markdown or JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{case::Case, machine::Machine, measure::Run, server::Server, tools::Absent};

/// All that a comparison found out.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// Where and when.
    pub(crate) machine: Machine,
    /// What was loaded.
    pub(crate) server: Server,
    /// What was spoken.
    pub(crate) case: Case,
    /// Connections at a time.
    pub(crate) connections: u64,
    /// Requests in flight on each connection of HTTP/1.1.
    pub(crate) pipeline: u64,
    /// Requests in flight on each connection of HTTP/2.
    pub(crate) streams: u64,
    /// Requests of each run, for tools that count.
    pub(crate) requests: u64,
    /// Seconds of each run, for tools that do not.
    pub(crate) seconds: u64,
    /// The core of the contenders.
    pub(crate) client_core: usize,
    /// Runs of each contender, taken in turns.
    pub(crate) rounds: u32,
    /// Who took part, in the order of the table.
    pub(crate) rows: Vec<Row>,
    /// Who could not take part.
    pub(crate) absent: Vec<Absent>,
}

/// One contender's runs.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) label: String,
    /// What it says about its version.
    pub(crate) version: Option<String>,
    /// The command of every run.
    pub(crate) command: String,
    /// What the runs that went well have in common; absent if none did.
    pub(crate) summary: Option<Summary>,
    /// The runs that went well, in order.
    pub(crate) runs: Vec<Run>,
    /// The runs that did not.
    pub(crate) failures: Vec<Failure>,
}

/// A run that left work undone.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    /// Its round, from 1.
    pub(crate) round: u32,
    /// What went wrong.
    pub(crate) reason: String,
}

/// The figures of a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// CPU time per request, user and system, in µs.
    pub(crate) cpu_us: Spread,
    /// The part of it in user space.
    pub(crate) user_us: Spread,
    /// Requests per second of wall time.
    pub(crate) rate: Spread,
    /// Peak resident memory in MiB.
    pub(crate) peak_rss_mib: Spread,
}

/// Median and extremes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The middle value, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// The smallest value.
    pub(crate) min: f64,
    /// The largest value.
    pub(crate) max: f64,
}

impl Spread {
    /// Returns the spread of some values; `None` of none.
    #[must_use]
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

impl Summary {
    /// Returns the figures of some runs; `None` of none.
    #[must_use]
    pub(crate) fn of(runs: &[Run]) -> Option<Self> {
        let spread = |figure: fn(&Run) -> f64| Spread::of(runs.iter().map(figure));
        Some(Self {
            cpu_us: spread(Run::cpu_us)?,
            user_us: spread(Run::user_us)?,
            rate: spread(Run::rate)?,
            peak_rss_mib: spread(Run::peak_rss_mib)?,
        })
    }
}

impl Comparison {
    /// Returns the comparison as a section for `RESULTS.md`.
    #[must_use]
    pub(crate) fn markdown(&self) -> String {
        let mut text = self.heading();
        let reference = self.case.reference();
        text += &header(reference);
        text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        let reference = self.rows.iter().find(|row| row.label == reference);
        let reference = reference.and_then(|row| row.summary.as_ref());
        for row in &self.rows {
            text += &row.markdown(reference, self.rounds);
        }
        text + &self.remarks()
    }

    /// Machine, server, work and command: what a reader needs to doubt or repeat the numbers.
    fn heading(&self) -> String {
        let Self { machine, server, case, connections, pipeline, streams, .. } = self;
        let date = machine.date.split('T').next().unwrap_or_default();
        let depth = match (case.is_http2(), *pipeline) {
            (true, _) if *streams == 1 => " of one stream".to_owned(),
            (true, _) => format!(" × {streams} streams"),
            (false, 1) => String::new(),
            (false, _) => format!(", pipeline {pipeline}"),
        };
        let server_core = server.core.map_or("a core unknown".to_owned(), |c| format!("core {c}"));
        format!(
            "## {date}, commit {commit}: {title}, {name}, {connections} \
             connections{depth}\n\n\
             {cpu}, {cores} cores allowed, Linux {kernel}; server on {server_core}, clients on \
             core {client_core}; rounds in turns: {rounds}; {requests} requests per run \
             ({seconds} s for wrk).\n\n    {command}\n\n",
            commit = machine.commit,
            title = case.title(),
            name = server.name,
            cpu = machine.cpu,
            cores = machine.cores.len(),
            kernel = machine.kernel,
            client_core = self.client_core,
            rounds = self.rounds,
            requests = self.requests,
            seconds = self.seconds,
            command = machine.command,
        )
    }

    /// Failures, absences and versions.
    fn remarks(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for Failure { round, reason } in &row.failures {
                _ = write!(text, "\n- **{}, round {round}, failed**: {reason}", row.label);
            }
        }
        for Absent { label, reason } in &self.absent {
            _ = write!(text, "\n- {label}: not compared, {reason}");
        }
        for (label, version) in self
            .rows
            .iter()
            .filter_map(|row| row.version.as_ref().map(|version| (&row.label, version)))
        {
            _ = write!(text, "\n- {label}: {version}");
        }
        text
    }
}

impl Row {
    /// The row as a line of the table; only a contender without a good run has no figures.
    fn markdown(&self, reference: Option<&Summary>, rounds: u32) -> String {
        let Self { label, runs, .. } = self;
        let runs = runs.len();
        let Some(Summary { cpu_us, user_us, rate, peak_rss_mib }) = &self.summary else {
            return format!("| {label} | failed | | | | | | | | | {runs}/{rounds} |\n");
        };
        let cpu_ratio = ratio(cpu_us, reference.map(|summary| &summary.cpu_us));
        let rate_ratio = ratio(rate, reference.map(|summary| &summary.rate));
        format!(
            "| {label} | {:.2} | {:.2}–{:.2} | {:.2} | {cpu_ratio} | {:.0} | {:.0}–{:.0} \
             | {rate_ratio} | {:.1} | {:.1}–{:.1} | {runs}/{rounds} |\n",
            cpu_us.median,
            cpu_us.min,
            cpu_us.max,
            user_us.median,
            rate.median,
            rate.min,
            rate.max,
            peak_rss_mib.median,
            peak_rss_mib.min,
            peak_rss_mib.max,
        )
    }
}

/// The first line of the table.
fn header(reference: &str) -> String {
    format!(
        "| client | CPU µs/request | min–max | user | × {reference} \
         | requests/s | min–max | × {reference} | peak MiB | min–max | runs |\n"
    )
}

/// The ratio of two medians, as text; a dash when there is nothing to compare to.
fn ratio(spread: &Spread, reference: Option<&Spread>) -> String {
    reference
        .map_or("–".to_owned(), |reference| format!("{:.2}", spread.median / reference.median))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{Cost, End};

    fn run(requests: u64, cpu_user_us: u64) -> Run {
        let cost = Cost {
            end: End::Exited(0),
            seconds: 2.0,
            cpu_user_us,
            cpu_sys_us: 300,
            peak_rss_kib: 3072,
        };
        Run { requests: requests.try_into().unwrap(), cost }
    }

    fn row(label: &str, runs: Vec<Run>) -> Row {
        Row {
            label: label.to_owned(),
            version: None,
            command: String::new(),
            summary: Summary::of(&runs),
            runs,
            failures: vec![Failure { round: 2, reason: "exit code 1".to_owned() }],
        }
    }

    #[test]
    fn an_even_number_of_values_has_its_median_between_them() {
        let spread = Spread::of([4.0, 1.0, 2.0, 8.0].into_iter()).unwrap();
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 8.0 });
        assert_eq!(Spread::of([].into_iter()), None);
    }

    #[test]
    fn figures_are_per_request_and_per_second() {
        let summary = Summary::of(&[run(100, 200)]).unwrap();
        let medians = [summary.cpu_us, summary.user_us, summary.rate, summary.peak_rss_mib]
            .map(|spread| format!("{:.1}", spread.median));
        assert_eq!(medians, ["5.0", "2.0", "50.0", "3.0"]);
    }

    #[test]
    fn a_row_is_compared_to_the_median_of_the_reference() {
        let reference = Summary::of(&[run(100, 700)]);
        let line = row("ours", vec![run(100, 200)]).markdown(reference.as_ref(), 5);
        assert_eq!(
            line,
            "| ours | 5.00 | 5.00–5.00 | 2.00 | 0.50 | 50 | 50–50 | 1.00 | 3.0 | 3.0–3.0 | 1/5 |\n"
        );
    }

    #[test]
    fn a_contender_without_a_good_run_keeps_its_row() {
        let line = row("theirs", Vec::new()).markdown(None, 5);
        assert!(line.starts_with("| theirs | failed |"), "{line}");
    }

    #[test]
    fn every_line_of_the_table_has_the_same_cells() {
        let header = header("wrk");
        for line in
            [row("a", Vec::new()).markdown(None, 5), row("a", vec![run(1, 1)]).markdown(None, 5)]
        {
            assert_eq!(line.matches('|').count(), header.matches('|').count(), "{line}");
        }
    }
}
