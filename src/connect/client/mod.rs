//! Sessions: a connected, authenticated stream and the queries, pipelines and COPY on it.
//!
//! ```text
//!  connect ── hosts, TLS attempts, authentication, target_session_attrs
//!  io      ── frames in, bytes out; the only code that touches the socket
//!  query   ── simple and extended queries, small owned results
//!  pipeline── many statements, one round trip
//!  queue   ── prepared statements and COPY data, sent as one train
//!  copy    ── enter and leave COPY; what the relay moves in between
//!  replication ── a logical walsender: slots, the stream of changes, feedback
//!  cancel  ── CancelRequest on a second connection
//!  retry   ── pauses between attempts at what is transient
//!  settings── what every session pins first
//!  trace   ── frames in the log
//! ```
//!
//! A session is used by one task at a time (`&mut self`). After an error of class `Transient` or
//! `Internal` it is unusable and must be dropped ([`Session::is_broken`]); after a server error it
//! is in step again and may be used on, in a failed transaction if one was open.

mod buffer;
mod cancel;
mod connect;
mod copy;
mod io;
mod pipeline;
mod query;
mod queue;
pub mod replication;
pub mod retry;
mod rows;
pub mod settings;
mod trace;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proto::types::TransactionStatus;

use super::net::Stream;
use crate::base::error::Side;

pub use buffer::READ_BYTES;
pub use cancel::CancelHandle;
pub use pipeline::PipelineStatement;
pub use query::StatementResult;
pub use queue::{Parameter, QueueResult};
pub use rows::{CommandResult, Row, Rows};

/// A session with one server.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    side: Side,
    read: buffer::ReadBuffer,
    write: BytesMut,
    /// Values that belong between bytes of `write`, at these places in ascending order; not copied.
    lent: Vec<(usize, Bytes)>,
    parameters: BTreeMap<String, String>,
    cancel: CancelHandle,
    status: TransactionStatus,
    broken: bool,
}

impl Session {
    /// Which end this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The backend's process id.
    pub fn process_id(&self) -> u32 {
        self.cancel.process_id()
    }

    /// A parameter that the server reported (`server_version`, `server_encoding`, …).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// `server_version_num` of the first release of the server's major version (150000 for every 15.x); 0
    /// where it did not say.
    pub fn version(&self) -> u32 {
        self.parameter("server_version").map_or(0, settings::version_number)
    }

    /// What a CancelRequest for this session needs; may outlive it.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Whether a transaction is open, failed or not, as of the last answer.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether the byte stream is lost or out of step: the session can only be dropped.
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}
