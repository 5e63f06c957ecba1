//! Bytes composed from the documentation of the message formats, and properties of any bytes.

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::error::DecodeErrorKind;
use crate::lsn::Lsn;
use crate::time::PgTimestamp;
use crate::types::Oid;

fn decode(payload: &[u8]) -> LogicalMessage<'_> {
    LogicalMessage::decode(payload).unwrap()
}

/// All messages once, with the place where they stand; the bytes are in the order of the
/// documentation.
fn every_message() -> Vec<(Place, &'static [u8])> {
    let plain: [&[u8]; 19] = [
        b"B\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\0\x07\0\0\x02\x01",
        b"C\0\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\x01\x40\0\0\0\0\0\0\0\x07",
        b"O\0\0\0\0\0\0\0\x09node\0",
        b"R\0\0\x40\x01public\0t\0d\0\x02\x01id\0\0\0\0\x17\xff\xff\xff\xff\0v\0\0\0\x04\x13\0\0\0\x0e",
        b"Y\0\0\x50\0public\0mood\0",
        b"I\0\0\x40\x01N\0\x02t\0\0\0\x011n",
        b"U\0\0\x40\x01N\0\x02t\0\0\0\x011u",
        b"U\0\0\x40\x01K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x012t\0\0\0\0",
        b"U\0\0\x40\x01O\0\x01b\0\0\0\x04\0\0\0\x01N\0\x01b\0\0\0\x04\0\0\0\x02",
        b"D\0\0\x40\x01K\0\x02t\0\0\0\x011n",
        b"D\0\0\x40\x01O\0\x02t\0\0\0\x011t\0\0\0\x01x",
        b"T\0\0\0\x02\x03\0\0\x40\x01\0\0\x40\x02",
        b"M\x01\0\0\0\0\0\0\0\x08pre\0\0\0\0\x03a\0b",
        b"A\0\0\x02\x01\0\0\x02\x02",
        b"b\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\x02\x01gid\0",
        b"P\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\x02\x01gid\0",
        b"K\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\x02\x01gid\0",
        b"r\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\x02\x01gid\0",
        b"p\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\x02\x01gid\0",
    ];
    let chunk: [&[u8]; 11] = [
        b"S\0\0\x02\x01\x01",
        b"R\0\0\x02\x02\0\0\x40\x01public\0t\0f\0\0",
        b"Y\0\0\x02\x02\0\0\x50\0public\0mood\0",
        b"I\0\0\x02\x02\0\0\x40\x01N\0\x01n",
        b"U\0\0\x02\x02\0\0\x40\x01N\0\x01n",
        b"D\0\0\x02\x02\0\0\x40\x01O\0\x01n",
        b"T\0\0\x02\x02\0\0\0\x01\0\0\0\x40\x01",
        b"M\0\0\x02\x02\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0",
        b"E",
        b"A\0\0\x02\x01\0\0\x02\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06",
        b"c\0\0\x02\x01\0\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\x01\x40\0\0\0\0\0\0\0\x07",
    ];
    let plain = plain.into_iter().map(|payload| (Place::Plain, payload));
    plain.chain(chunk.into_iter().map(|payload| (Place::Chunk, payload))).collect()
}

#[test]
fn boundaries_have_the_documented_layout() {
    let messages = every_message();
    let of = |index: usize| decode(messages[index].1);
    assert_eq!(
        of(0),
        LogicalMessage::Begin(Begin {
            commit_lsn: Lsn(0x110),
            commit_time: PgTimestamp(7),
            xid: Xid(513),
        })
    );
    assert_eq!(
        of(1),
        LogicalMessage::Commit(Commit {
            commit_lsn: Lsn(0x110),
            end_lsn: Lsn(0x140),
            commit_time: PgTimestamp(7),
        })
    );
    assert_eq!(of(2), LogicalMessage::Origin(Origin { commit_lsn: Lsn(9), name: b"node" }));
    let prepare = Prepare {
        prepare_lsn: Lsn(1),
        end_lsn: Lsn(2),
        time: PgTimestamp(3),
        xid: Xid(513),
        gid: b"gid",
    };
    assert_eq!(of(14), LogicalMessage::BeginPrepare(prepare));
    assert_eq!(of(15), LogicalMessage::Prepare(prepare));
    assert_eq!(
        of(16),
        LogicalMessage::CommitPrepared(CommitPrepared {
            commit_lsn: Lsn(1),
            end_lsn: Lsn(2),
            commit_time: PgTimestamp(3),
            xid: Xid(513),
            gid: b"gid",
        })
    );
    assert_eq!(
        of(17),
        LogicalMessage::RollbackPrepared(RollbackPrepared {
            prepare_end_lsn: Lsn(1),
            end_lsn: Lsn(2),
            prepare_time: PgTimestamp(3),
            rollback_time: PgTimestamp(4),
            xid: Xid(513),
            gid: b"gid",
        })
    );
    assert_eq!(of(18), LogicalMessage::StreamPrepare(prepare));
}

