//! The applying half of `follow` alone: `stream catchup`, `stream apply`, `stream transform`.

use std::io::Write;

use proto::lsn::Lsn;
use tokio::sync::{mpsc, watch};

use super::{FollowOutcome, prepare};
use crate::base::error::{Error, Result};
use crate::base::stop::StopSignal;
use crate::config::{FollowConfig, PrintConfig};
use crate::follow::apply::{ApplyProgress, TextApplier};
use crate::follow::catch_up::{CatchUp, CatchUpEnd};
use crate::follow::doubtful::destroyed;
use crate::follow::export::{ExportRange, export};
use crate::follow::store::{self, Positions};
use crate::local::state::SentinelHandle;
use crate::local::workdir::{Service, WorkDir};

/// Which changes are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUpRange {
    /// Those that another process receives, as long as it does, once the sentinel says so.
    WithWriter,
    /// Those that are there now; up to the end position, where there is one, also later ones.
    Received,
}

/// Applies changes that another process receives or has received.
///
/// # Errors
/// `State` when nothing was received; what stops apply.
pub async fn apply(
    follow: FollowConfig,
    range: CatchUpRange,
    stop: StopSignal,
) -> Result<FollowOutcome> {
    let directory = WorkDir::open(&follow.directory, Service::Apply)?;
    let settings = follow.clone();
    let scope = prepare::followed(&follow).await?.scope(&follow).await?;
    let sentinel = SentinelHandle::start(&directory.state_db())?;
    prepare::set_endpos(&follow, &sentinel).await?;
    if range == CatchUpRange::Received {
        sentinel.set_apply(true).await?;
    }
    let endpos = sentinel.row().endpos;
    let positions = match (range, endpos) {
        (CatchUpRange::Received, None) => received(&directory)?,
        _ => store::follow_files(&directory.cdc())?,
    };
    let (sender, progress) = watch::channel(ApplyProgress::default());
    let work = CatchUp {
        config: follow,
        scope,
        store: directory.cdc(),
        positions,
        sentinel: sentinel.clone(),
        progress: sender,
    };
    let end = Box::pin(work.run(&stop)).await?;
    if let (CatchUpEnd::Stopped { applied }, Some(endpos)) = (end, sentinel.row().endpos) {
        return Err(super::not_reached(endpos, applied));
    }
    let findings = match end {
        CatchUpEnd::EndposReached { .. } => destroyed(&settings, &directory.cdc()).await?,
        CatchUpEnd::Stopped { .. } => Vec::new(),
    };
    let progress = *progress.borrow();
    Ok(FollowOutcome { end: Some(end), progress, findings, ..FollowOutcome::default() })
}

/// How far a store is written now; nobody will move it.
fn received(directory: &WorkDir) -> Result<watch::Receiver<Positions>> {
    let Some(state) = store::read_state(&directory.cdc())? else {
        return Err(Error::state(format!(
            "there are no changes in \"{}\"",
            directory.cdc().display()
        ))
        .hint("Receive changes first: pgcopydb stream prefetch."));
    };
    Ok(watch::channel(state.positions).1)
}

/// Applies changes that come as SQL text, line by line. Returns how many transactions it was.
///
/// # Errors
/// What stops it; the transactions before it are applied. `Cancelled` when asked to stop.
pub async fn apply_text(
    follow: &FollowConfig,
    mut lines: mpsc::Receiver<Result<String>>,
    stop: &StopSignal,
) -> Result<u64> {
    let mut applier = TextApplier::open(follow).await?;
    while !applier.reached() {
        let line = tokio::select! {
            line = lines.recv() => line,
            () = stop.graceful.cancelled() => return Err(Error::cancelled()),
        };
        let Some(line) = line else { break };
        applier.line(&line?).await?;
    }
    let (transactions, reached) = (applier.transactions(), applier.reached());
    let position = applier.close().await?;
    match follow.endpos.filter(|_| !reached) {
        Some(endpos) => Err(Error::state(format!(
            "the text ends before the end position {endpos}, the target is at {position}"
        ))),
        None => Ok(transactions),
    }
}

/// Prints the changes that were received as SQL text, those that are applied already, too. Returns how
/// many transactions it was.
///
/// # Errors
/// `State` when nothing was received; what reading and writing report.
pub async fn print(config: &PrintConfig, out: impl Write, stop: &StopSignal) -> Result<u64> {
    let range = ExportRange {
        start: Lsn::INVALID,
        endpos: config.endpos,
        keep_no_ops: config.replay_no_op_updates,
    };
    // Beside whoever writes or reads the store: nothing is locked.
    let store = WorkDir::cdc_in(&config.directory);
    let exported = export(&store, range, out, stop).await?;
    match (config.endpos, exported.reached) {
        (Some(_), false) => Err(Error::cancelled()),
        _ => Ok(exported.transactions),
    }
}
