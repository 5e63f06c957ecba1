//! The outcome of filtering: what is left out.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use crate::catalog::model::Oid;

/// What the filters leave out; everything else is kept.
///
/// Objects are identified by their identifier on the source, never by name alone (T-22).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Schemas that are left out with all they hold.
    pub(super) schemas: HashSet<Oid>,
    /// Names of the same.
    pub(super) schema_names: HashSet<String>,
    /// Tables, materialized views and foreign tables that are left out.
    pub(super) tables: HashSet<Oid>,
    /// Tables whose rows are left out, materialized views that are not refreshed.
    pub(super) data: HashSet<Oid>,
    /// Indexes that are left out.
    pub(super) indexes: HashSet<Oid>,
    /// Constraints that are left out.
    pub(super) constraints: HashSet<Oid>,
    /// Sequences that are left out.
    pub(super) sequences: HashSet<Oid>,
    /// Extensions that are left out, by name.
    pub(super) extensions: HashSet<String>,
    /// Objects that are left out and that the catalog model does not hold: catalog and identifier.
    pub(super) others: BTreeSet<(Oid, Oid)>,
    /// Tables that are kept although they need what is left out.
    pub(super) conflicts: Vec<Conflict>,
    /// What is left out and why, in the order of the catalog.
    pub(super) dropped: Vec<Dropped>,
    /// Rules that match nothing, one line each.
    pub(super) notices: Vec<String>,
}

/// Something that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The object as people name it: `table public.orders`.
    pub object: String,
    /// Why: the rule, or the object it depends on.
    pub reason: String,
}

/// A table that is kept although it needs what is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The table, as people name it.
    pub table: String,
    /// What it needs, as people name it.
    pub needed: String,
    /// The schema that holds what it needs.
    pub needed_schema: Option<String>,
}

impl Selection {
    /// Nothing is left out.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self { notices: self.notices.clone(), ..Self::default() }
    }

    /// The schema itself is kept.
    pub fn keeps_schema(&self, oid: Oid) -> bool {
        !self.schemas.contains(&oid)
    }

    /// The schema of this name is kept.
    pub fn keeps_schema_named(&self, name: &str) -> bool {
        !self.schema_names.contains(name)
    }

    /// The table, materialized view or foreign table is kept.
    pub fn keeps_table(&self, oid: Oid) -> bool {
        !self.tables.contains(&oid)
    }

    /// The table is kept and its rows are copied; for a materialized view: it is refreshed.
    pub fn copies_data(&self, oid: Oid) -> bool {
        self.keeps_table(oid) && !self.data.contains(&oid)
    }

    /// The index is kept.
    pub fn keeps_index(&self, oid: Oid) -> bool {
        !self.indexes.contains(&oid)
    }

    /// The constraint is kept.
    pub fn keeps_constraint(&self, oid: Oid) -> bool {
        !self.constraints.contains(&oid)
    }

    /// The sequence is kept.
    pub fn keeps_sequence(&self, oid: Oid) -> bool {
        !self.sequences.contains(&oid)
    }

    /// The extension is kept.
    pub fn keeps_extension(&self, name: &str) -> bool {
        !self.extensions.contains(name)
    }

    /// Rules of exclude sections that name what the source does not have, one line each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What is left out and why.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }
}
