//! The keys of configuration files: one table, from which files and the environment are read, and
//! the schema and the list in `docs/CONFIG.md` are made.

mod table;

pub(crate) use table::KEYS;

/// What may be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// Other names for it in a file.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) kind: Kind,
    /// The flag that it stands for, without dashes.
    pub(crate) flag: Option<&'static str>,
    pub(crate) standing: Standing,
    /// Keys that it replaces, and that replace it. Not a group: a ramp goes with a rate and not
    /// with stages, which do not go with a rate either.
    pub(crate) rivals: &'static [&'static str],
    pub(crate) scope: Scope,
    /// Whether an edit of it takes effect while the run goes on.
    pub(crate) live: bool,
    /// What it sets, in a line.
    pub(crate) doc: &'static str,
}

/// What a key's value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    /// The URL of a target; a socket in it is a path.
    Target,
    /// A path, which a file gives relative to its own folder.
    Path,
    /// `FROM-TO`.
    Range,
    Integer,
    Bool,
    /// A number of seconds, or a text with units.
    Duration,
    /// A number of milliseconds, or a text with units.
    Millis,
    /// A number per second, or a text with units.
    Rate,
    /// Texts, or one of them.
    List,
    /// Texts or numbers, or one of them.
    Statuses,
    /// A table with these keys.
    Section(&'static [Key]),
    /// Tables with these keys.
    Sections(&'static [Key]),
    /// A table that somebody else understands.
    Table,
    /// Tables that somebody else understands.
    Tables,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Used,
    /// It asks for what is done in any case.
    Anyway,
    /// It is taken and checked, and the user is told that it does nothing.
    NotYet,
    /// Without it the requests would be others, so that a run would answer another question. Says
    /// what is missing.
    Missing(&'static str),
}

/// Which runs a key is for. A file and the environment serve several, and files of strest have
/// keys that it passes over: beside another run such a key is left aside with a word, where a flag
/// would be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Any,
    /// With a target of `https`.
    Https,
    /// With a schedule.
    Open,
    /// Without a schedule.
    Closed,
    /// Without a schedule that is a rate, in the same layer.
    Bursts,
    /// With a pattern of URLs.
    Patterns,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            flag: None,
            standing: Standing::Used,
            rivals: &[],
            scope: Scope::Any,
            live: false,
            doc,
        }
    }

    /// A key that stands for a flag.
    const fn flag(name: &'static str, flag: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { flag: Some(flag), ..Self::new(name, kind, doc) }
    }

    const fn alias(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn rivals(self, rivals: &'static [&'static str]) -> Self {
        Self { rivals, ..self }
    }

    const fn standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    const fn only(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// The variable of the environment that sets it; a section has none.
    pub(crate) fn variable(&self) -> Option<String> {
        let section =
            matches!(self.kind, Kind::Section(_) | Kind::Sections(_) | Kind::Table | Kind::Tables);
        (!section).then(|| format!("{PREFIX}{}", self.name.to_uppercase()))
    }

    /// Whether it is called so.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// What variables of the environment begin with.
pub(crate) const PREFIX: &str = "PUMMEL_";

/// The key of that name in `keys`.
pub(crate) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.is_called(name))
}

/// The key `url` beside `urls_from_file`.
pub(crate) const URLS: Key = Key::flag("url", "url", Kind::Path, "A file of URLs");

/// The key that stands for the flag.
pub(crate) fn of_flag(flag: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.flag == Some(flag))
}

/// The keys of strest that set nothing here, and are no tables.
pub(crate) fn idle() -> impl Iterator<Item = &'static Key> {
    let is_table = |key: &Key| matches!(key.kind, Kind::Section(_) | Kind::Table | Kind::Tables);
    let idles = |key: &Key| matches!(key.standing, Standing::Anyway | Standing::NotYet);
    KEYS.iter().filter(move |key| idles(key) && !is_table(key) && key.name != "$schema")
}

