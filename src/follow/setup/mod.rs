//! Makes what a stream of changes needs on both servers, and removes it.
//!
//! ```text
//!  requirements ─► publications ─► slot with exported snapshot ─► record ─► sentinel ─► position on the target
//! ```
//!
//! The publications come before the slot: the server looks them up as they were at each change. What is
//! about to be made is recorded first, so that a crash at any point leaves nothing that the next run or
//! `cleanup` does not recognise as ours.

pub mod cleanup;
pub mod fence;
pub mod publication;
pub mod record;
pub mod requirements;
mod text_plugins;

use std::path::PathBuf;
use std::time::Duration;

use proto::lsn::Lsn;
use proto::replication::{CreateSlot, CreatedSlot, Failover, Lifetime, SlotSnapshot};

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::summary::{Finding, Severity};
use crate::config::{FollowConfig, Plugin};
use crate::connect::client::Session;
use crate::connect::client::replication::ReplicationSession;
use crate::connect::client::settings::{SessionRole, pin};
use crate::connect::conninfo::ConnInfo;
use crate::follow::apply::position;
use crate::follow::receive::slot;
use crate::local::state::{Sentinel, SlotRecord};
use publication::{PublicationPlan, TableChoice};
use requirements::{Requirements, Wanted};

pub use cleanup::{CleanupSettings, cleanup, forget};

/// How often it is said who keeps the slot waiting (S-22).
const BLOCKERS_INTERVAL: Duration = Duration::from_secs(5);

/// What to make on the source.
#[derive(Debug, Clone)]
pub struct SetupSettings {
    /// The source.
    pub source: ConnInfo,
    /// State database of the work directory.
    pub state_db: PathBuf,
    /// Output plugin.
    pub plugin: Plugin,
    /// Slot, and base name of our publications.
    pub slot_name: String,
    /// A publication that exists; `None`: publications of our own.
    pub publication: Option<String>,
    /// Name of the position on the target.
    pub origin: String,
    /// Where to stop.
    pub endpos: Option<Lsn>,
    /// Tables that are followed.
    pub tables: TableChoice,
}

impl SetupSettings {
    /// The settings of `follow` for these tables.
    pub fn of(config: &FollowConfig, state_db: PathBuf, tables: TableChoice) -> Self {
        Self {
            source: config.source.clone(),
            state_db,
            plugin: config.plugin,
            slot_name: config.slot_name.clone(),
            publication: config.publication.clone(),
            origin: config.origin.clone(),
            endpos: config.endpos,
            tables,
        }
    }
}

/// A slot and what hangs on it.
#[derive(Debug)]
pub struct SlotReady {
    /// What was made.
    pub record: SlotRecord,
    /// The session whose snapshot is exported; it lives until this is dropped. `None` when the slot was
    /// there already: its snapshot is gone.
    pub holder: Option<SnapshotHolder>,
    /// What a person should know: tables of which updates are not followed, for example.
    pub findings: Vec<Finding>,
}

/// Keeps the exported snapshot of a new slot alive; nothing may be run on its session.
#[derive(Debug)]
pub struct SnapshotHolder {
    session: ReplicationSession,
    /// The snapshot's identifier, to import.
    pub snapshot: String,
}

impl SnapshotHolder {
    /// Process id of the backend that holds it.
    pub fn process_id(&self) -> u32 {
        self.session.process_id()
    }
}

/// What there is of a migration's slot.
enum Before {
    /// Nothing.
    Nothing,
    /// The slot of this work directory.
    Slot(SlotRecord),
}

/// Makes publications and slot, or finds those that this work directory made before. Writes the record
/// and, when the slot is new, the sentinel.
///
/// Waits until every transaction that writes on the source now has ended, saying which.
///
/// # Errors
/// `Config` when the source lacks something: every finding is logged, the error counts them. `State` when
/// a slot or publication of the name exists that is not ours, or when ours is gone or was lost.
pub async fn create_slot(settings: &SetupSettings) -> Result<SlotReady> {
    let mut session = connect(&settings.source).await?;
    let sentinel = Sentinel::open(&settings.state_db)?;
    let before = find_before(&mut session, sentinel.slot()?, settings).await?;
    let findings = check(&mut session, settings, matches!(before, Before::Nothing)).await?;
    refuse_errors(&findings)?;
    if let Before::Slot(record) = before {
        tracing::info!(slot = record.slot, "continuing with the slot that was made before");
        return Ok(SlotReady { record, holder: None, findings });
    }
    let Requirements { version, standby, .. } = Requirements::read(&mut session).await?;
    let plan = publication_plan(&mut session, settings, version).await?;
    let mut replication = ReplicationSession::connect(&settings.source, "slot").await?;
    let identity = replication.identify().await?;
    let mut record = SlotRecord {
        slot: settings.slot_name.clone(),
        consistent_point: Lsn::INVALID,
        snapshot: None,
        plugin: settings.plugin.name().to_owned(),
        publications: publications(settings, plan.as_ref()),
        publications_are_ours: plan.is_some(),
        origin: settings.origin.clone(),
        system_identifier: identity.system_identifier,
        timeline: identity.timeline,
        database: settings.source.dbname.clone(),
    };
    sentinel.set_slot(&record)?;
    if let Some(plan) = &plan {
        publication::create(&mut session, &settings.slot_name, plan, version).await?;
    }
    // A standby cannot have one: it would be a copy of the primary's.
    let failover = if standby { Failover::Off } else { Failover::Wanted };
    let created = create(&mut replication, &mut session, settings, failover).await?;
    record.consistent_point = created.consistent_point;
    record.snapshot.clone_from(&created.snapshot);
    sentinel.set_slot(&record)?;
    sentinel.setup(created.consistent_point, settings.endpos)?;
    tracing::info!(
        slot = record.slot,
        plugin = record.plugin,
        consistent_point = %record.consistent_point,
        "created the replication slot"
    );
    let snapshot = created
        .snapshot
        .ok_or_else(|| Error::protocol(Side::Source, "the new slot exported no snapshot"))?;
    let holder = Some(SnapshotHolder { session: replication, snapshot });
    Ok(SlotReady { record, holder, findings })
}

