//! What the machine did during a run, as far as anybody knows.
//!
//! The engine reads no files of the system: whoever runs it may watch the machine and hand over
//! what was seen. What is unknown is `None`, and judged by nobody.

use crate::units::Nanos;

/// Facts about a machine over the time of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// The shards' threads, by index.
    pub shards: Vec<ShardThread>,
    /// Share of all CPU time that the hypervisor gave to others, in the worst second.
    pub steal: Option<f64>,
    /// Share of the time in which some task waited for a CPU, in the worst second.
    pub pressure: Option<f64>,
    /// Times that the control group's quota stopped this process.
    pub throttled: Option<u64>,
    /// TCP segments sent again, over those sent, on the whole machine.
    pub retransmits: Option<f64>,
    /// Connections that a listener on this machine lost, mostly for want of room.
    pub listen_overflows: Option<u64>,
    /// Packets that the kernel or a card dropped because a queue was full.
    pub packets_dropped: Option<u64>,
    /// Packets that a firewall of this machine dropped, since it had no room for their connections.
    pub firewall_dropped: Option<u64>,
    /// Whether the clock is one that is precise and cannot step; with its name.
    pub clock: Option<(String, bool)>,
    /// The target is on this machine, and may use CPUs that carry shards.
    pub shares_cpus: Option<bool>,
}

/// What the scheduler did to one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShardThread {
    /// Share of its time in which it was ready to run and did not.
    pub waited: Option<f64>,
    /// The same in the worst second.
    pub waited_worst: Option<f64>,
    /// Times per second that it lost its CPU to another.
    pub switches_per_s: Option<f64>,
}

impl Machine {
    /// The greatest share of a second that a shard waited for its CPU.
    pub(super) fn worst_wait(&self) -> Option<(usize, f64)> {
        let waits = self.shards.iter().enumerate();
        let waits = waits.filter_map(|(shard, thread)| Some((shard, thread.waited_worst?)));
        waits.max_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// The greatest share of the whole time that a shard waited for its CPU.
    pub(super) fn wait(&self) -> Option<f64> {
        self.shards.iter().filter_map(|thread| thread.waited).max_by(f64::total_cmp)
    }
}

/// A share of a second as a span.
pub(super) fn of_a_second(share: f64) -> Nanos {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share from 0 to 1; more saturates"
    )]
    let nanos = (share * 1e9) as u64;
    Nanos::new(nanos)
}
