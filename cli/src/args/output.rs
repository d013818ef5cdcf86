//! What is shown.

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
    #[arg(long)]
    pub(crate) no_tui: bool,
    /// Exit with 3 when the verdict is SUSPECT, not only when INVALID
    #[arg(long)]
    pub(crate) strict: bool,
    /// Say on standard error what will be done
    #[arg(short, long)]
    pub(crate) verbose: bool,
}
