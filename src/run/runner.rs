//! From a job of the plan to the job body: sessions, retries, marks for the ledger.
//!
//! A unit of work that fails for a transient reason is tried again on new sessions, under the same
//! snapshot, for up to a minute without success. Before it is tried again the ledger is asked: the
//! commit may have happened although its answer was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::lsn::Lsn;

use super::dispatcher::{JobReport, JobRunner};
use super::lookup::{self, misses_a_name};
use super::pool::Pool;
use super::rows;
use super::sequences::set_sequences;
use crate::base::counters::JobCounters;
use crate::base::error::{Error, Result, Side};
use crate::base::summary::{BuiltObject, Finding, Severity};
use crate::catalog::model::{Oid, SourceCatalog};
use crate::config::SchemaOptions;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::job::copy::{self, CopyOutcome, Preparation};
use crate::job::index::{
    self, Built, ConstraintAdd, ConstraintIndex, ForeignKey, ForeignKeyOutcome, IndexBuild,
    IndexDetails, TableConstraints,
};
use crate::job::large_object::{self, Metadata, Share};
use crate::job::vacuum::{self, VacuumJob, VacuumWork};
use crate::ledger::{self, ObjectKind, PartRecord};
use crate::plan::{
    ConstraintIndexPlan, ConstraintPlan, IndexDetailsPlan, IndexPlan, Job, JobKind, Part, Plan,
    TablePlan, VacuumKind, Validation,
};

/// SQLSTATEs with which a target refuses FREEZE: object_not_in_prerequisite_state,
/// feature_not_supported.
const FREEZE_REFUSED: [&str; 2] = ["55000", "0A000"];

/// Runs jobs against two servers.
#[derive(Debug)]
pub struct PgJobRunner {
    plan: Arc<Plan>,
    catalog: Arc<SourceCatalog>,
    snapshot: Option<String>,
    snapshot_lsn: Option<Lsn>,
    metadata: Metadata,
    source: Pool,
    target: Pool,
}

impl PgJobRunner {
    /// A runner for one pass over a plan.
    ///
    /// `snapshot` is the exported snapshot that every source session imports, and where it stands when
    /// changes are followed.
    pub fn new(
        plan: Arc<Plan>,
        catalog: Arc<SourceCatalog>,
        (snapshot, snapshot_lsn): (Option<String>, Option<Lsn>),
        schema: SchemaOptions,
        source: Pool,
        target: Pool,
    ) -> Self {
        Self {
            plan,
            catalog,
            snapshot,
            snapshot_lsn,
            metadata: Metadata {
                owner: !schema.no_owner,
                acl: !schema.no_acl,
                comment: !schema.no_comments,
            },
            source,
            target,
        }
    }

    /// Closes the sessions that no job uses, to leave the server's connections to others.
    pub fn rest(&self) {
        self.source.clear();
        self.target.clear();
    }

    /// Runs a job once.
    async fn once(&self, job: &Job, counters: &JobCounters, again: bool) -> Result<JobReport> {
        match job.kind {
            JobKind::Truncate { table } => self.truncate(self.table(table)?).await,
            JobKind::CopyPart { table, part } => {
                let table = self.table(table)?;
                let part = table
                    .parts
                    .get(part as usize)
                    .ok_or_else(|| Error::internal("a job names a part that is not planned"))?;
                self.copy(table, part, counters, again).await
            }
            JobKind::SmallTable { table } => {
                self.small_table(self.table(table)?, counters, again).await
            }
            JobKind::Index { index } => {
                let plan = (self.plan.indexes.get(index as usize))
                    .ok_or_else(|| Error::internal("a job names an index that is not planned"))?;
                let table = self.table(plan.table)?;
                let build = index_build(plan, table);
                let mut lease = self.target.take().await?;
                self.build_indexes(lease.session()?, &[build]).await
            }
            JobKind::Constraints { table } => {
                let mut lease = self.target.take().await?;
                self.add_constraints(lease.session()?, self.table(table)?).await
            }
            JobKind::Vacuum { table } => {
                let mut lease = self.target.take().await?;
                self.vacuum(lease.session()?, self.table(table)?).await
            }
            JobKind::ForeignKey { index } => self.add_foreign_key(index).await,
            JobKind::ValidateForeignKey { index } => self.validate_foreign_key(index).await,
            JobKind::LargeObjects { shard, shards } => {
                self.large_objects(shard, shards, counters).await
            }
            JobKind::Sequences => self.sequences().await,
            JobKind::AnalyzeParents => {
                let mut lease = self.target.take().await?;
                let job = VacuumJob {
                    tables: self.plan.parents.clone(),
                    work: VacuumWork::AnalyzeParents,
                    mark: Some(ledger::object_sql(ObjectKind::Parents, 0)),
                };
                vacuum_on(lease.session()?, &job).await
            }
        }
    }

