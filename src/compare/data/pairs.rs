//! Which tables are compared with which. Pure.
//!
//! Ordinary tables meet by schema and name, partitions too. Where the partitions of a table differ
//! between the sides (other bounds, or partitioned on one side only), the partitioned table is
//! compared as a whole instead: its rows are what the application sees. Materialized views are derived
//! and foreign tables hold no rows here, so neither is compared; what belongs to an extension is the
//! extension's.

use std::collections::{BTreeMap, BTreeSet};

use super::hash::{Form, HashedColumn};
use crate::base::ident::QualifiedName;
use crate::catalog::model::{Column, Oid, SourceCatalog, Table, TableKind};

/// First version whose servers read ranges of pages without reading the whole table.
const VERSION_TID_RANGE_SCAN: u32 = 140_000;

/// What one side has and what of it is compared.
#[derive(Debug, Clone, Copy)]
pub struct Half<'a> {
    /// Its catalog, read under the snapshot of the comparison.
    pub catalog: &'a SourceCatalog,
    /// Ordinary tables whose rows are compared.
    pub tables: &'a BTreeSet<Oid>,
}

/// A table and its counterpart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TablePair {
    /// The name.
    pub(super) name: QualifiedName,
    /// The source's table.
    pub(super) source: Option<Relation>,
    /// The target's table.
    pub(super) target: Option<Relation>,
    /// Columns that both have, or all columns where only one exists; by name.
    pub(super) columns: Vec<HashedColumn>,
    /// The columns whose values tell rows apart; empty without a key.
    pub(super) key: Vec<HashedColumn>,
    /// What differs beside the rows.
    pub(super) remarks: Vec<String>,
}

/// A table of one side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Relation {
    /// For FROM: with ONLY, except for partitioned tables.
    pub(super) from: String,
    /// Relations that hold its rows, with the file node that the snapshot saw.
    pub(super) files: Vec<(Oid, u32)>,
    /// Bytes on disk, TOAST included.
    pub(super) bytes: u64,
    /// Pages of the heap, when ranges of them can be read.
    pub(super) pages: Option<u64>,
}

/// Finds all pairs, largest first.
pub(super) fn pairs(source: Half<'_>, target: Half<'_>) -> Vec<TablePair> {
    let (mut from, mut to) = (Tables::new(source), Tables::new(target));
    let mut pairs = Vec::new();
    for name in Tables::reshaped(&from, &to) {
        let (a, b) = (from.take_tree(&name), to.take_tree(&name));
        pairs.push(pair(&name, a, b));
    }
    let names: BTreeSet<QualifiedName> =
        from.plain.keys().chain(to.plain.keys()).cloned().collect();
    for name in names {
        let (a, b) = (from.take(&name), to.take(&name));
        pairs.push(pair(&name, a, b));
    }
    let size = |side: &Option<Relation>| side.as_ref().map_or(0, |relation| relation.bytes);
    pairs.sort_by_key(|pair| std::cmp::Reverse(size(&pair.source).max(size(&pair.target))));
    pairs
}

/// A table with what is known of its place.
struct Found<'a> {
    table: &'a Table,
    relation: Relation,
    catalog: &'a SourceCatalog,
}

/// The tables of one side.
struct Tables<'a> {
    half: Half<'a>,
    by_oid: BTreeMap<Oid, &'a Table>,
    /// Tables that hold rows and are compared.
    plain: BTreeMap<QualifiedName, &'a Table>,
    /// Partitioned tables that are no partitions, with all their leaves.
    trees: BTreeMap<QualifiedName, (&'a Table, Vec<&'a Table>)>,
}

impl<'a> Tables<'a> {
    /// Sorts out one side.
    fn new(half: Half<'a>) -> Self {
        let by_oid: BTreeMap<Oid, &Table> =
            half.catalog.tables.iter().map(|table| (table.oid, table)).collect();
        let mut tables = Self { half, by_oid, plain: BTreeMap::new(), trees: BTreeMap::new() };
        for table in &half.catalog.tables {
            if table.kind == TableKind::Partitioned && table.partition_of.is_none() {
                tables.trees.insert(table.name.clone(), (table, Vec::new()));
            }
        }
        for table in &half.catalog.tables {
            if matches!(table.kind, TableKind::Partitioned | TableKind::MaterializedView) {
                continue;
            }
            if half.tables.contains(&table.oid) {
                tables.plain.insert(table.name.clone(), table);
            }
            let root = tables.root(table).name.clone();
            if let Some((_, leaves)) = tables.trees.get_mut(&root) {
                leaves.push(table);
            }
        }
        tables
    }

    /// The top of the partition tree that a table is in, itself when it is in none.
    fn root(&self, table: &'a Table) -> &'a Table {
        let mut table = table;
        while let Some(parent) = table.partition_of.and_then(|oid| self.by_oid.get(&oid)) {
            table = parent;
        }
        table
    }

    /// Partitioned tables whose leaves differ between the sides, when all leaves are compared.
    fn reshaped(source: &Self, target: &Self) -> Vec<QualifiedName> {
        let names: BTreeSet<&QualifiedName> =
            source.trees.keys().chain(target.trees.keys()).collect();
        let differ = names.into_iter().filter(|name| {
            let (Some(a), Some(b)) = (source.leaves(name), target.leaves(name)) else {
                return false;
            };
            a != b && source.is_whole(&a) && target.is_whole(&b)
        });
        differ.cloned().collect()
    }

    /// Names of the tables that hold the rows of a table.
    fn leaves(&self, name: &QualifiedName) -> Option<BTreeSet<&'a QualifiedName>> {
        match (self.trees.get(name), self.plain.get(name)) {
            (Some((_, leaves)), _) => Some(leaves.iter().map(|leaf| &leaf.name).collect()),
            (None, Some(table)) => Some(BTreeSet::from([&table.name])),
            (None, None) => None,
        }
    }

