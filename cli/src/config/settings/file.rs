//! The lowest layer: a file.

use super::{Layer, Origin, Setting, listed};
use crate::config::file::{Entry, Fault, File, words};
use crate::config::keys::{self, KEYS, Key, Kind, Standing};
use crate::exit::Failure;

/// What the file sets.
///
/// # Errors
/// Unknown keys, values of another kind, keys that do not go together, and what cannot be done yet,
/// with their places.
pub(super) fn read(file: &File) -> Result<Layer, Failure> {
    let mut layer = Layer::default();
    let mut idle = Vec::new();
    let table = file.root.table(&keys::names(KEYS)).map_err(|fault| file.failure(&fault))?;
    let lines = table.get("urls_from_file").is_some_and(|node| node.boolean() == Ok(true));
    for entry in table.entries() {
        let Some(key) = keys::find(KEYS, &entry.key) else { continue };
        let key = if lines && key.name == "url" { &keys::URLS } else { key };
        let setting = setting(key, entry, file, &layer.settings);
        let setting = setting.map_err(|fault| file.failure(&fault))?;
        let asked = !is_off(key, entry);
        match key.standing {
            Standing::Used => layer.settings.push(setting),
            // Sections that are no flags will be read here, from `entry.node`.
            Standing::Missing(what) if asked => {
                let said = format!("{what} not supported yet; leave {} out", entry.key);
                return Err(file.failure(&Fault::new(entry.span.clone(), said)));
            }
            Standing::NotYet if asked => idle.push(entry.key.as_str()),
            Standing::Anyway if !asked => idle.push(entry.key.as_str()),
            Standing::Missing(_) | Standing::NotYet | Standing::Anyway => {}
        }
    }
    let said = listed(&idle, "has no effect yet", "have no effect yet");
    layer.remarks.extend(said.map(|said| format!("{}: {said}", file.name())));
    Ok(layer)
}

/// A switch that is off, and a list of nothing, ask for nothing.
fn is_off(key: &Key, entry: &Entry) -> bool {
    match key.kind {
        Kind::Bool => entry.node.boolean() == Ok(false),
        Kind::List => entry.node.items().is_empty(),
        _ => false,
    }
}

fn setting(
    key: &'static Key,
    entry: &Entry,
    file: &File,
    earlier: &[Setting],
) -> Result<Setting, Fault> {
    let refuse = |said: String| Err(Fault::new(entry.span.clone(), said));
    if let Some(same) = earlier.iter().find(|setting| setting.key.name == key.name) {
        return refuse(format!("{} and {} are the same; give one of them", entry.key, same.name()));
    }
    let words = words(key, &entry.node, file.folder())?;
    let rival = earlier.iter().find(|it| it.contradicts(key));
    if let Some(rival) = rival.filter(|_| !words.is_empty()) {
        let (one, other) = (&entry.key, rival.name());
        return refuse(format!("{one} and {other} do not go together; give one of them"));
    }
    let origin = Origin::File(entry.key.clone(), entry.span.clone());
    Ok(Setting { key, words, origin, shown: entry.node.shown() })
}
