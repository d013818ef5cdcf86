//! `pummel schema`: what a configuration file may hold, for editors and other checks.

use anyhow::Context;

use crate::config::schema::document;
use crate::exit::{Code, Failure};
use crate::output;

pub(super) fn schema() -> Result<Code, Failure> {
    let written = serde_json::to_string_pretty(&document()).map_err(Failure::impossible)?;
    let printed = output::stdout(|to| writeln!(to, "{written}"));
    printed.context("cannot write the schema").map_err(Failure::impossible)?;
    Ok(Code::Done)
}
