//! COPY of one table or one part of it, end to end.
//!
//! ```text
//!  source                                   target
//!  begin; set transaction snapshot          begin
//!  lock table … in access share mode        truncate only …        (whole tables)
//!  pg_relation_filenode = planned?          copy … from stdin      (FREEZE after truncate)
//!  copy … to stdout ──── relay ───────────► CopyData …
//!  CommandComplete COPY n  ──── n = m? ───  CommandComplete COPY m
//!  commit                                   ledger row; commit
//! ```
//!
//! Rows and the ledger row that speaks of them commit together; whatever fails before leaves the
//! target as it was. The source's transaction holds one ACCESS SHARE lock, on the table that is
//! being read, for as long as it is read.
//!
//! Pitfall: after a failure in the middle of a frame the target session cannot be brought back in
//! step; it is marked broken and the caller opens another.

mod encoding;
mod refused;
mod relay;
mod statement;

use std::time::{Duration, Instant};

use crate::base::counters::JobCounters;
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::QualifiedName;
use crate::connect::client::{Session, StatementResult};

pub use encoding::refused_characters;
pub use refused::name_refused_rows;
pub use statement::{Freeze, WireFormat};

use encoding::Encodings;

/// One table or table part to copy.
#[derive(Debug, Clone)]
pub struct CopyPart {
    /// Source oid.
    pub oid: u32,
    /// Name, the same on both ends.
    pub table: QualifiedName,
    /// Columns to send, in the source's order; empty for tables that have none to send.
    pub columns: Vec<String>,
    /// Wire format.
    pub format: WireFormat,
    /// Condition of a part; `None` copies the whole table.
    pub predicate: Option<String>,
    /// The target's table is no partitioned one, so that statements there may say ONLY.
    pub only: bool,
    /// What the target does before it loads.
    pub preparation: Preparation,
    /// File node that the plan saw; another one now means that the table was rewritten. `None`
    /// where there is nothing to compare.
    pub file_node: Option<u32>,
    /// Leaves the target alone when there is no row to copy: configuration tables of extensions, which
    /// belong to the extension's owner and need not be writable where there is nothing to write.
    pub only_with_rows: bool,
}

/// What the target does with a table before rows are loaded into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// Truncate and load frozen, in one transaction.
    TruncateFreeze,
    /// Truncate, load ordinarily: the target's table does not allow FREEZE.
    Truncate,
    /// Load on top of what the other parts brought.
    Append,
}

/// What a copy moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyOutcome {
    /// Rows, as both ends counted them.
    pub rows: u64,
    /// CopyData payload bytes.
    pub bytes: u64,
    /// From the first statement to the commit.
    pub duration: Duration,
}

/// Copies one part.
///
/// `snapshot` is the exported snapshot to read under; without one the source reads what is
/// committed when the copy starts. `ledger_row` makes the statement that records the part out of
/// rows, bytes and duration; it runs in the transaction that loads them.
///
/// Not cancel safe: drop both sessions when this is dropped.
///
/// # Errors
/// `Stale` when the table was rewritten since the plan was made or the snapshot is gone, `Data` when
/// the two ends counted different rows; the server's error otherwise. Nothing is committed on the target then.
pub async fn copy_part(
    source: &mut Session,
    target: &mut Session,
    part: &CopyPart,
    snapshot: Option<&str>,
    counters: &JobCounters,
    ledger_row: impl Fn(&CopyOutcome) -> String + Send,
) -> Result<CopyOutcome> {
    let started = Instant::now();
    if part.only_with_rows && !has_rows(source, part, snapshot).await? {
        let outcome = CopyOutcome { duration: started.elapsed(), ..CopyOutcome::default() };
        target.execute(&ledger_row(&outcome)).await?;
        return Ok(outcome);
    }
    let encoding = Encodings::of(source, target).statement();
    start_source(source, part, snapshot, &encoding).await?;
    if let Err(error) = start_target(target, part, &encoding).await {
        relay::drop_source(source).await;
        return Err(error);
    }
    let moved = (relay::run(source, target, counters).await)
        .map_err(|error| explain_target(error, part))?;
    let sent = finish_source(source).await;
    let sent = match sent {
        Ok(rows) => rows,
        Err(error) => {
            // The source failed after its last row: the target must not keep what it has.
            abort_target(target, "the source failed").await;
            return Err(error);
        }
    };
    let results = target.copy_in_done().await;
    let arrived = match results {
        Ok(results) => copied_rows(target, &results)?,
        Err(error) => {
            abandon_transaction(target).await;
            return Err(explain_target(error, part));
        }
    };
    if sent != arrived {
        abandon_transaction(target).await;
        return Err(Error::data(
            Side::Target,
            format!("the source sent {sent} rows and the target stored {arrived}"),
        )
        .hint("A trigger or rule on the target's table may have dropped rows; remove it."));
    }
    let outcome = CopyOutcome { rows: sent, bytes: moved.bytes, duration: started.elapsed() };
    target.execute(&format!("{}; commit", ledger_row(&outcome))).await?;
    Ok(outcome)
}

