//! Runs `compare`: settings, signals, command, result.

use std::path::Path;

use super::args::{CompareArgs, CompareDataArgs};
use super::exit::Exit;
use super::program::{Program, show_error};
use super::settings;
use crate::base::comparison::{SchemaComparison, TableComparison};
use crate::base::error::{Error, Result};
use crate::base::log::NOTICE;
use crate::base::stop::StopSignal;
use crate::command::compare::{self, DatabasePair};
use crate::config::CompareConfig;
use crate::local::workdir;
use crate::report::{self, compare_json, compare_text};

/// Runs `compare data`.
pub(super) fn data(args: &CompareDataArgs, program: &Program) -> Result<Exit> {
    let show_rows = args.show_rows.unwrap_or_default();
    let config =
        settings::resolve_compare(&args.compare, show_rows, program.json, &program.environment)?;
    let work = program.beside_display(async |_, stop| {
        Box::pin(each(&config, &stop, async |one, stop| compare::data(one, stop).await)).await
    });
    let found = Program::block_on(work)???;
    let mut errors: Vec<Error> = Vec::new();
    let mut tables: Vec<(DatabasePair, Vec<TableComparison>)> = Vec::new();
    for (pair, outcome) in found {
        match outcome {
            Some(Ok(outcome)) => {
                errors.extend(outcome.error);
                tables.push((pair, outcome.tables));
            }
            Some(Err(error)) => {
                errors.push(error.during(format!("database \"{}\"", pair.name)));
                tables.push((pair, Vec::new()));
            }
            None => tables.push((pair, Vec::new())),
        }
    }
    let json = match config.all_databases {
        true => compare_json::data_of_databases(
            tables.iter().map(|(pair, tables)| (pair.name.as_str(), pair.presence, &**tables)),
        )?,
        false => compare_json::data(tables.first().map_or(&[], |(_, tables)| tables))?,
    };
    let named = named(&config, &tables);
    let text = || {
        let missing: String = tables.iter().filter_map(|(pair, _)| missing(pair)).collect();
        compare_text::data(&named) + &missing
    };
    answer(&config, "compare-data.json", json, text)?;
    log_tables(&named, show_rows);
    let lacking = tables.iter().any(|(pair, _)| missing(pair).is_some());
    let differ = lacking || named.iter().any(|(_, table)| !table.is_same());
    Ok(conclude(&errors, differ, "source and target have the same rows"))
}

/// Runs `compare schema`.
pub(super) fn schema(args: &CompareArgs, program: &Program) -> Result<Exit> {
    let config = settings::resolve_compare(args, 0, program.json, &program.environment)?;
    let work = program.beside_display(async |_, stop| {
        Box::pin(each(&config, &stop, async |one, stop| compare::schema(one, stop).await)).await
    });
    let found = Program::block_on(work)???;
    let mut errors: Vec<Error> = Vec::new();
    let mut schemas: Vec<(DatabasePair, SchemaComparison)> = Vec::new();
    for (pair, outcome) in found {
        let mut schema = SchemaComparison::default();
        match outcome {
            Some(Ok(outcome)) => schema = outcome,
            Some(Err(error)) => errors.push(error.during(format!("database \"{}\"", pair.name))),
            None => {}
        }
        schema.differences.splice(0..0, pair.differences.iter().cloned());
        schemas.push((pair, schema));
    }
    let json = match config.all_databases {
        true => compare_json::schema_of_databases(
            schemas.iter().map(|(pair, found)| (pair.name.as_str(), pair.presence, found)),
        )?,
        false => compare_json::schema(schemas.first().map_or(&Default::default(), |(_, one)| one))?,
    };
    let text = || {
        let lines = schemas.iter().map(|(pair, found)| {
            let prefix =
                if config.all_databases { format!("{}: ", pair.name) } else { String::new() };
            missing(pair).unwrap_or_default() + &compare_text::schema(&prefix, found)
        });
        lines.collect()
    };
    answer(&config, "compare-schema.json", json, text)?;
    for (kind, source, target) in schemas.iter().flat_map(|(_, found)| &found.counts) {
        tracing::info!(target: NOTICE, "{kind}: {source} on the source, {target} on the target");
    }
    let differences: usize = schemas.iter().map(|(_, found)| found.differences.len()).sum();
    let lacking = schemas.iter().any(|(pair, _)| missing(pair).is_some());
    if differences > 0 || lacking {
        tracing::error!(differences, "the schemas of source and target differ");
    }
    let same = "the schemas of source and target are the same";
    Ok(conclude(&errors, lacking || differences > 0, same))
}

