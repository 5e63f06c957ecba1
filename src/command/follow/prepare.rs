//! What following needs before anything is received: locks, slot, position, sentinel.

use std::collections::{HashMap, HashSet};

use proto::lsn::Lsn;

use super::recover::recover;
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::QualifiedName;
use crate::base::stop::StopSignal;
use crate::base::summary::Finding;
use crate::catalog::fetch::{self, SizeSource};
use crate::catalog::model::{SourceCatalog, Table, TableKind};
use crate::command::clone::filters::Filters;
use crate::command::source;
use crate::config::{FollowConfig, Plugin, Resume};
use crate::connect::client::Session;
use crate::connect::client::settings::{self, SessionRole};
use crate::filter::Selection;
use crate::follow::apply::Scope;
use crate::follow::receive::{PluginOptions, ReceiveSettings};
use crate::follow::setup::fence;
use crate::follow::setup::publication::TableChoice;
use crate::follow::setup::{self, CleanupSettings, SetupSettings, SnapshotHolder};
use crate::follow::store::StoreOptions;
use crate::ledger;
use crate::local::state::{SentinelHandle, SlotRecord};
use crate::local::workdir::{Service, WorkDir, read_optional};

/// Everything that receive and apply stand on.
pub(super) struct Prepared {
    /// The work directory, locked against another receiver.
    pub(super) directory: WorkDir,
    /// The same, against another applier.
    _apply_lock: WorkDir,
    /// What was made on the servers.
    pub(super) record: SlotRecord,
    /// Keeps the snapshot of a slot that was made just now.
    pub(super) holder: Option<SnapshotHolder>,
    /// The slot's snapshot, when `snapshot --follow` holds it.
    pub(super) held: Option<String>,
    /// Where the target stands.
    pub(super) position: Lsn,
    /// Mode and positions.
    pub(super) sentinel: SentinelHandle,
    /// The options of a copy that is complete, as the target knows them.
    pub(super) copied: Option<String>,
    /// What a person should know.
    pub(super) findings: Vec<Finding>,
    /// Which tables are followed.
    followed: Followed,
}

/// Which tables are followed.
pub(super) struct Followed {
    /// Their identifiers on the source.
    oids: HashSet<u32>,
    /// Their names.
    tables: HashSet<QualifiedName>,
    /// Partitioned tables above each partition, nearest first.
    ancestors: HashMap<QualifiedName, Vec<QualifiedName>>,
}

/// Asks the source which tables are followed: those that the filters keep.
///
/// # Errors
/// Those of the filter file and of the catalog queries.
pub(super) async fn followed(follow: &FollowConfig) -> Result<Followed> {
    let filters = Filters::read(follow.filters.as_deref(), false)?;
    let mut session = source::connect(&follow.source).await?;
    let catalog = read_catalog(&filters, &mut session).await?;
    let selection = filters.select(&catalog, &mut session).await?;
    let kept = |table: &&Table| is_followed(table, &selection);
    Ok(Followed {
        oids: catalog.tables.iter().filter(kept).map(|table| table.oid).collect(),
        tables: catalog.tables.iter().filter(kept).map(|table| table.name.clone()).collect(),
        ancestors: ancestors(&catalog),
    })
}

/// What the filters need to know of the source; little without them.
///
/// # Errors
/// Those of the catalog queries.
pub(super) async fn read_catalog(filters: &Filters, source: &mut Session) -> Result<SourceCatalog> {
    if filters.rules().is_empty() {
        return fetch::source_names(source).await;
    }
    fetch::source(source, SizeSource::Estimate).await
}

/// Names of the tables that are followed.
///
/// # Errors
/// Those of the filter file and of the catalog queries.
pub(in crate::command) async fn followed_tables(
    follow: &FollowConfig,
) -> Result<Vec<QualifiedName>> {
    Ok(Box::pin(followed(follow)).await?.tables.into_iter().collect())
}

/// Makes slot, publications, position and sentinel, or finds those of an earlier start.
///
/// # Errors
/// What keeps them from being made, before anything is; see [`setup::create_slot`].
pub(super) async fn prepare(
    follow: &FollowConfig,
    resume: Resume,
    stop: &StopSignal,
) -> Result<Prepared> {
    let directory = WorkDir::open(&follow.directory, Service::Receive)?;
    let apply_lock = WorkDir::open(&follow.directory, Service::Apply)?;
    if resume == Resume::Restart {
        start_over(follow, &directory).await?;
    }
    let followed = Box::pin(followed(follow)).await?;
    let mut session = target(follow).await?;
    if follow.target_read_only {
        fence::demand(&mut session).await?;
    }
    let copied = Box::pin(recover(follow, &followed.oids, &directory, &mut session)).await?;
    drop(session);
    let choice = TableChoice::Only(followed.oids.clone());
    let settings = SetupSettings::of(follow, directory.state_db(), choice);
    let ready = tokio::select! {
        ready = Box::pin(setup::create_slot(&settings)) => ready?,
        () = stop.graceful.cancelled() => return Err(Error::cancelled()),
    };
    for finding in &ready.findings {
        let hint = finding.hint.as_deref().unwrap_or_default();
        tracing::warn!(object = finding.object, "{}. {hint}", finding.reason);
    }
    let found = ready.holder.is_none();
    if !found {
        // Of a slot before this one.
        ledger::forget_starts(&mut target(follow).await?).await?;
    }
    let position = setup::create_position(&follow.target, &ready.record, found).await?;
    let sentinel = SentinelHandle::start(&directory.state_db())?;
    set_endpos(follow, &sentinel).await?;
    let held = read_optional(&directory.snapshot_file())?
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
        .filter(|id| Some(id) == ready.record.snapshot.as_ref());
    Ok(Prepared {
        followed,
        directory,
        _apply_lock: apply_lock,
        record: ready.record,
        holder: ready.holder,
        held,
        position,
        sentinel,
        copied,
        findings: ready.findings,
    })
}

