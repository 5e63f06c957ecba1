//! Puts messages in order into the store: what belongs to which file, what is complete.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use proto::lsn::Lsn;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::Positions;
use super::disk::{Limits, Room};
use super::disk_thread::{Batch, Disk, Failure, Op};
use super::open::{self, Opened};
use super::payload::Payload;
use super::record::{self, FLAG_STREAMED, HEADER_BYTES, Kind, RecordHeader};
use super::segment::{DescriptionKey, SegmentHeader, StreamIdentity, description_key};
use super::spool::OpenSpool;
use crate::base::error::{Error, Result};

/// How many batches may wait for the disk.
const QUEUE_LENGTH: usize = 8;

/// Bytes that may wait for the disk, in all batches together: a slow disk then holds the socket back. A
/// batch that is larger, which one huge message can make, waits until the queue is empty and passes
/// alone.
const QUEUE_BYTES: u32 = 2 << 20;

/// Bytes gathered before they are handed to the disk.
pub const BATCH_BYTES: usize = 256 * 1024;

/// How a store is written.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// A segment is ended at the first boundary behind so many bytes. A transaction is never divided
    /// between two segments: its space cannot be freed before it is applied as a whole anyway.
    pub segment_bytes: u64,
    /// Most bytes on disk; `None`: as long as a tenth of the file system is free.
    pub disk_bytes_max: Option<u64>,
}

/// Writes the store. One per store; see [`super`] for what it guarantees.
#[derive(Debug)]
pub struct StoreWriter {
    identity: StreamIdentity,
    options: StoreOptions,
    sender: mpsc::Sender<Batch>,
    /// Room in the queue, in bytes.
    room: Arc<Semaphore>,
    positions: watch::Receiver<Positions>,
    failure: Failure,
    /// Steps not yet handed over, and records of the segment behind them.
    ops: Vec<Op>,
    main: Vec<u8>,
    /// Bytes in `ops` and `main`.
    gathered: usize,
    segment: u64,
    segment_length: u64,
    /// Bytes of the segment's header and restated descriptions.
    preamble_length: u64,
    /// Last boundary put in order.
    boundary: Lsn,
    /// A transaction has begun in the segment.
    in_transaction: bool,
    descriptions: BTreeMap<DescriptionKey, (u8, Vec<u8>)>,
    spools: HashMap<u32, OpenSpool>,
}

