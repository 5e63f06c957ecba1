//! Indexes and the constraints that stand on them (K10).
//!
//! | on the source | built by |
//! |---|---|
//! | index of an ordinary table or leaf partition | us, under its own name: pg_restore's ATTACH finds it |
//! | PRIMARY KEY, UNIQUE of the same | us: CREATE UNIQUE INDEX, then ADD CONSTRAINT … USING INDEX |
//! | EXCLUDE, WITHOUT OVERLAPS of the same | us: ADD CONSTRAINT from the definition, no index of its own |
//! | EXCLUDE, WITHOUT OVERLAPS of a partitioned table | us, before post-data: its partitions get theirs with it |
//! | other index or constraint of a partitioned table, ATTACH | pg_restore, post-data |
//! | index of a materialized view | pg_restore, post-data, with the REFRESH |
//! | invalid index | nobody: skipped and named, as pg_dump does |
//!
//! pg_dump writes a leaf's key as one CONSTRAINT entry (catalog 2606) and its other indexes as INDEX
//! entries (1259); those are what we leave out. The parent's `ALTER TABLE ONLY … ADD CONSTRAINT` makes
//! an invalid index without children, and each INDEX ATTACH entry then finds the leaf's index and its
//! constraint by name, whoever built them.

use serde::{Deserialize, Serialize};

use crate::base::ident::QualifiedName;
use crate::catalog::model::{Constraint, ConstraintKind, Index, Oid};

/// An index that we build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPlan {
    /// `pg_class.oid` on the source.
    pub oid: Oid,
    /// Name, the same on both ends.
    pub name: QualifiedName,
    /// Its table in [`super::Plan::tables`].
    pub table: u32,
    /// `pg_get_indexdef` of the source, schema-qualified.
    pub definition: String,
    /// What the definition does not say.
    pub details: IndexDetailsPlan,
    /// Bytes on the source's disk.
    pub bytes: u64,
}

/// What belongs to an index and is not in its definition, but hidden by pg_dump in its entry (D-12).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDetailsPlan {
    /// Tablespace; `None` for the database's default, and where tablespaces are not restored.
    pub tablespace: Option<String>,
    /// Statistics targets that differ from the default: column number from 1, target.
    pub statistics: Vec<(i16, i32)>,
    /// Extensions that it depends on.
    pub depends_on_extensions: Vec<String>,
}

/// A primary key, unique, exclusion or temporal constraint that we add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstraintPlan {
    /// `pg_constraint.oid` on the source.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Its table in [`super::Plan::tables`].
    pub table: u32,
    /// What it is.
    pub kind: ConstraintKind,
    /// `pg_get_constraintdef` of the source, schema-qualified; it says DEFERRABLE itself.
    pub definition: String,
    /// How it gets its index.
    pub index: ConstraintIndexPlan,
}

/// An exclusion or temporal constraint of a partitioned table, which comes with those of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentConstraintPlan {
    /// `pg_constraint.oid` on the source.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// The partitioned table.
    pub table: QualifiedName,
    /// `pg_get_constraintdef` of the source, schema-qualified.
    pub definition: String,
    /// What comes with it, at every level.
    pub parts: Vec<ConstraintPartPlan>,
}

/// A partition's part of a constraint that is added to a partitioned table above it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstraintPartPlan {
    /// `pg_constraint.oid` on the source.
    pub oid: Oid,
    /// The partition.
    pub table: QualifiedName,
    /// Name on the source; the target chooses one of its own at first.
    pub name: String,
}

/// How a constraint gets its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConstraintIndexPlan {
    /// USING INDEX, built before by an [`IndexPlan`] of the same table.
    Built {
        /// Name of the index, in the table's schema.
        name: String,
        /// DEFERRABLE.
        deferrable: bool,
        /// INITIALLY DEFERRED.
        deferred: bool,
    },
    /// ADD CONSTRAINT makes it: exclusion constraints and temporal keys, which no CREATE INDEX can
    /// stand for (D-1, D-3).
    FromDefinition(IndexDetailsPlan),
}

impl ConstraintPlan {
    /// Adding it builds an index, instead of taking one that exists.
    pub fn makes_index(&self) -> bool {
        matches!(self.index, ConstraintIndexPlan::FromDefinition(_))
    }
}

/// The constraint makes its own index: it cannot be attached USING INDEX (D-1, D-3).
pub(super) fn makes_own_index(constraint: &Constraint) -> bool {
    constraint.temporal || constraint.kind == ConstraintKind::Exclusion
}

/// The plan of an index that we build.
pub(super) fn index_plan(index: &Index, table: u32, keep_tablespace: bool) -> IndexPlan {
    IndexPlan {
        oid: index.oid,
        name: index.name.clone(),
        table,
        definition: index.definition.clone(),
        details: details(index, keep_tablespace),
        bytes: index.bytes,
    }
}

/// The plan of a key, unique, exclusion or temporal constraint; `index` is the one that stands for it
/// on the source.
pub(super) fn constraint_plan(
    constraint: &Constraint,
    index: &Index,
    table: u32,
    keep_tablespace: bool,
) -> ConstraintPlan {
    let how = if makes_own_index(constraint) {
        ConstraintIndexPlan::FromDefinition(details(index, keep_tablespace))
    } else {
        ConstraintIndexPlan::Built {
            name: index.name.name.clone(),
            deferrable: constraint.deferrable,
            deferred: constraint.deferred,
        }
    };
    ConstraintPlan {
        oid: constraint.oid,
        name: constraint.name.clone(),
        table,
        kind: constraint.kind,
        definition: constraint.definition.clone(),
        index: how,
    }
}

/// What the definition of an index does not say.
fn details(index: &Index, keep_tablespace: bool) -> IndexDetailsPlan {
    IndexDetailsPlan {
        tablespace: index.tablespace.clone().filter(|_| keep_tablespace),
        statistics: index.statistics.clone(),
        depends_on_extensions: index.depends_on_extensions.clone(),
    }
}
