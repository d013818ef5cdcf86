//! The built-in target as a companion of a run: in a process of its own, for as long as it is
//! needed.
//!
//! A process of its own, because a server within this one would share its memory, its limits and
//! its CPUs, and the numbers would be of both. It ends when its standard input is closed, hence in
//! any case when this process ends.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest wait for the target to listen.
const PATIENCE_START: Duration = Duration::from_secs(10);

/// Longest wait for it to end: it may have a record of 10 million arrivals to write.
const PATIENCE_END: Duration = Duration::from_secs(60);

/// What the target says before its address.
const GREETING: &str = "listening on ";

/// Longest text that is taken from it at its end; an hour on a thousand shards is less.
const SAID_MAX: u64 = 64 * 1024 * 1024;

/// A target that runs.
#[derive(Debug)]
pub(crate) struct Companion {
    /// Where it listens.
    pub(crate) url: String,
    child: Child,
    stdin: ChildStdin,
    /// Its first line, then all the rest at once.
    said: Receiver<String>,
}

impl Companion {
    /// Starts the target with these flags of `pummel target` on a free port, pinned to `cpu` if one
    /// is named, and waits until it listens. What it has to complain about goes to our standard
    /// error.
    pub(crate) fn start<F: AsRef<OsStr>>(flags: &[F], cpu: Option<usize>) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the program itself")?;
        let mut command = Command::new(program);
        command.args(["target", "--listen", "127.0.0.1:0", "--until-stdin-closes"]).args(flags);
        if let Some(cpu) = cpu {
            command.args(["--cores", &cpu.to_string()]);
        }
        Self::spawn(command)
    }

    /// Starts `command`, which is to behave like the target.
    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C at the terminal is for the run, which then ends the target.
            .process_group(0)
            .spawn()
            .context("cannot start the target")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("cannot talk to the target");
        };
        let said = listen(stdout);
        let line = said.recv_timeout(PATIENCE_START).unwrap_or_default();
        let url = line.trim().strip_prefix(GREETING).unwrap_or_default().to_owned();
        let companion = Self { url, child, stdin, said };
        if companion.url.is_empty() {
            companion.stop()?;
            bail!("the target did not start to listen; try `pummel target` by itself");
        }
        Ok(companion)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, and returns the document about what it did, as it printed it.
    pub(crate) fn end(self) -> Result<Value> {
        let said = self.stop()?;
        serde_json::from_str(&said)
            .context("the target does not say what it did; try `pummel target` by itself")
    }

    /// Ends it, by force if it takes its time, and returns its last words.
    fn stop(mut self) -> Result<String> {
        drop(self.stdin);
        let said = self.said.recv_timeout(PATIENCE_END);
        if said == Err(mpsc::RecvTimeoutError::Timeout) {
            self.child.kill().context("cannot end the target")?;
        }
        self.child.wait().context("cannot wait for the target")?;
        Ok(said.unwrap_or_default())
    }
}

/// Hands over the first line of `stdout` and then the rest, on a thread, so that both can be waited
/// for with a bound.
fn listen(stdout: ChildStdout) -> Receiver<String> {
    let (tell, said) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout).take(SAID_MAX);
        let (mut line, mut rest) = (String::new(), String::new());
        // What cannot be read is missed by whoever reads it; and nobody does who has given up.
        let _ = stdout.read_line(&mut line);
        let _ = tell.send(line);
        let _ = stdout.read_to_string(&mut rest);
        let _ = tell.send(rest);
        // Whoever writes more than that must not wait for ever.
        let _ = io::copy(stdout.get_mut(), &mut io::sink());
    });
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A companion that is this script of the shell.
    fn script(text: &str) -> Result<Companion> {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        Companion::spawn(command)
    }

    #[test]
    fn it_says_where_it_listens_and_at_its_end_what_it_did() {
        // It ends when its standard input does.
        let companion = script("echo listening on http://a:1; cat; echo '{\"requests\": 7}'");
        let companion = companion.unwrap();
        assert_eq!(companion.url, "http://a:1");
        assert_eq!(companion.end().unwrap()["requests"], 7);
    }

    #[test]
    fn one_that_does_not_listen_is_none() {
        for text in ["exit 1", "echo hello; cat", "exec >&-; cat"] {
            let error = script(text).unwrap_err().to_string();
            assert!(error.contains("did not start to listen"), "{text}: {error}");
        }
    }

    #[test]
    fn one_that_dies_without_a_word_has_not_said_what_it_did() {
        for text in ["echo listening on x; exit 1", "echo listening on x; echo '{\"requests\":'"] {
            let error = script(text).unwrap().end().unwrap_err().to_string();
            assert!(error.contains("does not say what it did"), "{text}: {error}");
        }
    }
}
