//! `snapshot`: exports a snapshot of the source and holds it open for other commands.
//!
//! ```text
//!  lock the work directory ─ begin, export ─ write file `snapshot` ─ announce ─ hold … stop ─ remove the file
//! ```
//!
//! Commands that start in the same work directory meanwhile find the file and import the snapshot. With
//! a slot it is the slot's own snapshot: what is copied under it and what the slot streams meet without a
//! gap.

use crate::base::error::{Error, Result};
use crate::base::stop::StopSignal;
use crate::catalog::fetch;
use crate::config::{SlotConfig, SnapshotConfig};
use crate::connect::client::Session;
use crate::follow::setup::publication::TableChoice;
use crate::follow::setup::{self, SetupSettings};
use crate::local::workdir::{Service, WorkDir, remove_optional, replace_file};

use super::clone::snapshot::{self, KEEPALIVE_INTERVAL};
use super::source;

/// Exports a snapshot, hands its identifier to `announce`, and holds it until it is asked to stop.
///
/// # Errors
/// `State` when another process holds a snapshot in this work directory; the source's errors, also
/// when the session that holds the snapshot is lost: it is gone then. Those of `announce`.
pub async fn run(
    config: &SnapshotConfig,
    stop: &StopSignal,
    announce: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    let directory = WorkDir::open(&config.directory, Service::Snapshot)?;
    if let Some(slot) = &config.slot {
        return with_slot(config, slot, &directory, stop, announce).await;
    }
    let mut session = source::connect(&config.source).await?;
    let version = fetch::server(&mut session).await?.version;
    let snapshot = snapshot::begin(&mut session, None, true, version).await?;
    let id =
        snapshot.id.ok_or_else(|| Error::internal("an exported snapshot has no identifier"))?;
    let file = directory.snapshot_file();
    replace_file(&file, format!("{id}\n").as_bytes())?;
    tracing::info!(snapshot = id, "exported a snapshot, holding it until asked to stop");
    let held = match announce(&id) {
        Ok(()) => hold(&mut session, stop).await,
        Err(error) => Err(error),
    };
    // Whoever comes later must not try to import what is gone.
    remove_optional(&file)?;
    held?;
    let _ = session.execute("commit").await;
    tracing::info!("asked to stop, the snapshot is released");
    Ok(())
}

/// Creates a replication slot and holds the snapshot that was exported with it. Of a slot that was there
/// already nothing is announced: its snapshot is gone.
async fn with_slot(
    config: &SnapshotConfig,
    slot: &SlotConfig,
    directory: &WorkDir,
    stop: &StopSignal,
    announce: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    let settings = SetupSettings {
        source: config.source.clone(),
        state_db: directory.state_db(),
        plugin: slot.plugin,
        slot_name: slot.name.clone(),
        publication: slot.publication.clone(),
        origin: slot.origin.clone(),
        endpos: None,
        tables: TableChoice::All,
    };
    let ready = tokio::select! {
        ready = Box::pin(setup::create_slot(&settings)) => ready?,
        () = stop.graceful.cancelled() => return Err(Error::cancelled()),
    };
    for finding in &ready.findings {
        let hint = finding.hint.as_deref().unwrap_or_default();
        tracing::warn!(object = finding.object, "{}. {hint}", finding.reason);
    }
    let Some(holder) = ready.holder else {
        tracing::warn!(
            slot = slot.name,
            "the slot was made before, its snapshot is gone: waiting without one until asked to stop"
        );
        stop.graceful.cancelled().await;
        return Ok(());
    };
    let file = directory.snapshot_file();
    replace_file(&file, format!("{}\n", holder.snapshot).as_bytes())?;
    tracing::info!(
        snapshot = holder.snapshot,
        "exported a snapshot, holding it until asked to stop"
    );
    let announced = announce(&holder.snapshot);
    if announced.is_ok() {
        stop.graceful.cancelled().await;
    }
    remove_optional(&file)?;
    tracing::info!("asked to stop, the snapshot is released");
    announced
}

/// Keeps the session's transaction alive until asked to stop.
///
/// # Errors
/// Why the session was lost.
async fn hold(session: &mut Session, stop: &StopSignal) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.graceful.cancelled() => return Ok(()),
            () = tokio::time::sleep(KEEPALIVE_INTERVAL) => {}
        }
        session.execute("select 1").await.map_err(|error| error.during("hold the snapshot"))?;
    }
}
