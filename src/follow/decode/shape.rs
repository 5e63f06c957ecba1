//! Relations of plugins that describe none: gathered from the rows, by name.
//!
//! An insert names all columns. An update may leave out those with untouched TOASTed values, a delete
//! names those of the replica identity; both are placed into what is known of the table, so that a
//! relation changes only when the table does (or more of it becomes known).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::follow::change::{Change, Column, OldTuple, Relation, ReplicaIdentity, Tuple, Value};

/// A value with the name and type of its column.
#[derive(Debug)]
pub(super) struct Cell<'a> {
    /// Column.
    pub(super) name: Cow<'a, str>,
    /// Type as the plugin names it.
    pub(super) type_name: Option<Cow<'a, str>>,
    /// Type; 0 when it is not told.
    pub(super) type_oid: u32,
    /// Value.
    pub(super) value: Value,
}

impl Cell<'_> {
    /// Whether this is a value of `column`.
    fn is_of(&self, column: &Column) -> bool {
        self.name == column.name
            && self.type_oid == column.type_oid
            && self.type_name.as_deref() == column.type_name.as_deref()
    }

    /// The column, as far as the cell tells.
    fn column(&self, is_key: bool) -> Column {
        Column {
            name: self.name.clone().into_owned(),
            type_oid: self.type_oid,
            type_modifier: -1,
            type_name: self.type_name.as_deref().map(str::to_owned),
            is_key,
        }
    }
}

