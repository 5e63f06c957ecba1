//! Exclusion and temporal constraints of partitioned tables.
//!
//! `pg_restore` cannot make them: it attaches the partitions' indexes to the parent's one by one, and
//! servers refuse that for such indexes ("The index definitions do not match", seen on 18.4). Added to the
//! partitioned table as a whole they come with all partitions' own, under names that the target chooses.

use super::{Draft, Input};
use crate::catalog::model::{Constraint, ConstraintKind, Oid, TableKind};
use crate::plan::index::makes_own_index;
use crate::plan::toc::PG_CONSTRAINT;
use crate::plan::{ConstraintPartPlan, ParentConstraintPlan};

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
                parts: parts(input, constraint.oid),
            });
        }
    }
}

/// The parts of a constraint, level by level.
fn parts(input: &Input<'_>, root: Oid) -> Vec<ConstraintPartPlan> {
    let mut parts: Vec<ConstraintPartPlan> = Vec::new();
    let mut level = vec![root];
    while !level.is_empty() {
        let below = input.catalog.constraints.iter().filter(|constraint| {
            makes_own_index(constraint)
                && constraint.parent.is_some_and(|parent| level.contains(&parent))
        });
        let below: Vec<ConstraintPartPlan> = below
            .filter_map(|constraint| {
                Some(ConstraintPartPlan {
                    oid: constraint.oid,
                    table: input.tables.get(&constraint.table_oid)?.name.clone(),
                    name: constraint.name.clone(),
                })
            })
            .collect();
        level = below.iter().map(|part| part.oid).collect();
        parts.extend(below);
    }
    parts
}

/// Whether a constraint is a partition's part of one that is added to the table above it.
pub(super) fn comes_with_parent(input: &Input<'_>, constraint: &Constraint) -> bool {
    let Some(parent) = constraint.parent.filter(|_| makes_own_index(constraint)) else {
        return false;
    };
    let found = input.catalog.constraints.iter().find(|other| other.oid == parent);
    found.is_some_and(|parent| input.selection.keeps_table(parent.table_oid))
}
