//! Reads the store behind its writer, transaction by transaction.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proto::lsn::Lsn;
use tokio::sync::watch;

use super::Positions;
use super::record::{self, Decoded, FLAG_STREAMED, HEADER_BYTES, Kind, Record, RecordHeader};
use super::segment::{
    self, SegmentHeader, StreamIdentity, bytes_to_read, find_after, read_fully, segment_numbers,
    segment_path, spool_path,
};
use crate::base::error::{Error, Result};

/// What the store holds, in the order in which it is to be applied.
///
/// Payloads are the output plugin's messages, slices of the block they were read in. `streamed`: the
/// message holds a transaction id behind its tag (see the protocol's version 2).
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// How the messages that follow are to be decoded; first of all, and again where it changes.
    Identity(Arc<StreamIdentity>),
    /// A relation or a type that later messages refer to. Comes inside and outside of transactions,
    /// and also out of transactions that were applied before.
    Description {
        /// See [`Stored`].
        streamed: bool,
        /// The message.
        payload: Bytes,
    },
    /// A transaction begins.
    Begin {
        /// Its id on the source; 0 where the plugin's text holds it.
        xid: u32,
        /// The end of its commit record: known in advance for a streamed transaction only.
        end_lsn: Option<Lsn>,
        /// The message; a streamed transaction has none.
        payload: Option<Bytes>,
    },
    /// A change of the open transaction.
    Change {
        /// Position; 0 for all but the last message that one change makes.
        lsn: Lsn,
        /// See [`Stored`].
        streamed: bool,
        /// The message.
        payload: Bytes,
    },
    /// The open transaction is complete.
    Commit {
        /// The end of its commit record.
        end_lsn: Lsn,
        /// Whether it was streamed: the message is a stream commit then.
        streamed: bool,
        /// The message.
        payload: Bytes,
    },
    /// The open transaction is void; it comes again from its beginning, or not at all when it was
    /// stored before.
    Abandoned,
    /// No transaction is open, nothing at or before this is still to come.
    Position(Lsn),
    /// Everything that ends at or before this end position has come.
    EndReached(Lsn),
}

/// Reads a store from a position on.
#[derive(Debug)]
pub struct StoreReader {
    dir: PathBuf,
    positions: watch::Receiver<Positions>,
    /// How far the store was written when the reader last reached the writer.
    written: Positions,
    segment: u64,
    input: Input,
    /// Place in the segment behind which everything is wanted; before it only descriptions are.
    resume_at: u64,
    /// The spool that is being replayed, and the commit that ends it.
    spool: Option<(Input, Stored)>,
    identity: Option<Arc<StreamIdentity>>,
    ready: VecDeque<Stored>,
}

impl StoreReader {
    /// Opens a store for reading what ends after `after`.
    ///
    /// # Errors
    /// `State` when the store begins later than that: changes in between are not in it.
    pub async fn open(
        dir: &Path,
        after: Lsn,
        positions: watch::Receiver<Positions>,
    ) -> Result<Self> {
        let dir = dir.to_owned();
        let written = *positions.borrow();
        blocking(move || {
            let (segment, header) = find_segment(&dir, after)?;
            let path = segment_path(&dir, segment);
            let file = segment::open(&path)?;
            let failed = |error| Error::file(&path, error).during("read");
            let length = file.metadata().map_err(failed)?.len();
            let to = if segment == written.segment { written.offset } else { length };
            let resume_at = if after > header.start {
                find_after(&file, after, to).map_err(failed)?
            } else {
                0
            };
            Ok(Self {
                segment,
                input: Input::new(file, path),
                resume_at,
                spool: None,
                identity: None,
                ready: VecDeque::new(),
                dir,
                positions,
                written,
            })
        })
        .await
    }

    /// The next item; waits for the writer. `None` when the writer is gone and everything was read.
    ///
    /// Cancel safe while it waits for the writer; an item is never lost.
    ///
    /// # Errors
    /// `File` when a file cannot be read; `Data` when it holds what was never written.
    pub async fn next(&mut self) -> Result<Option<Stored>> {
        loop {
            if let Some(stored) = self.try_next().await? {
                return Ok(Some(stored));
            }
            if !self.wait().await {
                // What was published last must still be read.
                return self.try_next().await;
            }
        }
    }

