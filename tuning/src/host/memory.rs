//! Memory: how much there is, and how much of it this process may use.

use rustix::process::{Resource, getrlimit};

use super::cgroup;
use super::limits::parse_limit;
use crate::tree::{Tree, keyed};

/// A limit of a control group of version 1 from here on is none: it stands for "all there may be".
const GROUP_LIMIT_NONE: u64 = 1 << 62;

/// Facts about memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the machine has.
    pub total: Option<u64>,
    /// What can be had without swapping, as the kernel estimates it.
    pub available: Option<u64>,
    /// The tightest limit of the process's control groups, as far as there is one.
    pub group: Option<Bound>,
    /// How much this user may lock (`RLIMIT_MEMLOCK`, soft): rings are.
    pub locked: Locked,
}

/// A limit, and what of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The limit.
    pub limit: u64,
    /// What is used. Of it, what the page cache has can be had back.
    pub used: Option<u64>,
}

/// A limit on memory that may be locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locked {
    /// It is not known.
    #[default]
    Unknown,
    /// There is none.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

impl Memory {
    pub(super) fn inspect(tree: &Tree) -> Self {
        let text = tree.text("/proc/meminfo").unwrap_or_default();
        let bytes = |key: &str| keyed(&text, key)?.checked_mul(1024);
        Self {
            total: bytes("MemTotal"),
            available: bytes("MemAvailable"),
            group: group(tree),
            locked: locked(tree),
        }
    }

    /// The most that a process can ever get here.
    #[must_use]
    pub fn most(&self) -> Option<u64> {
        let limit = self.group.map(|bound| bound.limit);
        self.total.into_iter().chain(limit).min()
    }

    /// What it can get at this moment. What a group uses may be the page cache's, so that only the
    /// machine's own estimate counts below the group's limit.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        let limit = self.group.map(|bound| bound.limit);
        self.available.into_iter().chain(limit).min()
    }
}

/// The tightest limit on the way up from the process's groups.
fn group(tree: &Tree) -> Option<Bound> {
    let read = |path: &std::path::Path| tree.text(path);
    let levels = cgroup::levels("memory", &read).into_iter().flatten();
    let of_level = |level: std::path::PathBuf| {
        let number = |file: &str| read(&level.join(file))?.trim().parse::<u64>().ok();
        // The one or the other, by version.
        let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"));
        let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"));
        Some(Bound { limit: limit.filter(|limit| *limit < GROUP_LIMIT_NONE)?, used })
    };
    levels.filter_map(of_level).min_by_key(|bound| bound.limit)
}

fn locked(tree: &Tree) -> Locked {
    if tree.is_here() {
        return getrlimit(Resource::Memlock).current.map_or(Locked::Unlimited, Locked::Bytes);
    }
    let limits = tree.text("/proc/self/limits");
    match limits.and_then(|text| parse_limit(&text, "Max locked memory")) {
        None => Locked::Unknown,
        Some((None, _)) => Locked::Unlimited,
        Some((Some(bytes), _)) => Locked::Bytes(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    const V1: &str = "35 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    #[test]
    fn the_tightest_group_bounds_what_there_is() {
        let machine = Machine::of(&[
            ("/proc/meminfo", "MemTotal:   2048 kB\nMemAvailable:    512 kB\n"),
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/proc/self/mountinfo", V2),
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "1048576\n"),
            ("/sys/fs/cgroup/a/memory.current", "4096\n"),
            ("/sys/fs/cgroup/memory.max", "1572864\n"),
        ]);
        let memory = Memory::inspect(&machine.tree());
        assert_eq!(memory.group, Some(Bound { limit: 1 << 20, used: Some(4096) }));
        assert_eq!((memory.most(), memory.free()), (Some(1 << 20), Some(512 << 10)));
    }

    #[test]
    fn a_group_of_version_1_without_a_limit_has_a_huge_one() {
        let machine = Machine::of(&[
            ("/proc/self/cgroup", "4:memory:/x\n"),
            ("/proc/self/mountinfo", V1),
            ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(Memory::inspect(&machine.tree()), Memory::default());
        machine.set("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4096\n");
        let memory = Memory::inspect(&machine.tree());
        assert_eq!(memory.group, Some(Bound { limit: 4096, used: None }));
    }

    #[test]
    fn a_limit_on_locked_memory_is_a_number_none_or_unknown() {
        for (line, expected) in [
            ("Max locked memory  65536  65536  bytes\n", Locked::Bytes(65_536)),
            ("Max locked memory  unlimited  unlimited  bytes\n", Locked::Unlimited),
            ("Max locked memory  much\n", Locked::Unknown),
        ] {
            let machine = Machine::of(&[("/proc/self/limits", line)]);
            assert_eq!(Memory::inspect(&machine.tree()).locked, expected, "{line}");
        }
    }
}
