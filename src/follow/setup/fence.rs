//! The target's write fence while changes are followed (C-57): `default_transaction_read_only` of the
//! database.
//!
//! New sessions of everybody else find themselves read-only; ours switch it off for themselves. Sessions that
//! are open already, those that switch it off and roles with a value of their own are not kept out: it is a
//! fence for the careful, no lock.
//!
//! What was there before is noted in the row of `pgcopydb.follow` by the transaction that changes the
//! setting, so that whoever comes after a crash knows whose it is.

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::{quote_identifier, quote_literal};
use crate::connect::client::Session;
use crate::follow::apply::position;

/// The setting.
const SETTING: &str = "default_transaction_read_only";

/// The note of a database that had no value of its own. The server stores only booleans.
const UNSET: &str = "unset";

/// What the database says, and whether we may change it.
const STATE_SQL: &str = include_str!("sql/fence.sql");

/// What there is.
struct State {
    /// Name of the database.
    database: String,
    /// Its value of the setting.
    value: Option<String>,
    /// Whether our role may change it.
    may_change: bool,
}

/// Reads what there is.
async fn state(session: &mut Session) -> Result<State> {
    let rows = session.query(STATE_SQL, &[]).await?;
    let row = rows.one()?;
    Ok(State {
        database: row.text(0)?.to_owned(),
        value: row.optional_text(1)?.map(str::to_owned),
        may_change: row.flag(2)?,
    })
}

/// What the database had before we changed it; `None` when we did not.
async fn noted(session: &mut Session, origin: &str) -> Result<Option<String>> {
    if !position::table_exists(session).await? {
        return Ok(None);
    }
    let sql = "select pg_catalog.to_jsonb(f) operator(pg_catalog.->>) 'fence' \
               from pgcopydb.follow as f where f.name = $1";
    let rows = session.query(sql, &[Some(origin)]).await?;
    let Some(row) = rows.rows.first() else { return Ok(None) };
    Ok(row.optional_text(0)?.map(str::to_owned))
}

/// Demands that our role may put the fence up: to be asked before hours of copying.
///
/// # Errors
/// `Config`, naming the database.
pub async fn demand(session: &mut Session) -> Result<()> {
    let State { database, may_change, .. } = state(session).await?;
    if may_change {
        return Ok(());
    }
    let text = format!("option --target-read-only: our role does not own database \"{database}\"");
    Err(Error::new(Side::Target, ErrorKind::Config(text)).hint(format!(
        "Connect as its owner or as a superuser, or leave the option out and run ALTER DATABASE {} SET \
         {SETTING} = on; yourself.",
        quote_identifier(&database)
    )))
}

/// Puts the fence up; the row of the position must be there. Once more is no error.
///
/// # Errors
/// Those of the statements.
pub async fn raise(session: &mut Session, origin: &str) -> Result<()> {
    let State { database, value, .. } = state(session).await?;
    let before = noted(session, origin).await?;
    let note = before.unwrap_or_else(|| value.unwrap_or_else(|| UNSET.to_owned()));
    let sql = format!(
        "begin; set local synchronous_commit = on; \
         alter table pgcopydb.follow add column if not exists fence text; \
         update pgcopydb.follow set fence = {} where name = {}; \
         alter database {} set {SETTING} = on; commit",
        quote_literal(&note),
        quote_literal(origin),
        quote_identifier(&database)
    );
    run(session, &sql).await?;
    tracing::info!(
        database,
        "new sessions on the target are read-only until the end position is reached; {SETTING} = off \
         opens one"
    );
    Ok(())
}

/// Takes the fence down where we put it up, and gives the database the value that it had before; one that
/// somebody has set since stays. Returns whether there was a fence.
///
/// # Errors
/// Those of the statements.
pub async fn lower(session: &mut Session, origin: &str) -> Result<bool> {
    let Some(note) = noted(session, origin).await? else { return Ok(false) };
    let State { database, value, .. } = state(session).await?;
    let database_sql = quote_identifier(&database);
    let restore = match (value.as_deref(), note.as_str()) {
        (Some("on"), UNSET) => format!("alter database {database_sql} reset {SETTING}; "),
        (Some("on"), note) => {
            format!("alter database {database_sql} set {SETTING} = {}; ", quote_literal(note))
        }
        _ => String::new(),
    };
    let sql = format!(
        "begin; set local synchronous_commit = on; {restore}\
         update pgcopydb.follow set fence = null where name = {}; commit",
        quote_literal(origin)
    );
    run(session, &sql).await?;
    tracing::info!(database, "the target's new sessions are as they were before");
    Ok(true)
}

/// Runs a transaction; leaves none open behind an error.
async fn run(session: &mut Session, sql: &str) -> Result<()> {
    let Err(error) = session.execute(sql).await else { return Ok(()) };
    if !session.is_broken() {
        session.execute("rollback").await?;
    }
    Err(error.during(format!("change {SETTING} of the target database")))
}
