//! The thread that writes segment and spool files and syncs them.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use proto::lsn::Lsn;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::Positions;
use super::disk::Limits;
use super::prune::{Prune, prune};
use super::segment::{list, open_spool_path, segment_path, spool_path};
use crate::base::error::{Error, Result};
use crate::local::workdir::sync_directory;

/// Bytes written before a sync although more is waiting: what a crash makes the server send again.
const SYNC_BYTES_MAX: u64 = 8 << 20;

/// One step of writing, in order.
#[derive(Debug)]
pub(super) enum Op {
    /// Append records to the segment; `boundary` is the last boundary among them, or before them.
    Append { bytes: Bytes, boundary: Lsn },
    /// Begin a new segment with these records.
    Rotate { number: u64, bytes: Vec<u8> },
    /// Append records to the spool of an open streamed transaction, made when there is none.
    Spool { xid: u32, bytes: Bytes },
    /// Cut the spool: a subtransaction was rolled back.
    TruncateSpool { xid: u32, length: u64 },
    /// Remove the spool: the transaction was rolled back, or will be sent again.
    RemoveSpool { xid: u32 },
    /// Make the spool durable under its final name.
    SealSpool { xid: u32, end: Lsn },
    /// Remove what is applied.
    Prune { applied: Lsn },
    /// Answer once everything before is durable.
    Barrier(oneshot::Sender<()>),
}

/// Steps on their way to the disk.
#[derive(Debug)]
pub(super) struct Batch {
    /// In order.
    pub(super) ops: Vec<Op>,
    /// Room in the queue for the bytes in them, given back when they are written and freed.
    pub(super) room: OwnedSemaphorePermit,
}

/// Where the first error of the thread is left for the writer.
pub(super) type Failure = Arc<Mutex<Option<Error>>>;

/// What the thread owns.
pub(super) struct Disk {
    pub(super) dir: PathBuf,
    pub(super) segment: File,
    pub(super) positions: Positions,
    pub(super) limits: Limits,
    pub(super) publish: watch::Sender<Positions>,
    pub(super) spools: HashMap<u32, Spool>,
}

/// The spool file of an open streamed transaction.
pub(super) struct Spool {
    file: File,
    length: u64,
}

