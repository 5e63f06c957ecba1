//! `pg_dump` of the schema, and `pg_restore --list` of what it wrote.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::restore::Section;
use super::toc::Toc;
use super::{Endpoint, Surroundings};
use crate::base::error::{Error, Result};
use crate::base::ident::quote_identifier;
use crate::local::child::pgtools::Tool;
use crate::local::workdir::{sync_directory, temporary_name};

/// What to dump.
#[derive(Debug, Clone)]
pub struct Dump<'a> {
    /// `pg_dump`.
    pub tool: &'a Tool,
    /// The source.
    pub source: &'a Endpoint,
    /// Encoding of the archive, as the servers call it: see [`archive_encoding`].
    pub encoding: &'static str,
    /// Exported snapshot to read under, so that schema and data agree.
    pub snapshot: Option<&'a str>,
    /// Only these schemas, by exact name; empty is all of them.
    pub schemas: &'a [String],
    /// Not these schemas, by exact name.
    pub exclude_schemas: &'a [String],
    /// Leave large objects out: others create them, with their owners and privileges. Before
    /// version 17 `pg_dump` writes one entry for each.
    pub no_large_objects: bool,
    /// How long to wait for a lock on a table; `pg_dump` locks every one in ACCESS SHARE mode.
    pub lock_wait_timeout: Duration,
}

/// The encoding of an archive, by that of the source.
///
/// What we read ourselves is text of one encoding. Of a source in SQL_ASCII the bytes are kept as they
/// are: converted to UTF8 the whole dump would fail at a comment that is none, without its name, where a
/// restore into UTF8 names the entry and one into SQL_ASCII takes it.
pub fn archive_encoding(source: &str) -> &'static str {
    if source == "SQL_ASCII" { "SQL_ASCII" } else { "UTF8" }
}

/// Dumps pre-data and post-data into an archive in custom format.
///
/// The file appears under its name only when it is complete.
///
/// # Errors
/// `Child` with what `pg_dump` says; `Cancelled`; `File` when the archive cannot be written.
pub async fn dump(
    what: &Dump<'_>,
    archive: &Path,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<()> {
    let temporary = temporary_name(archive);
    let mut command = surroundings
        .command_to(what.tool, what.source)
        .argument("--format=custom")
        .argument("--section=pre-data")
        .argument("--section=post-data")
        .argument(format!("--encoding={}", what.encoding))
        .argument(format!("--lock-wait-timeout={}", what.lock_wait_timeout.as_millis()))
        .argument_if(what.no_large_objects, "--no-blobs");
    if let Some(snapshot) = what.snapshot {
        command = command.argument(format!("--snapshot={snapshot}"));
    }
    for schema in what.schemas {
        command = command.argument(format!("--schema={}", pattern(schema)));
    }
    for schema in what.exclude_schemas {
        command = command.argument(format!("--exclude-schema={}", pattern(schema)));
    }
    let dumped = command.argument("--file").argument(&temporary).run(cancel).await;
    let output = match dumped {
        Ok(output) => output,
        Err(error) => {
            // Best effort: the error that matters is the one that we return.
            let _ = fs::remove_file(&temporary);
            return Err(error.during("dump the schema"));
        }
    };
    fs::rename(&temporary, archive).map_err(|error| Error::file(archive, error).during("write"))?;
    sync_directory(archive.parent().unwrap_or(Path::new(".")))?;
    tracing::info!(
        tool = %what.tool.version,
        elapsed_ms = output.elapsed.as_millis(),
        warning_count = output.warning_count,
        "dumped the schema"
    );
    Ok(())
}

/// Writes the list of an archive's objects to a file and returns it. Bytes, not text: names are in
/// the source's encoding.
///
/// # Errors
/// `Child` when `pg_restore` cannot read the archive; `File`.
pub async fn list(
    tool: &Tool,
    archive: &Path,
    list: &Path,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Vec<u8>> {
    let output = surroundings
        .command(tool)
        .argument("--list")
        // With the dependencies, which tell what belongs to what.
        .argument("--verbose")
        .argument(archive)
        .run(cancel)
        .await
        .map_err(|error| error.during("list the schema's objects"))?;
    crate::local::workdir::replace_file(list, &output.stdout)?;
    Ok(output.stdout)
}

/// The entries of an archive that make up a section, by dump id.
///
/// Comments, privileges and security labels belong to the section of the entry that they follow in the
/// archive. `pg_restore --section` goes by the entry that they follow in the edited list, where that
/// entry may be missing; so the unedited archive is asked, and the list alone says what is restored.
///
/// # Errors
/// `Child` when `pg_restore` cannot read the archive.
pub async fn section_entries(
    tool: &Tool,
    archive: &Path,
    section: Section,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<HashSet<u32>> {
    let output = surroundings
        .command(tool)
        .argument("--list")
        .argument(format!("--section={}", section.name()))
        .argument(archive)
        .run(cancel)
        .await
        .map_err(|error| error.during("list a section's objects"))?;
    Ok(Toc::parse(&output.stdout).entries().map(|entry| entry.dump_id).collect())
}

/// The pattern of `pg_dump` that matches exactly one name: inside double quotes nothing is special.
fn pattern(name: &str) -> String {
    quote_identifier(name)
}
