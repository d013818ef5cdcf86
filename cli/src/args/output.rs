//! What is shown.

use std::path::PathBuf;

use clap::Args;

/// Report and progress.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "flags are what may be typed")]
pub(crate) struct OutputArgs {
    /// Print the report as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Show progress as lines, not as a live bar
    #[arg(long, alias = "no-ui")]
    pub(crate) no_tui: bool,
    /// Exit with 3 when the verdict is SUSPECT, not only when INVALID
    #[arg(long)]
    pub(crate) strict: bool,
    /// Exit with 4 when this is so: p99>20ms, errors>0.1%, rate<50k; of one
    /// step of a scenario login:p99>20ms; may be repeated
    #[arg(long, value_name = "EXPR", verbatim_doc_comment, allow_hyphen_values = true)]
    pub(crate) fail_if: Vec<String>,
    /// Write what became of each --fail-if to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Say on standard error what will be done
    #[arg(short, long)]
    pub(crate) verbose: bool,
}
