//! Any bytes, read as responses. Run: `cargo +nightly fuzz run h1_response -- -max_total_time=60`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pummel_proto_http::fuzz::fuzz_h1_response(data));
