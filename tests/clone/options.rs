//! Options that leave something out: each is seen to work on the servers.

use testbed::{Cluster, ClusterOptions, Installation, Major};

use crate::support::{Pair, program_in};

#[test]
fn skip_extensions_leaves_them_out() {
    // The newer server's package has no citext.
    let pair = Pair::with(
        "skip_extensions",
        "create extension citext; comment on extension citext is 'x';
         create table t (id int primary key); insert into t values (1)",
    );
    pair.clone(&["--skip-extensions"]);
    assert_eq!(pair.target_value("select count(*) from t"), "1");
    assert_eq!(pair.target_value("select extname from pg_extension"), "plpgsql");
}

#[test]
fn skip_ext_comments_leaves_comments_of_extensions_only() {
    // The newer server's package has no extension but plpgsql, whose comment is never dumped.
    for (name, arguments, comment) in [
        ("ext_comments", &[][..], "ours|x"),
        (
            "no_ext_comments",
            &["--skip-ext-comments"],
            "data type for case-insensitive character strings|x",
        ),
    ] {
        let pair = Pair::between(Major::V15, Major::V15, name);
        pair.source
            .psql(
                "create extension citext; comment on extension citext is 'ours';
                 create table t (); comment on table t is 'x'",
            )
            .unwrap();
        pair.clone(arguments);
        let found = pair.target_value(
            "select obj_description((select oid from pg_extension where extname = 'citext'),
               'pg_extension'), obj_description('t'::regclass)",
        );
        assert_eq!(found, comment, "{name}");
    }
}

#[test]
fn skip_collations_leaves_them_out() {
    let pair = Pair::with(
        "skip_collations",
        "create collation mine from \"C\"; comment on collation mine is 'x';
         create table t (id int primary key); insert into t values (1)",
    );
    pair.clone(&["--skip-collations"]);
    assert_eq!(pair.target_value("select count(*) from t"), "1");
    assert_eq!(pair.target_value("select count(*) from pg_collation where collname = 'mine'"), "0");
}

#[test]
fn no_tablespaces_puts_everything_into_the_default() {
    let start = |major| {
        let installation = Installation::find(major).unwrap();
        let options = ClusterOptions::default().setting("allow_in_place_tablespaces", "on");
        Cluster::start(&installation, options).unwrap()
    };
    let (source, target) = (start(Major::V15), start(Major::V18));
    source
        .psql(
            "postgres",
            "create tablespace fast location '';
             create table t (id int primary key using index tablespace fast, x int,
               exclude using btree (x with =) using index tablespace fast) tablespace fast;
             create index i on t (x) tablespace fast; insert into t values (1, 1);
             create materialized view m tablespace fast as select * from t;
             create table p (id int primary key) partition by range (id) tablespace fast",
        )
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pg_config = Installation::find(Major::V18).unwrap().bindir.join("pg_config");
    program_in(&source.uri("postgres"), &target.uri("postgres"), &dir.path().join("work"))
        .env("PG_CONFIG", pg_config.as_os_str())
        .arg("--no-tablespaces")
        .run()
        .unwrap()
        .success()
        .unwrap();
    let elsewhere = "select count(*), count(*) filter (where reltablespace <> 0) from pg_class
                     where relnamespace = 'public'::regnamespace";
    assert_eq!(source.psql("postgres", elsewhere).unwrap(), "7|6");
    assert_eq!(target.psql("postgres", elsewhere).unwrap(), "7|0");
    // The steps of a migration by hand have the same switch.
    for (database, steps) in [
        ("copied", &["copy schema --no-tablespaces"][..]),
        ("restored", &["dump schema", "restore schema --no-tablespaces"]),
        ("indexed", &["copy table-data", "copy indexes --no-tablespaces"]),
    ] {
        target.psql("postgres", &format!("create database {database}")).unwrap();
        if database == "indexed" {
            target.psql(database, "create table t (id int, x int)").unwrap();
        }
        for step in steps {
            let program = testbed::Pgcopydb::new().unwrap().args(step.split(' '));
            let program = program.ends(&source.uri("postgres"), &target.uri(database));
            let work = dir.path().join(database);
            let filters = dir.path().join("only-t.ini");
            std::fs::write(&filters, "[include-only-table]\npublic.t\n").unwrap();
            let program = match database {
                "indexed" => program.arg("--filters").arg(filters),
                _ => program,
            };
            program
                .arg("--dir")
                .arg(work)
                .env("PG_CONFIG", pg_config.as_os_str())
                .run()
                .unwrap()
                .success()
                .unwrap();
        }
        let counted = target.psql(database, elsewhere).unwrap();
        assert!(counted.ends_with("|0"), "{database}: {counted}");
        let indexes = "select count(*) from pg_index where indrelid = 't'::regclass";
        assert_eq!(target.psql(database, indexes).unwrap(), "3", "{database}");
    }
}

