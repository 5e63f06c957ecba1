//! Settings of the `list` commands.

use std::path::PathBuf;

use super::Split;
use crate::connect::conninfo::ConnInfo;

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Databases of the source server.
    Databases,
    /// Extensions that the source uses.
    Extensions,
    /// Extensions that the source could install, with all their versions.
    AvailableExtensions,
    /// Extensions that a target must have.
    Requirements,
    /// Collations that are used.
    Collations,
    /// Tables whose rows are copied, or those that are left out.
    Tables,
    /// The parts that one table is copied in.
    TableParts,
    /// Sequences.
    Sequences,
    /// Indexes and their constraints.
    Indexes,
    /// What depends on tables that are left out.
    Depends,
    /// Everything, as a document.
    Schema,
}

/// What the `list` commands need to know.
#[derive(Debug, Clone)]
pub struct ListConfig {
    /// What to list.
    pub what: List,
    /// The source.
    pub source: ConnInfo,
    /// Work directory; only `list schema` writes into it.
    pub directory: PathBuf,
    /// Filter file.
    pub filters: Option<PathBuf>,
    /// `--schema-name`.
    pub schema: Option<String>,
    /// `--table-name`.
    pub table: Option<String>,
    /// List what the filters leave out.
    pub skipped: bool,
    /// Only tables without primary key.
    pub without_primary_key: bool,
    /// How tables are split.
    pub split: Split,
}
