//! The ledger: what is done, kept on the target in schema `pgcopydb`, written in the same
//! transaction as the rows or the object it speaks of (K6).
//!
//! ```text
//!  pgcopydb.run    one row: whose migration this is, how far its stages came
//!  pgcopydb.part   one row per copied table or table part; the planned bounds of split tables
//!  pgcopydb.statement one row per entry of the schema's archive that was restored, by the digest of
//!                  its statements
//!  pgcopydb.object one row per index, constraint, large-object batch … that is done
//! ```
//!
//! A crash between a commit and any bookkeeping elsewhere cannot lie: a row is here if and only if
//! its effect is. The schema is removed at the end of a complete run.
//!
//! How to add one more kind of object: a letter in [`ObjectKind`], and [`object_sql`] appended to
//! the transaction that makes the object.

mod run;
mod start;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proto::lsn::Lsn;

use crate::base::error::Result;
use crate::connect::client::{Row, Session};

pub use run::{
    RunRecord, Stage, create, lock, make_durable, open, remove, remove_and, set_stage, start_again,
};
pub use start::{forget_starts, read_starts, record_starts};

/// Name of the schema on the target.
pub const SCHEMA: &str = "pgcopydb";

/// Kinds of objects whose completion is recorded; the letter is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// An index, by the index's source oid.
    Index,
    /// A primary key, unique or exclusion constraint, by the constraint's source oid.
    Constraint,
    /// A foreign key that was added, validated or not.
    ForeignKey,
    /// A foreign key whose validation was tried; failed ones stay NOT VALID and are reported.
    Validated,
    /// VACUUM or ANALYZE of a table, by the table's source oid.
    Vacuum,
    /// A window of large objects, by the lowest oid that belongs to it.
    LargeObjects,
    /// All sequences: oid 0.
    Sequences,
    /// Replica identity and clustering index of a table, by the table's source oid.
    TableStatements,
    /// ANALYZE of partition and inheritance parents: oid 0.
    Parents,
    /// A foreign key that a step dropped, to load its table, and has to add again.
    DroppedForeignKey,
    /// A call that an extension asks for: 0 is TimescaleDB's before rows, else a table that Citus
    /// distributes, by its source oid.
    Hook,
}

impl ObjectKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Index,
        Self::Constraint,
        Self::ForeignKey,
        Self::Validated,
        Self::Vacuum,
        Self::LargeObjects,
        Self::Sequences,
        Self::TableStatements,
        Self::Parents,
        Self::DroppedForeignKey,
        Self::Hook,
    ];

    /// The letter in the ledger.
    pub fn letter(self) -> char {
        match self {
            Self::Index => 'i',
            Self::Constraint => 'c',
            Self::ForeignKey => 'f',
            Self::Validated => 'v',
            Self::Vacuum => 'a',
            Self::LargeObjects => 'l',
            Self::Sequences => 's',
            Self::TableStatements => 't',
            Self::Parents => 'p',
            Self::DroppedForeignKey => 'd',
            Self::Hook => 'h',
        }
    }

    /// The kind of a letter.
    fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| letter.chars().eq([kind.letter()]))
    }
}

/// A copied table or table part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// Source oid of the table.
    pub relation: u32,
    /// Which part, from 0.
    pub part_index: u32,
    /// In how many parts; 1 is the whole table.
    pub part_count: u32,
    /// File node that the copy read.
    pub file_node: u32,
    /// Rows that arrived.
    pub rows: u64,
    /// COPY payload bytes.
    pub bytes: u64,
    /// How long the copy took, in milliseconds.
    pub duration_ms: u64,
    /// Position of the source that the snapshot stands at, where changes are followed: what was
    /// committed up to here is in the rows.
    pub snapshot_lsn: Option<Lsn>,
}

/// The statement that records a copied part; to be run in the transaction that copied it.
pub fn part_sql(part: &PartRecord) -> String {
    let lsn = part.snapshot_lsn.map_or_else(|| "null".to_owned(), |lsn| format!("'{lsn}'"));
    format!(
        "insert into pgcopydb.part (relation, part_index, part_count, file_node, rows, bytes, \
         duration_ms, snapshot_lsn) values ({}, {}, {}, {}, {}, {}, {}, {lsn})",
        part.relation,
        part.part_index,
        part.part_count,
        part.file_node,
        part.rows,
        part.bytes,
        part.duration_ms
    )
}

/// The statement that records a finished object; to be run in the transaction that made it.
pub fn object_sql(kind: ObjectKind, key: impl Into<i64>) -> String {
    objects_sql(&[(kind, key.into())])
}

/// The statement that records finished objects, at least one; to be run in the transaction that
/// made them.
pub fn objects_sql(objects: &[(ObjectKind, i64)]) -> String {
    let rows: Vec<String> =
        objects.iter().map(|(kind, key)| format!("('{}', {key})", kind.letter())).collect();
    format!(
        "insert into pgcopydb.object (kind, oid) values {} on conflict do nothing",
        rows.join(", ")
    )
}

/// One copied part, if the ledger has it.
///
/// # Errors
/// Those of the query.
pub async fn part(
    session: &mut Session,
    relation: u32,
    part_index: u32,
) -> Result<Option<PartRecord>> {
    let sql = format!("{PARTS_SQL} where relation = $1::bigint and part_index = $2::int");
    let params = [relation.to_string(), part_index.to_string()];
    let rows = session.query(&sql, &params.each_ref().map(|text| Some(text.as_str()))).await?;
    rows.rows.first().map(part_record).transpose()
}

/// The keys of the finished objects of one kind.
///
/// # Errors
/// Those of the query.
pub async fn objects(session: &mut Session, kind: ObjectKind) -> Result<BTreeSet<i64>> {
    objects_where(session, kind, |_| true).await
}

