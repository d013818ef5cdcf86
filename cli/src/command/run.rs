//! `pummel URL`: understand, plan, run, report.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use anyhow::{Context, anyhow};
use pummel_engine::coordinator::{Control, Observers};
use pummel_engine::plan::{Lookup, Plan};
use pummel_engine::report::{Ending, Report};
use pummel_engine::verdict::{Status, Verdict};
use pummel_engine::{RunError, reactor};
use pummel_tuning::Host;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{attempt, fitness, rehearsal};
use crate::args::Typed;
use crate::calibrate::Calibration;
use crate::config::{self, Announce, Calibrate, Config, Settings, Strictness, Surroundings};
use crate::edits::{Edits, Source};
use crate::exit::{Code, Failure};
use crate::lookup::{Lookups, Name};
use crate::machine;
use crate::output::{self, CookieFile, Environment, JunitFile, Paper, stderr};
use crate::progress::Progress;
use crate::threshold;
use crate::wall;
use crate::watch::Watcher;

pub(super) fn run(typed: &Typed) -> Result<Code, Failure> {
    let around = Surroundings::of_process();
    let settings = Settings::gather(typed, &around)?;
    settings.remarks.iter().for_each(|remark| stderr::line(remark));
    let config = settings.understand()?;
    if let Some(urls) = &config.dump {
        let printed = output::stdout(|to| urls.iter().try_for_each(|url| writeln!(to, "{url}")));
        printed.context("cannot write the URLs").map_err(Failure::impossible)?;
        return Ok(Code::Done);
    }
    let host = inspect();
    let source = settings.outline().filter(|_| config.watch.is_some());
    let source = source.map(|outline| Source { typed: typed.clone(), around, outline });
    let done = if config.tried {
        attempt::attempt(&config, &host)
    } else {
        execute(&config, &host, source)
    };
    done.map_err(|failure| settings.explain(failure))
}

/// Reads the machine, with as many open files as this process may have.
pub(super) fn inspect() -> Host {
    let files = pummel_tuning::raise_open_files();
    Host { files, ..pummel_tuning::inspect() }
}

/// Runs what was meant on this machine, and prints the report; edits of `source` change the load.
pub(super) fn execute(
    config: &Config,
    host: &Host,
    source: Option<Source>,
) -> Result<Code, Failure> {
    let choice = reactor::choose(config.reactor);
    let choice = choice.map_err(|error| Failure::impossible(anyhow!("{error}")))?;
    let (plan, notes) = config::plan(config, host, choice.kind)?;
    let checked = fitness::judge(config, host, &plan)?;
    let remarks = choice.fallback.iter().chain(&notes).chain(&config.remarks);
    for remark in remarks.chain(&checked.lines) {
        stderr::line(remark);
    }
    let junit = config.junit.as_deref().map(JunitFile::prepare).transpose();
    let junit = junit.map_err(Failure::usage)?;
    let cookies = config.cookies_save.as_deref().map(CookieFile::prepare).transpose();
    let cookies = cookies.map_err(Failure::usage)?;
    if config.display.plan == Announce::Yes {
        stderr::line(&announcement(&plan));
    }
    let control = Control::default();
    obey_signals(&control).map_err(Failure::impossible)?;
    let rehearse = || rehearsal::rehearse(config, &plan, &control);
    let rehearsed = config.preflight.then(rehearse).transpose()?;
    let calibration = match config.calibrate {
        Calibrate::Before => Some(Calibration::measure(&plan, host, &control)?),
        Calibrate::No => None,
    };
    let started_at = wall::now();
    let watcher = Watcher::start(plan.cores.cpus());
    let mut observers = Observers::none();
    let (edits, told) = edits(config, source, &plan, &control).map_err(Failure::usage)?;
    let progress = Progress::watch(&plan, config.display.progress, &mut observers, &control, told);
    let lookups = lookups(config, &plan, &control);
    let outcome = pummel_engine::run(plan, observers, &control);
    drop(edits);
    progress.end();
    if let Some(note) = lookups.and_then(Lookups::finish) {
        stderr::line(&note);
    }
    let report = match outcome {
        Ok(report) => report,
        Err(error @ RunError::StoppedBeforeStart) => {
            return Err(Failure { code: Code::Interrupted, error: error.into(), excerpt: None });
        }
        Err(error) => return Err(Failure::impossible(error)),
    };
    ensure_read(config).map_err(Failure::impossible)?;
    let seen = watcher.and_then(Watcher::finish);
    let verdict = Verdict::of(&report, &machine::of(&report, host, seen.as_ref()));
    let findings = threshold::judge(&config.thresholds, &report, verdict.status);
    let (host, found) = (host.clone(), checked.findings);
    let environment =
        Environment { started_at, host, findings: found, seen, calibration, rehearsed };
    let paper = Paper { report: &report, verdict: &verdict, thresholds: &findings };
    let printed = output::report(&paper, &environment, config.display.format);
    printed.context("cannot write the report").map_err(Failure::impossible)?;
    if let Some(file) = junit {
        file.write(&paper, &environment).map_err(Failure::impossible)?;
    }
    if let Some(file) = cookies {
        file.write(&report.cookies).map_err(Failure::impossible)?;
    }
    let broken = tell_feeds(&report);
    let kept = findings.iter().all(threshold::Finding::passed);
    match code(report.ending, verdict.status, config.strictness, kept) {
        Code::Done | Code::Crossed if broken => Ok(Code::Impossible),
        code => Ok(code),
    }
}

