//! One model of changes for all output plugins.
//!
//! Produced by `decode` in stream order: `Begin`, any number of changes, `Commit`; transactions never
//! overlap here, whatever the plugin sent (streamed ones are put in order by the store). Values keep
//! the plugin's bytes: nothing passes through floating point or SQL text.

use std::sync::Arc;

use bytes::Bytes;
use proto::lsn::Lsn;
use proto::time::PgTimestamp;

/// What a decoded stream consists of.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeEvent {
    /// A transaction begins.
    Begin(Begin),
    /// A row or a truncation inside the open transaction.
    Change(Change),
    /// The open transaction is complete.
    Commit(Commit),
    /// The open transaction is void: it comes again from its beginning, or came before.
    Abandon,
    /// No transaction is open and nothing at or before this position is still to come: the applied
    /// position may move here although no row moves it (an idle source, other databases' traffic).
    Position(Lsn),
    /// Everything that ends at or before this end position has come. The applied position does not move:
    /// an end position lies anywhere, also inside the commit record of a transaction that is still to
    /// come (the log is flushed by pages), and that transaction is told by where its record starts.
    End(Lsn),
}

/// The begin of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// Transaction id on the source, for messages only.
    pub xid: u32,
    /// Start of the commit record where the plugin tells it in advance (pgoutput); the end position
    /// of the transaction is larger.
    pub commit_lsn: Option<Lsn>,
    /// When it was committed, where the plugin tells it in advance.
    pub commit_time: Option<PgTimestamp>,
}

/// The commit of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// End of the commit record: the position that names the transaction.
    pub end_lsn: Lsn,
    /// When it was committed, where the plugin tells it.
    pub commit_time: Option<PgTimestamp>,
}

/// One change inside a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new row.
    Insert {
        /// Where.
        relation: Arc<Relation>,
        /// The row; as many values as `relation.columns`.
        new: Tuple,
    },
    /// A changed row.
    Update {
        /// Where.
        relation: Arc<Relation>,
        /// What identified the row before. `None`: the key columns did not change, take them from `new`.
        old: Option<OldTuple>,
        /// The row; [`Value::Unchanged`] where a TOASTed value was not touched.
        new: Tuple,
    },
    /// A removed row.
    Delete {
        /// Where.
        relation: Arc<Relation>,
        /// What identified it.
        old: OldTuple,
    },
    /// Emptied tables, in one statement.
    Truncate {
        /// All of them, in the order of the statement (partitions and children included, as the plugin lists them).
        relations: Vec<Arc<Relation>>,
        /// CASCADE was given.
        cascade: bool,
        /// RESTART IDENTITY was given.
        restart_identity: bool,
    },
}

/// What is known of a row before its change.
#[derive(Debug, Clone, PartialEq)]
pub enum OldTuple {
    /// Only the columns of the replica identity hold values ([`Column::is_key`]); the others are `Null`
    /// and mean nothing. A column of it is `Null` only where a plugin leaves nulls of old rows out.
    Key(Tuple),
    /// The whole row (REPLICA IDENTITY FULL).
    Full(Tuple),
}

/// Values in the order of [`Relation::columns`].
pub type Tuple = Vec<Value>;

/// One column's value as the plugin sent it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// NULL.
    Null,
    /// Not sent: a TOASTed value that the change did not touch (or, from a plugin that sends changed columns only, a column it left out).
    Unchanged,
    /// The type's text output.
    Text(Bytes),
    /// The type's send output.
    Binary(Bytes),
}

/// A table of the source as the stream describes it. A new `Arc` means a new description: compare
/// by pointer first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Object identifier on the source; 0 where the plugin does not send it.
    pub oid: u32,
    /// Schema.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// How rows are identified.
    pub identity: ReplicaIdentity,
    /// Columns that the stream carries, in its order. Generated columns are left out by the source
    /// unless published.
    pub columns: Vec<Column>,
}

/// How the source identifies rows that are updated or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key; none when there is no primary key.
    Default,
    /// No old values at all.
    Nothing,
    /// All columns.
    Full,
    /// A chosen unique index.
    Index,
    /// The plugin does not say: the key is whatever columns came with old tuples so far
    /// ([`Column::is_key`]), and the target's own key while none has come (test_decoding sends none
    /// until an update changes the key).
    Unknown,
}

/// A column as the stream describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type on the source; 0 where the plugin does not send it.
    pub type_oid: u32,
    /// `atttypmod`; -1 when there is none or the plugin does not send it.
    pub type_modifier: i32,
    /// Type as the plugin names it (wal2json, test_decoding), for messages.
    pub type_name: Option<String>,
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
}
