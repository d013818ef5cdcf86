//! From what was meant to what this machine will do: CPUs, limits, addresses.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, anyhow};
use pummel_engine::plan::{Addresses, Cores, Plan, Target};
use pummel_engine::reactor::Kind;
use pummel_tuning::{Host, place};

use super::{Config, TargetUrl, capacity};
use crate::exit::Failure;

/// Makes the plan. What this machine cannot do is said before anything is asked of the network; the
/// host name is resolved last, once for the whole run.
///
/// # Errors
/// A usage failure for what does not fit this machine, and an impossible run for a name that does
/// not resolve. Nothing was sent to the target.
pub(crate) fn plan(config: &Config, host: &Host, reactor: Kind) -> Result<Plan, Failure> {
    let placement = place(host, &config.placement).map_err(Failure::usage)?;
    let cores = Cores::new(placement.shards).context("no CPU to run on");
    let cores = cores.map_err(Failure::impossible)?;
    capacity::check(config.connections.get(), host).map_err(Failure::usage)?;
    let addresses = resolve(&config.target).map_err(Failure::impossible)?;
    Ok(Plan {
        target: Target {
            url: config.target.url.clone(),
            addresses,
            request: config.request.clone(),
            expected: config.expected.clone(),
        },
        load: config.load,
        connections: config.connections,
        stop: config.stop,
        timeouts: config.timeouts,
        cores,
        reactor,
        seed: config.seed,
    })
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
            "cannot resolve {:?}: {}; nothing was sent; check the name and the resolver",
            target.host,
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
        .with_context(|| format!("{:?} has no address; nothing was sent", target.host))
}
