//! Exclusion and temporal constraints of partitioned tables.
//!
//! `pg_restore` cannot make them: it attaches the partitions' indexes to the parent's one by one, and
//! servers refuse that for such indexes ("The index definitions do not match", seen on 18.4). Added to the
//! partitioned table as a whole they come with all partitions' own.

use super::{Draft, Input};
use crate::catalog::model::{Constraint, ConstraintKind, TableKind};
use crate::plan::ParentConstraintPlan;
use crate::plan::index::makes_own_index;
use crate::plan::toc::PG_CONSTRAINT;

/// Plans those that are added to a partitioned table, in the order of the catalog.
pub(super) fn plan_parent_constraints(input: &Input<'_>, draft: &mut Draft) {
    for constraint in &input.catalog.constraints {
        let Some(table) = input.tables.get(&constraint.table_oid) else { continue };
        let of_parent = table.kind == TableKind::Partitioned
            && constraint.kind != ConstraintKind::ForeignKey
            && makes_own_index(constraint)
            && input.selection.keeps_table(table.oid)
            && input.selection.keeps_constraint(constraint.oid);
        if !of_parent {
            continue;
        }
        draft.excluded.push((PG_CONSTRAINT, constraint.oid));
        if !comes_with_parent(input, constraint) {
            draft.plan.parent_constraints.push(ParentConstraintPlan {
                oid: constraint.oid,
                name: constraint.name.clone(),
                table: table.name.clone(),
                definition: constraint.definition.clone(),
            });
        }
    }
}

/// Whether a constraint is a partition's part of one that is added to the table above it.
pub(super) fn comes_with_parent(input: &Input<'_>, constraint: &Constraint) -> bool {
    let Some(parent) = constraint.parent.filter(|_| makes_own_index(constraint)) else {
        return false;
    };
    let found = input.catalog.constraints.iter().find(|other| other.oid == parent);
    found.is_some_and(|parent| input.selection.keeps_table(parent.table_oid))
}
