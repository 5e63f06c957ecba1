//! Which foreign keys are added, and how.

use std::collections::HashSet;

use super::{Draft, Input};
use crate::base::summary::Severity;
use crate::catalog::model::{Constraint, ConstraintKind, Oid, TableKind};
use crate::plan::foreign_key::{ForeignKeyTable, Validation, foreign_key_plan};
use crate::plan::toc::PG_CONSTRAINT;

/// Plans the foreign keys, in the order of the catalog. A clone of a partitioned table's foreign key
/// comes with its parent's statement (D-7).
pub(super) fn plan_foreign_keys(input: &Input<'_>, draft: &mut Draft) {
    let without_rows = without_rows(input, draft);
    let keys = input.catalog.constraints.iter();
    for key in keys.filter(|key| key.kind == ConstraintKind::ForeignKey && key.parent.is_none()) {
        plan_foreign_key(input, draft, key, &without_rows);
    }
}

/// Plans one foreign key, or notes why not.
fn plan_foreign_key(
    input: &Input<'_>,
    draft: &mut Draft,
    key: &Constraint,
    without_rows: &HashSet<Oid>,
) {
    let Some(table) =
        end(input, draft, key.table_oid).filter(|_| !of_extension(input, key.table_oid))
    else {
        // The referencing table is left out, with all that hangs on it: see `excludes`.
        return;
    };
    draft.excluded.push((PG_CONSTRAINT, key.oid));
    let object = || format!("foreign key {} of {}", key.name, table.name);
    let referenced = key.referenced_oid.and_then(|oid| end(input, draft, oid));
    let Some(referenced) = referenced else {
        let extension =
            key.referenced_oid.and_then(|oid| input.tables.get(&oid)?.extension.as_ref());
        let reason = match extension {
            Some(name) => format!("extension {name}, whose table it references, is left out"),
            None => "the table it references is left out".to_owned(),
        };
        draft.skip(object(), reason, Severity::Warning);
        return;
    };
    if key.index_oid.is_some_and(|oid| !input.selection.keeps_index(oid)) {
        draft.skip(object(), "the index it stands on is left out", Severity::Warning);
        return;
    }
    if !input.selection.keeps_constraint(key.oid) {
        return;
    }
    let rows = |oid| !without_rows.contains(&oid);
    // Without rows on the referencing side there is nothing to violate it.
    let check_rows = rows(referenced.oid) || (!rows(table.oid) && !table.partitioned);
    let enforced = key.validated && key.enforced;
    let plan =
        foreign_key_plan(key, table.clone(), referenced, input.target.server.major(), check_rows);
    if !check_rows && enforced {
        if plan.validation == Validation::WithAdd {
            draft.skip(
                object(),
                "the rows it references are left out, and the target refuses NOT VALID here",
                Severity::Warning,
            );
            return;
        }
        draft.skip(
            format!("validation of {}", object()),
            "the rows it references are left out: it stays NOT VALID",
            Severity::Warning,
        );
    }
    draft.plan.foreign_keys.push(plan);
}

/// Whether a table is a member of an extension.
fn of_extension(input: &Input<'_>, oid: Oid) -> bool {
    input.tables.get(&oid).is_some_and(|table| table.extension.is_some())
}

/// One end of a foreign key; `None` when that table, or the extension that it belongs to, is left out.
fn end(input: &Input<'_>, draft: &Draft, oid: Oid) -> Option<ForeignKeyTable> {
    let table = input.tables.get(&oid)?;
    let with_extension = table.extension.as_ref().is_none_or(|extension| {
        !input.options.skip.extensions && input.selection.keeps_extension(extension)
    });
    let kept = input.selection.keeps_table(oid) && with_extension;
    kept.then(|| ForeignKeyTable {
        oid,
        name: table.name.clone(),
        table: draft.positions.get(&oid).copied(),
        partitioned: table.kind == TableKind::Partitioned,
    })
}

/// Tables some of whose rows do not arrive: those left out, and the partitioned tables above them.
fn without_rows(input: &Input<'_>, draft: &Draft) -> HashSet<Oid> {
    let mut found = HashSet::new();
    let empty = draft.plan.tables.iter().filter(|table| table.exclude_data());
    for table in empty {
        let mut next = Some(table.oid);
        // A table seen before ends the walk, so that a cycle in a broken catalog does too.
        while let Some(oid) = next.filter(|oid| found.insert(*oid)) {
            next = input.tables.get(&oid).and_then(|table| table.partition_of);
        }
    }
    found
}
