//! The PostgreSQL frontend/backend protocol as values, without I/O.
//!
//! Sans-io means: bytes come in as slices, bytes go out into buffers the caller owns, and nothing
//! here opens a socket, reads a clock, spawns a task or blocks. The caller (`connect` in the root
//! crate) moves the bytes.
//!
//! # Modules
//!
//! ```text
//!  frontend  ── values -> bytes          startup ── state machine: StartupMessage .. ReadyForQuery
//!  backend   ── (tag, body) -> values    copy    ── relay of CopyData frames, PGCOPY, COPY text
//!  frame     ── bytes -> (tag, body)     trace   ── one line of text per frame
//!  limits    ── largest body per tag
//!  read      ── Reader: the only code that takes input apart
//!  replication ── commands of streaming replication; XLogData, keepalive, status update
//!  pgoutput wal2json test_decoding ── messages of the output plugins
//!  error lsn time types sqlstate ── plain values
//! ```
//!
//! # Invariants
//!
//! - **A1** No input, however malformed, makes this crate panic, recurse without bound, or allocate
//!   more than a small multiple of the bytes it was given. The lints `indexing_slicing`, `panic`,
//!   `unwrap_used`, `expect_used` and `arithmetic_side_effects` are denied; `unsafe` is forbidden.
//! - **A2** Wire bytes are taken apart only by [`read::Reader`] (and, for the five bytes of a frame
//!   header, by [`frame`], which is the hot path of the COPY relay).
//! - Text from a server is bytes until proven text: a `SQL_ASCII` database may send anything. The
//!   text of [`wal2json`] and [`test_decoding`] is UTF-8 or refused.
//!
//! # Adding one more backend message
//!
//! A constant in [`backend::tag`], a limit in [`limits`], a variant of
//! [`backend::BackendMessage`], a decode function in the file of its kind, a line in `trace`, a
//! golden test with the bytes from the documentation, and a seed in `fuzz/corpus/backend`.

pub mod backend;
pub mod copy;
pub mod error;
pub mod frame;
pub mod frontend;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod limits;
pub mod lsn;
pub mod pgoutput;
pub mod read;
pub mod replication;
pub mod sqlstate;
pub mod startup;
pub mod test_decoding;
pub mod time;
pub mod trace;
pub mod types;
pub mod wal2json;
