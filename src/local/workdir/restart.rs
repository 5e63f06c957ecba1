//! What `--restart` may remove: only what we ever write.

use std::fs;
use std::path::{Path, PathBuf};

use super::replace::TEMPORARY_SUFFIX;
use crate::base::error::{Error, Result};

/// How many foreign names a refusal lists.
const FOREIGN_NAMES_MAX: usize = 5;

/// A rule for one of our names.
enum Ours {
    /// A file of this name, also under its temporary name.
    File(&'static str),
    /// A file whose name ends so.
    Ending(&'static str),
    /// A directory of this name, with what it may hold.
    Directory(&'static str, &'static [Self]),
    /// Directories of any name, each laid out like the top.
    Databases,
}

/// The top directory. The pid files and the children's lock stay: they are held while this runs.
const TOP: &[Ours] = &[
    Ours::File("snapshot"),
    Ours::File("schema.json"),
    Ours::File("summary.json"),
    Ours::File("compare-data.json"),
    Ours::File("compare-schema.json"),
    Ours::Directory("schema", SCHEMA),
    Ours::Directory("cdc", CDC),
    Ours::Directory("compare", COMPARE),
    Ours::Directory("db", &[Ours::Databases]),
    Ours::Directory("roles", &[Ours::Directory("schema", SCHEMA), Ours::Directory("cdc", CDC)]),
];

/// Files of `schema/`, those of earlier releases included.
const SCHEMA: &[Ours] = &[
    Ours::Ending(".db"),
    Ours::Ending(".db-wal"),
    Ours::Ending(".db-shm"),
    Ours::Ending(".db-journal"),
    Ours::Ending(".dump"),
    Ours::Ending(".list"),
    Ours::Ending(".done"),
    Ours::Ending(".created"),
    Ours::File("roles.sql"),
    Ours::File("catalog.json"),
    Ours::File("filters.ini"),
];

/// Files of `cdc/`: segments, spools, and what earlier releases keep there.
const CDC: &[Ours] = &[
    Ours::Ending(".db"),
    Ours::Ending(".db-wal"),
    Ours::Ending(".db-shm"),
    Ours::Ending(".history"),
    Ours::Ending(".segment"),
    Ours::Ending(".spool"),
    Ours::Ending(".open"),
    Ours::Ending(".json"),
    Ours::Ending(".sql"),
    Ours::File("slot"),
    Ours::File("origin"),
    Ours::File("tli"),
    Ours::File("wal_segment_size"),
];

/// Files of `compare/`.
const COMPARE: &[Ours] = &[
    Ours::Ending(".json"),
    Ours::Directory(
        "schema",
        &[Ours::Directory("source", SCHEMA), Ours::Directory("target", SCHEMA)],
    ),
];

/// Removes every file of ours below a work directory.
///
/// # Errors
/// `State` when something else is there; nothing is removed then.
pub(super) fn remove_ours(top: &Path) -> Result<()> {
    let mut found = Found { top: top.to_owned(), ..Found::default() };
    found.collect(top, TOP)?;
    if !found.foreign.is_empty() {
        return Err(refusal(top, &found.foreign));
    }
    for file in &found.files {
        super::remove_optional(file)?;
    }
    // Collected parents first, so children are removed first in reverse.
    for directory in found.directories.iter().rev() {
        fs::remove_dir(directory)
            .map_err(|error| Error::file(directory, error).during("remove directory"))?;
    }
    Ok(())
}

/// What a work directory holds.
#[derive(Default)]
struct Found {
    top: PathBuf,
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    foreign: Vec<PathBuf>,
}

impl Found {
    /// Sorts the entries of a directory into ours and foreign ones. Symbolic links are foreign: we
    /// never make any, and following one would remove files elsewhere.
    fn collect(&mut self, directory: &Path, rules: &[Ours]) -> Result<()> {
        let failed = |error| Error::file(directory, error).during("list directory");
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            let name = entry.file_name();
            let name = name.to_str().unwrap_or("");
            if kind.is_dir() {
                match directory_rules(name, rules) {
                    Some(inner) => {
                        self.directories.push(path.clone());
                        self.collect(&path, inner)?;
                    }
                    None => self.foreign.push(path),
                }
            } else if kind.is_file() && is_lock_file(name) {
                // At the top they are held by this very run; below they are an earlier run's.
                if directory != self.top {
                    self.files.push(path);
                }
            } else if kind.is_file() && is_our_file(name, rules) {
                self.files.push(path);
            } else {
                self.foreign.push(path);
            }
        }
        Ok(())
    }
}

/// What a directory of this name may hold, `None` when it is not ours.
fn directory_rules(name: &str, rules: &[Ours]) -> Option<&'static [Ours]> {
    rules.iter().find_map(|rule| match rule {
        Ours::Directory(ours, inner) if *ours == name => Some(*inner),
        Ours::Databases => Some(TOP),
        _ => None,
    })
}

