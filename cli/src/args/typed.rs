//! A command line that was read: what its words say, and which of them were typed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use anyhow::anyhow;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::{Command, RunArgs, Words, refusal, strest};
use crate::exit::Failure;
use crate::output as out;

/// What was typed.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) words: Words,
    /// As they were typed, with the program's name.
    line: Vec<OsString>,
    /// The flags of a run among them with their values, by long name.
    given: BTreeMap<String, Vec<OsString>>,
}

/// Reads the command line.
///
/// Help and version are printed here, because they are clap's own texts; then there is nothing left
/// to do.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Option<Typed>, Failure> {
    let error = match Typed::read(words.collect()) {
        Ok(typed) => return Ok(Some(typed)),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            out::stdout(|to| write!(to, "{error}")).map_err(Failure::impossible)?;
            Ok(None)
        }
        _ => {
            let said = refusal::line(&error);
            let see = if said.ends_with('?') { " See" } else { "; see" };
            Err(Failure::usage(anyhow!("{said}{see} `pummel --help`")))
        }
    }
}

/// Reads the command line of a run that was given in one word, without the program's name.
///
/// # Errors
/// What is wrong with it, in a line.
pub(crate) fn quoted(line: &str) -> Result<Typed, String> {
    let words = shlex::split(line).ok_or("a quote is not closed")?;
    let program = [OsString::from("pummel")];
    let typed =
        Typed::read(program.into_iter().chain(words.into_iter().map(OsString::from)).collect());
    let typed = typed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => "it asks for help".to_owned(),
        _ => refusal::line(&error),
    })?;
    match typed.words.command {
        None => Ok(typed),
        Some(_) => Err("it is a command; give a target and flags".to_owned()),
    }
}

impl Typed {
    fn read(line: Vec<OsString>) -> Result<Self, clap::Error> {
        let matches = strest::with_idle(Words::command()).try_get_matches_from(&line)?;
        let words = Words::from_arg_matches(&matches)?;
        let of_run = matches.subcommand_matches("config").unwrap_or(&matches);
        let given = given(of_run);
        Ok(Self { words, line, given })
    }

    /// The run that is described, be it to be run or not.
    pub(crate) fn run(&self) -> &RunArgs {
        match &self.words.command {
            Some(Command::Config(args)) => &args.run,
            _ => &self.words.run,
        }
    }

    /// The flags of a run that were given; a target counts as `url`, however it was spelt.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// Flags that were given and have no effect yet, with their dashes.
    pub(crate) fn idle(&self) -> Vec<String> {
        strest::idle(self.flags())
    }

    /// Whether a word is like that.
    pub(super) fn any_word(&self, is: impl Fn(&OsStr) -> bool) -> bool {
        self.line.iter().any(|word| is(word))
    }

    /// Whether the flag was given.
    pub(crate) fn gives(&self, flag: &str) -> bool {
        self.given.contains_key(flag)
    }

    /// The values of a flag that was given.
    pub(crate) fn values(&self, flag: &str) -> Option<&[OsString]> {
        self.given.get(flag).map(Vec::as_slice)
    }

    /// The same run with `words` before those that were typed.
    ///
    /// # Errors
    /// What is wrong with `words`, in a line.
    pub(crate) fn with(&self, words: Vec<OsString>) -> Result<RunArgs, String> {
        let beginning = if self.words.command.is_some() { 2 } else { 1 };
        let (program, typed) = self.line.split_at(beginning.min(self.line.len()));
        let line = program.iter().cloned().chain(words).chain(typed.iter().cloned());
        let typed = Self::read(line.collect()).map_err(|error| refusal::line(&error))?;
        Ok(typed.run().clone())
    }
}

/// The flags that stand among the words.
fn given(matches: &ArgMatches) -> BTreeMap<String, Vec<OsString>> {
    let typed = |id: &str| {
        let known = matches.try_contains_id(id).is_ok();
        known && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let values = |id: &str| {
        let values = matches.get_raw(id).into_iter().flatten();
        values.map(ToOwned::to_owned).collect()
    };
    let command = strest::with_idle(Words::command());
    let args = command.get_arguments().map(|arg| (arg.get_id().as_str(), arg.get_long()));
    args.filter(|(id, _)| typed(id))
        .map(|(id, long)| (long.unwrap_or("url").to_owned(), values(id)))
        .collect()
}

/// The command line `line`, whose words have no blanks.
#[cfg(test)]
pub(crate) fn typed(line: &str) -> Typed {
    Typed::read(line.split(' ').map(OsString::from).collect()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_known_from_what_is_a_default() {
        let line = typed("p x -c 5 -H a:b -H c:d --json");
        let flags: Vec<&str> = line.flags().collect();
        assert_eq!(flags, ["connections", "header", "json", "url"]);
        assert_eq!(line.values("header").unwrap(), ["a:b", "c:d"]);
        assert!(!line.gives("pipeline") && line.values("rate").is_none());
        assert!(typed("p config --show -u x").gives("url"));
    }

    #[test]
    fn a_run_in_one_word_is_read_as_a_shell_would() {
        let run = quoted("http://h/ -c 5 -H 'a: b c'").unwrap();
        assert_eq!(run.run().load.connections, Some(5));
        assert_eq!(run.run().request.header, ["a: b c"]);
        for (line, said) in [
            ("h 'x", "a quote is not closed"),
            ("demo -c 5", "it is a command; give a target and flags"),
            ("--help", "it asks for help"),
            ("h --nonsense", "--nonsense"),
        ] {
            assert!(quoted(line).unwrap_err().contains(said), "{line}: {:?}", quoted(line));
        }
    }

    #[test]
    fn flags_of_strest_are_taken_and_those_without_an_effect_named() {
        let line = typed("p -u x --no-charts --summary --no-ui --metrics-max 5 --tmp-path=/t");
        assert_eq!(line.idle(), ["--metrics-max", "--tmp-path"]);
        assert!(line.run().output.no_tui);
        for (line, said) in [
            ("p x --replay", "--replay: replaying a run is not supported yet"),
            ("p --agent-join=h:1", "--agent-join: runs on several machines are not supported yet"),
            ("p --script s.wasm", "--script: scenarios that a program makes are not supported yet"),
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            assert_eq!(refusal::line(&Typed::read(words).unwrap_err()), said);
        }
    }

    #[test]
    fn other_words_stand_before_the_typed_ones() {
        let words = || vec!["--rate=5".into(), "--json".into()];
        for line in ["p x -c 5", "p config x -c 5"] {
            let run = typed(line).with(words()).unwrap();
            assert_eq!(run.load.rate.as_deref(), Some("5"), "{line}");
            assert_eq!((run.load.connections, run.output.json), (Some(5), true), "{line}");
        }
        let said = typed("p x -q 5").with(words()).unwrap_err();
        assert_eq!(said, "--rate is given twice; give it once");
    }
}
