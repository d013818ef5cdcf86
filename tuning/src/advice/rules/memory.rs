//! Memory: what a run takes, what it may lock, and what the kernel does with pages meanwhile.

use super::super::demand::{Demand, Ring, To};
use super::super::finding::{Cure, Severity};
use super::{Said, bytes};
use crate::host::Host;
use crate::host::memory::Locked;

/// Pages of a connection with data on its way in both directions: a few KiB, and what accompanies
/// them.
const PAGES_PER_CONNECTION: u64 = 2;

/// A buffer that is small: what it begins with, in bytes. It grows as far as it may all the same.
const BUFFER_SMALL: u64 = 16_384;

/// The run and the kernel's part of it.
pub(super) fn memory(host: &Host, demand: &Demand) -> Option<Said> {
    let need = demand.memory?;
    let (most, free) = (host.memory.most()?, host.memory.free());
    let bound = match host.memory.group {
        Some(group) if group.limit == most => "its control group allows",
        _ => "the machine has",
    };
    if need > most {
        let message = format!(
            "by estimate, with the kernel's part, it takes about {}, and {bound} {}",
            bytes(need),
            bytes(most)
        );
        let said = Said::new(Severity::Impossible, message).counts(need, most);
        let fewer = Cure::by("fewer connections (-c)");
        return Some(said.cure(fewer).cure(more_memory(host, need)));
    }
    let free = free.filter(|free| need > *free)?;
    let message = format!(
        "by estimate, with the kernel's part, it takes about {}, and {} are free",
        bytes(need),
        bytes(free)
    );
    let said = Said::new(Severity::Limits, message).counts(need, free);
    Some(said.cure(Cure::by("fewer connections (-c), or end other programs")))
}

/// The buffers of one direction: what each has at least, begins with, and grows to, in bytes.
struct Buffers {
    key: &'static str,
    least: u64,
    usual: u64,
    most: u64,
}

impl Buffers {
    fn of(host: &Host, key: &'static str) -> Option<Self> {
        let mut words = host.settings.text(key)?.split_whitespace().map(str::parse);
        let (least, usual) = (words.next()?.ok()?, words.next()?.ok()?);
        Some(Self { key, least, usual, most: words.next()?.ok()? })
    }

    /// What they could begin with.
    fn small(&self) -> u64 {
        self.usual.min(self.least.max(BUFFER_SMALL))
    }

    /// Has them begin so, if that is less; what they have at least and at most stays as it is.
    fn shrunk(&self) -> Option<Cure> {
        let value = format!("{} {} {}", self.least, self.small(), self.most);
        (self.small() < self.usual).then(|| Cure::set(self.key, value))
    }
}

/// Smaller buffers: those of the direction that has the larger ones, and the others as well if
/// that is not enough to save `excess` bytes for each connection.
fn smaller_buffers(receive: &Buffers, send: &Buffers, excess: u64) -> Option<Cure> {
    let (large, other) = if send.usual > receive.usual { (send, receive) } else { (receive, send) };
    let cure = large.shrunk()?;
    let saved = large.usual.saturating_sub(large.small());
    let more = (saved < excess).then(|| other.shrunk()).flatten();
    Some(match more {
        Some(more) => cure.then(more),
        None => cure,
    })
}

/// Large answers take more than what is sure.
pub(super) fn socket_buffers(host: &Host, demand: &Demand) -> Option<Said> {
    let (sure, connections, free) = (demand.memory?, demand.connections?, host.memory.free()?);
    let receive = Buffers::of(host, "net.ipv4.tcp_rmem")?;
    let send = Buffers::of(host, "net.ipv4.tcp_wmem")?;
    // What it may keep before it looks at how fast data is read, both directions together.
    let each = receive.usual.checked_add(send.usual)?;
    let more = connections.saturating_mul(each);
    let need = sure.saturating_add(more);
    (demand.to != To::Socket && sure <= free && need > free).then(|| {
        let message = format!(
            "if bodies are large, the kernel may keep up to {} for each connection, {} in all, \
             and {} are free",
            bytes(each),
            bytes(more),
            bytes(free)
        );
        let excess = need.saturating_sub(free).div_ceil(connections.max(1));
        Said::new(Severity::Hint, message)
            .counts(need, free)
            .cure_if(smaller_buffers(&receive, &send, excess))
            .cure(Cure::by("fewer connections (-c)"))
    })
}

