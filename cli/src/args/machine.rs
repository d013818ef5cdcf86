//! What of this machine is used, and how.

use clap::Args;

use super::whole::whole;

/// Shards, CPUs and the kernel.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArgs {
    /// Shards, one pinned thread each [default: one per allowed CPU but one]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) shards: Option<u32>,
    /// CPUs for the shards: 1,3-5
    #[arg(long, value_name = "LIST", allow_negative_numbers = true)]
    pub(crate) cores: Option<String>,
    /// How to meet the kernel: auto, uring or epoll [default: auto]
    #[arg(long, value_name = "KIND")]
    pub(crate) reactor: Option<String>,
    /// How to wait for the next start, in an open loop: sleep, hybrid (spin for
    /// the last moment) or spin [default: hybrid where a CPU can be spared]
    #[arg(long, value_name = "WAY", verbatim_doc_comment)]
    pub(crate) pacing: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
          value_parser = whole::<u64>(0))]
    pub(crate) seed: u64,
    /// Measure first what this machine can do at best, against the built-in target
    #[arg(long)]
    pub(crate) calibrate: bool,
}
