//! The front of apply: collects the stream's events into batches and hands them to the worker.
//!
//! While the worker waits for the target, the next batch is collected, reduced and encoded here; at
//! most two batches are in memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proto::lsn::Lsn;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::batch::{Batch, Bound, Frame, Job};
use super::cursor::Cursor;
use super::exact::Exact;
use super::plan::TablePlan;
use super::plans::Plans;
use super::position::{self, Position};
use super::progress::ApplyProgress;
use super::row::{Row, RowOp, Step, Truncate};
use super::scope::Scope;
use super::setwise;
use super::statement::StatementCache;
use super::target::TargetCatalog;
use super::train::Prepared;
use super::worker::Worker;
use crate::base::error::{Error, Result, Side};
use crate::base::ident::QualifiedName;
use crate::config::FollowConfig;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::follow::change::{Begin, Change, ChangeEvent, Commit, Relation};

/// Steps after which a batch is handed over even if the worker is busy (this waits for it then), or a
/// large transaction goes on in a further chunk.
///
/// Chosen so that the cost of a commit and of a round trip does not show any more, while two batches
/// of ordinary rows stay below 50 MB.
const BATCH_STEPS_MAX: usize = 50_000;

/// The same in bytes, about; a single larger change is a batch of its own.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// Steps at which a batch is handed over when the worker has nothing to do: small ones leave more to do
/// per change, since rows that are changed again and again meet in fewer of them.
const BATCH_STEPS_IDLE: usize = 8_000;

/// Age at which a batch is handed over when the worker has nothing to do: a part of the lag.
const BATCH_AGE_IDLE: Duration = Duration::from_millis(50);

/// Age at which a batch is handed over in any case.
const BATCH_AGE_MAX: Duration = Duration::from_millis(500);

/// Applies a stream of changes to the target.
///
/// Used by one task. After an error it can only be dropped. Where the error may be tried again
/// (`class().is_retryable()`), open a new one and read the stream again from its
/// [`Applier::position`]: whatever is applied already is passed over.
#[derive(Debug)]
pub struct Applier {
    catalog: TargetCatalog,
    plans: Plans,
    cache: StatementCache,
    keep_no_ops: bool,
    /// Tables whose changes begin later than the stream.
    starts: HashMap<QualifiedName, Lsn>,
    /// What is applied or handed over, and where the end is.
    cursor: Cursor,
    open: OpenTransaction,
    batch: Batch,
    batch_since: Option<Instant>,
    worker: WorkerHandle,
}

/// The transaction of the stream that has not ended.
#[derive(Debug, Default)]
struct OpenTransaction {
    /// Its changes; those of a large one only as far as they are not handed over.
    batch: Batch,
    xid: u32,
    /// Where its commit record starts, where the plugin tells it in advance.
    commit_lsn: Option<Lsn>,
    /// Its changes are not wanted: it is applied already, or lies beyond the end.
    skipped: bool,
    /// Its first chunks are with the worker.
    streamed: bool,
    /// Steps of tables that were copied later than the others, where it is not known in advance whether
    /// the copy holds them: place in the batch, and where the changes of the table begin.
    doubtful: Vec<(usize, Lsn)>,
}

/// The worker's task and the channels to it.
#[derive(Debug)]
struct WorkerHandle {
    jobs: Option<mpsc::Sender<Job>>,
    /// Jobs that are done, to be freed here; one or two.
    used: mpsc::UnboundedReceiver<Job>,
    sent: u64,
    done: watch::Receiver<u64>,
    progress: watch::Receiver<ApplyProgress>,
    task: Option<JoinHandle<Result<()>>>,
}

impl OpenTransaction {
    /// Takes out what tables that were copied later hold already, now that it is known where the
    /// transaction ends.
    fn leave_out_copied(&mut self, end: Lsn) {
        let copied: HashSet<usize> = (self.doubtful.iter())
            .filter(|(_, start)| end <= *start)
            .map(|(step, _)| *step)
            .collect();
        if !copied.is_empty() {
            let mut at = 0..;
            self.batch.steps.retain(|_| !at.next().is_some_and(|at| copied.contains(&at)));
        }
    }
}

