//! A clone in steps: each its own process, all under one snapshot, with the same end as a clone.

use testbed::chaos::{Direction, Proxy};
use testbed::compare::Comparison;
use testbed::process::{Signal, wait_until};
use testbed::{TestDatabase, fixtures};

use crate::support::{DEADLINE, Pair};

/// The steps that need the source's snapshot, in their usual order.
const STEPS: [&str; 8] = [
    "dump schema",
    "restore pre-data",
    "copy table-data",
    "copy blobs",
    "copy sequences",
    "copy indexes",
    "copy constraints",
    "restore post-data",
];

/// Tables with keys of both kinds, a view, a trigger, a sequence, large objects.
const SHOP: &str = "
    create table a (id serial primary key, v text unique);
    create table b (id int primary key, a int references a, x int);
    create index b_x on b (x);
    create table p (k int, w text, primary key (k)) partition by range (k);
    create table p1 partition of p for values from (0) to (100);
    create table p2 partition of p for values from (100) to (200);
    create table q (k int references p);
    create view v as select a.id, count(*) from a join b on b.a = a.id group by a.id;
    create function f() returns trigger language plpgsql as 'begin new.v := new.v || ''!''; return new; end';
    create trigger tr before insert on a for each row execute function f();
    insert into a (v) select 'x' || g from generate_series(1, 50) g;
    insert into b select g, g % 50 + 1, g from generate_series(1, 500) g;
    insert into p select g, 'w' from generate_series(0, 199) g;
    insert into q select g from generate_series(0, 199) g;
    select lo_from_bytea(0, decode(repeat(md5(g::text), 50), 'hex')) from generate_series(1, 30) g";

#[test]
fn the_manual_sequence_on_pagila_ends_like_a_clone() {
    let pair = Pair::new("steppagila");
    fixtures::load_pagila(pair.source.cluster(), pair.source.name()).unwrap();
    pair.source
        .psql("select lo_from_bytea(0, decode(repeat(md5(g::text), 50), 'hex')) from generate_series(1, 100) g")
        .unwrap();
    let held = pair.hold_snapshot();
    for step in STEPS {
        let output = pair.ok(step);
        assert_eq!(output.stdout, "", "{output}");
    }
    held.release();
    pair.assert_same();
    let cloned = TestDatabase::create(pair.target.cluster(), "steppagila_clone").unwrap();
    let directory = pair.dir.path().join("clone");
    pair.command("clone")
        .args(["--target", &cloned.uri(), "--dir", directory.to_str().unwrap()])
        .run()
        .unwrap()
        .success()
        .unwrap();
    Comparison::new(&cloned.uri(), &pair.target.uri()).run().unwrap().assert_same();
}

#[test]
fn steps_read_the_snapshot_and_not_what_was_written_since() {
    let pair = Pair::with("stepsnap", SHOP);
    let held = pair.hold_snapshot();
    pair.ok("dump schema");
    pair.ok("restore pre-data");
    pair.source.psql("delete from b; insert into a (v) values ('later')").unwrap();
    pair.ok("copy table-data");
    held.release();
    assert_eq!(pair.on_target("select count(*) from b"), "500");
    assert_eq!(pair.on_target("select count(*) from a"), "50");
}

#[test]
fn a_step_that_has_completed_is_not_done_again_unless_asked() {
    let pair = Pair::with("steptwice", SHOP);
    for step in STEPS {
        pair.ok(step);
        let again = pair.ok(step);
        let skipped = again.stderr.contains("nothing is left to do");
        // The source goes on counting: sequences are what is set again.
        assert_eq!(skipped, step != "copy sequences", "{again}");
    }
    pair.assert_same();
    pair.target.psql("delete from q").unwrap();
    pair.ok("copy table-data");
    assert_eq!(pair.on_target("select count(*) from q"), "0");
    pair.ok("copy table-data --restart");
    pair.assert_same();
}

#[test]
fn data_copied_over_a_complete_schema_keeps_its_keys_triggers_and_indexes() {
    let pair = Pair::with("stepover", SHOP);
    pair.ok("copy schema");
    assert_eq!(pair.on_target("select count(*) from a"), "0");
    let keys = "select count(*) from pg_constraint where contype = 'f' and convalidated";
    assert_eq!(pair.on_target(keys), pair.on_source(keys));
    pair.assert_no_ledger();
    pair.ok("copy data");
    assert_eq!(pair.on_target(keys), pair.on_source(keys));
    pair.assert_same();
}

