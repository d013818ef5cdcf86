//! A command under the meter, seen from its owner: started, waited for, released.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use crate::meter::{self, Cost, MeterArgs};
use anyhow::{Context, Result, ensure};
use benches::clock;

/// A running command, on a leash that is cut when this value is dropped.
#[derive(Debug)]
pub(crate) struct Metered {
    meter: Child,
    /// The meter's stdin: as long as it is open, the command is wanted.
    leash: Option<ChildStdin>,
    directory: PathBuf,
}

impl Metered {
    /// Starts a command under a meter of its own.
    ///
    /// # Errors
    /// This program cannot be started again.
    pub(crate) fn start(args: &MeterArgs) -> Result<Self> {
        let mut meter = Command::new(env::current_exe()?)
            .args(["meter", "--core", &args.core.to_string()])
            .args(["--bound", &args.bound.to_string(), "--directory"])
            .arg(&args.directory)
            .arg("--")
            .args(&args.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the meter")?;
        let leash = meter.stdin.take();
        Ok(Self { meter, leash, directory: args.directory.clone() })
    }

    /// Waits for the command to end by itself, or at its bound, and returns what it cost.
    ///
    /// # Errors
    /// The meter could not run the command.
    pub(crate) fn finish(mut self) -> Result<Cost> {
        let mut output = Vec::new();
        let mut complaint = String::new();
        // The meter writes one short line, so reading one pipe after the other blocks nobody.
        if let Some(mut stdout) = self.meter.stdout.take() {
            std::io::Read::read_to_end(&mut stdout, &mut output)?;
        }
        if let Some(mut stderr) = self.meter.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut complaint)?;
        }
        let status = self.meter.wait()?;
        let complaint = complaint.lines().next().unwrap_or_default();
        ensure!(status.success(), "the meter failed: {complaint}");
        serde_json::from_slice(&output).context("read the meter's report")
    }

    /// Returns whether the command ends within a time; waits no longer than it must.
    ///
    /// # Errors
    /// The meter cannot be watched.
    pub(crate) fn ends_within(&mut self, time: Duration) -> Result<bool> {
        Ok(meter::ends_by(&self.meter, clock::now() + time)?)
    }

    /// Returns what the command has printed so far, `stdout` or `stderr`; empty before it starts.
    #[must_use]
    pub(crate) fn printed(&self, stream: &str) -> String {
        printed(&self.directory, stream)
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        drop(self.leash.take());
        // Ends soon: the meter gives its command a bounded grace. Waiting leaves no zombie, and
        // a second wait after `finish` returns at once.
        drop(self.meter.wait());
    }
}

/// Returns what a command printed into the directory of its run.
#[must_use]
pub(crate) fn printed(directory: &Path, stream: &str) -> String {
    let bytes = fs::read(directory.join(stream)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
