//! What a new user gets wrong: one clear error each, naming side and object and what to do.

use testbed::process::Output;
use testbed::{Cluster, ClusterOptions, Installation, Major, Pgcopydb};

use crate::support::Pair;

/// Runs and demands a failure with one error that says all of these.
fn fails(program: Pgcopydb, words: &[&str]) -> Output {
    let output = program.run().unwrap();
    assert!(!output.status.success(), "{}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "\"{word}\" is missing: {}", output.stderr);
    }
    output
}

/// A pair with one table.
fn pair(name: &str) -> Pair {
    Pair::with(name, "create table t (id int primary key); insert into t values (1)")
}

// trap P-11, P-15
#[test]
fn a_wrong_password_fails_at_once_and_shows_no_secret() {
    let installation = Installation::find(Major::V15).unwrap();
    let cluster = Cluster::start(&installation, ClusterOptions::default().scram("right")).unwrap();
    let pair = pair("password");
    let uri = format!("postgres://postgres:wr0ng-secret@127.0.0.1:{}/postgres", cluster.port());
    let started = std::time::Instant::now();
    let output = fails(
        pair.program_between(&uri, &pair.target.uri()).arg("--trace"),
        &["source", "28P01", "password", "hint"],
    );
    assert!(started.elapsed().as_secs() < 10, "a wrong password is tried again");
    assert_eq!(output.status.code(), Some(6));
    assert!(!format!("{}{}", output.stdout, output.stderr).contains("wr0ng-secret"));
}

// trap X-26
#[test]
fn trace_shows_neither_rows_nor_secrets() {
    let installation = Installation::find(Major::V15).unwrap();
    let cluster =
        Cluster::start(&installation, ClusterOptions::default().scram("s3cret-word")).unwrap();
    let pair = Pair::new("trace");
    let uri = format!("postgres://postgres:s3cret-word@127.0.0.1:{}/postgres", cluster.port());
    let psql = format!("create table t (x text); insert into t values ('row-content-{}')", 42);
    let output = std::process::Command::new("psql").args([&uri, "-c", &psql]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = pair
        .program_between(&uri, &pair.target.uri())
        .arg("--trace")
        .run()
        .unwrap()
        .success()
        .unwrap();
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(!said.contains("s3cret-word") && !said.contains("row-content-42"));
    for frame in ["AuthenticationSASL\t", "Bind\t", "ReadyForQuery\t", "CopyOutResponse\t"] {
        assert!(said.contains(frame), "no {frame} in the trace");
    }
    for entry in walk(&pair.dir.path().join("work")) {
        let bytes = std::fs::read(&entry).unwrap();
        let found = bytes.windows(11).any(|window| window == b"s3cret-word");
        assert!(!found, "{} holds the password", entry.display());
    }
}

/// All files below a directory.
fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn unknown_hosts_ports_and_databases_are_named() {
    let pair = pair("unknown");
    let source = pair.source.uri();
    fails(
        pair.program_between("postgres://postgres@no-such-host.invalid/x", &pair.target.uri()),
        &["source", "no-such-host.invalid"],
    );
    fails(
        pair.program_between(&source, "postgres://postgres@127.0.0.1:1/x?connect_timeout=2"),
        &["target", "127.0.0.1:1"],
    );
    let missing = source.replace(pair.source.name(), "no_such_database");
    fails(
        pair.program_between(&missing, &pair.target.uri()),
        &["source", "3D000", "no_such_database"],
    );
}

#[test]
fn missing_and_old_tools_are_named_with_the_package() {
    let pair = pair("tools");
    let empty = tempfile::tempdir().unwrap();
    let pg_config = empty.path().join("pg_config");
    let output = fails(pair.program().env("PG_CONFIG", pg_config.as_os_str()), &["pg_config"]);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        pair.target_value("select count(*) from pg_namespace where nspname = 'pgcopydb'"),
        "0",
        "nothing is begun without tools"
    );
}

#[test]
fn missing_privileges_name_the_object_and_the_grant() {
    let pair = Pair::with(
        "privileges",
        "create table secret (id int); insert into secret values (1); revoke all on secret from public",
    );
    let role = format!("nobody_{}", std::process::id());
    pair.source.cluster().psql("postgres", &format!("create role {role} login")).unwrap();
    let output =
        pair.program_between(&pair.source.uri_as(&role, ""), &pair.target.uri()).run().unwrap();
    pair.source.cluster().psql("postgres", &format!("drop role {role}")).unwrap();
    assert!(!output.status.success());
    assert!(output.stderr.contains("secret"), "{}", output.stderr);
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let pair = pair("directory");
    let file = pair.dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let program =
        crate::support::program_in(&pair.source.uri(), &pair.target.uri(), &file.join("below"));
    fails(program, &["file/below"]);
}

// trap X-10
#[test]
fn a_target_that_may_not_be_written_stops_cleanly_and_is_resumable() {
    // The full disk of the same trap needs a device of its own, which a test cannot count on.
    let pair = pair("read_only");
    let admin = pair.target.cluster();
    let role = format!("reader_{}", std::process::id());
    admin.psql("postgres", &format!("create role {role} login")).unwrap();
    let output =
        pair.program_between(&pair.source.uri(), &pair.target.uri_as(&role, "")).run().unwrap();
    admin.psql("postgres", &format!("drop role {role}")).unwrap();
    assert!(!output.status.success());
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stderr.contains("GRANT CREATE ON DATABASE"), "{}", output.stderr);
    pair.clone(&[]);
    pair.assert_same();
}

#[test]
fn an_older_target_is_refused() {
    let pair = Pair::between(Major::V18, Major::V15, "older");
    pair.source.psql("create table t (id int)").unwrap();
    fails(pair.program(), &["target", "18", "15"]);
}

// trap X-14
#[test]
fn one_failed_table_fails_the_run_and_the_others_are_kept() {
    // The check is true for whoever fills the source and false for our sessions on the target.
    let check = "check (current_setting('application_name') not like 'pgcopydb%')";
    let pair = Pair::with(
        "one_fails",
        &format!(
            "create table good (id int primary key); insert into good values (1);
             create table bad (id int, x text, constraint never {check});
             insert into bad values (1, 'x')"
        ),
    );
    let output = pair.program().run().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", output.stderr);
    assert!(
        output.stderr.contains("public.bad") && output.stderr.contains("never"),
        "{}",
        output.stderr
    );
    assert_eq!(pair.target_value("select count(*) from good"), "1");
    assert_eq!(pair.target_value("select count(*) from bad"), "0");
    // Mended, the same command completes the run.
    pair.target.psql("alter table bad drop constraint never").unwrap();
    pair.clone(&[]);
    pair.target.psql(&format!("alter table bad add constraint never {check}")).unwrap();
    pair.assert_same();
}
