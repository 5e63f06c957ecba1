//! A database on the target: made where it is missing, given its attributes when its content is there.

use std::path::{Path, PathBuf};

use super::{connect, file_name, sub_directory};
use crate::base::error::{Error, Result, Side};
use crate::base::ident::{quote_identifier, quote_literal};
use crate::base::summary::{Finding, Severity};
use crate::catalog::fetch;
use crate::catalog::model::{Database, LocaleProvider};
use crate::config::CloneConfig;

/// First version whose CREATE DATABASE knows LOCALE_PROVIDER.
const VERSION_LOCALE_PROVIDER: u32 = 150_000;

/// Which attributes of a database are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attributes {
    /// All of them.
    All,
    /// All but the limit of connections, which would stand in the way of what is still applied.
    WithoutLimit,
}

/// A database and its place on the target.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The settings of its copy.
    pub(super) config: CloneConfig,
    /// The settings of the whole run.
    all: CloneConfig,
    database: Database,
    /// Exists when the database was made by us.
    marker: PathBuf,
}

impl Place {
    /// The place of a database in the work directory `top`.
    pub(super) fn new(all: &CloneConfig, database: &Database, top: &Path) -> Self {
        let name = &database.name;
        let config = CloneConfig {
            source: all.source.with_dbname(name),
            target: all.target.with_dbname(name),
            directory: sub_directory(top, name),
            roles: false,
            ..all.clone()
        };
        let marker = top.join("schema").join(format!("{}.created", file_name(name)));
        Self { config, all: all.clone(), database: database.clone(), marker }
    }

    /// Creates the database unless it is among the `existing` ones.
    ///
    /// # Errors
    /// The target's; those of the file that remembers who made it.
    pub(super) async fn make(&self, existing: &mut Vec<String>) -> Result<()> {
        if existing.contains(&self.database.name) {
            return Ok(());
        }
        // Written before the database is created: a run that was interrupted still knows that the
        // database is its own, and sets its attributes in the end.
        std::fs::write(&self.marker, "").map_err(|error| Error::file(&self.marker, error))?;
        self.create().await?;
        existing.push(self.database.name.clone());
        Ok(())
    }

    /// Creates the database.
    async fn create(&self) -> Result<()> {
        let mut target = connect(Side::Target, &self.all.target).await?;
        let version = fetch::server(&mut target).await?.version;
        let mut sql = create_sql(&self.database, version);
        if let Some(tablespace) = &self.database.tablespace
            && !self.all.schema.no_tablespaces
        {
            sql.push_str(&format!(" tablespace {}", quote_identifier(tablespace)));
        }
        target.execute(&sql).await.map(drop).map_err(|error| {
            error.during("create database").hint(
                "Create it on the target as it shall be, with a locale that the target has, and \
                 run the same command again.",
            )
        })
    }

    /// Sets what belongs to the database itself, when it is one that we made. What the target refuses is
    /// a finding.
    ///
    /// # Errors
    /// A session that is lost.
    pub(super) async fn set_attributes(&self, which: Attributes) -> Result<Vec<Finding>> {
        let name = &self.database.name;
        if !self.marker.exists() {
            tracing::info!(
                database = name,
                "the database was there before: its owner, privileges and limits stay as they are"
            );
            return Ok(Vec::new());
        }
        let mut target = connect(Side::Target, &self.all.target).await?;
        let mut findings = Vec::new();
        for sql in attributes_sql(&self.database, &self.all, which) {
            match target.execute(&sql).await {
                Ok(_) => {}
                Err(error) if target.is_broken() => return Err(error),
                Err(error) => findings.push(Finding {
                    severity: Severity::Warning,
                    object: format!("database {}", quote_identifier(name)),
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
fn attributes_sql(database: &Database, config: &CloneConfig, which: Attributes) -> Vec<String> {
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
    if database.connection_limit >= 0 && which == Attributes::All {
        let limit = database.connection_limit;
        statements.push(format!("alter database {name} connection limit {limit}"));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

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