/// What the source lacks and what a person should know, before anything is made. For `check` and
/// `--dry-run`, too.
///
/// # Errors
/// The server's; `Config` when the user's publication does not exist.
pub async fn check(
    session: &mut Session,
    settings: &SetupSettings,
    slot_is_wanted: bool,
) -> Result<Vec<Finding>> {
    let requirements = Requirements::read(session).await?;
    let role = session.query("select current_user", &[]).await?.one()?.text(0)?.to_owned();
    let ours = settings.plugin == Plugin::Pgoutput && settings.publication.is_none();
    let wanted = Wanted {
        slot: slot_is_wanted,
        publications: slot_is_wanted && ours,
        plugin: settings.plugin,
        role: &role,
        database: &settings.source.dbname,
    };
    let mut findings = requirements.findings(wanted);
    let is_possible = findings.iter().all(|finding| finding.severity != Severity::Error);
    if slot_is_wanted && is_possible {
        findings.extend(requirements::check_plugin(session, settings.plugin).await?);
    }
    if slot_is_wanted && settings.plugin == Plugin::Pgoutput {
        let tables = publication::read_tables(session).await?;
        findings.extend(match &settings.publication {
            Some(name) => {
                publication::check_given(session, name, &tables, &settings.tables).await?
            }
            None => publication::plan(&tables, &settings.tables, requirements.version).findings(),
        });
    }
    if slot_is_wanted && settings.plugin != Plugin::Pgoutput {
        let tables = publication::read_tables(session).await?;
        let (plugin, choice) = (settings.plugin, &settings.tables);
        findings.extend(text_plugins::findings(session, plugin, &tables, choice).await?);
    }
    Ok(findings)
}

/// Creates the position on the target, or checks the one that is there.
///
/// A position that exists must belong to this migration: it is accepted at the slot's consistent point,
/// and wherever `resume` says that applying has begun.
///
/// # Errors
/// `State` when it is elsewhere; the server's.
pub async fn create_position(target: &ConnInfo, record: &SlotRecord, resume: bool) -> Result<Lsn> {
    let mut session = Session::connect(Side::Target, target, "setup").await?;
    pin(&mut session, SessionRole::TargetWriter).await?;
    let position = position_at(&mut session, record, resume).await?;
    record::write(&mut session, record).await?;
    Ok(position)
}

/// Creates the position, or checks the one that is there.
async fn position_at(session: &mut Session, record: &SlotRecord, resume: bool) -> Result<Lsn> {
    let start = record.consistent_point;
    match position::read(session, &record.origin).await? {
        None => {
            position::create(session, &record.origin, start).await?;
            tracing::info!(origin = record.origin, position = %start, "created the position on the target");
            Ok(start)
        }
        // Made, and interrupted before it was moved.
        Some(found) if !found.is_valid() => {
            position::remove(session, &record.origin).await?;
            position::create(session, &record.origin, start).await?;
            Ok(start)
        }
        Some(found) if found == start || (resume && found > start) => Ok(found),
        Some(found) => Err(Error::new(
            Side::Target,
            ErrorKind::State(format!(
                "replication origin \"{}\" is at {found}, the slot begins at {start}",
                record.origin
            )),
        )
        .hint(
            "It belongs to another migration: run `pgcopydb stream cleanup`, or choose another name \
             with --origin.",
        )),
    }
}

/// An ordinary session on the source.
async fn connect(source: &ConnInfo) -> Result<Session> {
    let mut session = Session::connect(Side::Source, source, "setup").await?;
    pin(&mut session, SessionRole::Source).await?;
    Ok(session)
}

