//! `--all-databases`, between clusters of their own: every database of a server is looked at.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use testbed::compare::Comparison;
use testbed::process::{Output, wait_until};
use testbed::{Cluster, ClusterOptions, Installation, Major, Pgcopydb};

use crate::support::compare_between;

/// A cluster of this test alone.
fn cluster(major: Major) -> Cluster {
    Cluster::start(&Installation::find(major).unwrap(), ClusterOptions::default()).unwrap()
}

/// Runs `clone --all-databases` to its end.
fn clone_all(source: &Cluster, target: &Cluster, dir: &Path, arguments: &[&str]) -> Output {
    clone_all_program(source, target, dir).args(arguments).run().unwrap()
}

/// The program, ready for `clone --all-databases`.
fn clone_all_program(source: &Cluster, target: &Cluster, dir: &Path) -> Pgcopydb {
    let bindir = Installation::find(Major::V18).unwrap().bindir;
    Pgcopydb::new()
        .unwrap()
        .args(["clone", "--all-databases"])
        .ends(&source.uri("postgres"), &target.uri("postgres"))
        .arg("--dir")
        .arg(dir)
        .env("PG_CONFIG", bindir.join("pg_config"))
}

/// Compares all databases.
fn compare_all(what: &str, source: &Cluster, target: &Cluster, arguments: &[&str]) -> Output {
    let arguments = [&["--all-databases"], arguments].concat();
    compare_between(what, &source.uri("postgres"), &target.uri("postgres"), &arguments)
}

/// What a server says of its databases.
const ATTRIBUTES: &str = "
    select d.datname, pg_get_userbyid(d.datdba), pg_encoding_to_char(d.encoding), d.datcollate,
           d.datctype, d.datlocprovider, d.datconnlimit, d.datistemplate,
           (select string_agg(a::text, ' ' order by a::text) from unnest(d.datacl) a),
           shobj_description(d.oid, 'pg_database'),
           (select string_agg(s::text, ' ' order by s::text) from pg_db_role_setting r,
                   unnest(r.setconfig) s where r.setdatabase = d.oid)
      from pg_database d where d.datallowconn and d.datname not in ('template0', 'template1')
     order by d.datname";

#[test]
fn every_database_arrives_with_all_that_belongs_to_it() {
    let (source, target) = (cluster(Major::V15), cluster(Major::V18));
    for sql in [
        "create role boss login password 'x'; create role reader",
        "create database sales owner boss connection limit 5",
        "create database \"Ünï \"\"q./\" template template0 encoding 'LATIN1' locale 'C'",
        "create database other",
        "create database closed allow_connections false",
        "comment on database sales is 'it''s'; alter database sales set work_mem = '7MB'",
        "revoke all on database sales from public",
        "grant connect on database sales to reader with grant option",
        "grant create on database sales to reader",
        "create table in_postgres (a int primary key); insert into in_postgres values (1)",
        "alter database other is_template true",
    ] {
        source.psql("postgres", sql).unwrap();
    }
    let sales = "create table t (id serial primary key, v text);
                 insert into t (v) select 'v' || g from generate_series(1, 1000) g;
                 create view w as select v from t; alter table t owner to boss;
                 select lo_from_bytea(4711, 'large');
                 create extension if not exists plpgsql";
    source.psql("sales", sales).unwrap();
    source
        .psql("Ünï \"q./", "create table t (a text); insert into t values (chr(233)), ('b')")
        .unwrap();
    source
        .psql("other", "create table t (a text primary key); insert into t values ('ä')")
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = clone_all(&source, &target, dir.path(), &["--jobs", "2"]).success().unwrap();
    assert_eq!(
        target.psql("postgres", ATTRIBUTES).unwrap(),
        source.psql("postgres", ATTRIBUTES).unwrap()
    );
    for name in ["sales", "other", "postgres"] {
        Comparison::new(&source.uri(name), &target.uri(name)).run().unwrap().assert_same();
    }
    // One summary for all, one per database.
    let heading = output.stdout.lines().next().unwrap();
    assert!(heading.trim_start().starts_with("Database | "), "{}", output.stdout);
    assert!(output.stdout.contains("sales | complete"), "{}", output.stdout);
    let json: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("summary.json")).unwrap()).unwrap();
    let names: Vec<&str> = json["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["database"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["other", "postgres", "sales", "Ünï \"q./"]);
    assert!(dir.path().join("db/sales/summary.json").is_file());
    assert!(!dir.path().join("db/closed").exists());
    // Progress is that of all of them.
    let progress = Pgcopydb::new().unwrap().args(["list", "progress", "--json", "--dir"]);
    let progress = progress.arg(dir.path()).run().unwrap().success().unwrap();
    let progress: Value = serde_json::from_str(&progress.stdout).unwrap();
    assert_eq!((&progress["tables"]["total"], &progress["tables"]["done"]), (&4.into(), &4.into()));
    let databases = serde_json::json!({ "total": 4, "done": 4, "in-progress": [] });
    assert_eq!(progress["databases"], databases);
    // The tables of the summary are shown again.
    let summary = Pgcopydb::new().unwrap().args(["list", "progress", "--summary", "--dir"]);
    let summary = summary.arg(dir.path()).run().unwrap().success().unwrap();
    for line in output.stdout.lines().filter(|line| line.contains("| complete")) {
        let (start, _) = line.rsplit_once('|').unwrap();
        assert!(summary.stdout.contains(start), "{line}\n{}", summary.stdout);
    }
    assert_eq!(summary.stdout.lines().next(), output.stdout.lines().next());
    // Both comparisons agree, names of databases in front.
    compare_all("schema", &source, &target, &[]).success().unwrap();
    let text = compare_all("data", &source, &target, &[]).success().unwrap().stdout;
    assert!(text.contains("sales.public.t |"), "{text}");
    // Over what is there: nothing of the work directory is in the way.
    let over = ["--restart", "--drop-if-exists"];
    clone_all(&source, &target, dir.path(), &over).success().unwrap();
    let attributes = |cluster: &Cluster| cluster.psql("postgres", ATTRIBUTES).unwrap();
    assert_eq!(attributes(&target), attributes(&source));
    // Nothing is left to do.
    let again = clone_all(&source, &target, dir.path(), &[]).success().unwrap();
    assert!(again.stdout.contains("sales | was complete"), "{}", again.stdout);
    // The summary of the run that did the work stays.
    let json = std::fs::read_to_string(dir.path().join("summary.json")).unwrap();
    assert!(!json.contains("was complete"), "{json}");
    differences(&source, &target);
}

