//! The flags of a run as data, for whoever needs their names.

use clap::{Arg, CommandFactory};

use super::Words;

/// A flag of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    /// Its name, without dashes.
    pub(crate) long: String,
    /// Other long names.
    pub(crate) aliases: Vec<String>,
    /// All that it is called with one dash.
    pub(crate) short: Vec<char>,
    /// What stands for it if it is not given, as the help says it.
    pub(crate) default: Option<String>,
}

/// All flags of a run, in the order of the help.
pub(crate) fn flags() -> Vec<Flag> {
    Words::command().get_arguments().filter_map(flag).collect()
}

fn flag(arg: &Arg) -> Option<Flag> {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    Some(Flag {
        long: arg.get_long()?.to_owned(),
        aliases: aliases.into_iter().map(str::to_owned).collect(),
        short: arg.get_short_and_visible_aliases().into_iter().flatten().collect(),
        default: default(arg),
    })
}

/// What `[default: …]` in the help holds, or what clap would add to it.
fn default(arg: &Arg) -> Option<String> {
    if let Some(value) = arg.get_default_values().first().filter(|_| takes_value(arg)) {
        return value.to_str().map(str::to_owned);
    }
    let help = arg.get_help()?.to_string();
    let (_, default) = help.split_once("[default:")?;
    let (default, _) = default.split_once(']')?;
    Some(default.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_has_its_names_and_its_default() {
        let flags = flags();
        let of = |long: &str| flags.iter().find(|flag| flag.long == long).unwrap();
        let connections = of("connections");
        assert_eq!(connections.aliases, ["concurrency", "max-tasks"]);
        assert_eq!(connections.short, ['c']);
        assert_eq!(connections.default.as_deref(), Some("64"));
        assert_eq!(of("pipeline").default.as_deref(), Some("1"));
        let groups = of("tls-groups").default.as_deref();
        assert_eq!(groups, Some("x25519,secp256r1,secp384r1"));
        assert_eq!(of("deadline").default, None);
        assert_eq!(of("json").default, None);
    }
}
