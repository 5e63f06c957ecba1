//! The snapshot that everything is read under, and the session that keeps it alive.

use std::any::Any;
use std::pin::Pin;
use std::time::Duration;

use proto::lsn::Lsn;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::base::error::{Error, Result, Side};
use crate::base::ident::quote_literal;
use crate::config::{CloneConfig, Resume};
use crate::connect::client::Session;
use crate::local::workdir;

/// How often the holder says something, so that no firewall or NAT forgets its connection (S-19).
///
/// The shortest idle limits seen in the field are four to five minutes.
pub(in crate::command) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// What a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::command) struct Snapshot {
    /// Identifier to import; `None` without consistency, where each session reads what is committed.
    pub(in crate::command) id: Option<String>,
    /// `pg_current_snapshot()`: two snapshots with the same text see the same rows.
    pub(in crate::command) identity: String,
    /// Where it stands in the source's log, when changes are followed: what was committed up to here is
    /// seen, nothing else.
    pub(in crate::command) lsn: Option<Lsn>,
}

/// A snapshot that somebody else exported, with its place in the source's log.
pub(in crate::command) struct Provided {
    /// Identifier to import.
    pub(in crate::command) id: String,
    /// Where it stands.
    pub(in crate::command) lsn: Lsn,
    /// What keeps it alive until it is dropped.
    pub(in crate::command) keep: Box<dyn Any + Send>,
}

/// A snapshot that is being made.
pub(in crate::command) type Providing = Pin<Box<dyn Future<Output = Result<Provided>> + Send>>;

/// Gives each pass its snapshot when changes are followed; a later one stands at a later position.
pub(in crate::command) struct Provider {
    /// Makes the next one.
    pub(in crate::command) next: Box<dyn FnMut() -> Providing + Send>,
    /// Where the slot begins: the stream has what was committed after this, nothing before.
    pub(in crate::command) slot_lsn: Lsn,
    /// Name of the position on the target, where the end of the copy is noted.
    pub(in crate::command) origin: String,
    /// The options of a copy that is complete, as noted there.
    pub(in crate::command) copied: Option<String>,
}

/// The snapshot to import: the one that the option names, else the one that `pgcopydb snapshot` holds
/// for this work directory.
///
/// # Errors
/// `Config` when both are there and differ.
pub(in crate::command) fn adopt(config: &CloneConfig) -> Result<Option<String>> {
    if config.not_consistent || config.resume == Resume::Restart {
        return Ok(config.snapshot.clone());
    }
    let path = config.directory.join(workdir::SNAPSHOT_FILE);
    let held = workdir::read_optional(&path)?
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
        .filter(|id| !id.is_empty());
    match (&config.snapshot, held) {
        (Some(named), Some(held)) if *named != held => Err(Error::config(format!(
            "option --snapshot names \"{named}\", but \"{}\" says that \"{held}\" is held for this \
             work directory",
            path.display()
        ))
        .hint("Leave the option out, end `pgcopydb snapshot`, or give another --dir.")),
        (None, Some(held)) => {
            tracing::info!(
                target: crate::base::log::NOTICE,
                snapshot = held,
                "reading under the snapshot that is held for this work directory"
            );
            Ok(Some(held))
        }
        (named, _) => Ok(named.clone()),
    }
}

/// Opens the transaction that everything else is read under: imports the snapshot that the user
/// named, or exports one.
///
/// # Errors
/// `Config` when the snapshot that the user named does not exist.
pub(in crate::command) async fn begin(
    session: &mut Session,
    named: Option<&str>,
    consistent: bool,
    version: u32,
) -> Result<Snapshot> {
    let import = named
        .map_or_else(String::new, |id| format!("; set transaction snapshot {}", quote_literal(id)));
    let begin = format!("begin isolation level repeatable read, read only{import}");
    if let Err(error) = session.execute(&begin).await {
        return Err(match (named, error.as_server()) {
            (Some(id), Some(server)) => Error::new(
                Side::Source,
                crate::base::error::ErrorKind::Config(format!(
                    "could not import snapshot \"{id}\": {}",
                    server.message
                )),
            )
            .hint(
                "The session that exported it must still be open: start `pgcopydb snapshot` again, or \
                 remove the work directory's file \"snapshot\" when nothing holds one.",
            ),
            _ => error,
        });
    }
    // txid_current_snapshot is the name before version 13 and has the same text form.
    let function = if version >= 130_000 { "pg_current_snapshot" } else { "txid_current_snapshot" };
    let identity = session.query(&format!("select pg_catalog.{function}()::text"), &[]).await?;
    let id = match named {
        Some(id) => Some(id.to_owned()),
        None if consistent => {
            let rows = session.query("select pg_catalog.pg_export_snapshot()", &[]).await?;
            Some(rows.one()?.text(0)?.to_owned())
        }
        None => None,
    };
    Ok(Snapshot { id, identity: identity.one()?.text(0)?.to_owned(), lsn: None })
}

/// Keeps a session's transaction, and with it the snapshot, alive until it is released.
#[derive(Debug)]
pub(in crate::command) struct Holder {
    release: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Holder {
    /// Starts to hold.
    pub(in crate::command) fn start(session: Session) -> Self {
        let (release, released) = oneshot::channel();
        Self { release: Some(release), task: tokio::spawn(hold(session, released)) }
    }

    /// Ends the transaction.
    pub(super) async fn release(mut self) {
        drop(self.release.take());
        let _ = (&mut self.task).await;
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if self.release.is_some() {
            self.task.abort();
        }
    }
}

/// Says something every [`KEEPALIVE_INTERVAL`] until released or until the connection is lost. A lost
/// snapshot shows at the next import, which fails as stale: nothing else needs to know.
async fn hold(mut session: Session, mut released: oneshot::Receiver<()>) {
    loop {
        match tokio::time::timeout(KEEPALIVE_INTERVAL, &mut released).await {
            Ok(_) => {
                let _ = session.execute("commit").await;
                return;
            }
            Err(_) => {
                if let Err(error) = session.execute("select 1").await {
                    tracing::warn!(%error, "the session that holds the snapshot was lost");
                    return;
                }
            }
        }
    }
}