impl Applier {
    /// Connects to the target, takes hold of its position and starts the worker.
    ///
    /// With `create_slot` the position is created where there is none.
    ///
    /// # Errors
    /// `State` without a position; what connecting and the queries report.
    pub async fn open(config: &FollowConfig, scope: Scope) -> Result<Self> {
        let mut backoff = Backoff::new(u64::from(std::process::id()));
        let (mut session, replica) = connect(config, &mut backoff).await?;
        let (catalog, _) = connect(config, &mut backoff).await?;
        if config.create_slot {
            position::create(&mut session, &config.origin, Lsn::INVALID).await?;
        }
        let held = Position::open(&mut session, &config.origin).await?;
        let position = held.current();
        let start = ApplyProgress { committed: position, applied: position, ..Default::default() };
        let (progress_sender, progress) = watch::channel(start);
        let (done_sender, done) = watch::channel(0);
        // One job at a time: the next is made while one is done.
        let (jobs, receiver) = mpsc::channel(1);
        let (used_sender, used) = mpsc::unbounded_channel();
        let worker = Worker {
            session,
            position: held,
            exact: Exact::new(config.replay_no_op_updates),
            prepared: Prepared::default(),
            ignore_missing_rows: config.ignore_missing_rows,
            confirm: config.confirm,
            progress: progress_sender,
            unflushed: VecDeque::new(),
            commit_time: None,
            written: position,
            written_at: Instant::now(),
        };
        let task = tokio::spawn(worker.run(receiver, used_sender, done_sender));
        let starts = scope.starts.clone();
        let mut applier = Self {
            catalog: TargetCatalog::new(catalog),
            starts,
            plans: Plans::new(scope, replica),
            cache: StatementCache::default(),
            keep_no_ops: config.replay_no_op_updates,
            cursor: Cursor::new(position),
            open: OpenTransaction::default(),
            batch: Batch::default(),
            batch_since: None,
            worker: WorkerHandle {
                jobs: Some(jobs),
                used,
                sent: 0,
                done,
                progress,
                task: Some(task),
            },
        };
        applier.set_endpos(config.endpos);
        Ok(applier)
    }

