//! How one table is loaded.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::base::ident::{QualifiedName, quote_identifier};
use crate::catalog::model::{Oid, TableKind};

/// One ordinary table: what is read from it, how it is written, what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TablePlan {
    /// `pg_class.oid` on the source.
    pub oid: Oid,
    /// Name, the same on both ends.
    pub name: QualifiedName,
    /// What it is on the source; always `Ordinary` so far, partitions included.
    pub kind: TableKind,
    /// Names of the columns to copy, unquoted, in `attnum` order: generated columns left out, identity
    /// columns kept.
    ///
    /// May be empty: a table without columns, or with generated ones only. Then the statements carry
    /// no column list at all (an empty one is a syntax error); COPY's default list leaves generated
    /// columns out on both ends, so the rows still arrive.
    pub columns: Vec<String>,
    /// COPY format.
    pub format: Format,
    /// The column and type that forced text; `None` when binary, or when text was asked for.
    pub format_reason: Option<String>,
    /// `pg_class.relfilenode` as the snapshot saw it: compared before the copy (K8).
    pub file_node: u32,
    /// Bytes on the source's disk, TOAST included, indexes not.
    pub bytes: u64,
    /// Estimated rows; `None` when never analyzed.
    pub row_estimate: Option<f64>,
    /// The pieces it is copied in: one `Whole`, or several ranges; empty when its rows are not copied.
    pub parts: Vec<Part>,
    /// How the rows are written.
    pub load: LoadStrategy,
    /// The target's statements may say ONLY: it is no partitioned table there.
    pub only: bool,
    /// Only the rows for which this SQL condition holds: a configuration table of an extension.
    pub condition: Option<String>,
    /// It is a configuration table of an extension.
    #[serde(default)]
    pub config: Option<ConfigTable>,
    /// Its indexes in [`super::Plan::indexes`].
    pub indexes: Range<u32>,
    /// Its constraints in [`super::Plan::constraints`].
    pub constraints: Range<u32>,
    /// Name of the index to issue REPLICA IDENTITY USING INDEX for. Like `clustered` it locks the whole
    /// table, so it is done by [`super::JobKind::Constraints`] when nothing is built on it any more.
    pub replica_identity: Option<String>,
    /// Name of the index to issue CLUSTER ON for.
    pub clustered: Option<String>,
    /// What is run after everything else; `None` when vacuuming is skipped or nothing is loaded.
    pub vacuum: Option<VacuumKind>,
}

impl TablePlan {
    /// The rows are left out on purpose: schema, indexes and constraints only.
    pub fn exclude_data(&self) -> bool {
        !self.load.loads()
    }

    /// It is copied in several parts.
    pub fn is_split(&self) -> bool {
        self.load == LoadStrategy::Parts
    }

    /// Keeps the parts that an earlier start began, whatever this start would have chosen: parts are
    /// never truncated one by one, or each would remove the ones before it.
    pub fn keep_parts(&mut self, parts: Vec<Part>) {
        if !self.load.replaces() && !self.is_split() {
            return;
        }
        if parts.len() > 1 {
            self.load = LoadStrategy::Parts;
            self.vacuum = self.vacuum.map(|_| VacuumKind::VacuumAnalyze);
        } else if self.is_split() {
            self.load = LoadStrategy::Replace;
        }
        self.parts = parts;
    }

    /// Loads the whole table by a plain COPY: something on the target stands in the place of an ordinary
    /// table, which neither FREEZE nor parts fit.
    pub fn append_only(&mut self) {
        if self.load.loads() {
            self.load = LoadStrategy::Append;
            self.parts = vec![Part::WHOLE];
            self.vacuum = self.vacuum.map(|_| VacuumKind::VacuumAnalyze);
        }
    }

    /// There is something to do once its indexes stand: constraints, replica identity, clustering index.
    pub fn has_constraint_work(&self) -> bool {
        !self.constraints.is_empty() || self.replica_identity.is_some() || self.clustered.is_some()
    }

    /// The columns quoted and joined for SQL text, without parentheses; empty for no list.
    pub fn column_list(&self) -> String {
        let mut list = String::with_capacity(self.columns.len() * 16);
        for column in &self.columns {
            if !list.is_empty() {
                list.push_str(", ");
            }
            list.push_str(&quote_identifier(column));
        }
        list
    }
}

/// What makes a configuration table of an extension different from other tables: the target's one has
/// its constraints and triggers from the beginning, so the order of the rows matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigTable {
    /// Name of the extension.
    pub extension: String,
    /// Its place among all configuration tables: extensions as they were created, within one as it
    /// names its tables, what a foreign key references first.
    pub rank: u32,
    /// Positions in [`super::Plan::tables`] of those whose rows must be there first, all of a lower rank.
    pub after: Vec<u32>,
}

/// COPY format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// `WITH (FORMAT binary)`.
    Binary,
    /// The default.
    Text,
}

