//! Who is compared: one entry per tool, with the arguments that make it do the same work.

use std::path::{Path, PathBuf};

use crate::{
    case::Case,
    machine::{find, first_line, sibling},
    tally::{self, Tally, TallyError},
};

/// The work that every tool is given.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// Its kind.
    pub(crate) case: Case,
    /// The URL, with a literal address.
    pub(crate) url: String,
    /// Requests in total, for the tools that count; a multiple of all that are outstanding.
    pub(crate) requests: u64,
    /// Seconds, for the tools that only know a duration.
    pub(crate) seconds: u64,
    /// Keep-alive connections.
    pub(crate) connections: u64,
    /// Requests in flight on each connection of HTTP/1.1.
    pub(crate) pipeline: u64,
    /// Requests in flight on each connection of HTTP/2.
    pub(crate) streams: u64,
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

/// All that a tool for HTTP/1.1 knows which opens connections anew.
const HTTP1: &[Case] = &[Case::H1, Case::H1Tls, Case::Churn, Case::Handshakes];

/// All that h2load knows: its connections last, and one that is closed is a failure to it.
const LASTING: &[Case] = &[Case::H1, Case::H1Tls, Case::H2c, Case::H2cSingle, Case::H2Tls];

/// How one kind of tool is run and read.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The program's file name.
    pub(crate) program: &'static str,
    /// What decides when it stops.
    pub(crate) amount: Amount,
    /// Whether it can keep more than one request in flight on a connection.
    pub(crate) pipelines: bool,
    /// What it can do.
    cases: &'static [Case],
    /// Arguments that make its version the first line of its output; none when it has none.
    version: &'static [&'static str],
    arguments: fn(&Work) -> String,
    tally: fn(&str) -> Result<Tally, TallyError>,
}

const PUMMEL: Tool = Tool {
    program: "pummel",
    amount: Amount::Requests,
    pipelines: true,
    cases: Case::ALL,
    version: &["--version"],
    arguments: |work| {
        let Work { url, requests, connections, pipeline, streams, core, .. } = work;
        let wire =
            flags(work, &format!("--http2 --streams {streams}"), "-k", "--disable-keepalive");
        // Streams take its place, and a connection with one request has no room for it.
        let lined = !work.case.is_http2() && work.case.lasts();
        let depth = if lined { format!(" --pipeline {pipeline}") } else { String::new() };
        format!("{url} -c {connections} -n {requests}{depth} --cores {core} --json{wire}")
    },
    tally: tally::pummel,
};

const FLOOR: Tool = Tool {
    program: "floor",
    amount: Amount::Requests,
    pipelines: true,
    cases: &[Case::H1],
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
        cases: HTTP1,
        version: &["-v"],
        arguments: |work| {
            let Work { url, seconds, connections, wrk_script, .. } = work;
            let script = match work.pipeline {
                1 => String::new(),
                _ => format!("-s {} ", wrk_script.display()),
            };
            // It opens a connection anew when the server has closed one.
            format!("-t 1 -c {connections} -d {seconds} {script}{url}")
        },
        tally: tally::wrk,
    },
    Tool {
        program: "h2load",
        amount: Amount::Requests,
        pipelines: false,
        cases: LASTING,
        version: &["--version"],
        arguments: |work| {
            let Work { url, requests, connections, streams, .. } = work;
            let protocol =
                if work.case.is_http2() { format!("-m {streams}") } else { "--h1".to_owned() };
            format!("{protocol} -t 1 -c {connections} -n {requests} {url}")
        },
        tally: tally::h2load,
    },
    Tool {
        program: "ab",
        amount: Amount::Requests,
        pipelines: false,
        cases: HTTP1,
        version: &["-V"],
        arguments: |Work { case, url, requests, connections, .. }| {
            let keep = if case.lasts() { "-k " } else { "" };
            format!("{keep}-q -c {connections} -n {requests} {url}")
        },
        tally: tally::ab,
    },
    Tool {
        program: "oha",
        amount: Amount::Requests,
        pipelines: false,
        cases: Case::ALL,
        version: &["--version"],
        arguments: |work| {
            let Work { url, requests, connections, streams, .. } = work;
            let wire =
                flags(work, &format!("--http2 -p {streams}"), "--insecure", "--disable-keepalive");
            format!("--no-tui --output-format json -c {connections} -n {requests}{wire} {url}")
        },
        tally: tally::oha,
    },
    Tool {
        program: "hey",
        amount: Amount::Requests,
        pipelines: false,
        cases: HTTP1,
        version: &[],
        arguments: |Work { case, url, requests, connections, .. }| {
            let keep = if case.lasts() { "" } else { "-disable-keepalive " };
            format!("-cpus 1 {keep}-c {connections} -n {requests} {url}")
        },
        tally: tally::hey,
    },
];

