//! One pass: everything from a snapshot to the end, or to what makes a new snapshot necessary.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::control::Control;
use super::filters::Filters;
use super::properties::{self, Property};
use super::snapshot::{self, Holder, Provider, Snapshot};
use super::state_rows::{index_rows, table_rows};
use super::{
    earlier, estimates, extensions, foreign_keys, identity, parents, publications, read, roles,
    schema, step, summary,
};
use crate::base::error::{Class, Error, Result, Side};
use crate::base::event::{Event, EventSender};
use crate::base::preflight::{Concern, Topic};
use crate::base::stop::StopSignal;
use crate::base::summary::{Finding, RunSummary, Severity, Step, StepTiming};
use crate::catalog::fetch::{self};
use crate::catalog::model::{Oid, SourceCatalog, TargetFacts};
use crate::command::preflight;
use crate::config::{CloneConfig, Resume, Work};
use crate::connect::client::Session;
use crate::connect::client::settings::{Maintenance, MaintenanceFacts, SessionRole};
use crate::follow::setup::record;
use crate::job::schema::roles::Passwords;
use crate::ledger::{self, ObjectKind, RunRecord, Stage};
use crate::local::state::StateHandle;
use crate::local::workdir::WorkDir;
use crate::plan::{self, ForeignKeys, Part, Plan, Rows, Scope, TablePlan};
use crate::run::dispatcher::{self, JobReport, Outcome, Surroundings};
use crate::run::pool::Pool;
use crate::run::runner::PgJobRunner;
use crate::run::scheduler::{FailurePolicy, Limits, Scheduler};

/// How a pass ended.
#[derive(Debug)]
pub(super) enum PassEnd {
    /// Everything is on the target.
    Complete(Box<RunSummary>),
    /// What is left can be done under a new snapshot.
    Again(Error),
}

/// What lives over all passes of a run.
pub(super) struct Pass<'a> {
    pub(super) config: &'a CloneConfig,
    pub(super) filters: Filters,
    pub(super) directory: WorkDir,
    state: StateHandle,
    pub(super) events: &'a EventSender,
    pub(super) stop: &'a StopSignal,
    started: Instant,
    /// The run that the target holds.
    pub(super) found: Option<RunRecord>,
    /// The work directory knows nothing of the run that the target holds.
    pub(super) directory_is_new: bool,
    /// `--restart` has not been honoured yet.
    pub(super) restart: bool,
    /// Gives the snapshots when changes are followed.
    pub(super) provider: Option<Provider>,
    /// What the command does of a clone.
    pub(super) work: Work,
    /// The ledger is this step's own: the schema is somebody else's.
    pub(super) alone: bool,
    /// Foreign keys that this step has to add again.
    dropped_keys: HashSet<Oid>,
    steps: BTreeMap<Step, StepTiming>,
    reports: Vec<(plan::JobKind, JobReport)>,
    pub(super) findings: Vec<Finding>,
    /// Settings of the source's database, for the end.
    properties: Vec<Property>,
    /// Whether roles arrive with their passwords.
    passwords: Passwords,
    /// Statements to run when everything else is done.
    last: String,
    /// Those among them that extensions ask for.
    last_hooks: String,
}

impl<'a> Pass<'a> {
    /// A run that has done nothing yet.
    pub(super) fn new(
        config: &'a CloneConfig,
        filters: Filters,
        directory: WorkDir,
        state: StateHandle,
        events: &'a EventSender,
        stop: &'a StopSignal,
        started: Instant,
    ) -> Self {
        Self {
            config,
            filters,
            directory,
            state,
            events,
            stop,
            started,
            found: None,
            directory_is_new: false,
            restart: config.resume == Resume::Restart,
            provider: None,
            work: Work::Everything,
            alone: false,
            dropped_keys: HashSet::new(),
            steps: BTreeMap::new(),
            reports: Vec::new(),
            findings: Vec::new(),
            properties: Vec::new(),
            passwords: Passwords::LeftOut,
            last: String::new(),
            last_hooks: String::new(),
        }
    }

