//! Indexes.

use serde::{Deserialize, Serialize};

use super::Oid;
use crate::base::ident::QualifiedName;

/// An index of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// `pg_class.oid` of the index.
    pub oid: Oid,
    /// Name.
    pub name: QualifiedName,
    /// The table it belongs to.
    pub table_oid: Oid,
    /// `pg_get_indexdef`, schema-qualified.
    pub definition: String,
    /// `indisprimary`.
    pub primary: bool,
    /// `indisunique`.
    pub unique: bool,
    /// `indisvalid`, `indisready` and `indislive`: the others are skipped and named.
    pub valid: bool,
    /// Parent of an index tree (`relkind I`): restored by pg_restore, never built by us.
    pub partitioned: bool,
    /// The partitioned index it is attached to.
    pub parent: Option<Oid>,
    /// `indisreplident`.
    pub replica_identity: bool,
    /// `indisclustered`.
    pub clustered: bool,
    /// Key columns as table column numbers, in index order, INCLUDE columns left out; 0 stands for an
    /// expression.
    pub key_columns: Vec<i16>,
    /// Has a WHERE clause.
    pub partial: bool,
    /// Per-column statistics targets that differ from the default: column number, target.
    pub statistics: Vec<(i16, i32)>,
    /// Tablespace, when not the database's default.
    pub tablespace: Option<String>,
    /// Extensions it depends on (`ALTER INDEX … DEPENDS ON EXTENSION`).
    pub depends_on_extensions: Vec<String>,
    /// Bytes on the source's disk: the estimate of how long its build takes.
    pub bytes: u64,
    /// Constraint it stands for.
    pub constraint_oid: Option<Oid>,
    /// Access method: btree, gist, …
    pub access_method: String,
}
