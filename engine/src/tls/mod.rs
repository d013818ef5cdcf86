//! SECURED CONNECTIONS: bytes from the wire in, plain bytes out, and the other way round.
//!
//! A [`Session`] is one connection's TLS. It opens no socket and reads no clock of ours: its owner
//! hands it what arrived, and sends what it appends to a page. This is the only room which knows
//! that the library is rustls, so that its next interface is a matter of this room.
//!
//! ```text
//!                      ┌──────────── Session ───────────┐
//!  received bytes ───► │ carry: a record that is not    │ ───► plain(bytes), record by record
//!  (decrypted where    │ complete yet, else nothing     │
//!   they lie)          │                                │
//!  page to be sent ◄── │ handshake, alerts, key updates │ ◄─── write(plain bytes)
//!                      └────────────────────────────────┘
//!  Handshaking ──► Open ──► Ended (the peer says that it sends no more)
//!       └───────────┴────► a TlsTrouble, for good; the alert that says why is in the page
//! ```
//!
//! What a session does for one record in steady state, beside the arithmetic: one allocation and
//! one copy in each direction, which are the library's (a test holds them to that). They end with
//! the call. An idle session keeps about 2.5 KiB.

mod config;
mod server;
mod session;
mod sessions;
mod trouble;
mod verifier;

#[cfg(test)]
pub(crate) mod tests;

#[cfg(feature = "aws-lc")]
use rustls::crypto::aws_lc_rs as arithmetic;
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
use rustls::crypto::ring as arithmetic;

pub use config::{Connector, is_root};
pub use server::Acceptor;
pub use session::{Progress, Session, sealed_len};
pub use trouble::ConfigError;

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
compile_error!("TLS needs somebody who computes: enable the feature `aws-lc` or `ring`");