    /// The next item; `None` when the reader has reached the writer.
    ///
    /// # Errors
    /// Those of [`StoreReader::next`].
    pub async fn try_next(&mut self) -> Result<Option<Stored>> {
        loop {
            if let Some(stored) = self.ready.pop_front() {
                return Ok(Some(stored));
            }
            if let Some((input, _)) = &mut self.spool {
                if let Some((header, payload)) = input.next(u64::MAX).await? {
                    return Ok(Some(streamed(header, payload)));
                }
                let end = self.spool.take();
                return Ok(end.map(|(_, commit)| commit));
            }
            if !self.read_segment().await? {
                return Ok(None);
            }
        }
    }

    /// Waits until the writer has written more than the last call saw; `false` when it is gone.
    ///
    /// Cancel safe.
    pub async fn wait(&mut self) -> bool {
        self.positions.changed().await.is_ok()
    }

    /// Reads one record of the segment; `false` when there is no more as yet.
    async fn read_segment(&mut self) -> Result<bool> {
        loop {
            let is_last = self.segment >= self.written.segment;
            let limit = if is_last { self.written.offset } else { u64::MAX };
            let place = self.input.offset();
            if let Some((header, payload)) = self.input.next(limit).await? {
                self.take(place, header, payload)?;
                return Ok(true);
            }
            if !is_last {
                break;
            }
            // Marked as seen: a later wait is for news. Asked only here, not for every record.
            let now = *self.positions.borrow_and_update();
            let before = std::mem::replace(&mut self.written, now);
            if (before.segment, before.offset) == (now.segment, now.offset) {
                return Ok(false);
            }
        }
        self.segment += 1;
        self.resume_at = 0;
        let path = segment_path(&self.dir, self.segment);
        let file = segment::open(&path).map_err(|error| {
            error.hint("The file was removed before it was applied: start over with --restart.")
        })?;
        self.input = Input::new(file, path);
        Ok(true)
    }

    /// Turns a record into items.
    fn take(&mut self, place: u64, header: RecordHeader, payload: Bytes) -> Result<()> {
        let is_streamed = header.flags & FLAG_STREAMED != 0;
        let wanted = place >= self.resume_at;
        match header.kind {
            Kind::Header => {
                let record = Record { header, payload: &payload };
                let decoded = SegmentHeader::decode(&record)
                    .ok_or_else(|| self.input.broken("a header that is not known"))?;
                if self.identity.as_deref() != Some(&decoded.identity) {
                    let identity = Arc::new(decoded.identity);
                    self.identity = Some(Arc::clone(&identity));
                    self.ready.push_back(Stored::Identity(identity));
                }
            }
            Kind::Description | Kind::Restated => {
                self.ready.push_back(Stored::Description { streamed: is_streamed, payload });
            }
            _ if !wanted => {}
            Kind::Begin => self.ready.push_back(Stored::Begin {
                xid: header.xid,
                end_lsn: None,
                payload: Some(payload),
            }),
            Kind::Change => self.ready.push_back(streamed(header, payload)),
            Kind::Commit => self.ready.push_back(Stored::Commit {
                end_lsn: header.lsn,
                streamed: false,
                payload,
            }),
            Kind::StreamCommit => {
                let path = spool_path(&self.dir, header.lsn, header.xid);
                let input = Input::new(segment::open(&path)?, path);
                let commit = Stored::Commit { end_lsn: header.lsn, streamed: true, payload };
                self.spool = Some((input, commit));
                self.ready.push_back(Stored::Begin {
                    xid: header.xid,
                    end_lsn: Some(header.lsn),
                    payload: None,
                });
            }
            Kind::Position => self.ready.push_back(Stored::Position(header.lsn)),
            Kind::Abandon => self.ready.push_back(Stored::Abandoned),
            Kind::EndReached => self.ready.push_back(Stored::EndReached(header.lsn)),
        }
        Ok(())
    }
}

/// A change or a description, inside a transaction.
fn streamed(header: RecordHeader, payload: Bytes) -> Stored {
    let streamed = header.flags & FLAG_STREAMED != 0;
    match header.kind {
        Kind::Description => Stored::Description { streamed, payload },
        _ => Stored::Change { lsn: header.lsn, streamed, payload },
    }
}

