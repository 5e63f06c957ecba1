//! Which tables changes are applied to, and where changes of partitions go.

use std::collections::{HashMap, HashSet};

use proto::lsn::Lsn;

use crate::base::ident::QualifiedName;

/// What the stream's tables mean on the target.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The tables whose changes are applied; changes of others are passed over silently. `None`: all.
    pub tables: Option<HashSet<QualifiedName>>,
    /// Partitioned ancestors of the source's partitions, nearest first: where the target lacks a
    /// partition, its changes go to the first ancestor that the target has.
    pub ancestors: HashMap<QualifiedName, Vec<QualifiedName>>,
    /// Tables that were copied under a later snapshot than the slot's: their changes in transactions
    /// that end at or before this position are in the copy.
    pub starts: HashMap<QualifiedName, Lsn>,
}

impl Scope {
    /// Every table that the stream carries.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether changes of this table are applied.
    #[must_use]
    pub fn contains(&self, table: &QualifiedName) -> bool {
        self.tables.as_ref().is_none_or(|tables| tables.contains(table))
    }

    /// Where else changes of this table may go.
    pub(super) fn ancestors(&self, table: &QualifiedName) -> &[QualifiedName] {
        self.ancestors.get(table).map(Vec::as_slice).unwrap_or_default()
    }
}