    /// Everything at or before this position is applied or handed over; transactions that end there
    /// or before are passed over.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.cursor.position()
    }

    /// How far apply came, as it goes on.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<ApplyProgress> {
        self.worker.progress.clone()
    }

    /// Sets or removes the end: transactions that end at or before it are applied, none after (K18).
    /// It cannot be moved on once a transaction behind the old one has come.
    pub fn set_endpos(&mut self, endpos: Option<Lsn>) {
        self.cursor.set_endpos(endpos);
    }

    /// Whether everything up to the end was handed over, and nothing more will be taken.
    /// [`Applier::close`] then waits until it is applied.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.cursor.reached()
    }

    /// Takes the next event of the stream.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// Whatever stops apply, then or earlier; the commits before it are applied.
    pub async fn apply(&mut self, event: ChangeEvent) -> Result<()> {
        match event {
            ChangeEvent::Begin(begin) => self.begin(begin),
            ChangeEvent::Change(change) => return self.change(change).await,
            ChangeEvent::Commit(commit) => return self.commit(commit).await,
            ChangeEvent::Abandon => return self.abandon().await,
            ChangeEvent::Position(lsn) => return self.advance(lsn).await,
            ChangeEvent::End(lsn) => {
                self.cursor.end(lsn);
                if self.cursor.reached() {
                    return self.submit().await;
                }
            }
        }
        Ok(())
    }

    /// Hands over what is complete; to be called when the stream pauses.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// Those of [`Applier::apply`].
    pub async fn flush(&mut self) -> Result<()> {
        self.submit().await?;
        self.worker.free_used();
        self.worker.check().await
    }

    /// Hands over what is complete and waits until it is applied and flushed on the target.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// Those of [`Applier::apply`].
    pub async fn settle(&mut self) -> Result<()> {
        self.submit().await?;
        self.worker.send(Job::Settle).await?;
        self.worker.wait_idle().await
    }

    /// Like [`Applier::settle`], takes back a transaction that has not ended, and ends the worker.
    /// Returns the position reached.
    ///
    /// # Errors
    /// Those of [`Applier::apply`].
    pub async fn close(mut self) -> Result<Lsn> {
        self.submit().await?;
        if self.open.streamed {
            self.worker.send(Job::RollBack).await?;
        }
        self.worker.send(Job::Settle).await?;
        self.worker.wait_idle().await?;
        self.worker.jobs = None;
        self.worker.join().await?;
        let applied = self.worker.progress.borrow().applied;
        Ok(applied)
    }

    /// The open transaction is void.
    async fn abandon(&mut self) -> Result<()> {
        let open = std::mem::take(&mut self.open);
        if open.streamed {
            self.worker.send(Job::RollBack).await?;
        }
        Ok(())
    }

    /// Where the changes of a change's table begin, when it was copied under a later snapshot than the
    /// slot's.
    fn start_of(&self, change: &Change) -> Option<Lsn> {
        if self.starts.is_empty() {
            return None;
        }
        let relations = match change {
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => std::slice::from_ref(relation),
            Change::Truncate { relations, .. } => relations.as_slice(),
        };
        let start = |relation: &Arc<Relation>| {
            let name = QualifiedName::new(&relation.namespace, &relation.name);
            self.starts.get(&name).copied()
        };
        relations.iter().filter_map(start).max()
    }

    /// A transaction begins.
    fn begin(&mut self, begin: Begin) {
        self.open = OpenTransaction {
            xid: begin.xid,
            commit_lsn: begin.commit_lsn,
            ..OpenTransaction::default()
        };
        if begin.commit_lsn.is_some_and(|lsn| self.starts.values().all(|start| lsn >= *start)) {
            // Commit order: nothing earlier is still to come.
            self.starts.clear();
        }
        self.open.skipped = !self.cursor.begin(begin.commit_lsn);
    }

    /// A change of the open transaction.
    async fn change(&mut self, change: Change) -> Result<()> {
        let start = self.start_of(&change);
        let is_copied = start.zip(self.open.commit_lsn).is_some_and(|(start, lsn)| lsn < start);
        if self.open.skipped || is_copied {
            return Ok(());
        }
        let step = match change {
            Change::Insert { relation, new } => {
                self.plan(&relation).await?.map(|plan| row(plan, RowOp::Insert(new)))
            }
            Change::Update { relation, old, new } => self.plan(&relation).await?.map(|plan| {
                let old = old.map(|old| plan.old(old));
                row(plan, RowOp::Update(old, new))
            }),
            Change::Delete { relation, old } => self.plan(&relation).await?.map(|plan| {
                let old = plan.old(old);
                row(plan, RowOp::Delete(old))
            }),
            Change::Truncate { relations, restart_identity, .. } => {
                self.truncate(&relations, restart_identity).await?
            }
        };
        match step {
            Some(Step::Row(row)) if row.plan.is_refreshed() => {
                self.open.batch.refresh.insert(row.plan.target.name.sql());
            }
            Some(step) => {
                let bytes = step.bytes();
                let batch = &self.open.batch;
                if !batch.steps.is_empty() && batch.bytes + bytes > BATCH_BYTES_MAX {
                    // A huge change passes alone.
                    self.send_chunk().await?;
                }
                if let (Some(start), None) = (start, self.open.commit_lsn) {
                    self.open.doubtful.push((self.open.batch.steps.len(), start));
                }
                self.open.batch.bytes += bytes;
                self.open.batch.steps.push(step);
            }
            None => {}
        }
        let batch = &self.open.batch;
        if batch.steps.len() >= BATCH_STEPS_MAX || batch.bytes >= BATCH_BYTES_MAX {
            self.send_chunk().await?;
        }
        Ok(())
    }

    /// The plan of a relation. Before an error everything that was committed earlier is applied.
    async fn plan(&mut self, relation: &Arc<Relation>) -> Result<Option<Arc<TablePlan>>> {
        if let Some(known) = self.plans.known(relation) {
            return Ok(known.cloned());
        }
        match self.plans.resolve(relation, &mut self.catalog).await {
            Ok(plan) => Ok(plan),
            Err(error) => {
                self.submit().await?;
                self.worker.wait_idle().await?;
                Err(error.during(format!("apply transaction {}", self.open.xid)))
            }
        }
    }

    /// The step of a TRUNCATE; `None` when none of its tables is ours.
    async fn truncate(
        &mut self,
        relations: &[Arc<Relation>],
        restart_identity: bool,
    ) -> Result<Option<Step>> {
        let mut plans = Vec::new();
        for relation in relations {
            match self.plan(relation).await? {
                Some(plan) if plan.routed && !self.plans.covers(&plan.target.name, relations) => {
                    let text = format!(
                        "partition {}.{} was truncated, and its rows are among those of {} here",
                        relation.namespace, relation.name, plan.target.name
                    );
                    return Err(Error::data(Side::Target, text)
                        .hint("Delete the partition's rows on the target by hand."));
                }
                Some(plan) => plans.push(plan),
                None => tracing::info!(
                    schema = relation.namespace,
                    table = relation.name,
                    "truncated on the source, left out here"
                ),
            }
        }
        Ok((!plans.is_empty()).then_some(Step::Truncate(Truncate { plans, restart_identity })))
    }

    /// The open transaction ends.
    async fn commit(&mut self, commit: Commit) -> Result<()> {
        let mut open = std::mem::take(&mut self.open);
        if !self.cursor.commit(commit.end_lsn, !open.skipped) {
            if open.streamed {
                self.worker.send(Job::RollBack).await?;
            }
            return if self.cursor.reached() { self.submit().await } else { Ok(()) };
        }
        open.leave_out_copied(commit.end_lsn);
        if self.starts.values().all(|start| commit.end_lsn >= *start) {
            self.starts.clear();
        }
        let bound = Bound {
            steps: 0,
            end_lsn: commit.end_lsn,
            commit_time: commit.commit_time,
            xid: open.xid,
        };
        if open.streamed {
            open.batch.bounds.push(Bound { steps: open.batch.steps.len(), ..bound });
            return self.send(open.batch, Frame { begins: false, commits: true }).await;
        }
        if self.batch_is_full(&open.batch) {
            self.submit().await?;
        }
        self.batch.steps.append(&mut open.batch.steps);
        self.batch.refresh.append(&mut open.batch.refresh);
        self.batch.bytes += open.batch.bytes;
        self.batch.bounds.push(Bound { steps: self.batch.steps.len(), ..bound });
        self.batch.position = None;
        let since = *self.batch_since.get_or_insert_with(Instant::now);
        if self.cursor.reached() || self.is_due(since) { self.submit().await } else { Ok(()) }
    }

    /// Whether a transaction does not fit into the batch any more.
    fn batch_is_full(&self, more: &Batch) -> bool {
        !self.batch.is_empty()
            && (self.batch.steps.len() + more.steps.len() > BATCH_STEPS_MAX
                || self.batch.bytes + more.bytes > BATCH_BYTES_MAX)
    }

    /// Whether the batch should be handed over now.
    fn is_due(&self, since: Instant) -> bool {
        let steps = self.batch.steps.len();
        if self.worker.is_idle() {
            return steps >= BATCH_STEPS_IDLE || since.elapsed() >= BATCH_AGE_IDLE;
        }
        // Transactions without steps of ours cost little, but not nothing.
        steps + self.batch.bounds.len() >= BATCH_STEPS_MAX
            || self.batch.bytes >= BATCH_BYTES_MAX
            || since.elapsed() >= BATCH_AGE_MAX
    }

    /// Nothing at or before this position is still to come.
    async fn advance(&mut self, lsn: Lsn) -> Result<()> {
        let Some(lsn) = self.cursor.advance(lsn) else { return Ok(()) };
        if !self.batch.is_empty() {
            self.batch.position = Some(lsn);
            return if self.cursor.reached() { self.submit().await } else { Ok(()) };
        }
        self.worker.send(Job::Position(lsn)).await
    }

    /// Hands over the batch.
    async fn submit(&mut self) -> Result<()> {
        self.batch_since = None;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.send(batch, Frame { begins: true, commits: true }).await
    }

    /// Hands over the changes so far of a transaction that is too large to be kept.
    async fn send_chunk(&mut self) -> Result<()> {
        if !self.open.doubtful.is_empty() {
            return Err(Error::state(format!(
                "transaction {} is too large to be kept, and this output plugin does not say in \
                 advance whether tables that were copied again hold it already",
                self.open.xid
            ))
            .hint("Start over with --restart, or use the plugin pgoutput."));
        }
        self.submit().await?;
        let refresh = std::mem::take(&mut self.open.batch.refresh);
        let batch = std::mem::take(&mut self.open.batch);
        // Refreshed at the end.
        self.open.batch.refresh = refresh;
        let begins = !self.open.streamed;
        self.open.streamed = true;
        self.send(batch, Frame { begins, commits: false }).await
    }

    /// Prepares a batch and hands it over.
    async fn send(&mut self, batch: Batch, frame: Frame) -> Result<()> {
        let units = setwise::units(&batch.steps, self.keep_no_ops, &mut self.cache);
        self.worker.send(Job::Apply { batch, units, frame }).await
    }
}