/// Opens a read-only transaction on the source, under the exported snapshot when there is one.
///
/// # Errors
/// `Stale` when the snapshot is gone.
pub async fn begin_source(source: &mut Session, snapshot: Option<&str>) -> Result<()> {
    match source.execute(&begin_statements(snapshot)).await {
        Ok(_) => Ok(()),
        Err(error) => {
            abandon_transaction(source).await;
            Err(explain_source(error, None))
        }
    }
}

/// Whether the source has a row to copy.
async fn has_rows(source: &mut Session, part: &CopyPart, snapshot: Option<&str>) -> Result<bool> {
    let condition = part.predicate.as_deref().unwrap_or("true");
    let table = part.table.sql();
    let found = async {
        source.execute(&begin_statements(snapshot)).await?;
        let sql = format!("select exists (select from only {table} where {condition})");
        let found = source.query(&sql, &[]).await?.one()?.flag(0)?;
        source.execute("commit").await?;
        Ok(found)
    };
    match found.await {
        Ok(found) => Ok(found),
        Err(error) => {
            abandon_transaction(source).await;
            Err(explain_source(error, Some(part)))
        }
    }
}

/// The statements that open the source's transaction.
fn begin_statements(snapshot: Option<&str>) -> String {
    let import = snapshot.map_or_else(String::new, |id| {
        format!("; set transaction snapshot {}", crate::base::ident::quote_literal(id))
    });
    format!("begin isolation level repeatable read, read only{import}")
}

/// Opens the source's transaction, proves that the table is the one that the plan saw, and starts
/// the COPY: one round trip. `encoding` is the statement that sets that of the rows.
async fn start_source(
    source: &mut Session,
    part: &CopyPart,
    snapshot: Option<&str>,
    encoding: &str,
) -> Result<()> {
    let copy =
        statement::copy_out(&part.table, &part.columns, part.predicate.as_deref(), part.format);
    let sql = format!(
        "{begin}; lock table only {table} in access share mode; select pg_catalog.pg_relation_filenode('{oid}'::pg_catalog.oid); {encoding}{copy}",
        begin = begin_statements(snapshot),
        table = part.table.sql(),
        oid = part.oid,
    );
    let results = match source.copy_start(&sql).await {
        Ok(results) => results,
        Err(error) => {
            abandon_transaction(source).await;
            return Err(explain_source(error, Some(part)));
        }
    };
    let now = file_node(&results)?;
    if let Some(planned) = part.file_node
        && now != Some(planned)
    {
        relay::drop_source(source).await;
        return Err(Error::stale(
            Side::Source,
            format!(
                "table was rewritten while the migration ran (file node {planned} in the snapshot, \
                 {} now)",
                now.map_or_else(|| "none".to_owned(), |node| node.to_string())
            ),
        )
        .hint(
            "ALTER TABLE, TRUNCATE, VACUUM FULL or CLUSTER did that, and the snapshot cannot see \
             the rows any more. Run the same command again: this table is copied under a new \
             snapshot.",
        ));
    }
    Ok(())
}

/// The file node out of the results before the COPY.
fn file_node(results: &[StatementResult]) -> Result<Option<u32>> {
    results
        .iter()
        .find_map(|result| result.rows.rows.first())
        .map_or(Ok(None), |row| row.parse_optional(0))
}