#[test]
fn restore_schema_makes_everything_but_rows_without_the_source() {
    let pair = Pair::with("steprestore", SHOP);
    pair.ok("dump schema");
    let output = testbed::Pgcopydb::new()
        .unwrap()
        .args(["restore", "schema", "--target", &pair.target.uri(), "--dir"])
        .arg(pair.work())
        .run()
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(output.stdout, "", "{output}");
    let indexes = "select string_agg(indexdef, ';' order by indexdef) from pg_indexes where schemaname = 'public'";
    assert_eq!(pair.on_target(indexes), pair.on_source(indexes));
    pair.assert_no_ledger();
    pair.ok("copy data");
    pair.assert_same();
}

#[test]
fn constraints_alone_bring_the_indexes_they_stand_on_and_no_others() {
    let pair = Pair::with("stepkeys", SHOP);
    pair.ok("dump schema");
    pair.ok("restore pre-data");
    pair.ok("copy constraints");
    let names = "select string_agg(indexname, ',' order by indexname) from pg_indexes \
                 where schemaname = 'public' and tablename in ('a', 'b')";
    assert_eq!(pair.on_target(names), "a_pkey,a_v_key,b_pkey");
    let kinds = "select string_agg(conname, ',' order by conname) from pg_constraint \
                 where conrelid in ('a'::regclass, 'b'::regclass) and contype in ('p', 'u', 'f')";
    assert_eq!(pair.on_target(kinds), "a_pkey,a_v_key,b_pkey");
}

#[test]
fn rows_without_a_schema_are_refused_by_name() {
    let pair = Pair::with("stepnone", "create table t as select 1 as a");
    let output = pair.run("copy table-data").exit_code(1).unwrap();
    assert!(output.stderr.contains("has no table public.t"), "{output}");
    pair.assert_no_ledger();
    let output = pair.run("restore pre-data").exit_code(1).unwrap();
    assert!(output.stderr.contains("pgcopydb dump schema"), "{output}");
}

// trap X-7
#[test]
fn steps_of_another_source_or_target_are_refused() {
    let pair = Pair::with("stepother", "create table t as select 1 as a");
    pair.ok("dump schema");
    pair.ok("restore pre-data");
    let other = TestDatabase::create(pair.source.cluster(), "stepother_2").unwrap();
    let command = |words: &str, option: &str| {
        pair.command(words).args([option, &other.uri()]).run().unwrap().exit_code(1).unwrap()
    };
    let output = command("copy table-data", "--source");
    assert!(output.stderr.contains(other.name()), "{output}");
    let output = command("restore post-data", "--source");
    assert!(output.stderr.contains("another source"), "{output}");
    let output = command("copy table-data", "--target");
    assert!(output.stderr.contains(other.name()), "{output}");
}

// trap X-8
#[test]
fn filters_given_once_hold_for_all_steps_and_may_not_change() {
    let pair = Pair::with("stepfilter", SHOP);
    let filters = pair.file("filters.ini", "[exclude-table]\npublic.b\n");
    pair.ok(&format!("dump schema --filters {filters}"));
    pair.ok("restore pre-data");
    assert_eq!(pair.on_target("select to_regclass('b') is null and to_regclass('v') is null"), "t");
    let other = pair.file("other.ini", "[exclude-table]\npublic.q\n");
    let output = pair.run(&format!("copy table-data --filters {other}")).exit_code(1).unwrap();
    assert!(output.stderr.contains("other filters"), "{output}");
    pair.ok(&format!("copy data --filters {filters}"));
    pair.ok("restore post-data");
    assert_eq!(pair.on_target("select count(*) from a"), "50");
    pair.assert_no_ledger();
}

