//! Whether this machine can hold so many connections: each needs a file descriptor, and to a host a
//! local port.

use core::num::NonZeroU32;

use anyhow::{Result, ensure};
use pummel_engine::plan::{Addresses, Keep, Load, Stop, Timetable, Wire};
use pummel_engine::reactor::{Address, Close};
use pummel_engine::units::{Nanos, Rate};
use pummel_tuning::{Host, PortRange};

use super::Most;
use super::way::{Destination, Way};

/// Files for everything but connections that this process still opens: rings, standard streams,
/// libraries.
const FILES_RESERVED: u64 = 64;

/// How long a port waits after a connection that this side has closed (`TCP_TIMEWAIT_LEN` of
/// Linux), and after one to this machine itself, where it may be used again (the sysctl
/// `net.ipv4.tcp_tw_reuse`).
const WAITING_S: f64 = 60.0;
const WAITING_LOOPBACK_S: f64 = 1.0;

/// The local ends that connections can have to one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// As many as there are.
    Unbounded,
    /// The ports of each of so many addresses.
    Ports(PortRange, u32),
}

impl Ends {
    /// Those of this machine for connections on that way, from `wire`'s sources.
    pub(super) fn of(way: &Way, wire: &Wire, host: &Host) -> Self {
        match (&way.to, host.ports) {
            (Destination::Host(..), Some(range)) => {
                let sources = u32::try_from(wire.sources.len()).unwrap_or(u32::MAX);
                Self::Ports(range, sources.max(1))
            }
            (Destination::Socket(_), _) | (_, None) => Self::Unbounded,
        }
    }

    const fn count(self) -> Option<u32> {
        match self {
            Self::Unbounded => None,
            Self::Ports(range, addresses) => Some(range.count().saturating_mul(addresses)),
        }
    }
}

/// The most connections to a server of a run that begins with `connections` to each of so many.
///
/// # Errors
/// If that is more than open files or local ports allow; what nobody asked for is as much as they
/// do.
pub(super) fn most(
    (connections, servers): (NonZeroU32, usize),
    most: Most,
    host: &Host,
    ends: Ends,
) -> Result<NonZeroU32> {
    check("-c", (connections.get(), servers), host, ends)?;
    match most {
        Most::Fixed => Ok(connections),
        Most::Asked(most) => {
            check("--max-connections", (most.get(), servers), host, ends).map(|()| most)
        }
        Most::Allowed(most) => {
            let files = host.files.soft.map(|limit| limit.saturating_sub(taken(host)));
            let files = files.map(|room| room / (servers as u64).max(1));
            let files = files.map(|room| u32::try_from(room).unwrap_or(u32::MAX));
            let room = files.into_iter().chain(ends.count()).fold(most.get(), u32::min);
            // There is room for those of the beginning, so that this is no less.
            Ok(NonZeroU32::new(room).unwrap_or(connections))
        }
    }
}

/// Files that are not for connections.
fn taken(host: &Host) -> u64 {
    host.files.open.unwrap_or(0) + FILES_RESERVED
}

/// What there is to say of a run that opens more connections one after the other than it has ports
/// for, because each port waits after its connection.
pub(super) fn churn(
    wire: &Wire,
    (load, stop): (&Load, &Stop),
    to: &Addresses,
    ends: Ends,
) -> Option<String> {
    let rate = match wire.keep {
        Keep::Renewed(rate) => rate.per_second(),
        Keep::One => load.timetable().and_then(Timetable::only_rate).map(Rate::per_second)?,
        Keep::Open => return None,
    };
    let at_home = |address: &Address| address.inet().is_some_and(|to| to.ip().is_loopback());
    let waiting = if to.all().iter().all(at_home) { WAITING_LOOPBACK_S } else { WAITING_S };
    let length = stop.limit.duration().map_or(f64::INFINITY, Nanos::as_secs_f64);
    let taken = rate * waiting.min(length + stop.warmup.as_secs_f64());
    let ports = ends.count()?;
    (wire.close == Close::Finish && taken > f64::from(ports)).then(|| {
        format!(
            "{rate:.0} new connections per second may leave {taken:.0} local ports waiting, and \
             there are {ports}; if connections fail, give --close rst or more --source-ip"
        )
    })
}