/// How the rows of a table are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoadStrategy {
    /// One transaction: TRUNCATE, then COPY … FREEZE. Where the role may not TRUNCATE, the job falls
    /// back to plain COPY into a table that it has found empty.
    ReplaceFrozen,
    /// COPY into a small table that this run has created: nothing is there to be truncated, and marker
    /// row and rows are one transaction.
    Fresh,
    /// One transaction: TRUNCATE, then COPY. The target is a partitioned table, where FREEZE is
    /// refused.
    Replace,
    /// Truncated once by [`super::JobKind::Truncate`]; each part is one transaction that also writes
    /// its marker row. FREEZE is impossible: the table was not truncated in that transaction.
    Parts,
    /// COPY without TRUNCATE, marker row in the same transaction: rows that belong to the target stay
    /// (configuration tables of extensions, tables that are foreign tables on the target).
    Append,
    /// No rows are copied and nothing is truncated.
    Nothing,
}

impl LoadStrategy {
    /// Rows are copied.
    pub fn loads(self) -> bool {
        self != Self::Nothing
    }

    /// The table holds the source's rows and nothing else afterwards, so that it may be split and
    /// finished by one job.
    pub fn replaces(self) -> bool {
        matches!(self, Self::ReplaceFrozen | Self::Fresh | Self::Replace)
    }
}

/// What is run on a table after its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VacuumKind {
    /// `ANALYZE`: loaded frozen on version 14 or later, so the visibility map is already set (K4).
    Analyze,
    /// `VACUUM (ANALYZE)`.
    VacuumAnalyze,
}

/// One piece of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its position among the parts of the table, from 0.
    pub index: u32,
    /// The rows it holds.
    pub range: PartRange,
}

impl Part {
    /// The only part of a table that is not split.
    pub const WHOLE: Self = Self { index: 0, range: PartRange::Whole };
}

/// Which rows a part holds. The parts of a table hold each row exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartRange {
    /// All.
    Whole,
    /// Rows in heap blocks `from_block` (inclusive) to `to_block` (exclusive).
    Ctid {
        /// First block.
        from_block: u32,
        /// First block behind the range; `None` in the last part, which takes what the table has
        /// grown since (S-5).
        to_block: Option<u32>,
    },
    /// Rows whose key is in a range; NULL keys are in none.
    Key {
        /// Name of the key column, unquoted.
        column: String,
        /// Lowest key, inclusive; `None` in the first part.
        from: Option<i64>,
        /// Lowest key behind the range; `None` in the last part.
        to: Option<i64>,
    },
    /// Rows whose key is NULL (S-8).
    KeyNull {
        /// Name of the key column, unquoted.
        column: String,
    },
}

impl PartRange {
    /// The SQL condition of the range, to stand behind WHERE; `None` when there is nothing to say.
    ///
    /// Bounds are quoted literals with a cast: a bare `-9223372036854775808` is parsed as minus
    /// applied to a numeric, which no index and no TID range scan understands.
    pub fn predicate(&self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Ctid { from_block, to_block } => {
                let from = (*from_block > 0).then(|| format!("'({from_block},0)'::pg_catalog.tid"));
                let to = to_block.map(|block| format!("'({block},0)'::pg_catalog.tid"));
                between("ctid", from, to)
            }
            Self::Key { column, from, to } => {
                let literal = |key: i64| format!("'{key}'::pg_catalog.int8");
                let column = quote_identifier(column);
                between(&column, from.map(literal), to.map(literal))
                    // Without bounds the range still leaves the NULL keys to `KeyNull`.
                    .or_else(|| Some(format!("{column} is not null")))
            }
            Self::KeyNull { column } => Some(format!("{} is null", quote_identifier(column))),
        }
    }
}

/// `what >= from and what < to`, as far as the bounds are there.
fn between(what: &str, from: Option<String>, to: Option<String>) -> Option<String> {
    match (from, to) {
        (None, None) => None,
        (Some(from), None) => Some(format!("{what} >= {from}")),
        (None, Some(to)) => Some(format!("{what} < {to}")),
        (Some(from), Some(to)) => Some(format!("{what} >= {from} and {what} < {to}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctid_ranges_are_half_open_and_open_ended() {
        let range = |from_block, to_block| PartRange::Ctid { from_block, to_block }.predicate();
        assert_eq!(range(0, Some(10)).unwrap(), "ctid < '(10,0)'::pg_catalog.tid");
        assert_eq!(
            range(10, Some(20)).unwrap(),
            "ctid >= '(10,0)'::pg_catalog.tid and ctid < '(20,0)'::pg_catalog.tid"
        );
        assert_eq!(range(20, None).unwrap(), "ctid >= '(20,0)'::pg_catalog.tid");
    }

    // trap S-7
    #[test]
    fn extreme_keys_are_quoted_literals() {
        let range = PartRange::Key { column: "Id".into(), from: Some(i64::MIN), to: Some(-1) };
        assert_eq!(
            range.predicate().unwrap(),
            "\"Id\" >= '-9223372036854775808'::pg_catalog.int8 and \"Id\" < '-1'::pg_catalog.int8"
        );
    }

    // trap S-8
    #[test]
    fn null_keys_are_in_their_own_part_only() {
        let column = || "k".to_owned();
        let all = PartRange::Key { column: column(), from: None, to: None };
        assert_eq!(all.predicate().unwrap(), "\"k\" is not null");
        assert_eq!(PartRange::KeyNull { column: column() }.predicate().unwrap(), "\"k\" is null");
    }
}
