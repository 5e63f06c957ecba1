//! One step of a clone, as a command of its own: `copy …`, `dump schema`, `restore …`.
//!
//! ```text
//!  dump schema ─► schema.dump, catalog.json ─┬─► restore pre-data ─► ledger on the target
//!                                            │        copy table-data, blobs, sequences, indexes, constraints
//!                                            └─► restore post-data ─► ledger removed
//! ```
//!
//! Between `restore pre-data` and `restore post-data` the ledger says what is done, as in a clone. A
//! step that meets a target without ledger, whose schema somebody else made, keeps one for as long as
//! it works and removes it when it is done. A step that has come to its end is recorded in the work
//! directory, and not done again unless `--restart` asks for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::cache::Cache;
use super::control::Control;
use super::filters::Filters;
use super::pass::{Pass, PassEnd};
use super::snapshot::{self, Holder, Snapshot};
use super::{estimates, extensions, identity, read, schema};
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::event::EventSender;
use crate::base::ident::QualifiedName;
use crate::base::stop::StopSignal;
use crate::base::summary::{RunSummary, Step};
use crate::catalog::fetch;
use crate::catalog::model::{SourceCatalog, TargetFacts};
use crate::command::source;
use crate::config::{CloneConfig, Resume, StepConfig, Work};
use crate::connect::client::Session;
use crate::ledger::{self, RunRecord, Stage};
use crate::local::child::end_orphans;
use crate::local::state::{Opening, Run, StateHandle};
use crate::local::workdir::{Service, WorkDir, read_optional, replace_file};
use crate::plan::{self, ForeignKeys, Indexes, Plan, PlanOptions, Rows, Scope, SplitFacts};

/// How the options of a ledger begin that a step keeps for itself.
const ALONE: &str = "step ";

/// What the jobs of a step cover.
pub(super) fn scope(work: Work, alone: bool) -> Scope {
    let nothing = Scope::nothing();
    // Beside a ledger the rows of extensions are copied once, whichever step comes first.
    let rows = if alone { Rows::OfUser } else { Rows::All };
    match work {
        Work::Everything => Scope::everything(),
        Work::Schema | Work::RestoreSchema | Work::PostData => Scope {
            indexes: Indexes::All,
            constraints: true,
            foreign_keys: ForeignKeys::All,
            ..nothing
        },
        Work::Data => {
            Scope { rows, foreign_keys: ForeignKeys::Only(HashSet::new()), ..Scope::everything() }
        }
        Work::TableData => Scope { rows, ..nothing },
        Work::Extensions => Scope { rows: Rows::OfExtensions, ..nothing },
        Work::LargeObjects => Scope { large_objects: true, ..nothing },
        Work::Sequences => Scope { sequences: true, ..nothing },
        Work::Indexes => Scope { indexes: Indexes::All, constraints: true, ..nothing },
        Work::Constraints => {
            Scope { indexes: Indexes::OfConstraints, constraints: true, ..nothing }
        }
        Work::Dump | Work::PreData | Work::Lists => nothing,
    }
}

/// What a step found, before its pass.
pub(super) struct Basis {
    catalog: Arc<SourceCatalog>,
    plan: Plan,
    snapshot: Snapshot,
    attver: bool,
    /// Keeps the snapshot; `None` without source.
    holder: Option<Holder>,
}

/// Does a step.
///
/// # Errors
/// The first failure that ended it; the same command continues.
pub async fn run(
    step: &StepConfig,
    events: EventSender,
    stop: StopSignal,
) -> Result<Option<RunSummary>> {
    let snapshot = snapshot::adopt(&step.clone)?;
    let clone = CloneConfig { snapshot, ..step.clone.clone() };
    let step = StepConfig { clone, ..step.clone() };
    let work = Box::pin(async {
        match step.work {
            Work::Dump => dump(&step, &events, &stop).await.map(|()| None),
            _ => run_step(&step, &events, &stop).await,
        }
    });
    tokio::select! {
        outcome = work => outcome,
        () = stop.fast.cancelled() => Err(Error::cancelled()),
    }
}

