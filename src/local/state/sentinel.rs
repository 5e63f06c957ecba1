//! The sentinel: what people and the processes of one migration tell each other about change data
//! capture. A row of the state database, read and written by any process at any time.
//!
//! ```text
//!  stream sentinel set …, clone ──► startpos endpos apply ──► receive, apply
//!  receive ──► write_lsn flush_lsn     apply ──► replay_lsn    ──► stream sentinel get, prune
//! ```
//!
//! [`Sentinel`] is a connection of its own that blocks for microseconds; SQLite's locks keep processes
//! apart. [`SentinelHandle`] is for asynchronous code: a thread looks at the row four times a second,
//! tells what changed and writes what was reported.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use proto::lsn::Lsn;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::watch;

use super::{failed, schema};
use crate::base::error::{Error, Result};

/// How often the row is looked at and written.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SentinelRow {
    /// Where the changes begin: the slot's consistent point.
    pub startpos: Lsn,
    /// Where to stop, inclusive (K18).
    pub endpos: Option<Lsn>,
    /// Whether apply may work; otherwise changes are only received (prefetch).
    pub apply: bool,
    /// Last position received.
    pub write_lsn: Lsn,
    /// Last position durable here, confirmed to the source.
    pub flush_lsn: Lsn,
    /// Last position applied and durable on the target.
    pub replay_lsn: Lsn,
}

/// What was made on the servers for this migration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotRecord {
    /// Replication slot on the source.
    pub slot: String,
    /// Its consistent point.
    pub consistent_point: Lsn,
    /// The snapshot that was exported with it.
    pub snapshot: Option<String>,
    /// Output plugin, as the server knows it.
    pub plugin: String,
    /// Publications that the stream uses; empty for other plugins than pgoutput.
    pub publications: Vec<String>,
    /// Whether we made them.
    pub publications_are_ours: bool,
    /// Name of the position on the target.
    pub origin: String,
    /// `system_identifier` of the source.
    pub system_identifier: u64,
    /// Timeline of the source.
    pub timeline: u32,
    /// Database.
    pub database: String,
}

/// A connection to the state database for the sentinel.
#[derive(Debug)]
pub struct Sentinel {
    connection: Connection,
    path: PathBuf,
}

