//! `pummel demo`: starts the built-in target in a process of its own, and loads it.

use core::num::NonZeroU32;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result};
use pummel_tuning::{Host, Wanted, place};
use tempfile::NamedTempFile;

use super::companion::Companion;
use super::run;
use crate::args::{DemoArgs, LoadArgs, MachineArgs, RunArgs, TargetArgs, TlsArgs, WireArgs};
use crate::config::Config;
use crate::exit::{Code, Failure};

/// Requests that the demo has outstanding on each connection of HTTP/2.
const STREAMS: u32 = 10;

pub(super) fn demo(args: &DemoArgs) -> Result<Code, Failure> {
    // Understood before the target is started: bad usage starts nothing.
    let mut config =
        Config::understand(&words(args, "http://127.0.0.1:1", None)).map_err(Failure::usage)?;
    let host = run::inspect();
    let server_cpu = share_out(&host, &mut config).map_err(Failure::usage)?;
    // Its certificate, for as long as the demo lasts.
    let file = args.tls.then(NamedTempFile::new).transpose().map_err(Failure::impossible)?;
    let certificate = file.as_ref().map(NamedTempFile::path);
    let target =
        Companion::start(&flags(certificate), Some(server_cpu)).map_err(Failure::impossible)?;
    let url = Config::understand(&words(args, &target.url, certificate));
    let url = url.map_err(Failure::impossible)?;
    url.check_thresholds().map_err(Failure::usage)?;
    let config = Config { placement: config.placement, ..url };
    let outcome = run::execute(&config, &host, None);
    target.end().map_err(Failure::impossible)?;
    outcome
}

/// The target's own words.
fn flags(certificate: Option<&Path>) -> Vec<&OsStr> {
    let Some(path) = certificate else { return Vec::new() };
    vec![OsStr::new("--tls"), OsStr::new("--write-cert"), path.as_os_str()]
}

/// The demo as a run of its own, in the words of the command line.
fn words(args: &DemoArgs, target: &str, certificate: Option<&Path>) -> RunArgs {
    RunArgs {
        target: TargetArgs { target: Some(target.to_owned()), ..TargetArgs::default() },
        load: LoadArgs {
            connections: Some(args.connections),
            duration: Some(args.duration.clone()),
            pipeline: 1,
            ..LoadArgs::default()
        },
        wire: WireArgs {
            http2: args.http2,
            streams: args.http2.then_some(STREAMS),
            ..WireArgs::default()
        },
        tls: TlsArgs { cacert: certificate.map(Path::to_path_buf), ..TlsArgs::default() },
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
