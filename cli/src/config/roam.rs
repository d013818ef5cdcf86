//! Which servers a URL may lead to whose server is made of values, as far as that is known before
//! the run: of `choice` and `random` all that may come of them, of a feed all that its rows have.
//!
//! A run resolves and connects to its servers before it begins, so those of other values have to be
//! named.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use pummel_engine::plan::{Source, Variable};
use pummel_proto_http::{Text, Values};

use super::feeds::Feeds;
use super::file::{Fault, File, Node};
use super::scenario;
use super::servers::Servers;
use super::target;
use crate::exit::Failure;
use crate::output::stderr::once;

/// Most servers that values make that come from no feed.
const OUTCOMES_MAX: i128 = 64;

/// What is said of a run whose servers nobody knows.
pub(super) const UNKNOWN: &str = "which hosts this run has is only known while it runs; name those \
                                  that it may have, as --allow-host http://localhost:8080";

/// Why it cannot be said where a URL leads.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A row leads to what is no server.
    Row(Fault),
    Reason(Error),
}

impl Refusal {
    /// The same as the error of a run with this file.
    pub(super) fn failure(self, file: Option<&File>) -> Failure {
        match (self, file) {
            (Self::Row(fault), Some(file)) => file.failure(&fault),
            // Rows are a file's.
            (Self::Row(fault), None) => Failure::usage(anyhow!(fault.what)),
            (Self::Reason(reason), _) => Failure::usage(reason),
        }
    }

    /// The same as the error of what stands at `node`.
    pub(super) fn fault(self, node: &Node) -> Fault {
        match self {
            Self::Row(fault) => fault,
            Self::Reason(reason) => node.because(&reason),
        }
    }
}

impl From<Error> for Refusal {
    fn from(reason: Error) -> Self {
        Self::Reason(reason)
    }
}

/// The beginnings of URLs that were looked at so far, and of each whether its servers are known.
#[derive(Default)]
pub(super) struct Gathered(HashMap<Text, bool>);

impl Gathered {
    /// Adds the servers to `all` that a URL may lead to which begins with `base`; says whether
    /// these are all of them, as far as its feed's file is looked at. O(rows) the first time that
    /// a URL begins so, and O(bytes) then.
    ///
    /// # Errors
    /// If one is none, or there are too many.
    pub(super) fn add(
        &mut self,
        base: &Text,
        values: (&[Variable], &Feeds),
        all: &mut Servers,
    ) -> Result<bool, Refusal> {
        if let Some(known) = self.0.get(base) {
            return Ok(*known);
        }
        let known = gather(base, values, all)?;
        self.0.insert(base.clone(), known);
        Ok(known)
    }
}

/// What a URL is made of, beside text.
#[derive(Default)]
struct Parts {
    /// By number, what may come of a value.
    choices: Vec<(u16, Vec<Vec<u8>>)>,
    /// The feed of all columns.
    feed: Option<u16>,
    /// By number, the column of a value.
    columns: Vec<(u16, usize)>,
}

/// The same for a beginning that is looked at for the first time.
fn gather(
    base: &Text,
    (variables, feeds): (&[Variable], &Feeds),
    all: &mut Servers,
) -> Result<bool, Refusal> {
    let Some(parts) = Parts::of(base, variables)? else { return Ok(false) };
    let mut seen = HashSet::new();
    let mut take = |row: &[Vec<u8>]| {
        parts.take(base, row, &mut |url| {
            let origin = scenario::origin(url);
            if !seen.contains(origin) {
                add(origin, all)?;
                seen.insert(origin.to_owned());
            }
            Ok(())
        })
    };
    match parts.feed {
        None => take(&[])?,
        Some(feed) => feeds
            .look(feed, |row| {
                let taken = take(row).context("has a host that cannot be asked");
                taken.map_err(|error| once(&error))
            })
            .map_err(Refusal::Row)?,
    }
    Ok(true)
}

/// Adds a server.
fn add(origin: &str, all: &mut Servers) -> Result<()> {
    let server = target::parse(origin)?;
    ensure!(server.socket.is_none(), "values make no socket; give a URL of http or https");
    all.number(&server).map(drop)
}

