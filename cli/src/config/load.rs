//! The load, its end and its timeouts.

use core::num::{NonZeroU8, NonZeroU32, NonZeroU64};

use anyhow::{Context, Result, bail, ensure};
use pummel_engine::pace::{self, Schedule};
use pummel_engine::plan::{Arrivals, Limit, Load, OnFull, Share, Spawn, Stop, Timeouts, Timetable};
use pummel_engine::units::Nanos;
use pummel_proto_http::limits::PIPELINE_MAX;

use super::duration;
use super::timetable::{self, Meant};
use crate::args::{LoadArgs, Quoted};

const CONNECTIONS: NonZeroU32 = NonZeroU32::new(64).unwrap();
const DURATION: Nanos = Nanos::from_secs(10);
/// The shortest window: in less, it would be up to chance whether a single request starts.
const DURATION_MIN: Nanos = Nanos::from_millis(1);
const TIMEOUT: Nanos = Nanos::from_secs(10);
const CONNECT_TIMEOUT: Nanos = Nanos::from_secs(5);
const DRAIN_MIN: Nanos = Nanos::from_secs(10);
const SPAWN_INTERVAL: Nanos = Nanos::from_millis(100);

/// How many times the connections of the beginning `--on-full grow` makes, if nothing is said.
const GROWTH: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Most Poisson arrivals that a number of requests may need. A shard counts up to somewhat more,
/// because a warm-up holds more or less than is to be expected.
const POISSON_MAX: u32 = 60_000_000;
const _: () = assert!((POISSON_MAX as u64) < pace::COUNTED_MAX / 100 * 99);

/// When requests start, and which of them count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) load: Load,
    pub(super) stop: Stop,
    pub(super) timeouts: Timeouts,
    /// What the user should know of it.
    pub(super) remarks: Vec<String>,
}

/// The measured window as far as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) warmup: Nanos,
    pub(super) length: Option<Nanos>,
    pub(super) count: Option<NonZeroU64>,
}

/// The most connections of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Most {
    /// As many as it begins with.
    Fixed,
    /// As many as were asked for.
    Asked(NonZeroU32),
    /// As many as these, or as this machine allows.
    Allowed(NonZeroU32),
}

pub(super) fn connections(args: &LoadArgs) -> Result<NonZeroU32> {
    let count = args.connections.map_or(Some(CONNECTIONS), NonZeroU32::new);
    count.context("-c 0 opens no connection; give at least 1")
}

/// The most connections that `--on-full`, `--watch` and `--max-connections` allow.
pub(super) fn most(args: &LoadArgs, connections: NonZeroU32) -> Result<Most> {
    let grows = args.on_full.as_deref() == Some("grow") || args.watch;
    match args.max_connections {
        None if grows => Ok(Most::Allowed(connections.saturating_mul(GROWTH))),
        None => Ok(Most::Fixed),
        Some(_) if !grows => {
            bail!(
                "--max-connections bounds how far connections grow; \
                 give --on-full grow or --watch, too"
            )
        }
        Some(most) => {
            let most = NonZeroU32::new(most).filter(|&most| most >= connections);
            most.map(Most::Asked).with_context(|| {
                format!(
                    "--max-connections {} is less than the connections of the beginning; \
                     give {connections} or more, or a lower -c",
                    args.max_connections.unwrap_or_default()
                )
            })
        }
    }
}

/// How edits of the file are taken over, if they are.
pub(super) fn watch(args: &LoadArgs) -> Result<Option<Nanos>> {
    let transition = args.watch_transition.as_deref().map(duration::parse).transpose();
    let transition = transition.context("--watch-transition")?;
    Ok(args.watch.then(|| transition.unwrap_or(Nanos::ZERO)))
}

/// Understands what was typed about the load, for a run that begins with `connections`.
pub(super) fn understand(args: &LoadArgs, connections: NonZeroU32) -> Result<Terms> {
    let window = Window::read(args)?;
    let meant = timetable::understand(args, window)?;
    let load = load(args, meant.as_ref(), connections)?;
    let timeouts = timeouts(args)?;
    let length = meant.as_ref().and_then(|meant| meant.length);
    let limit = window.limit(length);
    let mut remarks = Vec::new();
    if let Some(meant) = meant {
        ensure_starts(&meant, window.warmup, limit)?;
        remarks.extend(meant.remark);
        remarks.extend(aside(args));
    }
    let drain = args.drain.as_deref().map(duration::parse).transpose().context("--drain")?;
    let drain = drain.unwrap_or(timeouts.request.max(DRAIN_MIN));
    Ok(Terms { load, stop: Stop { warmup: window.warmup, limit, drain }, timeouts, remarks })
}

