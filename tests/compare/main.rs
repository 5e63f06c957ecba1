//! `pgcopydb compare` between real servers: the differences are made by SQL on one side.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod all_databases;
mod data;
mod filters;
mod schema;
mod support;
