//! `pgcopydb check`: healthy pairs, and pairs with one thing wrong each.

use serde_json::Value;
use testbed::cluster::quote_ident;
use testbed::{Cluster, ClusterOptions, Installation, Major};

use crate::support::Pair;

/// What `check` found, read from its JSON.
struct Checked {
    code: Option<i32>,
    json: Value,
}

impl Checked {
    /// Runs `check` over these ends.
    fn run(pair: &Pair, source: &str, target: &str, arguments: &[&str]) -> Self {
        let output =
            pair.check_between(source, target).arg("--json").args(arguments).run().unwrap();
        let json = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr));
        Self { code: output.status.code(), json }
    }

    /// Runs `check` over a pair.
    fn of(pair: &Pair, arguments: &[&str]) -> Self {
        Self::run(pair, &pair.source.uri(), &pair.target.uri(), arguments)
    }

    /// The finding of a topic about an object, which must be there with this severity and a fix that
    /// holds these words.
    #[track_caller]
    fn expect(&self, severity: &str, topic: &str, object: &str, words: &str) {
        let hit = self.json["findings"].as_array().unwrap().iter().any(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default();
            text("severity") == severity
                && text("topic") == topic
                && text("object").contains(object)
                && text("fix").contains(words)
        });
        assert!(hit, "{severity} {topic} {object} {words}: {:#}", self.json);
        let blocks = self.json["errors"].as_u64().unwrap() > 0;
        assert_eq!(self.code, Some(if blocks { 12 } else { 0 }));
    }

    /// There is no finding of this topic above an info.
    #[track_caller]
    fn expect_none(&self, topic: &str) {
        let found = self.json["findings"].as_array().unwrap();
        let hit =
            found.iter().find(|finding| finding["topic"] == topic && finding["severity"] != "info");
        assert!(hit.is_none(), "{hit:#?}");
    }
}

/// A role with a name of its own on a cluster, dropped with the value.
struct Role<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Role<'a> {
    /// Makes a role that may log in.
    fn new(cluster: &'a Cluster, name: &str) -> Self {
        let name = format!("check_{name}_{}", std::process::id());
        cluster.psql("postgres", &format!("create role {name} login")).unwrap();
        Self { cluster, name }
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.cluster.psql("postgres", &format!("drop role if exists {}", self.name)).ok();
    }
}

#[test]
fn a_healthy_pair_passes_in_text_and_json() {
    for (source, target) in [(Major::V15, Major::V18), (Major::V15, Major::V15)] {
        let pair = Pair::between(source, target, "check_healthy");
        pair.source.psql("create table t (id int primary key)").unwrap();
        let checked = Checked::of(&pair, &[]);
        assert_eq!(checked.code, Some(0), "{:#}", checked.json);
        assert_eq!((&checked.json["errors"], &checked.json["warnings"]), (&0.into(), &0.into()));
        assert_eq!(checked.json["source"]["database"], pair.source.name());
        let output = pair.check().run().unwrap().success().unwrap();
        assert!(output.stdout.contains("Nothing stands in the way"), "{}", output.stdout);
    }
}

#[test]
fn check_changes_nothing() {
    let pair = Pair::with("check_readonly", "create table t (id int primary key)");
    let all = "select count(*) from pg_class, pg_namespace";
    let before = (pair.source_value(all), pair.target_value(all));
    Checked::of(&pair, &[]);
    assert_eq!((pair.source_value(all), pair.target_value(all)), before);
    assert!(!pair.dir.path().join("work").exists());
}

// trap D-42
#[test]
fn an_older_target_is_found() {
    let pair = Pair::between(Major::V18, Major::V15, "check_older");
    Checked::of(&pair, &[]).expect("error", "version", "database", "version 18 or newer");
}

#[test]
fn ends_that_do_not_answer_are_found_together() {
    let pair = Pair::new("check_away");
    let nowhere = "postgres://postgres@127.0.0.1:1/x?connect_timeout=2";
    let checked = Checked::run(&pair, nowhere, nowhere, &[]);
    assert_eq!(checked.json["errors"], 2);
    checked.expect("error", "connection", "connection", "");
}

#[test]
fn source_and_target_in_one_are_found() {
    let pair = Pair::new("check_same");
    let checked = Checked::run(&pair, &pair.source.uri(), &pair.source.uri(), &[]);
    checked.expect("error", "connection", "database", "--target");
}

