//! See `proto::fuzzing::wal2json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto::fuzzing::wal2json(data));
