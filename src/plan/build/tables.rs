//! Tables with their indexes and constraints.

use std::collections::HashMap;
use std::ops::Range;

use super::{Draft, Input, parents};
use crate::base::ident::QualifiedName;
use crate::base::summary::Severity;
use crate::catalog::model::{Constraint, ConstraintKind, Generated, Index, Oid, Table, TableKind};
use crate::config::clone::CopyFormat;
use crate::plan::eligible::{Rows, bytes_to_copy, rows_of};
use crate::plan::error::PlanError;
use crate::plan::format::{Choice, FormatChooser};
use crate::plan::index::{constraint_plan, index_plan, makes_own_index};
use crate::plan::order::{indexes_largest_first, largest_first};
use crate::plan::split::SplitRule;
use crate::plan::table::{ConfigTable, Format, LoadStrategy, Part, TablePlan, VacuumKind};
use crate::plan::toc::{PG_CLASS, PG_CONSTRAINT};

/// First major version where ANALYZE alone is enough after a frozen load (K4).
const FROZEN_NEEDS_NO_VACUUM_MAJOR: u32 = 14;

/// Plans the tables, largest first, each with its indexes and constraints.
pub(super) fn plan_tables(input: &Input<'_>, draft: &mut Draft) -> Result<(), PlanError> {
    let catalog = input.catalog;
    let mut wanted: HashMap<Oid, Rows> = HashMap::new();
    let mut tables: Vec<&Table> = Vec::new();
    for table in &catalog.tables {
        if let Some(rows) = rows_of(table, catalog, input.selection, input.options) {
            wanted.insert(table.oid, rows);
            tables.push(table);
        }
    }
    largest_first(&mut tables);
    let mut hanging = Hanging::new(input);
    let mut loader = Loader::new(input);
    let mut not_portable: Option<(String, String, u64)> = None;
    for table in tables {
        let rows = wanted.remove(&table.oid).unwrap_or(Rows::LeftOut);
        let mut plan = loader.table_plan(input, table, rows, draft);
        if let (CopyFormat::Binary, Some(reason)) = (input.options.copy_format, &plan.format_reason)
        {
            let first = (table.name.to_string(), reason.clone(), 0);
            not_portable = Some(match not_portable {
                None => first,
                Some((table, reason, others)) => (table, reason, others + 1),
            });
        }
        let position = u32::try_from(draft.plan.tables.len()).unwrap_or(u32::MAX);
        draft.positions.insert(table.oid, position);
        // What hangs on a member of an extension comes with the extension.
        if table.extension.is_none() {
            hanging.plan(input, table, position, &mut plan, draft);
        }
        draft.plan.tables.push(plan);
    }
    match not_portable {
        None => Ok(()),
        Some((table, reason, others)) => {
            Err(PlanError::BinaryNotPortable { table, reason, others })
        }
    }
}

/// Decides how tables are read and written.
struct Loader<'a> {
    formats: FormatChooser<'a>,
    rule: SplitRule,
    /// Kinds of what exists on the target and stays there.
    existing: HashMap<&'a QualifiedName, TableKind>,
}

/// Largest table, in bytes on the source's disk, that is not truncated before its load when this run
/// creates it.
///
/// TRUNCATE makes new files for the table, its TOAST table and that one's index: on 4000 tables of 20
/// rows it cost the server three times as much as loading the rows. FREEZE needs it, and pays only
/// where a table has pages to vacuum.
const FRESH_BYTES_MAX: u64 = 128 * 1024;

impl<'a> Loader<'a> {
    /// A loader for one plan.
    fn new(input: &Input<'a>) -> Self {
        let bytes = bytes_to_copy(input.catalog, input.selection, input.options);
        let stays = !input.options.schema.drop_if_exists;
        let relations = input.target.relations.iter().filter(|_| stays);
        Self {
            formats: FormatChooser::new(input.catalog, input.target, input.options),
            rule: SplitRule::new(input.options, bytes),
            existing: relations.map(|(name, kind)| (name, *kind)).collect(),
        }
    }

