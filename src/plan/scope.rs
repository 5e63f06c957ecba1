//! A part of a clone: what the jobs of a step cover.

use std::collections::HashSet;

use super::done::Done;
use super::index::ConstraintIndexPlan;
use super::{Plan, TablePlan};
use crate::catalog::model::Oid;

/// Whose rows are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// Those of the user's tables.
    OfUser,
    /// Those of extensions' configuration tables.
    OfExtensions,
    /// None.
    None,
}

/// Which indexes are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexes {
    /// All.
    All,
    /// Those that constraints stand on.
    OfConstraints,
    /// None.
    None,
}

/// Which foreign keys are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignKeys {
    /// All.
    All,
    /// These, by their identifier on the source.
    Only(HashSet<Oid>),
}

/// What the jobs cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Rows.
    pub rows: Rows,
    /// Indexes.
    pub indexes: Indexes,
    /// Primary key, unique and exclusion constraints, replica identity, clustering index.
    pub constraints: bool,
    /// VACUUM and ANALYZE, parents included.
    pub vacuum: bool,
    /// Foreign keys.
    pub foreign_keys: ForeignKeys,
    /// Large objects.
    pub large_objects: bool,
    /// Sequence values.
    pub sequences: bool,
}

impl Scope {
    /// Everything.
    pub fn everything() -> Self {
        Self {
            rows: Rows::All,
            indexes: Indexes::All,
            constraints: true,
            vacuum: true,
            foreign_keys: ForeignKeys::All,
            large_objects: true,
            sequences: true,
        }
    }

    /// Nothing.
    pub fn nothing() -> Self {
        Self {
            rows: Rows::None,
            indexes: Indexes::None,
            constraints: false,
            vacuum: false,
            foreign_keys: ForeignKeys::Only(HashSet::new()),
            large_objects: false,
            sequences: false,
        }
    }

    /// The rows of a table are copied, where they are copied at all.
    pub fn covers_rows(&self, table: &TablePlan) -> bool {
        match self.rows {
            Rows::All => true,
            Rows::OfUser => table.config.is_none(),
            Rows::OfExtensions => table.config.is_some(),
            Rows::None => false,
        }
    }

    /// A foreign key is added.
    pub fn covers_foreign_key(&self, oid: Oid) -> bool {
        match &self.foreign_keys {
            ForeignKeys::All => true,
            ForeignKeys::Only(these) => these.contains(&oid),
        }
    }

    /// The indexes that are built.
    pub fn covered_indexes(&self, plan: &Plan) -> HashSet<Oid> {
        match self.indexes {
            Indexes::All => plan.indexes.iter().map(|index| index.oid).collect(),
            Indexes::None => HashSet::new(),
            Indexes::OfConstraints => {
                plan.tables.iter().flat_map(|t| of_constraints(plan, t)).collect()
            }
        }
    }
}

/// The indexes of a table that constraints stand on.
fn of_constraints(plan: &Plan, table: &TablePlan) -> Vec<Oid> {
    let names: HashSet<&str> = plan
        .constraints_of(table)
        .filter_map(|constraint| match &constraint.index {
            ConstraintIndexPlan::Built { name, .. } => Some(name.as_str()),
            ConstraintIndexPlan::FromDefinition(_) => None,
        })
        .collect();
    let own = plan.indexes_of(table).filter(|index| names.contains(index.name.name.as_str()));
    own.map(|index| index.oid).collect()
}

/// Makes a plan and what is done of it such that the jobs that remain are those of a scope.
pub fn restrict(plan: &mut Plan, done: &mut Done, scope: &Scope) {
    let indexes = scope.covered_indexes(plan);
    done.indexes
        .extend(plan.indexes.iter().map(|one| one.oid).filter(|one| !indexes.contains(one)));
    for table in &mut plan.tables {
        if !scope.vacuum {
            table.vacuum = None;
        }
    }
    for table in &plan.tables {
        if !scope.covers_rows(table) {
            let count = u32::try_from(table.parts.len()).unwrap_or(u32::MAX);
            done.parts.extend((0..count).map(|part| (table.oid, part, count)));
        }
        if !scope.constraints {
            done.table_statements.insert(table.oid);
        }
    }
    if !scope.constraints {
        done.constraints.extend(plan.constraints.iter().map(|constraint| constraint.oid));
    }
    for key in plan.foreign_keys.iter().filter(|key| !scope.covers_foreign_key(key.oid)) {
        done.foreign_keys.insert(key.oid);
        done.validated.insert(key.oid);
    }
    done.large_objects |= !scope.large_objects;
    done.sequences |= !scope.sequences;
    done.parents |= !scope.vacuum;
}
