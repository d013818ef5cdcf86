//! WHETHER IT IS TRUE: `pummel selftest` measures servers of which the truth can be written down,
//! on this machine and in real time, and compares.
//!
//! The built-in target plays the server, in a process of its own and on a CPU without a shard where
//! there is one. The same truths are held in virtual time, without any tolerance for a machine, by
//! tests; here the machine is a part of what is tested. So it is measured first, for what it does
//! to a program by itself, and again at the end. What it may have added to a number widens the
//! tolerance of the number, and where a wrong number could hide in that, nothing is decided. A
//! measurement that somebody disturbed is made again.
//!
//! | file | what it knows |
//! |---|---|
//! | `machine` | the jitter of this machine, and who got in the way |
//! | `trial` | one measurement: target, load, and what both sides say |
//! | `row` | one number: truth, measured, tolerance |
//! | `truth` | closed forms |
//! | `floor`, `freezes`, `overload`, `queueing`, `stall`, `losses` | the tests |
//! | `table` | what is printed |

mod floor;
mod freezes;
mod losses;
mod machine;
mod overload;
mod queueing;
mod row;
mod stall;
mod table;
mod trial;
mod truth;

use anyhow::Context;
use pummel_engine::coordinator::Control;
use pummel_engine::plan::Pacing;
use pummel_engine::reactor::{Kind, clock};
use pummel_engine::units::{Instant, Nanos};
use pummel_tuning::Host;

use machine::{Cpus, Jitter, Noise};
use row::Row;
use trial::{Bench, Measured, Trial};

pub(crate) use row::Outcome;
pub(crate) use table::{json, text};

use crate::exit::Failure;

/// How long the tests take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A minute and a half at most: shorter runs, with the truths of that length.
    Quick,
    /// As long as the design says.
    Full,
}

impl Mode {
    /// The number for this mode.
    const fn choose(self, quick: u64, full: u64) -> u64 {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// After this time nothing is repeated any more.
    const fn patience(self) -> Nanos {
        Nanos::from_secs(self.choose(90, 3_600))
    }
}

/// One of the tests.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    /// Its name in the design: `T1`.
    pub(crate) name: &'static str,
    title: &'static str,
    trials: fn(Mode) -> Vec<Trial>,
}

/// All of them, in their order.
pub(crate) const TESTS: [Test; 12] = [
    Test { name: "T1", title: "floor", trials: floor::floor },
    Test { name: "T2", title: "long freezes", trials: freezes::long },
    Test { name: "T3", title: "short freezes", trials: freezes::short },
    Test { name: "T4", title: "a rare freeze", trials: freezes::rare },
    Test { name: "T5", title: "freezes of a queue", trials: freezes::capacity },
    Test { name: "T6", title: "slow answers", trials: overload::bimodal },
    Test { name: "T7", title: "overload", trials: overload::overload },
    Test { name: "T8", title: "too few connections", trials: overload::pool },
    Test { name: "T9", title: "theory of queues", trials: queueing::queues },
    Test { name: "T10", title: "a client that stands still", trials: stall::client },
    Test { name: "T11", title: "losses", trials: losses::losses },
    Test { name: "T12", title: "the schedule", trials: floor::schedule },
];

/// What is tested, and with what.
pub(crate) struct Order {
    pub(crate) tests: Vec<Test>,
    pub(crate) mode: Mode,
    pub(crate) host: Host,
    /// CPUs of the shards.
    pub(crate) shards: Vec<usize>,
    /// The CPU of the target.
    pub(crate) target: usize,
    pub(crate) reactor: Kind,
    /// As typed.
    pub(crate) pacing: Option<String>,
    pub(crate) control: Control,
}

/// All that was found out.
pub(crate) struct Findings {
    bench: Bench,
    pacing: Pacing,
    mode: Mode,
    noise: Noise,
    tests: Vec<Tested>,
    took: Nanos,
}

/// One test that was made.
struct Tested {
    test: Test,
    trials: Vec<Tried>,
}

/// One measurement that was made, as often as was needed.
struct Tried {
    name: String,
    rows: Vec<Row>,
    /// Who got in the way the last time, if anybody did.
    disturbance: Option<String>,
    repeats: u32,
}

/// How long it takes to measure the jitter of the machine.
const JITTER: Nanos = Nanos::from_millis(2_200);

/// A disturbed measurement is made so many times more.
const REPEATS: u32 = 2;