    /// Whether all of these tables are compared.
    fn is_whole(&self, leaves: &BTreeSet<&QualifiedName>) -> bool {
        leaves.iter().all(|leaf| self.plain.contains_key(*leaf))
    }

    /// Takes a table out.
    fn take(&mut self, name: &QualifiedName) -> Option<Found<'a>> {
        let table = self.plain.remove(name)?;
        let server = &self.half.catalog.server;
        let heap = table.kind == TableKind::Ordinary
            && server.version >= VERSION_TID_RANGE_SCAN
            && table.access_method.as_deref() == Some("heap")
            && server.block_size > 0;
        let pages = heap.then(|| table.heap_bytes / u64::from(server.block_size.max(1)));
        let relation = Relation {
            from: format!("only {}", table.name.sql()),
            files: files([table]),
            bytes: table.bytes,
            pages,
        };
        Some(Found { table, relation, catalog: self.half.catalog })
    }

    /// Takes a partitioned table out, with all its leaves.
    fn take_tree(&mut self, name: &QualifiedName) -> Option<Found<'a>> {
        let Some((root, leaves)) = self.trees.remove(name) else { return self.take(name) };
        for leaf in &leaves {
            self.plain.remove(&leaf.name);
        }
        let relation = Relation {
            from: root.name.sql(),
            files: files(leaves.iter().copied()),
            bytes: leaves.iter().map(|leaf| leaf.bytes).sum(),
            pages: None,
        };
        Some(Found { table: root, relation, catalog: self.half.catalog })
    }
}

/// File nodes of the tables that have files.
fn files<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Vec<(Oid, u32)> {
    let all = tables.into_iter().map(|table| (table.oid, table.file_node));
    all.filter(|(_, node)| *node != 0).collect()
}

/// Puts a pair together.
fn pair(name: &QualifiedName, source: Option<Found<'_>>, target: Option<Found<'_>>) -> TablePair {
    let mut remarks = Vec::new();
    let columns = match (&source, &target) {
        (Some(a), Some(b)) => common_columns(a.table, b.table, &mut remarks),
        (Some(one), None) => {
            remarks.push("exists on the source only".to_owned());
            common_columns(one.table, one.table, &mut remarks)
        }
        (None, Some(one)) => {
            remarks.push("exists on the target only".to_owned());
            common_columns(one.table, one.table, &mut remarks)
        }
        (None, None) => Vec::new(),
    };
    let key = source.as_ref().map(|found| key(found, &columns)).unwrap_or_default();
    TablePair {
        name: name.clone(),
        source: source.map(|found| found.relation),
        target: target.map(|found| found.relation),
        columns,
        key,
        remarks,
    }
}

/// Columns that both sides have, by name; the others are remarked upon.
fn common_columns(source: &Table, target: &Table, remarks: &mut Vec<String>) -> Vec<HashedColumn> {
    let by_name = |table: &'_ Table| -> BTreeMap<String, Column> {
        table.columns.iter().map(|column| (column.name.clone(), column.clone())).collect()
    };
    let (source, mut target) = (by_name(source), by_name(target));
    let mut columns = Vec::new();
    let mut missing = |side, names: Vec<String>| {
        if !names.is_empty() {
            remarks.push(format!("columns on the {side} only: {}", names.join(", ")));
        }
    };
    let mut source_only = Vec::new();
    for (name, a) in source {
        match target.remove(&name) {
            Some(b) => columns.push(HashedColumn {
                name,
                form: Form::of(a.type_oid, b.type_oid),
                nullable: !a.not_null || !b.not_null,
            }),
            None => source_only.push(name),
        }
    }
    missing("source", source_only);
    missing("target", target.into_keys().collect());
    columns
}

/// The columns of the best key of the source's table that both sides have: the primary key, else the
/// unique index without NULLs that has the fewest columns.
fn key(found: &Found<'_>, columns: &[HashedColumn]) -> Vec<HashedColumn> {
    let name_of = |number: i16| {
        let column = found.table.columns.iter().find(|column| column.number == number)?;
        column.not_null.then_some(&column.name)
    };
    let columns_of = |numbers: &[i16]| -> Option<Vec<HashedColumn>> {
        let named = numbers.iter().map(|number| {
            let name = name_of(*number)?;
            columns.iter().find(|column| column.name == *name).cloned()
        });
        named.collect()
    };
    let usable = found.catalog.indexes.iter().filter(|index| {
        index.table_oid == found.table.oid && index.unique && index.valid && !index.partial
    });
    let keys = usable.filter_map(|index| {
        let columns = columns_of(&index.key_columns).filter(|columns| !columns.is_empty())?;
        Some((!index.primary, columns.len(), index.oid, columns))
    });
    keys.min_by_key(|(secondary, count, oid, _)| (*secondary, *count, *oid))
        .map(|(.., columns)| columns)
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "pairs_tests.rs"]
mod tests;
