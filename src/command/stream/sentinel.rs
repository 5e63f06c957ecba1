//! `stream sentinel`: what people tell running processes, and what those report.

use std::path::Path;

use proto::lsn::Lsn;

use crate::base::error::{Error, Result};
use crate::command::follow::status_file;
use crate::command::source;
use crate::connect::conninfo::ConnInfo;
use crate::local::state::{Sentinel, SentinelRow};
use crate::local::workdir::{STATE_DB, Service, WorkDir, read_optional};

/// What is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Where the changes begin.
    Startpos(Lsn),
    /// Where to stop; 0/0 is nowhere.
    Endpos(Lsn),
    /// Whether apply may work.
    Apply(bool),
}

/// Writes the sentinel anew.
///
/// # Errors
/// `State` when it cannot be written.
pub fn setup(directory: &Path, startpos: Lsn, endpos: Lsn) -> Result<()> {
    let path = directory.join(STATE_DB);
    if !path.exists() {
        WorkDir::open(directory, Service::Main)?;
    }
    Sentinel::open(&path)?.setup(startpos, Some(endpos).filter(|lsn| lsn.is_valid()))
}

/// The sentinel.
///
/// # Errors
/// `State` when there is none.
pub fn get(directory: &Path) -> Result<SentinelRow> {
    let path = directory.join(STATE_DB);
    Sentinel::open_existing(&path)?.read()?.ok_or_else(|| {
        Error::state(format!("\"{}\" has no sentinel", path.display()))
            .hint("Run `pgcopydb stream sentinel setup`, or begin with `pgcopydb clone --follow`.")
    })
}

/// How far following is, as the process that follows said last; `None` while none does.
///
/// # Errors
/// `File` when it cannot be read, `State` when it is no JSON.
pub fn following(directory: &Path) -> Result<Option<serde_json::Value>> {
    let path = status_file(directory);
    let Some(bytes) = read_optional(&path)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Error::state(format!("\"{}\" cannot be read: {error}", path.display())))
}

/// Sets something.
///
/// # Errors
/// `State` when there is no sentinel.
pub fn set(directory: &Path, setting: Setting) -> Result<()> {
    let sentinel = Sentinel::open_existing(&directory.join(STATE_DB))?;
    match setting {
        Setting::Startpos(lsn) => sentinel.set_startpos(lsn),
        Setting::Endpos(lsn) => {
            let replayed = sentinel.read()?.map_or(Lsn::INVALID, |row| row.replay_lsn);
            if lsn.is_valid() && lsn < replayed {
                tracing::warn!(endpos = %lsn, replay_lsn = %replayed, "the end position is in the past");
            }
            sentinel.set_endpos(Some(lsn).filter(|lsn| lsn.is_valid()))
        }
        Setting::Apply(apply) => sentinel.set_apply(apply),
    }
}

/// Where the source's log ends now, flushed: everything that is committed durably ends at or before it.
///
/// # Errors
/// The source's.
pub async fn current(info: &ConnInfo) -> Result<Lsn> {
    let mut session = source::connect(info).await?;
    let sql = "select case when pg_catalog.pg_is_in_recovery() \
               then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_flush_lsn() end";
    session.query(sql, &[]).await?.one()?.parse(0)
}
