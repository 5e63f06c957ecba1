//! What a comparison found: filled by `compare`, shown by `report`.

use super::ident::QualifiedName;

/// Rows of a table as one side has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDigest {
    /// Number of rows.
    pub rows: u64,
    /// Lower-case hex of SHA-256 over `<sum>-<rows>`, the sum being that of the hashes of all rows.
    pub checksum: String,
}

/// One table, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableComparison {
    /// Its name, the same on both sides.
    pub name: QualifiedName,
    /// Its rows on the source; `None` when it does not exist there or could not be read.
    pub source: Option<TableDigest>,
    /// Its rows on the target; `None` when it does not exist there or could not be read.
    pub target: Option<TableDigest>,
    /// What differs beside the rows, one line each: the table or a column exists on one side only.
    pub remarks: Vec<String>,
    /// Why a side could not be read.
    pub error: Option<String>,
    /// Rows that differ, when they were asked for.
    pub rows: Option<RowDifferences>,
}

impl TableComparison {
    /// Both sides have the table, with the same columns and the same rows.
    pub fn is_same(&self) -> bool {
        self.error.is_none()
            && self.remarks.is_empty()
            && self.source.is_some()
            && self.source == self.target
    }
}

/// Rows that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowDifferences {
    /// Some or all of them.
    pub rows: Vec<RowDifference>,
    /// There are no others.
    pub complete: bool,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowDifference {
    /// How.
    pub state: RowState,
    /// Columns of the key with their values as text; without a key the one pair `row` and the start
    /// of the row's text.
    pub key: Vec<(String, Option<String>)>,
    /// With [`RowState::Differs`]: the columns whose values differ, when they could be told.
    pub columns: Vec<String>,
    /// How many such rows there are: more than one only without a key.
    pub count: u64,
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowState {
    /// Both sides have a row of this key, with other values.
    Differs,
    /// Only the source has it.
    SourceOnly,
    /// Only the target has it.
    TargetOnly,
}

impl RowState {
    /// The word for it, in text and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::SourceOnly => "source-only",
            Self::TargetOnly => "target-only",
        }
    }
}

/// One difference between two schemas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectDifference {
    /// Kind of the object: `table`, `index`, `function`, …
    pub kind: String,
    /// The object as people name it.
    pub object: String,
    /// What differs: a property, or `exists`.
    pub property: String,
    /// Its value on the source; `None` when the object does not exist there.
    pub source: Option<String>,
    /// Its value on the target; `None` when the object does not exist there.
    pub target: Option<String>,
}

/// Which sides have a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Both.
    Both,
    /// The source only.
    SourceOnly,
    /// The target only.
    TargetOnly,
}

impl Presence {
    /// Both sides have it.
    pub fn is_both(self) -> bool {
        self == Self::Both
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Both => "exists on both sides",
            Self::SourceOnly => "exists on the source only",
            Self::TargetOnly => "exists on the target only",
        }
    }

    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::SourceOnly => "source-only",
            Self::TargetOnly => "target-only",
        }
    }
}

/// What a comparison of two schemas found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaComparison {
    /// Kinds of objects with their number on the source and on the target.
    pub counts: Vec<(String, u64, u64)>,
    /// What differs, by kind and object.
    pub differences: Vec<ObjectDifference>,
}
