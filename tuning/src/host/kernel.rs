//! The kernel's release and the settings of it that decide how a run is measured.

use std::path::Path;

/// Facts about the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` prints it.
    pub release: Option<String>,
    /// What the clock is read from; `tsc` is cheap, anything else may cost a system call.
    pub clocksource: Option<String>,
    /// The sysctl `kernel.io_uring_disabled`: 0 everybody may, 1 only a privileged group, 2 nobody.
    pub io_uring_disabled: Option<u8>,
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
