//! What there is to say about a machine.

use core::fmt;

use crate::setting::Setting;

/// How grave something is; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It could be better.
    Hint,
    /// Numbers may not be what they seem.
    Risky,
    /// The run will not reach what it is asked for.
    Limits,
    /// The run cannot be done as it is.
    Impossible,
}

/// What a finding follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// From what is demanded: without it there would be none.
    Plan,
    /// From the machine, whatever is demanded.
    Machine,
}

/// Something that is to be said.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its name, which stays: `open_files`.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What it follows from.
    pub about: About,
    /// What is found, with the numbers; a sentence without its end.
    pub message: String,
    /// What is needed or was found, if that is a number.
    pub value: Option<f64>,
    /// What it should not exceed.
    pub limit: Option<f64>,
    /// What helps, best first.
    pub cures: Vec<Cure>,
}

/// Something that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cure {
    /// The command or the flag.
    pub how: String,
    /// The files that it writes, if that is all it does.
    pub changes: Vec<Change>,
}

/// A value for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, of `/proc/sys` or `/sys`.
    pub path: String,
    /// What is written into it.
    pub value: String,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Risky => "risky",
            Self::Limits => "limits",
            Self::Impossible => "impossible",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Cure {
    /// A command or a flag, for the reader.
    pub(super) fn by(how: impl Into<String>) -> Self {
        Self { how: how.into(), changes: Vec::new() }
    }

    /// Sets a setting of the table that stands in a file.
    pub(super) fn set(key: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        let setting = Setting::of(key);
        let how = setting.map_or_else(|| key.to_owned(), |setting| setting.command(&value));
        let path = setting.and_then(Setting::path);
        Self { how, changes: path.map(|path| Change { path, value }).into_iter().collect() }
    }

    /// Writes `value` into several files; `how` says it in a line.
    pub(super) fn write(
        how: impl Into<String>,
        paths: impl IntoIterator<Item = String>,
        value: &str,
    ) -> Self {
        let change = |path| Change { path, value: value.to_owned() };
        Self { how: how.into(), changes: paths.into_iter().map(change).collect() }
    }
}