/// Makes the error of a table that is gone, or of a snapshot that is, say so.
fn explain_source(error: Error, part: Option<&CopyPart>) -> Error {
    match (error.sqlstate(), part) {
        // invalid_parameter_value, undefined_object or object_not_in_prerequisite_state, depending
        // on the version: only SET TRANSACTION SNAPSHOT raises them in this batch.
        (Some("22023" | "42704" | "55000"), _) => {
            let text = error.as_server().map_or_else(String::new, |server| server.message.clone());
            Error::stale(Side::Source, format!("the exported snapshot is gone ({text})"))
        }
        (Some("42501"), Some(part)) => {
            let by_policy =
                error.as_server().is_some_and(|server| server.message.contains("row-level"));
            let hint = if by_policy {
                "Row-level security hides rows from this role: connect as the table's owner, a \
                 superuser or a role with BYPASSRLS."
                    .to_owned()
            } else {
                format!("GRANT SELECT ON {} to the role of the source's string.", part.table.sql())
            };
            error.hint(hint)
        }
        _ => error,
    }
}

/// Opens the target's transaction and starts the COPY: one round trip. `encoding` is the statement
/// that sets that of the rows.
async fn start_target(target: &mut Session, part: &CopyPart, encoding: &str) -> Result<()> {
    let (truncate, freeze) = match part.preparation {
        Preparation::TruncateFreeze => (true, Freeze::Yes),
        Preparation::Truncate => (true, Freeze::No),
        Preparation::Append => (false, Freeze::No),
    };
    let copy = statement::copy_in(&part.table, &part.columns, part.format, freeze);
    let truncate = if truncate {
        let only = if part.only { "only " } else { "" };
        format!("truncate table {only}{}; ", part.table.sql())
    } else {
        String::new()
    };
    match target.copy_start(&format!("begin; {truncate}{encoding}{copy}")).await {
        Ok(_) => Ok(()),
        Err(error) => {
            abandon_transaction(target).await;
            Err(explain_target(error, part))
        }
    }
}

/// Makes the error of a table that is not what it was when the schema was restored say so.
fn explain_target(error: Error, part: &CopyPart) -> Error {
    if error.side() != Side::Target {
        return error;
    }
    match error.sqlstate() {
        // undefined_column, undefined_table.
        Some("42703" | "42P01") => error.hint(format!(
            "Table {} was changed on the source after its schema was restored, or changed on the \
             target: change it on the target likewise and run the same command again, or start over \
             with --restart.",
            part.table
        )),
        // check_violation without a constraint's name: that of the partition itself (T-14, T-15).
        Some("23514") if error.as_server().is_some_and(|server| server.constraint.is_none()) => {
            error.hint(format!(
                "The row belongs to another partition on the target: text sorts otherwise there, or the \
                 partition key's hash differs. Make the target with the source's collation, or leave the \
                 rows of {} out with [exclude-table-data] and send them through the partitioned table with \
                 COPY.",
                part.table
            ))
        }
        _ => error,
    }
}

/// Reads the source's row count and ends its transaction.
async fn finish_source(source: &mut Session) -> Result<u64> {
    let results = source.copy_end().await?;
    let rows = copied_rows(source, &results)?;
    source.execute("commit").await?;
    Ok(rows)
}

/// The row count of the COPY among the results.
fn copied_rows(session: &Session, results: &[StatementResult]) -> Result<u64> {
    results
        .iter()
        .find(|result| result.command.tag.starts_with("COPY "))
        .and_then(|result| result.command.rows)
        .ok_or_else(|| {
            Error::new(session.side(), ErrorKind::Protocol("COPY ended without a row count".into()))
        })
}

/// Makes the target forget a COPY that is still open, between frames.
async fn abort_target(target: &mut Session, reason: &str) {
    if target.copy_in_fail(reason).await.is_ok() {
        abandon_transaction(target).await;
    } else {
        target.abandon();
    }
}

/// Rolls back, so that the session can be used on; one that cannot is marked broken.
async fn abandon_transaction(session: &mut Session) {
    if !session.is_broken() && session.execute("rollback").await.is_err() {
        session.abandon();
    }
}
