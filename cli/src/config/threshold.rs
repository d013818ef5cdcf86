//! Thresholds as they are typed: `p99>20ms`, `errors>0.1%`, `login:p95>=1s`.
//!
//! ```text
//! [STEP:]NAME OP VALUE
//! ```
//!
//! A step that holds one of `< > : " \` stands in quotes, within which `\` makes the next character
//! an ordinary one.

use core::fmt;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pummel_engine::plan::{Load, Wire, Work};
use pummel_engine::record::Quantile;
use pummel_engine::units::{Nanos, Rate};

use super::keys::nearest;
use super::number::Decimal;
use super::{duration, rate};
use crate::args::Quoted;

/// Something that must not be found, or the run has failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    /// The request of several that it is about; without one it is about all.
    pub(crate) step: Option<String>,
    /// What is looked at, as it is typed.
    pub(crate) name: String,
    pub(crate) op: Op,
    /// The limit, as it was typed.
    pub(crate) limit: String,
    pub(crate) demand: Demand,
}

/// How what is found compares to the limit when it has crossed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// What is looked at, and its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Demand {
    Time(Series, Statistic, Nanos),
    Outcomes(Outcome, Amount),
    /// Per second.
    Rate(Responses, f64),
    Bytes(Direction, u64),
}

/// A distribution of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Series {
    /// Response times in an open loop, service times in a closed one.
    Latency,
    Service,
    Lag,
    FirstByte,
    Connect,
    Handshake,
}

/// A number that stands for a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Statistic {
    Min,
    Mean,
    Max,
    Quantile(Quantile),
}

/// An outcome that is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Errors,
    Failures,
    Timeouts,
    Dropped,
    Unfinished,
    /// Of a scenario or a group, those that are endless among them.
    CutShort,
    /// Of a scenario or a group.
    Endless,
}

/// So many, or so many of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Count(u64),
    /// `parts` of `whole`, of what was scheduled; exact.
    Share {
        parts: u64,
        whole: u64,
    },
}

/// Which responses are counted per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Responses {
    All,
    Good,
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Sent,
    Received,
}

const OPS: [(&str, Op); 4] =
    [(">=", Op::AtLeast), ("<=", Op::AtMost), (">", Op::Above), ("<", Op::Below)];

/// What stands before the statistics of the other times.
const SERIES: [(&str, Series); 5] = [
    ("service", Series::Service),
    ("lag", Series::Lag),
    ("ttfb", Series::FirstByte),
    ("connect", Series::Connect),
    ("tls", Series::Handshake),
];

/// The statistics of every report, to say what somebody may have meant.
const STATISTICS: [&str; 10] =
    ["p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "min", "mean", "max"];

const OUTCOMES: [(&str, Outcome); 7] = [
    ("errors", Outcome::Errors),
    ("failures", Outcome::Failures),
    ("timeouts", Outcome::Timeouts),
    ("dropped", Outcome::Dropped),
    ("unfinished", Outcome::Unfinished),
    ("cut_short", Outcome::CutShort),
    ("endless", Outcome::Endless),
];

/// What else a name is called: as the report has it.
const ALIAS: (&str, &str) = ("failed", "failures");

const RATES: [(&str, Responses); 2] = [("rate", Responses::All), ("goodput", Responses::Good)];

const BYTES: [(&str, Direction); 2] =
    [("bytes.received", Direction::Received), ("bytes.sent", Direction::Sent)];

/// What other programs call the same.
const ELSEWHERE: [(&str, &str); 6] = [
    ("median", "p50"),
    ("avg", "mean"),
    ("latency", "p99"),
    ("rps", "rate"),
    ("throughput", "rate"),
    ("p100", "max"),
];

/// Most digits of a quantile or a share behind the point.
const DECIMALS_MAX: u32 = 6;

/// A name that was understood; its value is not yet.
enum Name {
    Time(Series, Statistic),
    Outcomes(Outcome),
    Rate(Responses),
    Bytes(Direction),
}

impl Op {
    /// Whether `found` has crossed `limit`.
    pub(crate) fn holds<T: PartialOrd + Copy>(self, found: T, limit: T) -> bool {
        match self {
            Self::Above => found > limit,
            Self::AtLeast => found >= limit,
            Self::Below => found < limit,
            Self::AtMost => found <= limit,
        }
    }

    /// As it is typed.
    pub(crate) fn sign(self) -> &'static str {
        OPS.iter().find(|(_, op)| *op == self).map_or("", |(sign, _)| sign)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            let special = step.contains(['<', '>', ':', '"', '\\']) || step.trim() != step;
            if special {
                write!(f, "\"{}\":", step.replace('\\', "\\\\").replace('"', "\\\""))?;
            } else {
                write!(f, "{step}:")?;
            }
        }
        write!(f, "{}{}{}", self.name, self.op.sign(), self.limit)
    }
}

