//! From catalog, selection and facts to a [`Plan`]: pure, no async, no I/O (A5).
//!
//! ```text
//! SourceCatalog ─┐                       ┌─ tables, indexes, constraints, foreign keys
//! Selection ─────┤                       │
//! TargetFacts ───┼─► build ─► Plan ──────┼─ jobs (a graph, see `job`)
//! SplitFacts ────┤     ▲                 │
//! PlanOptions ───┘     │                 └─ skipped, toc_excludes
//!                    Done ─► resume ─► Plan with the remaining jobs
//! ```
//!
//! Invariants:
//! * Same inputs, same plan: every order is total, no hash order leaks out.
//! * Jobs name tables, indexes and the rest by their position in the plan's vectors; the vectors do
//!   not change on resume, only `jobs` does.
//! * `jobs[i].id` is `i`, and a job depends only on jobs before it: the graph has no cycle.
//!
//! To add one more kind of job: a variant of [`JobKind`], its arm in `link`, in `job::Job::label`
//! and in the dispatcher.

mod build;
mod done;
mod eligible;
mod error;
pub mod explain;
#[cfg(test)]
mod fixture;
mod foreign_key;
pub mod format;
mod index;
mod job;
mod label;
mod link;
mod options;
mod order;
pub mod preflight;
mod resume;
mod scope;
mod split;
mod table;
pub mod toc;

use serde::{Deserialize, Serialize};

pub use build::build;
pub use done::Done;
pub use error::PlanError;
pub use foreign_key::{ForeignKeyPlan, ForeignKeyTable, Validation};
pub use index::{
    ConstraintIndexPlan, ConstraintPartPlan, ConstraintPlan, IndexDetailsPlan, IndexPlan,
    ParentConstraintPlan,
};
pub use job::{Job, JobKind, Resource, Stage};
pub use options::{PlanOptions, SplitFacts};
pub use resume::resume;
pub use scope::{ForeignKeys, Indexes, Rows, Scope, restrict};
pub use split::{KeySplit, tables_needing_key_cuts};
pub use table::{ConfigTable, Format, LoadStrategy, Part, PartRange, TablePlan, VacuumKind};
pub use toc::TocExcludes;

use crate::base::event::PlanTotals;
use crate::base::ident::QualifiedName;
use crate::base::summary::Severity;
use crate::catalog::model::Oid;

/// Everything that a clone has to do between pre-data and the end of post-data.
///
/// Left to `pg_restore`, and therefore in no vector here: partitioned parents with their indexes,
/// constraints and ATTACH entries; materialized views with their indexes and REFRESH; views,
/// triggers, rules, policies, comments, privileges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Ordinary tables to load or to index, largest first.
    pub tables: Vec<TablePlan>,
    /// Indexes that we build; grouped by table ([`TablePlan::indexes`]), largest first within one.
    pub indexes: Vec<IndexPlan>,
    /// Primary key, unique, exclusion and temporal constraints that we add; grouped by table
    /// ([`TablePlan::constraints`]), in the order in which they are added.
    pub constraints: Vec<ConstraintPlan>,
    /// Exclusion and temporal constraints of partitioned tables, added between rows and post-data.
    #[serde(default)]
    pub parent_constraints: Vec<ParentConstraintPlan>,
    /// Foreign keys that we add.
    pub foreign_keys: Vec<ForeignKeyPlan>,
    /// Partitioned tables and inheritance parents to analyze once their members are loaded: all of them
    /// from target version 18 on, where ONLY leaves the members out; before, the roots.
    pub parents: Vec<QualifiedName>,
    /// Sequences whose value is set.
    pub sequences: Vec<SequencePlan>,
    /// Large objects to copy, 0 when they are skipped.
    pub large_objects: u64,
    /// The work, as a graph.
    pub jobs: Vec<Job>,
    /// What is left out or degraded, with the reason.
    pub skipped: Vec<Skipped>,
    /// What `pg_restore` must leave out.
    pub toc_excludes: TocExcludes,
    /// What an earlier run had already finished, in tables.
    pub tables_already_done: u64,
    /// What an earlier run had already finished, in bytes on the source's disk.
    pub bytes_already_done: u64,
}

/// A sequence whose value is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequencePlan {
    /// `pg_class.oid` on the source.
    pub oid: Oid,
    /// Name, the same on both ends.
    pub name: QualifiedName,
}

/// Something that is left out or degraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The object as people name it: `index public.orders_idx`.
    pub object: String,
    /// Why, one line without a full stop.
    pub reason: String,
    /// How much it matters.
    pub severity: Severity,
}

impl Plan {
    /// The numbers that the display and the report start from.
    pub fn totals(&self) -> PlanTotals {
        let loaded = || self.tables.iter().filter(|table| table.load.loads());
        let rows: f64 = loaded().filter_map(|table| table.row_estimate).sum();
        PlanTotals {
            tables: loaded().count() as u64,
            parts: loaded().map(|table| table.parts.len() as u64).sum(),
            bytes: loaded().map(|table| table.bytes).sum(),
            // Saturating by definition of `as`; a negative or absent estimate counts as none.
            #[expect(clippy::cast_possible_truncation, reason = "an estimate, saturating")]
            rows: rows as u64,
            indexes: self.indexes.len() as u64,
            constraints: (self.constraints.len()
                + self.parent_constraints.len()
                + self.foreign_keys.len()) as u64,
            large_objects: self.large_objects,
            tables_already_done: self.tables_already_done,
            bytes_already_done: self.bytes_already_done,
        }
    }
}
