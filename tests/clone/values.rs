//! Values arrive as they are: every type family, both formats, hostile settings on both ends.

use testbed::{Major, fixtures};

use crate::support::{Pair, round_trip};

/// Every pair of versions, both formats.
fn every_type(format: &str) {
    for (from, to) in [
        (Major::V15, Major::V15),
        (Major::V15, Major::V18),
        (Major::V16, Major::V18),
        (Major::V18, Major::V18),
    ] {
        let pair = Pair::between(from, to, "types");
        fixtures::types(pair.source.cluster(), pair.source.name()).unwrap();
        pair.clone(&["--copy-format", format]);
        pair.assert_same();
    }
}

// trap V-1, V-2, V-3, V-6, V-16, V-17, V-18, V-19, V-20, V-22
#[test]
fn every_type_family_arrives_in_the_format_that_fits_it() {
    every_type("auto");
}

// trap V-6, V-17, V-18, V-19, V-20
#[test]
fn every_type_family_arrives_as_text() {
    every_type("text");
}

/// Every built-in type in every form between two versions.
fn matrix(from: Major, to: Major, format: &str) {
    let pair = Pair::between(from, to, "matrix");
    fixtures::type_matrix(pair.source.cluster(), pair.source.name()).unwrap();
    if to != Major::V15 {
        // The servers of versions 16 and 18 here are built without libxml.
        pair.source.psql("drop table matrix.\"xml plain\"; drop table matrix.\"xml nested\"").ok();
    }
    let tables = "select count(*) from pg_class where relnamespace = 'matrix'::regnamespace and relkind = 'r'";
    assert!(pair.source_value(tables).parse::<u32>().unwrap() > 150);
    pair.clone(&["--copy-format", format]);
    pair.assert_same();
}

// trap V-1, V-2, V-3, V-5, V-6, V-16, V-17, V-18, V-19, V-20, V-26, V-28, V-29
#[test]
fn every_built_in_type_arrives_in_every_form() {
    matrix(Major::V15, Major::V18, "auto");
    if testbed::slow_tests() {
        for (from, to) in
            [(Major::V15, Major::V15), (Major::V16, Major::V18), (Major::V18, Major::V18)]
        {
            matrix(from, to, "auto");
        }
    }
}

// trap V-26, V-28, V-29
#[test]
fn every_built_in_type_arrives_in_every_form_as_text() {
    if !testbed::slow_tests() {
        return;
    }
    for (from, to) in [
        (Major::V15, Major::V15),
        (Major::V15, Major::V18),
        (Major::V16, Major::V18),
        (Major::V18, Major::V18),
    ] {
        matrix(from, to, "text");
    }
}

// trap V-1, V-2
#[test]
fn identifiers_of_types_never_travel_between_servers() {
    let pair = Pair::new("oids");
    // Burn identifiers on the target, so that the types' oids differ for certain.
    pair.target.psql("create type burnt as enum ('x'); drop type burnt").unwrap();
    for _ in 0..20 {
        pair.target.psql("create type b as enum ('x'); drop type b").unwrap();
    }
    pair.source
        .psql(
            "create type mood as enum ('sad', 'it''s', 'ok');
             create domain short as text check (length(value) < 9);
             create domain shorts as short[];
             create type pair as (m mood, moods mood[], s short);
             create type span as range (subtype = float8);
             create table t (id int primary key, m mood[], m2 mood[][], p pair, pp pair[],
               d short[], dd shorts, r span, rr span[], mr span_multirange);
             insert into t values
               (1, '{sad,ok}', '{{sad,ok},{ok,NULL}}', row('sad', '{ok}', 'a'),
                array[row('ok', '{}', 'b')::pair, null], '{a,b}', '{c,d}', '[1,2)',
                array['[1,2)'::span, 'empty'], '{[1,2),[3,4)}'),
               (2, '{}', '{}', row(null, null, null), '{}', '{}', '{}', 'empty', '{}', '{}'),
               (3, null, null, null, null, null, null, null, null, null)",
        )
        .unwrap();
    let oid = "select 'mood'::regtype::oid::bigint";
    pair.clone(&[]);
    assert_ne!(pair.source_value(oid), pair.target_value(oid), "the test needs unequal oids");
    pair.assert_same();
}

// trap V-3, V-5
#[test]
fn names_of_catalog_objects_and_types_without_binary_form_go_as_text() {
    let pair = round_trip(
        "names",
        "create table target_of_names (i int);
         create function f(int) returns int language sql as 'select 1';
         create table t (id int, c regclass, p regproc, pp regprocedure, ty regtype, n regnamespace,
           a aclitem, aa aclitem[]);
         insert into t values
           (1, 'target_of_names', 'f', 'f(int)', 'int4', 'public', 'postgres=r/postgres',
            '{postgres=r/postgres,=w/postgres}');
         insert into t (id) values (2)",
        &[],
    );
    let plan = pair.program().arg("--dry-run").run().unwrap();
    assert!(
        plan.stdout.contains("text"),
        "the plan says which table goes as text: {}",
        plan.stdout
    );
    assert_eq!(pair.target_value("select c from t where id = 1"), "target_of_names");
}

