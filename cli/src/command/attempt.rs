//! `pummel URL --dry-run`: each request once, and what is exchanged on paper.

use anyhow::{Context, anyhow};
use pummel_engine::coordinator::{Control, Observers};
use pummel_engine::record::Exchange;
use pummel_engine::report::Ending;
use pummel_engine::{RunError, reactor};
use pummel_tuning::Host;

use super::run::{ensure_read, obey_signals, tell_feeds};
use super::untried;
use crate::config::{self, Config};
use crate::exit::{Code, Failure};
use crate::output::{self, CookieFile, stderr};

/// Tries what was meant, and prints all of it.
pub(super) fn attempt(config: &Config, host: &Host) -> Result<Code, Failure> {
    let choice = reactor::choose(config.reactor);
    let choice = choice.map_err(|error| Failure::impossible(anyhow!("{error}")))?;
    let (plan, _) = config::plan(config, host, choice.kind)?;
    let cookies = config.cookies_save.as_deref().map(CookieFile::prepare).transpose();
    let cookies = cookies.map_err(Failure::usage)?;
    config.remarks.iter().for_each(|remark| stderr::line(remark));
    if !config.thresholds.is_empty() {
        stderr::line("a dry run measures nothing: what --fail-if says is not looked at");
    }
    let control = Control::default();
    obey_signals(&control).map_err(Failure::impossible)?;
    let report = match pummel_engine::run(plan.tried(), Observers::none(), &control) {
        Ok(report) => report,
        Err(RunError::StoppedBeforeStart) => return Err(Failure::interrupted()),
        Err(error) => return Err(Failure::impossible(error)),
    };
    ensure_read(config).map_err(Failure::impossible)?;
    let printed = output::exchanges(&report, config.display.format);
    printed.context("cannot write what was exchanged").map_err(Failure::impossible)?;
    if let Some(file) = cookies {
        file.write(&report.cookies).map_err(Failure::impossible)?;
    }
    let broken = tell_feeds(&report);
    let untried = untried::of(&report).filter(|_| report.ending == Ending::Completed);
    if let Some(said) = &untried {
        stderr::line(said);
    }
    let whole = untried.is_none() && !broken;
    let good = whole && report.exchanges.iter().all(Exchange::is_good);
    Ok(match report.ending {
        Ending::Interrupted => Code::Interrupted,
        Ending::Completed if good => Code::Done,
        Ending::Completed | Ending::TargetLost => Code::Impossible,
    })
}