/// `--restart`: removes what an earlier run left on both servers and in the work directory.
async fn start_over(follow: &FollowConfig, directory: &WorkDir) -> Result<()> {
    setup::cleanup(&CleanupSettings {
        source: follow.source.clone(),
        target: Some(follow.target.clone()),
        slot_name: follow.slot_name.clone(),
        origin: follow.origin.clone(),
        publication: follow.publication.clone(),
    })
    .await?;
    directory.restart()
}

/// Whether the changes of a table are followed.
fn is_followed(table: &Table, selection: &Selection) -> bool {
    matches!(table.kind, TableKind::Ordinary | TableKind::Partitioned)
        && table.extension.is_none()
        && selection.copies_data(table.oid)
}

/// The end position of the command line wins over the sentinel's.
pub(super) async fn set_endpos(follow: &FollowConfig, sentinel: &SentinelHandle) -> Result<()> {
    let now = sentinel.row().endpos;
    let Some(endpos) = follow.endpos.filter(|endpos| now != Some(*endpos)) else { return Ok(()) };
    if let Some(before) = now {
        tracing::warn!(%before, %endpos, "the end position of --endpos replaces the one set before");
    }
    sentinel.set_endpos(Some(endpos)).await
}

/// Partitioned tables above each partition, nearest first.
fn ancestors(catalog: &SourceCatalog) -> HashMap<QualifiedName, Vec<QualifiedName>> {
    let by_oid: HashMap<u32, &Table> = catalog.tables.iter().map(|t| (t.oid, t)).collect();
    let chain = |table: &Table| {
        let mut names = Vec::new();
        let mut parent = table.partition_of;
        while let Some(above) = parent.and_then(|oid| by_oid.get(&oid)) {
            names.push(above.name.clone());
            parent = above.partition_of;
        }
        names
    };
    let partitions = catalog.tables.iter().filter(|table| table.partition_of.is_some());
    partitions.map(|table| (table.name.clone(), chain(table))).collect()
}

/// A session on the target.
async fn target(follow: &FollowConfig) -> Result<Session> {
    let mut session = Session::connect(Side::Target, &follow.target, "setup").await?;
    settings::pin(&mut session, SessionRole::TargetWriter).await?;
    Ok(session)
}

/// Demands that no copy on the target is unfinished: changes of rows that are not there yet would be lost
/// or refused.
///
/// # Errors
/// `State` naming the run and how far it is; those of the target.
pub(super) async fn demand_copy(follow: &FollowConfig) -> Result<()> {
    let Some(run) = ledger::open(&mut target(follow).await?).await? else { return Ok(()) };
    if run.stage == ledger::Stage::Complete {
        return Ok(());
    }
    let text = format!(
        "the copy that run {} began is not complete, it ended in stage {}: changes are not applied to a \
         part of the rows",
        run.run_id,
        run.stage.word()
    );
    Err(Error::new(Side::Target, ErrorKind::State(text)).hint(
        "Repeat the command that began the copy: `pgcopydb clone --follow` continues it and follows, and a \
         copy in steps ends with `pgcopydb restore post-data`.",
    ))
}

/// Puts the target's write fence up, when it is wanted; `origin` names the position.
///
/// # Errors
/// Those of the target.
pub(super) async fn raise_fence(follow: &FollowConfig, origin: &str) -> Result<()> {
    if !follow.target_read_only {
        return Ok(());
    }
    fence::raise(&mut target(follow).await?, origin).await
}

/// Takes the target's write fence down, whichever start put it up.
///
/// # Errors
/// Those of the target.
pub(super) async fn lower_fence(follow: &FollowConfig, origin: &str) -> Result<()> {
    fence::lower(&mut target(follow).await?, origin).await.map(drop)
}

impl Prepared {
    /// What the receiver needs.
    pub(super) fn receive_settings(&self, follow: &FollowConfig) -> ReceiveSettings {
        let wal2json = follow.plugin == Plugin::Wal2json && follow.filters.is_some();
        ReceiveSettings {
            source: follow.source.clone(),
            directory: self.directory.cdc(),
            slot: self.record.clone(),
            plugin: follow.plugin,
            options: PluginOptions {
                publications: self.record.publications.clone(),
                numeric_as_string: follow.wal2json_numeric_as_string,
                tables: wal2json.then(|| self.followed.tables.iter().cloned().collect()),
                ..PluginOptions::default()
            },
            store: StoreOptions {
                segment_bytes: follow.segment_bytes,
                disk_bytes_max: follow.disk_bytes_max,
            },
            sentinel: self.sentinel.clone(),
            applied: self.position,
            confirm: follow.confirm,
        }
    }

    /// Which tables are followed.
    pub(super) fn followed(&self) -> &Followed {
        &self.followed
    }
}

impl Followed {
    /// Names of the tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &QualifiedName> {
        self.tables.iter()
    }

    /// Whether the changes of a table of the source are followed.
    pub(super) fn follows(&self, oid: u32) -> bool {
        self.oids.contains(&oid)
    }

    /// Partitioned tables above a partition.
    pub(super) fn ancestors_of(&self, name: &QualifiedName) -> &[QualifiedName] {
        self.ancestors.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// What apply may touch.
    ///
    /// # Errors
    /// Those of the target.
    pub(super) async fn scope(&self, follow: &FollowConfig) -> Result<Scope> {
        let mut session = target(follow).await?;
        Ok(Scope {
            tables: Some(self.tables.clone()),
            ancestors: self.ancestors.clone(),
            starts: ledger::read_starts(&mut session).await?,
        })
    }
}
