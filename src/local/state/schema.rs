//! The tables of the state database and how they came to be.
//!
//! Names and columns follow what people know from the tool of that name, so that their queries go
//! on working: `setup`, `timings`, `summary`, `process`, `s_table`, `s_index`, `command_log`. The
//! table `run` is ours.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::failed;
use crate::base::error::{Error, Result};

/// How long to wait for a lock that another process holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `application_id` of our files: "pgcp" in ASCII.
const APPLICATION_ID: i32 = 0x7067_6370;

/// The newest version of the tables that we know.
const VERSION: u32 = 2;

/// One step per version; `user_version` counts the steps applied.
const MIGRATIONS: [&str; VERSION as usize] = [VERSION_1, VERSION_2];

/// Version 1: the run, the plan's objects, the journal.
const VERSION_1: &str = "
create table setup(
    id integer primary key check (id = 1),
    source_pg_uri text, target_pg_uri text, snapshot text,
    split_tables_larger_than text, split_max_parts integer, filters text
);
create table run(
    id integer primary key check (id = 1),
    run_id text not null, epoch integer not null,
    source_system_identifier text not null, source_database_oid integer not null,
    source_database text not null, source_uri text not null,
    target_system_identifier text not null, target_database_oid integer not null,
    target_database text not null, target_uri text not null,
    options text not null, snapshot text,
    created_at integer not null, finished_at integer
);
create table command_log(
    id integer primary key, started_at integer not null, cmdline text not null,
    epoch integer not null
);
create table s_table(
    oid integer primary key, qname text not null, nspname text not null, relname text not null,
    reltuples integer, bytes integer not null, part_count integer not null,
    exclude_data integer not null
);
create table s_index(
    oid integer primary key, qname text not null, nspname text not null, relname text not null,
    tableoid integer not null, isprimary integer not null, isunique integer not null,
    bytes integer not null, sql text not null
);
create table process(
    pid integer not null, ps_type text not null, ps_title text not null,
    tableoid integer not null, partnum integer not null, indexoid integer not null
);
create table summary(
    pid integer not null,
    tableoid integer not null, partnum integer not null, indexoid integer not null,
    conoid integer not null,
    start_time_epoch integer not null, done_time_epoch integer, duration integer,
    bytes integer not null default 0, rows integer not null default 0,
    command text not null, error text,
    unique(tableoid, partnum, indexoid, conoid)
);
create table timings(
    id integer primary key, label text not null unique,
    start_time_epoch integer, done_time_epoch integer, duration integer,
    duration_pretty text, count integer, bytes integer, bytes_pretty text
);
";

/// Version 2: change data capture. Positions are text of type `pg_lsn`.
const VERSION_2: &str = "
create table sentinel(
    id integer primary key check (id = 1),
    startpos text not null, endpos text not null, apply integer not null,
    write_lsn text not null, flush_lsn text not null, replay_lsn text not null
);
create table replication_slot(
    id integer primary key check (id = 1),
    slot_name text not null, lsn text not null, snapshot text, plugin text not null,
    publications text not null, publications_are_ours integer not null,
    origin text not null, system_identifier text not null, timeline integer not null,
    database text not null
);
";

/// Opens the database for writing, creates or upgrades its tables.
///
/// # Errors
/// `State` when it is of a newer version or not ours; `File` when it cannot be opened.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let fail = |error: rusqlite::Error| failed(path, &error);
    let mut connection = Connection::open(path).map_err(|error| cannot_open(path, &error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    let version: u32 = pragma(&connection, "user_version").map_err(fail)?;
    let tables: u32 = connection
        .query_row("select count(*) from sqlite_schema", [], |row| row.get(0))
        .map_err(fail)?;
    let application: i32 = pragma(&connection, "application_id").map_err(fail)?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(not_ours(path));
    }
    if version > VERSION {
        return Err(too_new(path, version));
    }
    // WAL lets others read while we write. FULL: what says whose run this is survives a power cut.
    connection
        .execute_batch("pragma journal_mode = wal; pragma synchronous = full;")
        .map_err(fail)?;
    // The usual case, and one that must not wait for another process that writes.
    if version == VERSION {
        return Ok(connection);
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    for step in MIGRATIONS.iter().skip(version as usize) {
        transaction.execute_batch(step).map_err(fail)?;
    }
    transaction.pragma_update(None, "user_version", VERSION).map_err(fail)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    Ok(connection)
}

/// Opens the database for reading beside a running process.
///
/// # Errors
/// `State` when there is none or it is not ours; `File` when it cannot be opened.
pub(super) fn open_read_only(path: &Path) -> Result<Connection> {
    if !path.exists() {
        return Err(no_state(path));
    }
    // Not SQLITE_OPEN_READ_ONLY: a reader of a WAL database must be able to make its index file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, &error))?;
    let fail = |error: rusqlite::Error| failed(path, &error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.execute_batch("pragma query_only = on").map_err(fail)?;
    let application: i32 = pragma(&connection, "application_id").map_err(fail)?;
    let version: u32 = pragma(&connection, "user_version").map_err(fail)?;
    match version {
        // Made a moment ago, its tables are not there yet.
        0 if application == 0 => Err(no_state(path)),
        _ if application != APPLICATION_ID => Err(not_ours(path)),
        _ if version > VERSION => Err(too_new(path, version)),
        _ => Ok(connection),
    }
}

/// Reads one value of a pragma.
fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// The error for a work directory in which nothing was begun.
fn no_state(path: &Path) -> Error {
    Error::state(format!("there is no state of a run in \"{}\"", path.display()))
        .hint("Name the work directory of the run with --dir.")
}

/// The error for a file that SQLite cannot open.
fn cannot_open(path: &Path, error: &rusqlite::Error) -> Error {
    Error::file(path, std::io::Error::other(error.to_string()))
        .during("open the state database")
        .hint("Choose a directory that this user may write with --dir.")
}

/// The error for a database that another program made.
fn not_ours(path: &Path) -> Error {
    Error::state(format!("\"{}\" was not written by this program", path.display()))
        .hint("Give this run its own directory with --dir, or start over with --restart.")
}

/// The error for a database that a newer version of us made.
fn too_new(path: &Path, version: u32) -> Error {
    Error::state(format!(
        "\"{}\" has state version {version}, this program knows versions up to {}",
        path.display(),
        VERSION
    ))
    .hint("Continue with the version of pgcopydb that began the run, or use --restart.")
}
