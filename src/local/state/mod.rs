//! What the work directory knows of the run: a SQLite database, `schema/source.db`.
//!
//! It says whose run this is and mirrors, for display, what the ledger on the target records for
//! proof: when the two differ, the target is right. Other programs may read the file while a run
//! writes it (`sqlite3 schema/source.db`, `pgcopydb list progress`).
//!
//! ```text
//! StateHandle ──bounded channel──► one thread that owns the connection ──► source.db (WAL)
//!   record()   never waits; written in batches, at most every 50 ms
//!   others     wait for their answer, with everything recorded before them written
//! ```
//!
//! To change the tables: a new step in [`schema`], never an edit of an old one.

mod actor;
mod journal;
mod progress;
mod run;
mod schema;
mod sentinel;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::oneshot;

pub use journal::{Entry, IndexRow, JobKey, TableRow};
pub use progress::{Progress, RunState, RunningJob, read_progress};
pub use run::{Database, Identity, Intent, Opening, Run};
pub use sentinel::{Sentinel, SentinelHandle, SentinelRow, SlotRecord};

use crate::base::error::{Error, Result};
use actor::Request;

/// How many entries may wait for the writer. A large catalog's jobs start and end in bursts of a few
/// hundred; what does not fit is dropped, because display must not slow the copy down.
const QUEUE_LENGTH: usize = 65_536;

/// How long to wait before another attempt when the queue is full.
const QUEUE_RETRY: Duration = Duration::from_millis(5);

/// A handle to the state database; clones share the same thread.
#[derive(Debug, Clone)]
pub struct StateHandle {
    sender: SyncSender<Request>,
    dropped: Arc<AtomicU64>,
}

impl StateHandle {
    /// Opens or creates the database and starts its thread, which ends with the last handle.
    ///
    /// # Errors
    /// `State` when the file is no state database of ours or of a newer version, `File` when it
    /// cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = schema::open(path)?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(QUEUE_LENGTH);
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || actor::run(connection, &path, &receiver))
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        Ok(Self { sender, dropped: Arc::new(AtomicU64::new(0)) })
    }

    /// Compares the identity with the recorded one and begins or continues the run.
    ///
    /// # Errors
    /// `State` when the recorded run has another source, target or option; both values are named.
    pub async fn open_run(&self, identity: Identity, intent: Intent) -> Result<Opening> {
        self.ask(|answer| Request::OpenRun { identity, intent, answer }).await
    }

    /// Remembers the exported snapshot.
    pub async fn set_snapshot(&self, snapshot: Option<String>) -> Result<()> {
        self.ask(|answer| Request::SetSnapshot { snapshot, answer }).await
    }

    /// Marks the run as complete: the next one with the same identity has nothing to do.
    pub async fn finish(&self) -> Result<()> {
        self.ask(|answer| Request::Finish { answer }).await
    }

    /// Remembers what there is to do: replaces the tables and indexes of an earlier start.
    pub async fn set_catalog(&self, tables: Vec<TableRow>, indexes: Vec<IndexRow>) -> Result<()> {
        self.ask(|answer| Request::SetCatalog { tables, indexes, answer }).await
    }

    /// Records an entry without waiting; dropped when the writer is far behind.
    pub fn record(&self, entry: Entry) {
        if self.sender.try_send(Request::Record(entry)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything recorded before is written.
    ///
    /// # Errors
    /// The first error of writing since the last flush (disk full, for example).
    pub async fn flush(&self) -> Result<()> {
        self.ask(|answer| Request::Flush { answer }).await?;
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "the state database could not keep up, its progress is incomplete"
            );
        }
        Ok(())
    }

    /// Sends a request and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request,
    ) -> Result<T> {
        let gone = || Error::internal("the thread of the state database has ended");
        let (answer, answered) = oneshot::channel();
        let mut request = request(answer);
        loop {
            match self.sender.try_send(request) {
                Ok(()) => return answered.await.map_err(|_| gone())?,
                Err(TrySendError::Full(back)) => {
                    request = back;
                    tokio::time::sleep(QUEUE_RETRY).await;
                }
                Err(TrySendError::Disconnected(_)) => return Err(gone()),
            }
        }
    }
}

/// Seconds since 1970.
fn epoch_seconds(at: std::time::SystemTime) -> i64 {
    at.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A count or an identifier for a column: SQLite's integers are signed.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A duration in milliseconds for a column.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The error for something that SQLite refused.
fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    let message = format!("state database \"{}\": {error}", path.display());
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            Error::state(message).hint("Start over with --restart.")
        }
        Some(rusqlite::ErrorCode::DiskFull) => {
            Error::state(message).hint("Make room in the work directory and run it again.")
        }
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Error::state(message).hint("Another program keeps the file locked: end it.")
        }
        _ => Error::state(message),
    }
}

#[cfg(test)]
mod tests;
