//! A loopback port for a server that cannot be handed a socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

/// A port that nobody else gets while this is held.
///
/// The socket is bound and does not listen. The system gives its port to nobody who leaves the
/// choice to it; a server that names the port may bind it all the same, since both sides ask for
/// the reuse of addresses, and then whoever connects reaches the server and nobody else.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _held: OwnedFd,
}

impl Port {
    /// Takes a free one.
    pub(super) fn take() -> io::Result<Self> {
        let held = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        sockopt::set_socket_reuseaddr(&held, true)?;
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddr::try_from(getsockname(&held)?)?;
        Ok(Self { address, _held: held })
    }

    /// Address and port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_names_the_port_gets_it_and_is_the_only_one() {
        let port = Port::take().unwrap();
        let server = TcpListener::bind(port.address()).unwrap();
        assert_eq!(server.local_addr().unwrap(), port.address());
        assert!(TcpListener::bind(port.address()).is_err());
    }

    #[test]
    fn nobody_is_given_a_port_that_is_held() {
        let held: Vec<Port> = (0..50).map(|_| Port::take().unwrap()).collect();
        let others: Vec<TcpListener> =
            (0..50).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        for other in others {
            let address = other.local_addr().unwrap();
            assert!(held.iter().all(|port| port.address() != address), "{address}");
        }
    }
}
