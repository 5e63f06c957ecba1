//! `clone --all-databases --follow`: every database has its slot, its received changes and its position,
//! all have one end.
//!
//! ```text
//!  slots and receivers of all ─► copies, one after the other ─┬─► … ─► end position ─► attributes
//!                                each is followed once copied ┘
//! ```
//!
//! All slots are made before the first copy, so that whatever end position is set later lies behind the
//! beginning of every database's changes. A snapshot waits for its turn in an ordinary session.

use std::collections::HashMap;
use std::time::Instant;

use tokio::task::{JoinError, JoinSet};

use super::shared::Shared;
use super::target::{Attributes, Place};
use super::{AllOutcome, connect, copy_roles, list, list_names, make_directories, summary_of};
use crate::base::error::{Error, Result, Side};
use crate::base::event::EventSender;
use crate::base::stop::StopSignal;
use crate::base::summary::DatabaseSummary;
use crate::catalog::model::Database;
use crate::command::follow::{Begun, FollowOutcome, Following, Hold};
use crate::config::{CloneConfig, FollowConfig};
use crate::follow::catch_up::CatchUpEnd;
use crate::local::workdir::{Service, WorkDir};

/// Most bytes of a slot's base name: an underscore, a database's number of ten digits and what our
/// publications add must fit into the 63 bytes of a name.
const BASE_BYTES_MAX: usize = 42;

/// Copies every database that can be connected to, and follows the changes of all.
///
/// # Errors
/// What keeps all of them from being copied: a server that cannot be reached, a slot that cannot be made.
/// What befalls a single database later is in the outcome.
pub async fn run(
    config: &CloneConfig,
    changes: &FollowConfig,
    events: &EventSender,
    stop: &StopSignal,
) -> Result<AllOutcome> {
    check_base("--slot-name", &changes.slot_name)?;
    check_base("--origin", &changes.origin)?;
    let directory = WorkDir::open(&config.directory, Service::Main)?;
    let (databases, mut existing) =
        tokio::try_join!(list(Side::Source, &config.source), list_names(&config.target))?;
    make_directories(&databases, directory.top())?;
    let findings = copy_roles(config, directory.top(), stop).await?;
    let shared = Shared::start(&directory.state_db(), changes, config.resume)?;
    let changes = FollowConfig { endpos: shared.endpos(), ..changes.clone() };
    let numbers = numbers(config).await?;
    tracing::info!(databases = databases.len(), "copying and following all databases");
    let mut run = Run {
        // A failure may end all with --fail-fast, without the user having asked to stop.
        halt: StopSignal { graceful: stop.graceful.child_token(), fast: stop.fast.child_token() },
        fail_fast: config.fail_fast,
        shared,
        places: Vec::new(),
        following: JoinSet::new(),
        outcome: AllOutcome { findings, ..AllOutcome::default() },
    };
    let mut begun = Vec::new();
    for database in &databases {
        let place = Place::new(config, database, directory.top());
        let changes = of_database(&changes, &place, &numbers, &database.name);
        let started = async {
            place.make(&mut existing).await?;
            let resume = config.resume;
            Box::pin(Begun::start(changes, resume, Hold::Session, &run.halt)).await
        };
        let one = Box::pin(started).await.map_err(|error| of(error, &database.name))?;
        run.shared.add(one.sentinel());
        run.outcome.databases.push(summary_of(database, directory.top()));
        run.places.push(place);
        begun.push(one);
    }
    for (number, (one, database)) in begun.into_iter().zip(&databases).enumerate() {
        if run.halt.is_stopping() {
            break;
        }
        tracing::info!(
            database = database.name,
            "copying database {} of {}",
            number + 1,
            databases.len()
        );
        Box::pin(run.copy(number, database, one, events)).await;
    }
    run.end(stop).await
}

/// What is said about an error of one database.
fn of(error: Error, database: &str) -> Error {
    error.during(format!("database \"{database}\""))
}

/// Refuses a name that leaves no room for the databases' own.
fn check_base(option: &str, name: &str) -> Result<()> {
    if name.len() <= BASE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::config(format!(
        "option {option}: \"{name}\" is too long with --all-databases, which adds the number of each \
         database: at most {BASE_BYTES_MAX} bytes"
    )))
}

/// The numbers of the source's databases: part of the names of their slots, which a server shares.
async fn numbers(config: &CloneConfig) -> Result<HashMap<String, u32>> {
    let mut session = connect(Side::Source, &config.source).await?;
    let rows = session.query("select d.datname, d.oid from pg_catalog.pg_database d", &[]).await?;
    rows.rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.parse(1)?))).collect()
}

