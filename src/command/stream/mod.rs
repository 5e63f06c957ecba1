//! The `stream` commands that make, receive and remove: the parts of `follow` by hand.
//!
//! ```text
//!  snapshot --follow ─► stream setup ─► stream receive | prefetch ─► … ─► stream cleanup
//!                                          ▲ stream sentinel          └► stream prune
//! ```
//!
//! Those that apply are in [`super::follow`].

pub mod cleanup;
pub mod prune;
pub mod receive;
pub mod sentinel;
pub mod setup;

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::local::state::{Sentinel, SlotRecord};

/// What was made on the servers for the migration of a work directory.
///
/// # Errors
/// `State` when nothing was.
fn record(state_db: &Path) -> Result<(Sentinel, SlotRecord)> {
    let sentinel = Sentinel::open_existing(state_db)?;
    match sentinel.slot()? {
        Some(record) if record.consistent_point.is_valid() => Ok((sentinel, record)),
        _ => Err(Error::state("no replication slot was made in this work directory").hint(
            "Run `pgcopydb snapshot --follow`, `pgcopydb follow` or `pgcopydb clone --follow` first.",
        )),
    }
}
