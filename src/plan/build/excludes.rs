//! What pg_restore leaves out: what we build, and what is not selected.

use std::collections::HashSet;

use super::Input;
use crate::catalog::model::Oid;
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
    objects.extend(sequences.clone().map(|sequence| (PG_CLASS, sequence.oid)));
    let schemas = catalog.schemas.iter().filter(|found| !selection.keeps_schema(found.oid));
    objects.extend(schemas.clone().map(|schema| (PG_NAMESPACE, schema.oid)));
    let extensions =
        catalog.extensions.iter().filter(|found| !selection.keeps_extension(&found.name));
    objects.extend(extensions.clone().map(|extension| (PG_EXTENSION, extension.oid)));

    let mut excludes = TocExcludes::new(objects);
    let tables = catalog.tables.iter().filter(|table| left_out.contains(&table.oid));
    excludes.relations = tables.map(|table| table.name.clone()).collect();
    excludes.relations.extend(sequences.map(|sequence| sequence.name.clone()));
    excludes.relations.sort_unstable();
    let attached = catalog.tables.iter().filter(|table| {
        let parent = table.partition_of;
        selection.keeps_table(table.oid) && parent.is_some_and(|oid| left_out.contains(&oid))
    });
    excludes.attachments = attached.map(|table| table.name.clone()).collect();
    let attached = catalog.indexes.iter().filter(|index| {
        let parent = index.parent;
        let kept = selection.keeps_index(index.oid) && !left_out.contains(&index.table_oid);
        // The other way round too: an index that is left out of a tree that is kept.
        parent.is_some_and(|oid| !selection.keeps_index(oid) || !kept)
    });
    excludes.attachments.extend(attached.map(|index| index.name.clone()));
    excludes.attachments.sort_unstable();
    let disowned = catalog.sequences.iter().filter(|sequence| {
        let owner = sequence.owned_by;
        selection.keeps_sequence(sequence.oid) && owner.is_some_and(|oid| left_out.contains(&oid))
    });
    excludes.ownerships = disowned.map(|sequence| sequence.name.clone()).collect();
    excludes.schemas = schemas.map(|schema| schema.name.clone()).collect();
    excludes.extensions = extensions.map(|extension| extension.name.clone()).collect();
    excludes
}