/// What was found in each database; nothing where only one side has it.
type Found<T> = Vec<(DatabasePair, Option<Result<T>>)>;

/// Compares one database, or all of them one after the other.
async fn each<T>(
    config: &CompareConfig,
    stop: &StopSignal,
    compare: impl AsyncFn(&CompareConfig, &StopSignal) -> Result<T>,
) -> Result<Found<T>> {
    if !config.all_databases {
        let found = Box::pin(compare(config, stop)).await?;
        return Ok(vec![(DatabasePair::single(config), Some(Ok(found)))]);
    }
    let mut all = Vec::new();
    for pair in compare::databases(config).await? {
        if !pair.presence.is_both() {
            all.push((pair, None));
            continue;
        }
        tracing::info!(database = pair.name, "comparing");
        let outcome = Box::pin(compare(&pair.config(config), stop)).await;
        if stop.is_stopping() {
            return Err(outcome.err().unwrap_or_else(Error::cancelled));
        }
        all.push((pair, Some(outcome)));
    }
    Ok(all)
}

/// Tables with the names that people see.
fn named<'a>(
    config: &CompareConfig,
    tables: &'a [(DatabasePair, Vec<TableComparison>)],
) -> Vec<(String, &'a TableComparison)> {
    let name = |pair: &DatabasePair, table: &TableComparison| match config.all_databases {
        true => format!("{}.{}", pair.name, table.name),
        false => table.name.to_string(),
    };
    let all = tables.iter().flat_map(|(pair, tables)| tables.iter().map(move |one| (pair, one)));
    all.map(|(pair, table)| (name(pair, table), table)).collect()
}

/// The line for a database that one side lacks.
fn missing(pair: &DatabasePair) -> Option<String> {
    (!pair.presence.is_both())
        .then(|| format!("database {}: {}\n", pair.name, pair.presence.words()))
}

/// Prints a result, and writes it into the work directory when there is one.
fn answer(
    config: &CompareConfig,
    file: &str,
    json: String,
    text: impl FnOnce() -> String,
) -> Result<()> {
    if let Some(directory) = &config.directory {
        write(directory, file, &json)?;
    }
    report::print(&if config.json { json } else { text() })
}

/// Writes a result into the work directory.
fn write(directory: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| Error::file(directory, error))?;
    workdir::replace_file(&directory.join(name), text.as_bytes())
}

/// Logs the tables that differ.
fn log_tables(tables: &[(String, &TableComparison)], show_rows: u32) {
    let differing = tables.iter().filter(|(_, table)| !table.is_same());
    let mut rows_differ = false;
    for (name, table) in differing {
        match &table.error {
            Some(error) => tracing::error!("table {name} could not be compared: {error}"),
            None => tracing::error!("table {name} differs"),
        }
        rows_differ |= table.source.is_some() && table.target.is_some();
    }
    if rows_differ && show_rows == 0 {
        tracing::info!("hint: Run it again with --show-rows 10 to see which rows differ.");
    }
}

/// The exit code: errors first, then differences.
fn conclude(errors: &[Error], differ: bool, same: &str) -> Exit {
    for error in errors {
        show_error(error);
    }
    match errors.first() {
        Some(error) => Exit::of_error(error),
        None if differ => Exit::Difference,
        None => {
            tracing::info!("{same}");
            Exit::Success
        }
    }
}
