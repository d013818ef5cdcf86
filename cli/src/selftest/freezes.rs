//! T2 to T5: a server that freezes. Every slot that was due meanwhile has waited, whoever was there
//! to send it.

use pummel_engine::record::Step;
use pummel_engine::record::buckets::Sparse;
use pummel_engine::units::Nanos;

use super::Mode;
use super::row::{Exposure, Row, real};
use super::trial::{Client, Load, Seen, Trial};
use super::truth;

/// Requests per second of all these tests; a slot is a millisecond.
const RATE: u64 = 1_000;

/// As many connections as to send a part of what was held up at once, and not all of it.
const CONNECTIONS: u32 = 100;

/// A freeze of `length` in the middle of each `period`.
#[derive(Clone, Copy, Debug)]
struct Freeze {
    length: Nanos,
    period: Nanos,
}

impl Freeze {
    const fn millis(length: u64, period: u64) -> Self {
        Self { length: Nanos::from_millis(length), period: Nanos::from_millis(period) }
    }

    /// As flags of the target.
    fn flags(self) -> String {
        let (length, period) = (self.length.get(), self.period.get());
        format!("--freeze {length}ns --freeze-every {period}ns --freeze-offset {}ns", period / 2)
    }

    fn truth(self) -> impl Fn(f64) -> f64 {
        truth::caught(self.length.as_secs_f64(), self.period.as_secs_f64())
    }

    /// The quantile at which the waits begin, and above which each quantile is another.
    fn edge(self) -> f64 {
        1.0 - self.length.as_secs_f64() / self.period.as_secs_f64()
    }
}

/// T2: a tenth of the time frozen, in long pieces.
pub(super) fn long(mode: Mode) -> Vec<Trial> {
    let (freeze, length) = match mode {
        Mode::Quick => (Freeze::millis(600, 6_000), 6),
        Mode::Full => (Freeze::millis(1_000, 10_000), 100),
    };
    let quantiles = vec![0.5, 0.89, 0.91, 0.95, 0.99, 0.995, 0.999, 1.0];
    vec![plain("long freezes", freeze, length, quantiles, 0.002)]
}

/// T3: a tenth of the time frozen, in short pieces.
pub(super) fn short(mode: Mode) -> Vec<Trial> {
    let freeze = Freeze::millis(100, 1_000);
    let length = mode.choose(4, 60);
    let quantiles = vec![0.89, 0.91, 0.95, 0.99, 0.999, 1.0];
    vec![plain("short freezes", freeze, length, quantiles, 0.001)]
}

/// A trial with freezes and unlimited capacity. `slack` is the design's tolerance of a span.
fn plain(name: &str, freeze: Freeze, length: u64, quantiles: Vec<f64>, slack: f64) -> Trial {
    Trial {
        name: name.to_owned(),
        load: Load::constant(RATE, Nanos::from_secs(length), CONNECTIONS),
        target: freeze.flags(),
        client: Client::Own,
        recorded: false,
        judge: Box::new(move |load, seen| caught(load, seen, freeze, &quantiles, slack)),
    }
}

/// What holds of every freeze with unlimited capacity.
fn caught(load: &Load, seen: &Seen, freeze: Freeze, quantiles: &[f64], slack: f64) -> Vec<Row> {
    let (truth, freeze_s) = (freeze.truth(), freeze.length.as_secs_f64());
    let row = |&q: &f64| {
        let truth = truth(q);
        // Those who waited longer are answered first.
        let before = freeze.period.as_secs_f64() * (1.0 - q).min(1.0 - freeze.edge());
        let base = slack.max(truth * 0.003) + FLOOR_S + before * load.per_second() * EACH_S;
        Row::quantile(q, seen.response(q), truth, base)
    };
    let mut rows: Vec<Row> = quantiles.iter().map(row).collect();
    let times = load.seconds() / freeze.period.as_secs_f64();
    let mean = freeze_s * freeze_s / 2.0 / freeze.period.as_secs_f64();
    let measured = seen.facts.response.known.mean() / 1e9;
    rows.push(Row::span("mean", measured, mean, slack / 2.0));
    let affected = times * load.per_second() * (freeze_s - AFFECTED_S);
    let delayed = Exposure::Beyond { span_s: AFFECTED_S, of: real(load.slots()) };
    let slower = seen.slower(AFFECTED_S);
    let answering = freeze_s * load.per_second() * EACH_S;
    let base = times * (1.0 + answering * load.per_second()) + 1.0;
    rows.push(Row::about("held up for 10 ms", slower, affected, base).with(delayed));
    rows.extend(seen.books(load, load.slots()));
    rows
}

