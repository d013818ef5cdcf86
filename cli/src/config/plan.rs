//! From what was meant to what this machine will do: CPUs, limits, addresses.

use core::num::NonZeroU32;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use pummel_engine::plan::{Addresses, Cores, Load, OnFull, Origin, Pacing, Plan, Target};
use pummel_engine::reactor::{Address, Kind};
use pummel_tuning::{CpuList, Host, Quota, place};

use super::capacity::Ends;
use super::servers::Server;
use super::way::{Destination, Way};
use super::{Config, capacity};
use crate::args::Quoted;
use crate::exit::Failure;

/// Makes the plan. What this machine cannot do is said before anything is asked of the network; the
/// host name is resolved last, once for the whole run. With the plan come notes for the user: a CPU
/// that was asked for is left out, or ports may run out.
///
/// # Errors
/// A usage failure for what does not fit this machine, and an impossible run for a name that does
/// not resolve. Nothing was sent to the target.
pub(crate) fn plan(
    config: &Config,
    host: &Host,
    reactor: Kind,
) -> Result<(Plan, Vec<String>), Failure> {
    let placement = place(host, &config.placement).map_err(Failure::usage)?;
    let (cpus, note) = used(placement.shards, config);
    let pacing = pacing(config, host, cpus.len());
    let cores = Cores::new(cpus).context("no CPU to run on").map_err(Failure::impossible)?;
    let ends = Ends::of(&config.way, &config.wire, host);
    let servers = 1 + config.others.len();
    let most = capacity::most((config.connections, servers), config.most, host, ends);
    let most = most.map_err(Failure::usage)?;
    let others = config.others.iter().map(origin).collect::<Result<Vec<_>>>();
    let others = others.map_err(Failure::impossible)?;
    let addresses = resolve(&config.way).map_err(Failure::impossible)?;
    let waits = capacity::churn(&config.wire, (&config.load, &config.stop), &addresses, ends);
    let plan = Plan {
        target: Target { url: config.target.url.clone(), addresses },
        work: config.work.clone(),
        wire: config.wire.clone(),
        others,
        load: load(config, most),
        connections: config.connections,
        room: most,
        stop: config.stop,
        timeouts: config.timeouts,
        pacing,
        cores,
        reactor,
        seed: config.seed,
    };
    Ok((plan, [note, waits].into_iter().flatten().collect()))
}

/// A server beside the first one, with its addresses.
fn origin(server: &Server) -> Result<Origin> {
    let addresses = resolve(&server.way)?;
    let Server { target, tls, proxy, lookup, .. } = server.clone();
    Ok(Origin { target: Target { url: target.url, addresses }, tls, proxy, lookup })
}

/// The load as it was meant, which grows up to `most` connections, if it does.
fn load(config: &Config, most: NonZeroU32) -> Load {
    match config.load.clone() {
        Load::Open { timetable, pipeline, on_full: OnFull::Grow { .. } } => {
            Load::Open { timetable, pipeline, on_full: OnFull::Grow { most } }
        }
        load => load,
    }
}

/// How many allowed CPUs are enough for some of them to spin.
const SPARE: usize = 4;

/// The pacing that was asked for, or the most precise that this machine can afford. Shards that
/// spin must not take the time from the coordinator, or use up a quota and then be stopped.
fn pacing(config: &Config, host: &Host, shards: usize) -> Pacing {
    let allowed = host.cpus.allowed.len();
    let quota = host.cpus.quota.map_or(usize::MAX, Quota::cpus_floor);
    let spare = allowed >= SPARE || shards < allowed;
    let default = if config.load.is_open() && spare && quota >= allowed {
        Pacing::Hybrid
    } else {
        Pacing::Sleep
    };
    config.pacing.unwrap_or(default)
}

