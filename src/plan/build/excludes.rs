//! What pg_restore leaves out: what we build, and what is not selected.

use std::collections::HashSet;

use super::Input;
use crate::catalog::model::{Oid, TableKind};
use crate::plan::toc::{PG_CLASS, PG_CONSTRAINT, PG_EXTENSION, PG_NAMESPACE, TocExcludes};

/// The set for one plan; `built` is what we build ourselves.
pub(super) fn toc_excludes(input: &Input<'_>, built: Vec<(Oid, Oid)>) -> TocExcludes {
    let (catalog, selection) = (input.catalog, input.selection);
    let mut objects = built;
    if selection.is_everything() {
        return TocExcludes::new(objects);
    }
    let left_out: HashSet<Oid> = catalog
        .tables
        .iter()
        .map(|table| table.oid)
        .filter(|oid| !selection.keeps_table(*oid))
        .collect();
    objects.extend(left_out.iter().map(|oid| (PG_CLASS, *oid)));
    for index in &catalog.indexes {
        if left_out.contains(&index.table_oid) || !selection.keeps_index(index.oid) {
            objects.push((PG_CLASS, index.oid));
            objects.extend(index.constraint_oid.map(|oid| (PG_CONSTRAINT, oid)));
        }
    }
    for constraint in &catalog.constraints {
        let referenced = constraint.referenced_oid.is_some_and(|oid| left_out.contains(&oid));
        if referenced
            || left_out.contains(&constraint.table_oid)
            || !selection.keeps_constraint(constraint.oid)
        {
            objects.push((PG_CONSTRAINT, constraint.oid));
        }
    }
    let sequences = catalog.sequences.iter().filter(|found| !selection.keeps_sequence(found.oid));
    objects.extend(sequences.map(|sequence| (PG_CLASS, sequence.oid)));
    let schemas = catalog.schemas.iter().filter(|found| !selection.keeps_schema(found.oid));
    objects.extend(schemas.map(|schema| (PG_NAMESPACE, schema.oid)));
    let extensions =
        catalog.extensions.iter().filter(|found| !selection.keeps_extension(&found.name));
    objects.extend(extensions.map(|extension| (PG_EXTENSION, extension.oid)));
    objects.extend(selection.others());

    let mut excludes = TocExcludes::new(objects);
    let views = catalog.tables.iter().filter(|table| {
        table.kind == TableKind::MaterializedView
            && selection.keeps_table(table.oid)
            && !selection.copies_data(table.oid)
    });
    excludes.not_refreshed = views.map(|view| view.oid).collect();
    excludes.not_refreshed.sort_unstable();
    excludes
}
