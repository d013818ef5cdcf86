//! Scenarios of a file: what is asked for, in which order, and what is put into it.
//!
//! `scenario` is one, `scenarios` are several by name of which each user goes through one, chosen
//! by weight; `targets` are requests by weight, which is the same with one step each. In the place
//! of weights they may have rates.

mod blocks;
mod body;
mod captured;
mod condition;
mod date;
mod look;
mod rates;
mod step;
mod template;

pub(super) use rates::rates;

use core::num::NonZeroU32;
use core::ops::Range;

use pummel_engine::plan::{Scenario, Work};
use pummel_engine::units::Nanos;

use self::step::Builder;
use self::template::Name;
pub(super) use self::template::{FUNCTIONS, Meaning, Scope, Variables};
use super::feeds::Feeds;
use super::file::{Entry, Fault, File, Node};
use super::request::Common;
use super::target::TargetUrl;
use super::urls::Aim;
use crate::args::Quoted;

/// Keys of a scenario.
const SCENARIO: [&str; 14] = [
    "schema_version",
    "weight",
    "rate",
    "base_url",
    "method",
    "headers",
    "basic_auth",
    "data",
    "data_file",
    "json",
    "form",
    "redirect",
    "vars",
    "steps",
];

/// The only version of scenarios that there is.
const VERSION: u64 = 1;

/// The URL that the scenarios of a file are about, if it says so.
///
/// # Errors
/// If it is no text.
pub(super) fn base(root: &Node) -> Result<Option<String>, Fault> {
    let Some(scenario) = scenarios(root)?.into_iter().next() else { return first_target(root) };
    let mut names = step::names(scenario.get("vars")?)?;
    let feeds = Part(root).get("feeds")?;
    if let Some(base) = scenario.get("base_url")? {
        return known((base, feeds), base.text()?, names).map(Some);
    }
    let steps = scenario.get("steps")?;
    let Some(first) = steps.and_then(|steps| steps.list().ok()?.first()) else { return Ok(None) };
    let Some(url) = Part(first).get("url")? else { return Ok(None) };
    names.extend(step::names(Part(first).get("vars")?)?);
    known((url, feeds), origin(url.text()?), names).map(Some)
}

/// What `text` of `node` is, with the values of `names` put in; as it stands if it has values that
/// are not known before the run, rows of `feeds` among them.
fn known(
    (node, feeds): (&Node, Option<&Node>),
    text: &str,
    names: Vec<Name>,
) -> Result<String, Fault> {
    let (mut values, scope) = (Variables::default(), Scope { names, step: 1 });
    match (Meaning { variables: &mut values, scope: &scope }).known(text) {
        Ok(known) => Ok(known.unwrap_or_else(|| text.to_owned())),
        Err(_) if is_fed(feeds, text)? => Ok(text.to_owned()),
        Err(said) => Err(node.fault(&said.to_string())),
    }
}

/// Whether a template names one of `feeds`, as far as can be seen.
fn is_fed(feeds: Option<&Node>, text: &str) -> Result<bool, Fault> {
    let Some(feeds) = feeds else { return Ok(false) };
    Ok(feeds.any_table()?.entries().any(|entry| text.contains(&entry.key)))
}

fn first_target(root: &Node) -> Result<Option<String>, Fault> {
    let Some(targets) = Part(root).get("targets")? else { return Ok(None) };
    let Some(first) = targets.list()?.first() else { return Ok(None) };
    let url = Part(first).get("url")?.map(Node::text).transpose()?;
    Ok(url.map(|url| origin(url).to_owned()))
}

