//! The program under test, run from outside.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::database::TestDatabase;
use crate::process::{self, Output, Running};

/// Longest time a run may take unless [`Pgcopydb::deadline`] says otherwise.
pub const DEADLINE_SECONDS: u64 = 300;

/// A run of the `pgcopydb` binary in the making.
///
/// The environment is cleared of everything that starts with `PG`, so that what a developer has
/// set cannot change a test.
#[derive(Debug)]
pub struct Pgcopydb {
    command: Command,
    deadline: Duration,
}

impl Pgcopydb {
    /// Finds the binary, see [`binary`].
    ///
    /// # Errors
    /// When it is not built.
    pub fn new() -> Result<Self> {
        Ok(Self::at(&binary()?))
    }

    /// Uses the binary at a path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let mut command = Command::new(path);
        process::scrub(&mut command);
        Self { command, deadline: Duration::from_secs(DEADLINE_SECONDS) }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Adds `clone --source … --target … --dir …`.
    #[must_use]
    pub fn clone_args(
        self,
        source: &TestDatabase<'_>,
        target: &TestDatabase<'_>,
        dir: &Path,
    ) -> Self {
        self.arg("clone").ends(&source.uri(), &target.uri()).arg("--dir").arg(dir)
    }

    /// Adds `--source … --target …`.
    #[must_use]
    pub fn ends(self, source: &str, target: &str) -> Self {
        self.args(["--source", source, "--target", target])
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in a directory.
    #[must_use]
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Changes how long the run may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs to the end, whatever the exit code.
    ///
    /// # Errors
    /// When the program cannot be started or hangs; the message holds its output.
    pub fn run(mut self) -> Result<Output> {
        process::run(&mut self.command, None, self.deadline)
    }

    /// Starts the program and returns at once; its output is collected, it is killed on drop.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(mut self) -> Result<Running> {
        Running::spawn(&mut self.command, None)
    }
}

/// Path of the binary under test.
///
/// In this order: `PGCOPYDB_BIN`, what cargo tells integration tests (`CARGO_BIN_EXE_pgcopydb`),
/// the directory of the running program and its parent (`target/debug/deps/test` → `target/debug`).
///
/// # Errors
/// When none of them is there, with the command that builds it.
pub fn binary() -> Result<PathBuf> {
    for variable in ["PGCOPYDB_BIN", "CARGO_BIN_EXE_pgcopydb"] {
        if let Some(path) = std::env::var_os(variable) {
            return Ok(PathBuf::from(path));
        }
    }
    let this = std::env::current_exe().context("find the running program")?;
    this.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("pgcopydb"))
        .find(|path| path.is_file())
        .with_context(|| {
            format!("no pgcopydb beside {}; run: cargo build --bin pgcopydb", this.display())
        })
}
