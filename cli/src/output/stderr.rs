//! Standard error: the one place that messages go through.

use std::io::{self, Write};

use crate::exit::Failure;

/// Says in one line why the program ends, and shows below it the place in a file, if it is about
/// one.
pub(crate) fn failure(failure: &Failure) {
    line(&once(&failure.error));
    if let Some(excerpt) = &failure.excerpt {
        let _ = writeln!(io::stderr().lock(), "{excerpt}");
    }
}

/// The error and the chain of its causes, each of them once.
///
/// An error which ends with what to try names its cause amid its own words, and links to it too.
pub(crate) fn once(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// Says one line, marked with the program's name. Line breaks within become spaces: a message is a
/// line.
///
/// A standard error that cannot be written to leaves nobody to tell, so that is not reported.
pub(crate) fn line(text: &str) {
    let words: Vec<&str> = text.split(['\n', '\r']).map(str::trim).collect();
    let _ = writeln!(io::stderr().lock(), "pummel: {}", words.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use crate::serve::ServeError;
    use pummel_engine::RunError;

    fn bad_descriptor() -> io::Error {
        io::Error::from_raw_os_error(9)
    }

    #[test]
    fn every_cause_of_a_failure_is_said_once() {
        let address = (Ipv4Addr::LOCALHOST, 80).into();
        let errors: [anyhow::Error; 4] = [
            ServeError::Outside(bad_descriptor()).into(),
            ServeError::Listen { address, source: bad_descriptor() }.into(),
            RunError::Shard { shard: 0, cpu: 1, source: bad_descriptor() }.into(),
            anyhow::Error::from(bad_descriptor()).context("cannot write the report"),
        ];
        for error in errors {
            let said = once(&error);
            assert_eq!(said.matches("Bad file descriptor").count(), 1, "{said}");
        }
    }
}
