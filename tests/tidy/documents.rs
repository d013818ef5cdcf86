//! Documents do not rot: what they name exists.

use std::path::{Path, PathBuf};

use crate::sources::{self, Source};
use crate::{Finding, check};

/// The folders that a path in a text begins with.
const TOP: &[&str] =
    &["proto-http/", "engine/", "cli/", "tuning/", "benches/", "tests/", "docs/", ".ci/"];

/// The documents that name paths.
fn documents() -> Vec<Source> {
    let not_generated = |source: &Source| source.path != "benches/RESULTS.md";
    sources::files("", "md").into_iter().filter(not_generated).collect()
}

/// The paths that `text` names, with the numbers of their lines.
fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let separator = |letter: char| letter.is_whitespace() || "`\"'()[]<>|,;*".contains(letter);
        for word in line.split(separator) {
            let word = word.trim_end_matches(['.', ':', '!', '?', '/']);
            // A line within a file, or an item.
            let word = word.split([':', '#']).next().unwrap_or_default();
            // Angle brackets and dots of omission stand for a name that the reader chooses.
            let fixed = !word.contains('…') && !word.contains("NNNN");
            if fixed && TOP.iter().any(|top| word.starts_with(top)) {
                found.push((number, word.to_owned()));
            }
        }
    }
    found
}

/// The targets of the links of `text` to files, with the numbers of their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() {
                found.push((number, file.to_owned()));
            }
        }
    }
    found
}

fn missing(source: &Source, base: &Path, named: Vec<(usize, String)>) -> Vec<Finding> {
    let gone = named.into_iter().filter(|(_, path)| !base.join(path).exists());
    let finding = |(line, path)| Finding {
        path: source.path.clone(),
        line,
        what: format!("names {path}, which does not exist"),
    };
    gone.map(finding).collect()
}

#[test]
fn every_path_that_a_document_names_exists() {
    let (root, mut findings) = (sources::root(), Vec::new());
    for source in documents() {
        findings.extend(missing(&source, &root, paths(&source.text)));
    }
    check(
        "every path that a document names exists",
        &findings,
        "name the new place, or describe in words what does not exist yet",
    );
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let (root, mut findings) = (sources::root(), Vec::new());
    for source in documents() {
        let folder: PathBuf = root.join(&source.path).parent().unwrap().to_owned();
        findings.extend(missing(&source, &folder, links(&source.text)));
    }
    check("every link of a document leads somewhere", &findings, "mend the link");
}

#[test]
fn every_path_that_a_comment_names_exists() {
    let (root, mut findings) = (sources::root(), Vec::new());
    for source in sources::rust() {
        let comments: Vec<&str> = source
            .text
            .lines()
            .map(|line| line.split_once("//").map_or("", |(_, comment)| comment))
            .collect();
        let documents = paths(&comments.join("\n"));
        findings.extend(missing(&source, &root, documents));
    }
    check("every path that a comment names exists", &findings, "name the new place");
}

#[test]
fn decisions_are_numbered_without_a_gap_and_say_how_they_are_checked() {
    let mut findings = Vec::new();
    let decisions = sources::files("docs/adr", "md");
    for (number, source) in decisions.iter().enumerate() {
        let mut complain = |what: String| {
            findings.push(Finding { path: source.path.clone(), line: 0, what });
        };
        if !source.path.starts_with(&format!("docs/adr/{number:04}-")) {
            complain(format!("should be number {number:04}"));
        }
        for part in ["Status", "Context", "Decision", "Consequences", "Checked by"] {
            if !source.text.contains(&format!("\n## {part}\n")) {
                complain(format!("lacks the part \"{part}\""));
            }
        }
    }
    let cure = "begin from docs/adr/0000-template.md";
    check("decisions are complete and numbered without a gap", &findings, cure);
}

#[test]
fn paths_and_links_are_found_in_prose_tables_and_code() {
    let text = "see `engine/src/lib.rs`, [x](../a.md#b) and cli/src/main.rs:12.\n| docs/adr/ |";
    let named: Vec<String> = paths(text).into_iter().map(|(_, path)| path).collect();
    assert_eq!(named, ["engine/src/lib.rs", "cli/src/main.rs", "docs/adr"]);
    assert_eq!(links(text), [(1, "../a.md".to_owned())]);
}
