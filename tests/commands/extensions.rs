//! Extensions: created by name, pinned, and their configuration rows.

use crate::support::{Pair, cells, json};

#[test]
fn extensions_are_listed_in_three_forms() {
    let pair =
        Pair::with_extensions("extlist", "create schema e; create extension hstore schema e");
    let installed = cells(&pair.ok("list extensions"));
    let row = installed.iter().find(|row| row[1] == "hstore").unwrap();
    let oid = pair.on_source("select oid from pg_extension where extname = 'hstore'");
    assert_eq!(row[..], [oid.as_str(), "hstore", "e", "0", ""]);
    let document = json(&pair.ok("list extensions --json"));
    let entry = document.as_array().unwrap().iter().find(|one| one["name"] == "hstore").unwrap();
    assert_eq!(entry["schema"], "e");
    assert_eq!(entry["config"], serde_json::json!([]));
    let version = pair.on_source("select extversion from pg_extension where extname = 'hstore'");
    let required = json(&pair.ok("list extensions --requirements --json"));
    let expected = serde_json::json!({ "name": "hstore", "version": version });
    assert!(required.as_array().unwrap().contains(&expected), "{required}");
    let available = json(&pair.ok("list extensions --available-versions --json"));
    let entry = available.as_array().unwrap().iter().find(|one| one["name"] == "hstore").unwrap();
    let count = pair
        .on_source("select count(*) from pg_available_extension_versions where name = 'hstore'");
    assert_eq!(entry["versions"].as_array().unwrap().len().to_string(), count);
}

// trap D-32
#[test]
fn requirements_pin_versions_and_refuse_what_the_target_cannot_install() {
    let pair =
        Pair::with_extensions("extpin", "create extension hstore; create table t (h hstore)");
    let version = pair.on_target(
        "select min(version) from pg_available_extension_versions where name = 'hstore'",
    );
    let wrong = pair.file("wrong.json", r#"[{"name": "hstore", "version": "99"}]"#);
    let output = pair.run(&format!("clone --requirements {wrong}")).exit_code(1).unwrap();
    assert!(output.stderr.contains("version \"99\" of extension \"hstore\""), "{output}");
    assert_eq!(pair.on_target("select count(*) from pg_extension where extname = 'hstore'"), "0");
    let file =
        pair.file("pins.json", &format!(r#"[{{"name": "hstore", "version": "{version}"}}]"#));
    pair.ok(&format!("clone --requirements {file}"));
    let installed = pair.on_target("select extversion from pg_extension where extname = 'hstore'");
    assert_eq!(installed, version);
    let bad = pair.file("bad.json", "{");
    let output = pair.run(&format!("clone --requirements {bad}")).exit_code(1).unwrap();
    assert!(output.stderr.contains("--requirements"), "{output}");
}

// trap D-34
#[test]
fn privileges_that_the_user_changed_inside_an_extension_arrive() {
    let pair = Pair::with_extensions(
        "extacl",
        "create extension hstore; create extension pg_stat_statements;
         revoke execute on function hstore(text, text) from public;
         grant select on pg_stat_statements_info to pg_monitor;
         revoke select on pg_stat_statements from public",
    );
    pair.ok("clone");
    let acls = "
        select string_agg(what || ' ' || acl, ', ' order by what, acl) from (
          select oid::regprocedure::text, unnest(proacl)::text from pg_proc where proname = 'hstore'
          union all
          select relname, unnest(relacl)::text from pg_class where relname like 'pg_stat_statements%'
        ) as changed (what, acl)";
    let of_source = pair.on_source(acls);
    assert!(of_source.contains("pg_monitor=r/"), "{of_source}");
    assert_eq!(pair.on_target(acls), of_source);
}

#[test]
fn copy_extensions_creates_what_the_target_lacks() {
    let pair = Pair::with_extensions(
        "extcopy",
        "create schema e; create extension hstore schema e; create extension earthdistance cascade",
    );
    pair.ok("copy extensions");
    let installed = "select string_agg(extname || ':' || extnamespace::regnamespace, ',' order by extname) from pg_extension";
    assert_eq!(pair.on_target(installed), pair.on_source(installed));
    pair.assert_no_ledger();
    let again = pair.ok("copy extensions");
    assert!(again.stderr.contains("nothing is left to do"), "{again}");
    pair.ok("copy extensions --restart");
}

#[test]
fn copy_extensions_creates_those_of_the_servers_own_schema() {
    // CREATE SCHEMA refuses names that begin with pg_, even with IF NOT EXISTS.
    let pair = Pair::with_extensions("extpgcatalog", "create extension adminpack");
    pair.ok("copy extensions");
    let schema = "select extnamespace::regnamespace from pg_extension where extname = 'adminpack'";
    assert_eq!(pair.on_target(schema), "pg_catalog");
}
