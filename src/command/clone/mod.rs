//! `clone`: copies a database.
//!
//! ```text
//!  connect both ends ─ lock the target ─ read the ledger ─ fresh, continue, or refuse
//!     │
//!     ▼  pass (again under a new snapshot when the old one, or a table, no longer holds)
//!  snapshot ─ catalog ─ selection ─ plan ─ minus what the ledger has
//!     ─ pg_dump ─ pre-data ─ jobs ─ post-data ─ jobs after it ─ ledger removed, summary
//! ```
//!
//! Stages are written to the ledger before what they announce (`pre-data` before pg_restore runs)
//! and after what they complete, so a crash anywhere leaves a stage that says what may be half done.

mod cache;
pub(super) mod control;
mod earlier;
mod estimates;
mod extensions;
pub(super) mod filters;
mod foreign_keys;
mod hooks;
mod identity;
mod parents;
pub(super) mod pass;
mod properties;
mod publications;
pub(super) mod read;
pub(super) mod roles;
pub(super) mod schema;
pub(super) mod snapshot;
mod state_rows;
pub mod step;
mod summary;

use std::time::Instant;

use crate::base::error::{Class, Error, Result};
use crate::base::event::EventSender;
use crate::base::stop::StopSignal;
use crate::base::summary::RunSummary;
use crate::catalog::fetch;
use crate::command::{preflight, source};
use crate::config::{CloneConfig, Resume, Work};
use crate::connect::client::Session;
use crate::ledger;
use crate::local::child::end_orphans;
use crate::local::state::{Opening, StateHandle};
use crate::local::workdir::{Service, WorkDir};

use cache::Cache;
use control::Control;
use filters::Filters;
use pass::{Pass, PassEnd};
use read::{plan, read};
use snapshot::Provider;

/// How often a run starts over under a new snapshot before it gives up.
///
/// Each pass keeps what the earlier ones finished; one is enough after a restarted server or a
/// rewritten table, and a source that loses every snapshot within minutes needs a person.
const PASSES_MAX: u32 = 5;

/// What a clone did.
#[derive(Debug, Clone, Default)]
pub struct CloneOutcome {
    /// The run as numbers; empty after a dry run.
    pub summary: RunSummary,
    /// The plan as text or JSON, with `--dry-run` only.
    pub plan_text: Option<String>,
}

/// Copies a database.
///
/// # Errors
/// The first failure that ended the run. The target then holds a ledger, and the same command
/// continues.
pub async fn run(
    config: CloneConfig,
    events: EventSender,
    stop: StopSignal,
) -> Result<CloneOutcome> {
    let snapshot = snapshot::adopt(&config)?;
    let config = CloneConfig { snapshot, ..config };
    run_under(config, events, stop, None).await
}

/// Copies a database; the snapshots come from `provider` when there is one.
///
/// # Errors
/// Those of [`run`].
pub(in crate::command) async fn run_under(
    config: CloneConfig,
    events: EventSender,
    stop: StopSignal,
    provider: Option<Provider>,
) -> Result<CloneOutcome> {
    // Boxed: this future holds the state of every stage.
    let work = Box::pin(clone(&config, &events, &stop, provider));
    tokio::select! {
        outcome = work => outcome,
        // Before and after the jobs, which stop in order by themselves, a fast stop ends everything.
        () = stop.fast.cancelled() => Err(Error::cancelled()),
    }
}