/// Refuses more connections to each of so many servers than open files or local ports allow;
/// `flag` asked for them.
fn check(flag: &str, (connections, servers): (u32, usize), host: &Host, ends: Ends) -> Result<()> {
    if let Some(limit) = host.files.soft {
        let taken = taken(host);
        let servers = servers as u64;
        let room = limit.saturating_sub(taken) / servers.max(1);
        let needed = u64::from(connections).saturating_mul(servers).saturating_add(taken);
        let each = if servers > 1 { format!(" to each of {servers} hosts") } else { String::new() };
        ensure!(
            room > 0,
            "{flag} {connections}{each} needs {needed} open files, and the limit is {limit}, \
             too few for any connection; raise the limit (ulimit -n)"
        );
        ensure!(
            u64::from(connections) <= room,
            "{flag} {connections}{each} needs {needed} open files, and the limit is {limit}; \
             give {flag} {room} or less, or raise the hard limit (ulimit -Hn)"
        );
    }
    if let (Ends::Ports(range, addresses), Some(room)) = (ends, ends.count()) {
        let each = if addresses > 1 { format!(", {addresses} times") } else { String::new() };
        ensure!(
            connections <= room,
            "{flag} {connections} needs as many local ports, and there are {room} for one target \
             ({}-{}{each}); give {flag} {room} or less, more addresses with --source-ip, or widen \
             the sysctl net.ipv4.ip_local_port_range",
            range.first,
            range.last
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use pummel_tuning::OpenFiles;

    const PORTS: Ends = Ends::Ports(PortRange { first: 1000, last: 1099 }, 1);

    fn host(soft: Option<u64>) -> Host {
        let files = OpenFiles { soft, hard: soft, open: Some(10) };
        Host { files, ..pummel_tuning::inspect() }
    }

    #[test]
    fn connections_fit_into_the_open_files_less_a_reserve() {
        let host = host(Some(1024));
        assert!(check("-c", (950, 1), &host, Ends::Unbounded).is_ok());
        let error = check("-c", (951, 1), &host, Ends::Unbounded).unwrap_err().to_string();
        assert!(
            error.starts_with("-c 951 needs 1025 open files, and the limit is 1024"),
            "{error}"
        );
    }

    #[test]
    fn where_no_connection_fits_fewer_are_no_remedy() {
        for limit in [20, 74] {
            let error =
                check("-c", (2, 1), &host(Some(limit)), Ends::Unbounded).unwrap_err().to_string();
            assert!(error.ends_with("raise the limit (ulimit -n)"), "{error}");
            assert!(!error.contains("or less"), "{error}");
        }
        assert!(check("-c", (1, 1), &host(Some(75)), Ends::Unbounded).is_ok());
    }

    #[test]
    fn connections_fit_into_the_local_ports_of_all_addresses() {
        assert!(check("-c", (100, 1), &host(None), PORTS).is_ok());
        let said = |connections, ends| {
            check("-c", (connections, 1), &host(None), ends).unwrap_err().to_string()
        };
        let error = said(101, PORTS);
        assert!(error.contains("there are 100 for one target (1000-1099);"), "{error}");
        assert!(error.contains("--source-ip"), "{error}");
        let thrice = Ends::Ports(PortRange { first: 1000, last: 1099 }, 3);
        assert!(check("-c", (300, 1), &host(None), thrice).is_ok());
        let error = said(301, thrice);
        assert!(error.contains("there are 300 for one target (1000-1099, 3 times);"), "{error}");
    }

    #[test]
    fn unknown_limits_allow_everything() {
        assert!(check("-c", (u32::MAX, 1), &host(None), Ends::Unbounded).is_ok());
    }

    #[test]
    fn a_socket_takes_no_ports_and_each_source_brings_its_own() {
        let ends = |line: &str, ports| {
            let args = crate::args::words(line).run;
            let Config { way, wire, .. } = Config::understand(&args).unwrap();
            Ends::of(&way, &wire, &Host { ports, ..pummel_tuning::inspect() })
        };
        let range = PortRange { first: 1, last: 9 };
        assert_eq!(ends("p h", Some(range)), Ends::Ports(range, 1));
        assert_eq!(ends("p h", None), Ends::Unbounded);
        assert_eq!(ends("p unix:/a", Some(range)), Ends::Unbounded);
        let sources = "p h --source-ip 127.0.0.1,127.0.0.2";
        assert_eq!(ends(sources, Some(range)), Ends::Ports(range, 2));
    }

    #[test]
    fn ports_that_wait_for_longer_than_there_are_others_are_spoken_of() {
        let said = |flags: &str, to: &str| {
            let args = crate::args::words(&format!("p h {flags}")).run;
            let config = Config::understand(&args).unwrap();
            let to: std::net::SocketAddr = to.parse().unwrap();
            let to = Addresses::new(vec![to]).unwrap();
            churn(&config.wire, (&config.load, &config.stop), &to, PORTS)
        };
        let (here, there) = ("127.0.0.1:80", "192.0.2.1:80");
        let long = "-t 100s --connections-per-second";
        let note = said(&format!("{long} 2"), there).unwrap();
        assert!(note.contains("2 new connections per second may leave 120 local"), "{note}");
        assert!(note.contains("there are 100;") && note.contains("--close rst"), "{note}");
        assert_eq!(said(&format!("{long} 1"), there), None);
        assert_eq!(said(&format!("{long} 2 --close rst"), there), None);
        assert_eq!(said(&format!("{long} 100"), here), None);
        assert!(said(&format!("{long} 101"), here).is_some());
        assert_eq!(said("-t 10s --connections-per-second 10", there), None);
        assert!(said("-t 10s --warmup 1s --connections-per-second 10", there).is_some());
        assert!(said("-t 100s --disable-keepalive --rate 2", there).is_some());
        assert_eq!(said("-t 100s --disable-keepalive", there), None);
        assert_eq!(said("-t 100s --rate 2000", there), None);
    }

    #[test]
    fn the_most_connections_are_checked_and_those_that_nobody_named_are_fitted() {
        let of = |count| NonZeroU32::new(count).unwrap();
        let host = host(Some(1024));
        let ends = Ends::Ports(PortRange { first: 1000, last: 1899 }, 1);
        let (few, most_of) = (of(64), |wish: Most| most((of(64), 1), wish, &host, ends));
        assert_eq!(most_of(Most::Fixed).unwrap(), few);
        assert_eq!(most_of(Most::Asked(of(900))).unwrap(), of(900));
        let said = most_of(Most::Asked(of(901))).unwrap_err().to_string();
        assert!(said.starts_with("--max-connections 901 needs as many local ports"), "{said}");
        assert!(said.contains("give --max-connections 900 or less"), "{said}");
        assert_eq!(most_of(Most::Allowed(of(640))).unwrap(), of(640));
        assert_eq!(most_of(Most::Allowed(of(10_000))).unwrap(), of(900));
        let any = Ends::Unbounded;
        assert_eq!(most((few, 1), Most::Allowed(of(10_000)), &host, any).unwrap(), of(950));
        assert!(most((of(951), 1), Most::Allowed(of(10_000)), &host, any).is_err());
        let unknown = self::host(None);
        assert_eq!(most((few, 1), Most::Allowed(of(10_000)), &unknown, any).unwrap(), of(10_000));
    }
}