/// What a request takes on a quiet machine, beside all that the model says.
const FLOOR_S: f64 = 100e-6;

/// What each of those adds who are answered all at once at the end of a freeze, at most.
const EACH_S: f64 = 10e-6;

/// Who waits for longer was caught in a freeze, on a machine that can be measured on.
const AFFECTED_S: f64 = 0.010;

/// T4: one freeze.
pub(super) fn rare(mode: Mode) -> Vec<Trial> {
    let (freeze, length) = match mode {
        Mode::Quick => (Freeze::millis(400, 5_000), 5),
        Mode::Full => (Freeze::millis(1_000, 100_000), 100),
    };
    // Beside the edge, where the truth does not jump.
    let beyond = 1.0 - freeze.edge();
    let quantiles = vec![0.5, freeze.edge() - 0.001, 1.0 - beyond / 2.0, 0.999, 0.9999, 1.0];
    vec![Trial {
        judge: Box::new(move |load, seen| {
            let mut rows = caught(load, seen, freeze, &quantiles, 0.002);
            rows.extend(ramp(load, &seen.facts.steps, freeze));
            rows
        }),
        ..plain("one freeze", freeze, length, Vec::new(), 0.0)
    }]
}

/// In the course of a run a freeze is one ramp that descends: who came at its beginning has waited
/// for the whole of it. Half of the worst time as long as the freeze has waited for half of it.
fn ramp(load: &Load, steps: &[Step], freeze: Freeze) -> Vec<Row> {
    let longest = |step: &Step| {
        let top = step.latency.at_rank(step.latency.total());
        top.map_or(0.0, Nanos::as_secs_f64)
    };
    let (mut ramps, mut before) = (0, 0.0);
    for step in steps {
        let top = longest(step);
        // The first step of a freeze has some that came just before, and is a part of its ramp.
        if top > AFFECTED_S && (top > before || before <= AFFECTED_S) {
            ramps += 1;
        }
        before = top;
    }
    let whole = usize::try_from(freeze.length.get() / STEP.get()).unwrap_or(usize::MAX);
    let medians = steps.windows(whole.max(1)).map(|window| {
        let mut all = Sparse::default();
        for step in window {
            all.merge(&step.latency);
        }
        all.at_rank(all.total().div_ceil(2)).map_or(0.0, Nanos::as_secs_f64)
    });
    let (worst, truth) = (medians.fold(0.0, f64::max), freeze.length.as_secs_f64() / 2.0);
    let delayed = Exposure::Beyond { span_s: AFFECTED_S, of: real(load.slots()) };
    // Steps know spans to 0.8 %, and half of those who waited are answered before.
    let base = 0.002 + 0.008 * truth + truth * load.per_second() * EACH_S;
    vec![
        Row::about("descending ramps", ramps, 1.0, 0.5).with(delayed),
        Row::span("p50 of the worst window", worst, truth, base).exposed(0.999),
    ]
}

/// Length of a step of the record of a short run.
const STEP: Nanos = pummel_engine::record::ROW;