#[test]
fn a_target_that_has_the_tables_is_found_and_the_option_resolves_it() {
    let pair = Pair::with("check_full", "create table t (id int primary key)");
    pair.target.psql("create table t (id int); create table other (id int)").unwrap();
    Checked::of(&pair, &[]).expect("error", "target-not-empty", "database", "--drop-if-exists");
    let checked = Checked::of(&pair, &["--drop-if-exists"]);
    assert_eq!(checked.code, Some(0), "{:#}", checked.json);
}

#[test]
fn missing_client_tools_are_found() {
    let pair = Pair::with("check_tools", "create table t (id int primary key)");
    let empty = tempfile::tempdir().unwrap();
    let missing = empty.path().join("pg_config");
    let output = pair.check().arg("--json").env("PG_CONFIG", &missing).run().unwrap();
    let json = serde_json::from_str(&output.stdout).unwrap();
    let checked = Checked { code: output.status.code(), json };
    checked.expect("error", "client-tools", "client tools", "PG_CONFIG");
}

// trap P-1
#[test]
fn a_source_role_that_may_not_read_is_found_with_the_grants() {
    let pair = Pair::with(
        "check_read",
        "create schema s; create table s.secret (id int primary key); create sequence s.hidden;
         select lo_create(0)",
    );
    let role = Role::new(pair.source.cluster(), "reader");
    let uri = pair.source.uri_as(&role.name, "");
    let checked = Checked::run(&pair, &uri, &pair.target.uri(), &[]);
    let grant = format!("GRANT SELECT ON \"s\".\"secret\" TO \"{}\";", role.name);
    checked.expect("error", "privilege", "schema s", &grant);
    let grant = format!("GRANT SELECT ON ALL SEQUENCES IN SCHEMA \"s\" TO \"{}\";", role.name);
    checked.expect("error", "privilege", "schema s", &grant);
    checked.expect("error", "large-object", "large objects", "GRANT SELECT ON LARGE OBJECT");
    // The statements resolve it.
    let oid = pair.source_value("select oid from pg_largeobject_metadata");
    let name = quote_ident(&role.name);
    pair.source
        .psql(&format!(
            "grant usage on schema s to {name}; grant select on all tables in schema s to {name};
             grant select on all sequences in schema s to {name};
             grant select on large object {oid} to {name}"
        ))
        .unwrap();
    let checked = Checked::run(&pair, &uri, &pair.target.uri(), &[]);
    checked.expect_none("privilege");
    checked.expect_none("large-object");
    pair.source.psql(&format!("drop owned by {name}")).unwrap();
}

// trap D-24
#[test]
fn row_security_that_would_hide_rows_is_an_error_never_a_subset() {
    let pair = Pair::with(
        "check_rls",
        "create table t (id int primary key); insert into t values (1), (2);
         alter table t enable row level security; create policy p on t using (id = 1)",
    );
    let role = Role::new(pair.source.cluster(), "rls");
    let name = quote_ident(&role.name);
    pair.source.psql(&format!("grant select on t to {name}")).unwrap();
    let uri = pair.source.uri_as(&role.name, "");
    let checked = Checked::run(&pair, &uri, &pair.target.uri(), &["--no-acl"]);
    checked.expect("error", "row-security", "public.t", "BYPASSRLS");
    let refused = pair.program_between(&uri, &pair.target.uri()).arg("--no-acl").run().unwrap();
    assert_eq!(refused.status.code(), Some(6), "{}", refused.stderr);
    assert!(refused.stderr.contains("BYPASSRLS"), "{}", refused.stderr);
    pair.source.psql(&format!("alter role {name} bypassrls")).unwrap();
    pair.program_between(&uri, &pair.target.uri())
        .arg("--no-acl")
        .run()
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(pair.target_value("select count(*) from t"), "2");
    pair.source.psql(&format!("drop owned by {name}")).unwrap();
}

