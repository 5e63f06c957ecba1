//! Options of `clone --follow`, `follow` and the `stream` commands, each seen to work on the servers.

use std::time::Duration;

use testbed::process::{Output, Signal, wait_until};

use super::commands::Run;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(120);

/// Copies and follows up to the source's position.
fn clone_and_follow(run: &Run, options: &[&str]) -> Output {
    let end = run.position();
    let words = ["clone", "--follow", "--endpos", end.trim()];
    run.between(&words).args(options).run().unwrap().success().unwrap()
}

/// Follows up to the source's position.
fn follow(run: &Run, options: &[&str]) -> Output {
    let end = run.position();
    run.between(&["follow", "--endpos", end.trim()]).args(options).run().unwrap()
}

#[test]
fn a_given_publication_decides_what_is_followed_and_stays() {
    let run = Run::new(
        "givenpub",
        "create table t (id int primary key, v text); create table u (id int primary key);
         create publication mine for table t",
    );
    let given = ["--publication", "mine", "--create-slot"];
    clone_and_follow(&run, &given);
    run.source.psql("insert into t values (1, 'a'); insert into u values (1)").unwrap();
    follow(&run, &given).success().unwrap();
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    assert_eq!(run.target.psql("select count(*) from u").unwrap().trim(), "0");
    run.between(&["stream", "cleanup", "--publication", "mine"]).run().unwrap().success().unwrap();
    let names = "select string_agg(pubname, ',') from pg_publication";
    assert_eq!(run.source.psql(names).unwrap().trim(), "mine");
}

#[test]
fn numbers_of_wal2json_come_as_strings_when_asked_for() {
    let exact = "12345678901234567890.12345678901234567890";
    for (name, options, sent) in [
        ("w2jnum", &[][..], format!("\"value\":{exact}")),
        ("w2jtext", &["--wal2json-numeric-as-string"], format!("\"value\":\"{exact}\"")),
    ] {
        let run = Run::new(name, "create table t (id int primary key, v numeric)");
        let options = [&["--plugin", "wal2json"], options].concat();
        clone_and_follow(&run, &options);
        run.source.psql(&format!("insert into t values (1, {exact})")).unwrap();
        let end = run.position();
        let words = ["stream", "receive", "--to-stdout", "--endpos", end.trim()];
        let received = run.between(&words).args(&options).run().unwrap();
        // wal2json learned the option with version 2.6; one before names what it was asked.
        if options.len() > 2
            && received.stderr.contains("\"numeric-data-types-as-string\" = \"on\"")
        {
            assert!(!received.status.success(), "{received}");
            continue;
        }
        let received = received.success().unwrap();
        assert!(received.stdout.contains(&sent), "{}", received.stdout);
        run.between(&["stream", "apply"]).args(&options).run().unwrap().success().unwrap();
        assert_eq!(run.rows(&run.target), run.rows(&run.source), "{name}");
    }
    let run = Run::new("w2jwrong", "create table t (id int primary key, v text)");
    let wrong = follow(&run, &["--wal2json-numeric-as-string"]).exit_code(1).unwrap();
    assert!(wrong.stderr.contains("--plugin wal2json"), "{wrong}");
}

#[test]
fn rows_that_are_missing_are_passed_over_only_when_told_so() {
    let run = Run::new(
        "missing",
        "create table t (id int primary key, v text); insert into t values (1, 'a'), (2, 'b')",
    );
    clone_and_follow(&run, &["--max-replaydb-size", "1MB", "--max-changes-size", "64MB"]);
    run.target.psql("delete from t where id = 1").unwrap();
    run.source.psql("update t set v = 'x'").unwrap();
    let refused = follow(&run, &[]);
    assert!(!refused.status.success(), "{refused}");
    let passed = follow(&run, &["--ignore-missing-rows"]).success().unwrap();
    assert!(passed.stderr.contains("missing_rows=1"), "{passed}");
    assert_eq!(run.rows(&run.target).trim(), "2:x");
}

#[test]
fn updates_that_change_nothing_are_applied_only_when_asked_for() {
    for (name, options, fired) in
        [("noop", &[][..], "0"), ("noopall", &["--replay-no-op-updates"], "1")]
    {
        let run = Run::new(
            name,
            "create table t (id int primary key, v text); alter table t replica identity full;
             create table seen (id int primary key);
             create function note() returns trigger language plpgsql as
               $$ begin insert into public.seen values (old.id); return new; end $$;
             create trigger note after update on t for each row execute function note();
             alter table t enable always trigger note; insert into t values (1, 'a')",
        );
        clone_and_follow(&run, &[]);
        // The trigger's own insert is not followed: only the target's trigger counts.
        run.source
            .psql("begin; alter table t disable trigger note; update t set v = v; commit")
            .unwrap();
        follow(&run, options).success().unwrap();
        assert_eq!(run.target.psql("select count(*) from seen").unwrap().trim(), fired, "{name}");
        let printed = run
            .program(&["stream", "transform"])
            .args(options)
            .run()
            .unwrap()
            .success()
            .unwrap()
            .stdout;
        assert_eq!(printed.matches("UPDATE ").count().to_string(), fired, "{printed}");
    }
}