/// `dump schema`: leaves the archive and its catalog in the work directory.
async fn dump(step: &StepConfig, events: &EventSender, stop: &StopSignal) -> Result<()> {
    let config = &step.clone;
    let directory = WorkDir::open(&config.directory, Service::Main)?;
    end_orphans(directory.children()).await?;
    if config.resume == Resume::Restart {
        directory.restart()?;
    }
    let filters = Filters::of_step(config, &directory)?;
    let mut session = source::connect(&config.source).await?;
    let server = fetch::server(&mut session).await?;
    if let Some(cache) = Cache::read(&directory)? {
        identity::same_source(&cache.catalog.server, &server)?;
        tracing::info!(
            "the schema has already been dumped, nothing is left to do; --restart does it again"
        );
        return Ok(());
    }
    let facts = if step.has_target { target_facts(config).await } else { None };
    let consistent = !config.not_consistent;
    let snapshot =
        snapshot::begin(&mut session, config.snapshot.as_deref(), consistent, server.version)
            .await?;
    let attver = schema::has_attver(&mut session).await?;
    let catalog = fetch::source(&mut session, read::sizes(config)).await?;
    let selection = filters.select(&catalog, &mut session).await?;
    let holder = Holder::start(session);
    // A tool of the source's own major makes archives that every newer one reads.
    let facts = facts.unwrap_or_else(|| TargetFacts { server, ..TargetFacts::default() });
    let tools = schema::Tools::find(config, &catalog, &facts, attver).await?;
    let state = StateHandle::open(&directory.state_db())?;
    let filter_text = filters.text.clone();
    let pass = Pass::new(config, filters, directory, state, events, stop, Instant::now());
    let before = pass.begin_step(Step::DumpSchema).await;
    tools.dump(&pass, snapshot.id.as_deref()).await?;
    let (filters, snapshot_identity) = (filter_text, snapshot.identity);
    Cache { catalog, selection, filters, attver, snapshot_identity }.write(&pass.directory)?;
    holder.release().await;
    let elapsed_ms = before.elapsed().as_millis();
    tracing::info!(
        elapsed_ms,
        "dumped the schema to \"{}\"",
        pass.directory.schema_dump().display()
    );
    Ok(())
}

/// What the target is, as far as the choice of the tools goes; it need not be there yet.
async fn target_facts(config: &CloneConfig) -> Option<TargetFacts> {
    let found = async {
        let mut target = Control::connect(&config.target).await?;
        fetch::target(target.session().await?).await
    };
    found
        .await
        .inspect_err(|error| tracing::info!(%error, "the tools are chosen without the target"))
        .ok()
}

/// All steps but `dump schema`.
async fn run_step(
    step: &StepConfig,
    events: &EventSender,
    stop: &StopSignal,
) -> Result<Option<RunSummary>> {
    let (config, work) = (&step.clone, step.work);
    let started = Instant::now();
    let directory = WorkDir::open(&config.directory, Service::Main)?;
    end_orphans(directory.children()).await?;
    let filters = Filters::of_step(config, &directory)?;
    let mut target = Control::connect(&config.target).await?;
    target.lock().await?;
    let mut session = match step.has_source {
        true => Some(source::connect(&config.source).await?),
        false => None,
    };
    let cache = if work.uses_archive() { Some(archive(&directory)?) } else { None };
    let server = match (&mut session, &cache) {
        (Some(session), Some(cache)) => {
            let server = fetch::server(session).await?;
            identity::same_source(&cache.catalog.server, &server)?;
            server
        }
        (Some(session), None) => fetch::server(session).await?,
        (None, Some(cache)) => cache.catalog.server.clone(),
        (None, None) => return Err(Error::internal("a step has neither source nor archive")),
    };
    let state = StateHandle::open(&directory.state_db())?;
    let opening = identity::open_step(config, work, server, &state, &mut target).await?;
    let (Opening::Fresh(run) | Opening::Resume(run) | Opening::Complete(run)) = opening;
    if !work.is_repeated() && is_done(&directory, work, &run)? {
        tracing::info!(
            "{} has already completed, nothing is left to do; --restart does it again",
            work.command()
        );
        return Ok(None);
    }
    let mut pass = Pass::new(config, filters, directory, state, events, stop, started);
    pass.work = work;
    pass.open_ledger(&mut target).await?;
    let summary = super::passes(&mut pass, session, cache, &mut target).await?;
    if summary
        .findings
        .iter()
        .all(|finding| finding.severity < crate::base::summary::Severity::Error)
    {
        replace_file(&pass.directory.step_done(work.command()), run.run_id.as_bytes())?;
    }
    Ok(Some(summary))
}

