//! AS TYPED: the words of the command line, one file per heading of the help.
//!
//! Durations, rates and targets stay text here: what they mean, and whether they make sense, is
//! decided in `config`, which will read the same texts from files.

mod doctor;
mod elsewhere;
mod file;
mod flags;
mod load;
mod machine;
mod output;
mod proxy;
mod quoted;
mod refusal;
mod request;
mod selftest;
mod strest;
mod target;
mod timetable;
mod tls;
mod typed;
mod whole;
mod wire;

use clap::{Args, Parser, Subcommand};

pub(crate) use doctor::DoctorArgs;
pub(crate) use elsewhere::mistaken;
pub(crate) use file::{ConfigArgs, FileArgs};
pub(crate) use flags::flags;
pub(crate) use load::LoadArgs;
pub(crate) use machine::MachineArgs;
pub(crate) use output::OutputArgs;
pub(crate) use proxy::ProxyArgs;
pub(crate) use quoted::Quoted;
pub(crate) use request::RequestArgs;
pub(crate) use selftest::SelftestArgs;
pub(crate) use target::TargetArgs;
pub(crate) use timetable::TimetableArgs;
pub(crate) use tls::TlsArgs;
#[cfg(test)]
pub(crate) use typed::typed;
pub(crate) use typed::{Typed, parse, quoted};
pub(crate) use wire::WireArgs;

use whole::whole;

use crate::serve;

/// Everything that may be typed.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "pummel",
    bin_name = "pummel",
    version,
    about = "Loads an HTTP server from pinned io_uring shards, and says how it answered.",
    after_help = AFTER_HELP,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Words {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

const AFTER_HELP: &str = "\
Durations: ns us ms s m h and combinations (1m30s, 1.5s); a bare number is seconds.
Rates: 5000, 5k, 1.5M per second; 300/m, 10/h.
Values: {{seq}}, {{uuid}}, {{random(1,9)}}, … in the URL, -H, -d and -F are made anew for each
request; docs/SCENARIOS.md has them all.
Settings: a file (--config, or without a target ./pummel.toml or ./pummel.json), over it
variables (PUMMEL_RATE=5k), over them flags; docs/CONFIG.md has the keys.
Exit codes: 0 done, 1 the run could not be done, 2 bad usage, 3 verdict invalid, 4 a threshold
(--fail-if) was crossed, 130 interrupted.";

/// The commands beside the run itself, which has no name.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts the built-in target on a free port, loads it, prints the report
    Demo(DemoArgs),
    /// Tests on this machine whether what pummel measures is true
    Selftest(SelftestArgs),
    /// Says what on this machine would hold a run back, and what helps
    Doctor(Box<DoctorArgs>),
    /// Checks the settings of a run, or shows them with where they come from
    Config(Box<ConfigArgs>),
    /// Prints the JSON Schema of configuration files
    Schema,
    /// Runs the built-in target by itself
    Target(Box<serve::TargetArgs>),
}

/// A run: `pummel URL [flags]`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) wire: WireArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) proxy: ProxyArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) file: FileArgs,
}

/// A run against the built-in target: `pummel demo`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Connections in total
    #[arg(short, long, value_name = "N", default_value_t = 64, allow_negative_numbers = true,
          value_parser = whole::<u32>(1))]
    pub(crate) connections: u32,
    /// Length of the measured window
    #[arg(
        short = 't',
        long,
        value_name = "TIME",
        default_value = "10s",
        allow_hyphen_values = true
    )]
    pub(crate) duration: String,
    /// Speak HTTP/2
    #[arg(long)]
    pub(crate) http2: bool,
    /// Speak TLS; the certificate that the target makes is believed, and no other
    #[arg(long)]
    pub(crate) tls: bool,
    /// How to meet the kernel: auto, uring or epoll
    #[arg(long, value_name = "KIND", default_value = "auto")]
    pub(crate) reactor: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The command line `line`, whose words have no blanks.
#[cfg(test)]
pub(crate) fn words(line: &str) -> Words {
    Words::try_parse_from(line.split_whitespace()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Words::command().debug_assert();
    }

    #[test]
    fn short_names_of_other_tools_mean_the_same() {
        for line in ["p x -c 5 -q 7 -n 9", "p x -m 5 -R 7 --total 9", "p x --concurrency 5 -R7 -n9"]
        {
            let load = words(line).run.load;
            assert_eq!(load.connections, Some(5), "{line}");
            assert_eq!(load.rate.as_deref(), Some("7"), "{line}");
            assert_eq!(load.requests, Some(9), "{line}");
        }
        assert_eq!(words("p -u x --verb PUT --headers a:b").run.request.header, ["a:b"]);
        assert_eq!(words("p x --max-tasks 5").run.load.connections, Some(5));
    }
}
