//! Messages as wal2json 2.5 wrote them on PostgreSQL 15 (shortened), and what is not one.

use proptest::prelude::*;

use super::*;

const BEGIN: &str = r#"{"action":"B","xid":734,"timestamp":"2026-11-22 16:37:37.519963+00","lsn":"0/1557290","nextlsn":"0/1557498"}"#;
const INSERT: &str = r#"{"action":"I","xid":734,"schema":"S \"q\"","table":"T: x","columns":[{"name":"id","type":"integer","typeoid":23,"value":1},{"name":"v","type":"text","typeoid":25,"value":"it's\n\\ \"q\" \t é \u0001"},{"name":"b","type":"bytea","typeoid":17,"value":"deadbeef"},{"name":"f","type":"double precision","typeoid":701,"value":1e-07},{"name":"n","type":"numeric","typeoid":1700,"value":12345678901234567890.1234567890},{"name":"bo","type":"boolean","typeoid":16,"value":true},{"name":"bi","type":"bit(3)","typeoid":1560,"value":"101"},{"name":"Odd \" col[x]:1","type":"Odd ]type","typeoid":16385,"value":null},{"name":"dn","type":"dbytea","typeoid":16390,"value":"\\x00ff"}],"pk":[{"name":"id","type":"integer","typeoid":23}]}"#;
const UPDATE: &str = r#"{"action":"U","schema":"public","table":"big","columns":[{"name":"id","type":"integer","value":2},{"name":"b","type":"text","value":"z"}],"identity":[{"name":"id","type":"integer","value":1}]}"#;
const TRANSACTION: &str = r#"{"xid":734,"nextlsn":"0/1557498","timestamp":"2026-11-22 16:37:37.519963+00","change":[{"kind":"insert","schema":"public","table":"t","columnnames":["id","b","bo"],"columntypes":["integer","bytea","boolean"],"columnvalues":[1,"00ff",false],"pk":{"pknames":["id"],"pktypes":["integer"]}},{"kind":"message","transactional":true,"prefix":"pre","content":"x"},{"kind":"delete","schema":"public","table":"t","oldkeys":{"keynames":["id"],"keytypes":["integer"],"keyvalues":[2]}}]}"#;

fn decode(text: &str) -> Message<'_> {
    Message::decode(text.as_bytes()).unwrap()
}

fn change(text: &str) -> Change<'_> {
    match decode(text) {
        Message::Change(change) => change,
        other => panic!("{other:?}"),
    }
}

fn values<'a>(columns: &'a [Column<'_>]) -> Vec<(&'a str, Option<&'a str>)> {
    columns.iter().map(|column| (column.name.as_ref(), column.value.as_deref())).collect()
}

