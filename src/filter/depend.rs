//! What follows from the choice of tables: the closure over dependencies that the catalog model knows.
//!
//! | left out | so is |
//! |---|---|
//! | partitioned table | its partitions, unless a rule lists them by name |
//! | inheritance parent | its children: their definition names it |
//! | table | its indexes, constraints, foreign keys to it, sequences that only it uses |
//! | partitioned index | the indexes attached to it |
//! | index | its constraint, foreign keys that stand on it |
//!
//! Where tables are listed (`[include-only-table]`), a partitioned table stands for its whole tree, and
//! an inheritance parent of a listed table is created without rows.
//!
//! Views, functions, triggers and the like are not in the model: see `dependent`. To add one more dependency: a function here, called by [`close`].

use std::collections::HashMap;

use super::selection::{Dropped, Selection};
use crate::catalog::model::{Oid, SourceCatalog, Table, TableKind};

/// Extends a selection to all that depends on what is left out.
pub(super) fn close(
    catalog: &SourceCatalog,
    tables_listed: bool,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    let tables: HashMap<Oid, &Table> =
        catalog.tables.iter().map(|table| (table.oid, table)).collect();
    if tables_listed {
        take_partitions_in(catalog, &tables, selection, reasons);
        take_parents_in(catalog, &tables, selection, reasons);
    } else {
        leave_members_out(catalog, &tables, selection, reasons);
    }
    leave_rows_of_partitions_out(catalog, &tables, selection, reasons);
    leave_indexes_out(catalog, selection, reasons);
    leave_constraints_out(catalog, selection);
    leave_sequences_out(catalog, selection, reasons);
}

/// A listed partitioned table stands for its tree; what its schema leaves out stays out.
fn take_partitions_in(
    catalog: &SourceCatalog,
    tables: &HashMap<Oid, &Table>,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    let taken: Vec<Oid> = catalog
        .tables
        .iter()
        .filter(|table| {
            selection.tables.contains(&table.oid)
                && !selection.schema_names.contains(&table.name.schema)
                && ancestors(table, tables).any(|above| selection.keeps_table(above.oid))
        })
        .map(|table| table.oid)
        .collect();
    for oid in taken {
        selection.tables.remove(&oid);
        reasons.remove(&oid);
    }
}

/// A listed table is created INHERITS its parents, so these are created too, without rows.
fn take_parents_in(
    catalog: &SourceCatalog,
    tables: &HashMap<Oid, &Table>,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    let mut open: Vec<Oid> = catalog
        .tables
        .iter()
        .filter(|table| selection.keeps_table(table.oid))
        .flat_map(|table| table.inherits.iter().copied())
        .collect();
    while let Some(oid) = open.pop() {
        let Some(table) = tables.get(&oid) else { continue };
        if selection.schema_names.contains(&table.name.schema) || !selection.tables.remove(&oid) {
            continue;
        }
        selection.data.insert(oid);
        reasons.insert(oid, "only listed tables that inherit from it are wanted".to_owned());
        open.extend(table.inherits.iter().copied());
    }
}

/// Partitions and inheritance children go with their parents.
fn leave_members_out(
    catalog: &SourceCatalog,
    tables: &HashMap<Oid, &Table>,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    let mut members: HashMap<Oid, Vec<Oid>> = HashMap::new();
    for table in &catalog.tables {
        for parent in table.inherits.iter().chain(&table.partition_of) {
            members.entry(*parent).or_default().push(table.oid);
        }
    }
    let mut open: Vec<Oid> = selection.tables.iter().copied().collect();
    // Sorted, so that of two parents the same one is named every time.
    open.sort_unstable();
    while let Some(parent) = open.pop() {
        for member in members.get(&parent).into_iter().flatten() {
            if selection.tables.insert(*member) {
                let name = tables.get(&parent).map(|table| table.name.to_string());
                let name = name.unwrap_or_default();
                reasons.insert(*member, format!("{name}, which it belongs to, is left out"));
                open.push(*member);
            }
        }
    }
}

/// The rows of a partitioned table are those of its partitions.
fn leave_rows_of_partitions_out(
    catalog: &SourceCatalog,
    tables: &HashMap<Oid, &Table>,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    let below: Vec<(Oid, String)> = catalog
        .tables
        .iter()
        .filter_map(|table| {
            let above = ancestors(table, tables)
                .find(|above| selection.data.contains(&above.oid))
                .filter(|above| above.kind == TableKind::Partitioned)?;
            Some((table.oid, format!("the rows of {} are left out", above.name)))
        })
        .collect();
    for (oid, reason) in below {
        if selection.data.insert(oid) {
            reasons.entry(oid).or_insert(reason);
        }
    }
}

