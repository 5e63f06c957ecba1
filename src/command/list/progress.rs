//! `list progress`: how far the run in a work directory is, read beside it without blocking it.

use std::path::Path;

use serde_json::{Value, json};

use crate::base::error::{Error, Result};
use crate::base::listing::{Heading, Listing};
use crate::base::units::{ByteSize, Count};
use crate::command::all_databases;
use crate::local::state::{Progress, RunningJob, read_progress};
use crate::local::workdir::{self, STATE_DB, SUMMARY_JSON};

/// Headings of the text form.
const HEADINGS: [Heading; 4] = [
    Heading::wide("", 12),
    Heading::wide("Total Count", 12),
    Heading::wide("In Progress", 12),
    Heading::wide("Done", 12),
];

/// Reads how far the run in a work directory is, or was when it ended; of a run over all databases, the
/// sum of those that have begun.
///
/// # Errors
/// `State` when no run has begun there.
pub fn read(directory: &Path) -> Result<Listing> {
    let databases = all_databases::sub_directories(directory)?;
    if databases.is_empty() {
        return Ok(listing(&read_progress(&directory.join(STATE_DB))?));
    }
    let mut sum = Progress::default();
    for (_, directory) in databases.iter().filter(|(_, path)| path.join(STATE_DB).exists()) {
        let mut one = read_progress(&directory.join(STATE_DB))?;
        sum.tables_total += one.tables_total;
        sum.tables_done += one.tables_done;
        sum.indexes_total += one.indexes_total;
        sum.indexes_done += one.indexes_done;
        sum.bytes_total += one.bytes_total;
        sum.bytes_done += one.bytes_done;
        sum.bytes_in_progress += one.bytes_in_progress;
        sum.running.append(&mut one.running);
    }
    Ok(listing(&sum))
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

/// The progress as rows and as a document.
fn listing(progress: &Progress) -> Listing {
    let (indexes, tables): (Vec<&RunningJob>, Vec<&RunningJob>) =
        progress.running.iter().partition(|job| job.job.index_oid != 0);
    let count = |number: u64| Count(number).to_string();
    let bytes = |number: u64| ByteSize(number).to_string();
    let row = |name: &str, cells: [String; 3]| {
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<String>>()
    };
    let running = |jobs: &[&RunningJob]| count(jobs.len() as u64);
    let tables: Vec<&RunningJob> =
        tables.into_iter().filter(|job| job.job.table_oid != 0).collect();
    Listing {
        headings: &HEADINGS,
        rows: vec![
            row(
                "Tables",
                [count(progress.tables_total), running(&tables), count(progress.tables_done)],
            ),
            row(
                "Indexes",
                [count(progress.indexes_total), running(&indexes), count(progress.indexes_done)],
            ),
            row(
                "Bytes",
                [
                    bytes(progress.bytes_total),
                    bytes(progress.bytes_in_progress),
                    bytes(progress.bytes_done),
                ],
            ),
        ],
        json: json!({
            "tables": {
                "total": progress.tables_total,
                "done": progress.tables_done,
                "in-progress": tables.iter().map(|job| table_json(job)).collect::<Vec<_>>(),
            },
            "indexes": {
                "total": progress.indexes_total,
                "done": progress.indexes_done,
                "in-progress": indexes.iter().map(|job| index_json(job)).collect::<Vec<_>>(),
            },
            "bytes": {
                "total": progress.bytes_total,
                "done": progress.bytes_done,
                "in-progress": progress.bytes_in_progress,
                "total-pretty": bytes(progress.bytes_total),
                "done-pretty": bytes(progress.bytes_done),
                "in-progress-pretty": bytes(progress.bytes_in_progress),
            },
        }),
    }
}

/// A table that is being worked on.
fn table_json(job: &RunningJob) -> Value {
    json!({
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
    })
}

/// An index that is being built.
fn index_json(job: &RunningJob) -> Value {
    json!({
        "oid": job.job.index_oid,
        "qname": job.name,
        "sql": job.command,
        "table": { "oid": job.job.table_oid, "schema": job.table.schema, "name": job.table.name },
        "process": process_json(job),
    })
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
