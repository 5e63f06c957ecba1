//! Rows: every way in which a comparison could say "equal" of what is not, or the reverse.

use std::time::Duration;

use serde_json::Value;
use testbed::{Major, Pgcopydb, TestDatabase, shared};

use crate::support::{Pair, compare_between, rows};

/// A table with a column of each family of types, and values that are easily confused.
const FAMILIES: &str = r#"
create type mood as enum ('sad', 'it''s "ok"', 'happy');
create type pair as (a int, b text);
create domain positive as int check (value > 0);
create table families (
  id int primary key, i2 smallint, i4 integer, i8 bigint not null, f4 real, f8 double precision,
  n numeric, m money, t text, vc varchar(20), c char(5), bp bpchar, by bytea, b boolean not null,
  d date, ts timestamp, tz timestamptz, ti time, tt timetz, iv interval, u uuid, j json, jb jsonb,
  ia int[], ta text[], r int4range, mr int4multirange, p point, po polygon, ip inet,
  ci cidr, bi bit varying, tv tsvector, e mood, cp pair, dm positive, o oid, rc regclass,
  ch "char", na name);
insert into families values
 (1, -32768, -2147483648, -9223372036854775808, '-0', '-0', 1.00, 12.34, '', '', '', '', '', true,
  '-infinity', 'infinity', '2020-06-01 12:00+05', '24:00', '10:00+03', '1 day', gen_random_uuid(),
  '{"a" : 1}', '{"a" : 1}', '[2:3]={1,2}', '{NULL,"NULL",""}', 'empty', '{}', '(1,-0)',
  '((0,0),(1,1),(1,0))', '10.0.0.1', '10.0.0.0/8', '101', 'a:1 b:2', 'it''s "ok"', '(,)', 5, 7,
  'families', 'x', 'n'),
 (2, 32767, 2147483647, 9223372036854775807, 'NaN', 'NaN', 'NaN', -1, '.', 'é', 'ab', 'ab  ',
  '\x00ff5c2e', false, '4713-01-01 BC', '294276-12-31', 'epoch', '00:00', '10:00-03', '24 hours',
  '00000000-0000-0000-0000-000000000000', '[]', '[1.0, 1.00]', '{}', '{a,"b c"}', '[1,5)',
  '{[1,2),[4,5)}', '(1e300,1e-300)', '((0,0))', '::1/64', '::/0', '', '', 'happy', '(1,"a,""b\\")',
  6, 4294967295, 'pg_catalog.pg_class', '', ''),
 (3, null, null, 0, null, null, null, null, null, null, null, null, null, true, null, null, null,
  null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
  null, null, null, null, null, null, null),
 (4, 0, 0, 4294967296, 'infinity', 1e-320, 123456789012345678901234567890.123456789, 0, 'a', 'a',
  'a', 'a', 'a', true, '2000-01-01', '2000-01-01', '2000-01-01', '1:2:3.456789', '1:2:3+0',
  '-1 mon +2 days -03:04:05.678', gen_random_uuid(), 'null', 'null', '{{1,2},{3,4}}', '{}', '(,)', '{(,)}', '(0.1,0.30000000000000004)', '((0,0))', '1.2.3.4/24',
  '1.2.3.0/24', '1', 'x', 'sad', null, 1, 0, null, 'a', 'b');
update families set u = '11111111-2222-3333-4444-555555555555' where id in (1, 4);
"#;

// trap X-28
#[test]
fn every_type_family_is_equal_across_versions_and_hostile_settings() {
    for (source, target) in
        [(Major::V15, Major::V18), (Major::V16, Major::V15), (Major::V18, Major::V16)]
    {
        let pair = Pair::between(source, target, "families");
        pair.both(FAMILIES);
        let name = pair.target.name().to_owned();
        for setting in [
            "DateStyle = 'German, DMY'",
            "IntervalStyle = 'sql_standard'",
            "TimeZone = 'Asia/Kolkata'",
            "extra_float_digits = -10",
            "bytea_output = 'escape'",
            "search_path = 'pg_catalog'",
            "array_nulls = off",
            "xmloption = document",
            "enable_seqscan = off",
            "statement_timeout = '1s'",
        ] {
            pair.target(&format!("alter database {name} set {setting}"));
        }
        pair.assert_same_rows();
    }
}

