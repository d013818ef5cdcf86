//! The timetable of an open loop: from flags to stages or bursts.

use core::num::NonZeroU64;

use anyhow::{Context, Result, bail, ensure};
use pummel_engine::plan::{Arrivals, Shape, Stage, Stages, Timetable};
use pummel_engine::units::{Nanos, Rate};

use super::duration::{self, LONGEST};
use super::load::Window;
use super::rate;
use crate::args::{LoadArgs, Quoted};

/// Most stages of a run; a slip in a script makes more.
const STAGES_MAX: usize = 1_000;

/// What a rate is called that is the sum of those of scenarios.
const OF_SCENARIOS: &str = "rate of each scenario or target";

/// A timetable as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) timetable: Timetable,
    /// How long the window is, unless its length is given.
    pub(super) length: Option<Nanos>,
    /// The flag that says how many requests start.
    pub(super) flag: &'static str,
    /// What the user should know of it.
    pub(super) remark: Option<String>,
}

/// Understands the schedule; `None` is a closed loop, which has none.
pub(super) fn understand(args: &LoadArgs, window: Window) -> Result<Option<Meant>> {
    let typed = &args.timetable;
    let arrivals = arrivals(typed.arrivals.as_deref())?;
    let bursts = typed.burst_rate.is_some() || typed.burst_delay.is_some();
    let mut remark = None;
    let (shape, length, flag) = match base(args)? {
        Some((base, flag)) => {
            ensure!(
                typed.stage.is_empty(),
                "--stage and {flag} do not go together; each stage says its own rate"
            );
            ensure!(
                !bursts,
                "bursts and {flag} do not go together; --burst-delay says how many there are"
            );
            (Shape::Stages(around(base, args, window)?), None, flag)
        }
        None if !typed.stage.is_empty() => {
            ensure!(!bursts, "bursts and --stage do not go together; give one of them");
            ensure!(
                typed.ramp.is_none() && typed.spike.is_none(),
                "--ramp and --spike go with --rate, not with --stage; write them as stages, \
                 for example --stage 10s:0..500"
            );
            let (stages, length) = stages(&typed.stage, window)?;
            let shorter = window.length.filter(|&given| given < length);
            remark = shorter.map(|shorter| {
                format!(
                    "--duration ends the run after {shorter}, within its stages, which last \
                     {length} together"
                )
            });
            (Shape::Stages(stages), Some(length), "--stage")
        }
        None => {
            ensure!(typed.ramp.is_none(), "--ramp rises to --rate; give that, too");
            ensure!(typed.spike.is_none(), "--spike rises above --rate; give that, too");
            if !bursts {
                return Ok(None);
            }
            ensure!(
                arrivals == Arrivals::Constant,
                "the requests of a burst come together; leave --arrivals out"
            );
            (burst(typed.burst_rate, typed.burst_delay.as_deref())?, None, "--burst-delay")
        }
    };
    Ok(Some(Meant { timetable: Timetable { shape, arrivals }, length, flag, remark }))
}

/// The rate of an open loop without stages, and the flag that says it.
fn base(args: &LoadArgs) -> Result<Option<(Rate, &'static str)>> {
    let (text, flag) = match (&args.rate, &args.rpm) {
        (Some(text), _) => (text.clone(), "--rate"),
        (None, Some(number)) => (rate::per_minute(number).context("--rpm")?, "--rpm"),
        (None, None) => return Ok(args.rate_of_scenarios.map(|sum| (sum, OF_SCENARIOS))),
    };
    ensure!(
        args.rate_of_scenarios.is_none(),
        "{flag} and {OF_SCENARIOS} do not go together; give one of them"
    );
    Ok(Some((rate::parse(&text).context(flag)?, flag)))
}

fn arrivals(text: Option<&str>) -> Result<Arrivals> {
    match text {
        None | Some("constant") => Ok(Arrivals::Constant),
        Some("poisson") => Ok(Arrivals::Poisson),
        Some("uniform-jitter") => Ok(Arrivals::UniformJitter),
        Some(other) => bail!(
            "--arrivals {} is unknown; give constant, poisson or uniform-jitter",
            Quoted(other)
        ),
    }
}

fn burst(count: Option<u64>, delay: Option<&str>) -> Result<Shape> {
    let delay = delay.context("--burst-rate needs the time between bursts; give --burst-delay")?;
    let every = duration::parse_positive(delay).context("--burst-delay")?;
    let count = NonZeroU64::new(count.unwrap_or(1));
    let count = count.context("--burst-rate 0 sends nothing; give at least 1")?;
    ensure!(
        Rate::new(count.get(), every).is_some(),
        "{count} requests each {every} are more than {} per second; give a lower --burst-rate \
         or a longer --burst-delay",
        Rate::MAX_PER_SECOND
    );
    Ok(Shape::Bursts { count, every })
}

