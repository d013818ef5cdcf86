//! From a value of a file to the words of its flag.

use core::ops::Range;
use std::ffi::OsString;
use std::path::Path;

use super::fault::Fault;
use super::load;
use super::tree::Node;
use crate::config::keys::{Key, Kind, find, names};

/// A flag as it might be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Without dashes.
    pub(crate) flag: &'static str,
    /// A bare flag has none.
    pub(crate) value: Option<OsString>,
    /// Where it stands in the file.
    pub(crate) span: Range<usize>,
    /// What the file has there, if that is not the value: variables were filled in.
    pub(crate) written: Option<String>,
}

/// Checks that the value is of its key's kind, and says it in the words of the key's flag; of a key
/// without one, or a switch that is off, there are none. Paths are relative to `folder`.
pub(crate) fn words(key: &'static Key, node: &Node, folder: &Path) -> Result<Vec<Word>, Fault> {
    if key.name == "load" {
        return load::words(node);
    }
    let values =
        if key.name == "form" { parts(node, folder)? } else { values(key.kind, node, folder)? };
    let Some(flag) = key.flag else { return Ok(Vec::new()) };
    let word = |(value, at): (Option<OsString>, &Node)| Word {
        flag,
        value,
        span: at.span.clone(),
        written: at.raw.clone(),
    };
    Ok(values.into_iter().map(word).collect())
}

/// A value as it might be typed, and the node that it comes from.
type Typed<'n> = (Option<OsString>, &'n Node);

fn values<'n>(kind: Kind, node: &'n Node, folder: &Path) -> Result<Vec<Typed<'n>>, Fault> {
    let one = |text: String| Ok(vec![(Some(text.into()), node)]);
    match kind {
        Kind::Bool => {
            let on = node.boolean()?;
            Ok(if on { vec![(None, node)] } else { Vec::new() })
        }
        Kind::Text => one(node.text()?.to_owned()),
        Kind::Target => one(target(node, folder)?),
        Kind::Path => Ok(vec![(Some(path(node.text()?, folder)), node)]),
        Kind::Range => one(range(node)?),
        Kind::Integer => one(node.integer()?.to_string()),
        Kind::Duration => one(node.span_of_time()?),
        Kind::Millis => {
            one(node.scalar("a number of milliseconds or a text", "for example 100 or \"1s\"")?)
        }
        Kind::Rate => one(node.rate()?),
        Kind::List => {
            let text = |item: &'n Node| Ok((Some(item.text()?.into()), item));
            node.items().iter().map(text).collect()
        }
        Kind::Statuses => {
            let text = |item: &'n Node| {
                let text = item.scalar("a status or a text", "for example 200 or \"2xx\"")?;
                Ok((Some(text.into()), item))
            };
            node.items().iter().map(text).collect()
        }
        Kind::Section(keys) => section(keys, node, folder).map(|()| Vec::new()),
        Kind::Sections(keys) => {
            node.list()?.iter().try_for_each(|item| section(keys, item, folder))?;
            Ok(Vec::new())
        }
        Kind::Table => node.any_table().map(|_| Vec::new()),
        Kind::Tables => node.list().map(|_| Vec::new()),
    }
}

/// Checks a section, which has no words of its own.
fn section(keys: &'static [Key], node: &Node, folder: &Path) -> Result<(), Fault> {
    for entry in node.table(&names(keys))?.entries() {
        if let Some(key) = find(keys, &entry.key) {
            values(key.kind, &entry.node, folder)?;
        }
    }
    Ok(())
}

/// A path of a file, relative to its folder. An empty one stays so, and is refused as it would be.
fn path(text: &str, folder: &Path) -> OsString {
    if text.is_empty() { OsString::new() } else { folder.join(text).into_os_string() }
}

/// Parts of a form, whose files are relative to `folder`.
fn parts<'n>(node: &'n Node, folder: &Path) -> Result<Vec<Typed<'n>>, Fault> {
    let part = |item: &'n Node| {
        let text = item.text()?;
        let part = match text.split_once("=@") {
            Some((name, file)) if !name.contains('=') && !file.is_empty() => {
                let mut part = OsString::from(format!("{name}=@"));
                part.push(path(file, folder));
                part
            }
            _ => text.into(),
        };
        Ok((Some(part), item))
    };
    node.items().iter().map(part).collect()
}

/// A target; a socket whose path begins with a dot is relative.
fn target(node: &Node, folder: &Path) -> Result<String, Fault> {
    let text = node.text()?;
    if text.is_empty() {
        return Err(node.fault("is empty; write for example \"http://localhost:8080/\""));
    }
    let socket = text.strip_prefix("unix:").filter(|socket| socket.starts_with('.'));
    // A folder that is this one has no name, and then the path is as good as it is.
    let socket = socket.filter(|_| folder != Path::new(""));
    Ok(match socket {
        // A path must begin with a dot or a slash to be taken for one.
        Some(socket) if folder.is_relative() => {
            format!("unix:./{}", folder.join(socket).display())
        }
        Some(socket) => format!("unix:{}", folder.join(socket).display()),
        None => text.to_owned(),
    })
}

/// `FROM-TO`, in seconds.
fn range(node: &Node) -> Result<String, Fault> {
    let text = node.text()?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let bounds = text.split_once('-').and_then(|(a, b)| number(a).zip(number(b)));
    match bounds {
        Some((from, to)) if from <= to => Ok(text.to_owned()),
        _ => Err(node.fault("is no range of seconds; write for example \"10-30\"")),
    }
}
