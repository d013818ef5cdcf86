//! Where a connection leads to: an address of the internet, or a socket in the file system.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno as E;
use socket2::SockAddr;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP, to a port of a host.
    Inet(SocketAddr),
    /// A stream through the socket with this path.
    Unix(Arc<Path>),
}

impl Address {
    /// Host and port, where it has them.
    #[must_use]
    pub const fn inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The address in the kernel's form; an error if the path is too long for it.
    pub(super) fn name(&self) -> io::Result<SockAddr> {
        match self {
            Self::Inet(address) => Ok(SockAddr::from(*address)),
            Self::Unix(path) => SockAddr::unix(path).map_err(|_| E::NAMETOOLONG.into()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => {
                f.write_str("unix:")?;
                path.display().fmt(f)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in ["127.0.0.1:80", "[::1]:8080"] {
            assert_eq!(Address::Inet(text.parse().unwrap()).to_string(), text);
        }
        let unix = Address::Unix(Path::new("/run/a b.sock").into());
        assert_eq!(unix.to_string(), "unix:/run/a b.sock");
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_by_name() {
        let named = |len| Address::Unix(Path::new(&"x".repeat(len)).into()).name();
        assert!(named(107).is_ok());
        assert_eq!(named(108).unwrap_err().raw_os_error(), Some(E::NAMETOOLONG.raw_os_error()));
    }
}
