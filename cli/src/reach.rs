//! The way of a load that is asked about: to which address it goes, from which, and through which
//! interface. Nothing is sent.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use pummel_engine::plan::Lookup;
use pummel_tuning::advice::{Demand, To};
use pummel_tuning::{Host, is_local};

use crate::config::{self, Config};

/// Longest time for which a name is waited for. The run itself waits as long as the resolver does.
const LOOKUP_MAX: Duration = Duration::from_secs(2);

/// Where a load goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) to: IpAddr,
    /// Addresses of this machine that it comes from, as far as they are known.
    pub(crate) from: Vec<IpAddr>,
    /// The interface through which it leaves, if that is known.
    pub(crate) by: Option<String>,
    /// Whether it goes to an address of this machine.
    pub(crate) here: bool,
}

/// The first address of the run's host; `None` if it is to be looked up during the run only, or is
/// a socket of this machine.
///
/// # Errors
/// If the name has no address, or the resolver does not say in time.
pub(crate) fn find(config: &Config) -> anyhow::Result<Option<IpAddr>> {
    if config.wire.lookup == Lookup::Again {
        return Ok(None);
    }
    let (tell, told) = mpsc::channel();
    let way = config.way.clone();
    // Nobody waits for it beyond the bound, and it ends with the process.
    thread::Builder::new().name("lookup".to_owned()).spawn(move || {
        let _ = tell.send(config::look_up(&way));
    })?;
    let late = |_| anyhow!("the resolver has not answered within {} s", LOOKUP_MAX.as_secs());
    let addresses = told.recv_timeout(LOOKUP_MAX).map_err(late)??;
    Ok(addresses.first().inet().map(|to| to.ip()))
}

/// The way to `to`, from `sources` or else from where the kernel would start.
pub(crate) fn to(to: IpAddr, sources: &[IpAddr], host: &Host) -> Reach {
    let chosen = || source(to).into_iter().collect();
    let from: Vec<IpAddr> = if sources.is_empty() { chosen() } else { sources.to_vec() };
    let here = is_local(to).unwrap_or_else(|| from.contains(&to));
    let by = if here { Some("lo") } else { host.net.interface_to(to) };
    Reach { to, from, by: by.map(str::to_owned), here }
}

/// The address from which the kernel would connect: an unconnected socket knows none, and one of
/// UDP connects without sending anything.
fn source(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => [0, 0, 0, 0].into(),
        IpAddr::V6(_) => [0_u16; 8].into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    // Any port does.
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The demand of a load that goes this way.
pub(crate) fn aimed(demand: Demand, way: &Reach) -> Demand {
    Demand { to: To::Address(way.to), here: way.here, ..demand }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Config {
        Config::understand(&crate::args::words(line).run).unwrap()
    }

    #[test]
    fn a_name_is_looked_up_unless_that_is_for_the_run() {
        let found = find(&config("p http://localhost:1")).unwrap().unwrap();
        assert!(found.is_loopback(), "{found}");
        assert_eq!(find(&config("p http://localhost:1 --no-pre-lookup")).unwrap(), None);
        assert_eq!(find(&config("p unix:/a")).unwrap(), None);
        // A name that nobody can have.
        let error = find(&config("p http://name.invalid")).unwrap_err().to_string();
        assert!(error.contains("name.invalid") || error.contains("within 2 s"), "{error}");
    }

    #[test]
    fn loopback_comes_from_loopback() {
        let host = pummel_tuning::inspect();
        let local: IpAddr = [127, 0, 0, 1].into();
        let way = to(local, &[], &host);
        let expected =
            Reach { to: local, from: vec![local], by: Some("lo".to_owned()), here: true };
        assert_eq!(way, expected);
        let other: IpAddr = [127, 0, 0, 2].into();
        assert_eq!(to(local, &[other], &host).from, [other]);
        let demand = aimed(Demand::default(), &way);
        assert!(demand.stays_here() && demand.to == To::Address(local));
    }
}