#[test]
fn follow_explains_its_settings_and_names_options_that_it_does_not_use() {
    let run = Run::new("explain", "create table t (id int primary key)");
    let output = run
        .between(&["follow", "--show-settings", "--json", "--table-jobs", "7", "-E", "0/10"])
        .env("PGCOPYDB_OUTPUT_PLUGIN", "wal2json")
        .env("PGCOPYDB_WAL2JSON_NUMERIC_AS_STRING", "on")
        .env("PGCOPYDB_REPLAY_NO_OP_UPDATES", "yes")
        .run()
        .unwrap()
        .success()
        .unwrap();
    let shown: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let value = |name: &str| {
        let entries = shown.as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["setting"] == name).unwrap();
        (entry["value"].as_str().unwrap().to_owned(), entry["from"].as_str().unwrap().to_owned())
    };
    for (name, text, from) in [
        ("plugin", "wal2json", "PGCOPYDB_OUTPUT_PLUGIN"),
        ("wal2json-numeric-as-string", "on", "PGCOPYDB_WAL2JSON_NUMERIC_AS_STRING"),
        ("replay-no-op-updates", "on", "PGCOPYDB_REPLAY_NO_OP_UPDATES"),
        ("slot-name", run.source.name(), "option"),
    ] {
        assert_eq!(value(name), (text.to_owned(), from.to_owned()), "{name}");
    }
    let said = "option --table-jobs has no effect in `pgcopydb follow`";
    assert!(output.stderr.contains(said), "{output}");
}

#[test]
fn following_is_resumed_or_begun_anew_as_asked() {
    let run = Run::new("resumed", "create table t (id int primary key, v text)");
    clone_and_follow(&run, &[]);
    run.source.psql("insert into t values (1, 'a')").unwrap();
    follow(&run, &["--resume"]).success().unwrap();
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    let start = || {
        let dir = run.dir.path().join("work");
        let words = ["stream", "sentinel", "get", "--startpos", "--dir"];
        let program = testbed::Pgcopydb::new().unwrap().args(words).arg(dir);
        program.run().unwrap().success().unwrap().stdout.trim().to_owned()
    };
    let first = start();
    run.source.psql("insert into t values (2, 'b')").unwrap();
    // A new slot begins behind what was written: that is what starting over means.
    follow(&run, &["--restart"]).success().unwrap();
    let later = format!("select '{}'::pg_lsn > '{first}'::pg_lsn", start());
    assert_eq!(run.source.psql(&later).unwrap().trim(), "t");
    assert_eq!(run.rows(&run.target).trim(), "1:a");
    let both = follow(&run, &["--restart", "--resume"]).exit_code(1).unwrap();
    assert!(both.stderr.contains("contradict"), "{both}");
    let end = run.position();
    let words = ["stream", "replay", "--resume", "--endpos", end.trim()];
    run.source.psql("insert into t values (3, 'c')").unwrap();
    run.between(&words).run().unwrap().success().unwrap();
    let refused = run.between(&["stream", "replay", "--restart"]).run().unwrap();
    let refused = refused.exit_code(1).unwrap();
    assert!(refused.stderr.contains("stream cleanup"), "{refused}");
}

#[test]
fn filters_leave_out_the_changes_of_tables_by_hand_too() {
    let run = Run::new(
        "byhandfilter",
        "create table t (id int primary key, v text); create table u (id int primary key)",
    );
    clone_and_follow(&run, &[]);
    run.source.psql("insert into t values (1, 'a'); insert into u values (1)").unwrap();
    let end = run.position();
    let filters = run.dir.path().join("f.ini");
    std::fs::write(&filters, "[exclude-table]\npublic.u\n").unwrap();
    let words = ["stream", "replay", "--endpos", end.trim()];
    run.between(&words).arg("--filters").arg(&filters).run().unwrap().success().unwrap();
    assert_eq!(run.rows(&run.target), run.rows(&run.source));
    assert_eq!(run.target.psql("select count(*) from u").unwrap().trim(), "0");
}

#[test]
fn a_snapshot_with_a_slot_uses_the_publication_and_plugin_that_are_given() {
    let run = Run::new(
        "snappub",
        "create table t (id int primary key, v text); create publication mine for table t",
    );
    let file = run.dir.path().join("work/snapshot");
    for (options, plugin) in [
        (&["--publication", "mine"][..], "pgoutput"),
        (&["--plugin", "wal2json", "--wal2json-numeric-as-string"], "wal2json"),
    ] {
        let holder = run
            .program(&["snapshot", "--follow", "--source", &run.source.uri()])
            .args(options)
            .spawn()
            .unwrap();
        wait_until("the snapshot", DEADLINE, || Ok(file.exists())).unwrap();
        holder.signal(Signal::Term).unwrap();
        let output = holder.wait(DEADLINE).unwrap().success().unwrap();
        let said = output.stderr.contains("--wal2json-numeric-as-string is for the commands");
        assert_eq!(said, plugin == "wal2json", "{output}");
        let name = run.source.name();
        let of = format!("select plugin from pg_replication_slots where slot_name = '{name}'");
        assert_eq!(run.source.psql(&of).unwrap().trim(), plugin);
        let names = "select string_agg(pubname, ',') from pg_publication";
        assert_eq!(run.source.psql(names).unwrap().trim(), "mine");
        let cleanup = ["stream", "cleanup", "--publication", "mine"];
        run.between(&cleanup).run().unwrap().success().unwrap();
    }
}
