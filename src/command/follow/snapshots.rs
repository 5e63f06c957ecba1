//! The snapshots of a copy whose changes are followed.
//!
//! The first is the one that the slot exported when it was made: the stream begins exactly behind it.
//! When it is lost, a temporary slot exports another one and says where it stands; the tables copied
//! under it take changes from there on only ([`crate::ledger::record_starts`]).

use proto::lsn::Lsn;
use proto::replication::{CreateSlot, Failover, Lifetime, SlotSnapshot};

use super::prepare::Prepared;
use crate::base::error::{Error, Result, Side};
use crate::catalog::fetch;
use crate::command::clone::snapshot::{self, Holder, Provided, Provider};
use crate::command::source;
use crate::config::{FollowConfig, Plugin};
use crate::connect::client::replication::ReplicationSession;
use crate::connect::conninfo::ConnInfo;

/// What keeps the snapshot of a new slot until the copy begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The session that made the slot, which counts as a WAL sender.
    Slot,
    /// An ordinary session: for copies that begin later.
    Session,
}

/// The slot's own snapshot; `None` when it is gone.
///
/// # Errors
/// Those of the session that takes it over, with [`Hold::Session`].
pub(super) async fn first(
    follow: &FollowConfig,
    prepared: &mut Prepared,
    hold: Hold,
) -> Result<Option<Provided>> {
    let lsn = prepared.record.consistent_point;
    Ok(match (prepared.holder.take(), prepared.held.take()) {
        (Some(holder), _) if hold == Hold::Session => {
            let (id, session) = taken_over(&follow.source, &holder.snapshot).await?;
            Some(Provided { id, lsn, keep: Box::new(session) })
        }
        (Some(holder), _) => {
            Some(Provided { id: holder.snapshot.clone(), lsn, keep: Box::new(holder) })
        }
        (None, Some(id)) => Some(Provided { id, lsn, keep: Box::new(()) }),
        (None, None) => None,
    })
}

/// Imports a snapshot into a session of our own, which exports it again and keeps it.
async fn taken_over(source: &ConnInfo, id: &str) -> Result<(String, Holder)> {
    let mut session = source::connect(source).await?;
    let version = fetch::server(&mut session).await?.version;
    snapshot::begin(&mut session, Some(id), false, version).await?;
    let rows = session.query("select pg_catalog.pg_export_snapshot()", &[]).await?;
    let id = rows.one()?.text(0)?.to_owned();
    Ok((id, Holder::start(session)))
}

/// The snapshots of a run.
pub(super) fn provider(
    follow: &FollowConfig,
    prepared: &Prepared,
    mut first: Option<Provided>,
) -> Provider {
    let slot_lsn = prepared.record.consistent_point;
    let (source, plugin) = (follow.source.clone(), follow.plugin);
    let next = Box::new(move || -> snapshot::Providing {
        match first.take() {
            Some(first) => Box::pin(std::future::ready(Ok(first))),
            None => Box::pin(temporary(source.clone(), plugin)),
        }
    });
    let origin = prepared.record.origin.clone();
    Provider { next, slot_lsn, origin, copied: prepared.copied.clone() }
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
        failover: Failover::Off,
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
