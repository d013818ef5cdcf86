//! Who is compared: one entry per tool, with the arguments that make it do the same work.

use std::path::{Path, PathBuf};

use crate::{
    machine::{find, first_line, sibling},
    tally::{self, Tally, TallyError},
};

/// The work that every tool is given.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// The URL, with a literal address.
    pub(crate) url: String,
    /// Requests in total, for the tools that count; a multiple of connections × pipeline.
    pub(crate) requests: u64,
    /// Seconds, for the tools that only know a duration.
    pub(crate) seconds: u64,
    /// Keep-alive connections.
    pub(crate) connections: u64,
    /// Requests in flight on each connection.
    pub(crate) pipeline: u64,
    /// The core that the tool is pinned to.
    pub(crate) core: usize,
    /// Where wrk finds its script for a pipeline.
    pub(crate) wrk_script: PathBuf,
}

/// What decides when a tool stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    /// [`Work::requests`], and then exactly so many must be completed.
    Requests,
    /// [`Work::seconds`].
    Seconds,
}

/// How one kind of tool is run and read.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The program's file name.
    pub(crate) program: &'static str,
    /// What decides when it stops.
    pub(crate) amount: Amount,
    /// Whether it can keep more than one request in flight on a connection.
    pub(crate) pipelines: bool,
    /// Arguments that make its version the first line of its output; none when it has none.
    version: &'static [&'static str],
    arguments: fn(&Work) -> String,
    tally: fn(&str) -> Result<Tally, TallyError>,
}

const PUMMEL: Tool = Tool {
    program: "pummel",
    amount: Amount::Requests,
    pipelines: true,
    version: &["--version"],
    arguments: |work| {
        let Work { url, requests, connections, pipeline, core, .. } = work;
        format!("{url} -c {connections} -n {requests} --pipeline {pipeline} --cores {core} --json")
    },
    tally: tally::pummel,
};

const FLOOR: Tool = Tool {
    program: "floor",
    amount: Amount::Requests,
    pipelines: true,
    version: &[],
    arguments: |work| {
        let Work { url, requests, connections, pipeline, .. } = work;
        format!("{url} -c {connections} -n {requests} --pipeline {pipeline}")
    },
    tally: tally::bare_loop,
};

const PEERS: [Tool; 5] = [
    Tool {
        program: "wrk",
        amount: Amount::Seconds,
        pipelines: true,
        version: &["-v"],
        arguments: |work| {
            let Work { url, seconds, connections, wrk_script, .. } = work;
            let script = match work.pipeline {
                1 => String::new(),
                _ => format!("-s {} ", wrk_script.display()),
            };
            format!("-t 1 -c {connections} -d {seconds} {script}{url}")
        },
        tally: tally::wrk,
    },
    Tool {
        program: "h2load",
        amount: Amount::Requests,
        pipelines: false,
        version: &["--version"],
        arguments: |Work { url, requests, connections, .. }| {
            format!("--h1 -t 1 -c {connections} -n {requests} {url}")
        },
        tally: tally::h2load,
    },
    Tool {
        program: "ab",
        amount: Amount::Requests,
        pipelines: false,
        version: &["-V"],
        arguments: |Work { url, requests, connections, .. }| {
            format!("-k -q -c {connections} -n {requests} {url}")
        },
        tally: tally::ab,
    },
    Tool {
        program: "oha",
        amount: Amount::Requests,
        pipelines: false,
        version: &["--version"],
        arguments: |Work { url, requests, connections, .. }| {
            format!("--no-tui --output-format json -c {connections} -n {requests} {url}")
        },
        tally: tally::oha,
    },
    Tool {
        program: "hey",
        amount: Amount::Requests,
        pipelines: false,
        version: &[],
        arguments: |Work { url, requests, connections, .. }| {
            format!("-cpus 1 -c {connections} -n {requests} {url}")
        },
        tally: tally::hey,
    },
];

/// The bare loop on one runtime.
const fn runtime(program: &'static str) -> Tool {
    Tool {
        program,
        amount: Amount::Requests,
        pipelines: false,
        version: &[],
        arguments: |Work { url, requests, connections, .. }| {
            format!("{url} -c {connections} -n {requests}")
        },
        tally: tally::bare_loop,
    }
}

/// Label, program and extra arguments of each loop on a runtime.
const RUNTIMES: [(&str, Tool, &str); 4] = [
    ("monoio, deferred", runtime("runtime-monoio"), "--driver deferred"),
    ("monoio, as it comes", runtime("runtime-monoio"), "--driver uring"),
    ("monoio, epoll", runtime("runtime-monoio"), "--driver epoll"),
    ("glommio", runtime("runtime-glommio"), ""),
];

/// One row of the comparison: a tool that exists, and how it is called this time.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Its name in the table.
    pub(crate) label: String,
    /// What it says about its version, when it says anything.
    pub(crate) version: Option<String>,
    /// How it is run and read.
    pub(crate) tool: Tool,
    program: PathBuf,
    extra: Vec<String>,
}

impl Contender {
    fn new(label: &str, program: PathBuf, tool: Tool, extra: &str) -> Self {
        let version = (!tool.version.is_empty())
            .then(|| first_line(&program.to_string_lossy(), tool.version));
        let extra = words(extra);
        Self { label: label.to_owned(), version, tool, program, extra }
    }

    /// Returns the program and its arguments for a work.
    #[must_use]
    pub(crate) fn command(&self, work: &Work) -> Vec<String> {
        let mut command = vec![self.program.to_string_lossy().into_owned()];
        command.extend(words(&(self.tool.arguments)(work)));
        command.extend(self.extra.iter().cloned());
        command
    }

