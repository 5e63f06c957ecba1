//! From catalog, selection and facts to the plan: the one pure function.

mod config;
mod excludes;
mod foreign_keys;
mod parents;
mod tables;

use std::collections::{HashMap, HashSet};

use super::done::Done;
use super::eligible::config_condition;
use super::error::PlanError;
use super::link::{Links, link};
use super::options::{PlanOptions, SplitFacts};
use super::{Plan, SequencePlan, Skipped};
use crate::base::summary::Severity;
use crate::catalog::model::{Index, Oid, SourceCatalog, Table, TableKind, TargetFacts};
use crate::filter::{Conflict, Selection};

/// Makes the plan. Same inputs, same plan.
///
/// # Errors
/// [`PlanError::BinaryNotPortable`] under `--copy-format binary`; [`PlanError::NeededLeftOut`] for filters
/// that contradict the source; [`PlanError::TooManyJobs`].
pub fn build(
    catalog: &SourceCatalog,
    selection: &Selection,
    target: &TargetFacts,
    facts: &SplitFacts,
    options: &PlanOptions,
) -> Result<Plan, PlanError> {
    let input = Input {
        catalog,
        selection,
        target,
        facts,
        options,
        tables: catalog.tables.iter().map(|table| (table.oid, table)).collect(),
        indexes: catalog.indexes.iter().map(|index| (index.oid, index)).collect(),
    };
    refuse_conflicts(&input)?;
    let mut draft = Draft::default();
    tables::plan_tables(&input, &mut draft)?;
    config::plan_order(&input, &mut draft);
    parents::plan_parent_constraints(&input, &mut draft);
    foreign_keys::plan_foreign_keys(&input, &mut draft);
    plan_sequences(&input, &mut draft);
    plan_parents(&input, &mut draft);
    if !options.skip.large_objects {
        draft.plan.large_objects = catalog.large_objects;
    }
    draft.plan.toc_excludes = excludes::toc_excludes(&input, draft.excluded);
    let mut plan = draft.plan;
    for dropped in selection.dropped() {
        plan.skipped.push(Skipped {
            object: dropped.object.clone(),
            reason: dropped.reason.clone(),
            severity: Severity::Notice,
        });
    }
    plan.skipped.extend(selection.conflicts().iter().map(|conflict| Skipped {
        object: conflict.table.clone(),
        reason: format!("it needs {}, which must be on the target already", conflict.needed),
        severity: Severity::Warning,
    }));
    let links = Links { large_object_jobs: options.jobs.large_objects, done: &Done::default() };
    plan.jobs = link(&plan, &links)?;
    Ok(plan)
}

/// Refuses to begin what is going to fail: a table that needs what the filters leave out, unless the
/// target has a schema that may hold it.
fn refuse_conflicts(input: &Input<'_>) -> Result<(), PlanError> {
    let there = |conflict: &Conflict| {
        let schema = conflict.needed_schema.as_ref();
        schema.is_some_and(|schema| input.target.schemas.contains(schema))
    };
    let mut fatal = input.selection.conflicts().iter().filter(|conflict| !there(conflict));
    let Some(first) = fatal.next() else { return Ok(()) };
    let (table, needed) = (first.table.clone(), first.needed.clone());
    Err(PlanError::NeededLeftOut { table, needed, others: fatal.count() as u64 })
}

/// What the plan is made from.
struct Input<'a> {
    catalog: &'a SourceCatalog,
    selection: &'a Selection,
    target: &'a TargetFacts,
    facts: &'a SplitFacts,
    options: &'a PlanOptions,
    /// The catalog's tables by identifier.
    tables: HashMap<Oid, &'a Table>,
    /// The catalog's indexes by identifier.
    indexes: HashMap<Oid, &'a Index>,
}

/// The plan so far.
#[derive(Default)]
struct Draft {
    plan: Plan,
    /// Where each planned table stands.
    positions: HashMap<Oid, u32>,
    /// (catalog, object) that pg_restore must leave out.
    excluded: Vec<(Oid, Oid)>,
}

impl Draft {
    /// Notes something that is left out or degraded.
    fn skip(&mut self, object: String, reason: impl Into<String>, severity: Severity) {
        self.plan.skipped.push(Skipped { object, reason: reason.into(), severity });
    }
}

/// First major version whose ANALYZE can leave the members of a partitioned table out.
const ANALYZE_ONLY_MAJOR: u32 = 18;

/// Plans the partitioned tables and inheritance parents to analyze, in the order of the catalog.
fn plan_parents(input: &Input<'_>, draft: &mut Draft) {
    if input.options.skip.vacuum {
        return;
    }
    let inherited: HashSet<Oid> =
        input.catalog.tables.iter().flat_map(|table| table.inherits.iter().copied()).collect();
    let only = input.target.server.major() >= ANALYZE_ONLY_MAJOR;
    let parents = input.catalog.tables.iter().filter(|table| {
        let root = table.partition_of.is_none() && table.inherits.is_empty();
        let parent = table.kind == TableKind::Partitioned || inherited.contains(&table.oid);
        parent
            && (only || root)
            && table.extension.is_none()
            && input.selection.copies_data(table.oid)
    });
    draft.plan.parents = parents.map(|table| table.name.clone()).collect();
}

/// Plans the sequences, in the order of the catalog.
fn plan_sequences(input: &Input<'_>, draft: &mut Draft) {
    for sequence in &input.catalog.sequences {
        if !input.selection.keeps_sequence(sequence.oid) {
            continue;
        }
        // A member of an extension is the user's only where the extension says so.
        let of_user = sequence.extension.as_deref().is_none_or(|extension| {
            let (catalog, selection) = (input.catalog, input.selection);
            config_condition(sequence.oid, extension, catalog, selection, input.options).is_some()
        });
        if !of_user {
            continue;
        }
        if !sequence.may_select {
            let object = format!("sequence {}", sequence.name);
            draft.skip(object, "source: no privilege to read its value", Severity::Error);
            continue;
        }
        draft.plan.sequences.push(SequencePlan { oid: sequence.oid, name: sequence.name.clone() });
    }
}

#[cfg(test)]
#[path = "../build_tests.rs"]
mod tests;
