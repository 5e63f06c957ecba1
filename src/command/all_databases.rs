//! `--all-databases`: every database of the source server, one after the other.
//!
//! ```text
//!  work directory/databases/NAME   one clone each, with its own state: continued on its own
//!                 /roles           the dump of the roles, which are copied once, first
//! ```
//!
//! The databases share the jobs by taking turns: each one is copied with all of them, so the load on both
//! servers is that of a single clone. One that fails is named and does not keep the others from being
//! copied. What belongs to the database itself (owner, privileges, comment, connection limit) is set when its
//! content is there, so that no limit stands in our own way.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::clone::{self, CloneOutcome};
use super::roles;
use crate::base::error::{Error, Result, Side};
use crate::base::event::EventSender;
use crate::base::ident::{quote_identifier, quote_literal};
use crate::base::stop::StopSignal;
use crate::base::summary::{DatabaseSummary, Finding, Severity};
use crate::catalog::fetch;
use crate::catalog::model::{Database, LocaleProvider};
use crate::config::{CloneConfig, RolesWork};
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::connect::conninfo::ConnInfo;
use crate::local::workdir::{Service, WorkDir};

/// First version whose CREATE DATABASE knows LOCALE_PROVIDER.
const VERSION_LOCALE_PROVIDER: u32 = 150_000;

/// What became of all databases.
#[derive(Debug, Default)]
pub struct AllOutcome {
    /// Every database, in the order of their names.
    pub databases: Vec<DatabaseSummary>,
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
        let mut job = Job { config, database, events, stop, existing: &mut existing };
        let result = Box::pin(job.run(directory.top())).await;
        let mut summary = DatabaseSummary {
            name: database.name.clone(),
            directory: sub_directory(directory.top(), &database.name),
            ..DatabaseSummary::default()
        };
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

/// Copies the roles, once for all databases.
async fn copy_roles(config: &CloneConfig, top: &Path, stop: &StopSignal) -> Result<Vec<Finding>> {
    let config = CloneConfig { directory: top.join("roles"), roles: true, ..config.clone() };
    roles::run(RolesWork::Copy, &config, stop).await
}

/// The directory of one database.
pub fn sub_directory(top: &Path, database: &str) -> PathBuf {
    top.join("databases").join(file_name(database))
}

/// A database's name as a file name: everything but letters, digits, `_` and `-` as `%XX`.
fn file_name(database: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    percent_encoding::utf8_percent_encode(database, KEPT).to_string()
}

/// Connects to one end and pins the session's settings.
async fn connect(side: Side, info: &ConnInfo) -> Result<Session> {
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
    let mut session = connect(Side::Target, info).await?;
    let rows = session.query("select d.datname from pg_catalog.pg_database d", &[]).await?;
    rows.rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

/// One database to copy.
struct Job<'a> {
    config: &'a CloneConfig,
    database: &'a Database,
    events: &'a EventSender,
    stop: &'a StopSignal,
    /// Names of the target's databases.
    existing: &'a mut Vec<String>,
}

impl Job<'_> {
    /// Creates the database where it is missing, copies its content, sets its attributes.
    async fn run(&mut self, top: &Path) -> Result<CloneOutcome> {
        let name = &self.database.name;
        let directory = sub_directory(top, name);
        std::fs::create_dir_all(&directory).map_err(|error| Error::file(&directory, error))?;
        // Written before the database is created: a run that was interrupted still knows that the
        // database is its own, and sets its attributes in the end.
        let created = directory.join("created");
        if !self.existing.contains(name) {
            std::fs::write(&created, "").map_err(|error| Error::file(&created, error))?;
            self.create().await?;
        }
        let config = CloneConfig {
            source: self.config.source.with_dbname(name),
            target: self.config.target.with_dbname(name),
            directory,
            roles: false,
            ..self.config.clone()
        };
        let mut outcome = clone::run(config, self.events.clone(), self.stop.clone()).await?;
        if created.exists() {
            outcome.summary.findings.extend(self.set_attributes().await?);
        } else {
            tracing::info!(
                database = name,
                "the database was there before: its owner, privileges and limits stay as they are"
            );
        }
        Ok(outcome)
    }

