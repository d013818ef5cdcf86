//! The section `load`: a rate that changes linearly from one stage to the next, and stays as the
//! last one leaves it. Its words are those of `--rate` and `--stage`.

use super::fault::Fault;
use super::tree::{Node, Table};
use super::values::Word;
use crate::config::rate;

/// What the section asks for, as flags.
pub(super) fn words(section: &Node) -> Result<Vec<Word>, Fault> {
    let table = section.table(&["rate", "rpm", "stages"])?;
    let first = speed(section, table, &["rate", "rpm"])?;
    let stages = table.get("stages").map(Node::list).transpose()?.unwrap_or_default();
    if stages.is_empty() {
        let rate = first.ok_or_else(|| {
            section.fault("has neither rate nor stages; give one of them, or leave it out")
        })?;
        return Ok(vec![Word {
            flag: "rate",
            value: Some(rate.into()),
            span: section.span.clone(),
            written: None,
        }]);
    }
    let mut from = first.unwrap_or_else(|| "0".to_owned());
    let mut words = Vec::with_capacity(stages.len());
    for stage in stages {
        let table = stage.table(&["duration", "target", "rate", "rpm"])?;
        let length = table.get("duration").ok_or_else(|| {
            stage.fault("has no duration; give one, for example duration = \"10s\"")
        })?;
        let length = length.duration()?;
        let to = speed(stage, table, &["target", "rate", "rpm"])?
            .ok_or_else(|| stage.fault("has no target; give one, for example target = 500"))?;
        words.push(Word {
            flag: "stage",
            value: Some(format!("{}ns:{from}..{to}", length.get()).into()),
            span: stage.span.clone(),
            written: None,
        });
        from = to;
    }
    Ok(words)
}

/// The one of `keys` that is given, as `--rate` takes it.
fn speed(section: &Node, table: &Table, keys: &[&str]) -> Result<Option<String>, Fault> {
    let given: Vec<_> =
        table.entries().filter(|entry| keys.contains(&entry.key.as_str())).collect();
    let entry = match given.as_slice() {
        [] => return Ok(None),
        [entry] => entry,
        [first, second, ..] => {
            let said = format!(
                "{}: {} and {} do not go together; give one of them",
                section.path, first.key, second.key
            );
            return Err(Fault::new(second.span.clone(), said));
        }
    };
    let text = entry.node.rate()?;
    let per_minute = entry.key == "rpm";
    let text = if per_minute { rate::per_minute(&text) } else { Ok(text) };
    let text = text.map_err(|reason| entry.node.because(&reason))?;
    rate::parse_or_nothing(&text).map_err(|reason| entry.node.because(&reason))?;
    Ok(Some(text))
}
