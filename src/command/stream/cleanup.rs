//! `stream cleanup`: removes slot, publications, position and what the work directory knows of them. The
//! received changes stay.

use std::path::Path;

use crate::base::error::Result;
use crate::command::all_databases;
use crate::config::FollowConfig;
use crate::connect::conninfo::ConnInfo;
use crate::follow::setup::{self, CleanupSettings};
use crate::local::state::{Sentinel, SlotRecord};
use crate::local::workdir::{STATE_DB, Service, WorkDir};

/// Removes them, of every database of a run over all; returns what was dropped, in words. `target` is
/// `None` when none was given.
///
/// # Errors
/// `State` while a process of this work directory receives or applies; the servers' errors, the first of
/// several: what comes behind it is tried nevertheless.
pub async fn run(config: &FollowConfig, target: Option<&ConnInfo>) -> Result<Vec<String>> {
    let databases = all_databases::sub_directories(&config.directory)?;
    if databases.is_empty() {
        return one(config, target).await;
    }
    let top = WorkDir::open(&config.directory, Service::Main)?;
    let (mut dropped, mut failed) = (Vec::new(), None);
    for (name, directory) in databases {
        let Some(record) = recorded(&directory)? else { continue };
        let source = config.source.with_dbname(&name);
        let target = target.map(|target| target.with_dbname(&name));
        let (slot_name, origin) = (record.slot, record.origin);
        let database = FollowConfig { source, directory, slot_name, origin, ..config.clone() };
        match Box::pin(one(&database, target.as_ref())).await {
            Ok(more) => dropped.extend(more),
            Err(error) => {
                let error = error.during(format!("database \"{name}\""));
                tracing::error!(%error, "going on with the other databases");
                failed.get_or_insert(error);
            }
        }
    }
    match failed {
        Some(error) => Err(error),
        None => {
            setup::forget(&top.state_db(), &top.snapshot_file())?;
            Ok(dropped)
        }
    }
}

/// What was made on the servers for the migration of a work directory.
fn recorded(directory: &Path) -> Result<Option<SlotRecord>> {
    let state_db = directory.join(STATE_DB);
    if state_db.exists() { Sentinel::open(&state_db)?.slot() } else { Ok(None) }
}

/// Removes what belongs to one database.
async fn one(config: &FollowConfig, target: Option<&ConnInfo>) -> Result<Vec<String>> {
    let directory = WorkDir::open(&config.directory, Service::Receive)?;
    let _apply_lock = WorkDir::open(&config.directory, Service::Apply)?;
    let mut settings = CleanupSettings {
        source: config.source.clone(),
        target: target.cloned(),
        slot_name: config.slot_name.clone(),
        origin: config.origin.clone(),
        publication: config.publication.clone(),
    };
    // What this work directory made has the names it was made with.
    if directory.state_db().exists()
        && let Some(record) = Sentinel::open(&directory.state_db())?.slot()?
    {
        if record.slot != settings.slot_name {
            tracing::warn!(
                slot = record.slot,
                instead_of = settings.slot_name,
                "this work directory made a slot of another name: that one is dropped"
            );
        }
        settings.slot_name = record.slot;
        settings.origin = record.origin;
    }
    let dropped = setup::cleanup(&settings).await?;
    if target.is_none() {
        tracing::warn!("no target is given: a replication origin there stays");
    }
    setup::forget(&directory.state_db(), &directory.snapshot_file())?;
    if dropped.is_empty() {
        tracing::info!("nothing to clean up");
    }
    Ok(dropped)
}
