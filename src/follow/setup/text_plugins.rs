//! What wal2json and test_decoding cannot tell, said before anything is made.

use crate::base::error::Result;
use crate::base::summary::{Finding, Severity};
use crate::config::Plugin;
use crate::connect::client::Session;

use super::publication::{Identity, Publishable, TableChoice};

/// What a person should know; nothing for pgoutput.
///
/// # Errors
/// The server's.
pub(super) async fn findings(
    session: &mut Session,
    plugin: Plugin,
    tables: &[Publishable],
    choice: &TableChoice,
) -> Result<Vec<Finding>> {
    if plugin == Plugin::Pgoutput {
        return Ok(Vec::new());
    }
    let followed = || tables.iter().filter(|table| choice.keeps(table.oid) && !table.partitioned);
    let bare = followed().filter(|table| table.identity == Identity::None);
    let mut findings: Vec<Finding> = bare.map(|table| without_identity(plugin, table)).collect();
    if plugin == Plugin::Wal2json {
        let oids: Vec<String> = followed().map(|table| table.oid.to_string()).collect();
        findings.extend(without_words(session, &oids).await?);
    }
    Ok(findings)
}

/// The finding for a table whose updates and deletes do not say which row they are about.
fn without_identity(plugin: Plugin, table: &Publishable) -> Finding {
    let reason = match plugin {
        Plugin::TestDecoding => {
            "has no replica identity: with test_decoding an UPDATE or DELETE of it does not say which \
             row it is about, and stops applying"
        }
        _ => {
            "has no replica identity: inserts and truncations are followed, updates and deletes are \
             not"
        }
    };
    Finding {
        severity: Severity::Warning,
        object: table.name.to_string(),
        reason: reason.into(),
        hint: Some(format!(
            "Give it a primary key, or run ALTER TABLE {} REPLICA IDENTITY FULL; before the migration \
             begins.",
            table.name.sql()
        )),
    }
}

/// Columns whose type has values without a word in JSON: how many, and the first by name.
const WITHOUT_WORDS_SQL: &str = include_str!("sql/without_words.sql");

/// The finding for columns whose `NaN` and `Infinity` wal2json sends as null.
async fn without_words(session: &mut Session, oids: &[String]) -> Result<Option<Finding>> {
    let list = format!("{{{}}}", oids.join(","));
    let rows = session.query(WITHOUT_WORDS_SQL, &[Some(&list)]).await?;
    let row = rows.one()?;
    let count: u64 = row.parse(0)?;
    let Some(first) = row.optional_text(1)? else { return Ok(None) };
    Ok(Some(Finding {
        severity: Severity::Warning,
        object: "plugin wal2json".into(),
        reason: format!(
            "sends NaN and Infinity as null; {count} columns of followed tables are of type real, double \
             precision or numeric, the first is {first}"
        ),
        hint: Some(
            "Where such values are written, use --plugin pgoutput or test_decoding. At the end position \
             both databases are asked about the columns in which nulls came."
                .into(),
        ),
    }))
}
