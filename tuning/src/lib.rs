//! Reads the facts of a Linux machine that hold a load generator back, and places shards on its
//! CPUs.
//!
//! [`inspect`] only reads. A fact that a machine does not tell (a container without `/sys`, an old
//! kernel) is `None`, never an error: a load generator must start everywhere. What is decided from
//! the facts is pure ([`place`]); what changes the machine is named so ([`raise_open_files`],
//! [`apply`]).
//!
//! [`advise`] judges a machine against what is demanded of it, and [`setting`] is the table of what
//! can be set; the guide of this crate and its drop-in files are made from it.
//!
//! [`inspect`] tells what the machine is, [`watch`] what it did while a run lasted, and [`peer`]
//! whether the target is a part of it; [`process`] stops another process for a while.
#![forbid(unsafe_code)]

pub mod advice;
pub mod apply;
pub mod host;
#[cfg(test)]
mod paper;
pub mod peer;
mod placement;
pub mod process;
pub mod setting;
mod tree;
pub mod watch;

pub use advice::{Demand, Finding, Severity, advise};
pub use host::cpu::{CpuList, CpuListError, Quota};
pub use host::kernel::is_trusted_clock;
pub use host::limits::{OpenFiles, PortRange, raise_open_files};
pub use host::{Host, inspect, inspect_below};
pub use peer::{Overlap, SharedCores, is_local, shares_cores};
pub use placement::{Placement, PlacementError, Wanted, place};
