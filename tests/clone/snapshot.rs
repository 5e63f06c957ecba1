//! One snapshot, every row once: splits, rewrites, growth, standbys.

use std::time::Duration;

use testbed::chaos::{Direction, Proxy};
use testbed::{Cluster, ClusterOptions, Installation, Major, Session};

use crate::support::{Pair, round_trip};

/// Exports a snapshot in a session of its own.
fn exported(pair: &Pair) -> (Session, String) {
    let mut holder = pair.source.session().unwrap();
    holder.run("begin isolation level repeatable read").unwrap();
    let id = holder.run("select pg_export_snapshot()").unwrap();
    (holder, id)
}

// trap S-1, S-4
#[test]
fn a_table_rewritten_after_the_snapshot_fails_by_name_and_is_never_empty() {
    for rewrite in [
        "alter table t alter id type bigint",
        "begin; truncate t; insert into t values (5); commit",
        "vacuum full t",
    ] {
        let pair = Pair::with(
            "rewritten",
            "create table t (id int); insert into t select generate_series(1, 1000);
             create table other (id int); insert into other values (1)",
        );
        let (holder, id) = exported(&pair);
        pair.source.psql(rewrite).unwrap();
        let output = pair.program().args(["--snapshot", &id]).run().unwrap();
        assert!(!output.status.success(), "{rewrite}: {}", output.stderr);
        assert!(
            output.stderr.contains("public.t") && output.stderr.contains("rewritten"),
            "{rewrite}: {}",
            output.stderr
        );
        drop(holder);
        // Under a new snapshot the same command completes the run. Its schema is the one dumped
        // before, so only a rewrite that keeps the definition can become identical.
        if !rewrite.starts_with("alter") {
            pair.clone(&[]);
            pair.assert_same();
        }
    }
}

// trap S-3
#[test]
fn only_the_table_that_is_being_copied_is_locked() {
    // The target's domain waits for an advisory lock that the test holds there: the copy of "held"
    // cannot end before it is released, and with one worker nothing else is copied meanwhile.
    let pair = Pair::with(
        "unlocked",
        "create function wait_for_test(int) returns bool language plpgsql as
           'begin perform pg_advisory_xact_lock_shared(4711); return true; end';
         create domain waiting as int check (wait_for_test(value));
         create table held (x waiting, y text);
         -- 60 MB in the stream, more than lies in buffers between the servers.
         insert into held select g, repeat('x', 60000) from generate_series(1, 1000) g;
         create table queue (id int primary key); insert into queue values (1), (2);
         create table other (id int primary key); insert into other values (1)",
    );
    let mut holder = pair.target.session().unwrap();
    holder.run("select pg_advisory_lock(4711)").unwrap();
    let running = pair.program().args(["--jobs", "1"]).spawn().unwrap();
    let waiting = format!(
        "select count(*) > 0 from pg_locks l join pg_database d on d.oid = l.database
         where l.locktype = 'advisory' and not l.granted and d.datname = '{}'",
        pair.target.name()
    );
    testbed::process::wait_until("the copy", Duration::from_secs(120), || {
        Ok(pair.target_value(&waiting) == "t")
    })
    .unwrap();
    let locked = "select string_agg(distinct c.relname, ',') from pg_locks l
                  join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
                  where n.nspname = 'public' and l.pid <> pg_backend_pid()
                    and l.database = (select oid from pg_database where datname = current_database())";
    assert_eq!(pair.source_value(locked), "held");
    // The application empties its queue and changes a table, without waiting for anybody.
    pair.source
        .psql(
            "set lock_timeout = '10s'; begin; truncate queue; insert into queue values (7), (8), (9);
             commit; alter table other set (fillfactor = 90)",
        )
        .unwrap();
    holder.run("select pg_advisory_unlock(4711)").unwrap();
    // What was rewritten meanwhile is noticed and copied under a new snapshot.
    let output = running.wait(Duration::from_secs(120)).unwrap().success().unwrap();
    assert!(output.stderr.contains("rewritten"), "{}", output.stderr);
    assert_eq!(
        pair.target_value("select string_agg(id::text, ',' order by id) from queue"),
        "7,8,9"
    );
    assert_eq!(pair.target_value("select count(*) from held"), "1000");
}