#[test]
fn a_relation_tells_its_columns_types_and_key() {
    let messages = every_message();
    let LogicalMessage::Relation(relation) = decode(messages[3].1) else { panic!("no relation") };
    assert_eq!(
        (relation.oid, relation.namespace, relation.name),
        (Oid(0x4001), &b"public"[..], &b"t"[..])
    );
    assert_eq!(relation.identity, ReplicaIdentity::Default);
    let columns: Vec<_> = relation.columns().collect();
    assert_eq!(
        columns,
        [
            Column { is_key: true, name: b"id", type_oid: Oid(23), type_modifier: -1 },
            Column { is_key: false, name: b"v", type_oid: Oid(1043), type_modifier: 14 },
        ]
    );
    for (byte, identity) in [
        (b'd', ReplicaIdentity::Default),
        (b'n', ReplicaIdentity::Nothing),
        (b'f', ReplicaIdentity::Full),
        (b'i', ReplicaIdentity::Index),
    ] {
        let payload = [b"R\0\0\0\x01\0t\0".as_slice(), &[byte, 0, 0]].concat();
        let LogicalMessage::Relation(relation) = decode(&payload) else { panic!("no relation") };
        assert_eq!((relation.identity, relation.namespace), (identity, &b""[..]));
        assert!(relation.is_empty());
    }
}

// trap C-20
#[test]
fn null_unchanged_empty_text_and_binary_are_told_apart() {
    let payload = b"I\0\0\0\x01N\0\x05nut\0\0\0\0t\0\0\0\x02hib\0\0\0\x02\0\xff";
    let LogicalMessage::Insert(insert) = decode(payload) else { panic!("no insert") };
    let values: Vec<_> = insert.new.iter().collect();
    assert_eq!(
        values,
        [
            ColumnValue::Null,
            ColumnValue::Unchanged,
            ColumnValue::Text(b""),
            ColumnValue::Text(b"hi"),
            ColumnValue::Binary(b"\0\xff"),
        ]
    );
    assert_eq!(
        format!("{:?}", insert.new),
        "[Null, Unchanged, Text(0 bytes), Text(2 bytes), Binary(2 bytes)]"
    );
}

// trap C-18
#[test]
fn updates_carry_no_old_row_a_key_or_the_whole_row() {
    let messages = every_message();
    let old = |index: usize| match decode(messages[index].1) {
        LogicalMessage::Update(update) => update.old,
        other => panic!("{other:?}"),
    };
    assert_eq!(old(6), None);
    assert!(matches!(old(7), Some(OldTuple::Key(key)) if key.len() == 2));
    assert!(matches!(old(8), Some(OldTuple::Full(row)) if row.len() == 1));
}

// trap C-16
#[test]
fn truncate_lists_all_its_relations_and_both_flags() {
    let messages = every_message();
    let LogicalMessage::Truncate(truncate) = decode(messages[11].1) else { panic!("no truncate") };
    assert!(truncate.cascade && truncate.restart_identity);
    let relations: Vec<_> = truncate.relations().collect();
    assert_eq!(relations, [Oid(0x4001), Oid(0x4002)]);
    for (options, cascade, restart_identity) in
        [(0, false, false), (1, true, false), (2, false, true), (3, true, true)]
    {
        let payload = [b"T\0\0\0\0".as_slice(), &[options]].concat();
        let LogicalMessage::Truncate(truncate) = decode(&payload) else { panic!("no truncate") };
        assert_eq!((truncate.cascade, truncate.restart_identity), (cascade, restart_identity));
    }
}

