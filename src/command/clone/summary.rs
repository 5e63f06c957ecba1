//! The run as numbers, and the proof that nothing is missing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::base::summary::{Finding, RunSummary, Severity, Step, StepTiming, TableSummary};
use crate::catalog::model::Oid;
use crate::config::Jobs;
use crate::ledger::{self, ObjectKind, PartRecord};
use crate::plan::{JobKind, Plan, Scope, Stage, TablePlan, Validation};
use crate::run::dispatcher::JobReport;

/// When the proof is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Rows, indexes and constraints must be there, and what does not wait for post-data.
    BeforePostData,
    /// Everything must be there.
    AtTheEnd,
}

/// What the plan wants and the ledger has not, by name.
///
/// What was reported as impossible (a violated foreign key, a dropped table, an unreadable sequence)
/// is not missing.
pub(super) fn missing(
    plan: &Plan,
    ledger: &ledger::Done,
    reported: &[Finding],
    scope: &Scope,
    moment: Moment,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut miss = |object: String| found.push(object);
    let loaded = |table: &&TablePlan| table.load.loads() && scope.covers_rows(table);
    for table in plan.tables.iter().filter(loaded) {
        let done = ledger.parts.get(&table.oid).map_or(0, Vec::len);
        let dropped = reported.iter().any(|finding| {
            finding.severity == Severity::Warning
                && finding.object == format!("table {}", table.name)
        });
        if done != table.parts.len() && !dropped {
            miss(format!("rows of {}", table.name));
        }
    }
    let indexes = scope.covered_indexes(plan);
    for index in plan.indexes.iter().filter(|one| indexes.contains(&one.oid)) {
        if !ledger.has(ObjectKind::Index, index.oid) {
            miss(format!("index {}", index.name));
        }
    }
    let constraints = plan.constraints.iter().filter(|_| scope.constraints);
    for one in constraints.filter(|one| !ledger.has(ObjectKind::Constraint, one.oid)) {
        miss(format!("constraint \"{}\"", one.name));
    }
    let parents = plan.parent_constraints.iter();
    let parents = parents.filter(|_| scope.constraints && moment == Moment::AtTheEnd);
    for one in parents.filter(|one| !ledger.has(ObjectKind::Constraint, one.oid)) {
        miss(format!("constraint \"{}\"", one.name));
    }
    for key in plan.foreign_keys.iter().filter(|key| scope.covers_foreign_key(key.oid)) {
        if moment == Moment::BeforePostData && key.stage == Stage::AfterPostData {
            continue;
        }
        let added = ledger.has(ObjectKind::ForeignKey, key.oid);
        let checked = ledger.has(ObjectKind::Validated, key.oid);
        let done = match key.validation {
            Validation::Never => added,
            Validation::Separate => added && checked,
            Validation::WithAdd => checked,
        };
        let name = key.table.name.to_string();
        let degraded = reported.iter().any(|finding| {
            finding.severity == Severity::Error
                && finding.object.contains(&key.name)
                && finding.object.contains(&name)
        });
        if !(degraded || done) {
            miss(format!("foreign key \"{}\" of {name}", key.name));
        }
    }
    if scope.sequences && !plan.sequences.is_empty() && !ledger.has(ObjectKind::Sequences, 0) {
        let unset = reported
            .iter()
            .any(|one| one.severity == Severity::Error && one.object.contains("sequence"));
        if !unset {
            miss("sequence values".to_owned());
        }
    }
    found
}

