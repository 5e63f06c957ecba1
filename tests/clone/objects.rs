//! Indexes, constraints, sequences and the rest of what a table has around it.

use testbed::Major;

use crate::support::{Pair, round_trip};

// trap D-1
#[test]
fn exclusion_constraints_are_made_once() {
    let pair = round_trip(
        "exclude",
        "create table rooms (id int primary key, room box, during tsrange, cancelled bool,
           exclude using gist (room with &&, during with &&) where (not cancelled)
             deferrable initially deferred);
         insert into rooms values (1, '(0,0),(1,1)', '[2024-01-01,2024-01-02)', false),
           (2, '(0,0),(1,1)', '[2024-01-01,2024-01-02)', true)",
        &[],
    );
    let indexes = "select count(*) from pg_index where indrelid = 'rooms'::regclass";
    assert_eq!(pair.target_value(indexes), "2", "the primary key's and the exclusion's");
}

// trap D-1, D-3
#[test]
fn parts_of_constraints_of_partitioned_tables_keep_names_and_comments() {
    let pair = Pair::between(Major::V18, Major::V18, "parts18");
    pair.source
        .psql(
            "create table p (id int, r int, exclude using btree (id with =, r with =))
               partition by range (id);
             create table p1 partition of p for values from (0) to (10);
             create table p2 partition of p for values from (10) to (20) partition by range (id);
             create table p21 partition of p2 for values from (10) to (15);
             alter table p1 rename constraint p1_id_r_excl to \"My Name\";
             comment on constraint \"My Name\" on p1 is 'of a part';
             comment on constraint p21_id_r_excl on p21 is 'two levels down';
             comment on constraint p_id_r_excl on p is 'of the whole';
             create table k (id int4range, valid daterange,
               primary key (id, valid without overlaps)) partition by list (id);
             create table k1 partition of k for values in ('[1,2)');
             alter table k1 rename constraint k1_pkey to first_key;
             comment on constraint first_key on k1 is 'of a key';
             insert into p values (1, 1), (12, 1);
             insert into k values ('[1,2)', '[2024-01-01,2024-06-01)')",
        )
        .unwrap();
    pair.clone(&[]);
    pair.assert_same();
}

// trap D-2
#[test]
fn keys_keep_their_attributes() {
    round_trip(
        "keys",
        "create table k (a int, b int, c int, d int, e int,
           primary key (a) deferrable initially deferred,
           constraint u unique nulls not distinct (b),
           constraint i unique (c) include (d, e),
           constraint di unique (d) deferrable);
         create unique index plain on k (e);
         insert into k values (1, 1, 1, 1, 1), (2, null, 2, 2, 2)",
        &[],
    );
}

// trap D-3, D-4
#[test]
fn what_version_18_adds_to_constraints_arrives() {
    let pair = Pair::between(Major::V18, Major::V18, "keys18");
    pair.source
        .psql(
            "create table t (id int4range, valid daterange,
               primary key (id, valid without overlaps));
             insert into t values ('[1,2)', '[2024-01-01,2024-06-01)'),
               ('[1,2)', '[2024-06-01,2025-01-01)');
             create table r (id int primary key, t int4range, valid daterange,
               foreign key (t, period valid) references t (id, period valid));
             insert into r values (1, '[1,2)', '[2024-02-01,2024-08-01)');
             create table n (a int constraint a_there not null, b int, c int,
               constraint soft check (c > 0) not enforced);
             insert into n values (1, null, -1);
             alter table n add constraint b_there not null b not valid",
        )
        .unwrap();
    pair.clone(&[]);
    pair.assert_same();
}

// trap D-9
#[test]
fn an_invalid_index_is_left_out_and_named() {
    let pair = Pair::with(
        "invalid",
        "create table t (id int, x int); insert into t values (1, 1), (2, 1);
         create index good on t (id)",
    );
    let failed = pair.source.psql("create unique index concurrently bad on t (x)");
    assert!(failed.is_err(), "duplicates make the build fail and leave the index invalid");
    let output = pair.clone(&[]);
    assert!(format!("{}{}", output.stdout, output.stderr).contains("bad"), "the report names it");
    assert_eq!(
        pair.target_value("select to_regclass('bad') is null, to_regclass('good') is null"),
        "t|f"
    );
    pair.source.psql("drop index bad").unwrap();
    pair.assert_same();
}

// trap D-12
#[test]
fn what_pg_dump_hides_in_index_entries_is_there() {
    let pair = round_trip(
        "hidden",
        "create table t (id int not null, a int, b int, c text);
         insert into t select g, g, g, 'x' from generate_series(1, 1000) g;
         create unique index ident on t (id);
         alter table t replica identity using index ident;
         create index clustered on t (a); cluster t using clustered;
         create index stats on t ((a + b), (c || 'x'));
         alter index stats alter column 1 set statistics 321;
         alter index stats alter column 2 set statistics 42;
         create index withparam on t using gin (to_tsvector('simple', c)) with (fastupdate = off);
         create index opclass on t (c text_pattern_ops desc nulls last) where a > 5;
         comment on index opclass is 'a comment';
         alter table t add constraint u unique (b); comment on constraint u on t is 'another'",
        &[],
    );
    let hidden = "select relreplident, (select indisreplident from pg_index where indexrelid = 'ident'::regclass),
        (select indisclustered from pg_index where indexrelid = 'clustered'::regclass),
        (select string_agg(attstattarget::text, ',' order by attnum) from pg_attribute
          where attrelid = 'stats'::regclass)
      from pg_class where oid = 't'::regclass";
    assert_eq!(pair.source_value(hidden), "i|t|t|321,42");
    assert_eq!(pair.target_value(hidden), "i|t|t|321,42");
}