    /// The plan of one table, without what hangs on it.
    fn table_plan(
        &mut self,
        input: &Input<'_>,
        table: &Table,
        rows: Rows,
        draft: &mut Draft,
    ) -> TablePlan {
        let target_kind = self.existing.get(&table.name).copied().unwrap_or(table.kind);
        let mut load = match (&rows, target_kind) {
            (Rows::LeftOut | Rows::Unreadable, _) => LoadStrategy::Nothing,
            (Rows::OfExtension(_), _) => LoadStrategy::Append,
            (Rows::All, TableKind::Ordinary)
                if table.bytes <= FRESH_BYTES_MAX && !self.existing.contains_key(&table.name) =>
            {
                LoadStrategy::Fresh
            }
            (Rows::All, TableKind::Ordinary) => LoadStrategy::ReplaceFrozen,
            (Rows::All, TableKind::Partitioned) => LoadStrategy::Replace,
            (Rows::All, _) => LoadStrategy::Append,
        };
        note_loss(table, &rows, draft);
        let mut parts = Vec::new();
        if load.loads() {
            parts.push(Part::WHOLE);
        }
        if load.replaces() {
            let cuts = input.facts.key_cuts.get(&table.oid).map_or(&[][..], Vec::as_slice);
            let cut = self.rule.cut(table, input.catalog, cuts, input.options.split.skip_ctid);
            if let Some((reason, severity)) = cut.obstacle {
                draft.skip(format!("split of table {}", table.name), reason, severity);
            }
            if cut.parts.len() > 1 {
                load = LoadStrategy::Parts;
            }
            parts = cut.parts;
        }
        let sent = || table.columns.iter().filter(|column| column.generated == Generated::No);
        let choice = match load {
            LoadStrategy::Nothing => Choice { format: Format::Text, reason: None },
            _ => self.formats.choose(sent()),
        };
        let (condition, config) = match rows {
            Rows::OfExtension(condition) => {
                let extension = table.extension.clone().unwrap_or_default();
                let config = ConfigTable { extension, ..ConfigTable::default() };
                (Some(condition).filter(|condition| !condition.is_empty()), Some(config))
            }
            _ => (None, None),
        };
        TablePlan {
            oid: table.oid,
            name: table.name.clone(),
            kind: table.kind,
            columns: sent().map(|column| column.name.clone()).collect(),
            format: choice.format,
            format_reason: choice.reason,
            file_node: table.file_node,
            bytes: table.bytes,
            row_estimate: table.row_estimate.filter(|rows| *rows >= 0.0),
            parts,
            load,
            only: target_kind != TableKind::Partitioned,
            condition,
            config,
            indexes: 0..0,
            constraints: 0..0,
            replica_identity: None,
            clustered: None,
            vacuum: vacuum_kind(input, load),
        }
    }
}

/// What is run on a table after its load.
fn vacuum_kind(input: &Input<'_>, load: LoadStrategy) -> Option<VacuumKind> {
    if input.options.skip.vacuum {
        return None;
    }
    match load {
        LoadStrategy::Nothing => None,
        LoadStrategy::ReplaceFrozen
            if input.target.server.major() >= FROZEN_NEEDS_NO_VACUUM_MAJOR =>
        {
            Some(VacuumKind::Analyze)
        }
        // A handful of pages: autovacuum marks them some day, and no scan is shorter for it.
        LoadStrategy::Fresh => Some(VacuumKind::Analyze),
        LoadStrategy::ReplaceFrozen
        | LoadStrategy::Replace
        | LoadStrategy::Parts
        | LoadStrategy::Append => Some(VacuumKind::VacuumAnalyze),
    }
}

/// Notes what of a table does not arrive.
fn note_loss(table: &Table, rows: &Rows, draft: &mut Draft) {
    let object = || format!("table {}", table.name);
    match rows {
        Rows::LeftOut => draft.skip(
            format!("rows of table {}", table.name),
            "left out by the filters",
            Severity::Notice,
        ),
        Rows::Unreadable => draft.skip(
            format!("rows of table {}", table.name),
            "source: an unlogged table cannot be read on a standby",
            Severity::Warning,
        ),
        Rows::All | Rows::OfExtension(_) => {}
    }
    if table.with_oids {
        draft.skip(object(), "its hidden oid column is not copied", Severity::Warning);
    }
}

