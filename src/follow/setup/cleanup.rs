//! Removes what was made on both servers; again and again, from any state.

use std::path::Path;
use std::time::Duration;

use crate::base::error::{Error, Result, Side};
use crate::base::ident::quote_identifier;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{SessionRole, pin};
use crate::connect::conninfo::ConnInfo;
use crate::follow::apply::position;
use crate::ledger;
use crate::local::state::Sentinel;
use crate::local::workdir;

use super::{fence, publication};

/// What to remove.
#[derive(Debug, Clone)]
pub struct CleanupSettings {
    /// The source.
    pub source: ConnInfo,
    /// The target; `None`: nothing is removed there.
    pub target: Option<ConnInfo>,
    /// Replication slot, and base name of our publications.
    pub slot_name: String,
    /// Name of the position on the target.
    pub origin: String,
    /// The user's own publication is never dropped; `None`: those that we made are.
    pub publication: Option<String>,
}

/// Longest wait for a backend that still streams from the slot after its client is gone.
const RELEASE_WAIT: Duration = Duration::from_secs(20);

/// Drops slot, publications, leftovers and position; returns what was dropped, in words.
///
/// # Errors
/// The first error of a server; what comes behind it is tried nevertheless.
pub async fn cleanup(settings: &CleanupSettings) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    let source = clean_source(settings, &mut dropped).await;
    let target = match &settings.target {
        Some(target) => clean_target(target, settings, &mut dropped).await,
        None => Ok(()),
    };
    for what in &dropped {
        tracing::info!("dropped {what}");
    }
    source.and(target).map(|()| dropped)
}

/// Forgets in the work directory what was made on the servers.
///
/// # Errors
/// `State` when the state database cannot be written.
pub fn forget(state_db: &Path, snapshot_file: &Path) -> Result<()> {
    workdir::remove_optional(snapshot_file)?;
    if state_db.exists() { Sentinel::open(state_db)?.clear() } else { Ok(()) }
}

/// Drops the slot, our publications and an old schema on the source.
async fn clean_source(settings: &CleanupSettings, dropped: &mut Vec<String>) -> Result<()> {
    let mut session = Session::connect(Side::Source, &settings.source, "cleanup").await?;
    pin(&mut session, SessionRole::Source).await?;
    if drop_slot(&mut session, &settings.slot_name, &settings.source.dbname).await? {
        dropped.push(format!("replication slot \"{}\" on the source", settings.slot_name));
    }
    let standby =
        session.query("select pg_catalog.pg_is_in_recovery()", &[]).await?.one()?.flag(0)?;
    if standby {
        tracing::info!("the source is a standby: publications and schemas are the primary's");
        return Ok(());
    }
    if settings.publication.is_none() {
        for name in publication::drop_ours(&mut session, &settings.slot_name).await? {
            dropped.push(format!("publication \"{name}\" on the source"));
        }
    }
    drop_sentinel_schema(&mut session, dropped).await
}

/// Drops the slot when it belongs to this database; returns whether there was one.
async fn drop_slot(session: &mut Session, name: &str, database: &str) -> Result<bool> {
    let mut backoff = Backoff::lasting(u64::from(session.process_id()), RELEASE_WAIT);
    loop {
        let sql = "select s.active_pid, s.database, a.application_name \
                   from pg_catalog.pg_replication_slots s \
                   left join pg_catalog.pg_stat_activity a on a.pid = s.active_pid \
                   where s.slot_name = $1";
        let rows = session.query(sql, &[Some(name)]).await?;
        let Some(row) = rows.rows.first() else { return Ok(false) };
        let owner = row.optional_text(1)?.unwrap_or_default();
        if owner != database {
            return Err(Error::state(format!(
                "replication slot \"{name}\" belongs to database \"{owner}\", not to \"{database}\""
            ))
            .hint("Choose another name with --slot-name."));
        }
        let sql = "select pg_catalog.pg_drop_replication_slot($1)";
        let refused = match session.query(sql, &[Some(name)]).await {
            Ok(_) => return Ok(true),
            // undefined_object: somebody was faster.
            Err(error) if error.sqlstate() == Some("42704") => return Ok(false),
            // object_in_use.
            Err(error) if error.sqlstate() == Some("55006") => error,
            Err(error) => return Err(error.during(format!("drop replication slot \"{name}\""))),
        };
        match backoff.next_pause() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => {
                let pid = row.optional_text(0)?.unwrap_or("unknown").to_owned();
                return Err(refused.during(format!("drop replication slot \"{name}\"")).hint(
                    format!(
                        "Stop the pgcopydb that follows, or end its backend: SELECT \
                     pg_terminate_backend({pid});"
                    ),
                ));
            }
        }
    }
}

/// Drops the schema that older releases of the tool left on a source: it holds their `sentinel` table.
/// A schema of the name without it is not ours to drop.
async fn drop_sentinel_schema(session: &mut Session, dropped: &mut Vec<String>) -> Result<()> {
    let sql = "select pg_catalog.to_regclass('pgcopydb.sentinel') is not null";
    if session.query(sql, &[]).await?.one()?.flag(0)? {
        session.execute(&format!("drop schema {} cascade", quote_identifier("pgcopydb"))).await?;
        dropped.push("schema \"pgcopydb\" on the source".into());
    }
    Ok(())
}

/// Drops the position on the target, and our publications where they came with the schema: without a
/// slot they serve nobody there.
async fn clean_target(
    target: &ConnInfo,
    settings: &CleanupSettings,
    dropped: &mut Vec<String>,
) -> Result<()> {
    let (origin, slot) = (&settings.origin, &settings.slot_name);
    let mut session = Session::connect(Side::Target, target, "cleanup").await?;
    pin(&mut session, SessionRole::TargetWriter).await?;
    if fence::lower(&mut session, origin).await? {
        dropped.push("write fence on the target".into());
    }
    if position::read(&mut session, origin).await?.is_some() {
        position::remove(&mut session, origin).await?;
        dropped.push(format!("replication origin \"{origin}\" on the target"));
    }
    let sql = "select exists (select from pg_catalog.pg_replication_slots where slot_name = $1)";
    let is_source = session.query(sql, &[Some(slot)]).await?.one()?.flag(0)?;
    if settings.publication.is_none() && !is_source {
        for name in publication::drop_ours(&mut session, slot).await? {
            dropped.push(format!("publication \"{name}\" on the target"));
        }
    }
    ledger::forget_starts(&mut session).await
}
