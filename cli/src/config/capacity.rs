//! Whether this machine can hold so many connections: each needs a file descriptor and a local
//! port.

use core::num::NonZeroU32;

use anyhow::{Result, ensure};
use pummel_tuning::{Host, PortRange};

use super::Most;

/// Files for everything but connections that this process still opens: rings, standard streams,
/// libraries.
const FILES_RESERVED: u64 = 64;

/// The most connections of a run that begins with `connections`.
///
/// # Errors
/// If that is more than open files or local ports allow; what nobody asked for is as much as they
/// do.
pub(super) fn most(connections: NonZeroU32, most: Most, host: &Host) -> Result<NonZeroU32> {
    check("-c", connections.get(), host)?;
    match most {
        Most::Fixed => Ok(connections),
        Most::Asked(most) => check("--max-connections", most.get(), host).map(|()| most),
        Most::Allowed(most) => {
            let files = host.files.soft.map(|limit| limit.saturating_sub(taken(host)));
            let files = files.map(|room| u32::try_from(room).unwrap_or(u32::MAX));
            let ports = host.ports.map(PortRange::count);
            let room = files.into_iter().chain(ports).fold(most.get(), u32::min);
            // There is room for those of the beginning, so that this is no less.
            Ok(NonZeroU32::new(room).unwrap_or(connections))
        }
    }
}

/// Files that are not for connections.
fn taken(host: &Host) -> u64 {
    host.files.open.unwrap_or(0) + FILES_RESERVED
}

/// Refuses more connections than open files or local ports allow; `flag` asked for them.
fn check(flag: &str, connections: u32, host: &Host) -> Result<()> {
    if let Some(limit) = host.files.soft {
        let taken = taken(host);
        let room = limit.saturating_sub(taken);
        let needed = u64::from(connections) + taken;
        ensure!(
            room > 0,
            "{flag} {connections} needs {needed} open files, and the limit is {limit}, \
             too few for any connection; raise the limit (ulimit -n)"
        );
        ensure!(
            u64::from(connections) <= room,
            "{flag} {connections} needs {needed} open files, and the limit is {limit}; \
             give {flag} {room} or less, or raise the hard limit (ulimit -Hn)"
        );
    }
    if let Some(ports) = host.ports {
        ensure!(
            connections <= ports.count(),
            "{flag} {connections} needs as many local ports, and there are {} for one target \
             ({}-{}); give {flag} {} or less, or widen the sysctl net.ipv4.ip_local_port_range",
            ports.count(),
            ports.first,
            ports.last,
            ports.count()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pummel_tuning::OpenFiles;

    fn host(soft: Option<u64>, ports: Option<PortRange>) -> Host {
        let files = OpenFiles { soft, hard: soft, open: Some(10) };
        Host { files, ports, ..pummel_tuning::inspect() }
    }

    #[test]
    fn connections_fit_into_the_open_files_less_a_reserve() {
        let host = host(Some(1024), None);
        assert!(check("-c", 950, &host).is_ok());
        let error = check("-c", 951, &host).unwrap_err().to_string();
        assert!(
            error.starts_with("-c 951 needs 1025 open files, and the limit is 1024"),
            "{error}"
        );
    }

    #[test]
    fn where_no_connection_fits_fewer_are_no_remedy() {
        for limit in [20, 74] {
            let error = check("-c", 2, &host(Some(limit), None)).unwrap_err().to_string();
            assert!(error.ends_with("raise the limit (ulimit -n)"), "{error}");
            assert!(!error.contains("or less"), "{error}");
        }
        assert!(check("-c", 1, &host(Some(75), None)).is_ok());
    }

    #[test]
    fn connections_fit_into_the_local_ports() {
        let host = host(None, Some(PortRange { first: 1000, last: 1099 }));
        assert!(check("-c", 100, &host).is_ok());
        let error = check("-c", 101, &host).unwrap_err().to_string();
        assert!(error.contains("there are 100 for one target (1000-1099)"), "{error}");
    }

    #[test]
    fn unknown_limits_allow_everything() {
        assert!(check("-c", u32::MAX, &host(None, None)).is_ok());
    }

    #[test]
    fn the_most_connections_are_checked_and_those_that_nobody_named_are_fitted() {
        let of = |count| NonZeroU32::new(count).unwrap();
        let host = host(Some(1024), Some(PortRange { first: 1000, last: 1899 }));
        let (few, most_of) = (of(64), |wish: Most| most(of(64), wish, &host));
        assert_eq!(most_of(Most::Fixed).unwrap(), few);
        assert_eq!(most_of(Most::Asked(of(900))).unwrap(), of(900));
        let said = most_of(Most::Asked(of(901))).unwrap_err().to_string();
        assert!(said.starts_with("--max-connections 901 needs as many local ports"), "{said}");
        assert!(said.contains("give --max-connections 900 or less"), "{said}");
        assert_eq!(most_of(Most::Allowed(of(640))).unwrap(), of(640));
        assert_eq!(most_of(Most::Allowed(of(10_000))).unwrap(), of(900));
        let files = self::host(Some(1024), None);
        assert_eq!(most(few, Most::Allowed(of(10_000)), &files).unwrap(), of(950));
        assert!(most(of(951), Most::Allowed(of(10_000)), &files).is_err());
        let unknown = self::host(None, None);
        assert_eq!(most(few, Most::Allowed(of(10_000)), &unknown).unwrap(), of(10_000));
    }
}
