//! Calls that extensions ask for, seen by stand-ins that write them down.

use testbed::process::Output;

use crate::extensions::pair;
use crate::support::Pair;

/// A table whose copy fails until its check is dropped on the target, see `refusals`.
const FAILS: &str = "create table bad (id int, constraint never
        check (current_setting('application_name') not like 'pgcopydb%'));
    insert into bad values (1)";

/// A database that TimescaleDB looks after.
const METRICS: &str = "create extension timescaledb; create table metrics (id int primary key);
    insert into metrics select generate_series(1, 1000);
    create function f() returns event_trigger language plpgsql as 'begin end';
    create event trigger watch on ddl_command_end execute function f()";

/// What the stand-in saw: call, tables, rows, indexes, event triggers.
const CALLS: &str = "select what, tables, rows, indexes, triggers from calls order by id";

// trap D-35
#[test]
fn timescaledb_is_told_before_rows_and_after_everything() {
    let pair = pair("timescale", METRICS);
    pair.clone(&[]);
    assert_eq!(pair.target_value(CALLS), "pre|1|0|0|0\npost|1|1000|1|0");
    assert_eq!(pair.source_value("select count(*) from calls"), "0");
    assert_eq!(pair.target_value("select count(*) from pg_event_trigger"), "1");
    pair.assert_same();
}

/// Clones, demands a failure of a table, and mends it.
fn fail_and_mend(pair: &Pair) -> Output {
    let output = pair.program().run().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", output.stderr);
    pair.target.psql("alter table bad drop constraint never").unwrap();
    output
}

// trap D-35
#[test]
fn timescaledb_is_told_once_by_a_run_that_fails_and_is_continued() {
    let pair = pair("timescale_fails", &format!("{METRICS}; {FAILS}"));
    fail_and_mend(&pair);
    assert_eq!(pair.target_value(CALLS), "pre|1|0|0|0");
    pair.clone(&[]);
    assert_eq!(pair.target_value(CALLS), "pre|1|0|0|0\npost|1|1000|1|0");
}

#[test]
fn an_extension_that_is_left_out_is_not_told() {
    let pair = pair("timescale_out", METRICS);
    pair.clone(&["--skip-extensions"]);
    assert_eq!(pair.target_value("select to_regclass('calls') is null"), "t");
    // It is on the target, but the filters leave it out.
    let pair = self::pair("timescale_filtered", METRICS);
    pair.target.psql("create extension timescaledb").unwrap();
    let file = pair.dir.path().join("filters.ini");
    std::fs::write(&file, "[exclude-extension]\ntimescaledb\n").unwrap();
    pair.clone(&["--filters", file.to_str().unwrap()]);
    assert_eq!(pair.target_value("select count(*) from calls"), "0");
    assert_eq!(pair.target_value("select count(*) from metrics"), "1000");
}

#[test]
fn functions_of_the_same_name_that_belong_to_nobody_are_not_called() {
    let sql = "create table told (what text); create function timescaledb_pre_restore()
        returns boolean language sql as 'insert into told values (''pre''); select true'";
    let pair = Pair::with("not_timescale", sql);
    pair.clone(&[]);
    assert_eq!(pair.target_value("select count(*) from told"), "0");
    pair.assert_same();
}

/// A database with tables of every kind that Citus knows.
const SHARDS: &str = "create extension citus;
    create table \"B b\" (k int, v text); create table c (k int, v text);
    create table a (k int primary key); create table d (k int); create table plain (k int);
    create table local (k int); create table single (k int);
    create table parts (k int, y int) partition by range (y);
    create table parts_1 partition of parts for values from (0) to (10);
    insert into \"B b\" select g, 'x' from generate_series(1, 100) g; insert into c values (1, 'y');
    insert into a values (1); insert into d values (2); insert into plain values (3);
    insert into parts values (1, 1);
    insert into citus_stand_in.tables values
      ('c', 'distributed', 'k', 1, 8), ('\"B b\"', 'distributed', 'k', 1, 8),
      ('d', 'distributed', 'k', 2, 16), ('a', 'reference', '<none>', 3, 1),
      ('local', 'local', '<none>', 0, 1), ('single', 'distributed', '<none>', 4, 1),
      ('parts', 'distributed', 'k', 1, 8), ('parts_1', 'distributed', 'k', 1, 8)";

/// What the stand-in was told, and how many rows the table had.
const TOLD: &str = "select call, rows from citus_stand_in.calls order by id";

/// The calls: each group's first with its shards, the others beside it, reference tables last.
const EXPECTED: &str = "public.\"B b\" by k beside none in 8|0\n\
    public.c by k beside \"public\".\"B b\" in as many|0\n\
    public.d by k beside none in 16|0\n\
    public.parts by k beside \"public\".\"B b\" in as many|0\n\
    public.single by nothing beside none in as many|0\n\
    public.a everywhere|";

// trap D-35
#[test]
fn citus_is_told_to_distribute_tables_before_their_rows_arrive() {
    let pair = pair("citus", SHARDS);
    let output = pair.clone(&[]);
    assert_eq!(pair.target_value(TOLD), EXPECTED);
    let local = "Citus has it as \"local\" on the source";
    assert!(output.stdout.contains(local), "{}", output.stdout);
    pair.assert_same();
}

// trap D-35
#[test]
fn citus_is_told_once_by_a_run_that_fails_and_is_continued() {
    let pair = pair("citus_fails", &format!("{SHARDS}; {FAILS}"));
    fail_and_mend(&pair);
    assert_eq!(pair.target_value(TOLD), EXPECTED);
    pair.clone(&[]);
    assert_eq!(pair.target_value(TOLD), EXPECTED);
    assert_eq!(pair.target_value("select count(*) from \"B b\""), "100");
}

#[test]
fn citus_is_not_told_of_tables_that_are_left_out() {
    let pair = pair("citus_filtered", SHARDS);
    let file = pair.dir.path().join("filters.ini");
    std::fs::write(&file, "[exclude-table]\npublic.d\npublic.a\n").unwrap();
    pair.clone(&["--filters", file.to_str().unwrap()]);
    let told = pair.target_value(TOLD);
    assert!(!told.contains("public.d") && !told.contains("public.a"), "{told}");
    assert_eq!(told.lines().count(), 4);
}
