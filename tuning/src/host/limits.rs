//! What bounds the number of connections: open files, and local ports.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::tree::Tree;

/// Open files of this process that are counted; there are never so many at the start.
const FILES_MAX: usize = 1 << 16;

/// Limits on open files of this process. `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit in force (`RLIMIT_NOFILE`, soft).
    pub soft: Option<u64>,
    /// How far the process may raise it by itself (hard).
    pub hard: Option<u64>,
    /// Files that are open already; `None` without `/proc`.
    pub open: Option<u64>,
}

/// Local ports for outgoing connections, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last; not below the first.
    pub last: u16,
}

impl PortRange {
    /// Number of ports, hence of connections from one local address to one remote address and port.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.last as u32 - self.first as u32 + 1
    }
}

/// Raises the soft limit on open files to the hard one, for this process alone, and returns what is
/// in force afterwards. A refusal leaves things as they are.
#[must_use]
pub fn raise_open_files() -> OpenFiles {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused only where a sandbox forbids it; what counts then is the limit read below.
        let _ =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    open_files()
}

pub(super) fn open_files() -> OpenFiles {
    let limit = getrlimit(Resource::Nofile);
    // The directory itself is open while it is read, hence one less.
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64);
    OpenFiles {
        soft: limit.current,
        hard: limit.maximum,
        open: open.map(|count| count.saturating_sub(1)),
    }
}

/// The limits on open files of the process that the tree shows.
pub(super) fn open_files_of(tree: &Tree) -> OpenFiles {
    if tree.is_here() {
        return open_files();
    }
    let limits = tree.text("/proc/self/limits");
    let limit = limits.and_then(|text| parse_limit(&text, "Max open files"));
    // What is unknown bounds nothing.
    let (soft, hard) = limit.unwrap_or((None, None));
    let open = tree.numbers("/proc/self/fd", FILES_MAX).map(|files| files.of.len() as u64);
    OpenFiles { soft, hard, open }
}

/// The soft and the hard limit in the line of `/proc/self/limits` that begins with `name`; each is
/// `None` where there is no limit. As a whole `None` if there is no such line, or an odd one.
pub(super) fn parse_limit(text: &str, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let number = |word: &str| match word {
        "unlimited" => Some(None),
        number => Some(Some(number.parse().ok()?)),
    };
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = rest.split_whitespace();
    Some((number(words.next()?)?, number(words.next()?)?))
}

/// Parses `net.ipv4.ip_local_port_range`: two numbers with white space between.
pub(super) fn parse_port_range(text: &str) -> Option<PortRange> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (first <= last && numbers.next().is_none()).then_some(PortRange { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_range_is_two_numbers() {
        let range = parse_port_range("32768\t60999\n").unwrap();
        assert_eq!((range.first, range.last, range.count()), (32_768, 60_999, 28_232));
        for bad in ["", "1", "2 1", "1 2 3", "1 70000", "a b"] {
            assert_eq!(parse_port_range(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn limits_are_numbers_or_none() {
        let text = "Limit            Soft Limit  Hard Limit  Units\n\
                    Max open files   1024        unlimited   files\n\
                    Max locked memory            x  1  bytes\n";
        assert_eq!(parse_limit(text, "Max open files"), Some((Some(1024), None)));
        assert_eq!(parse_limit(text, "Max locked memory"), None);
        assert_eq!(parse_limit(text, "Max threads"), None);
        assert_eq!(parse_limit("Max open files 7", "Max open files"), None);
    }

    #[test]
    fn raising_the_limit_reaches_the_hard_one() {
        let raised = raise_open_files();
        assert_eq!(raised.soft, raised.hard);
        assert!(raised.open.is_none_or(|open| open >= 1));
    }
}
