//! Options of `copy`, `dump`, `restore` and `list`: each is seen to work on the servers.

use testbed::process::Output;

use crate::support::{Pair, cells, json};

/// Objects that switches leave out, and rows.
const THINGS: &str = "
    create collation mine from \"C\"; create schema other;
    create table other.t (id int primary key, v text);
    comment on table other.t is 'said'; grant select on other.t to public;
    insert into other.t select g, g from generate_series(1, 1000) g";

/// Whether `other.t` of the target has no comment, no privileges, and whether the collation is missing.
const LEFT_OUT: &str = "
    select obj_description('other.t'::regclass) is null, relacl is null,
           not exists (select from pg_collation where collname = 'mine')
      from pg_class where oid = 'other.t'::regclass";

/// How many jobs of a class ran at once at most, by the log at level DEBUG.
fn most_at_once(output: &Output, class: &str) -> i32 {
    let (mut now, mut most) = (0, 0);
    for line in output.stderr.lines() {
        let of_class = line.contains(&format!("class={class} "))
            || line.contains(&format!("class=\"{class}\" "));
        if line.contains("job started") && of_class {
            now += 1;
        }
        let copied = class == "copy" && line.contains(" copied ");
        if line.contains("job finished") && of_class || copied {
            now -= 1;
        }
        most = most.max(now);
    }
    assert!(most > 0, "no job of class {class}: {output}");
    most
}

#[test]
fn job_counts_are_obeyed_by_every_command_that_takes_them() {
    let mut sql = String::new();
    for number in 1..=6 {
        sql.push_str(&format!(
            "create table t{number} (id int primary key, v text);
             create index on t{number} (v); create index on t{number} (v, id);
             insert into t{number} select g, g from generate_series(1, 500) g;"
        ));
    }
    sql.push_str("select lo_from_bytea(0, 'x') from generate_series(1, 50) g");
    let pair = Pair::with("optjobs", &sql);
    pair.ok("dump schema");
    pair.ok("restore pre-data --restore-jobs 1");
    let rows = pair.ok("copy table-data --table-jobs 1 --debug");
    assert_eq!(most_at_once(&rows, "copy"), 1);
    let large = pair.ok("copy blobs --large-objects-jobs 1 --debug");
    assert_eq!(most_at_once(&large, "large obj."), 1);
    let indexes = pair.ok("copy indexes --index-jobs 1 --debug");
    assert_eq!(most_at_once(&indexes, "index"), 1);
    pair.ok("copy sequences");
    pair.ok("restore post-data --restore-jobs 2");
    pair.assert_same();
    let pair = Pair::with("optjobsall", &sql);
    let schema = pair.ok("copy schema --restore-jobs 1 --index-jobs 1 --debug");
    assert_eq!(most_at_once(&schema, "index"), 1);
    pair.ok("copy data --jobs 3 -b 2");
    pair.assert_same();
}

#[test]
fn schema_switches_work_for_copy_and_for_restore() {
    let switches = "--no-owner --no-acl --no-comments";
    let pair = Pair::with("optcopyschema", THINGS);
    pair.ok(&format!("copy schema {switches} --skip-collations"));
    assert_eq!(pair.on_target(LEFT_OUT), "t|t|t");
    // Once more, over what is there; now with everything.
    pair.ok("copy schema --restart --drop-if-exists");
    assert_eq!(pair.on_target(LEFT_OUT), "f|f|f");
    pair.ok("copy data --no-owner --no-acl --no-comments");
    assert_eq!(pair.on_target("select count(*) from other.t"), "1000");

    let pair = Pair::with("optrestore", THINGS);
    pair.ok("dump schema");
    pair.ok(&format!("restore schema {switches}"));
    assert_eq!(pair.on_target(LEFT_OUT), "t|t|f");
    pair.ok("restore schema --restart --drop-if-exists");
    assert_eq!(pair.on_target(LEFT_OUT), "f|f|f");
}

#[test]
fn extensions_and_their_comments_are_left_out_by_copy_dump_and_restore() {
    let sql = "create extension citext; comment on extension citext is 'ours';
               create table t (id int primary key)";
    let seen = "select count(*), coalesce(min(obj_description(oid, 'pg_extension')), '') = 'ours'
                from pg_extension where extname = 'citext'";
    for (name, steps, expected) in [
        ("optextall", &["copy schema"][..], "1|t"),
        ("optextcopy", &["copy schema --skip-extensions"], "0|f"),
        ("optextsay", &["copy schema --skip-ext-comments"], "1|f"),
        ("optextrest", &["dump schema", "restore pre-data --skip-extensions"], "0|f"),
        ("optextwords", &["dump schema", "restore pre-data --skip-ext-comments"], "1|f"),
        (
            "optextdump",
            &["dump schema --skip-extensions", "restore pre-data --skip-extensions"],
            "0|f",
        ),
    ] {
        let pair = Pair::with_extensions(name, sql);
        for step in steps {
            pair.ok(step);
        }
        assert_eq!(pair.on_target(seen), expected, "{steps:?}");
        assert_eq!(pair.on_target("select count(*) from t"), "0", "{steps:?}");
    }
}