    /// Reads which run the target holds.
    pub(super) async fn open_ledger(&mut self, target: &mut Control) -> Result<()> {
        self.found = ledger::open(target.session().await?).await?;
        Ok(())
    }

    /// Runs one pass.
    pub(super) async fn run(
        &mut self,
        mut source: Session,
        target: &mut Control,
    ) -> Result<PassEnd> {
        let before = self.begin_step(Step::Catalog).await;
        let facts = fetch::target(target.session().await?).await?;
        let server = fetch::server(&mut source).await?;
        let config = self.config;
        self.passwords = roles::readable(config, &mut source).await?;
        let gathered = match self.found.is_none() {
            true => Some(preflight::gather(config, &mut source, target.session().await?).await?),
            false => None,
        };
        if self.stage() < Stage::PreData {
            self.findings.extend(estimates::refresh(config, &server, &mut source).await?);
        }
        let known = gathered.as_ref().map(preflight::Gathered::source_members);
        let mut of_extensions = extensions::read_source(config, &facts, known, &mut source).await?;
        let provided = match &mut self.provider {
            Some(provider) => Some((provider.next)().await?),
            None => None,
        };
        let named = provided.as_ref().map(|one| one.id.as_str()).or(config.snapshot.as_deref());
        let mut snapshot =
            snapshot::begin(&mut source, named, !config.not_consistent, server.version).await?;
        snapshot.lsn = provided.as_ref().map(|one| one.lsn);
        let attver = schema::has_attver(&mut source).await?;
        let read = read(config, &self.filters, &mut source).await?;
        let tools = schema::Tools::find(config, &read.catalog, &facts, attver).await;
        if let Some(gathered) = gathered {
            let objects = (&*read.catalog, &read.selection);
            let sessions = (&mut source, target.session().await?);
            let mut concerns =
                preflight::examine(config, gathered, objects, &facts, sessions).await?;
            if let Err(error) = &tools {
                concerns.insert(0, preflight::of_error(Topic::ClientTools, "client tools", error));
            }
            self.settle_concerns(concerns)?;
        }
        let tools = tools?.leaving_out(publications::ours(&self.directory, &mut source).await?);
        extensions::require(target.session().await?, &read.catalog, &facts, config).await?;
        let mut plan = read::plan(config, &mut source, &facts, &read).await?;
        of_extensions.keep(&read.selection);
        let catalog = read.catalog;
        if !config.skip.db_properties {
            self.properties = properties::read(&mut source).await?;
        }
        let holder = Holder::start(source);
        self.end_step(Step::Catalog, before, 0).await;
        self.settle_run(&catalog, &snapshot, target).await?;
        self.restore_schema(&tools, &plan, &snapshot, target).await?;
        self.settle_extensions(&of_extensions, &mut plan, target).await?;
        let plan = self.remaining(plan, &snapshot, target).await?;
        let outcome = self.copy(Some(&tools), plan, catalog, &facts, snapshot, target).await?;
        holder.release().await;
        drop(provided.map(|one| one.keep));
        Ok(outcome)
    }

    /// Refuses to begin when the examination found what blocks, unless told to begin anyway.
    fn settle_concerns(&self, concerns: Vec<Concern>) -> Result<()> {
        if !self.config.skip_checks {
            return preflight::refuse(concerns);
        }
        preflight::log(&concerns);
        Ok(())
    }

    /// Begins a run, or continues the one that the target holds when it is this one.
    async fn settle_run(
        &mut self,
        catalog: &SourceCatalog,
        snapshot: &Snapshot,
        target: &mut Control,
    ) -> Result<()> {
        let options = identity::options_text(self.config, &self.filters);
        let now = identity::new_run(&catalog.server, options, &snapshot.identity);
        let Some(found) = &self.found else {
            ledger::create(target.session().await?, &now).await?;
            self.found = Some(now);
            return Ok(());
        };
        step::refuse_alone(found)?;
        identity::check(found, &now, self.config.resume)?;
        if self.restart {
            tracing::info!(run = found.run_id, "starting over as asked");
            let session = target.session().await?;
            ledger::remove(session).await?;
            // What the earlier run restored is ours, and dropped before it is restored again.
            let stage = found.stage.min(Stage::PreData);
            let fresh = RunRecord { stage, ..now };
            ledger::create(session, &fresh).await?;
            self.found = Some(fresh);
            self.restart = false;
        } else if self.directory_is_new {
            tracing::info!(
                run = found.run_id,
                stage = found.stage.word(),
                "the work directory is new, the run is not: continuing from what the target knows of it"
            );
        } else {
            tracing::info!(run = found.run_id, stage = found.stage.word(), "continuing");
        }
        Ok(())
    }

