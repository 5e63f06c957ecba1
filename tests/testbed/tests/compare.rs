//! The comparators see what they are there to see.

use anyhow::Result;
use testbed::compare::{self, Side};
use testbed::{TestDatabase, fixtures};

/// A schema with a bit of everything, and its data.
const SCRIPT: &str = r#"
create type mood as enum ('sad', 'happy');
create table t (id int primary key, v text, f float8, at timestamptz default now(), m mood);
insert into t select g, 'v' || g, g / 3.0, '2024-01-01 00:00+00', 'sad' from generate_series(1, 500) g;
create index t_v on t (v);
create table "We""ird Näme" ("a b" text);
insert into "We""ird Näme" values (E'tab\tnewline\nbackslash\\'), (null), ('');
create table nothing ();
insert into nothing default values;
create sequence s start 5;
select nextval('s');
create materialized view mv as select count(*) as n from t;
select lo_from_bytea(4242, decode(repeat('ab', 5000), 'hex'));
comment on table t is 'a table; with'';
-- a comment';
alter table t alter column v set statistics 77;
create table parted (k int, v text) partition by range (k);
create table parted_1 partition of parted for values from (0) to (10);
insert into parted values (1, 'one');
create view vw as select id from t;
create function f() returns int language sql as 'select 1';
grant select, insert on t to public;
"#;

/// Two databases of the version 15 cluster that hold the same.
fn twins() -> Result<(TestDatabase<'static>, TestDatabase<'static>)> {
    let source = TestDatabase::create(testbed::source(), "twin_source")?;
    let target = TestDatabase::create(testbed::source(), "twin_target")?;
    source.psql(SCRIPT)?;
    target.psql(SCRIPT)?;
    Ok((source, target))
}

/// Changes the target of twins and returns the comparison as text.
fn report_after(change: &str) -> String {
    let compared = || {
        let (source, target) = twins()?;
        target.psql(change)?;
        compare::compare(&source.uri(), &target.uri())
    };
    let report = compared().expect("two databases that can be read");
    assert!(!report.is_same(), "not noticed: {change}");
    report.to_string()
}

#[test]
fn equal_databases_have_no_difference() {
    let (source, target) = twins().unwrap();
    let report = compare::compare(&source.uri(), &target.uri()).unwrap();
    report.assert_same();
    assert_eq!(report.row_count(), 500 + 3 + 1 + 1 + 1);
}

#[test]
fn equal_databases_of_different_versions_have_no_difference() {
    let source = TestDatabase::create(testbed::source(), "versions").unwrap();
    let target = TestDatabase::create(testbed::target(), "versions").unwrap();
    source.psql(SCRIPT).unwrap();
    target.psql(SCRIPT).unwrap();
    compare::compare(&source.uri(), &target.uri()).unwrap().assert_same();
}

// trap D-43
#[test]
fn pagila_in_different_versions_has_no_difference() {
    let source = TestDatabase::create(testbed::source(), "pagila").unwrap();
    let target = TestDatabase::create(testbed::target(), "pagila").unwrap();
    fixtures::load_pagila(source.cluster(), source.name()).unwrap();
    fixtures::load_pagila(target.cluster(), target.name()).unwrap();
    compare::compare(&source.uri(), &target.uri()).unwrap().assert_same();
}

// trap X-28
#[test]
fn every_type_family_prints_the_same_whatever_version_and_settings() {
    let source = TestDatabase::create(testbed::source(), "types").unwrap();
    let target = TestDatabase::create(testbed::target(), "types").unwrap();
    for database in [&source, &target] {
        fixtures::types(database.cluster(), database.name()).unwrap();
    }
    for setting in [
        "datestyle = 'German'",
        "timezone = 'Asia/Tokyo'",
        "intervalstyle = 'iso_8601'",
        "extra_float_digits = -5",
        "bytea_output = 'escape'",
        "search_path = types",
    ] {
        target.psql(&format!("alter database {} set {setting}", target.name())).unwrap();
    }
    let found = compare::row_diff(&source.uri(), &target.uri()).unwrap();
    assert_eq!(found, []);
    assert_eq!(compare::schema_diff(&source.uri(), &target.uri()).unwrap(), []);
}

#[test]
fn physical_order_does_not_matter() {
    let (source, target) = twins().unwrap();
    target.psql("update t set v = v where id % 7 = 0; vacuum full t;").unwrap();
    compare::compare(&source.uri(), &target.uri()).unwrap().assert_same();
}

#[test]
fn changed_value_is_named() {
    let report = report_after("update t set v = 'changed' where id = 77");
    assert!(report.contains("table public.t: source 500 rows, target 500 rows"), "{report}");
    let time = "2024-01-01 00:00:00+00";
    assert!(report.contains(&format!("only in source: {time}\t25.666666666666668\t77\tsad\tv77")));
    let changed = format!("only in target: {time}\t25.666666666666668\t77\tsad\tchanged");
    assert!(report.contains(&changed), "{report}");
}

#[test]
fn last_digit_of_a_float_is_seen() {
    let report = report_after("update t set f = 25.66666666666667 where id = 77");
    assert!(report.contains("25.666666666666668"), "{report}");
}

