//! Flags of strest beside ours, so that a line that was written for it is read as it is.
//!
//! Those that ask for what is done in any case, or have no effect yet, are taken and hidden; the
//! table of keys has them. What is a mode of its own is refused in one line.

use clap::{Arg, ArgAction, Command};

use crate::config::keys::{self, Kind, Standing};

/// What flags of strest begin with that pummel has nothing of, and what that is.
const MODES: [(&str, &str); 13] = [
    ("--replay", "replaying a run is"),
    ("--controller-", DISTRIBUTED),
    ("--control-", DISTRIBUTED),
    ("--agent-", DISTRIBUTED),
    ("--auth-token", DISTRIBUTED),
    ("--min-agents", DISTRIBUTED),
    ("--stream-summaries", DISTRIBUTED),
    ("--stream-interval-ms", DISTRIBUTED),
    ("--script", "scenarios that a program makes are"),
    ("--install-service", SERVICES),
    ("--uninstall-service", SERVICES),
    ("--service-name", SERVICES),
    ("--http3", "HTTP/3 is"),
];

const DISTRIBUTED: &str = "runs on several machines are";
const SERVICES: &str = "services of systemd are";

/// The command line with the flags that have no effect here.
pub(super) fn with_idle(command: Command) -> Command {
    command.args(keys::idle().map(|key| {
        let arg = Arg::new(key.name).long(key.name.replace('_', "-")).hide(true);
        match key.kind {
            Kind::Bool => arg.action(ArgAction::SetTrue),
            _ => arg.action(ArgAction::Set).allow_hyphen_values(true),
        }
    }))
}

/// Those of `flags` that were given, and have no effect yet.
pub(super) fn idle<'f>(flags: impl Iterator<Item = &'f str>) -> Vec<String> {
    let names = |flag: &str| keys::idle().find(|key| key.name.replace('_', "-") == flag);
    let idle = flags.filter(|flag| names(flag).is_some_and(|key| key.standing == Standing::NotYet));
    idle.map(|flag| format!("--{flag}")).collect()
}

/// What is said of a flag for something that pummel has not.
pub(super) fn missing(word: &str) -> Option<String> {
    let (_, what) = MODES.into_iter().find(|(begin, _)| word.starts_with(begin))?;
    let flag = word.split('=').next().unwrap_or(word);
    Some(format!("{flag}: {what} not supported yet"))
}
