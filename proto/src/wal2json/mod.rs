//! Messages of the output plugin wal2json, format versions 1 and 2.
//!
//! ```text
//!  format 2: {"action":"B"} {"action":"I",…} … {"action":"C"}    one object per message
//!  format 1: {"xid":…,"change":[{"kind":"insert",…}, …]}         one object per transaction
//! ```
//!
//! Numbers keep the digits they were written with, strings are unescaped, `bytea` gets back the
//! `\x` that the plugin takes off. What the plugin itself loses cannot be brought back:
//!
//! | lost | format | way out |
//! |---|---|---|
//! | `NaN` and infinities of numeric types become null | both | `numeric-data-types-as-string`, newer than 2.5 |
//! | options of TRUNCATE | 2 | another plugin |
//! | TRUNCATE | 1 | format 2 |
//! | nulls of the old row under REPLICA IDENTITY FULL | 1 | format 2 |
//! | updates and deletes of tables without replica identity | both | another plugin |
//!
//! The text is in the database's encoding, unconverted: only UTF-8 is accepted here.
//!
//! Source: captured from wal2json 2.5 on PostgreSQL 15, and the options in its manual,
//! <https://github.com/eulerto/wal2json>.

mod format1;
mod format2;
mod value;

use std::borrow::Cow;
use std::fmt;

use crate::lsn::Lsn;
use crate::time::PgTimestamp;
use crate::types::Xid;

/// A message of the plugin.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    /// A transaction begins.
    Begin(Boundary),
    /// It is complete.
    Commit(Boundary),
    /// A change inside it.
    Change(Change<'a>),
    /// Format 1: a whole transaction.
    Transaction(Boundary, Vec<Change<'a>>),
    /// Something an application wrote with `pg_logical_emit_message`.
    Message,
}

impl<'a> Message<'a> {
    /// Decodes one payload.
    ///
    /// # Errors
    /// [`Wal2jsonError`] when it is not UTF-8, not JSON, or not what the plugin writes.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Wal2jsonError> {
        let text = std::str::from_utf8(payload).map_err(|error| {
            Wal2jsonError(format!("invalid UTF-8 at byte {}", error.valid_up_to()))
        })?;
        match classify(payload) {
            Kind::Transaction => format1::decode(text),
            Kind::Begin | Kind::Commit | Kind::Message | Kind::Content => format2::decode(text),
        }
    }
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A transaction begins.
    Begin,
    /// It is complete.
    Commit,
    /// A whole transaction (format 1); without changes when it holds a message outside of
    /// transactions only.
    Transaction,
    /// Something an application wrote, inside or outside of a transaction.
    Message,
    /// A change inside a transaction.
    Content,
}

/// Says what a payload is, from its first bytes.
///
/// The plugin always writes the key `action` first in format 2, and never in format 1.
#[must_use]
pub fn classify(payload: &[u8]) -> Kind {
    match payload.strip_prefix(br#"{"action":""#).map(<[u8]>::first) {
        Some(Some(b'B')) => Kind::Begin,
        Some(Some(b'C')) => Kind::Commit,
        Some(Some(b'M')) => Kind::Message,
        Some(_) => Kind::Content,
        None => Kind::Transaction,
    }
}

/// What is told of a transaction, as far as the options ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Boundary {
    /// Its id (`include-xids`).
    pub xid: Option<Xid>,
    /// Start of the commit record (`include-lsn`, format 2).
    pub commit_lsn: Option<Lsn>,
    /// End of the commit record (`include-lsn`).
    pub end_lsn: Option<Lsn>,
    /// When it was committed (`include-timestamp`).
    pub commit_time: Option<PgTimestamp>,
}

/// A change of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// Schema; empty unless `include-schemas` is on, as it is by default.
    pub schema: Cow<'a, str>,
    /// Table.
    pub table: Cow<'a, str>,
    /// The row after; without TOASTed values that the change did not touch.
    pub columns: Vec<Column<'a>>,
    /// What identified the row before; `None` when the plugin does not say.
    pub identity: Option<Vec<Column<'a>>>,
}

/// What happened to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
    /// A removed row.
    Delete,
    /// It was emptied; one message for each table of the statement.
    Truncate,
}

/// A column with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Column<'a> {
    /// Name.
    pub name: Cow<'a, str>,
    /// Type in SQL, `character varying(5)` (`include-types`, `include-typmod`).
    pub type_name: Option<Cow<'a, str>>,
    /// Type (`include-type-oids`).
    pub type_oid: Option<u32>,
    /// Text form of the value; `None` is null.
    pub value: Option<Cow<'a, str>>,
}

/// A payload is not what wal2json writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wal2jsonError(String);

impl fmt::Display for Wal2jsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wal2jsonError {}

impl From<serde_json::Error> for Wal2jsonError {
    /// Kind and place only: serde_json's own text may quote the input.
    fn from(error: serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "JSON ends too early",
            serde_json::error::Category::Data => "JSON of an unexpected shape",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "invalid JSON",
        };
        Self(format!("{what} at line {} column {}", error.line(), error.column()))
    }
}

#[cfg(test)]
mod tests;
