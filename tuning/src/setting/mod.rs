//! What can be set on a Linux machine and matters to a load generator: one table, from which the
//! guide of this crate and its drop-in files are made, and which [`inspect`](crate::inspect) reads.
//!
//! | file | what it knows |
//! |---|---|
//! | `table` | the settings: what they do, their defaults, what is recommended, and why |
//! | `readings` | how they are set on a machine |

mod readings;
mod table;

use core::fmt;

pub use readings::{Reading, Settings};
pub use table::SETTINGS;
pub(crate) use table::WAKE_UP_MICROS;

/// The system calls of `io_uring`, which the filters of containers forbid.
pub const RING_CALLS: [&str; 3] = ["io_uring_setup", "io_uring_enter", "io_uring_register"];

/// Something that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name, as it is looked for: `net.ipv4.tcp_tw_reuse`.
    pub key: &'static str,
    /// What it belongs to.
    pub group: Group,
    /// Where it stands.
    pub place: Place,
    /// What it does, in a sentence.
    pub what: &'static str,
    /// What the kernel sets if nobody does. A distribution may think otherwise.
    pub default: &'static str,
    /// For as many requests per second as possible.
    pub throughput: Choice,
    /// For latencies that are the target's and not this machine's.
    pub latency: Choice,
    /// The kernel that has it first.
    pub since: &'static str,
    /// What may go wrong.
    pub risk: &'static str,
    /// Who says so.
    pub source: &'static str,
}

/// What settings belong to; the sections of the guide, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Connections: files, ports, and what waits after them.
    Connections,
    /// TCP.
    Tcp,
    /// Queues between cards and programs.
    Queues,
    /// CPUs.
    Cpus,
    /// Memory.
    Memory,
    /// `io_uring`.
    Ring,
    /// Network cards.
    Cards,
}

/// Where a setting stands, and how it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file of `/proc/sys` that its key names.
    Sysctl,
    /// In this file.
    File(&'static str),
    /// It is a limit of processes: its item in `limits.conf(5)`, and the flag of `ulimit`.
    Limit(&'static str, &'static str),
    /// On the kernel's command line: it needs a restart.
    Boot,
    /// In a card, a file per CPU or a service: the command that shows it, the one that sets it, and
    /// the one that undoes that.
    Tool {
        /// Shows it.
        check: &'static str,
        /// Sets it.
        set: &'static str,
        /// Sets it back.
        undo: &'static str,
    },
}

/// What is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What is there.
    Keep,
    /// This.
    Set(&'static str),
    /// This number or more.
    AtLeast(&'static str),
}

impl Choice {
    /// The value, unless what is there is to be kept.
    #[must_use]
    pub const fn value(self) -> Option<&'static str> {
        match self {
            Self::Keep => None,
            Self::Set(value) | Self::AtLeast(value) => Some(value),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => write!(f, "leave"),
            Self::Set(value) => write!(f, "{value}"),
            Self::AtLeast(value) => write!(f, "{value} or more"),
        }
    }
}

impl Setting {
    /// The setting of that name.
    #[must_use]
    pub fn of(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The file in which it stands, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        match self.place {
            Place::Sysctl => Some(format!("/proc/sys/{}", self.key.replace('.', "/"))),
            Place::File(path) => Some(path.to_owned()),
            Place::Limit(..) | Place::Boot | Place::Tool { .. } => None,
        }
    }

    /// The command that shows how it is set.
    #[must_use]
    pub fn check(&self) -> String {
        match self.place {
            Place::Sysctl => format!("sysctl {}", self.key),
            Place::File(path) => format!("cat {path}"),
            Place::Limit(_, flag) => format!("ulimit -S{flag}; ulimit -H{flag}"),
            Place::Boot => "cat /proc/cmdline".to_owned(),
            Place::Tool { check, .. } => check.to_owned(),
        }
    }

    /// The command that sets it to `value`.
    #[must_use]
    pub fn command(&self, value: &str) -> String {
        match self.place {
            Place::Sysctl => format!("sysctl -w {}='{value}'", self.key),
            Place::File(path) => format!("echo '{value}' > {path}"),
            Place::Limit(_, flag) => format!("ulimit -{flag} {value}"),
            Place::Boot => format!("boot with {value}"),
            Place::Tool { set, .. } => set.to_owned(),
        }
    }

    /// How a change is taken back, in words with commands in them.
    #[must_use]
    pub fn undo(&self) -> String {
        match self.place {
            Place::Sysctl | Place::File(_) => "set what the check printed".to_owned(),
            Place::Limit(..) => "a new shell; remove the line from limits.d".to_owned(),
            Place::Boot => "boot without it".to_owned(),
            Place::Tool { undo, .. } => format!("`{undo}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_setting_says_all_of_itself_and_stands_there_once() {
        let keys: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(keys.len(), SETTINGS.len());
        for setting in SETTINGS {
            let Setting { key, what, default, since, risk, source, .. } = setting;
            for text in [key, what, default, since, risk, source] {
                assert!(!text.is_empty() && !text.contains(['|', '\n']), "{key}: {text:?}");
            }
            assert!(what.ends_with('.') && risk.ends_with('.'), "{key}");
            assert!(source.contains(['/', '(']), "{key}: {source}");
        }
    }

    #[test]
    fn settings_are_sorted_by_their_groups() {
        let mut groups: Vec<Group> = SETTINGS.iter().map(|setting| setting.group).collect();
        groups.dedup();
        let expected = [
            Group::Connections,
            Group::Tcp,
            Group::Queues,
            Group::Cpus,
            Group::Memory,
            Group::Ring,
            Group::Cards,
        ];
        assert_eq!(groups, expected);
    }

    #[test]
    fn a_setting_knows_its_file_and_its_commands() {
        let of = |key| Setting::of(key).unwrap();
        let reuse = of("net.ipv4.tcp_tw_reuse");
        assert_eq!(reuse.path().unwrap(), "/proc/sys/net/ipv4/tcp_tw_reuse");
        assert_eq!(reuse.command("1"), "sysctl -w net.ipv4.tcp_tw_reuse='1'");
        let files = of("nofile");
        assert_eq!((files.path(), files.command("9")), (None, "ulimit -n 9".to_owned()));
        assert_eq!(Setting::of("net.ipv4"), None);
    }
}
