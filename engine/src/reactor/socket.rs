//! Creating and closing sockets the same way for every reactor.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Address, Close};

/// Whether an operation that cannot go on returns at once (`epoll`), or is left to the kernel to
/// finish (`io_uring`, which would otherwise give up instead of waiting).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocking {
    Yes,
    No,
}

/// A socket to connect to `to`. One of TCP sends small segments at once, and is bound to the local
/// address `from` if there is one.
pub(super) fn open(to: &Address, from: Option<IpAddr>, blocking: Blocking) -> io::Result<OwnedFd> {
    let socket = match to {
        Address::Inet(to) => tcp(Domain::for_address(*to), from)?,
        Address::Unix(_) => Socket::new(Domain::UNIX, Type::STREAM, None)?,
    };
    if blocking == Blocking::No {
        socket.set_nonblocking(true)?;
    }
    Ok(socket.into())
}

fn tcp(domain: Domain, from: Option<IpAddr>) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        leave_port_to_connect(&socket)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    Ok(socket)
}

/// Has the port chosen when the socket connects and not when it is bound: a port may then serve
/// several connections, as long as they lead to different places.
fn leave_port_to_connect(socket: &Socket) -> io::Result<()> {
    let (yes, len) = (1_i32, size_of::<i32>());
    let (level, option) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    let len = libc::socklen_t::try_from(len).unwrap_or_default();
    // SAFETY: the kernel reads `len` bytes of `yes`, which is as long, before the call returns.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const yes).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Prepares an accepted connection.
pub(super) fn adopt(socket: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(socket, true)?)
}

/// Says to the peer that the connection is over, or makes the last close say it with a reset.
///
/// A FIN must be sent by `shutdown`: the kernel's pending operations keep the file open beyond
/// `close`. Fails only where the connection is gone already.
pub(super) fn hang_up(socket: impl AsFd, how: Close) {
    let _gone = match how {
        Close::Finish => shutdown(socket, Shutdown::Both),
        Close::Reset => sockopt::set_socket_linger(socket, Some(Duration::ZERO)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_chosen_when_the_socket_connects() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let from = Some([127, 0, 0, 9].into());
        let socket = Socket::from(open(&to.into(), from, Blocking::Yes).unwrap());
        let local = || socket.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(local(), "127.0.0.9:0".parse().unwrap());
        socket.connect(&to.into()).unwrap();
        assert_ne!(local().port(), 0);
    }
}
