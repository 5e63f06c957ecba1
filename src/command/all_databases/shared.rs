//! One end for all databases: the sentinel of the whole run stands above those of its databases.
//!
//! Log positions are those of the server, so one end position fits all. What people set in the work
//! directory reaches every database; what those report shows there as the least of all.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::lsn::Lsn;
use tokio::task::JoinHandle;

use crate::base::error::Result;
use crate::config::{FollowConfig, Resume};
use crate::local::state::{Sentinel, SentinelHandle, SentinelRow};

/// How often the sentinels are compared.
const INTERVAL: Duration = Duration::from_millis(250);

/// A database.
#[derive(Debug, Clone)]
struct Member {
    sentinel: SentinelHandle,
    /// Whether its rows are there: before, nothing may be applied.
    is_copied: bool,
}

/// The sentinel of the run.
#[derive(Debug)]
pub(super) struct Shared {
    sentinel: SentinelHandle,
    members: Arc<Mutex<Vec<Member>>>,
    task: JoinHandle<()>,
}

impl Shared {
    /// Opens the sentinel of the run, made where there is none, and hands it on from now on.
    ///
    /// # Errors
    /// `State` when it cannot be read or written.
    pub(super) fn start(state_db: &Path, changes: &FollowConfig, resume: Resume) -> Result<Self> {
        let file = Sentinel::open(state_db)?;
        if file.read()?.is_none() || resume == Resume::Restart {
            file.setup(Lsn::INVALID, changes.endpos)?;
        } else if changes.endpos.is_some() {
            file.set_endpos(changes.endpos)?;
        }
        file.set_apply(true)?;
        drop(file);
        let sentinel = SentinelHandle::start(state_db)?;
        let members = Arc::<Mutex<Vec<Member>>>::default();
        let task = tokio::spawn(hand_on(sentinel.clone(), Arc::clone(&members)));
        Ok(Self { sentinel, members, task })
    }

    /// Where all databases stop.
    pub(super) fn endpos(&self) -> Option<Lsn> {
        self.sentinel.row().endpos
    }

    /// Adds a database; returns its number.
    pub(super) fn add(&self, sentinel: SentinelHandle) -> usize {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(Member { sentinel, is_copied: false });
        members.len() - 1
    }

    /// Says that the rows of a database are there.
    pub(super) fn copied(&self, number: usize) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = members.get_mut(number) {
            member.is_copied = true;
        }
    }

    /// Reports the last positions.
    ///
    /// # Errors
    /// `State` when they cannot be written.
    pub(super) async fn finish(self) -> Result<()> {
        report(&self.sentinel, &listed(&self.members));
        self.sentinel.flush().await
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The databases that there are now.
fn listed(members: &Mutex<Vec<Member>>) -> Vec<Member> {
    members.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Hands on what is set and reports what is reached, until it is aborted.
async fn hand_on(sentinel: SentinelHandle, members: Arc<Mutex<Vec<Member>>>) {
    loop {
        let row = sentinel.row();
        let members = listed(&members);
        for member in &members {
            if let Err(error) = set(member, &row).await {
                tracing::warn!(%error, "an end position does not reach one of the databases");
            }
        }
        report(&sentinel, &members);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Sets in a database what is set for all.
async fn set(member: &Member, all: &SentinelRow) -> Result<()> {
    let own = member.sentinel.row();
    if own.endpos != all.endpos {
        member.sentinel.set_endpos(all.endpos).await?;
    }
    if member.is_copied && own.apply != all.apply {
        member.sentinel.set_apply(all.apply).await?;
    }
    Ok(())
}

/// Reports for all databases the least that any has reached.
fn report(sentinel: &SentinelHandle, members: &[Member]) {
    let rows: Vec<SentinelRow> = members.iter().map(|member| member.sentinel.row()).collect();
    let least = |of: fn(&SentinelRow) -> Lsn| rows.iter().map(of).min().unwrap_or_default();
    sentinel.report_received(least(|row| row.write_lsn), least(|row| row.flush_lsn));
    sentinel.report_replayed(least(|row| row.replay_lsn));
}
