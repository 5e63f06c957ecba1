//! Messages composed from the documentation, decoded in sequence.

use super::*;
use crate::config::Plugin;
use crate::follow::decode::{self, Place};
use proto::lsn::Lsn;
use proto::time::PgTimestamp;

const BEGIN: &[u8] = b"B\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\0\x07\0\0\x02\x01";
const COMMIT: &[u8] = b"C\0\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\x01\x40\0\0\0\0\0\0\0\x07";
const STREAM_COMMIT: &[u8] =
    b"c\0\0\x02\x01\0\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\x01\x40\0\0\0\0\0\0\0\x07";

/// A description of `public.t` with these columns of type integer; names that end in `!` are key.
fn describe(oid: u32, identity: u8, columns: &[&str]) -> Vec<u8> {
    let mut payload = b"R".to_vec();
    payload.extend(oid.to_be_bytes());
    payload.extend(b"public\0t\0");
    payload.push(identity);
    payload.extend(u16::try_from(columns.len()).unwrap().to_be_bytes());
    for column in columns {
        payload.push(u8::from(column.ends_with('!')));
        payload.extend(column.trim_end_matches('!').as_bytes());
        payload.extend(b"\0\0\0\0\x17\xff\xff\xff\xff");
    }
    payload
}

/// The message as it stands in a chunk of transaction 514.
fn in_chunk(payload: &[u8]) -> Vec<u8> {
    [&payload[..1], b"\0\0\x02\x02", &payload[1..]].concat()
}

struct Stream(decode::Decoder);

impl Stream {
    fn new() -> Self {
        Self(decode::Decoder::new(Plugin::Pgoutput))
    }

    fn at(&mut self, place: Place, payload: &[u8]) -> Result<Vec<ChangeEvent>, String> {
        let payload = Bytes::copy_from_slice(payload);
        let mut events = Vec::new();
        let message = Received { lsn: Lsn(0x140), place, payload };
        self.0.decode(&message, &mut events).map_err(|error| error.to_string())?;
        Ok(events)
    }

    fn plain(&mut self, payload: &[u8]) -> Vec<ChangeEvent> {
        self.at(Place::Plain, payload).unwrap()
    }

    /// The one change that a message is.
    fn change(&mut self, payload: &[u8]) -> Change {
        match self.plain(payload).pop() {
            Some(ChangeEvent::Change(change)) => change,
            other => panic!("{other:?}"),
        }
    }

    fn relation(&mut self, payload: &[u8]) -> Arc<Relation> {
        match self.change(payload) {
            Change::Insert { relation, .. } => relation,
            other => panic!("{other:?}"),
        }
    }
}

fn text(value: &'static [u8]) -> Value {
    Value::Text(Bytes::from_static(value))
}

#[test]
fn a_transaction_is_begin_changes_and_commit() {
    let mut stream = Stream::new();
    let commit_time = Some(PgTimestamp(7));
    assert_eq!(
        stream.plain(BEGIN),
        [ChangeEvent::Begin(Begin { xid: 513, commit_lsn: Some(Lsn(0x110)), commit_time })]
    );
    assert_eq!(stream.plain(b"O\0\0\0\0\0\0\0\x09node\0"), []);
    assert_eq!(stream.plain(b"Y\0\0\x50\0public\0mood\0"), []);
    assert_eq!(stream.plain(&describe(1, b'd', &["id!", "v"])), []);
    let Change::Insert { relation, new } =
        stream.change(b"I\0\0\0\x01N\0\x02t\0\0\0\x011b\0\0\0\x02\0\xff")
    else {
        panic!("no insert")
    };
    assert_eq!(
        (relation.oid, relation.namespace.as_str(), relation.name.as_str()),
        (1, "public", "t")
    );
    assert_eq!(relation.identity, ReplicaIdentity::Default);
    let keys: Vec<_> = relation.columns.iter().map(|c| (c.name.as_str(), c.is_key)).collect();
    assert_eq!(keys, [("id", true), ("v", false)]);
    assert_eq!(new, [text(b"1"), Value::Binary(Bytes::from_static(b"\0\xff"))]);
    assert_eq!(
        stream.plain(COMMIT),
        [ChangeEvent::Commit(Commit { end_lsn: Lsn(0x140), commit_time })]
    );
}

#[test]
fn values_are_slices_of_the_payload() {
    let mut stream = Stream::new();
    stream.plain(BEGIN);
    stream.plain(&describe(1, b'd', &["id!"]));
    let payload = Bytes::from_static(b"I\0\0\0\x01N\0\x01t\0\0\0\x05hello");
    let message = Received { lsn: Lsn(1), place: Place::Plain, payload: payload.clone() };
    let mut events = Vec::new();
    stream.0.decode(&message, &mut events).unwrap();
    let [ChangeEvent::Change(Change::Insert { new, .. })] = events.as_slice() else {
        panic!("{events:?}")
    };
    let [Value::Text(value)] = new.as_slice() else { panic!("{new:?}") };
    assert_eq!(value.as_ptr(), payload[13..].as_ptr());
}

