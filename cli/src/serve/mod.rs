//! The built-in target: a place for it.

use anyhow::bail;

/// What `pummel target` may be told.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// CPUs to run on
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// End when standard input is closed
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Serves until told to end.
pub(crate) fn run(args: &TargetArgs) -> anyhow::Result<()> {
    bail!("the built-in target is not in this build: {args:?}")
}
