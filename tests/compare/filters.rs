//! A filter file with every section that may stand together, on a schema in which everything hangs on
//! something else: what is kept is complete and valid, what is dropped is listed with its reason.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use testbed::{Installation, Major, Pgcopydb};

use crate::support::Pair;

/// Two schemas that depend on each other, and two extensions.
const SCHEMA: &str = r#"
create schema keep; create schema leave; create schema "Other";
create extension citext schema keep; create extension hstore schema public;
create table leave.audit (id int primary key);
create table keep.customers (id serial primary key, name keep.citext);
create table keep.orders (id serial primary key, customer int references keep.customers,
                          audit int references leave.audit, note text);
create index orders_slow on keep.orders (note); create index orders_note on keep.orders (lower(note));
create table keep.skipped (id serial primary key, customer int references keep.customers);
create table keep.child (id int primary key, skipped int references keep.skipped);
create table keep.shares (id int default nextval('keep.skipped_id_seq'));
create table keep.emptied (id serial primary key);
create table keep.refers (emptied int references keep.emptied);
create table keep.events (at date, what text, primary key (at)) partition by range (at);
create table keep.events_1 partition of keep.events for values from ('2020-01-01') to ('2021-01-01');
create table leave.events_2 partition of keep.events for values from ('2021-01-01') to ('2022-01-01');
create table "Other"."Mixed" (id int generated always as identity primary key);
create view keep.good as select id from keep.customers;
create view keep.bad as select id from leave.audit;
create view keep.worse as select id from keep.bad;
create materialized view keep.of_skipped as select count(*) as n from keep.skipped;
create function keep.uses_row(keep.skipped) returns int language sql as 'select 1';
create function keep.free() returns int language sql as 'select 1';
create function keep.trg() returns trigger language plpgsql as 'begin return new; end';
create trigger on_orders before insert on keep.orders for each row execute function keep.trg();
create trigger on_skipped before insert on keep.skipped for each row execute function keep.trg();
create policy p on keep.orders using (exists (select from keep.skipped));
insert into leave.audit values (1); insert into keep.customers (name) values ('a'), ('b');
alter table keep.orders disable trigger on_orders;
insert into keep.orders (customer, audit, note) values (1, 1, 'x'), (2, null, 'y');
insert into keep.skipped (customer) values (1); insert into keep.child values (1, 1);
insert into keep.shares values (default); insert into keep.emptied default values;
insert into keep.events values ('2020-05-05', 'in'), ('2021-05-05', 'out');
insert into "Other"."Mixed" default values;
"#;

