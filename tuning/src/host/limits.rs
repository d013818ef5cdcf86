//! What bounds the number of connections: open files, and local ports.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    fn raising_the_limit_reaches_the_hard_one() {
        let raised = raise_open_files();
        assert_eq!(raised.soft, raised.hard);
        assert!(raised.open.is_none_or(|open| open >= 1));
    }
}
