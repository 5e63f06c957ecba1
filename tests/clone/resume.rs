//! Interruptions of every kind: the same command continues and ends identical.

use std::time::Duration;

use testbed::chaos::{Direction, Proxy};
use testbed::process::{Running, Signal, wait_until};
use testbed::{Cluster, ClusterOptions, Installation, Major, StopMode};

use crate::support::Pair;

/// A database whose copy takes long enough to be interrupted: several tables, one of them in parts,
/// with indexes, keys, sequences and large objects.
const DATABASE: &str = "
    create table a (id int primary key, t text);
    insert into a select g, repeat(md5(g::text), 10) from generate_series(1, 20000) g;
    create table b (id serial primary key, a int references a, n numeric);
    insert into b (a, n) select g, g * 1.5 from generate_series(1, 20000) g;
    create index on b (a); create index on b (n); create index a_t_idx on a (md5(t));
    create table c (x text unique); insert into c select md5(g::text) from generate_series(1, 5000) g;
    create view v as select a.id, count(*) from a join b on b.a = a.id group by a.id;
    create function f() returns trigger language plpgsql as 'begin return new; end';
    create trigger tr before insert on a for each row execute function f();
    create rule r as on update to c do instead nothing;
    create materialized view mv as select count(*) from a;
    select count(lo_from_bytea(0, decode(repeat(md5(g::text), 50), 'hex'))) from generate_series(1, 300) g";

/// Options that cut table `a` into many parts.
const SPLIT: [&str; 2] = ["--split-tables-larger-than", "500kB"];

/// How long anything may take here.
const DEADLINE: Duration = Duration::from_secs(120);

/// Parts that the ledger has.
fn parts_done(pair: &Pair) -> u64 {
    let there = pair.target_value("select to_regclass('pgcopydb.part') is not null");
    if there == "t" {
        pair.target
            .psql("select count(*) from pgcopydb.part")
            .map_or(0, |text| text.trim().parse().unwrap())
    } else {
        0
    }
}

/// Starts a run behind a slow proxy and waits until it has copied some parts but not all.
fn half_way(pair: &Pair, proxy: &Proxy) -> Running {
    proxy.rate(Direction::ToClient, Some(1_500_000));
    let running = pair
        .program_between(&proxy.uri(pair.source.name()), &pair.target.uri())
        .args(SPLIT)
        .spawn()
        .unwrap();
    wait_until("the first copied parts", DEADLINE, || Ok(parts_done(pair) >= 2)).unwrap();
    running
}

/// A run behind a slow proxy that was killed when it had copied some parts but not all.
fn killed_half_way(pair: &Pair) -> Proxy {
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    let running = half_way(pair, &proxy);
    running.signal(Signal::Kill).unwrap();
    running.wait(DEADLINE).unwrap();
    proxy
}

/// Runs the same command to its end.
fn continue_to_the_end(pair: &Pair, proxy: &Proxy) {
    continue_with(&SPLIT, pair, proxy);
}

/// Runs the command with other options to its end.
fn continue_with(options: &[&str], pair: &Pair, proxy: &Proxy) {
    proxy.rate(Direction::ToClient, None);
    pair.program_between(&proxy.uri(pair.source.name()), &pair.target.uri())
        .args(options)
        .run()
        .unwrap()
        .success()
        .unwrap();
    pair.assert_same();
}

// trap X-1, S-14
#[test]
fn a_killed_run_is_continued_to_an_identical_end() {
    let pair = Pair::with("killed", DATABASE);
    let proxy = killed_half_way(&pair);
    let marks = pair.target_value("select count(*) from pgcopydb.part");
    assert_ne!(marks, "0");
    continue_to_the_end(&pair, &proxy);
}

