//! `list depends --list-skipped`: what hangs on tables that are left out.

use serde_json::{Value, json};

use super::catalog::read;
use super::is_wanted;
use crate::base::error::Result;
use crate::base::listing::{Heading, Listing};
use crate::config::ListConfig;

/// Headings of `list depends`.
const DEPENDS: [Heading; 6] = [
    Heading::wide("Schema Name", 20),
    Heading::wide("Table Name", 30),
    Heading::wide("Catalog", 8),
    Heading::wide("OID", 8),
    Heading::wide("Type", 20),
    Heading::last("Identity"),
];

/// Everything that depends on a table that the filters leave out.
pub(super) async fn list(config: &ListConfig) -> Result<Listing> {
    let mut reading = read(config).await?;
    let left_out = reading.catalog.tables.iter().filter(|table| {
        !reading.selection.keeps_table(table.oid)
            && is_wanted(config, &table.name.schema, Some(&table.name.name))
    });
    let oids: Vec<String> = left_out.map(|table| table.oid.to_string()).collect();
    let oids = format!("{{{}}}", oids.join(","));
    let found =
        reading.session.query(include_str!("sql/depends.sql"), &[Some(oids.as_str())]).await?;
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for row in &found.rows {
        let cell = |index| row.optional_text(index).map(Option::unwrap_or_default);
        let cells = [cell(0)?, cell(1)?, cell(2)?, cell(3)?, cell(4)?, cell(5)?];
        let (catalog, oid): (u32, u32) = (row.parse(2)?, row.parse(3)?);
        entries.push(json!({
            "schema": cells[0], "name": cells[1], "catalog": catalog, "oid": oid,
            "type": cells[4], "identity": cells[5],
        }));
        rows.push(cells.map(str::to_owned).to_vec());
    }
    Ok(Listing { headings: &DEPENDS, rows, json: Value::Array(entries) })
}
