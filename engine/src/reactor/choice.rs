//! Which reactor a run uses: the best that works here, or the one that was asked for.

use std::io;

use super::uring;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// io_uring where it works, else epoll.
    #[default]
    Auto,
    /// io_uring, or an error.
    Uring,
    /// epoll.
    Epoll,
}

/// A reactor that works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Uring`](super::Uring).
    Uring,
    /// [`Epoll`](super::Epoll).
    Epoll,
}

/// The outcome of [`choose`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What will be used.
    pub kind: Kind,
    /// Why it is not io_uring, if it was left to us and io_uring does not work: one line for the
    /// user, for a silent fallback would make results incomparable.
    pub fallback: Option<String>,
}

/// The name and the features of a reactor, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `io_uring` or `epoll`.
    pub name: &'static str,
    /// What it makes use of on this kernel.
    pub features: Vec<&'static str>,
}

/// The reactor that was asked for does not work here.
#[derive(Debug, thiserror::Error)]
#[error("io_uring is not available: {0}; {remedy}, or use --reactor epoll", remedy = remedy(.0))]
pub struct ChooseError(#[source] io::Error);

/// Finds a reactor that works, by trying it.
///
/// # Errors
/// If io_uring was asked for and does not work.
pub fn choose(wish: Wish) -> Result<Choice, ChooseError> {
    let plain = |kind| Choice { kind, fallback: None };
    if wish == Wish::Epoll {
        return Ok(plain(Kind::Epoll));
    }
    match (uring::probe(), wish) {
        (Ok(()), _) => Ok(plain(Kind::Uring)),
        (Err(error), Wish::Uring) => Err(ChooseError(error)),
        (Err(error), _) => {
            let reason =
                format!("io_uring is not available ({error}), using epoll; {}", remedy(&error));
            Ok(Choice { kind: Kind::Epoll, fallback: Some(reason) })
        }
    }
}

/// What to change so that io_uring becomes available.
fn remedy(error: &io::Error) -> &'static str {
    use rustix::io::Errno as E;
    match E::from_io_error(error) {
        Some(E::PERM | E::ACCESS) => {
            "allow it (sysctl kernel.io_uring_disabled=0, or a container seccomp profile with \
             io_uring_setup, io_uring_enter and io_uring_register)"
        }
        Some(E::NOSYS) => {
            "it needs Linux 6.0, or a container seccomp profile that lets io_uring_setup, \
             io_uring_enter and io_uring_register through"
        }
        Some(E::NOMEM) => "raise the memory limit (ulimit -l, or the cgroup's memory.max)",
        Some(E::MFILE | E::NFILE) => "raise the limit of open files (ulimit -n)",
        _ => "it needs Linux 6.0 or later",
    }
}

impl Kind {
    /// The name and the features, for reports.
    #[must_use]
    pub fn describe(self) -> Description {
        match self {
            Self::Uring => {
                Description { name: "io_uring", features: uring::features().unwrap_or_default() }
            }
            Self::Epoll => Description { name: "epoll", features: vec!["EDGE_TRIGGERED"] },
        }
    }
}
