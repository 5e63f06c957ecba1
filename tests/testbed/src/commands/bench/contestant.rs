//! Who copies.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use testbed::process;

use super::super::Servers;
use super::scenario::Scenario;

/// Jobs of those that must be told.
const JOBS: u32 = 4;

/// A way to copy a database.
#[derive(Debug)]
pub(super) enum Contestant {
    /// The binary of this workspace.
    Ours {
        /// Its path.
        path: PathBuf,
        /// Further arguments, as a shell reads them.
        arguments: String,
    },
    /// The binary of this workspace with `copy table-data`: the rows alone, as [`Self::Psql`] does
    /// it; tables made beforehand.
    Data {
        /// Its path.
        path: PathBuf,
    },
    /// `psql` reading with COPY BINARY, piped into `psql` writing; tables made beforehand.
    Psql,
    /// `pg_dump -Fd`, `pg_restore`, `vacuumdb`, each with four jobs.
    Dump,
    /// `select count(*)` over every table, both servers at once: only beside a comparison.
    Count,
    /// Another program with pgcopydb's command line, named by `PGCOPYDB_PEER`.
    Peer {
        /// Its path.
        path: PathBuf,
        /// Whether it knows `--skip-vacuum`.
        may_skip_vacuum: bool,
    },
}

impl Contestant {
    /// The binary of this workspace, with further arguments.
    pub(super) fn ours(path: PathBuf, arguments: &str) -> Self {
        Self::Ours { path, arguments: arguments.to_owned() }
    }

    /// Another program with pgcopydb's command line.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) fn peer(path: PathBuf) -> Result<Self> {
        let mut command = Command::new(&path);
        command.args(["clone", "--help"]);
        let help = process::run(&mut command, None, Duration::from_secs(30))
            .with_context(|| format!("ask {} for its options", path.display()))?;
        let may_skip_vacuum = format!("{}{}", help.stdout, help.stderr).contains("--skip-vacuum");
        Ok(Self::Peer { path, may_skip_vacuum })
    }

    /// Whether it is the program that this workspace builds, which must not fail.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours { .. } | Self::Data { .. })
    }

    /// Name in tables and on the command line.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ours { .. } => "ours",
            Self::Data { .. } => "data",
            Self::Psql => "psql",
            Self::Dump => "dump",
            Self::Count => "count",
            Self::Peer { .. } => "peer",
        }
    }

    /// Whether a scenario says something about it.
    pub(super) fn takes_part(&self, scenario: Scenario) -> bool {
        if scenario.compares() {
            return matches!(self, Self::Ours { .. } | Self::Count | Self::Peer { .. });
        }
        match self {
            Self::Ours { .. } | Self::Dump => true,
            Self::Data { .. } | Self::Psql => scenario.is_relay(),
            Self::Count => false,
            Self::Peer { .. } => !scenario.only_plans(),
        }
    }

    /// Does what is not measured.
    ///
    /// # Errors
    /// When the table cannot be made.
    pub(super) fn prepare(
        &self,
        servers: &Servers,
        scenario: Scenario,
        database: &str,
    ) -> Result<()> {
        if !matches!(self, Self::Data { .. } | Self::Psql) {
            return Ok(());
        }
        let table = format!("--table={}", scenario.name());
        let definition = servers.source.pg_dump(database, &["--schema-only", &table])?;
        // Newer minors wrap their output in commands that older psql do not know.
        let kept: Vec<&str> = definition
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
            .collect();
        servers.target.psql(database, &kept.join("\n"))?;
        Ok(())
    }

    /// The shell script that copies, with `dir` to write to.
    pub(super) fn script(
        &self,
        servers: &Servers,
        scenario: Scenario,
        database: &str,
        dir: &Path,
    ) -> String {
        let (source, target) = (servers.source.uri(database), servers.target.uri(database));
        let program =
            |name: &str| servers.source.installation().program(name).display().to_string();
        let dir = dir.join("work").display().to_string();
        match self {
            Self::Ours { path, arguments } if scenario.compares() => {
                format!("{} {arguments}", compare_words(path, &source, &target, &dir))
            }
            Self::Peer { path, .. } if scenario.compares() => {
                compare_words(path, &source, &target, &dir)
            }
            Self::Count => {
                let count = |uri: &str| {
                    let counts = ["ints", "mixed", "wide"]
                        .map(|table| format!("-c 'select count(*) from {table}'"));
                    format!(
                        "{} -XqAt -v ON_ERROR_STOP=1 -d '{uri}' {}",
                        program("psql"),
                        counts.join(" ")
                    )
                };
                format!("{} >/dev/null & {} >/dev/null && wait $!", count(&source), count(&target))
            }
            Self::Ours { path, arguments } => {
                let mut words = clone_words(path, &source, &target, &dir, scenario);
                words.push_str(&format!(" {arguments}"));
                if scenario.is_relay() {
                    words.push_str(" --skip-vacuum --split-tables-larger-than 0");
                }
                if scenario.only_plans() {
                    words.push_str(" --dry-run >/dev/null");
                }
                words
            }
            Self::Data { path } => format!(
                "{} copy table-data --source '{source}' --target '{target}' --dir {dir} \
                   --table-jobs 1 --split-tables-larger-than 0",
                path.display()
            ),
            Self::Peer { path, may_skip_vacuum } => {
                let mut words = clone_words(path, &source, &target, &dir, scenario);
                if scenario.is_relay() && *may_skip_vacuum {
                    words.push_str(" --skip-vacuum");
                }
                words
            }
            Self::Psql => {
                let (psql, table) = (program("psql"), scenario.name());
                format!(
                    "{psql} -XqAt -v ON_ERROR_STOP=1 -d '{source}' \
                       -c 'copy {table} to stdout (format binary)' | \
                     {psql} -Xq -v ON_ERROR_STOP=1 -d '{target}' \
                       -c 'copy {table} from stdin (format binary)'"
                )
            }
            Self::Dump if scenario.only_plans() => {
                format!("{} --schema-only -Fc -f {dir} -d '{source}'", program("pg_dump"))
            }
            Self::Dump => {
                let (dump, restore) = (program("pg_dump"), program("pg_restore"));
                let vacuum = program("vacuumdb");
                format!(
                    "{dump} -Fd -j{JOBS} -f {dir} -d '{source}' && \
                     {restore} -j{JOBS} -d '{target}' {dir} && \
                     {vacuum} -q -Z -j{JOBS} -d '{target}'"
                )
            }
        }
    }
}

/// The command line of a comparison of rows.
fn compare_words(path: &Path, source: &str, target: &str, dir: &str) -> String {
    format!(
        "{} compare data --source '{source}' --target '{target}' --dir {dir} --jobs {JOBS} >/dev/null",
        path.display()
    )
}

/// The command line that ours and its peers share.
fn clone_words(path: &Path, source: &str, target: &str, dir: &str, scenario: Scenario) -> String {
    let jobs = if scenario.is_relay() { " --table-jobs 1 --index-jobs 1" } else { "" };
    format!("{} clone --source '{source}' --target '{target}' --dir {dir}{jobs}", path.display())
}
