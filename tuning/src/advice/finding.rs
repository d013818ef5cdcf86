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

/// Something that matters to a load, and that nothing here tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What it is.
    pub what: String,
    /// The command that tells it.
    pub ask: String,
}

/// Something that helps: what is needed together, in the order in which it is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cure {
    /// Each is a command, flags, or words.
    pub steps: Vec<Step>,
}

/// A part of a cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// A command for a shell, flags of pummel, or words.
    pub how: String,
    /// The files that it writes, if that is all it does.
    pub changes: Vec<Change>,
    /// Whether it is a command that an administrator gives.
    privileged: bool,
}

/// A value for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, of `/proc/sys` or `/sys`.
    pub path: String,
    /// What is written into it.
    pub value: String,
}

/// What of the cures of findings is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The changes, in their order.
    pub changes: Vec<Change>,
    /// The findings for which others could be made, if they were asked for.
    pub left: Vec<&'static str>,
}

/// Chooses what to change: one cure of a finding at most, as each helps by itself.
///
/// Of the findings that `only` names it is the first cure that changes anything. Without names
/// nothing is changed for a hint, and nothing where what helps best is no change: the next best may
/// cost what nobody has asked for.
#[must_use]
pub fn choose(findings: &[Finding], only: Option<&[&str]>) -> Chosen {
    let mut chosen = Chosen::default();
    for Finding { code, severity, cures, .. } in findings {
        let changes = |cure: &Cure| cure.changes().next().is_some();
        let Some(cure) = cures.iter().find(|cure| changes(cure)) else { continue };
        let safe = *severity > Severity::Hint && cures.first().is_some_and(changes);
        match only {
            Some(list) if !list.contains(code) => {}
            None if !safe => chosen.left.push(*code),
            Some(_) | None => chosen.changes.extend(cure.changes().cloned()),
        }
    }
    chosen
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
    /// Flags of pummel or a command, for everybody; or words.
    pub(super) fn by(how: impl Into<String>) -> Self {
        Step { how: how.into(), changes: Vec::new(), privileged: false }.into()
    }

    /// A command that an administrator gives.
    pub(super) fn command(how: impl Into<String>) -> Self {
        Step { how: how.into(), changes: Vec::new(), privileged: true }.into()
    }

    /// Sets a setting of the table that stands in a file.
    pub(super) fn set(key: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        let setting = Setting::of(key);
        let how = setting.map_or_else(|| key.to_owned(), |setting| setting.command(&value));
        let path = setting.and_then(Setting::path);
        let changes = path.map(|path| Change { path, value }).into_iter().collect();
        Step { how, changes, privileged: true }.into()
    }

    /// Writes `value` into several files; `shown` stands for them in the command.
    pub(super) fn write(shown: &str, paths: impl IntoIterator<Item = String>, value: &str) -> Self {
        let change = |path| Change { path, value: value.to_owned() };
        let changes = paths.into_iter().map(change).collect();
        Step { how: format!("echo {value} | tee {shown}"), changes, privileged: true }.into()
    }

    /// Writes `value` into several files, `shown` for each of `numbers` as `$i`.
    pub(super) fn write_for(
        numbers: &str,
        shown: &str,
        paths: impl IntoIterator<Item = String>,
        value: &str,
    ) -> Self {
        let mut cure = Self::write(shown, paths, value);
        for step in &mut cure.steps {
            step.how = format!("for i in {numbers}; do {}; done", step.how);
        }
        cure
    }

    /// With what is to be done after it, as without that it does not help.
    pub(super) fn then(mut self, next: Self) -> Self {
        self.steps.extend(next.steps);
        self
    }

    /// With what is to be done before it, if there is anything.
    pub(super) fn after(self, first: Option<Self>) -> Self {
        first.unwrap_or_default().then(self)
    }

    /// For somebody who is no administrator: commands ask for the rights.
    pub(super) fn ask(&mut self) {
        for step in self.steps.iter_mut().filter(|step| step.privileged) {
            let piped = step.how.replace(" > ", " | sudo tee ").replace(" | tee ", " | sudo tee ");
            step.how = if piped == step.how { format!("sudo {}", step.how) } else { piped };
            step.privileged = false;
        }
    }

    /// All of it in a line.
    #[must_use]
    pub fn how(&self) -> String {
        let steps: Vec<&str> = self.steps.iter().map(|step| step.how.as_str()).collect();
        steps.join(", then ")
    }

    /// What it writes, in the order of its steps.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.steps.iter().flat_map(|step| &step.changes)
    }
}

impl From<Step> for Cure {
    fn from(step: Step) -> Self {
        Self { steps: vec![step] }
    }
}