/// What is then changed on the target is found, database by database.
fn differences(source: &Cluster, target: &Cluster) {
    target.psql("sales", "update t set v = 'other' where id = 7").unwrap();
    target.psql("other", "alter table t add b int").unwrap();
    target.psql("postgres", "create database more").ok();
    let output = compare_all("data", source, target, &["--show-rows", "3"]).exit_code(8).unwrap();
    let text = output.stdout;
    assert!(text.contains("sales.public.t: row (id = 7) differs in v"), "{text}");
    assert!(text.contains("other.public.t: columns on the target only: b"), "{text}");
    assert!(text.contains("database more: exists on the target only"), "{text}");
    let text = compare_all("schema", source, target, &[]).exit_code(8).unwrap().stdout;
    assert!(text.contains("other: column public.t.b: exists on the target only"), "{text}");
    let json = compare_all("schema", source, target, &["--json"]).exit_code(8).unwrap().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let same: Vec<(&str, bool)> = (json.as_array().unwrap().iter())
        .map(|one| (one["database"].as_str().unwrap(), one["same"].as_bool().unwrap()))
        .collect();
    assert!(same.contains(&("sales", true)) && same.contains(&("more", false)), "{same:?}");
}

#[test]
fn a_database_that_fails_is_named_and_the_others_arrive() {
    let (source, target) = (cluster(Major::V18), cluster(Major::V18));
    for name in ["a", "b", "c"] {
        source.psql("postgres", &format!("create database {name}")).unwrap();
        source
            .psql(name, "create table t (v text); insert into t values (current_database())")
            .unwrap();
    }
    // The database is there before, with a table that is in the way.
    target.psql("postgres", "create database b connection limit 3").unwrap();
    target.psql("b", "create table t (v text); insert into t values ('mine')").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = clone_all(&source, &target, dir.path(), &[]);
    assert!(!output.status.success());
    assert!(output.stderr.contains("database \"b\""), "{}", output.stderr);
    assert!(output.stdout.contains("b | failed"), "{}", output.stdout);
    let value = |name: &str| target.psql(name, "select v from t").unwrap();
    assert_eq!((value("a").trim(), value("b").trim(), value("c").trim()), ("a", "mine", "c"));
    // Once it is out of the way, the same command completes the rest.
    target.psql("b", "drop table t").unwrap();
    let output = clone_all(&source, &target, dir.path(), &[]).success().unwrap();
    assert_eq!(value("b").trim(), "b");
    assert!(output.stdout.contains("b | complete"), "{}", output.stdout);
    assert!(output.stdout.contains("a | was complete"), "{}", output.stdout);
    // What was there before keeps its attributes.
    let limit = "select datconnlimit from pg_database where datname = 'b'";
    assert_eq!(target.psql("postgres", limit).unwrap().trim(), "3");
}

