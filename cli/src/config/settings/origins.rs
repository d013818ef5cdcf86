//! An error in the words of where its value was set.
//!
//! What checks a value knows it by its flag, `--rate`, wherever it came from. This finds the flags
//! in such a message, and writes the names that the user knows in their place: `rate` of a file,
//! `PUMMEL_RATE`; what was typed stays as it is.

use core::ops::Range;
use std::borrow::Cow;

use anyhow::anyhow;

use super::{Origin, Setting, Settings};
use crate::args::{self, Quoted};
use crate::config::file::{Fault, File};
use crate::config::keys;
use crate::exit::Failure;

/// A message whose subject was not typed.
#[derive(Debug)]
pub(super) struct Found<'s> {
    message: String,
    /// The file and the place in it, if that is where it was set.
    place: Option<(&'s File, Range<usize>)>,
}

impl Found<'_> {
    /// The message as a line.
    pub(super) fn line(&self) -> String {
        match &self.place {
            Some((file, span)) => file.remark(&Fault::new(span.clone(), self.message.clone())),
            None => self.message.clone(),
        }
    }

    /// The message as an error, with what the file has there.
    pub(super) fn failure(self) -> Failure {
        match self.place {
            Some((file, span)) => file.failure(&Fault::new(span, self.message)),
            None => Failure::usage(anyhow!(self.message)),
        }
    }
}

impl Settings<'_> {
    /// The message in the words of where the value was set that it is about, if that was not typed.
    pub(super) fn locate(&self, message: &str) -> Option<Found<'_>> {
        let flags = flags(message);
        let setting = self.subject(message, &flags)?;
        let place = match (&setting.origin, &self.file) {
            (Origin::File(_, span), Some(file)) => {
                Some((file, quoted(setting, message).unwrap_or(span.clone())))
            }
            _ => None,
        };
        let mut said = String::with_capacity(message.len());
        let mut from = 0;
        for (at, flag) in flags {
            said.push_str(message.get(from..at.start).unwrap_or_default());
            let typed = message.get(at.clone()).unwrap_or_default();
            said.push_str(&self.called(&flag, place.is_some()).unwrap_or(Cow::Borrowed(typed)));
            from = at.end;
        }
        said.push_str(message.get(from..).unwrap_or_default());
        Some(Found { message: as_written(setting, said), place })
    }

    /// The setting that `message` is about: the first that it names by its flag, or else one whose
    /// value it quotes.
    fn subject(&self, message: &str, flags: &[(Range<usize>, String)]) -> Option<&Setting> {
        let named = flags.iter().find_map(|(_, flag)| self.setting(flag));
        // What was typed may happen to be the same as what a file has elsewhere.
        if named.is_some() || flags.iter().any(|(_, flag)| self.typed.gives(flag)) {
            return named;
        }
        self.lower.iter().find(|setting| quoted(setting, message).is_some())
    }

    /// The setting of a lower layer that stands for the flag.
    fn setting(&self, flag: &str) -> Option<&Setting> {
        let stands = |it: &&Setting| it.words.iter().any(|word| word.flag == flag);
        self.lower.iter().rev().find(stands)
    }

    /// What the flag is called where it was set; where it was not, what a file would call it if the
    /// message is about the file. `None` if it was typed.
    fn called(&self, flag: &str, in_file: bool) -> Option<Cow<'_, str>> {
        match self.setting(flag) {
            Some(setting) => Some(Cow::Borrowed(setting.name())),
            None if !in_file || self.typed.gives(flag) => None,
            None => keys::of_flag(flag).map(|key| Cow::Borrowed(key.name)),
        }
    }
}

/// The message without what variables hold that were filled into the setting.
fn as_written(setting: &Setting, mut message: String) -> String {
    for word in &setting.words {
        if let (Some(value), Some(written)) = (&word.value, &word.written) {
            let value = Quoted(&value.to_string_lossy()).to_string();
            message = message.replace(&value, &Quoted(written).to_string());
        }
    }
    message
}

/// The place of a value of the setting that the message quotes.
fn quoted(setting: &Setting, message: &str) -> Option<Range<usize>> {
    let mut values = setting.words.iter().filter_map(|word| Some((word, word.value.as_ref()?)));
    values.find_map(|(word, value)| {
        let text = value.to_str().filter(|text| !text.is_empty())?;
        message.contains(&Quoted(text).to_string()).then(|| word.span.clone())
    })
}

/// The flags of a run that `message` names outside of quotes, by their long names, and where.
fn flags(message: &str) -> Vec<(Range<usize>, String)> {
    let known = args::flags();
    let (mut found, mut quoted, mut escaped) = (Vec::new(), false, false);
    let mut before = ' ';
    for (at, letter) in message.char_indices() {
        let begins = letter == '-' && !quoted && !before.is_alphanumeric() && before != '-';
        if begins && let Some(rest) = message.get(at..) {
            let name = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
            let word = rest.split(name).next().unwrap_or_default();
            let long = word.strip_prefix("--");
            let short = word.strip_prefix('-').filter(|rest| rest.chars().count() == 1);
            let flag = known.iter().find(|flag| {
                long == Some(flag.long.as_str())
                    || short.is_some_and(|short| flag.short.iter().any(|c| short.starts_with(*c)))
            });
            found.extend(flag.map(|flag| (at..at + word.len(), flag.long.clone())));
        }
        quoted ^= letter == '"' && !escaped;
        escaped = letter == '\\' && quoted && !escaped;
        before = letter;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_outside_of_quotes_by_either_name() {
        let found = |message: &str| -> Vec<String> {
            flags(message)
                .into_iter()
                .map(|(at, flag)| format!("{}={flag}", &message[at]))
                .collect()
        };
        assert_eq!(found("--rate: \"--ramp \\\" -c\" and -c 0"), ["--rate=rate", "-c=connections"]);
        assert_eq!(found("write -H \"Name: value\", --rates"), ["-H=header"]);
        assert_eq!(found("a-c 5-9 HTTP/1.1 -1 --"), [""; 0]);
        assert_eq!(
            found("give --stage, --data-file=x"),
            ["--stage=stage", "--data-file=data-file"]
        );
    }
}
