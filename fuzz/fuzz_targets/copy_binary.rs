//! See `proto::fuzzing::copy_binary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto::fuzzing::copy_binary(data));
