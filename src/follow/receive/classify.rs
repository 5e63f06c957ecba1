//! What a message means for storing it; its content is decoded later, at apply.

use proto::error::DecodeError;
use proto::lsn::Lsn;
use proto::pgoutput;
use proto::replication::XLogData;

use crate::config::Plugin;

/// What a message means for storing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A transaction begins; `commit_lsn` is the start of its commit record, where the plugin tells it.
    Begin { xid: u32, commit_lsn: Option<Lsn> },
    /// Something inside the open transaction or chunk.
    Content,
    /// A description of a relation or a type, inside the open transaction or chunk.
    Description,
    /// The open transaction is complete; the end of its commit record.
    Commit { end: Lsn },
    /// A chunk of a streamed transaction begins.
    StreamStart { xid: u32 },
    /// The chunk ends.
    StreamStop,
    /// A streamed transaction is complete.
    StreamCommit { xid: u32, end: Lsn },
    /// A streamed transaction or a part of it was rolled back.
    StreamAbort { xid: u32, subxid: u32 },
    /// Nothing that is kept: messages of `pg_logical_emit_message` (C-39).
    Nothing,
}

/// Says what a message means.
///
/// # Errors
/// For a message that is none of the plugin's, or one that was not asked for.
pub(super) fn classify(plugin: Plugin, message: &XLogData<'_>) -> Result<Meaning, DecodeError> {
    match plugin {
        Plugin::Pgoutput => classify_pgoutput(message.data),
        Plugin::Wal2json => Ok(classify_wal2json(message)),
        Plugin::TestDecoding => Ok(classify_test_decoding(message)),
    }
}

/// Says what a message of pgoutput means.
fn classify_pgoutput(data: &[u8]) -> Result<Meaning, DecodeError> {
    Ok(match pgoutput::classify(data)? {
        pgoutput::Kind::Begin(begin) => {
            Meaning::Begin { xid: begin.xid.0, commit_lsn: Some(begin.commit_lsn) }
        }
        pgoutput::Kind::Commit(commit) => Meaning::Commit { end: commit.end_lsn },
        pgoutput::Kind::StreamStart(start) => Meaning::StreamStart { xid: start.xid.0 },
        pgoutput::Kind::StreamStop => Meaning::StreamStop,
        pgoutput::Kind::StreamCommit(commit) => {
            Meaning::StreamCommit { xid: commit.xid.0, end: commit.end_lsn }
        }
        pgoutput::Kind::StreamAbort(abort) => {
            Meaning::StreamAbort { xid: abort.xid.0, subxid: abort.subxid.0 }
        }
        pgoutput::Kind::Message | pgoutput::Kind::TwoPhase => Meaning::Nothing,
        pgoutput::Kind::Content if matches!(data.first(), Some(b'R' | b'Y')) => {
            Meaning::Description
        }
        pgoutput::Kind::Content => Meaning::Content,
    })
}

/// Says what a message of wal2json, format version 2, means: its action is the first member.
///
/// The end of the commit record is where the server says the message belongs.
fn classify_wal2json(message: &XLogData<'_>) -> Meaning {
    let action = message.data.strip_prefix(b"{\"action\":\"").and_then(<[u8]>::first);
    match action {
        Some(b'B') => Meaning::Begin { xid: 0, commit_lsn: None },
        Some(b'C') => Meaning::Commit { end: message.wal_start },
        Some(b'M') => Meaning::Nothing,
        _ => Meaning::Content,
    }
}

/// Says what a line of test_decoding means.
fn classify_test_decoding(message: &XLogData<'_>) -> Meaning {
    if message.data.starts_with(b"BEGIN") {
        Meaning::Begin { xid: 0, commit_lsn: None }
    } else if message.data.starts_with(b"COMMIT") {
        Meaning::Commit { end: message.wal_start }
    } else if message.data.starts_with(b"message: ") {
        Meaning::Nothing
    } else {
        Meaning::Content
    }
}

#[cfg(test)]
mod tests {
    use proto::time::PgTimestamp;

    use super::*;

    fn meaning(plugin: Plugin, data: &[u8]) -> Meaning {
        let lsn = Lsn(700);
        let message = XLogData { wal_start: lsn, wal_end: lsn, sent_at: PgTimestamp(0), data };
        classify(plugin, &message).unwrap()
    }

    // Texts as the plugins write them: wal2json's README (format version 2), test_decoding's manual.
    #[test]
    fn text_plugins_end_a_transaction_where_the_server_says_the_message_belongs() {
        let begin = Meaning::Begin { xid: 0, commit_lsn: None };
        for (plugin, data, expected) in [
            (Plugin::Wal2json, &b"{\"action\":\"B\",\"xid\":734}"[..], begin),
            (
                Plugin::Wal2json,
                b"{\"action\":\"I\",\"schema\":\"B\",\"table\":\"C\"}",
                Meaning::Content,
            ),
            (Plugin::Wal2json, b"{\"action\":\"T\",\"schema\":\"s\"}", Meaning::Content),
            (Plugin::Wal2json, b"{\"action\":\"M\",\"transactional\":false}", Meaning::Nothing),
            (Plugin::Wal2json, b"{\"action\":\"C\"}", Meaning::Commit { end: Lsn(700) }),
            (Plugin::TestDecoding, b"BEGIN 734", begin),
            (
                Plugin::TestDecoding,
                b"table public.\"COMMIT\": INSERT: a[text]:'COMMIT'",
                Meaning::Content,
            ),
            (Plugin::TestDecoding, b"message: transactional: 1 prefix: a", Meaning::Nothing),
            (Plugin::TestDecoding, b"COMMIT 734", Meaning::Commit { end: Lsn(700) }),
        ] {
            assert_eq!(meaning(plugin, data), expected, "{}", data.escape_ascii());
        }
    }

    #[test]
    fn bytes_that_are_no_message_of_pgoutput_are_refused() {
        for data in [&b""[..], b"!", b"C\0"] {
            let lsn = Lsn(1);
            let message = XLogData { wal_start: lsn, wal_end: lsn, sent_at: PgTimestamp(0), data };
            assert!(classify(Plugin::Pgoutput, &message).is_err(), "{data:?}");
        }
    }
}
