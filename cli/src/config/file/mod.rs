//! A configuration file: which one, what it holds, and where what is wrong with it stands.
//!
//! TOML and JSON become one tree, and all sections are read from that.

mod fault;
mod json;
mod load;
mod toml;
mod tree;
mod values;
mod variables;

use core::ops::Range;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::anyhow;

pub(crate) use fault::Fault;
pub(crate) use tree::{Entry, Node, Value};
pub(crate) use values::{Word, words};

use self::fault::Place;
use crate::args::Quoted;
use crate::exit::Failure;

/// Files that are read where nobody names one, the first that there is.
pub(crate) const FOUND: [&str; 4] = ["pummel.toml", "pummel.json", "strest.toml", "strest.json"];

/// Largest file that is read; a larger one is somebody's data.
const BYTES_MAX: u64 = 1 << 20;

/// A file that was read and understood as a tree.
#[derive(Debug)]
pub(crate) struct File {
    /// As it was named.
    pub(crate) path: PathBuf,
    text: String,
    /// A table.
    pub(crate) root: Node,
}

impl File {
    /// Reads the file at `path`, with variables of the environment filled in.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub(crate) fn read(
        path: PathBuf,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let language = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => toml::read,
            Some("json") => json::read,
            _ => {
                return Err(Failure::usage(anyhow!(
                    "--config {} is neither TOML nor JSON; give a file whose name ends with .toml \
                     or .json",
                    Quoted(&name)
                )));
            }
        };
        let bytes = bytes(&path).map_err(|error| {
            Failure::usage(anyhow!("cannot read configuration file {}: {error}", Quoted(&name)))
        })?;
        let mut file = Self { path, text: String::new(), root: Node::empty() };
        file.text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                file.text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let said = "this is no UTF-8; save the file as that".to_owned();
                return Err(file.failure(&Fault::new(at..at + 1, said)));
            }
        };
        // Some editors begin a file with a mark, which is neither TOML nor JSON.
        if let Some(text) = file.text.strip_prefix('\u{feff}') {
            file.text = text.to_owned();
        }
        let read = language(&file.text).and_then(|mut root| {
            root.name(String::new());
            root.any_table()?;
            root.expand(variable)?;
            Ok(root)
        });
        file.root = read.map_err(|fault| file.failure(&fault))?;
        Ok(file)
    }

    /// Where its relative paths begin.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Its name, for messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// `FILE:LINE` of the place.
    pub(crate) fn line(&self, span: &Range<usize>) -> String {
        format!("{}:{}", self.name(), Place::of(&self.text, span).line)
    }

    /// What the user is told of a fault: one line, and the place below it.
    pub(crate) fn failure(&self, fault: &Fault) -> Failure {
        let place = Place::of(&self.text, &fault.span);
        let line = format!("{}: {}", place.named(&self.name()), fault.what);
        Failure { excerpt: Some(place.excerpt()), ..Failure::usage(anyhow!(line)) }
    }

    /// The same as a line alone.
    pub(crate) fn remark(&self, fault: &Fault) -> String {
        format!("{}: {}", Place::of(&self.text, &fault.span).named(&self.name()), fault.what)
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::other("it has more than 1 MiB; move data to a file of its own"));
    }
    Ok(bytes)
}

/// A file with that text, for tests.
#[cfg(test)]
pub(crate) fn from_text(name: &str, text: &str) -> Result<File, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let read = File::read(path, &|name| (name == "SET").then(|| "its value".into()));
    match read {
        Ok(file) => Ok(File { path: name.into(), ..file }),
        Err(failure) => {
            let said = failure.error.to_string();
            Err(said.replace(&format!("{}/", folder.path().display()), ""))
        }
    }
}

#[cfg(test)]
mod tests;
