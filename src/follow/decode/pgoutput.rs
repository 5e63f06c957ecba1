//! Messages of pgoutput to changes, and the relations they refer to.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use proto::pgoutput::{self as wire, ColumnValue, LogicalMessage, TupleData};
use proto::types::Oid;

use super::Received;
use crate::follow::change::{
    Begin, Change, ChangeEvent, Column, Commit, OldTuple, Relation, ReplicaIdentity, Tuple, Value,
};

/// The relations that the stream has described.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    relations: HashMap<Oid, Arc<Relation>>,
}

impl Decoder {
    /// Decodes one message; at most one event.
    pub(super) fn decode(
        &mut self,
        message: &Received,
        events: &mut Vec<ChangeEvent>,
    ) -> Result<(), String> {
        let payload = &message.payload;
        let (_, decoded) =
            LogicalMessage::decode_at(message.place, payload).map_err(|error| error.to_string())?;
        let event = match decoded {
            LogicalMessage::Begin(begin) => ChangeEvent::Begin(Begin {
                xid: begin.xid.0,
                commit_lsn: Some(begin.commit_lsn),
                commit_time: Some(begin.commit_time),
            }),
            LogicalMessage::Commit(commit) => ChangeEvent::Commit(Commit {
                end_lsn: commit.end_lsn,
                commit_time: Some(commit.commit_time),
            }),
            LogicalMessage::StreamCommit(commit) => ChangeEvent::Commit(Commit {
                end_lsn: commit.end_lsn,
                commit_time: Some(commit.commit_time),
            }),
            LogicalMessage::Insert(insert) => ChangeEvent::Change(self.insert(payload, &insert)?),
            LogicalMessage::Update(update) => ChangeEvent::Change(self.update(payload, &update)?),
            LogicalMessage::Delete(delete) => ChangeEvent::Change(self.delete(payload, &delete)?),
            LogicalMessage::Truncate(truncate) => ChangeEvent::Change(self.truncate(&truncate)?),
            LogicalMessage::Relation(relation) => return self.describe(&relation),
            // The origin of a transaction does not matter, it is followed all the same; types
            // are known by their identifiers; messages are for others; what a chunk's border has
            // to say is the store's business.
            LogicalMessage::Origin(_)
            | LogicalMessage::Type(_)
            | LogicalMessage::Message(_)
            | LogicalMessage::StreamStart(_)
            | LogicalMessage::StreamStop => return Ok(()),
            LogicalMessage::StreamAbort(_) => {
                return Err("a rolled back transaction was not taken out".to_owned());
            }
            LogicalMessage::BeginPrepare(_)
            | LogicalMessage::Prepare(_)
            | LogicalMessage::CommitPrepared(_)
            | LogicalMessage::RollbackPrepared(_)
            | LogicalMessage::StreamPrepare(_) => {
                return Err("two-phase decoding was not asked for".to_owned());
            }
        };
        events.push(event);
        Ok(())
    }

    /// Takes a description; the same one again changes nothing, so that what others keep for the
    /// relation stays valid.
    fn describe(&mut self, described: &wire::Relation<'_>) -> Result<(), String> {
        let relation = relation(described)?;
        let known = self.relations.get(&described.oid);
        if known.is_none_or(|known| **known != relation) {
            self.relations.insert(described.oid, Arc::new(relation));
        }
        Ok(())
    }

    /// The relation of a change.
    fn relation(&self, oid: Oid) -> Result<&Arc<Relation>, String> {
        let missing = || format!("relation {oid} was not described before its first change");
        self.relations.get(&oid).ok_or_else(missing)
    }

    fn insert(&self, payload: &Bytes, insert: &wire::Insert<'_>) -> Result<Change, String> {
        let relation = self.relation(insert.relation)?;
        let new = tuple(payload, relation, &insert.new)?;
        Ok(Change::Insert { relation: Arc::clone(relation), new })
    }

    fn update(&self, payload: &Bytes, update: &wire::Update<'_>) -> Result<Change, String> {
        let relation = self.relation(update.relation)?;
        let old = update.old.as_ref().map(|old| old_tuple(payload, relation, old)).transpose()?;
        let new = tuple(payload, relation, &update.new)?;
        Ok(Change::Update { relation: Arc::clone(relation), old, new })
    }

    fn delete(&self, payload: &Bytes, delete: &wire::Delete<'_>) -> Result<Change, String> {
        let relation = self.relation(delete.relation)?;
        let old = old_tuple(payload, relation, &delete.old)?;
        Ok(Change::Delete { relation: Arc::clone(relation), old })
    }

    fn truncate(&self, truncate: &wire::Truncate<'_>) -> Result<Change, String> {
        let relations = truncate
            .relations()
            .map(|oid| self.relation(oid).cloned())
            .collect::<Result<_, _>>()?;
        Ok(Change::Truncate {
            relations,
            cascade: truncate.cascade,
            restart_identity: truncate.restart_identity,
        })
    }
}

/// The old row of an update or a delete.
fn old_tuple(
    payload: &Bytes,
    relation: &Relation,
    old: &wire::OldTuple<'_>,
) -> Result<OldTuple, String> {
    match old {
        wire::OldTuple::Key(data) => tuple(payload, relation, data).map(OldTuple::Key),
        wire::OldTuple::Full(data) => tuple(payload, relation, data).map(OldTuple::Full),
    }
}

/// A row as slices of its message.
fn tuple(payload: &Bytes, relation: &Relation, data: &TupleData<'_>) -> Result<Tuple, String> {
    if data.len() != relation.columns.len() {
        return Err(format!(
            "a row of {}.{} has {} columns, its description {}",
            relation.namespace,
            relation.name,
            data.len(),
            relation.columns.len()
        ));
    }
    let value = |value| match value {
        ColumnValue::Null => Value::Null,
        ColumnValue::Unchanged => Value::Unchanged,
        ColumnValue::Text(bytes) => Value::Text(payload.slice_ref(bytes)),
        ColumnValue::Binary(bytes) => Value::Binary(payload.slice_ref(bytes)),
    };
    let mut tuple = Vec::with_capacity(data.len());
    tuple.extend(data.iter().map(value));
    Ok(tuple)
}

/// A description that owns its names.
fn relation(described: &wire::Relation<'_>) -> Result<Relation, String> {
    let namespace = match described.namespace {
        b"" => "pg_catalog".to_owned(),
        namespace => text(namespace)?,
    };
    let column = |column: wire::Column<'_>| {
        Ok(Column {
            name: text(column.name)?,
            type_oid: column.type_oid.0,
            type_modifier: column.type_modifier,
            type_name: None,
            is_key: column.is_key,
        })
    };
    Ok(Relation {
        oid: described.oid.0,
        namespace,
        name: text(described.name)?,
        identity: match described.identity {
            wire::ReplicaIdentity::Default => ReplicaIdentity::Default,
            wire::ReplicaIdentity::Nothing => ReplicaIdentity::Nothing,
            wire::ReplicaIdentity::Full => ReplicaIdentity::Full,
            wire::ReplicaIdentity::Index => ReplicaIdentity::Index,
        },
        columns: described.columns().map(column).collect::<Result<_, String>>()?,
    })
}

/// A name, which must be UTF-8: names that are not could be confused with one another.
fn text(name: &[u8]) -> Result<String, String> {
    std::str::from_utf8(name)
        .map(str::to_owned)
        .map_err(|_| format!("the name \"{}\" is not valid UTF-8", name.escape_ascii()))
}

#[cfg(test)]
#[path = "pgoutput_tests.rs"]
mod tests;
