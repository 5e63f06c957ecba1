//! Roles of the server, and settings of the database and of roles in it.

use std::os::unix::fs::PermissionsExt as _;

use testbed::{Cluster, ClusterOptions, Installation, Major, Pgcopydb};

use crate::support::{Pair, program_in};

/// A source and a target server of their own: roles belong to the whole server.
struct Servers {
    source: Cluster,
    target: Cluster,
    dir: tempfile::TempDir,
}

impl Servers {
    /// Two servers; `sql` runs in database `postgres` of the source.
    fn with(sql: &str) -> Self {
        let start = |major| {
            let installation = Installation::find(major).unwrap();
            Cluster::start(&installation, ClusterOptions::default()).unwrap()
        };
        let (source, target) = (start(Major::V15), start(Major::V18));
        source.psql("postgres", sql).unwrap();
        Self { source, target, dir: tempfile::tempdir().unwrap() }
    }

    /// The program, as superuser on both sides.
    fn program(&self) -> Pgcopydb {
        self.program_from(&self.source.uri("postgres"))
    }

    /// The program over another connection to the source.
    fn program_from(&self, source: &str) -> Pgcopydb {
        let pg_config = Installation::find(Major::V18).unwrap().bindir.join("pg_config");
        program_in(source, &self.target.uri("postgres"), &self.dir.path().join("work"))
            .env("PG_CONFIG", pg_config.as_os_str())
    }

    /// One value of the target.
    fn on_target(&self, sql: &str) -> String {
        self.target.psql("postgres", sql).unwrap()
    }

    /// Demands that a query gives the same on both sides, and something.
    fn assert_same(&self, sql: &str) {
        let source = self.source.psql("postgres", sql).unwrap();
        assert!(!source.is_empty(), "{sql}");
        assert_eq!(source, self.on_target(sql));
    }
}

/// Attributes and password of the roles of a test.
const ATTRIBUTES: &str = "select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, \
    rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil, rolpassword \
    from pg_authid where rolname like 'r\\_%' order by 1";

// trap P-3
#[test]
fn roles_arrive_with_everything_they_have() {
    let servers = Servers::with(
        "create role r_group nologin noinherit;
         create role \"r_Odd;'\"\" --\" login password 'p;a''ss\\word' connection limit 3
           valid until 'infinity' createdb;
         create role r_there login password 'source';
         create role r_boss superuser replication bypassrls valid until '2030-01-01';
         grant r_group to \"r_Odd;'\"\" --\" with admin option;
         grant pg_read_all_data to r_group;
         comment on role r_group is E'one;\n-- two''s \\\\ three;\nfour';
         alter role r_group set search_path to '$user', 'a,b', public;
         alter role r_group set app.words to E'x;\ny';
         create role rds_superuser; grant rds_superuser to r_group;
         create table t (id int primary key); alter table t owner to \"r_Odd;'\"\" --\";
         insert into t values (1)",
    );
    servers.on_target("create role r_there nologin password 'target'");
    let kept = "select rolcanlogin, rolpassword from pg_authid where rolname = 'r_there'";
    let before = servers.on_target(kept);
    let output = servers.program().args(["--roles", "--trace"]).run().unwrap().success().unwrap();
    assert_eq!(servers.on_target(kept), before, "a role that is there stays as it is");
    servers.assert_same(&ATTRIBUTES.replace("order by", "and rolname <> 'r_there' order by"));
    servers.assert_same(
        "select r.rolname, m.rolname, a.admin_option from pg_auth_members a
           join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
           where m.rolname like 'r\\_%' and r.rolname not like 'rds%' order by 1, 2",
    );
    servers.assert_same(
        "select rolname, rolconfig, shobj_description(oid, 'pg_authid') from pg_roles
           where rolname = 'r_group'",
    );
    servers.assert_same("select tableowner from pg_tables where tablename = 't'");
    let managed = "select count(*) from pg_roles where rolname = 'rds_superuser'";
    assert_eq!(servers.on_target(managed), "0");
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("rds_superuser"), "the report names what is left out: {said}");
    assert!(!said.contains("SCRAM-SHA-256$"), "a password hash is in the log");
    let file = servers.dir.path().join("work/schema/roles.sql");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains("SCRAM-SHA-256$"));
}

