//! A reduced batch does what its changes do one after the other, on a model of a table.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::column_set::ColumnSet;
use super::plan::Shape;
use super::reduce::{NotReducible, Reduction, reduce};
use super::row::RowOp;
use crate::follow::change::{OldTuple, Tuple, Value};

/// Rows by key; the model of a table `(key, a, b)`.
type Table = BTreeMap<u8, [u8; 2]>;

/// What a writer tries; it does nothing where the table does not allow it.
#[derive(Debug, Clone)]
struct Try {
    kind: u8,
    key: u8,
    other_key: u8,
    values: [u8; 2],
    /// `b` is a large value that the change does not touch.
    unchanged: bool,
    /// The old row is sent as a whole.
    full: bool,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (0..5_u8, 0..8_u8, 0..8_u8, any::<[u8; 2]>(), any::<bool>(), any::<bool>()).prop_map(
        |(kind, key, other_key, values, unchanged, full)| Try {
            kind,
            key,
            other_key,
            values: values.map(|value| value % 3),
            unchanged,
            full,
        },
    );
    proptest::collection::vec(one, 0..60)
}

fn shape() -> Shape {
    Shape {
        key: vec![0],
        joinable: true,
        written: [0, 1, 2].into_iter().collect(),
        settable: [1, 2].into_iter().collect(),
        touched: Some(0),
    }
}

fn value(number: u8) -> Value {
    Value::Text(Bytes::from(number.to_string()))
}

fn tuple(key: u8, [a, b]: [u8; 2]) -> Tuple {
    vec![value(key), value(a), value(b)]
}

fn number(value: &Value) -> u8 {
    match value {
        Value::Text(bytes) => std::str::from_utf8(bytes).unwrap().parse().unwrap(),
        other => panic!("{other:?} is no value"),
    }
}

/// Does what a writer tries; returns the change that the stream carries.
fn write(table: &mut Table, one: &Try) -> Option<RowOp> {
    let before = table.get(&one.key).copied();
    let old = |row: [u8; 2]| match one.full {
        true => OldTuple::Full(tuple(one.key, row)),
        false => OldTuple::Key(vec![value(one.key), Value::Null, Value::Null]),
    };
    match (one.kind, before) {
        (0 | 1, None) => {
            table.insert(one.key, one.values);
            Some(RowOp::Insert(tuple(one.key, one.values)))
        }
        (2, Some(row)) => {
            table.remove(&one.key);
            Some(RowOp::Delete(old(row)))
        }
        (3, Some(row)) => {
            let after = if one.unchanged { [one.values[0], row[1]] } else { one.values };
            table.insert(one.key, after);
            let mut new = tuple(one.key, after);
            if one.unchanged {
                new[2] = Value::Unchanged;
            }
            Some(RowOp::Update(one.full.then(|| old(row)), new))
        }
        (4, Some(row)) if !table.contains_key(&one.other_key) => {
            table.remove(&one.key);
            table.insert(one.other_key, row);
            let mut new = tuple(one.other_key, row);
            if one.unchanged && one.values[0] == 0 {
                new[2] = Value::Unchanged;
            }
            Some(RowOp::Update(Some(old(row)), new))
        }
        _ => None,
    }
}

/// Does what a reduction says, statement by statement; each must touch as many rows as it names.
fn perform(table: &mut Table, ops: &[&RowOp], reduction: &Reduction) {
    for key in &reduction.deletes {
        let key = number(&key.tuple(ops).unwrap()[0]);
        assert!(table.remove(&key).is_some(), "no row {key} to delete");
    }
    for net in &reduction.updates {
        let key = number(&net.key.tuple(ops).unwrap()[0]);
        let new = net.tuple(ops).unwrap();
        let row = table.get_mut(&key).unwrap_or_else(|| panic!("no row {key} to update"));
        for column in net.set.iter().filter(|column| *column > 0) {
            row[column - 1] = number(&new[column]);
        }
    }
    for net in &reduction.inserts {
        let new = net.tuple(ops).unwrap();
        let row = [number(&new[1]), number(&new[2])];
        assert_eq!(table.insert(number(&new[0]), row), None, "a row is there already");
    }
}

