//! Turns the steps of a batch into units of work: statements over many rows where the net effect is
//! known, single changes in their order where it is not.
//!
//! Tables are independent of each other, since triggers and foreign keys do not fire under
//! `session_replication_role = replica`; a table on which something fires ([`TablePlan::ordered`])
//! keeps the whole stretch in order. TRUNCATE ends a stretch.

use std::collections::HashMap;
use std::sync::Arc;

use super::column_set::ColumnSet;
use super::encode::{
    Array, COPY_BINARY_HEADER, COPY_BINARY_TRAILER, ColumnForm, column_form, copy_binary_row,
    copy_text_row,
};
use super::plan::TablePlan;
use super::reduce::{KeyAt, Net, NotReducible, Reduction, reduce};
use super::row::{Row, RowOp, Step};
use super::statement::{StatementCache, StatementKey, StatementKind};
use crate::follow::change::Tuple;

/// Mean size of changes, in bytes, from which on they go one by one: a statement over many rows has to
/// hold a second copy of all values, and to spare statements does not show any more.
const LARGE_BYTES_MIN: usize = 1 << 20;

/// Work in the order in which it has to be done.
#[derive(Debug)]
pub(super) enum Unit {
    /// Statements over many rows.
    Sets(Vec<Execution>),
    /// Steps of the batch, by position, one by one.
    Steps(Vec<usize>),
}

/// One statement over many rows.
#[derive(Debug)]
pub(super) struct Execution {
    /// Its text.
    pub(super) sql: Arc<str>,
    /// Parameters in binary form.
    pub(super) params: Vec<Vec<u8>>,
    /// Data of a COPY.
    pub(super) copy: Option<Vec<u8>>,
    /// Rows that it must touch.
    pub(super) expected: u64,
}

/// The changes of one table of the target in a stretch.
#[derive(Default)]
struct Group<'a> {
    /// Positions of its steps.
    steps: Vec<usize>,
    /// Its changes, by the relation of the stream.
    relations: Vec<(&'a Arc<TablePlan>, Vec<&'a RowOp>)>,
}

/// Divides a batch into units.
pub(super) fn units(steps: &[Step], keep_no_ops: bool, cache: &mut StatementCache) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut from = 0;
    for (at, step) in steps.iter().enumerate() {
        if matches!(step, Step::Truncate(_)) {
            stretch(steps, from..at, keep_no_ops, cache, &mut units);
            push_steps(&mut units, vec![at]);
            from = at + 1;
        }
    }
    stretch(steps, from..steps.len(), keep_no_ops, cache, &mut units);
    units
}

/// Units of a stretch without TRUNCATE.
fn stretch(
    steps: &[Step],
    range: std::ops::Range<usize>,
    keep_no_ops: bool,
    cache: &mut StatementCache,
    units: &mut Vec<Unit>,
) {
    let rows = || range.clone().filter_map(|at| Some((at, row(steps, at)?)));
    let bytes: usize = steps.get(range.clone()).unwrap_or_default().iter().map(Step::bytes).sum();
    let are_large = bytes / range.len().max(1) >= LARGE_BYTES_MIN;
    if are_large || rows().any(|(_, row)| row.plan.ordered) {
        push_steps(units, range.collect());
        return;
    }
    let mut single = Vec::new();
    let mut sets: [Vec<Execution>; 3] = Default::default();
    for group in groups(rows()) {
        match group_sets(&group, keep_no_ops, cache) {
            Ok(executions) => {
                for (all, more) in sets.iter_mut().zip(executions) {
                    all.extend(more);
                }
            }
            Err(NotReducible) => single.extend(group.steps),
        }
    }
    let sets: Vec<Execution> = sets.into_iter().flatten().collect();
    if !sets.is_empty() {
        units.push(Unit::Sets(sets));
    }
    single.sort_unstable();
    push_steps(units, single);
}

/// The row change at a position.
fn row(steps: &[Step], at: usize) -> Option<&Row> {
    match steps.get(at)? {
        Step::Row(row) => Some(row),
        Step::Truncate(_) => None,
    }
}

