//! Where changes of a table begin when it was not copied under the slot's own snapshot.
//!
//! A copy that lost its snapshot goes on under a newer one. The tables copied then hold changes that the
//! slot still sends: those up to the newer snapshot's position are passed over for these tables. The
//! table `pgcopydb.follow_table` outlives the ledger; it exists only when such tables do, and goes with
//! `stream cleanup`.

use std::collections::HashMap;

use proto::lsn::Lsn;

use crate::base::error::Result;
use crate::base::ident::QualifiedName;
use crate::connect::client::Session;

/// Makes the table.
const CREATE_SQL: &str = "create table if not exists pgcopydb.follow_table (\
    table_schema text not null, table_name text not null, lsn pg_lsn not null, \
    primary key (table_schema, table_name))";

/// Records where the changes of these tables begin. Nothing is made when there are none.
///
/// # Errors
/// Those of the statements.
pub async fn record_starts(session: &mut Session, starts: &[(QualifiedName, Lsn)]) -> Result<()> {
    if starts.is_empty() {
        return Ok(());
    }
    session.execute(CREATE_SQL).await?;
    for (table, lsn) in starts {
        let sql = "insert into pgcopydb.follow_table (table_schema, table_name, lsn) \
                   values ($1, $2, $3::pg_lsn) \
                   on conflict (table_schema, table_name) do update set lsn = excluded.lsn";
        let lsn = lsn.to_string();
        session.query(sql, &[Some(&table.schema), Some(&table.name), Some(&lsn)]).await?;
    }
    Ok(())
}

/// Removes what [`record_starts`] wrote, and the schema when nothing else is in it.
///
/// # Errors
/// Those of the statements.
pub async fn forget_starts(session: &mut Session) -> Result<()> {
    session.execute("drop table if exists pgcopydb.follow_table").await?;
    session.execute(include_str!("remove_schema.sql")).await.map(drop)
}

/// Reads what [`record_starts`] wrote.
///
/// # Errors
/// Those of the queries.
pub async fn read_starts(session: &mut Session) -> Result<HashMap<QualifiedName, Lsn>> {
    let exists = "select pg_catalog.to_regclass('pgcopydb.follow_table') is not null";
    if !session.query(exists, &[]).await?.one()?.flag(0)? {
        return Ok(HashMap::new());
    }
    let sql = "select table_schema, table_name, lsn::text from pgcopydb.follow_table";
    let rows = session.query(sql, &[]).await?;
    let start = |row: &crate::connect::client::Row| {
        Ok((QualifiedName::new(row.text(0)?, row.text(1)?), row.parse(2)?))
    };
    rows.rows.iter().map(start).collect()
}