/// A change with its plan.
fn row(plan: Arc<TablePlan>, op: RowOp) -> Step {
    Step::Row(Row { plan, op })
}

/// Settings of the session that applies: rows are found through their index, whatever the planner
/// believes about tables that were just filled, and statements are planned once.
const PLANNER_SQL: &str = include_str!("sql/planner_settings.sql");

/// Connects to the target; returns whether triggers and foreign keys are out of the way.
async fn connect(config: &FollowConfig, backoff: &mut Backoff) -> Result<(Session, bool)> {
    let mut session =
        Session::connect_patiently(Side::Target, &config.target, "apply", backoff).await?;
    let pinned = settings::pin(&mut session, SessionRole::TargetWriter).await?;
    session.query(PLANNER_SQL, &[]).await?;
    Ok((session, pinned.replica))
}

impl Drop for WorkerHandle {
    /// What is not joined is not wanted any more.
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl WorkerHandle {
    /// Whether everything handed over is done.
    fn is_idle(&self) -> bool {
        *self.done.borrow() == self.sent
    }

    /// Frees jobs that are done.
    fn free_used(&mut self) {
        while self.used.try_recv().is_ok() {}
    }

    /// Hands over a job once the worker has nothing to do.
    async fn send(&mut self, job: Job) -> Result<()> {
        self.wait_idle().await?;
        self.free_used();
        let sent = match &self.jobs {
            Some(jobs) => jobs.send(job).await.is_ok(),
            None => false,
        };
        if !sent {
            return self.join().await;
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until everything handed over is done.
    async fn wait_idle(&mut self) -> Result<()> {
        let sent = self.sent;
        let ended = self.done.wait_for(|done| *done == sent).await.is_err();
        if ended { self.join().await } else { Ok(()) }
    }

    /// Returns the worker's error if it has ended.
    async fn check(&mut self) -> Result<()> {
        match &self.task {
            Some(task) if !task.is_finished() => Ok(()),
            _ => self.join().await,
        }
    }

    /// Waits for the worker's end and returns its error.
    async fn join(&mut self) -> Result<()> {
        let Some(task) = self.task.take() else {
            return Err(Error::internal("apply was used after it had failed"));
        };
        match task.await {
            Ok(result) => result,
            Err(error) => Err(Error::internal(format!("apply ended: {error}"))),
        }
    }
}