/// The settings for one database: slot and origin carry its number.
fn of_database(
    changes: &FollowConfig,
    place: &Place,
    numbers: &HashMap<String, u32>,
    database: &str,
) -> FollowConfig {
    let number = numbers.get(database).copied().unwrap_or_default();
    FollowConfig {
        source: place.config.source.clone(),
        target: place.config.target.clone(),
        directory: place.config.directory.clone(),
        slot_name: format!("{}_{number}", changes.slot_name),
        origin: format!("{}_{number}", changes.origin),
        ..changes.clone()
    }
}

/// What runs.
struct Run {
    halt: StopSignal,
    fail_fast: bool,
    shared: Shared,
    /// In the order of the databases, as the summaries of the outcome.
    places: Vec<Place>,
    /// The databases that are copied, by their number.
    following: JoinSet<(usize, Result<FollowOutcome>)>,
    outcome: AllOutcome,
}

impl Run {
    /// Copies a database and begins to follow it.
    async fn copy(&mut self, number: usize, database: &Database, one: Begun, events: &EventSender) {
        let begun = Instant::now();
        let copied = match self.places.get(number) {
            Some(place) => Box::pin(copy(place, one, events)).await,
            None => Err(Error::internal("a database without a place")),
        };
        match copied {
            Ok((following, mut summary)) => {
                summary.name.clone_from(&database.name);
                summary.duration = begun.elapsed();
                if let Some(entry) = self.outcome.databases.get_mut(number) {
                    summary.directory.clone_from(&entry.directory);
                    *entry = summary;
                }
                self.shared.copied(number);
                self.following.spawn(async move { (number, following.run().await) });
            }
            Err(error) => self.failed(number, error),
        }
        while let Some(ended) = self.following.try_join_next() {
            self.ended(ended).await;
        }
    }

    /// Waits for all that are followed.
    async fn end(mut self, stop: &StopSignal) -> Result<AllOutcome> {
        while let Some(ended) = self.following.join_next().await {
            self.ended(ended).await;
        }
        self.shared.finish().await?;
        match self.outcome.error.take() {
            Some(error) if stop.is_stopping() => Err(error),
            None if stop.is_stopping() && self.outcome.followed.len() < self.places.len() => {
                Err(Error::cancelled())
            }
            error => Ok(AllOutcome { error, ..self.outcome }),
        }
    }

    /// Writes down how following a database ended.
    async fn ended(&mut self, ended: Result<(usize, Result<FollowOutcome>), JoinError>) {
        let (number, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let error = Error::internal(format!("a task ended: {error}"));
                tracing::error!(%error, "following a database ended");
                self.outcome.error.get_or_insert(error);
                return;
            }
        };
        match result {
            Ok(outcome) => self.followed(number, outcome).await,
            Err(error) => self.failed(number, error),
        }
    }

    /// Sets the attributes that had to wait for the end, and keeps the outcome.
    async fn followed(&mut self, number: usize, outcome: FollowOutcome) {
        let reached = !matches!(outcome.end, Some(CatchUpEnd::Stopped { .. }));
        let set = match self.places.get(number).filter(|_| reached) {
            Some(place) => place.set_attributes(Attributes::All).await,
            None => Ok(Vec::new()),
        };
        let Some(summary) = self.outcome.databases.get_mut(number) else { return };
        summary.run.findings.extend(outcome.findings.iter().cloned());
        self.outcome.followed.push((summary.name.clone(), outcome));
        match set {
            Ok(findings) => summary.run.findings.extend(findings),
            Err(error) => self.failed(number, error),
        }
    }

    /// Writes a failure down; the others go on unless they shall not.
    fn failed(&mut self, number: usize, error: Error) {
        let Some(summary) = self.outcome.databases.get_mut(number) else { return };
        let error = of(error, &summary.name);
        if !self.halt.is_stopping() {
            tracing::error!(%error, "this database is not complete, going on with the others");
        }
        summary.error = Some(error.to_string());
        self.outcome.error.get_or_insert(error);
        if self.fail_fast {
            self.halt.stop_gracefully();
        }
    }
}

/// Copies a database and sets its attributes, but for those that would be in the way.
async fn copy(
    place: &Place,
    one: Begun,
    events: &EventSender,
) -> Result<(Following, DatabaseSummary)> {
    let (copied, following) = Box::pin(one.copy(place.config.clone(), events.clone())).await?;
    let mut summary = DatabaseSummary { run: copied.summary, ..DatabaseSummary::default() };
    summary.run.findings.extend(place.set_attributes(Attributes::WithoutLimit).await?);
    Ok((following, summary))
}
