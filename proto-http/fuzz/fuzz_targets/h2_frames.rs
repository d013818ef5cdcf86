//! Any bytes, read as frames of HTTP/2.
//! Run: `cargo +nightly fuzz run h2_frames -- -max_total_time=60`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pummel_proto_http::fuzz::h2::fuzz_h2_frames(data));
