//! The work graph: from the plan's vectors and what is already done to the jobs that remain.
//!
//! ```text
//! Truncate ─► CopyPart… ─► Index… ─► Constraints ─► Vacuum ─┬─► ForeignKey ─► ValidateForeignKey
//! SmallTable ───────────────────────────────────────────────┘
//! LargeObjects…      Sequences
//! ```
//!
//! Steps that a table does not need fall out. A table is *ready* when its last step is done; a foreign
//! key waits for both of its tables, since ADD CONSTRAINT would wait for their locks anyway and plans
//! its validation better when they are analyzed. Configuration tables of extensions have their constraints
//! from the beginning: each waits for what it references, and for the one before it of its extension.

use super::done::Done;
use super::error::PlanError;
use super::foreign_key::{ForeignKeyPlan, Validation};
use super::index::ConstraintPlan;
use super::job::{Job, JobKind, Resource, Stage};
use super::order::path_bytes;
use super::table::TablePlan;
use super::{Plan, VacuumKind};
use crate::base::event::{JobClass, JobId};

/// Largest table that is done in one job, in bytes: 1 MiB.
///
/// Its copy takes some ten milliseconds, so the sessions' round trips are what counts.
const SMALL_TABLE_BYTES_MAX: u64 = 1 << 20;

/// Most indexes of a table that is done in one job: more of them are better built side by side.
const SMALL_TABLE_INDEXES_MAX: u32 = 8;

/// Large objects per share below which a further worker is not worth its session.
const LARGE_OBJECTS_PER_SHARE_MIN: u64 = 1000;

/// What the graph is made with.
pub(super) struct Links<'a> {
    /// `--large-objects-jobs`.
    pub(super) large_object_jobs: u32,
    /// What need not be done again.
    pub(super) done: &'a Done,
}

/// The jobs that remain.
pub(super) fn link(plan: &Plan, links: &Links<'_>) -> Result<Vec<Job>, PlanError> {
    let mut graph = Graph { jobs: Vec::with_capacity(plan.tables.len() * 2), overflow: 0 };
    let mut ready = vec![Vec::new(); plan.tables.len()];
    for (position, table) in in_order(plan) {
        let before = table.config.iter().flat_map(|config| &config.after);
        let after: Vec<JobId> =
            before.filter_map(|other| ready.get(*other as usize)).flatten().copied().collect();
        let jobs = link_table(&mut graph, plan, position, table, (after, links.done));
        if let Some(slot) = ready.get_mut(position as usize) {
            *slot = jobs;
        }
    }
    for (index, key) in (0_u32..).zip(&plan.foreign_keys) {
        link_foreign_key(&mut graph, index, key, &ready, links.done, plan);
    }
    link_large_objects(&mut graph, plan, links);
    if !plan.sequences.is_empty() && !links.done.sequences {
        let weight = plan.sequences.len() as u64;
        graph.add(JobKind::Sequences, Vec::new(), JobClass::Sequences, Resource::Sequences, weight);
    }
    if !plan.parents.is_empty() && !links.done.parents {
        // By its stage it comes after the load of every table.
        let kind = JobKind::AnalyzeParents;
        graph.add(kind, Vec::new(), JobClass::Vacuum, Resource::Vacuum, 0);
        graph.last(|job| job.stage = Stage::AfterPostData);
    }
    if graph.overflow > 0 {
        return Err(PlanError::TooManyJobs(graph.jobs.len() as u64 + graph.overflow));
    }
    Ok(graph.jobs)
}

/// The tables with their positions: configuration tables of extensions last, in their own order, since a
/// job waits only for jobs before it.
fn in_order(plan: &Plan) -> Vec<(u32, &TablePlan)> {
    let mut tables: Vec<(u32, &TablePlan)> = (0_u32..).zip(&plan.tables).collect();
    tables.sort_by_key(|(_, table)| table.config.as_ref().map(|config| config.rank));
    tables
}

/// The jobs so far.
struct Graph {
    jobs: Vec<Job>,
    /// Jobs that had no identity left.
    overflow: u64,
}

impl Graph {
    /// Appends a job of the first stage whose priority is its weight; more is set on what it returns.
    fn add(
        &mut self,
        kind: JobKind,
        after: Vec<JobId>,
        class: JobClass,
        resource: Resource,
        weight: u64,
    ) -> JobId {
        let Ok(number) = u32::try_from(self.jobs.len()) else {
            self.overflow += 1;
            return JobId(u32::MAX);
        };
        let id = JobId(number);
        self.jobs.push(Job {
            id,
            kind,
            after,
            class,
            resource,
            stage: Stage::Data,
            exclusive: None,
            weight,
            priority: weight,
        });
        id
    }

    /// Changes the job added last.
    fn last(&mut self, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.last_mut() {
            change(job);
        }
    }
}

/// Whether a table with everything that hangs on it is one job.
fn is_small(plan: &Plan, table: &TablePlan) -> bool {
    let indexes = table.indexes.len();
    let index_bytes: u64 = plan.indexes_of(table).map(|index| index.bytes).sum();
    table.load.replaces()
        && table.bytes <= SMALL_TABLE_BYTES_MAX
        && index_bytes <= SMALL_TABLE_BYTES_MAX * 2
        && indexes <= SMALL_TABLE_INDEXES_MAX as usize
}