/// What is said of flags for a closed loop beside a schedule, with which strest takes them.
fn aside(args: &LoadArgs) -> Option<String> {
    let flag = match (args.spawn_rate, &args.spawn_interval) {
        (Some(_), _) => "--spawn-rate",
        (None, Some(_)) => "--spawn-interval",
        (None, None) => return None,
    };
    Some(format!(
        "{flag} is left aside: connections join in without a schedule only; for a rate that rises, \
         give --ramp"
    ))
}

fn load(args: &LoadArgs, meant: Option<&Meant>, connections: NonZeroU32) -> Result<Load> {
    let pipeline = u8::try_from(args.pipeline).ok().filter(|&depth| depth <= PIPELINE_MAX);
    let pipeline = pipeline.and_then(NonZeroU8::new).with_context(|| {
        format!("--pipeline {} is out of bounds; give 1 to {PIPELINE_MAX}", args.pipeline)
    })?;
    let Some(meant) = meant else {
        ensure_closed(args)?;
        return Ok(Load::Closed { pipeline, spawn: spawn(args)? });
    };
    let on_full = match args.on_full.as_deref() {
        None | Some("queue") => OnFull::Queue,
        Some("drop") => OnFull::Drop,
        Some("grow") => OnFull::Grow {
            most: match most(args, connections)? {
                Most::Fixed => connections,
                Most::Asked(most) | Most::Allowed(most) => most,
            },
        },
        Some(other) => {
            bail!("--on-full {} is unknown; give queue, drop or grow", Quoted(other))
        }
    };
    Ok(Load::Open { timetable: meant.timetable.clone(), pipeline, on_full })
}

/// Refuses what has no meaning in a closed loop.
fn ensure_closed(args: &LoadArgs) -> Result<()> {
    for (flag, given) in [
        ("--arrivals", args.timetable.arrivals.is_some()),
        ("--on-full", args.on_full.is_some()),
        ("--max-connections", args.max_connections.is_some() && !args.watch),
        ("--deadline", args.deadline.is_some()),
        ("--latency-correction", args.timetable.latency_correction),
    ] {
        ensure!(
            !given,
            "{flag} needs a schedule, and a closed loop has none; give --rate, --stage or \
             --burst-delay"
        );
    }
    Ok(())
}

/// How connections join in.
fn spawn(args: &LoadArgs) -> Result<Option<Spawn>> {
    let Some(count) = args.spawn_rate else {
        ensure!(
            args.spawn_interval.is_none(),
            "--spawn-interval needs the number of connections that join in; give --spawn-rate"
        );
        return Ok(None);
    };
    let count = NonZeroU32::new(count);
    let count = count.context("--spawn-rate 0 lets nobody join in; give at least 1")?;
    let every = match args.spawn_interval.as_deref() {
        None => SPAWN_INTERVAL,
        Some(text) => duration::parse_in_millis(text).context("--spawn-interval")?,
    };
    ensure!(
        every > Nanos::ZERO,
        "--spawn-interval is no time at all; give more than zero, or leave --spawn-rate out"
    );
    Ok(Some(Spawn { count, every }))
}

fn timeouts(args: &LoadArgs) -> Result<Timeouts> {
    let of = |flag: &'static str, text: &Option<String>| {
        text.as_deref().map(duration::parse_positive).transpose().context(flag)
    };
    Ok(Timeouts {
        connect: of("--connect-timeout", &args.connect_timeout)?.unwrap_or(CONNECT_TIMEOUT),
        request: of("--timeout", &args.timeout)?.unwrap_or(TIMEOUT),
        deadline: of("--deadline", &args.deadline)?,
    })
}

impl Window {
    fn read(args: &LoadArgs) -> Result<Self> {
        let warmup = args.warmup.as_deref().map(duration::parse).transpose().context("--warmup")?;
        let length = args.duration.as_deref().map(window).transpose().context("--duration")?;
        let count = match args.requests.map(NonZeroU64::new) {
            Some(None) => bail!("-n 0 measures no request; give at least 1"),
            Some(count) => count,
            None => None,
        };
        Ok(Self { warmup: warmup.unwrap_or(Nanos::ZERO), length, count })
    }

    /// The length, if time bounds it, of a window without stages.
    pub(super) fn length_or_default(self) -> Option<Nanos> {
        self.length.or(self.count.is_none().then_some(DURATION))
    }

