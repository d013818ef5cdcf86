//! AS MEANT: defaults filled in, texts parsed, files read. No flag survives beyond here.
//!
//! [`Config`] is what the user meant, on any machine; [`plan`](plan::plan) turns it into what this
//! machine will do.

mod asked;
mod aws;
mod capacity;
mod change;
mod cookies;
mod demand;
pub(crate) mod duration;
mod feeds;
pub(crate) mod file;
mod form;
mod input;
pub(crate) mod keys;
mod load;
mod number;
pub(crate) mod pem;
mod plan;
mod protocol;
mod proxy;
mod rate;
mod redirects;
mod request;
mod roam;
mod scenario;
pub(crate) mod schema;
mod servers;
pub(crate) mod settings;
mod target;
pub(crate) mod threshold;
mod timetable;
mod tls;
mod upload;
mod urls;
mod way;
mod wire;

use core::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use pummel_engine::plan::{
    Arrivals, Asking, Detours, Load, Order, Pacing, Protocol, Scenario, Stop, Timeouts, Wire, Work,
};
use pummel_engine::reactor::Wish;
use pummel_engine::units::Nanos;
use pummel_tuning::Wanted;

pub(crate) use change::change;
pub(crate) use cookies::HTTP_ONLY;
pub(crate) use demand::demand;
pub(crate) use input::read;
pub(crate) use load::Most;
pub(crate) use plan::{look_up, plan};
pub(crate) use settings::{Outline, Settings, Surroundings};
pub(crate) use target::TargetUrl;
pub(crate) use way::Way;

use self::asked::Asked;
use self::feeds::Feeds;
use self::load::Terms;
use self::request::Common;
use self::roam::Refusal;
use self::servers::Server;
use self::threshold::Threshold;
use self::urls::{Aim, Urls};
use crate::args::{MachineArgs, OutputArgs, Quoted, RequestArgs, RunArgs};
use crate::exit::Failure;

/// What is said of `--latency-correction`.
const CORRECTED: &str = "--latency-correction changes nothing: in an open loop, response times \
                         are always measured from the intended start";

/// What is said of `--wait-ongoing-requests-after-deadline`.
const AWAITED: &str = "--wait-ongoing-requests-after-deadline changes nothing: last answers are \
                       always waited for, as long as --drain says";

/// What is said where cookies can never be sent back.
const LONELY: &str = "--cookies changes nothing: with a rate each slot brings a user of its own, \
                      and none makes a second request; give --cookies-load, or a scenario of \
                      several steps";

/// A run as it was meant.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) target: TargetUrl,
    /// Where connections go.
    pub(crate) way: Way,
    pub(crate) wire: Wire,
    /// The servers beside that of `target`, by their numbers from 1 on.
    pub(crate) others: Vec<Server>,
    pub(crate) work: Work,
    pub(crate) load: Load,
    pub(crate) connections: NonZeroU32,
    pub(crate) most: Most,
    /// How long an edit of the file takes to get the rate where it is to be; `None` if nobody looks
    /// for edits.
    pub(crate) watch: Option<Nanos>,
    pub(crate) stop: Stop,
    pub(crate) timeouts: Timeouts,
    pub(crate) placement: Wanted,
    pub(crate) reactor: Wish,
    /// Unless this machine decides.
    pub(crate) pacing: Option<Pacing>,
    pub(crate) seed: u64,
    pub(crate) calibrate: Calibrate,
    pub(crate) display: Display,
    pub(crate) strictness: Strictness,
    /// What the run has to keep.
    pub(crate) thresholds: Vec<Threshold>,
    /// Where the thresholds are written as JUnit has it.
    pub(crate) junit: Option<PathBuf>,
    /// The file for the cookies that users have in the end.
    pub(crate) cookies_save: Option<PathBuf>,
    /// Whether requests are tried instead of a run.
    pub(crate) tried: bool,
    /// Whether they are tried before it, which begins only if all goes well.
    pub(crate) preflight: bool,
    /// URLs to be printed instead of a run.
    pub(crate) dump: Option<Vec<String>>,
    /// What the user should know about what was typed.
    pub(crate) remarks: Vec<String>,
}

