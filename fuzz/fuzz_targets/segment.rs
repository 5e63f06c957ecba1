//! See `segment` in `fuzz/bodies/root.rs`.
#![no_main]

#[path = "../bodies/root.rs"]
#[expect(dead_code, reason = "one target uses one of the bodies")]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::segment(data));
