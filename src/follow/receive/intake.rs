//! Puts what arrives into the store and says when the end position is reached. No I/O.
//!
//! Rules, in the words of K12, K13 and K18:
//! - a transaction is stored when its commit has arrived, and named by the end of its commit record;
//! - a keepalive's position counts only while no transaction is open;
//! - the end position is inclusive: what ends after it is not stored, and nothing is stored after it.

use bytes::Bytes;
use proto::error::DecodeError;
use proto::lsn::Lsn;
use proto::read::Reader;
use proto::replication::{Keepalive, XLogData};

use super::classify::{Meaning, classify};
use crate::base::error::{Error, Result, Side};
use crate::config::Plugin;
use crate::follow::store::{Payload, StoreWriter};

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// More is wanted.
    Continue,
    /// Everything up to the end position is in the store.
    Reached,
}

/// The state of what arrives on one connection, and counts over all of them.
#[derive(Debug)]
pub(super) struct Intake {
    plugin: Plugin,
    /// Where to stop.
    endpos: Option<Lsn>,
    /// The streamed transaction whose chunk is coming in.
    chunk: Option<u32>,
    /// End of what was handed to us.
    received: Lsn,
    /// Last position of a keepalive that came outside of transactions and is not stored.
    idle_at: Option<Lsn>,
    /// Transactions stored.
    transactions: u64,
}

impl Intake {
    /// Nothing arrived yet; everything up to `start` is stored.
    pub(super) fn new(plugin: Plugin, start: Lsn) -> Self {
        Self { plugin, endpos: None, chunk: None, received: start, idle_at: None, transactions: 0 }
    }

    /// End of what was handed to us.
    pub(super) fn received(&self) -> Lsn {
        self.received
    }

    /// Transactions stored since the start of the process.
    pub(super) fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The end position still to be reached.
    pub(super) fn endpos(&self) -> Option<Lsn> {
        self.endpos
    }

    /// Sets or removes the end position; what is stored already may lie behind it.
    pub(super) fn set_endpos(&mut self, endpos: Option<Lsn>, store: &mut StoreWriter) -> Flow {
        self.endpos = endpos;
        match endpos {
            Some(endpos) if endpos <= store.boundary() => reached(endpos, store),
            _ => Flow::Continue,
        }
    }

    /// A new connection: the server begins again with whole transactions.
    pub(super) fn reconnected(&mut self) {
        self.chunk = None;
        self.idle_at = None;
    }

    /// Stores a message of the plugin; `owner` is the memory that it lies in where that is worth keeping.
    ///
    /// # Errors
    /// `Protocol` for a message that makes no sense here.
    pub(super) fn message(
        &mut self,
        message: &XLogData<'_>,
        owner: Option<&Bytes>,
        store: &mut StoreWriter,
    ) -> Result<Flow> {
        self.received = self.received.max(message.wal_end);
        let meaning = classify(self.plugin, message).map_err(|error| bad(&error))?;
        let (lsn, data) = (message.wal_start, message.data);
        match meaning {
            Meaning::Begin { xid, commit_lsn } => {
                // It ends behind the start of its commit record.
                if let (Some(endpos), Some(commit)) = (self.endpos, commit_lsn)
                    && commit >= endpos
                {
                    // Whatever ends before was sent before.
                    store.position(endpos)?;
                    return Ok(reached(endpos, store));
                }
                store.begin(xid, lsn, data);
            }
            Meaning::Commit { end } => {
                if !store.in_transaction() {
                    return Err(out_of_place("a commit", "outside of a transaction"));
                }
                if let Some(endpos) = self.ends_behind(end) {
                    return Ok(reached(endpos, store));
                }
                self.transactions += u64::from(store.commit(end, data)?);
                return Ok(self.at(end, store));
            }
            Meaning::StreamStart { xid } => self.chunk = Some(xid),
            Meaning::StreamStop => self.chunk = None,
            Meaning::StreamAbort { xid, subxid } => store.stream_abort(xid, subxid),
            Meaning::StreamCommit { xid, end } => {
                if let Some(endpos) = self.ends_behind(end) {
                    store.stream_abort(xid, xid);
                    return Ok(reached(endpos, store));
                }
                self.transactions += u64::from(store.stream_commit(xid, end, data)?);
                return Ok(self.at(end, store));
            }
            Meaning::Content | Meaning::Description => {
                self.content(meaning, message, owner, store)?;
            }
            Meaning::Nothing => {}
        }
        Ok(Flow::Continue)
    }