    /// How far the run came.
    fn stage(&self) -> Stage {
        self.found.as_ref().map_or(Stage::Started, |run| run.stage)
    }

    /// Moves the run to a stage.
    async fn advance(&mut self, stage: Stage, target: &mut Control) -> Result<()> {
        ledger::set_stage(target.session().await?, stage).await?;
        if let Some(run) = &mut self.found {
            run.stage = stage;
        }
        Ok(())
    }

    /// Once the extensions are on the target: compares their members, and makes the calls that some ask
    /// for before rows arrive.
    async fn settle_extensions(
        &mut self,
        of_extensions: &extensions::OfSource,
        plan: &mut Plan,
        target: &mut Control,
    ) -> Result<()> {
        let session = target.session().await?;
        let mut found = of_extensions.compare(session).await?;
        let before = of_extensions.hooks.before_rows(plan, session).await?;
        found.extend(before.findings);
        self.last_hooks = before.at_the_end;
        found.retain(|finding| !self.findings.contains(finding));
        self.findings.append(&mut found);
        Ok(())
    }

    /// Dumps the schema and restores its pre-data, unless an earlier run did.
    async fn restore_schema(
        &mut self,
        tools: &schema::Tools,
        plan: &Plan,
        snapshot: &Snapshot,
        target: &mut Control,
    ) -> Result<()> {
        let restored = self.stage() >= Stage::Data;
        if !restored || !self.directory.schema_dump().exists() {
            self.dump_schema(tools, snapshot).await?;
        }
        self.restore_pre_data(tools, plan, target).await
    }

    /// Dumps the schema.
    pub(super) async fn dump_schema(
        &mut self,
        tools: &schema::Tools,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let before = self.begin_step(Step::DumpSchema).await;
        tools.dump(self, snapshot.id.as_deref()).await?;
        self.end_step(Step::DumpSchema, before, 0).await;
        Ok(())
    }

    /// Restores pre-data, unless an earlier start did.
    pub(super) async fn restore_pre_data(
        &mut self,
        tools: &schema::Tools,
        plan: &Plan,
        target: &mut Control,
    ) -> Result<()> {
        if self.stage() >= Stage::Data {
            return Ok(());
        }
        let repeat = self.stage() >= Stage::PreData;
        let before = self.begin_step(Step::PrepareSchema).await;
        self.findings.extend(roles::copy(self, tools, self.passwords, target).await?);
        self.advance(Stage::PreData, target).await?;
        // Only before anything is restored: afterwards the ledger says what is there.
        let clean = (self.config.schema.drop_if_exists || repeat)
            && ledger::statements(target.session().await?).await?.is_empty();
        if clean {
            schema::drop_tables(target.session().await?, plan).await?;
        }
        tools.restore_pre_data(self, plan, target, clean).await?;
        self.advance(Stage::Data, target).await?;
        self.end_step(Step::PrepareSchema, before, 0).await;
        Ok(())
    }

