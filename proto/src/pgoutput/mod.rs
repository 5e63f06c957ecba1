//! Messages of `pgoutput`, PostgreSQL's own output plugin, protocol versions 1 to 4.
//!
//! ```text
//!  B  R I R U D T … C            a transaction, complete when it arrives (version 1)
//!  S  R I U … E     S I … E  c   a large one in chunks while it runs, ended by c or A (version 2)
//!  b  I … P    K | r             a prepared one, when two-phase is asked for (version 3)
//! ```
//!
//! Inside a chunk every row, relation, type, truncation and message carries the (sub)transaction's
//! id in front. A relation is described before its first row, and again before the first row after
//! any change of it; in a chunk the description belongs to the transaction that carries it.
//!
//! [`LogicalMessage`] borrows from the payload and is checked as a whole when it is decoded;
//! [`classify()`] looks at the first bytes only, for those who store and sort.
//!
//! # Adding one more message
//!
//! A constant in [`tag`], a variant, a line in `decode`, a function in the file of its kind, a
//! golden test composed from the documentation, a seed in `fuzz/corpus/pgoutput`.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>.

mod boundary;
mod classify;
mod relation;
mod tuple;

pub use boundary::{
    Begin, Commit, CommitPrepared, Prepare, RollbackPrepared, StreamAbort, StreamAbortPlace,
    StreamCommit, StreamStart,
};
pub use classify::{Kind, classify};
pub use relation::{Column, Message, Origin, Relation, ReplicaIdentity, Truncate, Type};
pub use tuple::{ColumnValue, Delete, Insert, OldTuple, TupleData, Update};

use crate::error::{DecodeError, DecodeErrorKind};
use crate::read::Reader;
use crate::types::Xid;

/// First bytes of the messages.
pub mod tag {
    /// Begin.
    pub const BEGIN: u8 = b'B';
    /// Commit.
    pub const COMMIT: u8 = b'C';
    /// Origin.
    pub const ORIGIN: u8 = b'O';
    /// Relation.
    pub const RELATION: u8 = b'R';
    /// Type.
    pub const TYPE: u8 = b'Y';
    /// Insert.
    pub const INSERT: u8 = b'I';
    /// Update.
    pub const UPDATE: u8 = b'U';
    /// Delete.
    pub const DELETE: u8 = b'D';
    /// Truncate.
    pub const TRUNCATE: u8 = b'T';
    /// Message.
    pub const MESSAGE: u8 = b'M';
    /// Stream Start.
    pub const STREAM_START: u8 = b'S';
    /// Stream Stop.
    pub const STREAM_STOP: u8 = b'E';
    /// Stream Commit.
    pub const STREAM_COMMIT: u8 = b'c';
    /// Stream Abort.
    pub const STREAM_ABORT: u8 = b'A';
    /// Begin Prepare.
    pub const BEGIN_PREPARE: u8 = b'b';
    /// Prepare.
    pub const PREPARE: u8 = b'P';
    /// Commit Prepared.
    pub const COMMIT_PREPARED: u8 = b'K';
    /// Rollback Prepared.
    pub const ROLLBACK_PREPARED: u8 = b'r';
    /// Stream Prepare.
    pub const STREAM_PREPARE: u8 = b'p';
}

/// Whether a message stands inside a chunk of a streamed transaction, between Stream Start and
/// Stream Stop: there rows and relations carry a transaction id in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Outside of every chunk.
    Plain,
    /// Inside a chunk.
    Chunk,
}

