//! `pummel doctor`: what this machine is to a load generator, in a few lines.

use std::io::{self, Write};

use anyhow::{Context, Result, anyhow};
use pummel_engine::coordinator::Control;
use pummel_engine::reactor::{self, Kind, Wish};
use pummel_tuning::{Host, OpenFiles, Quota, is_trusted_clock};

use super::run;
use crate::args::{DoctorArgs, LoadArgs, RunArgs, TargetArgs};
use crate::calibrate::Calibration;
use crate::config::{self, Config};
use crate::exit::{Code, Failure};
use crate::output;

pub(super) fn doctor(args: &DoctorArgs) -> Result<Code, Failure> {
    let host = run::inspect();
    let calibration = args.calibrate.then(|| calibrate(&host)).transpose()?;
    let printed = output::stdout(|to| {
        facts(&host, to)?;
        let Some(calibration) = &calibration else { return Ok(()) };
        writeln!(to)?;
        output::best(calibration, to)
    });
    printed.context("cannot write what was found").map_err(Failure::impossible)?;
    Ok(Code::Done)
}

/// Requests per second at which the floor is measured: few enough for any machine.
const RATE: &str = "1000";

/// What a run with the usual shards and connections gets at best.
fn calibrate(host: &Host) -> Result<Calibration, Failure> {
    let choice = reactor::choose(Wish::Auto);
    let choice = choice.map_err(|error| Failure::impossible(anyhow!("{error}")))?;
    let load = LoadArgs { rate: Some(RATE.to_owned()), pipeline: 1, ..LoadArgs::default() };
    // The built-in target takes the place of this one.
    let target = TargetArgs { target: Some("127.0.0.1:1".to_owned()), ..TargetArgs::default() };
    let words = RunArgs { target, load, ..RunArgs::default() };
    let config = Config::understand(&words).map_err(Failure::impossible)?;
    let (plan, _) = config::plan(&config, host, choice.kind)?;
    let control = Control::default();
    run::obey_signals(&control).map_err(Failure::impossible)?;
    Calibration::measure(&plan, host, &control)
}

fn facts(host: &Host, to: &mut dyn Write) -> io::Result<()> {
    let unknown = || "unknown".to_owned();
    let mut line = |label: &str, text: String| writeln!(to, "{label:<13}{text}");
    line("Kernel", host.kernel.release.clone().unwrap_or_else(unknown))?;
    line("CPUs", cpus(host))?;
    line("Quota", host.cpus.quota.map_or("none".to_owned(), quota))?;
    line("Governor", host.cpus.governor.clone().unwrap_or_else(unknown))?;
    line("Clock", host.kernel.clocksource.as_deref().map_or_else(unknown, clock))?;
    line("Open files", files(&host.files))?;
    let ports = host.ports.map(|range| {
        format!("{} to {}, {} connections to one address", range.first, range.last, range.count())
    });
    line("Ports", ports.unwrap_or_else(unknown))?;
    line("io_uring", io_uring())
}

fn cpus(host: &Host) -> String {
    let model = host.cpus.model.as_deref().map_or(String::new(), |model| format!(", {model}"));
    let online = host.cpus.online.map_or(String::new(), |count| format!("{count} online, "));
    format!("{online}{} allowed{model}", host.cpus.allowed)
}

fn quota(quota: Quota) -> String {
    format!("{:.2} CPUs of time", quota.cpus())
}

fn clock(name: &str) -> String {
    if is_trusted_clock(name) {
        return name.to_owned();
    }
    format!("{name}: slow or coarse; boot with clocksource=tsc if the machine has a steady one")
}

fn files(files: &OpenFiles) -> String {
    let limit = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |n| n.to_string());
    let open = files.open.map_or(String::new(), |count| format!(", {count} open"));
    format!("{} (hard limit {}){open}", limit(files.soft), limit(files.hard))
}

/// Whether it works, by trying, and why not.
fn io_uring() -> String {
    match reactor::choose(Wish::Uring) {
        Ok(_) => format!("works: {}", Kind::Uring.describe().features.join(", ")),
        Err(error) => error.to_string(),
    }
}
