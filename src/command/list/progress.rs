//! `list progress`: how far the run in a work directory is, read beside it without blocking it.

use std::path::Path;

use serde_json::{Value, json};

use crate::base::error::{Error, Result};
use crate::base::listing::{Heading, Listing};
use crate::base::units::{ByteSize, Count};
use crate::command::all_databases;
use crate::local::state::{Progress, RunState, RunningJob, read_progress};
use crate::local::workdir::{self, STATE_DB, SUMMARY_JSON};

/// Headings of the text form.
const HEADINGS: [Heading; 4] = [
    Heading::wide("", 12),
    Heading::wide("Total Count", 12),
    Heading::wide("In Progress", 12),
    Heading::wide("Done", 12),
];

/// Reads how far the run in a work directory is, or was when it ended; of a run over all databases, their
/// sum. What one of them holds is known, and counted, once its copy has begun.
///
/// # Errors
/// `State` when no run has begun there.
pub fn read(directory: &Path) -> Result<Listing> {
    let databases = all_databases::sub_directories(directory)?;
    if databases.is_empty() {
        let one = read_progress(&directory.join(STATE_DB))?;
        return Ok(listing(&[(None, one)]));
    }
    let mut all = Vec::new();
    for (name, directory) in databases {
        let path = directory.join(STATE_DB);
        let progress = if path.exists() { read_progress(&path)? } else { Progress::default() };
        all.push((Some(name), progress));
    }
    Ok(listing(&all))
}

/// Reads the summary that the run in a work directory left: the text of `summary.json`.
///
/// # Errors
/// `State` when no run has ended there.
pub fn summary(directory: &Path) -> Result<String> {
    let path = directory.join(SUMMARY_JSON);
    let bytes = workdir::read_optional(&path)?.ok_or_else(|| {
        Error::state(format!("there is no summary of a run in \"{}\"", directory.display()))
            .hint("Name the work directory of the run with --dir; a run writes it when it ends.")
    })?;
    String::from_utf8(bytes)
        .map_err(|_| Error::state(format!("\"{}\" is no UTF-8 text", path.display())))
}

/// A job that runs, and its database in a run over all of them.
type Running<'a> = (Option<&'a str>, &'a RunningJob);

/// The progress as rows and as a document; of a run over all databases with a name each.
fn listing(all: &[(Option<String>, Progress)]) -> Listing {
    let sum = |of: fn(&Progress) -> u64| all.iter().map(|(_, progress)| of(progress)).sum::<u64>();
    let running = all.iter().flat_map(|(database, progress)| {
        progress.running.iter().map(move |job| (database.as_deref(), job))
    });
    let (indexes, others): (Vec<Running<'_>>, Vec<Running<'_>>) =
        running.partition(|(_, job)| job.job.index_oid != 0);
    let tables: Vec<Running<'_>> =
        others.into_iter().filter(|(_, job)| job.job.table_oid != 0).collect();
    let tables_sum = (sum(|one| one.tables_total), sum(|one| one.tables_done));
    let indexes_sum = (sum(|one| one.indexes_total), sum(|one| one.indexes_done));
    let total = sum(|one| one.bytes_total);
    let done = sum(|one| one.bytes_done);
    let in_progress = sum(|one| one.bytes_in_progress);
    let bytes = |number: u64| ByteSize(number).to_string();
    let mut rows = vec![
        row("Tables", tables_sum, tables.len()),
        row("Indexes", indexes_sum, indexes.len()),
        vec!["Bytes".to_owned(), bytes(total), bytes(in_progress), bytes(done)],
    ];
    let mut document = json!({
        "tables": {
            "total": tables_sum.0,
            "done": tables_sum.1,
            "in-progress": tables.iter().map(table_json).collect::<Vec<_>>(),
        },
        "indexes": {
            "total": indexes_sum.0,
            "done": indexes_sum.1,
            "in-progress": indexes.iter().map(index_json).collect::<Vec<_>>(),
        },
        "bytes": {
            "total": total,
            "done": done,
            "in-progress": in_progress,
            "total-pretty": bytes(total),
            "done-pretty": bytes(done),
            "in-progress-pretty": bytes(in_progress),
        },
    });
    let names = |state: RunState| -> Vec<&str> {
        let found = all.iter().filter(|(_, progress)| progress.state == state);
        found.filter_map(|(name, _)| name.as_deref()).collect()
    };
    if all.iter().any(|(name, _)| name.is_some()) {
        let (begun, done) = (names(RunState::Begun), names(RunState::Finished).len());
        let (total, done) = (all.len() as u64, done as u64);
        rows.insert(0, row("Databases", (total, done), begun.len()));
        document["databases"] = json!({ "total": total, "done": done, "in-progress": begun });
    }
    Listing { headings: &HEADINGS, rows, json: document }
}

/// A row of numbers: all and done, and how many are in progress.
fn row(name: &str, (total, done): (u64, u64), running: usize) -> Vec<String> {
    let cells = [total, running as u64, done].map(|number| Count(number).to_string());
    std::iter::once(name.to_owned()).chain(cells).collect()
}

/// A table that is being worked on.
fn table_json((database, job): &Running<'_>) -> Value {
    let document = json!({
        "oid": job.job.table_oid,
        "schema": job.table.schema,
        "name": job.table.name,
        "qname": job.name,
        "reltuples": job.table_rows,
        "bytes": job.table_bytes,
        "bytes-pretty": ByteSize(job.table_bytes).to_string(),
        "part": { "number": job.job.part_index + 1, "total": job.part_count },
        "command": job.command,
        "process": process_json(job),
    });
    with_database(*database, document)
}

/// An index that is being built.
fn index_json((database, job): &Running<'_>) -> Value {
    let document = json!({
        "oid": job.job.index_oid,
        "qname": job.name,
        "sql": job.command,
        "table": { "oid": job.job.table_oid, "schema": job.table.schema, "name": job.table.name },
        "process": process_json(job),
    });
    with_database(*database, document)
}

/// An entry with the name of its database, in a run over all of them.
fn with_database(database: Option<&str>, mut entry: Value) -> Value {
    if let Some(database) = database {
        entry["database"] = database.into();
    }
    entry
}

/// `process` of a running job.
fn process_json(job: &RunningJob) -> Value {
    let started = jiff::Timestamp::from_second(job.started_at)
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S%z").to_string())
        .ok();
    json!({
        "pid": job.pid,
        "start-time-epoch": job.started_at,
        "start-time-string": started,
        "network": { "bytes": job.bytes, "bytes-pretty": ByteSize(job.bytes).to_string() },
    })
}