#[test]
fn each_value_that_changes_is_found_in_its_row_and_column() {
    let pair = Pair::with("values", FAMILIES);
    let columns = pair.source.psql(
        "select string_agg(attname, ' ' order by attnum) from pg_attribute
          where attrelid = 'families'::regclass and attnum > 1",
    );
    for column in columns.unwrap().split_whitespace() {
        // Each row takes the value of the next: NULL against values, -0 against NaN.
        let change = format!(
            "begin; create table old as select id, {column} as v from families;
             update families f set {column} = o.v from old o where f.id = 2 and o.id = 1;
             drop table old; commit"
        );
        pair.target(&change);
        let tables = pair.differing(&[]);
        assert_eq!(tables.len(), 1, "{column}");
        assert_eq!(rows(&tables[0]), [format!("differs id=2 {column}")], "{column}");
        pair.target(&format!("truncate families; {}", insert_of_families()));
        pair.assert_same_rows();
    }
}

/// The statements of [`FAMILIES`] that fill the table.
fn insert_of_families() -> &'static str {
    &FAMILIES[FAMILIES.find("insert into").unwrap()..]
}

#[test]
fn values_that_are_equal_for_an_operator_but_not_the_same_are_differences() {
    let pair = Pair::with(
        "lookalikes",
        "create table t (id int primary key, f float8, n numeric, j json, jb jsonb, s text,
                         c char(3), b bpchar, iv interval, i8 bigint not null);
         insert into t values (1, 0, 1.0, '{\"a\":1}', '{\"a\":1}', '', 'a', 'a', '1 day', 1)",
    );
    for (column, value, differs) in [
        ("f", "'-0'", true),
        ("n", "1.00", true),
        ("j", "'{\"a\": 1}'", true),
        ("jb", "'{\"a\":    1}'", false),
        ("jb", "'{\"a\":1.0}'", true),
        ("s", "null", true),
        ("s", "'.'", true),
        ("s", "' '", true),
        ("c", "'a  '", false),
        ("b", "'a '", true),
        ("iv", "'24 hours'", true),
        // Both halves of an int8 are folded by the server's own hash: 1 and 2^32 meet there.
        ("i8", "4294967296", true),
        ("i8", "-4294967296", true),
        ("i8", "-2", true),
    ] {
        pair.target(&format!("update t set {column} = {value}"));
        if differs {
            let found = pair.differing(&[]);
            assert_eq!(rows(&found[0]), [format!("differs id=1 {column}")], "{column} {value}");
        } else {
            pair.assert_same_rows();
        }
        pair.target(
            "delete from t; insert into t values
               (1, 0, 1.0, '{\"a\":1}', '{\"a\":1}', '', 'a', 'a', '1 day', 1)",
        );
    }
}

#[test]
fn values_swapped_between_rows_or_columns_are_found() {
    let fill = "insert into t select g, 'a' || g, 'b' || g, g, -g from generate_series(1, 50) g";
    let pair = Pair::with(
        "swapped",
        &format!("create table t (id int primary key, x text, y text, m int, n int); {fill}"),
    );
    pair.assert_same_rows();
    // Between two rows, one column.
    pair.target(
        "update t set x = case id when 7 then 'a8' when 8 then 'a7' end where id in (7, 8)",
    );
    assert_eq!(rows(&pair.differing(&[])[0]), ["differs id=7 x", "differs id=8 x"]);
    // Between two columns of one row.
    pair.target(&format!("truncate t; {fill}; update t set x = y, y = x where id = 9"));
    assert_eq!(rows(&pair.differing(&[])[0]), ["differs id=9 x,y"]);
    pair.target(&format!("truncate t; {fill}; update t set m = n, n = m where id = 9"));
    assert_eq!(rows(&pair.differing(&[])[0]), ["differs id=9 m,n"]);
    // A text that moves over the border between two columns.
    pair.target(&format!("truncate t; {fill}; update t set x = 'a3b', y = '3' where id = 3"));
    assert_eq!(rows(&pair.differing(&[])[0]), ["differs id=3 x,y"]);
}

#[test]
fn rows_without_a_key_are_counted() {
    let pair = Pair::with(
        "no_key",
        "create table t (a int, b text);
         insert into t values (1, 'x'), (1, 'x'), (2, null), (null, ''), (2, null)",
    );
    pair.assert_same_rows();
    // As many rows as before, and as many distinct ones.
    pair.target(
        "delete from t where ctid = (select min(ctid) from t where a = 1);
                 insert into t values (2, null)",
    );
    assert_eq!(rows(&pair.differing(&[])[0]), ["source-only row=(1,x)", "target-only row=(2,)"]);
    pair.target("insert into t select 2, null from generate_series(1, 4)");
    assert_eq!(rows(&pair.differing(&[])[0]), ["source-only row=(1,x)", "target-only row=(2,) x5"]);
}