    /// Creates the database.
    async fn create(&mut self) -> Result<()> {
        let mut target = connect(Side::Target, &self.config.target).await?;
        let version = fetch::server(&mut target).await?.version;
        let mut sql = create_sql(self.database, version);
        if let Some(tablespace) = &self.database.tablespace
            && !self.config.schema.no_tablespaces
        {
            sql.push_str(&format!(" tablespace {}", quote_identifier(tablespace)));
        }
        target.execute(&sql).await.map_err(|error| {
            error.during("create database").hint(
                "Create it on the target as it shall be, with a locale that the target has, and \
                 run the same command again.",
            )
        })?;
        self.existing.push(self.database.name.clone());
        Ok(())
    }

    /// Sets what belongs to the database itself. What the target refuses is a finding.
    async fn set_attributes(&self) -> Result<Vec<Finding>> {
        let mut target = connect(Side::Target, &self.config.target).await?;
        let mut findings = Vec::new();
        for sql in attributes_sql(self.database, self.config) {
            match target.execute(&sql).await {
                Ok(_) => {}
                Err(error) if target.is_broken() => return Err(error),
                Err(error) => findings.push(Finding {
                    severity: Severity::Warning,
                    object: format!("database {}", quote_identifier(&self.database.name)),
                    reason: error.to_string(),
                    hint: Some(format!("Run \"{sql}\" once it can be done.")),
                }),
            }
        }
        Ok(findings)
    }
}

/// CREATE DATABASE with encoding and locale.
fn create_sql(database: &Database, target_version: u32) -> String {
    let mut sql = format!(
        "create database {} with template template0 encoding {} lc_collate {} lc_ctype {}",
        quote_identifier(&database.name),
        quote_literal(&database.encoding),
        quote_literal(&database.collate),
        quote_literal(&database.ctype)
    );
    if target_version < VERSION_LOCALE_PROVIDER {
        return sql;
    }
    sql.push_str(&format!(" locale_provider {}", database.provider.word()));
    let keyword = match database.provider {
        LocaleProvider::Libc => return sql,
        LocaleProvider::Icu => "icu_locale",
        LocaleProvider::Builtin => "builtin_locale",
    };
    if let Some(locale) = &database.locale {
        sql.push_str(&format!(" {keyword} {}", quote_literal(locale)));
    }
    if let Some(rules) = &database.rules {
        sql.push_str(&format!(" icu_rules {}", quote_literal(rules)));
    }
    sql
}

/// The statements for what CREATE DATABASE does not say. A change of owner comes first, since it
/// rewrites the privileges; the limit last.
fn attributes_sql(database: &Database, config: &CloneConfig) -> Vec<String> {
    let name = quote_identifier(&database.name);
    let owner = quote_identifier(&database.owner);
    let mut statements = Vec::new();
    if !config.schema.no_owner {
        statements.push(format!("alter database {name} owner to {owner}"));
    }
    if let (Some(grants), false) = (&database.grants, config.schema.no_acl) {
        statements.push(format!("revoke all on database {name} from public"));
        if !config.schema.no_owner {
            statements.push(format!("revoke all on database {name} from {owner}"));
        }
        statements.extend(grants.iter().map(|grant| format!("grant {grant}")));
    }
    if let (Some(comment), false) = (&database.comment, config.schema.no_comments) {
        statements.push(format!("comment on database {name} is {}", quote_literal(comment)));
    }
    if database.is_template {
        statements.push(format!("alter database {name} is_template true"));
    }
    if database.connection_limit >= 0 {
        let limit = database.connection_limit;
        statements.push(format!("alter database {name} connection limit {limit}"));
    }
    statements
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

    #[test]
    fn a_provider_comes_with_its_locale_where_the_target_knows_it() {
        let database = Database {
            name: "d\"b".into(),
            encoding: "UTF8".into(),
            collate: "C".into(),
            ctype: "C".into(),
            provider: LocaleProvider::Icu,
            locale: Some("de".into()),
            rules: Some("&a < g".into()),
            ..Database::default()
        };
        let plain = "create database \"d\"\"b\" with template template0 encoding 'UTF8' \
                     lc_collate 'C' lc_ctype 'C'";
        assert_eq!(create_sql(&database, 140_000), plain);
        let icu = format!("{plain} locale_provider icu icu_locale 'de' icu_rules '&a < g'");
        assert_eq!(create_sql(&database, 160_000), icu);
        let libc = Database { provider: LocaleProvider::Libc, ..database };
        assert_eq!(create_sql(&libc, 180_000), format!("{plain} locale_provider libc"));
    }
}
