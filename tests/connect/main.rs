//! Connecting to real servers: connection strings, transports, TLS, authentication.
//!
//! Where libpq is the specification, `psql` is asked too, with the same string, and must agree.

mod auth;
mod certificates;
mod hosts;
mod support;
mod tls;
mod wire;
