//! The plugins that write text: wal2json and test_decoding, to changes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use proto::test_decoding;
use proto::wal2json::{self, ChangeKind};

use super::Received;
use super::shape::{Before, Cell, Named, Shapes};
use crate::follow::change::{Begin, Change, ChangeEvent, Commit, Relation, Value};
use crate::follow::doubtful::DoubtfulColumn;

/// What is known of the tables, and what is still to be said.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    shapes: Shapes,
    /// Tables of a TRUNCATE that wal2json tells one by one; they go together, since none of them
    /// can be emptied alone when foreign keys connect them.
    truncated: Vec<Arc<Relation>>,
    /// Columns in which wal2json sent a null that may have been something else: schema, table, column.
    doubtful: HashMap<String, HashMap<String, HashSet<String>>>,
    /// Those of them that were not yet taken.
    found: Vec<DoubtfulColumn>,
}

/// Types whose values `NaN` and `Infinity` wal2json sends as null.
const TYPES_WITHOUT_WORDS: [&str; 3] = ["real", "double precision", "numeric"];

impl Decoder {
    /// Columns in which a null may have been something else, each told once.
    pub(super) fn take_doubtful(&mut self) -> Vec<DoubtfulColumn> {
        std::mem::take(&mut self.found)
    }

    /// Notes the nulls of a row that may have been something else.
    fn note_doubtful(&mut self, schema: &str, table: &str, columns: &[wal2json::Column<'_>]) {
        for column in columns.iter().filter(|column| column.value.is_none()) {
            let name = column.type_name.as_deref().unwrap_or_default();
            // A type may have a modifier: numeric(20,5).
            let name = name.split('(').next().unwrap_or_default();
            if !TYPES_WITHOUT_WORDS.contains(&name) {
                continue;
            }
            let column = column.name.as_ref();
            let known = self.doubtful.get(schema).and_then(|tables| tables.get(table));
            if known.is_some_and(|columns| columns.contains(column)) {
                continue;
            }
            let tables = self.doubtful.entry(schema.to_owned()).or_default();
            tables.entry(table.to_owned()).or_default().insert(column.to_owned());
            self.found.push(DoubtfulColumn {
                schema: schema.to_owned(),
                table: table.to_owned(),
                column: column.to_owned(),
            });
        }
    }

    /// Forgets what belongs to the open transaction.
    pub(super) fn abandon(&mut self) {
        self.truncated.clear();
    }

    /// Decodes one message of wal2json.
    pub(super) fn wal2json(
        &mut self,
        message: &Received,
        events: &mut Vec<ChangeEvent>,
    ) -> Result<(), String> {
        let payload = &message.payload;
        let decoded = wal2json::Message::decode(payload).map_err(|error| error.to_string())?;
        match decoded {
            wal2json::Message::Begin(boundary) => events.push(begin(&boundary)),
            wal2json::Message::Commit(boundary) => {
                self.say_truncated(events);
                events.push(commit(&boundary, message));
            }
            wal2json::Message::Change(change) => {
                self.wal2json_change(payload, change, Nulls::Told, events)?;
            }
            wal2json::Message::Transaction(boundary, changes) => {
                events.push(begin(&boundary));
                for change in changes {
                    self.wal2json_change(payload, change, Nulls::LeftOut, events)?;
                }
                self.say_truncated(events);
                events.push(commit(&boundary, message));
            }
            wal2json::Message::Message => {}
        }
        Ok(())
    }

    /// Takes one change of wal2json.
    fn wal2json_change(
        &mut self,
        payload: &Bytes,
        change: wal2json::Change<'_>,
        nulls: Nulls,
        events: &mut Vec<ChangeEvent>,
    ) -> Result<(), String> {
        let (schema, table) = (change.schema.as_ref(), change.table.as_ref());
        if schema.is_empty() {
            return Err("a table without its schema: include-schemas is off".to_owned());
        }
        let identity = change.identity.iter().flatten();
        if change.columns.iter().chain(identity).any(is_untyped) {
            return Err("a column without its type: include-types is off".to_owned());
        }
        if change.kind == ChangeKind::Truncate {
            self.truncated.push(self.shapes.table(schema, table));
            return Ok(());
        }
        self.say_truncated(events);
        self.note_doubtful(schema, table, &change.columns);
        let cells = |columns| wal2json_cells(payload, columns);
        let before = match (change.identity, nulls) {
            (None, _) => Before::Untold,
            (Some(columns), Nulls::Told) => Before::Identity(cells(columns)),
            (Some(columns), Nulls::LeftOut) => Before::NotNull(cells(columns)),
        };
        let named = match change.kind {
            ChangeKind::Insert => Named::Insert(cells(change.columns)),
            ChangeKind::Update => Named::Update(before, cells(change.columns)),
            ChangeKind::Delete | ChangeKind::Truncate => Named::Delete(before),
        };
        events.push(ChangeEvent::Change(self.shapes.place(schema, table, named)?));
        Ok(())
    }

    /// Says what was truncated, when more than truncations follow.
    fn say_truncated(&mut self, events: &mut Vec<ChangeEvent>) {
        if !self.truncated.is_empty() {
            events.push(ChangeEvent::Change(Change::Truncate {
                relations: std::mem::take(&mut self.truncated),
                cascade: false,
                restart_identity: false,
            }));
        }
    }

    /// Decodes one message of test_decoding.
    pub(super) fn test_decoding(
        &mut self,
        message: &Received,
        events: &mut Vec<ChangeEvent>,
    ) -> Result<(), String> {
        use test_decoding::Message;
        let payload = &message.payload;
        let cells = |columns| test_decoding_cells(payload, columns);
        let before =
            |old: Option<_>| old.map_or(Before::Untold, |columns| Before::Needed(cells(columns)));
        let (table, named) = match Message::decode(payload).map_err(|error| error.to_string())? {
            Message::Begin(xid) => {
                let xid = xid.map_or(0, |xid| xid.0);
                let begin = Begin { xid, commit_lsn: None, commit_time: None };
                events.push(ChangeEvent::Begin(begin));
                return Ok(());
            }
            Message::Commit { commit_time, .. } => {
                let commit = Commit { end_lsn: message.lsn, commit_time };
                events.push(ChangeEvent::Commit(commit));
                return Ok(());
            }
            Message::Message => return Ok(()),
            Message::Truncate { tables, cascade, restart_identity } => {
                let relations =
                    tables.iter().map(|table| self.shapes.table(&table.schema, &table.name));
                let relations = relations.collect();
                let change = Change::Truncate { relations, cascade, restart_identity };
                events.push(ChangeEvent::Change(change));
                return Ok(());
            }
            Message::Insert { table, new } => (table, Named::Insert(cells(new))),
            Message::Update { table, old, new } => (table, Named::Update(before(old), cells(new))),
            Message::Delete { table, old } => (table, Named::Delete(before(old))),
        };
        let change = self.shapes.place(&table.schema, &table.name, named)?;
        events.push(ChangeEvent::Change(change));
        Ok(())
    }
}

/// Whether a column's type is not told, without which a bytea cannot be known.
fn is_untyped(column: &wal2json::Column<'_>) -> bool {
    column.type_name.is_none() && column.type_oid.is_none()
}

/// Whether nulls of old rows are told.
#[derive(Clone, Copy)]
enum Nulls {
    /// They are (wal2json, format 2).
    Told,
    /// They are left out (format 1).
    LeftOut,
}

/// The begin of a transaction of wal2json.
fn begin(boundary: &wal2json::Boundary) -> ChangeEvent {
    ChangeEvent::Begin(Begin {
        xid: boundary.xid.map_or(0, |xid| xid.0),
        commit_lsn: boundary.commit_lsn,
        commit_time: boundary.commit_time,
    })
}

/// The commit of a transaction of wal2json.
fn commit(boundary: &wal2json::Boundary, message: &Received) -> ChangeEvent {
    ChangeEvent::Commit(Commit {
        end_lsn: boundary.end_lsn.unwrap_or(message.lsn),
        commit_time: boundary.commit_time,
    })
}

/// Columns of wal2json.
fn wal2json_cells<'a>(payload: &Bytes, columns: Vec<wal2json::Column<'a>>) -> Vec<Cell<'a>> {
    let cell = |column: wal2json::Column<'a>| Cell {
        name: column.name,
        type_name: column.type_name,
        type_oid: column.type_oid.unwrap_or(0),
        value: column.value.map_or(Value::Null, |text| Value::Text(bytes_of(payload, text))),
    };
    columns.into_iter().map(cell).collect()
}

