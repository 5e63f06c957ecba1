//! Roles that may do little: no superuser on the source, the owner of one database on the target.

use serde_json::Value;
use testbed::cluster::quote_ident;
use testbed::compare::Comparison;
use testbed::{Cluster, Major, TestDatabase, fixtures};

use crate::support::Pair;

/// A role of a shared server, dropped with what it owns in a database.
struct Role {
    cluster: &'static Cluster,
    database: String,
    name: String,
}

impl Role {
    /// Makes a role that may log in and has to do with this database.
    fn new(database: &TestDatabase<'static>, name: &str) -> Self {
        let name = format!("{name}_{}_{}", database.cluster().port(), std::process::id());
        let cluster = database.cluster();
        cluster.psql("postgres", &format!("create role {name} login")).unwrap();
        Self { cluster, database: database.name().to_owned(), name }
    }

    /// Makes a role that owns this database and may do nothing else.
    fn owner(database: &TestDatabase<'static>, name: &str) -> Self {
        let role = Self::new(database, name);
        let quoted = quote_ident(database.name());
        let sql = format!("alter database {quoted} owner to {}", role.name);
        role.cluster.psql("postgres", &sql).unwrap();
        role
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let (name, database) = (&self.name, quote_ident(&self.database));
        let back = format!("alter database {database} owner to postgres");
        self.cluster.psql("postgres", &back).ok();
        let owned = format!("reassign owned by {name} to postgres; drop owned by {name}");
        self.cluster.psql(&self.database, &owned).ok();
        self.cluster.psql("postgres", &format!("drop role {name}")).ok();
    }
}

/// What `check` finds: its exit code and its JSON.
fn check(pair: &Pair, (source, target): (&str, &str), arguments: &[&str]) -> (i32, Value) {
    let output = pair.check_between(source, target).arg("--json").args(arguments).run().unwrap();
    let json = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr));
    (output.status.code().unwrap(), json)
}

