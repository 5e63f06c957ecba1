//! Selects over finished jobs and stop requests, hands out jobs, tells what happened.
//!
//! Jobs run as tasks of one `JoinSet`: a panic becomes a failed job, and dropping the set ends them
//! all. The scheduler alone decides what may start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinSet;

use super::scheduler::Scheduler;
use crate::base::counters::JobCounters;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, EventSender, JobId};
use crate::base::stop::StopSignal;
use crate::base::summary::{BuiltObject, Finding};
use crate::local::state::{Entry, JobKey, StateHandle};
use crate::plan::{Job, JobKind, Plan};

/// How long running jobs may go on after a polite stop request before they are rolled back.
///
/// Short jobs end by themselves in that time; a long COPY or index build would keep a person
/// waiting who has asked to stop, and is done again by the next run anyway.
const DRAIN: Duration = Duration::from_secs(5);

/// What a job did.
#[derive(Debug, Clone, Default)]
pub struct JobReport {
    /// Rows that arrived.
    pub rows: u64,
    /// COPY payload bytes moved.
    pub bytes: u64,
    /// Time in COPY, or in copying large objects.
    pub copy_duration: Duration,
    /// Time in VACUUM and ANALYZE.
    pub vacuum_duration: Duration,
    /// Time in setting sequences.
    pub sequence_duration: Duration,
    /// Indexes built, with their times.
    pub indexes: Vec<BuiltObject>,
    /// Constraints added, with their times.
    pub constraints: Vec<BuiltObject>,
    /// What was left out or degraded.
    pub findings: Vec<Finding>,
}

/// Runs one job to its end, its retries included.
pub trait JobRunner: Send + Sync + 'static {
    /// Runs the job. Dropping the future must leave nothing half committed.
    fn run(
        &self,
        job: Job,
        counters: Arc<JobCounters>,
    ) -> impl Future<Output = Result<JobReport>> + Send;

    /// What to call the job on the display.
    fn label(&self, job: &Job) -> Arc<str>;

    /// Asks the servers to cancel what running jobs are doing.
    fn cancel(&self) -> impl Future<Output = ()> + Send;
}

/// A job that ended well.
#[derive(Debug)]
pub struct Finished {
    /// The job.
    pub id: JobId,
    /// What it did.
    pub report: JobReport,
    /// How long it took, retries included.
    pub elapsed: Duration,
}

/// How a run of the plan ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Jobs that ended well, in the order they ended.
    pub finished: Vec<Finished>,
    /// Jobs that failed, in the order they failed.
    pub failed: Vec<(JobId, Error)>,
    /// Jobs that were never started because one before them failed.
    pub blocked: usize,
    /// Whether somebody asked to stop before everything was done.
    pub stopped: bool,
}

/// A running job.
struct Running {
    started: Instant,
    key: JobKey,
    counters: Arc<JobCounters>,
}

/// Whom the dispatcher listens and talks to.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Who shows what happens.
    pub events: &'a EventSender,
    /// Who may ask to stop.
    pub stop: &'a StopSignal,
    /// Where other processes can read how far the run is.
    pub journal: Option<&'a StateHandle>,
}

impl Surroundings<'_> {
    /// Writes down for other processes what happens.
    fn journal(&self, entry: Entry) {
        if let Some(journal) = self.journal {
            journal.record(entry);
        }
    }
}

/// How often the progress of running jobs is written down for other processes.
const JOURNAL_INTERVAL: Duration = Duration::from_secs(1);

