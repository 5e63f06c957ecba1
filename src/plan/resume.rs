//! What remains of a plan after an earlier run.

use std::collections::BTreeMap;

use super::done::Done;
use super::error::PlanError;
use super::link::{Links, link};
use super::{JobKind, Plan};
use crate::catalog::model::Oid;

/// The plan with the jobs that remain. Its vectors are the same, so positions keep their meaning; jobs
/// are numbered anew. What remains of a small table that was begun is split into ordinary jobs.
///
/// # Errors
/// [`PlanError::TooManyJobs`], which a plan that was built once does not meet.
pub fn resume(mut plan: Plan, done: &Done) -> Result<Plan, PlanError> {
    let shares = plan.jobs.iter().filter(|job| matches!(job.kind, JobKind::LargeObjects { .. }));
    let large_object_jobs = u32::try_from(shares.count()).unwrap_or(u32::MAX);
    plan.jobs = link(&plan, &Links { large_object_jobs, done })?;
    let mut copied: BTreeMap<Oid, (u64, u64)> = BTreeMap::new();
    for table in plan.tables.iter().filter(|table| !table.parts.is_empty()) {
        let total = table.parts.len() as u64;
        let rest = done.rest_of(&plan, table).parts.len() as u64;
        if rest < total {
            copied.insert(table.oid, (u64::from(rest == 0), table.bytes / total * (total - rest)));
        }
    }
    plan.tables_already_done = copied.values().map(|(tables, _)| tables).sum();
    plan.bytes_already_done = copied.values().map(|(_, bytes)| bytes).sum();
    Ok(plan)
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
