//! The PostgreSQL client tools: which versions exist on this machine, and which pair of `pg_dump`
//! and `pg_restore` fits a source and a target.
//!
//! Nothing here reads the environment: directories arrive as [`Places`].

mod choose;
mod version;

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

pub use choose::{ToolPair, choose};
pub use version::PgVersion;

use super::{Command, Environment};
use crate::base::error::{Error, ErrorKind, Result, Side};

/// A client tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Program {
    /// `pg_dump`.
    Dump,
    /// `pg_restore`.
    Restore,
    /// `pg_dumpall`.
    DumpAll,
}

impl Program {
    /// Every tool that we use.
    pub const ALL: [Self; 3] = [Self::Dump, Self::Restore, Self::DumpAll];

    /// File name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dump => "pg_dump",
            Self::Restore => "pg_restore",
            Self::DumpAll => "pg_dumpall",
        }
    }
}

/// A tool found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Which one.
    pub program: Program,
    /// Where it is.
    pub path: PathBuf,
    /// What `--version` says.
    pub version: PgVersion,
    /// Comes from the `pg_config` that the user named: wins where it is fit at all.
    pub asked_for: bool,
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} (\"{}\")", self.program.name(), self.version, self.path.display())
    }
}

/// Where to look for the tools.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// A `pg_config` named by the user (`PG_CONFIG`): the directory it prints for `--bindir` wins.
    pub pg_config: Option<PathBuf>,
    /// Directories of `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// Directories to look into after those; [`usual_directories`] lists what packages use.
    pub more: Vec<PathBuf>,
}

/// What was found, and where was looked.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The tools, in the order of the places.
    pub tools: Vec<Tool>,
    /// Directories that were looked into, in order.
    pub searched: Vec<PathBuf>,
}

impl Inventory {
    /// Looks for every tool in all places and asks each for its version.
    ///
    /// A file that does not run or does not tell its version is passed over with a log line.
    ///
    /// # Errors
    /// `Tool` when the `pg_config` that the user named cannot be run.
    pub async fn find(places: &Places, environment: &Environment) -> Result<Self> {
        let cancel = CancellationToken::new();
        let mut found = Self::default();
        let asked_for = match &places.pg_config {
            Some(pg_config) => Some(bin_directory(pg_config, environment, &cancel).await?),
            None => None,
        };
        let directories = asked_for.iter().chain(&places.path).chain(&places.more);
        let mut seen = Vec::new();
        for directory in directories {
            if found.searched.contains(directory) {
                continue;
            }
            found.searched.push(directory.clone());
            for program in Program::ALL {
                let path = directory.join(program.name());
                let Ok(real) = path.canonicalize() else { continue };
                // Debian's /usr/bin/pg_dump is a script that chooses a version by the clusters of
                // this machine; the programs behind it are in the usual directories.
                let wrapper = real.ends_with("pg_wrapper");
                if wrapper || !real.is_file() || seen.contains(&(program, real.clone())) {
                    continue;
                }
                let Some(version) = version_of(&path, environment, &cancel).await else { continue };
                seen.push((program, real));
                let asked_for = asked_for.as_ref() == Some(directory);
                found.tools.push(Tool { program, path, version, asked_for });
            }
        }
        Ok(found)
    }

    /// All versions of one program.
    pub fn of(&self, program: Program) -> impl Iterator<Item = &Tool> {
        self.tools.iter().filter(move |tool| tool.program == program)
    }

    /// Chooses the pair for a migration; see [`choose()`] for the rule.
    ///
    /// # Errors
    /// `Tool`, naming what was found, what was searched, and the package to install.
    pub fn pair(
        &self,
        source: PgVersion,
        target: PgVersion,
        source_has_attver: bool,
    ) -> Result<ToolPair> {
        choose(&self.tools, source, target, source_has_attver).map_err(|error| {
            let directories: Vec<_> =
                self.searched.iter().map(|path| path.display().to_string()).collect();
            error.during(format!("find the client tools in {}", directories.join(", ")))
        })
    }

    /// The `pg_dumpall` that fits a source: never older, as near to it as possible.
    ///
    /// # Errors
    /// `Tool` when there is none.
    pub fn dump_all(&self, source: PgVersion) -> Result<&Tool> {
        self.of(Program::DumpAll)
            .filter(|tool| tool.version.major() >= source.major())
            .min_by_key(|tool| (tool.version.major(), std::cmp::Reverse(tool.version)))
            .ok_or_else(|| choose::missing(Program::DumpAll, source))
    }
}

