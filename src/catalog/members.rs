//! Reads what the members of extensions are: `pg_dump` writes CREATE EXTENSION and nothing else of them
//! but privileges and security labels, so what a user changed on a member is lost without a word.
//!
//! ```text
//!  extension_members.sql ─► properties (functions, columns, indexes, triggers, comments, …)
//!  extension_tables.sql  ─► tables ─► number and digest of the rows that are the extension's own
//! ```

use super::condition::Reader;
use super::model::members::{MemberRows, Members};
use super::query::{self, Fields, ServerVersion};
use super::rows;
use crate::base::error::Result;
use crate::base::ident::{QualifiedName, array_literal, quote_identifier};
use crate::connect::client::Session;

/// Most rows of a table that are compared: the own tables of extensions hold some thousand (the
/// reference systems of PostGIS are 8500), and a digest of so many takes less than a second.
const ROWS_MAX: u64 = 100_000;

/// A table whose rows belong to the extension at least in part.
struct OwnTable {
    extension: String,
    object: String,
    name: QualifiedName,
    /// Condition of the rows that are the user's; `None` when none are.
    condition: Option<String>,
}

/// Reads the members of the source's extensions, and of those that the target has in the same version.
/// Changes nothing; neither session is in a transaction.
///
/// # Errors
/// Only when a session is lost.
pub async fn of_both(source: &mut Session, target: &mut Session) -> Result<(Members, Members)> {
    let ours = of_all(ServerVersion::of(target).0, source).await?;
    let mut common = installed(target).await?;
    common.retain(|(name, version)| ours.versions.get(name) == Some(version));
    let same_major = ServerVersion::of(target).0 == ServerVersion::of(source).0;
    let theirs = read(&common, same_major, target).await?;
    Ok((ours, theirs))
}

/// Reads the members of all extensions of a database, to be compared with a server of another version.
/// Changes nothing; the session is in no transaction.
///
/// # Errors
/// Only when the session is lost.
pub async fn of_all(other_version: u32, session: &mut Session) -> Result<Members> {
    let all = installed(session).await?;
    let same_major = ServerVersion::of(session).0 == other_version / 10_000 * 10_000;
    read(&all, same_major, session).await
}

/// Names and versions of the extensions of a database.
async fn installed(session: &mut Session) -> Result<Vec<(String, String)>> {
    let mut reader = Reader::new(session);
    let found = reader.rows(&query::EXTENSIONS, &[], rows::extension).await?;
    Ok(found.into_iter().map(|one| (one.name, one.version)).collect())
}

/// Reads the members of some extensions. Changes nothing; the session is in no transaction. Texts that
/// only servers of one major version print alike are read when `same_major`.
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// Only when the session is lost; what the server refuses ends in `unchecked`.
async fn read(
    extensions: &[(String, String)],
    same_major: bool,
    session: &mut Session,
) -> Result<Members> {
    let mut members = Members {
        server_version: ServerVersion::of(session).0,
        versions: extensions.iter().cloned().collect(),
        ..Members::default()
    };
    if extensions.is_empty() {
        return Ok(members);
    }
    let names = array_literal(extensions.iter().map(|(name, _)| name.as_str()));
    let mut reader = Reader::new(session);
    let parameters = [Some(names.as_str()), Some(if same_major { "t" } else { "f" })];
    let property = |fields: &mut Fields<'_>| {
        let key = (fields.string()?, fields.string()?, fields.string()?);
        Ok((key, fields.string()?))
    };
    let properties = reader.rows(&query::EXTENSION_MEMBERS, &parameters, property).await?;
    members.properties = properties.into_iter().collect();
    let tables = reader.rows(&query::EXTENSION_TABLES, &[Some(&names)], own_table).await?;
    members.unchecked = reader.unchecked;
    for table in tables {
        match session.query(&rows_sql(&table), &[]).await {
            Ok(found) => {
                let row = found.one()?;
                let rows = MemberRows { count: row.parse(0)?, digest: row.text(1)?.to_owned() };
                if rows.count > ROWS_MAX {
                    let name = &table.name;
                    let line = format!("rows of table {name}: more than {ROWS_MAX}");
                    members.unchecked.push(line);
                } else {
                    members.rows.insert((table.extension, table.object), rows);
                }
            }
            Err(error) if error.as_server().is_some() && !session.is_broken() => {
                members.unchecked.push(format!("rows of table {}: {error}", table.name));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(members)
}

/// `extension_tables.sql`.
fn own_table(fields: &mut Fields<'_>) -> Result<OwnTable> {
    Ok(OwnTable {
        extension: fields.string()?,
        object: fields.string()?,
        name: QualifiedName { schema: fields.string()?, name: fields.string()? },
        condition: fields.optional_string()?,
    })
}

/// Counts and digests the rows that are the extension's own, up to one more than [`ROWS_MAX`]: which
/// ones a limit leaves out is not the same on two servers.
///
/// The condition is a whole WHERE clause that may name the table, so the table has no other name here.
fn rows_sql(table: &OwnTable) -> String {
    let digests = format!(
        "select pg_catalog.md5(row({}.*)::pg_catalog.text) as h from only {}",
        quote_identifier(&table.name.name),
        table.name.sql()
    );
    let own = match &table.condition {
        Some(condition) => format!("{digests} except all ({digests} {condition})"),
        None => digests,
    };
    format!(
        "select pg_catalog.count(*), \
         coalesce(pg_catalog.md5(pg_catalog.string_agg(x.h, '' order by x.h)), '') \
         from (select o.h from ({own}) as o limit {}) as x",
        ROWS_MAX + 1
    )
}