// trap V-4
#[test]
fn plain_identifiers_and_large_object_references_are_kept() {
    let pair = round_trip(
        "lo_refs",
        "create table docs (id int primary key, body oid, other oid);
         insert into docs select g, lo_from_bytea(0, decode(repeat(md5(g::text), g), 'hex')),
           (4294967295 - g)::oid from generate_series(1, 50) g",
        &[],
    );
    let sum = "select md5(string_agg(md5(lo_get(body)), ',' order by id)) from docs";
    assert_eq!(pair.source_value(sum), pair.target_value(sum));
}

// trap V-8, V-9, V-10, V-11, V-12, V-13, P-9
#[test]
fn settings_of_roles_and_databases_do_not_reach_the_rows() {
    for format in ["auto", "text"] {
        let pair = Pair::with(
            "settings",
            "create table t (id int primary key, d date, ts timestamptz, i interval, m money,
               a text[], b bytea, f float8, x text);
             insert into t values
               (1, '2024-02-01', '2024-02-01 03:04:05.678901+05', '1 mon -2 days +03:00:04.5',
                -12345.67, '{NULL,\"NULL\",null,\"\"}',
                decode('000102090a0d5c27ff80', 'hex'), 0.1, e'\\\\.'),
               (2, 'infinity', '-infinity', '-1 year', '-92233720368547758.08', '{}', '', 'NaN', '')",
        );
        let hostile = [
            "datestyle = 'SQL, DMY'",
            "intervalstyle = sql_standard",
            "timezone = 'Asia/Kolkata'",
            "extra_float_digits = -5",
            "bytea_output = escape",
            "array_nulls = off",
            "xmloption = document",
            "default_transaction_read_only = on",
            "statement_timeout = '1s'",
            "lock_timeout = '1ms'",
            "idle_in_transaction_session_timeout = '1s'",
            "idle_session_timeout = '1s'",
            "search_path = 'nowhere'",
            "row_security = off",
            "standard_conforming_strings = off",
        ];
        for database in [&pair.source, &pair.target] {
            let admin = database.cluster();
            for setting in hostile {
                let name = testbed::cluster::quote_ident(database.name());
                admin.psql("postgres", &format!("alter database {name} set {setting}")).unwrap();
            }
        }
        pair.clone(&["--copy-format", format, "--skip-db-properties"]);
        for database in [&pair.source, &pair.target] {
            let name = testbed::cluster::quote_ident(database.name());
            database
                .cluster()
                .psql("postgres", &format!("alter database {name} reset all"))
                .unwrap();
        }
        pair.assert_same();
    }
}

// trap V-13, V-33
#[test]
fn large_values_pass_within_small_buffers() {
    round_trip(
        "large",
        "create table t (id int primary key, b bytea, x text);
         insert into t select g, decode(repeat(md5(g::text), 1000000), 'hex'),
           repeat('x', 30000000) from generate_series(1, 3) g;
         insert into t select g, '\\x00', '' from generate_series(10, 5000) g",
        &[],
    );
}

// trap V-14
#[test]
fn a_row_whose_text_form_passes_one_gigabyte_goes_in_binary() {
    // 600 MB of bytea are 1.2 GB in hexadecimal: the server cannot even build such a text row.
    let pair = Pair::with(
        "gigabyte",
        "create table t (id int, b bytea);
         alter table t alter b set storage external;
         insert into t select 1, decode(repeat('61', 300000000), 'hex');
         update t set b = b || b",
    );
    pair.clone(&["--skip-vacuum"]);
    let size = "select octet_length(b), md5(substring(b from 599000000)) from t";
    assert_eq!(pair.source_value(size), pair.target_value(size));
}

// trap V-15
#[test]
fn a_row_too_long_for_any_format_fails_alone_and_names_its_table() {
    let pair = Pair::with(
        "too_long",
        "create table small (id int primary key);
         insert into small values (1), (2);
         create table too_long (id int, a bytea, b bytea, c bytea);
         alter table too_long alter a set storage external, alter b set storage external,
           alter c set storage external;
         insert into too_long select 1, decode(repeat('61', 400000000), 'hex');
         update too_long set b = a; update too_long set c = a",
    );
    let output = pair.program().run().unwrap();
    assert!(!output.status.success(), "{}", output.stderr);
    assert!(output.stderr.contains("too_long"), "{}", output.stderr);
    // What can be copied was, and is kept for the next run.
    assert_eq!(pair.target_value("select count(*) from small"), "2");
    assert_eq!(pair.target_value("select count(*) from too_long"), "0");
}

