//! Tests of the pairing.

use super::*;
use crate::catalog::model::{Index, ServerFacts};

fn name(text: &str) -> QualifiedName {
    QualifiedName::new("s", text)
}

fn column(number: i16, name: &str) -> Column {
    Column { number, name: name.into(), type_oid: 23, not_null: true, ..Column::default() }
}

fn table(oid: Oid, text: &str, columns: &[&str]) -> Table {
    let columns = (1..).zip(columns).map(|(number, name)| column(number, name)).collect();
    Table {
        oid,
        name: name(text),
        columns,
        access_method: Some("heap".into()),
        file_node: oid,
        bytes: u64::from(oid),
        ..Table::default()
    }
}

fn catalog(tables: Vec<Table>) -> SourceCatalog {
    let server = ServerFacts { version: 180_000, block_size: 8192, ..ServerFacts::default() };
    SourceCatalog { server, tables, ..SourceCatalog::default() }
}

fn found(source: &SourceCatalog, target: &SourceCatalog) -> Vec<TablePair> {
    let all = |catalog: &SourceCatalog| -> BTreeSet<Oid> {
        catalog.tables.iter().map(|table| table.oid).collect()
    };
    let (a, b) = (all(source), all(target));
    pairs(Half { catalog: source, tables: &a }, Half { catalog: target, tables: &b })
}

fn tree(oid: Oid, leaves: &[&str]) -> Vec<Table> {
    let root = Table { kind: TableKind::Partitioned, file_node: 0, ..table(oid, "t", &["a"]) };
    let leaf = |(number, leaf): (Oid, &&str)| Table {
        partition_of: Some(oid),
        ..table(oid + number, leaf, &["a"])
    };
    std::iter::once(root).chain((1..).zip(leaves).map(leaf)).collect()
}

#[test]
fn tables_meet_by_name_and_largest_first() {
    let source = catalog(vec![table(1, "a", &["x"]), table(9, "b", &["x"])]);
    let target = catalog(vec![table(2, "a", &["x"]), table(3, "c", &["x"])]);
    let pairs = found(&source, &target);
    let names: Vec<&str> = pairs.iter().map(|pair| pair.name.name.as_str()).collect();
    assert_eq!(names, ["b", "c", "a"]);
    assert_eq!(pairs[0].remarks, ["exists on the source only"]);
    assert_eq!(pairs[1].remarks, ["exists on the target only"]);
    assert!(pairs[2].remarks.is_empty());
}

// trap T-2
#[test]
fn columns_meet_by_name_and_missing_ones_are_remarked_upon() {
    let source = catalog(vec![table(1, "a", &["z", "x", "only"])]);
    let target = catalog(vec![table(2, "a", &["x", "z", "more"])]);
    let pairs = found(&source, &target);
    let names: Vec<&str> = pairs[0].columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["x", "z"]);
    assert_eq!(
        pairs[0].remarks,
        ["columns on the source only: only", "columns on the target only: more"]
    );
}

#[test]
fn equal_partitions_meet_one_by_one() {
    let pairs = found(&catalog(tree(10, &["t1", "t2"])), &catalog(tree(20, &["t1", "t2"])));
    let names: Vec<&str> = pairs.iter().map(|pair| pair.name.name.as_str()).collect();
    assert_eq!(names, ["t2", "t1"]);
    assert_eq!(pairs[0].source.as_ref().unwrap().from, "only \"s\".\"t2\"");
}

#[test]
fn other_partitions_are_compared_as_the_table_they_make() {
    let pairs = found(&catalog(tree(10, &["t1", "t2"])), &catalog(tree(20, &["t1", "t3", "t4"])));
    assert_eq!(pairs.len(), 1);
    let source = pairs[0].source.as_ref().unwrap();
    assert_eq!((source.from.as_str(), source.files.len()), ("\"s\".\"t\"", 2));
    assert_eq!(pairs[0].target.as_ref().unwrap().files.len(), 3);
    // One side is not partitioned at all.
    let pairs = found(&catalog(tree(10, &["t1"])), &catalog(vec![table(20, "t", &["a"])]));
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].target.as_ref().unwrap().from, "only \"s\".\"t\"");
}

#[test]
fn the_primary_key_then_the_shortest_unique_index_tells_rows_apart() {
    let index = |oid, key_columns: &[i16]| Index {
        oid,
        table_oid: 1,
        unique: true,
        valid: true,
        key_columns: key_columns.to_vec(),
        ..Index::default()
    };
    let key = |indexes: Vec<Index>| -> Vec<String> {
        let mut source = catalog(vec![table(1, "a", &["x", "y", "z"])]);
        source.tables[0].columns[2].not_null = false;
        source.indexes = indexes;
        let target = catalog(vec![table(2, "a", &["x", "y", "z"])]);
        found(&source, &target)[0].key.iter().map(|column| column.name.clone()).collect()
    };
    assert_eq!(key(vec![index(5, &[2, 1]), index(6, &[2])]), ["y"]);
    let primary = Index { primary: true, ..index(7, &[2, 1]) };
    assert_eq!(key(vec![index(6, &[2]), primary]), ["y", "x"]);
    for unusable in [
        index(5, &[3]),
        index(5, &[0]),
        Index { partial: true, ..index(5, &[1]) },
        Index { valid: false, ..index(5, &[1]) },
        Index { unique: false, ..index(5, &[1]) },
    ] {
        assert_eq!(key(vec![unusable.clone()]), [""; 0], "{unusable:?}");
    }
}