/// Columns of test_decoding.
fn test_decoding_cells<'a>(
    payload: &Bytes,
    columns: Vec<test_decoding::Column<'a>>,
) -> Vec<Cell<'a>> {
    let cell = |column: test_decoding::Column<'a>| Cell {
        name: column.name,
        type_name: Some(Cow::Borrowed(column.type_name)),
        type_oid: 0,
        value: match column.value {
            test_decoding::Value::Null => Value::Null,
            test_decoding::Value::Unchanged => Value::Unchanged,
            test_decoding::Value::Text(text) => Value::Text(bytes_of(payload, text)),
        },
    };
    columns.into_iter().map(cell).collect()
}

/// Payloads of so many bytes are not kept for a small part of them: the large value in it may be a copy.
const LARGE_BYTES_MIN: usize = 64 * 1024;

/// A value of less than this part of a large payload is copied.
const SMALL_PART: usize = 16;

/// A text as a slice of the payload where it lies in it; a copy where it does not (`t` for `true`).
fn bytes_of(payload: &Bytes, text: Cow<'_, str>) -> Bytes {
    match text {
        Cow::Owned(text) => Bytes::from(text),
        Cow::Borrowed(text) => {
            let start = text.as_ptr().addr().checked_sub(payload.as_ptr().addr());
            let range = start.and_then(|start| Some(start..start.checked_add(text.len())?));
            let is_small =
                payload.len() >= LARGE_BYTES_MIN && text.len() < payload.len() / SMALL_PART;
            match range {
                Some(range) if range.end <= payload.len() && !is_small => payload.slice(range),
                _ => Bytes::copy_from_slice(text.as_bytes()),
            }
        }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