// trap X-11
#[test]
fn without_its_work_directory_a_run_is_continued_from_what_the_target_knows() {
    let pair = Pair::with("lostdir", DATABASE);
    pair.source
        .psql("create table d (id int); insert into d select generate_series(1, 100)")
        .unwrap();
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    proxy.rate(Direction::ToClient, Some(500_000));
    let program = || pair.program_between(&proxy.uri(pair.source.name()), &pair.target.uri());
    let running = program().spawn().unwrap();
    let oid = pair.source_value("select 'd'::regclass::oid");
    let copied = format!("select count(*) from pgcopydb.part where relation = {oid}");
    wait_until("a copied table", DEADLINE, || {
        Ok(pair.target.psql(&copied).is_ok_and(|count| count.trim() == "1"))
    })
    .unwrap();
    running.signal(Signal::Kill).unwrap();
    running.wait(DEADLINE).unwrap();
    // Where each row lies, and which transaction wrote it.
    let places = "select md5(string_agg(ctid::text || xmin::text, ',' order by ctid)) from d";
    let before = pair.target_value(places);
    std::fs::remove_dir_all(pair.dir.path().join("work")).unwrap();
    let other = program().arg("--no-owner").run().unwrap().exit_code(1).unwrap();
    assert!(other.stderr.contains("none then, --no-owner now"), "{other}");
    std::fs::remove_dir_all(pair.dir.path().join("work")).unwrap();
    proxy.rate(Direction::ToClient, None);
    let output = program().run().unwrap().success().unwrap();
    assert!(output.stderr.contains("the work directory is new"), "{output}");
    assert_eq!(pair.target_value(places), before, "a finished table was touched");
    pair.assert_same();
}

// trap X-1
#[test]
fn kills_at_random_moments_never_lose_or_double_anything() {
    // The slow run (`PGCOPYDB_SLOW=1`) is the hundred rounds; this many show the way.
    let rounds = if testbed::slow_tests() { 100 } else { 6 };
    let pair = Pair::with("random", DATABASE);
    let mut seed: u64 = 0x5eed_0001;
    for round in 0..rounds {
        let name = testbed::cluster::quote_ident(pair.target.name());
        let admin = pair.target.cluster();
        admin.psql("postgres", &format!("drop database {name} with (force)")).unwrap();
        admin.psql("postgres", &format!("create database {name}")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let program = || {
            crate::support::program_in(
                &pair.source.uri(),
                &pair.target.uri(),
                &dir.path().join("w"),
            )
            .args(SPLIT)
        };
        for _ in 0..5 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let pause = Duration::from_millis(30 + (seed >> 33) % 1500);
            let mut running = program().spawn().unwrap();
            // The moment is the test's subject: wait for it, or for the end of the run.
            let started = std::time::Instant::now();
            wait_until("the moment to kill", DEADLINE, || {
                Ok(started.elapsed() >= pause || !running.is_running()?)
            })
            .unwrap();
            let _ = running.signal(Signal::Kill);
            running.wait(DEADLINE).unwrap();
        }
        let last = program().run().unwrap();
        assert!(last.status.success(), "round {round}, seed {seed}: {}", last.stderr);
        pair.assert_same();
    }
}

// trap X-12
#[test]
fn a_polite_stop_ends_in_order_and_is_resumable() {
    for signal in [Signal::Int, Signal::Term] {
        let pair = Pair::with("polite", DATABASE);
        let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
        let running = half_way(&pair, &proxy);
        running.signal(signal).unwrap();
        let output = running.wait(DEADLINE).unwrap();
        assert_eq!(output.status.code(), Some(12), "{}", output.stderr);
        assert!(output.stderr.contains("stop"), "{}", output.stderr);
        continue_to_the_end(&pair, &proxy);
    }
}

// trap X-12
#[test]
fn a_second_signal_stops_fast_and_hangup_does_nothing() {
    let pair = Pair::with("fast", DATABASE);
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    let mut running = half_way(&pair, &proxy);
    running.signal(Signal::Hup).unwrap();
    let done = parts_done(&pair);
    wait_until("more parts after the hangup", DEADLINE, || Ok(parts_done(&pair) > done)).unwrap();
    assert!(running.is_running().unwrap(), "a hangup ended the run");
    running.signal(Signal::Int).unwrap();
    running.signal(Signal::Int).unwrap();
    let output = running.wait(Duration::from_secs(10)).unwrap();
    assert!(!output.status.success());
    continue_to_the_end(&pair, &proxy);
}

