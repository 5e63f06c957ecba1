//! What a run did, as numbers: filled by `command`, shown by `report`, written to `summary.json`.

use std::time::Duration;

/// A step of the run, in the order of the end-of-run table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Catalog queries (table ordering, filtering, etc).
    Catalog,
    /// `pg_dump`.
    DumpSchema,
    /// Pre-data on the target.
    PrepareSchema,
    /// COPY, indexes, constraints and vacuum, wall clock.
    Data,
    /// COPY, cumulative over the workers.
    Copy,
    /// CREATE INDEX, cumulative.
    CreateIndex,
    /// Constraints, cumulative.
    Constraints,
    /// VACUUM and ANALYZE, cumulative.
    Vacuum,
    /// Sequence values.
    Sequences,
    /// Large objects, cumulative.
    LargeObjects,
    /// Post-data on the target.
    FinalizeSchema,
    /// Everything, wall clock.
    Total,
}

impl Step {
    /// Every step, in the order of the end-of-run table.
    pub const ALL: [Self; 12] = [
        Self::Catalog,
        Self::DumpSchema,
        Self::PrepareSchema,
        Self::Data,
        Self::Copy,
        Self::CreateIndex,
        Self::Constraints,
        Self::Vacuum,
        Self::Sequences,
        Self::LargeObjects,
        Self::FinalizeSchema,
        Self::Total,
    ];
}

/// Time and volume of one step.
#[derive(Debug, Clone, Default)]
pub struct StepTiming {
    /// Wall clock, or the sum over the workers for the cumulative steps.
    pub duration: Duration,
    /// Payload bytes moved, 0 where the step moves none.
    pub bytes: u64,
    /// How many workers it may use at once.
    pub concurrency: u32,
}

/// One index or constraint of the end-of-run report.
#[derive(Debug, Clone)]
pub struct BuiltObject {
    /// Source identifier (`pg_class.oid` or `pg_constraint.oid`).
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// The statement that built it.
    pub sql: String,
    /// How long it took.
    pub duration: Duration,
}

/// One table of the end-of-run report.
#[derive(Debug, Clone, Default)]
pub struct TableSummary {
    /// Source identifier (`pg_class.oid`).
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// In how many parts it was copied.
    pub parts: u32,
    /// Rows that arrived.
    pub rows: u64,
    /// COPY payload bytes.
    pub bytes: u64,
    /// COPY time, cumulative over the parts.
    pub copy_duration: Duration,
    /// Its indexes.
    pub indexes: Vec<BuiltObject>,
    /// Its constraints.
    pub constraints: Vec<BuiltObject>,
}

/// Something left out or degraded, with its reason: it must reach the report and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the run ends non-zero because of it.
    pub severity: Severity,
    /// The object as SQL would name it.
    pub object: String,
    /// One line: what happened and why.
    pub reason: String,
    /// What to do about it, a whole sentence.
    pub hint: Option<String>,
}

/// How much a finding matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Severity {
    /// Worth knowing: an invalid index was left out as asked.
    Notice,
    /// Worth checking; the run still counts as complete.
    Warning,
    /// The target is not what the source was: the run ends non-zero.
    Error,
}

/// One database of a run over all of them.
#[derive(Debug, Clone, Default)]
pub struct DatabaseSummary {
    /// Its name.
    pub name: String,
    /// Its directory in the work directory.
    pub directory: std::path::PathBuf,
    /// The run; without steps when an earlier one had finished it.
    pub run: RunSummary,
    /// What ended it.
    pub error: Option<String>,
    /// How long it took.
    pub duration: Duration,
}

/// The whole run as numbers.
#[derive(Debug, Clone, Default)]
pub struct RunSummary {
    /// Time and volume per step; absent steps did not run.
    pub steps: Vec<(Step, StepTiming)>,
    /// Per table, largest first.
    pub tables: Vec<TableSummary>,
    /// What was left out or degraded.
    pub findings: Vec<Finding>,
    /// `--table-jobs`.
    pub table_jobs: u32,
    /// `--index-jobs`.
    pub index_jobs: u32,
}
