//! The parts of following by hand, as somebody does it who reads the manual: one command after the other,
//! in processes of their own.

use testbed::process::{Running, Signal, wait_until};

use super::support::{DEADLINE, Pair};

/// Waits for a file of the work directory.
fn wait_for_file(pair: &Pair, name: &str) {
    wait_until(name, DEADLINE, || Ok(pair.work().join(name).exists())).unwrap();
}

/// One value of the sentinel.
fn sentinel(pair: &Pair, option: &str) -> String {
    let output = pair.in_work(&["stream", "sentinel", "get", option]).run().unwrap();
    output.success().unwrap().stdout.trim().to_owned()
}

/// Waits until a value of the sentinel is behind a position of the source's log.
fn wait_for_sentinel(pair: &Pair, option: &str, position: &str) {
    wait_until(option, DEADLINE, || {
        let sql = format!("select '{}'::pg_lsn >= '{position}'", sentinel(pair, option));
        Ok(pair.source_value(&sql) == "t")
    })
    .unwrap();
}

/// Asks a process to stop and demands that it ends well.
fn stop(running: Running) {
    running.signal(Signal::Term).unwrap();
    running.wait(DEADLINE).unwrap().success().unwrap();
}

// trap S-2 X-23
#[test]
fn a_table_emptied_between_snapshot_and_copy_ends_as_the_source() {
    let pair = Pair::with(
        "create table t (id int primary key, v text);
         insert into t select g, 'old' from generate_series(1, 1000) g",
    );
    // Another process holds the slot's snapshot.
    let holder = pair.on_source(&["snapshot", "--follow"]).spawn().unwrap();
    wait_for_file(&pair, "snapshot");
    pair.program(&["stream", "setup"]).run().unwrap().success().unwrap();
    pair.source_value("truncate t; insert into t values (1, 'new'), (2, 'new')");
    let end = pair.source_end();
    let clone = ["clone", "--follow", "--endpos", &end];
    pair.program(&clone).run().unwrap().success().unwrap();
    assert_eq!(
        pair.target_value("select string_agg(id || v, ' ' order by id) from t"),
        "1new 2new"
    );
    stop(holder);
    // The same cutover once more changes nothing.
    pair.program(&clone).run().unwrap().success().unwrap();
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    pair.assert_same();
}

#[test]
fn every_part_is_a_command_of_its_own_and_together_they_are_a_migration() {
    let pair = Pair::with(
        "create table t (id int primary key, v text); insert into t values (1, 'copied')",
    );
    let holder = pair.on_source(&["snapshot", "--follow"]).spawn().unwrap();
    wait_for_file(&pair, "snapshot");
    pair.program(&["stream", "setup"]).run().unwrap().success().unwrap();
    assert_eq!(sentinel(&pair, "--apply"), "disabled");
    pair.program(&["clone"]).run().unwrap().success().unwrap();
    stop(holder);
    pair.source_value(
        "insert into t values (2, 'received'); update t set v = 'changed' where id = 1",
    );
    let first = pair.source_end();
    let prefetch = ["stream", "prefetch", "--endpos", &first];
    pair.on_source(&prefetch).run().unwrap().success().unwrap();
    assert_eq!(pair.target_value("select string_agg(v, ' ') from t"), "copied", "only received");
    wait_for_sentinel(&pair, "--flush-lsn", &first);
    // Applying is allowed by hand.
    pair.in_work(&["stream", "sentinel", "set", "apply"]).run().unwrap().success().unwrap();
    pair.program(&["stream", "catchup"]).run().unwrap().success().unwrap();
    let rows = "select string_agg(id || v, ' ' order by id) from t";
    assert_eq!(pair.target_value(rows), "1changed 2received");
    let printed = pair.in_work(&["stream", "transform"]).run().unwrap().success().unwrap();
    assert!(printed.stdout.contains("'received'"), "{}", printed.stdout);
    // The next part, this time with messages on standard output and applied by the low-level command.
    pair.source_value("insert into t values (3, 'echoed')");
    let second = pair.source_end();
    let receive = ["stream", "receive", "--to-stdout", "--endpos", &second];
    let echoed = pair.on_source(&receive).run().unwrap().success().unwrap();
    assert!(echoed.stdout.contains("echoed"), "{}", echoed.stdout);
    pair.program(&["stream", "apply", "--endpos", &second]).run().unwrap().success().unwrap();
    assert_eq!(pair.target_value(rows), "1changed 2received 3echoed");
    let files = || std::fs::read_dir(pair.work().join("cdc")).unwrap().count();
    let before = files();
    pair.in_work(&["stream", "prune", "--dry-run"]).run().unwrap().success().unwrap();
    assert_eq!(files(), before);
    pair.in_work(&["stream", "prune"]).run().unwrap().success().unwrap();
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    pair.assert_same();
    assert_eq!(pair.source_value("select count(*) from pg_replication_slots"), "0");
}