// trap P-4
#[test]
fn without_the_right_to_read_passwords_roles_arrive_without_and_the_option_is_named() {
    let servers = Servers::with(
        "create role r_reader login; create role r_other login password 'x';
         create table t (id int primary key); insert into t values (1);
         grant select on t to r_reader; grant create on database postgres to r_reader",
    );
    let uri = servers.source.uri_as("r_reader", "", "postgres");
    let output = servers.program_from(&uri).arg("--roles").run().unwrap().success().unwrap();
    assert!(output.stderr.contains("--no-role-passwords"), "{}", output.stderr);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("r_other"), "roles without a password are named: {said}");
    let roles = "select rolname, rolcanlogin, rolpassword is null from pg_authid
                 where rolname like 'r\\_%' order by 1";
    assert_eq!(servers.on_target(roles), "r_other|t|t\nr_reader|t|t");
    assert_eq!(servers.on_target("select count(*) from t"), "1");
}

#[test]
fn roles_are_not_copied_unasked() {
    let servers = Servers::with("create role r_one; create table t (id int)");
    servers.program().run().unwrap().success().unwrap();
    let roles = "select count(*) from pg_roles where rolname = 'r_one'";
    assert_eq!(servers.on_target(roles), "0");
}

/// Settings of a database and of roles in it.
const SETTINGS: &str = "select coalesce(r.rolname, ''), c from pg_db_role_setting s
    join pg_database d on d.oid = s.setdatabase left join pg_roles r on r.oid = s.setrole,
    unnest(s.setconfig) c where d.datname = current_database() order by 1, 2";

/// Gives a pair's source settings of every form.
fn with_settings(name: &str) -> Pair {
    let pair = Pair::with(name, "create table t (id int primary key); insert into t values (1)");
    let database = testbed::cluster::quote_ident(pair.source.name());
    pair.source
        .psql(&format!(
            "alter database {database} set search_path to '$user', 'A b', 'c,\"d', public;
             alter database {database} set datestyle to 'ISO, DMY';
             alter database {database} set work_mem to '7MB';
             alter database {database} set app.tenant to E'it''s; \"x\",\\\\y';
             alter database {database} set default_transaction_read_only to on;
             alter role postgres in database {database} set statement_timeout to '77s'"
        ))
        .unwrap();
    pair
}

// trap P-8
#[test]
fn settings_of_the_database_arrive_as_they_are() {
    let pair = with_settings("properties");
    pair.clone(&[]);
    assert_eq!(pair.source_value(SETTINGS).lines().count(), 6);
    assert_eq!(pair.source_value(SETTINGS), pair.target_value(SETTINGS));
}

#[test]
fn settings_of_the_database_are_left_out_when_asked() {
    let pair = with_settings("no_properties");
    pair.clone(&["--skip-db-properties"]);
    assert_eq!(pair.target_value(SETTINGS), "");
}

// trap P-8
#[test]
fn settings_that_the_target_does_not_know_are_reported() {
    let pair = Pair::with("unknown_property", "create table t (id int)");
    let database = testbed::cluster::quote_ident(pair.source.name());
    let role = format!("only_here_{}", std::process::id());
    // Version 16 took force_parallel_mode away under this name.
    pair.source
        .psql(&format!(
            "create role {role};
             alter role {role} in database {database} set work_mem to '5MB';
             alter database {database} set force_parallel_mode to off;
             alter database {database} set work_mem to '6MB'"
        ))
        .unwrap();
    let output = pair.clone(&[]);
    pair.source.psql(&format!("drop owned by {role}; drop role {role}")).unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains(&format!("alter role \"{role}\" in database")), "{said}");
    assert!(said.contains("set \"force_parallel_mode\" to 'off'"), "{said}");
    assert_eq!(pair.target_value(SETTINGS), "|work_mem=6MB", "the others arrive");
}
