//! Locks of the work directory.
//!
//! The kernel releases a lock when the last holder of the open file is gone, however it ended, so
//! a pid file left by a crash is simply taken over: no guessing from process numbers.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{hint_writable, write_synced};
use crate::base::error::{Error, Result};

/// What a process does in a work directory; each kind runs at most once there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `clone`, `follow` and the other commands that change something.
    Main,
    /// `snapshot`: holds a snapshot for others.
    Snapshot,
    /// `stream receive`.
    Receive,
    /// `stream apply`.
    Apply,
    /// `list schema`, which writes its document beside a run.
    List,
}

impl Service {
    /// File name of its pid file.
    fn file_name(self) -> &'static str {
        match self {
            Self::Main => "pgcopydb.pid",
            Self::Snapshot => "pgcopydb.snapshot.pid",
            Self::Receive => "pgcopydb.receive.pid",
            Self::Apply => "pgcopydb.apply.pid",
            Self::List => "pgcopydb.list.pid",
        }
    }
}

/// A locked pid file: three lines, pid, version, 0 (older releases kept a semaphore number there).
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    /// Holds the lock as long as it is open.
    file: File,
}

impl PidFile {
    /// Locks and writes the pid file of a service.
    ///
    /// # Errors
    /// `State` naming the pid of the process that holds it; `File` otherwise.
    pub(super) fn acquire(top: &Path, service: Service) -> Result<Self> {
        let path = top.join(service.file_name());
        let failed = |error| hint_writable(Error::file(&path, error).during("lock"));
        loop {
            let mut file = open_lock_file(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held_by_other(top, &path)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // The holder before us may have removed the name between our open and our lock: then
            // we hold a file that nobody else can find, and must start again with the new one.
            if !is_same_file(&file, &path).map_err(failed)? {
                continue;
            }
            let text = format!("{}\n{}\n0\n", std::process::id(), env!("CARGO_PKG_VERSION"));
            file.set_len(0)
                .and_then(|()| file.seek(SeekFrom::Start(0)))
                .and_then(|_| write_synced(&mut file, text.as_bytes()))
                .map_err(failed)?;
            return Ok(Self { path, file });
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // The name goes before the lock: whoever opens it afterwards makes a new file.
        if is_same_file(&self.file, &self.path).unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A lock that outlives us in our children.
///
/// Every `pg_dump` and `pg_restore` gets this file as its (empty) standard input, and with it the
/// lock. When we are killed with SIGKILL they run on, and the next run must not start a second
/// restore beside them: it finds the lock held.
#[derive(Debug)]
pub struct ChildrenLock {
    path: PathBuf,
    file: File,
}

impl ChildrenLock {
    /// Opens the lock file of a service without locking it. Each service has its own: one that starts
    /// beside another must not take that one's children for orphans.
    pub(super) fn open(top: &Path, service: Service) -> Result<Self> {
        let path = top.join(service.file_name()).with_extension("children");
        let file = open_lock_file(&path)
            .map_err(|error| hint_writable(Error::file(&path, error).during("open")))?;
        Ok(Self { path, file })
    }

    /// Path of the lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether children of an earlier, killed run are alive; takes the lock when not.
    ///
    /// # Errors
    /// `File` when the file system cannot lock.
    pub fn try_take(&self) -> Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(Error::file(&self.path, error).during("lock")),
        }
    }

    /// A handle for a child's standard input: shares the lock, reads as empty where the child's own
    /// position is at the end.
    pub fn handle(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| Error::file(&self.path, error).during("open"))
    }

    /// Remembers a child, so that a later run can end it.
    pub fn remember(&self, pid: u32) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::End(0))
            .and_then(|_| writeln!(file, "{pid}"))
            .map_err(|error| Error::file(&self.path, error).during("write"))
    }

    /// Forgets all children; call when none runs.
    pub fn forget_all(&self) -> Result<()> {
        self.file.set_len(0).map_err(|error| Error::file(&self.path, error).during("write"))
    }

    /// The children remembered, in the order of their start.
    pub fn remembered(&self) -> Result<Vec<u32>> {
        let mut text = String::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_string(&mut text))
            .map_err(|error| Error::file(&self.path, error).during("read"))?;
        Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }
}

/// Opens or creates a file to lock, mode 0600, its contents kept.
fn open_lock_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether an open file is still what its name leads to.
fn is_same_file(file: &File, path: &Path) -> std::io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The refusal of a second run.
fn held_by_other(top: &Path, path: &Path) -> Error {
    let holder = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()))
        .map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    Error::state(format!("work directory \"{}\" is in use by {holder}", top.display()))
        .hint("Wait for it to end, stop it, or give this run its own directory with --dir.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_run_is_refused_and_names_the_pid_that_holds_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let first = PidFile::acquire(directory.path(), Service::Main).unwrap();
        let error = PidFile::acquire(directory.path(), Service::Main).unwrap_err();
        let expected = format!("is in use by process {}", std::process::id());
        assert!(error.to_string().ends_with(&expected), "{error}");
        drop(first);
        PidFile::acquire(directory.path(), Service::Main).unwrap();
    }

    #[test]
    fn services_of_other_kinds_may_run_beside() {
        let directory = tempfile::tempdir().unwrap();
        let _main = PidFile::acquire(directory.path(), Service::Main).unwrap();
        PidFile::acquire(directory.path(), Service::Snapshot).unwrap();
    }

    #[test]
    fn file_of_a_crashed_run_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgcopydb.pid");
        fs::write(&path, "999999999\n0.18\n1234567\n").unwrap();
        let lock = PidFile::acquire(directory.path(), Service::Main).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next(), Some(std::process::id().to_string().as_str()));
        assert_eq!(text.lines().count(), 3);
        drop(lock);
        assert!(!path.exists());
    }

    #[test]
    fn a_child_keeps_the_lock_after_its_parent_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let ours = ChildrenLock::open(directory.path(), Service::Main).unwrap();
        assert!(ours.try_take().unwrap());
        let inherited = ours.handle().unwrap();
        ours.remember(42).unwrap();
        ours.remember(43).unwrap();
        drop(ours);
        let next = ChildrenLock::open(directory.path(), Service::Main).unwrap();
        assert!(!next.try_take().unwrap());
        assert_eq!(next.remembered().unwrap(), [42, 43]);
        let beside = ChildrenLock::open(directory.path(), Service::Snapshot).unwrap();
        assert!(beside.try_take().unwrap());
        drop(inherited);
        assert!(next.try_take().unwrap());
        next.forget_all().unwrap();
        assert!(next.remembered().unwrap().is_empty());
    }
}
