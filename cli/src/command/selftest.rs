//! `pummel selftest`: whether measurements are true on this machine.

use core::num::NonZeroU32;

use anyhow::{Context, Result, bail};
use pummel_engine::coordinator::Control;
use pummel_engine::reactor;
use pummel_tuning::place;

use super::run;
use crate::args::{MachineArgs, Quoted, SelftestArgs};
use crate::config;
use crate::exit::{Code, Failure};
use crate::output::{self, stderr};
use crate::selftest::{self, Mode, Order, Outcome, TESTS, Test};

pub(super) fn selftest(args: &SelftestArgs) -> Result<Code, Failure> {
    let tests = only(args.only.as_deref()).map_err(Failure::usage)?;
    let wish = config::reactor(args.reactor.as_deref()).map_err(Failure::usage)?;
    let mut wanted = config::placement(&machine(args)).map_err(Failure::usage)?;
    if wanted.cores.is_none() {
        wanted.shards.get_or_insert(NonZeroU32::MIN);
    }
    let host = run::inspect();
    let placement = place(&host, &wanted).map_err(Failure::usage)?;
    let target = placement.free.or(placement.shards.first().copied());
    let target = target.context("no CPU to run on").map_err(Failure::usage)?;
    let choice = reactor::choose(wish).map_err(Failure::impossible)?;
    if let Some(fallback) = choice.fallback {
        stderr::line(&fallback);
    }
    let control = Control::default();
    run::obey_signals(&control).map_err(Failure::impossible)?;
    let order = Order {
        tests,
        mode: if args.full { Mode::Full } else { Mode::Quick },
        host,
        shards: placement.shards,
        target,
        reactor: choice.kind,
        pacing: args.pacing.clone(),
        control,
    };
    let findings = selftest::run(order, &stderr::line)?;
    let print = if args.json { selftest::json } else { selftest::text };
    let printed = output::stdout(|to| print(&findings, to));
    printed.context("cannot write the findings").map_err(Failure::impossible)?;
    Ok(code(findings.count(Outcome::Fail)))
}

/// What the findings mean for the exit: a measurement that is wrong makes numbers worthless. What
/// the machine was too noisy to decide is no such finding.
const fn code(failed: usize) -> Code {
    if failed == 0 { Code::Done } else { Code::Invalid }
}

/// The words about the machine that a run has too.
fn machine(args: &SelftestArgs) -> MachineArgs {
    MachineArgs { shards: args.shards, cores: args.cores.clone(), ..MachineArgs::default() }
}

/// The tests that are named, in their own order; all, if none is.
fn only(list: Option<&str>) -> Result<Vec<Test>> {
    let Some(list) = list else { return Ok(TESTS.to_vec()) };
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    let is = |test: &Test, name: &str| test.name.eq_ignore_ascii_case(name);
    for name in &names {
        if !TESTS.iter().any(|test| is(test, name)) {
            bail!("--only: there is no test {}; give some of T1 to T12", Quoted(name));
        }
    }
    let chosen = |test: &&Test| names.iter().any(|name| is(test, name));
    Ok(TESTS.iter().filter(chosen).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: Option<&str>) -> Vec<&'static str> {
        only(list).unwrap().iter().map(|test| test.name).collect()
    }

    #[test]
    fn tests_are_chosen_by_name_and_made_in_their_order_once() {
        assert_eq!(names(Some("T9, t3,T9")), ["T3", "T9"]);
        let all: Vec<String> = (1..=12).map(|n| format!("T{n}")).collect();
        assert_eq!(names(None), all);
    }

    #[test]
    fn a_test_that_there_is_not_is_refused_with_its_name() {
        for (list, name) in [("T13", "T13"), ("T1,x", "\"x\""), ("", "\"\""), ("T1,", "\"\"")] {
            let error = only(Some(list)).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("T1 to T12"), "{error}");
        }
    }

    #[test]
    fn one_wrong_measurement_makes_the_exit_invalid() {
        assert_eq!((code(0), code(1), code(12)), (Code::Done, Code::Invalid, Code::Invalid));
    }
}