impl Sentinel {
    /// Opens the state database, made when there is none.
    ///
    /// # Errors
    /// `State` when it is not ours or newer; `File` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { connection: schema::open(path)?, path: path.to_owned() })
    }

    /// Opens the state database of a run.
    ///
    /// # Errors
    /// `State` when there is none.
    pub fn open_existing(path: &Path) -> Result<Self> {
        if !path.exists() {
            let text = format!("there is no state of a run in \"{}\"", path.display());
            return Err(Error::state(text).hint("Name the work directory of the run with --dir."));
        }
        Self::open(path)
    }

    /// The row; `None` before `setup`.
    ///
    /// # Errors
    /// `State` when it cannot be read.
    pub fn read(&self) -> Result<Option<SentinelRow>> {
        let sql = "select startpos, endpos, apply, write_lsn, flush_lsn, replay_lsn from sentinel";
        let row = self.connection.query_row(sql, [], |row| {
            let lsn = |index| row.get::<_, String>(index);
            Ok([lsn(0)?, lsn(1)?, lsn(3)?, lsn(4)?, lsn(5)?])
                .and_then(|texts| Ok((texts, row.get::<_, bool>(2)?)))
        });
        let Some((texts, apply)) = row.optional().map_err(|error| self.failed(&error))? else {
            return Ok(None);
        };
        let [startpos, endpos, write_lsn, flush_lsn, replay_lsn] =
            texts.map(|text| self.lsn(&text));
        Ok(Some(SentinelRow {
            startpos: startpos?,
            endpos: Some(endpos?).filter(|lsn| lsn.is_valid()),
            apply,
            write_lsn: write_lsn?,
            flush_lsn: flush_lsn?,
            replay_lsn: replay_lsn?,
        }))
    }

    /// Writes the row anew: nothing received, nothing applied, prefetching.
    ///
    /// # Errors
    /// `State` when it cannot be written, as for all the functions below.
    pub fn setup(&self, startpos: Lsn, endpos: Option<Lsn>) -> Result<()> {
        let sql = "insert or replace into sentinel \
                   (id, startpos, endpos, apply, write_lsn, flush_lsn, replay_lsn) \
                   values (1, ?1, ?2, 0, '0/0', '0/0', '0/0')";
        let endpos = endpos.unwrap_or_default().to_string();
        self.run(sql, params![startpos.to_string(), endpos]).map(|_| ())
    }

    /// Sets where the changes begin.
    ///
    /// # Errors
    /// `State` before `setup`.
    pub fn set_startpos(&self, startpos: Lsn) -> Result<()> {
        self.update("update sentinel set startpos = ?1", params![startpos.to_string()])
    }

    /// Sets or removes the end position.
    ///
    /// # Errors
    /// `State` before `setup`.
    pub fn set_endpos(&self, endpos: Option<Lsn>) -> Result<()> {
        let endpos = endpos.unwrap_or_default().to_string();
        self.update("update sentinel set endpos = ?1", params![endpos])
    }

    /// Allows apply to work, or not.
    ///
    /// # Errors
    /// `State` before `setup`.
    pub fn set_apply(&self, apply: bool) -> Result<()> {
        self.update("update sentinel set apply = ?1", params![apply])
    }

    /// Reports what was received and what is durable here.
    ///
    /// # Errors
    /// `State` before `setup`.
    pub fn set_received(&self, write_lsn: Lsn, flush_lsn: Lsn) -> Result<()> {
        let sql = "update sentinel set write_lsn = ?1, flush_lsn = ?2";
        self.update(sql, params![write_lsn.to_string(), flush_lsn.to_string()])
    }

    /// Reports what is applied and durable on the target.
    ///
    /// # Errors
    /// `State` before `setup`.
    pub fn set_replayed(&self, replay_lsn: Lsn) -> Result<()> {
        self.update("update sentinel set replay_lsn = ?1", params![replay_lsn.to_string()])
    }

    /// What was made on the servers; `None` when nothing was.
    ///
    /// # Errors
    /// `State` when it cannot be read.
    pub fn slot(&self) -> Result<Option<SlotRecord>> {
        let sql = "select slot_name, lsn, snapshot, plugin, publications, publications_are_ours, \
                   origin, system_identifier, timeline, database from replication_slot";
        let row = self.connection.query_row(sql, [], |row| {
            let publications: String = row.get(4)?;
            let (lsn, system): (String, String) = (row.get(1)?, row.get(7)?);
            let record = SlotRecord {
                slot: row.get(0)?,
                consistent_point: Lsn::INVALID,
                snapshot: row.get(2)?,
                plugin: row.get(3)?,
                publications: publications.lines().map(str::to_owned).collect(),
                publications_are_ours: row.get(5)?,
                origin: row.get(6)?,
                system_identifier: system.parse().unwrap_or_default(),
                timeline: row.get(8)?,
                database: row.get(9)?,
            };
            Ok((record, lsn))
        });
        match row.optional().map_err(|error| self.failed(&error))? {
            None => Ok(None),
            Some((record, lsn)) => {
                Ok(Some(SlotRecord { consistent_point: self.lsn(&lsn)?, ..record }))
            }
        }
    }

    /// Remembers what was made on the servers, or is about to be.
    ///
    /// # Errors
    /// `State` when it cannot be written.
    pub fn set_slot(&self, record: &SlotRecord) -> Result<()> {
        let sql = "insert or replace into replication_slot (id, slot_name, lsn, snapshot, plugin, \
                   publications, publications_are_ours, origin, system_identifier, timeline, \
                   database) values (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let values = params![
            record.slot,
            record.consistent_point.to_string(),
            record.snapshot,
            record.plugin,
            // Names may hold anything but a zero byte; a line break in one is not worth a format.
            record.publications.join("\n"),
            record.publications_are_ours,
            record.origin,
            record.system_identifier.to_string(),
            record.timeline,
            record.database,
        ];
        self.run(sql, values).map(|_| ())
    }

    /// Forgets what was made on the servers, and the sentinel with it.
    ///
    /// # Errors
    /// `State` when it cannot be written.
    pub fn clear(&self) -> Result<()> {
        self.run("delete from replication_slot", params![])?;
        self.run("delete from sentinel", params![]).map(|_| ())
    }

    /// Changes the row.
    fn update(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        if self.run(sql, values)? == 0 {
            return Err(Error::state(format!(
                "\"{}\" has no sentinel: change data capture was not set up here",
                self.path.display()
            ))
            .hint(
                "Run `pgcopydb stream sentinel setup` or begin with `pgcopydb clone --follow`.",
            ));
        }
        Ok(())
    }

    /// Runs one statement; returns how many rows it changed.
    fn run(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<usize> {
        self.connection.execute(sql, values).map_err(|error| self.failed(&error))
    }

    /// Reads a position.
    fn lsn(&self, text: &str) -> Result<Lsn> {
        text.parse().map_err(|_| {
            Error::state(format!(
                "\"{}\": the sentinel holds \"{text}\" where a log position belongs",
                self.path.display()
            ))
        })
    }

    /// An error of SQLite.
    fn failed(&self, error: &rusqlite::Error) -> Error {
        failed(&self.path, error)
    }
}