/// Puts the summary together.
pub(super) fn build(
    jobs: Jobs,
    plan: &Plan,
    ledger: &ledger::Done,
    reports: &[(JobKind, JobReport)],
    mut steps: BTreeMap<Step, StepTiming>,
    findings: Vec<Finding>,
) -> RunSummary {
    let mut built: HashMap<Oid, TableSummary> = HashMap::new();
    for (kind, report) in reports {
        let Some(table) = table_of(plan, *kind) else { continue };
        let entry = built.entry(table.oid).or_default();
        entry.indexes.extend(report.indexes.iter().cloned());
        entry.constraints.extend(report.constraints.iter().cloned());
    }
    let tables: Vec<TableSummary> = (plan.tables.iter().filter(|table| table.load.loads()))
        .map(|table| {
            let parts = ledger.parts.get(&table.oid).map(Vec::as_slice).unwrap_or_default();
            table_summary(table, parts, built.remove(&table.oid).unwrap_or_default())
        })
        .collect();
    let copy_bytes = tables.iter().map(|table| table.bytes).sum();
    let copy_time = tables.iter().map(|table| table.copy_duration).sum();
    let index_time =
        reports.iter().flat_map(|(_, report)| &report.indexes).map(|one| one.duration).sum();
    let constraint_time =
        reports.iter().flat_map(|(_, report)| &report.constraints).map(|one| one.duration).sum();
    let of = |wanted: fn(&JobKind) -> bool| reports.iter().filter(move |(kind, _)| wanted(kind));
    let objects = of(|kind| matches!(kind, JobKind::LargeObjects { .. }));
    let object_bytes = objects.clone().map(|(_, report)| report.bytes).sum();
    let object_time = objects.map(|(_, report)| report.copy_duration).sum();
    let mut add = |step, duration: Duration, bytes| {
        steps.insert(step, StepTiming { duration, bytes, concurrency: 0 });
    };
    add(Step::Copy, copy_time, copy_bytes);
    add(Step::CreateIndex, index_time, 0);
    add(Step::Constraints, constraint_time, 0);
    add(Step::Vacuum, reports.iter().map(|(_, report)| report.vacuum_duration).sum(), 0);
    add(Step::Sequences, reports.iter().map(|(_, report)| report.sequence_duration).sum(), 0);
    add(Step::LargeObjects, object_time, object_bytes);
    let steps = steps.into_iter().map(|(step, timing)| {
        (step, StepTiming { concurrency: concurrency(step, jobs), ..timing })
    });
    RunSummary {
        steps: steps.collect(),
        tables,
        findings,
        table_jobs: jobs.table,
        index_jobs: jobs.index,
    }
}

/// One line of the report.
fn table_summary(table: &TablePlan, parts: &[PartRecord], built: TableSummary) -> TableSummary {
    TableSummary {
        oid: table.oid,
        schema: table.name.schema.clone(),
        name: table.name.name.clone(),
        parts: u32::try_from(table.parts.len()).unwrap_or(u32::MAX),
        rows: parts.iter().map(|part| part.rows).sum(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        copy_duration: Duration::from_millis(parts.iter().map(|part| part.duration_ms).sum()),
        ..built
    }
}

/// The table that a job is about.
fn table_of(plan: &Plan, kind: JobKind) -> Option<&TablePlan> {
    let position = match kind {
        JobKind::Truncate { table }
        | JobKind::CopyPart { table, .. }
        | JobKind::SmallTable { table }
        | JobKind::Constraints { table }
        | JobKind::Vacuum { table } => table,
        JobKind::Index { index } => plan.indexes.get(index as usize)?.table,
        JobKind::ForeignKey { index } | JobKind::ValidateForeignKey { index } => {
            plan.foreign_keys.get(index as usize)?.table.table?
        }
        JobKind::LargeObjects { .. } | JobKind::Sequences | JobKind::AnalyzeParents => return None,
    };
    plan.tables.get(position as usize)
}

/// How many workers a step may use at once, as the end-of-run table says it.
fn concurrency(step: Step, jobs: Jobs) -> u32 {
    match step {
        Step::Catalog | Step::DumpSchema | Step::PrepareSchema | Step::Sequences => 1,
        Step::Data => jobs.table + jobs.index + jobs.table,
        Step::Copy | Step::Vacuum => jobs.table,
        Step::CreateIndex | Step::Constraints => jobs.index,
        Step::LargeObjects => jobs.large_objects,
        Step::FinalizeSchema => jobs.restore,
        Step::Total => jobs.table + jobs.index + jobs.table + jobs.large_objects + jobs.restore,
    }
}
