//! Sockets and TLS: from a host to a byte stream that a session can speak on.
//!
//! ```text
//! ordered_hosts ─► resolve ─► attempts ─► open ─► Stream
//!   (shuffle)       (DNS)     (sslmode)    │
//!                                          ├─ socket   keepalive, timeouts
//!                                          └─ tls ◄─ roots, identity, verify, channel_binding
//! ```
//!
//! `connect::client` walks the first three and authenticates on what [`open`] returns, because
//! whether the next attempt follows depends on the server's answer to the authentication.
//! TLS is never spoken on unix sockets, whatever `sslmode` says, as in libpq.

mod channel_binding;
mod dial;
mod failure;
mod identity;
mod name;
mod roots;
mod socket;
mod stream;
mod tls;
mod verify;

pub use dial::{TlsAttempt, attempts, open, ordered_hosts, resolve};
pub use failure::{OpenError, OpenFailure};
pub use stream::{ByteStream, Stream};