/// Runs every job of the plan that the scheduler hands out.
///
/// Not cancel safe.
pub async fn run<R: JobRunner>(
    plan: &Plan,
    scheduler: &mut Scheduler,
    runner: Arc<R>,
    surroundings: &Surroundings<'_>,
) -> Outcome {
    let Surroundings { events, stop, .. } = *surroundings;
    let mut outcome = Outcome::default();
    let mut tasks: JoinSet<(JobId, Result<JobReport>)> = JoinSet::new();
    let mut running: HashMap<JobId, Running> = HashMap::new();
    let mut task_jobs: HashMap<tokio::task::Id, JobId> = HashMap::new();
    let mut drain_ends: Option<tokio::time::Instant> = None;
    let mut journal_tick = tokio::time::interval(JOURNAL_INTERVAL);
    journal_tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        while drain_ends.is_none()
            && let Some(id) = scheduler.next_job()
        {
            let Some(job) = plan.jobs.get(id.0 as usize) else { continue };
            let counters = Arc::new(JobCounters::default());
            let started = Event::JobStarted {
                id,
                class: job.class,
                label: runner.label(job),
                estimated_bytes: job.weight,
                counters: Arc::clone(&counters),
            };
            tell(events, started).await;
            let key = job_key(plan, job);
            let label = plan.label(job).into();
            surroundings.journal(Entry::Started {
                job: key,
                command: label,
                at: SystemTime::now(),
            });
            let counted = Arc::clone(&counters);
            running.insert(id, Running { started: Instant::now(), key, counters: counted });
            let (runner, job) = (Arc::clone(&runner), job.clone());
            let handle = tasks.spawn(async move { (id, runner.run(job, counters).await) });
            task_jobs.insert(handle.id(), id);
        }
        if tasks.is_empty() {
            outcome.blocked = scheduler.counts().blocked;
            return outcome;
        }
        let drain_over = async {
            match drain_ends {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = tasks.join_next_with_id() => {
                let (task, id, result) = match ended {
                    Ok((task, (id, result))) => (task, Some(id), result),
                    Err(error) => {
                        let task = error.id();
                        (task, task_jobs.get(&task).copied(), Err(panicked(error)))
                    }
                };
                task_jobs.remove(&task);
                if let Some(id) = id {
                    let elapsed = match running.remove(&id) {
                        Some(job) => {
                            let elapsed = job.started.elapsed();
                            surroundings.journal(ended_entry(&job, &result, elapsed));
                            elapsed
                        }
                        None => Duration::ZERO,
                    };
                    settle(scheduler, &mut outcome, events, id, result, elapsed).await;
                    if scheduler.cancels_running() {
                        abort(&*runner, &mut tasks).await;
                        outcome.blocked = scheduler.counts().blocked;
                        return outcome;
                    }
                }
            }
            () = stop.graceful.cancelled(), if drain_ends.is_none() => {
                scheduler.stop();
                outcome.stopped = true;
                drain_ends = Some(tokio::time::Instant::now() + DRAIN);
                tell(events, Event::Stopping("finishing what ends within seconds, rolling back the rest")).await;
            }
            () = stop.fast.cancelled() => {
                outcome.stopped = true;
                abort(&*runner, &mut tasks).await;
                return outcome;
            }
            _ = journal_tick.tick() => {
                for job in running.values() {
                    let (bytes, rows) = (job.counters.bytes(), job.counters.rows());
                    surroundings.journal(Entry::Moved { job: job.key, bytes, rows });
                }
            }
            () = drain_over => {
                abort(&*runner, &mut tasks).await;
                return outcome;
            }
        }
    }
}

/// What a job works on, by the source's identifiers.
fn job_key(plan: &Plan, job: &Job) -> JobKey {
    let table_oid = |table: u32| plan.tables.get(table as usize).map_or(0, |table| table.oid);
    match job.kind {
        JobKind::CopyPart { table, part } => {
            JobKey { table_oid: table_oid(table), part_index: part, ..JobKey::default() }
        }
        JobKind::Truncate { table }
        | JobKind::SmallTable { table }
        | JobKind::Constraints { table }
        | JobKind::Vacuum { table } => JobKey { table_oid: table_oid(table), ..JobKey::default() },
        JobKind::Index { index } => {
            plan.indexes.get(index as usize).map_or_else(JobKey::default, |index| JobKey {
                table_oid: table_oid(index.table),
                index_oid: index.oid,
                ..JobKey::default()
            })
        }
        JobKind::ForeignKey { index } | JobKind::ValidateForeignKey { index } => {
            plan.foreign_keys.get(index as usize).map_or_else(JobKey::default, |key| JobKey {
                table_oid: key.table.oid,
                constraint_oid: key.oid,
                ..JobKey::default()
            })
        }
        JobKind::LargeObjects { .. } | JobKind::Sequences | JobKind::AnalyzeParents => {
            JobKey::default()
        }
    }
}

/// What is written down of a job that ended.
fn ended_entry(job: &Running, result: &Result<JobReport>, elapsed: Duration) -> Entry {
    match result {
        Ok(report) => Entry::Finished {
            job: job.key,
            at: SystemTime::now(),
            elapsed,
            bytes: report.bytes,
            rows: report.rows,
        },
        Err(error) => Entry::Failed { job: job.key, message: error.to_string().into() },
    }
}

/// Books how a job ended.
async fn settle(
    scheduler: &mut Scheduler,
    outcome: &mut Outcome,
    events: &EventSender,
    id: JobId,
    result: Result<JobReport>,
    elapsed: Duration,
) {
    match result {
        Ok(report) => {
            scheduler.finished(id);
            let ended = Event::JobFinished {
                id,
                elapsed,
                rows: report.rows,
                indexes: report.indexes.len() as u64,
                constraints: report.constraints.len() as u64,
            };
            tell(events, ended).await;
            outcome.finished.push(Finished { id, report, elapsed });
        }
        Err(error) => {
            scheduler.failed(id);
            tell(events, Event::JobFailed { id, message: error.to_string().into() }).await;
            outcome.failed.push((id, error));
        }
    }
}

/// Ends all running jobs now: the servers are told first, so that an index build does not go on
/// behind our back.
async fn abort<R: JobRunner>(runner: &R, tasks: &mut JoinSet<(JobId, Result<JobReport>)>) {
    runner.cancel().await;
    tasks.shutdown().await;
}

/// Tells whoever listens; nobody listening is fine.
async fn tell(events: &EventSender, event: Event) {
    let _ = events.send(event).await;
}

/// The error of a job that panicked or was aborted.
fn panicked(error: tokio::task::JoinError) -> Error {
    if error.is_cancelled() {
        return Error::cancelled();
    }
    let payload = error.into_panic();
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Error::internal(format!("a job panicked: {text}"))
}
