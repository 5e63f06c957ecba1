//! The store: received changes on disk, between receive and apply.
//!
//! ```text
//!  StoreWriter ──steps──► thread (write, fdatasync) ──Positions──► StoreReader
//!                            │
//!            cdc/0000000000000007.segment   transactions in commit order
//!            cdc/000000002A7F1B40-771.spool a streamed transaction, named by a record of a segment
//!            cdc/772.open                   one that is not complete
//! ```
//!
//! Invariants:
//! - files are only appended to (a torn tail and the spool of a rolled-back subtransaction excepted);
//! - what [`Positions`] says was synced before it was said, and a spool before the record that names it;
//! - [`Positions::durable`] is the end of a complete transaction, or a position at which none is open:
//!   nothing at or before it is missing;
//! - a segment ends between transactions and begins with every description that a reader needs there.
//!
//! Format: `record`; names and header: `segment`; the whole story: `docs/cdc.md`.

mod crc32c;
mod disk;
mod disk_thread;
mod follow_files;
mod open;
mod payload;
mod prune;
mod reader;
pub mod record;
mod segment;
mod spool;
mod writer;

pub use disk::Room;
pub use follow_files::{StoreState, follow_files, read_state};
pub use payload::Payload;
pub use prune::{Prune, Pruned, prune};
pub use reader::{StoreReader, Stored};
pub use segment::{SegmentHeader, StreamIdentity};
pub use writer::{BATCH_BYTES, StoreOptions, StoreWriter};

use proto::lsn::Lsn;

/// How far a store is on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Positions {
    /// Number of the newest segment.
    pub segment: u64,
    /// Bytes of it that are durable.
    pub offset: u64,
    /// Everything that ends at or before this position is durable.
    pub durable: Lsn,
    /// Bytes of all files.
    pub disk_bytes: u64,
    /// Whether there is room for more.
    pub room: Room,
}