#[test]
fn physical_order_column_order_and_dropped_columns_make_no_difference() {
    let pair = Pair::between(Major::V15, Major::V18, "order");
    pair.source
        .psql(
            "create table t (id int, gone text, a text, b int);
             insert into t select g, 'x', 'a' || g, g % 7 from generate_series(1, 5000) g;
             alter table t drop gone; alter table t add primary key (id)",
        )
        .unwrap();
    pair.target(
        "create table t (b bigint, id int primary key, a varchar);
         insert into t select g % 7, g, 'a' || g from generate_series(1, 5000) g order by -g;
         update t set b = b where id % 3 = 0",
    );
    pair.assert_same_rows();
}

#[test]
fn generated_identity_and_missing_columns() {
    let table = "create table t (id int generated always as identity primary key, a int,
                                 twice int generated always as (a * 2) stored);
                 create table nothing (); insert into nothing default values;
                 insert into t (a) select g from generate_series(1, 10) g";
    let pair = Pair::with("generated", table);
    pair.assert_same_rows();
    pair.target(
        "alter table t drop twice;
                 alter table t add twice int generated always as (a * 3) stored",
    );
    let found = pair.differing(&[]);
    assert_eq!(rows(&found[0])[0], "differs id=1 twice");
    // A column that one side lacks is a difference although the others are equal.
    pair.target("alter table t drop twice; insert into nothing default values");
    let found = pair.differing(&[]);
    let names: Vec<&str> = found.iter().map(|table| table["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["nothing", "t"]);
    assert_eq!(found[0]["source"]["rowcount"], 1);
    assert_eq!(found[0]["target"]["rowcount"], 2);
    assert_eq!(found[1]["remarks"][0], "columns on the source only: twice");
}

#[test]
fn tables_of_one_side_only_are_differences() {
    let pair = Pair::with("one_sided", "create table same (a int)");
    pair.source.psql("create table lost (a int); insert into lost values (1)").unwrap();
    pair.target("create schema \"S \"\"x\"; create table \"S \"\"x\".\"more.t\" (a int)");
    let found = pair.differing(&[]);
    let short: Vec<(&str, &Value, &Value)> = found
        .iter()
        .map(|table| {
            (table["name"].as_str().unwrap(), &table["source"]["rowcount"], &table["target"])
        })
        .collect();
    assert_eq!(short[0].0, "more.t");
    assert_eq!(found[0]["remarks"][0], "exists on the target only");
    assert_eq!(short[1].0, "lost");
    assert_eq!((short[1].1, short[1].2), (&Value::from(1), &Value::Null));
    let text = pair.data(&[]).exit_code(8).unwrap().stdout;
    assert!(text.lines().any(|line| line.contains("public.lost | ! |")), "{text}");
    assert!(text.contains("public.lost: exists on the source only"), "{text}");
}

#[test]
fn partitions_of_other_shapes_are_compared_as_the_table_they_make() {
    let pair = Pair::between(Major::V15, Major::V18, "shapes");
    let rows_sql = "insert into t (id, v) select g, 'v' || g from generate_series(1, 1000) g";
    pair.source
        .psql(&format!(
            "create table t (id int primary key, v text) partition by range (id);
             create table t_1 partition of t for values from (0) to (500);
             create table t_2 (v text, gone int, id int not null);
             alter table t_2 drop gone; alter table t attach partition t_2 for values from (500) to (9999);
             {rows_sql}"
        ))
        .unwrap();
    pair.target(&format!(
        "create table t (v text, id int primary key) partition by hash (id);
         create table t_h0 partition of t for values with (modulus 2, remainder 0);
         create table t_h1 partition of t for values with (modulus 2, remainder 1);
         {rows_sql}"
    ));
    pair.assert_same_rows();
    pair.target("update t set v = 'other' where id = 700");
    let found = pair.differing(&[]);
    assert_eq!(found[0]["name"], "t");
    assert_eq!(rows(&found[0]), ["differs id=700 v"]);
    // Not partitioned at all.
    pair.target(&format!("drop table t; create table t (id int primary key, v text); {rows_sql}"));
    pair.assert_same_rows();
}

// trap S-17
#[test]
fn inherited_rows_are_counted_where_they_are() {
    let pair = Pair::with(
        "inherited",
        "create table p (a int); create table c () inherits (p);
         insert into p values (1); insert into c values (2)",
    );
    pair.assert_same_rows();
    pair.target("delete from c; insert into p values (2)");
    let found = pair.differing(&[]);
    let names: Vec<&str> = found.iter().map(|table| table["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["c", "p"]);
}

// trap D-24
#[test]
fn row_security_is_an_error_and_never_a_subset() {
    let pair = Pair::with(
        "row_security",
        "create table open (a int); insert into open values (1);
         create table t (a int); insert into t values (1), (2);
         alter table t enable row level security;
         create policy p on t using (a = 1)",
    );
    let role = format!("reader_{}", pair.source.name());
    pair.both(&format!(
        "create role {role} login; grant select on all tables in schema public to {role}"
    ));
    pair.target("delete from t where a = 2");
    let (source, target) = (pair.source.uri_as(&role, ""), pair.target.uri_as(&role, ""));
    let output = compare_between("data", &source, &target, &[]).exit_code(6).unwrap();
    assert!(output.stderr.contains("row-level security"), "{}", output.stderr);
    assert!(output.stdout.contains("public.t: could not be compared"), "{}", output.stdout);
    assert!(!output.stdout.contains("public.open: "), "{}", output.stdout);
    pair.both(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn databases_of_other_encodings_and_collations_are_compared_by_their_characters() {
    let create =
        |major, words: &str| TestDatabase::create_with(shared(major), "encodings", words).unwrap();
    let source = create(Major::V15, "template template0 encoding 'LATIN1' locale 'C'");
    let target = create(Major::V18, "template template0 encoding 'UTF8' locale 'C.UTF-8'");
    let sql = "set client_encoding = 'UTF8';
               create table t (id int primary key, a text not null, b text, c text[]);
               insert into t values (1, 'é', 'ñandú', '{ü}'), (2, '', null, '{}'),
                                    (3, U&'\\00A0\\0085', 'b', null);
               create table \"tablé\" (\"colonné\" text); insert into \"tablé\" values ('x')";
    source.psql(sql).unwrap();
    target.psql(sql).unwrap();
    compare_between("data", &source.uri(), &target.uri(), &[]).success().unwrap();
    target.psql("update t set b = 'nandú' where id = 1").unwrap();
    let pair = Pair { source, target };
    assert_eq!(rows(&pair.differing(&[])[0]), ["differs id=1 b"]);
}

#[test]
fn one_row_among_two_million_is_found_within_seconds() {
    let pair = Pair::with(
        "million",
        "create unlogged table t (id bigint, a int, b text);
         insert into t select g, g % 1000, 'value ' || g from generate_series(1, 2000000) g;
         alter table t add primary key (id)",
    );
    pair.target("update t set b = 'value 1234568' where id = 1234567");
    let program = Pgcopydb::new()
        .unwrap()
        .args(["compare", "data", "--show-rows", "5"])
        .ends(&pair.source.uri(), &pair.target.uri())
        .deadline(Duration::from_secs(60));
    let output = program.run().unwrap().exit_code(8).unwrap();
    let expected = "public.t: row (id = 1234567) differs in b";
    assert!(output.stdout.contains(expected), "{}", output.stdout);
    assert!(!output.stdout.contains("and others"), "{}", output.stdout);
    // Many differences: as many as asked for are named, and that there are more is said.
    pair.target("update t set a = -1 where id % 2 = 0; delete from t where id % 1000 = 0");
    let output = pair.data(&["--show-rows", "5"]).exit_code(8).unwrap();
    assert_eq!(output.stdout.matches("public.t: row (").count(), 5, "{}", output.stdout);
    assert!(output.stdout.contains("public.t: and others"), "{}", output.stdout);
    assert!(
        output.stdout.contains("public.t: 2000000 rows on the source, 1998000 on the target"),
        "{}",
        output.stdout
    );
}

// trap X-27
#[test]
fn each_side_is_read_as_of_one_moment_while_it_is_written() {
    let pair = Pair::with(
        "moment",
        "create table a (n bigint); create table b (n bigint);
         insert into a values (0); insert into b values (0)",
    );
    // The sum over both tables never changes: at any one moment it is 0.
    let mut writer = pair.source.session().unwrap();
    writer.run("begin; update a set n = n + 1; update b set n = n - 1").unwrap();
    pair.assert_same_rows();
    writer.run("commit").unwrap();
    let found = pair.differing(&[]);
    assert_eq!(found.len(), 2);
}

// trap T-19
#[test]
fn strange_names_are_compared_and_filters_are_obeyed() {
    let sql = r#"create schema "Foo"".Bar";
        create table "Foo"".Bar"." $1:%"" (x)" (" a""'\" int primary key, "таблица" text);
        insert into "Foo"".Bar"." $1:%"" (x)" values (1, 'x'), (2, E'a\nb');
        create table kept (a int); create table skipped (a int); create table rows_skipped (a int)"#;
    let pair = Pair::with("names", sql);
    pair.assert_same_rows();
    pair.target(
        r#"update "Foo"".Bar"." $1:%"" (x)" set "таблица" = 'y' where " a""'\" = 2;
           insert into skipped values (1); insert into rows_skipped values (1)"#,
    );
    let found = pair.differing(&[]);
    assert_eq!(found.len(), 3);
    assert_eq!(rows(&found[0]), [r#"differs  a"'\=2 таблица"#]);
    let dir = tempfile::tempdir().unwrap();
    let filters = dir.path().join("filters");
    std::fs::write(
        &filters,
        "[exclude-table]\npublic.skipped\n[exclude-table-data]\npublic.rows_skipped\n\
         [exclude-schema]\n\"Foo\"\".Bar\"\n",
    )
    .unwrap();
    pair.data(&["--filters", filters.to_str().unwrap()]).success().unwrap();
    std::fs::write(&filters, "[include-only-table]\npublic.skipped").unwrap();
    let found = pair.differing(&["--filters", filters.to_str().unwrap()]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["name"], "skipped");
}

#[test]
fn the_table_of_checksums_keeps_its_shape_and_the_work_directory_gets_the_json() {
    let pair = Pair::with("shape", "create table t (a int); insert into t values (1)");
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let output = pair.data(&["--dir", work.to_str().unwrap(), "-j", "1"]).success().unwrap();
    let lines: Vec<&str> = output.stdout.lines().collect();
    let heading: Vec<&str> = lines[0].split('|').map(str::trim).collect();
    assert_eq!(heading, ["Table Name", "!", "Source Checksum", "Target Checksum"]);
    let cells: Vec<&str> = lines[2].split('|').map(str::trim).collect();
    assert_eq!((cells[0], cells[1], cells[2].len()), ("public.t", "", 64));
    assert_eq!(cells[2], cells[3]);
    let json: Value =
        serde_json::from_slice(&std::fs::read(work.join("compare-data.json")).unwrap()).unwrap();
    assert_eq!(json[0]["schema"], "public");
    assert_eq!(json[0]["source"]["checksum"], cells[2]);
    assert_eq!(json[0]["source"]["rowcount"], 1);
}

// trap X-16
#[test]
fn a_connection_limit_means_fewer_sessions_and_no_waiting() {
    // Two servers, and one server whose connections both sides share.
    for (target, limit) in [(Major::V18, 2), (Major::V15, 3)] {
        let name = format!("few_{}_{limit}", std::process::id());
        let pair = Pair::between(Major::V15, target, "limited");
        for table in 1..=6 {
            pair.both(&format!("create table t{table} as select generate_series(1, 100) as x"));
        }
        pair.target("insert into t6 values (0)");
        let mut clusters = vec![shared(Major::V15)];
        clusters.extend((target != Major::V15).then(|| shared(target)));
        let everywhere = |sql: &str| {
            for cluster in &clusters {
                cluster.psql("postgres", sql).unwrap();
            }
        };
        everywhere(&format!(
            "create role {name} login connection limit {limit}; grant pg_read_all_data to {name}"
        ));
        // The limit leaves one session beside those that hold the snapshots, which may have read
        // everything before another one tries again. Waiting for more would take a minute of pauses.
        let (source, target) = (pair.source.uri_as(&name, ""), pair.target.uri_as(&name, ""));
        let program = Pgcopydb::new().unwrap().args(["compare", "data", "--jobs", "4"]);
        let program = program.ends(&source, &target).deadline(Duration::from_secs(58));
        let output = program.run();
        everywhere(&format!("drop role {name}"));
        let output = output.unwrap().exit_code(8).unwrap();
        let differing = output.stdout.lines().filter(|line| line.contains("public")).count();
        assert!(differing >= 1, "{}", output.stdout);
    }
}
