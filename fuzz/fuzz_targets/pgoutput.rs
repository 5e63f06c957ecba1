//! See `proto::fuzzing::pgoutput`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto::fuzzing::pgoutput(data));
