//! Publications of ours on the source: they serve the slot there, and mean nothing on the target.

use std::collections::HashSet;

use crate::base::error::Result;
use crate::base::ident::array_literal;
use crate::connect::client::{Row, Session};
use crate::job::schema::toc::ObjectId;
use crate::job::schema::toc_filter::catalog;
use crate::local::state::Sentinel;
use crate::local::workdir::WorkDir;

/// The publications that were made for the slot of a work directory; none where no changes are followed.
///
/// # Errors
/// Those of the state database and of the source.
pub(super) async fn ours(directory: &WorkDir, source: &mut Session) -> Result<HashSet<ObjectId>> {
    let record = Sentinel::open(&directory.state_db())?.slot()?;
    let Some(record) = record.filter(|one| one.publications_are_ours) else {
        return Ok(HashSet::new());
    };
    let names = array_literal(record.publications.iter().map(String::as_str));
    let sql =
        "select oid from pg_catalog.pg_publication where pubname = any ($1::pg_catalog.name[])";
    let rows = source.query(sql, &[Some(&names)]).await?;
    let object = |row: &Row| Ok(ObjectId { catalog: catalog::PUBLICATION, oid: row.parse(0)? });
    rows.rows.iter().map(object).collect()
}
