//! HTTP client state machines without IO: bytes in, bytes and events out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