#[test]
fn boundaries_tell_what_the_options_ask_for() {
    let boundary = Boundary {
        xid: Some(Xid(734)),
        commit_lsn: Some(Lsn(0x155_7290)),
        end_lsn: Some(Lsn(0x155_7498)),
        // select extract(epoch from '2026-11-22 16:37:37.519963+00'::timestamptz - '2000-01-01 00:00+00') * 1000000
        commit_time: Some(PgTimestamp(848_680_657_519_963)),
    };
    assert_eq!(decode(BEGIN), Message::Begin(boundary));
    assert_eq!(decode(&BEGIN.replace(r#""B""#, r#""C""#)), Message::Commit(boundary));
    assert_eq!(decode(r#"{"action":"B"}"#), Message::Begin(Boundary::default()));
    assert_eq!(decode(r#"{"action":"C","xid":null}"#), Message::Commit(Boundary::default()));
}

// trap C-48
#[test]
fn values_keep_every_digit_and_every_byte() {
    let change = change(INSERT);
    assert_eq!((change.schema.as_ref(), change.table.as_ref()), ("S \"q\"", "T: x"));
    assert_eq!((change.kind, change.identity), (ChangeKind::Insert, None));
    assert_eq!(
        values(&change.columns),
        [
            ("id", Some("1")),
            ("v", Some("it's\n\\ \"q\" \t é \u{1}")),
            ("b", Some("\\xdeadbeef")),
            ("f", Some("1e-07")),
            ("n", Some("12345678901234567890.1234567890")),
            ("bo", Some("t")),
            ("bi", Some("101")),
            ("Odd \" col[x]:1", None),
            ("dn", Some("\\x00ff")),
        ]
    );
    let types: Vec<_> =
        change.columns.iter().map(|c| (c.type_name.as_deref(), c.type_oid)).collect();
    assert_eq!(types[6], (Some("bit(3)"), Some(1560)));
}

#[test]
fn text_without_escapes_is_borrowed() {
    let change = change(UPDATE);
    assert!(matches!(change.columns[1].value, Some(Cow::Borrowed("z"))));
    assert!(matches!(change.table, Cow::Borrowed("big")));
}

// trap C-20
#[test]
fn untouched_toast_is_left_out_and_the_old_key_is_told() {
    let change = change(UPDATE);
    assert_eq!(values(&change.columns), [("id", Some("2")), ("b", Some("z"))]);
    assert_eq!(values(change.identity.as_deref().unwrap()), [("id", Some("1"))]);
}

#[test]
fn deletes_and_truncates_have_no_new_row() {
    let delete = change(
        r#"{"action":"D","schema":"public","table":"t","identity":[{"name":"a","type":"integer","value":-1}]}"#,
    );
    assert_eq!((delete.kind, delete.columns.len()), (ChangeKind::Delete, 0));
    assert_eq!(values(delete.identity.as_deref().unwrap()), [("a", Some("-1"))]);
    let truncate = change(r#"{"action":"T","lsn":"0/1557260","schema":"public","table":"t"}"#);
    assert_eq!((truncate.kind, truncate.identity), (ChangeKind::Truncate, None));
}

#[test]
fn a_transaction_of_format_1_holds_its_changes() {
    let Message::Transaction(boundary, changes) = decode(TRANSACTION) else { panic!("not one") };
    assert_eq!((boundary.xid, boundary.end_lsn), (Some(Xid(734)), Some(Lsn(0x155_7498))));
    let [insert, delete] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(insert.kind, ChangeKind::Insert);
    assert_eq!(
        values(&insert.columns),
        [("id", Some("1")), ("b", Some("\\x00ff")), ("bo", Some("f"))]
    );
    assert_eq!(delete.kind, ChangeKind::Delete);
    assert_eq!(values(delete.identity.as_deref().unwrap()), [("id", Some("2"))]);
}

// trap C-39
#[test]
fn messages_of_applications_are_told_from_transactions() {
    for text in [
        r#"{"action":"M","xid":734,"transactional":true,"prefix":"pre","content":"he\"llo"}"#,
        r#"{"action":"M","xid":null,"timestamp":null,"lsn":"0/1557DF8","transactional":false,"prefix":"pre","content":"nontx"}"#,
        r#"{"change":[{"kind":"message","transactional":false,"prefix":"pre","content":"nontx"}]}"#,
    ] {
        assert_eq!(decode(text), Message::Message, "{text}");
    }
    assert_eq!(
        decode(
            r#"{"change":[{"kind":"message","transactional":true,"prefix":"pre","content":"x"}]}"#
        ),
        Message::Transaction(Boundary::default(), Vec::new())
    );
}

// trap C-59
#[test]
fn missing_and_null_times_are_no_error() {
    for text in [
        r#"{"action":"C","xid":1,"timestamp":null,"lsn":null,"nextlsn":null}"#,
        r#"{"action":"C","xid":1}"#,
    ] {
        let Message::Commit(boundary) = decode(text) else { panic!("no commit") };
        assert_eq!((boundary.commit_time, boundary.end_lsn), (None, None));
    }
}

#[test]
fn kinds_are_known_from_the_first_bytes() {
    for (text, kind) in [
        (BEGIN, Kind::Begin),
        (r#"{"action":"C"}"#, Kind::Commit),
        (r#"{"action":"M","#, Kind::Message),
        (INSERT, Kind::Content),
        (UPDATE, Kind::Content),
        (TRANSACTION, Kind::Transaction),
    ] {
        assert_eq!(classify(text.as_bytes()), kind);
    }
}

#[test]
fn what_the_plugin_does_not_write_is_refused_without_quoting_it() {
    for (payload, expected) in [
        (b"".as_slice(), "ends too early"),
        (b"{", "ends too early"),
        (b"[]", "at line 1"),
        (b"{\"change\":[", "ends too early"),
        (b"\xff", "invalid UTF-8 at byte 0"),
        (br#"{"action":"X"}"#, "expected an action, found \"X\""),
        (br#"{"action":"I","schema":"s"}"#, "names no table"),
        (br#"{"action":"I","table":"t","columns":[{"name":"SECRET"}]}"#, "unexpected shape"),
        (br#"{"action":"I","table":"t","columns":[{"name":"a","value":{}}]}"#, "found an object"),
        (br#"{"action":"I","table":"t","columns":[{"name":"a","type":"bytea","value":"\\x00"}]}"#, "hexadecimal"),
        (br#"{"action":"I","table":"t","columns":[{"name":"a","typeoid":17,"value":"abc"}]}"#, "hexadecimal"),
        (br#"{"action":"B","lsn":"x"}"#, "LSN"),
        (br#"{"action":"B","timestamp":"SECRET"}"#, "commit time"),
        (br#"{"change":[{"kind":"insert","table":"t","columnnames":["SECRET"],"columnvalues":[]}]}"#, "differ in length"),
        (br#"{"change":[{"kind":"SECRET"}]}"#, "kind of change"),
    ] {
        let error = Message::decode(payload).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let is_named = expected == "kind of change";
        assert!(is_named || !error.contains("SECRET"), "{error}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = format!(r#"{{"action":"I","table":"t","x":{}"#, "[".repeat(1_000_000));
    assert!(Message::decode(deep.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_text_and_any_number_round_trips(text: String, number: i64, fraction: f64) {
        prop_assume!(fraction.is_finite());
        let json = serde_json::json!(text);
        let payload = format!(
            r#"{{"action":"I","schema":{json},"table":"t","columns":[{{"name":{json},"value":{json}}},{{"name":"n","value":{number}}},{{"name":"f","value":{fraction:e}}}]}}"#
        );
        let change = change(&payload);
        prop_assert_eq!(&change.schema, &text);
        let expected = [text.clone(), number.to_string(), format!("{fraction:e}")];
        for (column, expected) in change.columns.iter().zip(&expected) {
            prop_assert_eq!(column.value.as_deref(), Some(expected.as_str()));
        }
    }

    #[test]
    fn any_change_of_a_byte_is_decoded_or_refused(
        which in 0_usize..4,
        place: proptest::sample::Index,
        byte: u8,
        length: proptest::sample::Index,
    ) {
        let mut payload = [BEGIN, INSERT, UPDATE, TRANSACTION][which].as_bytes().to_vec();
        let at = place.index(payload.len());
        payload[at] = byte;
        let payload = &payload[..length.index(payload.len()).saturating_add(1)];
        if let Err(error) = Message::decode(payload) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
