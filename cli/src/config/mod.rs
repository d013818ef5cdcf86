//! AS MEANT: defaults filled in, texts parsed, files read. No flag survives beyond here.
//!
//! [`Config`] is what the user meant, on any machine; [`plan`](plan::plan) turns it into what this
//! machine will do.

mod capacity;
pub(crate) mod duration;
mod load;
mod number;
mod plan;
mod rate;
mod request;
mod target;

use core::num::NonZeroU32;

use anyhow::{Context, Result, bail};
use pummel_engine::plan::{ExpectedStatus, Load, Stop, Timeouts};
use pummel_engine::reactor::Wish;
use pummel_proto_http::Request;
use pummel_tuning::Wanted;

pub(crate) use plan::plan;
pub(crate) use target::TargetUrl;

use crate::args::{MachineArgs, OutputArgs, Quoted, RunArgs};

/// A run as it was meant.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) target: TargetUrl,
    pub(crate) request: Request,
    pub(crate) expected: ExpectedStatus,
    pub(crate) load: Load,
    pub(crate) connections: NonZeroU32,
    pub(crate) stop: Stop,
    pub(crate) timeouts: Timeouts,
    pub(crate) placement: Wanted,
    pub(crate) reactor: Wish,
    pub(crate) seed: u64,
    pub(crate) calibrate: Calibrate,
    pub(crate) display: Display,
}

/// Whether the best that this machine can do is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calibrate {
    /// Before the run.
    Before,
    No,
}

/// What is shown, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Display {
    pub(crate) format: Format,
    pub(crate) progress: Progress,
    /// Whether the plan is told before it is run.
    pub(crate) plan: Announce,
}

/// The form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// The form of the progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A bar where there is a terminal, else lines.
    Live,
    Lines,
}

/// Whether something is said beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announce {
    Yes,
    No,
}

impl Config {
    /// Understands what was typed.
    ///
    /// # Errors
    /// Whatever makes no sense, by the name of its flag, with what to do. Nothing was sent or
    /// opened but the body's file.
    pub(crate) fn understand(args: &RunArgs) -> Result<Self> {
        let Some(typed) = args.target.any() else {
            bail!("no target; try `pummel http://localhost:8080/` or `pummel demo`");
        };
        let target = target::parse(typed)?;
        let load = load::load(&args.load)?;
        let timeouts = load::timeouts(&args.load)?;
        Ok(Self {
            request: request::build(&args.request, &target)?,
            target,
            expected: request::expected(&args.request.status).context("--status")?,
            connections: load::connections(&args.load)?,
            stop: load::stop(&args.load, &load, timeouts)?,
            load,
            timeouts,
            placement: placement(&args.machine)?,
            reactor: reactor(args.machine.reactor.as_deref())?,
            seed: args.machine.seed,
            calibrate: if args.machine.calibrate { Calibrate::Before } else { Calibrate::No },
            display: display(&args.output),
        })
    }
}

pub(crate) fn placement(args: &MachineArgs) -> Result<Wanted> {
    let shards = match args.shards.map(NonZeroU32::new) {
        Some(None) => bail!("--shards 0 leaves nobody to send; give at least 1"),
        shards => shards.flatten(),
    };
    let cores = args.cores.as_deref().map(str::parse).transpose().context("--cores")?;
    Ok(Wanted { shards, cores })
}

pub(crate) fn reactor(text: Option<&str>) -> Result<Wish> {
    match text {
        None | Some("auto") => Ok(Wish::Auto),
        Some("uring") => Ok(Wish::Uring),
        Some("epoll") => Ok(Wish::Epoll),
        Some(other) => {
            bail!("--reactor {} is unknown; give auto, uring or epoll", Quoted(other))
        }
    }
}

fn display(args: &OutputArgs) -> Display {
    Display {
        format: if args.json { Format::Json } else { Format::Text },
        progress: if args.no_tui { Progress::Lines } else { Progress::Live },
        plan: if args.verbose { Announce::Yes } else { Announce::No },
    }
}
