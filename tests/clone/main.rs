//! `pgcopydb clone` between real servers, judged by the servers' own tools.
//!
//! One module per group of traps; each test names the traps it is about.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod autovacuum;
mod check;
mod encodings;
mod everything;
mod extensions;
mod hooks;
mod large;
mod managed;
mod objects;
mod options;
mod paths;
mod refusals;
mod resume;
mod roles;
mod snapshot;
mod support;
mod tables;
mod values;
