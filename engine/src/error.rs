//! Why a run could not be done: what, to what, and the next thing to try.

use std::io;

use crate::reactor::Address;
use crate::record::Trouble;

/// A run that could not be done. What the *target* does wrong during a run is no such error: it is
/// counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Not one connection could be opened, so nothing was sent.
    #[error("cannot {step} {address}{server}: {reason}; nothing was sent ({remedy})")]
    NoConnection {
        /// How far the connection came, as what could not be done with it.
        step: &'static str,
        /// The address tried last.
        address: Address,
        /// The server that it stands for, where there are several.
        server: String,
        /// The kind of failure.
        trouble: Trouble,
        /// The failure in words.
        reason: String,
        /// The next thing to try.
        remedy: &'static str,
    },
    /// The kernel refused what a shard needs.
    #[error("the kernel refused shard {shard} on CPU {cpu}")]
    Shard {
        /// Index of the shard.
        shard: u32,
        /// Its CPU.
        cpu: usize,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The rows of a feed cannot be had.
    #[error("cannot read the feed {name}")]
    Feed {
        /// What it is called.
        name: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel gave the coordinator no thread.
    #[error("the kernel gave the coordinator no thread")]
    Thread {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The coordinator's thread ended with a panic: a defect of pummel.
    #[error("the coordinator ended unexpectedly; please report this as a defect")]
    CoordinatorLost,
    /// A shard's thread ended with a panic: a defect of pummel.
    #[error("shard {shard} ended unexpectedly; please report this as a defect")]
    ShardLost {
        /// Index of the shard.
        shard: u32,
    },
    /// The run was stopped before its start barrier, so nothing was sent.
    #[error("stopped before the first request; nothing was sent")]
    StoppedBeforeStart,
}