/// The stages that were given one by one, and how long they last.
fn stages(texts: &[String], window: Window) -> Result<(Stages, Nanos)> {
    ensure!(
        texts.len() <= STAGES_MAX,
        "{} stages are more than {STAGES_MAX}; give fewer",
        texts.len()
    );
    let stages: Vec<Stage> =
        texts.iter().map(|text| stage(text)).collect::<Result<_>>().context("--stage")?;
    let length = stages.iter().fold(Nanos::ZERO, |sum, stage| sum + stage.length);
    ensure!(length <= LONGEST, "the stages last longer than a year together; give shorter ones");
    Ok((begun(stages, window.warmup)?, length))
}

/// Parses `TIME:RATE` or `TIME:FROM..TO`.
fn stage(text: &str) -> Result<Stage> {
    let Some((time, rates)) = text.split_once(':') else {
        bail!("{} is no stage; write for example 30s:1000, 10s:0..5000 or 5s:0", Quoted(text));
    };
    let length = duration::parse_positive(time)?;
    let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
    Ok(Stage { length, from: rate::parse_or_nothing(from)?, to: rate::parse_or_nothing(to)? })
}

/// `base` for ever, but for a rise up to it and a spike in the middle of the window.
fn around(base: Rate, args: &LoadArgs, window: Window) -> Result<Stages> {
    let ramp = args.timetable.ramp.as_deref().map(duration::parse_positive).transpose();
    let ramp = ramp.context("--ramp")?;
    let spike = args.timetable.spike.as_deref().map(stage).transpose().context("--spike")?;
    let length = window.length_or_default();
    let mut stages = Vec::new();
    if let Some(rise) = ramp {
        ensure!(
            length.is_none_or(|length| rise <= length),
            "--ramp lasts {rise}, longer than the window; give a longer --duration"
        );
        stages.push(Stage { length: rise, from: None, to: Some(base) });
    }
    if let Some(spike) = spike {
        let length = length.context("--spike needs the length of the window; give --duration")?;
        ensure!(
            spike.from == spike.to,
            "--spike has one rate; for one that changes, write stages, for example --stage 5s:1..9"
        );
        ensure!(
            spike.length < length,
            "--spike lasts {}, and the window {length}; give a longer --duration, so that there \
             is time before and after it",
            spike.length
        );
        let before = Nanos::new((length.get() - spike.length.get()) / 2);
        let rise = ramp.unwrap_or(Nanos::ZERO);
        ensure!(
            rise <= before,
            "--ramp lasts {rise}, and the --spike begins after {before}; give a shorter --ramp \
             or a longer --duration"
        );
        let flat = |length, rate| Stage { length, from: rate, to: rate };
        stages.push(flat(before.saturating_sub(rise), Some(base)));
        stages.push(spike);
        stages.push(flat(length.saturating_sub(before + spike.length), Some(base)));
        stages.retain(|stage| stage.length > Nanos::ZERO);
    }
    if stages.is_empty() { Ok(Stages::constant(base)) } else { begun(stages, window.warmup) }
}

