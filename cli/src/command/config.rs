//! `pummel config`: the settings of a run, checked and shown, without the run.

use anyhow::Context;

use crate::args::{ConfigArgs, Typed};
use crate::config::{Settings, Surroundings};
use crate::exit::{Code, Failure};
use crate::output::{self, stderr};

pub(super) fn config(typed: &Typed, args: &ConfigArgs) -> Result<Code, Failure> {
    let settings = Settings::gather(typed, &Surroundings::of_process())?;
    settings.remarks.iter().for_each(|remark| stderr::line(remark));
    let config = settings.understand()?;
    config.remarks.iter().for_each(|remark| stderr::line(remark));
    if !args.show {
        stderr::line("the settings make sense; --show prints them");
        return Ok(Code::Done);
    }
    let rows = settings.shown();
    let width = rows.iter().map(|row| row.setting.chars().count()).max().unwrap_or(0);
    let width = width.min(WIDTH_MAX);
    let printed = output::stdout(|to| {
        rows.iter().try_for_each(|row| writeln!(to, "{:width$}  # {}", row.setting, row.origin))
    });
    printed.context("cannot write the settings").map_err(Failure::impossible)?;
    Ok(Code::Done)
}

/// Widest column of settings; behind a longer one its origin stands further to the right.
const WIDTH_MAX: usize = 60;
