//! How far a run is, read from its state database while it works or after it ended.

use std::path::Path;

use rusqlite::Connection;

use super::{JobKey, failed, schema};
use crate::base::error::Result;
use crate::base::ident::QualifiedName;

/// Whether a run has begun, and whether it is complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunState {
    /// Nothing was begun.
    #[default]
    Waiting,
    /// Begun, and at work or interrupted.
    Begun,
    /// Complete.
    Finished,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where the run stands as a whole.
    pub state: RunState,
    /// Tables whose rows are copied.
    pub tables_total: u64,
    /// Tables of which every part is copied.
    pub tables_done: u64,
    /// Indexes to build.
    pub indexes_total: u64,
    /// Indexes built.
    pub indexes_done: u64,
    /// Bytes of all tables on the source's disk.
    pub bytes_total: u64,
    /// Bytes of the finished tables on the source's disk.
    pub bytes_done: u64,
    /// Payload bytes that the running copies have moved.
    pub bytes_in_progress: u64,
    /// What is running, or was when the run ended; longest running first.
    pub running: Vec<RunningJob>,
}

/// A job that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningJob {
    /// What it works on.
    pub job: JobKey,
    /// The table's or the index's name for people; empty for other jobs.
    pub name: String,
    /// The table.
    pub table: QualifiedName,
    /// Bytes of the table on the source's disk.
    pub table_bytes: u64,
    /// Estimated rows of the table.
    pub table_rows: Option<u64>,
    /// In how many parts it is copied.
    pub part_count: u32,
    /// What it does.
    pub command: String,
    /// Process id of the run.
    pub pid: u32,
    /// When it began, in seconds since 1970.
    pub started_at: i64,
    /// Payload bytes so far.
    pub bytes: u64,
    /// Rows so far.
    pub rows: u64,
}

/// Reads the progress of a run from its database; works beside the run, never blocks it.
///
/// # Errors
/// `State` when there is no run.
pub fn read_progress(path: &Path) -> Result<Progress> {
    let mut connection = schema::open_read_only(path)?;
    read(&mut connection).map_err(|error| failed(path, &error))
}

/// Reads everything in one transaction, so that the numbers agree.
fn read(connection: &mut Connection) -> rusqlite::Result<Progress> {
    let transaction = connection.transaction()?;
    let mut progress = Progress::default();
    let sql = "select (select finished_at is not null from run)";
    progress.state = match transaction.query_row(sql, [], |row| row.get(0))? {
        None => RunState::Waiting,
        Some(false) => RunState::Begun,
        Some(true) => RunState::Finished,
    };
    let sql = "with done as (select tableoid, count(*) as parts from summary \
               where indexoid = 0 and conoid = 0 and done_time_epoch is not null group by 1) \
               select count(*), count(*) filter (where d.parts >= t.part_count), \
               coalesce(sum(t.bytes), 0), \
               coalesce(sum(t.bytes) filter (where d.parts >= t.part_count), 0) \
               from s_table t left join done d on d.tableoid = t.oid where t.part_count > 0";
    transaction.query_row(sql, [], |row| {
        progress.tables_total = count(row, 0)?;
        progress.tables_done = count(row, 1)?;
        progress.bytes_total = count(row, 2)?;
        progress.bytes_done = count(row, 3)?;
        Ok(())
    })?;
    let sql = "select count(*), count(*) filter (where s.done_time_epoch is not null) \
               from s_index i left join summary s on s.indexoid = i.oid and s.conoid = 0";
    transaction.query_row(sql, [], |row| {
        progress.indexes_total = count(row, 0)?;
        progress.indexes_done = count(row, 1)?;
        Ok(())
    })?;
    let sql = "select s.tableoid, s.partnum, s.indexoid, s.conoid, \
               coalesce(i.qname, t.qname, ''), s.command, s.pid, s.start_time_epoch, s.bytes, \
               s.rows, coalesce(t.nspname, ''), coalesce(t.relname, ''), coalesce(t.bytes, 0), \
               t.reltuples, coalesce(t.part_count, 0) \
               from summary s left join s_index i on i.oid = s.indexoid \
               left join s_table t on t.oid = case when s.tableoid <> 0 then s.tableoid \
               else i.tableoid end \
               where s.done_time_epoch is null and s.error is null \
               order by s.start_time_epoch, s.tableoid, s.partnum, s.indexoid, s.conoid";
    let mut statement = transaction.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(RunningJob {
            job: JobKey {
                table_oid: row.get(0)?,
                part_index: row.get(1)?,
                index_oid: row.get(2)?,
                constraint_oid: row.get(3)?,
            },
            name: row.get(4)?,
            command: row.get(5)?,
            pid: row.get(6)?,
            started_at: row.get(7)?,
            bytes: count(row, 8)?,
            rows: count(row, 9)?,
            table: QualifiedName::new(row.get::<_, String>(10)?, row.get::<_, String>(11)?),
            table_bytes: count(row, 12)?,
            table_rows: row.get::<_, Option<i64>>(13)?.map(|rows| u64::try_from(rows).unwrap_or(0)),
            part_count: row.get(14)?,
        })
    })?;
    progress.running = rows.collect::<rusqlite::Result<_>>()?;
    progress.bytes_in_progress = progress.running.iter().map(|job| job.bytes).sum();
    Ok(progress)
}

/// Reads a column that holds a count: SQLite's integers are signed.
fn count(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get(index).map(|value: i64| u64::try_from(value).unwrap_or(0))
}
