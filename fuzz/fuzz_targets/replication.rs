//! See `proto::fuzzing::replication`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto::fuzzing::replication(data));
