//! The load engine of pummel: a [`Plan`](plan::Plan) in, [`Event`]s and a [`Report`] out.
//!
//! It prints nothing, parses no flags and serialises nothing. [`run`] is its one verb. The rooms:
//!
//! | room | what it knows |
//! |---|---|
//! | [`plan`] | WHAT to do: pure data |
//! | [`judge`] | WHAT FOR: what a response is looked at for, pure functions |
//! | [`cookies`] | WHAT IS KEPT: cookies of a user, pure data |
//! | [`feed`] | ROWS MADE AHEAD: values for requests, and the rings that bring them |
//! | [`pace`] | WHEN: the intended start of every slot, pure arithmetic |
//! | [`record`] | HOW IT WENT: counters and histograms |
//! | [`reactor`] | THE WORLD: the kernel, the clock, threads; the only `unsafe` code |
//! | [`tls`] | SECURED CONNECTIONS: the only one that knows the TLS library |
//! | `shard` | ONE CORE: all that runs on it |
//! | [`statistics`] | HOW SURE: what series of measurements say, pure functions |
//! | [`verdict`] | WHETHER TO BELIEVE IT: the verdict on a report
//! | [`coordinator`] | THE CONDUCTOR: barrier, ticks, stop, observers |

pub mod cookies;
pub mod coordinator;
pub mod error;
pub mod feed;
pub mod judge;
pub mod pace;
pub mod plan;
pub mod reactor;
pub mod record;
pub mod report;
mod shard;
pub mod statistics;
pub mod tls;
pub mod units;
pub mod verdict;

#[cfg(any(test, feature = "sim"))]
pub use coordinator::simulate;
pub use coordinator::{Control, Event, Observers, Tick, run};
pub use error::RunError;
pub use report::Report;
pub use verdict::Verdict;
