//! What the work directory's state keeps of a plan, for those who watch.

use crate::catalog::model::ConstraintKind;
use crate::local::state::{IndexRow, TableRow};
use crate::plan::{ConstraintIndexPlan, ConstraintPlan, IndexPlan, Plan};

/// What the work directory's state keeps of the plan's tables.
pub(super) fn table_rows(plan: &Plan) -> Vec<TableRow> {
    let rows = plan.tables.iter().map(|table| TableRow {
        oid: table.oid,
        name: table.name.clone(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate; `as` saturates"
        )]
        row_estimate: table.row_estimate.map(|rows| rows as u64),
        bytes: table.bytes,
        part_count: u32::try_from(table.parts.len()).unwrap_or(u32::MAX),
    });
    rows.collect()
}

/// What the work directory's state keeps of the plan's indexes.
pub(super) fn index_rows(plan: &Plan) -> Vec<IndexRow> {
    let is_key = |constraint: &ConstraintPlan, index: &IndexPlan| {
        constraint.kind == ConstraintKind::PrimaryKey
            && matches!(&constraint.index, ConstraintIndexPlan::Built { name, .. }
                if *name == index.name.name)
    };
    let rows = plan.indexes.iter().filter_map(|index| {
        let table = plan.tables.get(index.table as usize)?;
        Some(IndexRow {
            oid: index.oid,
            name: index.name.clone(),
            table_oid: table.oid,
            primary: plan.constraints_of(table).any(|constraint| is_key(constraint, index)),
            unique: index.definition.starts_with("CREATE UNIQUE"),
            bytes: index.bytes,
            definition: index.definition.clone(),
        })
    });
    rows.collect()
}
