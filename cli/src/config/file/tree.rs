//! A configuration file as a tree of values that know their place and their path.
//!
//! What reads a section asks its nodes for what it wants, and whatever is wrong is an error with
//! the place: `node.table(&["rate", "rpm"])?`, then `table.get("rate")` and `integer()`.

use core::ops::Range;
use std::collections::BTreeSet;
use std::ffi::OsString;

use pummel_engine::units::Nanos;

use super::fault::Fault;
use super::variables;
use crate::args::Quoted;
use crate::config::duration;
use crate::config::keys::nearest;
use crate::output::stderr::once;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Its bytes in the file.
    pub(crate) span: Range<usize>,
    /// How to get to it: `load.stages[1].target`; empty at the root.
    pub(crate) path: String,
    /// The text as it was written, where variables of the environment were filled in: what they
    /// hold may be a secret.
    pub(super) raw: Option<String>,
}

/// What a file may hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Table),
}

/// Keys with their values, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table(Vec<Entry>);

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The bytes of the key.
    pub(crate) span: Range<usize>,
    pub(crate) node: Node,
}

/// Longest key that a path has whole.
const KEY_MAX: usize = 64;

/// Known keys, as many as are listed in an error.
const LISTED_MAX: usize = 8;

impl Node {
    pub(super) fn new(value: Value, span: Range<usize>) -> Self {
        Self { value, span, path: String::new(), raw: None }
    }

    /// A table without keys.
    pub(super) fn empty() -> Self {
        Self::new(Value::Table(Table::default()), 0..0)
    }

    /// Tells each node below this one its path.
    pub(super) fn name(&mut self, path: String) {
        match &mut self.value {
            Value::List(items) => {
                for (number, item) in items.iter_mut().enumerate() {
                    item.name(format!("{path}[{number}]"));
                }
            }
            Value::Table(Table(entries)) => {
                let dot = if path.is_empty() { "" } else { "." };
                for Entry { key, node, .. } in entries {
                    let bare = |c: char| c.is_ascii_alphanumeric() || "_-$".contains(c);
                    let plain = key.len() <= KEY_MAX && !key.is_empty() && key.chars().all(bare);
                    let key = if plain { key.clone() } else { Quoted(key).to_string() };
                    node.name(format!("{path}{dot}{key}"));
                }
            }
            _ => {}
        }
        self.path = path;
    }