/// Whether a scenario or a target leads to a server that is secured, as far as can be seen.
pub(super) fn is_secured(root: &Node) -> bool {
    let secured = |text: &str| {
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        let varies = scheme.contains("{{") || text.starts_with("{{");
        ["https", "h2"].iter().any(|one| one.eq_ignore_ascii_case(scheme)) || varies
    };
    let is = |part: Part<'_>, key: &str| part.text(key).ok().flatten().is_some_and(secured);
    let list = |part: Part<'_>, key: &str| {
        let list = part.get(key).ok().flatten().and_then(|list| list.list().ok());
        list.unwrap_or_default().iter().any(|one| is(Part(one), "url"))
    };
    let scenarios = scenarios(root).unwrap_or_default();
    let any = scenarios.into_iter().any(|part| is(part, "base_url") || list(part, "steps"));
    any || list(Part(root), "targets")
}

/// Scheme and authority of a URL; what stands between braces is a part of either or of neither.
pub(super) fn origin(url: &str) -> &str {
    let plain = veiled(url);
    let host = plain.find("://").map_or(0, |at| at + 3);
    let rest = plain.get(host..).unwrap_or_default();
    let end = rest.find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or(url)
}

/// A template of as many bytes, in which what stands between braces is made unreadable.
pub(super) fn veiled(template: &str) -> String {
    let (mut plain, mut rest) = (String::with_capacity(template.len()), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((within, behind)) = after.split_once("}}") else { break };
        plain.push_str(before);
        plain.extend(core::iter::repeat_n('x', within.len() + 4));
        rest = behind;
    }
    plain + rest
}

/// The first section of a file that says what is asked for, if there is one.
pub(super) fn section(root: &Node) -> Option<&'static str> {
    let table = root.any_table().ok()?;
    ["scenario", "scenarios", "targets"].into_iter().find(|key| table.get(key).is_some())
}

/// What is said of a file whose scenarios or targets nobody can find, as none has a URL.
pub(super) fn unaimed(root: &Node) -> Option<Fault> {
    if let Some(first) = scenarios(root).ok()?.first() {
        return Some(first.0.fault("leads nowhere; give it a base_url, or url beside it"));
    }
    let targets = Part(root).get("targets").ok()??;
    Some(targets.fault("lead nowhere; give the first one a url, or url beside them"))
}

/// What beside the one scenario of a file is not done, if there is something: strest keeps it for
/// those who control a run from elsewhere.
pub(super) fn left_aside(root: &Node) -> Option<Fault> {
    let table = root.any_table().ok()?;
    let several = table.get("scenario").and(table.get("scenarios"))?;
    Some(several.fault("is left aside beside scenario, which is done"))
}

/// The work that the scenarios or targets of a file make, if it has some, and the servers that its
/// requests name by number.
///
/// `common` is what goes for each of their requests; `target` is where they go that do not say it;
/// `epoch` is the Unix time at the origin of the engine's clock.
///
/// # Errors
/// What makes no sense, with its place.
pub(super) fn work(
    file: &File,
    common: &Common<'_>,
    target: &Aim,
    epoch: Nanos,
) -> Result<Option<(Work, Vec<TargetUrl>)>, Fault> {
    let root = &file.root;
    let scenarios = scenarios(root)?;
    let targets = Part(root).get("targets")?;
    let Some(at) = scenarios.first().map(|part| part.0).or(targets) else { return Ok(None) };
    let feeds = Feeds::read(root, file.folder(), common.args.machine.seed)?;
    let mut builder = Builder::new(common, target, file.folder(), feeds);
    if let (Some(targets), Some(_)) = (targets, scenarios.first()) {
        return Err(targets.fault("does not go with scenarios; give one of them"));
    }
    let mut all = Vec::new();
    for part in scenarios.iter().copied() {
        all.push(scenario(part, &mut builder)?);
        captured::ensure_seen(part, file)?;
    }
    for target in targets.map(Node::list).transpose()?.unwrap_or_default() {
        let weight = weight(Part(target))?;
        let steps = builder.target(target)?;
        all.push(Scenario { name: String::new(), weight, steps });
    }
    if all.is_empty() {
        return Err(at.fault("is empty; give at least one"));
    }
    let rated = rates(root)?.map_or_else(Vec::new, |rates| rates.weights);
    all.iter_mut().zip(rated).for_each(|(scenario, weight)| scenario.weight = weight);
    let ((requests, logic, (variables, feeds), servers), places) = builder.into_parts()?;
    let feeds = feeds.into_used()?;
    let work = Work::with_logic(requests, all, logic)
        .and_then(|work| work.with_variables(variables, epoch))
        .and_then(|work| work.with_feeds(feeds));
    let work = work.map_err(|error| at.fault(&format!("cannot be done: {error}")))?;
    captured::ensure(&work, &places, file)?;
    Ok(Some((work, servers)))
}

