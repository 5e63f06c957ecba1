//! `list extensions` in its three forms.

use serde_json::{Value, json};

use super::catalog::{begin, read};
use crate::base::error::{Error, Result};
use crate::base::listing::{Heading, Listing};
use crate::config::ListConfig;

/// Headings of the extensions that are installed.
const INSTALLED: [Heading; 5] = [
    Heading::wide("OID", 10),
    Heading::wide("Name", 25),
    Heading::wide("Schema", 20),
    Heading::wide("Count", 10),
    Heading::last("Config"),
];

/// Headings of the extensions that could be installed.
const AVAILABLE: [Heading; 3] =
    [Heading::wide("Name", 20), Heading::wide("Default", 20), Heading::last("Available")];

/// Headings of the requirements.
const REQUIREMENTS: [Heading; 2] = [Heading::wide("Name", 30), Heading::last("Version")];

/// The extensions that the source uses, with their configuration tables.
pub(super) async fn installed(config: &ListConfig) -> Result<Listing> {
    let reading = read(config).await?;
    let catalog = &reading.catalog;
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    let mut extensions: Vec<_> = catalog.extensions.iter().collect();
    extensions.sort_by(|a, b| a.name.cmp(&b.name));
    for extension in extensions {
        let name_of = |oid: u32| {
            (catalog.tables.iter().find(|table| table.oid == oid).map(|table| &table.name)).or_else(
                || catalog.sequences.iter().find(|one| one.oid == oid).map(|one| &one.name),
            )
        };
        let names: Vec<_> =
            extension.config_tables.iter().filter_map(|(oid, _)| name_of(*oid)).collect();
        let text: Vec<String> = names.iter().map(ToString::to_string).collect();
        entries.push(json!({
            "oid": extension.oid,
            "name": extension.name,
            "schema": extension.schema,
            "config": names.iter()
                .map(|name| json!({ "schema": name.schema, "name": name.name }))
                .collect::<Vec<_>>(),
        }));
        rows.push(vec![
            extension.oid.to_string(),
            extension.name.clone(),
            extension.schema.clone(),
            extension.config_tables.len().to_string(),
            text.join(", "),
        ]);
    }
    Ok(Listing { headings: &INSTALLED, rows, json: Value::Array(entries) })
}

/// The extensions that a target must have, with the source's versions.
pub(super) async fn requirements(config: &ListConfig) -> Result<Listing> {
    let reading = read(config).await?;
    let mut extensions: Vec<_> = reading.catalog.extensions.iter().collect();
    extensions.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = extensions.iter().map(|one| vec![one.name.clone(), one.version.clone()]).collect();
    let entries = extensions.iter().map(|one| json!({ "name": one.name, "version": one.version }));
    Ok(Listing { headings: &REQUIREMENTS, rows, json: Value::Array(entries.collect()) })
}

/// The extensions that the source could install, with their versions.
pub(super) async fn available(config: &ListConfig) -> Result<Listing> {
    let mut session = begin(config).await?;
    let sql = include_str!("sql/available_extension_versions.sql");
    let found = session.query(sql, &[]).await?;
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for row in &found.rows {
        let (name, default) = (row.text(0)?, row.text(1)?);
        let versions: Vec<String> = serde_json::from_str(row.optional_text(2)?.unwrap_or("[]"))
            .map_err(|error| Error::internal(format!("versions of extension {name}: {error}")))?;
        entries.push(json!({ "name": name, "default": default, "versions": versions }));
        rows.push(vec![name.to_owned(), default.to_owned(), versions.join(", ")]);
    }
    Ok(Listing { headings: &AVAILABLE, rows, json: Value::Array(entries) })
}