// trap S-5
#[test]
fn rows_on_pages_that_came_after_the_plan_are_copied_once() {
    let pair = Pair::with(
        "growth",
        "create table t (id int primary key, x text);
         insert into t select g, repeat('x', 500) from generate_series(1, 4000) g; analyze t;
         insert into t select g, repeat('y', 500) from generate_series(4001, 9000) g",
    );
    // Estimates are those of the first 4000 rows; the last range is open.
    pair.clone(&[
        "--split-tables-larger-than",
        "300kB",
        "--estimate-table-sizes",
        "--skip-analyze",
    ]);
    pair.assert_same();
}

// trap S-6
#[test]
fn tables_that_were_never_analyzed_are_copied_once() {
    for switch in ["--skip-vacuum", "--estimate-table-sizes"] {
        round_trip(
            "unanalyzed",
            "create table t (id int primary key) with (autovacuum_enabled = off);
             insert into t select generate_series(1, 20000);
             create table e (id int)",
            &["--split-tables-larger-than", "100kB", switch],
        );
    }
}

// trap S-7, S-8, S-9, S-10
#[test]
fn key_ranges_hold_every_row_once() {
    round_trip(
        "keys",
        "create table extremes (id bigint primary key, x text);
         insert into extremes select g, repeat('x', 100) from generate_series(-3000, 3000) g;
         insert into extremes values (-9223372036854775808, 'min'), (9223372036854775807, 'max'),
           (1000000000000000, 'gap');
         create table nulls (k int unique, x text);
         insert into nulls select nullif(g % 3000, 0) + (g / 3000) * 3000, repeat('x', 100)
           from generate_series(1, 2999) g;
         insert into nulls select null, 'n' from generate_series(1, 2000);
         create table partial (id int, active bool, x text);
         create unique index on partial (id) where active;
         insert into partial select g / 2, g % 2 = 0, repeat('x', 100) from generate_series(1, 6000) g;
         create table no_key (x text);
         insert into no_key select repeat('x', 200) from generate_series(1, 5000)",
        &["--split-tables-larger-than", "100kB", "--skip-split-by-ctid"],
    );
}

// trap S-11, S-13
#[test]
fn parts_of_a_table_with_toast_follow_its_total_size() {
    let pair = Pair::with(
        "toast",
        "create table t (id text primary key, b bytea);
         alter table t alter b set storage external;
         insert into t select g, decode(repeat(md5(g::text), 3000), 'hex') from generate_series(1, 300) g",
    );
    let plan =
        pair.program().args(["--dry-run", "--split-tables-larger-than", "2MB"]).run().unwrap();
    assert!(plan.stdout.contains("parts"), "{}", plan.stdout);
    pair.clone(&["--split-tables-larger-than", "2MB"]);
    pair.assert_same();
}

// trap S-12
#[test]
fn split_max_parts_and_zero_are_obeyed() {
    let sql = "create table t (id int primary key, x text);
               insert into t select g, repeat('x', 200) from generate_series(1, 20000) g";
    let pair = round_trip("cap", sql, &["--split-at", "100kB", "--split-max-parts", "3"]);
    drop(pair);
    round_trip("never", sql, &["--split-at", "0"]);
}

// trap S-15
#[test]
fn rows_of_whole_tables_are_frozen_and_those_of_parts_are_not_lost() {
    let pair = round_trip(
        "frozen",
        "create table t (id int) with (autovacuum_enabled = off);
         insert into t select generate_series(1, 10000)",
        &[],
    );
    // 226 such rows fit a page, so they fill 44 pages and a part of the next. From version 16 on the
    // table is extended in larger steps; pages that hold nothing are not marked.
    let frozen = "select relallvisible >= 44 from pg_class where oid = 't'::regclass";
    assert_eq!(pair.target_value(frozen), "t", "the visibility map is set by the load itself");
}

