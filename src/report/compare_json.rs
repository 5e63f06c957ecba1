//! Comparisons as JSON.

use serde_json::{Map, Value, json};

use crate::base::comparison::{
    ObjectDifference, Presence, RowDifference, SchemaComparison, TableComparison, TableDigest,
};
use crate::base::error::{Error, Result};

/// The rows of tables: an array with `schema`, `name`, `source` and `target` per table, each side with
/// `rowcount` and `checksum`, or null where there is nothing; then what differs.
///
/// # Errors
/// Never in practice; `Internal` when a value cannot be written.
pub fn data(tables: &[TableComparison]) -> Result<String> {
    write(&Value::Array(tables.iter().map(table).collect()))
}

/// The same for several databases: an array with `database`, `exists` and `tables`.
///
/// # Errors
/// As [`data`].
pub fn data_of_databases<'a>(
    databases: impl Iterator<Item = (&'a str, Presence, &'a [TableComparison])>,
) -> Result<String> {
    let entry = |(name, presence, tables): (&str, Presence, &[TableComparison])| {
        let tables: Vec<Value> = tables.iter().map(table).collect();
        json!({ "database": name, "exists": presence.word(), "tables": tables })
    };
    write(&Value::Array(databases.map(entry).collect()))
}

/// Definitions: an object with `same`, the number of objects per kind, and the differences.
///
/// # Errors
/// Never in practice; `Internal` when a value cannot be written.
pub fn schema(found: &SchemaComparison) -> Result<String> {
    write(&schema_value(found))
}

/// The same for several databases: an array of such objects with `database` and `exists`.
///
/// # Errors
/// As [`schema`].
pub fn schema_of_databases<'a>(
    databases: impl Iterator<Item = (&'a str, Presence, &'a SchemaComparison)>,
) -> Result<String> {
    let entry = |(name, presence, found): (&str, Presence, &SchemaComparison)| {
        let mut value = schema_value(found);
        value["database"] = name.into();
        value["exists"] = presence.word().into();
        value["same"] = (presence.is_both() && found.differences.is_empty()).into();
        value
    };
    write(&Value::Array(databases.map(entry).collect()))
}

/// One schema.
fn schema_value(found: &SchemaComparison) -> Value {
    let counts: Vec<Value> = (found.counts.iter())
        .map(|(kind, source, target)| json!({ "kind": kind, "source": source, "target": target }))
        .collect();
    let difference = |one: &ObjectDifference| {
        json!({
            "kind": one.kind,
            "object": one.object,
            "property": one.property,
            "source": one.source,
            "target": one.target,
        })
    };
    json!({
        "same": found.differences.is_empty(),
        "objects": counts,
        "differences": found.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

/// Writes a value with line breaks.
fn write(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| Error::internal(format!("a comparison cannot be written: {error}")))
}

/// One table.
fn table(table: &TableComparison) -> Value {
    let mut object = json!({
        "schema": table.name.schema,
        "name": table.name.name,
        "source": table.source.as_ref().map(digest),
        "target": table.target.as_ref().map(digest),
        "same": table.is_same(),
        "remarks": table.remarks,
        "error": table.error,
    });
    if let (Some(rows), Value::Object(object)) = (&table.rows, &mut object) {
        object.insert("rows".into(), rows.rows.iter().map(row).collect());
        object.insert("rows_complete".into(), rows.complete.into());
    }
    object
}

/// One side of a table.
fn digest(digest: &TableDigest) -> Value {
    json!({ "rowcount": digest.rows, "checksum": digest.checksum })
}

/// One row.
fn row(row: &RowDifference) -> Value {
    let key: Map<String, Value> =
        row.key.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({ "state": row.state.word(), "key": key, "columns": row.columns, "count": row.count })
}
