//! Tests of the selection: each section, then what follows from it.

use super::*;
use crate::catalog::model::{Constraint, ConstraintKind, Extension, Index, Schema, Sequence};
use crate::filter::parse;

fn name(text: &str) -> QualifiedName {
    let (schema, name) = text.split_once('.').unwrap();
    QualifiedName::new(schema, name)
}

fn table(oid: Oid, text: &str) -> Table {
    Table { oid, name: name(text), ..Table::default() }
}

/// Two schemas with tables of the same name, a partition tree, an inheritance pair, a foreign key and
/// sequences.
fn catalog() -> SourceCatalog {
    let schema = |oid, name: &str| Schema { oid, name: name.into(), ..Schema::default() };
    let index = |oid, table_oid, text: &str, constraint_oid, parent| Index {
        oid,
        table_oid,
        name: name(text),
        constraint_oid,
        parent,
        valid: true,
        ..Index::default()
    };
    let key = |oid, table_oid, index_oid| Constraint {
        oid,
        table_oid,
        index_oid: Some(index_oid),
        kind: ConstraintKind::PrimaryKey,
        ..Constraint::default()
    };
    let sequence = |oid, text: &str, owned_by, used_by: &[Oid]| Sequence {
        oid,
        name: name(text),
        owned_by,
        used_by: used_by.to_vec(),
        ..Sequence::default()
    };
    SourceCatalog {
        schemas: vec![schema(1, "a"), schema(2, "b"), schema(3, "Upper")],
        tables: vec![
            table(10, "a.orders"),
            table(11, "b.orders"),
            table(12, "a.customers"),
            Table { kind: TableKind::Partitioned, ..table(20, "a.events") },
            Table { partition_of: Some(20), ..table(21, "a.events_1") },
            Table { partition_of: Some(20), ..table(22, "b.events_2") },
            table(30, "a.parent"),
            Table { inherits: vec![30], ..table(31, "a.child") },
            Table { kind: TableKind::MaterializedView, ..table(40, "a.totals") },
        ],
        indexes: vec![
            index(110, 10, "a.orders_pkey", Some(210), None),
            index(112, 12, "a.customers_pkey", Some(212), None),
            index(120, 20, "a.events_at", None, None),
            index(121, 21, "a.events_1_at", None, Some(120)),
            index(122, 22, "b.events_2_at", None, Some(120)),
        ],
        constraints: vec![
            key(210, 10, 110),
            key(212, 12, 112),
            Constraint {
                oid: 213,
                table_oid: 10,
                referenced_oid: Some(12),
                index_oid: Some(112),
                kind: ConstraintKind::ForeignKey,
                ..Constraint::default()
            },
        ],
        sequences: vec![
            sequence(300, "a.orders_id_seq", Some(10), &[10]),
            sequence(301, "a.shared", Some(10), &[10, 12]),
            sequence(302, "a.alone", None, &[]),
            sequence(303, "b.alone", None, &[]),
        ],
        extensions: vec![
            Extension { oid: 400, name: "hstore".into(), ..Extension::default() },
            Extension { oid: 401, name: "postgis".into(), ..Extension::default() },
        ],
        ..SourceCatalog::default()
    }
}

fn selected(text: &str) -> Selection {
    select(&catalog(), &parse(text).unwrap(), &MatchedOids::default()).unwrap()
}

fn kept(selection: &Selection) -> Vec<Oid> {
    let catalog = catalog();
    let oids = catalog.tables.iter().map(|table| table.oid);
    oids.filter(|oid| selection.keeps_table(*oid)).collect()
}

fn reason<'a>(selection: &'a Selection, object: &str) -> &'a str {
    let found = selection.dropped().iter().find(|dropped| dropped.object == object);
    &found.unwrap_or_else(|| panic!("{object} in {:?}", selection.dropped())).reason
}

#[test]
fn no_rules_keep_everything() {
    assert!(selected("").is_everything());
    assert!(selected("[exclude-table]\n").is_everything());
}

// trap T-22
#[test]
fn excluded_table_is_that_one_and_not_its_namesake() {
    let selection = selected("[exclude-table]\nb.orders\n");
    assert_eq!(kept(&selection), [10, 12, 20, 21, 22, 30, 31, 40]);
    assert_eq!(reason(&selection, "table b.orders"), "[exclude-table] b.orders (line 2)");
    assert!(!selection.is_everything());
}

#[test]
fn schemas_take_their_tables_with_them() {
    let excluded = selected("[exclude-schema]\nb\n");
    assert_eq!(kept(&excluded), [10, 12, 20, 21, 30, 31, 40]);
    assert_eq!(reason(&excluded, "table b.orders"), "its schema is left out");
    assert!(!excluded.keeps_schema(2) && excluded.keeps_schema(1));
    assert!(!excluded.keeps_sequence(303) && excluded.keeps_sequence(302));
    let included = selected("[include-only-schema]\nb\n");
    // Partitions of a table that is left out go with it.
    assert_eq!(kept(&included), [11]);
    assert_eq!(reason(&included, "schema a"), "not listed in [include-only-schema]");
}

#[test]
fn listed_tables_only_and_within_listed_schemas() {
    assert_eq!(kept(&selected("[include-only-table]\na.orders\na.totals\n")), [10, 40]);
    let both = "[include-only-schema]\na\n[include-only-table]\na.orders\nb.orders\n";
    assert_eq!(kept(&selected(both)), [10]);
}

