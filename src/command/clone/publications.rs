//! Publications of ours on the source: they serve the slot there, and mean nothing on the target.

use std::collections::HashSet;

use crate::base::error::Result;
use crate::connect::client::Session;
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
    let mut found = HashSet::new();
    for name in
        record.iter().filter(|one| one.publications_are_ours).flat_map(|one| &one.publications)
    {
        let sql = "select oid from pg_catalog.pg_publication where pubname = $1";
        for row in &source.query(sql, &[Some(name)]).await?.rows {
            found.insert(ObjectId { catalog: catalog::PUBLICATION, oid: row.parse(0)? });
        }
    }
    Ok(found)
}
