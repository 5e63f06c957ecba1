//! Where on the target the position is kept: in a row of ours, and beside it in a replication origin.
//!
//! The row of `pgcopydb.follow` is changed by the transaction that writes the rows of the
//! batch (A9), so neither can be there without the other, whatever ends us, the connection or the
//! server. It is changed only from the value that we know: two processes cannot apply the same changes.
//!
//! Where the role may use replication origins, our transactions also carry one: others can tell them
//! from the target's own (a way back must not send them back), and `pg_replication_origin_status` shows
//! the progress. The origin alone is not enough: from version 16 on a transaction that is rolled back
//! moves it, too, so a connection lost between `pg_replication_origin_xact_setup` and COMMIT would skip
//! a batch. Source: RecordTransactionAbort, src/backend/access/transam/xact.c.

use proto::lsn::Lsn;
use proto::time::PgTimestamp;

use super::train::{Expect, Train};
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::quote_literal;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;

const MAY_USE_ORIGINS_SQL: &str = include_str!("sql/may_use_origins.sql");

/// Whether this role may use replication origins on this server.
async fn may_use_origins(session: &mut Session) -> Result<bool> {
    session.query(MAY_USE_ORIGINS_SQL, &[]).await?.one()?.flag(0)
}

/// Creates the position under a name, at `start`; one that exists stays as it is.
///
/// Not cancel safe.
///
/// # Errors
/// Those of the statements.
pub async fn create(session: &mut Session, name: &str, start: Lsn) -> Result<()> {
    if read(session, name).await?.is_none() {
        insert(session, name, start).await?;
    }
    if may_use_origins(session).await? && oid(session, name).await?.is_none() {
        let sql = "select pg_catalog.pg_replication_origin_create($1)";
        session.query(sql, &[Some(name)]).await?;
    }
    Ok(())
}

/// Whether the table of positions exists.
///
/// # Errors
/// Those of the query.
pub async fn table_exists(session: &mut Session) -> Result<bool> {
    let sql = "select pg_catalog.to_regclass('pgcopydb.follow') is not null";
    session.query(sql, &[]).await?.one()?.flag(0)
}

/// Adds the row of a position, durably: the slot goes on from here whatever happens to the target. The
/// other two columns are those of `follow::setup::record`.
async fn insert(session: &mut Session, name: &str, start: Lsn) -> Result<()> {
    let sql = format!(
        "begin; set local synchronous_commit = on; \
         create schema if not exists pgcopydb; \
         create table if not exists pgcopydb.follow \
         (name text primary key, position pg_catalog.pg_lsn not null, slot text, copied text); \
         insert into pgcopydb.follow (name, position) \
         values ({}, '{start}') on conflict (name) do nothing; commit",
        quote_literal(name)
    );
    session.execute(&sql).await.map(drop)
}

/// Reads the position; `None` when there is none of this name. An origin that stands alone (another
/// program made it) counts with what it holds.
///
/// Not cancel safe.
///
/// # Errors
/// Those of the queries.
pub async fn read(session: &mut Session, name: &str) -> Result<Option<Lsn>> {
    if let Some(row) = read_row(session, name).await? {
        return Ok(Some(row));
    }
    if !may_use_origins(session).await? || oid(session, name).await?.is_none() {
        return Ok(None);
    }
    let sql = "select coalesce(pg_catalog.pg_replication_origin_progress($1, true)\
               ::pg_catalog.text, '0/0')";
    session.query(sql, &[Some(name)]).await?.one()?.parse(0).map(Some)
}

/// Reads the row of a position.
async fn read_row(session: &mut Session, name: &str) -> Result<Option<Lsn>> {
    if !table_exists(session).await? {
        return Ok(None);
    }
    let sql = "select position::pg_catalog.text from pgcopydb.follow where name = $1";
    let rows = session.query(sql, &[Some(name)]).await?;
    rows.rows.first().map(|row| row.parse(0)).transpose()
}

/// Removes the position and its origin, and the table with the last one; none is no error.
///
/// Not cancel safe.
///
/// # Errors
/// Those of the statements, after waiting for a backend that still uses the origin.
pub async fn remove(session: &mut Session, name: &str) -> Result<()> {
    if may_use_origins(session).await? && oid(session, name).await?.is_some() {
        let sql = "select pg_catalog.pg_replication_origin_drop($1)";
        patiently(session, sql, name).await?;
    }
    if table_exists(session).await? {
        let sql = "delete from pgcopydb.follow where name = $1";
        session.query(sql, &[Some(name)]).await?;
        let sql = "select exists (select from pgcopydb.follow)";
        if !session.query(sql, &[]).await?.one()?.flag(0)? {
            session.execute(REMOVE_SQL).await?;
        }
    }
    Ok(())
}

/// Removes the table of positions, and the schema when nothing else of ours is in it.
const REMOVE_SQL: &str = include_str!("sql/remove_positions.sql");

