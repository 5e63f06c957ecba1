//! A pair of databases and the program between them.

use tempfile::TempDir;
use testbed::compare::Comparison;
use testbed::process::Output;
use testbed::{Installation, Major, Pgcopydb, TestDatabase, shared};

/// A source, a target and a work directory.
pub(crate) struct Pair {
    pub(crate) source: TestDatabase<'static>,
    pub(crate) target: TestDatabase<'static>,
    pub(crate) dir: TempDir,
    /// `pg_config` of the newer of both servers, for tools that fit.
    pg_config: std::path::PathBuf,
}

impl Pair {
    /// Two empty databases, 15 to 18.
    pub(crate) fn new(name: &str) -> Self {
        Self::between(Major::V15, Major::V18, name)
    }

    /// Two empty databases.
    pub(crate) fn between(source: Major, target: Major, name: &str) -> Self {
        Self::with_words(name, (source, ""), (target, ""))
    }

    /// Two databases, the source filled by SQL.
    pub(crate) fn with(name: &str, sql: &str) -> Self {
        let pair = Self::new(name);
        pair.source.psql(sql).unwrap();
        pair
    }

    /// The program, ready to clone.
    pub(crate) fn program(&self) -> Pgcopydb {
        self.program_between(&self.source.uri(), &self.target.uri())
    }

    /// The program, ready to clone over other connections (a proxy, another role).
    pub(crate) fn program_between(&self, source: &str, target: &str) -> Pgcopydb {
        program_in(source, target, &self.dir.path().join("work")).env("PG_CONFIG", &self.pg_config)
    }

    /// Two databases, 15 to 18, the source made with further words for CREATE DATABASE.
    pub(crate) fn with_source_words(name: &str, words: &str) -> Self {
        Self::with_words(name, (Major::V15, words), (Major::V18, ""))
    }

    /// Two databases, each made with further words for CREATE DATABASE.
    pub(crate) fn with_words(name: &str, source: (Major, &str), target: (Major, &str)) -> Self {
        let create = |(major, words): (Major, &str), name: String| {
            TestDatabase::create_with(shared(major), &name, words).unwrap()
        };
        Self {
            source: create(source, format!("{name}_src")),
            target: create(target, format!("{name}_tgt")),
            dir: tempfile::tempdir().unwrap(),
            pg_config: Installation::find(source.0.max(target.0)).unwrap().bindir.join("pg_config"),
        }
    }

    /// The program, ready to check.
    pub(crate) fn check(&self) -> Pgcopydb {
        self.check_between(&self.source.uri(), &self.target.uri())
    }

    /// The program, ready to check other connections.
    pub(crate) fn check_between(&self, source: &str, target: &str) -> Pgcopydb {
        let dir = self.dir.path().join("work");
        let program = Pgcopydb::new().unwrap().arg("check").ends(source, target);
        program.arg("--dir").arg(dir).env("PG_CONFIG", &self.pg_config)
    }

    /// Clones and demands success.
    pub(crate) fn clone(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).run().unwrap().success().unwrap()
    }

    /// Demands that both sides are the same and that nothing of ours is left behind.
    pub(crate) fn assert_same(&self) {
        Comparison::new(&self.source.uri(), &self.target.uri()).run().unwrap().assert_same();
        let left = "select count(*) from pg_namespace where nspname = 'pgcopydb'";
        assert_eq!(self.target.psql(left).unwrap().trim(), "0", "the ledger is left behind");
    }

    /// One value of the target.
    pub(crate) fn target_value(&self, sql: &str) -> String {
        self.target.psql(sql).unwrap().trim().to_owned()
    }

    /// One value of the source.
    pub(crate) fn source_value(&self, sql: &str) -> String {
        self.source.psql(sql).unwrap().trim().to_owned()
    }
}

/// Clones what `sql` makes and demands that both sides are the same.
pub(crate) fn round_trip(name: &str, sql: &str, arguments: &[&str]) -> Pair {
    let pair = Pair::with(name, sql);
    pair.clone(arguments);
    pair.assert_same();
    pair
}

/// The program, ready to clone over these connections with this work directory.
pub(crate) fn program_in(source: &str, target: &str, dir: &std::path::Path) -> Pgcopydb {
    Pgcopydb::new().unwrap().arg("clone").ends(source, target).arg("--dir").arg(dir)
}
