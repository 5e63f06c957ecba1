//! A source that is written to, a target, and the program between them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use testbed::compare::Comparison;
use testbed::process::{Output, Running, Signal, wait_until};
use testbed::{Cluster, ClusterOptions, Installation, Major, Pgcopydb};

/// Longest wait for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(240);

/// Two servers of our own: slots belong to a server, and these are restarted and looked into.
pub(crate) struct Pair {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    dir: TempDir,
    pg_config: PathBuf,
}

/// Database on both servers.
pub(crate) const DATABASE: &str = "app";

impl Pair {
    /// Two servers of version 15, and a database made by SQL on the source.
    pub(crate) fn with(sql: &str) -> Self {
        let installation = Installation::find(Major::V15).unwrap();
        let start = || Cluster::start(&installation, ClusterOptions::default()).unwrap();
        let pair = Self {
            source: start(),
            target: start(),
            dir: tempfile::tempdir().unwrap(),
            pg_config: installation.bindir.join("pg_config"),
        };
        pair.source.create_database(DATABASE).unwrap();
        pair.target.create_database(DATABASE).unwrap();
        pair.source.psql(DATABASE, sql).unwrap();
        pair
    }

    /// The program with a command, its two ends and its work directory.
    pub(crate) fn program(&self, words: &[&str]) -> Pgcopydb {
        self.program_to(&self.target.uri(DATABASE), words)
    }

    /// The same with a target of one's own.
    pub(crate) fn program_to(&self, target: &str, words: &[&str]) -> Pgcopydb {
        let source = self.source.uri(DATABASE);
        let program = Pgcopydb::new().unwrap().args(words).ends(&source, target);
        program.arg("--dir").arg(self.work()).env("PG_CONFIG", &self.pg_config).deadline(DEADLINE)
    }

    /// Runs the program with a command to its successful end.
    pub(crate) fn ok(&self, words: &[&str]) -> Output {
        self.program(words).run().unwrap().success().unwrap()
    }

    /// The program with a command that knows the source alone.
    pub(crate) fn on_source(&self, words: &[&str]) -> Pgcopydb {
        let program = Pgcopydb::new().unwrap().args(words);
        program
            .arg("--source")
            .arg(self.source.uri(DATABASE))
            .arg("--dir")
            .arg(self.work())
            .env("PG_CONFIG", &self.pg_config)
            .deadline(DEADLINE)
    }

    /// The program with a command that knows the work directory alone.
    pub(crate) fn in_work(&self, words: &[&str]) -> Pgcopydb {
        Pgcopydb::new().unwrap().args(words).arg("--dir").arg(self.work()).deadline(DEADLINE)
    }

    /// The work directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A file beside the work directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts an application that runs a pgbench script, with so many clients and transactions a second.
    pub(crate) fn application(&self, script: &str, clients: &str, rate: &str) -> Running {
        let file = self.file(&format!("{clients}-{rate}.sql"), script);
        let file = file.to_string_lossy().into_owned();
        let load = ["-n", "-c", clients, "-R", rate, "-T", "3600", "-f", &file];
        Running::spawn(self.source.pgbench_command(&load).arg(DATABASE), None).unwrap()
    }

    /// One value of the source.
    pub(crate) fn source_value(&self, sql: &str) -> String {
        self.source.psql(DATABASE, sql).unwrap().trim().to_owned()
    }

    /// One value of the target.
    pub(crate) fn target_value(&self, sql: &str) -> String {
        self.target.psql(DATABASE, sql).unwrap().trim().to_owned()
    }

    /// Where the source's log ends.
    pub(crate) fn source_end(&self) -> String {
        self.source_value("select pg_current_wal_flush_lsn()")
    }

    /// Waits until the target answers a query with something.
    pub(crate) fn wait_for_target(&self, what: &str, sql: &str, wanted: &str) {
        wait_until(what, DEADLINE, || {
            // The table may not be there yet.
            Ok(self.target.psql(DATABASE, sql).is_ok_and(|found| found.trim() == wanted))
        })
        .unwrap();
    }

    /// What is confirmed to the source.
    pub(crate) fn confirmed(&self) -> String {
        self.source_value("select confirmed_flush_lsn from pg_replication_slots")
    }

    /// The `pg_config` whose tools fit both servers.
    pub(crate) fn pg_config(&self) -> &Path {
        &self.pg_config
    }

    /// Demands equal rows, definitions and sequences.
    pub(crate) fn assert_same(&self) {
        let (source, target) = (self.source.uri(DATABASE), self.target.uri(DATABASE));
        Comparison::new(&source, &target).exclude_schema("pgcopydb").run().unwrap().assert_same();
    }
}

/// Ends an application and waits until it is gone.
pub(crate) fn end(application: Running) {
    application.signal(Signal::Int).unwrap();
    let _ = application.wait(DEADLINE).unwrap();
}
