//! How many requests a run completed, read from what each tool itself prints.
//!
//! A tool's word is taken for its count, but not for success: any request that failed or was not
//! answered with 2xx makes a [`Tally`] an error, because work left undone is cheap.

use benches::bare_loop::LoopReport;
use serde_json::Value;

/// Requests that were completed, all of them well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tally(pub(crate) u64);

/// Why an output counts for nothing.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum TallyError {
    /// The output is not what this tool printed when the parser was written.
    #[error("find {0} in the output")]
    Missing(&'static str),
    /// The tool counted requests that went wrong.
    #[error("complete every request: {count} {what}")]
    Unwell {
        /// How many requests.
        count: u64,
        /// What became of them, in the tool's words.
        what: String,
    },
}

/// Reads the JSON document of `pummel --json`.
pub(crate) fn pummel(output: &str) -> Result<Tally, TallyError> {
    let document: Value =
        serde_json::from_str(output).map_err(|_| TallyError::Missing("a JSON document"))?;
    let count = |name| document.get("counts")?.get(name)?.as_u64();
    for name in ["failed", "errors", "timeouts", "dropped", "unfinished"] {
        well(count(name).ok_or(TallyError::Missing("every count"))?, name)?;
    }
    count("ok").map(Tally).ok_or(TallyError::Missing("counts.ok"))
}

/// Reads the one line of a bare loop, which ends with an error when any request does.
pub(crate) fn bare_loop(output: &str) -> Result<Tally, TallyError> {
    serde_json::from_str::<LoopReport>(output)
        .map(|report| Tally(report.requests))
        .map_err(|_| TallyError::Missing("the report"))
}

/// Reads wrk's summary: `59569 requests in 1.10s, 9.15MB read`.
pub(crate) fn wrk(output: &str) -> Result<Tally, TallyError> {
    for line in output.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            well(number(rest).unwrap_or(1), "non-2xx or 3xx responses")?;
        }
        // Printed only when one of its four numbers is above zero.
        if let Some(rest) = line.strip_prefix("Socket errors: ") {
            let count = rest.split([' ', ',']).filter_map(number).sum::<u64>();
            well(count, &format!("socket errors: {rest}"))?;
        }
    }
    output
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ").and_then(|(n, _)| number(n)))
        .map(Tally)
        .ok_or(TallyError::Missing("`requests in`"))
}

/// Reads h2load's summary: `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, …`.
pub(crate) fn h2load(output: &str) -> Result<Tally, TallyError> {
    let requests = after(output, "requests: ").ok_or(TallyError::Missing("`requests:`"))?;
    for what in ["failed", "errored", "timeout"] {
        well(labelled(requests, what)?, what)?;
    }
    let statuses = after(output, "status codes: ").ok_or(TallyError::Missing("`status codes`"))?;
    for what in ["3xx", "4xx", "5xx"] {
        well(labelled(statuses, what)?, what)?;
    }
    labelled(requests, "succeeded").map(Tally)
}

/// Reads ab's summary: `Complete requests: 9`, `Failed requests: 0`.
pub(crate) fn ab(output: &str) -> Result<Tally, TallyError> {
    let count = |name| after(output, name).and_then(number);
    let failed = count("Failed requests:").ok_or(TallyError::Missing("`Failed requests`"))?;
    well(failed, "failed")?;
    // Printed only when there are some.
    well(count("Non-2xx responses:").unwrap_or(0), "non-2xx")?;
    count("Complete requests:").map(Tally).ok_or(TallyError::Missing("`Complete requests`"))
}

/// Reads hey's status codes, `[200] 9 responses`, and its `Error distribution`.
pub(crate) fn hey(output: &str) -> Result<Tally, TallyError> {
    let mut completed = 0;
    let mut errors = false;
    for line in output.lines().map(str::trim) {
        errors |= line.starts_with("Error distribution");
        let Some((label, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']'))
        else {
            continue;
        };
        match (errors, rest.split_whitespace().next().and_then(number)) {
            (true, _) => well(number(label).unwrap_or(1), rest.trim())?,
            (false, Some(count)) if label.starts_with('2') => completed += count,
            (false, count) => well(count.unwrap_or(1), label)?,
        }
    }
    if completed == 0 {
        return Err(TallyError::Missing("a status code"));
    }
    Ok(Tally(completed))
}

