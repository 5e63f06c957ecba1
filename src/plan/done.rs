//! What an earlier run has finished, and what that leaves of a table.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Plan;
use super::table::TablePlan;
use crate::catalog::model::Oid;

/// What an earlier run has finished, as the ledger on the target and the work directory say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Finished parts: table, position of the part, number of parts the table was cut into.
    ///
    /// Parts of another cut than the plan's do not count: the table is truncated and copied again.
    pub parts: HashSet<(Oid, u32, u32)>,
    /// Built indexes.
    pub indexes: HashSet<Oid>,
    /// Added primary key, unique, exclusion and temporal constraints.
    pub constraints: HashSet<Oid>,
    /// Tables whose replica identity and clustering index were set.
    pub table_statements: HashSet<Oid>,
    /// Tables that were vacuumed or analyzed.
    pub vacuumed: HashSet<Oid>,
    /// Foreign keys that were added.
    pub foreign_keys: HashSet<Oid>,
    /// Foreign keys that were validated, or found to be violated and reported.
    pub validated: HashSet<Oid>,
    /// All large objects are there.
    pub large_objects: bool,
    /// Sequence values are set.
    pub sequences: bool,
    /// Partition and inheritance parents were analyzed.
    pub parents: bool,
}

/// What remains to be done of one table.
pub(super) struct Rest {
    /// Nothing of it was done before.
    pub(super) untouched: bool,
    /// Parts to copy, by position.
    pub(super) parts: Vec<u32>,
    /// Indexes to build, by position in [`Plan::indexes`].
    pub(super) indexes: Vec<u32>,
    /// Constraints or table statements are missing.
    pub(super) constraints: bool,
    /// To be vacuumed.
    pub(super) vacuum: bool,
}

impl Done {
    /// What remains of a table.
    pub(super) fn rest_of(&self, plan: &Plan, table: &TablePlan) -> Rest {
        let count = u32::try_from(table.parts.len()).unwrap_or(u32::MAX);
        let parts: Vec<u32> =
            (0..count).filter(|part| !self.parts.contains(&(table.oid, *part, count))).collect();
        let copied = count - u32::try_from(parts.len()).unwrap_or(0);
        let indexes: Vec<u32> = table
            .indexes
            .clone()
            .filter(|&index| {
                plan.indexes.get(index as usize).is_none_or(|i| !self.indexes.contains(&i.oid))
            })
            .collect();
        let missing = plan
            .constraints_of(table)
            .filter(|constraint| !self.constraints.contains(&constraint.oid))
            .count();
        let statements = (table.replica_identity.is_some() || table.clustered.is_some())
            && !self.table_statements.contains(&table.oid);
        let vacuumed = self.vacuumed.contains(&table.oid);
        Rest {
            untouched: copied == 0
                && indexes.len() == table.indexes.len()
                && missing == table.constraints.len()
                && !vacuumed,
            // Rows that arrive now have not been seen by an earlier VACUUM.
            vacuum: table.vacuum.is_some() && (!vacuumed || !parts.is_empty()),
            constraints: missing > 0 || statements,
            parts,
            indexes,
        }
    }
}
