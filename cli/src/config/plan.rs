//! From what was meant to what this machine will do: CPUs, limits, addresses.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, anyhow};
use pummel_engine::plan::{Addresses, Cores, Pacing, Plan, Target};
use pummel_engine::reactor::Kind;
use pummel_tuning::{CpuList, Host, place};

use super::{Config, TargetUrl, capacity};
use crate::args::Quoted;
use crate::exit::Failure;

/// Makes the plan. What this machine cannot do is said before anything is asked of the network; the
/// host name is resolved last, once for the whole run. With the plan comes a note for the user, if
/// it leaves out a CPU that was asked for.
///
/// # Errors
/// A usage failure for what does not fit this machine, and an impossible run for a name that does
/// not resolve. Nothing was sent to the target.
pub(crate) fn plan(
    config: &Config,
    host: &Host,
    reactor: Kind,
) -> Result<(Plan, Option<String>), Failure> {
    let placement = place(host, &config.placement).map_err(Failure::usage)?;
    let (cpus, note) = used(placement.shards, config);
    let cores = Cores::new(cpus).context("no CPU to run on").map_err(Failure::impossible)?;
    capacity::check(config.connections.get(), host).map_err(Failure::usage)?;
    let addresses = resolve(&config.target).map_err(Failure::impossible)?;
    let plan = Plan {
        target: Target {
            url: config.target.url.clone(),
            addresses,
            request: config.request.clone(),
            expected: config.expected.clone(),
        },
        load: config.load.clone(),
        connections: config.connections,
        stop: config.stop,
        timeouts: config.timeouts,
        pacing: Pacing::default(),
        cores,
        reactor,
        seed: config.seed,
    };
    Ok((plan, note))
}

/// As many of `cpus` as there are connections, because a shard without one would have nothing to
/// do; and a note, if that leaves out what the user asked for.
fn used(mut cpus: Vec<usize>, config: &Config) -> (Vec<usize>, Option<String>) {
    let (shards, connections) = (cpus.len(), config.connections.get() as usize);
    if shards <= connections {
        return (cpus, None);
    }
    cpus.truncate(connections);
    let asked = config.placement.shards.is_some() || config.placement.cores.is_some();
    let list = CpuList::new(cpus.iter().copied()).filter(|_| asked);
    let note = list.map(|list| {
        format!("{shards} shards need at least {shards} connections; using CPU {list} only")
    });
    (cpus, note)
}

/// The addresses of the target, in the system resolver's order of preference.
fn resolve(target: &TargetUrl) -> Result<Addresses> {
    let found = (target.host.as_str(), target.port).to_socket_addrs();
    let found = found.map_err(|error| {
        // The standard library's own words for a failure of the resolver come first, its reason
        // second.
        let text = error.to_string();
        let reason = text.strip_prefix("failed to lookup address information: ");
        anyhow!(
            "cannot resolve {}: {}; nothing was sent; check the name and the resolver",
            Quoted(&target.host),
            reason.unwrap_or(&text)
        )
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Addresses::new(addresses)
        .with_context(|| format!("{} has no address; nothing was sent", Quoted(&target.host)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{LoadArgs, MachineArgs, RunArgs, TargetArgs};

    /// What is used of CPU 4, 2 and 7, with `connections` and `--shards`.
    #[track_caller]
    fn check(connections: u32, shards: Option<u32>, cpus: &[usize], note: Option<&str>) {
        let config = Config::understand(&RunArgs {
            target: TargetArgs { target: Some("h".to_owned()), url: None },
            load: LoadArgs { connections: Some(connections), pipeline: 1, ..LoadArgs::default() },
            machine: MachineArgs { shards, ..MachineArgs::default() },
            ..RunArgs::default()
        });
        let expected = (cpus.to_vec(), note.map(str::to_owned));
        assert_eq!(used(vec![4, 2, 7], &config.unwrap()), expected);
    }

    #[test]
    fn each_cpu_is_used_where_there_is_a_connection_for_it() {
        check(3, Some(3), &[4, 2, 7], None);
        check(64, None, &[4, 2, 7], None);
    }

    #[test]
    fn a_cpu_without_a_connection_is_left_out_and_a_wish_for_it_is_answered() {
        let note = "3 shards need at least 3 connections; using CPU";
        check(1, Some(3), &[4], Some(&format!("{note} 4 only")));
        check(2, Some(3), &[4, 2], Some(&format!("{note} 2,4 only")));
    }

    #[test]
    fn shards_that_nobody_asked_for_are_left_out_without_a_word() {
        check(1, None, &[4], None);
    }
}
