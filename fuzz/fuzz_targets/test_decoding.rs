//! See `proto::fuzzing::test_decoding`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto::fuzzing::test_decoding(data));