/// Directories where packages put the tools, newest version first. Reads the file system.
pub fn usual_directories() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    // (parent, prefix of the version's directory, directory below it)
    let versioned = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/lib", "postgresql", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/opt/homebrew/opt", "libpq", "bin"),
        ("/Library/PostgreSQL", "", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ];
    for (parent, prefix, below) in versioned {
        directories.extend(versions_below(Path::new(parent), prefix, below));
    }
    directories.extend(["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    directories.retain(|directory| directory.is_dir());
    directories
}

/// Directories `parent/<prefix><number>/below`, largest number first; no number counts as 0.
fn versions_below(parent: &Path, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(prefix)?;
            let parts: Result<Vec<u32>, _> =
                number.split('.').filter(|part| !part.is_empty()).map(str::parse).collect();
            Some((parts.ok()?, entry.path().join(below)))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Asks `pg_config` for the directory of the programs.
async fn bin_directory(
    pg_config: &Path,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    let output = Command::new(pg_config, environment)
        .argument("--bindir")
        .run(cancel)
        .await
        .map_err(|error| error.hint("Set PG_CONFIG to the path of a pg_config program."))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if text.is_empty() {
        let message = format!("\"{} --bindir\" prints nothing", pg_config.display());
        return Err(Error::new(Side::Local, ErrorKind::Tool(message)));
    }
    Ok(PathBuf::from(text))
}

/// Asks a program for its version; `None` when it does not run or says something else.
async fn version_of(
    path: &Path,
    environment: &Environment,
    cancel: &CancellationToken,
) -> Option<PgVersion> {
    match Command::new(path, environment).argument("--version").run(cancel).await {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let version = PgVersion::parse_program_output(&text);
            if version.is_none() {
                let path = path.display();
                tracing::warn!(%path, output = text.trim(), "a client tool does not tell its version");
            }
            version
        }
        Err(error) => {
            tracing::debug!(%error, path = %path.display(), "passed over a client tool");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn environment() -> Environment {
        Environment::default().with("PATH", "/usr/bin:/bin")
    }

    /// Writes a program that prints a text.
    fn fake(directory: &Path, name: &str, prints: &str) {
        fs::create_dir_all(directory).unwrap();
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{prints}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn places_are_searched_in_order_and_duplicates_are_left_out() {
        let top = tempfile::tempdir().unwrap();
        let [asked, path, more] = ["asked", "path", "more"].map(|name| top.path().join(name));
        fake(&asked, "pg_config", &asked.display().to_string());
        fake(&asked, "pg_dump", "pg_dump (PostgreSQL) 16.14");
        fake(&path, "pg_dump", "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)");
        fake(&path, "pg_restore", "pg_restore: broken");
        fs::create_dir_all(&more).unwrap();
        std::os::unix::fs::symlink(path.join("pg_dump"), more.join("pg_dump")).unwrap();
        let places = Places {
            pg_config: Some(asked.join("pg_config")),
            path: vec![path.clone(), path.clone()],
            more: vec![more.clone()],
        };
        let found = Inventory::find(&places, &environment()).await.unwrap();
        let versions: Vec<_> =
            found.tools.iter().map(|tool| (tool.version.to_string(), tool.asked_for)).collect();
        assert_eq!(versions, [("16.14".to_owned(), true), ("15.20".to_owned(), false)]);
        assert_eq!(found.searched, [asked, path, more]);
    }

    #[tokio::test]
    async fn wrong_pg_config_is_an_error_and_not_passed_over() {
        let places =
            Places { pg_config: Some("/nonexistent/pg_config".into()), ..Places::default() };
        let error = Inventory::find(&places, &environment()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Tool(_)), "{error:?}");
    }

    #[test]
    fn newest_version_directory_comes_first() {
        let top = tempfile::tempdir().unwrap();
        for name in ["9.6", "18", "15", "common", "10"] {
            fs::create_dir_all(top.path().join(name).join("bin")).unwrap();
        }
        let found = versions_below(top.path(), "", "bin");
        let expected = ["18", "15", "10", "9.6"].map(|name| top.path().join(name).join("bin"));
        assert_eq!(found, expected);
    }
}
