//! Messages of `test_decoding`, the output plugin that comes with PostgreSQL as an example.
//!
//! ```text
//!  BEGIN 734
//!  table public.t: INSERT: id[integer]:1 v[text]:'it''s' bo[boolean]:true
//!  table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[text]:unchanged-toast-datum
//!  table public.t: DELETE: id[integer]:2
//!  table public.t, public."T x": TRUNCATE: restart_seqs cascade
//!  COMMIT 734 (at 2026-11-22 16:37:37.519963+00)
//! ```
//!
//! Names are quoted where SQL needs it, values in single quotes with those inside doubled; numbers,
//! `true` and `false` stand bare, bit strings as `B'…'`. What the plugin loses: nulls of old rows
//! (they are left out), and whether an old row is a key or the whole row.
//!
//! The text is in the database's encoding, unconverted: only UTF-8 is accepted here.
//!
//! Source: captured from PostgreSQL 15, and
//! <https://www.postgresql.org/docs/current/test-decoding.html>.

mod scan;

use std::borrow::Cow;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::time::PgTimestamp;
use crate::types::Xid;
use scan::Scanner;

/// A message of the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins; with its id where `include-xids` is on.
    Begin(Option<Xid>),
    /// It is complete.
    Commit {
        /// Its id (`include-xids`).
        xid: Option<Xid>,
        /// When it was committed (`include-timestamp`).
        commit_time: Option<PgTimestamp>,
    },
    /// A new row.
    Insert {
        /// Where.
        table: Table<'a>,
        /// The row.
        new: Vec<Column<'a>>,
    },
    /// A changed row.
    Update {
        /// Where.
        table: Table<'a>,
        /// The row before, or its key; `None` when no column of the replica identity changed.
        old: Option<Vec<Column<'a>>>,
        /// The row after.
        new: Vec<Column<'a>>,
    },
    /// A removed row.
    Delete {
        /// Where.
        table: Table<'a>,
        /// The row before, or its key; `None` for a table without replica identity.
        old: Option<Vec<Column<'a>>>,
    },
    /// Emptied tables.
    Truncate {
        /// All of them.
        tables: Vec<Table<'a>>,
        /// CASCADE was given.
        cascade: bool,
        /// RESTART IDENTITY was given.
        restart_identity: bool,
    },
    /// Something an application wrote with `pg_logical_emit_message`.
    Message,
}

impl<'a> Message<'a> {
    /// Decodes one payload.
    ///
    /// # Errors
    /// A [`DecodeError`] with the offset when the payload is not UTF-8 or not what the plugin writes.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(payload).map_err(|error| {
            let at = error.valid_up_to();
            let found = payload.get(at).copied().map_or(-1, i64::from);
            let kind = DecodeErrorKind::BadValue { field: "UTF-8 text", found };
            DecodeError::new(kind, scan::WHAT, at)
        })?;
        let mut scanner = Scanner::new(text);
        let message = match classify(payload) {
            Some(Kind::Message) => return Ok(Self::Message),
            Some(Kind::Begin) => {
                scanner.expect("BEGIN")?;
                Self::Begin(scanner.xid()?)
            }
            Some(Kind::Commit) => {
                scanner.expect("COMMIT")?;
                Self::Commit { xid: scanner.xid()?, commit_time: scanner.commit_time()? }
            }
            Some(Kind::Content) => change(&mut scanner)?,
            None => return Err(scanner.error("BEGIN, COMMIT, table or message")),
        };
        scanner.finish().map(|()| message)
    }
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A transaction begins.
    Begin,
    /// It is complete.
    Commit,
    /// Something an application wrote, inside or outside of a transaction.
    Message,
    /// A change inside a transaction.
    Content,
}

/// Says what a payload is, from its first bytes; `None` when it is nothing that is known.
#[must_use]
pub fn classify(payload: &[u8]) -> Option<Kind> {
    [
        (b"table ".as_slice(), Kind::Content),
        (b"BEGIN", Kind::Begin),
        (b"COMMIT", Kind::Commit),
        (b"message: ", Kind::Message),
    ]
    .into_iter()
    .find_map(|(start, kind)| payload.starts_with(start).then_some(kind))
}

/// The transaction id in a BEGIN or COMMIT; `None` when it is not told.
///
/// # Errors
/// As [`Message::decode`].
pub fn boundary_xid(payload: &[u8]) -> Result<Option<Xid>, DecodeError> {
    match Message::decode(payload)? {
        Message::Begin(xid) | Message::Commit { xid, .. } => Ok(xid),
        _ => Ok(None),
    }
}

/// A table's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<'a> {
    /// Schema.
    pub schema: Cow<'a, str>,
    /// Table.
    pub name: Cow<'a, str>,
}

/// A column with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Column<'a> {
    /// Name.
    pub name: Cow<'a, str>,
    /// Type in SQL, without modifier.
    pub type_name: &'a str,
    /// Value.
    pub value: Value<'a>,
}

impl std::fmt::Debug for Column<'_> {
    /// Without the value: it belongs to the user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.name, self.type_name)
    }
}

/// A column's value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A TOASTed value that the change did not touch.
    Unchanged,
    /// The type's text output.
    Text(Cow<'a, str>),
}

/// A change: everything from `table ` on.
fn change<'a>(scanner: &mut Scanner<'a>) -> Result<Message<'a>, DecodeError> {
    scanner.expect("table ")?;
    let table = scanner.table()?;
    let mut others = Vec::new();
    while scanner.take(", ") {
        others.push(scanner.table()?);
    }
    scanner.expect(": ")?;
    if scanner.take("TRUNCATE:") {
        let (mut cascade, mut restart_identity) = (false, false);
        if !scanner.take(" (no-flags)") {
            restart_identity = scanner.take(" restart_seqs");
            cascade = scanner.take(" cascade");
        }
        let tables = std::iter::once(table).chain(others).collect();
        return Ok(Message::Truncate { tables, cascade, restart_identity });
    }
    if !others.is_empty() {
        return Err(scanner.error("TRUNCATE"));
    }
    if scanner.take("INSERT:") {
        let new = scanner.columns()?.ok_or_else(|| scanner.error("columns"))?;
        Ok(Message::Insert { table, new })
    } else if scanner.take("UPDATE:") {
        let old = if scanner.take(" old-key:") {
            let old = scanner.columns()?;
            scanner.expect(" new-tuple:")?;
            old
        } else {
            None
        };
        let new = scanner.columns()?.ok_or_else(|| scanner.error("columns"))?;
        Ok(Message::Update { table, old, new })
    } else if scanner.take("DELETE:") {
        Ok(Message::Delete { table, old: scanner.columns()? })
    } else {
        Err(scanner.error("INSERT, UPDATE, DELETE or TRUNCATE"))
    }
}

#[cfg(test)]
mod tests;
