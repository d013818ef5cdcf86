//! What breaks a rule and is let through, each with its reason. The list may only shrink.

use crate::places;

/// A file, or a folder with all below it, that may break a rule.
pub(crate) struct Exception {
    /// The name of the rule, as its test gives it.
    pub(crate) rule: &'static str,
    /// Path from the root of the workspace.
    pub(crate) path: &'static str,
    /// Most places at which it may.
    pub(crate) most: usize,
    pub(crate) reason: &'static str,
}

pub(crate) const LIST: &[Exception] = &[
    Exception {
        rule: places::HOT,
        path: "engine/src/reactor/choice.rs",
        most: 2,
        reason: "the line for the user that names the reason of a fallback, written before the \
                 first shard starts",
    },
    Exception {
        rule: places::HOT,
        path: "engine/src/reactor/epoll.rs",
        most: 1,
        reason: "the error of a reactor that could not be made",
    },
];

impl Exception {
    /// Whether `path` is the file, or lies in the folder.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
