//! What is said about a command line that cannot be read: one line, in our words.
//!
//! Clap's own texts are written for several lines, and some give advice that is wrong here: that an
//! unknown flag might be meant as a value.

use std::error::Error as _;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Quoted, elsewhere, strest};

/// What is wrong, in a line.
pub(super) fn line(error: &Error) -> String {
    let said = match error.kind() {
        ErrorKind::UnknownArgument => unknown(error),
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::ValueValidation => bad_value(error),
        ErrorKind::InvalidValue if text(error, ContextKind::InvalidValue) == Some("") => {
            text(error, ContextKind::InvalidArg)
                .map(|flag| format!("{} needs a value; write {flag}", name(flag)))
        }
        _ => None,
    };
    said.unwrap_or_else(|| plain(&error.to_string()))
}

/// A flag that there is not, or a word where none belongs.
fn unknown(error: &Error) -> Option<String> {
    let word = text(error, ContextKind::InvalidArg)?;
    if let Some(said) = strest::missing(word) {
        return Some(said);
    }
    if !word.starts_with('-') {
        return Some(format!("{} is one word too many", Quoted(word)));
    }
    if let Some(said) = elsewhere::instead(word) {
        return Some(format!("there is no flag {}: {said}", Quoted(word)));
    }
    let meant = text(error, ContextKind::SuggestedArg);
    let meant = meant.map(|flag| format!("; did you mean {flag}?")).unwrap_or_default();
    Some(format!("there is no flag {}{meant}", Quoted(word)))
}

/// Words that do not go together.
fn conflict(error: &Error) -> Option<String> {
    // A second word without a flag is taken for a command, be there one of that name or not.
    if let Some(word) = text(error, ContextKind::InvalidSubcommand) {
        return Some(format!("one target at a time: {} is too many", Quoted(word)));
    }
    let one = name(text(error, ContextKind::InvalidArg)?);
    let other = name(text(error, ContextKind::PriorArg)?);
    Some(if one == other {
        format!("{one} is given twice; give it once")
    } else {
        format!("{one} and {other} do not go together; give one of them")
    })
}

/// A value that its flag's parser refused, for a reason that may name the value itself, or both.
fn bad_value(error: &Error) -> Option<String> {
    let flag = name(text(error, ContextKind::InvalidArg)?);
    let value = text(error, ContextKind::InvalidValue)?;
    let (reason, quoted) = (error.source()?.to_string(), Quoted(value).to_string());
    Some(if reason.starts_with(flag) {
        reason
    } else if reason.contains(&quoted) {
        format!("{flag}: {reason}")
    } else {
        format!("{flag} {quoted}: {reason}")
    })
}

/// A part of the error that is a text.
fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

/// The flag in `--flag <VALUE>`, or the value's name in `[VALUE]`.
fn name(flag: &str) -> &str {
    flag.split(' ').next().unwrap_or(flag).trim_matches(['[', ']', '<', '>'])
}

/// Clap's many-lined error as one line: without its prefix, its usage, and its pointer to the help.
fn plain(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines = text.lines().map(str::trim);
    let said =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words: Vec<&str> = said.filter(|line| !line.is_empty()).collect();
    words.join("; ").replace(":;", ":")
}

#[cfg(test)]
mod tests {
    use super::super::Words;
    use super::*;
    use clap::Parser;

    #[track_caller]
    fn check(words: &str, expected: &str) {
        let error = Words::try_parse_from(words.split(' ')).unwrap_err();
        assert_eq!(line(&error), expected, "{words}");
    }

    #[test]
    fn an_error_of_the_parser_is_one_line_without_usage() {
        for words in ["p --nonsense", "p x -c", "p x -c many", "p x --url y", "p demo --bogus"] {
            let said = line(&Words::try_parse_from(words.split(' ')).unwrap_err());
            assert!(!said.contains('\n') && !said.contains("Usage"), "{said}");
        }
    }

    #[test]
    fn an_unknown_flag_is_no_value() {
        check("p --xyzzy", "there is no flag \"--xyzzy\"");
        check("p x -Yy", "there is no flag \"-Y\"");
        check("p x --latency", "there is no flag \"--latency\": percentiles are always printed");
        check("p x --request PUT", "there is no flag \"--request\": it is --method METHOD, or -X");
        check("p x -z 5s", "there is no flag \"-z\": it is --duration TIME, or -t");
        check("p x --jsn", "there is no flag \"--jsn\"; did you mean --json?");
    }

    #[test]
    fn a_second_target_is_one_too_many() {
        for words in ["p x y", "p x -c 1 y"] {
            check(words, "one target at a time: \"y\" is too many");
        }
        check("p x demo", "one target at a time: \"demo\" is too many");
        check("p -u x y", "--url and URL do not go together; give one of them");
        check("p demo x", "\"x\" is one word too many");
    }

    #[test]
    fn a_bad_value_is_named_with_its_flag_and_a_negative_number_is_one() {
        for flag in ["--connections", "--requests", "--pipeline", "--shards"] {
            let reason = "\"-1\" is no whole number; give 1 or more";
            check(&format!("p x {flag} -1"), &format!("{flag}: {reason}"));
        }
        check("p demo -c -1", "--connections: \"-1\" is no whole number; give 1 or more");
        check("p x --redirect -1", "--redirect: \"-1\" is no whole number; give 0 or more");
        check("p x --redirect=-1", "--redirect: \"-1\" is no whole number; give 0 or more");
        check("p x --seed -1", "--seed: \"-1\" is no whole number; give 0 or more");
        check("p target --listen x", "--listen \"x\": invalid socket address syntax");
        check(
            "p target --delay x",
            "--delay: \"x\" is no duration; write for example 10, 1.5s, \
              250ms or 1m30s",
        );
    }

    #[test]
    fn a_missing_value_is_named_with_its_flag() {
        check("p x -c", "--connections needs a value; write --connections <N>");
        check("p x -c -n 5", "--connections needs a value; write --connections <N>");
        check("p x --data-file=", "--data-file needs a value; write --data-file <FILE>");
    }

    #[test]
    fn flags_that_exclude_each_other_are_both_named() {
        check("p x -d a -D b", "--data and --data-file do not go together; give one of them");
        check("p x -c 1 -c 2", "--connections is given twice; give it once");
    }
}
