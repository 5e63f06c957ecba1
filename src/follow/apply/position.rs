//! Where on the target the position is kept: in a replication origin, or in a table of ours.
//!
//! The position is written by the transaction that writes the rows (A9), so neither can be there
//! without the other, whatever ends us, the connection or the server.
//!
//! Functions of replication origins need a privilege that managed servers may not give; then the
//! position is a row of `pgcopydb.follow`. The row is changed only from the value that we read:
//! two processes cannot apply the same changes.
//! Source: <https://www.postgresql.org/docs/current/replication-origins.html>.

use proto::lsn::Lsn;
use proto::time::PgTimestamp;

use super::train::{Expect, Train};
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;

/// Where the position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionHome {
    /// `pg_replication_origin_status`.
    Origin,
    /// `pgcopydb.follow`.
    Table,
}

const HOME_SQL: &str = include_str!("sql/position_home.sql");

/// Finds out where the position has to be kept on this server by this role.
///
/// Not cancel safe.
///
/// # Errors
/// Those of the query.
pub async fn home(session: &mut Session) -> Result<PositionHome> {
    let rows = session.query(HOME_SQL, &[]).await?;
    Ok(if rows.one()?.flag(0)? { PositionHome::Origin } else { PositionHome::Table })
}

/// Creates the position under a name, at `start`; one that exists stays as it is.
///
/// Not cancel safe.
///
/// # Errors
/// Those of the statements.
pub async fn create(session: &mut Session, name: &str, start: Lsn) -> Result<()> {
    let start = start.to_string();
    match home(session).await? {
        PositionHome::Origin => {
            if oid(session, name).await?.is_some() {
                return Ok(());
            }
            let sql = "select pg_catalog.pg_replication_origin_create($1)";
            session.query(sql, &[Some(name)]).await?;
            if start != Lsn::INVALID.to_string() {
                let sql =
                    "select pg_catalog.pg_replication_origin_advance($1, $2::pg_catalog.pg_lsn)";
                session.query(sql, &[Some(name), Some(&start)]).await?;
            }
        }
        PositionHome::Table => {
            session.execute(TABLE_SQL).await?;
            let sql = "insert into pgcopydb.follow (name, position) \
                       values ($1, $2::pg_catalog.pg_lsn) on conflict (name) do nothing";
            session.query(sql, &[Some(name), Some(&start)]).await?;
        }
    }
    Ok(())
}

/// Creates the table of positions where it does not exist.
const TABLE_SQL: &str = "create schema if not exists pgcopydb; \
    create table if not exists pgcopydb.follow (name text primary key, \
    position pg_catalog.pg_lsn not null)";

/// Reads the position; `None` when there is none of this name.
///
/// Not cancel safe.
///
/// # Errors
/// Those of the queries.
pub async fn read(session: &mut Session, name: &str) -> Result<Option<Lsn>> {
    let rows = match home(session).await? {
        PositionHome::Origin => {
            if oid(session, name).await?.is_none() {
                return Ok(None);
            }
            let sql = "select coalesce(pg_catalog.pg_replication_origin_progress($1, true)\
                       ::pg_catalog.text, '0/0')";
            session.query(sql, &[Some(name)]).await?
        }
        PositionHome::Table => {
            let sql = "select pg_catalog.to_regclass('pgcopydb.follow') is not null";
            if !session.query(sql, &[]).await?.one()?.flag(0)? {
                return Ok(None);
            }
            let sql = "select position::pg_catalog.text from pgcopydb.follow where name = $1";
            session.query(sql, &[Some(name)]).await?
        }
    };
    rows.rows.first().map(|row| row.parse(0)).transpose()
}

/// Removes the position, wherever it is; none is no error.
///
/// Not cancel safe.
///
/// # Errors
/// Those of the statements, after waiting for a backend that still uses the origin.
pub async fn remove(session: &mut Session, name: &str) -> Result<()> {
    if home(session).await? == PositionHome::Origin && oid(session, name).await?.is_some() {
        let sql = "select pg_catalog.pg_replication_origin_drop($1)";
        patiently(session, sql, name).await?;
    }
    let sql = "select pg_catalog.to_regclass('pgcopydb.follow') is not null";
    if session.query(sql, &[]).await?.one()?.flag(0)? {
        let sql = "delete from pgcopydb.follow where name = $1";
        session.query(sql, &[Some(name)]).await?;
    }
    Ok(())
}

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
                None => {
                    return Err(error.hint(
                        "Another pgcopydb applies changes to this target, or its backend has not \
                         ended yet; see pg_stat_activity there.",
                    ));
                }
            },
            Err(error) => return Err(error),
        }
    }
}

/// The position as the session that applies holds it.
#[derive(Debug)]
pub(super) struct Position {
    home: PositionHome,
    name: String,
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
        let Some(current) = read(session, name).await? else {
            let text = format!("the target has no replication position \"{name}\"");
            return Err(Error::new(Side::Target, ErrorKind::State(text)).hint(
                "Run `pgcopydb stream setup` first, or let `pgcopydb clone` set up online migration.",
            ));
        };
        let home = home(session).await?;
        if home == PositionHome::Origin {
            let sql = "select pg_catalog.pg_replication_origin_session_setup($1)";
            patiently(session, sql, name).await?;
            // It may have moved until the last holder let go.
            let current = read(session, name).await?.unwrap_or(current);
            return Ok(Self { home, name: name.to_owned(), current });
        }
        Ok(Self { home, name: name.to_owned(), current })
    }

    /// What the target holds, as far as this session knows.
    pub(super) fn current(&self) -> Lsn {
        self.current
    }

    /// Notes that the transaction that moved it is committed.
    pub(super) fn set_current(&mut self, lsn: Lsn) {
        self.current = lsn;
    }

    /// Queues what moves the position, inside the open transaction.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn queue(
        &self,
        train: &mut Train<'_>,
        lsn: Lsn,
        time: Option<PgTimestamp>,
    ) -> Result<()> {
        let lsn = lsn.to_string();
        match self.home {
            PositionHome::Origin => {
                let time = time.filter(|time| time.is_finite()).unwrap_or(NO_TIME).to_string();
                let sql = "select pg_catalog.pg_replication_origin_xact_setup(\
                           $1::pg_catalog.pg_lsn, $2::pg_catalog.timestamptz)";
                train.text(sql, &[Some(lsn.as_bytes()), Some(time.as_bytes())], Expect::Any)?;
                // Without a transaction id there is no commit record, and the origin stays.
                train.text("select pg_catalog.txid_current()", &[], Expect::Any)?;
            }
            PositionHome::Table => {
                let current = self.current.to_string();
                let sql = "update pgcopydb.follow set position = $1::pg_catalog.pg_lsn \
                           where name = $2 and position = $3::pg_catalog.pg_lsn";
                let params = [&lsn, &self.name, &current].map(|text| Some(text.as_bytes()));
                train.text(sql, &params, Expect::Position)?;
            }
        }
        Ok(())
    }
}
