//! What a run asks of a machine.

use std::net::IpAddr;

use crate::host::cpu::CpuList;

/// What is asked. By default nothing is, and the machine is judged for itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// Connections at the same time, to all servers together.
    pub connections: Option<u64>,
    /// The most of them to one server.
    pub to_one: u64,
    /// Where they lead.
    pub to: To,
    /// Whether that is an address of this machine.
    pub here: bool,
    /// Local addresses that they come from; zero counts as one.
    pub sources: u64,
    /// Connections that are opened one after the other.
    pub churn: Option<Churn>,
    /// Whether there is a schedule, so that a late start is a wrong latency.
    pub scheduled: bool,
    /// The CPUs of shards.
    pub shards: Option<CpuList>,
    /// Memory that the run takes, in bytes, the kernel's for its sockets included.
    pub memory: Option<u64>,
    /// Memory that its rings lock, in bytes.
    pub locked: Option<u64>,
    /// Whether it needs `io_uring`, and if so whether it works.
    pub ring: Ring,
}

/// Where connections lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum To {
    /// To a host whose address is not known.
    #[default]
    Somewhere,
    /// To this address.
    Address(IpAddr),
    /// To a socket of this machine that needs no ports.
    Socket,
}

/// Connections that are opened one after the other, to one server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// How many per second.
    pub per_second: f64,
    /// For how many seconds; infinite without an end.
    pub seconds: f64,
    /// Whether they are closed by a reset, which leaves nothing that waits.
    pub reset: bool,
}

/// Whether rings are needed, and whether they work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ring {
    /// They are wanted; nobody has tried them.
    #[default]
    Untried,
    /// They work.
    Works,
    /// They do not, for this reason, and something else takes their place.
    Refused(String),
    /// They are not wanted.
    Unwanted,
}

impl Demand {
    /// Whether the target is on this machine.
    #[must_use]
    pub fn stays_here(&self) -> bool {
        self.here || self.to == To::Socket || self.is_loopback()
    }

    /// Whether connections go to an address of the loopback interface.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.to, To::Address(ip) if ip.to_canonical().is_loopback())
    }
}