impl Parts {
    /// Those of `base`; none if some of them are not known before the run.
    fn of(base: &Text, variables: &[Variable]) -> Result<Option<Self>> {
        let (mut parts, mut outcomes) = (Self::default(), 1_i128);
        for number in base.values().collect::<BTreeSet<_>>() {
            let variable = variables.get(usize::from(number));
            let count = match variable.map(|variable| &variable.source) {
                Some(Source::Choice(options)) => i128::try_from(options.len())?,
                Some(Source::Random { from, to }) => i128::from(*to) - i128::from(*from) + 1,
                Some(Source::Fed { feed, column }) => {
                    if parts.feed.is_some_and(|other| other != *feed) {
                        bail!(
                            "its host is made of two feeds; put both values into the rows of one"
                        );
                    }
                    parts.feed = Some(*feed);
                    parts.columns.push((number, usize::from(*column)));
                    1
                }
                _ => return Ok(None),
            };
            outcomes = outcomes.saturating_mul(count);
            ensure!(
                outcomes <= OUTCOMES_MAX,
                "its host may be one of {outcomes} and more, and {OUTCOMES_MAX} is the most that \
                 values make; give fewer, or the rows of a feed"
            );
            let options = match variable.map(|variable| &variable.source) {
                Some(Source::Choice(options)) => options.clone(),
                Some(Source::Random { from, to }) => {
                    (*from..=*to).map(|number| number.to_string().into_bytes()).collect()
                }
                _ => continue,
            };
            parts.choices.push((number, options));
        }
        Ok(Some(parts))
    }

    /// Has `each` take all that may come of `base` with the values of this row.
    fn take(
        &self,
        base: &Text,
        row: &[Vec<u8>],
        each: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let fed =
            self.columns.iter().filter_map(|(number, column)| Some((*number, row.get(*column)?)));
        let mut chosen = Chosen(fed.map(|(number, value)| (number, &value[..])).collect());
        let outcomes: usize = self.choices.iter().map(|(_, options)| options.len()).product();
        let mut made = Vec::new();
        for mut outcome in 0..outcomes {
            for (number, options) in &self.choices {
                let option = options.get(outcome % options.len().max(1));
                chosen.0.insert(*number, option.map_or(&[], Vec::as_slice));
                outcome /= options.len().max(1);
            }
            made.clear();
            base.fill(&chosen, &mut made);
            each(&String::from_utf8_lossy(&made))?;
        }
        Ok(())
    }
}

/// Values by number.
struct Chosen<'v>(BTreeMap<u16, &'v [u8]>);

