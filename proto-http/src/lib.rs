//! HTTP clients as state machines without IO: bytes in, bytes and events out.
//!
//! A load generator must decide itself when bytes move and which moment counts as which, so nothing
//! here opens a socket, reads a clock, starts a thread or keeps a pointer into a buffer it was
//! lent. The same bytes always give the same events, however they were split, which is what lets
//! the engine be tested without a network (docs/adr/0002-sans-io-protocol.md).
//!
//! # The verbs
//!
//! One for each thing that can happen to a connection:
//!
//! | it happened that | HTTP/1.1 | HTTP/2 |
//! |---|---|---|
//! | how many requests may start now? | [`h1::Conn::capacity`] | [`h2::Conn::capacity`] |
//! | a request starts | [`h1::Conn::start`] | [`h2::Conn::start`] |
//! | bytes may be sent | | [`h2::Conn::transmit`] |
//! | bytes arrived | [`h1::Conn::receive`] | [`h2::Conn::receive`] |
//! | a head came: what are its fields? | [`h1::Conn::fields`] | [`h2::Conn::fields`] |
//! | a request is given up | | [`h2::Conn::cancel`] |
//! | the peer closed its side | [`h1::Conn::receive_end`] | [`h2::Conn::receive_end`] |
//!
//! HTTP/1.1 has no verb that transmits: [`Request::render_h1`] renders a request once, before the
//! run, and every connection of every shard sends those same bytes. Nothing on an HTTP/1.1
//! connection speaks on its own account. HTTP/2 does (`SETTINGS`, `WINDOW_UPDATE`, `PING`), and
//! each request is written with the number of its stream, in a form that depends on what the peer
//! knows already: [`h2::Conn::transmit`] writes all of it, as far as there is room, when
//! [`h2::Conn::wants_transmit`] says so.
//!
//! An HTTP/1.1 response cannot be called off either: the owner of a request whose deadline passed
//! drops the connection. On HTTP/2 it gives up the stream, and the connection serves on.
//!
//! # The drain rule
//!
//! After a `receive` returned an event, call it again until it returns `None`, even when no input
//! is left: the end of an exchange is an event without bytes of its own. Only then may
//! another verb be called.
//!
//! # Example
//!
//! ```
//! use core::num::NonZeroU8;
//! use pummel_proto_http::{Done, Event, Head, Request, Reuse, Version, h1};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let request = Request::builder("GET", "example.org", "/")?.build();
//! let bytes = request.render_h1(); // send these, as often as you like
//! assert!(bytes.starts_with(b"GET / HTTP/1.1\r\nHost: example.org\r\n"));
//!
//! let mut recall = h1::Recall::new(); // one for all connections of a thread
//! let mut conn = h1::Conn::new(NonZeroU8::MIN);
//! conn.start(request.expects())?;
//!
//! let mut input: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
//! let mut events = Vec::new();
//! while let Some(event) = conn.receive(&mut input, &mut recall)? {
//!     events.push(event);
//! }
//! assert_eq!(
//!     events,
//!     [
//!         Event::Head(Head { status: 200, version: Version::Http11 }),
//!         Event::Body(b"hello"),
//!         Event::Done(Done { reuse: Reuse::Keep }),
//!     ]
//! );
//! # Ok(())
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod error;
mod event;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod h1;
pub mod h2;
pub mod limits;
mod lines;
mod request;
mod stored;
mod text;

pub use error::{ErrorKind, ProtocolError, StartError};
pub use event::{Done, Event, Head, Phase, Reuse, Version};
pub use lines::{FieldLines, FieldLinesIter};
pub use request::{
    Expect, Form, Rendering, Request, RequestBuilder, RequestError, Scheme, Serial, render_connect,
};
pub use stored::{BodySource, Stored};
pub use text::{Escape, NoValues, Slot, Text, Values, write_base64};
