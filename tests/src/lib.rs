//! Whether pummel is right: what all tests from outside share.

mod authority;
pub mod peers;
mod program;
mod puppet;
mod recorder;
mod server;
mod tls;
mod tunnels;

pub use authority::{Authority, Issued, Wanted};
pub use program::{Outcome, Running, run, run_into_full_stderr, start};
pub use puppet::Puppet;
pub use recorder::{Answer, Asked, Recorder};
pub use server::Server;
pub use tls::{TlsServer, TlsStream};
pub use tunnels::Tunnels;