#[test]
fn copy_extensions_takes_the_versions_that_are_required() {
    let pair = Pair::with_extensions("optpins", "create extension hstore");
    let pins = |version: &str| format!(r#"[{{"name": "hstore", "version": "{version}"}}]"#);
    let wrong = pair.file("wrong.json", &pins("99"));
    let output = pair.run(&format!("copy extensions --requirements {wrong}")).exit_code(1).unwrap();
    assert!(output.stderr.contains("version \"99\" of extension \"hstore\""), "{output}");
    let version = pair.on_target(
        "select min(version) from pg_available_extension_versions where name = 'hstore'",
    );
    let right = pair.file("right.json", &pins(&version));
    pair.ok(&format!("copy extensions --requirements {right} --table-jobs 1"));
    let installed = "select extversion from pg_extension where extname = 'hstore'";
    assert_eq!(pair.on_target(installed), version);
}

#[test]
fn data_is_copied_without_what_is_skipped() {
    let pair = Pair::with(
        "optdata",
        "create table t (id int primary key, v text);
         insert into t select g, g from generate_series(1, 1000) g; select lo_from_bytea(0, 'x')",
    );
    pair.ok("copy schema");
    pair.ok("copy data --skip-large-objects --skip-vacuum");
    assert_eq!(pair.on_target("select count(*) from t"), "1000");
    assert_eq!(pair.on_target("select count(*) from pg_largeobject"), "0");
    assert_eq!(pair.on_target("select count(*) from pg_stats where tablename = 't'"), "0");
    pair.ok("copy data --restart");
    assert_eq!(pair.on_target("select count(*) from pg_largeobject"), "1");
    assert_eq!(pair.on_target("select count(*) from pg_stats where tablename = 't'"), "2");
    // What is there is written anew, with what belongs to it.
    pair.target.psql("select lo_put(oid, 0, 'other') from pg_largeobject_metadata").unwrap();
    pair.ok("copy blobs --drop-if-exists");
    let content = "select convert_from(lo_get(oid), 'UTF8') from pg_largeobject_metadata";
    assert_eq!(pair.on_target(content), "x");
}

#[test]
fn rows_are_split_and_sent_as_asked() {
    let pair = Pair::with(
        "optrows",
        "create table t (id int primary key, v text);
         insert into t select g, repeat('x', 200) from generate_series(1, 6000) g;
         create table odd (a aclitem); insert into odd values ('=r/postgres'); analyze",
    );
    pair.ok("copy schema");
    let binary = pair.run("copy table-data --copy-format binary");
    assert!(!binary.status.success() && binary.stderr.contains("public.odd"), "{binary}");
    let parts = |options: &str| -> u32 {
        let output = pair.ok(&format!("copy table-data --restart {options}"));
        let line = output.stderr.lines().find(|line| line.contains("the plan stands")).unwrap();
        let parts = line.split("parts=").nth(1).unwrap().split(' ').next().unwrap();
        pair.assert_rows();
        parts.parse().unwrap()
    };
    let whole = parts("--split-at 0 --use-copy-binary");
    let capped = parts("--split-tables-larger-than 200kB --split-max-parts 2 --copy-format text");
    let split = parts("--split-at 200kB");
    assert!(whole < capped && capped < split, "{whole} {capped} {split}");
    let by_key = parts("--split-at 200kB --skip-split-by-ctid");
    assert!(by_key > whole, "{by_key} {whole}");
}

impl Pair {
    /// Demands that table `t` holds the rows of the source.
    fn assert_rows(&self) {
        let sum = "select count(*), sum(hashtext(t::text)) from t";
        assert_eq!(self.on_target(sum), self.on_source(sum));
    }
}

#[test]
fn sizes_are_estimated_after_an_analyze_unless_told_otherwise() {
    let sql = "create table t (id int primary key, v text) with (autovacuum_enabled = off);
               insert into t select g, g from generate_series(1, 1000) g";
    let analyzed = "select count(*) from pg_stats where tablename = 't'";
    for (name, options, columns) in [
        ("optexact", "", "0"),
        ("optestimate", " --estimate-table-sizes", "2"),
        ("optnoanalyze", " --estimate-table-sizes --skip-analyze", "0"),
    ] {
        let pair = Pair::with(name, sql);
        pair.ok("copy schema");
        pair.ok(&format!("copy data{options}"));
        assert_eq!(pair.on_source(analyzed), columns, "{options}");
        pair.assert_rows();
    }
    // A list takes the statistics as they are: a table that was never analyzed has no size in them.
    let pair = Pair::with("optlistsize", sql);
    let size = |words: &str| json(&pair.ok(words))[0]["bytes"].as_u64().unwrap();
    assert!(size("list tables --json") > 0);
    assert_eq!(size("list tables --json --estimate-table-sizes"), 0);
}

#[test]
fn fail_fast_leaves_the_rest_of_the_rows() {
    let sql = "create table bad (id int, v text);
               insert into bad select g, repeat('x', 500) from generate_series(1, 20000) g;
               create table good (id int); insert into good select generate_series(1, 100)";
    for (name, options, copied) in [("optgoon", "", "100"), ("optfast", " --fail-fast", "0")] {
        let pair = Pair::with(name, sql);
        pair.ok("copy schema");
        pair.target.psql("alter table bad add constraint never check (id < 0)").unwrap();
        let output = pair.run(&format!("copy table-data --table-jobs 1 --split-at 0{options}"));
        assert!(!output.status.success() && output.stderr.contains("public.bad"), "{output}");
        assert_eq!(pair.on_target("select count(*) from good"), copied, "{options}");
    }
}

#[test]
fn steps_read_the_snapshot_that_is_named_or_none() {
    let pair =
        Pair::with("optsnap", "create table t (id int primary key); insert into t values (1)");
    let mut holder = pair.source.session().unwrap();
    holder.run("begin isolation level repeatable read").unwrap();
    let id = holder.run("select pg_export_snapshot()").unwrap().trim().to_owned();
    pair.source.psql("insert into t values (2); create table later (i int)").unwrap();
    pair.ok(&format!("dump schema --snapshot {id}"));
    pair.ok("restore pre-data");
    assert_eq!(pair.on_target("select to_regclass('later') is null"), "t");
    pair.ok(&format!("copy table-data --snapshot {id}"));
    assert_eq!(pair.on_target("select count(*) from t"), "1");
    pair.ok(&format!("restore post-data --snapshot {id}"));
    pair.assert_no_ledger();
    // A file in the work directory says which snapshot is held; it is not looked at.
    let pair =
        Pair::with("optnosnap", "create table t (id int primary key); insert into t values (1)");
    let held = pair.hold_snapshot();
    pair.source.psql("insert into t values (2)").unwrap();
    pair.ok("dump schema --not-consistent");
    pair.ok("restore pre-data --not-consistent");
    pair.ok("copy table-data --not-consistent");
    assert_eq!(pair.on_target("select count(*) from t"), "2");
    held.release();
}

#[test]
fn steps_are_resumed_and_done_again_as_asked() {
    let pair =
        Pair::with("optagain", "create table t (id int primary key); insert into t values (1)");
    let archive = || std::fs::metadata(pair.work().join("schema/schema.dump")).unwrap().modified();
    pair.ok("dump schema");
    let first = archive().unwrap();
    let resumed = pair.ok("dump schema --resume");
    assert!(resumed.stderr.contains("nothing is left to do"), "{resumed}");
    assert_eq!(archive().unwrap(), first);
    pair.source.psql("create table later (i int)").unwrap();
    pair.ok("dump schema --restart");
    assert!(archive().unwrap() > first);
    pair.ok("restore pre-data");
    assert_eq!(pair.on_target("select to_regclass('later') is null"), "f");
    for (command, done) in [("restore pre-data", true), ("copy table-data", false)] {
        let resumed = pair.ok(&format!("{command} --resume"));
        assert_eq!(resumed.stderr.contains("nothing is left to do"), done, "{resumed}");
    }
    pair.ok("restore post-data --resume");
    pair.assert_same();
}

#[test]
fn filters_given_to_a_restore_shape_it() {
    let pair = Pair::with(
        "optfilter",
        "create table a (id int primary key); create table b (id int primary key);
         create index b_more on b (id); insert into a values (1); insert into b values (1)",
    );
    let filters = pair.file("f.ini", "[exclude-table]\npublic.a\n[exclude-index]\npublic.b_more\n");
    pair.ok("dump schema");
    for step in ["restore pre-data", "copy data", "copy indexes", "copy constraints"] {
        pair.ok(&format!("{step} --filters {filters}"));
    }
    pair.ok(&format!("restore post-data -F {filters}"));
    let seen = "select string_agg(relname, ' ' order by relname) from pg_class \
                where relnamespace = 'public'::regnamespace";
    assert_eq!(pair.on_target(seen), "b b_pkey");
    let listed = cells(&pair.ok(&format!("list indexes --filter {filters} --schema-name public")));
    assert_eq!(listed.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(), ["b_pkey"]);
}

#[test]
fn a_target_that_is_named_decides_which_tools_dump() {
    let pair = Pair::with("optdumptarget", "create table t (id int primary key)");
    let with = pair.ok("dump schema --verbose");
    assert!(with.stderr.contains("pg_dump"), "{with}");
    // Nothing is needed of it: a target that does not answer is said, and the source decides.
    let nobody = pair
        .command("dump schema --restart --target host=127.0.0.1 --notice")
        .env("PGPORT", "1")
        .run()
        .unwrap()
        .success()
        .unwrap();
    assert!(nobody.stderr.contains("without the target"), "{nobody}");
}
