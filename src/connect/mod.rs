//! Connection strings, sockets, TLS, sessions.

pub mod client;
pub mod conninfo;
pub mod net;