#[test]
fn a_running_follow_changes_between_prefetch_and_apply_and_says_how_far_it_is() {
    let pair = Pair::with("create table t (id int primary key)");
    let running = pair.program(&["clone", "--follow"]).spawn().unwrap();
    pair.wait_for_target("the copy", "select to_regclass('t') is not null", "t");
    pair.source_value("insert into t values (1)");
    pair.wait_for_target("a change", "select count(*) from t", "1");
    let get = || {
        let get = ["stream", "sentinel", "get", "--json"];
        let output = pair.in_work(&get).run().unwrap().success().unwrap();
        serde_json::from_str::<serde_json::Value>(&output.stdout).unwrap()
    };
    wait_until("the status", DEADLINE, || Ok(get()["following"]["slot"].is_object())).unwrap();
    let status = get();
    assert_eq!(status["apply"], true);
    for name in ["lag_bytes", "backlog_bytes", "transactions_per_second", "rows_per_second"] {
        assert!(status["following"][name].is_u64(), "{name}: {status}");
    }
    assert!(status["following"]["slot"]["retained_bytes"].is_u64(), "{status}");
    pair.in_work(&["stream", "sentinel", "set", "prefetch"]).run().unwrap().success().unwrap();
    // Its sessions on the target end.
    let applying = "select count(*) from pg_stat_activity where datname = current_database()
                    and application_name like '%apply%'";
    pair.wait_for_target("prefetch", applying, "0");
    pair.source_value("insert into t values (2)");
    wait_for_sentinel(&pair, "--flush-lsn", &pair.source_end());
    assert_eq!(pair.target_value("select count(*) from t"), "1");
    pair.in_work(&["stream", "sentinel", "set", "apply"]).run().unwrap().success().unwrap();
    pair.wait_for_target("the rest", "select count(*) from t", "2");
    stop(running);
    assert!(get()["following"].is_null(), "nobody follows any more");
}

// trap X-21
#[test]
fn what_a_killed_run_left_is_removed_by_one_command_and_a_new_start_succeeds() {
    let pair = Pair::with("create table t (id int primary key); insert into t values (1)");
    let running = pair.program(&["clone", "--follow"]).spawn().unwrap();
    pair.wait_for_target("the copy", "select count(*) from t", "1");
    running.signal(Signal::Kill).unwrap();
    let _ = running.wait(DEADLINE).unwrap();
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    let left = "select (select count(*) from pg_replication_slots)
                + (select count(*) from pg_publication)";
    assert_eq!(pair.source_value(left), "0");
    assert_eq!(pair.target_value("select count(*) from pg_replication_origin"), "0");
    pair.target_value("drop table t");
    pair.source_value("insert into t values (2)");
    let end = pair.source_end();
    let again = ["clone", "--follow", "--restart", "--endpos", &end];
    pair.program(&again).run().unwrap().success().unwrap();
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    pair.assert_same();
}

// trap C-35 C-50 C-51 X-29
#[test]
fn what_the_stream_did_not_carry_is_named_at_the_end() {
    let pair = Pair::with(
        "create table t (id int primary key); create unlogged table u (id int primary key);
         insert into u values (1); select lo_from_bytea(4711, 'copied')",
    );
    let begin = pair.source_end();
    pair.program(&["clone", "--follow", "--endpos", &begin]).run().unwrap().success().unwrap();
    pair.source_value(
        "alter table u set logged; insert into u values (2);
         create table later (id int primary key); insert into later values (1);
         select lo_from_bytea(4712, 'made later')",
    );
    let end = pair.source_end();
    let output = pair.program(&["follow", "--endpos", &end]).run().unwrap().exit_code(7).unwrap();
    let text = output.stderr;
    assert!(text.contains("was not in the stream") && text.contains("object=public.u"), "{text}");
    assert!(text.contains("made after the copy") && text.contains("object=public.later"), "{text}");
    assert!(text.contains("large objects are not in the stream"), "{text}");
    assert!(!text.contains("object=public.t"), "{text}");
}
