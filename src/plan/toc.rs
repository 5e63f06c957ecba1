//! What `pg_restore` must leave out, because we do it or because it is not selected.

use serde::{Deserialize, Serialize};

use crate::catalog::model::Oid;

/// `pg_class`'s own identifier, the same on every server.
pub const PG_CLASS: Oid = 1259;
/// `pg_constraint`'s own identifier, the same on every server.
pub const PG_CONSTRAINT: Oid = 2606;
/// `pg_namespace`'s own identifier, the same on every server.
pub const PG_NAMESPACE: Oid = 2615;
/// `pg_extension`'s own identifier, the same on every server.
pub const PG_EXTENSION: Oid = 3079;

/// Entries to leave out of `pg_restore`'s list, whose lines carry `dumpid; catalog oid object oid …`.
///
/// Entries without an identifier (comments, privileges, ATTACH, OWNED BY, …) follow those that they
/// depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TocExcludes {
    /// (catalog, object) on the source, ascending, without repetition.
    objects: Vec<(Oid, Oid)>,
    /// Materialized views that are created and not refreshed, by identifier, ascending.
    pub not_refreshed: Vec<Oid>,
}

impl TocExcludes {
    /// A set of (catalog, object) pairs.
    pub fn new(mut objects: Vec<(Oid, Oid)>) -> Self {
        objects.sort_unstable();
        objects.dedup();
        Self { objects, ..Self::default() }
    }

    /// The entry of this object is left out.
    pub fn contains(&self, catalog: Oid, object: Oid) -> bool {
        self.objects.binary_search(&(catalog, object)).is_ok()
    }

    /// (catalog, object) pairs, ascending.
    pub fn objects(&self) -> &[(Oid, Oid)] {
        &self.objects
    }
}
