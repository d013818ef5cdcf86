//! `--preflight`: each request once, before the run begins, which it does only if all responses are
//! as expected.

use anyhow::anyhow;
use pummel_engine::coordinator::{Control, Observers};
use pummel_engine::plan::Plan;
use pummel_engine::report::Ending;
use pummel_engine::{RunError, run};

use super::run::ensure_read;
use super::untried;
use crate::config::Config;
use crate::exit::Failure;
use crate::output;

/// Most requests that are sent: of whole scenarios, and of the first in any case.
const REQUESTS_MAX: usize = 100;

/// Sends what `plan` asks for, once each; returns how many requests that were, each with the
/// redirects that it followed. They are in no number of the run.
///
/// # Errors
/// If not all responses are as expected, a scenario lacks a row, or the user calls it off by
/// `control`.
pub(super) fn rehearse(config: &Config, plan: &Plan, control: &Control) -> Result<u64, Failure> {
    let plan = plan.clone().tried_in_part(REQUESTS_MAX);
    let report = match run(plan, Observers::none(), control) {
        Ok(report) => report,
        Err(RunError::StoppedBeforeStart) => return Err(Failure::interrupted()),
        Err(error) => return Err(failed(&error.to_string())),
    };
    ensure_read(config).map_err(Failure::impossible)?;
    if report.ending == Ending::Interrupted {
        return Err(Failure::interrupted());
    }
    if let Some(bad) = report.exchanges.iter().find(|exchange| !exchange.is_good()) {
        return Err(failed(&output::shortfall(&report, bad)));
    }
    if report.ending == Ending::TargetLost {
        return Err(failed("no connection was left, and none could be opened"));
    }
    if let Some(said) = untried::of(&report) {
        return Err(failed(&said));
    }
    let asked = report.exchanges.iter().filter(|exchange| !exchange.is_redirected);
    Ok(asked.count() as u64)
}

fn failed(what: &str) -> Failure {
    Failure::impossible(anyhow!(
        "preflight: {what}; the run has not begun, and --dry-run shows each exchange"
    ))
}
