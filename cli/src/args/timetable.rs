//! When requests are meant to start, beyond one constant rate.

use clap::Args;

use super::whole::whole;

/// The schedule of an open loop.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Schedule")]
pub(crate) struct TimetableArgs {
    /// How starts scatter: constant, poisson or uniform-jitter [default:
    /// constant]
    #[arg(long, value_name = "KIND", verbatim_doc_comment)]
    pub(crate) arrivals: Option<String>,
    /// A stage at a rate, 30s:1000, or between two, 10s:0..5000; a pause is
    /// 5s:0; may be repeated, and replaces --rate
    #[arg(long, value_name = "TIME:RATE", verbatim_doc_comment, allow_hyphen_values = true)]
    pub(crate) stage: Vec<String>,
    /// Rise from nothing to --rate in so much time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) ramp: Option<String>,
    /// Another rate than --rate in the middle of the window, 5s:20k
    #[arg(long, value_name = "TIME:RATE", allow_hyphen_values = true)]
    pub(crate) spike: Option<String>,
    /// Requests of one burst [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u64>(1))]
    pub(crate) burst_rate: Option<u64>,
    /// From one burst to the next; replaces --rate
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) burst_delay: Option<String>,
    /// Measure from the intended start: what every open loop does anyway
    #[arg(long)]
    pub(crate) latency_correction: bool,
}
