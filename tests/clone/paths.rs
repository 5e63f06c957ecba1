//! Definitions that rely on the search_path, very long signatures, very old features.

use testbed::Major;
use testbed::cluster::quote_ident;

use crate::support::{Pair, round_trip};

/// A function that looks for another one and a table by their bare names, an index over it, a partial one,
/// and views whose text is a query in a string. The database's own path is where they are.
const UNQUALIFIED: &str = "create schema app; set search_path to app, public;
    create table app.factor (f int); insert into app.factor values (3);
    create function app.inner_f(int) returns int language sql immutable as 'select $1 * 2';
    create function app.f(int) returns int language plpgsql immutable as 'begin return inner_f($1); end';
    create table app.t (id int primary key, v text);
    insert into app.t select g, 'word' || g from generate_series(1, 500) g;
    create index by_f on app.t (f(id)); create index few on app.t (id) where f(id) > 500;
    create index plain on app.t (v);
    create function app.factors() returns bigint language plpgsql stable
      as 'begin return (select count(*) from factor); end';
    create materialized view app.words as
      select word, ndoc from ts_stat('select to_tsvector(''simple'', v) from t');
    create materialized view app.counted as select factors() as n";

// trap D-11, D-17
#[test]
fn what_relies_on_the_search_path_is_built_under_that_of_the_source() {
    let pair = Pair::between(Major::V15, Major::V15, "paths");
    let database = quote_ident(pair.source.name());
    pair.source
        .psql(&format!("alter database {database} set search_path to app, public; {UNQUALIFIED}"))
        .unwrap();
    let output = pair.clone(&[]);
    assert!(!output.stdout.contains("no statistics"), "{}", output.stdout);
    assert_eq!(pair.target_value("select count(*) from app.words"), "500");
    assert_eq!(pair.target_value("select n from app.counted"), "1");
    pair.assert_same();
}

// trap D-11
#[test]
fn what_a_newer_target_builds_without_the_search_path_is_told_before_and_fails_by_name() {
    let pair = Pair::new("paths_18");
    let database = quote_ident(pair.source.name());
    pair.source
        .psql(&format!("alter database {database} set search_path to app, public; {UNQUALIFIED}"))
        .unwrap();
    let output = pair.check().arg("--json").run().unwrap();
    let found: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    for (object, fix) in [
        ("index app.by_f", "ALTER FUNCTION app.f(integer) SET search_path = app, public;"),
        ("index app.few", "ALTER FUNCTION app.f(integer) SET search_path = app, public;"),
        ("materialized view app.counted", "ALTER FUNCTION app.factors() SET search_path"),
    ] {
        let hit = findings.iter().any(|finding| {
            finding["object"] == object && finding["fix"].as_str().unwrap_or_default().contains(fix)
        });
        assert!(hit, "{object}: {found:#}");
    }
    assert!(!found.to_string().contains("index app.plain"), "{found:#}");
    let failed = pair.program().run().unwrap();
    assert!(!failed.status.success());
    for words in ["by_f", "inner_f", "ALTER FUNCTION"] {
        assert!(failed.stderr.contains(words), "{words}: {}", failed.stderr);
    }
    // The statements as printed mend it; the text of a view cannot be mended by a function.
    for database in [&pair.source, &pair.target] {
        database.psql("drop materialized view app.words").unwrap();
    }
    for function in ["app.f(integer)", "app.factors()"] {
        let sql = format!("alter function {function} set search_path = app, public");
        pair.source.psql(&sql).unwrap();
    }
    pair.clone(&["--restart"]);
    pair.assert_same();
}

// trap D-19
#[test]
fn a_function_with_a_hundred_arguments_of_long_types_arrives() {
    let schema = "s".repeat(63);
    let types: Vec<String> =
        (0..100).map(|number| format!("{schema}.t{number:03}{}", "t".repeat(59))).collect();
    let created: Vec<String> =
        types.iter().map(|name| format!("create type {name} as enum ('a')")).collect();
    let name = format!("{schema}.{}", "f".repeat(63));
    let signature = format!("{name}({})", types.join(", "));
    let named: Vec<String> = (types.iter().enumerate())
        .map(|(number, name)| format!("{}{number:03} {name} default 'a'", "a".repeat(60)))
        .collect();
    let sql = format!(
        "create schema {schema}; {}; create function {name}({}) returns int language sql as 'select 1';
         comment on function {signature} is 'long'; revoke all on function {signature} from public;
         create table t (id int primary key, n int default {name}());
         create index on t (id) where id > 0",
        created.join("; "),
        named.join(", "),
    );
    for arguments in [&[][..], &["--drop-if-exists"]] {
        round_trip("long", &sql, arguments);
    }
}

// trap D-41
#[test]
fn features_that_newer_versions_have_lost_are_found() {
    // No server here is old enough to make them: a catalog that was written by hand stands in.
    let pair = Pair::with(
        "old",
        "create operator !!! (function = int4um, rightarg = int4);
         create function reads() returns int language sql as 'select 1';
         create table t (id int primary key)",
    );
    pair.source
        .psql(
            "set allow_system_table_mods = on;
             update pg_operator set oprkind = 'r', oprleft = oprright, oprright = 0
               where oprname = '!!!'",
        )
        .unwrap();
    let output = pair.check().arg("--json").run().unwrap();
    let found: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let hit = found["findings"].as_array().unwrap().iter().any(|finding| {
        finding["severity"] == "error"
            && finding["object"].as_str().unwrap_or_default().contains("postfix operator")
            && finding["fix"].as_str().unwrap_or_default().contains("DROP OPERATOR")
    });
    assert!(hit, "{found:#}");
    assert_eq!(output.status.code(), Some(12));
}
