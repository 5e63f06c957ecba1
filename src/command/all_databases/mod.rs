//! `--all-databases`: every database of the source server, one after the other.
//!
//! ```text
//!  work directory/db/NAME   one clone each, with its own state: continued on its own
//!                 /roles    the dump of the roles, which are copied once, first
//! ```
//!
//! The databases share the jobs by taking turns: each one is copied with all of them, so the load on both
//! servers is that of a single clone. One that fails is named and does not keep the others from being
//! copied. What belongs to the database itself (owner, privileges, comment, connection limit) is set when its
//! content is there, so that no limit stands in our own way.

use std::path::{Path, PathBuf};
use std::time::Instant;

mod follow;
mod shared;
mod target;

use super::clone::{self, CloneOutcome};
use super::follow::FollowOutcome;
use super::roles;
use crate::base::error::{Error, Result, Side};
use crate::base::event::EventSender;
use crate::base::stop::StopSignal;
use crate::base::summary::{DatabaseSummary, Finding};
use crate::catalog::fetch;
use crate::catalog::model::Database;
use crate::config::{CloneConfig, RolesWork};
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::connect::conninfo::ConnInfo;
use crate::local::workdir::{Service, WorkDir};

use target::{Attributes, Place};

pub use follow::run as run_and_follow;

/// Directory of the databases in the work directory.
const DIRECTORY: &str = "db";

/// What became of all databases.
#[derive(Debug, Default)]
pub struct AllOutcome {
    /// Every database, in the order of their names.
    pub databases: Vec<DatabaseSummary>,
    /// How following ended, for each database that was followed.
    pub followed: Vec<(String, FollowOutcome)>,
    /// What ended the first one that failed.
    pub error: Option<Error>,
    /// What was left out of the roles.
    pub findings: Vec<Finding>,
}

/// Copies every database that can be connected to.
///
/// # Errors
/// What keeps all of them from being copied: a server that cannot be reached, roles that cannot be
/// created. What befalls a single database is in the outcome.
pub async fn run(
    config: &CloneConfig,
    events: &EventSender,
    stop: &StopSignal,
) -> Result<AllOutcome> {
    let directory = WorkDir::open(&config.directory, Service::Main)?;
    let (databases, mut existing) =
        tokio::try_join!(list(Side::Source, &config.source), list_names(&config.target))?;
    make_directories(&databases, directory.top())?;
    tracing::info!(databases = databases.len(), "copying all databases");
    let mut outcome = AllOutcome {
        findings: copy_roles(config, directory.top(), stop).await?,
        ..AllOutcome::default()
    };
    let count = databases.len();
    for (number, database) in (1..).zip(&databases) {
        if stop.is_stopping() {
            return Err(Error::cancelled());
        }
        tracing::info!(database = database.name, "copying database {number} of {count}");
        let begun = Instant::now();
        let place = Place::new(config, database, directory.top());
        let result = Box::pin(copy(&place, &mut existing, events, stop)).await;
        let mut summary = summary_of(database, directory.top());
        match result {
            Ok(done) => summary.run = done.summary,
            Err(error) if stop.is_stopping() => return Err(error),
            Err(error) => {
                let error = error.during(format!("database \"{}\"", database.name));
                tracing::error!(%error, "this database is not complete, going on with the others");
                summary.error = Some(error.to_string());
                outcome.error.get_or_insert(error);
            }
        }
        summary.duration = begun.elapsed();
        outcome.databases.push(summary);
        if config.fail_fast && outcome.error.is_some() {
            break;
        }
    }
    Ok(outcome)
}

/// Creates a database where it is missing, copies its content, sets its attributes.
async fn copy(
    place: &Place,
    existing: &mut Vec<String>,
    events: &EventSender,
    stop: &StopSignal,
) -> Result<CloneOutcome> {
    place.make(existing).await?;
    let mut outcome = clone::run(place.config.clone(), events.clone(), stop.clone()).await?;
    outcome.summary.findings.extend(place.set_attributes(Attributes::All).await?);
    Ok(outcome)
}

/// Makes the directories of all databases: who looks at the progress of the first sees how many there are.
///
/// # Errors
/// `File` when one cannot be made.
fn make_directories(databases: &[Database], top: &Path) -> Result<()> {
    for database in databases {
        let directory = sub_directory(top, &database.name);
        std::fs::create_dir_all(&directory).map_err(|error| Error::file(&directory, error))?;
    }
    Ok(())
}

/// The summary of a database of which nothing is done yet.
fn summary_of(database: &Database, top: &Path) -> DatabaseSummary {
    DatabaseSummary {
        name: database.name.clone(),
        directory: sub_directory(top, &database.name),
        ..DatabaseSummary::default()
    }
}

/// Copies the roles, once for all databases.
async fn copy_roles(config: &CloneConfig, top: &Path, stop: &StopSignal) -> Result<Vec<Finding>> {
    let config = CloneConfig { directory: top.join("roles"), roles: true, ..config.clone() };
    roles::run(RolesWork::Copy, &config, stop).await
}

/// The directory of one database.
pub fn sub_directory(top: &Path, database: &str) -> PathBuf {
    top.join(DIRECTORY).join(file_name(database))
}

/// The databases of a run over all of them, by name, with the directory of each; none when the work
/// directory is that of a single database.
///
/// # Errors
/// `File` when the directory cannot be read.
pub fn sub_directories(top: &Path) -> Result<Vec<(String, PathBuf)>> {
    let directory = top.join(DIRECTORY);
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error| Error::file(&directory, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = percent_encoding::percent_decode_str(&file).decode_utf8_lossy().into_owned();
        found.push((name, path));
    }
    found.sort();
    Ok(found)
}

/// A database's name as a file name: everything but letters, digits, `_` and `-` as `%XX`.
fn file_name(database: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    percent_encoding::utf8_percent_encode(database, KEPT).to_string()
}

/// Connects to one end and pins the session's settings.
///
/// # Errors
/// Why it could not be reached, after five seconds.
pub(super) async fn connect(side: Side, info: &ConnInfo) -> Result<Session> {
    let mut session =
        Session::connect_patiently(side, info, "databases", &mut Backoff::brief()).await?;
    settings::pin(&mut session, SessionRole::Source).await?;
    Ok(session)
}

/// The databases of a server.
///
/// # Errors
/// Why it could not be reached.
pub async fn list(side: Side, info: &ConnInfo) -> Result<Vec<Database>> {
    fetch::databases(&mut connect(side, info).await?).await
}

/// The names of all databases of the target, those that cannot be connected to included.
async fn list_names(info: &ConnInfo) -> Result<Vec<String>> {
    names(&mut connect(Side::Target, info).await?).await
}

/// The names of all databases of a server, those that cannot be connected to included.
///
/// # Errors
/// Those of the query.
pub(super) async fn names(session: &mut Session) -> Result<Vec<String>> {
    let rows = session.query("select d.datname from pg_catalog.pg_database d", &[]).await?;
    rows.rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_databases_become_names_of_files() {
        assert_eq!(file_name("sales_2-x"), "sales_2-x");
        assert_eq!(file_name("../a b"), "%2E%2E%2Fa%20b");
        assert_eq!(file_name("é"), "%C3%A9");
    }
}
