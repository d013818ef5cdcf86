//! The house rules as ordinary tests: one command tells a contributor all of them.
//!
//! A rule that a compiler or clippy can check is checked there. Here stand those which are about
//! places: which folder may name what, which manifest may depend on whom, which document may name a
//! file that is gone. A finding says where, what is wrong and what to do. What is let through
//! nevertheless stands in `exceptions`, with its reason, and that list may only shrink.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod documents;
mod exceptions;
mod manifests;
mod places;
mod rooms;
mod sources;
mod text;

use std::fmt;

/// Something that breaks a rule.
struct Finding {
    /// Path from the root of the workspace.
    path: String,
    /// The line, counted from 1; 0 for the file as a whole.
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Fails with all `findings` of `rule` that no exception covers, and with every exception that has
/// become superfluous. `cure` says what to do.
#[track_caller]
fn check(rule: &str, findings: &[Finding], cure: &str) {
    let mut complaints = Vec::new();
    let mut excepted = Vec::new();
    for exception in exceptions::LIST.iter().filter(|exception| exception.rule == rule) {
        assert!(!exception.reason.is_empty(), "an exception needs a reason");
        let covered = findings.iter().filter(|finding| exception.covers(&finding.path)).count();
        if covered == 0 {
            complaints.push(format!(
                "{}: keeps the rule now; delete its row in tests/tidy/exceptions.rs",
                exception.path
            ));
        } else if covered <= exception.most {
            excepted.push(exception);
        }
    }
    for finding in findings {
        if !excepted.iter().any(|exception| exception.covers(&finding.path)) {
            complaints.push(finding.to_string());
        }
    }
    let list = complaints.join("\n  ");
    assert!(complaints.is_empty(), "\n\n{rule}\n  {list}\n\n=> {cure}\n");
}
