//! The one thread that owns the SQLite connection (A7).

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failed;
use super::journal::{self, Entry, IndexRow, TableRow};
use super::run::{self, Identity, Intent, Opening};
use crate::base::error::{Error, Result};

/// How long entries are gathered before they are written: a person does not see the difference, and
/// it bounds the work to 20 transactions a second.
const GATHER_TIME: Duration = Duration::from_millis(50);

/// How many entries are written in one transaction.
const BATCH_LENGTH_MAX: usize = 4096;

/// What the thread is asked to do.
pub(super) enum Request {
    /// Write an entry some time soon.
    Record(Entry),
    /// See [`super::StateHandle::open_run`].
    OpenRun { identity: Identity, intent: Intent, answer: oneshot::Sender<Result<Opening>> },
    /// See [`super::StateHandle::set_snapshot`].
    SetSnapshot { snapshot: Option<String>, answer: oneshot::Sender<Result<()>> },
    /// See [`super::StateHandle::set_catalog`].
    SetCatalog {
        tables: Vec<TableRow>,
        indexes: Vec<IndexRow>,
        answer: oneshot::Sender<Result<()>>,
    },
    /// See [`super::StateHandle::finish`].
    Finish { answer: oneshot::Sender<Result<()>> },
    /// See [`super::StateHandle::flush`].
    Flush { answer: oneshot::Sender<Result<()>> },
}

/// Serves requests until the last handle is gone, then writes what is left.
pub(super) fn run(connection: Connection, path: &Path, requests: &Receiver<Request>) {
    let mut actor = Actor { connection, path, batch: Vec::new(), since: None, error: None };
    loop {
        let received = match actor.since {
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => requests.recv_timeout(GATHER_TIME.saturating_sub(since.elapsed())),
        };
        match received {
            Ok(Request::Record(entry)) => actor.gather(entry),
            Ok(request) => {
                actor.write_batch();
                actor.serve(request);
            }
            Err(RecvTimeoutError::Timeout) => actor.write_batch(),
            Err(RecvTimeoutError::Disconnected) => {
                actor.write_batch();
                return;
            }
        }
    }
}

/// The thread's belongings.
struct Actor<'a> {
    connection: Connection,
    path: &'a Path,
    /// Entries not yet written.
    batch: Vec<Entry>,
    /// When the oldest of them came.
    since: Option<Instant>,
    /// The first failure to write since the last flush.
    error: Option<Error>,
}

impl Actor<'_> {
    /// Keeps an entry for the next batch.
    fn gather(&mut self, entry: Entry) {
        self.since.get_or_insert_with(Instant::now);
        self.batch.push(entry);
        if self.batch.len() >= BATCH_LENGTH_MAX {
            self.write_batch();
        }
    }

    /// Writes the gathered entries. They are a mirror: losing the last ones in a power cut is fine,
    /// so they do not wait for the disk.
    fn write_batch(&mut self) {
        self.since = None;
        if self.batch.is_empty() {
            return;
        }
        let written = self
            .connection
            .execute_batch("pragma synchronous = normal")
            .and_then(|()| journal::write(&mut self.connection, &self.batch))
            .and_then(|()| self.connection.execute_batch("pragma synchronous = full"));
        self.batch.clear();
        if let Err(error) = written
            && self.error.is_none()
        {
            let error = failed(self.path, &error);
            tracing::warn!(%error, "progress is not recorded");
            self.error = Some(error);
        }
    }

    /// Serves one request. Nobody waiting for the answer any more is fine.
    fn serve(&mut self, request: Request) {
        let path = self.path;
        let wrap = |result: rusqlite::Result<()>| result.map_err(|error| failed(path, &error));
        match request {
            Request::Record(entry) => self.gather(entry),
            Request::OpenRun { identity, intent, answer } => {
                let opening = run::open_run(&mut self.connection, &identity, intent);
                let _ = answer.send(opening.unwrap_or_else(|error| Err(failed(path, &error))));
            }
            Request::SetSnapshot { snapshot, answer } => {
                let _ = answer.send(wrap(run::set_snapshot(&self.connection, snapshot.as_deref())));
            }
            Request::SetCatalog { tables, indexes, answer } => {
                let _ = answer.send(wrap(journal::set_catalog(
                    &mut self.connection,
                    &tables,
                    &indexes,
                )));
            }
            Request::Finish { answer } => {
                let _ = answer.send(wrap(run::finish(&self.connection)));
            }
            Request::Flush { answer } => {
                let _ = answer.send(self.error.take().map_or(Ok(()), Err));
            }
        }
    }
}