impl Values for Chosen<'_> {
    fn value(&self, number: u16) -> &[u8] {
        self.0.get(&number).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use pummel_proto_http::{Escape, Slot};

    use super::super::file::from_text;
    use super::super::scenario::{Meaning, Scope, Variables};
    use super::super::target::TargetUrl;
    use super::*;

    const SITES: &str = "name,port,url\na,1,http://a:1/x/y\nb,2,HTTPS://b/?q\nA,1,a:1\n";

    /// The servers of a URL with this base, and whether they are all, beside a feed `sites`.
    fn of(base: &str) -> Result<(Vec<String>, bool), String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sites.csv"), SITES).unwrap();
        fs::write(folder.path().join("bad.csv"), "url\nh\nftp://h\n").unwrap();
        let toml = "[feeds.sites]\nfile = \"sites.csv\"\n[feeds.bad]\nfile = \"bad.csv\"\n";
        let file = from_text("p.toml", toml).unwrap();
        let feeds = Feeds::read(&file.root, folder.path(), 1).unwrap();
        let (mut variables, scope) = (Variables::new(feeds), Scope::default());
        let base = Meaning { variables: &mut variables, scope: &scope }.text(base).unwrap();
        let (variables, feeds) = variables.into_parts();
        let mut all = Servers::default();
        match gather(&base, (&variables, &feeds), &mut all) {
            Ok(known) => Ok((all.into_all().iter().map(TargetUrl::origin).collect(), known)),
            Err(Refusal::Row(fault)) => Err(file.remark(&fault)),
            Err(Refusal::Reason(reason)) => Err(once(&reason)),
        }
    }

    #[track_caller]
    fn check(base: &str, servers: &[&str], known: bool) {
        let servers = servers.iter().map(|&server| server.to_owned()).collect();
        assert_eq!(of(base), Ok((servers, known)), "{base}");
    }

    #[test]
    fn all_that_may_come_of_values_is_known_and_each_server_is_there_once() {
        check("http://{{choice(a,b:80,A,b)}}", &["http://a", "http://b:80"], true);
        check(
            "{{choice(http,https)}}://h:{{random(8000,8001)}}",
            &["http://h:8000", "https://h:8000", "http://h:8001", "https://h:8001"],
            true,
        );
        check("{{choice('http://a/x','b?y#z')}}", &["http://a", "http://b"], true);
        check("http://{{choice(a,b)}}.{{choice(a,b)}}", &["http://a.a", "http://b.b"], true);
        check("http://h", &["http://h"], true);
    }

    #[test]
    fn rows_of_a_feed_make_servers_together() {
        check("http://{{sites.name}}:{{sites.port}}", &["http://a:1", "http://b:2"], true);
        check("{{sites.url}}", &["http://a:1", "https://b"], true);
        check(
            "http://{{sites.name}}{{choice(1,2)}}",
            &["http://a1", "http://a2", "http://b1", "http://b2"],
            true,
        );
    }

    #[test]
    fn what_is_made_during_the_run_is_not_known() {
        check("http://{{uuid}}", &[], false);
        check("http://h{{seq}}:{{choice(1,2)}}", &[], false);
    }

    #[test]
    fn what_is_no_server_or_too_many_is_refused() {
        for (base, said) in [
            ("http://h:{{random(1,65)}}", "its host may be one of 65 and more, and 64 is the most"),
            (
                "http://h:{{random(-9223372036854775808,9223372036854775807)}}",
                "its host may be one of 18446744073709551616 and more",
            ),
            (
                "http://h:{{random(0,1)}}",
                "target \"http://h:0\": port \"0\" is not a number from 1",
            ),
            ("{{choice(ftp://a,b)}}", "target \"ftp://a\": unknown scheme \"ftp\""),
            ("{{choice(unix:/a,b)}}", "target \"unix:\""),
            ("http://{{sites.name}}:{{bad.url}}", "its host is made of two feeds; put both"),
            (
                "{{bad.url}}",
                "p.toml:4:8: feeds.bad.file names a file that cannot be used: bad.csv:3: it has a \
                 host that cannot be asked: target \"ftp://h\": unknown scheme",
            ),
        ] {
            let found = of(base).unwrap_err();
            assert!(found.starts_with(said), "{found}\nexpected {said}");
        }
    }

    #[test]
    fn what_a_beginning_leads_to_is_gathered_once() {
        let (mut variables, scope) = (Variables::default(), Scope::default());
        let mut meaning = Meaning { variables: &mut variables, scope: &scope };
        let bases = ["{{choice(a,b)}}", "http://{{choice(a,b)}}"];
        let bases = bases.map(|base| meaning.text(base).unwrap());
        let (variables, feeds) = variables.into_parts();
        let (mut gathered, mut all) = (Gathered::default(), Servers::default());
        let mut add = |base, variables| gathered.add(base, (variables, &feeds), &mut all).unwrap();
        assert!(add(&bases[0], &variables[..]));
        // Whoever looks again finds no such values.
        assert_eq!((add(&bases[0], &[]), add(&bases[1], &[])), (true, false));
    }

    #[test]
    fn a_template_of_one_value_is_that_value() {
        let mut base = Text::default();
        base.push_slot(Slot { value: 7, escape: Escape::Plain });
        let (mut all, feeds) = (Servers::default(), Feeds::default());
        assert!(matches!(gather(&base, (&[], &feeds), &mut all), Ok(false)));
        assert!(Path::new("").as_os_str().is_empty() && all.into_all().is_empty());
    }
}
