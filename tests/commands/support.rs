//! A pair of databases, a work directory, and the program with any command.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use testbed::compare::Comparison;
use testbed::process::{Output, Running, Signal, wait_until};
use testbed::{Installation, Major, Pgcopydb, TestDatabase, shared};

/// How long anything may take here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A source of version 15, a target of version 18, and a work directory.
pub(crate) struct Pair {
    pub(crate) source: TestDatabase<'static>,
    pub(crate) target: TestDatabase<'static>,
    pub(crate) dir: TempDir,
    pg_config: PathBuf,
}

impl Pair {
    /// Two empty databases.
    pub(crate) fn new(name: &str) -> Self {
        Self::to(Major::V18, name)
    }

    /// Two databases on servers of version 15, the one with the distribution's extensions.
    pub(crate) fn with_extensions(name: &str, sql: &str) -> Self {
        let pair = Self::to(Major::V15, name);
        pair.source.psql(sql).unwrap();
        pair
    }

    /// Two empty databases.
    fn to(target: Major, name: &str) -> Self {
        Self {
            source: TestDatabase::create(shared(Major::V15), &format!("{name}_src")).unwrap(),
            target: TestDatabase::create(shared(target), &format!("{name}_tgt")).unwrap(),
            dir: tempfile::tempdir().unwrap(),
            pg_config: Installation::find(target).unwrap().bindir.join("pg_config"),
        }
    }

    /// Two databases, the source filled by SQL.
    pub(crate) fn with(name: &str, sql: &str) -> Self {
        let pair = Self::new(name);
        pair.source.psql(sql).unwrap();
        pair
    }

    /// The work directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A command of the program with both ends in its environment, and this work directory.
    pub(crate) fn command(&self, words: &str) -> Pgcopydb {
        Pgcopydb::new()
            .unwrap()
            .args(words.split(' '))
            .env("PGCOPYDB_SOURCE_PGURI", self.source.uri())
            .env("PGCOPYDB_TARGET_PGURI", self.target.uri())
            .env("PG_CONFIG", &self.pg_config)
            .arg("--dir")
            .arg(self.work())
    }

    /// Runs a command.
    pub(crate) fn run(&self, words: &str) -> Output {
        self.command(words).run().unwrap()
    }

    /// Runs a command and demands success.
    pub(crate) fn ok(&self, words: &str) -> Output {
        self.run(words).success().unwrap()
    }

    /// Writes a file beside the work directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts `snapshot` and waits until its snapshot is there.
    pub(crate) fn hold_snapshot(&self) -> HeldSnapshot {
        let running = self.command("snapshot").spawn().unwrap();
        let file = self.work().join("snapshot");
        wait_until("the snapshot", DEADLINE, || Ok(file.exists())).unwrap();
        HeldSnapshot { running }
    }

    /// Demands that both sides are the same and that nothing of ours is left behind.
    pub(crate) fn assert_same(&self) {
        Comparison::new(&self.source.uri(), &self.target.uri()).run().unwrap().assert_same();
        self.assert_no_ledger();
    }

    /// Demands that no ledger is left behind.
    pub(crate) fn assert_no_ledger(&self) {
        assert_eq!(
            self.on_target("select count(*) from pg_namespace where nspname = 'pgcopydb'"),
            "0"
        );
    }

    /// One value of the target.
    pub(crate) fn on_target(&self, sql: &str) -> String {
        self.target.psql(sql).unwrap().trim().to_owned()
    }

    /// One value of the source.
    pub(crate) fn on_source(&self, sql: &str) -> String {
        self.source.psql(sql).unwrap().trim().to_owned()
    }
}

/// A process that holds a snapshot.
pub(crate) struct HeldSnapshot {
    running: Running,
}

impl HeldSnapshot {
    /// Asks it to stop and returns what it printed.
    pub(crate) fn release(self) -> Output {
        self.running.signal(Signal::Term).unwrap();
        self.running.wait(DEADLINE).unwrap().success().unwrap()
    }
}

/// The rows of a table that a `list` command printed: cells by column, headings left out.
pub(crate) fn cells(output: &Output) -> Vec<Vec<String>> {
    assert!(output.stdout.ends_with("\n\n"), "{output}");
    let lines = output.stdout.lines().skip(2).filter(|line| !line.is_empty());
    lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The JSON document that a command printed.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&output.stdout).unwrap()
}

/// Lines of psql's unaligned output, each split at its bars.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| line.split('|').map(str::to_owned).collect()).collect()
}