#[test]
fn skip_vacuum_leaves_the_target_without_statistics() {
    let sql = "create table t (id int primary key, x text);
               insert into t select g, g from generate_series(1, 1000) g";
    let statistics = "select count(*) from pg_stats where tablename = 't'";
    let pair = Pair::with("vacuum", sql);
    pair.clone(&[]);
    assert_eq!(pair.target_value(statistics), "2");
    let pair = Pair::with("skip_vacuum", sql);
    pair.clone(&["--skip-vacuum"]);
    assert_eq!(pair.target_value(statistics), "0");
}

#[test]
fn estimates_analyze_the_source_unless_told_not_to() {
    let sql = "create table t (id int primary key, x text) with (autovacuum_enabled = off);
               insert into t select g, g from generate_series(1, 1000) g;
               create table empty (id int) with (autovacuum_enabled = off)";
    let statistics = "select count(*) from pg_stats where tablename = 't'";
    for (name, arguments, columns) in [
        ("exact", &[][..], "0"),
        ("estimate", &["--estimate-table-sizes"], "2"),
        ("no_analyze", &["--estimate-table-sizes", "--skip-analyze"], "0"),
    ] {
        let pair = Pair::with(name, sql);
        pair.clone(arguments);
        assert_eq!(pair.source_value(statistics), columns, "{name}");
        pair.assert_same();
    }
}

#[test]
fn fail_fast_ends_the_run_at_the_first_failure() {
    let pair = || {
        let pair = Pair::with(
            "fail_fast",
            "create table bad (id int, x text);
             insert into bad select g, repeat('x', 500) from generate_series(1, 20000) g;
             create table good (id int, x text);
             insert into good select g, repeat('x', 500) from generate_series(1, 10000) g",
        );
        let_no_row_fit(&pair);
        pair
    };
    let copied = "select count(*) from good";
    let one_job = ["--table-jobs", "1", "--index-jobs", "1", "--split-tables-larger-than", "0"];
    let going_on = pair();
    let output = going_on.program().args(one_job).run().unwrap();
    assert!(!output.status.success(), "{}", output.stderr);
    assert_eq!(going_on.target_value(copied), "10000");
    let fast = pair();
    let output = fast.program().args(one_job).arg("--fail-fast").run().unwrap();
    assert!(!output.status.success(), "{}", output.stderr);
    assert!(output.stderr.contains("public.bad"), "{}", output.stderr);
    assert_eq!(fast.target_value(copied), "0", "the larger table failed first");
}

#[test]
fn not_consistent_needs_no_exported_snapshot() {
    // On servers of its own: the right to export is taken from everybody.
    let installation = Installation::find(Major::V15).unwrap();
    let source = Cluster::start(&installation, ClusterOptions::default()).unwrap();
    let pair = Pair::new("not_consistent");
    source
        .psql(
            "postgres",
            "create role reader login; create table t (id int primary key);
             insert into t values (1); grant select on t to reader;
             revoke execute on function pg_export_snapshot() from public",
        )
        .unwrap();
    let program = || {
        pair.program_between(&source.uri_as("reader", "", "postgres"), &pair.target.uri())
            .args(["--no-owner", "--no-acl"])
    };
    let output = program().run().unwrap();
    assert!(!output.status.success());
    assert!(output.stderr.contains("pg_export_snapshot"), "{}", output.stderr);
    program().arg("--not-consistent").run().unwrap().success().unwrap();
    assert_eq!(pair.target_value("select count(*) from t"), "1");
}