    /// The plan less what the ledger has. Split tables keep the bounds that they were begun with.
    pub(super) async fn remaining(
        &mut self,
        mut plan: Plan,
        snapshot: &Snapshot,
        target: &mut Control,
    ) -> Result<Plan> {
        let session = target.session().await?;
        let ledger = ledger::read(session).await?;
        let mut scope = self.scope();
        if scope.rows == Rows::None {
            let mut done = earlier::done(&ledger, &[]);
            if self.work.is_repeated() {
                done.sequences = false;
            }
            plan::restrict(&mut plan, &mut done, &scope);
            return Ok(plan::resume(plan, &done)?);
        }
        let earlier = self.found.as_ref().map(|run| run.snapshot_identity.clone());
        let same_rows = earlier.as_deref() == Some(snapshot.identity.as_str());
        let mut again: Vec<Oid> = Vec::new();
        for table in &mut plan.tables {
            let Some(parts) = ledger.parts.get(&table.oid) else { continue };
            let planned = parts.first().map_or(0, |part| part.part_count);
            let complete = parts.len() == planned as usize;
            let recorded = ledger.splits.get(&table.oid).and_then(|text| earlier::ranges(text));
            let node_same = parts.iter().all(|part| part.file_node == table.file_node);
            match recorded {
                _ if planned == 1 && complete => table.keep_parts(vec![Part::WHOLE]),
                Some(bounds) if complete || (same_rows && node_same) => table.keep_parts(bounds),
                // Begun under a snapshot that saw other rows: parts of both would not add up.
                _ => again.push(table.oid),
            }
        }
        // The changes between two snapshots are in the stream, when there is one.
        if !ledger.parts.is_empty() && !same_rows && self.provider.is_none() {
            self.findings.push(earlier::other_snapshot(ledger.parts.len()));
        }
        ledger::forget_parts(session, &again).await?;
        let mut done = earlier::done(&ledger, &again);
        let waits = |table: &TablePlan| {
            scope.covers_rows(table) && table.load.loads() && !earlier::is_copied(table, &done)
        };
        if plan.tables.iter().any(waits) {
            if self.work != Work::Everything {
                done.foreign_keys.extend(foreign_keys::on_target(session, &plan).await?);
            }
            // TRUNCATE refuses a table that a foreign key references. Keys are quickly added again.
            foreign_keys::drop_all(session, &plan, &mut done).await?;
        }
        if self.work != Work::Everything {
            self.dropped_keys = foreign_keys::to_add_again(session, &done).await?;
            scope = self.scope();
            plan::restrict(&mut plan, &mut done, &scope);
        }
        ledger::start_again(session, &snapshot.identity).await?;
        let splits = plan
            .tables
            .iter()
            .filter(|table| table.is_split())
            .filter_map(|table| Some((table.oid, serde_json::to_string(&table.parts).ok()?)));
        ledger::record_splits(session, &splits.collect()).await?;
        if let Some(run) = &mut self.found {
            run.snapshot_identity.clone_from(&snapshot.identity);
        }
        Ok(plan::resume(plan, &done)?)
    }

    /// Runs the jobs, post-data, and the jobs after it.
    pub(super) async fn copy(
        &mut self,
        tools: Option<&schema::Tools>,
        plan: Plan,
        catalog: Arc<SourceCatalog>,
        facts: &TargetFacts,
        snapshot: Snapshot,
        target: &mut Control,
    ) -> Result<PassEnd> {
        let plan = Arc::new(plan);
        self.tell(Event::PlanReady(plan.totals())).await;
        self.state.set_catalog(table_rows(&plan), index_rows(&plan)).await?;
        let runner = Arc::new(self.runner(&plan, catalog, facts, snapshot));
        let policy =
            if self.config.fail_fast { FailurePolicy::FailFast } else { FailurePolicy::KeepGoing };
        let mut scheduler = Scheduler::new(&plan.jobs, Limits::new(self.config.jobs), policy);
        let before = self.begin_step(Step::Data).await;
        let outcome =
            dispatcher::run(&plan, &mut scheduler, Arc::clone(&runner), &self.surroundings()).await;
        self.end_step(Step::Data, before, 0).await;
        if let Some(end) = self.absorb(&plan, outcome) {
            return end;
        }
        if let Some(end) = self.prove(&plan, target, summary::Moment::BeforePostData).await? {
            return Ok(end);
        }
        runner.rest();
        let before = self.begin_step(Step::FinalizeSchema).await;
        if self.scope().constraints {
            parents::add_parent_constraints(target.session().await?, &plan).await?;
        }
        if let Some(tools) = tools.filter(|_| self.work.restores_post_data()) {
            let repeat = self.stage() >= Stage::PostData;
            self.advance(Stage::PostData, target).await?;
            tools.restore_post_data(self, &plan, target, repeat).await?;
            self.last = tools.last_statements(self, &plan).await?;
            self.last.insert_str(0, &self.last_hooks);
        }
        scheduler.advance(plan::Stage::AfterPostData);
        let outcome = dispatcher::run(&plan, &mut scheduler, runner, &self.surroundings()).await;
        self.end_step(Step::FinalizeSchema, before, 0).await;
        if let Some(end) = self.absorb(&plan, outcome) {
            return end;
        }
        if let Some(end) = self.prove(&plan, target, summary::Moment::AtTheEnd).await? {
            return Ok(end);
        }
        let session = target.session().await?;
        let database = &facts.server.database;
        self.findings.extend(properties::apply(session, database, &self.properties).await?);
        self.finish(&plan, target).await.map(|summary| PassEnd::Complete(Box::new(summary)))
    }

