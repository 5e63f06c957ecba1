//! Which job is next: a pure state machine over the plan's graph, without clock, task or socket.
//!
//! ```text
//!            all of `after` finished    next_job()        finished()
//!  Waiting ─────────────────────────► Ready ───► Running ───────────► Finished
//!     │                                 ▲  ▲        │ │
//!     │                                 │  └────────┘ └─────────────► Failed
//!     │ one of `after` failed           │  returned()    failed()        │
//!     └──────────────────────────► Blocked(by) ◄──────────────────────────┘
//! ```
//!
//! Invariants:
//! * Never more jobs of a resource run than it has tokens, nor two with the same `exclusive` value.
//! * A job runs only when all it depends on are finished; `Finished`, `Failed` and `Blocked` are final.
//! * Among the ready jobs of a resource the highest priority goes first; ties go to the lower identity.
//! * Every call costs O(log n), `failed` O(number of jobs it blocks).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::base::event::JobId;
use crate::config::clone::Jobs;
use crate::plan::{Job, Resource, Stage};

/// What a failed job means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Nothing more is handed out, and what runs is to be cancelled
    /// ([`Scheduler::cancels_running`]).
    FailFast,
    /// Nothing more is handed out; what runs is finished.
    FinishRunning,
    /// What does not depend on the failed job goes on.
    KeepGoing,
}

/// How many jobs of each resource may run at once; at least one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits([u32; Resource::ALL.len()]);

impl Limits {
    /// The same number for every resource.
    pub fn all(limit: u32) -> Self {
        Self([limit.max(1); Resource::ALL.len()])
    }

    /// As the `--…-jobs` options say; sequence values and ADD FOREIGN KEY are one at a time.
    pub fn new(jobs: Jobs) -> Self {
        let mut limits = Self::all(1);
        limits.set(Resource::Copy, jobs.table);
        limits.set(Resource::Vacuum, jobs.table);
        limits.set(Resource::Index, jobs.index);
        limits.set(Resource::LargeObjects, jobs.large_objects);
        limits
    }

    /// The limit of a resource.
    pub fn get(&self, resource: Resource) -> u32 {
        self.0.get(resource.position()).copied().unwrap_or(1)
    }