/// The fixes of what blocks on one side.
fn fixes(found: &Value, side: &str) -> Vec<String> {
    let all = found["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["severity"] == "error" && finding["side"] == side)
        .map(|finding| finding["fix"].as_str().unwrap().to_owned())
        .collect()
}

// trap P-1, P-6
#[test]
fn pagila_arrives_through_a_reader_and_the_owner_of_one_database() {
    for to in [Major::V15, Major::V18] {
        let pair = Pair::between(Major::V15, to, "managed");
        fixtures::load_pagila(pair.source.cluster(), pair.source.name()).unwrap();
        // Its file gives the schema to the superuser, and owners are left out below.
        pair.source.psql("alter schema public owner to pg_database_owner").unwrap();
        let reader = Role::new(&pair.source, "managed_reader");
        let owner = Role::owner(&pair.target, "managed_owner");
        let from = pair.source.uri_as(&reader.name, "");
        let to = pair.target.uri_as(&owner.name, "");
        let plain = ["--no-owner", "--no-acl"];
        // What is missing is known before anything begins, and the statements as printed supply it.
        let (code, found) = check(&pair, (&from, &to), &plain);
        let missing = fixes(&found, "source");
        assert_eq!(code, 12);
        assert!(!missing.is_empty(), "{found:#}");
        let refused = pair.program_between(&from, &to).args(plain).run().unwrap();
        assert!(refused.stderr.contains("GRANT SELECT ON ALL TABLES"), "{}", refused.stderr);
        assert_eq!(
            pair.target_value(
                "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
            ),
            "0"
        );
        for statement in missing {
            pair.source.psql(&statement).unwrap();
        }
        let (code, found) = check(&pair, (&from, &to), &plain);
        assert_eq!((code, &found["errors"]), (0, &0.into()), "{found:#}");
        let program = pair.program_between(&from, &to).args(plain);
        let output = program.run().unwrap().success().unwrap();
        let report = Comparison::new(&pair.source.uri(), &pair.target.uri())
            .dump_argument("--no-owner")
            .dump_argument("--no-acl")
            .run()
            .unwrap();
        assert!(report.definitions.is_empty() && report.rows.is_empty(), "{report}\n{output}");
        let owners = format!(
            "select count(*) from pg_class where relkind in ('r', 'p', 'v', 'm', 'S')
               and relnamespace = 'public'::regnamespace and relowner <> '{}'::regrole",
            owner.name
        );
        assert_eq!(pair.target_value(&owners), "0");
    }
}

// trap P-5
#[test]
fn owners_and_privileges_arrive_through_a_role_that_may_give_them() {
    for to in [Major::V15, Major::V18] {
        let pair = Pair::between(Major::V15, to, "managed_acl");
        let app = Role::new(&pair.source, "managed_app");
        let user = Role::new(&pair.source, "managed_user");
        pair.source
            .psql(&format!(
                "create schema app authorization {app}; set role {app};
                 create table app.t (id serial primary key, v text);
                 insert into app.t (v) select 'x' from generate_series(1, 100);
                 create view app.v as select * from app.t;
                 create function app.f() returns int language sql as 'select 1';
                 grant usage on schema app to {user}; grant select on app.t, app.v to {user};
                 grant insert on app.t to {user} with grant option;
                 alter default privileges in schema app grant select on tables to {user}",
                app = app.name,
                user = user.name
            ))
            .unwrap();
        let owner = Role::owner(&pair.target, "managed_all");
        let (from, to) = (pair.source.uri_as(&app.name, ""), pair.target.uri_as(&owner.name, ""));
        let mut others = Vec::new();
        // Each round shows what the one before has uncovered.
        for _ in 0..3 {
            let (_, found) = check(&pair, (&from, &to), &[]);
            for fix in fixes(&found, "target") {
                let statement = fix.split_once(" on the target").map_or(&*fix, |(sql, _)| sql);
                pair.target.psql(statement).unwrap();
                others.push(statement.to_owned());
            }
        }
        let (code, found) = check(&pair, (&from, &to), &[]);
        assert_eq!(code, 0, "{others:?} {found:#}");
        pair.program_between(&from, &to).run().unwrap().success().unwrap();
        pair.assert_same();
        for name in [&app.name, &user.name] {
            pair.target.psql(&format!("drop owned by {name}")).unwrap();
            if pair.target.cluster().port() != pair.source.cluster().port() {
                pair.target.psql(&format!("drop role {name}")).unwrap();
            }
        }
    }
}

/// Things that are wrong on the source: a schema that may not be read, rows that a policy hides, an event
/// trigger, a missing extension, a large object, a missing owner.
const WRONG_ON_SOURCE: &str = "create schema closed; create table closed.t (id int primary key);
    create sequence closed.s; create table hidden (id int primary key);
    alter table hidden enable row level security; create policy p on hidden using (true);
    grant select on hidden to {reader}; create function f() returns event_trigger language plpgsql
      as 'begin end'; create event trigger never on ddl_command_end when tag in ('CREATE OPERATOR')
      execute function f();
    create extension hstore; select lo_create(0); create table owned (id int primary key);
    alter table owned owner to {app}; create type shell; create function c(shell) returns shell
      language internal as 'textin'";

/// Things that are wrong on the target.
const WRONG_ON_TARGET: &str =
    "create table owned (id int); revoke create on schema public from public;
    create function g() returns event_trigger language plpgsql as 'begin end';
    create event trigger watch on ddl_command_end execute function g();
    alter event trigger watch enable always;
    alter database {database} set default_transaction_read_only = on;
    alter database {database} set log_statement = 'all'";

// trap P-1, P-5, P-6, P-9, D-32
#[test]
fn ten_things_that_are_wrong_at_once_are_all_named_with_what_resolves_them() {
    let words = "template template0 encoding 'LATIN1' locale 'C'";
    let pair = Pair::with_source_words("ten_wrong", words);
    let reader = Role::new(&pair.source, "ten_reader");
    let app = Role::new(&pair.source, "ten_app");
    let writer = Role::new(&pair.target, "ten_writer");
    let source = WRONG_ON_SOURCE.replace("{reader}", &reader.name).replace("{app}", &app.name);
    pair.source.psql(&source).unwrap();
    let database = quote_ident(pair.target.name());
    pair.target.psql(&WRONG_ON_TARGET.replace("{database}", &database)).unwrap();
    let before = pair.target_value("select count(*) from pg_class");

    let (from, to) = (pair.source.uri_as(&reader.name, ""), pair.target.uri_as(&writer.name, ""));
    let (code, found) = check(&pair, (&from, &to), &[]);
    assert_eq!(code, 12);
    let findings = found["findings"].as_array().unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let (reader, writer, app) = (&reader.name, &writer.name, &app.name);
    let expected: [(&str, &str, &str, String); 16] = [
        (
            "error",
            "privilege",
            "schema closed",
            format!("GRANT SELECT ON \"closed\".\"t\" TO \"{reader}\";"),
        ),
        (
            "error",
            "privilege",
            "schema closed",
            format!("GRANT SELECT ON ALL SEQUENCES IN SCHEMA \"closed\" TO \"{reader}\";"),
        ),
        ("error", "large-object", "large objects", "GRANT SELECT ON LARGE OBJECT".to_owned()),
        ("error", "row-security", "public.hidden", format!("ALTER ROLE \"{reader}\" BYPASSRLS;")),
        (
            "error",
            "privilege",
            "database",
            format!("GRANT CREATE ON DATABASE {database} TO \"{writer}\";"),
        ),
        (
            "error",
            "privilege",
            "schema public",
            format!("GRANT USAGE, CREATE ON SCHEMA \"public\" TO \"{writer}\";"),
        ),
        ("error", "privilege", "event triggers", "SUPERUSER".to_owned()),
        ("error", "privilege", "functions in untrusted languages", "SUPERUSER".to_owned()),
        ("error", "extension", "hstore", "[exclude-extension]".to_owned()),
        ("error", "role", app, format!("CREATE ROLE \"{app}\";")),
        ("error", "role", "postgres", format!("GRANT \"postgres\" TO \"{writer}\";")),
        ("error", "target-not-empty", "database", "--drop-if-exists".to_owned()),
        ("warning", "event-trigger", "watch", "ALTER EVENT TRIGGER \"watch\" DISABLE;".to_owned()),
        ("warning", "setting", "log_statement", "log_statement = 'none'".to_owned()),
        ("info", "privilege", "session_replication_role", "GRANT SET ON PARAMETER".to_owned()),
        ("info", "setting", "default_transaction_read_only", "ALTER DATABASE".to_owned()),
    ];
    let output = pair.check_between(&from, &to).run().unwrap();
    assert_eq!(output.status.code(), Some(12));
    for (severity, topic, object, fix) in &expected {
        let hit = findings.iter().find(|finding| {
            text(finding, "severity") == *severity
                && text(finding, "topic") == *topic
                && text(finding, "object").contains(object)
                && text(finding, "fix").contains(fix)
        });
        let finding = hit.unwrap_or_else(|| panic!("{severity} {topic} {object} {fix}: {found:#}"));
        // For people the same, word for word.
        for key in ["object", "reason", "fix"] {
            assert!(output.stdout.contains(&text(finding, key)), "{key}: {}", output.stdout);
        }
    }
    for finding in findings.iter().filter(|finding| finding["severity"] != "info") {
        assert!(!text(finding, "fix").is_empty(), "{finding:#}");
    }
    // A migration refuses the same, with each of them, and begins nothing.
    let refused = pair.program_between(&from, &to).run().unwrap();
    assert!(!refused.status.success());
    for (_, _, _, fix) in expected.iter().filter(|(severity, ..)| *severity == "error") {
        assert!(refused.stderr.contains(fix), "{fix}: {}", refused.stderr);
    }
    assert_eq!(pair.target_value("select count(*) from pg_class"), before);
}
