//! `list tables`, `list table-parts`.

use serde_json::{Value, json};

use super::catalog::{Reading, read};
use super::{is_wanted, unknown_table};
use crate::base::error::Result;
use crate::base::listing::{Heading, Listing};
use crate::base::units::{ByteSize, Count};
use crate::catalog::model::{Table, TableKind};
use crate::config::ListConfig;
use crate::plan::{Part, PartRange};

/// Headings of `list tables`.
const TABLES: [Heading; 5] = [
    Heading::wide("OID", 8),
    Heading::wide("Schema Name", 20),
    Heading::wide("Table Name", 20),
    Heading::wide("Est. Row Count", 15),
    Heading::wide("On-disk size", 15),
];

/// Headings of `list table-parts`.
const PARTS: [Heading; 4] = [
    Heading::wide("Part", 12),
    Heading::wide("Min", 12),
    Heading::wide("Max", 12),
    Heading::wide("Count", 12),
];

/// What stands for rows that were never estimated.
const UNKNOWN: &str = "unknown";

/// The tables whose rows are copied, largest first; with `--list-skipped` the tables, partitioned ones
/// and materialized views included, that the filters leave out.
pub(super) async fn list(config: &ListConfig) -> Result<Listing> {
    let reading = read(config).await?;
    let tables: Vec<&Table> =
        reading.catalog.tables.iter().filter(|table| is_listed(config, &reading, table)).collect();
    let bytes = tables.iter().map(|table| table.bytes).sum();
    let rows: u64 = tables.iter().filter_map(|table| estimate(table)).sum();
    tracing::info!(
        "found {} tables with {} rows and {} on disk",
        Count(tables.len() as u64),
        Count(rows),
        ByteSize(bytes)
    );
    let entries = tables.iter().map(|table| {
        json!({
            "oid": table.oid,
            "schema": table.name.schema,
            "name": table.name.name,
            "qname": table.name.to_string(),
            "reltuples": estimate(table),
            "bytes": table.bytes,
            "bytes-pretty": ByteSize(table.bytes).to_string(),
        })
    });
    Ok(Listing {
        headings: &TABLES,
        rows: tables.iter().map(|table| row(table)).collect(),
        json: Value::Array(entries.collect()),
    })
}

/// Whether a table belongs into the list.
fn is_listed(config: &ListConfig, reading: &Reading, table: &Table) -> bool {
    let kept = reading.selection.keeps_table(table.oid);
    let selected = match config.skipped {
        true => !kept && table.kind != TableKind::Foreign,
        false => kept && table.kind == TableKind::Ordinary,
    };
    selected
        && table.extension.is_none()
        && is_wanted(config, &table.name.schema, Some(&table.name.name))
        && !(config.without_primary_key && reading.has_primary_key(table.oid))
}

/// Estimated rows; `None` when never analyzed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; `as` saturates"
)]
pub(super) fn estimate(table: &Table) -> Option<u64> {
    table.row_estimate.map(|rows| rows as u64)
}

/// The cells of one table.
fn row(table: &Table) -> Vec<String> {
    vec![
        table.oid.to_string(),
        table.name.schema.clone(),
        table.name.name.clone(),
        estimate(table).map_or_else(|| UNKNOWN.to_owned(), |rows| Count(rows).to_string()),
        ByteSize(table.bytes).to_string(),
    ]
}

/// The parts that a table is copied in.
///
/// # Errors
/// `Config` for a table that the source does not have.
pub(super) async fn parts(config: &ListConfig) -> Result<Listing> {
    let mut reading = read(config).await?;
    let plan = reading.plan(config).await?;
    let schema = config.schema.as_deref().unwrap_or("public");
    let name = config.table.as_deref().unwrap_or_default();
    let found = plan.tables.iter().find(|one| one.name.schema == schema && one.name.name == name);
    let table = found.ok_or_else(|| unknown_table(schema, name))?;
    let total = table.parts.len();
    if total < 2 {
        tracing::info!(table = %table.name, "the table is copied as a whole");
    }
    let entries = table.parts.iter().map(|part| part_json(part, total)).collect();
    let rows = table.parts.iter().map(|part| {
        let bounds = Bounds::of(&part.range);
        vec![
            format!("{}/{total}", part.index + 1),
            bounds.min,
            bounds.max,
            bounds.count.map_or_else(String::new, |count| count.to_string()),
        ]
    });
    Ok(Listing { headings: &PARTS, rows: rows.collect(), json: Value::Array(entries) })
}

/// A part as `schema.json` has it; its number is counted from 1.
pub(super) fn part_json(part: &Part, total: usize) -> Value {
    let bounds = Bounds::of(&part.range);
    json!({
        "number": part.index + 1,
        "total": total,
        "min": bounds.min,
        "max": bounds.max,
        "count": bounds.count,
    })
}

/// What a part holds, both ends included; empty text where it is open.
struct Bounds {
    min: String,
    max: String,
    /// Blocks, or keys that there may be.
    count: Option<u64>,
}

impl Bounds {
    /// The bounds of a range.
    fn of(range: &PartRange) -> Self {
        let block = |block: u32| format!("({block},0)");
        match range {
            PartRange::Whole => Self { min: String::new(), max: String::new(), count: None },
            PartRange::Ctid { from_block, to_block } => Self {
                min: block(*from_block),
                max: to_block.map_or_else(String::new, block),
                count: to_block.map(|to| u64::from(to.saturating_sub(*from_block))),
            },
            PartRange::Key { from, to, .. } => {
                let last = to.map(|to| to.saturating_sub(1));
                let text = |key: Option<i64>| key.map_or_else(String::new, |key| key.to_string());
                let count = from.zip(*to).map(|(from, to)| to.abs_diff(from));
                Self { min: text(*from), max: text(last), count }
            }
            PartRange::KeyNull { .. } => {
                Self { min: "null".into(), max: "null".into(), count: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // trap S-7
    #[test]
    fn key_bounds_include_both_ends_whatever_their_sign() {
        let range = PartRange::Key { column: "k".into(), from: Some(-5), to: Some(0) };
        let bounds = Bounds::of(&range);
        assert_eq!((bounds.min.as_str(), bounds.max.as_str()), ("-5", "-1"));
        assert_eq!(bounds.count, Some(5));
        let all = PartRange::Key { column: "k".into(), from: Some(i64::MIN), to: Some(i64::MAX) };
        assert_eq!(Bounds::of(&all).count, Some(u64::MAX));
    }
}
