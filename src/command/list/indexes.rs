//! `list indexes`.

use serde_json::{Value, json};

use super::catalog::read;
use super::is_wanted;
use crate::base::error::Result;
use crate::base::listing::{Heading, Listing};
use crate::config::ListConfig;

/// Headings of `list indexes`.
const INDEXES: [Heading; 6] = [
    Heading::wide("OID", 8),
    Heading::wide("Schema", 10),
    Heading::wide("Index Name", 20),
    Heading::wide("Constraint Name", 20),
    Heading::wide("Constraint", 25),
    Heading::last("DDL"),
];

/// The indexes that are kept, or those that are left out, with the constraints they stand for.
pub(super) async fn list(config: &ListConfig) -> Result<Listing> {
    let reading = read(config).await?;
    let (catalog, selection) = (&reading.catalog, &reading.selection);
    let mut listed = Vec::new();
    for index in &catalog.indexes {
        let Some(table) = catalog.tables.iter().find(|table| table.oid == index.table_oid) else {
            continue;
        };
        let kept = selection.keeps_table(table.oid) && selection.keeps_index(index.oid);
        if kept != config.skipped
            && table.extension.is_none()
            && is_wanted(config, &table.name.schema, Some(&table.name.name))
        {
            listed.push((index, table));
        }
    }
    listed.sort_by_key(|(index, table)| (&table.name, &index.name));
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for (index, table) in listed {
        let constraint = index
            .constraint_oid
            .and_then(|oid| catalog.constraints.iter().find(|constraint| constraint.oid == oid));
        let name = constraint.map(|one| one.name.clone()).unwrap_or_default();
        let definition = constraint.map(|one| one.definition.clone()).unwrap_or_default();
        entries.push(json!({
            "oid": index.oid,
            "schema": index.name.schema,
            "name": index.name.name,
            "table": table.name.to_string(),
            "constraint": constraint.map(|one| json!({
                "oid": one.oid, "name": one.name, "sql": one.definition,
            })),
            "sql": index.definition,
        }));
        rows.push(vec![
            index.oid.to_string(),
            index.name.schema.clone(),
            index.name.name.clone(),
            name,
            definition,
            index.definition.clone(),
        ]);
    }
    Ok(Listing { headings: &INDEXES, rows, json: Value::Array(entries) })
}