impl StoreWriter {
    /// Opens the store in a directory, or begins one that holds what comes after `start`.
    ///
    /// What a crash left is repaired: a torn tail is cut at the first bad record, an incomplete
    /// transaction is marked void, spools that nothing names are removed.
    ///
    /// # Errors
    /// `State` when the store belongs to another source, slot or plugin; `File` otherwise.
    pub fn open(
        dir: &Path,
        identity: StreamIdentity,
        start: Lsn,
        options: StoreOptions,
    ) -> Result<Self> {
        let Opened { segment, positions, descriptions, in_transaction, same_settings } =
            open::open(dir, &identity, start)?;
        let (publish, receiver) = watch::channel(positions);
        let (sender, ops) = mpsc::channel(QUEUE_LENGTH);
        let failure = Failure::default();
        let disk = Disk {
            dir: dir.to_owned(),
            segment,
            positions,
            limits: Limits::new(options.disk_bytes_max),
            publish,
            spools: HashMap::new(),
        };
        let slot = Failure::clone(&failure);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || disk.run(ops, &slot))
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        let mut writer = Self {
            identity,
            options,
            sender,
            room: Arc::new(Semaphore::new(QUEUE_BYTES as usize)),
            positions: receiver,
            failure,
            ops: Vec::new(),
            main: Vec::new(),
            gathered: 0,
            segment: positions.segment,
            segment_length: positions.offset,
            preamble_length: 0,
            boundary: positions.durable,
            in_transaction,
            descriptions,
            spools: HashMap::new(),
        };
        writer.abandon();
        if !same_settings {
            writer.rotate()?;
        }
        Ok(writer)
    }

    /// Where the messages come from.
    pub fn identity(&self) -> &StreamIdentity {
        &self.identity
    }

    /// The source is on another timeline from now on.
    ///
    /// # Errors
    /// `Internal` when a segment header cannot be written.
    pub fn set_timeline(&mut self, timeline: u32) -> Result<()> {
        if self.identity.timeline == timeline {
            return Ok(());
        }
        self.identity.timeline = timeline;
        self.abandon();
        self.rotate()
    }

    /// How far the store is on disk; readers wait on it.
    pub fn positions(&self) -> watch::Receiver<Positions> {
        self.positions.clone()
    }

    /// Last boundary put in order; durable once [`Positions::durable`] is there.
    pub fn boundary(&self) -> Lsn {
        self.boundary
    }

    /// Whether a transaction has begun and not ended, streamed ones excepted: those are sent again
    /// whole, whatever was confirmed in between.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Whether gathered bytes should be handed to the disk before more is read.
    pub fn should_flush(&self) -> bool {
        self.gathered >= BATCH_BYTES
    }

    /// A transaction begins.
    pub fn begin(&mut self, xid: u32, lsn: Lsn, message: &[u8]) {
        self.abandon();
        self.in_transaction = true;
        self.put(RecordHeader { kind: Kind::Begin, flags: 0, xid, lsn }, message);
    }

    /// A change of the open transaction.
    pub fn change(&mut self, lsn: Lsn, message: Payload<'_>) {
        let header = RecordHeader { kind: Kind::Change, flags: 0, xid: 0, lsn };
        let Some(kept) = message.kept() else { return self.put(header, message.bytes) };
        let length = HEADER_BYTES + kept.len();
        self.main.extend_from_slice(&record::encode_header(header, &kept));
        self.step(Op::Append { bytes: kept, boundary: self.boundary });
        self.gathered += length;
        self.segment_length += length as u64;
    }

    /// A description of a relation or a type.
    pub fn describe(&mut self, lsn: Lsn, message: &[u8]) {
        self.put(RecordHeader { kind: Kind::Description, flags: 0, xid: 0, lsn }, message);
        if let Some(key) = description_key(message, 0) {
            self.descriptions.insert(key, (0, message.to_vec()));
        }
    }

    /// The open transaction is complete. One that is stored already (the server sent it again) is
    /// dropped; returns whether it was new.
    ///
    /// # Errors
    /// `Internal` when a segment header cannot be written.
    pub fn commit(&mut self, end: Lsn, message: &[u8]) -> Result<bool> {
        if end <= self.boundary {
            self.abandon();
            return Ok(false);
        }
        self.in_transaction = false;
        self.put(RecordHeader { kind: Kind::Commit, flags: 0, xid: 0, lsn: end }, message);
        self.reach(end)?;
        Ok(true)
    }

    /// The open transaction is void: its commit will not come on this connection.
    pub fn abandon(&mut self) {
        if std::mem::take(&mut self.in_transaction) {
            let header = RecordHeader { kind: Kind::Abandon, flags: 0, xid: 0, lsn: self.boundary };
            self.put(header, b"");
        }
    }

    /// A message of a streamed transaction; `subxid` is the transaction that it names itself.
    pub fn stream_message(&mut self, xid: u32, subxid: u32, lsn: Lsn, message: Payload<'_>) {
        let spool = self.spools.entry(xid).or_default();
        let (length, kept) = spool.put(subxid, lsn, message);
        self.gathered += length;
        if kept.is_none() && !spool.should_flush() {
            return;
        }
        spool.passed_by(kept.as_ref().map_or(0, Bytes::len));
        self.flush_spool(xid);
        if let Some(bytes) = kept {
            self.step(Op::Spool { xid, bytes });
        }
    }

    /// A streamed transaction (`subxid` = `xid`) or a part of it was rolled back.
    pub fn stream_abort(&mut self, xid: u32, subxid: u32) {
        if xid == subxid {
            self.spools.remove(&xid);
            self.step(Op::RemoveSpool { xid });
            return;
        }
        let Some(spool) = self.spools.get_mut(&xid) else { return };
        if let Some(length) = spool.roll_back(subxid) {
            self.step(Op::TruncateSpool { xid, length });
        }
    }

    /// A streamed transaction is complete; returns whether it was new.
    ///
    /// # Errors
    /// `Internal` when a segment header cannot be written.
    pub fn stream_commit(&mut self, xid: u32, end: Lsn, message: &[u8]) -> Result<bool> {
        if end <= self.boundary {
            self.stream_abort(xid, xid);
            return Ok(false);
        }
        self.flush_spool(xid);
        self.step(Op::SealSpool { xid, end });
        self.put(
            RecordHeader { kind: Kind::StreamCommit, flags: FLAG_STREAMED, xid, lsn: end },
            message,
        );
        for message in
            self.spools.remove(&xid).map(OpenSpool::into_descriptions).into_iter().flatten()
        {
            self.put(
                RecordHeader { kind: Kind::Restated, flags: FLAG_STREAMED, xid: 0, lsn: end },
                &message,
            );
            if let Some(key) = description_key(&message, FLAG_STREAMED) {
                self.descriptions.insert(key, (FLAG_STREAMED, message));
            }
        }
        self.reach(end)?;
        Ok(true)
    }

    /// Nothing at or before `lsn` is still to come. Ignored inside a transaction and when it is no
    /// news.
    ///
    /// # Errors
    /// `Internal` when a segment header cannot be written.
    pub fn position(&mut self, lsn: Lsn) -> Result<()> {
        if self.in_transaction || lsn <= self.boundary {
            return Ok(());
        }
        self.put(RecordHeader { kind: Kind::Position, flags: 0, xid: 0, lsn }, b"");
        self.reach(lsn)
    }

    /// Everything that ends at or before the end position is in the store.
    pub fn end_reached(&mut self, endpos: Lsn) {
        self.abandon();
        self.put(RecordHeader { kind: Kind::EndReached, flags: 0, xid: 0, lsn: endpos }, b"");
    }

    /// The connection is lost: what was incomplete on it will be sent again from its beginning.
    pub fn disconnected(&mut self) {
        self.abandon();
        let open: Vec<u32> = self.spools.drain().map(|(xid, _)| xid).collect();
        for xid in open {
            self.step(Op::RemoveSpool { xid });
        }
    }

    /// Removes what is applied, and ends the present segment when that is what keeps the store full.
    ///
    /// # Errors
    /// Those of [`StoreWriter::flush`].
    pub async fn prune(&mut self, applied: Lsn) -> Result<()> {
        let full = self.positions.borrow().room != Room::Free;
        if full
            && !self.in_transaction
            && applied >= self.boundary
            && self.segment_length > self.preamble_length
        {
            self.rotate()?;
        }
        self.step(Op::Prune { applied });
        self.flush().await
    }

    /// Whether more may be received. At the limit it may while nothing that is stored waits to be
    /// applied: then only the transaction that is coming in can make room, by its end.
    pub fn has_room(&self, applied: Lsn) -> bool {
        match self.positions.borrow().room {
            Room::Free => true,
            Room::Full => applied >= self.boundary,
            Room::Critical => false,
        }
    }

    /// Hands everything gathered to the disk; waits while it is far behind.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// What the disk refused.
    pub async fn flush(&mut self) -> Result<()> {
        let open: Vec<u32> = self.spools.keys().copied().collect();
        for xid in open {
            self.flush_spool(xid);
        }
        self.end_append();
        if self.ops.is_empty() {
            return Ok(());
        }
        let bytes = u32::try_from(self.gathered).unwrap_or(QUEUE_BYTES).clamp(1, QUEUE_BYTES);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        // Nobody closes it.
        let Ok(room) = room else { return Err(self.failed()) };
        self.gathered = 0;
        let ops = std::mem::take(&mut self.ops);
        self.sender.send(Batch { ops, room }).await.map_err(|_| self.failed())
    }

    /// Waits until everything put in order so far is durable.
    ///
    /// # Errors
    /// What the disk refused.
    pub async fn sync(&mut self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.end_append();
        self.ops.push(Op::Barrier(answer));
        self.flush().await?;
        answered.await.map_err(|_| self.failed())
    }

    /// The error that ended the thread.
    fn failed(&self) -> Error {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.unwrap_or_else(|| Error::internal("the thread of the store has ended"))
    }

    /// A boundary was put in order: a segment that is long enough ends here.
    fn reach(&mut self, boundary: Lsn) -> Result<()> {
        self.boundary = boundary;
        if self.segment_length >= self.options.segment_bytes { self.rotate() } else { Ok(()) }
    }

    /// Begins a new segment with everything that a reader must know to begin there.
    fn rotate(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        SegmentHeader { identity: self.identity.clone(), start: self.boundary }
            .encode(&mut bytes)?;
        for (flags, message) in self.descriptions.values() {
            let header =
                RecordHeader { kind: Kind::Restated, flags: *flags, xid: 0, lsn: self.boundary };
            record::encode(header, message, &mut bytes);
        }
        self.segment += 1;
        self.segment_length = bytes.len() as u64;
        self.preamble_length = self.segment_length;
        self.step(Op::Rotate { number: self.segment, bytes });
        Ok(())
    }

    /// Puts a record into the segment.
    fn put(&mut self, header: RecordHeader, payload: &[u8]) {
        let before = self.main.len();
        record::encode(header, payload, &mut self.main);
        let length = self.main.len() - before;
        self.gathered += length;
        self.segment_length += length as u64;
        // The append's boundary is taken when it is handed over; a rotation in between is a step of
        // its own, so the order of files is the order of calls.
        if header.kind.is_boundary() {
            self.boundary = header.lsn;
        }
    }

    /// Adds a step behind the records so far.
    fn step(&mut self, op: Op) {
        self.end_append();
        self.ops.push(op);
    }

    /// Turns the gathered records into a step.
    fn end_append(&mut self) {
        if !self.main.is_empty() {
            let bytes = std::mem::take(&mut self.main);
            self.ops.push(Op::Append { bytes: bytes.into(), boundary: self.boundary });
        }
    }

    /// Turns what a spool has gathered into a step.
    fn flush_spool(&mut self, xid: u32) {
        if let Some(bytes) = self.spools.get_mut(&xid).and_then(OpenSpool::take_pending) {
            self.step(Op::Spool { xid, bytes: bytes.into() });
        }
    }
}
