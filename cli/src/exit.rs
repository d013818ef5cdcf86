//! Exit codes, and failures that carry one.

use std::process::ExitCode;

/// What the program's exit tells a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// What was asked for was done.
    Done,
    /// The run could not be done.
    Impossible,
    /// The command line, or a file that it names, makes no sense.
    Usage,
    /// The run was done, and its numbers are worthless.
    Invalid,
    /// The run was done, and crossed a threshold.
    Crossed,
    /// The run was interrupted; what was measured is reported.
    Interrupted,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(match code {
            Code::Done => 0,
            Code::Impossible => 1,
            Code::Usage => 2,
            Code::Invalid => 3,
            Code::Crossed => 4,
            // 128 + SIGINT, as shells have it.
            Code::Interrupted => 130,
        })
    }
}

/// Why the program ends without having done what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// Becomes one line: what, to what, and what to try.
    pub(crate) error: anyhow::Error,
    /// The place in a file that the line is about, in lines to be shown below it.
    pub(crate) excerpt: Option<String>,
}

impl Failure {
    /// The user has to change the command line, or a file that it names.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: Code::Usage, error: error.into(), excerpt: None }
    }

    /// The user has called it off, and there is nothing to report.
    pub(crate) fn interrupted() -> Self {
        let error = anyhow::anyhow!("interrupted; there is nothing to report");
        Self { code: Code::Interrupted, error, excerpt: None }
    }

    /// Something around pummel is in the way.
    pub(crate) fn impossible(error: impl Into<anyhow::Error>) -> Self {
        Self { code: Code::Impossible, error: error.into(), excerpt: None }
    }
}