/// The sentinel for asynchronous code; clones share one thread, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct SentinelHandle {
    shared: Arc<Shared>,
    rows: watch::Receiver<SentinelRow>,
}

/// Between the handles and the thread.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Reported>,
    wake: Condvar,
}

/// What was reported and not yet written.
#[derive(Debug, Default)]
struct Reported {
    received: Option<(Lsn, Lsn)>,
    replayed: Option<Lsn>,
    settings: Vec<Setting>,
    flush: Vec<tokio::sync::oneshot::Sender<Result<()>>>,
}

/// A change of what people set.
#[derive(Debug)]
enum Setting {
    Endpos(Option<Lsn>),
    Apply(bool),
}

impl SentinelHandle {
    /// Starts the thread.
    ///
    /// # Errors
    /// `State` before `setup`; those of [`Sentinel::open_existing`].
    pub fn start(path: &Path) -> Result<Self> {
        let sentinel = Sentinel::open_existing(path)?;
        let Some(row) = sentinel.read()? else {
            return sentinel.set_apply(false).and_then(|()| Self::start(path));
        };
        let (sender, rows) = watch::channel(row);
        let shared = Arc::new(Shared::default());
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new()
            .name("sentinel".to_owned())
            .spawn(move || {
                let mut last = row;
                while let Some(shared) = weak.upgrade() {
                    serve(&sentinel, &shared, &sender, &mut last);
                    let state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                    if state.flush.is_empty() {
                        let _ = shared.wake.wait_timeout(state, LOOK_INTERVAL);
                    }
                }
            })
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        Ok(Self { shared, rows })
    }

    /// The row as last seen; changes of other processes show within a quarter of a second.
    pub fn watch(&self) -> watch::Receiver<SentinelRow> {
        self.rows.clone()
    }

    /// The row as last seen.
    pub fn row(&self) -> SentinelRow {
        *self.rows.borrow()
    }

    /// Reports what was received and what is durable; written within a quarter of a second.
    pub fn report_received(&self, write_lsn: Lsn, flush_lsn: Lsn) {
        self.with(|state| state.received = Some((write_lsn, flush_lsn)));
    }

    /// Reports what is applied and durable on the target; written within a quarter of a second.
    pub fn report_replayed(&self, replay_lsn: Lsn) {
        self.with(|state| state.replayed = Some(replay_lsn));
    }

    /// Sets or removes the end position.
    ///
    /// # Errors
    /// `State` when it cannot be written.
    pub async fn set_endpos(&self, endpos: Option<Lsn>) -> Result<()> {
        self.with(|state| state.settings.push(Setting::Endpos(endpos)));
        self.flush().await
    }

    /// Allows apply to work, or not.
    ///
    /// # Errors
    /// `State` when it cannot be written.
    pub async fn set_apply(&self, apply: bool) -> Result<()> {
        self.with(|state| state.settings.push(Setting::Apply(apply)));
        self.flush().await
    }