/// The last segment that begins at or before `after`; the first one when nothing was applied.
fn find_segment(dir: &Path, after: Lsn) -> Result<(u64, SegmentHeader)> {
    let numbers = segment_numbers(dir)?;
    let mut earliest = None;
    for number in numbers.iter().rev() {
        let Some(header) = SegmentHeader::read(&segment_path(dir, *number))? else { continue };
        if header.start <= after {
            return Ok((*number, header));
        }
        earliest = Some((*number, header));
    }
    match earliest {
        None => Err(Error::state(format!("there are no changes in \"{}\"", dir.display()))
            .hint("Receive changes first: pgcopydb stream prefetch.")),
        Some(first) if !after.is_valid() => Ok(first),
        Some((_, header)) => Err(Error::state(format!(
            "the changes in \"{}\" begin after {}, the target is at {after}: what lies between is \
             not there",
            dir.display(),
            header.start
        ))
        .hint("The target needs a new copy: start over with --restart.")),
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("reading the store failed: {error}")))?
}

/// So close behind the writer, in bytes, what is to be read lies in the page cache: reading it costs less
/// than waking another thread to do it.
const RECENT_BYTES: u64 = 4 << 20;

/// Where a block is read.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its first byte in the file.
    from: u64,
    /// No byte from here on is read.
    limit: u64,
}

/// Reads the next block of a file; what is left of the last one, the begin of a record of `needed` bytes,
/// comes before it. Returns both as one, and how many bytes were read.
fn read_block(
    file: &File,
    path: &Path,
    place: Place,
    rest: &[u8],
    needed: usize,
) -> Result<(Bytes, usize)> {
    let failed = |error| Error::file(path, error).during("read");
    let have = rest.len();
    let length = file.metadata().map_err(failed)?.len().min(place.limit);
    let wanted = bytes_to_read(needed, have, length.saturating_sub(place.from));
    let mut block = vec![0; have + wanted];
    block[..have].copy_from_slice(rest);
    let count = read_fully(file, &mut block[have..], place.from).map_err(failed)?;
    block.truncate(have + count);
    Ok((Bytes::from(block), count))
}

/// A file read in blocks.
#[derive(Debug)]
struct Input {
    file: Arc<File>,
    path: PathBuf,
    /// Read and not yet taken.
    block: Bytes,
    /// Place of the block's end in the file.
    end: u64,
}

impl Input {
    /// From the beginning.
    fn new(file: File, path: PathBuf) -> Self {
        Self { file: Arc::new(file), path, block: Bytes::new(), end: 0 }
    }

    /// Place of the next record.
    fn offset(&self) -> u64 {
        self.end - self.block.len() as u64
    }

    /// The next record, `None` at the end of the file or at `limit`.
    async fn next(&mut self, limit: u64) -> Result<Option<(RecordHeader, Bytes)>> {
        loop {
            let needed = match record::decode(&self.block) {
                Decoded::Record(record) => {
                    let (header, length) = (record.header, record.length());
                    let payload = self.block.slice(HEADER_BYTES..length);
                    self.block = self.block.slice(length..);
                    return Ok(Some((header, payload)));
                }
                Decoded::Broken => return Err(self.broken("a record with a bad checksum")),
                Decoded::Incomplete { needed } => needed,
            };
            if self.end >= limit || !self.fill(needed, limit).await? {
                return match self.block.is_empty() {
                    true => Ok(None),
                    false => Err(self.broken("a record that is cut")),
                };
            }
        }
    }

    /// Reads more; `false` at the end of the file.
    async fn fill(&mut self, needed: usize, limit: u64) -> Result<bool> {
        let place = Place { from: self.end, limit };
        let (rest, path) = (self.block.clone(), &self.path);
        let (block, count) = if limit.saturating_sub(self.end) <= RECENT_BYTES {
            read_block(&self.file, path, place, &rest, needed)?
        } else {
            let (file, path) = (Arc::clone(&self.file), path.clone());
            blocking(move || read_block(&file, &path, place, &rest, needed)).await?
        };
        self.block = block;
        self.end += count as u64;
        Ok(count > 0)
    }

    /// An error for what was never written.
    fn broken(&self, what: &str) -> Error {
        Error::data(
            crate::base::error::Side::Local,
            format!("\"{}\" holds {what} at offset {}", self.path.display(), self.offset()),
        )
        .hint("The file was changed or the disk is faulty: start over with --restart.")
    }
}
