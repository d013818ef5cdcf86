//! Values that are used where nothing can have captured them, or that `vars` hide.

use pummel_engine::plan::{Uncaptured, Use, Work};

use super::step::Places;
use super::{Part, blocks};
use crate::config::file::{Fault, File, Node};

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
        "{path} has {{{{{name}}}}}, which is not captured before: {instead}; capture it earlier"
    );
    Err(Fault::new(span.clone(), said))
}

/// Refuses the first capture of a scenario under a name that `vars` around it have: nobody would
/// ever see what it takes.
///
/// # Errors
/// What captures it, and where the name is given.
pub(super) fn ensure_seen(scenario: Part<'_>, file: &File) -> Result<(), Fault> {
    let steps = scenario.get("steps")?.map(Node::list).transpose()?.unwrap_or_default();
    let steps = blocks::all(steps)?;
    apart(scenario, &steps, file)?;
    for step in steps.iter().filter(|step| matches!(Part(step).get("vars"), Ok(Some(_)))) {
        apart(Part(step), &blocks::all(core::slice::from_ref(*step))?, file)?;
    }
    Ok(())
}

/// Refuses the first capture of `steps` under a name that the `vars` of `around` have.
fn apart(around: Part<'_>, steps: &[&Node], file: &File) -> Result<(), Fault> {
    let Some(vars) = around.get("vars")? else { return Ok(()) };
    let vars = vars.any_table()?;
    for step in steps {
        let Some(captures) = Part(step).get("capture")? else { continue };
        for capture in captures.any_table()?.entries() {
            if let Some(var) = vars.get(&capture.key) {
                let said = format!(
                    "is hidden by {}, at {}, which goes before it; give one of them another name",
                    var.path,
                    file.line(&var.span)
                );
                return Err(capture.node.fault(&said));
            }
        }
    }
    Ok(())
}