/// Adds steps to do one by one.
fn push_steps(units: &mut Vec<Unit>, steps: Vec<usize>) {
    match units.last_mut() {
        _ if steps.is_empty() => {}
        Some(Unit::Steps(last)) => last.extend(steps),
        _ => units.push(Unit::Steps(steps)),
    }
}

/// Changes by table of the target, in order of first appearance.
fn groups<'a>(rows: impl Iterator<Item = (usize, &'a Row)>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    // By plan: its group, and its place in the group.
    let mut places: HashMap<u32, (usize, usize)> = HashMap::new();
    let mut tables: HashMap<u32, usize> = HashMap::new();
    for (at, row) in rows {
        let (group, relation) = *places.entry(row.plan.index).or_insert_with(|| {
            let group = *tables.entry(row.plan.target.oid).or_insert_with(|| {
                groups.push(Group::default());
                groups.len() - 1
            });
            let relations = groups.get_mut(group).map(|group| &mut group.relations);
            let relation = relations.map_or(0, |relations| {
                relations.push((&row.plan, Vec::new()));
                relations.len() - 1
            });
            (group, relation)
        });
        let Some(group) = groups.get_mut(group) else { continue };
        group.steps.push(at);
        if let Some((_, ops)) = group.relations.get_mut(relation) {
            ops.push(&row.op);
        }
    }
    groups
}

/// The statements of one table: deletes, updates, inserts.
fn group_sets(
    group: &Group<'_>,
    keep_no_ops: bool,
    cache: &mut StatementCache,
) -> Result<[Vec<Execution>; 3], NotReducible> {
    let mut sets: [Vec<Execution>; 3] = Default::default();
    let [deletes, updates, inserts] = &mut sets;
    for (plan, ops) in &group.relations {
        let reduction = reduce(&plan.shape, ops, keep_no_ops)?;
        let mut builder = Builder { plan, ops, cache };
        deletes.extend(builder.deletes(&reduction)?);
        builder.updates(&reduction, updates)?;
        inserts.extend(builder.inserts(&reduction)?);
    }
    Ok(sets)
}

/// Builds the statements of one relation.
struct Builder<'a> {
    plan: &'a TablePlan,
    ops: &'a [&'a RowOp],
    cache: &'a mut StatementCache,
}

