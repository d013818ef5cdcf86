//! `pummel demo`: starts the built-in target in a process of its own, and loads it.

use core::num::NonZeroU32;

use anyhow::{Context, Result};
use pummel_tuning::{Host, Wanted, place};

use super::companion::Companion;
use super::run;
use crate::args::{DemoArgs, LoadArgs, MachineArgs, RunArgs, TargetArgs};
use crate::config::Config;
use crate::exit::{Code, Failure};

pub(super) fn demo(args: &DemoArgs) -> Result<Code, Failure> {
    // Understood before the target is started: bad usage starts nothing.
    let mut config = Config::understand(&words(args, "127.0.0.1:1")).map_err(Failure::usage)?;
    let host = run::inspect();
    let server_cpu = share_out(&host, &mut config).map_err(Failure::usage)?;
    let target = Companion::start(&[], Some(server_cpu)).map_err(Failure::impossible)?;
    let url = Config::understand(&words(args, &target.url)).map_err(Failure::impossible)?;
    let Config { target: to, request, way, .. } = url;
    let config = Config { target: to, request, way, ..config };
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
