//! What became of redirects, where they are followed, and of values that lead to no host of the
//! run.

use std::collections::BTreeMap;
use std::io::{self, Write};

use pummel_engine::record::{Cause, Trouble, Unfollowed};
use pummel_engine::report::Report;
use serde::Serialize;

use super::text;

/// All of it, as JSON.
#[derive(Serialize)]
pub(super) struct Document {
    /// Requests that were sent beyond the first of each.
    followed: u64,
    /// Those that stand as the response, and are failures, by reason.
    not_followed: BTreeMap<&'static str, u64>,
}

/// Null where none are followed.
pub(super) fn document(report: &Report) -> Option<Document> {
    let redirects = &report.totals.redirects;
    report.plan.work.redirects().then(|| Document {
        followed: redirects.followed,
        not_followed: redirects.unfollowed().map(|(why, count)| (why.name(), count)).collect(),
    })
}

/// A host that redirects or values led to and that is none of the run, if there was one.
pub(super) fn other_host(report: &Report) -> Option<String> {
    let name = String::from_utf8_lossy(report.totals.redirects.other_host());
    (!name.is_empty()).then(|| name.into_owned())
}

/// How many requests values led to no host of the run.
fn nowhere(report: &Report) -> Option<u64> {
    let rows = report.totals.errors.rows();
    let led =
        |(trouble, count): &(Trouble, u64)| (trouble.cause == Cause::OtherHost).then_some(*count);
    rows.iter().find_map(led)
}

/// Writes it for a person, with what to do about it.
pub(super) fn write(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    if !report.plan.work.redirects() {
        return Ok(());
    }
    let redirects = &report.totals.redirects;
    text::line(to, "Redirects", &format!("{} followed", redirects.followed))?;
    for (why, count) in redirects.unfollowed().filter(|&(_, count)| count > 0) {
        let other_host = other_host(report).filter(|_| why == Unfollowed::OtherHost);
        let said = match other_host {
            // Which of both led there is not known.
            Some(_) if nowhere(report).is_some() => "another host".to_owned(),
            Some(host) => format!("another host; --allow-host {host} allows it"),
            None => words(why).to_owned(),
        };
        text::line(to, "", &format!("{count} not followed: {said}"))?;
    }
    Ok(())
}

/// Writes what to do about requests whose values led to no host of the run, if there were some.
pub(super) fn write_nowhere(report: &Report, to: &mut dyn Write) -> io::Result<()> {
    let (Some(count), Some(host)) = (nowhere(report), other_host(report)) else {
        return Ok(());
    };
    let led = format!("{count} led by values to another host");
    let is_redirected = |(why, count)| why == Unfollowed::OtherHost && count > 0;
    if report.totals.redirects.unfollowed().any(is_redirected) {
        text::line(to, "", &led)?;
        let said = format!("--allow-host {host} allows one that values or redirects led to");
        return text::line(to, "", &said);
    }
    text::line(to, "", &format!("{led}; --allow-host {host} allows it"))
}

/// Why a redirect was not followed.
pub(super) const fn words(why: Unfollowed) -> &'static str {
    match why {
        Unfollowed::Limit => "as many were followed as may be",
        Unfollowed::NoLocation => "no Location says where to",
        Unfollowed::Malformed => "Location is no URL that can be asked for",
        Unfollowed::OtherHost => "Location names a host that is not one of the run",
    }
}