/// Indexes and constraints of the source, by table.
struct Hanging<'a> {
    indexes: HashMap<Oid, Vec<&'a Index>>,
    constraints: HashMap<Oid, Vec<&'a Constraint>>,
    /// Keys, unique, exclusion and temporal constraints by identifier.
    by_oid: HashMap<Oid, &'a Constraint>,
}

impl<'a> Hanging<'a> {
    /// Groups the catalog.
    fn new(input: &Input<'a>) -> Self {
        let mut hanging =
            Self { indexes: HashMap::new(), constraints: HashMap::new(), by_oid: HashMap::new() };
        for index in &input.catalog.indexes {
            hanging.indexes.entry(index.table_oid).or_default().push(index);
        }
        let keys = input.catalog.constraints.iter();
        for constraint in keys.filter(|found| found.kind != ConstraintKind::ForeignKey) {
            hanging.constraints.entry(constraint.table_oid).or_default().push(constraint);
            hanging.by_oid.insert(constraint.oid, constraint);
        }
        hanging
    }

    /// Plans what hangs on one table.
    fn plan(
        &mut self,
        input: &Input<'a>,
        table: &Table,
        position: u32,
        plan: &mut TablePlan,
        draft: &mut Draft,
    ) {
        let keep_tablespace = !input.options.schema.no_tablespaces;
        let mut indexes = self.indexes.remove(&table.oid).unwrap_or_default();
        indexes_largest_first(&mut indexes);
        let start = draft.plan.indexes.len();
        for index in indexes {
            // Left out by the filters, or something whose constraint we do not know: see `excludes`.
            let constraint = index.constraint_oid.map(|oid| self.by_oid.get(&oid).copied());
            if !input.selection.keeps_index(index.oid) || matches!(constraint, Some(None)) {
                continue;
            }
            let own_index = constraint.flatten().is_some_and(makes_own_index);
            if !own_index {
                draft.excluded.push((PG_CLASS, index.oid));
            }
            if !index.valid {
                let object = format!("index {}", index.name);
                draft.skip(object, "it is invalid on the source", Severity::Warning);
                continue;
            }
            if index.replica_identity {
                plan.replica_identity = Some(index.name.name.clone());
            }
            if index.clustered {
                plan.clustered = Some(index.name.name.clone());
            }
            if !own_index {
                draft.plan.indexes.push(index_plan(index, position, keep_tablespace));
            }
        }
        plan.indexes = range(start, draft.plan.indexes.len());

        let mut constraints = self.constraints.remove(&table.oid).unwrap_or_default();
        constraints.sort_by_key(|constraint| (rank(constraint.kind), &constraint.name));
        let start = draft.plan.constraints.len();
        for constraint in constraints {
            let index = constraint.index_oid.and_then(|oid| input.indexes.get(&oid));
            let kept = input.selection.keeps_constraint(constraint.oid)
                && constraint.index_oid.is_none_or(|oid| input.selection.keeps_index(oid));
            let Some(index) = index.filter(|_| kept) else {
                continue;
            };
            draft.excluded.push((PG_CONSTRAINT, constraint.oid));
            if parents::comes_with_parent(input, constraint) {
                continue;
            }
            if index.valid {
                let planned = constraint_plan(constraint, index, position, keep_tablespace);
                draft.plan.constraints.push(planned);
            }
        }
        plan.constraints = range(start, draft.plan.constraints.len());
    }
}

/// Primary key, then unique, then exclusion.
fn rank(kind: ConstraintKind) -> u8 {
    match kind {
        ConstraintKind::PrimaryKey => 0,
        ConstraintKind::Unique => 1,
        ConstraintKind::Exclusion => 2,
        ConstraintKind::ForeignKey => 3,
    }
}

/// A range of positions.
fn range(start: usize, end: usize) -> Range<u32> {
    let position = |value| u32::try_from(value).unwrap_or(u32::MAX);
    position(start)..position(end)
}