    /// Sets the limit of a resource; 0 counts as 1, so that every run comes to an end.
    pub fn set(&mut self, resource: Resource, limit: u32) {
        if let Some(slot) = self.0.get_mut(resource.position()) {
            *slot = limit.max(1);
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Something it depends on is not finished.
    Waiting,
    /// May start, as far as the graph goes.
    Ready,
    /// Handed out.
    Running,
    /// Ended well.
    Finished,
    /// Failed for good.
    Failed,
    /// Will never run: it depends on this failed job, directly or not.
    Blocked(JobId),
}

/// How many jobs stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting for others, or for their stage.
    pub waiting: usize,
    /// Ready.
    pub ready: usize,
    /// Running.
    pub running: usize,
    /// Ended well.
    pub finished: usize,
    /// Failed.
    pub failed: usize,
    /// Blocked by a failed one.
    pub blocked: usize,
}

/// What the scheduler keeps of a job.
#[derive(Debug, Clone, Copy)]
struct Entry {
    state: JobState,
    /// Dependencies that are not finished.
    waits_for: u32,
    /// Its dependents: `dependents[first_dependent..next entry's]`.
    first_dependent: u32,
    priority: u64,
    exclusive: Option<u32>,
    resource: Resource,
    stage: Stage,
}

/// Order of the ready jobs: highest priority, then lowest position.
type Rank = (u64, Reverse<u32>);

/// The ready jobs and tokens of one resource.
#[derive(Debug, Clone, Default)]
struct Queue {
    ready: BinaryHeap<Rank>,
    running: u32,
}

/// Hands out jobs.
#[derive(Debug, Clone)]
pub struct Scheduler {
    entries: Vec<Entry>,
    /// Dependents of all jobs, grouped by the job they depend on.
    dependents: Vec<u32>,
    queues: [Queue; Resource::ALL.len()],
    limits: Limits,
    policy: FailurePolicy,
    stage: Stage,
    /// Ready but for their stage.
    later: Vec<u32>,
    /// Values of `exclusive` in use, each with the jobs that wait for it.
    held: HashMap<u32, BinaryHeap<Rank>>,
    stopped: bool,
    any_failed: bool,
    counts: Counts,
}

impl Scheduler {
    /// A scheduler for the jobs of a plan, where `jobs[i].id` is `i`. It starts in [`Stage::Data`].
    ///
    /// A dependency on a job that does not exist, or on itself or a later one, is no dependency: the
    /// plan has none, and a run must come to an end.
    pub fn new(jobs: &[Job], limits: Limits, policy: FailurePolicy) -> Self {
        let position = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let edges = || {
            jobs.iter().enumerate().flat_map(|(to, job)| {
                let from = job.after.iter().map(|id| id.0 as usize);
                from.filter(move |from| *from < to).map(move |from| (from, to))
            })
        };
        // Counting sort of the edges by the job they start from.
        let mut first = vec![0_u32; jobs.len() + 1];
        let mut waits_for = vec![0_u32; jobs.len()];
        for (from, to) in edges() {
            first[from + 1] += 1;
            waits_for[to] += 1;
        }
        for index in 1..first.len() {
            first[index] += first[index - 1];
        }
        let mut dependents = vec![0_u32; first.last().map_or(0, |total| *total as usize)];
        let mut next = first.clone();
        for (from, to) in edges() {
            dependents[next[from] as usize] = position(to);
            next[from] += 1;
        }
        let entries = jobs
            .iter()
            .zip(&waits_for)
            .zip(&first)
            .map(|((job, waits_for), first_dependent)| Entry {
                state: JobState::Waiting,
                waits_for: *waits_for,
                first_dependent: *first_dependent,
                priority: job.priority,
                exclusive: job.exclusive,
                resource: job.resource,
                stage: job.stage,
            })
            .collect();
        let mut scheduler = Self {
            entries,
            dependents,
            queues: Default::default(),
            limits,
            policy,
            stage: Stage::Data,
            later: Vec::new(),
            held: HashMap::new(),
            stopped: false,
            any_failed: false,
            counts: Counts { waiting: jobs.len(), ..Counts::default() },
        };
        for (index, waits_for) in waits_for.iter().enumerate() {
            if *waits_for == 0 {
                scheduler.make_ready(position(index));
            }
        }
        scheduler
    }

    /// The next job to start, now running; `None` when nothing may start at the moment.
    pub fn next_job(&mut self) -> Option<JobId> {
        if self.stopped {
            return None;
        }
        for resource in Resource::ALL {
            let limit = self.limits.get(resource);
            while let Some(queue) = self.queues.get_mut(resource.position())
                && queue.running < limit
                && let Some(rank) = queue.ready.pop()
            {
                let (_, Reverse(job)) = rank;
                let Some(entry) = self.entries.get_mut(job as usize) else {
                    continue;
                };
                if let Some(value) = entry.exclusive {
                    match self.held.entry(value) {
                        // Parked until the one that holds the value is over.
                        std::collections::hash_map::Entry::Occupied(mut holder) => {
                            holder.get_mut().push(rank);
                            continue;
                        }
                        std::collections::hash_map::Entry::Vacant(free) => {
                            free.insert(BinaryHeap::new());
                        }
                    }
                }
                entry.state = JobState::Running;
                queue.running += 1;
                self.counts.ready -= 1;
                self.counts.running += 1;
                return Some(JobId(job));
            }
        }
        None
    }

    /// A running job ended well. Anything else is ignored.
    pub fn finished(&mut self, id: JobId) {
        if !self.leave_running(id, JobState::Finished) {
            return;
        }
        self.counts.finished += 1;
        for position in self.dependents_of(id.0) {
            let Some(&dependent) = self.dependents.get(position) else {
                continue;
            };
            let Some(entry) = self.entries.get_mut(dependent as usize) else {
                continue;
            };
            entry.waits_for = entry.waits_for.saturating_sub(1);
            if entry.waits_for == 0 && entry.state == JobState::Waiting {
                self.make_ready(dependent);
            }
        }
    }