/// Reads oha's JSON: `statusCodeDistribution` and `errorDistribution`.
pub(crate) fn oha(output: &str) -> Result<Tally, TallyError> {
    let document: Value =
        serde_json::from_str(output).map_err(|_| TallyError::Missing("a JSON document"))?;
    let object = |name| document.get(name)?.as_object();
    for (what, count) in object("errorDistribution").into_iter().flatten() {
        well(count.as_u64().unwrap_or(1), what)?;
    }
    let mut completed = 0;
    let statuses = object("statusCodeDistribution");
    for (status, count) in statuses.ok_or(TallyError::Missing("statusCodeDistribution"))? {
        let count = count.as_u64().ok_or(TallyError::Missing("a count"))?;
        if !status.starts_with('2') {
            well(count, status)?;
        }
        completed += count;
    }
    Ok(Tally(completed))
}

/// An error when requests went wrong.
fn well(count: u64, what: &str) -> Result<(), TallyError> {
    if count == 0 {
        return Ok(());
    }
    Err(TallyError::Unwell { count, what: what.to_owned() })
}

/// The rest of the first line that starts with `label`.
fn after<'a>(output: &'a str, label: &str) -> Option<&'a str> {
    output.lines().find_map(|line| line.trim().strip_prefix(label))
}

/// The number before `label` in a list like `9 total, 9 done`.
fn labelled(list: &str, label: &'static str) -> Result<u64, TallyError> {
    list.split(", ")
        .find_map(|entry| entry.trim().strip_suffix(label).and_then(number))
        .ok_or(TallyError::Missing(label))
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_unwell(result: Result<Tally, TallyError>, expected: u64) {
        match result {
            Err(TallyError::Unwell { count, .. }) => assert_eq!(count, expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_empty_output_counts_for_nothing() {
        for tally in [pummel, bare_loop, wrk, h2load, ab, hey, oha] {
            assert!(matches!(tally(""), Err(TallyError::Missing(_))));
        }
    }

    #[test]
    fn pummel_counts_what_was_ok() {
        let counts = r#"{"counts":{"scheduled":9,"ok":9,"failed":0,"errors":0,"timeouts":0,
            "dropped":0,"unfinished":0}}"#;
        assert_eq!(pummel(counts), Ok(Tally(9)));
        check_unwell(pummel(&counts.replace("\"timeouts\":0", "\"timeouts\":2")), 2);
        assert!(pummel(&counts.replace("\"errors\":0,", "")).is_err());
    }

    #[test]
    fn a_bare_loop_reports_its_requests() {
        let line = r#"{"requests":7,"seconds":0.1,"cpu_user_us":1,"cpu_sys_us":2,
            "us_per_request":0.4}"#;
        assert_eq!(bare_loop(line), Ok(Tally(7)));
    }

    #[test]
    fn wrk_counts_requests_and_socket_errors() {
        let good = "Running 1s test\n  59569 requests in 1.10s, 9.15MB read\nRequests/sec: 1\n";
        assert_eq!(wrk(good), Ok(Tally(59_569)));
        let errors = "  Socket errors: connect 0, read 3, write 0, timeout 4\n";
        check_unwell(wrk(&format!("{good}{errors}")), 7);
        check_unwell(wrk(&format!("{good}  Non-2xx or 3xx responses: 5\n")), 5);
    }

    #[test]
    fn h2load_counts_successes_of_the_second_hundred() {
        let good = "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, \
            0 timeout\nstatus codes: 9 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        assert_eq!(h2load(good), Ok(Tally(9)));
        check_unwell(h2load(&good.replace("0 errored", "1 errored")), 1);
        check_unwell(h2load(&good.replace("9 2xx, 0 3xx", "0 2xx, 9 3xx")), 9);
    }

    #[test]
    fn ab_counts_complete_requests() {
        let good = "Complete requests:      1000\nFailed requests:        0\n";
        assert_eq!(ab(good), Ok(Tally(1000)));
        check_unwell(ab(&format!("{good}Non-2xx responses:      1000\n")), 1000);
        check_unwell(ab(&good.replace("        0", "        4")), 4);
    }

    #[test]
    fn hey_counts_status_codes_and_errors() {
        let good = "Status code distribution:\n  [200]\t1000 responses\n";
        assert_eq!(hey(good), Ok(Tally(1000)));
        check_unwell(hey(&good.replace("200", "503")), 1000);
        check_unwell(hey(&format!("{good}\nError distribution:\n  [8]\tGet: refused\n")), 8);
    }

    #[test]
    fn oha_counts_status_codes_and_errors() {
        let good = r#"{"statusCodeDistribution":{"200":9},"errorDistribution":{}}"#;
        assert_eq!(oha(good), Ok(Tally(9)));
        check_unwell(oha(&good.replace("200", "500")), 9);
        check_unwell(oha(&good.replace(":{}", r#":{"connection closed":3}"#)), 3);
    }
}
