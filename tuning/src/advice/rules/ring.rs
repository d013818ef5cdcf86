//! Whether `io_uring` may be used, and who forbids it.

use super::super::demand::{Demand, Ring};
use super::super::finding::{Cure, Severity};
use super::Said;
use crate::host::Host;

/// The first kernel whose rings have what pummel needs.
const KERNEL: (u32, u32) = (6, 0);

/// Why there are no rings, and what would give them.
struct Reason(String, Cure);

/// Without rings a run takes epoll: more CPU time per request, and coarser waits.
pub(super) fn ring(host: &Host, demand: &Demand) -> Option<Said> {
    let trial = match &demand.ring {
        Ring::Works | Ring::Unwanted => return None,
        Ring::Untried => None,
        Ring::Refused(error) => Some(error),
    };
    let suspected = trial.and_then(|_| suspected(host));
    let known = match (forbidden(host), suspected) {
        // The filter comes first: what it says of rings is not known until they are not forbidden.
        (Some(Reason(why, cure)), Some(Reason(_, more))) => Some(Reason(why, cure.then(more))),
        (known, suspected) => known.or(suspected),
    };
    let (why, cure) = match (known, trial) {
        (Some(Reason(why, cure)), _) => (why, Some(cure)),
        (None, Some(error)) => (error.clone(), None),
        (None, None) => return None,
    };
    let message = format!("io_uring cannot be used, and epoll takes its place: {why}");
    Some(Said::new(Severity::Risky, message).cure_if(cure))
}

/// What is certain from the facts alone.
fn forbidden(host: &Host) -> Option<Reason> {
    let kernel = &host.kernel;
    if kernel.is_since(KERNEL) == Some(false) {
        let release = kernel.release.as_deref().unwrap_or_default();
        let (major, minor) = KERNEL;
        let why = format!("Linux {release} is older than {major}.{minor}");
        return Some(Reason(why, Cure::by("a newer kernel")));
    }
    let rights = &kernel.rights;
    match kernel.io_uring_disabled? {
        2 => {
            let why = "kernel.io_uring_disabled is 2: nobody may".to_owned();
            Some(Reason(why, Cure::set("kernel.io_uring_disabled", "0")))
        }
        1 if rights.administers() == Some(false) => {
            let group = host.settings.text("kernel.io_uring_group")?.parse::<i64>().ok()?;
            let member = rights.groups.iter().any(|own| i64::from(*own) == group);
            let why =
                format!("kernel.io_uring_disabled is 1: only administrators and group {group} may");
            (!member).then(|| Reason(why, Cure::set("kernel.io_uring_disabled", "0")))
        }
        _ => None,
    }
}

/// What is likely when the trial failed.
fn suspected(host: &Host) -> Option<Reason> {
    (host.kernel.rights.filtered == Some(true)).then(|| {
        let why = "a seccomp filter looks at system calls, as in containers".to_owned();
        Reason(why, admitted())
    })
}

/// A filter that lets rings pass, and nothing else that the one before did not.
fn admitted() -> Cure {
    Cure::by("pummel doctor --seccomp FILE > pummel.json, with the profile of the engine as FILE")
        .then(Cure::by("run the container with --security-opt seccomp=pummel.json"))
}