/// T5: after a freeze, the queue is worked off with what capacity is left.
pub(super) fn capacity(mode: Mode) -> Vec<Trial> {
    let freeze = Freeze::millis(100, 1_000);
    let target = format!("{} --service-time 500us", freeze.flags());
    let judge = move |load: &Load, seen: &Seen| {
        let waits = truth::worked_off(0.1, 1.0, 0.5);
        let row = |q: f64| {
            let truth = waits(q) + 0.0005;
            Row::quantile(q, seen.response(q), truth, 0.0015 + FLOOR_S)
        };
        let mut rows: Vec<Row> = [0.5, 0.79, 0.85, 0.9, 0.95, 0.99, 1.0].map(row).into();
        rows.extend(seen.books(load, load.slots()));
        rows
    };
    vec![Trial {
        name: "freezes, and a queue".to_owned(),
        load: Load::constant(RATE, Nanos::from_secs(mode.choose(4, 60)), CONNECTIONS),
        target,
        client: Client::Own,
        recorded: false,
        judge: Box::new(judge),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::trial::tests::{seen, span_of, wrong};
    use super::*;
    use pummel_engine::record::buckets::Dense;

    /// How long each slot of a run waits: they come in the middle of their milliseconds.
    fn waits(load: &Load, freeze: Freeze) -> Vec<f64> {
        let (length, period) = (freeze.length.as_secs_f64(), freeze.period.as_secs_f64());
        let wait = |k: u64| {
            let since = ((real(k) + 0.5) / load.per_second() - period / 2.0).rem_euclid(period);
            (length - since).max(0.0)
        };
        (0..load.slots()).map(wait).collect()
    }

    fn with_steps(waits: &[f64]) -> Seen {
        let steps = waits.chunks(100).map(|chunk| {
            let mut dense = Dense::default();
            for &wait in chunk {
                dense.record(span_of(wait));
            }
            let mut step = Step::default();
            step.latency.add(&dense);
            step
        });
        let steps = steps.collect();
        let mut seen = seen(waits);
        seen.facts.steps = steps;
        seen
    }

    #[test]
    fn a_freeze_that_is_charged_to_all_whom_it_caught_is_right() {
        for mode in [Mode::Quick, Mode::Full] {
            let (long_one, rare_one) = match mode {
                Mode::Quick => (Freeze::millis(600, 6_000), Freeze::millis(400, 5_000)),
                Mode::Full => (Freeze::millis(1_000, 10_000), Freeze::millis(1_000, 100_000)),
            };
            let short_one = Freeze::millis(100, 1_000);
            for (trials, freeze) in
                [(long(mode), long_one), (short(mode), short_one), (rare(mode), rare_one)]
            {
                let trial = &trials[0];
                let waits = waits(&trial.load, freeze);
                assert_eq!(wrong(trial, &with_steps(&waits)), [""; 0], "{}", trial.name);
            }
        }
    }

    #[test]
    fn a_freeze_that_was_forgotten_is_wrong() {
        // Coordinated omission: a connection each shows it, and all others were never asked.
        for (trials, freeze) in [
            (long(Mode::Quick), Freeze::millis(600, 6_000)),
            (short(Mode::Quick), Freeze::millis(100, 1_000)),
            (rare(Mode::Quick), Freeze::millis(400, 5_000)),
        ] {
            let trial = &trials[0];
            let mut waits = waits(&trial.load, freeze);
            let caught = waits.iter_mut().filter(|wait| **wait > 0.0);
            caught.skip(10).for_each(|wait| *wait = 0.0);
            let wrong = wrong(trial, &with_steps(&waits));
            for what in ["p99", "mean", "held up for 10 ms"] {
                let what = if trial.name == "one freeze" && what == "p99" { "p96" } else { what };
                assert!(wrong.iter().any(|row| row == what), "{what} of {}: {wrong:?}", trial.name);
            }
        }
    }

    #[test]
    fn a_second_ramp_and_a_flat_one_are_wrong() {
        let trial = &rare(Mode::Quick)[0];
        let freeze = Freeze::millis(400, 5_000);
        let right = waits(&trial.load, freeze);
        let mut twice = right.clone();
        twice[500] = 0.050;
        assert!(wrong(trial, &with_steps(&twice)).contains(&"descending ramps".to_owned()));
        let flat: Vec<f64> = right.iter().map(|&w| if w > 0.0 { 0.4 } else { 0.0 }).collect();
        let wrong = wrong(trial, &with_steps(&flat));
        assert!(wrong.contains(&"p50 of the worst window".to_owned()), "{wrong:?}");
    }

    #[test]
    fn a_queue_that_was_not_worked_off_is_wrong() {
        let trial = &capacity(Mode::Quick)[0];
        let at = |q: f64| (0.1 - 0.5 * (1.0 - q)).max(0.0) + 0.0005;
        let slots = trial.load.slots();
        let right: Vec<f64> = (1..=slots).map(|k| at(real(k) / real(slots))).collect();
        assert_eq!(wrong(trial, &seen(&right)), [""; 0]);
        // As if the freeze had reached those only that it caught.
        let short = |k: u64| (0.1 - (1.0 - real(k) / real(slots))).max(0.0) + 0.0005;
        let short: Vec<f64> = (1..=slots).map(short).collect();
        assert!(wrong(trial, &seen(&short)).contains(&"p90".to_owned()));
    }
}
