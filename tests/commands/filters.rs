//! Filter files with every section: what is kept is complete and valid, what is left out is listed with
//! its reason, and `--list-skipped` says the same.

use serde_json::Value;
use testbed::process::Output;

use crate::support::{Pair, cells};

/// Views, foreign keys, partitions, owned sequences, functions and extensions, across schemas.
const SHOP: &str = "
    create schema keep; create schema gone; create schema \"Mixed\"; create schema reg_1;
    create extension hstore schema keep; create extension pg_trgm schema gone;
    create table keep.customer (id serial primary key, tags keep.hstore);
    create table keep.orders (id int primary key, customer int references keep.customer, note text);
    create index slow_idx on keep.orders (note);
    create table keep.secret (id serial primary key);
    create table keep.badge (id int primary key, secret int references keep.secret);
    create table keep.audit (at int);
    create table keep.part (k int primary key) partition by range (k);
    create table keep.part_new partition of keep.part for values from (0) to (100);
    create table keep.part_old partition of keep.part for values from (100) to (200);
    create table gone.t (a int primary key);
    create table \"Mixed\".\"T\" (\"A\" int primary key);
    create table reg_1.t (a int);
    create view keep.v as select o.id, c.tags from keep.orders o join keep.customer c on c.id = o.customer;
    create view keep.of_secret as select o.id from keep.orders o, keep.secret s;
    create materialized view keep.count as select count(*) from keep.orders;
    create view keep.of_gone as select a from gone.t;
    create function keep.f() returns setof keep.secret language sql as 'select * from keep.secret';
    insert into keep.customer (tags) select keep.hstore('k', g::text) from generate_series(1, 20) g;
    insert into keep.orders select g, g % 20 + 1, 'n' from generate_series(1, 100) g;
    insert into keep.secret select from generate_series(1, 5) g;
    insert into keep.badge select g, g from generate_series(1, 5) g;
    insert into keep.audit values (1), (2), (3);
    insert into keep.part select g from generate_series(0, 199) g;
    insert into \"Mixed\".\"T\" values (1); insert into reg_1.t values (1), (2)";

/// Relations of the user on the target, by kind.
fn relations(pair: &Pair, kinds: &str) -> String {
    pair.on_target(&format!(
        "select string_agg(n.nspname || '.' || c.relname, ' ' order by 1) \
         from (select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where c.relkind::text ~ '[{kinds}]' and n.nspname !~ '^pg_|information_schema' \
         and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e') \
         order by n.nspname collate \"C\", c.relname collate \"C\") as s (a, b), \
         lateral (select a as nspname) n, lateral (select b as relname) c"
    ))
}