// trap P-5, P-6
#[test]
fn a_target_role_that_owns_only_its_database_is_told_what_it_lacks() {
    let pair = Pair::with(
        "check_owner",
        "create table t (id int primary key);
         create function f() returns event_trigger language plpgsql as 'begin end';
         create event trigger never on ddl_command_end when tag in ('CREATE OPERATOR')
           execute function f();
         create type shell; create extension dblink;
         create function c(shell) returns shell language internal as 'textin'",
    );
    let owner = Role::new(pair.source.cluster(), "elsewhere");
    pair.source
        .psql(&format!("create table u (id int); alter table u owner to {}", owner.name))
        .unwrap();
    let role = Role::new(pair.target.cluster(), "target");
    let checked = Checked::run(&pair, &pair.source.uri(), &pair.target.uri_as(&role.name, ""), &[]);
    let database = format!("GRANT CREATE ON DATABASE \"{}\"", pair.target.name());
    checked.expect("error", "privilege", "database", &database);
    checked.expect(
        "error",
        "privilege",
        "schema public",
        "GRANT USAGE, CREATE ON SCHEMA \"public\"",
    );
    checked.expect("error", "privilege", "event triggers", "SUPERUSER");
    checked.expect("error", "privilege", "functions in untrusted languages", "SUPERUSER");
    checked.expect("error", "extension", "dblink", "--skip-extensions");
    checked.expect("info", "privilege", "session_replication_role", "GRANT SET ON PARAMETER");
    checked.expect("error", "role", &owner.name, &format!("CREATE ROLE \"{}\"", owner.name));
    checked.expect(
        "error",
        "role",
        "postgres",
        &format!("GRANT \"postgres\" TO \"{}\"", role.name),
    );
    let copied = Checked::of(&pair, &["--roles"]);
    copied.expect_none("role");
    Checked::of(&pair, &["--no-owner"]).expect_none("role");
    pair.source.psql("drop table u").unwrap();
}

// trap D-32
#[test]
fn extensions_that_cannot_be_installed_are_found() {
    let pair = Pair::between(Major::V15, Major::V15, "check_extension");
    pair.source.psql("create extension dblink; create extension hstore version '1.7'").unwrap();
    let role = Role::new(pair.target.cluster(), "installer");
    let uri = pair.target.uri_as(&role.name, "");
    let checked = Checked::run(&pair, &pair.source.uri(), &uri, &[]);
    checked.expect("error", "extension", "dblink", "CREATE EXTENSION \"dblink\";");
    checked.expect("info", "extension", "hstore", "VERSION '1.7'");
    pair.target.psql("create extension dblink").unwrap();
    let checked = Checked::run(&pair, &pair.source.uri(), &uri, &[]);
    checked.expect_none("extension");
}

// trap D-36, V-31
#[test]
fn what_the_targets_server_lacks_is_found() {
    let pair = Pair::between(Major::V15, Major::V18, "check_lacks");
    let space = format!("check_space_{}", std::process::id());
    let admin = pair.source.cluster();
    let create =
        format!("set allow_in_place_tablespaces = on; create tablespace {space} location ''");
    admin.psql("postgres", &create).unwrap();
    pair.source
        .psql(&format!(
            "create table t (id int primary key) tablespace {space};
             create table z (x text compression lz4)"
        ))
        .unwrap();
    let checked = Checked::of(&pair, &[]);
    checked.expect("error", "tablespace", &space, "--no-tablespaces");
    Checked::of(&pair, &["--no-tablespaces"]).expect_none("tablespace");
    let lz4 =
        "select 'lz4' = any(enumvals) from pg_settings where name = 'default_toast_compression'";
    if pair.target_value(lz4) == "f" {
        checked.expect("warning", "feature", "lz4", "SET COMPRESSION pglz");
    }
    pair.source.psql("drop table t").unwrap();
    admin.psql("postgres", &format!("drop tablespace {space}")).unwrap();
}

// trap V-23, V-24
#[test]
fn encodings_and_collations_that_differ_are_found() {
    for (encoding, severity) in [("SQL_ASCII", "warning"), ("LATIN1", "info")] {
        let words = format!("template template0 encoding '{encoding}' locale 'C'");
        let pair = Pair::with_source_words("check_encoding", &words);
        let checked = Checked::of(&pair, &[]);
        checked.expect(severity, "encoding", "database", &format!("ENCODING '{encoding}'"));
        checked.expect("warning", "collation", "database", "LOCALE 'C'");
        assert_eq!(checked.code, Some(0));
    }
}

// trap P-9, P-10
#[test]
fn settings_and_event_triggers_of_the_target_are_found() {
    let pair = Pair::with("check_settings", "create table t (id int primary key)");
    let database = quote_ident(pair.target.name());
    pair.target
        .psql(&format!(
            "create function f() returns event_trigger language plpgsql as 'begin end';
             create event trigger watch on ddl_command_end execute function f();
             alter event trigger watch enable always;
             alter database {database} set default_transaction_read_only = on;
             alter database {database} set log_statement = 'all'"
        ))
        .unwrap();
    let checked = Checked::of(&pair, &[]);
    checked.expect("warning", "event-trigger", "watch", "ALTER EVENT TRIGGER \"watch\" DISABLE;");
    checked.expect("info", "setting", "default_transaction_read_only", "ALTER DATABASE");
    checked.expect("warning", "setting", "log_statement", "log_statement = 'none'");
    assert_eq!(checked.code, Some(0));
}

