//! Extensions that are created by name instead of from the archive: `copy extensions`, and versions
//! that `--requirements` pins.

use std::collections::BTreeMap;

use crate::base::error::{Error, Result};
use crate::base::ident::{quote_identifier, quote_literal};
use crate::base::summary::{Finding, Severity};
use crate::catalog::model::{SourceCatalog, TargetFacts};
use crate::config::CloneConfig;
use crate::connect::client::Session;

/// What a server could install, one row per version.
const VERSIONS_SQL: &str = "select v.name, v.version \
    from pg_catalog.pg_available_extension_versions v order by v.name, v.version";

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
        let pinned = config.requirements.get(name).map(|version| pin(version));
        let sql = format!(
            "create schema if not exists {schema}; \
             create extension if not exists {} with schema {schema}{}",
            quote_identifier(name),
            pinned.as_deref().unwrap_or(" cascade")
        );
        let doing = || format!("create extension {}", quote_identifier(name));
        target.execute(&sql).await.map_err(|error| error.during(doing()))?;
        tracing::info!(extension = name, "created an extension");
    }
    Ok(findings)
}