#[test]
fn missing_row_is_named() {
    let report = report_after("delete from t where id = 5");
    assert!(report.contains("source 500 rows, target 499 rows"), "{report}");
    assert!(report.contains("\t5\tsad\tv5"), "{report}");
    assert!(!report.contains("only in target"), "{report}");
}

#[test]
fn row_that_is_there_twice_is_named() {
    let report = report_after(r#"insert into "We""ird Näme" values ('')"#);
    assert!(report.contains(r#"table public.We"ird Näme: source 3 rows, target 4 rows"#));
    let report = report_after(
        r#"delete from "We""ird Näme" where "a b" = ''; insert into "We""ird Näme" values (null)"#,
    );
    assert!(report.contains("source 3 rows, target 3 rows"), "{report}");
    assert!(report.contains(r"only in target: \N"), "{report}");
}

#[test]
fn row_of_a_partition_is_seen() {
    let report = report_after("update parted set v = 'uno'");
    assert!(report.contains("table public.parted_1"), "{report}");
}

#[test]
fn missing_table_is_named() {
    let report = report_after("drop table nothing");
    assert!(report.contains("table public.nothing: source 1 rows, target no table"), "{report}");
    assert!(report.contains("only in source: TABLE public.nothing"), "{report}");
}

#[test]
fn stale_materialized_view_is_seen() {
    let report = report_after(
        "insert into t (id) values (501); refresh materialized view mv; delete from t where id = 501",
    );
    assert!(report.contains("table public.mv"), "{report}");
    let report = report_after("refresh materialized view mv with no data");
    assert!(report.contains("populated false"), "{report}");
}

#[test]
fn missing_index_is_named() {
    let report = report_after("drop index t_v");
    assert!(report.contains("only in source: INDEX public.t_v\nCREATE INDEX t_v"), "{report}");
}

#[test]
fn moved_sequence_is_named() {
    let report = report_after("select nextval('s')");
    assert!(report.contains("only in source: sequence\tpublic.s\tlast value 5"), "{report}");
    assert!(report.contains("only in target: sequence\tpublic.s\tlast value 6"), "{report}");
    // Same value, but the next call gives 5 on one side and 6 on the other.
    let report = report_after("select setval('s', 5, false)");
    assert!(report.contains("last value 5\tis called false"), "{report}");
}

#[test]
fn changed_large_object_is_named() {
    for change in [
        "select lo_put(4242, 4999, 'x')",
        "select lo_put(4242, 5000, 'x')",
        "alter large object 4242 owner to pg_monitor",
        "grant select on large object 4242 to pg_monitor",
        "comment on large object 4242 is 'new'",
        "select lo_unlink(4242)",
    ] {
        let report = report_after(change);
        assert!(report.contains("only in source: large object\t4242"), "{change}\n{report}");
    }
}

#[test]
fn hole_in_a_large_object_equals_zeros() {
    let source = TestDatabase::create(testbed::source(), "hole").unwrap();
    let target = TestDatabase::create(testbed::source(), "hole").unwrap();
    let (with_hole, with_zeros) = (
        "select lo_from_bytea(7, 'a'); select lo_put(7, 10000, 'b')",
        r"select lo_from_bytea(7, 'a' || decode(repeat('00', 9999), 'hex') || 'b')",
    );
    source.psql(with_hole).unwrap();
    target.psql(with_zeros).unwrap();
    compare::compare(&source.uri(), &target.uri()).unwrap().assert_same();
}

#[test]
fn changed_definition_is_seen() {
    for change in [
        "alter table t alter column v set statistics 78",
        "alter table t replica identity full",
        "alter table t cluster on t_v",
        "alter table t alter column v set storage external",
        "alter table t drop constraint t_pkey",
        "alter table t alter column at drop default",
        "alter table t add column extra int",
        "alter table t enable row level security",
        "alter table t owner to pg_monitor",
        "alter table t add constraint positive check (id > 0) not valid",
        "comment on table t is 'other'",
        "revoke insert on t from public",
        "create or replace function f() returns int language sql as 'select 2'",
        "create or replace view vw as select id from t where id > 0",
        "alter type mood add value 'meh'",
        "create schema another",
        "create sequence another",
        "create publication p for table t",
        "alter table t set (fillfactor = 70)",
        "do $$ begin execute format('alter database %I set work_mem = ''8MB''', \
         current_database()); end $$",
    ] {
        report_after(change);
    }
}

#[test]
fn excluded_schema_is_left_out() {
    let (source, target) = twins().unwrap();
    target.psql("create schema extra create table x (a int primary key, b serial)").unwrap();
    let comparison = compare::Comparison::new(&source.uri(), &target.uri());
    assert!(!comparison.run().unwrap().is_same());
    comparison.exclude_schema("extra").run().unwrap().assert_same();
}

#[test]
fn differences_tell_the_side() {
    let (source, target) = twins().unwrap();
    target.psql("create index only_here on t (f)").unwrap();
    let found = compare::schema_diff(&source.uri(), &target.uri()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].only_in, Side::Target);
}
