//! Atomic replacement of files: a reader, or we after a crash, sees the old contents or the new.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::write_synced;
use crate::base::error::{Error, Result};

/// Ending of the names under which files are written before they are renamed.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Replaces a file's contents: temporary name, sync, rename, sync of the directory. Mode 0600.
///
/// # Errors
/// `File` naming the final path; the old contents are untouched then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_name(path);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| write_synced(&mut file, bytes))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: the error that matters is the one that we return.
        let _ = fs::remove_file(&temporary);
        return Err(Error::file(path, error).during("write"));
    }
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// The name under which a file is written before it is renamed: in the same directory, because a
/// rename is atomic only within one file system.
pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name: OsString = path.file_name().unwrap_or_default().to_owned();
    name.push(TEMPORARY_SUFFIX);
    path.with_file_name(name)
}

/// Makes renames in a directory durable.
pub fn sync_directory(directory: &Path) -> Result<()> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::file(directory, error).during("sync directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_file_has_the_new_contents_and_no_leftovers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("summary.json");
        replace_file(&path, b"old, and longer").unwrap();
        replace_file(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn failed_replacement_keeps_the_old_contents() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        replace_file(&path, b"old").unwrap();
        // A directory in the way of the temporary name makes the write fail for root, too.
        fs::create_dir(temporary_name(&path)).unwrap();
        let error = replace_file(&path, b"new").unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