    /// Waits until everything reported is written and the row was read again.
    ///
    /// # Errors
    /// `State` when it cannot be written.
    pub async fn flush(&self) -> Result<()> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.with(|state| state.flush.push(answer));
        self.shared.wake.notify_one();
        answered.await.map_err(|_| Error::internal("the thread of the sentinel has ended"))?
    }

    /// Changes what waits for the thread.
    fn with(&self, change: impl FnOnce(&mut Reported)) {
        change(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Writes what was reported, reads the row, tells what changed.
fn serve(
    sentinel: &Sentinel,
    shared: &Shared,
    sender: &watch::Sender<SentinelRow>,
    last: &mut SentinelRow,
) {
    let reported =
        std::mem::take(&mut *shared.state.lock().unwrap_or_else(PoisonError::into_inner));
    let result = write(sentinel, &reported).and_then(|()| sentinel.read());
    let answer = match result {
        Ok(row) => {
            // A row that is gone (cleanup by another process) leaves the last one standing.
            if let Some(row) = row.filter(|row| row != last) {
                *last = row;
                sender.send_replace(row);
            }
            Ok(())
        }
        Err(error) => {
            if reported.flush.is_empty() {
                tracing::warn!(%error, "the sentinel is not written");
            }
            Err(error)
        }
    };
    let text = answer.err().map(|error| error.to_string());
    for waiting in reported.flush {
        let answer = text.clone().map_or(Ok(()), |text| Err(Error::state(text)));
        let _ = waiting.send(answer);
    }
}

/// Writes what was reported.
fn write(sentinel: &Sentinel, reported: &Reported) -> Result<()> {
    for setting in &reported.settings {
        match setting {
            Setting::Endpos(endpos) => sentinel.set_endpos(*endpos)?,
            Setting::Apply(apply) => sentinel.set_apply(*apply)?,
        }
    }
    if let Some((write_lsn, flush_lsn)) = reported.received {
        sentinel.set_received(write_lsn, flush_lsn)?;
    }
    if let Some(replay_lsn) = reported.replayed {
        sentinel.set_replayed(replay_lsn)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sentinel in a directory of its own.
    fn sentinel() -> (tempfile::TempDir, PathBuf, Sentinel) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("source.db");
        let sentinel = Sentinel::open(&path).unwrap();
        (dir, path, sentinel)
    }

    #[test]
    fn what_is_set_is_read_by_another_connection() {
        let (_dir, path, sentinel) = sentinel();
        assert_eq!(sentinel.read().unwrap(), None);
        sentinel.setup(Lsn(0x1_0000_0010), None).unwrap();
        sentinel.set_endpos(Some(Lsn(u64::MAX))).unwrap();
        sentinel.set_apply(true).unwrap();
        sentinel.set_received(Lsn(30), Lsn(20)).unwrap();
        sentinel.set_replayed(Lsn(10)).unwrap();
        let other = Sentinel::open_existing(&path).unwrap();
        let expected = SentinelRow {
            startpos: Lsn(0x1_0000_0010),
            endpos: Some(Lsn(u64::MAX)),
            apply: true,
            write_lsn: Lsn(30),
            flush_lsn: Lsn(20),
            replay_lsn: Lsn(10),
        };
        assert_eq!(other.read().unwrap(), Some(expected));
        other.set_endpos(None).unwrap();
        assert_eq!(sentinel.read().unwrap().unwrap().endpos, None);
    }

    #[test]
    fn nothing_can_be_set_before_setup() {
        let (_dir, _, sentinel) = sentinel();
        let error = sentinel.set_endpos(Some(Lsn(1))).unwrap_err();
        assert!(error.to_string().contains("has no sentinel"), "{error}");
        assert_eq!(sentinel.read().unwrap(), None);
    }

    #[test]
    fn what_was_made_on_the_servers_is_remembered_whole() {
        let (_dir, _, sentinel) = sentinel();
        assert_eq!(sentinel.slot().unwrap(), None);
        let record = SlotRecord {
            slot: "a slot".into(),
            consistent_point: Lsn(77),
            snapshot: Some("00000003-1".into()),
            plugin: "pgoutput".into(),
            publications: vec!["a \"b\"".into(), "c".into()],
            publications_are_ours: true,
            origin: "o".into(),
            system_identifier: u64::MAX,
            timeline: 2,
            database: "d".into(),
        };
        sentinel.set_slot(&record).unwrap();
        assert_eq!(sentinel.slot().unwrap(), Some(record));
        sentinel.clear().unwrap();
        assert_eq!(sentinel.slot().unwrap(), None);
    }

    #[tokio::test]
    async fn another_process_is_heard_and_reports_are_written() {
        let (_dir, path, sentinel) = sentinel();
        sentinel.setup(Lsn(1), None).unwrap();
        let handle = SentinelHandle::start(&path).unwrap();
        let mut rows = handle.watch();
        assert!(!rows.borrow_and_update().apply);
        sentinel.set_apply(true).unwrap();
        tokio::time::timeout(Duration::from_secs(60), rows.changed()).await.unwrap().unwrap();
        assert!(rows.borrow_and_update().apply);
        handle.report_received(Lsn(9), Lsn(8));
        handle.report_replayed(Lsn(7));
        handle.flush().await.unwrap();
        let row = sentinel.read().unwrap().unwrap();
        assert_eq!((row.write_lsn, row.flush_lsn, row.replay_lsn), (Lsn(9), Lsn(8), Lsn(7)));
        handle.set_endpos(Some(Lsn(99))).await.unwrap();
        assert_eq!(handle.row().endpos, Some(Lsn(99)));
    }
}
