//! Messages as PostgreSQL 15 wrote them, and what is not one.

use proptest::prelude::*;

use super::*;

const INSERT: &str = "table public.t: INSERT: id[integer]:1 v[text]:'it''s\n\\ \"q\" \t é \u{1}' b[bytea]:'\\xdeadbeef' f[double precision]:NaN n[numeric]:-Infinity bo[boolean]:true bi[bit]:B'101' arr[integer[]]:'{1,NULL}' ts[timestamp with time zone]:'2020-01-01 00:00:00+00' \"Odd \"\" col[x]:1\"[\"Odd ]type\"]:'a' vc[character varying]:null";
const UPDATE: &str = "table \"S \"\"q\"\"\".\"T: x\": UPDATE: old-key: a[integer]:2 b[text]:'b' new-tuple: a[integer]:2 b[text]:unchanged-toast-datum";
const COMMIT: &str = "COMMIT 734 (at 2026-11-22 16:37:37.519963+00)";
const TRUNCATE: &str = "table public.t, public.f: TRUNCATE: restart_seqs cascade";

fn decode(text: &str) -> Message<'_> {
    Message::decode(text.as_bytes()).unwrap()
}

fn text(value: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(value))
}

fn table(schema: &'static str, name: &'static str) -> Table<'static> {
    Table { schema: Cow::Borrowed(schema), name: Cow::Borrowed(name) }
}

#[test]
fn boundaries_come_with_or_without_id_and_time() {
    let commit_time = Some(PgTimestamp(848_680_657_519_963));
    assert_eq!(decode("BEGIN 734"), Message::Begin(Some(Xid(734))));
    assert_eq!(decode("BEGIN"), Message::Begin(None));
    assert_eq!(decode(COMMIT), Message::Commit { xid: Some(Xid(734)), commit_time });
    assert_eq!(decode("COMMIT 7"), Message::Commit { xid: Some(Xid(7)), commit_time: None });
    assert_eq!(decode("COMMIT"), Message::Commit { xid: None, commit_time: None });
    let timed = "COMMIT (at 2026-11-22 16:37:37.519963+00)";
    assert_eq!(decode(timed), Message::Commit { xid: None, commit_time });
    assert_eq!(boundary_xid(b"BEGIN 734"), Ok(Some(Xid(734))));
}

// trap C-48
#[test]
fn every_kind_of_value_is_read() {
    let Message::Insert { table: found, new } = decode(INSERT) else { panic!("no insert") };
    assert_eq!(found, table("public", "t"));
    let columns: Vec<_> =
        new.iter().map(|c| (c.name.as_ref(), c.type_name, c.value.clone())).collect();
    let expected = [
        ("id", "integer", text("1")),
        ("v", "text", text("it's\n\\ \"q\" \t é \u{1}")),
        ("b", "bytea", text("\\xdeadbeef")),
        ("f", "double precision", text("NaN")),
        ("n", "numeric", text("-Infinity")),
        ("bo", "boolean", text("t")),
        ("bi", "bit", text("101")),
        ("arr", "integer[]", text("{1,NULL}")),
        ("ts", "timestamp with time zone", text("2020-01-01 00:00:00+00")),
        ("Odd \" col[x]:1", "\"Odd ]type\"", text("a")),
        ("vc", "character varying", Value::Null),
    ];
    assert_eq!(columns.len(), expected.len());
    for (found, expected) in columns.into_iter().zip(expected) {
        assert!(found == expected, "{} {}", expected.0, expected.1);
    }
}

// trap C-18, C-20
#[test]
fn updates_have_an_old_row_only_when_the_key_changed() {
    let Message::Update { table: found, old, new } = decode(UPDATE) else { panic!("no update") };
    assert_eq!(found, table("S \"q\"", "T: x"));
    assert_eq!(old.map(|old| old.len()), Some(2));
    assert!(new[1].value == Value::Unchanged);
    let plain = decode("table public.t: UPDATE: id[integer]:1 \"new-tuple\"[text]:' new-tuple:'");
    let Message::Update { old: None, new, .. } = plain else { panic!("{plain:?}") };
    assert!(new[1].value == text(" new-tuple:"));
}

