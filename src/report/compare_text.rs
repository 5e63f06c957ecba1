//! Comparisons as text.

use std::fmt::Write as _;

use super::table::{self, Column};
use crate::base::comparison::{
    ObjectDifference, RowDifference, RowState, SchemaComparison, TableComparison, TableDigest,
};

/// The rows of tables: one line per table with both checksums, a `!` between them where it differs;
/// then one line per remark and per row.
pub fn data(tables: &[(String, &TableComparison)]) -> String {
    let columns = [
        Column::right("Table Name"),
        Column::left("!"),
        Column::left("Source Checksum"),
        Column::left("Target Checksum"),
    ];
    let checksum = |digest: &Option<TableDigest>| {
        digest.as_ref().map_or_else(|| "-".to_owned(), |digest| digest.checksum.clone())
    };
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|(name, table)| {
            let mark = if table.is_same() { "" } else { "!" };
            vec![name.clone(), mark.to_owned(), checksum(&table.source), checksum(&table.target)]
        })
        .collect();
    let mut text = table::render(&columns, &rows);
    let differing = tables.iter().filter(|(_, table)| !table.is_same());
    let details: String = differing.map(|(name, table)| details(name, table)).collect();
    if !details.is_empty() {
        text.push('\n');
        text.push_str(&details);
    }
    text
}

/// Most characters of a value in a line; JSON has it whole.
const VALUE_CHARS_MAX: usize = 200;

/// Definitions: one line per difference, `kind object: property: source value, target value`, with
/// `prefix` before each.
pub fn schema(prefix: &str, found: &SchemaComparison) -> String {
    found.differences.iter().map(|one| format!("{prefix}{}", difference(one))).collect()
}

/// One difference of two schemas.
fn difference(found: &ObjectDifference) -> String {
    let ObjectDifference { kind, object, property, source, target } = found;
    let object = object.replace('\n', "\\n");
    match (source, target) {
        (Some(_), None) => format!("{kind} {object}: exists on the source only\n"),
        (None, Some(_)) => format!("{kind} {object}: exists on the target only\n"),
        (source, target) => {
            let [source, target] = [source, target].map(|value| shortened(value.as_deref()));
            format!("{kind} {object}: {property}: source {source}, target {target}\n")
        }
    }
}

/// A value on one line.
fn shortened(value: Option<&str>) -> String {
    let words: Vec<&str> = value.unwrap_or("none").split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{} …", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// What differs in a table, one line each.
fn details(name: &str, table: &TableComparison) -> String {
    let mut text = String::new();
    for remark in &table.remarks {
        let _ = writeln!(text, "{name}: {remark}");
    }
    if let Some(error) = &table.error {
        let _ = writeln!(text, "{name}: could not be compared: {error}");
    }
    if let (Some(source), Some(target)) = (&table.source, &table.target)
        && source != target
    {
        let (a, b) = (source.rows, target.rows);
        let _ = match a == b {
            true => writeln!(text, "{name}: {a} rows on both sides, of other content"),
            false => writeln!(text, "{name}: {a} rows on the source, {b} on the target"),
        };
    }
    if let Some(rows) = &table.rows {
        for found in &rows.rows {
            let _ = writeln!(text, "{name}: {}", row(found));
        }
        if !rows.complete {
            let _ = writeln!(text, "{name}: and others");
        }
    }
    text
}

/// One row: `row (id = 5) differs in name`.
fn row(row: &RowDifference) -> String {
    let key: Vec<String> = (row.key.iter())
        .map(|(name, value)| format!("{name} = {}", value.as_deref().unwrap_or("NULL")))
        .collect();
    let what = match row.state {
        RowState::SourceOnly => "is on the source only".to_owned(),
        RowState::TargetOnly => "is on the target only".to_owned(),
        RowState::Differs if row.columns.is_empty() => "differs".to_owned(),
        RowState::Differs => format!("differs in {}", row.columns.join(", ")),
    };
    let times = if row.count > 1 { format!(", {} times", row.count) } else { String::new() };
    format!("row ({}) {what}{times}", key.join(", ").replace('\n', "\\n"))
}
