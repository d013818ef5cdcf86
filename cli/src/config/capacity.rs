//! Whether this machine can hold so many connections: each needs a file descriptor and a local
//! port.

use anyhow::{Result, ensure};
use pummel_tuning::Host;

/// Files for everything but connections that this process still opens: rings, standard streams,
/// libraries.
const FILES_RESERVED: u64 = 64;

/// Refuses more connections than open files or local ports allow.
pub(super) fn check(connections: u32, host: &Host) -> Result<()> {
    if let Some(limit) = host.files.soft {
        let taken = host.files.open.unwrap_or(0) + FILES_RESERVED;
        let room = limit.saturating_sub(taken);
        let needed = u64::from(connections) + taken;
        ensure!(
            room > 0,
            "-c {connections} needs {needed} open files, and the limit is {limit}, \
             too few for any connection; raise the limit (ulimit -n)"
        );
        ensure!(
            u64::from(connections) <= room,
            "-c {connections} needs {needed} open files, and the limit is {limit}; \
             give -c {room} or less, or raise the hard limit (ulimit -Hn)"
        );
    }
    if let Some(ports) = host.ports {
        ensure!(
            connections <= ports.count(),
            "-c {connections} needs as many local ports, and there are {} for one target \
             ({}-{}); give -c {} or less, or widen the sysctl net.ipv4.ip_local_port_range",
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
    use pummel_tuning::{OpenFiles, PortRange};

    fn host(soft: Option<u64>, ports: Option<PortRange>) -> Host {
        let files = OpenFiles { soft, hard: soft, open: Some(10) };
        Host { files, ports, ..pummel_tuning::inspect() }
    }

    #[test]
    fn connections_fit_into_the_open_files_less_a_reserve() {
        let host = host(Some(1024), None);
        assert!(check(950, &host).is_ok());
        let error = check(951, &host).unwrap_err().to_string();
        assert!(
            error.starts_with("-c 951 needs 1025 open files, and the limit is 1024"),
            "{error}"
        );
    }

    #[test]
    fn where_no_connection_fits_fewer_are_no_remedy() {
        for limit in [20, 74] {
            let error = check(2, &host(Some(limit), None)).unwrap_err().to_string();
            assert!(error.ends_with("raise the limit (ulimit -n)"), "{error}");
            assert!(!error.contains("or less"), "{error}");
        }
        assert!(check(1, &host(Some(75), None)).is_ok());
    }

    #[test]
    fn connections_fit_into_the_local_ports() {
        let host = host(None, Some(PortRange { first: 1000, last: 1099 }));
        assert!(check(100, &host).is_ok());
        let error = check(101, &host).unwrap_err().to_string();
        assert!(error.contains("there are 100 for one target (1000-1099)"), "{error}");
    }

    #[test]
    fn unknown_limits_allow_everything() {
        assert!(check(u32::MAX, &host(None, None)).is_ok());
    }
}