// trap
#[test]
fn terminated_backends_and_cut_connections_are_survived_within_the_run() {
    let pair = Pair::with("terminated", DATABASE);
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    let running = half_way(&pair, &proxy);
    for database in [&pair.target, &pair.source] {
        let kill = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = '{}' and application_name like 'pgcopydb%'",
            database.name()
        );
        database.cluster().psql("postgres", &kill).unwrap();
    }
    proxy.rate(Direction::ToClient, None);
    let output = running.wait(DEADLINE).unwrap();
    if !output.status.success() {
        // Not finished by itself: then it said why, and the same command continues.
        assert!(!output.stderr.is_empty());
        continue_to_the_end(&pair, &proxy);
    }
    pair.assert_same();
}

// trap S-19
#[test]
fn a_lost_snapshot_is_replaced_and_finished_work_stays() {
    let pair = Pair::with("lost", DATABASE);
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    let running = half_way(&pair, &proxy);
    let kill = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = '{}' and application_name like '%source control%'",
        pair.source.name()
    );
    assert_eq!(pair.source.cluster().psql("postgres", &kill).unwrap().trim(), "1");
    proxy.rate(Direction::ToClient, None);
    let output = running.wait(DEADLINE).unwrap();
    assert!(output.status.success(), "{}", output.stderr);
    pair.assert_same();
}

// trap X-3
#[test]
fn a_restarted_target_is_survived() {
    let installation = Installation::find(Major::V15).unwrap();
    let target = Cluster::start(&installation, ClusterOptions::default()).unwrap();
    target.create_database("app").unwrap();
    let pair = Pair::with("restarted", DATABASE);
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    proxy.rate(Direction::ToClient, Some(1_500_000));
    let program =
        || pair.program_between(&proxy.uri(pair.source.name()), &target.uri("app")).args(SPLIT);
    let running = program().spawn().unwrap();
    wait_until("the first copied parts", DEADLINE, || {
        Ok(target
            .psql("app", "select count(*) >= 2 from pgcopydb.part")
            .is_ok_and(|text| text.trim() == "t"))
    })
    .unwrap();
    target.restart(StopMode::Immediate).unwrap();
    proxy.rate(Direction::ToClient, None);
    let output = running.wait(DEADLINE).unwrap();
    if !output.status.success() {
        program().run().unwrap().success().unwrap();
    }
    testbed::compare::compare(&pair.source.uri(), &target.uri("app")).unwrap().assert_same();
}

// trap X-7
#[test]
fn another_source_is_refused_naming_both() {
    let pair = Pair::with("other_source", DATABASE);
    let proxy = killed_half_way(&pair);
    let other = Pair::with("other", "create table a (id int)");
    let same_dir = pair
        .program_between(&other.source.uri(), &pair.target.uri())
        .run()
        .unwrap()
        .exit_code(1)
        .unwrap();
    assert!(same_dir.stderr.contains(other.source.name()), "{}", same_dir.stderr);
    assert!(same_dir.stderr.contains(pair.source.name()), "{}", same_dir.stderr);
    let other_dir = other
        .program_between(&other.source.uri(), &pair.target.uri())
        .run()
        .unwrap()
        .exit_code(1)
        .unwrap();
    assert!(other_dir.stderr.contains(pair.source.name()), "{}", other_dir.stderr);
    continue_to_the_end(&pair, &proxy);
}

// trap X-8
#[test]
fn other_options_are_refused_and_other_job_counts_are_not() {
    let pair = Pair::with("other_options", DATABASE);
    let proxy = killed_half_way(&pair);
    let output = pair
        .program_between(&proxy.uri(pair.source.name()), &pair.target.uri())
        .arg("--no-comments")
        .run()
        .unwrap()
        .exit_code(1)
        .unwrap();
    assert!(output.stderr.contains("--no-comments"), "{}", output.stderr);
    continue_with(&["--jobs", "2", "--split-at", "2MB"], &pair, &proxy);
}

