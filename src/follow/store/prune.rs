//! Removes what is applied.

use std::fs;
use std::path::Path;

use proto::lsn::Lsn;

use super::segment::{FileName, SegmentHeader, StoredFile, list};
use crate::base::error::{Error, Result};

/// What pruning removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// File names with their sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Whether files are removed or only named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// They are.
    Remove,
    /// They are not (`--dry-run`).
    DryRun,
}

/// Removes the files of a store that hold nothing after `applied`. The newest segment always stays: it
/// holds the position.
///
/// `applied` must be durable on the target: after a crash there, applying begins again from what its
/// disk holds. Safe beside a writer and a reader in any process.
///
/// # Errors
/// `File` when a file cannot be read or removed.
pub fn prune(dir: &Path, applied: Lsn, mode: Prune) -> Result<Pruned> {
    let files = list(dir)?;
    let segments: Vec<&StoredFile> =
        files.iter().filter(|file| matches!(file.name, FileName::Segment(_))).collect();
    let mut gone: Vec<&StoredFile> = Vec::new();
    for (file, next) in segments.iter().zip(segments.iter().skip(1)) {
        // Everything in a segment ends at or before the start of its successor.
        match SegmentHeader::read(&next.path)? {
            Some(header) if header.start <= applied => gone.push(file),
            _ => break,
        }
    }
    gone.extend(
        files.iter().filter(|file| matches!(file.name, FileName::Spool(end) if end <= applied)),
    );
    let mut pruned = Pruned::default();
    for file in gone {
        if mode == Prune::Remove {
            match fs::remove_file(&file.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(&file.path, error).during("remove"));
                }
                _ => {}
            }
        }
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        pruned.bytes += file.bytes;
        pruned.files.push((name, file.bytes));
    }
    Ok(pruned)
}
