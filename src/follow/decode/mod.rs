//! Decoding: messages of an output plugin to the one model of [`super::change`].
//!
//! ```text
//!  payload ─► Decoder ─┬─ pgoutput       relations by oid, described by the stream
//!                      ├─ wal2json       relations by name, gathered from the rows
//!                      └─ test_decoding  relations by name, gathered from the rows
//! ```
//!
//! Invariants: values are slices of the payload wherever the plugin's bytes are the value's bytes
//! (always with pgoutput); a relation keeps its `Arc` until its description changes; the same
//! messages in the same order give the same events.
//!
//! Streamed transactions are put in order by the store: their chunks are decoded with
//! [`Place::Chunk`] between [`Decoder::begin_streamed`] and the Stream Commit, and those of
//! transactions and subtransactions that were rolled back never come here; so the descriptions in
//! them cannot replace the ones that hold.

mod pgoutput;
mod shape;
mod text;

use bytes::Bytes;
use proto::lsn::Lsn;
pub use proto::pgoutput::Place;

use super::change::{Begin, ChangeEvent};
use super::doubtful::DoubtfulColumn;
use crate::base::error::{Error, Result, Side};
use crate::config::Plugin;

/// Decodes the messages of one stream, in order.
#[derive(Debug)]
pub struct Decoder {
    plugin: Plugin,
    pgoutput: pgoutput::Decoder,
    text: text::Decoder,
    transaction: Transaction,
}

/// Whether a transaction is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// None is.
    None,
    /// Rows may follow.
    Open,
}

/// One message as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Position of the message: with a commit the end of the commit record.
    pub lsn: Lsn,
    /// Whether it stands inside a chunk of a streamed transaction.
    pub place: Place,
    /// What the plugin wrote.
    pub payload: Bytes,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(plugin: Plugin) -> Self {
        Self {
            plugin,
            pgoutput: pgoutput::Decoder::default(),
            text: text::Decoder::default(),
            transaction: Transaction::None,
        }
    }

    /// Decodes one message and appends what it says to `events`: nothing, one event, or (wal2json) a
    /// truncation held back and the event behind it; in its format 1 a whole transaction.
    ///
    /// # Errors
    /// `Protocol` when the message is malformed, does not fit the relation it names, names one that
    /// was never described, or stands where it may not.
    pub fn decode(&mut self, message: &Received, events: &mut Vec<ChangeEvent>) -> Result<()> {
        let before = events.len();
        let outcome = match self.plugin {
            Plugin::Pgoutput => self.pgoutput.decode(message, events),
            Plugin::Wal2json => self.text.wal2json(message, events),
            Plugin::TestDecoding => self.text.test_decoding(message, events),
        };
        outcome
            .and_then(|()| self.follow_transaction(events.get(before..).unwrap_or_default()))
            .map_err(|text| {
                events.truncate(before);
                let text = format!("message of {} at {}: {text}", self.plugin.name(), message.lsn);
                Error::protocol(Side::Source, text)
            })
    }

    /// Begins the replay of a streamed transaction, whose Begin the plugin does not send.
    pub fn begin_streamed(&mut self, xid: u32, events: &mut Vec<ChangeEvent>) {
        self.transaction = Transaction::Open;
        events.push(ChangeEvent::Begin(Begin { xid, commit_lsn: None, commit_time: None }));
    }

    /// Columns in which the plugin sent a null that may have been something else, each told once.
    pub fn take_doubtful(&mut self) -> Vec<DoubtfulColumn> {
        self.text.take_doubtful()
    }

    /// Forgets the open transaction: the connection broke inside it. Descriptions stay.
    pub fn abandon(&mut self) {
        self.transaction = Transaction::None;
        self.text.abandon();
    }

    /// Holds the order of events: begin, changes, commit.
    fn follow_transaction(&mut self, events: &[ChangeEvent]) -> Result<(), String> {
        for event in events {
            self.transaction = match (event, self.transaction) {
                (ChangeEvent::Begin(_), Transaction::None)
                | (ChangeEvent::Change(_), Transaction::Open) => Transaction::Open,
                (ChangeEvent::Commit(_), Transaction::Open)
                | (ChangeEvent::Position(_) | ChangeEvent::End(_), Transaction::None) => {
                    Transaction::None
                }
                (ChangeEvent::Abandon, _) => Transaction::None,
                (event, Transaction::Open) => {
                    return Err(format!("{} inside a transaction", name(event)));
                }
                (event, Transaction::None) => {
                    return Err(format!("{} outside of a transaction", name(event)));
                }
            };
        }
        Ok(())
    }
}

/// What an event is, for messages.
fn name(event: &ChangeEvent) -> &'static str {
    match event {
        ChangeEvent::Begin(_) => "begin",
        ChangeEvent::Change(_) => "change",
        ChangeEvent::Commit(_) => "commit",
        ChangeEvent::Abandon => "abandon",
        ChangeEvent::Position(_) => "position",
        ChangeEvent::End(_) => "end",
    }
}
