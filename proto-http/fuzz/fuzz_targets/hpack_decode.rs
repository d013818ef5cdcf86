//! Any bytes, read as header blocks. Run: `cargo +nightly fuzz run hpack_decode --
//! -max_total_time=60`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pummel_proto_http::fuzz::fuzz_hpack_decode(data));