// trap T-9, S-22
#[test]
fn what_changes_cannot_be_followed_is_found() {
    let installation = Installation::find(Major::V15).unwrap();
    let options = ClusterOptions::default()
        .setting("wal_level", "replica")
        .setting("max_replication_slots", "0")
        .setting("max_wal_senders", "0")
        .setting("max_prepared_transactions", "2");
    let cluster = Cluster::start(&installation, options).unwrap();
    let sql = "create table no_key (id int); create unlogged table unlogged (id int primary key);
               select lo_create(0)";
    cluster.psql("postgres", sql).unwrap();
    cluster
        .psql("postgres", "begin; insert into no_key values (1); prepare transaction 'check me'")
        .unwrap();
    let pair = Pair::new("check_follow");
    let checked = Checked::run(&pair, &cluster.uri("postgres"), &pair.target.uri(), &[]);
    for (topic, object, words) in [
        ("replication", "wal_level", "wal_level = logical"),
        ("replication", "max_replication_slots", "max_replication_slots"),
        ("replication", "max_wal_senders", "max_wal_senders"),
        ("transaction", "check me", "ROLLBACK PREPARED 'check me';"),
        ("table", "tables without replica identity", "REPLICA IDENTITY FULL"),
        ("table", "unlogged tables", "SET LOGGED"),
        ("large-object", "1 large object", ""),
    ] {
        checked.expect("info", topic, object, words);
    }
    let checked = Checked::run(&pair, &cluster.uri("postgres"), &pair.target.uri(), &["--follow"]);
    checked.expect("error", "replication", "wal_level", "wal_level = logical");
    checked.expect("error", "transaction", "check me", "COMMIT PREPARED");
    checked.expect("warning", "table", "tables without replica identity", "REPLICA IDENTITY FULL");
}

// trap P-13
#[test]
fn a_pooler_in_between_is_found() {
    let pair = Pair::with("check_pooler", "create table t (id int primary key)");
    let pooler = Pooler::before(pair.source.cluster().port());
    let uri = pair
        .source
        .uri()
        .replace(&format!(":{}/", pair.source.cluster().port()), &format!(":{}/", pooler.port));
    let checked = Checked::run(&pair, &uri, &pair.target.uri(), &[]);
    checked.expect("error", "pooler", "connection", "own host and port");
    let refused = pair.program_between(&uri, &pair.target.uri()).run().unwrap();
    assert_eq!(refused.status.code(), Some(6), "{}", refused.stderr);
    // Told to go on anyway, it does: this one is none.
    let program = pair.program_between(&uri, &pair.target.uri()).arg("--skip-checks");
    program.run().unwrap().success().unwrap();
    pair.assert_same();
}

/// A program that answers like a pooler: it hands out another process's number than the server's.
struct Pooler {
    port: u16,
}

impl Pooler {
    /// Listens in front of a server on this machine.
    fn before(server: u16) -> Self {
        use std::io::{Read as _, Write as _};
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    std::io::copy(&mut up, &mut down).ok();
                    down.shutdown(std::net::Shutdown::Write).ok();
                });
                std::thread::spawn(move || {
                    let (mut server, mut client) = (server, client);
                    let mut buffer = vec![0; 1 << 16];
                    let mut begun = false;
                    while let Ok(length) = server.read(&mut buffer) {
                        if length == 0 {
                            break;
                        }
                        // BackendKeyData: tag, length 12, process, key.
                        let mark = [b'K', 0, 0, 0, 12];
                        let place = buffer[..length].windows(5).position(|found| found == mark);
                        if let Some(place) = place.filter(|_| !begun) {
                            buffer[place + 5] ^= 0x40;
                            begun = true;
                        }
                        if client.write_all(&buffer[..length]).is_err() {
                            break;
                        }
                    }
                    client.shutdown(std::net::Shutdown::Both).ok();
                });
            }
        });
        Self { port }
    }
}

/// The text form says the same as the JSON.
#[test]
fn text_lists_what_blocks_and_its_fix() {
    let pair = Pair::with("check_text", "create table t (id int primary key)");
    pair.target.psql("create table t (id int)").unwrap();
    let output = pair.check().run().unwrap();
    assert_eq!(output.status.code(), Some(12), "{}", output.stderr);
    for words in ["error: target: database", "public.t", "fix: ", "--drop-if-exists", "1 error"] {
        assert!(output.stdout.contains(words), "{words}: {}", output.stdout);
    }
}