/// Those of a tool's flags that a work needs, each after a blank: for HTTP/2, against verification,
/// and against connections that last.
fn flags(work: &Work, http2: &str, insecure: &str, anew: &str) -> String {
    let case = work.case;
    let all = [(case.is_http2(), http2), (case.is_tls(), insecure), (!case.lasts(), anew)];
    all.into_iter().filter(|(needed, _)| *needed).flat_map(|(_, flag)| [" ", flag]).collect()
}

/// The bare loop on one runtime.
const fn runtime(program: &'static str) -> Tool {
    Tool {
        program,
        amount: Amount::Requests,
        pipelines: false,
        cases: &[Case::H1],
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

    /// Returns its name in the table.
    #[must_use]
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Returns the command that calls it with these arguments, and its own behind them.
    #[must_use]
    pub(crate) fn command(&self, arguments: &str) -> Vec<String> {
        let program = self.program.to_string_lossy().into_owned();
        [program].into_iter().chain(words(arguments)).chain(words(&self.extra)).collect()
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
    case: Case,
    pipeline: u64,
    runtimes: bool,
) -> (Vec<Contender>, Vec<Absent>) {
    let mut present = Vec::new();
    let mut absent = Vec::new();
    let mut seat = |label: &str, program: Option<PathBuf>, tool: Tool, extra: &str, missing| {
        let reason = match &program {
            _ if !tool.cases.contains(&case) => case.lack(),
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
            case: Case::H1,
            url: "http://127.0.0.1:1/".to_owned(),
            requests: 640,
            seconds: 2,
            connections: 64,
            pipeline,
            streams: 1,
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
        let (present, absent) = assemble(&[], Case::H1, 16, false);
        assert!(present.iter().all(|contender| contender.tool.pipelines));
        let hey = Absent { label: "hey".to_owned(), reason: "does not pipeline" };
        assert!(absent.contains(&hey), "{absent:?}");
    }

    #[test]
    fn a_pummel_that_is_not_there_is_absent() {
        let row = "no/such/pummel".parse().unwrap();
        let (_, absent) = assemble(&[row], Case::H1, 1, false);
        assert_eq!(absent[0], Absent { label: "pummel".to_owned(), reason: "not built" });
    }

    /// The arguments of a tool for a case.
    fn arguments(program: &str, case: Case) -> String {
        let tools = [PUMMEL].into_iter().chain(PEERS);
        let tool = tools.into_iter().find(|tool| tool.program == program).unwrap();
        let streams = case.streams();
        (tool.arguments)(&Work { case, streams, url: "URL".to_owned(), ..work(1) })
    }

    #[test]
    fn what_is_spoken_is_said_in_the_flags_of_each_tool() {
        for (program, case, expected) in [
            ("pummel", Case::H2c, "URL -c 64 -n 640 --cores 1 --json --http2 --streams 100"),
            ("pummel", Case::H1Tls, "URL -c 64 -n 640 --pipeline 1 --cores 1 --json -k"),
            ("pummel", Case::Churn, "URL -c 64 -n 640 --cores 1 --json --disable-keepalive"),
            ("h2load", Case::H2Tls, "-m 100 -t 1 -c 64 -n 640 URL"),
            ("h2load", Case::H2cSingle, "-m 1 -t 1 -c 64 -n 640 URL"),
            ("h2load", Case::H1Tls, "--h1 -t 1 -c 64 -n 640 URL"),
            ("ab", Case::Churn, "-q -c 64 -n 640 URL"),
            ("hey", Case::Handshakes, "-cpus 1 -disable-keepalive -c 64 -n 640 URL"),
        ] {
            assert_eq!(arguments(program, case), expected, "{program}, {case:?}");
        }
    }

    #[test]
    fn a_tool_that_lacks_what_a_case_needs_is_absent_and_says_so() {
        let lack = |case: Case, label: &str| {
            let (present, absent) = assemble(&[], case, 1, false);
            assert!(present.iter().all(|contender| contender.label != label), "{label}, {case:?}");
            absent.into_iter().find(|absent| absent.label == label).unwrap().reason
        };
        assert_eq!(lack(Case::H2c, "wrk"), Case::H2c.lack());
        assert_eq!(lack(Case::Churn, "h2load"), "does not open connections anew");
        assert_eq!(lack(Case::H1Tls, "floor"), "does not know TLS");
    }
}
