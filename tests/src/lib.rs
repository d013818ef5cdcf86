//! Whether pummel is right: what all tests from outside share.

pub mod peers;
mod program;
mod server;
mod tunnels;

pub use program::{Outcome, Running, run, run_into_full_stderr, start};
pub use server::Server;
pub use tunnels::Tunnels;
