//! `snapshot`: held for others as long as it runs, and not a moment longer.

use testbed::process::Signal;

use crate::support::Pair;

#[test]
fn other_commands_read_under_the_snapshot_that_is_held() {
    let pair = Pair::with("snaphold", "create table t as select 1 as a");
    let held = pair.hold_snapshot();
    pair.source.psql("insert into t values (2)").unwrap();
    pair.ok("clone");
    assert_eq!(pair.on_target("select string_agg(a::text, ',') from t"), "1");
    let id = std::fs::read_to_string(pair.work().join("snapshot")).unwrap();
    let output = held.release();
    assert_eq!(output.stdout, id);
    assert!(!pair.work().join("snapshot").exists());
}

#[test]
fn another_snapshot_than_the_one_held_is_refused() {
    let pair = Pair::with("snapother", "create table t as select 1 as a");
    let held = pair.hold_snapshot();
    let output = pair.run("copy table-data --snapshot 00000003-0000001B-1").exit_code(1).unwrap();
    assert!(output.stderr.contains("00000003-0000001B-1"), "{output}");
    held.release();
}

#[test]
fn a_second_holder_in_the_same_directory_is_refused_and_the_first_goes_on() {
    let pair = Pair::with("snaptwo", "create table t as select 1 as a");
    let held = pair.hold_snapshot();
    let output = pair.run("snapshot").exit_code(1).unwrap();
    assert!(output.stderr.contains("is in use by process"), "{output}");
    assert!(pair.work().join("snapshot").exists());
    held.release();
}

#[test]
fn a_snapshot_whose_holder_was_killed_is_named_when_it_cannot_be_imported() {
    let pair = Pair::with("snapdead", "create table t as select 1 as a");
    let running = pair.command("snapshot").spawn().unwrap();
    let file = pair.work().join("snapshot");
    testbed::process::wait_until("the snapshot", crate::support::DEADLINE, || Ok(file.exists()))
        .unwrap();
    running.signal(Signal::Kill).unwrap();
    running.wait(crate::support::DEADLINE).unwrap();
    let gone = "select count(*) = 0 from pg_stat_activity where datname = current_database() \
                and application_name like 'pgcopydb%'";
    testbed::process::wait_until("the session's end", crate::support::DEADLINE, || {
        Ok(pair.on_source(gone) == "t")
    })
    .unwrap();
    let id = std::fs::read_to_string(&file).unwrap();
    let output = pair.run("clone").exit_code(1).unwrap();
    assert!(output.stderr.contains(id.trim()), "{output}");
    assert!(output.stderr.contains("pgcopydb snapshot"), "{output}");
}
