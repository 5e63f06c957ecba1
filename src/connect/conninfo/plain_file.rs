//! Small files with settings and secrets, read whole: the password file and service files.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

use zeroize::Zeroizing;

/// Longest file that is read, in bytes. libpq has no such limit; 100 000 lines of a password file
/// with 100 characters each are 10 MB, and what is longer is no file of this kind.
pub(super) const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the file system says about a plain file; symbolic links are followed.
///
/// # Errors
/// Those of `stat`; `InvalidInput` for a directory, a device, a pipe or a socket: opening or reading
/// those may wait, or go on, for ever.
pub(super) fn inspect(path: &Path) -> Result<Metadata> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_file() {
        Ok(metadata)
    } else {
        Err(Error::new(ErrorKind::InvalidInput, "it is not a plain file"))
    }
}

/// Reads a plain file. The bytes are wiped when dropped.
///
/// # Errors
/// Those of [`inspect`] and of reading; `FileTooLarge` for more than [`FILE_BYTES_MAX`].
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let expected = inspect(path)?.len().min(FILE_BYTES_MAX);
    // Room for one byte more than expected: a buffer that moves would leave copies behind.
    let room = usize::try_from(expected).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    // The length read counts, not the one announced: a file may grow meanwhile.
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= FILE_BYTES_MAX) {
        Ok(bytes)
    } else {
        let text = format!("it is longer than {} MiB", FILE_BYTES_MAX / 1024 / 1024);
        Err(Error::new(ErrorKind::FileTooLarge, text))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_plain_file_is_refused_unopened() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        // Opening a pipe that nobody writes to would wait for ever.
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [dir.path(), &socket, &pipe, &link, Path::new("/dev/zero")] {
            let error = read(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}: {error}", path.display());
        }
        assert_eq!(read(&dir.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn longest_file_is_read_and_one_byte_more_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let file = File::create(&path).unwrap();
        for (length, accepted) in
            [(0, true), (FILE_BYTES_MAX, true), (FILE_BYTES_MAX + 1, false), (1 << 33, false)]
        {
            file.set_len(length).unwrap();
            match read(&link) {
                Ok(bytes) => assert!(accepted && bytes.len() as u64 == length, "{length}"),
                Err(error) => {
                    assert!(!accepted && error.kind() == ErrorKind::FileTooLarge, "{error}");
                }
            }
        }
    }
}