// trap C-39
#[test]
fn messages_of_applications_are_a_message_of_their_own() {
    let messages = every_message();
    assert_eq!(
        decode(messages[12].1),
        LogicalMessage::Message(Message {
            is_transactional: true,
            lsn: Lsn(8),
            prefix: b"pre",
            content: b"a\0b",
        })
    );
}

// trap C-11
#[test]
fn rows_in_chunks_carry_the_subtransaction() {
    for (place, payload) in every_message() {
        let (xid, message) = LogicalMessage::decode_at(place, payload).unwrap();
        let carries = matches!(payload[0], b'R' | b'Y' | b'I' | b'U' | b'D' | b'T' | b'M');
        let expected = (place == Place::Chunk && carries).then_some(Xid(514));
        assert_eq!(xid, expected, "{message:?}");
    }
}

#[test]
fn aborts_of_subtransactions_come_with_or_without_their_place() {
    let abort =
        |place| LogicalMessage::StreamAbort(StreamAbort { xid: Xid(513), subxid: Xid(514), place });
    let messages = every_message();
    assert_eq!(decode(messages[13].1), abort(None));
    let place = StreamAbortPlace { lsn: Lsn(5), time: PgTimestamp(6) };
    assert_eq!(
        decode(b"A\0\0\x02\x01\0\0\x02\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06"),
        abort(Some(place))
    );
    assert!(LogicalMessage::decode(b"A\0\0\x02\x01\0\0\x02\x02\0").is_err());
}

#[test]
fn classification_agrees_with_decoding_and_reads_no_rows() {
    for (place, payload) in every_message() {
        let (_, message) = LogicalMessage::decode_at(place, payload).unwrap();
        let expected = match message {
            LogicalMessage::Begin(begin) => Kind::Begin(begin),
            LogicalMessage::Commit(commit) => Kind::Commit(commit),
            LogicalMessage::StreamStart(start) => Kind::StreamStart(start),
            LogicalMessage::StreamStop => Kind::StreamStop,
            LogicalMessage::StreamCommit(commit) => Kind::StreamCommit(commit),
            LogicalMessage::StreamAbort(abort) => Kind::StreamAbort(abort),
            LogicalMessage::Message(_) => Kind::Message,
            LogicalMessage::BeginPrepare(_)
            | LogicalMessage::Prepare(_)
            | LogicalMessage::CommitPrepared(_)
            | LogicalMessage::RollbackPrepared(_)
            | LogicalMessage::StreamPrepare(_) => Kind::TwoPhase,
            _ => Kind::Content,
        };
        assert_eq!(classify(payload), Ok(expected));
    }
    assert_eq!(classify(b"I truncated"), Ok(Kind::Content));
    assert!(classify(b"").is_err());
    assert!(classify(b"x").is_err());
    assert!(classify(b"Ex").is_err());
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    for (place, payload) in every_message() {
        for length in 0..payload.len() {
            // An abort without its place is shorter and valid.
            let is_abort = payload[0] == b'A' && length == 9;
            let outcome = LogicalMessage::decode_at(place, &payload[..length]);
            assert_eq!(outcome.is_ok(), is_abort, "{:?}", payload[..length].escape_ascii());
        }
        let longer = [payload, b"\0"].concat();
        assert!(LogicalMessage::decode_at(place, &longer).is_err(), "{:?}", payload.escape_ascii());
    }
}

// trap V-33
#[test]
fn values_that_the_protocol_does_not_define_are_refused() {
    for payload in [
        b"".as_slice(),
        b"z",
        b"C\x01\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\x01\x40\0\0\0\0\0\0\0\x07",
        b"S\0\0\0\x01\x02",
        b"R\0\0\0\x01\0t\0x\0\0",
        b"R\0\0\0\x01\0t\0d\xff\xff",
        b"I\0\0\0\x01K\0\0",
        b"I\0\0\0\x01N\0\x01x",
        b"I\0\0\0\x01N\0\x01t\xff\xff\xff\xff",
        b"I\0\0\0\x01N\x06\x81",
        b"U\0\0\0\x01D\0\0N\0\0",
        b"U\0\0\0\x01K\0\0K\0\0",
        b"D\0\0\0\x01N\0\0",
        b"T\xff\xff\xff\xff\0",
        b"T\x7f\xff\xff\xff\0",
        b"M\x02\0\0\0\0\0\0\0\x08\0\0\0\0\0",
        b"M\0\0\0\0\0\0\0\0\x08\0\xff\xff\xff\xff",
    ] {
        assert!(LogicalMessage::decode(payload).is_err(), "{:?}", payload.escape_ascii());
    }
    let error = LogicalMessage::decode(b"I\0\0\0\x01N\0\x01x").unwrap_err();
    assert_eq!((error.what, error.offset), ("Insert", 8));
    assert_eq!(
        error.kind,
        DecodeErrorKind::BadValue { field: "column kind", found: i64::from(b'x') }
    );
}

