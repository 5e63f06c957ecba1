//! A source with a slot of its own, and what is received from it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use pgcopydb::base::error::Result;
use pgcopydb::base::stop::StopSignal;
use pgcopydb::config::{Confirm, Plugin};
use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use pgcopydb::follow::change::{Change, ChangeEvent, OldTuple, Tuple, Value};
use pgcopydb::follow::decode::{Decoder, Place, Received};
use pgcopydb::follow::receive::{
    PluginOptions, ReceiveEnd, ReceiveProgress, ReceiveSettings, Receiver,
};
use pgcopydb::follow::setup::publication::TableChoice;
use pgcopydb::follow::setup::{self, SetupSettings, SlotReady};
use pgcopydb::follow::store::{self, Positions, StoreOptions, StoreReader, Stored};
use pgcopydb::local::state::{Sentinel, SentinelHandle, SentinelRow, SlotRecord};
use proto::lsn::Lsn;
use tempfile::TempDir;
use testbed::{Cluster, ClusterOptions, Installation, Major, TestDatabase, shared};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest time that one step may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// A connection string as the program reads it.
pub(crate) fn info(uri: &str) -> ConnInfo {
    ConnInfo::parse(uri, &Environment::empty()).unwrap()
}

/// A source, a work directory and what they are called.
pub(crate) struct Source {
    pub(crate) db: TestDatabase<'static>,
    pub(crate) dir: TempDir,
    pub(crate) plugin: Plugin,
    /// Where the stream comes from, when not straight from the server.
    pub(crate) uri: Option<String>,
    pub(crate) options: PluginOptions,
    pub(crate) store: StoreOptions,
    pub(crate) confirm: Confirm,
}

/// A transaction as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// End of its commit record.
    pub(crate) end: Lsn,
    /// Its changes in words: `insert t(1,a)`.
    pub(crate) changes: Vec<String>,
}

impl Source {
    /// A database of version 15 with these tables.
    pub(crate) fn new(name: &str, ddl: &str) -> Self {
        Self::on(shared(Major::V15), name, ddl)
    }

    /// A database of a cluster with these tables.
    pub(crate) fn on(cluster: &'static Cluster, name: &str, ddl: &str) -> Self {
        let db = TestDatabase::create(cluster, name).unwrap();
        db.psql(ddl).unwrap();
        Self {
            db,
            dir: tempfile::tempdir().unwrap(),
            plugin: Plugin::Pgoutput,
            uri: None,
            options: PluginOptions::default(),
            store: StoreOptions { segment_bytes: 1 << 20, disk_bytes_max: None },
            confirm: Confirm::Durable,
        }
    }

    /// The state database.
    pub(crate) fn state_db(&self) -> PathBuf {
        self.dir.path().join("source.db")
    }

    /// The store.
    pub(crate) fn cdc(&self) -> PathBuf {
        self.dir.path().join("cdc")
    }

    /// Settings of the set-up; the slot is named like the database.
    pub(crate) fn settings(&self) -> SetupSettings {
        SetupSettings {
            source: info(&self.db.uri()),
            state_db: self.state_db(),
            plugin: self.plugin,
            slot_name: self.db.name().to_owned(),
            publication: None,
            origin: self.db.name().to_owned(),
            endpos: None,
            tables: TableChoice::All,
        }
    }

    /// Makes publications and slot.
    pub(crate) async fn setup(&self) -> SlotReady {
        within(setup::create_slot(&self.settings())).await.unwrap()
    }

    /// Makes publications and slot for some tables only.
    pub(crate) async fn setup_for(&self, names: &[&str]) -> SlotReady {
        let oids: HashSet<u32> = names
            .iter()
            .map(|name| self.value(&format!("select '{name}'::regclass::oid")).parse().unwrap())
            .collect();
        let settings = SetupSettings { tables: TableChoice::Only(oids), ..self.settings() };
        within(setup::create_slot(&settings)).await.unwrap()
    }

    /// What was made.
    pub(crate) fn record(&self) -> SlotRecord {
        self.sentinel().slot().unwrap().unwrap()
    }

    /// The sentinel, as another process has it.
    pub(crate) fn sentinel(&self) -> Sentinel {
        Sentinel::open(&self.state_db()).unwrap()
    }