/// Whether a suspect run is a failed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Only an invalid one is.
    Lenient,
    Strict,
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

/// What a run asks for.
struct Task {
    work: Work,
    /// Where its requests lead, by the numbers of the servers, as far as that is known.
    servers: Vec<TargetUrl>,
    /// What the user should know of it.
    remark: Option<String>,
}

impl Task {
    /// What was typed, to which values come from `feeds`; those of them that it has.
    fn typed(common: &Common<'_>, urls: &Urls, feeds: Feeds) -> Result<(Self, Feeds), Refusal> {
        let Asked { work, feeds, servers, remark } = asked::work(common, urls, feeds)?;
        Ok((Self { work, servers, remark }, feeds))
    }
}

impl Config {
    /// Refuses requests that what is spoken cannot send.
    fn ensure_sendable(&self) -> Result<()> {
        if !self.wire.protocol.may_be_http2() {
            return Ok(());
        }
        let mut requests: Vec<&Asking> = self.work.requests().iter().collect();
        if self.work.order() == Order::InTurn {
            // They differ in their paths alone.
            let longest = requests.iter().max_by_key(|asking| asking.request.line().len());
            requests = longest.copied().into_iter().collect();
        }
        for asking in requests {
            let checked = request::ensure_http2(&asking.request);
            checked.with_context(|| match asking.name.as_str() {
                "" => "the request".to_owned(),
                name => format!("the request {}", Quoted(name)),
            })?;
        }
        for detour in self.work.detours().map_or(&[][..], Detours::all) {
            request::ensure_http2(&detour.request).context("a request that is redirected")?;
        }
        Ok(())
    }

    /// Has redirects followed, as requests say, and values lead to servers, once the work is known,
    /// and before users are given cookies.
    ///
    /// # Errors
    /// If that cannot be done.
    pub(crate) fn follow_redirects(&mut self, args: &RequestArgs) -> Result<()> {
        let others = self.others.iter().map(|server| &server.target);
        let places = core::iter::once(&self.target).chain(others).map(redirects::place);
        self.work = redirects::follow(args, self.work.clone(), &places.collect::<Vec<_>>())?;
        self.ensure_sendable()
    }

    /// Gives users their cookies, once the work is known; `epoch` is the Unix time at the origin of
    /// the engine's clock.
    ///
    /// # Errors
    /// If what was asked for makes no sense, or a file of them cannot be read.
    pub(crate) fn give_cookies(&mut self, args: &RequestArgs, epoch: Nanos) -> Result<()> {
        let Some((cookies, save)) = cookies::understand(args)? else { return Ok(()) };
        let lonely = self.load.is_open() && cookies.loaded.is_empty();
        // A redirect may well set one for where it leads.
        let lonely = lonely && !self.work.redirects();
        let single = |scenario: &Scenario| scenario.steps.len() == 1;
        if lonely && self.work.scenarios().iter().all(single) {
            self.remarks.push(LONELY.to_owned());
        }
        self.work = self.work.clone().with_cookies(cookies, epoch)?;
        self.cookies_save = save;
        // A field that varies is one more.
        self.ensure_sendable()
    }

    /// Checks that the run has what its thresholds look at, once its work is known.
    ///
    /// # Errors
    /// What it has not.
    pub(crate) fn check_thresholds(&self) -> Result<()> {
        threshold::check(&self.thresholds, &self.work, &self.load, &self.wire)
    }