/// Parses all that were typed.
///
/// # Errors
/// What makes no sense, by the name of the flag.
pub(super) fn all(texts: &[String]) -> Result<Vec<Threshold>> {
    let one =
        |text: &String| parse(text).map_err(|why| anyhow!("--fail-if {}: {why}", Quoted(text)));
    texts.iter().map(one).collect()
}

fn parse(text: &str) -> Result<Threshold> {
    let (step, rest) = quoted_step(text.trim())?;
    let example = "write for example p99>20ms, errors>0.1% or rate<50k";
    let Some(at) = rest.find(['<', '>']) else {
        bail!("nothing is compared, there is none of > >= < <=; {example}");
    };
    let (left, right) = rest.split_at(at);
    let (op, value) = OPS
        .iter()
        .find_map(|(sign, op)| Some((*op, right.strip_prefix(sign)?)))
        .context("nothing is compared")?;
    let (step, name) = match (step, left.rsplit_once(':')) {
        (None, Some((step, name))) => (Some(step.trim().to_owned()), name.trim()),
        (step, _) => (step, left.trim()),
    };
    ensure!(step.as_deref() != Some(""), "no step stands before the colon; leave the colon out");
    let value = value.trim();
    ensure!(!name.is_empty(), "no name stands before {}; {example}", op.sign());
    ensure!(!value.is_empty(), "no limit stands behind {}; {example}", op.sign());
    let (name, known) = self::name(name)?;
    let demand = match known {
        Name::Time(series, statistic) => Demand::Time(series, statistic, time(&name, value)?),
        Name::Outcomes(outcome) => Demand::Outcomes(outcome, amount(&name, value)?),
        Name::Rate(which) => {
            let limit = rate::parse_or_nothing(value)?;
            Demand::Rate(which, limit.map_or(0.0, Rate::per_second))
        }
        Name::Bytes(way) => Demand::Bytes(way, bytes(&name, value)?),
    };
    Ok(Threshold { step, name, op, limit: value.to_owned(), demand })
}

/// A step in quotes at the front of `text`, if there is one, and what follows its colon.
fn quoted_step(text: &str) -> Result<(Option<String>, &str)> {
    let Some(inner) = text.strip_prefix('"') else { return Ok((None, text)) };
    let (mut step, mut escaped) = (String::new(), false);
    for (at, letter) in inner.char_indices() {
        match letter {
            '"' if !escaped => {
                let rest = inner.get(at + 1..).unwrap_or_default().trim_start();
                let rest = rest.strip_prefix(':');
                let rest = rest.context("no colon follows the step in quotes; write STEP:NAME")?;
                return Ok((Some(step), rest));
            }
            '\\' if !escaped => escaped = true,
            _ => {
                step.push(letter);
                escaped = false;
            }
        }
    }
    bail!("the quote is not closed; write \\\" for a quote within a step");
}

/// What the name means, and how it is spelt by us.
fn name(text: &str) -> Result<(String, Name)> {
    let text = if text == ALIAS.0 { ALIAS.1 } else { text };
    if let Some((_, outcome)) = OUTCOMES.iter().find(|(name, _)| *name == text) {
        return Ok((text.to_owned(), Name::Outcomes(*outcome)));
    }
    if let Some((_, which)) = RATES.iter().find(|(name, _)| *name == text) {
        return Ok((text.to_owned(), Name::Rate(*which)));
    }
    if let Some((_, way)) = BYTES.iter().find(|(name, _)| *name == text) {
        return Ok((text.to_owned(), Name::Bytes(*way)));
    }
    let split = text.split_once('.');
    let prefixed = split.and_then(|(prefix, rest)| {
        let (name, series) = SERIES.iter().find(|(name, _)| *name == prefix)?;
        Some((Some(*name), *series, rest))
    });
    let (prefix, series, rest) = prefixed.unwrap_or((None, Series::Latency, text));
    let Some((spelt, statistic)) = statistic(rest)? else { bail!(unknown(text)) };
    let spelt = prefix.map_or_else(|| spelt.clone(), |prefix| format!("{prefix}.{spelt}"));
    Ok((spelt, Name::Time(series, statistic)))
}