/// The origin's identifier, if it exists.
async fn oid(session: &mut Session, name: &str) -> Result<Option<u32>> {
    let sql = "select pg_catalog.pg_replication_origin_oid($1)";
    session.query(sql, &[Some(name)]).await?.one()?.parse_optional(0)
}

/// Runs a statement about an origin until the backend of an earlier connection has let go of it.
async fn patiently(session: &mut Session, sql: &str, name: &str) -> Result<()> {
    let mut backoff = Backoff::new(u64::from(session.process_id()));
    loop {
        match session.query(sql, &[Some(name)]).await {
            Ok(_) => return Ok(()),
            // object_in_use: active for another process.
            Err(error) if error.sqlstate() == Some("55006") => match backoff.next_pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error.hint(HELD_HINT)),
            },
            Err(error) => return Err(error),
        }
    }
}

/// First key of the advisory lock that stands in for the origin's: "foll" in ASCII.
const LOCK_KEY: i32 = i32::from_be_bytes(*b"foll");

/// Waits until no other session holds the position of this name, and holds it.
async fn lock(session: &mut Session, name: &str) -> Result<()> {
    let sql = "select pg_catalog.pg_try_advisory_lock($1::pg_catalog.int4, \
               pg_catalog.hashtext($2::pg_catalog.text))";
    let key = LOCK_KEY.to_string();
    let mut backoff = Backoff::new(u64::from(session.process_id()));
    while !session.query(sql, &[Some(&key), Some(name)]).await?.one()?.flag(0)? {
        let Some(pause) = backoff.next_pause() else {
            let text = format!("another session holds the replication position \"{name}\"");
            return Err(Error::new(Side::Target, ErrorKind::State(text)).hint(HELD_HINT));
        };
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// What to do about a position that somebody else holds.
const HELD_HINT: &str = "Another pgcopydb applies changes to this target, or its backend has not \
                         ended yet; see pg_stat_activity there.";

/// The position as the session that applies holds it.
#[derive(Debug)]
pub(super) struct Position {
    name: String,
    /// Transactions carry the origin.
    has_origin: bool,
    /// What the target holds.
    current: Lsn,
}

/// Commit time for transactions whose plugin tells none: the epoch of the server.
const NO_TIME: PgTimestamp = PgTimestamp(0);

impl Position {
    /// Takes hold of the position in this session, which will write it.
    ///
    /// # Errors
    /// `State` when there is none, class `Conflict` when another process holds it.
    pub(super) async fn open(session: &mut Session, name: &str) -> Result<Self> {
        let Some(found) = read(session, name).await? else {
            let text = format!("the target has no replication position \"{name}\"");
            return Err(Error::new(Side::Target, ErrorKind::State(text)).hint(
                "Run `pgcopydb stream setup` first, or let `pgcopydb clone` set up online migration.",
            ));
        };
        let has_origin = may_use_origins(session).await? && oid(session, name).await?.is_some();
        if has_origin {
            let sql = "select pg_catalog.pg_replication_origin_session_setup($1)";
            patiently(session, sql, name).await?;
        } else {
            lock(session, name).await?;
        }
        // It may have moved until the last holder let go.
        let current = match read_row(session, name).await? {
            Some(current) => current,
            None => {
                insert(session, name, found).await?;
                found
            }
        };
        Ok(Self { name: name.to_owned(), has_origin, current })
    }

    /// What the target holds, as far as this session knows.
    pub(super) fn current(&self) -> Lsn {
        self.current
    }

    /// Notes that the transaction that moved it is committed.
    pub(super) fn set_current(&mut self, lsn: Lsn) {
        self.current = lsn;
    }

    /// Loads what moves the position, inside the open transaction.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn load(&self, train: &mut Train<'_>, lsn: Lsn) -> Result<()> {
        let (lsn, current) = (lsn.to_string(), self.current.to_string());
        let sql = "update pgcopydb.follow set position = $1::pg_catalog.pg_lsn \
                   where name = $2 and position = $3::pg_catalog.pg_lsn";
        let params = [&lsn, &self.name, &current].map(|text| Some(text.as_bytes()));
        train.text(sql, &params, Expect::Position)
    }

    /// Loads COMMIT, with what the origin is to show.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn load_commit(
        &self,
        train: &mut Train<'_>,
        lsn: Lsn,
        time: Option<PgTimestamp>,
    ) -> Result<()> {
        if self.has_origin {
            let lsn = lsn.to_string();
            let time = time.filter(|time| time.is_finite()).unwrap_or(NO_TIME).to_string();
            let sql = "select pg_catalog.pg_replication_origin_xact_setup(\
                       $1::pg_catalog.pg_lsn, $2::pg_catalog.timestamptz)";
            train.text(sql, &[Some(lsn.as_bytes()), Some(time.as_bytes())], Expect::Any)?;
        }
        train.text("commit", &[], Expect::Any)
    }
}
