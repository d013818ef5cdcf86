//! What is left aside, because it is for another run than this one.

use pummel_proto_http::Scheme;

use super::{Setting, Settings, listed};
use crate::config::file::File;
use crate::config::keys::{Key, Scope};
use crate::config::scenario;
use crate::config::urls::Spelling;

/// Keys that make a schedule, beside bursts.
const RATES: [&str; 4] = ["rate", "rpm", "stage", "load"];

impl Settings<'_> {
    /// Leaves out what is for other runs, with a remark for each reason.
    pub(super) fn leave_aside(&mut self) {
        let of_scenarios = |file: &File| matches!(scenario::rates(&file.root), Ok(Some(_)));
        let rated = RATES.iter().any(|name| self.gives(name));
        let rated = rated || self.file.as_ref().is_some_and(of_scenarios);
        // First, because bursts that go make no schedule.
        if rated {
            self.leave(Scope::Bursts, "left aside: a rate says how many requests start");
        }
        if rated || self.gives("burst_delay") {
            self.leave(Scope::Closed, "left aside: connections join in without a schedule only");
        } else {
            self.leave(Scope::Open, "left aside: there is no schedule");
        }
        if !self.gives("rand_regex_url") {
            self.leave(Scope::Patterns, "left aside: there is no pattern of URLs");
        }
        if self.is_in_the_clear() {
            self.leave(Scope::Https, "left aside: the target is in the clear");
        }
    }

    /// Whether the key is set in any layer.
    fn gives(&self, name: &str) -> bool {
        let is = |key: &Key| key.name == name;
        let typed = self.typed.flags().filter_map(crate::config::keys::of_flag).any(is);
        typed || self.lower.iter().any(|it| is(it.key) && !it.words.is_empty())
    }

    fn is_in_the_clear(&self) -> bool {
        let url = self.lower.iter().find(|setting| setting.key.name == "url");
        let url = url.and_then(|url| url.words.first()?.value.as_ref()?.to_str());
        // What is wrong with a target, or with a scenario, is said later.
        let file = self.file.as_ref();
        let base = file.and_then(|file| scenario::base(&file.root).ok().flatten());
        let url = self.typed.run().target.any().or(base.as_deref()).or(url);
        let spelling = if self.gives("urls_from_file") {
            Spelling::File
        } else if self.gives("rand_regex_url") {
            Spelling::Pattern
        } else {
            Spelling::Plain
        };
        let secured = file.is_some_and(|file| scenario::is_secured(&file.root));
        url.and_then(|url| spelling.scheme(url)) == Some(Scheme::Http) && !secured
    }

    fn leave(&mut self, scope: Scope, reason: &str) {
        let others = |it: &Setting| it.key.scope == scope;
        let asked = self.lower.iter().filter(|it| others(it) && !it.words.is_empty());
        let names: Vec<&str> = asked.map(Setting::name).collect();
        let said = listed(&names, "is", "are").map(|said| format!("{said} {reason}"));
        self.remarks.extend(said);
        self.lower.retain(|it| !others(it));
    }
}