/// A statistic of times, and how it is spelt; none if it is nothing of the kind.
fn statistic(text: &str) -> Result<Option<(String, Statistic)>> {
    let plain = match text {
        "min" => Some(Statistic::Min),
        "mean" => Some(Statistic::Mean),
        "max" => Some(Statistic::Max),
        _ => None,
    };
    if let Some(statistic) = plain {
        return Ok(Some((text.to_owned(), statistic)));
    }
    let Some(digits) = text.strip_prefix('p') else { return Ok(None) };
    let Some((percent, "")) = Decimal::split_off(digits) else { return Ok(None) };
    ensure!(
        percent.digits > 0 && percent.digits < percent.divisor().saturating_mul(100),
        "{} is no quantile; give one between p0 and p100, as p99.9, or min or max",
        Quoted(text)
    );
    ensure!(
        percent.scale <= DECIMALS_MAX,
        "{} has more than {DECIMALS_MAX} digits behind the point; give fewer",
        Quoted(text)
    );
    #[expect(clippy::cast_precision_loss, reason = "at most eight digits")]
    let share = percent.digits as f64 / (percent.divisor() * 100) as f64;
    let quantile = Quantile::new(share).context("no quantile")?;
    let (whole, fraction) =
        (percent.digits / percent.divisor(), percent.digits % percent.divisor());
    let scale = usize::try_from(percent.scale).unwrap_or_default();
    let fraction = format!("{fraction:0scale$}");
    let fraction = fraction.trim_end_matches('0');
    let spelt =
        if fraction.is_empty() { format!("p{whole}") } else { format!("p{whole}.{fraction}") };
    Ok(Some((spelt, Statistic::Quantile(quantile))))
}

/// What is said of a name that there is not.
fn unknown(text: &str) -> String {
    let with_series = |series: &str| STATISTICS.map(|statistic| format!("{series}.{statistic}"));
    let long: Vec<String> = SERIES.iter().flat_map(|(series, _)| with_series(series)).collect();
    let mut names: Vec<&str> = STATISTICS.to_vec();
    names.extend(OUTCOMES.iter().map(|(name, _)| name));
    names.extend(RATES.iter().map(|(name, _)| name));
    names.extend(BYTES.iter().map(|(name, _)| name));
    names.extend(long.iter().map(String::as_str));
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| text.eq_ignore_ascii_case(theirs));
    let meant = elsewhere.map(|(_, ours)| *ours).or_else(|| nearest(text, &names));
    match meant {
        Some(meant) => format!("there is no {}; did you mean {meant}?", Quoted(text)),
        None => format!(
            "there is no {}; give a time as p99, mean, service.p99 or ttfb.max, or one of errors, \
             failures, timeouts, dropped, unfinished, rate, goodput, bytes.received, bytes.sent, \
             and of a scenario or a group cut_short, endless",
            Quoted(text)
        ),
    }
}

fn time(name: &str, value: &str) -> Result<Nanos> {
    ensure!(
        !value.ends_with('%'),
        "{name} is a time, and {} a share; write for example {name}>20ms",
        Quoted(value)
    );
    // Elsewhere a bare number is seconds; here a slip would let every run pass.
    let bare = matches!(Decimal::split_off(value), Some((_, "")));
    ensure!(!bare, "{} has no unit; write {value}ms or {value}s", Quoted(value));
    let span = duration::parse(value).ok();
    span.with_context(|| {
        format!("{} is no time; write for example {name}>20ms or {name}>1.5s", Quoted(value))
    })
}