    /// The sentinel's row.
    pub(crate) fn row(&self) -> SentinelRow {
        self.sentinel().read().unwrap().unwrap()
    }

    /// Opens a receiver.
    pub(crate) async fn open(&self) -> Result<Receiver> {
        self.open_with(SentinelHandle::start(&self.state_db()).unwrap()).await
    }

    /// Opens a receiver that listens to this sentinel.
    pub(crate) async fn open_with(&self, sentinel: SentinelHandle) -> Result<Receiver> {
        let record = self.record();
        let mut options = self.options.clone();
        options.publications.clone_from(&record.publications);
        within(Receiver::open(ReceiveSettings {
            source: info(self.uri.as_deref().unwrap_or(&self.db.uri())),
            directory: self.cdc(),
            slot: record,
            plugin: self.plugin,
            options,
            store: self.store.clone(),
            applied: sentinel.row().replay_lsn,
            sentinel,
            confirm: self.confirm,
        }))
        .await
    }

    /// Opens a receiver and lets it run.
    pub(crate) async fn receiving(&self) -> Receiving {
        Receiving::start(self.open().await.unwrap())
    }

    /// Whether somebody streams from the slot.
    pub(crate) fn is_streaming(&self) -> bool {
        let sql = "select count(*) from pg_replication_slots
                   where slot_name = current_database() and active";
        self.value(sql) == "1"
    }

    /// Receives up to an end position.
    pub(crate) async fn receive_to(&self, endpos: Lsn) -> Result<ReceiveEnd> {
        self.sentinel().set_endpos(Some(endpos)).unwrap();
        let receiver = self.open().await?;
        within(receiver.run(&StopSignal::new())).await
    }

    /// Receives everything that is committed now, and returns all that is stored.
    pub(crate) async fn receive_all(&self) -> Vec<Transaction> {
        let endpos = self.lsn();
        assert_eq!(self.receive_to(endpos).await.unwrap(), ReceiveEnd::EndposReached(endpos));
        self.stored(Lsn::INVALID).await
    }

    /// One value.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.db.psql(sql).unwrap().trim().to_owned()
    }

    /// End of the log, all of it flushed.
    pub(crate) fn lsn(&self) -> Lsn {
        // A record that is flushed takes everything before it along.
        self.db
            .psql("begin; select txid_current(); set local synchronous_commit = on; commit")
            .unwrap();
        self.value("select pg_current_wal_flush_lsn()").parse().unwrap()
    }

    /// What was confirmed to the source.
    pub(crate) fn confirmed(&self) -> Lsn {
        let sql = "select confirmed_flush_lsn from pg_replication_slots where slot_name = current_database()";
        self.value(sql).parse().unwrap()
    }

    /// Runs SQL in one transaction and returns the end of its commit record, or a position behind it.
    pub(crate) fn commit(&self, sql: &str) -> Lsn {
        self.db.psql(&format!("begin; {sql}; commit")).unwrap();
        self.lsn()
    }

    /// The transactions in the store that end after a position; nothing may be writing it.
    pub(crate) async fn stored(&self, after: Lsn) -> Vec<Transaction> {
        let (transactions, open) = self.stored_so_far(after).await;
        assert!(!open, "an incomplete transaction at the end");
        transactions
    }

    /// The transactions in the store that end after a position, and whether one is incomplete.
    pub(crate) async fn stored_so_far(&self, after: Lsn) -> (Vec<Transaction>, bool) {
        let state = store::read_state(&self.cdc()).unwrap().unwrap();
        let (_, positions) = watch::channel(state.positions);
        let mut reader = StoreReader::open(&self.cdc(), after, positions).await.unwrap();
        let mut decoder = Decoder::new(self.plugin);
        let mut transactions = Vec::new();
        let mut open: Option<Vec<String>> = None;
        while let Some(stored) = reader.next().await.unwrap() {
            let mut events = Vec::new();
            let mut decode = |lsn: Lsn, streamed: bool, payload: Bytes| {
                let place = if streamed { Place::Chunk } else { Place::Plain };
                decoder.decode(&Received { lsn, place, payload }, &mut events).unwrap();
            };
            match stored {
                Stored::Description { streamed, payload } => decode(Lsn(0), streamed, payload),
                Stored::Begin { payload: Some(payload), .. } => decode(Lsn(0), false, payload),
                Stored::Begin { xid, .. } => decoder.begin_streamed(xid, &mut events),
                Stored::Change { lsn, streamed, payload } => decode(lsn, streamed, payload),
                Stored::Commit { end_lsn, payload, .. } => decode(end_lsn, false, payload),
                Stored::Abandoned => {
                    decoder.abandon();
                    open = None;
                }
                Stored::Identity(_) | Stored::Position(_) | Stored::EndReached(_) => {}
            }
            for event in events {
                match event {
                    ChangeEvent::Begin(_) => open = Some(Vec::new()),
                    ChangeEvent::Change(change) => open.as_mut().unwrap().push(words(&change)),
                    ChangeEvent::Commit(commit) => transactions
                        .push(Transaction { end: commit.end_lsn, changes: open.take().unwrap() }),
                    ChangeEvent::Abandon => open = None,
                    ChangeEvent::Position(_) | ChangeEvent::End(_) => {}
                }
            }
        }
        assert!(transactions.is_sorted_by(|a, b| a.end < b.end), "commit order");
        (transactions, open.is_some())
    }

    /// All changes in the store, in order.
    pub(crate) async fn changes(&self) -> Vec<String> {
        let stored = self.stored(Lsn::INVALID).await;
        stored.into_iter().flat_map(|transaction| transaction.changes).collect()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The database cannot be dropped before.
        let _ = self.db.psql(
            "select pg_terminate_backend(active_pid) from pg_replication_slots
             where database = current_database() and active;
             select pg_drop_replication_slot(slot_name) from pg_replication_slots
             where database = current_database()",
        );
    }
}

