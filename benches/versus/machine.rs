//! What must stand beside a number for it to mean anything: machine, commit, date, versions.

use std::{
    env, fs, io,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use benches::clock;
use rustix::{
    system::uname,
    thread::{CpuSet, sched_getaffinity},
};
use serde::Serialize;

use crate::meter;

/// How long a program may take to say its version.
const ANSWER: Duration = Duration::from_secs(2);

/// Where and when a comparison ran.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name for itself.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: Vec<usize>,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The commit of the working directory, with `+` when files differ from it.
    pub(crate) commit: String,
    /// Date and time in UTC, RFC 3339.
    pub(crate) date: String,
    /// The command line.
    pub(crate) command: String,
}

impl Machine {
    /// Reads the facts. What cannot be read is called unknown rather than left out.
    ///
    /// # Errors
    /// The affinity mask cannot be read.
    pub(crate) fn read() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == "model name")
            .map_or_else(|| "unknown CPU".to_owned(), |(_, name)| name.trim().to_owned());
        Ok(Self {
            cpu,
            cores: allowed_cores()?,
            kernel: uname().release().to_string_lossy().into_owned(),
            commit: commit(),
            date: first_line("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            command: command_line(),
        })
    }
}

/// Returns the cores that this process may run on, in ascending order, at least one.
///
/// # Errors
/// The affinity mask cannot be read.
pub(crate) fn allowed_cores() -> Result<Vec<usize>> {
    let mask = sched_getaffinity(None).context("read the affinity mask")?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| mask.is_set(core)).collect())
}

/// Returns the path of an executable file that `PATH` leads to.
#[must_use]
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Returns the path of a program that was built together with this one, if it was.
#[must_use]
pub(crate) fn sibling(program: &str) -> Option<PathBuf> {
    let file = env::current_exe().ok()?.with_file_name(program);
    file.is_file().then_some(file)
}

/// Returns the first line that a command prints, on stdout or else on stderr.
///
/// Its exit code is no matter: several tools print their version and then complain. A command that
/// takes longer than such a question may is killed.
#[must_use]
pub(crate) fn first_line(program: &str, arguments: &[&str]) -> String {
    ask(program, arguments).unwrap_or_else(|_| "unknown".to_owned())
}

fn ask(program: &str, arguments: &[&str]) -> io::Result<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if !meter::ends_by(&child, clock::now() + ANSWER)? {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().next().unwrap_or("unknown").trim().to_owned())
}

/// The commit, marked when the working directory differs from it.
fn commit() -> String {
    let hash = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let changes = Command::new("git").args(["status", "--porcelain", "-uno"]).output();
    match (hash, changes) {
        (Ok(hash), Ok(changes)) if hash.status.success() => {
            let mark = if changes.stdout.is_empty() { "" } else { "+" };
            format!("{}{mark}", String::from_utf8_lossy(&hash.stdout).trim())
        }
        _ => "unknown".to_owned(),
    }
}

/// The command line, with the program by its name alone and arguments quoted for a shell.
fn command_line() -> String {
    let arguments = env::args().skip(1).map(|argument| {
        if argument.contains(|c: char| c.is_whitespace() || c == '\'') {
            format!("'{}'", argument.replace('\'', r"'\''"))
        } else {
            argument
        }
    });
    ["versus".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_answer_is_unknown() {
        assert_eq!(first_line("sleep", &["600"]), "unknown");
    }

    #[test]
    fn a_program_of_the_path_is_found_and_another_is_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }

    #[test]
    fn a_process_may_run_somewhere() {
        assert!(!allowed_cores().unwrap().is_empty());
    }

    #[test]
    fn a_first_line_is_taken_from_stderr_too() {
        assert_eq!(first_line("sh", &["-c", "echo one >&2; exit 1"]), "one");
    }
}
