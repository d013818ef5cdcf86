//! The servers of a run that has several: what leads to each, and what became of it.

use std::io::{self, Write};

use pummel_engine::plan::Means;
use pummel_engine::report::Report;
use serde::Serialize;

use super::{counted, text};

/// Most servers that a person is shown.
const SHOWN: usize = 10;

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
        let requests = counted(one.requests, "request");
        let connections = format!("{opened} opened, {reconnects} reopened{failed}");
        text::line(to, label, &format!("{}  {requests}; {connections}", one.url))?;
    }
    match all.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => text::line(to, "", &format!("and {more} more (--json has all)")),
    }
}

/// What is asked, in words: the only URL, or the first server and how many there are.
pub(crate) fn named(plan: &pummel_engine::plan::Plan) -> String {
    match plan.servers() {
        1 => plan.target.url.clone(),
        2 => format!("{} and 1 other host", plan.target.url),
        count => format!("{} and {} other hosts", plan.target.url, count - 1),
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU8;
    use std::sync::Arc;

    use pummel_engine::plan::{Load, Lookup, Origin, Target};
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
        assert!(lines[0].ends_with("/a  40 requests; 3 opened, 1 reopened, 2 failed"), "{shown}");
        assert!(lines[1].trim() == "http://g/  0 requests; 0 opened, 0 reopened", "{shown}");
        assert!(lines[SHOWN].ends_with("and 3 more (--json has all)"), "{shown}");
        assert_eq!(documents(&report).len(), 13);
        assert!(named(&report.plan).ends_with("/a and 12 other hosts"));
    }
}
