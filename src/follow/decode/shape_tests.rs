//! What becomes of relations as changes come by.

use bytes::Bytes;

use super::*;

/// Cells of type `text` from `name=value` (`name` alone is null).
fn cells(text: &'static str) -> Vec<Cell<'static>> {
    let cell = |word: &'static str| {
        let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
        Cell {
            name: Cow::Borrowed(name),
            type_name: Some(Cow::Borrowed("text")),
            type_oid: 0,
            value: value.map_or(Value::Null, text_value),
        }
    };
    text.split_whitespace().map(cell).collect()
}

fn text_value(value: &'static str) -> Value {
    Value::Text(Bytes::from_static(value.as_bytes()))
}

fn identity(text: &'static str) -> Before<'static> {
    Before::Identity(cells(text))
}

fn not_null(text: &'static str) -> Before<'static> {
    Before::NotNull(cells(text))
}

fn place(shapes: &mut Shapes, change: Named<'_>) -> Change {
    shapes.place("s", "t", change).unwrap()
}

fn relation(change: &Change) -> &Arc<Relation> {
    match change {
        Change::Insert { relation, .. }
        | Change::Update { relation, .. }
        | Change::Delete { relation, .. } => relation,
        Change::Truncate { relations, .. } => &relations[0],
    }
}

/// Names of the columns, those of the key with `!`.
fn columns(change: &Change) -> String {
    let columns = relation(change).columns.iter();
    let words = columns.map(|c| format!("{}{}", c.name, if c.is_key { "!" } else { "" }));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_relation_stays_itself_once_all_of_it_is_known() {
    let mut shapes = Shapes::default();
    place(&mut shapes, Named::Insert(cells("id=1 v=x")));
    let first = place(&mut shapes, Named::Delete(identity("id=1")));
    assert_eq!(columns(&first), "id! v");
    for change in [
        Named::Insert(cells("id=2 v")),
        Named::Update(identity("id=2"), cells("id=2 v=y")),
        Named::Update(identity("id=2"), cells("id=2")),
        Named::Update(Before::Untold, cells("id=2 v=z")),
        Named::Delete(identity("id=2")),
    ] {
        let change = place(&mut shapes, change);
        assert!(Arc::ptr_eq(relation(&first), relation(&change)), "{change:?}");
    }
    assert!(Arc::ptr_eq(relation(&first), &shapes.table("s", "t")));
    assert!(!Arc::ptr_eq(relation(&first), &shapes.table("s", "u")));
}

// trap C-20
#[test]
fn a_known_column_that_an_update_leaves_out_was_not_touched() {
    let mut shapes = Shapes::default();
    place(&mut shapes, Named::Insert(cells("id=1 big=x v=y")));
    let Change::Update { new, .. } =
        place(&mut shapes, Named::Update(Before::Untold, cells("id=1 v=z")))
    else {
        panic!("no update")
    };
    assert_eq!(new, [text_value("1"), Value::Unchanged, text_value("z")]);
}

// trap C-21
#[test]
fn an_old_value_of_an_untouched_column_is_kept() {
    let mut shapes = Shapes::default();
    let change = place(&mut shapes, Named::Update(identity("id=1 big=x"), cells("id=1")));
    let Change::Update { old: Some(OldTuple::Full(old)), new, .. } = &change else {
        panic!("{change:?}")
    };
    assert_eq!(columns(&change), "id! big!");
    assert_eq!(old, &[text_value("1"), text_value("x")]);
    assert_eq!(new, &[text_value("1"), Value::Unchanged]);
}

// trap C-18
#[test]
fn an_old_key_is_told_only_when_it_changed() {
    let mut shapes = Shapes::default();
    let same = Named::Update(identity("id=1"), cells("id=1 v=x"));
    assert!(matches!(place(&mut shapes, same), Change::Update { old: None, .. }));
    let moved = Named::Update(identity("id=1"), cells("id=2 v=x"));
    let Change::Update { old: Some(OldTuple::Key(old)), .. } = place(&mut shapes, moved) else {
        panic!("no key")
    };
    assert_eq!(old, [text_value("1"), Value::Null]);
}

// trap C-23
#[test]
fn a_full_old_row_with_nulls_is_full() {
    let mut shapes = Shapes::default();
    place(&mut shapes, Named::Insert(cells("a=1 b")));
    let change = place(&mut shapes, Named::Delete(identity("a=1 b")));
    let Change::Delete { relation, old } = &change else { panic!("{change:?}") };
    assert_eq!(old, &OldTuple::Full(vec![text_value("1"), Value::Null]));
    assert_eq!(relation.identity, ReplicaIdentity::Full);
    let change = place(&mut shapes, Named::Delete(identity("a=1")));
    assert_eq!(relation_identity(&change), ReplicaIdentity::Unknown);
    assert_eq!(columns(&change), "a! b");
}

fn relation_identity(change: &Change) -> ReplicaIdentity {
    relation(change).identity
}

#[test]
fn a_key_column_stays_one_where_nulls_are_left_out() {
    let mut shapes = Shapes::default();
    place(&mut shapes, Named::Insert(cells("a=1 b=2 c=3")));
    let both = place(&mut shapes, Named::Delete(not_null("a=1 b=2")));
    let one = place(&mut shapes, Named::Delete(not_null("a=1")));
    assert!(Arc::ptr_eq(relation(&both), relation(&one)));
    assert_eq!(columns(&one), "a! b! c");
    let Change::Delete { old, .. } = one else { panic!("no delete") };
    assert_eq!(old, OldTuple::Key(vec![text_value("1"), Value::Null, Value::Null]));
}

// trap C-23
#[test]
fn a_full_old_row_stays_full_where_nulls_are_left_out() {
    let mut shapes = Shapes::default();
    place(&mut shapes, Named::Insert(cells("a=1 b=2")));
    let first = place(&mut shapes, Named::Delete(not_null("a=1 b=2")));
    let second = place(&mut shapes, Named::Delete(not_null("b=2")));
    assert!(Arc::ptr_eq(relation(&first), relation(&second)));
    assert_eq!(relation_identity(&second), ReplicaIdentity::Full);
    let Change::Delete { old, .. } = second else { panic!("no delete") };
    assert_eq!(old, OldTuple::Full(vec![Value::Null, text_value("2")]));
}

// trap C-33
#[test]
fn a_changed_table_is_another_relation() {
    let mut shapes = Shapes::default();
    place(&mut shapes, Named::Insert(cells("id=1 v=x")));
    let before = place(&mut shapes, Named::Delete(identity("id=1")));
    for (row, expected) in [
        ("id=1 v=x more=y", "id! v more"),
        ("id=1 more=y", "id! more"),
        ("more=y id=1", "more id!"),
        ("key=1 more=y", "key more"),
    ] {
        let change = place(&mut shapes, Named::Insert(cells(row)));
        assert!(!Arc::ptr_eq(relation(&before), relation(&change)));
        assert_eq!(columns(&change), expected);
    }
    let mut retyped = cells("key=1 more=y");
    retyped[0].type_name = Some(Cow::Borrowed("integer"));
    let change = place(&mut shapes, Named::Insert(retyped));
    assert_eq!(relation(&change).columns[0].type_name.as_deref(), Some("integer"));
}

// trap C-27
#[test]
fn a_delete_that_names_no_row_is_refused() {
    let mut shapes = Shapes::default();
    for before in [Before::Untold, identity("")] {
        let error = shapes.place("s", "t", Named::Delete(before)).unwrap_err();
        assert_eq!(error, "a delete of s.t does not say which row");
    }
}
