//! `pummel target`: the built-in server by itself.

use crate::exit::{Code, Failure};
use crate::serve::{self, ServeError};

pub(super) fn target(args: &serve::TargetArgs) -> Result<Code, Failure> {
    serve::run(args).map_err(|error| match error {
        ServeError::Usage(_) | ServeError::Placement(_) | ServeError::Certificate(_) => {
            Failure::usage(error)
        }
        _ => Failure::impossible(error),
    })?;
    Ok(Code::Done)
}
