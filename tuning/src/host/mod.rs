//! Facts of this machine, as this process meets them: what the kernel would let it use, not what
//! exists.

pub(crate) mod cgroup;
pub mod cpu;
pub mod kernel;
pub mod limits;

use std::fs;
use std::path::Path;

use cpu::Cpus;
use kernel::Kernel;
use limits::{OpenFiles, PortRange};

/// What matters to a load generator about the machine and this process's part of it.
#[derive(Clone, Debug)]
pub struct Host {
    /// CPUs and how much of them this process may use.
    pub cpus: Cpus,
    /// Limits on open files; a connection is one.
    pub files: OpenFiles,
    /// Local ports that outgoing connections get.
    pub ports: Option<PortRange>,
    /// The kernel and its settings.
    pub kernel: Kernel,
}

/// Reads the facts. A few dozen small reads of `/proc` and `/sys`, and one per CPU that has a
/// governor; a millisecond or so on a large machine.
#[must_use]
pub fn inspect() -> Host {
    Host {
        cpus: cpu::inspect(&read),
        files: limits::open_files(),
        ports: read(Path::new("/proc/sys/net/ipv4/ip_local_port_range"))
            .and_then(|text| limits::parse_port_range(&text)),
        kernel: kernel::inspect(&read),
    }
}

/// Reads a whole small file; `None` if it is not there, or not for us.
fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}
