//! `restore parse-list FILE`: what we understand of the output of `pg_restore --list`.

use std::fmt::Write as _;
use std::path::Path;

use crate::base::error::{Error, Result};
use crate::job::schema::toc::Toc;

/// Reads a list; one line per entry: dump id, `;`, catalog, object, description, name.
///
/// # Errors
/// `Config` when the file cannot be read or holds no entry at all.
pub fn run(path: &Path) -> Result<String> {
    let text = std::fs::read(path)
        .map_err(|error| Error::config(format!("file \"{}\": {error}", path.display())))?;
    let toc = Toc::parse(&text);
    let mut lines = String::new();
    for entry in toc.entries() {
        let object = entry.object;
        let _ = writeln!(
            lines,
            "{}; {} {} {}",
            entry.dump_id,
            object.catalog,
            object.oid,
            entry.display()
        );
    }
    if lines.is_empty() {
        return Err(Error::config(format!(
            "file \"{}\": expected the output of pg_restore --list, found no entry",
            path.display()
        )));
    }
    Ok(lines)
}
