//! Constraints that we create out of band.

use serde::{Deserialize, Serialize};

use super::Oid;

/// A primary key, unique, exclusion or foreign-key constraint of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// `pg_constraint.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: ConstraintKind,
    /// The table it is on.
    pub table_oid: Oid,
    /// The index that stands for it; for a foreign key the one on the referenced table.
    pub index_oid: Option<Oid>,
    /// For a foreign key: the table referenced.
    pub referenced_oid: Option<Oid>,
    /// `pg_get_constraintdef`, schema-qualified.
    pub definition: String,
    /// DEFERRABLE.
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    pub deferred: bool,
    /// `convalidated`.
    pub validated: bool,
    /// `conparentid`: a clone of a partitioned table's constraint, never created by itself.
    pub parent: Option<Oid>,
    /// WITHOUT OVERLAPS or PERIOD (version 18).
    pub temporal: bool,
    /// `conenforced` (version 18; true before).
    pub enforced: bool,
    /// `conislocal` with `coninhcount` 0. False for a partition's part of its parent's constraint, see
    /// [`Constraint::parent`].
    pub local: bool,
}

/// `pg_constraint.contype`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConstraintKind {
    /// `p`.
    #[default]
    PrimaryKey,
    /// `u`.
    Unique,
    /// `x`.
    Exclusion,
    /// `f`.
    ForeignKey,
}