/// Everything on a server that filters are about, one line each.
const OBJECTS: &str = "
    select 'extension ' || extname from pg_extension where extname <> 'plpgsql'
    union all select 'schema ' || nspname from pg_namespace
        where nspname !~ '^pg_' and nspname <> 'information_schema'
    union all select c.relkind::text || ' ' || n.nspname || '.' || c.relname from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('keep', 'leave', 'Other') and c.relkind in ('r', 'p', 'v', 'm', 'S', 'i', 'I')
    union all select concat('fk ', conrelid::regclass, '.', conname, ' ', convalidated)
        from pg_constraint where contype = 'f' and conparentid = 0
    union all select concat('function ', p.oid::regprocedure) from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'keep' and not exists (select from pg_depend d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    union all select 'trigger ' || tgname from pg_trigger where not tgisinternal
    union all select 'policy ' || polname from pg_policy order by 1";

/// Clones with a filter file; returns the target's objects and what was left out with its reason.
fn filtered(pair: &Pair, dir: &Path, filters: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let file = dir.join("filters.ini");
    std::fs::write(&file, filters).unwrap();
    let bindir = Installation::find(Major::V15).unwrap().bindir;
    let work = dir.join("work");
    Pgcopydb::new()
        .unwrap()
        .clone_args(&pair.source, &pair.target, &work)
        .arg("--filters")
        .arg(&file)
        .env("PG_CONFIG", bindir.join("pg_config"))
        .run()
        .unwrap()
        .success()
        .unwrap();
    // What is kept is the same on both sides, whatever each of both comparisons looks at.
    let arguments = ["--filters", file.to_str().unwrap()];
    let schema = pair.compare("schema", &arguments);
    assert_eq!(schema.stdout, "", "{schema}");
    schema.success().unwrap();
    pair.data(&arguments).success().unwrap();
    let objects = pair.target.psql(OBJECTS).unwrap().lines().map(str::to_owned).collect();
    let json = std::fs::read(work.join("summary.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let findings = json["findings"].as_array().unwrap();
    let dropped = findings.iter().map(|one| (text(one, "object"), text(one, "reason")));
    (objects, dropped.collect())
}

/// Demands that each of these is listed as left out, with a reason that says so.
fn assert_reasons(dropped: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (object, reason) in expected {
        let found = dropped.get(*object).unwrap_or_else(|| panic!("{object} in {dropped:#?}"));
        assert!(found.contains(reason), "{object}: {found}");
    }
}

// trap T-23
#[test]
fn five_sections_that_exclude() {
    let pair = Pair::between(Major::V15, Major::V15, "excludes");
    pair.source.psql(SCHEMA).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // Ends of lines of another system, both kinds of comments, no end of the last line.
    let filters = "; comment\r\n# comment\r\n[exclude-schema]\r\nleave\r\n[exclude-table]\r\n\
                   keep.~/^skip/\r\n[exclude-table-data]\r\nkeep.emptied\r\n[exclude-index]\r\n\
                   keep.orders_slow\r\n[exclude-extension]\r\nhstore";
    let (objects, dropped) = filtered(&pair, dir.path(), filters);
    let expected = [
        "I keep.events_pkey",
        "S Other.Mixed_id_seq",
        "S keep.customers_id_seq",
        "S keep.emptied_id_seq",
        "S keep.orders_id_seq",
        "S keep.skipped_id_seq",
        "extension citext",
        "fk keep.orders.orders_customer_fkey t",
        "fk keep.refers.refers_emptied_fkey f",
        "function keep.free()",
        "function keep.trg()",
        "i Other.Mixed_pkey",
        "i keep.child_pkey",
        "i keep.customers_pkey",
        "i keep.emptied_pkey",
        "i keep.events_1_pkey",
        "i keep.orders_note",
        "i keep.orders_pkey",
        "p keep.events",
        "r Other.Mixed",
        "r keep.child",
        "r keep.customers",
        "r keep.emptied",
        "r keep.events_1",
        "r keep.orders",
        "r keep.refers",
        "r keep.shares",
        "schema Other",
        "schema keep",
        "schema public",
        "trigger on_orders",
        "v keep.good",
    ];
    assert_eq!(objects, expected);
    let count = "select (select count(*) from keep.emptied), (select count(*) from keep.events),
                        (select count(*) from keep.orders), (select last_value from keep.emptied_id_seq),
                        (select count(*) from keep.child), nextval('keep.skipped_id_seq')";
    assert_eq!(pair.target.psql(count).unwrap().trim(), "0|1|2|1|1|3");
    assert_reasons(
        &dropped,
        &[
            ("schema leave", "[exclude-schema] leave (line 4)"),
            ("table keep.skipped", "[exclude-table] keep.~/^skip/ (line 6)"),
            ("rows of table keep.emptied", "[exclude-table-data] keep.emptied (line 8)"),
            ("index keep.orders_slow", "[exclude-index] keep.orders_slow (line 10)"),
            ("extension hstore", "[exclude-extension] hstore (line 12)"),
            ("table leave.events_2", "its schema is left out"),
            ("view keep.worse", "is left out"),
            ("materialized view keep.of_skipped", "is left out"),
            ("function keep.uses_row(keep.skipped)", "is left out"),
            ("policy p on table keep.orders", "is left out"),
        ],
    );
}

#[test]
fn five_sections_that_include() {
    let pair = Pair::between(Major::V15, Major::V15, "includes");
    pair.source.psql(SCHEMA).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let filters = "[include-only-schema]\nkeep\n[include-only-table]\nkeep.orders\n\
                   keep.~/^(customers|emptied)$/\nkeep.events\n[exclude-table-data]\nkeep.emptied\n\
                   [exclude-index]\nkeep.~/_slow$/\n[include-only-extension]\ncitext\n";
    let (objects, dropped) = filtered(&pair, dir.path(), filters);
    let tables: Vec<&str> = objects
        .iter()
        .filter(|one| one.starts_with("r ") || one.starts_with("p "))
        .map(String::as_str)
        .collect();
    assert_eq!(
        tables,
        ["p keep.events", "r keep.customers", "r keep.emptied", "r keep.events_1", "r keep.orders"]
    );
    for kept in ["fk keep.orders.orders_customer_fkey t", "extension citext", "v keep.good"] {
        assert!(objects.iter().any(|one| one == kept), "{kept}: {objects:#?}");
    }
    for left in
        ["schema leave", "schema Other", "extension hstore", "i keep.orders_slow", "v keep.bad"]
    {
        assert!(!objects.iter().any(|one| one == left), "{left}: {objects:#?}");
    }
    assert_eq!(pair.target.psql("select count(*) from keep.emptied").unwrap().trim(), "0");
    assert_eq!(pair.target.psql("select count(*) from keep.orders").unwrap().trim(), "2");
    assert_reasons(
        &dropped,
        &[
            ("schema leave", "not listed in [include-only-schema]"),
            ("table keep.skipped", "not listed in [include-only-table]"),
            ("extension hstore", "schema public is left out"),
            ("index keep.orders_slow", "[exclude-index] keep.~/_slow$/"),
        ],
    );
}

// trap T-20
#[test]
fn what_a_file_gets_wrong_is_said_in_one_line_with_exit_code_1() {
    let pair = Pair::with("wrong", "create schema a; create table a.orders (id int)");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("filters.ini");
    for (text, said) in [
        ("[include-only-tables]\na.b\n", "line 1: unknown section"),
        ("[include-only-table]\na.order\n", "a.orders"),
        ("[include-only-schema]\nb\n", "[include-only-schema] names b"),
        ("[include-only-extension]\nnone\n", "[include-only-extension] names none"),
        ("[exclude-table]\norders\n", "line 2"),
        ("[exclude-table]\na.~/(/\n", "line 2"),
        ("[include-only-table]\na.orders\n[exclude-table]\na.x\n", "[exclude-table]"),
        ("[include-only-schema]\na\n[exclude-schema]\n~/x/\n", "[exclude-schema]"),
        ("a.orders\n", "line 1"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = pair.data(&["--filters", file.to_str().unwrap()]).exit_code(1).unwrap();
        let errors: Vec<&str> =
            output.stderr.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert!(errors[0].contains(said), "{text:?}: {}", output.stderr);
        assert!(errors[1..].iter().all(|line| line.contains("hint:")), "{}", output.stderr);
    }
    // A name in an exclude section that is not there is no error.
    std::fs::write(&file, "[exclude-table]\na.nothing\n[exclude-schema]\nb\n").unwrap();
    pair.data(&["--filters", file.to_str().unwrap()]).success().unwrap();
}