#[test]
fn rows_without_columns_and_without_data_are_told_apart() {
    let insert = decode("table public.t: INSERT:");
    assert_eq!(insert, Message::Insert { table: table("public", "t"), new: Vec::new() });
    let delete = decode("table public.t: DELETE: (no-tuple-data)");
    assert_eq!(delete, Message::Delete { table: table("public", "t"), old: None });
    let Message::Delete { old: Some(old), .. } = decode("table public.t: DELETE: id[integer]:2")
    else {
        panic!("no delete")
    };
    assert!(old[0].value == text("2"));
}

// trap C-16
#[test]
fn truncate_lists_all_its_tables_and_flags() {
    for (flags, cascade, restart_identity) in [
        (" (no-flags)", false, false),
        (" cascade", true, false),
        (" restart_seqs", false, true),
        (" restart_seqs cascade", true, true),
    ] {
        let message = format!("table public.t, \"a, b\".f: TRUNCATE:{flags}");
        let tables = vec![table("public", "t"), table("a, b", "f")];
        assert_eq!(decode(&message), Message::Truncate { tables, cascade, restart_identity });
    }
}

// trap C-39
#[test]
fn messages_of_applications_are_not_looked_into() {
    for text in [
        "message: transactional: 1 prefix: pre, sz: 6 content:he\"llo",
        "message: transactional: 0 prefix: pre, sz: 5 content:table public.t: DELETE:",
    ] {
        assert_eq!(decode(text), Message::Message);
    }
}

#[test]
fn what_the_plugin_does_not_write_is_refused() {
    for payload in [
        "",
        "begin",
        "BEGIN x",
        "BEGIN 99999999999",
        "COMMIT 1 (at yesterday)",
        "COMMIT 1 (at 2026-11-22 16:37:37+00",
        "table ",
        "table t: INSERT:",
        "table public.t",
        "table public.t: UPSERT:",
        "table public.t: INSERT: (no-tuple-data)",
        "table public.t, public.u: INSERT:",
        "table public.t: INSERT: a",
        "table public.t: INSERT: a[integer",
        "table public.t: INSERT: a[\"integer]:1",
        "table public.t: INSERT: a[integer]1",
        "table public.t: INSERT: a[integer]:",
        "table public.t: INSERT: a[text]:'x",
        "table public.t: INSERT: a[text]:'x''",
        "table public.t: INSERT: a[text]:'x'y",
        "table public.\"t: INSERT: a[text]:'x'",
        "table public.t: UPDATE: old-key: a[integer]:1",
        "table public.t: TRUNCATE: x",
        "opening a streamed block for transaction",
    ] {
        assert!(Message::decode(payload.as_bytes()).is_err(), "{payload}");
    }
    let error = Message::decode(b"table public.t: INSERT: a[integer]1").unwrap_err();
    assert_eq!(error.offset, 34);
    let error = Message::decode(b"table public.\xff").unwrap_err();
    assert_eq!(error.offset, 13);
}

#[test]
fn values_do_not_appear_in_debug_output() {
    assert!(!format!("{:?}", decode(INSERT)).contains("deadbeef"));
}

proptest! {
    #[test]
    fn any_name_and_any_text_round_trips(schema: String, name: String, column: String, value: String) {
        let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let message = format!(
            "table {}.{}: UPDATE: {}[text]:'{}' b[text]:null",
            quote(&schema), quote(&name), quote(&column), value.replace('\'', "''"),
        );
        let Message::Update { table, old: None, new } = decode(&message) else { panic!("no update") };
        prop_assert_eq!((table.schema.as_ref(), table.name.as_ref()), (schema.as_str(), name.as_str()));
        prop_assert_eq!(new[0].name.as_ref(), column.as_str());
        prop_assert!(new[0].value == text(&value) && new[1].value == Value::Null);
    }

    #[test]
    fn any_change_of_a_byte_is_decoded_or_refused(
        which in 0_usize..4,
        place: proptest::sample::Index,
        byte: u8,
        length: proptest::sample::Index,
    ) {
        let mut payload = [INSERT, UPDATE, COMMIT, TRUNCATE][which].as_bytes().to_vec();
        let at = place.index(payload.len());
        payload[at] = byte;
        let payload = &payload[..length.index(payload.len()).saturating_add(1)];
        let outcome = Message::decode(payload);
        prop_assert!(outcome.is_err() || classify(payload).is_some());
    }
}
