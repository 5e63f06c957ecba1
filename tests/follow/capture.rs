//! Changes of a source as events: an independent reader of pgoutput, protocol version 1.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use pgcopydb::follow::change::{
    Begin, Change, ChangeEvent, Column, Commit, OldTuple, Relation, ReplicaIdentity, Tuple, Value,
};
use proto::lsn::Lsn;
use proto::time::PgTimestamp;
use testbed::TestDatabase;

/// Reads a slot's changes, message by message.
#[derive(Default)]
pub(crate) struct Capture {
    relations: HashMap<u32, Arc<Relation>>,
}

impl Capture {
    /// Takes everything that waits in the slot; values in binary form where `binary`.
    pub(crate) fn take(
        &mut self,
        source: &TestDatabase<'_>,
        slot: &str,
        binary: bool,
    ) -> Vec<ChangeEvent> {
        let sql = format!(
            "select encode(data, 'hex') from pg_logical_slot_get_binary_changes('{slot}', null, null, \
             'proto_version', '1', 'publication_names', 'p', 'binary', '{binary}')"
        );
        let messages = source.psql(&sql).unwrap();
        messages.lines().filter_map(|line| self.message(unhex(line))).collect()
    }

    /// One message; some mean nothing by themselves.
    fn message(&mut self, mut body: Bytes) -> Option<ChangeEvent> {
        Some(match body.get_u8() {
            b'B' => {
                let (lsn, time) = (body.get_u64(), body.get_i64());
                ChangeEvent::Begin(Begin {
                    xid: body.get_u32(),
                    commit_lsn: Some(Lsn(lsn)),
                    commit_time: Some(PgTimestamp(time)),
                })
            }
            b'C' => {
                body.advance(1 + 8);
                let (end, time) = (body.get_u64(), body.get_i64());
                let commit_time = Some(PgTimestamp(time));
                ChangeEvent::Commit(Commit { end_lsn: Lsn(end), commit_time })
            }
            b'R' => {
                let relation = relation(&mut body);
                self.relations.insert(relation.oid, Arc::new(relation));
                return None;
            }
            b'I' => {
                let relation = self.relation(&mut body);
                body.advance(1);
                ChangeEvent::Change(Change::Insert { relation, new: tuple(&mut body) })
            }
            b'U' => {
                let relation = self.relation(&mut body);
                let old = match body.get_u8() {
                    b'N' => None,
                    tag => {
                        let old = old_tuple(tag, &mut body);
                        body.advance(1);
                        Some(old)
                    }
                };
                ChangeEvent::Change(Change::Update { relation, old, new: tuple(&mut body) })
            }
            b'D' => {
                let relation = self.relation(&mut body);
                let tag = body.get_u8();
                ChangeEvent::Change(Change::Delete { relation, old: old_tuple(tag, &mut body) })
            }
            b'T' => {
                let count = body.get_u32();
                let flags = body.get_u8();
                let relations = (0..count).map(|_| self.relation(&mut body)).collect();
                ChangeEvent::Change(Change::Truncate {
                    relations,
                    cascade: flags & 1 != 0,
                    restart_identity: flags & 2 != 0,
                })
            }
            b'Y' | b'O' => return None,
            tag => panic!("unexpected message {}", char::from(tag)),
        })
    }

    /// The relation named by the next four bytes.
    fn relation(&self, body: &mut Bytes) -> Arc<Relation> {
        Arc::clone(&self.relations[&body.get_u32()])
    }
}

fn relation(body: &mut Bytes) -> Relation {
    let (oid, namespace, name) = (body.get_u32(), text(body), text(body));
    let identity = match body.get_u8() {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        _ => ReplicaIdentity::Index,
    };
    let columns = (0..body.get_u16())
        .map(|_| Column {
            is_key: body.get_u8() & 1 != 0,
            name: text(body),
            type_oid: body.get_u32(),
            type_modifier: body.get_i32(),
            type_name: None,
        })
        .collect();
    Relation { oid, namespace, name, identity, columns }
}

fn old_tuple(tag: u8, body: &mut Bytes) -> OldTuple {
    if tag == b'O' { OldTuple::Full(tuple(body)) } else { OldTuple::Key(tuple(body)) }
}

fn tuple(body: &mut Bytes) -> Tuple {
    (0..body.get_u16())
        .map(|_| match body.get_u8() {
            b'n' => Value::Null,
            b'u' => Value::Unchanged,
            tag => {
                let length = body.get_u32() as usize;
                let bytes = body.split_to(length);
                if tag == b'b' { Value::Binary(bytes) } else { Value::Text(bytes) }
            }
        })
        .collect()
}

fn text(body: &mut Bytes) -> String {
    let end = body.iter().position(|byte| *byte == 0).unwrap();
    let text = body.split_to(end);
    body.advance(1);
    String::from_utf8(text.to_vec()).unwrap()
}

fn unhex(text: &str) -> Bytes {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
