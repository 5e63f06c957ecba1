//! A change with its table's plan, as batches hold it.

use std::sync::Arc;

use bytes::Bytes;

use super::plan::TablePlan;
use crate::follow::change::{OldTuple, Tuple, Value};

/// A change of one row.
#[derive(Debug, Clone)]
pub struct Row {
    /// The table.
    pub plan: Arc<TablePlan>,
    /// What happened.
    pub op: RowOp,
}

/// What happened to a row.
#[derive(Debug, Clone)]
pub enum RowOp {
    /// It is new.
    Insert(Tuple),
    /// It changed; see [`crate::follow::change::Change::Update`].
    Update(Option<OldTuple>, Tuple),
    /// It is gone.
    Delete(OldTuple),
}

/// One step of a batch in the order of the stream.
#[derive(Debug, Clone)]
pub enum Step {
    /// A change of a row.
    Row(Row),
    /// Emptied tables.
    Truncate(Truncate),
}

/// One TRUNCATE.
#[derive(Debug, Clone)]
pub struct Truncate {
    /// The tables, those of the scope only.
    pub plans: Vec<Arc<TablePlan>>,
    /// RESTART IDENTITY was given.
    pub restart_identity: bool,
}

impl RowOp {
    /// The row as it is afterwards.
    pub fn new_tuple(&self) -> Option<&Tuple> {
        match self {
            Self::Insert(new) | Self::Update(_, new) => Some(new),
            Self::Delete(_) => None,
        }
    }

    /// What identified the row before: its old values, or the new ones where the key did not change.
    pub fn identity(&self) -> Option<&Tuple> {
        match self {
            Self::Update(Some(OldTuple::Key(old) | OldTuple::Full(old)), _)
            | Self::Delete(OldTuple::Key(old) | OldTuple::Full(old)) => Some(old),
            Self::Update(None, new) => Some(new),
            Self::Insert(_) => None,
        }
    }

    /// All old values, where the stream sent them.
    pub fn full_old(&self) -> Option<&Tuple> {
        match self {
            Self::Update(Some(OldTuple::Full(old)), _) | Self::Delete(OldTuple::Full(old)) => {
                Some(old)
            }
            _ => None,
        }
    }
}

/// The bytes of a value, where there are any.
pub fn value_bytes(value: &Value) -> Option<&Bytes> {
    match value {
        Value::Text(bytes) | Value::Binary(bytes) => Some(bytes),
        Value::Null | Value::Unchanged => None,
    }
}

/// Bytes that a tuple holds, with what keeping each value costs.
pub fn tuple_bytes(tuple: &Tuple) -> usize {
    let payload: usize = tuple.iter().filter_map(value_bytes).map(Bytes::len).sum();
    payload + size_of_val(tuple.as_slice())
}

impl Step {
    /// Memory that the step holds, in bytes, about.
    pub fn bytes(&self) -> usize {
        let tuples = match self {
            Self::Truncate(_) => 0,
            Self::Row(row) => match &row.op {
                RowOp::Insert(tuple)
                | RowOp::Update(None, tuple)
                | RowOp::Delete(OldTuple::Key(tuple) | OldTuple::Full(tuple)) => tuple_bytes(tuple),
                RowOp::Update(Some(OldTuple::Key(old) | OldTuple::Full(old)), new) => {
                    tuple_bytes(old) + tuple_bytes(new)
                }
            },
        };
        tuples + size_of::<Self>()
    }
}