    /// Adds to an error of a job's rows which of them it is about.
    async fn explain(&self, job: &Job, error: Error) -> Error {
        if !copy::refused_characters(&error) {
            return error;
        }
        let (table, part) = match job.kind {
            JobKind::CopyPart { table, part } => (table, part),
            JobKind::SmallTable { table } => (table, 0),
            _ => return error,
        };
        let Ok(table) = self.table(table) else { return error };
        let Some(part) = table.parts.get(part as usize) else { return error };
        let pools = (&self.source, &self.target);
        rows::name_refused_rows(error, (table, part), self.snapshot.as_deref(), pools).await
    }

    /// A table of the plan.
    fn table(&self, position: u32) -> Result<&TablePlan> {
        (self.plan.tables.get(position as usize))
            .ok_or_else(|| Error::internal("a job names a table that is not planned"))
    }

    /// Empties a table that is copied in parts, and forgets its parts with it.
    async fn truncate(&self, table: &TablePlan) -> Result<JobReport> {
        let mut lease = self.target.take().await?;
        let sql = format!(
            "begin; truncate table {}{}; {}; commit",
            if table.only { "only " } else { "" },
            table.name.sql(),
            ledger::forget_parts_sql(table.oid)
        );
        in_transaction(lease.session()?, &sql).await?;
        Ok(JobReport::default())
    }

    /// Copies one part.
    async fn copy(
        &self,
        table: &TablePlan,
        part: &Part,
        counters: &JobCounters,
        again: bool,
    ) -> Result<JobReport> {
        let mut source = self.source.take().await?;
        let mut target = self.target.take().await?;
        let (source, target) = (source.session()?, target.session()?);
        self.copy_on(source, target, table, part, counters, again).await
    }

    /// Copies one part on sessions that are at hand.
    async fn copy_on(
        &self,
        source: &mut Session,
        target: &mut Session,
        table: &TablePlan,
        part: &Part,
        counters: &JobCounters,
        again: bool,
    ) -> Result<JobReport> {
        if again && let Some(done) = part_done(target, table.oid, part.index).await? {
            return Ok(done);
        }
        let part_count = u32::try_from(table.parts.len()).unwrap_or(u32::MAX);
        let mut work = rows::copy_work(table, part);
        let ledger_row = |outcome: &CopyOutcome| {
            ledger::part_sql(&PartRecord {
                relation: table.oid,
                part_index: part.index,
                part_count,
                file_node: table.file_node,
                rows: outcome.rows,
                bytes: outcome.bytes,
                duration_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
                snapshot_lsn: self.snapshot_lsn,
            })
        };
        let snapshot = self.snapshot.as_deref();
        let mut result =
            copy::copy_part(source, target, &work, snapshot, counters, ledger_row).await;
        if let Err(error) = &result
            && work.preparation == Preparation::TruncateFreeze
            && error.side() == Side::Target
            && error.sqlstate().is_some_and(|code| FREEZE_REFUSED.contains(&code))
            && !source.is_broken()
            && !target.is_broken()
        {
            tracing::info!(%error, table = %table.name, "target refuses FREEZE, loading without");
            work.preparation = Preparation::Truncate;
            counters.reset();
            result = copy::copy_part(source, target, &work, snapshot, counters, ledger_row).await;
        }
        match result {
            Ok(outcome) => Ok(JobReport {
                rows: outcome.rows,
                bytes: outcome.bytes,
                copy_duration: outcome.duration,
                ..JobReport::default()
            }),
            Err(error) if is_gone(source, table, &error).await => Ok(JobReport {
                findings: vec![Finding {
                    severity: Severity::Warning,
                    object: format!("table {}", table.name),
                    reason: "it was dropped on the source while the migration ran; the target has \
                             it empty"
                        .into(),
                    hint: Some(format!("DROP TABLE {}; on the target.", table.name.sql())),
                }],
                ..JobReport::default()
            }),
            Err(error) => Err(error),
        }
    }

