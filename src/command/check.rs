//! `check`: examines both ends and lists what would stop a migration; changes nothing.

use crate::base::error::{Error, Result, Side};
use crate::base::preflight::{self as found, Concern, Examination, Examined, Topic};
use crate::catalog::fetch;
use crate::catalog::model::ServerFacts;
use crate::command::clone::filters::Filters;
use crate::command::clone::{control, read, schema};
use crate::command::{preflight, source};
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;

/// Examines both ends with the settings of a `clone`; `follow` when changes are to be followed.
///
/// An end that cannot be reached is a finding, like everything else.
///
/// # Errors
/// Those of the filter file, and a session that is lost on the way.
pub async fn run(config: &CloneConfig, follow: bool) -> Result<Examination> {
    let filters = Filters::read(config.filters.as_deref(), config.skip.extensions)?;
    let (from, to) = tokio::join!(source::connect(&config.source), connect_target(config));
    match (from, to) {
        (Ok(mut source), Ok(mut target)) => {
            examine((config, follow), &filters, &mut source, &mut target).await
        }
        (from, to) => {
            let errors = [from.err(), to.err()].into_iter().flatten();
            let concerns = errors.map(|error| unreachable(&error)).collect();
            Ok(Examination { concerns, ..Examination::default() })
        }
    }
}

/// Connects to the target.
async fn connect_target(config: &CloneConfig) -> Result<Session> {
    control::open(&config.target, &mut Backoff::brief()).await
}

/// The finding of an end that cannot be reached.
fn unreachable(error: &Error) -> Concern {
    preflight::of_error(Topic::Connection, "connection", error)
}

/// Examines two ends that answer.
async fn examine(
    (config, follow): (&CloneConfig, bool),
    filters: &Filters,
    source: &mut Session,
    target: &mut Session,
) -> Result<Examination> {
    let facts = match fetch::target(target).await {
        Ok(facts) => facts,
        Err(error) => return refused(&error),
    };
    let server = match fetch::server(source).await {
        Ok(server) => server,
        Err(error) => return refused(&error),
    };
    let (from, to) = (examined(&server), examined(&facts.server));
    let mut gathered = preflight::gather(config, source, target).await?;
    gathered.follow = follow;
    let attver = schema::has_attver(source).await?;
    let mut more = Vec::new();
    let mut concerns = match read::read(config, filters, source).await {
        Ok(read) => {
            if let Err(error) = read::plan(config, source, &facts, &read).await {
                more.push(preflight::of_error(Topic::Filter, "plan", &error));
            }
            let tools = schema::Tools::find(config, &read.catalog, &facts, attver).await;
            if let Err(error) = tools {
                more.push(preflight::of_error(Topic::ClientTools, "client tools", &error));
            }
            let objects = (&*read.catalog, &read.selection);
            preflight::examine(config, gathered, objects, &facts, (source, target)).await?
        }
        Err(error) => vec![preflight::of_error(Topic::Filter, "catalog and filters", &error)],
    };
    concerns.append(&mut more);
    found::sort(&mut concerns);
    Ok(Examination { source: Some(from), target: Some(to), concerns })
}

/// The examination of an end that refuses even to say what it is.
fn refused(error: &Error) -> Result<Examination> {
    let topic = match error.side() {
        Side::Local => Topic::Unchecked,
        Side::Source | Side::Target => Topic::Version,
    };
    let concerns = vec![preflight::of_error(topic, "server", error)];
    Ok(Examination { concerns, ..Examination::default() })
}

/// One end in a few words.
fn examined(server: &ServerFacts) -> Examined {
    Examined {
        version: server.version_text.clone(),
        database: server.database.clone(),
        role: server.role.clone(),
        superuser: server.superuser,
        encoding: server.encoding.clone(),
        collation: server.collate.clone(),
    }
}
