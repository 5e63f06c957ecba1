//! What the target's catalog says about a relation that changes are applied to.

use proto::types::FormatCode;

use crate::base::error::Result;
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::connect::client::{Row, Session};

const RELATION_SQL: &str = include_str!("sql/relation.sql");
const COLUMNS_SQL: &str = include_str!("sql/columns.sql");
const INDEXES_SQL: &str = include_str!("sql/indexes.sql");

/// What kind of relation takes the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// An ordinary table, or a leaf partition.
    Table,
    /// A partitioned table: rows find their partition.
    Partitioned,
    /// Takes no changes; refreshed after the batch that would have changed it.
    MaterializedView,
    /// A view or a foreign table: rows are changed through their key, one by one.
    Indirect,
}

/// A column of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    /// Name.
    pub name: String,
    /// Type on the target.
    pub type_oid: u32,
    /// `atttypmod`; -1 when there is none.
    pub type_modifier: i32,
    /// The type for casts: quoted, with its schema, without modifier.
    pub type_sql: String,
    /// The type as people know it.
    pub type_text: String,
    /// NOT NULL.
    pub not_null: bool,
    /// GENERATED ALWAYS AS (…): never written.
    pub generated: bool,
    /// GENERATED ALWAYS AS IDENTITY: can be inserted, not updated.
    pub identity_always: bool,
    /// Values are arrays, which cannot be elements of one.
    pub is_array: bool,
    /// There is an array type over it.
    pub has_array_type: bool,
    /// A cast from `text` runs a function of its own instead of the type's input function.
    pub has_text_cast: bool,
}

/// A column of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// Position in [`TargetTable::columns`].
    pub column: usize,
    /// Equality as the index means it, for SQL: `operator(pg_catalog.=)`.
    pub equals: String,
}

/// An index that finds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetIndex {
    /// Unique, immediate, over all rows, plain columns only.
    pub is_key: bool,
    /// The primary key's.
    pub is_primary: bool,
    /// Over all rows.
    pub is_total: bool,
    /// Its columns up to the first expression.
    pub columns: Vec<IndexColumn>,
}

/// A relation of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTable {
    /// Object identifier on the target.
    pub oid: u32,
    /// Its name.
    pub name: QualifiedName,
    /// What it is.
    pub kind: TargetKind,
    /// Inheritance children exist whose rows are not this table's.
    pub has_children: bool,
    /// User triggers and rules that fire under `session_replication_role = replica`.
    pub fires_as_replica: Option<String>,
    /// Triggers, foreign keys and rules that fire without it.
    pub fires_as_origin: Option<String>,
    /// A foreign key of it deletes or changes rows by itself where foreign keys fire.
    pub cascades: bool,
    /// Its columns, dropped ones left out.
    pub columns: Vec<TargetColumn>,
    /// Its B-tree indexes, the primary key's first.
    pub indexes: Vec<TargetIndex>,
}

/// Reads relations of the target.
///
/// Its statements are prepared: in a schema of a thousand tables their planning would cost ten times
/// what they find out.
#[derive(Debug)]
pub struct TargetCatalog {
    session: Session,
    /// The statements exist in the session.
    prepared: bool,
}

/// Names and texts of the statements; parameters: schema and name.
const STATEMENTS: [(&str, &str); 3] = [
    ("target_relation", RELATION_SQL),
    ("target_columns", COLUMNS_SQL),
    ("target_indexes", INDEXES_SQL),
];

impl TargetCatalog {
    /// Reads with a session of its own.
    pub fn new(session: Session) -> Self {
        Self { session, prepared: false }
    }

    /// Reads a relation; `None` when the target has none of this name that could hold rows.
    ///
    /// Not cancel safe. After an error it can only be dropped.
    ///
    /// # Errors
    /// Those of the queries.
    pub async fn table(&mut self, name: &QualifiedName) -> Result<Option<TargetTable>> {
        let params = [Some(name.schema.as_bytes()), Some(name.name.as_bytes())];
        for (statement, sql) in STATEMENTS {
            if !self.prepared {
                self.session.queue_parse(statement, sql)?;
            }
            self.session.queue_execute(statement, &params, &[FormatCode::Text])?;
        }
        let mut results = Vec::with_capacity(STATEMENTS.len());
        self.session.run_queue(&mut results).await?;
        self.prepared = true;
        let mut results = results.into_iter().map(|result| result.rows);
        let mut next = || results.next().unwrap_or_default();
        let (relation, columns, indexes) = (next(), next(), next());
        let Some(row) = relation.first() else { return Ok(None) };
        let columns = columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let indexes = read_indexes(&indexes, &columns)?;
        Ok(Some(TargetTable {
            oid: row.parse(0)?,
            name: name.clone(),
            kind: match row.text(1)? {
                "r" => TargetKind::Table,
                "p" => TargetKind::Partitioned,
                "m" => TargetKind::MaterializedView,
                _ => TargetKind::Indirect,
            },
            has_children: row.flag(2)?,
            fires_as_replica: row.optional_text(3)?.map(str::to_owned),
            fires_as_origin: row.optional_text(4)?.map(str::to_owned),
            cascades: row.flag(5)?,
            columns,
            indexes,
        }))
    }
}

impl TargetTable {
    /// The table for UPDATE and DELETE: children of inheritance have changes of their own.
    pub fn only_sql(&self) -> String {
        match self.kind {
            TargetKind::Table if self.has_children => format!("only {}", self.name.sql()),
            _ => self.name.sql(),
        }
    }

    /// The definition in a few words, for messages.
    pub fn describe(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.type_text))
            .collect();
        format!("{} ({})", self.name, columns.join(", "))
    }
}

/// Reads a column.
fn column(row: &Row) -> Result<TargetColumn> {
    let type_schema = quote_identifier(row.text(3)?);
    let type_name = quote_identifier(row.text(4)?);
    Ok(TargetColumn {
        name: row.text(0)?.to_owned(),
        type_oid: row.parse(1)?,
        type_modifier: row.parse(2)?,
        type_sql: format!("{type_schema}.{type_name}"),
        type_text: row.text(5)?.to_owned(),
        not_null: row.flag(6)?,
        generated: row.flag(7)?,
        identity_always: row.flag(8)?,
        is_array: row.flag(9)?,
        has_array_type: row.flag(10)?,
        has_text_cast: row.flag(11)?,
    })
}

/// Reads the indexes, one row per column of each.
fn read_indexes(rows: &[Row], columns: &[TargetColumn]) -> Result<Vec<TargetIndex>> {
    let mut indexes: Vec<(u32, bool, TargetIndex)> = Vec::new();
    for row in rows {
        let oid: u32 = row.parse(0)?;
        if indexes.last().is_none_or(|(last, _, _)| *last != oid) {
            let index = TargetIndex {
                is_key: row.flag(1)?,
                is_primary: row.flag(2)?,
                is_total: row.flag(3)?,
                columns: Vec::new(),
            };
            indexes.push((oid, true, index));
        }
        let Some((_, plain, index)) = indexes.last_mut() else { continue };
        let name = row.optional_text(4)?;
        match columns.iter().position(|column| Some(column.name.as_str()) == name) {
            Some(column) if *plain => {
                let schema = quote_identifier(row.text(5)?);
                let equals = format!("operator({schema}.{})", row.text(6)?);
                index.columns.push(IndexColumn { column, equals });
            }
            // What lies behind an expression does not help to find rows by columns.
            _ => *plain = false,
        }
    }
    Ok(indexes.into_iter().map(|(_, _, index)| index).collect())
}
