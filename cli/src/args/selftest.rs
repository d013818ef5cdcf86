//! What may be typed after `pummel selftest`.

use clap::Args;

use super::whole::whole;

/// A test of the measurements on this machine: `pummel selftest`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SelftestArgs {
    /// As long as the tests were designed for, about 20 minutes [default: up to 90 s]
    #[arg(long)]
    pub(crate) full: bool,
    /// Only these tests: T3,T9
    #[arg(long, value_name = "LIST")]
    pub(crate) only: Option<String>,
    /// Print the findings as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Shards, one pinned thread each [default: 1, or one per CPU of --cores]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) shards: Option<u32>,
    /// CPUs for the shards: 1,3-5
    #[arg(long, value_name = "LIST", allow_negative_numbers = true)]
    pub(crate) cores: Option<String>,
    /// How to meet the kernel: auto, uring or epoll [default: auto]
    #[arg(long, value_name = "KIND")]
    pub(crate) reactor: Option<String>,
    /// How shards wait for a slot: sleep, hybrid or spin [default: as a run]
    #[arg(long, value_name = "KIND")]
    pub(crate) pacing: Option<String>,
}
