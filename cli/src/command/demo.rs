//! `pummel demo`: starts the built-in target in a process of its own, and loads it.
//!
//! A process of its own, because a server within this one would share its memory, its limits and
//! its CPUs, and the numbers would be of both.

use core::num::NonZeroU32;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pummel_tuning::{Host, Wanted, place};

use super::run;
use crate::args::{DemoArgs, LoadArgs, MachineArgs, RunArgs, TargetArgs};
use crate::config::Config;
use crate::exit::{Code, Failure};

/// Longest wait for the target to listen, and for it to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the target says before its address.
const GREETING: &str = "listening on ";

pub(super) fn demo(args: &DemoArgs) -> Result<Code, Failure> {
    // Understood before the target is started: bad usage starts nothing.
    let mut config = Config::understand(&words(args, "127.0.0.1:1")).map_err(Failure::usage)?;
    let host = run::inspect();
    let server_cpu = share_out(&host, &mut config).map_err(Failure::usage)?;
    let target = Target::start(server_cpu).map_err(Failure::impossible)?;
    let url = Config::understand(&words(args, &target.url)).map_err(Failure::impossible)?;
    let config = Config { target: url.target, request: url.request, ..config };
    let outcome = run::execute(&config, &host);
    target.end().map_err(Failure::impossible)?;
    outcome
}

/// The demo as a run of its own, in the words of the command line.
fn words(args: &DemoArgs, target: &str) -> RunArgs {
    RunArgs {
        target: TargetArgs { target: Some(target.to_owned()), url: None },
        load: LoadArgs {
            connections: Some(args.connections),
            duration: Some(args.duration.clone()),
            pipeline: 1,
            ..LoadArgs::default()
        },
        machine: MachineArgs {
            reactor: Some(args.reactor.clone()),
            seed: 1,
            ..MachineArgs::default()
        },
        output: args.output.clone(),
        ..RunArgs::default()
    }
}

/// One CPU for a shard, and another one for the target; on a machine with one CPU they share it.
fn share_out(host: &Host, config: &mut Config) -> Result<usize> {
    config.placement = Wanted { shards: Some(NonZeroU32::MIN), cores: None };
    let placement = place(host, &config.placement)?;
    placement.free.or(placement.shards.first().copied()).context("no CPU to run on")
}

/// The built-in target in a process of its own. It ends when its standard input is closed, hence in
/// any case when this process ends.
struct Target {
    url: String,
    child: Child,
    stdin: ChildStdin,
    /// Its first line; disconnected when it has closed its standard output.
    said: Receiver<String>,
}

impl Target {
    /// Starts it on `cpu` and a free port, and waits until it listens.
    fn start(cpu: usize) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the program itself")?;
        let mut child = Command::new(program)
            .args(["target", "--listen", "127.0.0.1:0", "--until-stdin-closes"])
            .args(["--cores", &cpu.to_string()])
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
        let line = said.recv_timeout(PATIENCE).unwrap_or_default();
        let url = line.trim().strip_prefix(GREETING).unwrap_or_default().to_owned();
        let target = Self { url, child, stdin, said };
        if target.url.is_empty() {
            target.end()?;
            bail!("the target did not start to listen; try `pummel target` by itself");
        }
        Ok(target)
    }

    /// Ends it, by force if it takes its time.
    fn end(mut self) -> Result<()> {
        drop(self.stdin);
        if self.said.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.child.kill().context("cannot end the target")?;
        }
        self.child.wait().context("cannot wait for the target")?;
        Ok(())
    }
}

/// Hands over the first line of `stdout` and drops the rest, on a thread, so that both can be
/// waited for with a bound.
fn listen(stdout: ChildStdout) -> Receiver<String> {
    let (tell, said) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok() {
            // Nobody listens any more when the demo has given up in the meantime.
            let _ = tell.send(line);
        }
        // What the target says at its end is for whoever starts it by hand.
        let _ = io::copy(&mut stdout, &mut io::sink());
    });
    said
}