/// The keys of the finished objects of one kind that are `wanted`; no other is kept.
///
/// # Errors
/// Those of the query.
pub async fn objects_where(
    session: &mut Session,
    kind: ObjectKind,
    wanted: impl Fn(i64) -> bool + Send + Sync,
) -> Result<BTreeSet<i64>> {
    let sql = "select oid from pgcopydb.object where kind = $1";
    let mut keys = BTreeSet::new();
    session
        .query_each(sql, &[Some(&kind.letter().to_string())], |row| {
            keys.extend(Some(row.parse(0)?).filter(|key| wanted(*key)));
            Ok(())
        })
        .await?;
    Ok(keys)
}

/// Forgets the parts of these tables, which are copied again from the start.
///
/// # Errors
/// Those of the statement.
pub async fn forget_parts(session: &mut Session, relations: &[u32]) -> Result<()> {
    for relation in relations {
        session.execute(&forget_parts_sql(*relation)).await?;
    }
    Ok(())
}

/// Forgets all objects of a kind.
///
/// # Errors
/// Those of the statement.
pub async fn forget_objects(session: &mut Session, kind: ObjectKind) -> Result<()> {
    let sql = format!("delete from pgcopydb.object where kind = '{}'", kind.letter());
    session.execute(&sql).await.map(drop)
}

/// The statement that forgets an object; to be run in the transaction that drops it.
pub fn forget_object_sql(kind: ObjectKind, key: u32) -> String {
    format!("delete from pgcopydb.object where kind = '{}' and oid = {key}", kind.letter())
}

/// Reads [`PartRecord`]s.
const PARTS_SQL: &str = "select relation, part_index, part_count, file_node, rows, bytes, \
                         duration_ms, snapshot_lsn::text from pgcopydb.part";

/// One row of [`PARTS_SQL`].
fn part_record(row: &Row) -> Result<PartRecord> {
    Ok(PartRecord {
        relation: row.parse(0)?,
        part_index: row.parse(1)?,
        part_count: row.parse(2)?,
        file_node: row.parse(3)?,
        rows: row.parse(4)?,
        bytes: row.parse(5)?,
        duration_ms: row.parse(6)?,
        snapshot_lsn: row.parse_optional(7)?,
    })
}

/// The statement that records restored entries of the schema; to be run in the transaction that
/// restored them.
pub fn statements_sql(digests: &[i64]) -> String {
    let values: Vec<String> = digests.iter().map(|digest| format!("({digest})")).collect();
    format!(
        "insert into pgcopydb.statement (digest) values {} on conflict do nothing",
        values.join(", ")
    )
}

/// Reads which entries of the schema were restored.
///
/// # Errors
/// Those of the query.
pub async fn statements(session: &mut Session) -> Result<HashSet<i64>> {
    let mut digests = HashSet::new();
    session
        .query_each("select digest from pgcopydb.statement", &[], |row| {
            digests.insert(row.parse(0)?);
            Ok(())
        })
        .await?;
    Ok(digests)
}

/// The statement that forgets the parts of a table, for a table that is copied again from the
/// start; to be run in the transaction that truncates it.
pub fn forget_parts_sql(relation: u32) -> String {
    format!("delete from pgcopydb.part where relation = {relation}")
}

/// The planned ranges of a split table, as text that only the plan understands.
pub type SplitPlans = BTreeMap<u32, String>;

/// What the ledger says is done.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Copied parts, by table and part number.
    pub parts: BTreeMap<u32, Vec<PartRecord>>,
    /// Finished objects.
    pub objects: BTreeSet<(ObjectKind, i64)>,
    /// Planned ranges of split tables.
    pub splits: SplitPlans,
}

impl Done {
    /// Whether an object is done.
    pub fn has(&self, kind: ObjectKind, oid: u32) -> bool {
        self.objects.contains(&(kind, i64::from(oid)))
    }
}

/// Reads what is done.
///
/// # Errors
/// Those of the queries.
pub async fn read(session: &mut Session) -> Result<Done> {
    let mut done = Done::default();
    let sql = format!("{PARTS_SQL} order by relation, part_index");
    session
        .query_each(&sql, &[], |row| {
            let part = part_record(&row)?;
            done.parts.entry(part.relation).or_default().push(part);
            Ok(())
        })
        .await?;
    session
        .query_each("select kind::text, oid from pgcopydb.object", &[], |row| {
            if let Some(kind) = ObjectKind::from_letter(row.text(0)?) {
                done.objects.insert((kind, row.parse(1)?));
            }
            Ok(())
        })
        .await?;
    session
        .query_each("select relation, ranges from pgcopydb.split", &[], |row| {
            done.splits.insert(row.parse(0)?, row.text(1)?.to_owned());
            Ok(())
        })
        .await?;
    Ok(done)
}

/// Records the planned ranges of split tables, so that a later run cuts them alike. A range that is
/// already recorded stays.
///
/// # Errors
/// Those of the statements.
pub async fn record_splits(session: &mut Session, splits: &SplitPlans) -> Result<()> {
    for (relation, ranges) in splits {
        let sql = "insert into pgcopydb.split (relation, ranges) values ($1::bigint, $2) \
                   on conflict (relation) do update set ranges = excluded.ranges";
        session.query(sql, &[Some(&relation.to_string()), Some(ranges)]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_distinct_and_read_back() {
        let letters: BTreeSet<char> = ObjectKind::ALL.iter().map(|kind| kind.letter()).collect();
        assert_eq!(letters.len(), ObjectKind::ALL.len());
        for kind in ObjectKind::ALL {
            assert_eq!(ObjectKind::from_letter(&kind.letter().to_string()), Some(kind));
        }
        assert_eq!(ObjectKind::from_letter("ii"), None);
    }
}