#[test]
fn listed_partitioned_table_stands_for_its_tree() {
    assert_eq!(kept(&selected("[include-only-table]\na.events\n")), [20, 21, 22]);
    // A partition may be listed alone.
    assert_eq!(kept(&selected("[include-only-table]\na.events_1\n")), [21]);
}

#[test]
fn listed_child_brings_its_parent_without_rows() {
    let selection = selected("[include-only-table]\na.child\n");
    assert_eq!(kept(&selection), [30, 31]);
    assert!(!selection.copies_data(30) && selection.copies_data(31));
    assert!(reason(&selection, "rows of table a.parent").starts_with("only listed tables"));
}

#[test]
fn excluded_parents_take_their_members_with_them() {
    let selection = selected("[exclude-table]\na.events\na.parent\n");
    assert_eq!(kept(&selection), [10, 11, 12, 40]);
    let text = "a.events, which it belongs to, is left out";
    assert_eq!(reason(&selection, "table b.events_2"), text);
}

#[test]
fn excluded_data_keeps_the_table_and_all_that_hangs_on_it() {
    let selection = selected("[exclude-table-data]\na.orders\na.events\na.totals\n");
    assert_eq!(kept(&selection).len(), catalog().tables.len());
    for (oid, copied) in [(10, false), (11, true), (20, false), (21, false), (22, false)] {
        assert_eq!(selection.copies_data(oid), copied, "{oid}");
    }
    assert!(!selection.copies_data(40));
    assert!(selection.keeps_index(110) && selection.keeps_constraint(213));
    assert!(selection.keeps_sequence(300));
    let text = "the rows of a.events are left out";
    assert_eq!(reason(&selection, "rows of table a.events_1"), text);
}

#[test]
fn excluded_index_takes_its_constraint_and_what_stands_on_it() {
    let selection = selected("[exclude-index]\na.customers_pkey\na.events_at\n");
    for (oid, kept) in [(110, true), (112, false), (120, false), (121, false), (122, false)] {
        assert_eq!(selection.keeps_index(oid), kept, "{oid}");
    }
    assert!(selection.keeps_constraint(210));
    assert!(!selection.keeps_constraint(212) && !selection.keeps_constraint(213));
    let text = "the index it is attached to is left out";
    assert_eq!(reason(&selection, "index a.events_1_at"), text);
}

#[test]
fn tables_take_indexes_constraints_and_their_own_sequences_with_them() {
    let orders = selected("[exclude-table]\na.orders\n");
    assert!(!orders.keeps_index(110) && !orders.keeps_constraint(210));
    assert!(!orders.keeps_constraint(213) && orders.keeps_constraint(212));
    assert!(!orders.keeps_sequence(300));
    // Owned by a table left out, used by one that is kept.
    assert!(orders.keeps_sequence(301) && orders.keeps_sequence(302));
    // A foreign key goes with the table it references.
    assert!(!selected("[exclude-table]\na.customers\n").keeps_constraint(213));
}

#[test]
fn extensions_are_kept_or_left_out_by_name() {
    let excluded = selected("[exclude-extension]\npostgis\n");
    assert!(excluded.keeps_extension("hstore") && !excluded.keeps_extension("postgis"));
    let included = selected("[include-only-extension]\npostgis\n");
    assert!(!included.keeps_extension("hstore") && included.keeps_extension("postgis"));
}

#[test]
fn patterns_select_what_the_server_answers() {
    let rules = parse("[exclude-table]\na.~/x/\n[exclude-schema]\n~/b/\n").unwrap();
    let mut matched = MatchedOids::default();
    matched.insert(rules.rules()[0].id, vec![12, 999]);
    matched.insert(rules.rules()[1].id, vec![2]);
    let selection = select(&catalog(), &rules, &matched).unwrap();
    assert_eq!(kept(&selection), [10, 20, 21, 30, 31, 40]);
    // A pattern without a match is nothing to speak of.
    let none = select(&catalog(), &rules, &MatchedOids::default()).unwrap();
    assert!(none.is_everything() && none.notices().is_empty());
    // An include section that matches nothing keeps nothing.
    let rules = parse("[include-only-table]\na.~/nothing/\n").unwrap();
    let selection = select(&catalog(), &rules, &MatchedOids::default()).unwrap();
    assert_eq!(kept(&selection), [0; 0]);
}

// trap T-20
#[test]
fn unknown_names_are_errors_to_include_and_notices_to_exclude() {
    let rules = parse("[include-only-table]\na.Orders\na.orders\nc.x\n").unwrap();
    let error = select(&catalog(), &rules, &MatchedOids::default()).unwrap_err();
    let lines: Vec<_> = error.unknown.iter().map(|name| name.line).collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(error.unknown[0].near[0], "a.orders");
    assert!(error.to_string().contains("line 2: [include-only-table] names a.Orders"));
    let notices = selected("[exclude-table]\na.Orders\n").notices().to_vec();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("a.Orders") && notices[0].contains("nearest: a.orders"));
}

// trap T-20
#[test]
fn bare_schema_names_fold_when_nothing_else_matches() {
    assert!(!selected("[exclude-schema]\nB\n").keeps_schema(2));
    assert!(!selected("[exclude-schema]\nUpper\n").keeps_schema(3));
    assert!(selected("[exclude-schema]\n\"B\"\n").keeps_schema(2));
}
