//! What a person is told when a change cannot be applied.

use super::batch::Batch;
use super::reduce::KeyAt;
use super::row::{Row, RowOp, Step, value_bytes};
use super::train::Failure;
use crate::base::error::{Error, Side};
use crate::follow::change::{Relation, Value};

/// The error of a batch that could not be applied.
pub(super) fn explain(failure: Failure, batch: &Batch) -> Error {
    let (error, step) = match failure {
        Failure::Error(error, step) => (error, step),
        Failure::Rows => (Error::internal("a net effect was not checked row by row"), None),
        Failure::Position => (
            Error::state("the position on the target was moved by another process").hint(
                "Only one pgcopydb can apply changes under one origin name; stop the other one.",
            ),
            None,
        ),
    };
    let error = match step.and_then(|step| batch.steps.get(step)) {
        Some(Step::Row(row)) => error.during(describe_row(row)),
        Some(Step::Truncate(truncate)) => {
            let names: Vec<String> =
                truncate.plans.iter().map(|plan| plan.target.name.to_string()).collect();
            error.during(format!("truncate {}", names.join(", ")))
        }
        None => error,
    };
    let bound = batch.bounds.iter().find(|bound| step.is_none_or(|step| step < bound.steps));
    match bound {
        Some(bound) => {
            error.during(format!("apply transaction {} committed at {}", bound.xid, bound.end_lsn))
        }
        None => error,
    }
}

/// What is wrong with a step that touched another number of rows than one.
pub(super) fn missed_row(row: &Row, rows: u64) -> String {
    let key = key_text(row);
    format!("{} where {key} touched {rows} rows, expected 1", describe_row(row))
}

/// What a step does, without values.
fn describe_row(row: &Row) -> String {
    let verb = match row.op {
        RowOp::Insert(_) => "insert into",
        RowOp::Update(..) => "update",
        RowOp::Delete(_) => "delete from",
    };
    format!("{verb} {}", row.plan.target.name)
}

/// The key of a change as a condition.
fn key_text(row: &Row) -> String {
    let ops = [&row.op];
    let tuple = KeyAt::Identity(0).tuple(&ops).or_else(|| KeyAt::New(0).tuple(&ops));
    let Some(tuple) = tuple else { return "(no key)".to_owned() };
    let all: Vec<usize> = (0..row.plan.columns.len()).collect();
    let key = if row.plan.shape.key.is_empty() { &all } else { &row.plan.shape.key };
    let parts: Vec<String> = key
        .iter()
        .filter_map(|&column| {
            let name = &row.plan.column(column)?.name;
            Some(format!("{name} = {}", value_text(tuple.get(column)?)))
        })
        .collect();
    parts.join(" and ")
}

/// Longest value shown, in bytes.
const VALUE_BYTES_MAX: usize = 64;

/// A value for people.
fn value_text(value: &Value) -> String {
    let Some(bytes) = value_bytes(value) else { return "null".to_owned() };
    let shown = bytes.get(..VALUE_BYTES_MAX).unwrap_or(bytes);
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    match value {
        Value::Binary(_) => {
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{hex}{more}")
        }
        _ => format!("{}{more}", String::from_utf8_lossy(shown)),
    }
}

/// An error for a relation of the stream that the target does not have.
pub(super) fn missing_table(relation: &Relation) -> Error {
    let name = crate::base::ident::QualifiedName::new(&relation.namespace, &relation.name);
    Error::data(
        Side::Target,
        format!("table {name} does not exist, its source has {}", columns(relation)),
    )
    .hint(
        "Create the table on the target, with the rows it had before this change, and start \
             again; or leave it out with a filter.",
    )
}

/// An error for a relation whose columns the target lacks.
pub(super) fn missing_columns(relation: &Relation, target: &str, missing: &[String]) -> Error {
    let text = format!(
        "{target} lacks the column{} {} of its source, which has {}",
        if missing.len() == 1 { "" } else { "s" },
        missing.join(", "),
        columns(relation)
    );
    Error::data(Side::Target, text)
        .hint("Alter the table on the target like the source's was altered, and start again.")
}

/// An error for columns that became wider on the source than the target's are.
pub(super) fn narrowed(relation: &Relation, target: &str, columns_narrowed: &[String]) -> Error {
    let text = format!(
        "the type of {} changed on the source, which has {}, and {target} would round its values",
        columns_narrowed.join(", "),
        columns(relation)
    );
    Error::data(Side::Target, text)
        .hint("Alter the table on the target like the source's was altered, and start again.")
}

/// The columns of a relation of the stream.
fn columns(relation: &Relation) -> String {
    let columns: Vec<String> = relation
        .columns
        .iter()
        .map(|column| match &column.type_name {
            Some(name) => format!("{} {name}", column.name),
            None => column.name.clone(),
        })
        .collect();
    format!("({})", columns.join(", "))
}