// trap S-16
#[test]
fn a_target_that_has_the_tables_is_refused_untouched() {
    let pair = Pair::with("occupied", "create table t (id int); insert into t values (1)");
    pair.target
        .psql("create table t (id int, mine text); insert into t values (9, 'mine')")
        .unwrap();
    let output = pair.program().run().unwrap().exit_code(1).unwrap();
    assert!(output.stderr.contains("public.t") && output.stderr.contains("--drop-if-exists"));
    assert_eq!(pair.target_value("select id, mine from t"), "9|mine");
    assert_eq!(
        pair.target_value("select count(*) from pg_namespace where nspname = 'pgcopydb'"),
        "0",
        "nothing was created"
    );
}

// trap S-18
#[test]
fn a_table_dropped_during_the_run_is_reported_and_the_rest_arrives() {
    let pair = Pair::with(
        "dropped",
        "create table gone (id int); insert into gone values (1);
         create table stays (id int primary key, x text);
         insert into stays select g, repeat('x', 500) from generate_series(1, 10000) g",
    );
    // One worker takes the large table first, and the proxy keeps it busy for seconds.
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    proxy.rate(Direction::ToClient, Some(2_000_000));
    let source = proxy.uri(pair.source.name());
    let running =
        pair.program_between(&source, &pair.target.uri()).args(["--jobs", "1"]).spawn().unwrap();
    testbed::process::wait_until("the restored schema", Duration::from_secs(60), || {
        Ok(pair.target_value("select to_regclass('public.gone') is not null") == "t")
    })
    .unwrap();
    pair.source.psql("drop table gone").unwrap();
    proxy.rate(Direction::ToClient, None);
    let output = running.wait(Duration::from_secs(120)).unwrap().success().unwrap();
    assert!(output.stderr.contains("dropped on the source"), "{}", output.stderr);
    pair.target.psql("drop table gone").unwrap();
    pair.assert_same();
}

// trap S-20, S-21
#[test]
fn a_standby_is_a_source_like_another() {
    let installation = Installation::find(Major::V15).unwrap();
    let primary = Cluster::start(&installation, ClusterOptions::default()).unwrap();
    primary.create_database("app").unwrap();
    primary
        .psql(
            "app",
            "create table t (id int primary key, x text);
             insert into t select g, repeat('x', 100) from generate_series(1, 20000) g;
             create unlogged table u (id int); insert into u values (1);
             create sequence s; select nextval('s');
             select lo_from_bytea(0, 'abc')",
        )
        .unwrap();
    let standby = Cluster::standby_of(&primary).unwrap();
    standby.wait_replayed(&primary).unwrap();
    let pair = Pair::new("standby");
    pair.program_between(&standby.uri("app"), &pair.target.uri())
        .args(["--split-tables-larger-than", "500kB"])
        .run()
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(pair.target_value("select count(*), sum(id) from t"), "20000|200010000");
    assert_eq!(pair.target_value("select last_value from s"), "1");
}

// trap S-22
#[test]
fn an_open_transaction_of_the_application_does_not_stop_the_copy() {
    let pair = Pair::with("open", "create table t (id int primary key); insert into t values (1)");
    let mut open = pair.source.session().unwrap();
    open.run("begin").unwrap();
    open.run("insert into t values (2)").unwrap();
    pair.clone(&[]);
    open.run("rollback").unwrap();
    pair.assert_same();
}

// trap S-25
#[test]
fn a_second_run_against_one_target_is_refused() {
    let pair = Pair::with(
        "twice",
        "create table t (id int, x text);
         insert into t select g, repeat('x', 1000) from generate_series(1, 20000) g",
    );
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    proxy.rate(Direction::ToClient, Some(2_000_000));
    let first =
        pair.program_between(&proxy.uri(pair.source.name()), &pair.target.uri()).spawn().unwrap();
    testbed::process::wait_until("the first run's ledger", Duration::from_secs(60), || {
        Ok(pair.target_value("select to_regclass('pgcopydb.run') is not null") == "t")
    })
    .unwrap();
    let other = tempfile::tempdir().unwrap();
    let second =
        crate::support::program_in(&pair.source.uri(), &pair.target.uri(), &other.path().join("w"))
            .run()
            .unwrap()
            .exit_code(1)
            .unwrap();
    assert!(second.stderr.contains("another pgcopydb"), "{}", second.stderr);
    proxy.rate(Direction::ToClient, None);
    first.wait(Duration::from_secs(120)).unwrap().success().unwrap();
    pair.assert_same();
}
