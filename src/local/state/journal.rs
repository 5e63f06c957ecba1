//! What the jobs did, mirrored for display.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, TransactionBehavior, params};

use super::{epoch_seconds, integer, milliseconds};
use crate::base::ident::QualifiedName;

/// What a job works on; 0 where a field does not apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct JobKey {
    /// Table, by its source oid.
    pub table_oid: u32,
    /// Part of the table, from 0.
    pub part_index: u32,
    /// Index, by its source oid.
    pub index_oid: u32,
    /// Constraint, by its source oid.
    pub constraint_oid: u32,
}

/// Something to write down.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A job begins.
    Started {
        /// What it works on.
        job: JobKey,
        /// What it does, for people ("COPY", the CREATE INDEX statement).
        command: Arc<str>,
        /// When.
        at: SystemTime,
    },
    /// How far a running job is.
    Moved {
        /// What it works on.
        job: JobKey,
        /// Payload bytes so far.
        bytes: u64,
        /// Rows so far.
        rows: u64,
    },
    /// A job ended well.
    Finished {
        /// What it worked on.
        job: JobKey,
        /// When.
        at: SystemTime,
        /// How long it took, retries included.
        elapsed: Duration,
        /// Payload bytes.
        bytes: u64,
        /// Rows.
        rows: u64,
    },
    /// A job failed for good.
    Failed {
        /// What it worked on.
        job: JobKey,
        /// One line, without secrets.
        message: Arc<str>,
    },
    /// A step of the run is over.
    Timing {
        /// What the end-of-run table calls it.
        label: Arc<str>,
        /// When it began.
        started: SystemTime,
        /// How long it took.
        elapsed: Duration,
        /// How many objects it handled.
        count: u64,
        /// Payload bytes.
        bytes: u64,
    },
}

/// A table to copy.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// Source oid.
    pub oid: u32,
    /// Name.
    pub name: QualifiedName,
    /// Estimated rows.
    pub row_estimate: Option<u64>,
    /// Bytes on the source's disk.
    pub bytes: u64,
    /// In how many parts it is copied; 0 when its rows are not.
    pub part_count: u32,
}

/// An index to build.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexRow {
    /// Source oid.
    pub oid: u32,
    /// Name.
    pub name: QualifiedName,
    /// Source oid of its table.
    pub table_oid: u32,
    /// Primary key.
    pub primary: bool,
    /// Unique.
    pub unique: bool,
    /// Bytes on the source's disk.
    pub bytes: u64,
    /// CREATE INDEX statement.
    pub definition: String,
}

/// Writes a batch of entries in one transaction.
pub(super) fn write(connection: &mut Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for entry in entries {
        write_entry(&transaction, entry)?;
    }
    transaction.commit()
}

/// Replaces the tables and indexes.
pub(super) fn set_catalog(
    connection: &mut Connection,
    tables: &[TableRow],
    indexes: &[IndexRow],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch("delete from s_table; delete from s_index;")?;
    {
        let mut insert = transaction.prepare(
            "insert into s_table(oid, qname, nspname, relname, reltuples, bytes, part_count, \
             exclude_data) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for table in tables {
            insert.execute(params![
                table.oid,
                table.name.to_string(),
                table.name.schema,
                table.name.name,
                table.row_estimate.map(integer),
                integer(table.bytes),
                table.part_count,
                table.part_count == 0,
            ])?;
        }
        let mut insert = transaction.prepare(
            "insert into s_index(oid, qname, nspname, relname, tableoid, isprimary, isunique, \
             bytes, sql) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for index in indexes {
            insert.execute(params![
                index.oid,
                index.name.to_string(),
                index.name.schema,
                index.name.name,
                index.table_oid,
                index.primary,
                index.unique,
                integer(index.bytes),
                index.definition,
            ])?;
        }
    }
    transaction.commit()
}

/// Writes one entry.
fn write_entry(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    // The parameters ?1 to ?4 of every statement about a job.
    const KEY: &str = "tableoid = ?1 and partnum = ?2 and indexoid = ?3 and conoid = ?4";
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql)?.execute(values).map(drop)
    };
    match entry {
        Entry::Started { job, command, at } => run(
            "insert into summary(tableoid, partnum, indexoid, conoid, pid, start_time_epoch, \
             command) values (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             on conflict (tableoid, partnum, indexoid, conoid) do update set \
             pid = excluded.pid, start_time_epoch = excluded.start_time_epoch, \
             done_time_epoch = null, duration = null, bytes = 0, rows = 0, error = null, \
             command = excluded.command",
            params![
                job.table_oid,
                job.part_index,
                job.index_oid,
                job.constraint_oid,
                std::process::id(),
                epoch_seconds(*at),
                &**command,
            ],
        ),
        Entry::Moved { job, bytes, rows } => run(
            &format!(
                "update summary set bytes = ?5, rows = ?6 where done_time_epoch is null and {KEY}"
            ),
            params![
                job.table_oid,
                job.part_index,
                job.index_oid,
                job.constraint_oid,
                integer(*bytes),
                integer(*rows),
            ],
        ),
        Entry::Finished { job, at, elapsed, bytes, rows } => run(
            &format!(
                "update summary set done_time_epoch = ?5, duration = ?6, bytes = ?7, rows = ?8, \
                 error = null where {KEY}"
            ),
            params![
                job.table_oid,
                job.part_index,
                job.index_oid,
                job.constraint_oid,
                epoch_seconds(*at),
                milliseconds(*elapsed),
                integer(*bytes),
                integer(*rows),
            ],
        ),
        Entry::Failed { job, message } => run(
            &format!("update summary set error = ?5 where {KEY}"),
            params![job.table_oid, job.part_index, job.index_oid, job.constraint_oid, &**message],
        ),
        Entry::Timing { label, started, elapsed, count, bytes } => {
            write_timing(connection, label, *started, *elapsed, (*count, *bytes))
        }
    }
}

/// Writes the time of a step, its objects and its bytes.
fn write_timing(
    connection: &Connection,
    label: &str,
    started: SystemTime,
    elapsed: Duration,
    (count, bytes): (u64, u64),
) -> rusqlite::Result<()> {
    let sql = "insert or replace into timings(label, start_time_epoch, done_time_epoch, duration, \
               duration_pretty, count, bytes, bytes_pretty) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let written = connection.prepare_cached(sql)?.execute(params![
        label,
        epoch_seconds(started),
        epoch_seconds(started + elapsed),
        milliseconds(elapsed),
        crate::base::units::ShortDuration(elapsed).to_string(),
        integer(count),
        integer(bytes),
        crate::base::units::ByteSize(bytes).to_string(),
    ]);
    written.map(drop)
}