/// The findings that a run left in `summary.json`: objects and reasons.
fn findings(pair: &Pair) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(pair.work().join("summary.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = document["findings"].as_array().unwrap();
    all.iter().map(|one| (text(&one["object"]), text(&one["reason"]))).collect()
}

/// Names that a list printed.
fn names(output: &Output) -> Vec<String> {
    let mut names: Vec<String> =
        cells(output).into_iter().map(|row| format!("{}.{}", row[1], row[2])).collect();
    names.sort();
    names
}

// trap T-20, T-22, T-23
#[test]
fn five_sections_together_keep_a_complete_and_valid_part() {
    let pair = Pair::with_extensions("filterone", SHOP);
    let filters = pair.file(
        "f.ini",
        "# comment\n[include-only-schema]\r\nkeep\n  \"Mixed\"  \n~/^reg_/\n\
         [exclude-table]\nkeep.secret\n; comment\nkeep.part_old\n\
         [exclude-table-data]\nkeep.audit\n\
         [exclude-index]\nkeep.slow_idx\n\
         [exclude-extension]\npg_trgm",
    );
    pair.ok(&format!("clone --filters {filters}"));
    assert_eq!(
        relations(&pair, "rp"),
        "Mixed.T keep.audit keep.badge keep.customer keep.orders keep.part keep.part_new reg_1.t"
    );
    assert_eq!(relations(&pair, "vm"), "keep.count keep.v");
    assert_eq!(relations(&pair, "S"), "keep.customer_id_seq");
    for (sql, expected) in [
        ("select count(*) from keep.v", "100"),
        ("select count from keep.count", "100"),
        ("select count(*) from keep.audit", "0"),
        ("select count(*) from keep.part", "100"),
        ("select count(*) from keep.badge", "5"),
        ("select count(*) from reg_1.t", "2"),
        ("select last_value from keep.customer_id_seq", "20"),
        ("select count(*) from pg_class where relname = 'slow_idx'", "0"),
        (
            "select string_agg(conname, ',') from pg_constraint where contype = 'f' and convalidated",
            "orders_customer_fkey",
        ),
        ("select string_agg(extname, ',' order by extname) from pg_extension", "hstore,plpgsql"),
        ("select to_regprocedure('keep.f()') is null", "t"),
    ] {
        assert_eq!(pair.on_target(sql), expected, "{sql}");
    }
    let found = findings(&pair);
    for (object, because) in [
        ("table keep.secret", "exclude-table"),
        ("view keep.of_secret", "keep.secret"),
        ("function keep.f()", "keep.secret"),
        ("view keep.of_gone", "gone"),
        ("badge_secret_fkey", "references"),
        ("table gone.t", "gone"),
        ("index keep.slow_idx", "exclude-index"),
        ("pg_trgm", "exclude-extension"),
    ] {
        let named = |(o, r): &&(String, String)| {
            o.contains(object) && (r.contains(because) || o.contains(because))
        };
        assert!(found.iter().any(|one| named(&one)), "{object} because of {because}: {found:#?}");
    }
    let skipped = names(&pair.ok(&format!("list tables --list-skipped --filters {filters}")));
    assert_eq!(skipped, ["gone.t", "keep.part_old", "keep.secret"]);
    pair.assert_no_ledger();
}

// trap T-20
#[test]
fn the_other_three_sections_keep_listed_tables_and_what_they_need() {
    let pair = Pair::with_extensions("filtertwo", SHOP);
    let filters = pair.file(
        "f.ini",
        "[exclude-schema]\ngone\n\
         [include-only-table]\nkeep.orders\nkeep.customer\nkeep.~/^part/\n\"Mixed\".\"T\"\n\
         [include-only-extension]\nhstore\n",
    );
    pair.ok(&format!("clone --filters {filters}"));
    assert_eq!(
        relations(&pair, "rp"),
        "Mixed.T keep.customer keep.orders keep.part keep.part_new keep.part_old"
    );
    for (sql, expected) in [
        ("select count(*) from keep.v", "100"),
        ("select count(*) from keep.part", "200"),
        ("select string_agg(extname, ',' order by extname) from pg_extension", "hstore,plpgsql"),
        ("select count(*) from pg_constraint where contype = 'f' and convalidated", "1"),
        ("select count(*) from pg_class where relname = 'slow_idx'", "1"),
    ] {
        assert_eq!(pair.on_target(sql), expected, "{sql}");
    }
    let skipped = names(&pair.ok(&format!("list tables --list-skipped --filters {filters}")));
    assert_eq!(
        skipped,
        ["gone.t", "keep.audit", "keep.badge", "keep.count", "keep.secret", "reg_1.t"]
    );
    pair.assert_no_ledger();
}

// trap T-20
#[test]
fn contradictions_and_unknown_names_are_refused_with_their_line() {
    let pair = Pair::with("filterbad", "create schema a; create table a.\"Cow\" (i int)");
    for (text, said) in [
        ("[include-only-schema]\na\n[exclude-schema]\nb\n", "exclude-schema"),
        ("[include-only-table]\na.\"Cow\"\n[exclude-table]\na.b\n", "exclude-table"),
        ("[include-only-extension]\nx\n[exclude-extension]\ny\n", "exclude-extension"),
        ("[include-only-table]\na.cow\n", "a.\"Cow\""),
        ("[include-only-table]\ncow\n", "cow"),
        ("[exclude-table]\na.~/(/\n", "line 2"),
        ("[exclude-tables]\na.b\n", "line 1"),
    ] {
        let filters = pair.file("f.ini", text);
        let output = pair.run(&format!("clone --filters {filters}")).exit_code(1).unwrap();
        assert!(output.stderr.contains(said), "{text}: {output}");
        pair.assert_no_ledger();
    }
    let filters = pair.file("f.ini", "[include-only-extension]\nplpgsql\n");
    let output =
        pair.run(&format!("clone --skip-extensions --filters {filters}")).exit_code(1).unwrap();
    assert!(output.stderr.contains("--skip-extensions"), "{output}");
    // What failed before anything was made does not bind the next start.
    pair.ok("clone");
    pair.assert_same();
}