/// Tests this machine. `tell` hears what is going on.
///
/// # Errors
/// If a measurement cannot be made at all, or the user calls it off.
pub(crate) fn run(order: Order, tell: &dyn Fn(&str)) -> Result<Findings, Failure> {
    let began = clock::now();
    let cpus = Cpus { shards: order.shards, target: order.target };
    let Order { host, reactor, pacing, control, mode, .. } = order;
    let bench = Bench { host, cpus, reactor, pacing, control };
    let pacing = bench.paced()?;
    let jitter = || {
        let jitter = Jitter::measure(&bench.cpus);
        jitter.context("cannot measure the jitter of this machine").map_err(Failure::impossible)
    };
    tell("measuring the jitter of this machine");
    let mut samples = vec![jitter()?];
    let planned: Vec<(Test, Vec<Trial>)> =
        order.tests.into_iter().map(|test| (test, (test.trials)(mode))).collect();
    let all = planned.iter().flat_map(|(_, trials)| trials);
    // What is still to come once each of them has been made.
    let mut rest = all.fold(JITTER, |rest, trial| rest + trial.takes());
    let mut tests = Vec::new();
    for (test, trials) in planned {
        tell(&format!("{} {}", test.name, test.title));
        let mut tried = Vec::new();
        for trial in trials {
            rest = rest.saturating_sub(trial.takes());
            let until = began + mode.patience().saturating_sub(rest);
            tried.push(attempt(&bench, &trial, until)?);
        }
        tests.push(Tested { test, trials: tried });
    }
    tell("measuring the jitter of this machine again");
    samples.push(jitter()?);
    let noise = Noise { samples, sleeps: pacing != Pacing::Spin };
    Ok(Findings { bench, pacing, mode, noise, tests, took: clock::now().since(began) })
}

/// Measures until nobody gets in the way, but not for ever, and not beyond `until`.
fn attempt(bench: &Bench, trial: &Trial, until: Instant) -> Result<Tried, Failure> {
    let mut repeats = 0;
    loop {
        let began = clock::now();
        let Measured { rows, disturbance } = bench.measure(trial)?;
        let another = clock::now() + clock::now().since(began);
        if disturbance.is_none() || repeats == REPEATS || another > until {
            return Ok(Tried { name: trial.name.clone(), rows, disturbance, repeats });
        }
        repeats += 1;
    }
}

impl Tried {
    /// What comes of a row: only the worst rows of a disturbed measurement count.
    fn outcome_of(&self, row: &Row, noise: &Noise) -> Outcome {
        row.outcome(noise, self.disturbance.is_some())
    }

    fn outcome(&self, noise: &Noise) -> Outcome {
        let outcomes = self.rows.iter().map(|row| self.outcome_of(row, noise));
        outcomes.max().unwrap_or(Outcome::Undecided)
    }
}

impl Tested {
    fn outcome(&self, noise: &Noise) -> Outcome {
        let outcomes = self.trials.iter().map(|tried| tried.outcome(noise));
        outcomes.max().unwrap_or(Outcome::Undecided)
    }
}

impl Findings {
    /// How many tests came out so.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.tests.iter().filter(|tested| tested.outcome(&self.noise) == outcome).count()
    }
}

#[cfg(test)]
mod tests {
    use super::machine::tests::{quiet, stolen};
    use super::*;

    fn tried(rows: Vec<Row>, disturbance: Option<&str>) -> Tried {
        let disturbance = disturbance.map(str::to_owned);
        Tried { name: String::new(), rows, disturbance, repeats: 0 }
    }

    fn right() -> Row {
        Row::quantile(0.5, 1.0, 1.0, 0.1)
    }

    fn wrong() -> Row {
        Row::quantile(0.5, 2.0, 1.0, 0.1)
    }

    #[test]
    fn the_worst_row_is_the_outcome_of_a_test() {
        let outcome = |rows| tried(rows, None).outcome(&quiet());
        assert_eq!(outcome(vec![right(), right()]), Outcome::Pass);
        assert_eq!(outcome(vec![right(), wrong()]), Outcome::Fail);
        assert_eq!(outcome(Vec::new()), Outcome::Undecided);
    }

    #[test]
    fn a_noisy_machine_neither_passes_nor_fails_what_it_can_have_done() {
        let noisy = stolen(0.5, 1.0);
        for rows in [vec![right()], vec![wrong()]] {
            assert_eq!(tried(rows.clone(), None).outcome(&noisy), Outcome::Undecided);
            assert_eq!(tried(rows, Some("x")).outcome(&quiet()), Outcome::Undecided);
        }
        let lost = Row::count("scheduled", 9, 10);
        assert_eq!(tried(vec![right(), lost], Some("x")).outcome(&noisy), Outcome::Fail);
    }

    #[test]
    fn every_test_has_trials_in_either_mode_and_the_quick_ones_are_quick() {
        let mut total = 0.0;
        for test in TESTS {
            for mode in [Mode::Quick, Mode::Full] {
                assert!(!(test.trials)(mode).is_empty(), "{}", test.name);
            }
            total += (test.trials)(Mode::Quick).iter().map(|t| t.load.seconds()).sum::<f64>();
        }
        // Each trial has to be set up, and the jitter is measured twice.
        assert!(total < 66.0, "{total} s");
    }
}