/// A message of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogicalMessage<'a> {
    /// A transaction begins; all of it follows.
    Begin(Begin),
    /// It is complete.
    Commit(Commit),
    /// It was replicated to the source from elsewhere.
    Origin(Origin<'a>),
    /// What a table looks like.
    Relation(Relation<'a>),
    /// The name of a type that is not built in.
    Type(Type<'a>),
    /// A new row.
    Insert(Insert<'a>),
    /// A changed row.
    Update(Update<'a>),
    /// A removed row.
    Delete(Delete<'a>),
    /// Emptied tables.
    Truncate(Truncate<'a>),
    /// Something an application wrote with `pg_logical_emit_message`.
    Message(Message<'a>),
    /// A chunk of a transaction that still runs begins.
    StreamStart(StreamStart),
    /// The chunk ends.
    StreamStop,
    /// A streamed transaction is complete.
    StreamCommit(StreamCommit),
    /// A streamed transaction, or a part of it, was rolled back.
    StreamAbort(StreamAbort),
    /// A transaction that will be prepared begins.
    BeginPrepare(Prepare<'a>),
    /// It is prepared.
    Prepare(Prepare<'a>),
    /// A prepared transaction was committed.
    CommitPrepared(CommitPrepared<'a>),
    /// A prepared transaction was rolled back.
    RollbackPrepared(RollbackPrepared<'a>),
    /// A streamed transaction is prepared.
    StreamPrepare(Prepare<'a>),
}

impl<'a> LogicalMessage<'a> {
    /// Decodes one payload that stands outside of chunks.
    ///
    /// # Errors
    /// A [`DecodeError`] naming the message and the offset when the payload is truncated, has bytes
    /// left over, or holds a value that the protocol does not define.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_at(Place::Plain, payload).map(|(_, message)| message)
    }

    /// Decodes one payload, with the id of the (sub)transaction that made it where it carries one.
    ///
    /// # Errors
    /// As [`LogicalMessage::decode`].
    pub fn decode_at(place: Place, payload: &'a [u8]) -> Result<(Option<Xid>, Self), DecodeError> {
        let mut reader = Reader::named(message_name(payload), payload);
        let at = reader.clone();
        let first = reader.u8()?;
        let xid = match place {
            Place::Chunk if has_xid(first) => Some(Xid(reader.u32()?)),
            Place::Chunk | Place::Plain => None,
        };
        let r = &mut reader;
        let message = match first {
            tag::BEGIN => Self::Begin(Begin::read(r)?),
            tag::COMMIT => Self::Commit(Commit::read(r)?),
            tag::ORIGIN => Self::Origin(Origin::read(r)?),
            tag::RELATION => Self::Relation(Relation::read(r)?),
            tag::TYPE => Self::Type(Type::read(r)?),
            tag::INSERT => Self::Insert(Insert::read(r)?),
            tag::UPDATE => Self::Update(Update::read(r)?),
            tag::DELETE => Self::Delete(Delete::read(r)?),
            tag::TRUNCATE => Self::Truncate(Truncate::read(r)?),
            tag::MESSAGE => Self::Message(Message::read(r)?),
            tag::STREAM_START => Self::StreamStart(StreamStart::read(r)?),
            tag::STREAM_STOP => Self::StreamStop,
            tag::STREAM_COMMIT => Self::StreamCommit(StreamCommit::read(r)?),
            tag::STREAM_ABORT => Self::StreamAbort(StreamAbort::read(r)?),
            tag::BEGIN_PREPARE => Self::BeginPrepare(Prepare::read_begin(r)?),
            tag::PREPARE => Self::Prepare(Prepare::read(r)?),
            tag::COMMIT_PREPARED => Self::CommitPrepared(CommitPrepared::read(r)?),
            tag::ROLLBACK_PREPARED => Self::RollbackPrepared(RollbackPrepared::read(r)?),
            tag::STREAM_PREPARE => Self::StreamPrepare(Prepare::read(r)?),
            other => {
                let expected = "message of pgoutput";
                return Err(at.error(DecodeErrorKind::UnexpectedMessage { expected, tag: other }));
            }
        };
        reader.finish().map(|()| (xid, message))
    }
}

/// Whether messages with this tag carry a transaction id inside chunks.
const fn has_xid(first: u8) -> bool {
    matches!(
        first,
        tag::RELATION
            | tag::TYPE
            | tag::INSERT
            | tag::UPDATE
            | tag::DELETE
            | tag::TRUNCATE
            | tag::MESSAGE
    )
}

/// The message's name in the documentation, for errors.
const fn message_name(payload: &[u8]) -> &'static str {
    match payload.first() {
        Some(&tag::BEGIN) => "Begin",
        Some(&tag::COMMIT) => "Commit",
        Some(&tag::ORIGIN) => "Origin",
        Some(&tag::RELATION) => "Relation",
        Some(&tag::TYPE) => "Type",
        Some(&tag::INSERT) => "Insert",
        Some(&tag::UPDATE) => "Update",
        Some(&tag::DELETE) => "Delete",
        Some(&tag::TRUNCATE) => "Truncate",
        Some(&tag::MESSAGE) => "Message",
        Some(&tag::STREAM_START) => "Stream Start",
        Some(&tag::STREAM_STOP) => "Stream Stop",
        Some(&tag::STREAM_COMMIT) => "Stream Commit",
        Some(&tag::STREAM_ABORT) => "Stream Abort",
        Some(&tag::BEGIN_PREPARE) => "Begin Prepare",
        Some(&tag::PREPARE) => "Prepare",
        Some(&tag::COMMIT_PREPARED) => "Commit Prepared",
        Some(&tag::ROLLBACK_PREPARED) => "Rollback Prepared",
        Some(&tag::STREAM_PREPARE) => "Stream Prepare",
        _ => "pgoutput message",
    }
}

#[cfg(test)]
mod tests;