/// A receiver that runs.
pub(crate) struct Receiving {
    /// How far the store is on disk.
    pub(crate) positions: watch::Receiver<Positions>,
    /// How far receiving is.
    pub(crate) progress: watch::Receiver<ReceiveProgress>,
    stop: StopSignal,
    task: JoinHandle<Result<ReceiveEnd>>,
}

impl Receiving {
    /// Starts a receiver.
    pub(crate) fn start(receiver: Receiver) -> Self {
        let (positions, progress) = (receiver.positions(), receiver.progress());
        let stop = StopSignal::new();
        let own = stop.clone();
        let task = tokio::spawn(async move { receiver.run(&own).await });
        Self { positions, progress, stop, task }
    }

    /// Whether it has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits until how far it is, on disk or on the wire, has changed, or it has ended.
    pub(crate) async fn changed(&mut self) {
        let changed = async {
            tokio::select! {
                _ = self.positions.changed() => {}
                _ = self.progress.changed() => {}
            }
        };
        within(changed).await;
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<ReceiveEnd> {
        within(self.task).await.unwrap()
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.stop_gracefully();
        assert_eq!(self.ended().await.unwrap(), ReceiveEnd::Stopped);
    }
}

/// A server that one test has for itself, to stop it or with settings of its own. It runs until the test
/// stops it, or until the tests end.
pub(crate) fn own_cluster(major: Major, options: ClusterOptions) -> &'static Cluster {
    let installation = Installation::find(major).unwrap();
    Box::leak(Box::new(Cluster::start(&installation, options).unwrap()))
}

/// Waits for a step, but not for ever.
pub(crate) async fn within<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, step).await.expect("a step that ends in time")
}

/// Waits until something is so, asking again and again.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A change in words.
fn words(change: &Change) -> String {
    match change {
        Change::Insert { relation, new } => format!("insert {}{}", relation.name, row(new)),
        Change::Update { relation, new, .. } => format!("update {}{}", relation.name, row(new)),
        Change::Delete { relation, old } => {
            let (OldTuple::Key(old) | OldTuple::Full(old)) = old;
            format!("delete {}{}", relation.name, row(old))
        }
        Change::Truncate { relations, .. } => {
            let names: Vec<&str> =
                relations.iter().map(|relation| relation.name.as_str()).collect();
            format!("truncate {}", names.join(","))
        }
    }
}

/// A row in words.
fn row(tuple: &Tuple) -> String {
    let value = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Unchanged => "unchanged".to_owned(),
        Value::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Binary(bytes) => format!("{bytes:?}"),
    };
    format!("({})", tuple.iter().map(value).collect::<Vec<_>>().join(","))
}