impl Disk {
    /// Serves until the writer is gone or something fails.
    pub(super) fn run(mut self, mut ops: mpsc::Receiver<Batch>, failure: &Failure) {
        if let Err(error) = self.serve(&mut ops) {
            tracing::debug!(%error, "the store's thread ends");
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        // Dropping the receiver and the sender tells everybody.
    }

    /// The same; ends with the first error.
    fn serve(&mut self, ops: &mut mpsc::Receiver<Batch>) -> Result<()> {
        let mut barriers = Vec::new();
        while let Some(first) = ops.blocking_recv() {
            let mut written = self.apply_all(first, &mut barriers)?;
            // Group commit: what came in meanwhile shares the sync.
            while written < SYNC_BYTES_MAX
                && let Ok(more) = ops.try_recv()
            {
                written += self.apply_all(more, &mut barriers)?;
            }
            self.sync(written)?;
            for barrier in barriers.drain(..) {
                // Nobody waiting any more is fine.
                let _ = barrier.send(());
            }
        }
        Ok(())
    }

    /// Carries steps out; returns how many bytes went into the segment.
    fn apply_all(&mut self, batch: Batch, barriers: &mut Vec<oneshot::Sender<()>>) -> Result<u64> {
        let Batch { ops, room } = batch;
        let mut written = 0;
        for op in ops {
            match op {
                Op::Append { bytes, boundary } => {
                    self.append(&bytes)?;
                    written += bytes.len() as u64;
                    self.positions.durable = boundary;
                }
                Op::Rotate { number, bytes } => self.rotate(number, &bytes)?,
                Op::Spool { xid, bytes } => self.spool(xid, &bytes)?,
                Op::TruncateSpool { xid, length } => self.truncate_spool(xid, length)?,
                Op::RemoveSpool { xid } => self.remove_spool(xid)?,
                Op::SealSpool { xid, end } => self.seal_spool(xid, end)?,
                Op::Prune { applied } => {
                    prune(&self.dir, applied, Prune::Remove)?;
                    self.positions.disk_bytes =
                        list(&self.dir)?.iter().map(|file| file.bytes).sum();
                }
                Op::Barrier(answer) => barriers.push(answer),
            }
        }
        drop(room);
        Ok(written)
    }

    /// Syncs the segment and publishes how far the store is.
    fn sync(&mut self, written: u64) -> Result<()> {
        if written > 0 {
            let path = self.segment_path();
            self.segment.sync_data().map_err(|error| hint(Error::file(&path, error), "sync"))?;
        }
        self.positions.room = self.limits.room(&self.dir, self.positions.disk_bytes);
        self.publish.send_replace(self.positions);
        Ok(())
    }

    /// Appends to the segment.
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.segment_path();
        self.segment.write_all(bytes).map_err(|error| hint(Error::file(&path, error), "write"))?;
        self.positions.offset += bytes.len() as u64;
        self.positions.disk_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the segment and begins the next one.
    fn rotate(&mut self, number: u64, bytes: &[u8]) -> Result<()> {
        self.sync(1)?;
        self.segment = create_segment(&self.dir, number, bytes)?;
        self.positions.segment = number;
        self.positions.offset = bytes.len() as u64;
        self.positions.disk_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Appends to a spool.
    fn spool(&mut self, xid: u32, bytes: &[u8]) -> Result<()> {
        let path = open_spool_path(&self.dir, xid);
        let failed = |error| hint(Error::file(&path, error), "write");
        let spool = match self.spools.entry(xid) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let mut options = OpenOptions::new();
                let file = options.write(true).create(true).truncate(true).open(&path);
                entry.insert(Spool { file: file.map_err(failed)?, length: 0 })
            }
        };
        spool.file.write_all_at(bytes, spool.length).map_err(failed)?;
        spool.length += bytes.len() as u64;
        self.positions.disk_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Cuts a spool.
    fn truncate_spool(&mut self, xid: u32, length: u64) -> Result<()> {
        let Some(spool) = self.spools.get_mut(&xid) else { return Ok(()) };
        let path = open_spool_path(&self.dir, xid);
        spool.file.set_len(length).map_err(|error| Error::file(&path, error).during("cut"))?;
        self.positions.disk_bytes =
            self.positions.disk_bytes.saturating_sub(spool.length.saturating_sub(length));
        spool.length = length;
        Ok(())
    }

    /// Removes a spool.
    fn remove_spool(&mut self, xid: u32) -> Result<()> {
        let Some(spool) = self.spools.remove(&xid) else { return Ok(()) };
        self.positions.disk_bytes = self.positions.disk_bytes.saturating_sub(spool.length);
        let path = open_spool_path(&self.dir, xid);
        fs::remove_file(&path).map_err(|error| Error::file(&path, error).during("remove"))
    }

    /// Makes a spool durable and gives it its final name, in this order: a name that can be found means
    /// a file that is whole.
    fn seal_spool(&mut self, xid: u32, end: Lsn) -> Result<()> {
        // A transaction whose every change was rolled back has none.
        if !self.spools.contains_key(&xid) {
            self.spool(xid, &[])?;
        }
        let Some(spool) = self.spools.remove(&xid) else { return Ok(()) };
        let (from, to) = (open_spool_path(&self.dir, xid), spool_path(&self.dir, end, xid));
        spool
            .file
            .sync_data()
            .and_then(|()| fs::rename(&from, &to))
            .map_err(|error| hint(Error::file(&from, error), "sync"))?;
        sync_directory(&self.dir)
    }

    /// Path of the segment that is written.
    fn segment_path(&self) -> PathBuf {
        segment_path(&self.dir, self.positions.segment)
    }
}

/// Creates a segment with its first records, durable under its name.
pub(super) fn create_segment(dir: &Path, number: u64, bytes: &[u8]) -> Result<File> {
    let path = segment_path(dir, number);
    let failed = |error| hint(Error::file(&path, error), "create");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).open(&path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    sync_directory(dir)?;
    Ok(file)
}

/// Says what to do about a disk that refuses.
fn hint(error: Error, action: &str) -> Error {
    error.during(action).hint(
        "Make room in the work directory and run the same command again: nothing that was confirmed \
         to the source is lost.",
    )
}