fn amount(name: &str, value: &str) -> Result<Amount> {
    if let Some(percent) = value.strip_suffix('%') {
        let percent = percent.trim_end();
        let Some((percent, "")) = Decimal::split_off(percent) else {
            bail!("{} is no share; write for example {name}>0.1%", Quoted(value));
        };
        ensure!(
            percent.scale <= DECIMALS_MAX,
            "{} has more than {DECIMALS_MAX} digits behind the point; give fewer",
            Quoted(value)
        );
        let (parts, whole) = (percent.digits, percent.divisor() * 100);
        ensure!(parts <= whole, "{} is more than all; give 100% or less", Quoted(value));
        return Ok(Amount::Share { parts, whole });
    }
    whole_number(value, &[("", 1), ("k", 1_000), ("M", 1_000_000)]).map(Amount::Count).with_context(
        || {
            let quoted = Quoted(value);
            format!("{quoted} is no number of requests; write for example {name}>10 or {name}>0.1%")
        },
    )
}

fn bytes(name: &str, value: &str) -> Result<u64> {
    let number = value.strip_suffix('B').unwrap_or(value);
    whole_number(number, &[("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)])
        .with_context(|| {
            let quoted = Quoted(value);
            format!("{quoted} is no number of bytes; write for example {name}>5000, 10kB or 1.5GB")
        })
}

/// A number in one of the units, if it is a whole one then.
fn whole_number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = Decimal::split_off(text)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let product = u128::from(number.digits) * u128::from(*factor);
    let divisor = u128::from(number.divisor());
    let whole = product % divisor == 0;
    whole.then(|| u64::try_from(product / divisor).ok()).flatten()
}

/// Checks that a run of `work` at `load` over `wire` has what the thresholds look at.
///
/// # Errors
/// What it has not, by the name of the flag.
pub(super) fn check(all: &[Threshold], work: &Work, load: &Load, wire: &Wire) -> Result<()> {
    let (steps, flows) = (work.rows(), work.flows());
    let flows: Vec<&str> = flows.iter().map(|flow| flow.name).collect();
    for threshold in all {
        let checked = match threshold.demand {
            Demand::Time(Series::Lag, ..) if !load.is_open() => Err(anyhow!(
                "a closed loop has no schedule to lag behind; give --rate, or leave it out"
            )),
            Demand::Time(Series::Handshake, ..) if wire.tls.is_none() => {
                Err(anyhow!("the target is in the clear, without handshakes; leave it out"))
            }
            _ => part(threshold, &steps, &flows),
        };
        let text = threshold.to_string();
        checked.map_err(|why| anyhow!("--fail-if {}: {why}", Quoted(&text)))?;
    }
    Ok(())
}

/// Whether the step that the threshold names, or the scenario or group, is kept apart, and what is
/// looked at is kept of it.
fn part(threshold: &Threshold, steps: &[&str], flows: &[&str]) -> Result<()> {
    let of_flows =
        matches!(threshold.demand, Demand::Outcomes(Outcome::CutShort | Outcome::Endless, _));
    match threshold.step.as_deref() {
        Some(name) if flows.contains(&name) => {
            let once = flows.iter().filter(|flow| **flow == name).count() == 1;
            ensure!(
                once && !steps.contains(&name),
                "{} is the name of several: steps, scenarios or groups; rename one",
                Quoted(name)
            );
            kept_of_flow(threshold)
        }
        _ if of_flows => bail!(
            "only scenarios and groups are cut short or endless; name one that has several \
             requests before a colon"
        ),
        None => Ok(()),
        Some(step) => {
            known(step, steps, flows)?;
            kept(threshold)
        }
    }
}

/// Whether `step` is one of the requests whose numbers are kept apart.
fn known(step: &str, steps: &[&str], flows: &[&str]) -> Result<()> {
    ensure!(
        !(steps.is_empty() && flows.is_empty()),
        "the numbers of steps are kept apart where 2 to {} names of them are; leave {} out",
        pummel_engine::plan::ROWS_MAX,
        Quoted(step)
    );
    if steps.contains(&step) {
        return Ok(());
    }
    let all: Vec<&str> = steps.iter().chain(flows).copied().collect();
    let meant = match nearest(step, &all) {
        Some(near) => format!("did you mean {}?", Quoted(near)),
        None => listed(steps, flows),
    };
    bail!("there is no step {}; {meant}", Quoted(step))
}

/// The names of what is kept apart.
fn listed(steps: &[&str], flows: &[&str]) -> String {
    let named = |kind: &str, names: &[&str]| {
        (!names.is_empty()).then(|| format!("{kind} are {}", Quoted(&names.join(", "))))
    };
    let all = [named("the steps", steps), named("scenarios and groups", flows)];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Whether what the threshold looks at is kept for scenarios and groups.
fn kept_of_flow(threshold: &Threshold) -> Result<()> {
    let kept = matches!(
        threshold.demand,
        Demand::Time(Series::Latency, ..)
            | Demand::Outcomes(Outcome::Unfinished | Outcome::CutShort | Outcome::Endless, _)
    );
    ensure!(
        kept,
        "{} is not kept of scenarios and groups; look at a latency, cut_short, endless or \
         unfinished",
        threshold.name
    );
    Ok(())
}

/// Whether what the threshold looks at is kept for each request.
fn kept(threshold: &Threshold) -> Result<()> {
    let kept = match threshold.demand {
        Demand::Time(series, ..) => series == Series::Latency,
        Demand::Outcomes(outcome, _) => outcome != Outcome::Dropped,
        Demand::Rate(..) | Demand::Bytes(..) => false,
    };
    ensure!(
        kept,
        "{} is kept for the whole run only; leave the step out, or look at a latency, errors, \
         failures, timeouts or unfinished",
        threshold.name
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::{NonZeroU8, NonZeroU32};
    use proptest::prelude::*;
    use pummel_engine::plan::{Asking, ExpectedStatus, Scenario, Step};
    use pummel_proto_http::Request;

    fn demand(text: &str) -> Demand {
        parse(text).unwrap().demand
    }

    fn quantile(share: f64) -> Statistic {
        Statistic::Quantile(Quantile::new(share).unwrap())
    }

    #[test]
    fn times_have_a_series_a_statistic_and_a_limit() {
        for (text, series, statistic, nanos) in [
            ("p99>20ms", Series::Latency, quantile(0.99), 20_000_000),
            ("p99.99 > 1m30s", Series::Latency, quantile(0.9999), 90_000_000_000),
            ("min<1us", Series::Latency, Statistic::Min, 1_000),
            ("service.mean>=1.5s", Series::Service, Statistic::Mean, 1_500_000_000),
            ("lag.p99.9>5ms", Series::Lag, quantile(0.999), 5_000_000),
            ("ttfb.max<=5ms", Series::FirstByte, Statistic::Max, 5_000_000),
            ("connect.p50>5ms", Series::Connect, quantile(0.5), 5_000_000),
            ("tls.p0.5>5ms", Series::Handshake, quantile(0.005), 5_000_000),
        ] {
            let expected = Demand::Time(series, statistic, Nanos::new(nanos));
            assert_eq!(demand(text), expected, "{text}");
        }
    }

    #[test]
    fn outcomes_are_counts_or_exact_shares() {
        let of = |outcome, amount| Demand::Outcomes(outcome, amount);
        assert_eq!(demand("errors>10"), of(Outcome::Errors, Amount::Count(10)));
        assert_eq!(demand("failures>1.5k"), of(Outcome::Failures, Amount::Count(1_500)));
        assert_eq!(parse("failed>1.5k").unwrap(), parse("failures>1.5k").unwrap());
        let share = |parts, whole| Amount::Share { parts, whole };
        assert_eq!(demand("timeouts>0.1%"), of(Outcome::Timeouts, share(1, 1_000)));
        assert_eq!(demand("dropped >= 100 %"), of(Outcome::Dropped, share(100, 100)));
        assert_eq!(demand("unfinished>0%"), of(Outcome::Unfinished, share(0, 100)));
    }

    #[test]
    fn rates_are_as_those_of_the_schedule_and_bytes_have_decimal_units() {
        assert_eq!(demand("rate<50k"), Demand::Rate(Responses::All, 50_000.0));
        assert_eq!(demand("goodput<=300/m"), Demand::Rate(Responses::Good, 5.0));
        assert_eq!(demand("rate<=0"), Demand::Rate(Responses::All, 0.0));
        assert_eq!(demand("bytes.sent>10"), Demand::Bytes(Direction::Sent, 10));
        let received = Demand::Bytes(Direction::Received, 1_500_000_000);
        assert_eq!(demand("bytes.received<1.5GB"), received);
    }

    #[test]
    fn an_operator_says_on_which_side_the_limit_is_crossed() {
        for (text, held) in [
            ("errors>5", [false, false, true]),
            ("errors>=5", [false, true, true]),
            ("errors<5", [true, false, false]),
            ("errors<=5", [true, true, false]),
        ] {
            let op = parse(text).unwrap().op;
            assert_eq!([4, 5, 6].map(|found| op.holds(found, 5)), held, "{text}");
        }
    }

    #[test]
    fn a_step_stands_before_a_colon_and_in_quotes_if_it_is_odd() {
        for (text, step) in [
            ("login:p99>20ms", "login"),
            (" GET /a : p99 > 20ms", "GET /a"),
            ("a:b:p99>20ms", "a:b"),
            ("\"a<b\": p99>20ms", "a<b"),
            (r#""say \"x\" \\":p99>20ms"#, r#"say "x" \"#),
            ("\" x\":p99>20ms", " x"),
        ] {
            let threshold = parse(text).unwrap();
            assert_eq!((threshold.step.as_deref(), threshold.name.as_str()), (Some(step), "p99"));
            assert_eq!(parse(&threshold.to_string()).unwrap(), threshold, "{text}");
        }
        assert_eq!(parse("p99>20ms").unwrap().step, None);
    }

    #[test]
    fn a_mistake_is_one_line_with_what_was_typed_and_what_to_write() {
        for (text, words) in [
            ("", "nothing is compared, there is none of > >= < <=; write for example p99>20ms"),
            ("p99", "nothing is compared"),
            ("p99=20ms", "nothing is compared"),
            (">20ms", "no name stands before >; write for example"),
            ("p99>", "no limit stands behind >; write for example"),
            (":p99>1ms", "no step stands before the colon"),
            ("\"a\"p99>1ms", "no colon follows the step in quotes"),
            ("\"a:p99>1ms", "the quote is not closed"),
            ("p9x>20ms", "there is no \"p9x\"; did you mean p90?"),
            ("errrors>1", "there is no \"errrors\"; did you mean errors?"),
            ("servise.p99>1ms", "there is no \"servise.p99\"; did you mean service.p99?"),
            ("failurs>1", "did you mean failures?"),
            ("RPS<5", "did you mean rate?"),
            ("cpu>1", "there is no \"cpu\"; give a time as p99, mean, service.p99"),
            ("p99=>1ms", "there is no \"p99=\"; did you mean p99?"),
            ("p0>1ms", "\"p0\" is no quantile; give one between p0 and p100"),
            ("p100>1ms", "\"p100\" is no quantile"),
            ("p99.9999999>1ms", "\"p99.9999999\" has more than 6 digits"),
            ("p99>20", "\"20\" has no unit; write 20ms or 20s"),
            ("p99>20mz", "\"20mz\" is no time; write for example p99>20ms"),
            ("p99>-1ms", "\"-1ms\" is no time"),
            ("p99>>1ms", "\">1ms\" is no time"),
            ("p99>1%", "p99 is a time, and \"1%\" a share"),
            ("errors>20ms", "\"20ms\" is no number of requests; write for example errors>10"),
            ("errors>0.5", "\"0.5\" is no number of requests"),
            ("errors>x%", "\"x%\" is no share; write for example errors>0.1%"),
            ("errors>101%", "\"101%\" is more than all"),
            ("errors>0.0000001%", "has more than 6 digits"),
            ("rate<1%", "\"1%\" is no rate; write for example 5000"),
            ("rate<9000M", "\"9000M\" is more than"),
            ("bytes.sent>1ms", "\"1ms\" is no number of bytes; write for example bytes.sent>5000"),
        ] {
            let said = all(&[text.to_owned()]).unwrap_err().to_string();
            assert!(said.starts_with(&format!("--fail-if {text:?}: ")), "{said}");
            assert!(said.contains(words) && !said.contains('\n'), "{text}: {said}");
        }
    }

    fn work(names: &[&str]) -> Work {
        let request = Request::builder("GET", "h", "/").unwrap().build();
        let asking = |name: &&str| {
            Asking::new((*name).to_owned(), request.clone(), ExpectedStatus::default())
        };
        let steps = (0..).zip(names).map(|(index, _)| Step::Request(index)).collect();
        let scenario = Scenario { name: String::new(), weight: NonZeroU32::MIN, steps };
        Work::new(names.iter().map(asking).collect(), vec![scenario]).unwrap()
    }

    #[track_caller]
    fn checked(text: &str, names: &[&str]) -> Result<(), String> {
        let closed = Load::Closed { pipeline: NonZeroU8::MIN, spawn: None };
        let thresholds = all(&[text.to_owned()]).unwrap();
        let checked = check(&thresholds, &work(names), &closed, &Wire::default());
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_is_one_of_those_that_there_are() {
        let names = ["login", "cart", "twice", "twice"];
        for text in [
            "login:p99>1ms",
            "cart:errors>1%",
            "cart:max>1s",
            "twice:max>1s",
            "rate<5",
            "dropped>1",
            "scenario:p99>1s",
            "scenario:cut_short>1%",
            "scenario:unfinished>0",
            "scenario:endless>0",
            "cart:failed>0",
        ] {
            assert_eq!(checked(text, &names), Ok(()), "{text}");
        }
        for (text, words) in [
            ("logn:p99>1ms", "there is no step \"logn\"; did you mean \"login\"?"),
            (
                "x:p99>1ms",
                "there is no step \"x\"; the steps are \"login, cart, twice\", scenarios and \
                 groups are \"scenario\"",
            ),
            ("cart:rate<5", "rate is kept for the whole run only; leave the step out"),
            ("cart:service.p99>1ms", "service.p99 is kept for the whole run only"),
            ("cart:dropped>1", "dropped is kept for the whole run only"),
            ("scenari:p99>1ms", "there is no step \"scenari\"; did you mean \"scenario\"?"),
            ("scenario:errors>1", "errors is not kept of scenarios and groups; look at a latency"),
            ("scenario:lag.max>1s", "a closed loop has no schedule"),
            ("cart:cut_short>1", "only scenarios and groups are cut short"),
            ("cut_short>1", "only scenarios and groups are cut short"),
            ("cart:endless>1", "only scenarios and groups are cut short or endless"),
        ] {
            let said = checked(text, &names).unwrap_err();
            assert!(said.starts_with("--fail-if ") && said.contains(words), "{text}: {said}");
        }
        let said = checked("scenario:p99>1ms", &["scenario", "other"]).unwrap_err();
        assert!(said.contains("\"scenario\" is the name of several"), "{said}");
        let said = checked("login:p99>1ms", &["login"]).unwrap_err();
        assert!(said.contains("where 2 to 256 names of them are; leave \"login\" out"));
    }

    #[test]
    fn what_a_run_does_not_have_is_no_threshold_of_it() {
        let said = checked("lag.p99>1ms", &["a"]).unwrap_err();
        assert!(
            said.contains("a closed loop has no schedule to lag behind; give --rate"),
            "{said}"
        );
        let said = checked("tls.p99>1ms", &["a"]).unwrap_err();
        assert!(said.contains("the target is in the clear"), "{said}");
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_makes_it_panic(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_looks_like_a_threshold_is_one_again_when_it_is_printed(
            text in concat!(
                r#"("?[a-z":\\ <]{0,6}"?:)?(p[0-9]{1,2}(\.[0-9]{1,3})?|mean|errors|rate)"#,
                " ?[<>]=? ?[0-9.]{1,5}(ms|%|k|/m|)",
            )
        ) {
            if let Ok(threshold) = parse(&text) {
                prop_assert_eq!(parse(&threshold.to_string()).unwrap(), threshold);
            }
        }

        #[test]
        fn what_was_meant_is_what_is_read(
            step in prop::option::of("\\PC{1,12}"),
            percent in 1_u32..100_000,
            op in prop::sample::select(OPS.to_vec()),
            millis in 1_u64..1_000_000,
        ) {
            let name = format!("p{}.{:03}", percent / 1_000, percent % 1_000);
            let (share, limit) = (f64::from(percent) / 100_000.0, Nanos::from_millis(millis));
            let threshold = Threshold {
                step: step.clone(),
                name,
                op: op.1,
                limit: format!("{millis}ms"),
                demand: Demand::Time(Series::Latency, quantile(share), limit),
            };
            let read = parse(&threshold.to_string()).unwrap();
            prop_assert_eq!((read.step, read.op), (step, op.1));
            let Demand::Time(Series::Latency, Statistic::Quantile(found), time) = read.demand else {
                return Err(TestCaseError::fail("another demand"));
            };
            prop_assert!((found.share() - share).abs() < 1e-12);
            prop_assert_eq!((time, read.limit), (limit, threshold.limit));
        }
    }
}