    /// Copies a small table and does everything else that it needs, on one pair of sessions.
    async fn small_table(
        &self,
        table: &TablePlan,
        counters: &JobCounters,
        again: bool,
    ) -> Result<JobReport> {
        let mut target_lease = self.target.take().await?;
        let target = target_lease.session()?;
        let mut report = JobReport::default();
        if let Some(part) = table.parts.first() {
            let mut source = self.source.take().await?;
            let source = source.session()?;
            report = self.copy_on(source, target, table, part, counters, again).await?;
        }
        if !again && let Some(settled) = self.settle(target, table).await? {
            report.absorb(settled);
            return Ok(report);
        }
        let builds = self.index_builds(table);
        if !builds.is_empty() {
            report.absorb(self.build_indexes(target, &builds).await?);
        }
        if table.has_constraint_work() {
            report.absorb(self.add_constraints(target, table).await?);
        }
        if table.vacuum.is_some() {
            report.absorb(self.vacuum(target, table).await?);
        }
        Ok(report)
    }

    /// Does all that a loaded small table needs in one transaction; `None` when that is not possible
    /// or the server refused, and it has to go step by step.
    async fn settle(&self, target: &mut Session, table: &TablePlan) -> Result<Option<JobReport>> {
        let mut last = Vec::new();
        let mut done: Vec<(ObjectKind, i64)> = Vec::new();
        match table.vacuum {
            // VACUUM does not run inside a transaction.
            Some(VacuumKind::VacuumAnalyze) => return Ok(None),
            Some(VacuumKind::Analyze) => {
                last.push(vacuum::analyze_statement(&table.name));
                done.push((ObjectKind::Vacuum, table.oid.into()));
            }
            None => {}
        }
        // One record for all of them instead of one for each.
        let mut builds = self.index_builds(table);
        for build in &mut builds {
            build.mark = None;
            done.push((ObjectKind::Index, build.oid.into()));
        }
        let mut work = table.has_constraint_work().then(|| self.table_constraints(table));
        if let Some(work) = &mut work {
            work.mark = None;
            done.push((ObjectKind::TableStatements, table.oid.into()));
            for add in &mut work.constraints {
                add.mark = None;
                done.push((ObjectKind::Constraint, add.oid.into()));
            }
        }
        if !done.is_empty() {
            last.push(ledger::objects_sql(&done));
        }
        let Some(settled) = index::settle(target, &builds, work.as_ref(), last).await? else {
            return Ok(None);
        };
        let mut report = JobReport::default();
        let schema = &table.name.schema;
        for (build, built) in builds.iter().zip(&settled.indexes) {
            let name = &build.name.name;
            report.indexes.push(built_object(built, schema, name, &build.definition));
        }
        let adds = work.iter().flat_map(|work| &work.constraints);
        for (add, built) in adds.zip(&settled.constraints) {
            report.constraints.push(built_object(built, schema, &add.name, &add.definition));
        }
        Ok(Some(report))
    }

    /// The indexes of a table as `job::index` needs them.
    fn index_builds(&self, table: &TablePlan) -> Vec<IndexBuild> {
        self.plan.indexes_of(table).map(|index| index_build(index, table)).collect()
    }

