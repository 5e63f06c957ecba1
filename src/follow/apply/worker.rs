//! The task that owns the target's session and applies batches.
//!
//! ```text
//!  set-wise ──ok──► position, COMMIT
//!     │ anything unexpected: roll back
//!     ▼
//!  row by row, in order ──ok──► position, COMMIT
//!     │ anything unexpected: roll back
//!     ▼
//!  one source transaction at a time ──► what fails is named; everything before it is committed
//! ```
//!
//! COMMIT is sent only when every statement has reported what it must. After a lost connection the
//! worker ends: whoever drives it opens again, which reads the position, and reads the stream from there.

use std::collections::VecDeque;
use std::time::Duration;

use proto::lsn::Lsn;
use proto::time::PgTimestamp;
use proto::types::TransactionStatus;
use tokio::sync::{mpsc, watch};

use super::batch::{Batch, Frame, Job};
use super::exact::Exact;
use super::message;
use super::position::Position;
use super::progress::ApplyProgress;
use super::row::Step;
use super::setwise::Unit;
use super::train::{Expect, Failure, Missed, Prepared, Train};
use crate::base::error::{Class, Error, Result, Side};
use crate::config::Confirm;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;

/// How long nothing may happen before what is committed is made durable, and the position of an idle
/// stream is moved on in memory. The server's own writer needs about as long.
const SETTLE_AFTER: Duration = Duration::from_millis(200);

/// How often the position of an idle stream is written: it only spares reading empty changes again.
const IDLE_POSITION_AFTER: Duration = Duration::from_secs(10);

/// The same where the source keeps its log until then.
const CONFIRMED_POSITION_AFTER: Duration = Duration::from_secs(1);

/// Conflicts with other sessions of the target (deadlock, serialization) tried again at most, per batch.
const CONFLICTS_MAX: u32 = 20;

/// The steps of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As the units say.
    Units,
    /// All steps one by one.
    Exact,
}

/// Owns the session.
#[derive(Debug)]
pub(super) struct Worker {
    /// The target.
    pub(super) session: Session,
    /// Where it is.
    pub(super) position: Position,
    /// Applies single steps.
    pub(super) exact: Exact,
    /// Statements prepared in the session.
    pub(super) prepared: Prepared,
    /// Whether rows that are missing are let pass.
    pub(super) ignore_missing_rows: bool,
    /// Whether positions count as applied before they are in the target's row.
    pub(super) confirm: Confirm,
    /// What others see.
    pub(super) progress: watch::Sender<ApplyProgress>,
    /// Commits that may not be flushed yet: place in the target's log, position reached.
    pub(super) unflushed: VecDeque<(Lsn, Lsn)>,
    /// The last commit's time, for positions behind it.
    pub(super) commit_time: Option<PgTimestamp>,
    /// Position written to the target last.
    pub(super) written: Lsn,
    /// When that was.
    pub(super) written_at: tokio::time::Instant,
}

/// Where the target's log ends, and how far it is flushed.
const LOG_SQL: &str = "select pg_catalog.pg_current_wal_insert_lsn(), \
                       pg_catalog.pg_current_wal_flush_lsn()";

impl Worker {
    /// Works until the channel closes, then makes everything durable. What is done goes to `used`.
    ///
    /// # Errors
    /// The first one that stops it; the open transaction is rolled back.
    pub(super) async fn run(
        mut self,
        mut jobs: mpsc::Receiver<Job>,
        used: mpsc::UnboundedSender<Job>,
        done: watch::Sender<u64>,
    ) -> Result<()> {
        let mut idle_since = tokio::time::Instant::now();
        loop {
            let job = match tokio::time::timeout(SETTLE_AFTER, jobs.recv()).await {
                Ok(Some(job)) => job,
                Ok(None) => return self.end().await,
                Err(_) => {
                    self.idle(idle_since).await?;
                    continue;
                }
            };
            idle_since = tokio::time::Instant::now();
            self.work(&job).await?;
            // Whoever made it frees it: memory that is freed by another thread stays with its first one
            // for long, and would add up over days. Nobody waiting for it is fine.
            let _ = used.send(job);
            done.send_modify(|count| *count += 1);
        }
    }

