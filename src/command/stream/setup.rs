//! `stream setup`: sentinel and position on the target for a slot that `snapshot --follow` made.

use proto::lsn::Lsn;

use crate::base::error::Result;
use crate::config::FollowConfig;
use crate::follow::setup::create_position;
use crate::local::workdir::{Service, WorkDir};

/// Writes the sentinel where there is none and creates the position on the target; returns where it is.
///
/// # Errors
/// `State` when no slot was made here, or when the position belongs to another migration.
pub async fn run(config: &FollowConfig) -> Result<Lsn> {
    let directory = WorkDir::open(&config.directory, Service::Apply)?;
    let (sentinel, mut record) = super::record(&directory.state_db())?;
    let row = sentinel.read()?;
    if row.is_none() {
        sentinel.setup(record.consistent_point, config.endpos)?;
    } else if config.endpos.is_some() {
        sentinel.set_endpos(config.endpos)?;
    }
    if record.origin != config.origin {
        record.origin.clone_from(&config.origin);
        sentinel.set_slot(&record)?;
    }
    create_position(&config.target, &record, row.is_some()).await
}