/// As many of `cpus` as there are connections, because a shard without one would have nothing to
/// do; and a note, if that leaves out what the user asked for.
pub(super) fn used(mut cpus: Vec<usize>, config: &Config) -> (Vec<usize>, Option<String>) {
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

/// The addresses to connect to, before anything is sent.
fn resolve(way: &Way) -> Result<Addresses> {
    if let Destination::Socket(path) = &way.to {
        ensure_listening(path)?;
    }
    look_up(way)
        .map_err(|error| anyhow!("{error}; nothing was sent; check the name and the resolver"))
}

/// The addresses that the name has now, in the system resolver's order of preference.
///
/// # Errors
/// If it has none, or the resolver does not say.
pub(crate) fn look_up(way: &Way) -> Result<Addresses> {
    let (host, port) = match &way.to {
        Destination::Host(host, port) => (host, port),
        Destination::Socket(path) => {
            let address = Address::Unix(path.as_path().into());
            return Addresses::new(vec![address]).context("no address");
        }
    };
    let found = (host.as_str(), *port).to_socket_addrs();
    let found = found.map_err(|error| {
        // The standard library's own words for a failure of the resolver come first, its reason
        // second.
        let text = error.to_string();
        let reason = text.strip_prefix("failed to lookup address information: ");
        anyhow!("cannot resolve {}: {}", Quoted(host), reason.unwrap_or(&text))
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.filter(|address| way.family.holds(address.ip())) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let none = || format!("{} has no {}address", Quoted(host), way.family.name());
    Addresses::new(addresses).with_context(none)
}

/// Refuses a path at which there is no socket.
fn ensure_listening(path: &Path) -> Result<()> {
    let typed = path.display().to_string();
    let found = fs::metadata(path).with_context(|| {
        format!(
            "cannot connect to socket {}; nothing was sent; is the server running?",
            Quoted(&typed)
        )
    })?;
    ensure!(
        found.file_type().is_socket(),
        "{} is no socket; nothing was sent; give the path that the server listens at",
        Quoted(&typed)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{LoadArgs, MachineArgs, RunArgs, TargetArgs};

    /// What is used of CPU 4, 2 and 7, with `connections` and `--shards`.
    #[track_caller]
    fn check(connections: u32, shards: Option<u32>, cpus: &[usize], note: Option<&str>) {
        let config = Config::understand(&RunArgs {
            target: TargetArgs { target: Some("h".to_owned()), ..TargetArgs::default() },
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

    /// The pacing of a run on as many shards, where CPUs `allowed` and a quota of so many tenths
    /// of a CPU are.
    #[track_caller]
    fn check_pacing(words: &str, (allowed, tenths): (&str, u64), shards: usize, expected: Pacing) {
        let args = crate::args::words(words).run;
        let config = Config::understand(&args).unwrap();
        let mut host = pummel_tuning::inspect();
        host.cpus.allowed = allowed.parse().unwrap();
        host.cpus.quota = Quota::new(tenths, 10);
        assert_eq!(pacing(&config, &host, shards), expected, "{words}, {allowed}, {tenths}");
    }

    #[test]
    fn pacing_is_hybrid_where_a_cpu_can_be_spared() {
        let open = "pummel h --rate 5";
        check_pacing(open, ("0", 0), 1, Pacing::Sleep);
        check_pacing(open, ("0-1", 0), 1, Pacing::Hybrid);
        check_pacing(open, ("0-1", 0), 2, Pacing::Sleep);
        check_pacing(open, ("0-2", 0), 3, Pacing::Sleep);
        check_pacing(open, ("0-3", 0), 4, Pacing::Hybrid);
        check_pacing(open, ("0-3", 40), 4, Pacing::Hybrid);
        check_pacing(open, ("0-3", 39), 4, Pacing::Sleep);
        check_pacing(open, ("0-1", 19), 1, Pacing::Sleep);
    }

    #[test]
    fn pacing_is_as_was_said_and_sleep_in_a_closed_loop() {
        check_pacing("pummel h --rate 5 --pacing sleep", ("0-7", 0), 1, Pacing::Sleep);
        check_pacing("pummel h --rate 5 --pacing spin", ("0", 0), 1, Pacing::Spin);
        check_pacing("pummel h --rate 5 --pacing hybrid", ("0", 1), 1, Pacing::Hybrid);
        check_pacing("pummel h", ("0-7", 0), 1, Pacing::Sleep);
        for (words, said) in [
            ("pummel h --pacing sleep", "--pacing says how to wait for the schedule"),
            ("pummel h --rate 5 --pacing busy", "--pacing \"busy\" is unknown"),
        ] {
            let error = Config::understand(&crate::args::words(words).run).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_load_that_grows_grows_up_to_what_this_machine_allows() {
        let most = NonZeroU32::new(99).unwrap();
        let of = |words: &str| {
            let config = Config::understand(&crate::args::words(words).run).unwrap();
            match load(&config, most) {
                Load::Open { on_full, .. } => Some(on_full),
                Load::Closed { .. } => None,
            }
        };
        assert_eq!(of("pummel h --rate 5 --on-full grow"), Some(OnFull::Grow { most }));
        assert_eq!(of("pummel h --rate 5 --on-full drop"), Some(OnFull::Drop));
        assert_eq!(of("pummel h"), None);
    }
}