    /// Understands what was typed.
    ///
    /// # Errors
    /// Whatever makes no sense, by the name of its flag, with what to do. Nothing was sent or
    /// opened but files.
    pub(crate) fn understand(args: &RunArgs) -> Result<Self> {
        let typed = |common: &Common<'_>, urls: &Urls| {
            let typed = Task::typed(common, urls, Feeds::default());
            typed.map(|(task, _)| task).map_err(|refusal| refusal.failure(None))
        };
        Self::of(args, typed).map_err(|failure| failure.error)
    }

    /// Understands what was typed beside the task that `task` makes of it.
    ///
    /// # Errors
    /// The same, and those of `task`.
    fn of(
        args: &RunArgs,
        task: impl FnOnce(&Common<'_>, &Urls) -> Result<Task, Failure>,
    ) -> Result<Self, Failure> {
        let urls = urls::understand(args).map_err(Failure::usage)?;
        let common = Common::understand(args).map_err(Failure::usage)?;
        let task = task(&common, &urls)?;
        Self::around(args, urls, task).map_err(Failure::usage)
    }

    /// Understands what was typed about how the task is done.
    fn around(args: &RunArgs, urls: Urls, task: Task) -> Result<Self> {
        let connections = load::connections(&args.load)?;
        let Terms { load, stop, timeouts, mut remarks } =
            load::understand(&args.load, connections)?;
        let servers = redirects::with_hosts(&args.request, &task.servers)?;
        let first = servers.first().context(roam::UNKNOWN)?.root();
        let wire::Terms { wire, way, others, remarks: of_wire, .. } =
            wire::understand(args, &servers)?;
        remarks.extend(of_wire);
        if args.load.timetable.latency_correction {
            remarks.push(CORRECTED.to_owned());
        }
        if args.load.wait_ongoing_requests_after_deadline {
            remarks.push(AWAITED.to_owned());
        }
        remarks.extend(task.remark);
        let target = match urls.target {
            Aim::At(target) if task.servers.iter().all(|server| server.is_beside(&target)) => {
                target
            }
            _ => first,
        };
        let config = Self {
            work: shared_out(task.work, args, &load),
            calibrate: calibrate(args.machine.calibrate, &wire)?,
            target,
            way,
            wire,
            others,
            connections,
            most: load::most(&args.load, connections)?,
            watch: load::watch(&args.load)?,
            stop,
            pacing: pacing(args.machine.pacing.as_deref(), &load)?,
            load,
            timeouts,
            placement: placement(&args.machine)?,
            reactor: reactor(args.machine.reactor.as_deref())?,
            seed: args.machine.seed,
            display: display(&args.output),
            strictness: if args.output.strict { Strictness::Strict } else { Strictness::Lenient },
            thresholds: threshold::all(&args.output.fail_if)?,
            junit: args.output.junit.clone(),
            cookies_save: None,
            tried: args.request.dry_run,
            preflight: args.request.preflight,
            dump: urls.dump,
            remarks,
        };
        config.ensure_sendable()?;
        Ok(config)
    }
}

/// The work, whose scenarios share the slots of `load` if they have rates of their own. Of Poisson
/// arrivals each is anybody's, so that those of one scenario are of that sort, too.
fn shared_out(work: Work, args: &RunArgs, load: &Load) -> Work {
    let evenly = load.timetable().is_some_and(|it| it.arrivals != Arrivals::Poisson);
    let rated = args.load.rate_of_scenarios.is_some() && evenly;
    if rated { work.in_proportion() } else { work }
}

/// Whether to calibrate, which can be done where the built-in target speaks as the server does.
fn calibrate(asked: bool, wire: &Wire) -> Result<Calibrate> {
    let plain = wire.protocol == Protocol::Http11 && wire.tls.is_none() && wire.proxy.is_none();
    ensure!(
        !asked || plain,
        "--calibrate knows HTTP/1.1 in the clear and without a proxy only; leave it out"
    );
    Ok(if asked { Calibrate::Before } else { Calibrate::No })
}

fn pacing(text: Option<&str>, load: &Load) -> Result<Option<Pacing>> {
    let pacing = match text {
        None => return Ok(None),
        Some("sleep") => Pacing::Sleep,
        Some("hybrid") => Pacing::Hybrid,
        Some("spin") => Pacing::Spin,
        Some(other) => {
            bail!("--pacing {} is unknown; give sleep, hybrid or spin", Quoted(other))
        }
    };
    ensure!(
        load.is_open(),
        "--pacing says how to wait for the schedule, and a closed loop has none; give --rate, or \
         leave it out"
    );
    Ok(Some(pacing))
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