/// Where `need` bytes come from.
fn more_memory(host: &Host, need: u64) -> Cure {
    let enough = host.memory.total.is_some_and(|total| total >= need);
    if !enough || host.memory.group.is_none() {
        return Cure::by("a machine with more memory");
    }
    let mib = need.div_ceil(1 << 20);
    let group = format!("docker run --memory={mib}m, limits.memory: {mib}Mi, MemoryMax={mib}M");
    Cure::by(format!("a larger control group: {group}"))
}

/// The kernel saves memory of all connections from a number of pages on.
pub(super) fn tcp_memory(host: &Host, demand: &Demand) -> Option<Said> {
    let mut pages = host.settings.text("net.ipv4.tcp_mem")?.split_whitespace();
    let have: u64 = pages.nth(1)?.parse().ok()?;
    let need = demand.connections?.saturating_mul(PAGES_PER_CONNECTION);
    (need > have).then(|| {
        let message = format!(
            "{need} pages of data may be on their way, and TCP saves memory from {have} on: \
             windows shrink, and answers come in small pieces"
        );
        let value = format!("{need} {} {}", need.saturating_mul(2), need.saturating_mul(3));
        Said::new(Severity::Risky, message)
            .counts(need, have)
            .cure(Cure::set("net.ipv4.tcp_mem", value))
    })
}

/// Rings count as locked memory before Linux 5.12, and again since 6.14, but not for a process that
/// may lock what it likes.
pub(super) fn locked_memory(host: &Host, demand: &Demand) -> Option<Said> {
    let counts = host.kernel.is_since((6, 14))? || !host.kernel.is_since((5, 12))?;
    let bound = counts && host.kernel.rights.locks_memory() == Some(false);
    let Locked::Bytes(have) = host.memory.locked else { return None };
    let need = demand.locked.filter(|need| bound && *need > have)?;
    (!matches!(demand.ring, Ring::Unwanted | Ring::Refused(_))).then(|| {
        let message =
            format!("the rings lock about {}, and this user may lock {}", bytes(need), bytes(have));
        let enough = need.next_power_of_two();
        let shell = Cure::command(format!("prlimit --pid $$ --memlock={enough}"));
        Said::new(Severity::Impossible, message)
            .counts(need, have)
            .cure(shell.then(Cure::by("run in the same shell")))
            .cure(Cure::by(format!("in a container: docker run --ulimit memlock={enough}")))
            .cure(Cure::by("--reactor epoll"))
    })
}

/// Large pages for everybody are made while programs run.
pub(super) fn huge_pages(host: &Host, demand: &Demand) -> Option<Said> {
    let always = host.settings.chosen("vm.transparent_hugepage") == Some("always");
    (always && demand.scheduled).then(|| {
        let message = "huge pages are made for all programs: that stops them for moments";
        Said::new(Severity::Hint, message).cure(Cure::set("vm.transparent_hugepage", "madvise"))
    })
}

/// Pages that move between nodes are taken away from whoever uses them.
pub(super) fn numa_balancing(host: &Host, _: &Demand) -> Option<Said> {
    let on = host.settings.number("kernel.numa_balancing").is_some_and(|value| value != 0);
    let nodes = host.cpus.topology.nodes.len();
    (on && nodes > 1).then(|| {
        let message = format!("pages are moved between {nodes} memory nodes during the run");
        Said::new(Severity::Hint, message).cure(Cure::set("kernel.numa_balancing", "0"))
    })
}
