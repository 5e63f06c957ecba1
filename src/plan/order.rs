//! Orders and priorities (K10): the longest way to the end goes first.
//!
//! Everything is in bytes of the source's disk. Reading a byte of a table and building a byte of an
//! index take about the same time, and the estimate need not be better than that: it only decides who
//! goes first.

use std::cmp::Reverse;

use crate::catalog::model::{Index, Table};

/// Sorts tables largest first; ties by name, so that the order is total.
pub(super) fn largest_first(tables: &mut [&Table]) {
    tables.sort_by_key(|table| (Reverse(table.bytes), &table.name));
}

/// Sorts the indexes of one table largest first; ties by name.
pub(super) fn indexes_largest_first(indexes: &mut [&Index]) {
    indexes.sort_by_key(|index| (Reverse(index.bytes), &index.name));
}

/// Bytes on the longest path that begins with the copy of a table: its rows, then its largest index.
pub(super) fn path_bytes(table_bytes: u64, index_bytes: impl Iterator<Item = u64>) -> u64 {
    table_bytes.saturating_add(index_bytes.max().unwrap_or(0))
}
