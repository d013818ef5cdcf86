//! Where settings come from: a file, over it the environment, over that the command line.
//!
//! What a lower layer sets gives way where a higher one sets the same, or what replaces it. The
//! rest becomes words of the command line, which are read together with the typed ones: so one
//! definition says what a value means. Errors about those words are said in the words of their
//! origin.

mod aside;
mod edit;
mod environment;
mod file;
mod origins;
mod show;

use core::ops::Range;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{anyhow, ensure};
use pummel_engine::reactor::clock;
use pummel_engine::units::Nanos;

pub(crate) use edit::Outline;
#[cfg(test)]
pub(super) use show::default;

use super::feeds::Feeds;
use super::file::{FOUND, Fault, File, Word};
use super::input;
use super::keys::{self, Key, Scope};
use super::request::Common;
use super::urls::Urls;
use super::{Config, Task, scenario};
use crate::args::{RunArgs, Typed, mistaken};
use crate::exit::{Code, Failure};
use crate::wall;

/// What is around the program: where files are looked for, and the environment.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    folder: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

/// A value that was set, but for those that were typed.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    key: &'static Key,
    /// None if it is a switch that is off.
    words: Vec<Word>,
    origin: Origin,
    /// The value as a file would have it.
    shown: String,
}

/// Where a value was set.
#[derive(Clone, Debug)]
enum Origin {
    /// In the file, by this name at this place.
    File(String, Range<usize>),
    /// By this variable.
    Variable(String),
}

/// A layer that was read.
#[derive(Debug, Default)]
struct Layer {
    settings: Vec<Setting>,
    /// What the user should know of it.
    remarks: Vec<String>,
}

/// All that was set.
#[derive(Debug)]
pub(crate) struct Settings<'t> {
    /// As words of the command line.
    pub(crate) args: RunArgs,
    typed: &'t Typed,
    file: Option<File>,
    /// What of the lower layers has an effect, the lowest first.
    lower: Vec<Setting>,
    /// What the user should know about where settings come from.
    pub(crate) remarks: Vec<String>,
}

/// The Unix time at the origin of the engine's clock.
pub(super) fn epoch() -> Nanos {
    let unix = wall::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let unix = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
    Nanos::new(unix.saturating_sub(clock::now().since_origin()))
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self { folder: PathBuf::new(), variables: env::vars_os().collect() }
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        let found = self.variables.iter().find(|(known, _)| known.as_os_str() == name);
        found.map(|(_, value)| value.clone())
    }
}

impl Setting {
    /// Whether it says something that `key` of the same layer contradicts. Bursts beside a rate are
    /// left aside, as strest does.
    fn contradicts(&self, key: &Key) -> bool {
        let bursts = (self.key.scope == Scope::Bursts) != (key.scope == Scope::Bursts);
        !bursts && !self.words.is_empty() && self.key.rivals.contains(&key.name)
    }

    /// What it is called where it was set.
    fn name(&self) -> &str {
        match &self.origin {
            Origin::File(name, _) | Origin::Variable(name) => name,
        }
    }

    /// Whether it gives way to `other` of a higher layer.
    fn yields_to(&self, other: &Key, given: bool) -> bool {
        self.key.name == other.name || (given && self.key.rivals.contains(&other.name))
    }
}

impl<'t> Settings<'t> {
    /// Gathers what was set, and reads it as one command line.
    ///
    /// # Errors
    /// If a file or a variable makes no sense by itself, or a value of theirs is none of its flag.
    pub(crate) fn gather(typed: &'t Typed, around: &Surroundings) -> Result<Self, Failure> {
        let mut remarks = Vec::new();
        let idle = typed.idle();
        let idle: Vec<&str> = idle.iter().map(String::as_str).collect();
        remarks.extend(listed(&idle, "has no effect yet", "have no effect yet"));
        remarks.extend(mistaken(typed));
        let file = find(typed, around, &mut remarks)?;
        let mut lower = Vec::new();
        if let Some(file) = &file {
            let layer = file::read(file)?;
            lower = layer.settings;
            remarks.extend(layer.remarks);
        }
        let layer = environment::read(&around.variables)?;
        for higher in &layer.settings {
            lower.retain(|it: &Setting| !it.yields_to(higher.key, !higher.words.is_empty()));
        }
        lower.extend(layer.settings);
        remarks.extend(layer.remarks);
        for key in typed.flags().filter_map(keys::of_flag) {
            lower.retain(|it| !it.yields_to(key, true));
        }
        let mut settings = Self { args: typed.run().clone(), typed, file, lower, remarks };
        settings.leave_aside();
        let words: Vec<OsString> = settings.lower.iter().flat_map(Setting::line).collect();
        settings.args =
            typed.with(words).map_err(|said| settings.explain(Failure::usage(anyhow!(said))))?;
        let told = input::announce(&settings.args);
        let told = told.map_err(|error| settings.explain(Failure::usage(error)))?;
        settings.remarks.extend(told);
        Ok(settings)
    }