impl Builder<'_> {
    /// One statement for all rows to delete.
    fn deletes(&mut self, reduction: &Reduction) -> Result<Option<Execution>, NotReducible> {
        if reduction.deletes.is_empty() {
            return Ok(None);
        }
        let keys: Vec<&Tuple> = self.tuples(&reduction.deletes)?;
        let mut key = self.key(StatementKind::DeleteRows, ColumnSet::default());
        let mut params = Vec::new();
        for &column in &self.plan.shape.key {
            params.push(self.array(column, &keys, &mut key)?);
        }
        Ok(Some(self.execution(key, params, None, keys.len())))
    }

    /// One statement per set of columns that updates set.
    fn updates(
        &mut self,
        reduction: &Reduction,
        out: &mut Vec<Execution>,
    ) -> Result<(), NotReducible> {
        let mut places: HashMap<&ColumnSet, usize> = HashMap::new();
        let mut by_set: Vec<(&ColumnSet, Vec<&Net>)> = Vec::new();
        for net in &reduction.updates {
            let place = *places.entry(&net.set).or_insert_with(|| {
                by_set.push((&net.set, Vec::new()));
                by_set.len() - 1
            });
            if let Some((_, nets)) = by_set.get_mut(place) {
                nets.push(net);
            }
        }
        for (set, nets) in by_set {
            let at: Vec<KeyAt> = nets.iter().map(|net| net.key).collect();
            let keys = self.tuples(&at)?;
            let rows = self.rows(nets.iter().copied())?;
            let mut key = self.key(StatementKind::UpdateRows, set.clone());
            let mut params = Vec::new();
            for column in set.iter() {
                params.push(self.array(column, &rows, &mut key)?);
            }
            for &column in &self.plan.shape.key {
                params.push(self.array(column, &keys, &mut key)?);
            }
            out.push(self.execution(key, params, None, keys.len()));
        }
        Ok(())
    }

    /// One statement for all new rows: COPY, or INSERT where the forms of values differ by column.
    fn inserts(&mut self, reduction: &Reduction) -> Result<Option<Execution>, NotReducible> {
        let written = &self.plan.shape.written;
        if reduction.inserts.is_empty() {
            return Ok(None);
        }
        let rows = self.rows(reduction.inserts.iter())?;
        let mut forms = Vec::new();
        for column in written.iter() {
            forms.push(column_form(rows.iter().map(|row| row.get(column))).ok_or(NotReducible)?);
        }
        let Some(first) = forms.first() else { return Err(NotReducible) };
        let has_values = |form: ColumnForm| forms.iter().all(|other| *other == form);
        let mut data = Vec::with_capacity(rows.len() * 32);
        let kind = if has_values(ColumnForm::Text) {
            for row in &rows {
                copy_text_row(written.iter().map(|column| row.get(column)), &mut data);
            }
            StatementKind::CopyText
        } else if has_values(*first) {
            let columns = u16::try_from(forms.len()).map_err(|_| NotReducible)?;
            data.extend_from_slice(COPY_BINARY_HEADER);
            for row in &rows {
                copy_binary_row(columns, written.iter().map(|column| row.get(column)), &mut data);
            }
            data.extend_from_slice(COPY_BINARY_TRAILER);
            StatementKind::CopyBinary
        } else {
            let mut key = self.key(StatementKind::InsertRows, written.clone());
            let mut params = Vec::new();
            for column in written.iter() {
                params.push(self.array(column, &rows, &mut key)?);
            }
            return Ok(Some(self.execution(key, params, None, rows.len())));
        };
        let key = self.key(kind, written.clone());
        Ok(Some(self.execution(key, Vec::new(), Some(data), rows.len())))
    }

    /// The array of a column; a column in binary form is noted in the statement's key.
    fn array(
        &self,
        column: usize,
        rows: &[&Tuple],
        key: &mut StatementKey,
    ) -> Result<Vec<u8>, NotReducible> {
        let target = self.plan.column(column).ok_or(NotReducible)?;
        let form = column_form(rows.iter().map(|row| row.get(column))).ok_or(NotReducible)?;
        if form == ColumnForm::Binary {
            if target.is_array || !target.has_array_type {
                return Err(NotReducible);
            }
            key.binary.insert(column);
        } else if target.has_text_cast {
            return Err(NotReducible);
        }
        let mut array = Array::new(form, target.type_oid, rows.len());
        for row in rows {
            array.push(row.get(column));
        }
        Ok(array.finish())
    }

    /// The tuples of keys.
    fn tuples(&self, keys: &[KeyAt]) -> Result<Vec<&Tuple>, NotReducible> {
        keys.iter().map(|key| key.tuple(self.ops).ok_or(NotReducible)).collect()
    }

    /// The new values of rows.
    fn rows<'n>(
        &'n self,
        nets: impl Iterator<Item = &'n Net>,
    ) -> Result<Vec<&'n Tuple>, NotReducible> {
        nets.map(|net| net.tuple(self.ops).ok_or(NotReducible)).collect()
    }

    /// The key of a statement of this relation.
    fn key(&self, kind: StatementKind, columns: ColumnSet) -> StatementKey {
        StatementKey { plan: self.plan.index, kind, columns, binary: ColumnSet::default() }
    }

    /// A statement with its values.
    fn execution(
        &mut self,
        key: StatementKey,
        params: Vec<Vec<u8>>,
        copy: Option<Vec<u8>>,
        rows: usize,
    ) -> Execution {
        let sql = self.cache.text(self.plan, key);
        Execution { sql, params, copy, expected: rows as u64 }
    }
}
