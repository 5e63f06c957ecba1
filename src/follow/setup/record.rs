//! What the target knows of a migration that is followed, beside its position: enough to continue when the
//! work directory is lost.
//!
//! Two more columns of the row of `pgcopydb.follow`: the slot as JSON, and, once the copy is complete, the
//! options that it was made with. The latter is written in the transaction that removes the ledger.

use proto::lsn::Lsn;
use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::quote_literal;
use crate::connect::client::Session;
use crate::follow::apply::position;
use crate::local::state::SlotRecord;

/// What the target knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Everything up to here is applied, durably.
    pub position: Lsn,
    /// The slot; `None` where an earlier release or another program made the row.
    pub slot: Option<SlotRecord>,
    /// The options of a copy that is complete.
    pub copied: Option<String>,
}

/// The slot in the row: JSON, positions as the server writes them, identifiers beyond 2^53 as text.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    slot: String,
    consistent_point: String,
    plugin: String,
    publications: Vec<String>,
    publications_are_ours: bool,
    system_identifier: String,
    timeline: u32,
    database: String,
}

/// Reads what the target knows under the name of a position; `None` when there is no row of it.
///
/// # Errors
/// Those of the queries; `State` when the row cannot be read.
pub async fn read(session: &mut Session, origin: &str) -> Result<Option<Known>> {
    if !position::table_exists(session).await? {
        return Ok(None);
    }
    // A table that an earlier release made lacks the columns.
    let sql = "select f.position::pg_catalog.text, \
               pg_catalog.to_jsonb(f) operator(pg_catalog.->>) 'slot', \
               pg_catalog.to_jsonb(f) operator(pg_catalog.->>) 'copied' \
               from pgcopydb.follow as f where f.name = $1";
    let rows = session.query(sql, &[Some(origin)]).await?;
    let Some(row) = rows.rows.first() else { return Ok(None) };
    let slot = row.optional_text(1)?.map(|json| decode(json, origin)).transpose()?;
    let copied = row.optional_text(2)?.map(str::to_owned);
    Ok(Some(Known { position: row.parse(0)?, slot, copied }))
}

/// Writes the slot into the row of its position, which must be there.
///
/// # Errors
/// Those of the statements.
pub(super) async fn write(session: &mut Session, record: &SlotRecord) -> Result<()> {
    let json = encode(record)?;
    let sql = format!(
        "begin; set local synchronous_commit = on; \
         alter table pgcopydb.follow add column if not exists slot text, \
         add column if not exists copied text; \
         update pgcopydb.follow set slot = {json} where name = {name} \
         and slot is distinct from {json}; commit",
        json = quote_literal(&json),
        name = quote_literal(&record.origin)
    );
    session.execute(&sql).await.map(drop)
}

/// The statement that notes that the copy is complete, made with these options; to be run in the
/// transaction that removes the ledger.
#[must_use]
pub fn copied_sql(origin: &str, options: &str) -> String {
    format!(
        "update pgcopydb.follow set copied = {} where name = {};\n",
        quote_literal(options),
        quote_literal(origin)
    )
}

/// The slot as text.
fn encode(record: &SlotRecord) -> Result<String> {
    let stored = Stored {
        slot: record.slot.clone(),
        consistent_point: record.consistent_point.to_string(),
        plugin: record.plugin.clone(),
        publications: record.publications.clone(),
        publications_are_ours: record.publications_are_ours,
        system_identifier: record.system_identifier.to_string(),
        timeline: record.timeline,
        database: record.database.clone(),
    };
    serde_json::to_string(&stored).map_err(|error| Error::internal(format!("slot: {error}")))
}

/// The slot of a text.
fn decode(json: &str, origin: &str) -> Result<SlotRecord> {
    let bad = || {
        let text = format!("the row \"{origin}\" of pgcopydb.follow holds \"{json}\" as its slot");
        Error::new(Side::Target, ErrorKind::State(text)).hint(
            "It was written by another version of pgcopydb: use that one, or run `pgcopydb stream \
             cleanup` and start over.",
        )
    };
    let stored: Stored = serde_json::from_str(json).map_err(|_| bad())?;
    Ok(SlotRecord {
        slot: stored.slot,
        consistent_point: stored.consistent_point.parse().map_err(|_| bad())?,
        // It ended with its session, or `pgcopydb snapshot` holds it for another directory.
        snapshot: None,
        plugin: stored.plugin,
        publications: stored.publications,
        publications_are_ours: stored.publications_are_ours,
        origin: origin.to_owned(),
        system_identifier: stored.system_identifier.parse().map_err(|_| bad())?,
        timeline: stored.timeline,
        database: stored.database,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_back_as_it_was_written() {
        let record = SlotRecord {
            slot: "s".into(),
            consistent_point: Lsn(0x16_B374_D848),
            snapshot: None,
            plugin: "pgoutput".into(),
            publications: vec!["a \"b\"".into(), "it's\n".into()],
            publications_are_ours: true,
            origin: "o".into(),
            system_identifier: u64::MAX,
            timeline: 3,
            database: "d\\".into(),
        };
        assert_eq!(decode(&encode(&record).unwrap(), "o").unwrap(), record);
        assert!(decode("{}", "o").unwrap_err().to_string().contains("\"o\""));
    }
}