// trap X-9
#[test]
fn an_interrupted_index_build_is_cleaned_and_redone() {
    let pair = Pair::with("index", DATABASE);
    let proxy = killed_half_way(&pair);
    // What an interrupted CREATE INDEX CONCURRENTLY of somebody leaves: an invalid index in the way,
    // on the table that has most of its rows still to come, so that no index of ours is there yet.
    pair.target
        .psql(
            "create index a_t_idx on a (id);
             update pg_index set indisvalid = false where indexrelid = 'a_t_idx'::regclass",
        )
        .unwrap();
    continue_to_the_end(&pair, &proxy);
}

// trap
#[test]
fn a_silent_network_is_noticed_and_a_slow_target_slows_the_source() {
    let pair = Pair::with("silent", DATABASE);
    let proxy = Proxy::in_front_of(pair.target.cluster()).unwrap();
    proxy.rate(Direction::ToServer, Some(1_500_000));
    let running = pair
        .program_between(&pair.source.uri(), &proxy.uri(pair.target.name()))
        .args(SPLIT)
        .spawn()
        .unwrap();
    wait_until("the first copied parts", DEADLINE, || Ok(parts_done(&pair) >= 1)).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let peak: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .unwrap();
    assert!(peak < 200_000, "peak memory is {peak} kB while the target is slow");
    proxy.cut();
    proxy.rate(Direction::ToServer, None);
    let output = running.wait(DEADLINE).unwrap();
    if !output.status.success() {
        pair.program_between(&pair.source.uri(), &proxy.uri(pair.target.name()))
            .args(SPLIT)
            .run()
            .unwrap()
            .success()
            .unwrap();
    }
    pair.assert_same();
}

// trap X-16
#[test]
fn a_connection_limit_shrinks_the_concurrency() {
    // Each materialized view is a reason for one more session at the end.
    let views =
        "; create materialized view mv1 as select 1; create materialized view mv2 as select 2";
    let pair = Pair::with("limit", &format!("{DATABASE}{views}"));
    let admin = pair.target.cluster();
    let owner = format!("few_{}", std::process::id());
    admin
        .psql(
            "postgres",
            &format!(
                "create role {owner} login connection limit 3;
                 alter database {} owner to {owner}",
                testbed::cluster::quote_ident(pair.target.name())
            ),
        )
        .unwrap();
    let output = pair
        .program_between(&pair.source.uri(), &pair.target.uri_as(&owner, ""))
        .args([
            "--jobs",
            "6",
            "--index-jobs",
            "6",
            "--restore-jobs",
            "4",
            "--no-owner",
            "--no-acl",
            "--no-comments",
        ])
        .args(SPLIT)
        .run()
        .unwrap();
    let rows = pair.target_value("select count(*), sum(id) from a");
    let log = output.stderr.clone();
    drop(pair);
    let target = testbed::shared(Major::V18);
    target.psql("postgres", &format!("drop role {owner}")).unwrap();
    assert!(output.status.success(), "{log}");
    assert!(log.contains("connection limit reached"), "{log}");
    assert!(!log.contains("under a new snapshot"), "{log}");
    assert_eq!(rows, "20000|200010000");
}

#[test]
fn a_complete_run_has_nothing_left_to_do() {
    let pair = Pair::with("complete", "create table t (id int); insert into t values (1)");
    pair.clone(&[]);
    let again = pair.clone(&[]);
    assert!(again.stderr.contains("already completed"), "{}", again.stderr);
    pair.assert_same();
}

#[test]
fn restart_begins_again_from_nothing() {
    let pair = Pair::with("restart", DATABASE);
    let proxy = killed_half_way(&pair);
    proxy.rate(Direction::ToClient, None);
    pair.source.psql("insert into c values ('new'); delete from b where id = 1").unwrap();
    pair.clone(&["--restart"]);
    pair.assert_same();
}