    /// Reads the requests that a run completed from its output.
    ///
    /// # Errors
    /// The output is unknown, or says that requests went wrong.
    pub(crate) fn tally(&self, output: &str) -> Result<Tally, TallyError> {
        (self.tool.tally)(output)
    }
}

/// A contender that cannot take part, and why.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Absent {
    /// Its name.
    pub(crate) label: String,
    /// Why it is not in the table.
    pub(crate) reason: &'static str,
}

/// Builds of pummel to compare, in the words `[LABEL=]PATH [ARGUMENTS]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PummelRow {
    label: String,
    program: PathBuf,
    extra: String,
}

impl std::str::FromStr for PummelRow {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (program, extra) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let (label, program) = program.split_once('=').unwrap_or(("pummel", program));
        if label.is_empty() || program.is_empty() {
            return Err("not [LABEL=]PATH [ARGUMENTS]");
        }
        Ok(Self { label: label.to_owned(), program: program.into(), extra: extra.to_owned() })
    }
}

impl PummelRow {
    /// Returns the rows that are meant when none is named: both reactors of the pummel that was
    /// built together with this program.
    #[must_use]
    pub(crate) fn both_reactors() -> Vec<Self> {
        let program = sibling(PUMMEL.program).unwrap_or_else(|| PUMMEL.program.into());
        ["uring", "epoll"]
            .map(|reactor| Self {
                label: format!("pummel, {reactor}"),
                program: program.clone(),
                extra: format!("--reactor {reactor}"),
            })
            .into()
    }

    /// Returns the program of the row.
    #[must_use]
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

/// Returns who takes part, in the order of the table, and who cannot.
#[must_use]
pub(crate) fn assemble(
    pummels: &[PummelRow],
    pipeline: u64,
    runtimes: bool,
) -> (Vec<Contender>, Vec<Absent>) {
    let mut present = Vec::new();
    let mut absent = Vec::new();
    let mut seat = |label: &str, program: Option<PathBuf>, tool: Tool, extra: &str, missing| {
        let reason = match &program {
            _ if pipeline > 1 && !tool.pipelines => "does not pipeline",
            Some(program) if program.is_file() => "",
            _ => missing,
        };
        match program {
            Some(program) if reason.is_empty() => {
                present.push(Contender::new(label, program, tool, extra));
            }
            _ => absent.push(Absent { label: label.to_owned(), reason }),
        }
    };
    for row in pummels {
        seat(&row.label, Some(row.program.clone()), PUMMEL, &row.extra, "not built");
    }
    seat(FLOOR.program, sibling(FLOOR.program), FLOOR, "", "not built");
    for tool in PEERS {
        seat(tool.program, find(tool.program), tool, "", "not installed");
    }
    for (label, tool, extra) in RUNTIMES.into_iter().filter(|_| runtimes) {
        seat(label, sibling(tool.program), tool, extra, "not built (a feature of the package)");
    }
    (present, absent)
}

/// Splits arguments at white space; none of ours contains any.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Returns the script that lets wrk keep `pipeline` requests in flight on each connection.
#[must_use]
pub(crate) fn wrk_script(pipeline: u64) -> String {
    format!(
        "init = function(args)\n\
         \x20  local requests = {{}}\n\
         \x20  for i = 1, {pipeline} do requests[i] = wrk.format() end\n\
         \x20  pipeline = table.concat(requests)\n\
         end\n\
         request = function() return pipeline end\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(pipeline: u64) -> Work {
        Work {
            url: "http://127.0.0.1:1/".to_owned(),
            requests: 640,
            seconds: 2,
            connections: 64,
            pipeline,
            core: 1,
            wrk_script: "pipeline.lua".into(),
        }
    }

    #[test]
    fn a_row_of_pummel_may_have_a_label_and_arguments() {
        let row: PummelRow = "old=target/old --reactor epoll".parse().unwrap();
        assert_eq!((row.label.as_str(), row.program()), ("old", Path::new("target/old")));
        assert_eq!(row.extra, "--reactor epoll");
        let row: PummelRow = "target/release/pummel".parse().unwrap();
        assert_eq!((row.label.as_str(), row.extra.as_str()), ("pummel", ""));
        assert!("=".parse::<PummelRow>().is_err());
    }

    #[test]
    fn extra_arguments_stand_behind_the_work() {
        let pummel = Contender::new("p", "/bin/true".into(), PUMMEL, "--reactor epoll");
        assert_eq!(
            pummel.command(&work(16)).join(" "),
            "/bin/true http://127.0.0.1:1/ -c 64 -n 640 --pipeline 16 --cores 1 --json \
             --reactor epoll"
        );
    }

    #[test]
    fn wrk_has_a_script_for_pipelines_only() {
        let [wrk, ..] = PEERS;
        let arguments = wrk.arguments;
        assert_eq!(arguments(&work(1)), "-t 1 -c 64 -d 2 http://127.0.0.1:1/");
        assert_eq!(arguments(&work(2)), "-t 1 -c 64 -d 2 -s pipeline.lua http://127.0.0.1:1/");
    }

    #[test]
    fn tools_that_cannot_pipeline_are_absent_and_say_so() {
        let (present, absent) = assemble(&[], 16, false);
        assert!(present.iter().all(|contender| contender.tool.pipelines));
        let hey = Absent { label: "hey".to_owned(), reason: "does not pipeline" };
        assert!(absent.contains(&hey), "{absent:?}");
    }

    #[test]
    fn a_pummel_that_is_not_there_is_absent() {
        let row = "no/such/pummel".parse().unwrap();
        let (_, absent) = assemble(&[row], 1, false);
        assert_eq!(absent[0], Absent { label: "pummel".to_owned(), reason: "not built" });
    }
}
