//! In what condition the two servers are, beyond what a plan needs: the facts of the preflight.

use serde::{Deserialize, Serialize};

use super::Oid;
use crate::base::ident::QualifiedName;

/// Condition of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCondition {
    /// Numbers and settings.
    pub facts: SourceFacts,
    /// Transactions that are open or prepared, of every database, oldest first.
    pub transactions: Vec<OpenTransaction>,
    /// Roles that the database's objects name.
    pub roles: Vec<NeededRole>,
    /// Collations that columns, indexes and domains use, and those of the user.
    pub collations: Vec<UsedCollation>,
    /// Objects that only a superuser can create, as people name them, with their class.
    pub superuser_objects: Vec<SuperuserObject>,
    /// Tablespaces that relations of the database are in, other than its own.
    pub tablespaces: Vec<String>,
    /// Tables whose rows a policy would hide from our role.
    pub row_security: Vec<QualifiedName>,
    /// Partitioned tables whose hash function works on identifiers, by identifier.
    pub hashed_by_identifier: Vec<Oid>,
    /// Indexes and materialized views, each with a function that it calls and that relies on the session's
    /// `search_path`.
    pub search_path: Vec<(String, String)>,
    /// What newer major versions have taken away: the version, the object, the statement that removes it.
    pub lost_features: Vec<(u32, String, String)>,
    /// Per extension that the target cannot have: what depends on it.
    pub dependents: Vec<(String, String)>,
    /// Per extension that the target does not have yet: members that a user may have changed.
    pub touched: Vec<(String, String)>,
    /// What could not be read, one line each.
    pub unchecked: Vec<String>,
}

/// Numbers and settings of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// WAL senders that may still be started.
    pub wal_senders_left: i64,
    /// Replication slots that may still be created.
    pub slots_left: i64,
    /// `max_slot_wal_keep_size` in bytes, −1 is no limit.
    pub slot_wal_keep_bytes: i64,
    /// Locks that fit the server's lock table.
    pub lock_slots: u64,
    /// The database's collation version as recorded, from version 15 on.
    pub collation_recorded: Option<String>,
    /// The version that the system's library has now.
    pub collation_actual: Option<String>,
    /// Publications.
    pub publications: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Our role may read `pg_authid`.
    pub may_read_passwords: bool,
    /// Columns stored with lz4.
    pub lz4_columns: u64,
    /// One of their tables.
    pub lz4_example: Option<String>,
    /// Providers of security labels, separated by commas.
    pub label_providers: Option<String>,
    /// Large objects that our role may not read.
    pub large_objects_unreadable: u64,
    /// One of them.
    pub large_object_example: Option<u32>,
    /// Foreign tables.
    pub foreign_tables: u64,
    /// Columns of type xml or arrays of it.
    pub xml_columns: u64,
    /// One of their tables.
    pub xml_example: Option<String>,
    /// Those with a default, or computed.
    pub xml_defaults: u64,
}

/// A transaction that is open or prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTransaction {
    /// Process of the session; `None` for a prepared one.
    pub pid: Option<u32>,
    /// Identifier of a prepared one.
    pub gid: Option<String>,
    /// Its role.
    pub role: String,
    /// `application_name` of the session.
    pub application: String,
    /// Database.
    pub database: String,
    /// Age in seconds.
    pub seconds: u64,
}

/// A role that objects of the database name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeededRole {
    /// Name.
    pub name: String,
    /// It owns something.
    pub owns: bool,
    /// It was granted something.
    pub granted: bool,
    /// A policy names it.
    pub in_policy: bool,
}

/// A collation that something uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedCollation {
    /// Name.
    pub name: QualifiedName,
    /// `c` libc, `i` ICU, `b` built in.
    pub provider: String,
    /// Locale of the library.
    pub locale: String,
    /// Version as recorded.
    pub recorded: Option<String>,
    /// Version that the library has now.
    pub actual: Option<String>,
    /// Created by the user, so that the schema's dump creates it.
    pub of_user: bool,
}

/// An object that only a superuser can create.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuperuserObject {
    /// What it is, in the plural ("operator classes").
    pub class: String,
    /// Its name.
    pub name: String,
}

/// Condition of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetCondition {
    /// Numbers and settings.
    pub facts: TargetSettings,
    /// Event triggers that are not disabled: name and `evtenabled`.
    pub event_triggers: Vec<(String, String)>,
    /// Needed roles that exist, and whether ours may act for them.
    pub roles: Vec<(String, bool)>,
    /// Collations with the names of those that the source uses.
    pub collations: Vec<UsedCollation>,
    /// Versions of needed extensions.
    pub extensions: Vec<ExtensionVersion>,
    /// Existing schemas that our role may not create in.
    pub closed_schemas: Vec<String>,
    /// Configuration tables of its extensions that our role may not write, and for which the source has
    /// rows; configuration sequences that it may not set.
    pub closed_config: Vec<QualifiedName>,
    /// Schemas and the needed roles that may create in each.
    pub creators: Vec<(String, String)>,
    /// Table access methods.
    pub access_methods: Vec<String>,
    /// What could not be read, one line each.
    pub unchecked: Vec<String>,
}

/// Settings of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSettings {
    /// `log_statement`.
    pub log_statement: String,
    /// `auto_explain` logs statements.
    pub auto_explain: bool,
    /// `default_transaction_read_only` that our sessions switched off.
    pub read_only: bool,
    /// The server was built with lz4.
    pub lz4: bool,
    /// The server was built with ICU.
    pub icu: bool,
    /// The server was built with libxml; asked only when the source has columns of type xml.
    pub xml: bool,
    /// A role of a cloud that may do more than its attributes say.
    pub managed_role: Option<String>,
    /// The database's collation version as recorded, from version 15 on.
    pub collation_recorded: Option<String>,
    /// The version that the system's library has now.
    pub collation_actual: Option<String>,
}

/// A version of an extension that a target could install.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionVersion {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Only superusers may install it, unless it is trusted.
    pub superuser: bool,
    /// Whoever may create in the database may install it.
    pub trusted: bool,
}
