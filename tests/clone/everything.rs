//! A database that holds every class of object at once (`tests/fixtures/objects`).

use testbed::{Major, TestDatabase, fixtures};

use crate::support::Pair;

/// Roles that the fixture names, made once per cluster.
const ROLES: &str = "do $$ begin
    perform pg_advisory_lock(4711);
    if not exists (select from pg_roles where rolname = 'objects_owner') then
        create role objects_owner; create role objects_reader; create role objects_grantor;
        grant objects_owner to objects_grantor;
    end if;
    perform pg_advisory_unlock(4711);
  end $$";

/// Fills a database with everything that its version has.
fn fill(database: &TestDatabase<'_>, major: Major) {
    let files = match major {
        Major::V15 => &["all"][..],
        Major::V16 => &["all", "since-16"],
        Major::V18 => &["all", "since-16", "since-18"],
    };
    for file in files {
        database.psql_file(&fixtures::dir().join(format!("objects/{file}.sql"))).unwrap();
    }
}

/// Clones everything between two versions and demands that it arrives.
fn clone_everything(source: Major, target: Major) {
    let pair = Pair::between(source, target, "everything");
    for end in [&pair.source, &pair.target] {
        end.cluster().psql("postgres", ROLES).unwrap();
    }
    fill(&pair.source, source);
    let output = pair.clone(&[]);
    // The event trigger that is always enabled would have refused any statement of ours.
    let triggers = "select string_agg(evtname::text || '=' || evtenabled::text, ' ' order by evtname) from pg_event_trigger";
    assert_eq!(pair.target_value(triggers), "refuse_all=A refuse_drops=D");
    let subscription =
        "select subname, subenabled, subslotname is null, subconninfo, subpublications,
        subbinary, obj_description(oid, 'pg_subscription') from pg_subscription s
      where subdbid = (select oid from pg_database where datname = current_database())";
    assert!(
        pair.target_value(subscription).starts_with("dormant|f|t|"),
        "disabled, without a slot"
    );
    assert_eq!(pair.target_value(subscription), pair.source_value(subscription));
    assert!(output.stdout.contains("errors 0"), "{}", output.stdout);
    // The comparison makes a copy of its own, and a subscription keeps its database from being dropped.
    for end in [&pair.source, &pair.target] {
        end.psql("drop subscription dormant").unwrap();
    }
    pair.assert_same();
}

// trap T-9, T-12, T-13, T-17, T-24, T-25, T-27, D-5, D-10, D-13, D-14, D-15, D-16, D-18, D-20, D-21
// trap D-22, D-23, D-25, D-27, D-30, D-31, D-37, D-38, P-1, P-2
#[test]
fn every_class_of_object_arrives_from_15_in_15() {
    clone_everything(Major::V15, Major::V15);
}

// trap T-9, T-12, T-13, T-17, T-24, T-25, T-27, D-5, D-10, D-13, D-14, D-15, D-16, D-18, D-20, D-21
// trap D-22, D-23, D-25, D-27, D-30, D-31, D-37, D-38, P-1, P-2
#[test]
fn every_class_of_object_arrives_from_15_in_18() {
    clone_everything(Major::V15, Major::V18);
}

// trap T-5, D-1, D-3, D-4, D-22: what pg_restore itself cannot make is among it
#[test]
fn every_class_of_object_arrives_from_18_in_18() {
    clone_everything(Major::V18, Major::V18);
}

// trap D-22
#[test]
fn event_triggers_wait_for_a_run_that_is_not_complete() {
    let pair = Pair::with(
        "event_triggers",
        "create table p (id int primary key); create table c (p int, constraint fk foreign key (p) references p);
         alter table c disable trigger all; insert into c values (1); alter table c enable trigger all;
         create function refuse() returns event_trigger language plpgsql as 'begin raise exception ''no''; end';
         create event trigger refuse_all on ddl_command_start when tag in ('ALTER TABLE', 'DROP SCHEMA')
           execute function refuse();
         comment on event trigger refuse_all is 'refuses'",
    );
    let output = pair.program().run().unwrap().exit_code(12).unwrap();
    assert!(output.stdout.contains("event triggers"), "{}", output.stdout);
    assert_eq!(pair.target_value("select count(*) from pg_event_trigger"), "0");
    pair.target.psql("insert into p values (1)").unwrap();
    pair.source.psql("insert into p values (1)").unwrap();
    pair.clone(&[]);
    pair.assert_same();
}

// trap D-33: the reference is the user's, the table the extension's
#[test]
fn foreign_keys_to_tables_of_extensions_arrive_or_say_why_not() {
    let sql = "create schema ext; create extension ltree schema ext; create table own (id int primary key);
               alter extension ltree add table own; create schema mine;
               create table mine.t (own int constraint to_own references own)";
    let pair = Pair::between(Major::V15, Major::V15, "ext_key");
    pair.source.psql(sql).unwrap();
    let output = pair.clone(&["--skip-extensions"]);
    let reason = "extension ltree, whose table it references, is left out";
    assert!(output.stdout.contains(reason), "{}", output.stdout);
    let schemas = "select string_agg(nspname, ' ' order by nspname) from pg_namespace
                   where nspname !~ '^pg_' and nspname <> 'information_schema'";
    assert_eq!(pair.target_value(schemas), "mine public", "the extension's own schema is left out");
}
