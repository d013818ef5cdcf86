//! The settings as lines of a file, each with where it was set.

use super::{Origin, Setting, Settings, environment};
use crate::args;
use crate::config::keys::{self, KEYS, Key};

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// `rate = 5000`; a default as a comment.
    pub(crate) setting: String,
    /// `default`, `pummel.toml:3`, `PUMMEL_RATE` or `--rate`.
    pub(crate) origin: String,
}

impl Settings<'_> {
    /// What is in effect, in the order of the keys. What has no value and no default is left out.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        KEYS.iter().filter_map(|key| self.row(key)).collect()
    }

    fn row(&self, key: &'static Key) -> Option<Shown> {
        if let Some(setting) = self.lower.iter().find(|it| it.key.name == key.name) {
            let set = format!("{} = {}", key.name, setting.shown);
            return Some(Shown { setting: set, origin: self.origin(setting) });
        }
        let flag = key.flag?;
        if let Some(texts) = self.typed.values(flag) {
            let set = format!("{} = {}", key.name, environment::shown(key.kind, texts, true));
            let positional = flag == "url" && self.typed.run().target.target.is_some();
            let origin = if positional { "URL".to_owned() } else { format!("--{flag}") };
            return Some(Shown { setting: set, origin });
        }
        let default = default(flag)?;
        Some(Shown { setting: format!("# {} = {default}", key.name), origin: "default".to_owned() })
    }

    fn origin(&self, setting: &Setting) -> String {
        match (&setting.origin, &self.file) {
            (Origin::File(_, span), Some(file)) => file.line(span),
            (Origin::File(name, _) | Origin::Variable(name), _) => name.clone(),
        }
    }
}

/// What stands for a flag that is not given, as the help has it.
pub(crate) fn default(flag: &str) -> Option<String> {
    let flag = args::flags().into_iter().find(|known| known.long == flag)?;
    flag.default.or_else(|| {
        let key = keys::of_flag(&flag.long)?;
        matches!(key.kind, keys::Kind::Bool).then(|| "false".to_owned())
    })
}