// trap C-18, C-20, C-21, C-22
#[test]
fn old_rows_and_untouched_values_are_told_apart() {
    let mut stream = Stream::new();
    stream.plain(BEGIN);
    stream.plain(&describe(1, b'd', &["id!", "v"]));
    let cases: [(&[u8], Option<OldTuple>, Tuple); 4] = [
        (b"U\0\0\0\x01N\0\x02t\0\0\0\x011u", None, vec![text(b"1"), Value::Unchanged]),
        (
            b"U\0\0\0\x01K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x012n",
            Some(OldTuple::Key(vec![text(b"1"), Value::Null])),
            vec![text(b"2"), Value::Null],
        ),
        (
            b"U\0\0\0\x01O\0\x02t\0\0\0\x011t\0\0\0\x01xN\0\x02t\0\0\0\x011u",
            Some(OldTuple::Full(vec![text(b"1"), text(b"x")])),
            vec![text(b"1"), Value::Unchanged],
        ),
        (b"U\0\0\0\x01N\0\x02uu", None, vec![Value::Unchanged, Value::Unchanged]),
    ];
    for (payload, expected_old, expected_new) in cases {
        let Change::Update { old, new, .. } = stream.change(payload) else { panic!("no update") };
        assert_eq!((old, new), (expected_old, expected_new));
    }
    let Change::Delete { old, .. } = stream.change(b"D\0\0\0\x01K\0\x02t\0\0\0\x011n") else {
        panic!("no delete")
    };
    assert_eq!(old, OldTuple::Key(vec![text(b"1"), Value::Null]));
}

// trap C-28, C-33, C-42
#[test]
fn a_relation_stays_itself_until_its_description_changes() {
    const ROW: &[u8] = b"I\0\0\0\x01N\0\x01n";
    let mut stream = Stream::new();
    stream.plain(BEGIN);
    stream.plain(&describe(1, b'd', &["a"]));
    let first = stream.relation(ROW);
    stream.plain(&describe(1, b'd', &["a"]));
    assert!(Arc::ptr_eq(&first, &stream.relation(ROW)), "the same description");
    for changed in [
        describe(1, b'f', &["a"]),
        describe(1, b'd', &["a!"]),
        describe(1, b'd', &["b"]),
        describe(1, b'd', &["a"]),
    ] {
        let before = stream.relation(ROW);
        stream.plain(&changed);
        assert!(!Arc::ptr_eq(&before, &stream.relation(ROW)), "another description");
    }
    stream.plain(&describe(1, b'd', &["a", "b"]));
    let error = stream.at(Place::Plain, ROW).unwrap_err();
    assert!(error.contains("a row of public.t has 1 columns, its description 2"), "{error}");
}

// trap C-16
#[test]
fn truncate_is_one_change_of_all_its_relations() {
    let mut stream = Stream::new();
    stream.plain(BEGIN);
    stream.plain(&describe(1, b'd', &["a"]));
    stream.plain(&describe(2, b'd', &["b"]));
    let Change::Truncate { relations, cascade, restart_identity } =
        stream.change(b"T\0\0\0\x02\x02\0\0\0\x02\0\0\0\x01")
    else {
        panic!("no truncate")
    };
    let oids: Vec<_> = relations.iter().map(|relation| relation.oid).collect();
    assert_eq!((oids, cascade, restart_identity), (vec![2, 1], false, true));
}

// trap C-39, C-44
#[test]
fn messages_and_origins_are_no_changes() {
    let mut stream = Stream::new();
    assert_eq!(stream.plain(b"M\0\0\0\0\0\0\0\0\x08debezium\0\0\0\0\x02{}"), []);
    stream.plain(BEGIN);
    assert_eq!(stream.plain(b"M\x01\0\0\0\0\0\0\0\x08debezium\0\0\0\0\x02{}"), []);
    assert_eq!(stream.plain(b"O\0\0\0\0\0\0\0\x09elsewhere\0"), []);
}

// trap C-13
#[test]
fn chunks_of_a_streamed_transaction_are_decoded_like_others() {
    let mut stream = Stream::new();
    let mut events = Vec::new();
    stream.0.begin_streamed(513, &mut events);
    assert!(matches!(events.as_slice(), [ChangeEvent::Begin(begin)] if begin.xid == 513));
    for payload in [
        b"S\0\0\x02\x01\x01".to_vec(),
        in_chunk(&describe(1, b'd', &["a"])),
        in_chunk(b"I\0\0\0\x01N\0\x01t\0\0\0\x011"),
        b"E".to_vec(),
    ] {
        events.extend(stream.at(Place::Chunk, &payload).unwrap());
    }
    events.extend(stream.at(Place::Plain, STREAM_COMMIT).unwrap());
    let [_, ChangeEvent::Change(Change::Insert { new, .. }), ChangeEvent::Commit(commit)] =
        events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(new, &[text(b"1")]);
    assert_eq!(commit.end_lsn, Lsn(0x140));
}

#[test]
fn what_stands_where_it_may_not_is_refused() {
    let row = b"I\0\0\0\x01N\0\x01n".as_slice();
    let description = describe(1, b'd', &["a"]);
    let cases = [
        (vec![description.as_slice()], row, "change outside of a transaction"),
        (vec![], COMMIT, "commit outside of a transaction"),
        (vec![BEGIN], BEGIN, "begin inside a transaction"),
        (vec![BEGIN], row, "relation 1 was not described before its first change"),
        (vec![], b"A\0\0\x02\x01\0\0\x02\x01".as_slice(), "was not taken out"),
        (
            vec![],
            b"b\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\x02\x01g\0",
            "two-phase",
        ),
        (vec![], b"R\0\0\0\x01p\0\xff\0d\0\0".as_slice(), "is not valid UTF-8"),
    ];
    for (before, payload, expected) in cases {
        let mut stream = Stream::new();
        for payload in before {
            stream.plain(payload);
        }
        let error = stream.at(Place::Plain, payload).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(
            error.starts_with("source: protocol violation: message of pgoutput at 0/140: "),
            "{error}"
        );
    }
}

#[test]
fn an_abandoned_transaction_begins_again() {
    let mut stream = Stream::new();
    stream.plain(BEGIN);
    stream.plain(&describe(1, b'd', &["a"]));
    stream.0.abandon();
    stream.plain(BEGIN);
    assert_eq!(stream.plain(b"I\0\0\0\x01N\0\x01n").len(), 1);
    stream.plain(COMMIT);
}
