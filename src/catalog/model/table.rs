//! Tables and their columns.

use serde::{Deserialize, Serialize};

use super::Oid;
use crate::base::ident::QualifiedName;

/// A table, partition, materialized view or foreign table of the source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Name.
    pub name: QualifiedName,
    /// What it is.
    pub kind: TableKind,
    /// Whether its changes are in the WAL.
    pub persistence: Persistence,
    /// Owner.
    pub owner: String,
    /// Table access method; `None` for kinds that have no storage.
    pub access_method: Option<String>,
    /// `pg_class.relfilenode` as the snapshot saw it; 0 where there is no storage.
    pub file_node: u32,
    /// Bytes of the main fork.
    pub heap_bytes: u64,
    /// Bytes on disk, TOAST included, indexes not.
    pub bytes: u64,
    /// `reltuples`; `None` when never analyzed.
    pub row_estimate: Option<f64>,
    /// The partitioned table it belongs to.
    pub partition_of: Option<Oid>,
    /// Inheritance parents that are no partitioned tables.
    pub inherits: Vec<Oid>,
    /// What the WAL says of a row before an UPDATE or DELETE.
    pub replica_identity: ReplicaIdentity,
    /// Declared WITH OIDS (before version 12): the hidden column is not copied.
    pub with_oids: bool,
    /// Row-level security is enabled.
    pub row_security: bool,
    /// Our role may SELECT from it, its schema included.
    pub may_select: bool,
    /// Columns, in `attnum` order, dropped ones left out.
    pub columns: Vec<Column>,
    /// A single integer column under a valid, complete, non-partial unique index: usable for key
    /// ranges. The primary key is preferred.
    pub split_key: Option<SplitKey>,
    /// For a materialized view: `relispopulated`.
    pub populated: bool,
    /// Extension that it is a member of.
    pub extension: Option<String>,
}

/// `pg_class.relkind`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TableKind {
    /// `r`.
    #[default]
    Ordinary,
    /// `p`.
    Partitioned,
    /// `m`.
    MaterializedView,
    /// `f`.
    Foreign,
    /// `v`; only among a target's relations.
    View,
    /// `S`; only among a target's relations.
    Sequence,
    /// Anything else.
    Other,
}

/// `pg_class.relpersistence`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Persistence {
    /// `p`.
    #[default]
    Permanent,
    /// `u`.
    Unlogged,
}

/// `pg_class.relreplident`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReplicaIdentity {
    /// `d`: the primary key, when there is one.
    #[default]
    Default,
    /// `n`.
    Nothing,
    /// `f`.
    Full,
    /// `i`: the index whose [`super::Index::replica_identity`] is set.
    Index,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// `pg_attribute.attnum`.
    pub number: i16,
    /// Name.
    pub name: String,
    /// `pg_attribute.atttypid`, to look up in `SourceCatalog::types`.
    pub type_oid: Oid,
    /// `format_type`, for messages.
    pub type_name: String,
    /// NOT NULL.
    pub not_null: bool,
    /// Generated columns are computed on the target and never sent.
    pub generated: Generated,
    /// Identity columns are sent with the source's values.
    pub identity: Identity,
}

/// `pg_attribute.attgenerated`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Generated {
    /// Not generated.
    #[default]
    No,
    /// `s`.
    Stored,
    /// `v`.
    Virtual,
}

/// `pg_attribute.attidentity`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Identity {
    /// No identity.
    #[default]
    No,
    /// `a`.
    Always,
    /// `d`.
    ByDefault,
}

/// A column by whose ranges a table can be copied in parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitKey {
    /// Column name.
    pub column: String,
    /// NULLs are possible: they need a part of their own.
    pub nullable: bool,
}
