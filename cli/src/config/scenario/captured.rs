//! Values that are used where nothing can have captured them.

use pummel_engine::plan::{Uncaptured, Use, Work};

use super::step::Places;
use crate::config::file::{Fault, File};

/// Refuses the first step or condition that has such a value.
///
/// # Errors
/// What has it, and where it is captured instead.
pub(super) fn ensure(work: &Work, places: &Places, file: &File) -> Result<(), Fault> {
    let Some(Uncaptured { at, value, by }) = work.never_captured() else { return Ok(()) };
    let request = |index: u16| places.requests.get(usize::from(index));
    let place = match at {
        Use::Request(index) => request(index),
        Use::Condition(index) => places.conditions.get(usize::from(index)),
    };
    let Some((path, span)) = place else { return Ok(()) };
    let name = work.variables().get(usize::from(value)).map_or("", |variable| &variable.name);
    let instead = match by {
        Some(by) if at == Use::Request(by) => "only its own response tells it".to_owned(),
        by => by.and_then(request).map_or_else(
            || "no step does that".to_owned(),
            |(path, span)| {
                let line = file.line(span);
                format!("{path} does that, at {line}, and no way leads from there to here")
            },
        ),
    };
    let said = format!(
        "{path} has {{{{{name}}}}}, which is not captured before: {instead}; capture it earlier, \
         or name it in vars"
    );
    Err(Fault::new(span.clone(), said))
}