/// A column's value that owns its bytes.
#[derive(Debug, Clone)]
enum Owned {
    Null,
    Unchanged,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        Just(Owned::Null),
        Just(Owned::Unchanged),
        any::<Vec<u8>>().prop_map(Owned::Text),
        any::<Vec<u8>>().prop_map(Owned::Binary),
    ]
}

fn put_tuple(kind: u8, tuple: &[Owned], buf: &mut BytesMut) {
    buf.put_u8(kind);
    buf.put_u16(u16::try_from(tuple.len()).unwrap());
    for value in tuple {
        match value {
            Owned::Null => buf.put_u8(b'n'),
            Owned::Unchanged => buf.put_u8(b'u'),
            Owned::Text(bytes) | Owned::Binary(bytes) => {
                buf.put_u8(if matches!(value, Owned::Text(_)) { b't' } else { b'b' });
                buf.put_u32(u32::try_from(bytes.len()).unwrap());
                buf.put_slice(bytes);
            }
        }
    }
}

fn same(decoded: &TupleData<'_>, tuple: &[Owned]) -> bool {
    decoded.len() == tuple.len()
        && decoded.iter().zip(tuple).all(|(value, owned)| match (value, owned) {
            (ColumnValue::Null, Owned::Null) | (ColumnValue::Unchanged, Owned::Unchanged) => true,
            (ColumnValue::Text(a), Owned::Text(b)) | (ColumnValue::Binary(a), Owned::Binary(b)) => {
                a == b
            }
            _ => false,
        })
}

proptest! {
    #[test]
    fn updates_round_trip(
        relation: u32,
        xid in proptest::option::of(any::<u32>()),
        old in proptest::option::of((any::<bool>(), proptest::collection::vec(owned(), 0..6))),
        new in proptest::collection::vec(owned(), 0..6),
    ) {
        let mut payload = BytesMut::from(&b"U"[..]);
        if let Some(xid) = xid {
            payload.put_u32(xid);
        }
        payload.put_u32(relation);
        if let Some((is_full, old)) = &old {
            put_tuple(if *is_full { b'O' } else { b'K' }, old, &mut payload);
        }
        put_tuple(b'N', &new, &mut payload);
        let place = if xid.is_some() { Place::Chunk } else { Place::Plain };
        let (found, message) = LogicalMessage::decode_at(place, &payload).unwrap();
        prop_assert_eq!(found, xid.map(Xid));
        let LogicalMessage::Update(update) = message else { panic!("no update") };
        prop_assert_eq!(update.relation, Oid(relation));
        prop_assert!(same(&update.new, &new));
        match (&update.old, &old) {
            (None, None) => {}
            (Some(OldTuple::Full(tuple)), Some((true, expected)))
            | (Some(OldTuple::Key(tuple)), Some((false, expected))) => {
                prop_assert!(same(tuple, expected));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn any_change_of_a_byte_is_decoded_or_refused(
        message in 0_usize..30,
        place: proptest::sample::Index,
        byte: u8,
        length: proptest::sample::Index,
    ) {
        let (kind, payload) = every_message()[message];
        let mut payload = payload.to_vec();
        let at = place.index(payload.len());
        payload[at] = byte;
        let payload = &payload[..length.index(payload.len().saturating_add(1))];
        let _ = classify(payload);
        if let Ok((_, message)) = LogicalMessage::decode_at(kind, payload) {
            let text = format!("{message:?}");
            prop_assert!(!text.is_empty());
        }
    }
}
