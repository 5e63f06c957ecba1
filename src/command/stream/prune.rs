//! `stream prune`: removes received changes that are applied.

use std::path::Path;

use proto::lsn::Lsn;

use crate::base::error::Result;
use crate::base::units::ByteSize;
use crate::command::all_databases;
use crate::follow::store::{Prune, Pruned, prune};
use crate::local::state::Sentinel;
use crate::local::workdir::{STATE_DB, WorkDir};

/// Removes or, for a dry run, names the files that hold nothing after the applied position; of every
/// database of a run over all.
///
/// # Errors
/// `State` when there is no sentinel; `File` when a file cannot be removed.
pub fn run(directory: &Path, mode: Prune) -> Result<()> {
    let databases = all_databases::sub_directories(directory)?;
    if databases.is_empty() {
        return one(directory, mode).map(drop);
    }
    for (name, directory) in databases.iter().filter(|(_, path)| path.join(STATE_DB).exists()) {
        tracing::info!(database = name, "pruning");
        one(directory, mode)?;
    }
    Ok(())
}

/// The same for one database.
fn one(directory: &Path, mode: Prune) -> Result<Pruned> {
    let sentinel = Sentinel::open_existing(&directory.join(STATE_DB))?;
    let applied = sentinel.read()?.map_or(Lsn::INVALID, |row| row.replay_lsn);
    let pruned = prune(&WorkDir::cdc_in(directory), applied, mode)?;
    let what = match mode {
        Prune::Remove => "removed",
        Prune::DryRun => "would remove",
    };
    for (name, bytes) in &pruned.files {
        tracing::info!(size = %ByteSize(*bytes), "{what} {name}");
    }
    tracing::info!(
        files = pruned.files.len(),
        size = %ByteSize(pruned.bytes),
        %applied,
        "{what} what is applied"
    );
    Ok(pruned)
}
