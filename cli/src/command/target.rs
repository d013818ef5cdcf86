//! `pummel target`: the built-in server by itself.

use crate::exit::{Code, Failure};
use crate::serve;

pub(super) fn target(args: &serve::TargetArgs) -> Result<Code, Failure> {
    serve::run(args).map_err(Failure::impossible)?;
    Ok(Code::Done)
}
