//! See `proto::fuzzing::copy_relay`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto::fuzzing::copy_relay(data));