/// Whether a change moves a row to another key and leaves a value out.
fn moves_without_value(op: &RowOp) -> bool {
    match op {
        RowOp::Update(Some(OldTuple::Key(old) | OldTuple::Full(old)), new) => {
            old[0] != new[0] && new[2] == Value::Unchanged
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn net_effect_is_the_effect_of_all_changes(
        start in proptest::collection::btree_map(0..8_u8, [0..3_u8, 0..3_u8], 0..8),
        tries in tries(),
        keep_no_ops: bool,
    ) {
        let mut expected = start.clone();
        let ops: Vec<RowOp> = tries.iter().filter_map(|one| write(&mut expected, one)).collect();
        let ops: Vec<&RowOp> = ops.iter().collect();
        match reduce(&shape(), &ops, keep_no_ops) {
            Ok(reduction) => {
                let keys = reduction.deletes.len() + reduction.updates.len() + reduction.inserts.len();
                prop_assert!(keys <= 8, "{keys} statements for 8 keys");
                let mut table = start;
                perform(&mut table, &ops, &reduction);
                prop_assert_eq!(table, expected);
            }
            // Only a changed key with a value that was not sent is beyond reduction.
            Err(NotReducible) => {
                let beyond = ops.iter().any(|op| moves_without_value(op));
                prop_assert!(beyond, "reducible: {ops:?}");
            }
        }
    }
}

fn update(key: u8, values: [u8; 2]) -> RowOp {
    RowOp::Update(None, tuple(key, values))
}

#[test]
fn changes_that_cannot_follow_each_other_are_not_reduced() {
    let insert = RowOp::Insert(tuple(1, [0, 0]));
    let delete = RowOp::Delete(OldTuple::Key(vec![value(1), Value::Null, Value::Null]));
    let update = update(1, [1, 1]);
    for pair in [[&delete, &delete], [&delete, &update], [&update, &insert]] {
        assert_eq!(reduce(&shape(), &pair, false).unwrap_err(), NotReducible, "{pair:?}");
    }
    let repeated = [&insert, &insert, &delete];
    assert_eq!(reduce(&shape(), &repeated, false).unwrap_err(), NotReducible);
}

#[test]
fn a_key_that_is_null_or_was_not_sent_identifies_nothing() {
    for key in [Value::Null, Value::Unchanged] {
        let mut row = tuple(1, [0, 0]);
        row[0] = key;
        assert!(reduce(&shape(), &[&RowOp::Update(None, row)], false).is_err());
    }
}

#[test]
fn updates_without_effect_stay_only_when_asked_for() {
    let same = RowOp::Update(Some(OldTuple::Full(tuple(1, [1, 2]))), tuple(1, [1, 2]));
    assert!(reduce(&shape(), &[&same], false).unwrap().updates.is_empty());
    let kept = reduce(&shape(), &[&same], true).unwrap();
    assert_eq!(kept.updates.len(), 1);
    assert!(!kept.updates[0].set.is_empty());
    let mut only_key = shape();
    only_key.settable = ColumnSet::default();
    let kept = reduce(&only_key, &[&same], true).unwrap();
    assert_eq!(kept.updates[0].set.iter().collect::<Vec<_>>(), [0]);
}

#[test]
fn inserts_alone_need_no_key() {
    let keyless = Shape { key: Vec::new(), joinable: false, ..shape() };
    let insert = RowOp::Insert(tuple(1, [0, 0]));
    assert_eq!(reduce(&keyless, &[&insert, &insert], false).unwrap().inserts.len(), 2);
    assert!(reduce(&keyless, &[&insert, &update(1, [1, 1])], false).is_err());
}
