//! The kernel's release and the settings of it that decide how a run is measured.

use std::path::Path;

/// Facts about the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` prints it.
    pub release: Option<String>,
    /// What the clock is read from; see [`is_trusted_clock`].
    pub clocksource: Option<String>,
    /// The sysctl `kernel.io_uring_disabled`: 0 everybody may, 1 only a privileged group, 2 nobody.
    pub io_uring_disabled: Option<u8>,
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

pub(super) fn inspect(read: &impl Fn(&Path) -> Option<String>) -> Kernel {
    let word = |path: &str| read(Path::new(path)).map(|text| text.trim().to_owned());
    Kernel {
        release: word("/proc/sys/kernel/osrelease"),
        clocksource: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        io_uring_disabled: word("/proc/sys/kernel/io_uring_disabled")
            .and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let name = |text: &'static str| {
            inspect(&|path| path.ends_with("current_clocksource").then(|| text.to_owned()))
        };
        assert!(name("tsc\n").clocksource.is_some_and(|name| is_trusted_clock(&name)));
        assert!(name("hpet\n").clocksource.is_some_and(|name| !is_trusted_clock(&name)));
    }
}
