//! Runs a program with a bound on its time.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::io::ioctl_fionbio;
use serde_json::Value;

/// Longest time that a program under test may take; far more than any needs, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// What makes a run INVALID on a machine that others need, and says nothing about the program.
const DISTURBED: [&str; 3] = ["overloaded", "run_queue", "undelivered"];

impl Outcome {
    /// Whether a run was done: with code 0, or with 3 where nothing made it INVALID but a machine
    /// on which the program was kept from sending in time.
    #[must_use]
    pub fn went_well(&self) -> bool {
        let disturbed = |code: &String| DISTURBED.contains(&&**code);
        match self.code {
            Some(0) => true,
            Some(3) => self.made_invalid_by().iter().all(disturbed),
            _ => false,
        }
    }

    /// The codes of what made a run INVALID, as its report has them, in JSON or as text.
    fn made_invalid_by(&self) -> Vec<String> {
        let Ok(report) = serde_json::from_str::<Value>(&self.stdout) else {
            let reasons =
                self.stdout.lines().filter_map(|line| line.trim().strip_prefix("invalid: "));
            let codes = reasons.filter_map(|reason| reason.split(':').next());
            return codes.map(str::to_owned).collect();
        };
        let text = |of: &Value, key| Some(of.get(key)?.as_str()?.to_owned());
        let reasons = report.pointer("/verdict/reasons").and_then(Value::as_array);
        let reasons = reasons.into_iter().flatten();
        let invalid = reasons.filter(|of| text(of, "status").as_deref() == Some("invalid"));
        invalid.map(|of| text(of, "code").unwrap_or_default()).collect()
    }
}

/// A program that was started. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// Runs `command` to its end, without standard input.
///
/// # Errors
/// If it cannot be started, or takes more than a minute; it is killed then.
pub fn run(command: &mut Command) -> io::Result<Outcome> {
    start(command)?.outcome()
}

/// Starts `command`, without standard input.
///
/// # Errors
/// If it cannot be started.
pub fn start(command: &mut Command) -> io::Result<Running> {
    start_into(command, Stdio::piped())
}

/// Runs `command` to its end, without standard input and with a standard error that is full: nobody
/// reads from it, so that writing to it blocks for ever. What it holds is not in the outcome.
///
/// # Errors
/// If it cannot be started, or takes more than a minute; it is killed then.
pub fn run_into_full_stderr(command: &mut Command) -> io::Result<Outcome> {
    // Held until the program has ended: without a reader, writing would fail at once.
    let (_reader, writer) = full_pipe()?;
    start_into(command, writer.into())?.outcome()
}

/// A pipe without room for another byte.
fn full_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, mut writer) = io::pipe()?;
    ioctl_fionbio(&writer, true)?;
    let filling = [b'.'; 4096];
    let full = loop {
        if let Err(error) = writer.write(&filling) {
            break error;
        }
    };
    if full.kind() != io::ErrorKind::WouldBlock {
        return Err(full);
    }
    ioctl_fionbio(&writer, false)?;
    Ok((reader, writer))
}

fn start_into(command: &mut Command, stderr: Stdio) -> io::Result<Running> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    Ok(Running { child, stdout, stderr })
}

impl Running {
    /// The process id, for signals.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// If that takes more than a minute; the program is killed then.
    pub fn outcome(mut self) -> io::Result<Outcome> {
        // A program's end closes both; one that closes them earlier is not ours.
        let stdout = self.stdout.recv_timeout(PATIENCE).map_err(io::Error::other)?;
        let stderr = self.stderr.recv_timeout(PATIENCE).map_err(io::Error::other)?;
        let code = self.child.wait()?.code();
        Ok(Outcome { code, stdout, stderr })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail once the program has ended, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads `from` to its end, on a thread.
fn collect(from: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (tell, text) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What was read before an error is what there is to judge.
            let _ = from.read_to_end(&mut bytes);
        }
        let _ = tell.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    text
}
