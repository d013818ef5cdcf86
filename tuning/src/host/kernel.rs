//! The kernel's release and the settings of it that decide how a run is measured.

use crate::tree::{Tree, named};

/// Facts about the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` prints it.
    pub release: Option<String>,
    /// What the clock is read from; see [`is_trusted_clock`].
    pub clocksource: Option<String>,
    /// The sysctl `kernel.io_uring_disabled`: 0 everybody may, 1 only a privileged group, 2 nobody.
    pub io_uring_disabled: Option<u8>,
    /// What this process may.
    pub rights: Rights,
}

/// What the kernel lets this process do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Its capabilities in force, a bit each.
    pub capabilities: Option<u64>,
    /// The groups that it belongs to.
    pub groups: Vec<u32>,
    /// Whether a seccomp filter looks at its system calls, as in most containers.
    pub filtered: Option<bool>,
}

/// The numbers of capabilities, as `capabilities(7)` has them.
const IPC_LOCK: u32 = 14;
const SYS_ADMIN: u32 = 21;

impl Rights {
    /// Whether it may do what an administrator may; `None` if that is unknown.
    #[must_use]
    pub fn administers(&self) -> Option<bool> {
        self.capabilities.map(|bits| bits >> SYS_ADMIN & 1 == 1)
    }

    /// Whether the limit on locked memory does not hold for it; `None` if that is unknown.
    #[must_use]
    pub fn locks_memory(&self) -> Option<bool> {
        self.capabilities.map(|bits| bits >> IPC_LOCK & 1 == 1)
    }

    /// Parses `/proc/self/status`.
    fn parse(status: &str) -> Self {
        let of = |key: &str| {
            let mut lines = status.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
        };
        let numbers = |text: &str| {
            let words = text.split_whitespace();
            words.map_while(|word| word.parse().ok()).collect::<Vec<u32>>()
        };
        let mut groups = of("Groups").map(numbers).unwrap_or_default();
        // Real, effective, saved, and that of the file system.
        groups.extend(of("Gid").map(numbers).unwrap_or_default().get(1));
        Self {
            capabilities: of("CapEff").and_then(|text| u64::from_str_radix(text, 16).ok()),
            groups,
            filtered: of("Seccomp").and_then(|text| Some(text.parse::<u8>().ok()? == 2)),
        }
    }
}

impl Kernel {
    /// Whether it is version `major.minor` or a later one; `None` if its release is odd.
    #[must_use]
    pub fn is_since(&self, (major, minor): (u32, u32)) -> Option<bool> {
        let mut parts = self.release.as_deref()?.split(['.', '-', '+', '_']);
        let own = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(own >= (major, minor))
    }
}

/// What may be trusted to measure with.
///
/// - `tsc`: the counter of an x86 CPU. The kernel itself watches it, and takes another source when
///   it is unsteady or differs between CPUs.
/// - `arch_sys_counter`: that of an ARM system, which is one for all CPUs and never stops.
/// - `kvm-clock` and `hyperv_clocksource_tsc_page`: the same counter in a guest, scaled by a page
///   that the hypervisor keeps, so that it survives a move to another machine.
const TRUSTED_CLOCKS: [&str; 4] =
    ["tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page"];

/// Whether a clock source is steady, as fine as nanoseconds, and read without a system call.
///
/// Those that are left out are slow to read (`hpet`, `acpi_pm` and `hyperv_clocksource_msr`: about
/// a microsecond and a system call each time, which a busy shard pays twice per turn), coarse
/// (`jiffies`), or quick on one host and slow on another (`xen`). An unknown source is not trusted.
#[must_use]
pub fn is_trusted_clock(clocksource: &str) -> bool {
    TRUSTED_CLOCKS.contains(&clocksource)
}

pub(super) fn inspect(tree: &Tree) -> Kernel {
    let word = |path: &str| named(&tree.text(path)?).map(str::to_owned);
    Kernel {
        release: word("/proc/sys/kernel/osrelease"),
        clocksource: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        io_uring_disabled: word("/proc/sys/kernel/io_uring_disabled")
            .and_then(|text| text.parse().ok()),
        rights: tree.text("/proc/self/status").map_or_else(Rights::default, |t| Rights::parse(&t)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    #[test]
    fn a_clock_is_trusted_by_its_name_alone() {
        for clock in TRUSTED_CLOCKS {
            assert!(is_trusted_clock(clock), "{clock}");
        }
        for clock in ["hpet", "acpi_pm", "jiffies", "refined-jiffies", "xen", "", "tsc\n", "TSC"] {
            assert!(!is_trusted_clock(clock), "{clock:?}");
        }
    }

    #[test]
    fn the_name_of_the_clock_comes_without_its_line_end() {
        let name = |text: &str| {
            let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
            inspect(&Machine::of(&[(path, text)]).tree()).clocksource
        };
        assert!(name("tsc\n").is_some_and(|name| is_trusted_clock(&name)));
        assert!(name("hpet\n").is_some_and(|name| !is_trusted_clock(&name)));
    }

    #[test]
    fn releases_compare_by_their_numbers() {
        let since = |release: &str, version| {
            Kernel { release: Some(release.to_owned()), ..Kernel::default() }.is_since(version)
        };
        assert_eq!(since("6.18.44-fc-v657", (6, 14)), Some(true));
        assert_eq!(since("6.9.1", (6, 14)), Some(false));
        assert_eq!(since("4.18.0-513.el8.x86_64", (5, 0)), Some(false));
        assert_eq!(since("6.1+", (6, 1)), Some(true));
        for odd in ["", "6", "next", "6.x"] {
            assert_eq!(since(odd, (1, 0)), None, "{odd:?}");
        }
        assert_eq!(Kernel::default().is_since((1, 0)), None);
    }

    #[test]
    fn rights_are_read_as_far_as_they_are_told() {
        let text = "Gid:\t7\t8\t8\t8\nGroups:\t4 27 \nCapEff:\t0000000000204000\nSeccomp:\t2\n";
        let rights = Rights::parse(text);
        assert_eq!(rights.groups, [4, 27, 8]);
        assert_eq!(rights.filtered, Some(true));
        assert_eq!((rights.administers(), rights.locks_memory()), (Some(true), Some(true)));
        let none = Rights::parse("CapEff:\t0\nSeccomp:\t0\n");
        assert_eq!((none.administers(), none.locks_memory()), (Some(false), Some(false)));
        assert_eq!(none.filtered, Some(false));
        for odd in ["", "CapEff: xyz\nSeccomp: -\nGroups: a b\n", "CapEff"] {
            assert_eq!(Rights::parse(odd), Rights::default(), "{odd:?}");
        }
    }
}
