//! The text of the statements that change rows.
//!
//! Every parameter is cast to the type of its column, so that the server never has to guess, and types
//! of extensions are found although `search_path` is empty.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::column_set::ColumnSet;
use super::encode::ColumnForm;
use super::plan::TablePlan;
use super::target::TargetKind;
use crate::base::ident::quote_identifier;

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum StatementKind {
    /// Inserts one row. Parameters: the columns of [`StatementKey::columns`].
    Insert,
    /// Changes the row of a key. Parameters: the columns to set, the key, the guards.
    Update,
    /// Deletes the row of a key. Parameters: the key.
    Delete,
    /// Changes one row found by all of its values. Parameters: the columns to set, all columns as
    /// they were. The column also stands as `lead = value`, for an index.
    UpdateByImage(Option<usize>),
    /// Deletes one row found by all of its values.
    DeleteByImage(Option<usize>),
    /// COPY in text format. Data: the columns of [`StatementKey::columns`].
    CopyText,
    /// COPY in binary format.
    CopyBinary,
    /// Inserts many rows out of arrays.
    InsertRows,
    /// Changes many rows. Parameters: arrays of the columns to set, then of the key.
    UpdateRows,
    /// Deletes many rows. Parameters: arrays of the key.
    DeleteRows,
}

/// What the text of a statement depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StatementKey {
    /// [`TablePlan::index`].
    pub(super) plan: u32,
    /// What it does.
    pub(super) kind: StatementKind,
    /// The columns to set or to insert.
    pub(super) columns: ColumnSet,
    /// The columns whose arrays hold values in binary form.
    pub(super) binary: ColumnSet,
}

/// Texts made so far.
#[derive(Debug, Default)]
pub(super) struct StatementCache {
    texts: HashMap<StatementKey, Arc<str>>,
}

/// Texts kept at most: each combination of columns that updates set is one. A schema of a thousand
/// tables with a few combinations each fits.
const TEXTS_MAX: usize = 20_000;

impl StatementCache {
    /// The text of a statement.
    pub(super) fn text(&mut self, plan: &TablePlan, key: StatementKey) -> Arc<str> {
        if let Some(text) = self.texts.get(&key) {
            return Arc::clone(text);
        }
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        let text: Arc<str> = statement(plan, &key).into();
        self.texts.insert(key, Arc::clone(&text));
        text
    }
}

/// Writes a statement.
fn statement(plan: &TablePlan, key: &StatementKey) -> String {
    match key.kind {
        StatementKind::Insert => insert(plan, key),
        StatementKind::Update => {
            let (set, next) = set_list(plan, &key.columns, 1);
            let table = plan.target.only_sql();
            format!("update {table} as t set {set} where {}", by_key(plan, next, true))
        }
        StatementKind::Delete => {
            format!("delete from {} as t where {}", plan.target.only_sql(), by_key(plan, 1, false))
        }
        StatementKind::UpdateByImage(lead) => {
            let (set, next) = set_list(plan, &key.columns, 1);
            let table = plan.target.only_sql();
            format!("update {table} as t set {set} where {}", by_image(plan, next, lead))
        }
        StatementKind::DeleteByImage(lead) => {
            format!("delete from {} as t where {}", plan.target.only_sql(), by_image(plan, 1, lead))
        }
        StatementKind::CopyText => {
            format!("copy {} ({}) from stdin", plan.target.name.sql(), names(plan, &key.columns))
        }
        StatementKind::CopyBinary => format!(
            "copy {} ({}) from stdin with (format binary)",
            plan.target.name.sql(),
            names(plan, &key.columns)
        ),
        StatementKind::InsertRows => insert_rows(plan, key),
        StatementKind::UpdateRows => update_rows(plan, key),
        StatementKind::DeleteRows => {
            let (from, joined) =
                (arrays(plan, key, plan.shape.key.iter().copied()), join(plan, key, 1));
            format!("delete from {} as t using {from} where {joined}", plan.target.only_sql())
        }
    }
}

/// Inserts one row. Rules of views see the columns by name, too.
fn insert(plan: &TablePlan, key: &StatementKey) -> String {
    let table = plan.target.name.sql();
    if key.columns.is_empty() {
        return format!("insert into {table} default values");
    }
    let values: Vec<String> = key
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| parameter(plan, column, index + 1))
        .collect();
    let names = names(plan, &key.columns);
    format!("insert into {table} ({names}) overriding system value values ({})", values.join(", "))
}

/// Inserts rows out of arrays.
fn insert_rows(plan: &TablePlan, key: &StatementKey) -> String {
    let values: Vec<String> = key
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| element(plan, key, column, index + 1))
        .collect();
    format!(
        "insert into {} ({}) overriding system value select {} from {}",
        plan.target.name.sql(),
        names(plan, &key.columns),
        values.join(", "),
        arrays(plan, key, key.columns.iter())
    )
}

/// Changes rows by a join with arrays.
fn update_rows(plan: &TablePlan, key: &StatementKey) -> String {
    let mut set = String::new();
    let mut next = 1;
    for column in key.columns.iter() {
        let comma = if next > 1 { ", " } else { "" };
        let value = element(plan, key, column, next);
        let _ = write!(set, "{comma}{} = {value}", name(plan, column));
        next += 1;
    }
    let all = key.columns.iter().chain(plan.shape.key.iter().copied());
    format!(
        "update {} as t set {set} from {} where {}",
        plan.target.only_sql(),
        arrays(plan, key, all),
        join(plan, key, next)
    )
}