/// Finds what an earlier run made.
async fn find_before(
    session: &mut Session,
    recorded: Option<SlotRecord>,
    settings: &SetupSettings,
) -> Result<Before> {
    let name = &settings.slot_name;
    let found = slot::read(session, name).await?;
    if let Some(record) = recorded.as_ref().filter(|record| record.slot != *name) {
        return Err(Error::state(format!(
            "this work directory belongs to slot \"{}\", not to \"{name}\"",
            record.slot
        ))
        .hint("Give the same --slot-name, or another work directory with --dir."));
    }
    match (recorded, found) {
        (None, None) => Ok(Before::Nothing),
        (Some(record), Some(found)) if record.consistent_point.is_valid() => {
            found.check(name, settings.plugin, &settings.source.dbname)?;
            if found.failover == Some(false) {
                tracing::debug!(slot = name, "the slot was made without failover and stays so");
            }
            Ok(Before::Slot(record))
        }
        // Interrupted while it was made: its snapshot is gone, and with it its use.
        (Some(_), Some(found)) => {
            found.check(name, settings.plugin, &settings.source.dbname)?;
            let sql = "select pg_catalog.pg_drop_replication_slot($1)";
            session.query(sql, &[Some(name)]).await?;
            tracing::info!(slot = name, "dropped the slot of an interrupted start");
            Ok(Before::Nothing)
        }
        (Some(record), None) if record.consistent_point.is_valid() => Err(Error::new(
            Side::Source,
            ErrorKind::State(format!("replication slot \"{name}\" does not exist any more")),
        )
        .hint(
            "It was dropped, or the source failed over to a server without it: the target needs a new \
             copy. Start over with --restart.",
        )),
        (Some(_), None) => Ok(Before::Nothing),
        (None, Some(found)) => {
            found.check(name, settings.plugin, &settings.source.dbname)?;
            Err(Error::new(
                Side::Source,
                ErrorKind::State(format!(
                    "replication slot \"{name}\" exists and was not made in this work directory"
                )),
            )
            .hint(
                "It belongs to another migration or was left behind: drop it with `pgcopydb stream \
                 cleanup`, or choose another name with --slot-name.",
            ))
        }
    }
}

/// What our publications hold; `None` when none of ours are wanted.
async fn publication_plan(
    session: &mut Session,
    settings: &SetupSettings,
    version: u32,
) -> Result<Option<PublicationPlan>> {
    if settings.plugin != Plugin::Pgoutput || settings.publication.is_some() {
        return Ok(None);
    }
    let tables = publication::read_tables(session).await?;
    Ok(Some(publication::plan(&tables, &settings.tables, version)))
}

/// Names of the publications that the stream uses.
fn publications(settings: &SetupSettings, plan: Option<&PublicationPlan>) -> Vec<String> {
    match (plan, &settings.publication) {
        (Some(plan), _) => publication::names(&settings.slot_name, plan),
        (None, Some(name)) if settings.plugin == Plugin::Pgoutput => vec![name.clone()],
        _ => Vec::new(),
    }
}

/// Creates the slot, saying who keeps it waiting.
async fn create(
    replication: &mut ReplicationSession,
    session: &mut Session,
    settings: &SetupSettings,
    failover: Failover,
) -> Result<CreatedSlot> {
    let slot = CreateSlot {
        slot: &settings.slot_name,
        plugin: settings.plugin.name(),
        lifetime: Lifetime::Permanent,
        snapshot: SlotSnapshot::Export,
        failover,
    };
    let cancel = replication.cancel_handle();
    let mut creating = Box::pin(replication.create_slot(&slot));
    loop {
        match tokio::time::timeout(BLOCKERS_INTERVAL, &mut creating).await {
            Ok(created) => {
                return created.map_err(|error| {
                    error.during(format!("create replication slot \"{}\"", settings.slot_name))
                });
            }
            Err(_) => {
                if let Err(error) = name_blockers(session).await {
                    cancel.cancel().await;
                    return Err(error);
                }
            }
        }
    }
}

/// Says who keeps the slot waiting.
async fn name_blockers(session: &mut Session) -> Result<()> {
    let rows = session.query(include_str!("sql/blockers.sql"), &[]).await?;
    for row in &rows.rows {
        let seconds: Option<u64> = row.parse_optional(1)?;
        tracing::warn!(
            seconds,
            "the replication slot waits for {} to end its transaction",
            row.text(0)?
        );
    }
    Ok(())
}

/// Logs the findings; refuses to go on when one of them says so.
fn refuse_errors(findings: &[Finding]) -> Result<()> {
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let Some(first) = errors.first() else { return Ok(()) };
    for finding in &errors {
        tracing::error!(
            hint = finding.hint.as_deref().unwrap_or_default(),
            "source: {}: {}",
            finding.object,
            finding.reason
        );
    }
    let text = match errors.len() {
        1 => format!("{}: {}", first.object, first.reason),
        count => format!("{count} things are missing for change data capture, see above"),
    };
    let error = Error::new(Side::Source, ErrorKind::Config(text));
    Err(match &first.hint {
        Some(hint) if errors.len() == 1 => error.hint(hint.clone()),
        _ => error,
    })
}