#[cfg(test)]
mod tests;

/// A table whose keys are known elsewhere.
#[derive(Clone, Copy)]
struct Part<'n>(&'n Node);

impl<'n> Part<'n> {
    fn get(self, key: &str) -> Result<Option<&'n Node>, Fault> {
        Ok(self.0.any_table()?.get(key))
    }

    fn text(self, key: &str) -> Result<Option<&'n str>, Fault> {
        self.get(key)?.map(Node::text).transpose()
    }
}

/// The scenarios of a file: the one by itself, or those with names.
fn scenarios(root: &Node) -> Result<Vec<Part<'_>>, Fault> {
    if let Some(only) = Part(root).get("scenario")? {
        only.table(&SCENARIO)?;
        return Ok(vec![Part(only)]);
    }
    let Some(several) = Part(root).get("scenarios")? else { return Ok(Vec::new()) };
    let entries = several.any_table()?.entries();
    entries.map(|entry| entry.node.table(&SCENARIO).map(|_| Part(&entry.node))).collect()
}

fn scenario(part: Part<'_>, builder: &mut Builder<'_>) -> Result<Scenario, Fault> {
    if let Some(version) = part.get("schema_version")?
        && version.integer()? != VERSION
    {
        return Err(version.fault("is of another version of scenarios; there is 1 only"));
    }
    let name = part.0.path.strip_prefix("scenarios.").unwrap_or_default();
    let weight = weight(part)?;
    let Some(steps) = part.get("steps")? else {
        return Err(part.0.fault("has no steps; give at least one, as [[scenario.steps]]"));
    };
    let all = builder.steps(part, name, steps)?;
    let scenario = Scenario { name: name.to_owned(), weight, steps: all };
    let checked = builder.check(&scenario);
    checked.map_err(|error| steps.fault(&format!("cannot be done: {error}")))?;
    Ok(scenario)
}

/// What scenarios, targets and feeds consist of beside their weights and rates: each key with its
/// value as it was written, and where it stands.
///
/// # Errors
/// If a section is of another kind.
pub(super) fn written(root: &Node) -> Result<Vec<(String, String, Range<usize>)>, Fault> {
    let targets = Part(root).get("targets")?.map(Node::list).transpose()?.unwrap_or_default();
    let mut all = Vec::new();
    let feeds = Part(root).get("feeds")?.map(Part);
    let shared = scenarios(root)?.into_iter().chain(targets.iter().map(Part));
    // A feed may be called like a key that is live.
    for (part, live) in shared.map(|part| (part, true)).chain(feeds.map(|part| (part, false))) {
        let fixed = |entry: &&Entry| !(live && ["weight", "rate"].contains(&entry.key.as_str()));
        let entries = part.0.any_table()?.entries().filter(fixed);
        all.extend(
            entries.map(|Entry { node, .. }| (node.path.clone(), node.shown(), node.span.clone())),
        );
    }
    Ok(all)
}

fn weight(part: Part<'_>) -> Result<NonZeroU32, Fault> {
    let Some(node) = part.get("weight")? else { return Ok(NonZeroU32::MIN) };
    let weight = u32::try_from(node.integer()?).ok().and_then(NonZeroU32::new);
    weight.ok_or_else(|| {
        let typed = node.shown();
        node.fault(&format!("is {}; give a whole number from 1 on", Quoted(&typed)))
    })
}
