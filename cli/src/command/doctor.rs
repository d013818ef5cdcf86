//! `pummel doctor`: what this machine is to a load generator, what would hold a run back and what
//! helps; on request it changes settings of the kernel, and sets them back.

use std::path::Path;

use anyhow::{Context, anyhow};
use pummel_engine::coordinator::Control;
use pummel_engine::reactor::{self, Kind, Wish};
use pummel_tuning::advice::{Change, Chosen, Demand, Ring, choose, codes, unknown};
use pummel_tuning::apply::{self, Changed};
use pummel_tuning::{Finding, Host, Severity, advise};

use super::run;
use crate::args::{self, DoctorArgs, LoadArgs, Quoted, RunArgs, TargetArgs};
use crate::calibrate::Calibration;
use crate::config::{self, Config, Settings, Surroundings};
use crate::exit::{Code, Failure};
use crate::output::doctor::Checkup;
use crate::output::{self, stderr};
use crate::reach::{self, Reach};
use crate::seccomp;

/// What to know of a profile with conditions.
const CONDITIONAL: &str = "some rules of it hold for some machines or capabilities only, which \
     Docker, Podman and CRI-O look at and containerd under Kubernetes does not: give there what \
     crictl inspect prints of a container with the default profile";

/// The machine that settings are changed on.
const HERE: &str = "/";

pub(super) fn doctor(args: &DoctorArgs) -> Result<Code, Failure> {
    if !args.apply && (args.yes || args.only.is_some()) {
        let flag = if args.yes { "--yes" } else { "--only" };
        return Err(Failure::usage(anyhow!("{flag} is about what is changed; give --apply, too")));
    }
    if args.revert {
        return revert(&args.undo);
    }
    if let Some(path) = &args.seccomp {
        return admit(path);
    }
    let host = run::inspect();
    let ring = tried();
    let (demand, way) = match &args.run {
        Some(line) => demand(&asked(line)?, &host, ring.clone()),
        None => (Demand { ring: ring.clone(), ..Demand::default() }, None),
    };
    let (findings, unknown) = (advise(&host, &demand), unknown(&host, &demand));
    if args.apply {
        return apply(args, &findings);
    }
    let calibration = args.calibrate.then(|| calibrate(&host)).transpose()?;
    let features = if ring == Ring::Works { Kind::Uring.describe().features } else { Vec::new() };
    let checkup = Checkup {
        host: &host,
        ring: &ring,
        features: &features,
        run: args.run.as_deref(),
        way: way.as_ref(),
        findings: &findings,
        unknown: &unknown,
        calibration: calibration.as_ref(),
    };
    let write = if args.json { output::doctor::json } else { output::doctor::text };
    let printed = output::stdout(|to| write(&checkup, to));
    printed.context("cannot write what was found").map_err(Failure::impossible)?;
    let lost = matches!(way, Some(Err(_)));
    let grave = lost || findings.iter().any(|finding| finding.severity >= Severity::Limits);
    Ok(if grave { Code::Impossible } else { Code::Done })
}

/// Prints the profile of a container with the calls of rings allowed.
fn admit(path: &Path) -> Result<Code, Failure> {
    let named = || format!("--seccomp {}", Quoted(&path.display().to_string()));
    let bytes = config::read(path).with_context(named).map_err(Failure::usage)?;
    let profile = seccomp::admit(&String::from_utf8_lossy(&bytes));
    let profile = profile.with_context(named).map_err(Failure::usage)?;
    let printed = output::stdout(|to| {
        serde_json::to_writer_pretty(&mut *to, &profile.document)?;
        writeln!(to)
    });
    printed.context("cannot write the profile").map_err(Failure::impossible)?;
    if profile.conditional {
        stderr::line(CONDITIONAL);
    }
    Ok(Code::Done)
}

/// Whether rings work, by trying.
fn tried() -> Ring {
    match reactor::choose(Wish::Uring) {
        Ok(_) => Ring::Works,
        Err(error) => Ring::Refused(error.to_string()),
    }
}

/// What the run of `--for` means, with the settings that it would have here.
fn asked(line: &str) -> Result<Config, Failure> {
    let typed = args::quoted(line);
    let typed = typed.map_err(|said| Failure::usage(anyhow!("--for {}: {said}", Quoted(line))))?;
    let settings = Settings::gather(&typed, &Surroundings::of_process())?;
    settings.understand()
}

/// What the run asks of this machine, and the way that it takes from here, or why there is none.
fn demand(config: &Config, host: &Host, ring: Ring) -> (Demand, Option<Result<Reach, String>>) {
    let demand = config::demand(config, host, ring);
    match reach::find(config) {
        Ok(None) => (demand, None),
        Ok(Some(to)) => {
            let way = reach::to(to, &config.wire.sources, host);
            (reach::aimed(demand, &way), Some(Ok(way)))
        }
        Err(error) => (demand, Some(Err(format!("{error:#}")))),
    }
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

/// Makes the changes that help against `findings`, or says which they would be.
fn apply(args: &DoctorArgs, findings: &[Finding]) -> Result<Code, Failure> {
    let only = args.only.as_deref().map(named).transpose()?;
    let Chosen { changes, left } = choose(findings, only.as_deref());
    if !left.is_empty() {
        let named = left.join(",");
        stderr::line(&format!("these are left as they are; --only {named} changes them"));
    }
    if changes.is_empty() {
        if left.is_empty() {
            stderr::line("there is nothing to change in the kernel's settings");
        }
        return Ok(Code::Done);
    }
    if !args.yes {
        let printed = output::stdout(|to| {
            changes.iter().try_for_each(|Change { path, value }| writeln!(to, "{path} = {value}"))
        });
        printed.context("cannot write the changes").map_err(Failure::impossible)?;
        stderr::line("nothing was changed; --yes does it, as root");
        return Ok(Code::Done);
    }
    let done = apply::apply(Path::new(HERE), &changes, &args.undo).map_err(Failure::impossible)?;
    tell(&done)?;
    if done.is_empty() {
        stderr::line("everything is so already");
    } else {
        let undo = args.undo.display();
        stderr::line(&format!("{undo} has what was there; pummel doctor --revert sets it back"));
    }
    Ok(Code::Done)
}

/// The findings of a list.
fn named(list: &str) -> Result<Vec<&'static str>, Failure> {
    let code = |name: &str| {
        codes().find(|code| *code == name.trim()).ok_or_else(|| {
            let all: Vec<&str> = codes().collect();
            let all = all.join(", ");
            Failure::usage(anyhow!("--only {} is no finding; give some of {all}", Quoted(name)))
        })
    };
    list.split(',').map(code).collect()
}

/// Sets back what was changed.
fn revert(undo: &Path) -> Result<Code, Failure> {
    let done = apply::revert(Path::new(HERE), undo).map_err(Failure::impossible)?;
    tell(&done)?;
    Ok(Code::Done)
}

/// Prints what is different now.
fn tell(changed: &[Changed]) -> Result<(), Failure> {
    let printed = output::stdout(|to| {
        changed.iter().try_for_each(|Changed { path, before, after }| {
            writeln!(to, "{path} = {after} (was {before})")
        })
    });
    printed.context("cannot write what was changed").map_err(Failure::impossible)
}
