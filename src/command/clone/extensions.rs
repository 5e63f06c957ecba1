//! Extensions that are created by name instead of from the archive (`copy extensions`), versions that
//! `--requirements` pins, and what the members of extensions have become on both ends.

use std::collections::BTreeMap;

use super::hooks::Hooks;

use crate::base::error::{Error, Result};
use crate::base::ident::{quote_identifier, quote_literal};
use crate::base::summary::{Finding, Severity};
use crate::catalog::members;
use crate::catalog::model::members::Members;
use crate::catalog::model::{SourceCatalog, TargetFacts};
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::filter::Selection;
use crate::plan::preflight::extensions::changes;

/// What a server could install, one row per version.
const VERSIONS_SQL: &str = "select v.name, v.version \
    from pg_catalog.pg_available_extension_versions v order by v.name, v.version";

/// What a clone needs to know of the source's extensions before their rows arrive.
#[derive(Debug, Default)]
pub(super) struct OfSource {
    members: Members,
    pub(super) hooks: Hooks,
}

/// Reads what a clone needs to know of the source's extensions; their members unless they are known. The
/// session is in no transaction.
///
/// # Errors
/// Those of the queries.
pub(super) async fn read_source(
    config: &CloneConfig,
    facts: &TargetFacts,
    known: Option<&Members>,
    source: &mut Session,
) -> Result<OfSource> {
    if config.skip.extensions {
        return Ok(OfSource::default());
    }
    let members = match known {
        Some(members) => members.clone(),
        None => members::of_all(facts.server.version, source).await?,
    };
    let names: Vec<&str> = members.versions.keys().map(String::as_str).collect();
    let hooks = Hooks::read(&names, source).await?;
    Ok(OfSource { members, hooks })
}

impl OfSource {
    /// Forgets what the filters leave out.
    pub(super) fn keep(&mut self, selection: &Selection) {
        self.members.versions.retain(|name, _| selection.keeps_extension(name));
        self.hooks.keep(selection);
    }

    /// Compares the members with those of the target, where the extensions are by now (D-34).
    ///
    /// # Errors
    /// Only when the session is lost.
    pub(super) async fn compare(&self, target: &mut Session) -> Result<Vec<Finding>> {
        if self.members.versions.is_empty() {
            return Ok(Vec::new());
        }
        let theirs = members::of_all(self.members.server_version, target).await?;
        let unchecked = self.members.unchecked.iter().chain(&theirs.unchecked);
        let unchecked = unchecked.map(|line| Finding {
            severity: Severity::Notice,
            object: "members of extensions".into(),
            reason: format!("not compared: {line}"),
            hint: None,
        });
        let changed = changes(&self.members, &theirs).into_iter().map(|change| Finding {
            severity: change.severity,
            object: change.object,
            reason: change.reason,
            hint: Some(change.fix),
        });
        Ok(changed.chain(unchecked).collect())
    }
}

/// Demands that the target can install every pinned version of an extension that the source uses
/// (D-32).
///
/// # Errors
/// `Config`, naming the versions that it could install.
pub(super) async fn require(
    target: &mut Session,
    catalog: &SourceCatalog,
    facts: &TargetFacts,
    config: &CloneConfig,
) -> Result<()> {
    if config.requirements.is_empty() || config.skip.extensions {
        return Ok(());
    }
    let rows = target.query(VERSIONS_SQL, &[]).await?;
    let mut available: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows.rows {
        available.entry(row.text(0)?.to_owned()).or_default().push(row.text(1)?.to_owned());
    }
    for extension in &catalog.extensions {
        let Some(wanted) = config.requirements.get(&extension.name) else { continue };
        let installed = facts.extensions.iter().find(|(name, _)| *name == extension.name);
        if let Some((name, version)) = installed {
            if version != wanted {
                return Err(Error::config(format!(
                    "option --requirements wants version \"{wanted}\" of extension \"{name}\", the \
                     target has \"{version}\""
                ))
                .hint(
                    "Update the extension there (ALTER EXTENSION … UPDATE), or change the file.",
                ));
            }
            continue;
        }
        let versions = available.get(&extension.name).map(Vec::as_slice).unwrap_or_default();
        if !versions.contains(wanted) {
            let there = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
            return Err(Error::config(format!(
                "option --requirements wants version \"{wanted}\" of extension \"{}\", which the \
                 target cannot install; it has: {there}",
                extension.name
            ))
            .hint(
                "`pgcopydb list extensions --available-versions` shows what a server can install.",
            ));
        }
    }
    Ok(())
}

/// The words that pin a version, to stand before the semicolon of CREATE EXTENSION.
pub(super) fn pin(version: &str) -> String {
    format!(" version {} cascade", quote_literal(version))
}

/// Creates the source's extensions that the target lacks, with what they need. Returns a finding for
/// each that it has in another version.
///
/// # Errors
/// Those of [`require`]; the server's for an extension that it cannot install.
pub(super) async fn create(
    target: &mut Session,
    catalog: &SourceCatalog,
    facts: &TargetFacts,
    config: &CloneConfig,
) -> Result<Vec<Finding>> {
    require(target, catalog, facts, config).await?;
    let mut findings = Vec::new();
    for extension in &catalog.extensions {
        let name = &extension.name;
        if let Some((_, version)) = facts.extensions.iter().find(|(found, _)| found == name) {
            if *version != extension.version {
                findings.push(Finding {
                    severity: Severity::Warning,
                    object: format!("extension {}", quote_identifier(name)),
                    reason: format!(
                        "the source has version {}, the target has version {version}",
                        extension.version
                    ),
                    hint: Some("ALTER EXTENSION … UPDATE brings it to a newer one.".into()),
                });
            }
            continue;
        }
        let schema = quote_identifier(&extension.schema);
        // The server's own schemas are there, and it refuses to be asked for them.
        let create_schema = match extension.schema.starts_with("pg_") {
            true => String::new(),
            false => format!("create schema if not exists {schema}; "),
        };
        let pinned = config.requirements.get(name).map(|version| pin(version));
        let sql = format!(
            "{create_schema}create extension if not exists {} with schema {schema}{}",
            quote_identifier(name),
            pinned.as_deref().unwrap_or(" cascade")
        );
        let doing = || format!("create extension {}", quote_identifier(name));
        target.execute(&sql).await.map_err(|error| error.during(doing()))?;
        tracing::info!(extension = name, "created an extension");
    }
    Ok(findings)
}
