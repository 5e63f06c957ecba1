//! Change data capture between real servers, judged by the servers' own tools.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod apply;
mod apply_faults;
mod apply_random;
mod capture;
mod commands;
mod manual;
mod options;
mod receive;
mod setup;
mod source;
mod stream;
mod text;
mod traps;
