//! From identifiers to objects, and from tables to what hangs on them.

use std::collections::HashMap;

use super::model::{Constraint, Index, Oid, Sequence, SourceCatalog, Table};

/// Maps over a [`SourceCatalog`], built once in linear time.
///
/// Identity is the identifier, never the name: two schemas may hold tables of the same name.
#[derive(Debug)]
pub struct Lookup<'a> {
    tables: HashMap<Oid, &'a Table>,
    indexes: HashMap<Oid, &'a Index>,
    constraints: HashMap<Oid, &'a Constraint>,
    sequences: HashMap<Oid, &'a Sequence>,
    indexes_of: HashMap<Oid, Vec<&'a Index>>,
    constraints_of: HashMap<Oid, Vec<&'a Constraint>>,
}

impl<'a> Lookup<'a> {
    /// Builds the maps.
    pub fn new(catalog: &'a SourceCatalog) -> Self {
        let mut indexes_of: HashMap<Oid, Vec<&Index>> = HashMap::new();
        for index in &catalog.indexes {
            indexes_of.entry(index.table_oid).or_default().push(index);
        }
        let mut constraints_of: HashMap<Oid, Vec<&Constraint>> = HashMap::new();
        for constraint in &catalog.constraints {
            constraints_of.entry(constraint.table_oid).or_default().push(constraint);
        }
        Self {
            tables: catalog.tables.iter().map(|table| (table.oid, table)).collect(),
            indexes: catalog.indexes.iter().map(|index| (index.oid, index)).collect(),
            constraints: catalog.constraints.iter().map(|one| (one.oid, one)).collect(),
            sequences: catalog.sequences.iter().map(|one| (one.oid, one)).collect(),
            indexes_of,
            constraints_of,
        }
    }

    /// A table.
    pub fn table(&self, oid: Oid) -> Option<&'a Table> {
        self.tables.get(&oid).copied()
    }

    /// An index.
    pub fn index(&self, oid: Oid) -> Option<&'a Index> {
        self.indexes.get(&oid).copied()
    }

    /// A constraint.
    pub fn constraint(&self, oid: Oid) -> Option<&'a Constraint> {
        self.constraints.get(&oid).copied()
    }

    /// A sequence.
    pub fn sequence(&self, oid: Oid) -> Option<&'a Sequence> {
        self.sequences.get(&oid).copied()
    }

    /// The indexes of a table, by identifier.
    pub fn indexes_of(&self, table_oid: Oid) -> &[&'a Index] {
        self.indexes_of.get(&table_oid).map_or(&[], Vec::as_slice)
    }

    /// The constraints of a table, by identifier.
    pub fn constraints_of(&self, table_oid: Oid) -> &[&'a Constraint] {
        self.constraints_of.get(&table_oid).map_or(&[], Vec::as_slice)
    }
}

/// Puts the largest tables first, equal ones by name: the order in which they are copied and listed.
pub fn order_tables(tables: &mut [Table]) {
    tables.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ident::QualifiedName;

    fn table(oid: Oid, name: &str, bytes: u64) -> Table {
        Table { oid, name: QualifiedName::new("s", name), bytes, ..Table::default() }
    }

    #[test]
    fn largest_tables_first_then_by_name() {
        let mut tables = vec![table(1, "b", 5), table(2, "a", 5), table(3, "c", 9)];
        order_tables(&mut tables);
        assert_eq!(tables.iter().map(|t| t.oid).collect::<Vec<_>>(), [3, 2, 1]);
    }

    #[test]
    fn objects_are_found_by_identifier() {
        let index = |oid, table_oid| Index { oid, table_oid, ..Index::default() };
        let catalog = SourceCatalog {
            tables: vec![table(1, "a", 0), table(2, "b", 0)],
            indexes: vec![index(10, 2), index(11, 2)],
            constraints: vec![Constraint { oid: 20, table_oid: 1, ..Constraint::default() }],
            sequences: vec![Sequence { oid: 30, ..Sequence::default() }],
            ..SourceCatalog::default()
        };
        let lookup = Lookup::new(&catalog);
        assert_eq!(lookup.table(2).unwrap().name.name, "b");
        assert_eq!(lookup.index(11).unwrap().oid, 11);
        assert_eq!(lookup.constraint(20).unwrap().table_oid, 1);
        assert_eq!(lookup.sequence(30).unwrap().oid, 30);
        assert!(lookup.table(10).is_none());
        assert_eq!(lookup.indexes_of(2).len(), 2);
        assert!(lookup.indexes_of(1).is_empty());
        assert_eq!(lookup.constraints_of(1).len(), 1);
        assert!(lookup.constraints_of(2).is_empty());
    }
}
