//! Whether pummel is right: what all tests from outside share.

pub mod peers;
mod program;
mod server;

pub use program::{Outcome, Running, run, start};
pub use server::Server;