    /// The constraints of a table, its replica identity and clustering index.
    fn table_constraints(&self, table: &TablePlan) -> TableConstraints {
        TableConstraints {
            table: table.name.clone(),
            constraints: self.plan.constraints_of(table).map(constraint_add).collect(),
            replica_identity: table.replica_identity.clone(),
            clustered: table.clustered.clone(),
            mark: Some(ledger::object_sql(ObjectKind::TableStatements, table.oid)),
        }
    }

    /// Builds indexes on a session at hand.
    async fn build_indexes(
        &self,
        target: &mut Session,
        builds: &[IndexBuild],
    ) -> Result<JobReport> {
        let mut results = index::build_many(target, builds).await?;
        let missing = |result: &Result<Built>| result.as_ref().err().is_some_and(misses_a_name);
        let path = &self.catalog.server.search_path;
        if !path.is_empty() && results.iter().any(missing) {
            lookup::look_in(path, target).await?;
            let pairs = builds.iter().zip(&mut results).filter(|(_, result)| missing(result));
            for (build, result) in pairs {
                let again = index::build_many(target, std::slice::from_ref(build)).await?;
                *result = again
                    .into_iter()
                    .next()
                    .unwrap_or_else(|| Err(Error::internal("an index was built without a result")))
                    .map_err(|error| match misses_a_name(&error) {
                        true => error.hint(lookup::HINT),
                        false => error,
                    });
            }
            lookup::look_in("", target).await?;
        }
        let mut report = JobReport::default();
        for (build, result) in builds.iter().zip(results) {
            let built = result?;
            report.indexes.push(built_object(
                &built,
                &build.name.schema,
                &build.name.name,
                &build.definition,
            ));
        }
        Ok(report)
    }

    /// Adds a table's constraints, its replica identity and clustering index.
    async fn add_constraints(&self, target: &mut Session, table: &TablePlan) -> Result<JobReport> {
        let work = self.table_constraints(table);
        let results = index::add_constraints(target, &work).await?;
        let mut report = JobReport::default();
        for (add, result) in work.constraints.iter().zip(results) {
            let built = result?;
            let schema = &table.name.schema;
            report.constraints.push(built_object(&built, schema, &add.name, &add.definition));
        }
        Ok(report)
    }

    /// Vacuums or analyzes a table.
    async fn vacuum(&self, target: &mut Session, table: &TablePlan) -> Result<JobReport> {
        let job = VacuumJob {
            tables: vec![table.name.clone()],
            work: match table.vacuum {
                Some(VacuumKind::VacuumAnalyze) => VacuumWork::VacuumAnalyze,
                Some(VacuumKind::Analyze) | None => VacuumWork::Analyze,
            },
            mark: Some(ledger::object_sql(ObjectKind::Vacuum, table.oid)),
        };
        let report = vacuum_on(target, &job).await?;
        let path = &self.catalog.server.search_path;
        if report.findings.is_empty() || path.is_empty() {
            return Ok(report);
        }
        // ANALYZE computes the expressions of indexes.
        lookup::look_in(path, target).await?;
        let again = vacuum_on(target, &VacuumJob { mark: None, ..job }).await?;
        lookup::look_in("", target).await?;
        Ok(again)
    }

    /// What `job::index` needs to know of a foreign key.
    fn foreign_key(&self, position: u32, mark: ObjectKind) -> Result<ForeignKey> {
        let plan = (self.plan.foreign_keys.get(position as usize))
            .ok_or_else(|| Error::internal("a job names a foreign key that is not planned"))?;
        Ok(ForeignKey {
            oid: plan.oid,
            name: plan.name.clone(),
            table: plan.table.name.clone(),
            referenced: plan.referenced.name.clone(),
            definition: plan.definition.clone(),
            validated: plan.validation != Validation::Never,
            mark: Some(ledger::object_sql(mark, plan.oid)),
        })
    }