/// Everything but the announcement.
async fn clone(
    config: &CloneConfig,
    events: &EventSender,
    stop: &StopSignal,
    provider: Option<Provider>,
) -> Result<CloneOutcome> {
    let started = Instant::now();
    let filters = Filters::read(config.filters.as_deref(), config.skip.extensions)?;
    let (source, target) =
        tokio::try_join!(source::connect(&config.source), Control::connect(&config.target))?;
    if config.dry_run {
        return dry_run(config, &filters, source, target).await;
    }
    let directory = WorkDir::open(&config.directory, Service::Main)?;
    end_orphans(directory.children()).await?;
    // Where changes are followed, it was emptied before the slot was made.
    if config.resume == Resume::Restart && provider.is_none() {
        directory.restart()?;
    }
    let (mut source, mut target) = (source, target);
    target.lock().await?;
    let state = StateHandle::open(&directory.state_db())?;
    let opening = identity::open_run(config, &filters, &state, &mut source, &mut target).await?;
    let found = ledger::open(target.session().await?).await?;
    let copied = provider.as_ref().and_then(|provider| provider.copied.as_deref());
    match (&opening, copied) {
        (Opening::Complete(run), _) if found.is_none() => {
            tracing::info!(
                run = run.run_id,
                "an earlier run has already completed, nothing is left to do; --restart starts over"
            );
            return Ok(CloneOutcome::default());
        }
        (Opening::Fresh(_), Some(options)) if found.is_none() => {
            identity::same_options(options, &identity::options_text(config, &filters))?;
            state.finish().await?;
            tracing::info!(
                "the work directory is new, the copy on the target is complete: nothing is copied"
            );
            return Ok(CloneOutcome::default());
        }
        _ => {}
    }
    let mut pass = Pass::new(config, filters, directory, state, events, stop, started);
    pass.provider = provider;
    pass.directory_is_new = matches!(opening, Opening::Fresh(_));
    pass.found = found;
    let summary = passes(&mut pass, Some(source), None, &mut target).await?;
    Ok(CloneOutcome { summary, plan_text: None })
}

/// Runs passes until one comes to its end. `first` is the session of the first one, `cache` what a
/// step works from instead of the source.
async fn passes(
    pass: &mut Pass<'_>,
    first: Option<Session>,
    cache: Option<Cache>,
    target: &mut Control,
) -> Result<RunSummary> {
    let (config, stop) = (pass.config, pass.stop);
    let needs_source = first.is_some();
    let mut next_source = first;
    for number in 1.. {
        let session = match next_source.take() {
            None if needs_source => Some(source::connect_again(&config.source).await?),
            session => session,
        };
        let end = match (pass.work, session) {
            (Work::Everything, Some(session)) => Box::pin(pass.run(session, target)).await,
            (_, session) => Box::pin(pass.run_step(session, cache.as_ref(), target)).await,
        };
        match end {
            Ok(PassEnd::Complete(summary)) => return Ok(*summary),
            Ok(PassEnd::Again(error)) | Err(error) if may_go_on(&error, number, config, stop) => {
                tracing::warn!(%error, "going on with what is left under a new snapshot");
            }
            Ok(PassEnd::Again(error)) | Err(error) => return Err(error),
        }
    }
    Err(Error::internal("a run ended without an outcome"))
}

/// Whether a new pass can mend what ended the last one.
fn may_go_on(error: &Error, number: u32, config: &CloneConfig, stop: &StopSignal) -> bool {
    let mendable = match error.class() {
        // A snapshot that the user holds cannot be replaced by us.
        Class::Stale => config.snapshot.is_none(),
        Class::Transient | Class::Conflict => true,
        _ => false,
    };
    mendable && number < PASSES_MAX && !stop.is_stopping() && !config.fail_fast
}

/// Makes the plan and prints it; changes nothing anywhere.
async fn dry_run(
    config: &CloneConfig,
    filters: &Filters,
    mut source: Session,
    mut target: Control,
) -> Result<CloneOutcome> {
    let target = target.session().await?;
    let facts = fetch::target(target).await?;
    let ledger = ledger::open(target).await?;
    let version = fetch::server(&mut source).await?.version;
    let gathered = preflight::gather(config, &mut source, target).await?;
    snapshot::begin(&mut source, config.snapshot.as_deref(), false, version).await?;
    let read = read(config, filters, &mut source).await?;
    if ledger.is_none() {
        let (objects, sessions) = ((&*read.catalog, &read.selection), (&mut source, target));
        preflight::log(&preflight::examine(config, gathered, objects, &facts, sessions).await?);
    }
    let plan = plan(config, &mut source, &facts, &read).await?;
    let text = match config.plan_format {
        crate::config::PlanFormat::Text => {
            crate::plan::explain::text(&plan, crate::plan::explain::Detail::Short)
        }
        crate::config::PlanFormat::Json => crate::plan::explain::json(&plan)
            .map_err(|error| Error::internal(format!("the plan cannot be written: {error}")))?,
    };
    Ok(CloneOutcome { summary: RunSummary::default(), plan_text: Some(text) })
}
