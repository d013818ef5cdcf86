//! Whether the numbers are true: whole runs in virtual time, against closed forms.
//!
//! A world is made of which the true distribution of response times can be written down, the engine
//! runs in it as it is, and what it reports is compared. "To within one slot" is 1 / rate and the
//! histogram's 0.1 %. Whatever is random comes from a seed, and a failing test prints it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

mod blame;
mod capacity;
mod change;
mod client;
mod faults;
mod freeze;
mod plan;
mod queueing;
mod repeat;
mod schedule;
mod verdict;
