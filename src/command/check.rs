//! `check`: examines both ends and lists what would stop a migration; changes nothing.

use crate::base::error::{Error, Result, Side};
use crate::base::ident::quote_identifier;
use crate::base::preflight::{self as found, Concern, Examination, Examined, Topic};
use crate::base::summary::Severity;
use crate::catalog::fetch;
use crate::catalog::model::{Database, ServerFacts};
use crate::command::clone::filters::Filters;
use crate::command::clone::{control, read, schema};
use crate::command::{all_databases, preflight, source};
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

/// Examines every database of the source as `clone --all-databases` would copy it, by name.
///
/// One that the target lacks is made by that clone; of it only is said whether our role may do so.
///
/// # Errors
/// Those of [`run`].
pub async fn all(config: &CloneConfig, follow: bool) -> Result<Vec<(String, Examination)>> {
    let (databases, target) =
        tokio::join!(all_databases::list(Side::Source, &config.source), existing(config));
    let (databases, (existing, may_create)) = match (databases, target) {
        (Ok(databases), Ok(target)) => (databases, target),
        (databases, target) => {
            let errors = [databases.err(), target.err()].into_iter().flatten();
            let concerns = errors.map(|error| unreachable(&error)).collect();
            let examination = Examination { concerns, ..Examination::default() };
            return Ok(vec![(config.source.dbname.clone(), examination)]);
        }
    };
    let mut examined = Vec::new();
    for Database { name, .. } in databases {
        let examination = if existing.contains(&name) {
            let one = CloneConfig {
                source: config.source.with_dbname(&name),
                target: config.target.with_dbname(&name),
                // They are copied first.
                roles: true,
                ..config.clone()
            };
            Box::pin(run(&one, follow)).await?
        } else {
            to_create(config, &name, may_create)
        };
        examined.push((name, examination));
    }
    Ok(examined)
}

/// The names of the target's databases, and whether our role may create more.
async fn existing(config: &CloneConfig) -> Result<(Vec<String>, bool)> {
    let mut session = all_databases::connect(Side::Target, &config.target).await?;
    let names = all_databases::names(&mut session).await?;
    let sql = "select r.rolsuper or r.rolcreatedb from pg_catalog.pg_roles r \
               where r.rolname = current_user";
    let may_create = session.query(sql, &[]).await?.one()?.flag(0)?;
    Ok((names, may_create))
}

/// The examination of a database that the target lacks.
fn to_create(config: &CloneConfig, name: &str, may_create: bool) -> Examination {
    let (object, quoted) = (format!("database \"{name}\""), quote_identifier(name));
    let concern = if may_create {
        let reason = "the target does not have it: it is created, and its content was not examined";
        let fix = format!("CREATE DATABASE {quoted}; on the target, then run check again.");
        Concern::new(Severity::Notice, Topic::Unchecked, Side::Target, object, reason).fix(fix)
    } else {
        let role = quote_identifier(&config.target.user);
        let reason = "the target does not have it, and our role may not create databases";
        let fix = format!("ALTER ROLE {role} CREATEDB; or create the database, on the target.");
        Concern::new(Severity::Error, Topic::Privilege, Side::Target, object, reason).fix(fix)
    };
    Examination { concerns: vec![concern], ..Examination::default() }
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
