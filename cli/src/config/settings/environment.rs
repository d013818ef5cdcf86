//! The layer in the middle: variables of the environment, one per key.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use anyhow::{Result, anyhow, bail};

use super::{Layer, Origin, Setting, listed};
use crate::args::Quoted;
use crate::config::file::Word;
use crate::config::keys::{KEYS, Key, Kind, PREFIX, Standing, nearest};
use crate::exit::Failure;

/// What the variables set. One that is empty is as good as none.
///
/// A variable of an unknown key is spoken of and no error: what starts programs makes variables of
/// its own from their names.
pub(super) fn read(variables: &[(OsString, OsString)]) -> Result<Layer, Failure> {
    // In the order of the names, whatever the order of the environment.
    let ours: BTreeMap<&str, &OsStr> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.as_os_str())))
        .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
        .collect();
    let (mut layer, mut idle) = (Layer::default(), Vec::new());
    for (name, value) in ours {
        let key = KEYS.iter().find(|key| key.variable().as_deref() == Some(name));
        let Some(key) = key else {
            layer.remarks.push(unknown(name));
            continue;
        };
        let (words, on) = words(key, name, value).map_err(Failure::usage)?;
        match key.standing {
            Standing::Used => {
                let setting = setting(key, name, words, &layer.settings).map_err(Failure::usage)?;
                layer.settings.push(setting);
            }
            Standing::Missing(what) if on => {
                let said = anyhow!("{name}: {what} not supported yet; unset it");
                return Err(Failure::usage(said));
            }
            Standing::NotYet if on => idle.push(name),
            Standing::Anyway if !on => idle.push(name),
            Standing::Missing(_) | Standing::NotYet | Standing::Anyway => {}
        }
    }
    layer.remarks.extend(listed(&idle, "has no effect yet", "have no effect yet"));
    Ok(layer)
}

fn setting(
    key: &'static Key,
    name: &str,
    words: Vec<Word>,
    earlier: &[Setting],
) -> Result<Setting> {
    let rival = earlier.iter().find(|it| it.contradicts(key));
    if let Some(rival) = rival.filter(|_| !words.is_empty()) {
        bail!("{} and {name} do not go together; set one of them", rival.name());
    }
    let texts: Vec<_> = words.iter().filter_map(|word| word.value.clone()).collect();
    let shown = shown(key.kind, &texts, !words.is_empty());
    Ok(Setting { key, words, origin: Origin::Variable(name.to_owned()), shown })
}

/// Values as a file would have them; `on` is for switches.
pub(super) fn shown(kind: Kind, texts: &[OsString], on: bool) -> String {
    let quoted = |text: &OsString| {
        let text = text.to_string_lossy().into_owned();
        match kind {
            Kind::Integer => text,
            _ => toml::Value::String(text).to_string(),
        }
    };
    match (kind, texts) {
        (Kind::Bool, _) => on.to_string(),
        (Kind::List | Kind::Statuses, texts) => {
            format!("[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", "))
        }
        (_, texts) => texts.iter().map(quoted).collect(),
    }
}

/// The value in the words of its flag, and whether it asks for something.
fn words(key: &Key, name: &str, value: &OsStr) -> Result<(Vec<Word>, bool)> {
    let flag = key.flag.unwrap_or_default();
    let word = |value: Option<OsString>| Word { flag, value, span: 0..0, written: None };
    if matches!(key.kind, Kind::Path) {
        return Ok((vec![word(Some(value.to_owned()))], true));
    }
    let Some(text) = value.to_str() else { bail!("{name} is no UTF-8; set it anew") };
    match key.kind {
        Kind::Bool => match text {
            "true" | "1" => Ok((vec![word(None)], true)),
            "false" | "0" => Ok((Vec::new(), false)),
            _ => bail!("{name} {} is neither true nor false; set one of them", Quoted(text)),
        },
        Kind::List | Kind::Statuses => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let words: Vec<Word> = lines.map(|line| word(Some(line.into()))).collect();
            let on = !words.is_empty();
            Ok((words, on))
        }
        _ => Ok((vec![word(Some(text.into()))], true)),
    }
}

/// What is said of a variable that is none of ours.
fn unknown(name: &str) -> String {
    let word = name.trim_start_matches(PREFIX).to_lowercase();
    let known = crate::config::keys::names(KEYS);
    let meant = nearest(&word, &known).and_then(|near| KEYS.iter().find(|k| k.is_called(near)));
    let meant = meant.and_then(Key::variable).map(|name| format!("; did you mean {name}?"));
    format!("{} sets nothing{}", Quoted(name), meant.unwrap_or_default())
}
