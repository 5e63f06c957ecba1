//! The end of a migration: positions, sequences, selection.

use testbed::process::Signal;

use super::support::{DEADLINE, Pair, end};

/// A table with a key, one without, a sequence that no row shows.
const DATABASE: &str = "
    create table item (id bigserial primary key, word text unique, big text);
    create table line (at timestamptz default clock_timestamp(), n int);
    create sequence tickets;
    insert into item (word, big) select 'w' || g, repeat(md5(g::text), 100)
      from generate_series(1, 20000) g";

/// Overlapping transactions with savepoints: what is rolled back must not arrive, what is updated
/// keeps its large value.
const APPLICATION: &str = r"
\set n random(1, 20000)
\set s random(1, 10)
begin;
insert into item (word, big) values ('n' || clock_timestamp()::text || random()::text, 'x');
savepoint a;
update item set word = 'u' || id || '-' || random()::text where id = :n;
insert into line (n) values (:n);
delete from item where id = :n + 20000 and :s < 3;
savepoint b;
update item set big = repeat(md5(random()::text), 60) where id = :n and :s < 3;
rollback to b;
select nextval('tickets');
end;
";

// trap C-1 C-3 C-5 C-12 C-27 C-49 X-21
#[test]
fn what_is_written_during_and_after_the_copy_arrives_once() {
    let pair = Pair::with(DATABASE);
    let application = pair.application(APPLICATION, "4", "300");
    let running = pair.program(&["clone", "--follow"]).spawn().unwrap();
    // Rows that the copy cannot hold: they were written after it.
    pair.wait_for_target("the copy", "select count(*) >= 20000 from item", "t");
    let mark = "insert into line (n) values (-1)";
    pair.source_value(mark);
    pair.wait_for_target("a change", "select count(*) from line where n = -1", "1");
    // The application's own statements never fail because of our publications.
    pair.source_value("update item set word = 'by hand' where id = 1");
    end(application);
    running.signal(Signal::Term).unwrap();
    running.wait(DEADLINE).unwrap().success().unwrap();
    let position = pair.source_end();
    let output = pair.ok(&["follow", "--endpos", &position]);
    assert!(output.stderr.contains("the end position"), "{}", output.stderr);
    assert_ne!(pair.target_value("select last_value from tickets"), "1");
    // Nothing of ours is left anywhere once it is removed.
    assert_eq!(pair.target_value("select count(*) from pg_publication"), "0");
    // Once more: nothing is left to do, and that is no error.
    let again = pair.ok(&["follow", "--endpos", &position]);
    assert!(again.stderr.contains("reached before"), "{}", again.stderr);
    pair.ok(&["stream", "cleanup"]);
    pair.assert_same();
    let left = "select (select count(*) from pg_replication_slots) \
                + (select count(*) from pg_publication)";
    assert_eq!(pair.source_value(left), "0");
    let left = "select (select count(*) from pg_replication_origin) \
                + (select count(*) from pg_namespace where nspname = 'pgcopydb')";
    assert_eq!(pair.target_value(left), "0");
}

// trap C-2 C-7
#[test]
fn the_end_position_is_inclusive_and_nothing_behind_it_is_applied() {
    let pair = Pair::with("create table t (id int primary key)");
    pair.ok(&["clone", "--follow", "--endpos", &pair.source_end()]);
    pair.source_value("insert into t values (1)");
    let between = pair.source_end();
    pair.source_value("insert into t values (2)");
    pair.ok(&["follow", "--endpos", &between]);
    assert_eq!(pair.target_value("select string_agg(id::text, ',') from t"), "1");
    pair.ok(&["follow", "--endpos", &pair.source_end()]);
    assert_eq!(pair.target_value("select string_agg(id::text, ',' order by id) from t"), "1,2");
}

// trap C-6
#[test]
fn a_transaction_that_ends_behind_the_end_position_is_applied_whole_by_the_next_run() {
    let pair = Pair::with("create table t (id int primary key)");
    pair.ok(&["clone", "--follow", "--endpos", &pair.source_end()]);
    let middle = pair.source_value(
        "begin; insert into t select generate_series(1, 100); \
         select pg_current_wal_insert_lsn(); \
         insert into t select generate_series(101, 200); commit",
    );
    pair.ok(&["follow", "--endpos", &middle]);
    assert_eq!(pair.target_value("select count(*) from t"), "0");
    pair.ok(&["follow", "--endpos", &pair.source_end()]);
    assert_eq!(pair.target_value("select count(*) from t"), "200");
}

#[test]
fn changes_of_tables_that_the_filters_leave_out_do_not_arrive() {
    let pair = Pair::with(
        "create table kept (id int primary key); create table left_out (id int primary key);
         insert into kept values (1); insert into left_out values (1)",
    );
    let filters = pair.file("filters.ini", "[exclude-table]\npublic.left_out\n");
    let filters = filters.to_string_lossy().into_owned();
    let begin = pair.source_end();
    pair.ok(&["clone", "--follow", "--filters", &filters, "--endpos", &begin]);
    pair.source_value("insert into left_out values (2); insert into kept values (2)");
    let end = pair.source_end();
    pair.ok(&["follow", "--filters", &filters, "--endpos", &end]);
    assert_eq!(pair.target_value("select count(*) from kept"), "2");
    assert_eq!(pair.target_value("select to_regclass('left_out') is null"), "t");
}

// trap X-7
#[test]
fn a_slot_of_another_migration_is_refused_by_name() {
    let pair = Pair::with("create table t (id int primary key)");
    pair.source_value("select pg_create_logical_replication_slot('pgcopydb', 'pgoutput')");
    let output = pair.program(&["clone", "--follow"]).run().unwrap();
    assert!(!output.status.success());
    assert!(output.stderr.contains("slot \"pgcopydb\" exists"), "{}", output.stderr);
    assert_eq!(pair.target_value("select to_regclass('t') is null"), "t", "nothing was begun");
    assert_eq!(pair.source_value("select count(*) from pg_publication"), "0");
}
