//! Messages of wal2json and test_decoding as PostgreSQL 15 wrote them, decoded in sequence.

use proto::lsn::Lsn;
use proto::time::PgTimestamp;

use super::*;
use crate::config::Plugin;
use crate::follow::change::{OldTuple, Tuple};
use crate::follow::decode::{self, Place};

/// 2026-11-22 16:37:37.519963+00, computed by PostgreSQL.
const TIME: Option<PgTimestamp> = Some(PgTimestamp(848_680_657_519_963));

fn decode_all(plugin: Plugin, messages: &[&str]) -> Result<Vec<ChangeEvent>, String> {
    let mut decoder = decode::Decoder::new(plugin);
    let mut events = Vec::new();
    for text in messages {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let message = Received { lsn: Lsn(0x155_7498), place: Place::Plain, payload };
        decoder.decode(&message, &mut events).map_err(|error| error.to_string())?;
    }
    Ok(events)
}

fn text(value: &'static str) -> Value {
    Value::Text(Bytes::from_static(value.as_bytes()))
}

/// Events in short: begin, commit, the kind of change and its values.
fn summary(events: &[ChangeEvent]) -> Vec<String> {
    let values = |tuple: &Tuple| {
        let value = |value: &Value| match value {
            Value::Null => "-".to_owned(),
            Value::Unchanged => "~".to_owned(),
            Value::Text(bytes) | Value::Binary(bytes) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        tuple.iter().map(value).collect::<Vec<_>>().join(" ")
    };
    let old = |old: &OldTuple| match old {
        OldTuple::Key(tuple) => format!("key {}", values(tuple)),
        OldTuple::Full(tuple) => format!("full {}", values(tuple)),
    };
    let change = |change: &Change| match change {
        Change::Insert { relation, new } => format!("insert {} {}", relation.name, values(new)),
        Change::Update { relation, old: None, new } => {
            format!("update {} {}", relation.name, values(new))
        }
        Change::Update { relation, old: Some(before), new } => {
            format!("update {} {} to {}", relation.name, old(before), values(new))
        }
        Change::Delete { relation, old: before } => {
            format!("delete {} {}", relation.name, old(before))
        }
        Change::Truncate { relations, cascade, restart_identity } => {
            let names: Vec<_> = relations.iter().map(|relation| relation.name.as_str()).collect();
            format!("truncate {} {cascade} {restart_identity}", names.join(" "))
        }
    };
    events
        .iter()
        .map(|event| match event {
            ChangeEvent::Begin(begin) => format!("begin {}", begin.xid),
            ChangeEvent::Change(found) => change(found),
            ChangeEvent::Commit(commit) => format!("commit {}", commit.end_lsn),
            ChangeEvent::Abandon => "abandon".to_owned(),
            ChangeEvent::Position(lsn) => format!("position {lsn}"),
            ChangeEvent::End(lsn) => format!("end {lsn}"),
        })
        .collect()
}

const BEGIN: &str = r#"{"action":"B","xid":734,"timestamp":"2026-11-22 16:37:37.519963+00","lsn":"0/1557290","nextlsn":"0/1557498"}"#;
const COMMIT: &str = r#"{"action":"C","xid":734,"timestamp":"2026-11-22 16:37:37.519963+00","lsn":"0/1557290","nextlsn":"0/1557498"}"#;
const INSERT: &str = r#"{"action":"I","schema":"public","table":"t","columns":[{"name":"id","type":"integer","value":1},{"name":"v","type":"text","value":"x\ny"},{"name":"b","type":"bytea","value":"00ff"},{"name":"bo","type":"boolean","value":true}]}"#;

#[test]
fn wal2json_tells_begin_and_commit() {
    let events = decode_all(Plugin::Wal2json, &[BEGIN, COMMIT]).unwrap();
    assert_eq!(
        events,
        [
            ChangeEvent::Begin(Begin {
                xid: 734,
                commit_lsn: Some(Lsn(0x155_7290)),
                commit_time: TIME,
            }),
            ChangeEvent::Commit(Commit { end_lsn: Lsn(0x155_7498), commit_time: TIME }),
        ]
    );
    let events = decode_all(Plugin::Wal2json, &[r#"{"action":"B"}"#, r#"{"action":"C"}"#]).unwrap();
    assert_eq!(summary(&events), ["begin 0", "commit 0/1557498"]);
}

#[test]
fn wal2json_changes_become_rows() {
    let events = decode_all(
        Plugin::Wal2json,
        &[
            BEGIN,
            INSERT,
            r#"{"action":"U","schema":"public","table":"t","columns":[{"name":"id","type":"integer","value":1},{"name":"b","type":"bytea","value":null},{"name":"bo","type":"boolean","value":false}],"identity":[{"name":"id","type":"integer","value":1}]}"#,
            r#"{"action":"M","transactional":true,"prefix":"pre","content":"he\"llo"}"#,
            r#"{"action":"D","schema":"public","table":"t","identity":[{"name":"id","type":"integer","value":1}]}"#,
            COMMIT,
        ],
    )
    .unwrap();
    assert_eq!(
        summary(&events),
        [
            "begin 734",
            "insert t 1 x\ny \\x00ff t",
            "update t 1 ~ - f",
            "delete t key 1 - - -",
            "commit 0/1557498",
        ]
    );
}

#[test]
fn a_transaction_of_format_1_is_one_message() {
    let events = decode_all(
        Plugin::Wal2json,
        &[
            r#"{"xid":734,"nextlsn":"0/1557498","change":[{"kind":"insert","schema":"public","table":"t","columnnames":["id","v"],"columntypes":["integer","text"],"columnvalues":[1,"x"]},{"kind":"delete","schema":"public","table":"t","oldkeys":{"keynames":["id"],"keytypes":["integer"],"keyvalues":[1]}}]}"#,
            r#"{"change":[{"kind":"message","transactional":false,"prefix":"pre","content":"nontx"}]}"#,
            r#"{"xid":735,"change":[]}"#,
        ],
    )
    .unwrap();
    assert_eq!(
        summary(&events),
        [
            "begin 734",
            "insert t 1 x",
            "delete t key 1 -",
            "commit 0/1557498",
            "begin 735",
            "commit 0/1557498",
        ]
    );
}

// trap C-16
#[test]
fn tables_that_wal2json_truncates_one_by_one_are_truncated_together() {
    let truncate = |table: &str| format!(r#"{{"action":"T","schema":"public","table":"{table}"}}"#);
    let (t, f) = (truncate("t"), truncate("f"));
    let events = decode_all(Plugin::Wal2json, &[BEGIN, &t, &f, INSERT, &t, COMMIT]).unwrap();
    assert_eq!(
        summary(&events),
        [
            "begin 734",
            "truncate t f false false",
            "insert t 1 x\ny \\x00ff t",
            "truncate t false false",
            "commit 0/1557498",
        ]
    );
}

#[test]
fn an_abandoned_truncate_is_forgotten() {
    let mut decoder = decode::Decoder::new(Plugin::Wal2json);
    let mut events = Vec::new();
    let truncate = r#"{"action":"T","schema":"public","table":"t"}"#;
    for (text, is_abandoned) in [(BEGIN, false), (truncate, true), (BEGIN, false), (COMMIT, false)]
    {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let message = Received { lsn: Lsn(1), place: Place::Plain, payload };
        decoder.decode(&message, &mut events).unwrap();
        if is_abandoned {
            decoder.abandon();
        }
    }
    assert_eq!(summary(&events), ["begin 734", "begin 734", "commit 0/1557498"]);
}

#[test]
fn options_of_wal2json_that_lose_too_much_are_named() {
    for (message, expected) in [
        (r#"{"action":"T","table":"t"}"#, "include-schemas is off"),
        (
            r#"{"action":"I","schema":"s","table":"t","columns":[{"name":"a","value":"00"}]}"#,
            "include-types is off",
        ),
        (
            r#"{"action":"D","schema":"s","table":"t","identity":[{"name":"a","value":"00"}]}"#,
            "include-types is off",
        ),
    ] {
        let error = decode_all(Plugin::Wal2json, &[BEGIN, message]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn test_decoding_changes_become_rows() {
    let events = decode_all(
        Plugin::TestDecoding,
        &[
            "BEGIN 734",
            "table public.t: INSERT: id[integer]:1 v[text]:'it''s' b[bytea]:'\\x00ff' bo[boolean]:true",
            "table public.t: UPDATE: id[integer]:1 v[text]:unchanged-toast-datum b[bytea]:null bo[boolean]:false",
            "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 v[text]:unchanged-toast-datum b[bytea]:null bo[boolean]:false",
            "message: transactional: 1 prefix: pre, sz: 6 content:he\"llo",
            "table public.t: DELETE: id[integer]:2",
            "table public.t, public.f: TRUNCATE: restart_seqs cascade",
            "COMMIT 734 (at 2026-11-22 16:37:37.519963+00)",
            "BEGIN",
            "COMMIT",
        ],
    )
    .unwrap();
    assert_eq!(
        summary(&events),
        [
            "begin 734",
            "insert t 1 it's \\x00ff t",
            "update t 1 ~ - f",
            "update t key 1 - - - to 2 ~ - f",
            "delete t key 2 - - -",
            "truncate t f true true",
            "commit 0/1557498",
            "begin 0",
            "commit 0/1557498",
        ]
    );
    let commit = Commit { end_lsn: Lsn(0x155_7498), commit_time: TIME };
    assert_eq!(events[6], ChangeEvent::Commit(commit));
}

#[test]
fn values_are_slices_of_the_payload_where_they_can_be() {
    let payload = Bytes::from_static(b"table public.t: INSERT: a[text]:'hello' b[boolean]:true");
    let mut decoder = decode::Decoder::new(Plugin::TestDecoding);
    let mut events = Vec::new();
    for payload in [Bytes::from_static(b"BEGIN"), payload.clone()] {
        let message = Received { lsn: Lsn(1), place: Place::Plain, payload };
        decoder.decode(&message, &mut events).unwrap();
    }
    let [_, ChangeEvent::Change(Change::Insert { new, .. })] = events.as_slice() else {
        panic!("{events:?}")
    };
    let [Value::Text(hello), flag] = new.as_slice() else { panic!("{new:?}") };
    assert_eq!(hello.as_ptr(), payload[33..].as_ptr());
    assert_eq!(flag, &text("t"));
}

#[test]
fn rows_outside_of_transactions_are_refused() {
    for (plugin, message) in [
        (Plugin::Wal2json, INSERT),
        (Plugin::TestDecoding, "table public.t: DELETE: id[integer]:2"),
    ] {
        let error = decode_all(plugin, &[message]).unwrap_err();
        assert!(error.contains("change outside of a transaction"), "{error}");
    }
}
