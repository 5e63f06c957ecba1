//! Catching up: what the store holds is decoded and applied, up to the writer and then along with it.
//!
//! ```text
//!  store ─► StoreReader ─► Decoder ─► Applier ─► target
//!                              ▲
//!  sentinel: apply or prefetch, end position ┘
//! ```
//!
//! Far behind and live are one path: live is when the reader has reached the writer. What a lost target
//! or a deadlock interrupts is read again from the position that the target has.

use std::path::PathBuf;
use std::time::Duration;

use proto::lsn::Lsn;
use tokio::sync::watch;

use super::apply::{Applier, ApplyProgress, Scope};
use super::change::{Begin, ChangeEvent};
use super::decode::{Decoder, Place, Received};
use super::doubtful::{Doubtful, DoubtfulColumn};
use super::store::{Positions, StoreReader, Stored};
use crate::base::error::{Error, Result};
use crate::base::stop::StopSignal;
use crate::config::FollowConfig;
use crate::connect::client::retry::Backoff;
use crate::local::state::{SentinelHandle, SentinelRow};

/// How long a target that cannot be reached is waited for: a restart with crash recovery, a failover.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often the sentinel is looked at while there is something to apply, in items of the store.
const LOOK_ITEMS: u32 = 256;

/// How long it may take until what was applied is noticed as flushed while nothing happens.
const IDLE_INTERVAL: Duration = Duration::from_millis(200);

/// How catching up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUpEnd {
    /// Everything up to the end position is applied and flushed on the target.
    EndposReached {
        /// The end position.
        endpos: Lsn,
        /// Where the target stands.
        applied: Lsn,
    },
    /// It was asked to stop, or the writer ended; the target stands here.
    Stopped {
        /// Where the target stands.
        applied: Lsn,
    },
}

/// Applies what the store holds.
#[derive(Debug)]
pub struct CatchUp {
    /// Settings.
    pub config: FollowConfig,
    /// Which tables.
    pub scope: Scope,
    /// Directory of the store.
    pub store: PathBuf,
    /// How far the store is written; closed when nothing more will be.
    pub positions: watch::Receiver<Positions>,
    /// Mode and end position, and where the applied position is published.
    pub sentinel: SentinelHandle,
    /// Where progress is published.
    pub progress: watch::Sender<ApplyProgress>,
}

/// Why one connection's work ended.
enum Pause {
    /// The run is over.
    End(CatchUpEnd),
    /// The sentinel says prefetch.
    Prefetch,
}

