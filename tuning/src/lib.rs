//! Reads the facts of a Linux machine that hold a load generator back, and places shards on its
//! CPUs.
//!
//! [`inspect`] only reads. A fact that a machine does not tell (a container without `/sys`, an old
//! kernel) is `None`, never an error: a load generator must start everywhere. What is decided from
//! the facts is pure ([`place`]); what changes the machine is named so ([`raise_open_files`]).
//!
//! [`inspect`] tells what the machine is, [`watch`] what it did while a run lasted, and [`peer`]
//! whether the target is a part of it; [`process`] stops another process for a while.
#![forbid(unsafe_code)]

pub mod host;
pub mod peer;
mod placement;
pub mod process;
mod tree;
pub mod watch;

pub use host::cpu::{CpuList, CpuListError, Quota};
pub use host::kernel::is_trusted_clock;
pub use host::limits::{OpenFiles, PortRange, raise_open_files};
pub use host::{Host, inspect};
pub use peer::{Overlap, SharedCores, shares_cores};
pub use placement::{Placement, PlacementError, Wanted, place};