/// What a plugin tells of a row before its change.
#[derive(Debug)]
pub(super) enum Before<'a> {
    /// Nothing.
    Untold,
    /// All columns of the replica identity.
    Identity(Vec<Cell<'a>>),
    /// Those of them that are not null.
    NotNull(Vec<Cell<'a>>),
    /// The same, and told only of a key that changed or of a whole row.
    Needed(Vec<Cell<'a>>),
}

/// A change by names.
#[derive(Debug)]
pub(super) enum Named<'a> {
    /// A new row.
    Insert(Vec<Cell<'a>>),
    /// A changed row.
    Update(Before<'a>, Vec<Cell<'a>>),
    /// A removed row.
    Delete(Before<'a>),
}

/// What is known of the tables, by schema and name.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    tables: HashMap<String, HashMap<String, Shape>>,
}

/// What is known of a table.
#[derive(Debug)]
struct Shape {
    relation: Arc<Relation>,
    /// Whether a whole row was seen, and so all columns are known.
    is_complete: bool,
}

impl Shapes {
    /// The relation of a table of which only the name is told.
    pub(super) fn table(&mut self, schema: &str, name: &str) -> Arc<Relation> {
        Arc::clone(&self.shape(schema, name).relation)
    }

    /// A change with its relation and its values in place.
    ///
    /// # Errors
    /// A delete without anything that identifies the row.
    pub(super) fn place(
        &mut self,
        schema: &str,
        name: &str,
        change: Named<'_>,
    ) -> Result<Change, String> {
        let shape = self.shape(schema, name);
        match change {
            Named::Insert(new) => {
                shape.adopt_row(&new, Missing::Dropped);
                let relation = Arc::clone(&shape.relation);
                Ok(Change::Insert { new: tuple(&relation, new, &Value::Unchanged), relation })
            }
            Named::Update(before, new) => {
                shape.adopt_row(&new, Missing::Untouched);
                let needed = matches!(before, Before::Needed(_));
                let old = shape.adopt_before(before);
                let relation = Arc::clone(&shape.relation);
                let new = tuple(&relation, new, &Value::Unchanged);
                // Where nulls are left out, the rest of a whole row looks like a key that stayed.
                let old = old.filter(|old| needed || key_changed(&relation, old, &new));
                Ok(Change::Update { relation, old, new })
            }
            Named::Delete(before) => {
                let missing = || format!("a delete of {schema}.{name} does not say which row");
                let old = shape.adopt_before(before).ok_or_else(missing)?;
                Ok(Change::Delete { relation: Arc::clone(&shape.relation), old })
            }
        }
    }

    /// What is known of a table; nothing at first.
    fn shape(&mut self, schema: &str, name: &str) -> &mut Shape {
        // Two steps without an entry: names are owned only when they are new.
        if !self.tables.contains_key(schema) {
            self.tables.insert(schema.to_owned(), HashMap::new());
        }
        let tables = self.tables.entry(schema.to_owned()).or_default();
        tables.entry(name.to_owned()).or_insert_with(|| Shape {
            relation: Arc::new(Relation {
                oid: 0,
                namespace: schema.to_owned(),
                name: name.to_owned(),
                identity: ReplicaIdentity::Unknown,
                columns: Vec::new(),
            }),
            is_complete: false,
        })
    }
}

/// What it means that a known column is not in a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// The table has lost it.
    Dropped,
    /// Its value is not sent because it was not touched.
    Untouched,
}

impl Shape {
    /// Makes the columns those of a row, keeping what is known of the key.
    fn adopt_row(&mut self, row: &[Cell<'_>], missing: Missing) {
        let known = &self.relation.columns;
        let is_same = row.len() == known.len()
            && row.iter().zip(known).all(|(cell, column)| cell.is_of(column));
        let is_part = || row.iter().all(|cell| known.iter().any(|column| cell.is_of(column)));
        if is_same || (missing == Missing::Untouched && is_part()) {
            self.is_complete |= is_same;
            return;
        }
        let key = |cell: &Cell<'_>| known.iter().any(|c| c.name == cell.name && c.is_key);
        let columns = row.iter().map(|cell| cell.column(key(cell))).collect();
        self.relation = Arc::new(Relation { columns, ..Relation::clone(&self.relation) });
        self.is_complete = true;
    }

    /// Makes the key that of an old row, and places that row.
    fn adopt_before(&mut self, before: Before<'_>) -> Option<OldTuple> {
        let (cells, nulls_are_told) = match before {
            Before::Untold => return None,
            Before::Identity(cells) => (cells, true),
            Before::NotNull(cells) | Before::Needed(cells) => (cells, false),
        };
        if cells.is_empty() {
            return None;
        }
        let mut columns = Cow::Borrowed(&self.relation.columns);
        for cell in &cells {
            if !columns.iter().any(|column| cell.is_of(column)) {
                // Unknown until now, or of another type: an old value of an untouched column, or
                // the first that is seen of the table.
                columns.to_mut().retain(|column| column.name != cell.name);
                columns.to_mut().push(cell.column(true));
            }
        }
        let in_old = |column: &Column| cells.iter().any(|cell| cell.name == column.name);
        // Where nulls are left out, a column that was seen once stays, and an old row that was full
        // stays full: to take an absence for a smaller key could match other rows; like this it
        // matches none if it is not a null, which is noticed.
        let is_key = |column: &Column| in_old(column) || (!nulls_are_told && column.is_key);
        let was_full = !nulls_are_told && self.relation.identity == ReplicaIdentity::Full;
        let is_full = self.is_complete && (was_full || columns.iter().all(in_old));
        let identity = if is_full { ReplicaIdentity::Full } else { ReplicaIdentity::Unknown };
        let is_same = matches!(columns, Cow::Borrowed(_))
            && identity == self.relation.identity
            && columns.iter().all(|column| is_key(column) == column.is_key);
        if !is_same {
            let mut columns = columns.into_owned();
            for column in &mut columns {
                column.is_key = is_key(column);
            }
            self.relation =
                Arc::new(Relation { columns, identity, ..Relation::clone(&self.relation) });
        }
        let tuple = tuple(&self.relation, cells, &Value::Null);
        Some(if is_full { OldTuple::Full(tuple) } else { OldTuple::Key(tuple) })
    }
}

/// A row in the order of its relation; `missing` where it has no value.
fn tuple(relation: &Relation, row: Vec<Cell<'_>>, missing: &Value) -> Tuple {
    let columns = &relation.columns;
    let is_in_order = row.len() == columns.len()
        && row.iter().zip(columns).all(|(cell, column)| cell.name == column.name);
    if is_in_order {
        return row.into_iter().map(|cell| cell.value).collect();
    }
    let mut tuple = vec![missing.clone(); columns.len()];
    for cell in row {
        let position = columns.iter().position(|column| column.name == cell.name);
        if let Some(place) = position.and_then(|position| tuple.get_mut(position)) {
            *place = cell.value;
        }
    }
    tuple
}

/// Whether an old row says more than the new one: a key whose values stayed says nothing.
fn key_changed(relation: &Relation, old: &OldTuple, new: &Tuple) -> bool {
    match old {
        OldTuple::Full(_) => true,
        OldTuple::Key(old) => {
            let values = relation.columns.iter().zip(old).zip(new);
            values.filter(|((column, _), _)| column.is_key).any(|((_, old), new)| old != new)
        }
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
