//! Facts of this machine, as this process meets them: what the kernel would let it use, not what
//! exists.

pub(crate) mod cgroup;
pub mod cpu;
pub mod idle;
pub mod kernel;
pub mod limits;
pub mod memory;
pub mod net;
pub mod queues;
mod routes;
pub mod topology;

use std::path::Path;

use crate::setting::Settings;
use crate::tree::Tree;
use cpu::Cpus;
use kernel::Kernel;
use limits::{OpenFiles, PortRange};
use memory::Memory;
use net::Net;

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
    /// Memory, and how much of it this process may use.
    pub memory: Memory,
    /// Network cards, and what the network does at this moment.
    pub net: Net,
    /// How everything is set that can be set.
    pub settings: Settings,
}

/// Reads the facts. A few hundred small reads of `/proc` and `/sys`, some per CPU and per network
/// card: a few milliseconds.
#[must_use]
pub fn inspect() -> Host {
    inspect_below(Path::new("/"))
}

/// The same of the machine below `root`.
#[must_use]
pub fn inspect_below(root: &Path) -> Host {
    let tree = Tree::below(root);
    let settings = Settings::read(&tree);
    Host {
        cpus: cpu::inspect(&tree),
        files: limits::open_files_of(&tree),
        ports: settings.text("net.ipv4.ip_local_port_range").and_then(limits::parse_port_range),
        kernel: kernel::inspect(&tree),
        memory: Memory::inspect(&tree),
        net: Net::inspect(&tree),
        settings,
    }
}
