//! One change after the other, in the order of the stream.

use proto::types::FormatCode;

use super::column_set::ColumnSet;
use super::plan::TablePlan;
use super::reduce::changed_columns;
use super::row::{Row, RowOp, Step, Truncate, value_bytes};
use super::statement::{StatementCache, StatementKey, StatementKind};
use super::target::TargetKind;
use super::train::{Expect, Failure, Missed, Train};
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::follow::change::{Tuple, Value};

/// Statements sent at most before their results are read.
///
/// Measured results of a few dozen bytes each: this many fit the read buffer, so that neither side
/// waits for the other.
const STATEMENTS_MAX: usize = 4_000;

/// Bytes queued at most before they are sent.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Applies single steps.
#[derive(Debug, Default)]
pub(super) struct Exact {
    cache: StatementCache,
    keep_no_ops: bool,
}

impl Exact {
    /// `keep_no_ops`: updates that change nothing are applied, too.
    pub(super) fn new(keep_no_ops: bool) -> Self {
        Self { cache: StatementCache::default(), keep_no_ops }
    }

    /// Loads the steps at `positions` onto the train and sends it as often as it is full. The last
    /// ones are loaded and not sent.
    ///
    /// # Errors
    /// Those of [`Train::run`], and `Data` for a change that cannot be applied as it is.
    pub(super) async fn load(
        &mut self,
        steps: &[Step],
        positions: impl Iterator<Item = usize>,
        train: &mut Train<'_>,
        missed: &mut Vec<Missed>,
    ) -> Result<(), Failure> {
        for at in positions {
            let loaded = match steps.get(at) {
                Some(Step::Row(row)) => self.row(row, at, train),
                Some(Step::Truncate(truncate)) => load_truncate(truncate, at, train),
                None => Ok(()),
            };
            loaded.map_err(|error| Failure::Error(error, Some(at)))?;
            let (statements, bytes) = train.load();
            if statements >= STATEMENTS_MAX || bytes >= QUEUE_BYTES_MAX {
                train.run(missed).await?;
            }
        }
        Ok(())
    }

    /// Loads one change of a row.
    fn row(&mut self, row: &Row, at: usize, train: &mut Train<'_>) -> Result<()> {
        let plan = &row.plan;
        let (kind, columns, values) = match &row.op {
            RowOp::Insert(new) => {
                let columns = plan.shape.written.clone();
                let values = columns.iter().map(|column| new.get(column)).collect();
                (StatementKind::Insert, columns, values)
            }
            RowOp::Update(_, new) => {
                let Some((kind, columns, values)) = self.update(row, new)? else { return Ok(()) };
                (kind, columns, values)
            }
            RowOp::Delete(_) => {
                let (by_image, values) = find(row, StatementKind::Delete)?;
                (by_image, ColumnSet::default(), values)
            }
        };
        let expect = match row.op {
            // A trigger or a rule may send the row elsewhere.
            RowOp::Insert(_) if plan.ordered => Expect::StepAny(at),
            _ => Expect::Step(at),
        };
        send(&mut self.cache, plan, (kind, columns), &values, expect, train)
    }

    /// What an update sets and how it finds the row; `None` when it changes nothing.
    #[expect(clippy::type_complexity, reason = "used once, taken apart at once")]
    fn update<'r>(
        &self,
        row: &'r Row,
        new: &'r Tuple,
    ) -> Result<Option<(StatementKind, ColumnSet, Vec<Option<&'r Value>>)>> {
        let plan = &row.plan;
        let mut columns = changed_columns(&plan.shape, row.op.full_old(), new, self.keep_no_ops);
        let before = row.op.identity();
        for &column in &plan.shape.key {
            let (old, new) = (before.and_then(|tuple| tuple.get(column)), new.get(column));
            if new != old && new != Some(&Value::Unchanged) {
                columns.insert(column);
            }
        }
        if columns.is_empty() {
            return Ok(None);
        }
        let (kind, condition) = find(row, StatementKind::Update)?;
        let mut values: Vec<_> = columns.iter().map(|column| new.get(column)).collect();
        values.extend(condition);
        if kind == StatementKind::Update {
            values.extend(plan.guards.iter().map(|column| new.get(*column)));
        }
        Ok(Some((kind, columns, values)))
    }
}

/// How a row is found, and the values for it.
fn find(row: &Row, by_key: StatementKind) -> Result<(StatementKind, Vec<Option<&Value>>)> {
    let plan = &row.plan;
    let key = &plan.shape.key;
    let before = row.op.identity();
    if let (false, Some(before)) = (key.is_empty(), before) {
        let values: Vec<_> = key.iter().map(|column| before.get(*column)).collect();
        if values.iter().all(|value| value.and_then(value_bytes).is_some()) {
            return Ok((by_key, values));
        }
    }
    let Some(old) = row.op.full_old().filter(|_| plan.target.kind != TargetKind::Indirect) else {
        return Err(no_identity(plan));
    };
    let lead = plan.leads.iter().map(|(column, _)| *column);
    let lead = lead.into_iter().find(|&at| old.get(at).and_then(value_bytes).is_some());
    let kind = match by_key {
        StatementKind::Delete => StatementKind::DeleteByImage(lead),
        _ => StatementKind::UpdateByImage(lead),
    };
    Ok((kind, (0..plan.columns.len()).map(|column| old.get(column)).collect()))
}

/// An error for a change that does not say which row it is about.
fn no_identity(plan: &TablePlan) -> Error {
    let table = &plan.target.name;
    let text = format!("a change of {table} does not identify its row");
    Error::new(Side::Source, ErrorKind::Data(text)).hint(format!(
        "Give the source table a primary key or run \"alter table {} replica identity full\" there.",
        table.sql()
    ))
}

/// Loads one statement about one row.
fn send(
    cache: &mut StatementCache,
    plan: &TablePlan,
    (kind, columns): (StatementKind, ColumnSet),
    values: &[Option<&Value>],
    expect: Expect,
    train: &mut Train<'_>,
) -> Result<()> {
    let key = StatementKey { plan: plan.index, kind, columns, binary: ColumnSet::default() };
    let sql = cache.text(plan, key);
    let mut params = Vec::with_capacity(values.len());
    let mut formats = Vec::with_capacity(values.len());
    for value in values {
        if matches!(value, None | Some(Value::Unchanged)) {
            let text = format!("a change of {} lacks a value that it needs", plan.target.name);
            return Err(Error::data(Side::Source, text));
        }
        params.push(value.and_then(value_bytes));
        formats.push(match value {
            Some(Value::Binary(_)) => FormatCode::Binary,
            _ => FormatCode::Text,
        });
    }
    train.add_values(&sql, &params, &formats, expect)
}

/// Loads a TRUNCATE. All tables stand in it by themselves, those reached by CASCADE, too: nothing that
/// the stream does not name is emptied.
fn load_truncate(truncate: &Truncate, at: usize, train: &mut Train<'_>) -> Result<()> {
    let mut tables: Vec<String> = Vec::new();
    for plan in &truncate.plans {
        let table = match plan.target.kind {
            TargetKind::MaterializedView => continue,
            TargetKind::Partitioned => plan.target.name.sql(),
            TargetKind::Table | TargetKind::Indirect => format!("only {}", plan.target.name.sql()),
        };
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    if tables.is_empty() {
        return Ok(());
    }
    let restart = if truncate.restart_identity { " restart identity" } else { "" };
    let sql = format!("truncate {}{restart}", tables.join(", "));
    train.text(&sql, &[], Expect::StepAny(at))
}
