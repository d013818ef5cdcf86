//! Rules about the text of every Rust file.

use crate::sources::{self, names};
use crate::{Finding, check};

pub(crate) const COLUMNS: &str = "no line is longer than 100 columns";

#[test]
fn every_file_opens_with_what_it_is_for() {
    let files = sources::rust().into_iter().filter(|source| !source.text.starts_with("//!"));
    let what = "does not begin with `//!`".to_owned();
    let findings = files.map(|source| Finding { path: source.path, line: 1, what: what.clone() });
    check(
        "every Rust file opens with what it is for",
        &findings.collect::<Vec<_>>(),
        "say in a sentence or two what the file is for, and why it is as it is",
    );
}

#[test]
fn no_line_is_longer_than_a_hundred_columns() {
    let mut findings = Vec::new();
    for source in sources::rust() {
        for (line, text) in (1..).zip(source.text.lines()) {
            let columns = text.chars().count();
            if columns > 100 {
                let what = format!("{columns} columns");
                findings.push(Finding { path: source.path.clone(), line, what });
            }
        }
    }
    check(COLUMNS, &findings, "wrap it; rustfmt wraps code, but neither comments nor long strings");
}

#[test]
fn no_test_is_ignored() {
    let mut findings = Vec::new();
    for source in sources::rust() {
        for (line, text) in (1..).zip(source.text.lines().map(str::trim)) {
            if text.starts_with("#[ignore") {
                let what = "an ignored test".to_owned();
                findings.push(Finding { path: source.path.clone(), line, what });
            }
        }
    }
    let cure = "a test that cannot run here says why and passes; in CI it fails (tests::peers)";
    check("no test is ignored", &findings, cure);
}

#[test]
fn nothing_unfinished_is_merged() {
    let mut findings = Vec::new();
    // In pieces, or this file would be a finding.
    let marks = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    for source in sources::rust() {
        for (line, text) in (1..).zip(source.text.lines()) {
            for mark in marks.into_iter().filter(|mark| names(text, mark)) {
                let what = format!("says {mark}");
                findings.push(Finding { path: source.path.clone(), line, what });
            }
        }
    }
    let cure = "do it, or write down in docs/ROADMAP.md that it is not done";
    check("nothing unfinished is merged", &findings, cure);
}
