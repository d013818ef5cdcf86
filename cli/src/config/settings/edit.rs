//! What an edit of the file may change while a run goes on, and what it may not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::{Setting, Settings};
use crate::config::file::Fault;
use crate::config::scenario;
use crate::exit::Failure;

/// What is said of a key that an edit cannot change.
const FIXED: &str = "cannot change while the run goes on; put it back, or restart";

/// What a run was begun with that stays as it is, as it was set.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    file: PathBuf,
    /// By the name of the key.
    settings: BTreeMap<&'static str, Vec<OsString>>,
    /// Scenarios and targets: the path of each of their keys, and its value.
    scenarios: Vec<(String, String)>,
}

impl Outline {
    /// The file that was read.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

impl Settings<'_> {
    /// What of the file is to stay as it is; `None` if there is no file.
    pub(crate) fn outline(&self) -> Option<Outline> {
        let file = self.file.as_ref()?;
        let fixed = self.lower.iter().filter(|setting| !setting.key.live);
        let settings = fixed.map(|it| (it.key.name, it.line().collect())).collect();
        let scenarios = scenario::written(&file.root).unwrap_or_default();
        let scenarios = scenarios.into_iter().map(|(path, value, _)| (path, value)).collect();
        Some(Outline { file: file.path.clone(), settings, scenarios })
    }

    /// Refuses what is otherwise than it was `before`, but for what may change.
    ///
    /// # Errors
    /// The first of it, with its place.
    pub(crate) fn ensure_steady(&self, before: &Outline) -> Result<(), Failure> {
        let Some(file) = self.file.as_ref().filter(|file| file.path == before.file) else {
            return Err(gone(before, "another file would be read"));
        };
        let (name, nothing) = (file.name(), Vec::new());
        for setting in self.lower.iter().filter(|setting| !setting.key.live) {
            let line: Vec<OsString> = setting.line().collect();
            if *before.settings.get(setting.key.name).unwrap_or(&nothing) != line {
                return Err(self.fixed(setting));
            }
        }
        let kept = |name: &str| self.lower.iter().any(|setting| setting.key.name == name);
        let lost = before.settings.iter().find(|(name, line)| !line.is_empty() && !kept(name));
        if let Some((key, _)) = lost {
            return Err(Failure::usage(anyhow!("{name}: {key} is gone, and {FIXED}")));
        }
        let scenarios = scenario::written(&file.root).map_err(|fault| file.failure(&fault))?;
        for (index, (path, value, span)) in scenarios.iter().enumerate() {
            let same =
                before.scenarios.get(index).is_some_and(|it| it.0 == *path && it.1 == *value);
            if !same {
                return Err(file.failure(&Fault::new(span.clone(), format!("{path} {FIXED}"))));
            }
        }
        match before.scenarios.get(scenarios.len()) {
            Some((path, _)) => Err(Failure::usage(anyhow!("{name}: {path} is gone, and {FIXED}"))),
            None => Ok(()),
        }
    }

    fn fixed(&self, setting: &Setting) -> Failure {
        let flag = setting.key.flag.unwrap_or(setting.key.name);
        self.explain(Failure::usage(anyhow!("--{flag} {FIXED}")))
    }
}

/// The file that a run was begun with is no longer what would be read.
fn gone(before: &Outline, why: &str) -> Failure {
    Failure::usage(anyhow!("{}: {why}; put it back", before.file.display()))
}
