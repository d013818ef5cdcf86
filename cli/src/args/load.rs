//! How much, how fast, how long.

use clap::Args;
use pummel_engine::units::Rate;

use super::TimetableArgs;
use super::whole::whole;

/// The load and its end.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Load")]
pub(crate) struct LoadArgs {
    /// Connections to each host [default: 64]
    #[arg(short, long, short_alias = 'm', aliases = ["concurrency", "max-tasks"], value_name = "N",
          allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) connections: Option<u32>,
    /// Requests per second, whatever the server does [default: flat out]
    #[arg(short = 'q', long, short_alias = 'R', value_name = "RATE", allow_hyphen_values = true)]
    pub(crate) rate: Option<String>,
    /// The same per minute
    #[arg(long, value_name = "N", allow_hyphen_values = true, conflicts_with = "rate")]
    pub(crate) rpm: Option<String>,
    /// The sum of what a file has for each scenario.
    #[arg(skip)]
    pub(crate) rate_of_scenarios: Option<Rate>,
    /// Length of the window [default: the stages, or 10s without -n]
    #[arg(short = 't', long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) duration: Option<String>,
    /// Requests to measure, in total
    #[arg(short = 'n', long, alias = "total", value_name = "N", allow_negative_numbers = true,
          value_parser = whole::<u64>(1))]
    pub(crate) requests: Option<u64>,
    /// Most requests outstanding on a connection, up to 128; a closed loop
    /// fills up when half is free: N/2 to N are outstanding
    #[arg(long, value_name = "N", default_value_t = 1, verbatim_doc_comment,
          allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) pipeline: u32,
    /// Left out of the numbers at the beginning [default: 0s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) warmup: Option<String>,
    /// Longest wait for last answers [default: the timeout, 10s at least]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) drain: Option<String>,
    /// Wait for last answers: what is done anyway
    // Hidden, as it changes nothing and is longer than the help has room for.
    #[arg(long, conflicts_with = "drain", hide = true)]
    pub(crate) wait_ongoing_requests_after_deadline: bool,
    /// Longest wait for a response [default: 10s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,
    /// Longest wait for a connection [default: 5s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) connect_timeout: Option<String>,
    /// Longest time from the intended start to the last byte; open loop
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) deadline: Option<String>,
    /// What a request does that finds no free connection, in an open loop:
    /// queue, drop (be counted as dropped), or grow (wait while more
    /// connections are opened) [default: queue]
    #[arg(long, value_name = "POLICY", verbatim_doc_comment)]
    pub(crate) on_full: Option<String>,
    /// Most connections of --on-full grow and --watch [default: ten
    /// times -c, or as many as this machine allows]
    #[arg(long, value_name = "N", verbatim_doc_comment, allow_negative_numbers = true,
          value_parser = whole::<u32>(1))]
    pub(crate) max_connections: Option<u32>,
    /// Connections that join in together, in a closed loop [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) spawn_rate: Option<u32>,
    /// From one group that joins in to the next; here, a bare number is
    /// milliseconds [default: 100ms]
    #[arg(long, value_name = "TIME", verbatim_doc_comment, allow_hyphen_values = true)]
    pub(crate) spawn_interval: Option<String>,
    /// Look for edits of the file during the run, and change the load as
    /// it says: rates, stages, connections, weights of scenarios
    #[arg(long, verbatim_doc_comment)]
    pub(crate) watch: bool,
    /// In which time the rate gets to an edited one [default: 0s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) watch_transition: Option<String>,
    #[command(flatten)]
    pub(crate) timetable: TimetableArgs,
}
