//! `list sequences`.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::catalog::read;
use super::is_wanted;
use crate::base::error::Result;
use crate::base::listing::{Heading, Listing};
use crate::config::ListConfig;

/// Headings of `list sequences`; the last three are identifiers: the table that owns the sequence, the
/// table whose default reads it, and that default.
const SEQUENCES: [Heading; 6] = [
    Heading::wide("OID", 8),
    Heading::wide("Schema Name", 20),
    Heading::wide("Sequence Name", 30),
    Heading::wide("Owned By", 10),
    Heading::wide("attrelid", 10),
    Heading::wide("attroid", 10),
];

/// The sequences that are kept, or those that are left out; one row per column default.
pub(super) async fn list(config: &ListConfig) -> Result<Listing> {
    let mut reading = read(config).await?;
    let found = reading.session.query(include_str!("sql/sequence_owners.sql"), &[]).await?;
    let mut owners: HashMap<u32, Vec<[u32; 3]>> = HashMap::new();
    for row in &found.rows {
        let entry = [row.parse(1)?, row.parse(2)?, row.parse(3)?];
        owners.entry(row.parse(0)?).or_default().push(entry);
    }
    let mut sequences: Vec<_> = (reading.catalog.sequences.iter())
        .filter(|one| one.extension.is_none())
        .filter(|one| reading.selection.keeps_sequence(one.oid) != config.skipped)
        .filter(|one| is_wanted(config, &one.name.schema, None))
        .collect();
    sequences.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for sequence in sequences {
        for [owned_by, table, default] in owners.get(&sequence.oid).into_iter().flatten() {
            entries.push(json!({
                "oid": sequence.oid,
                "schema": sequence.name.schema,
                "name": sequence.name.name,
                "ownedby": owned_by,
                "attrelid": table,
                "attroid": default,
            }));
            rows.push(vec![
                sequence.oid.to_string(),
                sequence.name.schema.clone(),
                sequence.name.name.clone(),
                owned_by.to_string(),
                table.to_string(),
                default.to_string(),
            ]);
        }
    }
    Ok(Listing { headings: &SEQUENCES, rows, json: Value::Array(entries) })
}
