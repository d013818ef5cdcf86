//! Any bytes, whole and in pieces. Run: `cargo +nightly fuzz run split_anywhere --
//! -max_total_time=60`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pummel_proto_http::fuzz::fuzz_split_anywhere(data));