    /// Stores what stands inside a transaction or a chunk.
    fn content(
        &self,
        meaning: Meaning,
        message: &XLogData<'_>,
        owner: Option<&Bytes>,
        store: &mut StoreWriter,
    ) -> Result<()> {
        let (lsn, data) = (message.wal_start, message.data);
        let payload = Payload { bytes: data, owner };
        match self.chunk {
            Some(xid) => {
                let subxid = streamed_xid(data).map_err(|error| bad(&error))?.unwrap_or(xid);
                store.stream_message(xid, subxid, lsn, payload);
            }
            None if !store.in_transaction() => {
                return Err(out_of_place("a change", "outside of a transaction"));
            }
            None if meaning == Meaning::Description => store.describe(lsn, data),
            None => store.change(lsn, payload),
        }
        Ok(())
    }

    /// Takes note of a keepalive.
    ///
    /// # Errors
    /// `Internal` when a segment header cannot be written.
    pub(super) fn keepalive(
        &mut self,
        keepalive: &Keepalive,
        store: &mut StoreWriter,
    ) -> Result<Flow> {
        self.received = self.received.max(keepalive.wal_end);
        if store.in_transaction() {
            return Ok(Flow::Continue);
        }
        match self.endpos {
            Some(endpos) if endpos <= keepalive.wal_end => {
                // Whatever ends between the two was received and would have ended the stream.
                store.position(endpos)?;
                Ok(reached(endpos, store))
            }
            _ => {
                self.idle_at = Some(keepalive.wal_end);
                Ok(Flow::Continue)
            }
        }
    }

    /// Stores the position of the last keepalive: to be called now and then.
    ///
    /// # Errors
    /// `Internal` when a segment header cannot be written.
    pub(super) fn store_idle_position(&mut self, store: &mut StoreWriter) -> Result<()> {
        match self.idle_at.take() {
            Some(position) => store.position(position),
            None => Ok(()),
        }
    }

    /// The end position when a transaction that ends at `end` is behind it.
    fn ends_behind(&self, end: Lsn) -> Option<Lsn> {
        self.endpos.filter(|endpos| end > *endpos)
    }

    /// Ends behind a transaction, or goes on.
    fn at(&self, end: Lsn, store: &mut StoreWriter) -> Flow {
        match self.endpos {
            Some(endpos) if end >= endpos => reached(endpos, store),
            _ => Flow::Continue,
        }
    }
}

/// Marks in the store that the end position is reached; an open transaction ends behind it.
fn reached(endpos: Lsn, store: &mut StoreWriter) -> Flow {
    store.end_reached(endpos);
    Flow::Reached
}

/// The transaction that a message inside a chunk names: the word behind its tag. Origins have none.
fn streamed_xid(data: &[u8]) -> Result<Option<u32>, DecodeError> {
    let mut reader = Reader::named("streamed message", data);
    if reader.u8()? == b'O' {
        return Ok(None);
    }
    reader.u32().map(Some)
}

/// An error for a message that cannot be read.
fn bad(error: &DecodeError) -> Error {
    Error::protocol(Side::Source, format!("replication stream: {error}"))
}

/// An error for a message that has no place here.
fn out_of_place(what: &str, place: &str) -> Error {
    Error::protocol(Side::Source, format!("replication stream: {what} {place}"))
}
