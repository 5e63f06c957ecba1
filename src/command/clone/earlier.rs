//! What the ledger of earlier starts says of a plan, and of the changes to come.

use proto::lsn::Lsn;

use crate::base::ident::QualifiedName;
use crate::base::summary::{Finding, Severity};
use crate::catalog::model::Oid;
use crate::ledger::{self, ObjectKind, PartRecord};
use crate::plan::{Done, Part, Plan, TablePlan};

/// Where the changes of each table begin that was not copied under the slot's own snapshot.
pub(super) fn starts(
    plan: &Plan,
    ledger: &ledger::Done,
    slot_lsn: Lsn,
) -> Vec<(QualifiedName, Lsn)> {
    let lsn = |parts: &Vec<PartRecord>| parts.iter().filter_map(|part| part.snapshot_lsn).max();
    let start = |table: &TablePlan| {
        let lsn = ledger.parts.get(&table.oid).and_then(lsn).filter(|lsn| *lsn > slot_lsn)?;
        Some((table.name.clone(), lsn))
    };
    plan.tables.iter().filter_map(start).collect()
}

/// The recorded bounds of a split table.
pub(super) fn ranges(text: &str) -> Option<Vec<Part>> {
    serde_json::from_str(text).ok()
}

/// The finding of a run whose tables were not all read under one snapshot.
pub(super) fn other_snapshot(tables: usize) -> Finding {
    Finding {
        severity: Severity::Warning,
        object: format!("{tables} tables of an earlier snapshot"),
        reason: "they were copied before the run was interrupted, and the source may have been \
                 written to since: they may not agree with tables copied later"
            .into(),
        hint: Some("Stop the writers and start over with --restart where that matters.".into()),
    }
}

/// Whether all parts of a table are done.
pub(super) fn is_copied(table: &TablePlan, done: &Done) -> bool {
    let count = u32::try_from(table.parts.len()).unwrap_or(u32::MAX);
    table.parts.iter().all(|part| done.parts.contains(&(table.oid, part.index, count)))
}

/// What the plan needs to know of what the ledger has.
pub(super) fn done(ledger: &ledger::Done, again: &[Oid]) -> Done {
    let of = |kind: ObjectKind| {
        ledger
            .objects
            .iter()
            .filter(move |(found, _)| *found == kind)
            .filter_map(|(_, key)| Oid::try_from(*key).ok())
            .collect()
    };
    let parts = ledger.parts.values().flatten().filter(|part| !again.contains(&part.relation));
    Done {
        parts: parts.map(|part| (part.relation, part.part_index, part.part_count)).collect(),
        indexes: of(ObjectKind::Index),
        constraints: of(ObjectKind::Constraint),
        vacuumed: of(ObjectKind::Vacuum),
        foreign_keys: of(ObjectKind::ForeignKey),
        validated: of(ObjectKind::Validated),
        table_statements: of(ObjectKind::TableStatements),
        sequences: ledger.has(ObjectKind::Sequences, 0),
        parents: ledger.has(ObjectKind::Parents, 0),
        ..Done::default()
    }
}