#[test]
fn options_about_one_database_are_refused() {
    for option in [["--snapshot", "00000003-00000002-1"].as_slice(), &["--dry-run"]] {
        let output = Pgcopydb::new()
            .unwrap()
            .args(["clone", "--all-databases"])
            .ends("postgres://localhost/a", "postgres://localhost/b")
            .args(option)
            .run()
            .unwrap()
            .exit_code(1)
            .unwrap();
        assert!(output.stderr.contains(option[0]), "{}", output.stderr);
    }
}

// trap X-25
#[test]
fn progress_in_the_middle_of_a_run_counts_databases_that_wait() {
    let (source, target) = (cluster(Major::V18), cluster(Major::V18));
    for name in ["a", "b"] {
        source.psql("postgres", &format!("create database {name}")).unwrap();
        source.psql(name, "create table t as select 1 as x").unwrap();
    }
    // The row of b's table waits for a lock that the test holds.
    source
        .psql(
            "b",
            "create function wait_for_test(int) returns bool language plpgsql as
               'begin perform pg_advisory_xact_lock_shared(4713); return true; end';
             create domain waiting as int check (wait_for_test(value));
             create table held (x waiting); insert into held values (1)",
        )
        .unwrap();
    target.psql("postgres", "create database b").unwrap();
    let mut holder = testbed::Session::open(&target, "b").unwrap();
    holder.run("select pg_advisory_lock(4713)").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let running = clone_all_program(&source, &target, dir.path()).spawn().unwrap();
    let progress = || {
        let program = Pgcopydb::new().unwrap().args(["list", "progress", "--json", "--dir"]);
        let output = program.arg(dir.path()).run().unwrap();
        serde_json::from_str::<Value>(&output.stdout).unwrap_or_default()
    };
    let mut seen = Value::Null;
    wait_until("the held table", Duration::from_secs(120), || {
        seen = progress();
        let tables = seen["tables"]["in-progress"].as_array().cloned().unwrap_or_default();
        Ok(tables.iter().any(|one| one["name"] == "held" && one["database"] == "b"))
    })
    .unwrap();
    // a is done, b is held, postgres waits for its turn.
    let databases = serde_json::json!({ "total": 3, "done": 1, "in-progress": ["b"] });
    assert_eq!(seen["databases"], databases);
    holder.run("select pg_advisory_unlock(4713)").unwrap();
    running.wait(Duration::from_secs(120)).unwrap().success().unwrap();
    let databases = serde_json::json!({ "total": 3, "done": 3, "in-progress": [] });
    assert_eq!(progress()["databases"], databases);
}

#[test]
fn check_looks_at_every_database() {
    let (source, target) = (cluster(Major::V15), cluster(Major::V18));
    for name in ["whole", "missing"] {
        source.psql("postgres", &format!("create database {name}")).unwrap();
    }
    source.psql("whole", "create table t (x int)").unwrap();
    target.psql("postgres", "create database whole").unwrap();
    target.psql("postgres", "create role poor login").unwrap();
    let check = |user: &str, arguments: &[&str]| {
        let target = target.uri_as(user, "", "postgres");
        let bindir = Installation::find(Major::V18).unwrap().bindir;
        let program = Pgcopydb::new().unwrap().args(["check", "--all-databases"]);
        let program = program.ends(&source.uri("postgres"), &target).args(arguments);
        program.env("PG_CONFIG", bindir.join("pg_config")).run().unwrap()
    };
    let text = check("postgres", &[]).success().unwrap();
    assert!(!text.stderr.contains("has no effect"), "{}", text.stderr);
    for said in ["Database whole\n", "Database missing\n", "Database postgres\n"] {
        assert!(text.stdout.contains(said), "{}", text.stdout);
    }
    assert!(text.stdout.contains("fix: CREATE DATABASE \"missing\";"), "{}", text.stdout);
    // What is in the way in one database blocks the migration.
    target.psql("whole", "create table t (x int)").unwrap();
    let output = check("postgres", &["--json"]).exit_code(12).unwrap();
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    let blocked: Vec<&str> = (json["databases"].as_array().unwrap().iter())
        .filter(|one| one["errors"] != 0)
        .map(|one| one["database"].as_str().unwrap())
        .collect();
    assert_eq!(blocked, ["whole"], "{}", output.stdout);
    // A role that may not create the missing one.
    let output = check("poor", &[]).exit_code(12).unwrap().stdout;
    assert!(output.contains("ALTER ROLE \"poor\" CREATEDB"), "{output}");
}
