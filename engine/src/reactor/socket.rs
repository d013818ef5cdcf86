//! Creating and closing sockets the same way for every reactor.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::Close;

/// Whether an operation that cannot go on returns at once (`epoll`), or is left to the kernel to
/// finish (`io_uring`, which would otherwise give up instead of waiting).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocking {
    Yes,
    No,
}

/// A TCP socket for the address family of `to`, which sends small segments at once.
pub(super) fn open(to: SocketAddr, blocking: Blocking) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    if blocking == Blocking::No {
        socket.set_nonblocking(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
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
