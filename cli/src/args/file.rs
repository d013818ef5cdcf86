//! Where settings come from, and what is said about them.

use std::path::PathBuf;

use clap::Args;

use super::RunArgs;

/// The configuration file.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct FileArgs {
    /// Settings from this file, .toml or .json [default: without a
    /// target ./pummel.toml, ./pummel.json, or those of strest]
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub(crate) config: Option<PathBuf>,
}

/// The settings of a run, without the run: `pummel config`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print the settings that are in effect, each with where it comes from
    #[arg(long)]
    pub(crate) show: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}