/// Adds the jobs of a table, which begin after some others; returns the ones after which it is ready.
fn link_table(
    graph: &mut Graph,
    plan: &Plan,
    position: u32,
    table: &TablePlan,
    (after, done): (Vec<JobId>, &Done),
) -> Vec<JobId> {
    let rest = done.rest_of(plan, table);
    if rest.untouched && is_small(plan, table) {
        let kind = JobKind::SmallTable { table: position };
        return vec![graph.add(kind, Vec::new(), JobClass::Copy, Resource::Copy, table.bytes)];
    }
    let mut ready = link_parts(graph, plan, position, table, (after, &rest.parts));
    let mut built = Vec::new();
    for index in rest.indexes {
        let bytes = plan.indexes.get(index as usize).map_or(0, |index| index.bytes);
        built.push(graph.add(
            JobKind::Index { index },
            ready.clone(),
            JobClass::Index,
            Resource::Index,
            bytes,
        ));
    }
    if !built.is_empty() {
        ready = built;
    }
    if rest.constraints {
        let kind = JobKind::Constraints { table: position };
        // Constraints that make their own index read the whole table.
        let own_index = plan.constraints_of(table).any(ConstraintPlan::makes_index);
        let weight = if own_index { table.bytes } else { 0 };
        ready = vec![graph.add(kind, ready, JobClass::Constraint, Resource::Index, weight)];
    }
    if rest.vacuum {
        let kind = JobKind::Vacuum { table: position };
        let weight = match table.vacuum {
            Some(VacuumKind::VacuumAnalyze) => table.bytes,
            // ANALYZE reads a sample.
            Some(VacuumKind::Analyze) | None => 0,
        };
        ready = vec![graph.add(kind, ready, JobClass::Vacuum, Resource::Vacuum, weight)];
    }
    ready
}

/// Adds the copy jobs of a table; returns them.
fn link_parts(
    graph: &mut Graph,
    plan: &Plan,
    position: u32,
    table: &TablePlan,
    (mut after, parts): (Vec<JobId>, &[u32]),
) -> Vec<JobId> {
    if parts.is_empty() {
        return after;
    }
    // All parts of a table stand where the whole table would: its indexes wait for all of them.
    let priority = path_bytes(table.bytes, plan.indexes_of(table).map(|index| index.bytes));
    if table.is_split() && parts.len() == table.parts.len() {
        let kind = JobKind::Truncate { table: position };
        after.push(graph.add(kind, Vec::new(), JobClass::Copy, Resource::Copy, 0));
        graph.last(|job| job.priority = priority.saturating_add(1));
    }
    let weight = table.bytes / (table.parts.len().max(1) as u64);
    parts
        .iter()
        .map(|&part| {
            let kind = JobKind::CopyPart { table: position, part };
            let id = graph.add(kind, after.clone(), JobClass::Copy, Resource::Copy, weight);
            graph.last(|job| job.priority = priority);
            id
        })
        .collect()
}

/// Adds the jobs of a foreign key.
fn link_foreign_key(
    graph: &mut Graph,
    index: u32,
    key: &ForeignKeyPlan,
    ready: &[Vec<JobId>],
    done: &Done,
    plan: &Plan,
) {
    let ready_of = |table: Option<u32>| table.and_then(|table| ready.get(table as usize));
    let bytes =
        key.table.table.and_then(|table| plan.tables.get(table as usize)).map_or(0, |t| t.bytes);
    let mut after = Vec::new();
    for jobs in [ready_of(key.table.table), ready_of(key.referenced.table)] {
        after.extend(jobs.into_iter().flatten().copied());
    }
    after.sort_unstable();
    after.dedup();
    let own_stage = |job: &mut Job| {
        job.stage = key.stage;
        job.exclusive = key.table.table;
        job.priority = bytes;
    };
    if key.validation != Validation::WithAdd && !done.foreign_keys.contains(&key.oid) {
        let (kind, resource) = (JobKind::ForeignKey { index }, Resource::ForeignKey);
        after = vec![graph.add(kind, after, JobClass::Constraint, resource, 0)];
        graph.last(own_stage);
    }
    let resource = match key.validation {
        Validation::Never => return,
        Validation::Separate => Resource::Index,
        // It adds the key as well.
        Validation::WithAdd => Resource::ForeignKey,
    };
    if !done.validated.contains(&key.oid) {
        let kind = JobKind::ValidateForeignKey { index };
        graph.add(kind, after, JobClass::Constraint, resource, bytes);
        graph.last(own_stage);
    }
}

/// Adds the jobs of the large objects.
fn link_large_objects(graph: &mut Graph, plan: &Plan, links: &Links<'_>) {
    if plan.large_objects == 0 || links.done.large_objects {
        return;
    }
    let wanted = plan.large_objects.div_ceil(LARGE_OBJECTS_PER_SHARE_MIN);
    let shards = u32::try_from(wanted).unwrap_or(u32::MAX).min(links.large_object_jobs.max(1));
    for shard in 0..shards {
        let kind = JobKind::LargeObjects { shard, shards };
        let weight = plan.large_objects / u64::from(shards);
        graph.add(kind, Vec::new(), JobClass::LargeObjects, Resource::LargeObjects, weight);
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
