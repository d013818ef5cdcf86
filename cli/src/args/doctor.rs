//! What may be typed after `pummel doctor`.

use std::path::PathBuf;

use clap::Args;

/// What this machine is to a load generator: `pummel doctor`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "flags are what may be typed")]
pub(crate) struct DoctorArgs {
    /// Judge the machine for this run: 'URL -c 50000 -q 200k'
    #[arg(long = "for", value_name = "RUN", allow_hyphen_values = true)]
    pub(crate) run: Option<String>,
    /// Print what was found as one JSON document
    #[arg(long, conflicts_with_all = ["apply", "revert"])]
    pub(crate) json: bool,
    /// Measure what this machine can do at best, against the built-in target
    #[arg(long, conflicts_with_all = ["apply", "revert"])]
    pub(crate) calibrate: bool,
    /// Say which settings of the kernel would be changed, for hints none; with --yes, change them
    #[arg(long, conflicts_with = "revert")]
    pub(crate) apply: bool,
    /// Only what these findings change, which may be hints: conntrack,governor
    #[arg(long, value_name = "LIST")]
    pub(crate) only: Option<String>,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
    /// Set back what --apply changed
    #[arg(long)]
    pub(crate) revert: bool,
    /// Print the container profile FILE (- is standard input) with the calls of io_uring allowed
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub(crate) seccomp: Option<PathBuf>,
    /// Where --apply writes what was there, and --revert reads it
    #[arg(long, value_name = "FILE", default_value = UNDO)]
    pub(crate) undo: PathBuf,
}

/// Settings last until the next start, and so need this file no longer.
const UNDO: &str = "/var/lib/pummel/doctor.undo";

const AFTER_HELP: &str = "\
Exit codes: 0 nothing is in the way, 1 the run of --for cannot be done or will not reach what it
asks for (impossible, limits), 2 bad usage. What changes is undone by a restart, too.

--apply does what is tried first, where that is a setting, and nothing for hints. For a finding
that --only names it does the first of the alternatives that is a setting.";
