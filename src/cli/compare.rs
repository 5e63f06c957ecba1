//! Runs `compare`: settings, signals, command, result.

use std::path::Path;

use super::args::{CompareArgs, CompareDataArgs};
use super::exit::Exit;
use super::program::Program;
use super::settings;
use crate::base::error::{Error, Result};
use crate::base::log::NOTICE;
use crate::command::compare;
use crate::local::workdir;
use crate::report::{self, compare_json, compare_text};

/// Runs `compare data`.
pub(super) fn data(args: &CompareDataArgs, program: &Program) -> Result<Exit> {
    let show_rows = args.show_rows.unwrap_or_default();
    let config =
        settings::resolve_compare(&args.compare, show_rows, program.json, &program.environment)?;
    let work = program.beside_display(async |_, stop| compare::data(&config, &stop).await);
    let outcome = Program::block_on(work)???;
    let json = compare_json::data(&outcome.tables)?;
    if let Some(directory) = &config.directory {
        write(directory, "compare-data.json", &json)?;
    }
    report::print(&if config.json { json } else { compare_text::data(&outcome.tables) })?;
    let differing = outcome.tables.iter().filter(|table| !table.is_same()).count();
    if let Some(error) = outcome.error {
        for table in outcome.tables.iter().filter(|table| table.error.is_some()) {
            let reason = table.error.as_deref().unwrap_or_default();
            tracing::error!(table = %table.name, "table could not be compared: {reason}");
        }
        return Ok(Exit::of_error(&error));
    }
    if differing == 0 {
        tracing::info!(tables = outcome.tables.len(), "source and target have the same rows");
        return Ok(Exit::Success);
    }
    for table in outcome.tables.iter().filter(|table| !table.is_same()) {
        tracing::error!("table {} differs", table.name);
    }
    if show_rows == 0 {
        tracing::info!("hint: Run it again with --show-rows 10 to see which rows differ.");
    }
    Ok(Exit::Difference)
}

/// Runs `compare schema`.
pub(super) fn schema(args: &CompareArgs, program: &Program) -> Result<Exit> {
    let config = settings::resolve_compare(args, 0, program.json, &program.environment)?;
    let work = program.beside_display(async |_, stop| compare::schema(&config, &stop).await);
    let found = Program::block_on(work)???;
    let json = compare_json::schema(&found)?;
    if let Some(directory) = &config.directory {
        write(directory, "compare-schema.json", &json)?;
    }
    report::print(&if config.json { json } else { compare_text::schema(&found) })?;
    for (kind, source, target) in &found.counts {
        tracing::info!(target: NOTICE, "{kind}: {source} on the source, {target} on the target");
    }
    if found.differences.is_empty() {
        tracing::info!("the schemas of source and target are the same");
        return Ok(Exit::Success);
    }
    tracing::error!(
        differences = found.differences.len(),
        "the schemas of source and target differ"
    );
    Ok(Exit::Difference)
}

/// Writes a result into the work directory.
fn write(directory: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| Error::file(directory, error))?;
    workdir::replace_file(&directory.join(name), text.as_bytes())
}