/// The archive that `dump schema` made.
fn archive(directory: &WorkDir) -> Result<Cache> {
    Cache::read(directory)?.ok_or_else(|| {
        Error::state(format!("there is no dump of a schema in \"{}\"", directory.top().display()))
            .hint("Run `pgcopydb dump schema` first, with the same --dir.")
    })
}

/// Whether a step came to its end in this run.
fn is_done(directory: &WorkDir, work: Work, run: &Run) -> Result<bool> {
    let recorded = read_optional(&directory.step_done(work.command()))?;
    Ok(recorded.as_deref() == Some(run.run_id.as_bytes()))
}

impl Pass<'_> {
    /// Runs one pass of a step.
    pub(super) async fn run_step(
        &mut self,
        source: Option<Session>,
        cache: Option<&Cache>,
        target: &mut Control,
    ) -> Result<PassEnd> {
        let before = self.begin_step(Step::Catalog).await;
        let facts = fetch::target(target.session().await?).await?;
        let basis = match (source, cache) {
            (source, Some(cache)) => self.read_archive(source, cache, &facts).await?,
            (Some(source), None) => self.read_source(source, &facts).await?,
            (None, None) => return Err(Error::internal("a step has neither source nor archive")),
        };
        self.end_step(Step::Catalog, before, 0).await;
        let Basis { catalog, plan, snapshot, attver, holder } = basis;
        let config = self.config;
        let with_tools = self.work.dumps() || self.work.uses_archive();
        let tools = match with_tools {
            true => Some(schema::Tools::find(config, &catalog, &facts, attver).await?),
            false => None,
        };
        if let (Work::Lists, Some(tools)) = (self.work, &tools) {
            tools.edit_lists(self, &plan).await?;
            return Ok(PassEnd::Complete(Box::default()));
        }
        self.settle_step(&catalog, &plan, &facts, &snapshot, target).await?;
        if let Some(tools) = &tools {
            if self.work.dumps() && !self.directory.schema_dump().exists() {
                self.dump_schema(tools, &snapshot).await?;
            }
            if self.work.restores_pre_data() {
                self.restore_pre_data(tools, &plan, target).await?;
            }
        }
        if self.work == Work::PreData {
            let summary = self.finish(&plan, target).await?;
            return Ok(PassEnd::Complete(Box::new(summary)));
        }
        if self.work == Work::Extensions {
            let session = target.session().await?;
            let found = extensions::create(session, &catalog, &facts, config).await?;
            self.findings.extend(found);
        }
        let plan = self.remaining(plan, &snapshot, target).await?;
        let outcome = self.copy(tools.as_ref(), plan, catalog, &facts, snapshot, target).await?;
        if let Some(holder) = holder {
            holder.release().await;
        }
        Ok(outcome)
    }

    /// Reads the source under its snapshot.
    async fn read_source(&mut self, mut source: Session, facts: &TargetFacts) -> Result<Basis> {
        let config = self.config;
        let server = fetch::server(&mut source).await?;
        let version = server.version;
        if scope(self.work, self.alone).rows != Rows::None {
            self.findings.extend(estimates::refresh(config, &server, &mut source).await?);
        }
        let named = config.snapshot.as_deref();
        let snapshot = snapshot::begin(&mut source, named, !config.not_consistent, version).await?;
        let attver = schema::has_attver(&mut source).await?;
        let read = read(config, &self.filters, &mut source).await?;
        refuse_older(&read.catalog, facts)?;
        let plan = read::plan(config, &mut source, facts, &read).await?;
        let holder = Some(Holder::start(source));
        Ok(Basis { catalog: read.catalog, plan, snapshot, attver, holder })
    }

    /// Reads what `dump schema` left. Other filters than its own are asked of the source.
    ///
    /// # Errors
    /// `Config` for other filters without source.
    async fn read_archive(
        &self,
        source: Option<Session>,
        cache: &Cache,
        facts: &TargetFacts,
    ) -> Result<Basis> {
        let same = self.filters.text.is_none() || self.filters.text == cache.filters;
        let selection = match (same, source) {
            (true, _) => cache.selection.clone(),
            (false, Some(mut source)) => self.filters.select(&cache.catalog, &mut source).await?,
            (false, None) => {
                return Err(Error::config("the schema was dumped with other filters than these")
                    .hint(
                        "Give --source, which evaluates the filters, or dump the schema with them.",
                    ));
            }
        };
        let (catalog, splits) = (&cache.catalog, SplitFacts::default());
        refuse_older(catalog, facts)?;
        let options = PlanOptions::from(self.config);
        let plan = plan::build(catalog, &selection, facts, &splits, &options)?;
        let catalog = Arc::new(catalog.clone());
        let snapshot = Snapshot { id: None, identity: cache.snapshot_identity.clone(), lsn: None };
        Ok(Basis { catalog, plan, snapshot, attver: cache.attver, holder: None })
    }

    /// Begins a ledger, or continues the one that the target holds when it is this migration's.
    ///
    /// # Errors
    /// `State` for a ledger of another migration, a schema that is not there yet, and one that is in
    /// the way.
    async fn settle_step(
        &mut self,
        catalog: &SourceCatalog,
        plan: &Plan,
        facts: &TargetFacts,
        snapshot: &Snapshot,
        target: &mut Control,
    ) -> Result<()> {
        let options = identity::options_text(self.config, &self.filters);
        let now = identity::new_run(&catalog.server, options, &snapshot.identity);
        let session = target.session().await?;
        let Some(found) = self.found.clone() else {
            let record = if self.work.restores_pre_data() {
                refuse_conflicts(plan, facts, self.config)?;
                now
            } else {
                if self.work != Work::Extensions {
                    require_tables(plan, facts)?;
                }
                let options = format!("{ALONE}{} {}", self.work.command(), now.options);
                RunRecord { stage: Stage::Data, options, ..now }
            };
            ledger::create(session, &record).await?;
            self.alone = record.options.starts_with(ALONE);
            self.found = Some(record);
            return Ok(());
        };
        identity::check(&found, &now, Resume::Restart)?;
        identity::same_filters(&found, &now)?;
        self.alone = found.options.starts_with(ALONE);
        let again = std::mem::take(&mut self.restart);
        if again && self.work.restores_pre_data() && !self.alone {
            tracing::info!(run = found.run_id, "restoring the schema again as asked");
            ledger::remove(session).await?;
            let fresh = RunRecord { stage: found.stage.min(Stage::PreData), ..now };
            ledger::create(session, &fresh).await?;
            self.found = Some(fresh);
        } else if again {
            self.forget_step(plan, session).await?;
        } else if found.stage < Stage::Data && !self.work.restores_pre_data() {
            return Err(Error::new(
                Side::Target,
                ErrorKind::State("its schema is restored in part only".to_owned()),
            )
            .hint("Run `pgcopydb restore pre-data` until it has completed."));
        }
        Ok(())
    }

    /// Forgets what earlier starts of this step recorded.
    async fn forget_step(&self, plan: &Plan, session: &mut Session) -> Result<()> {
        let scope = scope(self.work, self.alone);
        let tables = plan.tables.iter().filter(|table| scope.covers_rows(table));
        let oids: Vec<u32> = tables.map(|table| table.oid).collect();
        ledger::forget_parts(session, &oids).await?;
        let kinds = [
            (scope.large_objects, ledger::ObjectKind::LargeObjects),
            (scope.indexes != Indexes::None, ledger::ObjectKind::Index),
            (scope.constraints, ledger::ObjectKind::Constraint),
            (scope.constraints, ledger::ObjectKind::TableStatements),
            (scope.vacuum, ledger::ObjectKind::Vacuum),
        ];
        for (_, kind) in kinds.into_iter().filter(|(covered, _)| *covered) {
            ledger::forget_objects(session, kind).await?;
        }
        Ok(())
    }

    /// Whether the ledger goes when this step has come to its end: nothing is left that it could tell.
    pub(super) fn ends_ledger(&self) -> bool {
        self.work.restores_post_data() || self.alone
    }
}