#[test]
fn job_counts_are_those_of_the_summary_and_large_objects_may_stay_behind() {
    let sql = "create table t (id int primary key, v text); create index on t (v);
               insert into t select g, g from generate_series(1, 1000) g;
               select lo_from_bytea(0, 'x') from generate_series(1, 10) g";
    let jobs = ["--table-jobs", "3", "--index-jobs", "2", "--restore-jobs", "1"];
    let pair = Pair::with("jobcounts", sql);
    pair.clone(&[&jobs[..], &["--large-objects-jobs", "5", "--use-copy-binary"]].concat());
    pair.assert_same();
    let text = std::fs::read_to_string(pair.dir.path().join("work/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&summary["setup"]["table-jobs"], &summary["setup"]["index-jobs"]),
        (&3.into(), &2.into())
    );
    let concurrency = |label: &str| {
        let steps = summary["steps"].as_array().unwrap();
        steps.iter().find(|step| step["label"] == label).unwrap()["concurrency"].clone()
    };
    for (label, count) in [
        ("COPY (cumulative)", 3),
        ("CREATE INDEX (cumulative)", 2),
        ("Large Objects (cumulative)", 5),
        ("Finalize Schema", 1),
    ] {
        assert_eq!(concurrency(label), count, "{label}: {text}");
    }
    for (name, option) in [("nolarge", "--skip-large-objects"), ("noblobs", "--skip-blobs")] {
        let pair = Pair::with(name, sql);
        pair.clone(&[option]);
        assert_eq!(pair.target_value("select count(*) from t"), "1000");
        assert_eq!(pair.target_value("select count(*) from pg_largeobject"), "0", "{option}");
    }
}

#[test]
fn fork_and_copy_db_are_clone_by_other_names() {
    let sql = "create table t (id serial primary key, v text);
               insert into t (v) select g from generate_series(1, 1000) g";
    for (name, words) in [("forked", "fork"), ("copiedDb", "copy db")] {
        let pair = Pair::with(name, sql);
        let program = testbed::Pgcopydb::new().unwrap().args(words.split(' '));
        let pg_config = Installation::find(Major::V18).unwrap().bindir.join("pg_config");
        let output = program
            .ends(&pair.source.uri(), &pair.target.uri())
            .arg("--dir")
            .arg(pair.dir.path().join("work"))
            .env("PG_CONFIG", pg_config)
            .run()
            .unwrap()
            .success()
            .unwrap();
        assert!(output.stdout.contains("Total Wall Clock Duration"), "{output}");
        pair.assert_same();
    }
}

#[test]
fn resume_completes_what_failed_and_copies_nothing_twice() {
    let pair = Pair::with(
        "resumeopt",
        "create table bad (id int); insert into bad values (1);
         create table good (id int); insert into good select generate_series(1, 100)",
    );
    let_no_row_fit(&pair);
    assert!(!pair.program().run().unwrap().status.success());
    let copied = "select xmin from good limit 1";
    let before = pair.target_value(copied);
    pair.target
        .psql("drop event trigger narrow; drop function narrow; alter table bad drop constraint never")
        .unwrap();
    pair.clone(&["--resume"]);
    assert_eq!(pair.target_value("select count(*) from bad"), "1");
    assert_eq!(pair.target_value(copied), before, "the other table was copied once");
    pair.assert_same();
}

#[test]
fn what_follows_has_a_snapshot_of_its_own() {
    let pair = Pair::with("ownsnap", "create table t (id int primary key)");
    for option in [&["--not-consistent"][..], &["--snapshot", "00000003-00000002-1"]] {
        let program = pair.program().arg("--follow").args(option);
        let output = program.run().unwrap().exit_code(1).unwrap();
        assert!(output.stderr.contains(option[0]), "{output}");
    }
}

/// Lets no row fit the target's table `bad`: an event trigger sees to that when it is made.
fn let_no_row_fit(pair: &Pair) {
    pair.target
        .psql(
            "create function narrow() returns event_trigger language plpgsql as $$
             begin
               if to_regclass('public.bad') is not null then
                 execute 'alter table public.bad add constraint never check (id < 0)';
               end if;
             exception when duplicate_object then null;
             end $$;
             create event trigger narrow on ddl_command_end when tag in ('CREATE TABLE')
               execute function narrow();
             alter event trigger narrow enable always",
        )
        .unwrap();
}