#[test]
fn lists_of_a_restore_can_be_made_and_read_without_restoring() {
    let pair = Pair::with("steplist", SHOP);
    let filters = pair.file("filters.ini", "[exclude-table]\npublic.b\n");
    pair.ok(&format!("dump schema --filters {filters}"));
    pair.ok("restore parse-list");
    let pre = pair.work().join("schema/pre-filtered.list");
    let text = std::fs::read_to_string(&pre).unwrap();
    assert!(text.lines().any(|line| line.starts_with(';') && line.contains("TABLE public b ")));
    assert_eq!(pair.on_target("select to_regclass('a') is null"), "t");
    let shown = pair.ok(&format!("restore parse-list {}", pre.display())).stdout;
    let line = shown.lines().find(|line| line.contains(" TABLE public a ")).unwrap();
    let oid = pair.on_source("select 'a'::regclass::oid");
    assert!(line.contains(&format!("; 1259 {oid} TABLE public a ")), "{line}");
    assert!(!shown.contains("TABLE public b "), "{shown}");
}

// trap S-25
#[test]
fn two_steps_in_one_directory_or_on_one_target_do_not_meet() {
    let pair = Pair::with("steplock", "create table t as select 1 as a");
    let mut session = pair.target.session().unwrap();
    let key = i64::from_be_bytes(*b"pgcopydb");
    session.run(&format!("select pg_advisory_lock({key})")).unwrap();
    let output = pair.run("copy table-data").exit_code(1).unwrap();
    assert!(output.stderr.contains("another pgcopydb"), "{output}");
}

// trap X-24
#[test]
fn copied_sequences_never_move_backwards() {
    let pair = Pair::with("stepseq", "create sequence s; select setval('s', 100)");
    pair.ok("copy schema");
    pair.target.psql("select setval('s', 500)").unwrap();
    pair.run("copy sequences");
    assert_eq!(pair.on_target("select last_value from s"), "500");
    pair.source.psql("select setval('s', 900)").unwrap();
    pair.ok("copy sequences");
    assert_eq!(pair.on_target("select last_value from s"), "900");
}

// trap D-37, D-39, P-1, P-2
#[test]
fn privileges_and_defaults_arrive_through_the_steps_as_they_are() {
    let pair = Pair::new("stepacl");
    for database in [&pair.source, &pair.target] {
        for role in ["stepacl_a", "stepacl_b"] {
            let there = format!("select count(*) from pg_roles where rolname = '{role}'");
            if database.psql(&there).unwrap().trim() == "0" {
                database.psql(&format!("create role {role}")).unwrap();
            }
        }
    }
    // A schema that the target has already is used as it is.
    pair.target.psql("create schema there").unwrap();
    pair.source
        .psql(
            "create schema there; create schema own authorization stepacl_a;
             grant usage on schema there to stepacl_a;
             alter default privileges in schema there grant select on tables to stepacl_b;
             alter default privileges revoke execute on functions from public;
             create table there.t (a int, b int, c int);
             create table there.plain (a int primary key);
             revoke all on there.plain from stepacl_b;
             grant select (a), update (b) on there.t to stepacl_a with grant option;
             set role stepacl_a; grant select (a) on there.t to stepacl_b; reset role;
             revoke delete on there.t from current_user;
             create function own.f(int) returns int language sql as 'select 1';
             grant execute on function own.f(int) to stepacl_a, stepacl_b;
             create type own.mood as enum ('x'); revoke usage on type own.mood from public;
             grant usage on schema own to stepacl_b with grant option;
             create foreign data wrapper w; grant usage on foreign data wrapper w to stepacl_a;
             select lo_create(4711); grant select on large object 4711 to stepacl_b;
             revoke usage on language plpgsql from public; grant usage on language plpgsql to stepacl_a",
        )
        .unwrap();
    let held = pair.hold_snapshot();
    for step in STEPS {
        pair.ok(step);
    }
    held.release();
    let acls = "with acl (what, list) as (
            select 'relation ' || oid::regclass, coalesce(relacl, acldefault('r', relowner))
              from pg_class where relnamespace in ('there'::regnamespace, 'own'::regnamespace) and relkind = 'r'
            union all
            select 'column ' || attrelid::regclass || '.' || attname, attacl
              from pg_attribute where attrelid = 'there.t'::regclass and attacl is not null
            union all
            select 'function ' || oid::regprocedure, coalesce(proacl, acldefault('f', proowner))
              from pg_proc where pronamespace = 'own'::regnamespace
            union all
            select 'type ' || typname, coalesce(typacl, acldefault('T', typowner))
              from pg_type where typname = 'mood'
            union all
            select 'schema ' || nspname, coalesce(nspacl, acldefault('n', nspowner))
              from pg_namespace where nspname = 'own'
            union all
            select 'wrapper ' || fdwname, coalesce(fdwacl, acldefault('F', fdwowner)) from pg_foreign_data_wrapper
            union all
            select 'large object ' || oid, coalesce(lomacl, acldefault('L', lomowner)) from pg_largeobject_metadata
            union all
            select 'language ' || lanname, coalesce(lanacl, acldefault('l', lanowner))
              from pg_language where lanname = 'plpgsql'
            union all
            select 'default ' || defaclobjtype::text || coalesce(n.nspname, ''), defaclacl
              from pg_default_acl left join pg_namespace n on n.oid = defaclnamespace)
        select what || ': ' || item::text from acl, unnest(list) item order by what, item::text";
    let on_target = pair.on_target(acls);
    // MAINTAIN came with version 17: owners have it there.
    assert_eq!(
        on_target.replace("Dxtm/", "Dxt/").replace("arwDxtm", "arwDxt"),
        pair.on_source(acls)
    );
    pair.assert_no_ledger();
}