/// All names of `keys`, for a search.
pub(crate) fn names(keys: &'static [Key]) -> Vec<&'static str> {
    keys.iter().flat_map(|key| [key.name].into_iter().chain(key.aliases.iter().copied())).collect()
}

/// The one of `known` that somebody may have meant who wrote `word`.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Longer words are no slip of the finger, and would take long to compare.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let distance = |name: &&str| strsim::damerau_levenshtein(&word, name);
    let near = known.iter().copied().min_by_key(distance)?;
    (distance(&near) <= 1 + word.chars().count() / 4).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use std::collections::BTreeSet;

    /// Flags that set nothing of a run: where settings come from.
    const NO_KEYS: [&str; 1] = ["config"];

    #[test]
    fn every_flag_of_a_run_has_a_key_and_every_key_of_a_flag_a_flag() {
        let flags: BTreeSet<String> = args::flags().into_iter().map(|flag| flag.long).collect();
        let keys: BTreeSet<String> =
            KEYS.iter().filter_map(|key| key.flag).chain(NO_KEYS).map(str::to_owned).collect();
        let without: Vec<_> = flags.difference(&keys).collect();
        assert!(without.is_empty(), "give these flags a row in keys/table.rs: {without:?}");
        let gone: Vec<_> = keys.difference(&flags).collect();
        assert!(gone.is_empty(), "these keys stand for flags that there are not: {gone:?}");
    }

    #[test]
    fn other_names_of_a_flag_are_names_of_its_key() {
        for flag in args::flags() {
            let Some(key) = of_flag(&flag.long) else { continue };
            for name in flag.aliases.iter().chain([&flag.long]) {
                let name = name.replace('-', "_");
                assert!(key.is_called(&name), "{} lacks the alias {name}", key.name);
            }
        }
    }

    #[test]
    fn a_key_without_a_flag_has_no_effect_or_is_a_section() {
        for key in KEYS.iter().filter(|key| key.flag.is_none()) {
            let section = matches!(key.kind, Kind::Section(_) | Kind::Table | Kind::Tables);
            assert!(section || key.standing != Standing::Used, "{}", key.name);
        }
    }

    #[test]
    fn names_are_unique_and_rivals_know_each_other() {
        let mut seen = BTreeSet::new();
        for name in names(KEYS) {
            assert!(seen.insert(name), "{name} stands for two keys");
        }
        for key in KEYS {
            for rival in key.rivals {
                let other = find(KEYS, rival).unwrap();
                assert_eq!(other.name, *rival, "{} names a rival by an alias", key.name);
                assert!(other.rivals.contains(&key.name), "{rival} does not know {}", key.name);
            }
        }
    }

    #[test]
    fn what_is_for_https_is_what_a_target_in_the_clear_refuses() {
        for key in KEYS {
            let Some(flag) = key.flag.filter(|&flag| flag != "url") else { continue };
            let value = match key.kind {
                Kind::Bool => "",
                Kind::Integer | Kind::Rate | Kind::Duration => "=5",
                // Protocols to offer are read before they are refused.
                _ if flag == "alpn" => "=h2",
                _ => "=x",
            };
            let words = args::words(&format!("p http://h --{flag}{value}")).run;
            let said = super::super::Config::understand(&words).map_err(|e| format!("{e:#}"));
            let refused = said.is_err_and(|said| said.contains("is for https"));
            assert_eq!(refused, key.scope == Scope::Https, "{}", key.name);
        }
    }

    #[test]
    fn the_documentation_names_what_an_edit_may_change() {
        let text = include_str!("../../../docs/CONFIG.md");
        let begin = text.find("## An edit while the run goes on").unwrap();
        let section = &text[begin..];
        let section = &section[..section.find("\n## ").unwrap()];
        for key in KEYS.iter().filter(|key| key.live) {
            assert!(section.contains(&format!("`{}", key.name)), "{} is missing", key.name);
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = names(KEYS);
        assert_eq!(nearest("ratte", &known), Some("rate"));
        assert_eq!(nearest("connect-timeout", &known), Some("connect_timeout"));
        assert_eq!(nearest("Duration", &known), Some("duration"));
        assert_eq!(nearest("xyzzy", &known), None);
        assert_eq!(nearest(&"rate".repeat(100), &known), None);
    }
}