// trap V-20, V-21
#[test]
fn end_of_data_marks_and_escapes_are_values_like_others() {
    for format in ["auto", "text"] {
        round_trip(
            "escapes",
            "create table t (id int primary key, x text);
             insert into t values (1, 'null'), (2, 'NULL'), (3, ''), (4, null), (5, e'\\\\N'),
               (6, e'\\\\.'), (7, e'\\t'), (8, e'\\r'), (9, e'\\n'), (10, e'\\r\\n'),
               (11, e'end\\\\'), (12, ''''), (13, '\"'), (14, e'\\\\n'), (15, e'\\x7f'), (16, '💾');
             create table alone (x text);
             insert into alone values (e'\\\\.'), (e'\\\\.'), ('x')",
            &["--copy-format", format],
        );
    }
}

// trap V-22
#[test]
fn json_keeps_its_spelling() {
    let pair = round_trip(
        "json",
        r#"create table t (id int primary key, j json);
         insert into t values (1, '{"a":1,  "a":2 ,"b":"\u0000"}'), (2, ' [1,2 ] ')"#,
        &[],
    );
    assert_eq!(
        pair.target_value("select j from t where id = 1"),
        r#"{"a":1,  "a":2 ,"b":"\u0000"}"#
    );
}

// trap V-7
#[test]
fn extension_types_go_in_binary_only_between_equal_versions() {
    let pair = Pair::between(Major::V16, Major::V18, "vector");
    pair.source
        .psql(
            "create extension vector;
             create table t (id int primary key, v vector(3));
             insert into t values (1, '[1,2.5,-3]'), (2, null)",
        )
        .unwrap();
    pair.clone(&[]);
    pair.assert_same();
}

// trap V-33
#[test]
fn the_widest_table_arrives() {
    let columns: Vec<String> = (1..=1600).map(|n| format!("c{n} int")).collect();
    let values: Vec<String> = (1..=1600).map(|n| n.to_string()).collect();
    let sql = format!(
        "create table wide ({}); insert into wide values ({})",
        columns.join(", "),
        values.join(", ")
    );
    round_trip("wide", &sql, &[]);
}

// trap V-27
#[test]
fn unique_keys_of_case_insensitive_text_are_the_targets_as_well() {
    // Debian's version 15 has ICU and citext.
    let pair = Pair::between(Major::V15, Major::V15, "insensitive");
    pair.source
        .psql(
            "create extension citext;
             create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create table t (id int primary key, a text collate ci unique, b citext unique);
             insert into t values (1, 'résumé', 'É'), (2, 'resume', 'e'), (3, 'Weiß', 'ß'),
               (4, 'Weiss', 'ss'), (5, 'a', 'a'), (6, 'á', 'á'), (7, 'a ', 'a '), (8, '', ''),
               (9, null, null);
             insert into t select g, 'Key ' || g, 'Key ' || g from generate_series(10, 3000) g",
        )
        .unwrap();
    pair.clone(&[]);
    pair.assert_same();
    for duplicate in ["(0, 'RESUME', 'x')", "(0, 'x', 'A')", "(0, 'KEY 77', 'y')"] {
        let error = pair.target.psql(&format!("insert into t values {duplicate}")).unwrap_err();
        assert!(error.to_string().contains("duplicate key"), "{error}");
    }
}

// trap V-30
#[test]
fn rows_that_an_unvalidated_check_of_a_domain_refuses_arrive() {
    let pair = Pair::with(
        "unvalidated",
        "create domain d as int constraint small check (value < 100);
         create table t (id int primary key, x d, a d[]);
         insert into t values (1, 5, '{6}'), (2, -7, '{-8,9}');
         alter domain d add constraint positive check (value > 0) not valid;
         create domain late as text;
         create table u (x late); insert into u values ('wrong');
         alter domain late add constraint form check (value ~ '^[0-9]+$') not valid",
    );
    pair.clone(&[]);
    pair.assert_same();
    let state = "select conname, convalidated from pg_constraint
                 where contypid in ('d'::regtype, 'late'::regtype) order by 1";
    assert_eq!(pair.target_value(state), "form|f\npositive|f\nsmall|t");
    // It holds for what is new.
    let error = pair.target.psql("insert into t values (3, -1)").unwrap_err();
    assert!(error.to_string().contains("positive"), "{error}");
}

// trap V-31
#[test]
fn compression_that_the_targets_server_lacks_becomes_its_default() {
    let pair = Pair::with(
        "compression",
        "create table t (id int primary key, a text compression lz4, b text compression pglz);
         insert into t select g, repeat(md5(g::text), 200), repeat('b', 5000)
           from generate_series(1, 20) g;
         create materialized view m as select id, a from t;
         alter materialized view m alter a set compression lz4;
         comment on table t is 'first
ALTER TABLE ONLY public.t ALTER COLUMN a SET COMPRESSION lz4;'",
    );
    pair.clone(&[]);
    let lz4 =
        "select 'lz4' = any(enumvals) from pg_settings where name = 'default_toast_compression'";
    if pair.target_value(lz4) == "t" {
        pair.assert_same();
    } else {
        let compression = "select string_agg(attcompression, ',' order by attnum) from pg_attribute
                           where attrelid = 't'::regclass and attnum > 1";
        assert_eq!(pair.target_value(compression), ",p");
    }
    let image = "select md5(string_agg(t::text, ',' order by id)) from ";
    for relation in ["t", "m t"] {
        let image = format!("{image}{relation}");
        assert_eq!(pair.target_value(&image), pair.source_value(&image));
    }
    let comment = "select length(obj_description('t'::regclass, 'pg_class'))";
    assert_eq!(pair.target_value(comment), pair.source_value(comment));
}