// trap X-1
#[test]
fn a_killed_step_is_continued_and_gives_the_foreign_keys_back() {
    let pair = Pair::with(
        "stepkill",
        "create table a (id int primary key, v text);
         create table b (id int primary key references a, v text);
         insert into a select g, repeat(md5(g::text), 20) from generate_series(1, 15000) g;
         insert into b select id, v from a; analyze",
    );
    pair.ok("copy schema");
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    proxy.rate(Direction::ToClient, Some(2_000_000));
    let running = pair
        .command("copy data")
        .args(["--source", &proxy.uri(pair.source.name())])
        .spawn()
        .unwrap();
    let keys = "select count(*) from pg_constraint where contype = 'f'";
    wait_until("the key to be dropped", DEADLINE, || Ok(pair.on_target(keys) == "0")).unwrap();
    running.signal(Signal::Kill).unwrap();
    running.wait(DEADLINE).unwrap();
    let gone = "select count(*) = 0 from pg_stat_activity where datname = current_database() \
                and application_name like 'pgcopydb%'";
    wait_until("the sessions' end", DEADLINE, || Ok(pair.on_target(gone) == "t")).unwrap();
    let clone = pair.run("clone").exit_code(1).unwrap();
    assert!(clone.stderr.contains("copy data"), "{clone}");
    pair.ok("copy data");
    assert_eq!(pair.on_target(&format!("{keys} and convalidated")), "1");
    pair.assert_same();
}

// trap T-19, T-21
#[test]
fn names_of_any_spelling_pass_through_the_steps_and_the_lists() {
    let names = [
        "Foo\"\".Bar",
        ":Ident As \"\"C\"\".$1:",
        "Таблица",
        "😀",
        " leading",
        "li\nne",
        "select",
        "50%_\\x,y'z",
    ];
    let mut sql = String::new();
    for (number, name) in names.iter().enumerate() {
        sql.push_str(&format!(
            "create schema \"s{name}\"; create table \"s{name}\".\"{name}\" (\"{name}\" serial primary key, v text);
             create index \"i{name}\" on \"s{name}\".\"{name}\" (v);
             insert into \"s{name}\".\"{name}\" (v) select 'x' from generate_series(1, {}) g;",
            number + 1
        ));
    }
    let pair = Pair::with("stepnames", &sql);
    let held = pair.hold_snapshot();
    for step in STEPS {
        pair.ok(step);
    }
    held.release();
    pair.assert_same();
    let tables = crate::support::json(&pair.ok("list tables --json"));
    let mut listed: Vec<&str> =
        tables.as_array().unwrap().iter().map(|table| table["name"].as_str().unwrap()).collect();
    let mut wanted: Vec<String> = names.iter().map(|name| name.replace("\"\"", "\"")).collect();
    listed.sort_unstable();
    wanted.sort();
    assert_eq!(listed, wanted);
    let schema = crate::support::json(&pair.ok("list schema --json"));
    let quoted = pair.on_source(
        "select quote_ident(relname) from pg_class where relname like 'Foo%Bar' and relkind = 'r'",
    );
    let found = schema["tables"].as_array().unwrap().iter().any(|table| table["name"] == quoted);
    assert!(found, "{schema}");
}