/// Whether a file of this name is ours, under its final or its temporary name.
fn is_our_file(name: &str, rules: &[Ours]) -> bool {
    let name = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
    rules.iter().any(|rule| match rule {
        Ours::File(ours) => *ours == name,
        Ours::Ending(ending) => name.ends_with(ending),
        Ours::Directory(..) | Ours::Databases => false,
    })
}

/// Whether this is one of the locks at the top.
fn is_lock_file(name: &str) -> bool {
    name.starts_with("pgcopydb.") && (name.ends_with(".pid") || name.ends_with(".children"))
}

/// The refusal to remove anything from a directory that holds foreign files.
fn refusal(top: &Path, foreign: &[PathBuf]) -> Error {
    let mut names: Vec<String> = foreign
        .iter()
        .map(|path| format!("\"{}\"", path.strip_prefix(top).unwrap_or(path).display()))
        .collect();
    names.sort();
    let more = names.len().saturating_sub(FOREIGN_NAMES_MAX);
    names.truncate(FOREIGN_NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Error::state(format!(
        "--restart would remove files that pgcopydb did not make from \"{}\": {}{more}",
        top.display(),
        names.join(", ")
    ))
    .hint("Move them away, or give this run its own directory with --dir.")
}

#[cfg(test)]
mod tests {
    use super::super::{Service, WorkDir};
    use super::*;

    #[test]
    fn restart_removes_ours_and_keeps_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("a").join("b");
        let work = WorkDir::open(&top, Service::Main).unwrap();
        for name in [
            "snapshot",
            "schema.json",
            "summary.json.tmp",
            "schema/source.db-wal",
            "schema/schema.dump",
            "schema/post-filtered.list",
            "cdc/00000001-00000000-01000000.segment",
        ] {
            fs::write(top.join(name), "x").unwrap();
        }
        fs::create_dir_all(top.join("db/some name/schema")).unwrap();
        fs::write(top.join("db/some name/pgcopydb.pid"), "1\n").unwrap();
        fs::write(top.join("db/some name/schema/source.db"), "x").unwrap();
        work.restart().unwrap();
        let mut left: Vec<_> =
            fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["cdc", "pgcopydb.children", "pgcopydb.pid", "schema"]);
        assert_eq!(fs::read_dir(top.join("schema")).unwrap().count(), 0);
        assert!(WorkDir::open(&top, Service::Main).is_err());
    }

    #[test]
    fn restart_refuses_a_directory_with_foreign_files_and_removes_nothing() {
        for foreign in ["thesis.txt", "schema/notes.md", "db/a/photo.jpg", "cdc/x/slot"] {
            let directory = tempfile::tempdir().unwrap();
            let top = directory.path();
            let work = WorkDir::open(top, Service::Main).unwrap();
            fs::write(top.join("snapshot"), "x").unwrap();
            let path = top.join(foreign);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "mine").unwrap();
            let error = work.restart().unwrap_err();
            let first = if foreign.starts_with("cdc/x") { "cdc/x" } else { foreign };
            assert!(error.to_string().contains(&format!("\"{first}\"")), "{error}");
            assert!(path.exists() && top.join("snapshot").exists(), "{foreign}");
        }
    }

    #[test]
    fn restart_follows_no_symbolic_link() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("source.db"), "x").unwrap();
        let work = WorkDir::open(directory.path(), Service::Main).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), directory.path().join("compare")).unwrap();
        assert!(work.restart().is_err());
        assert!(elsewhere.path().join("source.db").exists());
    }
}
