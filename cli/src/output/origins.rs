//! The servers of a run that has several: what leads to each, and what became of it.

use std::io::{self, Write};

use pummel_engine::plan::{Means, Plan};
use pummel_engine::report::Report;
use pummel_engine::units::Nanos;
use serde::Serialize;

use super::{counted, text};

/// Most servers that a person is shown.
const SHOWN: usize = 10;

/// Most servers that are named in one line.
const NAMED: usize = 3;

/// A server of several, as JSON.
#[derive(Serialize)]
pub(super) struct Document<'r> {
    url: &'r str,
    addresses: Vec<String>,
    /// Null in the clear.
    sni: Option<&'r str>,
    /// `tunnel` or `forward`; null without a proxy.
    proxy: Option<&'static str>,
    connections: Connections,
    /// Sent from the start of the run on.
    requests: u64,
}

#[derive(Serialize)]
struct Connections {
    opened: u64,
    reconnects: u64,
    /// Attempts that failed at every address.
    failed: u64,
}

/// All of them; none where there is only one.
pub(super) fn documents(report: &Report) -> Vec<Document<'_>> {
    let plan = &report.plan;
    if plan.servers() == 1 {
        return Vec::new();
    }
    let mut reached = report.totals.origins.iter().copied();
    let all = plan.targets().zip(plan.ways()).map(|(target, (tls, proxy))| {
        let counts = reached.next().unwrap_or_default();
        Document {
            url: &target.url,
            addresses: target.addresses.all().iter().map(ToString::to_string).collect(),
            sni: tls.map(|tls| tls.server_name.as_str()),
            proxy: proxy.map(|proxy| match proxy.means {
                Means::Tunnel(_) => "tunnel",
                Means::Forward => "forward",
            }),
            connections: Connections {
                opened: counts.opened,
                reconnects: counts.reconnects,
                failed: counts.failed,
            },
            requests: counts.requests,
        }
    });
    all.collect()
}

/// A line for each, but not for very many.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let all = documents(report);
    for (number, one) in all.iter().enumerate().take(SHOWN) {
        let label = if number == 0 { "Hosts" } else { "" };
        let Connections { opened, reconnects, failed } = one.connections;
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let warm = report.plan.stop.warmup > Nanos::ZERO;
        let warm = if warm { " with warm-up" } else { "" };
        let requests = format!("{}{warm}", counted(one.requests, "request"));
        let connections = format!("{opened} opened, {reconnects} reopened{failed}");
        text::line(to, label, &format!("{}  {requests}; {connections}", one.url))?;
    }
    match all.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => text::line(to, "", &format!("and {more} more (--json has all)")),
    }
}

/// What is asked, in words: the only URL, or where there are several the first hosts, and how many
/// there are beside them.
pub(crate) fn named(plan: &Plan) -> String {
    if plan.work.requests().len() == 1 && plan.servers() == 1 {
        return plan.target.url.clone();
    }
    let named: Vec<&str> = hosts(plan).take(NAMED).collect();
    let more = match plan.servers().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}

/// The servers of a plan by number, as URLs without a path.
pub(super) fn hosts(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.targets().map(|target| host(&target.url))
}

/// Scheme and authority of a URL.
fn host(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(from..).unwrap_or_default();
    let end = rest.find(['/', '?', '#']).map_or(url.len(), |at| from + at);
    url.get(..end).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use core::num::{NonZeroU8, NonZeroU32};
    use std::sync::Arc;

    use pummel_engine::plan::{Load, Lookup, Origin, Scenario, Step, Target, Work};
    use pummel_engine::record::Reached;

    use super::*;
    use crate::output::tests::{plan, sample as report};

    #[test]
    fn each_of_several_servers_is_told_and_one_is_not() {
        let load = Load::Closed { pipeline: NonZeroU8::MIN, spawn: None };
        let mut report = report(load.clone());
        assert!(documents(&report).is_empty() && named(&report.plan) == report.plan.target.url);
        let mut plan = plan(load);
        let target = Target { url: "http://g/".to_owned(), ..plan.target.clone() };
        let other = Origin { target, tls: None, proxy: None, lookup: Lookup::Once };
        plan.others = vec![other; 12];
        report.plan = Arc::new(plan);
        report.totals.origins =
            vec![Reached { opened: 3, reconnects: 1, failed: 2, requests: 40 }, Reached::default()];
        let mut shown = Vec::new();
        write(&report, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), SHOWN + 1);
        let first = "/a  40 requests with warm-up; 3 opened, 1 reopened, 2 failed";
        assert!(lines[0].ends_with(first), "{shown}");
        let second = "http://g/  0 requests with warm-up; 0 opened, 0 reopened";
        assert!(lines[1].trim() == second, "{shown}");
        assert!(lines[SHOWN].ends_with("and 3 more (--json has all)"), "{shown}");
        assert_eq!(documents(&report).len(), 13);
        let all = "http://localhost:8080, http://g, http://g and 10 more";
        assert_eq!(named(&report.plan), all);
    }

    #[test]
    fn of_several_urls_of_one_host_the_host_is_named() {
        let mut plan = plan(Load::Closed { pipeline: NonZeroU8::MIN, spawn: None });
        let one = plan.work.requests()[0].clone();
        let step = |index| vec![Step::Request(index)];
        let scenario =
            |index| Scenario { name: String::new(), weight: NonZeroU32::MIN, steps: step(index) };
        plan.work = Work::new(vec![one.clone(), one], vec![scenario(0), scenario(1)]).unwrap();
        assert_eq!(named(&plan), "http://localhost:8080");
        for url in ["http://h?x", "http://h#x", "http://h/x://y"] {
            assert_eq!(host(url), "http://h");
        }
    }
}
