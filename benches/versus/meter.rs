//! Runs one command on one core and reports what it cost.
//!
//! The meter is a process of its own, started anew for each run, because the kernel keeps a single
//! peak of memory for all children that a process ever had. It holds its command on a leash: the
//! command ends when its time is up, and when the meter's stdin closes, which happens by itself
//! when the program that asked for the run is gone. So no run outlives its owner.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use benches::{bare_loop::micros, clock};
use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
    thread::{CpuSet, sched_setaffinity},
};
use serde::{Deserialize, Serialize};

/// How long a command that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// What to run, where, and for how long at most.
#[derive(Args, Clone, Debug)]
pub(crate) struct MeterArgs {
    /// The core that the command is pinned to
    #[arg(long)]
    pub(crate) core: usize,
    /// Seconds after which the command is ended
    #[arg(long)]
    pub(crate) bound: u64,
    /// The directory that gets the files `stdout` and `stderr`
    #[arg(long)]
    pub(crate) directory: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

/// How a command came to its end.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// It exited with this code.
    Exited(i32),
    /// A signal that was not ours ended it.
    Signalled,
    /// It was ended because its time was up.
    OutOfTime,
    /// It was ended because nobody wanted it any more.
    Released,
}

/// What a command cost, all its processes together.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// How it came to its end.
    pub(crate) end: End,
    /// Wall time from its start to its end.
    pub(crate) seconds: f64,
    /// CPU time in user space, in µs.
    pub(crate) cpu_user_us: u64,
    /// CPU time in the kernel, in µs.
    pub(crate) cpu_sys_us: u64,
    /// Peak resident memory of its largest process, in KiB.
    ///
    /// The kernel counts from the fork on, so no command is below the meter's own 2 to 3 MiB.
    pub(crate) peak_rss_kib: u64,
}

/// Runs the command to its end, or to the end of its leash, and returns its cost.
///
/// Pins the calling thread, since that is what the command inherits; run it in a process which
/// has no other children.
///
/// # Errors
/// The core is not allowed, a file cannot be made, or the program cannot be started.
pub(crate) fn run(args: &MeterArgs, leash: impl AsFd) -> Result<Cost> {
    let mut cores = CpuSet::new();
    cores.set(args.core);
    sched_setaffinity(None, &cores).with_context(|| format!("pin to core {}", args.core))?;

    let (program, arguments) = args.command.split_first().context("nothing to run")?;
    let started = clock::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(File::create(args.directory.join("stdout"))?)
        .stderr(File::create(args.directory.join("stderr"))?)
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let cut = hold(&child, leash, started + Duration::from_secs(args.bound))?;
    if cut.is_some() {
        end(&mut child)?;
    }
    let status = child.wait()?;
    let seconds = clock::now().duration_since(started).as_secs_f64();

    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(Cost {
        end: cut.unwrap_or_else(|| status.code().map_or(End::Signalled, End::Exited)),
        seconds,
        cpu_user_us: micros(usage.user_time()),
        cpu_sys_us: micros(usage.system_time()),
        peak_rss_kib: u64::try_from(usage.max_rss()).unwrap_or(0),
    })
}

/// Waits until the child ends by itself (`None`), or must be ended (why).
fn hold(child: &Child, leash: impl AsFd, deadline: Instant) -> Result<Option<End>> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut watched = [PollFd::new(&process, PollFlags::IN), PollFd::new(&leash, PollFlags::IN)];
    wait(&mut watched, deadline)?;
    let [process, leash] = &watched;
    if !process.revents().is_empty() {
        return Ok(None);
    }
    Ok(Some(if leash.revents().is_empty() { End::OutOfTime } else { End::Released }))
}

/// Asks the child to end, and kills it when it does not.
fn end(child: &mut Child) -> Result<()> {
    kill_process(Pid::from_child(child), Signal::TERM)?;
    if !ends_by(child, clock::now() + GRACE)? {
        child.kill()?;
    }
    Ok(())
}

/// Waits until a child ends (`true`) or a moment has come.
///
/// # Errors
/// The child cannot be watched.
pub(crate) fn ends_by(child: &Child, deadline: Instant) -> io::Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    wait(&mut [PollFd::new(&process, PollFlags::IN)], deadline)
}

/// Waits until one of the files has something to say (`true`) or the deadline has passed.
fn wait(watched: &mut [PollFd<'_>], deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(clock::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(watched, Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::machine::allowed_cores;

    fn args(bound: u64, directory: &tempfile::TempDir, command: &[&str]) -> MeterArgs {
        MeterArgs {
            core: allowed_cores().unwrap()[0],
            bound,
            directory: directory.path().to_owned(),
            command: command.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn output_and_exit_code_of_a_command_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (leash, _owner) = io::pipe().unwrap();
        let script = ["sh", "-c", "echo out; echo err >&2; exit 3"];
        let cost = run(&args(60, &directory, &script), leash).unwrap();
        assert_eq!(cost.end, End::Exited(3));
        assert!(cost.peak_rss_kib > 0);
        assert_eq!(fs::read_to_string(directory.path().join("stdout")).unwrap(), "out\n");
        assert_eq!(fs::read_to_string(directory.path().join("stderr")).unwrap(), "err\n");
    }

    #[test]
    fn a_command_ends_when_its_time_is_up() {
        let directory = tempfile::tempdir().unwrap();
        let (leash, _owner) = io::pipe().unwrap();
        let cost = run(&args(0, &directory, &["sleep", "60"]), leash).unwrap();
        assert_eq!(cost.end, End::OutOfTime);
        assert!(cost.seconds < 30.0);
    }

    #[test]
    fn a_command_ends_when_its_owner_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let (leash, owner) = io::pipe().unwrap();
        drop(owner);
        let cost = run(&args(60, &directory, &["sleep", "60"]), leash).unwrap();
        assert_eq!(cost.end, End::Released);
        assert!(cost.seconds < 30.0);
    }
}
