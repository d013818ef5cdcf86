//! Error numbers of the operating system, and the words for those that a load generator meets.

use std::fmt;
use std::io;

/// An error number of the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// No free local port (or no local address) is left.
    pub const ADDRESS_NOT_AVAILABLE: Self = Self::of(rustix::io::Errno::ADDRNOTAVAIL);
    /// No more files may be open.
    pub const TOO_MANY_FILES: Self = Self::of(rustix::io::Errno::MFILE);
    /// Nobody listens.
    pub const REFUSED: Self = Self::of(rustix::io::Errno::CONNREFUSED);
    /// The peer has reset the connection.
    pub const RESET: Self = Self::of(rustix::io::Errno::CONNRESET);
    /// The peer reads no more.
    pub const BROKEN_PIPE: Self = Self::of(rustix::io::Errno::PIPE);

    const fn of(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }

    /// The word which reports use for it, where there is one.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        use rustix::io::Errno as E;
        // What is no error number of Linux has no word either.
        let errno = (1..4096).contains(&self.0).then(|| E::from_raw_os_error(self.0))?;
        let word = match errno {
            E::CONNREFUSED => "refused",
            E::CONNRESET => "reset",
            E::CONNABORTED => "aborted",
            E::PIPE => "broken_pipe",
            E::TIMEDOUT => "timeout",
            E::HOSTUNREACH | E::NETUNREACH | E::HOSTDOWN | E::NETDOWN => "unreachable",
            E::ADDRNOTAVAIL => "no_ports",
            E::MFILE | E::NFILE => "no_files",
            E::NOBUFS | E::NOMEM => "no_memory",
            E::ACCESS | E::PERM => "forbidden",
            _ => return None,
        };
        Some(word)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::of(errno)
    }
}

impl From<&io::Error> for Errno {
    fn from(error: &io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(0))
    }
}