/// Refuses what was sent if a file could not be read to its end while it was.
pub(super) fn ensure_read(config: &Config) -> anyhow::Result<()> {
    let mut requests = config.work.requests().iter();
    match requests.find_map(|asking| asking.request.stored()?.failure()) {
        None => Ok(()),
        Some(said) => Err(anyhow!("{said}")),
    }
}

/// Says which feeds were at their end, and whether one of them broke off.
pub(super) fn tell_feeds(report: &Report) -> bool {
    let mut broken = false;
    for (feed, fed) in report.plan.work.feeds().iter().zip(&report.totals.fed) {
        match feed.rows.trouble() {
            Some(trouble) => {
                broken = true;
                stderr::line(&format!("the feed {} broke off: {trouble}", feed.name));
            }
            None if fed.ended > 0 => {
                stderr::line(&format!("the feed {} ended: there were no more rows", feed.name));
            }
            None => {}
        }
    }
    broken
}

/// Looks for edits during the run, if that is wanted; and what there is to say of them.
fn edits(
    config: &Config,
    source: Option<Source>,
    plan: &Plan,
    control: &Control,
) -> anyhow::Result<(Option<Edits>, Option<Receiver<String>>)> {
    let Some(source) = source else { return Ok((None, None)) };
    let begun = config::change(plan, config)?;
    Ok(Edits::start(source, plan, begun, control).unzip())
}

/// Looks names up during the run, if that is wanted.
fn lookups(config: &Config, plan: &Plan, control: &Control) -> Option<Lookups> {
    let others = config.others.iter().map(|server| (&server.way, server.lookup));
    let all = [(&config.way, config.wire.lookup)].into_iter().chain(others);
    let names = (0..).zip(all).zip(plan.targets()).filter(|((_, (_, it)), _)| *it == Lookup::Again);
    let names = names.map(|((server, (way, _)), target)| {
        let (way, known) = (way.clone(), target.addresses.clone());
        Name { server, resolve: Box::new(move || config::look_up(&way)), known }
    });
    let names: Vec<Name> = names.collect();
    if names.is_empty() {
        return None;
    }
    Lookups::start(names, control, plan.cores.cpus())
}

/// What the report means for the exit. Numbers that are worthless are so however the run ended, and
/// tell nothing about thresholds; `kept` says that none was crossed.
fn code(ending: Ending, status: Status, strictness: Strictness, kept: bool) -> Code {
    // Whoever ends a run early knows that it is not the one that was planned.
    if ending == Ending::Interrupted {
        return Code::Interrupted;
    }
    match (status, strictness) {
        (Status::Invalid, _) | (Status::Suspect, Strictness::Strict) => return Code::Invalid,
        (Status::Suspect, Strictness::Lenient) | (Status::Pass, _) => {}
    }
    match ending {
        Ending::Completed if kept => Code::Done,
        Ending::Completed => Code::Crossed,
        Ending::Interrupted => Code::Interrupted,
        // Fewer requests than asked for; the report says what became of them.
        Ending::TargetLost => Code::Impossible,
    }
}

/// The first Ctrl-C or SIGTERM stops the run, which is still reported; the next one ends it at
/// once.
pub(super) fn obey_signals(control: &Control) -> io::Result<()> {
    let stop = control.stop_flag();
    // The order matters: the flag must not be set yet when the first signal looks at it. Only a
    // person says it twice because once was not enough; timeout(1) says it twice as a rule.
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&stop))?;
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(())
}

/// What will be done, in a line.
fn announcement(plan: &Plan) -> String {
    let all = plan.targets().flat_map(|target| target.addresses.all());
    let addresses: Vec<String> = all.map(ToString::to_string).collect();
    let cpus: Vec<String> = plan.cores.cpus().iter().map(ToString::to_string).collect();
    let reactor = match plan.reactor {
        reactor::Kind::Uring => "io_uring",
        reactor::Kind::Epoll => "epoll",
    };
    format!(
        "{} {} at {}; {} connections{}, shards on CPU {}, reactor {reactor}",
        plan.work.method().unwrap_or("several"),
        output::named(plan),
        addresses.join(", "),
        plan.connections,
        if plan.servers() > 1 { " to each host" } else { "" },
        cpus.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDINGS: [(Ending, Code, Code); 3] = [
        (Ending::Completed, Code::Done, Code::Crossed),
        (Ending::Interrupted, Code::Interrupted, Code::Interrupted),
        (Ending::TargetLost, Code::Impossible, Code::Impossible),
    ];

    #[test]
    fn where_the_verdict_allows_it_the_exit_says_how_the_run_ended_and_if_it_kept_its_thresholds() {
        for (ending, kept, crossed) in ENDINGS {
            for (all, expected) in [(true, kept), (false, crossed)] {
                assert_eq!(code(ending, Status::Pass, Strictness::Strict, all), expected);
                assert_eq!(code(ending, Status::Suspect, Strictness::Lenient, all), expected);
            }
        }
    }

    #[test]
    fn an_invalid_run_and_a_suspect_one_if_asked_for_are_so_unless_they_were_interrupted() {
        for (ending, ..) in ENDINGS.into_iter().filter(|(e, ..)| *e != Ending::Interrupted) {
            for kept in [true, false] {
                let invalid = code(ending, Status::Invalid, Strictness::Lenient, kept);
                assert_eq!(invalid, Code::Invalid);
                let suspect = code(ending, Status::Suspect, Strictness::Strict, kept);
                assert_eq!(suspect, Code::Invalid);
            }
        }
        for kept in [true, false] {
            let code = code(Ending::Interrupted, Status::Invalid, Strictness::Strict, kept);
            assert_eq!(code, Code::Interrupted);
        }
    }
}
