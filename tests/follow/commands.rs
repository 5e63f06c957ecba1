//! `stream replay`, `catchup`, `apply` and `transform`, with the program itself.

use testbed::{Major, Pgcopydb, TestDatabase, shared};

/// Two databases, a work directory, and names of our own on both servers.
pub(super) struct Run {
    pub(super) source: TestDatabase<'static>,
    pub(super) target: TestDatabase<'static>,
    pub(super) dir: tempfile::TempDir,
}

impl Run {
    /// Two databases of versions 15 and 18, the source filled by SQL.
    pub(super) fn new(name: &str, sql: &str) -> Self {
        let source = TestDatabase::create(shared(Major::V15), &format!("{name}_src")).unwrap();
        let target = TestDatabase::create(shared(Major::V18), &format!("{name}_tgt")).unwrap();
        source.psql(sql).unwrap();
        Self { source, target, dir: tempfile::tempdir().unwrap() }
    }

    /// The program with a command, this work directory, and names of this test.
    pub(super) fn program(&self, words: &[&str]) -> Pgcopydb {
        let dir = self.dir.path().join("work");
        let installation = testbed::Installation::find(Major::V18).unwrap();
        Pgcopydb::new()
            .unwrap()
            .args(words)
            .arg("--dir")
            .arg(dir)
            .args(["--slot-name", self.source.name(), "--origin", self.source.name()])
            .env("PG_CONFIG", installation.bindir.join("pg_config"))
    }

    /// The same between both ends.
    pub(super) fn between(&self, words: &[&str]) -> Pgcopydb {
        self.program(words).ends(&self.source.uri(), &self.target.uri())
    }

    /// Where the source's log ends now.
    pub(super) fn position(&self) -> String {
        self.source.psql("select pg_current_wal_flush_lsn()").unwrap()
    }

    /// Rows of `t (id, v)` in short.
    pub(super) fn rows(&self, database: &TestDatabase<'_>) -> String {
        database.psql("select string_agg(id || ':' || v, ' ' order by id) from t").unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let name = self.source.name();
        // A server holds few of both.
        let _ = self.source.psql(&format!("select pg_drop_replication_slot('{name}')"));
        let _ = self.target.psql(&format!("select pg_replication_origin_drop('{name}')"));
    }
}

#[test]
fn steps_of_the_stream_end_where_follow_does() {
    let run = Run::new(
        "steps",
        "create table t (id int primary key, v text); insert into t values (1, 'copied')",
    );
    let first = run.position();
    run.between(&["clone", "--follow", "--endpos", &first]).run().unwrap().success().unwrap();
    run.source
        .psql("insert into t values (2, 'it''s'); update t set v = E'a\\nb' where id = 1")
        .unwrap();
    let second = run.position();
    run.between(&["stream", "replay", "--endpos", &second]).run().unwrap().success().unwrap();
    assert_eq!(run.rows(&run.target), run.rows(&run.source));

    // What was received is printed, by both names of it, and nothing is applied twice.
    let printed = run.program(&["stream", "transform"]).run().unwrap().success().unwrap().stdout;
    assert!(printed.contains("VALUES ('2', 'it''s');"), "{printed}");
    assert!(printed.contains("SET \"v\" = E'a\\nb' WHERE \"id\" = '1';"), "{printed}");
    let again =
        run.program(&["stream", "apply", "--target", "-"]).run().unwrap().success().unwrap();
    assert_eq!(again.stdout, printed);
    run.between(&["stream", "apply"]).run().unwrap().success().unwrap();
    run.between(&["stream", "catchup"]).run().unwrap().success().unwrap();
    assert_eq!(run.rows(&run.target), run.rows(&run.source));

    // Read back into a table as it was, by both names of it: the target is the same again.
    let input = run.dir.path().join("changes.sql");
    std::fs::write(&input, &printed).unwrap();
    for standard_input in ["-", "--from-stdin"] {
        run.target.psql("update pgcopydb.follow set position = '0/1'; delete from t").unwrap();
        run.target.psql("insert into t values (1, 'copied')").unwrap();
        let shell = format!("exec \"$0\" \"$@\" < '{}'", input.display());
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(shell).arg(testbed::pgcopydb::binary().unwrap());
        command.args(["stream", "apply", standard_input, "--origin", run.source.name(), "--dir"]);
        command.arg(run.dir.path().join("work")).args(["--target", &run.target.uri()]);
        testbed::process::run_ok(testbed::process::scrub(&mut command), None).unwrap();
        assert_eq!(run.rows(&run.target), run.rows(&run.source), "{standard_input}");
    }
}

#[test]
fn without_received_changes_the_commands_say_so() {
    let run = Run::new("nothing", "create table t (id int primary key, v text)");
    for words in [&["stream", "transform"][..], &["stream", "apply", "--target", "-"]] {
        let output = run.program(words).run().unwrap();
        assert!(output.stderr.contains("there are no changes in"), "{}", output.stderr);
        assert_ne!(output.status.code(), Some(0));
    }
}