    /// What bounds the window, where its timetable lasts for `length`.
    fn limit(self, length: Option<Nanos>) -> Limit {
        match (self.length.or(length), self.count) {
            (Some(length), Some(count)) => Limit::Either(length, count),
            (None, Some(count)) => Limit::Requests(count),
            (length, None) => Limit::Duration(length.unwrap_or(DURATION)),
        }
    }
}

/// The length of the measured window.
fn window(text: &str) -> Result<Nanos> {
    let length = duration::parse_positive(text)?;
    ensure!(
        length >= DURATION_MIN,
        "{} is too short a window for a request to start in it; give 1ms or more",
        Quoted(text)
    );
    Ok(length)
}

/// Refuses a schedule that has nothing in the window, or more than can be counted.
fn ensure_starts(meant: &Meant, warmup: Nanos, limit: Limit) -> Result<()> {
    let Meant { timetable, flag, .. } = meant;
    let scattered = timetable.arrivals != Arrivals::Constant;
    if let Some(length) = limit.duration() {
        let end = warmup + length;
        let starts = if scattered {
            expected(timetable, warmup, end) >= 1.0
        } else {
            let mut slots = Schedule::new(timetable, Share::WHOLE, 0).cursor();
            slots.skip(warmup, u64::MAX);
            slots.start() < end
        };
        let would = if scattered { "is to be expected to" } else { "would" };
        ensure!(
            starts,
            "no request {would} start in a window of {length} after {warmup} of warm-up \
             at that {flag}; give a longer --duration or a higher rate"
        );
    }
    if timetable.arrivals == Arrivals::Poisson
        && let Some(count) = limit.requests()
    {
        #[expect(clippy::cast_precision_loss, reason = "compared with a bound below 2^53")]
        let counted = expected(timetable, Nanos::ZERO, warmup) + count.get() as f64;
        let by_time =
            limit.duration().map(|length| expected(timetable, Nanos::ZERO, warmup + length));
        ensure!(
            counted.min(by_time.unwrap_or(f64::INFINITY)) <= f64::from(POISSON_MAX),
            "-n {count} and the warm-up are more than {POISSON_MAX} poisson arrivals, too many to \
             be counted beforehand; give --duration instead of -n"
        );
    }
    Ok(())
}