/// `"a" = $1::type, …` and the number of the next parameter.
fn set_list(plan: &TablePlan, columns: &ColumnSet, first: usize) -> (String, usize) {
    let mut list = String::new();
    let mut next = first;
    for column in columns.iter() {
        let comma = if next > first { ", " } else { "" };
        let _ = write!(list, "{comma}{} = {}", name(plan, column), parameter(plan, column, next));
        next += 1;
    }
    (list, next)
}

/// The condition that finds a row by its key.
fn by_key(plan: &TablePlan, first: usize, guarded: bool) -> String {
    let mut parts = Vec::new();
    let mut next = first;
    for (column, equals) in plan.shape.key.iter().zip(&plan.key_equals) {
        let value = parameter(plan, *column, next);
        parts.push(format!("t.{} {equals} {value}", name(plan, *column)));
        next += 1;
    }
    for column in plan.guards.iter().filter(|_| guarded) {
        let value = parameter(plan, *column, next);
        parts.push(format!("t.{} operator(pg_catalog.=) {value}", name(plan, *column)));
        next += 1;
    }
    parts.join(" and ")
}

/// The condition that finds one of the rows that look the same, byte by byte: `=` would not do for
/// types without it, for NULL, and where it means something else (`box` compares areas).
///
/// The casts to `record` keep the parser from comparing column by column.
fn by_image(plan: &TablePlan, first: usize, lead: Option<usize>) -> String {
    let columns = 0..plan.columns.len();
    let own: Vec<String> = columns.clone().map(|at| format!("s.{}", name(plan, at))).collect();
    let old: Vec<String> = columns.map(|at| parameter(plan, at, first + at)).collect();
    let mut condition = format!(
        "row({})::pg_catalog.record operator(pg_catalog.*=) row({})::pg_catalog.record",
        own.join(", "),
        old.join(", ")
    );
    let equals = lead.and_then(|at| plan.leads.iter().find(|(column, _)| *column == at));
    if let Some((column, equals)) = equals {
        let value = parameter(plan, *column, first + column);
        let _ = write!(condition, " and s.{} {equals} {value}", name(plan, *column));
    }
    let table = plan.target.only_sql();
    match plan.target.kind {
        TargetKind::Partitioned => format!(
            "(t.tableoid, t.ctid) = \
             (select s.tableoid, s.ctid from {table} as s where {condition} limit 1)"
        ),
        _ => format!("t.ctid = (select s.ctid from {table} as s where {condition} limit 1)"),
    }
}

/// `unnest($1::type[], …) as v (p1, …)`. The name stands alone: only then the parser takes several
/// arrays at once.
fn arrays(plan: &TablePlan, key: &StatementKey, columns: impl Iterator<Item = usize>) -> String {
    let (mut arrays, mut names) = (Vec::new(), Vec::new());
    for (index, column) in columns.enumerate() {
        let number = index + 1;
        arrays.push(match form(key, column) {
            ColumnForm::Text => format!("${number}::pg_catalog.text[]"),
            ColumnForm::Binary => format!("${number}::{}[]", type_sql(plan, column)),
        });
        names.push(format!("p{number}"));
    }
    format!("unnest({}) as v ({})", arrays.join(", "), names.join(", "))
}

/// `t."k" = v.p3::type and …`.
fn join(plan: &TablePlan, key: &StatementKey, first: usize) -> String {
    let parts: Vec<String> = plan
        .shape
        .key
        .iter()
        .zip(&plan.key_equals)
        .enumerate()
        .map(|(index, (column, equals))| {
            let value = element(plan, key, *column, first + index);
            format!("t.{} {equals} {value}", name(plan, *column))
        })
        .collect();
    parts.join(" and ")
}

/// An element of an array as a value of its column.
fn element(plan: &TablePlan, key: &StatementKey, column: usize, number: usize) -> String {
    match form(key, column) {
        ColumnForm::Text => format!("v.p{number}::{}", type_sql(plan, column)),
        ColumnForm::Binary => format!("v.p{number}"),
    }
}

/// The form of a column's array.
fn form(key: &StatementKey, column: usize) -> ColumnForm {
    if key.binary.contains(column) { ColumnForm::Binary } else { ColumnForm::Text }
}

/// A parameter as a value of its column.
fn parameter(plan: &TablePlan, column: usize, number: usize) -> String {
    format!("${number}::{}", type_sql(plan, column))
}

/// The type of a column, for a cast.
fn type_sql(plan: &TablePlan, column: usize) -> &str {
    plan.column(column).map_or("pg_catalog.text", |column| &column.type_sql)
}

/// The name of a column, quoted.
fn name(plan: &TablePlan, column: usize) -> String {
    plan.column(column).map(|column| quote_identifier(&column.name)).unwrap_or_default()
}

/// The names of columns, quoted.
fn names(plan: &TablePlan, columns: &ColumnSet) -> String {
    let names: Vec<String> = columns.iter().map(|column| name(plan, column)).collect();
    names.join(", ")
}
