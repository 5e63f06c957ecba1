//! The commands beside `clone`, between real servers, judged by the servers' own tools.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod extensions;
mod filters;
mod lists;
mod options;
mod progress;
mod roles;
mod snapshot;
mod steps;
mod support;
