//! See `toc` in `fuzz/bodies/root.rs`.
#![no_main]

#[path = "../bodies/root.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::toc(data));
