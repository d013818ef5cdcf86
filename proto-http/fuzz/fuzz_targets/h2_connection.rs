//! Any bytes, read as what a peer says in HTTP/2, whole and in pieces.
//! Run: `cargo +nightly fuzz run h2_connection -- -max_total_time=60`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pummel_proto_http::fuzz::h2::fuzz_h2_connection(data));
