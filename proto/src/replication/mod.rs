//! Streaming replication: the commands, and what travels in CopyData once the stream runs.
//!
//! ```text
//!  IDENTIFY_SYSTEM ─► CREATE_REPLICATION_SLOT ─► START_REPLICATION ─► CopyBoth
//!       │                    │                                          │  w XLogData, k keepalive
//!    who is it        consistent point, snapshot                        ▼
//!                                                            r StandbyStatusUpdate
//! ```
//!
//! [`command`] writes the text of the commands and reads the rows they answer with; [`message`]
//! decodes and encodes the messages of the stream. What the stream carries is the output plugin's:
//! [`crate::pgoutput`], [`crate::wal2json`], [`crate::test_decoding`].
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html>.

pub mod command;
pub mod message;

pub use command::{
    CreateSlot, CreatedSlot, DropSlot, Failover, IdentifySystem, Lifetime, ReplyError,
    SlotSnapshot, StartReplication,
};
pub use message::{Keepalive, ReplicationMessage, ReplyWish, StandbyStatusUpdate, XLogData};
