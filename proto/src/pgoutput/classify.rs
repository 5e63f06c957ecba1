//! What a payload is, from its first bytes: for those who store messages and sort them by
//! transaction, and need no rows for it.

use super::{Begin, Commit, StreamAbort, StreamCommit, StreamStart, tag};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::read::Reader;

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A transaction begins.
    Begin(Begin),
    /// It is complete.
    Commit(Commit),
    /// A chunk of a streamed transaction begins.
    StreamStart(StreamStart),
    /// The chunk ends.
    StreamStop,
    /// A streamed transaction is complete.
    StreamCommit(StreamCommit),
    /// A streamed transaction, or a part of it, was rolled back.
    StreamAbort(StreamAbort),
    /// A message of two-phase commit, which nobody asked for.
    TwoPhase,
    /// `pg_logical_emit_message`; outside of transactions when it is not transactional.
    Message,
    /// What stands inside a transaction or a chunk: rows, truncations, relations, types, origins.
    Content,
}

/// Says what a payload is. Only boundaries are decoded; the content is not looked at.
///
/// # Errors
/// As [`super::LogicalMessage::decode`], for boundaries; `UnexpectedMessage` for an unknown tag.
pub fn classify(payload: &[u8]) -> Result<Kind, DecodeError> {
    let mut reader = Reader::named(super::message_name(payload), payload);
    let at = reader.clone();
    let first = reader.u8()?;
    let kind = match first {
        tag::INSERT
        | tag::UPDATE
        | tag::DELETE
        | tag::TRUNCATE
        | tag::RELATION
        | tag::TYPE
        | tag::ORIGIN => return Ok(Kind::Content),
        tag::MESSAGE => return Ok(Kind::Message),
        tag::BEGIN_PREPARE
        | tag::PREPARE
        | tag::COMMIT_PREPARED
        | tag::ROLLBACK_PREPARED
        | tag::STREAM_PREPARE => return Ok(Kind::TwoPhase),
        tag::BEGIN => Kind::Begin(Begin::read(&mut reader)?),
        tag::COMMIT => Kind::Commit(Commit::read(&mut reader)?),
        tag::STREAM_START => Kind::StreamStart(StreamStart::read(&mut reader)?),
        tag::STREAM_STOP => Kind::StreamStop,
        tag::STREAM_COMMIT => Kind::StreamCommit(StreamCommit::read(&mut reader)?),
        tag::STREAM_ABORT => Kind::StreamAbort(StreamAbort::read(&mut reader)?),
        other => {
            let expected = "message of pgoutput";
            return Err(at.error(DecodeErrorKind::UnexpectedMessage { expected, tag: other }));
        }
    };
    reader.finish().map(|()| kind)
}
