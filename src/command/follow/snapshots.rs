//! The snapshots of a copy whose changes are followed.
//!
//! The first is the one that the slot exported when it was made: the stream begins exactly behind it.
//! When it is lost, a temporary slot exports another one and says where it stands; the tables copied
//! under it take changes from there on only ([`crate::ledger::record_starts`]).

use proto::lsn::Lsn;
use proto::replication::{CreateSlot, Lifetime, SlotSnapshot};

use super::prepare::Prepared;
use crate::base::error::{Error, Result, Side};
use crate::command::clone::snapshot::{Provided, Provider};
use crate::config::{FollowConfig, Plugin};
use crate::connect::client::replication::ReplicationSession;
use crate::connect::conninfo::ConnInfo;

/// The snapshots of a run.
pub(super) fn provider(follow: &FollowConfig, prepared: &mut Prepared) -> Provider {
    let slot_lsn = prepared.record.consistent_point;
    let mut first = match (prepared.holder.take(), prepared.held.take()) {
        (Some(holder), _) => {
            Some(Provided { id: holder.snapshot.clone(), lsn: slot_lsn, keep: Box::new(holder) })
        }
        (None, Some(id)) => Some(Provided { id, lsn: slot_lsn, keep: Box::new(()) }),
        (None, None) => None,
    };
    let (source, plugin) = (follow.source.clone(), follow.plugin);
    let next = Box::new(move || -> crate::command::clone::snapshot::Providing {
        match first.take() {
            Some(first) => Box::pin(std::future::ready(Ok(first))),
            None => Box::pin(temporary(source.clone(), plugin)),
        }
    });
    Provider { next, slot_lsn }
}

/// Exports a snapshot whose place in the log is known. The slot goes with its session.
async fn temporary(source: ConnInfo, plugin: Plugin) -> Result<Provided> {
    let mut session = ReplicationSession::connect(&source, "snapshot").await?;
    let name = format!("pgcopydb_{}_{}", std::process::id(), session.process_id());
    let slot = CreateSlot {
        slot: &name,
        plugin: plugin.name(),
        lifetime: Lifetime::Temporary,
        snapshot: SlotSnapshot::Export,
    };
    tracing::info!("exporting another snapshot; open transactions of the source are waited for");
    let created = session
        .create_slot(&slot)
        .await
        .map_err(|error| error.during("export a snapshot with a temporary slot"))?;
    let id = created
        .snapshot
        .ok_or_else(|| Error::protocol(Side::Source, "the temporary slot exported no snapshot"))?;
    let lsn: Lsn = created.consistent_point;
    Ok(Provided { id, lsn, keep: Box::new(session) })
}