    /// Nothing more will come: an open transaction goes with the session, all others are kept.
    async fn end(&mut self) -> Result<()> {
        if self.session.transaction_status() == TransactionStatus::Idle {
            self.settle().await
        } else {
            self.session.execute("rollback").await.map(drop)
        }
    }

    /// Does one job.
    async fn work(&mut self, job: &Job) -> Result<()> {
        match job {
            Job::Apply { batch, units, frame } => self.apply(batch, units, *frame).await,
            Job::RollBack => self.session.execute("rollback").await.map(drop),
            Job::Position(lsn) => {
                self.advance(*lsn);
                Ok(())
            }
            Job::Settle => self.settle().await,
        }
    }

    /// Uses a pause: makes commits durable; now and then writes the position.
    async fn idle(&mut self, since: tokio::time::Instant) -> Result<()> {
        if self.session.transaction_status() != TransactionStatus::Idle {
            return Ok(());
        }
        let behind = self.progress.borrow().committed > self.written;
        let due = match self.confirm {
            Confirm::Durable => since.elapsed() >= IDLE_POSITION_AFTER,
            // Positions may come without end: what counts is how old the row is.
            Confirm::Applied => self.written_at.elapsed() >= CONFIRMED_POSITION_AFTER,
        };
        if !self.unflushed.is_empty() || (behind && due) {
            return self.settle().await;
        }
        Ok(())
    }

    /// Applies a batch, each time in a more careful way.
    async fn apply(&mut self, batch: &Batch, units: &[Unit], frame: Frame) -> Result<()> {
        self.prepared.trim(&mut self.session).await?;
        let mut backoff = Backoff::new(u64::from(self.session.process_id()));
        let mut conflicts = 0;
        let mut way = Way::Units;
        let failure = loop {
            match self.attempt(batch, units, frame, way).await {
                Ok(()) => return Ok(()),
                Err(Failure::Error(error, _)) if self.session.is_broken() => return Err(error),
                Err(Failure::Position) => return Err(position_moved()),
                Err(Failure::Error(error, step)) if error.class() == Class::Conflict => {
                    conflicts += 1;
                    let pause = backoff.next_pause().filter(|_| conflicts <= CONFLICTS_MAX);
                    let (Some(pause), true) = (pause, frame.begins) else {
                        break Failure::Error(error, step);
                    };
                    tracing::debug!(%error, ?pause, "conflict on the target, trying again");
                    self.take_back(frame).await?;
                    tokio::time::sleep(pause).await;
                }
                Err(failure) if way == Way::Units && has_sets(units) => {
                    tracing::debug!(?failure, "net effect does not fit, applying row by row");
                    self.take_back(frame).await?;
                    self.progress.send_modify(|progress| progress.batches_repeated += 1);
                    way = Way::Exact;
                }
                Err(failure) => break failure,
            }
        };
        if frame.begins && frame.commits && batch.bounds.len() > 1 {
            self.take_back(frame).await?;
            return self.one_by_one(batch).await;
        }
        let error = message::explain(failure, batch);
        // The transaction goes with the session's state; its own failure is not the news.
        let _ = self.session.execute("rollback").await;
        Err(error)
    }

    /// Takes back what a failed attempt did.
    async fn take_back(&mut self, frame: Frame) -> Result<()> {
        let sql = if frame.begins { "rollback" } else { "rollback to savepoint chunk" };
        self.session.execute(sql).await.map(drop)
    }

