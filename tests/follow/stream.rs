//! A source with a slot, a target, and what applies between them.

use std::time::Duration;

use pgcopydb::base::error::Result;
use pgcopydb::config::{FollowConfig, Plugin};
use pgcopydb::connect::conninfo::{ConnInfo, Environment};
use pgcopydb::follow::apply::{Applier, ApplyProgress, Scope};
use pgcopydb::follow::change::ChangeEvent;
use proto::lsn::Lsn;
use testbed::compare::Comparison;
use testbed::{Major, TestDatabase, shared};

use crate::capture::Capture;

/// A source whose changes are captured, and a target of the same shape.
pub(crate) struct Stream {
    pub(crate) source: TestDatabase<'static>,
    pub(crate) target: TestDatabase<'static>,
    pub(crate) config: FollowConfig,
    pub(crate) scope: Scope,
    capture: Capture,
    /// Values travel in binary form.
    pub(crate) binary: bool,
}

/// Longest time that anything here may take.
const DEADLINE: Duration = Duration::from_secs(120);

impl Stream {
    /// Runs `ddl` on both sides, 15 and 18, and starts to capture.
    pub(crate) fn new(name: &str, ddl: &str) -> Self {
        Self::between(Major::V15, Major::V18, name, ddl)
    }

    /// Like [`Stream::new`]. Of the test servers only 15 knows XML.
    pub(crate) fn between(source: Major, target: Major, name: &str, ddl: &str) -> Self {
        let source = TestDatabase::create(shared(source), &format!("{name}_src")).unwrap();
        let target = TestDatabase::create(shared(target), &format!("{name}_tgt")).unwrap();
        source.psql(ddl).unwrap();
        target.psql(ddl).unwrap();
        let slot = source.name().to_owned();
        source
            .psql(&format!(
                "create publication p for all tables;
                 select pg_create_logical_replication_slot('{slot}', 'pgoutput')"
            ))
            .unwrap();
        let info = |uri: &str| ConnInfo::parse(uri, &Environment::empty()).unwrap();
        let config = FollowConfig {
            source: info(&source.uri()),
            target: info(&target.uri()),
            directory: std::env::temp_dir(),
            plugin: Plugin::Pgoutput,
            slot_name: slot,
            publication: None,
            // Origins belong to the whole server.
            origin: target.name().to_owned(),
            endpos: None,
            create_slot: true,
            wal2json_numeric_as_string: true,
            replay_no_op_updates: false,
            filters: None,
            disk_bytes_max: None,
            segment_bytes: 1 << 24,
            ignore_missing_rows: false,
            confirm: pgcopydb::config::Confirm::Durable,
            target_read_only: false,
        };
        let (scope, capture) = (Scope::all(), Capture::default());
        Self { source, target, config, scope, capture, binary: false }
    }

    /// Writes on the source.
    pub(crate) fn write(&self, sql: &str) {
        self.source.psql(sql).unwrap();
    }

    /// Everything written since the last call.
    pub(crate) fn events(&mut self) -> Vec<ChangeEvent> {
        self.capture.take(&self.source, &self.config.slot_name, self.binary)
    }

    /// An applier.
    pub(crate) async fn open(&self) -> Applier {
        bounded(Applier::open(&self.config, self.scope.clone())).await.unwrap()
    }

    /// Applies events to the end.
    pub(crate) async fn apply(&self, events: Vec<ChangeEvent>) -> Result<ApplyProgress> {
        bounded(async {
            let mut applier = Applier::open(&self.config, self.scope.clone()).await?;
            let progress = applier.progress();
            for event in events {
                applier.apply(event).await?;
            }
            applier.close().await?;
            let progress = *progress.borrow();
            Ok(progress)
        })
        .await
    }

    /// Captures and applies, which must work.
    pub(crate) async fn follow(&mut self) -> ApplyProgress {
        let events = self.events();
        self.apply(events).await.unwrap()
    }

    /// Demands that both sides hold the same rows.
    pub(crate) fn assert_same(&self) {
        let comparison = Comparison::new(&self.source.uri(), &self.target.uri());
        let (_, differences) = comparison.exclude_schema("pgcopydb").rows().unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
    }

    /// A value of the target.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.target.psql(sql).unwrap()
    }

    /// The position that the target holds.
    pub(crate) fn origin(&self) -> Lsn {
        let name = &self.config.origin;
        let sql = format!("select position from pgcopydb.follow where name = '{name}'");
        self.value(&sql).parse().unwrap()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // A server holds few origins.
        let name = &self.config.origin;
        let sql = format!(
            "select pg_replication_origin_drop(roname) from pg_replication_origin where roname = '{name}'"
        );
        let dropped = || self.target.psql(&sql).is_ok();
        let _ = testbed::process::wait_until("the origin is free", DEADLINE, || Ok(dropped()));
    }
}

/// Runs to the end, or fails in time.
pub(crate) async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("done in time")
}