    /// Proves that what the jobs did is durable on the target; what is not needs another pass.
    ///
    /// Rows are committed asynchronously: a target that crashed and came back within the run has
    /// forgotten its last transactions, while the scheduler counts their jobs as done.
    async fn prove(
        &self,
        plan: &Plan,
        target: &mut Control,
        moment: summary::Moment,
    ) -> Result<Option<PassEnd>> {
        let session = target.session().await?;
        ledger::make_durable(session).await?;
        let ledger = ledger::read(session).await?;
        let missing = summary::missing(plan, &ledger, &self.findings, &self.scope(), moment);
        let Some(first) = missing.first() else { return Ok(None) };
        let more = match missing.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Ok(Some(PassEnd::Again(Error::stale(
            Side::Target,
            format!("the target has lost {first}{more}; it was restarted during the run"),
        ))))
    }

    /// What the jobs of this command cover.
    fn scope(&self) -> Scope {
        let scope = step::scope(self.work, self.alone);
        match scope.foreign_keys {
            ForeignKeys::All => scope,
            ForeignKeys::Only(_) => {
                Scope { foreign_keys: ForeignKeys::Only(self.dropped_keys.clone()), ..scope }
            }
        }
    }

    /// What the dispatcher talks to.
    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { events: self.events, stop: self.stop, journal: Some(&self.state) }
    }

    /// The runner of this pass, with its sessions.
    fn runner(
        &self,
        plan: &Arc<Plan>,
        catalog: Arc<SourceCatalog>,
        facts: &TargetFacts,
        snapshot: Snapshot,
    ) -> PgJobRunner {
        let maintenance = Maintenance::sized(
            &MaintenanceFacts {
                shared_buffers: facts.server.shared_buffers,
                maintenance_work_mem: facts.server.maintenance_work_mem,
                worker_processes: facts.server.worker_processes,
                parallel_maintenance_workers: facts.server.parallel_maintenance_workers,
            },
            self.config.jobs.index,
        );
        let (source, target) = (self.config.source.clone(), self.config.target.clone());
        PgJobRunner::new(
            Arc::clone(plan),
            catalog,
            (snapshot.id, snapshot.lsn),
            self.config.schema,
            Pool::new(Side::Source, source, "copy", SessionRole::Source),
            Pool::new(Side::Target, target, "copy", SessionRole::TargetIndexer(maintenance)),
        )
    }

    /// Keeps what the jobs did; returns how the pass ends when they did not all end well.
    fn absorb(&mut self, plan: &Plan, outcome: Outcome) -> Option<Result<PassEnd>> {
        for finished in outcome.finished {
            let Some(job) = plan.jobs.get(finished.id.0 as usize) else { continue };
            self.findings.extend(finished.report.findings.iter().cloned());
            self.reports.push((job.kind, finished.report));
        }
        if outcome.stopped {
            return Some(Err(Error::cancelled().hint(
                "Run the same command again to continue; what is finished stays finished.",
            )));
        }
        let mut failed: Vec<Error> = outcome.failed.into_iter().map(|(_, error)| error).collect();
        if failed.is_empty() {
            return None;
        }
        // What cannot be mended by another pass is what a person must see first.
        failed.sort_by_key(is_mendable);
        let first = failed.remove(0);
        for error in &failed {
            tracing::error!(error = %error, "a job failed");
        }
        if failed.iter().all(is_mendable) && is_mendable(&first) {
            return Some(Ok(PassEnd::Again(first)));
        }
        let more = failed.len();
        let blocked = outcome.blocked;
        tracing::error!(failed = more + 1, blocked, "the run is not complete");
        Some(Err(
            first.hint("Mend it and run the same command again; what is finished stays finished.")
        ))
    }

    /// Proves that everything is there, removes the ledger, and makes the summary.
    pub(super) async fn finish(&mut self, plan: &Plan, target: &mut Control) -> Result<RunSummary> {
        let session = target.session().await?;
        let ledger = ledger::read(session).await?;
        for skipped in &plan.skipped {
            self.findings.push(Finding {
                severity: skipped.severity,
                object: skipped.object.clone(),
                reason: skipped.reason.clone(),
                hint: None,
            });
        }
        let whole = self.findings.iter().all(|finding| finding.severity < Severity::Error);
        if whole && self.work == Work::Everything {
            if let Some(provider) = &self.provider {
                let starts = earlier::starts(plan, &ledger, provider.slot_lsn);
                ledger::record_starts(session, &starts).await?;
            }
            ledger::set_stage(session, Stage::Complete).await?;
            self.state.flush().await?;
            self.state.finish().await?;
            let noted = self.provider.as_ref().map(|provider| {
                let options = identity::options_text(self.config, &self.filters);
                record::copied_sql(&provider.origin, &options)
            });
            let last = noted.unwrap_or_default() + &self.last;
            ledger::remove_and(session, &last).await?;
        } else if whole && self.ends_ledger() {
            self.state.flush().await?;
            ledger::remove_and(session, &self.last).await?;
        } else if whole {
            self.state.flush().await?;
            ledger::forget_objects(session, ObjectKind::DroppedForeignKey).await?;
        } else if !self.last.is_empty() {
            self.findings.push(last_statements_wait(!self.last_hooks.is_empty()));
        }
        let total = StepTiming { duration: self.started.elapsed(), bytes: 0, concurrency: 0 };
        self.steps.insert(Step::Total, total);
        let findings = std::mem::take(&mut self.findings);
        let run = summary::build(
            self.config.jobs,
            plan,
            &ledger,
            &self.reports,
            std::mem::take(&mut self.steps),
            findings,
        );
        Ok(run)
    }

    /// Tells whoever listens.
    async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// A step begins.
    pub(super) async fn begin_step(&self, step: Step) -> Instant {
        self.tell(Event::StepStarted(step)).await;
        Instant::now()
    }

    /// A step is over; passes add up.
    pub(super) async fn end_step(&mut self, step: Step, before: Instant, bytes: u64) {
        let elapsed = before.elapsed();
        let timing = self.steps.entry(step).or_default();
        timing.duration += elapsed;
        timing.bytes += bytes;
        self.tell(Event::StepFinished(step, elapsed)).await;
    }
}

/// The finding of a run that is not complete and has event triggers to create, or an extension to tell.
fn last_statements_wait(hooks: bool) -> Finding {
    let (object, reason) = match hooks {
        false => ("event triggers", "they are created when the run is complete"),
        true => (
            "extension timescaledb",
            "the target stays in restoring mode, and without event triggers, until the run is complete",
        ),
    };
    Finding {
        severity: Severity::Warning,
        object: object.into(),
        reason: reason.into(),
        hint: Some("Mend what is an error and run the same command again.".into()),
    }
}

/// Whether another pass under a new snapshot can mend it.
fn is_mendable(error: &Error) -> bool {
    matches!(error.class(), Class::Stale | Class::Transient | Class::Conflict)
}
