//! The load, its end and its timeouts.

use core::num::{NonZeroU8, NonZeroU32, NonZeroU64};

use anyhow::{Context, Result, ensure};
use pummel_engine::plan::{Limit, Load, OnFull, Stop, Timeouts, Timetable};
use pummel_engine::units::{Nanos, Rate};
use pummel_proto_http::limits::PIPELINE_MAX;

use super::{duration, rate};
use crate::args::{LoadArgs, Quoted};

const CONNECTIONS: NonZeroU32 = NonZeroU32::new(64).unwrap();
const DURATION: Nanos = Nanos::from_secs(10);
/// The shortest window: in less, it would be up to chance whether a single request starts.
const DURATION_MIN: Nanos = Nanos::from_millis(1);
const TIMEOUT: Nanos = Nanos::from_secs(10);
const CONNECT_TIMEOUT: Nanos = Nanos::from_secs(5);
const DRAIN_MIN: Nanos = Nanos::from_secs(10);

pub(super) fn connections(args: &LoadArgs) -> Result<NonZeroU32> {
    let count = args.connections.map_or(Some(CONNECTIONS), NonZeroU32::new);
    count.context("-c 0 opens no connection; give at least 1")
}

pub(super) fn load(args: &LoadArgs) -> Result<Load> {
    let pipeline = u8::try_from(args.pipeline).ok().filter(|&depth| depth <= PIPELINE_MAX);
    let pipeline = pipeline.and_then(NonZeroU8::new).with_context(|| {
        format!("--pipeline {} is out of bounds; give 1 to {PIPELINE_MAX}", args.pipeline)
    })?;
    Ok(match &args.rate {
        Some(text) => Load::Open {
            timetable: Timetable::constant(rate::parse(text).context("--rate")?),
            pipeline,
            on_full: OnFull::default(),
        },
        None => Load::Closed { pipeline, spawn: None },
    })
}

pub(super) fn timeouts(args: &LoadArgs) -> Result<Timeouts> {
    let of = |flag: &'static str, text: &Option<String>, default| match text {
        Some(text) => duration::parse_positive(text).context(flag),
        None => Ok(default),
    };
    Ok(Timeouts {
        connect: of("--connect-timeout", &args.connect_timeout, CONNECT_TIMEOUT)?,
        request: of("--timeout", &args.timeout, TIMEOUT)?,
        deadline: None,
    })
}

pub(super) fn stop(args: &LoadArgs, load: &Load, timeouts: Timeouts) -> Result<Stop> {
    let length = args.duration.as_deref().map(window).transpose().context("--duration")?;
    let count = match args.requests.map(NonZeroU64::new) {
        Some(None) => anyhow::bail!("-n 0 measures no request; give at least 1"),
        Some(count) => count,
        None => None,
    };
    let limit = match (length, count) {
        (Some(length), Some(count)) => Limit::Either(length, count),
        (None, Some(count)) => Limit::Requests(count),
        (length, None) => Limit::Duration(length.unwrap_or(DURATION)),
    };
    let warmup = args.warmup.as_deref().map(duration::parse).transpose().context("--warmup")?;
    let warmup = warmup.unwrap_or(Nanos::ZERO);
    let drain = args.drain.as_deref().map(duration::parse).transpose().context("--drain")?;
    if let (Some(rate), Some(length)) =
        (load.timetable().and_then(Timetable::only_rate), limit.duration())
    {
        let starts = starts_before(rate, warmup + length) - starts_before(rate, warmup);
        ensure!(
            starts > 0,
            "no request would start in a window of {length} after {warmup} of warm-up \
             at that --rate; give a longer --duration or a higher --rate"
        );
    }
    Ok(Stop { warmup, limit, drain: drain.unwrap_or(timeouts.request.max(DRAIN_MIN)) })
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

/// How many slots of the schedule lie before `end`: slot `k` is at `k × period / count`.
fn starts_before(rate: Rate, end: Nanos) -> u128 {
    let (count, period) = (u128::from(rate.count().get()), u128::from(rate.period().get()));
    (u128::from(end.get()) * count).div_ceil(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &LoadArgs) -> Result<(Load, Stop, Timeouts)> {
        let (load, timeouts) = (load(args)?, timeouts(args)?);
        let stop = stop(args, &load, timeouts)?;
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
}
