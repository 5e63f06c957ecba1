//! The graph of types that columns use.

use std::collections::BTreeMap;

use pgcopydb::catalog::model::{SourceCatalog, TypeInfo, TypeKind};

use crate::{on_every_version, read_after, table};

/// The type of a column of table `t`.
#[track_caller]
fn type_of<'a>(catalog: &'a SourceCatalog, column: &str) -> &'a TypeInfo {
    let column = table(catalog, "t").columns.iter().find(|one| one.name == column).unwrap();
    &catalog.types[&column.type_oid]
}

/// What a type is made of, in words: `composite(integer domain(array(enum)))`.
fn spell(oid: u32, types: &BTreeMap<u32, TypeInfo>) -> String {
    let info = &types[&oid];
    match &info.kind {
        TypeKind::Base => info.name.clone(),
        TypeKind::Enum => "enum".to_owned(),
        TypeKind::Array(inner) => format!("array({})", spell(*inner, types)),
        TypeKind::Domain(inner) => format!("domain({})", spell(*inner, types)),
        TypeKind::Range(inner) => format!("range({})", spell(*inner, types)),
        TypeKind::Multirange(inner) => format!("multirange({})", spell(*inner, types)),
        TypeKind::Composite(attributes) => {
            let parts: Vec<_> = attributes.iter().map(|one| spell(*one, types)).collect();
            format!("composite({})", parts.join(" "))
        }
        TypeKind::Other => "other".to_owned(),
    }
}

// trap V-1, V-2
#[tokio::test]
async fn nested_types_are_followed_to_their_ends() {
    for (_, database) in on_every_version("nested") {
        let catalog = read_after(
            &database,
            "create schema s; create type s.mood as enum ('low', 'high');
             create domain moods as s.mood[]; create domain twice as moods;
             create type pair as (a int, dropped text, b twice);
             alter type pair drop attribute dropped;
             create type over as (p pair[], q numeric(10, 2));
             create type span as range (subtype = int4);
             create type spans as range (subtype = pair, multirange_type_name = many_spans);
             create table row_type (x int, y pair);
             create table t (a s.mood, b s.mood[], c twice, d over, e span, f spans, g many_spans,
                h row_type, i moods[], j int[][], k nummultirange,
                m int2vector, n name, o point, p varchar(10)[], q \"char\");",
        )
        .await;
        let spelled = |column| spell(type_of(&catalog, column).oid, &catalog.types);
        assert_eq!(spelled("a"), "enum");
        assert_eq!(spelled("b"), "array(enum)");
        assert_eq!(spelled("c"), "domain(domain(array(enum)))");
        let pair = "composite(integer domain(domain(array(enum))))";
        assert_eq!(spelled("d"), format!("composite(array({pair}) numeric)"));
        assert_eq!(spelled("e"), "range(integer)");
        assert_eq!(spelled("f"), format!("range({pair})"));
        assert_eq!(spelled("g"), format!("multirange(range({pair}))"));
        assert_eq!(spelled("h"), format!("composite(integer {pair})"));
        assert_eq!(spelled("i"), "array(domain(array(enum)))");
        assert_eq!(spelled("j"), "array(integer)");
        assert_eq!(spelled("k"), "multirange(range(numeric))");
        // These have an element type, but are base types on the wire.
        assert_eq!(spelled("m"), "int2vector");
        assert_eq!(spelled("n"), "name");
        assert_eq!(spelled("o"), "point");
        assert_eq!(spelled("p"), "array(character varying)");
        assert_eq!(spelled("q"), "\"char\"");
        assert_eq!(type_of(&catalog, "a").name, "s.mood");
        for column in &table(&catalog, "t").columns {
            let info = &catalog.types[&column.type_oid];
            assert!(info.binary_io, "{}", info.name);
            assert_eq!(info.extension, None);
            let user = "abcdefghi".contains(&column.name);
            assert_eq!(info.built_in, !user, "{}", info.name);
        }
    }
}

// trap V-5
#[tokio::test]
async fn a_part_without_send_or_receive_makes_the_whole_text_only() {
    for (_, database) in on_every_version("text_only") {
        let catalog = read_after(
            &database,
            "create type c as (a int, b aclitem);
             create domain d as aclitem[];
             create table t (a aclitem, b aclitem[], c c, d d, e c[], f int, g gtsvector);",
        )
        .await;
        let binary: Vec<_> = table(&catalog, "t")
            .columns
            .iter()
            .filter(|column| catalog.types[&column.type_oid].binary_io)
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(binary, ["f"]);
    }
}

// trap V-7
#[tokio::test]
async fn types_of_extensions_carry_its_version() {
    for (_, database) in on_every_version("type_members") {
        let catalog = read_after(
            &database,
            "create type label as enum ('a'); create type point3 as (x int, y int, z int);
             create table member (a int); create type free as (l label);
             alter extension plpgsql add type label;
             alter extension plpgsql add type point3;
             alter extension plpgsql add table member;
             create table t (a label, b label[], c point3, d point3[], e member, f free);",
        )
        .await;
        let plpgsql = Some(("plpgsql".to_owned(), "1.0".to_owned()));
        for column in ["a", "b", "c", "d", "e"] {
            assert_eq!(type_of(&catalog, column).extension, plpgsql, "{column}");
        }
        assert_eq!(type_of(&catalog, "f").extension, None);
    }
}

#[tokio::test]
async fn types_of_the_information_schema_are_not_built_in() {
    // Their identifiers are given when a cluster is made.
    for (_, database) in on_every_version("initdb_types") {
        let catalog = read_after(
            &database,
            "create table t (a information_schema.sql_identifier, b information_schema.cardinal_number)",
        )
        .await;
        assert!(!type_of(&catalog, "a").built_in);
        assert!(!type_of(&catalog, "b").built_in);
        assert_eq!(spell(type_of(&catalog, "b").oid, &catalog.types), "domain(integer)");
    }
}