impl CatchUp {
    /// Applies until the end position is reached, until asked to stop or until the writer has ended
    /// and everything is applied.
    ///
    /// # Errors
    /// What stops apply and no new attempt mends; the commits before it are applied.
    pub async fn run(self, stop: &StopSignal) -> Result<CatchUpEnd> {
        let mut backoff = Backoff::lasting(u64::from(std::process::id()), PATIENCE);
        loop {
            if !self.wait_for_apply(stop).await? {
                return Ok(CatchUpEnd::Stopped { applied: self.sentinel.row().replay_lsn });
            }
            let before = self.progress.borrow().applied;
            let error = match Box::pin(self.apply(stop)).await {
                Ok(Pause::End(end)) => return Ok(end),
                Ok(Pause::Prefetch) => continue,
                Err(error) => error,
            };
            if self.progress.borrow().applied > before {
                backoff.reset();
            }
            if !error.class().is_retryable() {
                return Err(error);
            }
            let Some(pause) = backoff.next_pause() else { return Err(error) };
            tracing::warn!(%error, pause_ms = pause.as_millis(), "applying changes again from the target's position");
            tokio::select! {
                () = stop.graceful.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Waits until the sentinel lets apply work; `false` when asked to stop.
    async fn wait_for_apply(&self, stop: &StopSignal) -> Result<bool> {
        let mut rows = self.sentinel.watch();
        if !rows.borrow().apply {
            tracing::info!(
                "changes are received and kept; they are applied when the copy is complete"
            );
        }
        tokio::select! {
            () = stop.graceful.cancelled() => Ok(false),
            row = rows.wait_for(|row| row.apply) => match row {
                Ok(_) => Ok(true),
                Err(_) => Err(Error::internal("the thread of the sentinel has ended")),
            },
        }
    }

    /// Applies with one connection to the target.
    async fn apply(&self, stop: &StopSignal) -> Result<Pause> {
        let mut rows = self.sentinel.watch();
        let first = *rows.borrow_and_update();
        let mut applier = Applier::open(&self.config, self.scope.clone()).await?;
        applier.set_endpos(first.endpos);
        let publisher =
            tokio::spawn(publish(applier.progress(), self.progress.clone(), self.sentinel.clone()));
        let outcome = self.feed(&mut applier, &mut rows, stop).await;
        let outcome = match outcome {
            Ok(pause) => applier.close().await.map(|applied| (pause, applied)),
            Err(error) => Err(error),
        };
        publisher.abort();
        let (pause, applied) = outcome?;
        self.sentinel.report_replayed(applied);
        self.progress.send_modify(|progress| progress.applied = applied.max(progress.applied));
        self.sentinel.flush().await?;
        Ok(match (pause, rows.borrow().endpos) {
            (Step::Prefetch, _) => Pause::Prefetch,
            (Step::Reached, Some(endpos)) => {
                Pause::End(CatchUpEnd::EndposReached { endpos, applied })
            }
            (Step::Reached | Step::Stopped, _) => Pause::End(CatchUpEnd::Stopped { applied }),
        })
    }

    /// Feeds the applier from the store.
    async fn feed(
        &self,
        applier: &mut Applier,
        rows: &mut watch::Receiver<SentinelRow>,
        stop: &StopSignal,
    ) -> Result<Step> {
        let start = applier.position();
        let mut reader = StoreReader::open(&self.store, start, self.positions.clone()).await?;
        let mut decoding = Decoding::new(self.config.plugin);
        let mut doubtful = Doubtful::open(&self.store)?;
        let mut writer_alive = true;
        let mut heard = *rows.borrow();
        loop {
            for _ in 0..LOOK_ITEMS {
                if applier.reached() {
                    return Ok(Step::Reached);
                }
                let Some(stored) = reader.try_next().await? else {
                    applier.flush().await?;
                    if !writer_alive {
                        // The writer may have ended at an end position that was set a moment ago.
                        applier.set_endpos(rows.borrow_and_update().endpos);
                        let reached = applier.reached();
                        return Ok(if reached { Step::Reached } else { Step::Stopped });
                    }
                    tokio::select! {
                        alive = reader.wait() => writer_alive = alive,
                        _ = rows.changed() => {}
                        () = stop.graceful.cancelled() => {}
                        () = tokio::time::sleep(IDLE_INTERVAL) => {}
                    }
                    break;
                };
                decoding.decode(stored)?;
                doubtful.add(decoding.take_doubtful())?;
                for event in decoding.events.drain(..) {
                    applier.apply(event).await?;
                }
            }
            if stop.is_stopping() {
                return Ok(Step::Stopped);
            }
            let row = *rows.borrow_and_update();
            if row != heard {
                heard = row;
                applier.set_endpos(row.endpos);
                if !row.apply {
                    tracing::info!("asked to prefetch: changes are received and kept");
                    return Ok(Step::Prefetch);
                }
            }
        }
    }
}

/// Why feeding ended.
enum Step {
    /// The end position.
    Reached,
    /// Asked to stop, or the writer has ended and everything is fed.
    Stopped,
    /// The sentinel says prefetch.
    Prefetch,
}

/// Publishes how far apply came, until it is aborted.
async fn publish(
    mut from: watch::Receiver<ApplyProgress>,
    to: watch::Sender<ApplyProgress>,
    sentinel: SentinelHandle,
) {
    let earlier = *to.borrow();
    loop {
        let now = *from.borrow_and_update();
        sentinel.report_replayed(now.applied);
        to.send_replace(ApplyProgress {
            transactions: earlier.transactions + now.transactions,
            rows: earlier.rows + now.rows,
            batches: earlier.batches + now.batches,
            batches_repeated: earlier.batches_repeated + now.batches_repeated,
            missing_rows: earlier.missing_rows + now.missing_rows,
            ..now
        });
        if from.changed().await.is_err() {
            return;
        }
    }
}

/// From items of the store to events.
#[derive(Debug)]
pub struct Decoding {
    decoder: Decoder,
    /// Events decoded and not taken.
    pub events: Vec<ChangeEvent>,
    xid: u32,
}

impl Decoding {
    /// Nothing decoded yet.
    #[must_use]
    pub fn new(plugin: crate::config::Plugin) -> Self {
        Self { decoder: Decoder::new(plugin), events: Vec::new(), xid: 0 }
    }

    /// See [`Decoder::take_doubtful`].
    pub fn take_doubtful(&mut self) -> Vec<DoubtfulColumn> {
        self.decoder.take_doubtful()
    }

    /// Decodes one item; its events are added to [`Decoding::events`].
    ///
    /// # Errors
    /// Those of the decoder.
    pub fn decode(&mut self, stored: Stored) -> Result<()> {
        let place = |streamed| if streamed { Place::Chunk } else { Place::Plain };
        let received = match stored {
            Stored::Identity(identity) => {
                self.decoder = Decoder::new(identity.plugin);
                return Ok(());
            }
            Stored::Description { streamed, payload } => {
                Received { lsn: Lsn::INVALID, place: place(streamed), payload }
            }
            Stored::Begin { xid, end_lsn, payload } => {
                self.xid = xid;
                match payload {
                    Some(payload) => Received { lsn: Lsn::INVALID, place: Place::Plain, payload },
                    None => {
                        self.decoder.begin_streamed(xid, &mut self.events);
                        // The commit record ends there, so it starts before.
                        let start = end_lsn.and_then(|end| end.checked_sub(1));
                        if let Some(ChangeEvent::Begin(begin)) = self.events.last_mut() {
                            *begin = Begin { commit_lsn: start, ..*begin };
                        }
                        return Ok(());
                    }
                }
            }
            Stored::Change { lsn, streamed, payload } => {
                Received { lsn, place: place(streamed), payload }
            }
            Stored::Commit { end_lsn, payload, .. } => {
                Received { lsn: end_lsn, place: Place::Plain, payload }
            }
            Stored::Abandoned => {
                self.decoder.abandon();
                self.events.push(ChangeEvent::Abandon);
                return Ok(());
            }
            Stored::Position(lsn) => {
                self.events.push(ChangeEvent::Position(lsn));
                return Ok(());
            }
            Stored::EndReached(lsn) => {
                self.events.push(ChangeEvent::End(lsn));
                return Ok(());
            }
        };
        self.decoder.decode(&received, &mut self.events)
    }
}
