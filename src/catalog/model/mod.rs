//! The typed model of a database: plain values, serializable, no I/O.

pub mod condition;
pub mod constraint;
pub mod database;
pub mod index;
pub mod members;
pub mod sequence;
pub mod server;
pub mod table;
pub mod types;

use serde::{Deserialize, Serialize};

pub use constraint::{Constraint, ConstraintKind};
pub use database::{Database, LocaleProvider};
pub use index::Index;
pub use sequence::Sequence;
pub use server::ServerFacts;
pub use table::{
    Column, Generated, Identity, Persistence, ReplicaIdentity, SplitKey, Table, TableKind,
};
pub use types::{TypeInfo, TypeKind};

/// An object identifier.
pub type Oid = u32;

/// Everything the plan needs to know of the source, read under one snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SourceCatalog {
    /// The server and the database.
    pub server: ServerFacts,
    /// Schemas of the user.
    pub schemas: Vec<Schema>,
    /// Ordinary and partitioned tables, materialized views, foreign tables; largest first.
    pub tables: Vec<Table>,
    /// Indexes of ordinary tables and materialized views, partitioned indexes included.
    pub indexes: Vec<Index>,
    /// Primary key, unique, exclusion and foreign-key constraints.
    pub constraints: Vec<Constraint>,
    /// Sequences.
    pub sequences: Vec<Sequence>,
    /// Extensions.
    pub extensions: Vec<Extension>,
    /// How many large objects there are.
    pub large_objects: u64,
    /// Every type that a column uses, elements and attributes included.
    pub types: std::collections::BTreeMap<Oid, TypeInfo>,
}

/// A schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// `pg_namespace.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: String,
    /// Extension that it is a member of.
    pub extension: Option<String>,
}

/// An extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// `pg_extension.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Schema its objects live in.
    pub schema: String,
    /// Configuration tables and the condition of the rows that are the user's.
    pub config_tables: Vec<(Oid, String)>,
}

/// What the plan needs to know of the target before anything is created there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TargetFacts {
    /// The server and the database.
    pub server: ServerFacts,
    /// Schemas that exist, the system's left out; our own `pgcopydb` is among them.
    pub schemas: Vec<String>,
    /// Ordinary and partitioned tables, views and the like that exist outside the system schemas,
    /// outside our own schema `pgcopydb` and outside extensions, with their kind.
    pub relations: Vec<(crate::base::ident::QualifiedName, TableKind)>,
    /// Extensions installed: name and version.
    pub extensions: Vec<(String, String)>,
    /// Extensions that could be installed: name and default version.
    pub available_extensions: Vec<(String, String)>,
    /// Tablespaces.
    pub tablespaces: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Whether our role may set `session_replication_role`.
    pub may_set_replication_role: bool,
}
