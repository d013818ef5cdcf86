//! Standard error: the one place that messages go through.

use std::io::{self, Write};

/// Says one line, marked with the program's name. Line breaks within become spaces: a message is a
/// line.
///
/// A standard error that cannot be written to leaves nobody to tell, so that is not reported.
pub(crate) fn line(text: &str) {
    let words: Vec<&str> = text.split(['\n', '\r']).map(str::trim).collect();
    let _ = writeln!(io::stderr().lock(), "pummel: {}", words.join(" "));
}
