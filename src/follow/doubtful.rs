//! Values that the output plugin may have destroyed, and whether it has.
//!
//! wal2json writes `NaN` and the infinities of real, double precision and numeric columns as null: JSON
//! has no words for them. In the stream such a null looks like any other. So the columns in which one came
//! are remembered, beside the changes, and at the end both databases are asked about these columns alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result, Side};
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::base::summary::{Finding, Severity};
use crate::config::FollowConfig;
use crate::connect::client::settings::{self, SessionRole};
use crate::connect::client::{Row, Session};
use crate::local::workdir::{read_optional, replace_file};

/// Name of the file in the store's directory.
const FILE: &str = "doubtful.json";

/// A column in which a null may have been something else.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct DoubtfulColumn {
    /// Schema of the table.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Column.
    pub column: String,
}

/// The columns of a migration, kept over interruptions.
#[derive(Debug)]
pub struct Doubtful {
    path: PathBuf,
    columns: BTreeSet<DoubtfulColumn>,
}

impl Doubtful {
    /// Reads what earlier runs have found; `store` is the directory of the received changes.
    ///
    /// # Errors
    /// `File` when it cannot be read, `State` when it is not ours.
    pub fn open(store: &Path) -> Result<Self> {
        let path = store.join(FILE);
        let columns = match read_optional(&path)? {
            None => BTreeSet::new(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::state(format!("\"{}\" cannot be read: {error}", path.display()))
            })?,
        };
        Ok(Self { path, columns })
    }

    /// Remembers columns, before the rows in which they were seen are applied.
    ///
    /// # Errors
    /// `File` when it cannot be written.
    pub fn add(&mut self, found: Vec<DoubtfulColumn>) -> Result<()> {
        let before = self.columns.len();
        self.columns.extend(found);
        if self.columns.len() == before {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.columns)
            .map_err(|error| Error::internal(format!("doubtful columns: {error}")))?;
        replace_file(&self.path, &text)
    }
}

/// Columns whose type has values without a word in JSON.
const SUSPECTS_SQL: &str = include_str!("sql/suspects.sql");

/// Remembers every column of these tables, by their identifiers, in which a null may come that is none:
/// for a run that does not know any more in which one did.
///
/// # Errors
/// Those of the source; `File` when they cannot be written.
pub async fn suspect(
    source: &mut Session,
    tables: impl Iterator<Item = u32>,
    store: &Path,
) -> Result<()> {
    let oids: Vec<String> = tables.map(|oid| oid.to_string()).collect();
    let list = format!("{{{}}}", oids.join(","));
    let rows = source.query(SUSPECTS_SQL, &[Some(&list)]).await?;
    let column = |row: &Row| {
        Ok(DoubtfulColumn {
            schema: row.text(0)?.to_owned(),
            table: row.text(1)?.to_owned(),
            column: row.text(2)?.to_owned(),
        })
    };
    let columns = rows.rows.iter().map(column).collect::<Result<_>>()?;
    Doubtful::open(store)?.add(columns)
}

/// Names the columns whose values the plugin has destroyed: those that hold more of them on the source
/// than on the target. To be asked when everything is applied and nothing is written any more.
///
/// # Errors
/// Those of the connections.
pub async fn destroyed(config: &FollowConfig, store: &Path) -> Result<Vec<Finding>> {
    let doubtful = Doubtful::open(store)?;
    if doubtful.columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut source = Session::connect(Side::Source, &config.source, "check").await?;
    settings::pin(&mut source, SessionRole::Source).await?;
    let mut target = Session::connect(Side::Target, &config.target, "check").await?;
    settings::pin(&mut target, SessionRole::TargetWriter).await?;
    let mut findings = Vec::new();
    for column in &doubtful.columns {
        let there = count(&mut source, column).await?;
        // Where nothing can be destroyed there is no need to read the target.
        let here = if there == 0 { 0 } else { count(&mut target, column).await? };
        if here < there {
            let name = QualifiedName::new(&column.schema, &column.table);
            findings.push(Finding {
                severity: Severity::Error,
                object: format!("{name}.{}", column.column),
                reason: format!(
                    "holds {there} values NaN or Infinity on the source and {here} on the target: \
                     wal2json sends them as null"
                ),
                hint: Some(
                    "Copy these values by hand, or migrate with --plugin pgoutput or test_decoding."
                        .into(),
                ),
            });
        }
    }
    Ok(findings)
}

/// How many values of a column have no word in JSON; none when table or column is not there.
async fn count(session: &mut Session, column: &DoubtfulColumn) -> Result<u64> {
    let exists = "select exists (select from pg_catalog.pg_attribute a \
                  join pg_catalog.pg_class c on c.oid = a.attrelid \
                  join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                  where n.nspname = $1 and c.relname = $2 and a.attname = $3 \
                  and not a.attisdropped)";
    let DoubtfulColumn { schema, table, column } = column;
    let name = [Some(schema.as_str()), Some(table.as_str()), Some(column.as_str())];
    if !session.query(exists, &name).await?.one()?.flag(0)? {
        return Ok(0);
    }
    let sql = format!(
        "select count(*) from {} where {}::pg_catalog.text in ('NaN', 'Infinity', '-Infinity')",
        QualifiedName::new(schema, table).sql(),
        quote_identifier(column)
    );
    session.query(&sql, &[]).await?.one()?.parse(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_still_known_after_an_interruption() {
        let directory = tempfile::tempdir().unwrap();
        let column = |name: &str| DoubtfulColumn {
            schema: "s".into(),
            table: "t \"x\"".into(),
            column: name.into(),
        };
        let mut doubtful = Doubtful::open(directory.path()).unwrap();
        doubtful.add(vec![column("a"), column("b")]).unwrap();
        doubtful.add(vec![column("b")]).unwrap();
        let again = Doubtful::open(directory.path()).unwrap();
        assert_eq!(again.columns, BTreeSet::from([column("a"), column("b")]));
    }
}