    /// A running job failed for good: what depends on it is blocked. Anything else is ignored.
    pub fn failed(&mut self, id: JobId) {
        if !self.leave_running(id, JobState::Failed) {
            return;
        }
        self.counts.failed += 1;
        self.any_failed = true;
        match self.policy {
            FailurePolicy::FailFast | FailurePolicy::FinishRunning => self.stopped = true,
            FailurePolicy::KeepGoing => {}
        }
        let mut open = vec![id.0];
        while let Some(job) = open.pop() {
            for position in self.dependents_of(job) {
                let Some(&dependent) = self.dependents.get(position) else {
                    continue;
                };
                if let Some(entry) = self.entries.get_mut(dependent as usize)
                    && entry.state == JobState::Waiting
                {
                    entry.state = JobState::Blocked(id);
                    self.counts.waiting -= 1;
                    self.counts.blocked += 1;
                    open.push(dependent);
                }
            }
        }
    }

    /// A running job could not be begun and goes back to the others (X-16: the server has no
    /// connection left, so its limit is lowered and the job is tried again). Anything else is ignored.
    pub fn returned(&mut self, id: JobId) {
        if self.leave_running(id, JobState::Waiting) {
            self.counts.waiting += 1;
            self.make_ready(id.0);
        }
    }

    /// Hands out nothing more.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Hands out jobs of the next stage as well. What earlier stages have not finished still counts as
    /// a dependency.
    pub fn advance(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
        for job in std::mem::take(&mut self.later) {
            self.make_ready(job);
        }
    }

    /// Changes how many jobs of a resource may run at once; those that run go on. 0 counts as 1.
    pub fn set_limit(&mut self, resource: Resource, limit: u32) {
        self.limits.set(resource, limit);
    }

    /// How many jobs of a resource may run at once.
    pub fn limit(&self, resource: Resource) -> u32 {
        self.limits.get(resource)
    }

    /// Nothing runs and nothing more will be handed out in this stage.
    pub fn is_done(&self) -> bool {
        self.counts.running == 0 && (self.stopped || self.counts.ready == 0)
    }

    /// What runs is to be cancelled: a job failed under [`FailurePolicy::FailFast`].
    pub fn cancels_running(&self) -> bool {
        self.any_failed && self.policy == FailurePolicy::FailFast
    }

    /// How many jobs stand where.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Where a job stands; `None` when there is no such job.
    pub fn state(&self, id: JobId) -> Option<JobState> {
        self.entries.get(id.0 as usize).map(|entry| entry.state)
    }

    /// Jobs in a final state other than `Finished`, and those that never started, in their order.
    pub fn unfinished(&self) -> impl Iterator<Item = (JobId, JobState)> {
        (0..).zip(&self.entries).filter_map(|(job, entry)| {
            (entry.state != JobState::Finished).then_some((JobId(job), entry.state))
        })
    }

    /// Positions of the dependents of a job in `dependents`.
    fn dependents_of(&self, job: u32) -> std::ops::Range<usize> {
        let first = |job: usize| self.entries.get(job).map(|entry| entry.first_dependent as usize);
        let start = first(job as usize).unwrap_or(self.dependents.len());
        start..first(job as usize + 1).unwrap_or(self.dependents.len())
    }

    /// Puts a waiting job where it can be handed out, or aside when its stage is yet to come.
    fn make_ready(&mut self, job: u32) {
        let Some(entry) = self.entries.get_mut(job as usize) else {
            return;
        };
        if entry.stage > self.stage {
            self.later.push(job);
            return;
        }
        entry.state = JobState::Ready;
        self.counts.waiting -= 1;
        self.counts.ready += 1;
        if let Some(queue) = self.queues.get_mut(entry.resource.position()) {
            queue.ready.push((entry.priority, Reverse(job)));
        }
    }

    /// Takes a running job's token and exclusive value away; false when it does not run.
    fn leave_running(&mut self, id: JobId, state: JobState) -> bool {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else {
            return false;
        };
        if entry.state != JobState::Running {
            return false;
        }
        entry.state = state;
        self.counts.running -= 1;
        if let Some(queue) = self.queues.get_mut(entry.resource.position()) {
            queue.running -= 1;
        }
        let parked = entry.exclusive.and_then(|value| self.held.remove(&value));
        for rank in parked.into_iter().flatten() {
            let (_, Reverse(job)) = rank;
            let Some(entry) = self.entries.get(job as usize) else {
                continue;
            };
            if let Some(queue) = self.queues.get_mut(entry.resource.position()) {
                queue.ready.push(rank);
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
