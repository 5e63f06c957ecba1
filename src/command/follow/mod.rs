//! `clone --follow` and `follow`: keep the target in step with a source that is written to.
//!
//! ```text
//!  publications, slot, position ─┬─► receive ─► store ───────────────► (until the end position)
//!                                └─► clone under the slot's snapshot
//!                                        └─► catch up ─► apply ─► sequences
//! ```
//!
//! Receiving begins before the copy, so the source keeps its log only until it is durable here. Applying
//! begins when the copy is complete. Whatever ends the run, the same command goes on from what is
//! durable: slot and position stay until `stream cleanup` removes them.

mod apply;
mod closing;
mod copy;
mod monitor;
mod prepare;
mod recover;
mod sequences;
mod snapshots;

use proto::lsn::Lsn;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::clone::CloneOutcome;
use crate::base::error::{Error, Result};
use crate::base::event::EventSender;
use crate::base::stop::StopSignal;
use crate::base::summary::Finding;
use crate::config::{CloneConfig, FollowConfig, Resume};
use crate::follow::apply::ApplyProgress;
use crate::follow::catch_up::{CatchUp, CatchUpEnd};
use crate::follow::receive::{ReceiveEnd, Receiver};
use monitor::{Monitor, Watched};
use prepare::Prepared;

pub(in crate::command) use monitor::status_file;
pub(in crate::command) use prepare::followed_tables;

pub use apply::{CatchUpRange, apply, apply_text, print};
pub use copy::{Begun, Following};
pub use snapshots::Hold;