/// How many slots the rate holds from `from` to `to`.
fn expected(timetable: &Timetable, from: Nanos, to: Nanos) -> f64 {
    pace::offered(timetable, from, to) * to.saturating_sub(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &LoadArgs) -> Result<(Load, Stop, Timeouts)> {
        let Terms { load, stop, timeouts, .. } = understand(args, connections(args)?)?;
        Ok((load, stop, timeouts))
    }

    fn typed() -> LoadArgs {
        LoadArgs { pipeline: 1, ..LoadArgs::default() }
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let (load, stop, timeouts) = read(&typed()).unwrap();
        assert_eq!(load, Load::Closed { pipeline: NonZeroU8::MIN, spawn: None });
        assert_eq!(stop.limit, Limit::Duration(DURATION));
        assert_eq!((stop.warmup, stop.drain), (Nanos::ZERO, DRAIN_MIN));
        assert_eq!((timeouts.connect, timeouts.request), (CONNECT_TIMEOUT, TIMEOUT));
        assert_eq!(connections(&typed()).unwrap(), CONNECTIONS);
    }

    #[test]
    fn a_number_of_requests_alone_has_no_duration() {
        let n = NonZeroU64::new(7).unwrap();
        let args = LoadArgs { requests: Some(7), ..typed() };
        assert_eq!(read(&args).unwrap().1.limit, Limit::Requests(n));
        let args = LoadArgs { duration: Some("3".into()), ..args };
        assert_eq!(read(&args).unwrap().1.limit, Limit::Either(Nanos::from_secs(3), n));
    }

    #[test]
    fn the_drain_lasts_as_long_as_an_answer_may_take() {
        let args = LoadArgs { timeout: Some("1m".into()), ..typed() };
        assert_eq!(read(&args).unwrap().1.drain, Nanos::from_secs(60));
        let args = LoadArgs { drain: Some("0".into()), ..args };
        assert_eq!(read(&args).unwrap().1.drain, Nanos::ZERO);
    }

    #[test]
    fn a_window_in_which_nothing_starts_is_refused() {
        let args = LoadArgs { rate: Some("1/m".into()), warmup: Some("1s".into()), ..typed() };
        assert!(read(&args).unwrap_err().to_string().contains("no request would start"));
        assert!(read(&LoadArgs { duration: Some("60s".into()), ..args.clone() }).is_ok());
        assert!(read(&LoadArgs { warmup: None, ..args }).is_ok());
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        let some = |text: &str| Some(text.to_owned());
        for args in [
            LoadArgs { pipeline: 0, ..typed() },
            LoadArgs { pipeline: 129, ..typed() },
            LoadArgs { requests: Some(0), ..typed() },
            LoadArgs { duration: some("0"), ..typed() },
            LoadArgs { duration: some("1ns"), ..typed() },
            LoadArgs { duration: some("999us"), requests: Some(1), ..typed() },
            LoadArgs { rate: some("0"), ..typed() },
            LoadArgs { timeout: some("0s"), ..typed() },
            LoadArgs { connect_timeout: some("soon"), ..typed() },
            LoadArgs { warmup: some("-1"), ..typed() },
        ] {
            assert!(read(&args).is_err(), "{args:?}");
        }
        assert!(read(&LoadArgs { duration: some("1ms"), ..typed() }).is_ok());
        assert!(connections(&LoadArgs { connections: Some(0), ..typed() }).is_err());
    }

    fn open() -> LoadArgs {
        LoadArgs { rate: Some("100".into()), ..typed() }
    }

    #[track_caller]
    fn refused(args: &LoadArgs, words: &str) {
        let said = format!("{:#}", read(args).unwrap_err());
        assert!(said.contains(words), "{said:?} lacks {words:?}");
    }

    #[test]
    fn stages_make_the_window_unless_its_length_is_given() {
        let mut args = typed();
        args.timetable.stage = vec!["2s:5".into(), "3s:1".into()];
        let (two, five) = (Nanos::from_secs(2), Nanos::from_secs(5));
        assert_eq!(read(&args).unwrap().1.limit, Limit::Duration(five));
        args.warmup = Some("2s".into());
        let stop = read(&args).unwrap().1;
        assert_eq!((stop.warmup, stop.limit), (two, Limit::Duration(five)));
        args.requests = Some(7);
        let n = NonZeroU64::new(7).unwrap();
        assert_eq!(read(&args).unwrap().1.limit, Limit::Either(five, n));
        args.duration = Some("7s".into());
        assert_eq!(read(&args).unwrap().1.limit, Limit::Either(five + two, n));
    }

    #[test]
    fn what_is_full_queues_drops_or_grows() {
        let full = |on_full: &str, max_connections| {
            let args = LoadArgs { on_full: Some(on_full.to_owned()), max_connections, ..open() };
            let Load::Open { on_full, .. } = read(&args)?.0 else { panic!("an open loop") };
            Ok::<_, anyhow::Error>((on_full, most(&args, CONNECTIONS)?))
        };
        let of = |count| NonZeroU32::new(count).unwrap();
        assert_eq!(full("queue", None).unwrap(), (OnFull::Queue, Most::Fixed));
        assert_eq!(full("drop", None).unwrap(), (OnFull::Drop, Most::Fixed));
        let most = of(640);
        assert_eq!(full("grow", None).unwrap(), (OnFull::Grow { most }, Most::Allowed(most)));
        let most = of(64);
        assert_eq!(full("grow", Some(64)).unwrap(), (OnFull::Grow { most }, Most::Asked(most)));
        let said = |on_full, most| format!("{:#}", full(on_full, most).unwrap_err());
        assert!(said("grow", Some(63)).contains("--max-connections 63 is less"));
        assert!(said("grow", Some(0)).contains("--max-connections 0 is less"));
        assert!(said("shed", None).contains("--on-full \"shed\" is unknown"));
        for on_full in [None, Some("drop".into()), Some("queue".into())] {
            let args = LoadArgs { on_full, max_connections: Some(100), ..open() };
            let said = super::most(&args, CONNECTIONS).unwrap_err().to_string();
            assert!(said.contains("give --on-full grow"), "{said}");
        }
    }

    #[test]
    fn connections_join_in_as_many_and_as_often_as_was_said() {
        let joining = |interval: Option<&str>| {
            let spawn_interval = interval.map(str::to_owned);
            let args = LoadArgs { spawn_rate: Some(5), spawn_interval, ..typed() };
            let Load::Closed { spawn, .. } = read(&args).unwrap().0 else { panic!("closed") };
            spawn.unwrap()
        };
        let count = NonZeroU32::new(5).unwrap();
        let every = |millis| Spawn { count, every: Nanos::from_millis(millis) };
        assert_eq!(joining(None), every(100));
        assert_eq!(joining(Some("250")), every(250));
        assert_eq!(joining(Some("2s")), every(2_000));
        refused(&LoadArgs { spawn_interval: Some("1s".into()), ..typed() }, "give --spawn-rate");
        refused(&LoadArgs { spawn_rate: Some(0), ..typed() }, "--spawn-rate 0");
        let args = LoadArgs { spawn_rate: Some(1), ..typed() };
        refused(&LoadArgs { spawn_interval: Some("0".into()), ..args.clone() }, "--spawn-interval");
        refused(&LoadArgs { spawn_interval: Some("x".into()), ..args }, "--spawn-interval: \"x\"");
    }

    #[test]
    fn a_deadline_counts_in_an_open_loop() {
        let args = LoadArgs { deadline: Some("250ms".into()), ..open() };
        assert_eq!(read(&args).unwrap().2.deadline, Some(Nanos::from_millis(250)));
        assert_eq!(read(&open()).unwrap().2.deadline, None);
        refused(&LoadArgs { deadline: Some("0".into()), ..open() }, "--deadline: \"0\"");
    }

    #[test]
    fn what_belongs_to_one_loop_is_refused_in_the_other() {
        let mut closed = [(); 5].map(|()| typed());
        closed[0].timetable.arrivals = Some("poisson".into());
        closed[1].on_full = Some("drop".into());
        closed[2].max_connections = Some(100);
        closed[3].deadline = Some("1s".into());
        closed[4].timetable.latency_correction = true;
        let flags =
            ["--arrivals", "--on-full", "--max-connections", "--deadline", "--latency-correction"];
        for (args, flag) in closed.into_iter().zip(flags) {
            refused(&args, &format!("{flag} needs a schedule"));
            let args = LoadArgs { rate: Some("5".into()), ..args };
            assert!(read(&args).is_ok(), "{args:?}");
        }
    }

    #[test]
    fn connections_that_join_in_are_left_aside_beside_a_schedule() {
        let rate = LoadArgs { spawn_rate: Some(1), ..open() };
        let interval = LoadArgs { spawn_interval: Some("1".into()), ..open() };
        for (args, flag) in [(rate, "--spawn-rate"), (interval, "--spawn-interval")] {
            let said = understand(&args, connections(&args).unwrap()).unwrap().remarks;
            assert!(said[0].starts_with(&format!("{flag} is left aside")), "{said:?}");
        }
    }

    #[test]
    fn a_schedule_with_nothing_in_the_window_is_refused_whatever_its_form() {
        let mut args = LoadArgs { warmup: Some("1s".into()), ..typed() };
        args.timetable.stage = vec!["1s:0".into(), "1ns:1".into()];
        args.duration = Some("1s5ms".into());
        assert!(read(&args).is_ok(), "slot 0 comes when the pause is over");
        args.timetable.stage = vec!["1s:0".into(), "1ns:0..1/h".into()];
        args.warmup = None;
        assert!(read(&args).is_ok(), "slot 0 comes with the rise");
        args.warmup = Some("1.5s".into());
        args.timetable.stage = vec!["5ms:1..2".into()];
        args.duration = None;
        refused(&args, "at that --stage");
        args.timetable.stage.clear();
        args.timetable.burst_delay = Some("1m".into());
        refused(&args, "at that --burst-delay");
        let mut poisson =
            LoadArgs { rate: Some("1".into()), duration: Some("999ms".into()), ..typed() };
        assert!(read(&poisson).is_ok());
        poisson.timetable.arrivals = Some("poisson".into());
        refused(&poisson, "is to be expected to start");
        poisson.duration = Some("1s".into());
        assert!(read(&poisson).is_ok());
    }

    #[test]
    fn poisson_arrivals_that_cannot_be_counted_beforehand_are_refused() {
        let mut args = LoadArgs { rate: Some("1M".into()), requests: Some(60_000_001), ..typed() };
        assert!(read(&args).is_ok());
        args.timetable.arrivals = Some("poisson".into());
        refused(&args, "-n 60000001 and the warm-up are more than 60000000");
        args.duration = Some("50s".into());
        assert!(read(&args).is_ok(), "time comes first");
        (args.duration, args.requests) = (None, Some(60_000_000));
        assert!(read(&args).is_ok());
        args.warmup = Some("1s".into());
        refused(&args, "give --duration instead of -n");
    }
}
