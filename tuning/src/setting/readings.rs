//! How things are set on a machine.

use std::collections::BTreeMap;

use super::SETTINGS;
use crate::tree::Tree;

/// What a machine says of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its value, without white space around it.
    Known(String),
    /// There is no such file: an older kernel, a module that is not loaded, a container.
    Missing,
    /// There is one, and it is not for us.
    Denied,
}

/// The settings that stand in files, as this machine has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<&'static str, Reading>);

impl Settings {
    pub(crate) fn read(tree: &Tree) -> Self {
        let of = |path: String| tree.reading(path);
        let all = SETTINGS.iter().filter_map(|it| Some((it.key, of(it.path()?))));
        Self(all.collect())
    }

    /// What the machine says, by key; `None` for what does not stand in a file.
    #[must_use]
    pub fn reading(&self, key: &str) -> Option<&Reading> {
        self.0.get(key)
    }

    /// All of them, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Reading)> {
        self.0.iter().map(|(key, reading)| (*key, reading))
    }

    /// The value, if it is known.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Reading::Known(text) => Some(text),
            Reading::Missing | Reading::Denied => None,
        }
    }

    /// The value as a number; `None` also if it is none.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    /// The word in brackets, of several that can be chosen: `always [madvise] never`.
    #[must_use]
    pub fn chosen(&self, key: &str) -> Option<&str> {
        let (_, rest) = self.text(key)?.split_once('[')?;
        Some(rest.split_once(']')?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    #[test]
    fn settings_are_numbers_choices_texts_or_unknown() {
        let machine = Machine::of(&[
            ("/proc/sys/net/ipv4/tcp_tw_reuse", "2\n"),
            ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("/proc/sys/net/core/somaxconn", "many\n"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
        ]);
        machine.set("/proc/sys/net/core/netdev_budget/odd", "a folder in the place of a file");
        let settings = Settings::read(&machine.tree());
        assert_eq!(settings.number("net.ipv4.tcp_tw_reuse"), Some(2));
        assert_eq!(settings.text("net.ipv4.ip_local_port_range"), Some("32768\t60999"));
        assert_eq!(settings.number("net.core.somaxconn"), None);
        assert_eq!(settings.chosen("vm.transparent_hugepage"), Some("madvise"));
        assert_eq!(settings.chosen("net.ipv4.tcp_tw_reuse"), None);
        assert_eq!(settings.reading("net.core.netdev_budget"), Some(&Reading::Denied));
        assert_eq!(settings.reading("net.core.busy_poll"), Some(&Reading::Missing));
        assert_eq!(settings.reading("nofile"), None, "it does not stand in a file");
    }
}