/// What following did.
#[derive(Debug, Clone, Default)]
pub struct FollowOutcome {
    /// How it ended; `None` when the end position was reached before.
    pub end: Option<CatchUpEnd>,
    /// What was applied by this process.
    pub progress: ApplyProgress,
    /// Sequences set at the end.
    pub sequences: u64,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// Copies a database and follows its changes.
///
/// # Errors
/// The first failure of either; the same command continues.
pub async fn clone(
    config: CloneConfig,
    follow: FollowConfig,
    events: EventSender,
    stop: StopSignal,
) -> Result<(CloneOutcome, FollowOutcome)> {
    let begun = Box::pin(Begun::start(follow, config.resume, Hold::Slot, &stop)).await?;
    let (copied, following) = Box::pin(begun.copy(config, events)).await?;
    Ok((copied, following.run().await?))
}

/// Follows the changes of a database that was copied before, or that has an earlier run's slot.
///
/// # Errors
/// `State` when its copy is not complete; the first failure, after which the same command continues.
pub async fn run(
    follow: FollowConfig,
    resume: Resume,
    events: EventSender,
    stop: StopSignal,
) -> Result<FollowOutcome> {
    prepare::demand_copy(&follow).await?;
    let prepared = Box::pin(prepare::prepare(&follow, resume, &stop)).await?;
    prepared.sentinel.set_apply(true).await?;
    let endpos = prepared.sentinel.row().endpos;
    if let Some(endpos) = endpos.filter(|endpos| *endpos <= prepared.position) {
        tracing::info!(%endpos, position = %prepared.position, "the end position was reached before");
        // What ended the run that reached it may have ended it before its sequences.
        let report = sequences::set(&follow).await?;
        prepare::lower_fence(&follow, &prepared.record.origin).await?;
        let mut findings = prepared.findings;
        findings.extend(report.findings);
        findings.extend(closing::notes(&follow, &prepared.record).await?);
        let applied = prepared.position;
        let progress = ApplyProgress { committed: applied, applied, ..ApplyProgress::default() };
        return Ok(FollowOutcome { end: None, progress, sequences: report.set, findings });
    }
    let receiver = Receiver::open(prepared.receive_settings(&follow)).await?;
    let receiving = Receiving::start(receiver, &stop);
    catch_up(&follow, prepared, receiving, events, &stop).await
}

/// Applies what is received until the end, then sets the sequences.
async fn catch_up(
    follow: &FollowConfig,
    prepared: Prepared,
    mut receiving: Receiving,
    events: EventSender,
    stop: &StopSignal,
) -> Result<FollowOutcome> {
    prepare::raise_fence(follow, &prepared.record.origin).await?;
    let start = ApplyProgress { applied: prepared.position, ..ApplyProgress::default() };
    let (sender, progress) = watch::channel(start);
    let work = CatchUp {
        config: follow.clone(),
        scope: prepared.followed().scope(follow).await?,
        store: prepared.directory.cdc(),
        positions: receiving.positions.clone(),
        sentinel: prepared.sentinel.clone(),
        progress: sender,
    };
    let monitor = Monitor::start(Watched {
        source: follow.source.clone(),
        slot: follow.slot_name.clone(),
        received: receiving.progress.clone(),
        stored: receiving.positions.clone(),
        applied: progress.clone(),
        sentinel: prepared.sentinel.clone(),
        events,
        directory: follow.directory.clone(),
    });
    let apply_stop = child(stop);
    let mut applying = Box::pin(work.run(&apply_stop));
    let end = tokio::select! {
        end = &mut applying => end,
        failed = receiving.failed() => {
            // What is durable here is still applied: it may never be sent again.
            apply_stop.stop_gracefully();
            let _ = applying.await;
            return Err(failed);
        }
    };
    drop(applying);
    drop(monitor);
    let received = receiving.end().await;
    let end = end?;
    received?;
    let mut outcome = FollowOutcome {
        end: Some(end),
        progress: *progress.borrow(),
        sequences: 0,
        findings: prepared.findings,
    };
    match end {
        CatchUpEnd::EndposReached { endpos, applied } => {
            tracing::info!(%endpos, %applied, "the end position is reached, everything up to it is applied");
            let report = sequences::set(follow).await?;
            prepare::lower_fence(follow, &prepared.record.origin).await?;
            outcome.sequences = report.set;
            outcome.findings.extend(report.findings);
            outcome.findings.extend(closing::notes(follow, &prepared.record).await?);
        }
        CatchUpEnd::Stopped { applied } => {
            if let Some(endpos) = prepared.sentinel.row().endpos {
                return Err(not_reached(endpos, applied));
            }
            tracing::info!(%applied, "stopped; the same command, or `pgcopydb follow`, continues");
        }
    }
    Ok(outcome)
}

/// The error of a run that was stopped before its end position (K18).
fn not_reached(endpos: Lsn, applied: Lsn) -> Error {
    Error::cancelled().hint(format!(
        "The end position {endpos} is not reached, the target is at {applied}. Run the same command \
         again to continue."
    ))
}

/// The receiving task.
struct Receiving {
    task: Option<JoinHandle<Result<ReceiveEnd>>>,
    stop: StopSignal,
    positions: watch::Receiver<crate::follow::store::Positions>,
    progress: watch::Receiver<crate::follow::receive::ReceiveProgress>,
}

impl Receiving {
    /// Starts to receive.
    fn start(receiver: Receiver, stop: &StopSignal) -> Self {
        let (positions, progress) = (receiver.positions(), receiver.progress());
        let stop = child(stop);
        let own = stop.clone();
        let task = Some(tokio::spawn(async move { receiver.run(&own).await }));
        Self { task, stop, positions, progress }
    }

    /// Waits for a failure; an end that was asked for is none. Cancel safe.
    async fn failed(&mut self) -> Error {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let result = task.await;
        self.task = None;
        match flatten(result) {
            Ok(_) => std::future::pending().await,
            Err(error) => error,
        }
    }

    /// Asks it to stop and waits for its end.
    async fn end(&mut self) -> Result<()> {
        self.stop.stop_gracefully();
        let Some(task) = self.task.take() else { return Ok(()) };
        flatten(task.await).map(drop)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.stop.stop_fast();
    }
}

/// The result of a task.
fn flatten<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.unwrap_or_else(|error| Err(Error::internal(format!("a task ended: {error}"))))
}

/// A signal that is raised with `stop` and can be raised alone.
fn child(stop: &StopSignal) -> StopSignal {
    StopSignal { graceful: stop.graceful.child_token(), fast: stop.fast.child_token() }
}
