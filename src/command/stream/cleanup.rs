//! `stream cleanup`: removes slot, publications, position and what the work directory knows of them. The
//! received changes stay.

use crate::base::error::Result;
use crate::config::FollowConfig;
use crate::connect::conninfo::ConnInfo;
use crate::follow::setup::{self, CleanupSettings};
use crate::local::state::Sentinel;
use crate::local::workdir::{Service, WorkDir};

/// Removes them; returns what was dropped, in words. `target` is `None` when none was given.
///
/// # Errors
/// `State` while a process of this work directory receives or applies; the servers' errors.
pub async fn run(config: &FollowConfig, target: Option<&ConnInfo>) -> Result<Vec<String>> {
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