    /// What all of it means.
    ///
    /// # Errors
    /// As [`Config::understand`], in the words of where a value was set.
    pub(crate) fn understand(&self) -> Result<Config, Failure> {
        let mut args = self.args.clone();
        self.ensure_one_order().map_err(|error| self.explain(Failure::usage(error)))?;
        if let Some(file) = &self.file
            && self.typed.run().target.any().is_none()
        {
            // What a scenario says of itself is nearer than what goes for the file.
            let base = scenario::base(&file.root).map_err(|fault| file.failure(&fault))?;
            args.target.url = base.or(args.target.url);
        }
        if let (None, Some(file)) = (args.target.any(), &self.file) {
            if let Some(fault) = scenario::unaimed(&file.root) {
                return Err(file.failure(&fault));
            }
            return Err(Failure::usage(anyhow!(
                "{}: no target; give url there, or a URL on the command line",
                file.name()
            )));
        }
        if let Some(file) = &self.file {
            let rates = scenario::rates(&file.root).map_err(|fault| file.failure(&fault))?;
            args.load.rate_of_scenarios = rates.map(|rates| rates.sum);
        }
        if self.file.is_none() && args.load.watch {
            let said = "--watch looks for edits of a file, and there is none; give --config FILE";
            return Err(self.explain(Failure::usage(anyhow!(said))));
        }
        let config = Config::of(&args, |common, urls| self.task(common, urls));
        let mut config = config.map_err(|failure| self.explain(failure))?;
        if let Some(file) = &self.file {
            let aside = scenario::left_aside(&file.root);
            config.remarks.extend(aside.map(|fault| file.remark(&fault)));
        }
        let followed = config.follow_redirects(&args.request);
        followed.map_err(|error| self.explain(Failure::usage(error)))?;
        let given = config.give_cookies(&args.request, epoch());
        given.map_err(|error| self.explain(Failure::usage(error)))?;
        let checked = config.check_thresholds();
        checked.map_err(|error| self.explain(Failure::usage(error)))?;
        for remark in &mut config.remarks {
            if let Some(found) = self.locate(remark) {
                *remark = found.line();
            }
        }
        Ok(config)
    }

    /// What is asked for: what a section of the file says, or what was typed, with the rows of its
    /// feeds.
    fn task(&self, common: &Common<'_>, urls: &Urls) -> Result<Task, Failure> {
        let typed = |feeds| {
            let typed = Task::typed(common, urls, feeds);
            typed.map_err(|refusal| refusal.failure(self.file.as_ref()))
        };
        let Some(file) = &self.file else { return typed(Feeds::default()).map(|(task, _)| task) };
        let said = |fault: Fault| file.failure(&fault);
        if let Some((work, servers)) =
            scenario::work(file, common, &urls.target, epoch()).map_err(said)?
        {
            return Ok(Task { work, servers, remark: None });
        }
        let feeds = Feeds::read(&file.root, file.folder(), self.args.machine.seed).map_err(said)?;
        let (task, feeds) = typed(feeds)?;
        let feeds = feeds.into_used().map_err(said)?;
        let work = task.work.with_feeds(feeds).map_err(|error| Failure::usage(anyhow!(error)))?;
        Ok(Task { work, ..task })
    }

    /// Refuses what says which requests are made in turn, beside a section that says it, too.
    fn ensure_one_order(&self) -> Result<(), anyhow::Error> {
        let section = self.file.as_ref().and_then(|file| scenario::section(&file.root));
        let Some(section) = section else { return Ok(()) };
        for (given, flag) in [
            (self.args.target.urls_from_file, "--urls-from-file"),
            (self.args.target.rand_regex_url, "--rand-regex-url"),
            (self.args.request.data_lines.is_some(), "--data-lines"),
        ] {
            ensure!(!given, "{flag} and {section} do not go together; give one of them");
        }
        Ok(())
    }

    /// The failure, in the words of where the value was set that it is about.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        if failure.code != Code::Usage || failure.excerpt.is_some() {
            return failure;
        }
        match self.locate(&crate::output::stderr::once(&failure.error)) {
            Some(found) => found.failure(),
            None => failure,
        }
    }
}

impl Setting {
    /// As it would be typed.
    fn line(&self) -> impl Iterator<Item = OsString> {
        self.words.iter().map(|word| {
            let mut text = OsString::from(format!("--{}", word.flag));
            if let Some(value) = &word.value {
                text.push("=");
                text.push(value);
            }
            text
        })
    }
}

/// The file that was named, or the first of those that are looked for where no target is named.
fn find(
    typed: &Typed,
    around: &Surroundings,
    remarks: &mut Vec<String>,
) -> Result<Option<File>, Failure> {
    let variable = |name: &str| around.variable(name);
    if let Some(path) = &typed.run().file.config {
        return File::read(path.clone(), &variable).map(Some);
    }
    if typed.run().target.any().is_some() {
        return Ok(None);
    }
    let mut paths = FOUND.iter().map(|name| around.folder.join(name));
    // What is there and cannot be read is an error, not a reason to look further.
    let Some(path) = paths.find(|path| is_there(path)) else { return Ok(None) };
    remarks.push(format!("settings come from {}", path.display()));
    File::read(path, &variable).map(Some)
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// `a is …`, `a and b are …`, `a, b and c are …`; nothing of nothing.
fn listed(names: &[&str], one: &str, more: &str) -> Option<String> {
    let (last, others) = names.split_last()?;
    Some(if others.is_empty() {
        format!("{last} {one}")
    } else {
        format!("{} and {last} {more}", others.join(", "))
    })
}

#[cfg(test)]
mod tests;