/// The partitioned tables above a table, nearest first. Ends on a cycle in a broken catalog.
fn ancestors<'a>(
    table: &Table,
    tables: &'a HashMap<Oid, &'a Table>,
) -> impl Iterator<Item = &'a Table> {
    let mut next = table.partition_of;
    let mut left = tables.len();
    std::iter::from_fn(move || {
        let above = *tables.get(&next?)?;
        left = left.checked_sub(1)?;
        next = above.partition_of;
        Some(above)
    })
}

/// Indexes go with their table, and with the partitioned index they are attached to.
fn leave_indexes_out(
    catalog: &SourceCatalog,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    let mut children: HashMap<Oid, Vec<Oid>> = HashMap::new();
    for index in &catalog.indexes {
        children.entry(index.parent.unwrap_or(index.oid)).or_default().push(index.oid);
    }
    let mut open: Vec<Oid> = selection.indexes.iter().copied().collect();
    while let Some(parent) = open.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if selection.indexes.insert(*child) {
                let reason = "the index it is attached to is left out".to_owned();
                reasons.insert(*child, reason);
                open.push(*child);
            }
        }
    }
    for index in &catalog.indexes {
        if selection.tables.contains(&index.table_oid) {
            selection.indexes.insert(index.oid);
        }
    }
}

/// Constraints go with their table, their index, and the table they reference.
fn leave_constraints_out(catalog: &SourceCatalog, selection: &mut Selection) {
    for constraint in &catalog.constraints {
        let gone = selection.tables.contains(&constraint.table_oid)
            || constraint.referenced_oid.is_some_and(|oid| selection.tables.contains(&oid))
            || constraint.index_oid.is_some_and(|oid| selection.indexes.contains(&oid));
        if gone {
            selection.constraints.insert(constraint.oid);
        }
    }
}

/// A sequence goes with its schema, or when every table that owns or uses it is left out. One that is
/// owned by a table left out and used by one that is kept, is kept; only its OWNED BY goes.
fn leave_sequences_out(
    catalog: &SourceCatalog,
    selection: &mut Selection,
    reasons: &mut HashMap<Oid, String>,
) {
    for sequence in &catalog.sequences {
        let mut users = sequence.used_by.iter().chain(&sequence.owned_by).peekable();
        let reason = if selection.schema_names.contains(&sequence.name.schema) {
            "its schema is left out"
        } else if users.peek().is_some() && users.all(|oid| selection.tables.contains(oid)) {
            "every table that uses it is left out"
        } else {
            continue;
        };
        selection.sequences.insert(sequence.oid);
        reasons.insert(sequence.oid, reason.to_owned());
    }
}

/// Notes what is left out, with its reason, in the order of the catalog: tables, then rows, then indexes
/// whose table is kept, then foreign keys of tables that are kept, then sequences.
pub(super) fn note_dropped(
    catalog: &SourceCatalog,
    selection: &mut Selection,
    mut reasons: HashMap<Oid, String>,
) {
    let mut dropped = Vec::new();
    let mut note = |object: String, oid: Oid| {
        let reason = reasons.remove(&oid).unwrap_or_else(|| "filtered".to_owned());
        dropped.push(Dropped { object, reason });
    };
    for table in &catalog.tables {
        let name = &table.name;
        if selection.tables.contains(&table.oid) {
            note(format!("{} {name}", kind_name(table.kind)), table.oid);
        } else if selection.data.contains(&table.oid) {
            note(format!("rows of {} {name}", kind_name(table.kind)), table.oid);
        }
    }
    for index in &catalog.indexes {
        if selection.indexes.contains(&index.oid) && selection.keeps_table(index.table_oid) {
            note(format!("index {}", index.name), index.oid);
        }
    }
    for sequence in catalog.sequences.iter().filter(|one| !selection.keeps_sequence(one.oid)) {
        note(format!("sequence {}", sequence.name), sequence.oid);
    }
    selection.dropped.append(&mut dropped);
}

/// What people call a kind.
fn kind_name(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Ordinary | TableKind::Partitioned => "table",
        TableKind::MaterializedView => "materialized view",
        TableKind::Foreign => "foreign table",
        TableKind::View => "view",
        TableKind::Sequence => "sequence",
        TableKind::Other => "relation",
    }
}
