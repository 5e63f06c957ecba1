//! The work directory: one per migration, everything we keep on this machine is in it.
//!
//! ```text
//! <top>/                      mode 0700, its missing parents too
//!   pgcopydb.pid              pid, version, 0; locked while a run works here
//!   pgcopydb.children         locked by every pg_dump and pg_restore that still runs
//!   pgcopydb.<service>.pid    the same two for `snapshot`, `receive`, `apply`
//!   snapshot                  exported snapshot, one line
//!   schema.json summary.json  documents for scripts
//!   schema/                   source.db (state), schema.dump, roles.sql, *.list
//!   cdc/                      received changes
//!   compare/                  compare's own catalogs
//!   db/<name>/                the same tree per database, with --all-databases
//! ```
//!
//! Files are written under a temporary name, synced and renamed, so that a crash leaves the old
//! contents or the new ones. To add a file: a path method here, and its name in `restart::OURS`
//! (what is not listed there counts as foreign and stops `--restart`).

mod lock;
mod replace;
mod restart;

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use lock::{ChildrenLock, Service};
pub use replace::{replace_file, sync_directory, temporary_name};

use crate::base::error::{Error, ErrorKind, Result};
use lock::PidFile;

/// An open, locked work directory. Dropping it releases the lock and removes the pid file.
#[derive(Debug)]
pub struct WorkDir {
    top: PathBuf,
    /// Held for its `Drop`.
    _pid_file: PidFile,
    children: Arc<ChildrenLock>,
}

impl WorkDir {
    /// Creates the directory where it is missing and locks it for a service.
    ///
    /// # Errors
    /// `State` when a live process holds the lock, naming its pid; `File` when a path cannot be
    /// created or written, with a hint to choose another one.
    pub fn open(top: &Path, service: Service) -> Result<Self> {
        for directory in ["", "schema", "cdc"] {
            create_directory(&top.join(directory))?;
        }
        let pid_file = PidFile::acquire(top, service)?;
        let children = Arc::new(ChildrenLock::open(top, service)?);
        Ok(Self { top: top.to_owned(), _pid_file: pid_file, children })
    }

    /// Forgets every earlier run (`--restart`): removes what we ever write here, the lock excepted.
    ///
    /// # Errors
    /// `State` when the directory holds anything that is not ours; then nothing is removed.
    pub fn restart(&self) -> Result<()> {
        restart::remove_ours(&self.top)?;
        for directory in ["schema", "cdc"] {
            create_directory(&self.top.join(directory))?;
        }
        Ok(())
    }

    /// The directory itself.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// The lock that every child process inherits; see [`ChildrenLock`].
    pub fn children(&self) -> &Arc<ChildrenLock> {
        &self.children
    }

    /// Exported snapshot identifier, one line.
    pub fn snapshot_file(&self) -> PathBuf {
        self.top.join(SNAPSHOT_FILE)
    }

    /// The document of `list schema`.
    pub fn schema_json(&self) -> PathBuf {
        self.top.join("schema.json")
    }

    /// The end-of-run document.
    pub fn summary_json(&self) -> PathBuf {
        self.top.join(SUMMARY_JSON)
    }

    /// Received changes.
    pub fn cdc(&self) -> PathBuf {
        Self::cdc_in(&self.top)
    }

    /// Where received changes are in the work directory at `top`, for readers that lock nothing.
    pub fn cdc_in(top: &Path) -> PathBuf {
        top.join("cdc")
    }

    /// The state database.
    pub fn state_db(&self) -> PathBuf {
        self.top.join(STATE_DB)
    }

    /// `pg_dump -Fc` of the pre-data and post-data sections.
    pub fn schema_dump(&self) -> PathBuf {
        self.schema("schema.dump")
    }

    /// The catalog that goes with the dump.
    pub fn catalog_json(&self) -> PathBuf {
        self.schema("catalog.json")
    }

    /// The filter file that the steps of a migration share.
    pub fn filters_ini(&self) -> PathBuf {
        self.schema("filters.ini")
    }

    /// Says of which run a step came to its end ("copy blobs").
    pub fn step_done(&self, command: &str) -> PathBuf {
        self.schema(&format!("{}.done", command.replace(' ', "-")))
    }

    /// `pg_dumpall --roles-only`.
    pub fn roles_sql(&self) -> PathBuf {
        self.schema("roles.sql")
    }

    /// `pg_restore --list` of the whole dump, as the tool printed it.
    pub fn pre_out_list(&self) -> PathBuf {
        self.schema("pre-out.list")
    }

    /// The list that pre-data is restored by.
    pub fn pre_filtered_list(&self) -> PathBuf {
        self.schema("pre-filtered.list")
    }

    /// `pg_restore --list` before post-data, as the tool printed it.
    pub fn post_out_list(&self) -> PathBuf {
        self.schema("post-out.list")
    }

    /// The list that post-data is restored by.
    pub fn post_filtered_list(&self) -> PathBuf {
        self.schema("post-filtered.list")
    }

    /// A file in `schema/`.
    pub fn schema(&self, name: &str) -> PathBuf {
        self.top.join("schema").join(name)
    }
}

/// The state database, below the work directory.
pub const STATE_DB: &str = "schema/source.db";

/// The end-of-run document, below the work directory.
pub const SUMMARY_JSON: &str = "summary.json";

/// Name of the file with the identifier of the snapshot that `pgcopydb snapshot` holds.
pub const SNAPSHOT_FILE: &str = "snapshot";

/// Reads a file, `None` when there is none.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == IoErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path, error).during("read")),
    }
}

/// Removes a file; that it is gone already is fine.
pub fn remove_optional(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != IoErrorKind::NotFound => {
            Err(Error::file(path, error).during("remove"))
        }
        _ => Ok(()),
    }
}

/// Creates a directory and its missing parents, all for us alone (mode 0700).
fn create_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| hint_writable(Error::file(path, error).during("create directory")))
}

/// Adds the advice that fits a work directory that cannot be written. A place that this user may not
/// write is a matter of the command line, unlike a full or broken disk.
fn hint_writable(error: Error) -> Error {
    use IoErrorKind::{
        AlreadyExists, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem,
    };
    let unfit = match error.kind() {
        ErrorKind::File { source, .. } => {
            matches!(
                source.kind(),
                AlreadyExists | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem
            )
        }
        _ => false,
    };
    let error = if unfit { Error::config(error.to_string()) } else { error };
    error.hint("Choose a directory that this user may write with --dir.")
}

/// Writes all bytes and makes them durable.
fn write_synced(file: &mut fs::File, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}
