//! A work directory that knows nothing of a migration which the target knows: it was lost, or this is another
//! machine (X-11).
//!
//! ```text
//!  row of the target ─► slot on the source ─► nothing confirmed beyond the target's position? ─► sentinel
//! ```
//!
//! What is confirmed to the source was received into the directory that is gone. Where the target has all
//! of it, the slot sends the rest again and nothing is missing.

use std::collections::HashSet;

use proto::lsn::Lsn;

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::command::source;
use crate::config::{FollowConfig, Plugin};
use crate::connect::client::Session;
use crate::connect::client::replication::ReplicationSession;
use crate::follow::doubtful;
use crate::follow::receive::slot::{self, SlotState};
use crate::follow::setup::record::{self, Known};
use crate::local::state::{Sentinel, SlotRecord};
use crate::local::workdir::WorkDir;

/// Takes over what the target knows into a directory that knows nothing; where neither knows anything,
/// or the directory does, nothing happens. `followed` are the tables' identifiers on the source. Returns
/// the options of a copy that is complete.
///
/// # Errors
/// `State` when the target belongs to another migration, when the slot is gone, or when changes were lost
/// with the directory; those of the connections.
pub(super) async fn recover(
    follow: &FollowConfig,
    followed: &HashSet<u32>,
    directory: &WorkDir,
    target: &mut Session,
) -> Result<Option<String>> {
    let Some(known) = record::read(target, &follow.origin).await? else { return Ok(None) };
    let sentinel = Sentinel::open(&directory.state_db())?;
    let Known { position, slot: Some(record), copied } = known else { return Ok(known.copied) };
    if sentinel.slot()?.is_some() {
        return Ok(copied);
    }
    let found = check(follow, &record).await?;
    check_loss(directory, &record.slot, found.confirmed, position)?;
    if follow.plugin == Plugin::Wal2json {
        let mut source = source::connect(&follow.source).await?;
        doubtful::suspect(&mut source, followed.iter().copied(), &directory.cdc()).await?;
    }
    sentinel.set_slot(&record)?;
    sentinel.setup(record.consistent_point, follow.endpos)?;
    sentinel.set_replayed(position)?;
    tracing::info!(
        slot = record.slot,
        %position,
        confirmed = %found.confirmed,
        "the work directory is new, the migration is not: continuing from what the target holds; nothing \
         that was received is missing"
    );
    Ok(copied)
}

/// Demands that the target's record is of this source and this slot; returns the slot.
async fn check(follow: &FollowConfig, record: &SlotRecord) -> Result<SlotState> {
    let name = &follow.slot_name;
    let refuse = |text: String| {
        Err(Error::new(Side::Target, ErrorKind::State(text)).hint(
            "Repeat the names and the source of the first start, choose another name with --origin, or \
             remove that migration with `pgcopydb stream cleanup`.",
        ))
    };
    if record.slot != *name {
        return refuse(format!(
            "replication origin \"{}\" belongs to slot \"{}\", not to \"{name}\"",
            record.origin, record.slot
        ));
    }
    let mut replication = ReplicationSession::connect(&follow.source, "identify").await?;
    let system = replication.identify().await?.system_identifier;
    drop(replication);
    if (system, &follow.source.dbname) != (record.system_identifier, &record.database) {
        return refuse(format!(
            "replication origin \"{}\" belongs to database \"{}\" of system {}, the source is database \
             \"{}\" of system {system}",
            record.origin, record.database, record.system_identifier, follow.source.dbname
        ));
    }
    let mut session = source::connect(&follow.source).await?;
    let Some(found) = slot::read(&mut session, name).await? else {
        return Err(Error::new(
            Side::Source,
            ErrorKind::State(format!("replication slot \"{name}\" does not exist any more")),
        )
        .hint(
            "It was dropped, or the source failed over to a server without it: the target needs a new \
             copy. Start over with --restart.",
        ));
    };
    found.check(name, follow.plugin, &follow.source.dbname)?;
    Ok(found)
}

/// Refuses to go on where the source may have forgotten what the target does not have.
fn check_loss(directory: &WorkDir, slot: &str, confirmed: Lsn, position: Lsn) -> Result<()> {
    if confirmed <= position {
        return Ok(());
    }
    Err(Error::state(format!(
        "work directory \"{}\" holds no changes: replication slot \"{slot}\" was confirmed up to \
         {confirmed}, the target has what was committed up to {position}, and what was received in between \
         is not here",
        directory.top().display()
    ))
    .hint(
        "Give the --dir of the earlier start. If it is lost, so are these changes, and the target needs a \
         new copy: start over with --restart. With --confirm applied a lost directory loses nothing.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::workdir::Service;

    // trap X-11
    #[test]
    fn what_is_confirmed_and_not_on_the_target_is_named_with_both_positions() {
        let directory = tempfile::tempdir().unwrap();
        let directory = WorkDir::open(directory.path(), Service::Main).unwrap();
        assert!(check_loss(&directory, "s", Lsn(0x10), Lsn(0x10)).is_ok());
        let text = check_loss(&directory, "s", Lsn(0x11), Lsn(0x10)).unwrap_err().to_string();
        assert!(text.contains("0/11") && text.contains("0/10"), "{text}");
    }
}