/// Keeps a clone away from what a step has left: its schema is not ours to drop.
///
/// # Errors
/// `State`, naming the step.
pub(super) fn refuse_alone(run: &RunRecord) -> Result<()> {
    let Some(command) = run.options.strip_prefix(ALONE) else { return Ok(()) };
    Err(Error::new(
        Side::Target,
        ErrorKind::State(format!("a step has not come to its end on it: {command}")),
    )
    .hint("Run that command again, or drop schema \"pgcopydb\" on the target."))
}

/// Refuses a target that is older than the source: its schema may not be understood there.
///
/// # Errors
/// `Unsupported`, naming both versions.
fn refuse_older(catalog: &SourceCatalog, facts: &TargetFacts) -> Result<()> {
    let (source, target) = (catalog.server.major(), facts.server.major());
    if target >= source {
        return Ok(());
    }
    let text = format!("server has version {target}, older than the source's {source}");
    Err(Error::new(Side::Target, ErrorKind::Unsupported(text))
        .hint("PostgreSQL restores into the same or a newer major version only."))
}

/// Refuses a target that already has what is going to be created.
///
/// # Errors
/// `State`, naming the first relation.
fn refuse_conflicts(plan: &Plan, facts: &TargetFacts, config: &CloneConfig) -> Result<()> {
    if config.schema.drop_if_exists {
        return Ok(());
    }
    let wanted: HashSet<&QualifiedName> = (plan.tables.iter().map(|table| &table.name))
        .chain(plan.sequences.iter().map(|sequence| &sequence.name))
        .collect();
    let mut found =
        facts.relations.iter().map(|(name, _)| name).filter(|name| wanted.contains(name));
    let Some(first) = found.next() else { return Ok(()) };
    let more = and_more(found.count());
    let database = &facts.server.database;
    Err(Error::new(
        Side::Target,
        ErrorKind::State(format!("database \"{database}\" already has {first}{more}")),
    )
    .hint("Name an empty database, or let pgcopydb drop what it is going to create: --drop-if-exists."))
}

/// How many more there are, for a message.
fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more") }
}

/// Demands that the tables of the plan are on the target.
///
/// # Errors
/// `State`, naming the first that is not.
fn require_tables(plan: &Plan, facts: &TargetFacts) -> Result<()> {
    let there: HashSet<&QualifiedName> = facts.relations.iter().map(|(name, _)| name).collect();
    let user_tables = plan.tables.iter().filter(|table| table.config.is_none());
    let mut missing = user_tables.filter(|table| !there.contains(&table.name));
    let Some(first) = missing.next() else { return Ok(()) };
    let more = and_more(missing.count());
    Err(Error::new(
        Side::Target,
        ErrorKind::State(format!(
            "database \"{}\" has no table {}{more}",
            facts.server.database, first.name
        )),
    )
    .hint("Restore the schema first: `pgcopydb dump schema`, then `pgcopydb restore pre-data`."))
}
