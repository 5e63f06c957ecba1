//! `list databases`, `list collations`.

use serde_json::{Value, json};

use super::catalog::begin;
use crate::base::error::Result;
use crate::base::listing::{Heading, Listing};
use crate::base::units::ByteSize;
use crate::config::ListConfig;

/// Headings of `list databases`.
const DATABASES: [Heading; 3] = [
    Heading::wide("OID", 10),
    Heading::wide("Database Name", 20),
    Heading::wide("On-disk size", 20),
];

/// Headings of `list collations`.
const COLLATIONS: [Heading; 3] =
    [Heading::wide("OID", 10), Heading::wide("Name", 20), Heading::last("Object name")];

/// What stands for a size that our role may not ask for.
const UNKNOWN: &str = "unknown";

/// The databases of the server.
pub(super) async fn databases(config: &ListConfig) -> Result<Listing> {
    let mut session = begin(config).await?;
    let found = session.query(include_str!("sql/databases.sql"), &[]).await?;
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for row in &found.rows {
        let (oid, name): (u32, &str) = (row.parse(0)?, row.text(1)?);
        let bytes = row.optional_text(2)?.and_then(|text| text.parse::<u64>().ok());
        let pretty = bytes.map_or_else(|| UNKNOWN.to_owned(), |bytes| ByteSize(bytes).to_string());
        entries.push(json!({
            "oid": oid, "datname": name, "bytes": bytes, "bytes-pretty": pretty,
        }));
        rows.push(vec![oid.to_string(), name.to_owned(), pretty]);
    }
    Ok(Listing { headings: &DATABASES, rows, json: Value::Array(entries) })
}

/// The collations that objects use.
pub(super) async fn collations(config: &ListConfig) -> Result<Listing> {
    let mut session = begin(config).await?;
    let found = session.query(include_str!("sql/collations.sql"), &[]).await?;
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for row in &found.rows {
        let (oid, name, object): (u32, &str, &str) = (row.parse(0)?, row.text(1)?, row.text(2)?);
        entries.push(json!({ "oid": oid, "name": name, "object": object }));
        rows.push(vec![oid.to_string(), name.to_owned(), object.to_owned()]);
    }
    Ok(Listing { headings: &COLLATIONS, rows, json: Value::Array(entries) })
}