    /// Fills variables of the environment into all texts.
    pub(super) fn expand(
        &mut self,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(), Fault> {
        match &mut self.value {
            Value::Text(text) => {
                let filled = variables::fill(text, variable);
                let filled = filled.map_err(|reason| {
                    Fault::new(self.span.clone(), format!("{}: {reason}", self.path))
                })?;
                if let Some(filled) = filled {
                    self.raw = Some(core::mem::replace(text, filled));
                }
                Ok(())
            }
            Value::List(items) => items.iter_mut().try_for_each(|item| item.expand(variable)),
            Value::Table(Table(entries)) => {
                entries.iter_mut().try_for_each(|entry| entry.node.expand(variable))
            }
            _ => Ok(()),
        }
    }

    /// An error about this value. `what` follows its path: `must be …`.
    pub(crate) fn fault(&self, what: &str) -> Fault {
        let subject = if self.path.is_empty() { "the file" } else { &self.path };
        Fault::new(self.span.clone(), format!("{subject} {what}"))
    }

    /// The error of a value of another kind than `wanted`, with an example of what to `write`.
    fn other(&self, wanted: &str, write: &str) -> Fault {
        let found = match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) => {
                format!("the text {}", Quoted(self.raw.as_deref().unwrap_or(text)))
            }
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        };
        self.fault(&format!("is {found}, and {wanted} is wanted; write {write}"))
    }

    /// A table with no other keys than these.
    pub(crate) fn table(&self, known: &[&str]) -> Result<&Table, Fault> {
        let table = self.any_table()?;
        match table.entries().find(|entry| !known.contains(&entry.key.as_str())) {
            None => Ok(table),
            Some(entry) => Err(entry.unknown(&self.path, known)),
        }
    }

    /// A table with any keys.
    pub(crate) fn any_table(&self) -> Result<&Table, Fault> {
        match &self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.other("a table", "for example { key = \"value\" }")),
        }
    }

    pub(crate) fn list(&self) -> Result<&[Self], Fault> {
        match &self.value {
            Value::List(items) => Ok(items),
            _ => Err(self.other("a list", "for example [\"one\", \"another\"]")),
        }
    }

    /// The items of a list, or the value by itself.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => core::slice::from_ref(self),
        }
    }

    pub(crate) fn text(&self) -> Result<&str, Fault> {
        match &self.value {
            Value::Text(text) => Ok(text),
            Value::Integer(number) => Err(self.other("a text", &format!("\"{number}\""))),
            Value::Float(number) => Err(self.other("a text", &format!("\"{number}\""))),
            Value::Bool(value) => Err(self.other("a text", &format!("\"{value}\""))),
            _ => Err(self.other("a text", "one, in quotes")),
        }
    }

    /// A whole number that is not negative; also from a variable of the environment.
    pub(crate) fn integer(&self) -> Result<u64, Fault> {
        let number = match &self.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) if self.raw.is_some() => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.other("a whole number from 0 on", "for example 64"))
    }

    /// Yes or no; also from a variable of the environment.
    pub(crate) fn boolean(&self) -> Result<bool, Fault> {
        match &self.value {
            Value::Bool(value) => Ok(*value),
            Value::Text(text) if self.raw.is_some() && text == "true" => Ok(true),
            Value::Text(text) if self.raw.is_some() && text == "false" => Ok(false),
            _ => Err(self.other("true or false", "true, without quotes")),
        }
    }

    /// A number or a text, as it would be typed; `wanted` and `write` are for the error.
    pub(crate) fn scalar(&self, wanted: &str, write: &str) -> Result<String, Fault> {
        match &self.value {
            Value::Integer(number) => Ok(number.to_string()),
            Value::Float(number) => Ok(number.to_string()),
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.other(wanted, write)),
        }
    }

    /// A number of seconds or a text with units, as it would be typed.
    pub(crate) fn span_of_time(&self) -> Result<String, Fault> {
        self.scalar("a number of seconds or a text", "for example 90 or \"1m30s\"")
    }

    /// A number per second or a text with units, as it would be typed.
    pub(crate) fn rate(&self) -> Result<String, Fault> {
        self.scalar("a number or a text", "for example 5000 or \"5k\"")
    }

    /// A duration that is not zero.
    pub(crate) fn duration(&self) -> Result<Nanos, Fault> {
        let text = self.span_of_time()?;
        duration::parse_positive(&text).map_err(|reason| self.because(&reason))
    }

    /// What another reader of texts says of this one.
    pub(crate) fn because(&self, reason: &anyhow::Error) -> Fault {
        Fault::new(self.span.clone(), format!("{}: {}", self.path, once(reason)))
    }

    /// The value as a file would have it, in TOML, before variables were filled in.
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) => {
                let text = self.raw.as_deref().unwrap_or(text).to_owned();
                toml::Value::String(text).to_string()
            }
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Self::shown).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Table(Table(entries)) => {
                let pair = |entry: &Entry| format!("{} = {}", entry.key, entry.node.shown());
                let pairs: Vec<String> = entries.iter().map(pair).collect();
                format!("{{ {} }}", pairs.join(", "))
            }
        }
    }
}

impl Table {
    /// From entries in any order; a key that stands there twice is an error at the second place.
    pub(super) fn new(mut entries: Vec<Entry>) -> Result<Self, Fault> {
        entries.sort_by_key(|entry| entry.span.start);
        let mut seen = BTreeSet::new();
        if let Some(again) = entries.iter().find(|entry| !seen.insert(entry.key.as_str())) {
            let said = format!("{} stands here twice; give it once", Quoted(&again.key));
            return Err(Fault::new(again.span.clone(), said));
        }
        Ok(Self(entries))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }
}

impl Entry {
    /// The error of a key that nobody knows, in the table at `path`.
    pub(crate) fn unknown(&self, path: &str, known: &[&str]) -> Fault {
        let place = if path.is_empty() { String::new() } else { format!(" in {path}") };
        let remedy = match nearest(&self.key, known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.len() <= LISTED_MAX => format!("there are {}", known.join(", ")),
            None => "`pummel schema` has them all".to_owned(),
        };
        let said = format!("unknown key {}{place}; {remedy}", Quoted(&self.key));
        Fault::new(self.span.clone(), said)
    }
}