    /// Adds a foreign key without reading rows.
    async fn add_foreign_key(&self, position: u32) -> Result<JobReport> {
        let key = self.foreign_key(position, ObjectKind::ForeignKey)?;
        let mut lease = self.target.take().await?;
        let results = index::add_foreign_keys(lease.session()?, std::slice::from_ref(&key)).await?;
        let mut report = JobReport::default();
        for result in results {
            match result? {
                ForeignKeyOutcome::Done(built) => report.constraints.push(built_object(
                    &built,
                    &key.table.schema,
                    &key.name,
                    &key.definition,
                )),
                ForeignKeyOutcome::Degraded(finding) => report.findings.push(finding),
            }
        }
        Ok(report)
    }

    /// Validates a foreign key; rows that contradict it become a finding.
    async fn validate_foreign_key(&self, position: u32) -> Result<JobReport> {
        let key = self.foreign_key(position, ObjectKind::Validated)?;
        let mut lease = self.target.take().await?;
        let outcome = index::validate_foreign_key(lease.session()?, &key).await?;
        Ok(match outcome {
            ForeignKeyOutcome::Done(_) => JobReport::default(),
            ForeignKeyOutcome::Degraded(finding) => {
                JobReport { findings: vec![finding], ..JobReport::default() }
            }
        })
    }

    /// Copies one share of the large objects.
    async fn large_objects(
        &self,
        shard: u32,
        shards: u32,
        counters: &JobCounters,
    ) -> Result<JobReport> {
        let mut source = self.source.take().await?;
        let mut target = self.target.take().await?;
        let (source, target) = (source.session()?, target.session()?);
        let in_share = |key| {
            Oid::try_from(key).is_ok_and(|first| large_object::in_share(first, shard, shards))
        };
        let done = ledger::objects_where(target, ObjectKind::LargeObjects, in_share).await?;
        let share = Share {
            shard,
            shards,
            snapshot: self.snapshot.clone(),
            metadata: self.metadata,
            is_done: &|window| done.contains(&i64::from(window)),
            mark: &|window| ledger::object_sql(ObjectKind::LargeObjects, window),
        };
        let outcome = large_object::copy_share(source, target, &share, counters).await?;
        Ok(JobReport {
            rows: outcome.objects,
            bytes: outcome.bytes,
            copy_duration: outcome.duration,
            findings: outcome.findings,
            ..JobReport::default()
        })
    }

    /// Sets the sequences to where they stand on the source now.
    async fn sequences(&self) -> Result<JobReport> {
        let started = Instant::now();
        let mut source = self.source.take().await?;
        let mut target = self.target.take().await?;
        let planned: std::collections::HashSet<Oid> =
            self.plan.sequences.iter().map(|sequence| sequence.oid).collect();
        let sequences: Vec<_> = (self.catalog.sequences.iter())
            .filter(|sequence| planned.contains(&sequence.oid))
            .cloned()
            .collect();
        let mark = ledger::object_sql(ObjectKind::Sequences, 0);
        let (source, target) = (source.session()?, target.session()?);
        let report = set_sequences(source, target, &sequences, Some(&mark)).await?;
        Ok(JobReport {
            rows: report.set,
            findings: report.findings,
            sequence_duration: started.elapsed(),
            ..JobReport::default()
        })
    }
}

impl JobRunner for PgJobRunner {
    async fn run(&self, job: Job, counters: Arc<JobCounters>) -> Result<JobReport> {
        let mut backoff = Backoff::new(u64::from(job.id.0));
        let mut again = false;
        loop {
            counters.reset();
            // Boxed: the future of a job body is large, and one allocation per job is nothing.
            let error = match Box::pin(self.once(&job, &counters, again)).await {
                Ok(report) => {
                    counters.settle(report.bytes, report.rows);
                    return Ok(report);
                }
                Err(error) => {
                    Box::pin(self.explain(&job, error)).await.during(self.plan.label(&job))
                }
            };
            if !error.class().is_retryable() {
                return Err(error);
            }
            let Some(pause) = backoff.next_pause() else { return Err(error) };
            tracing::warn!(%error, pause_ms = pause.as_millis(), "trying again");
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
            again = true;
        }
    }

