//! Listening sockets for a server of several shards: one for each, on one address, so that the
//! kernel spreads the connections and the shards share nothing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted; the kernel's own bound is net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Listens on `address` with `count` sockets, at least one, and returns them with the address they
/// share: its port is known then, even if it was left to the kernel.
///
/// # Errors
/// If the address is taken or not ours.
pub fn listeners(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    let first = bind(address, count > 1)?;
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(bind(address, true)?);
    }
    // Only now, so that the kernel spreads even the first connections over all of them.
    for socket in &sockets {
        socket.listen(BACKLOG)?;
    }
    Ok((address, sockets.into_iter().map(OwnedFd::from).collect()))
}

/// A single listener does not share its port: a second server on it is to be told so.
fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_the_port_that_the_first_one_got() {
        let (address, sockets) = listeners("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        assert_ne!(address.port(), 0);
        for socket in sockets {
            let local = Socket::from(socket).local_addr().unwrap();
            assert_eq!(local.as_socket(), Some(address));
        }
    }

    #[test]
    fn a_port_that_is_taken_is_refused() {
        let (address, _held) = listeners("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let error = listeners(address, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