/// The stages, after a warm-up at the rate with which they begin.
fn begun(mut stages: Vec<Stage>, warmup: Nanos) -> Result<Stages> {
    match stages.first_mut() {
        Some(first) if first.from == first.to => first.length += warmup,
        Some(&mut Stage { from, .. }) if warmup > Nanos::ZERO => {
            stages.insert(0, Stage { length: warmup, from, to: from });
        }
        _ => {}
    }
    Stages::new(stages).context(
        "the last --stage ends at 0, and its last rate is what a schedule goes on with; \
         let it end above 0, or leave it out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::TimetableArgs;

    const SPAN: Nanos = Nanos::from_secs(10);

    fn rate(per_second: u64) -> Option<Rate> {
        (per_second > 0).then(|| rate::parse(&per_second.to_string()).unwrap())
    }

    /// A stage of so many milliseconds.
    fn stage(millis: u64, from: u64, to: u64) -> Stage {
        Stage { length: Nanos::from_millis(millis), from: rate(from), to: rate(to) }
    }

    fn typed(base: Option<&str>, stages: &[&str]) -> LoadArgs {
        let stage = stages.iter().map(|&text| text.to_owned()).collect();
        LoadArgs {
            rate: base.map(str::to_owned),
            timetable: TimetableArgs { stage, ..TimetableArgs::default() },
            ..LoadArgs::default()
        }
    }

    fn lasting(warmup: u64, length: Option<Nanos>) -> Window {
        Window { warmup: Nanos::from_secs(warmup), length, count: None }
    }

    #[track_caller]
    fn check(args: &LoadArgs, window: Window, expected: &[Stage]) {
        let meant = understand(args, window).unwrap().unwrap();
        let Shape::Stages(stages) = meant.timetable.shape else { panic!("{meant:?}") };
        assert_eq!(stages.all(), expected, "{args:?}");
    }

    #[track_caller]
    fn refused(args: &LoadArgs, window: Window, words: &str) {
        let said = format!("{:#}", understand(args, window).unwrap_err());
        assert!(said.contains(words), "{said:?} lacks {words:?}");
    }

    #[test]
    fn stages_are_held_or_change_linearly_and_last_as_long_as_their_sum() {
        let args = typed(None, &["30s:1000", "10s:0..5k", "1m:5000..100", "5s:0", "2:60/m..1"]);
        let expected = [
            stage(30_000, 1_000, 1_000),
            stage(10_000, 0, 5_000),
            stage(60_000, 5_000, 100),
            stage(5_000, 0, 0),
            stage(2_000, 1, 1),
        ];
        check(&args, lasting(0, None), &expected);
        let meant = understand(&args, lasting(0, None)).unwrap().unwrap();
        assert_eq!(meant.length, Some(Nanos::from_secs(107)));
        assert!(understand(&args, lasting(0, Some(Nanos::from_secs(107)))).is_ok());
        let cut = understand(&args, lasting(0, Some(Nanos::from_secs(106)))).unwrap().unwrap();
        let said = "--duration ends the run after 106 s, within its stages, which last 107 s";
        assert!(cut.remark.unwrap().starts_with(said));
        assert_eq!((cut.timetable, meant.remark), (meant.timetable, None));
    }

    #[test]
    fn a_warm_up_comes_first_at_the_first_rate() {
        let window = lasting(3, None);
        check(&typed(None, &["1s:10"]), window, &[stage(4_000, 10, 10)]);
        let ramp = typed(None, &["1s:10..20"]);
        check(&ramp, window, &[stage(3_000, 10, 10), stage(1_000, 10, 20)]);
        let rise = typed(None, &["1s:0..20"]);
        check(&rise, window, &[stage(3_000, 0, 0), stage(1_000, 0, 20)]);
        // Its length does not count for the window.
        assert_eq!(understand(&rise, window).unwrap().unwrap().length, Some(Nanos::from_secs(1)));
    }

    #[test]
    fn a_ramp_rises_to_the_rate_and_a_spike_stands_in_the_middle() {
        let mut args = typed(Some("100"), &[]);
        let window = lasting(0, Some(SPAN));
        let constant = understand(&args, window).unwrap().unwrap().timetable;
        assert_eq!(constant, Timetable::constant(rate(100).unwrap()));
        args.timetable.ramp = Some("2s".into());
        check(&args, window, &[stage(2_000, 0, 100)]);
        args.timetable.spike = Some("4s:900".into());
        let (spike, after) = (stage(4_000, 900, 900), stage(3_000, 100, 100));
        check(&args, window, &[stage(2_000, 0, 100), stage(1_000, 100, 100), spike, after]);
        args.timetable.ramp = Some("3s".into());
        check(&args, window, &[stage(3_000, 0, 100), spike, after]);
        args.timetable.ramp = None;
        check(&args, lasting(5, Some(SPAN)), &[stage(8_000, 100, 100), spike, after]);
        // Ten seconds are the default, too.
        check(&args, lasting(0, None), &[stage(3_000, 100, 100), spike, after]);
    }

    #[test]
    fn bursts_are_of_one_request_unless_more_are_wanted() {
        let mut args = typed(None, &[]);
        args.timetable.burst_delay = Some("250ms".into());
        let shape =
            |args: &LoadArgs| understand(args, lasting(0, None)).unwrap().unwrap().timetable.shape;
        let (every, one) = (Nanos::from_millis(250), NonZeroU64::MIN);
        assert_eq!(shape(&args), Shape::Bursts { count: one, every });
        args.timetable.burst_rate = Some(7);
        assert_eq!(shape(&args), Shape::Bursts { count: NonZeroU64::new(7).unwrap(), every });
    }

    #[test]
    fn what_is_no_schedule_is_refused_by_name() {
        let window = lasting(0, Some(SPAN));
        for (stages, words) in [
            (&["1s"][..], "--stage: \"1s\" is no stage"),
            (&["0:5"], "\"0\" is no time at all"),
            (&[":5"], "\"\" is no duration"),
            (&["-1s:5"], "\"-1s\" is no duration"),
            (&["1s:"], "\"\" is no rate"),
            (&["1s:-5"], "\"-5\" is no rate"),
            (&["1s:NaN"], "\"NaN\" is no rate"),
            (&["1s:1...2..3"], "is no rate"),
            (&["1s:1..1001M"], "\"1001M\" is more than"),
            (&["1s:5", "1s:0"], "the last --stage ends at 0"),
            (&["1s:5..0"], "the last --stage ends at 0"),
            (&["8000h:1", "8000h:1"], "longer than a year together"),
        ] {
            refused(&typed(None, stages), window, words);
        }
        refused(&typed(None, &["1ms:1"; 1_001]), window, "1001 stages are more than 1000");
    }

    #[test]
    fn schedules_that_contradict_each_other_are_refused() {
        let window = lasting(0, Some(SPAN));
        let (rate, stage) = (typed(Some("5"), &[]), typed(None, &["1s:5"]));
        refused(&typed(Some("5"), &["1s:5"]), window, "--stage and --rate");
        let with = |args: &LoadArgs, change: fn(&mut TimetableArgs)| {
            let mut args = args.clone();
            change(&mut args.timetable);
            args
        };
        let bursts: fn(&mut TimetableArgs) = |typed| typed.burst_delay = Some("1s".into());
        refused(&with(&rate, bursts), window, "bursts and --rate");
        refused(&with(&stage, bursts), window, "bursts and --stage");
        let ramp: fn(&mut TimetableArgs) = |typed| typed.ramp = Some("11s".into());
        refused(&with(&rate, ramp), window, "longer than the window");
        assert!(understand(&with(&rate, ramp), lasting(0, Some(SPAN + SPAN))).is_ok());
        refused(&with(&stage, ramp), window, "--ramp and --spike go with --rate");
        refused(&with(&typed(None, &[]), ramp), window, "--ramp rises to --rate");
        let spike: fn(&mut TimetableArgs) = |typed| typed.spike = Some("10s:9".into());
        refused(&with(&rate, spike), window, "--spike lasts 10.0 s, and the window 10.0 s");
        refused(&with(&stage, spike), window, "--ramp and --spike go with --rate");
        refused(&with(&typed(None, &[]), spike), window, "--spike rises above --rate");
        let counted = Window { length: None, count: NonZeroU64::new(5), ..window };
        refused(&with(&rate, spike), counted, "--spike needs the length of the window");
        let both: fn(&mut TimetableArgs) = |typed| {
            (typed.ramp, typed.spike) = (Some("5s".into()), Some("1s:9".into()));
        };
        refused(&with(&rate, both), window, "--ramp lasts 5.00 s, and the --spike begins after");
        let uneven: fn(&mut TimetableArgs) = |typed| typed.spike = Some("1s:9..10".into());
        refused(&with(&rate, uneven), window, "--spike has one rate");
    }

    #[test]
    fn bursts_that_make_no_sense_are_refused() {
        let with = |count, delay: Option<&str>, arrivals: Option<&str>| {
            let mut args = typed(None, &[]);
            args.timetable.burst_rate = count;
            args.timetable.burst_delay = delay.map(str::to_owned);
            args.timetable.arrivals = arrivals.map(str::to_owned);
            args
        };
        let window = lasting(0, None);
        refused(&with(Some(3), None, None), window, "give --burst-delay");
        refused(&with(Some(0), Some("1s"), None), window, "--burst-rate 0");
        refused(&with(None, Some("0"), None), window, "--burst-delay: \"0\" is no time at all");
        refused(&with(Some(2), Some("1ns"), None), window, "more than 1000000000 per second");
        refused(&with(None, Some("1s"), Some("poisson")), window, "leave --arrivals out");
        refused(&with(None, Some("1s"), Some("weibull")), window, "--arrivals \"weibull\"");
        assert!(understand(&with(None, Some("1s"), Some("constant")), window).is_ok());
    }

    #[test]
    fn a_rate_may_be_given_per_minute() {
        let per_minute = |text: &str| LoadArgs { rpm: Some(text.into()), ..typed(None, &[]) };
        let window = lasting(0, None);
        let meant = understand(&per_minute("6k"), window).unwrap().unwrap();
        assert_eq!(meant.timetable, Timetable::constant(rate(100).unwrap()));
        assert_eq!(meant.flag, "--rpm");
        refused(&per_minute("0"), window, "--rpm: \"0/m\" would send nothing");
        refused(&per_minute("5/s"), window, "--rpm: \"5/s\" is no number per minute");
        let mut both = per_minute("5");
        both.timetable.stage = vec!["1s:5".into()];
        refused(&both, window, "--stage and --rpm do not go together");
    }
}