// trap D-28
#[test]
fn sequences_of_all_kinds_stand_where_they_stood() {
    let pair = round_trip(
        "sequences",
        "create sequence unowned increment -3 minvalue -100 maxvalue 50 start 50 cycle cache 7;
         select nextval('unowned'), nextval('unowned');
         create sequence never_called start 42;
         create sequence exhausted maxvalue 3; select nextval('exhausted') from generate_series(1, 3);
         create unlogged sequence unlogged_one; select nextval('unlogged_one');
         create table s (id serial, i int generated always as identity (start 1000), x int);
         insert into s (x) values (1), (2), (3);
         create schema other; create sequence owned owned by s.x; select setval('owned', 77, false);
         create sequence other.plain; select setval('other.plain', 5)",
        &[],
    );
    let all =
        "select nextval('unowned'), nextval('never_called'), nextval('owned'), nextval('s_id_seq')";
    assert_eq!(pair.source_value(all), pair.target_value(all));
    assert!(pair.target.psql("select nextval('exhausted')").is_err());
}

// trap D-43
#[test]
fn a_source_with_internal_column_options_restores_into_a_newer_major() {
    let pair = Pair::with(
        "attver",
        "create table t (id int primary key, x text); insert into t values (1, 'x');
         create view v as select * from t",
    );
    let output = pair.clone(&[]);
    pair.assert_same();
    // Debian's 15.20 keeps the option; then the log says which pg_dump was taken instead.
    let attver = "select count(*) > 0 from pg_attribute where attoptions::text like '%pg_attver=%'";
    if pair.source_value(attver) == "t" {
        assert!(output.stderr.contains("pg_attver"), "{}", output.stderr);
    }
}

// trap D-6, X-29
#[test]
fn orphan_rows_degrade_their_foreign_key_loudly() {
    let pair = Pair::with(
        "orphans",
        "create table p (id int primary key); insert into p values (1);
         create table c (id int primary key, p int, constraint fk foreign key (p) references p);
         alter table c disable trigger all;
         insert into c values (1, 1), (2, 777), (3, 888);
         alter table c enable trigger all",
    );
    let output = pair.program().run().unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("fk") && said.contains("777"), "names the key and sample rows: {said}");
    let state = "select convalidated from pg_constraint where conname = 'fk'";
    assert_eq!(pair.target_value(state), "f");
    assert_eq!(pair.target_value("select count(*) from c"), "3");
    // Mended on the target, the same command completes the run.
    pair.target.psql("delete from c where id > 1").unwrap();
    pair.source.psql("alter table c disable trigger all; delete from c where id > 1; alter table c enable trigger all").unwrap();
    pair.clone(&[]);
    pair.assert_same();
}

#[test]
fn triggers_rules_policies_views_and_owners_arrive() {
    let pair = Pair::with(
        "around",
        "create table t (id int primary key, x text); create table log (x text);
         create function note() returns trigger language plpgsql as
           'begin insert into log values (new.x); return new; end';
         create trigger audit after insert on t for each row execute function note();
         create rule also as on insert to t do also insert into log values ('rule');
         insert into t values (1, 'a');
         alter table t enable always trigger audit; alter table t disable rule also;
         alter table t enable row level security; create policy mine on t using (id > 0);
         create view v as select t.id, count(*) from t group by t.id;
         create materialized view mv as select x from log; create index on mv (x);
         create materialized view empty_mv as select 1 as one with no data;
         comment on table t is 'it''s'; grant select on t to public;
         alter default privileges grant select on tables to public",
    );
    pair.clone(&[]);
    pair.assert_same();
    assert_eq!(pair.target_value("select count(*) from log"), "2", "nothing fired during the load");
}

#[test]
fn schema_switches_reach_the_target() {
    let pair = Pair::with(
        "switches",
        "create schema other; create table other.t (id int primary key);
         comment on table other.t is 'gone'; grant select on other.t to public;
         insert into other.t values (1)",
    );
    pair.clone(&["--no-acl", "--no-comments", "--no-owner"]);
    let kept = "select obj_description('other.t'::regclass) is null, relacl is null
                from pg_class where oid = 'other.t'::regclass";
    assert_eq!(pair.target_value(kept), "t|t");
    assert_eq!(pair.target_value("select count(*) from other.t"), "1");
    // The target is full now: a second run drops and makes everything again.
    let other = tempfile::tempdir().unwrap();
    let again = || {
        crate::support::program_in(&pair.source.uri(), &pair.target.uri(), &other.path().join("w"))
    };
    again().run().unwrap().exit_code(1).unwrap();
    again().arg("--drop-if-exists").run().unwrap().success().unwrap();
    pair.assert_same();
}

#[test]
fn filters_select_what_is_cloned() {
    let pair = Pair::with(
        "filters",
        "create schema keep; create schema leave;
         create table keep.a (id int primary key); insert into keep.a values (1);
         create table keep.b (id int primary key, a int references keep.a); insert into keep.b values (1, 1);
         create table keep.c (id serial primary key); insert into keep.c default values;
         create index on keep.c ((id + 1));
         create table leave.d (id int); insert into leave.d values (1)",
    );
    let file = pair.dir.path().join("filters.ini");
    std::fs::write(
        &file,
        "[exclude-schema]\nleave\n\n[exclude-table]\nkeep.b\n\n[exclude-table-data]\nkeep.c",
    )
    .unwrap();
    pair.clone(&["--filters", file.to_str().unwrap()]);
    let there = "select to_regclass('keep.a') is not null, to_regclass('keep.b') is not null,
                 to_regclass('keep.c') is not null, to_regclass('leave.d') is not null";
    assert_eq!(pair.target_value(there), "t|f|t|f");
    assert_eq!(
        pair.target_value("select (select count(*) from keep.a), (select count(*) from keep.c)"),
        "1|0"
    );
}