    fn label(&self, job: &Job) -> Arc<str> {
        self.plan.label(job).into()
    }

    async fn cancel(&self) {
        tokio::join!(self.source.cancel_all(), self.target.cancel_all());
    }
}

impl JobReport {
    /// Adds what a later step of the same job did.
    fn absorb(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.copy_duration += other.copy_duration;
        self.vacuum_duration += other.vacuum_duration;
        self.sequence_duration += other.sequence_duration;
        self.indexes.extend(other.indexes);
        self.constraints.extend(other.constraints);
        self.findings.extend(other.findings);
    }
}

/// Vacuums or analyzes tables.
async fn vacuum_on(target: &mut Session, job: &VacuumJob) -> Result<JobReport> {
    let started = Instant::now();
    let findings = vacuum::run(target, job).await?;
    Ok(JobReport { findings, vacuum_duration: started.elapsed(), ..JobReport::default() })
}

/// What `job::index` needs to know of an index.
fn index_build(plan: &IndexPlan, table: &TablePlan) -> IndexBuild {
    IndexBuild {
        oid: plan.oid,
        name: plan.name.clone(),
        table: table.name.clone(),
        definition: plan.definition.clone(),
        details: details(&plan.details),
        mark: Some(ledger::object_sql(ObjectKind::Index, plan.oid)),
    }
}

/// What an index's definition does not say.
fn details(plan: &IndexDetailsPlan) -> IndexDetails {
    IndexDetails {
        tablespace: plan.tablespace.clone(),
        statistics: plan.statistics.clone(),
        depends_on_extensions: plan.depends_on_extensions.clone(),
    }
}

/// What `job::index` needs to know of a constraint.
fn constraint_add(plan: &ConstraintPlan) -> ConstraintAdd {
    ConstraintAdd {
        oid: plan.oid,
        name: plan.name.clone(),
        kind: plan.kind,
        definition: plan.definition.clone(),
        index: match &plan.index {
            ConstraintIndexPlan::Built { name, deferrable, deferred } => ConstraintIndex::Built {
                name: name.clone(),
                deferrable: *deferrable,
                deferred: *deferred,
            },
            ConstraintIndexPlan::FromDefinition(plan) => {
                ConstraintIndex::FromDefinition(details(plan))
            }
        },
        mark: Some(ledger::object_sql(ObjectKind::Constraint, plan.oid)),
    }
}

/// What the ledger says of a part that may have been committed although the answer was lost.
async fn part_done(target: &mut Session, relation: Oid, part: u32) -> Result<Option<JobReport>> {
    let done = ledger::part(target, relation, part).await?;
    Ok(done.map(|part| JobReport {
        rows: part.rows,
        bytes: part.bytes,
        copy_duration: Duration::from_millis(part.duration_ms),
        ..JobReport::default()
    }))
}

/// Whether a copy failed because the table is no longer there at all (S-18).
async fn is_gone(source: &mut Session, table: &TablePlan, error: &Error) -> bool {
    if error.side() != Side::Source || error.sqlstate() != Some("42P01") || source.is_broken() {
        return false;
    }
    let sql = "select 1 from pg_catalog.pg_class where oid = $1::pg_catalog.oid";
    let oid = table.oid.to_string();
    matches!(source.query(sql, &[Some(&oid)]).await, Ok(rows) if rows.rows.is_empty())
}

/// Runs statements that open and end a transaction; rolls back after an error.
async fn in_transaction(session: &mut Session, sql: &str) -> Result<()> {
    let Err(error) = session.execute(sql).await else { return Ok(()) };
    if !session.is_broken() {
        let _ = session.execute("rollback").await;
    }
    Err(error)
}

/// One line of the report.
fn built_object(built: &Built, schema: &str, name: &str, sql: &str) -> BuiltObject {
    BuiltObject {
        oid: built.oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        sql: sql.to_owned(),
        duration: built.duration,
    }
}