    /// Applies the source transactions of a batch one by one, up to the one that fails.
    async fn one_by_one(&mut self, batch: &Batch) -> Result<()> {
        let mut from = 0;
        for bound in &batch.bounds {
            let mut part = Batch { bounds: vec![*bound], ..Batch::default() };
            part.steps
                .extend(batch.steps.get(from..bound.steps).unwrap_or_default().iter().cloned());
            part.refresh.clone_from(&batch.refresh);
            from = bound.steps;
            let frame = Frame { begins: true, commits: true };
            if let Err(failure) = self.attempt(&part, &[], frame, Way::Exact).await {
                let error = message::explain(failure, &part);
                let _ = self.session.execute("rollback").await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Applies a batch in one way and commits it where it ends the transaction.
    async fn attempt(
        &mut self,
        batch: &Batch,
        units: &[Unit],
        frame: Frame,
        way: Way,
    ) -> Result<(), Failure> {
        let result = self.send(batch, units, frame, way).await;
        if result.is_err() {
            self.session.clear_queue();
        }
        result
    }

    /// Sends a batch in one way and commits it where it ends the transaction.
    async fn send(
        &mut self,
        batch: &Batch,
        units: &[Unit],
        frame: Frame,
        way: Way,
    ) -> Result<(), Failure> {
        let mut missed = Vec::new();
        let mut train = Train::new(&mut self.session, &mut self.prepared);
        if frame.begins {
            train.text("begin", &[], Expect::Any)?;
            train.text("set constraints all deferred", &[], Expect::Any)?;
        } else if way == Way::Units {
            train.text("savepoint chunk", &[], Expect::Any)?;
        }
        match way {
            Way::Units => {
                for unit in units {
                    match unit {
                        Unit::Sets(sets) => load_sets(sets, &mut train)?,
                        Unit::Steps(steps) => {
                            let at = steps.iter().copied();
                            self.exact.load(&batch.steps, at, &mut train, &mut missed).await?;
                        }
                    }
                }
            }
            Way::Exact => {
                let all = 0..batch.steps.len();
                self.exact.load(&batch.steps, all, &mut train, &mut missed).await?;
            }
        }
        for table in batch.refresh.iter().filter(|_| frame.commits) {
            let sql = format!("refresh materialized view {table}");
            train.text(&sql, &[], Expect::Any)?;
        }
        let end = batch.end().filter(|_| frame.commits);
        if let Some((lsn, _)) = end {
            self.position.load(&mut train, lsn)?;
        }
        train.run(&mut missed).await?;
        if !missed.is_empty() {
            self.judge(batch, &missed)?;
        }
        match end {
            Some((lsn, time)) => self.commit(batch, lsn, time).await.map_err(Failure::from),
            None => Ok(()),
        }
    }

    /// Decides about steps that did not touch exactly one row.
    fn judge(&self, batch: &Batch, missed: &[Missed]) -> Result<(), Failure> {
        for missed in missed {
            let Some(Step::Row(row)) = batch.steps.get(missed.step) else { continue };
            let text = message::missed_row(row, missed.rows);
            if row.plan.cascaded && missed.rows == 0 {
                tracing::debug!("{text}: a foreign key of the target did it");
            } else if self.ignore_missing_rows {
                let mut count = 0;
                self.progress.send_modify(|progress| {
                    progress.missing_rows += 1;
                    count = progress.missing_rows;
                });
                if count <= MISSING_NAMED_MAX {
                    tracing::warn!("{text}");
                }
            } else {
                let error = Error::data(Side::Target, text).hint(
                    "The target was changed by someone else, or the copy does not match the start of \
                     the stream. Put the row right and start again.",
                );
                return Err(Failure::Error(error, Some(missed.step)));
            }
        }
        Ok(())
    }

    /// Commits and notes how far we are.
    async fn commit(&mut self, batch: &Batch, lsn: Lsn, time: Option<PgTimestamp>) -> Result<()> {
        let mut train = Train::new(&mut self.session, &mut self.prepared);
        self.position.load_commit(&mut train, lsn, time)?;
        train.text(LOG_SQL, &[], Expect::Any)?;
        train.run(&mut Vec::new()).await.map_err(|failure| message::explain(failure, batch))?;
        let log = train.results().last().and_then(|result| result.rows.first());
        let (end, flushed) = match log {
            Some(row) => (row.parse(0)?, row.parse(1)?),
            None => (Lsn::MAX, Lsn::INVALID),
        };
        self.position.set_current(lsn);
        self.written = lsn;
        self.written_at = tokio::time::Instant::now();
        self.commit_time = time.or(self.commit_time);
        self.unflushed.push_back((end, lsn));
        let applied = self.take_flushed(flushed);
        let transactions = batch.bounds.len() as u64;
        let rows = batch.steps.len() as u64;
        self.progress.send_modify(|progress| {
            progress.committed = progress.committed.max(lsn);
            progress.applied = progress.applied.max(applied.unwrap_or_default());
            progress.commit_time = time.or(progress.commit_time);
            progress.transactions += transactions;
            progress.rows += rows;
            progress.batches += 1;
        });
        Ok(())
    }

    /// Drops the commits that the target has flushed; returns the position they reach.
    fn take_flushed(&mut self, flushed: Lsn) -> Option<Lsn> {
        let mut applied = None;
        while let Some((end, lsn)) = self.unflushed.front().copied()
            && end <= flushed
        {
            applied = Some(lsn);
            self.unflushed.pop_front();
        }
        applied
    }

    /// Notes a position that needs no rows.
    fn advance(&mut self, lsn: Lsn) {
        if self.confirm == Confirm::Applied {
            self.progress.send_if_modified(|progress| {
                let moved = lsn > progress.committed;
                progress.committed = progress.committed.max(lsn);
                moved
            });
            return;
        }
        if let Some((_, last)) = self.unflushed.back_mut() {
            *last = lsn.max(*last);
        }
        let durable = self.unflushed.is_empty();
        self.progress.send_if_modified(|progress| {
            let moved = lsn > progress.committed;
            progress.committed = progress.committed.max(lsn);
            if durable {
                progress.applied = progress.committed;
            }
            moved
        });
    }

    /// Writes the position with a synchronous commit: everything before it is on disk then.
    async fn settle(&mut self) -> Result<()> {
        let committed = self.progress.borrow().committed;
        if self.unflushed.is_empty() && committed <= self.written {
            return Ok(());
        }
        let lsn = committed.max(self.position.current());
        let mut train = Train::new(&mut self.session, &mut self.prepared);
        train.text("begin", &[], Expect::Any)?;
        train.text("set local synchronous_commit = on", &[], Expect::Any)?;
        self.position.load(&mut train, lsn)?;
        let none = Batch::default();
        train.run(&mut Vec::new()).await.map_err(|failure| message::explain(failure, &none))?;
        self.position.load_commit(&mut train, lsn, self.commit_time)?;
        train.run(&mut Vec::new()).await.map_err(|failure| message::explain(failure, &none))?;
        self.position.set_current(lsn);
        self.written = lsn;
        self.written_at = tokio::time::Instant::now();
        self.unflushed.clear();
        self.progress.send_modify(|progress| progress.applied = progress.applied.max(lsn));
        Ok(())
    }
}

/// Rows that are missing and named one by one; the rest is only counted.
const MISSING_NAMED_MAX: u64 = 20;

/// Whether anything is applied over many rows at once.
fn has_sets(units: &[Unit]) -> bool {
    units.iter().any(|unit| matches!(unit, Unit::Sets(_)))
}

/// Loads statements over many rows.
fn load_sets(sets: &[super::setwise::Execution], train: &mut Train<'_>) -> Result<()> {
    for set in sets {
        let params: Vec<_> = set.params.iter().map(|bytes| Some(bytes.as_slice())).collect();
        let binary = [proto::types::FormatCode::Binary];
        let formats = if params.is_empty() { &[][..] } else { &binary[..] };
        train.add(&set.sql, &params, formats, set.copy.as_deref(), Expect::Rows(set.expected))?;
    }
    Ok(())
}

/// Another process applies the same changes.
fn position_moved() -> Error {
    Error::state("the position on the target was moved by another process")
        .hint("Only one pgcopydb can apply changes under one origin name; stop the other one.")
}
