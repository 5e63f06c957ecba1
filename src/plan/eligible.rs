//! Which tables the plan is about, and which of them are read.

use crate::catalog::model::{Oid, Persistence, SourceCatalog, Table, TableKind};
use crate::filter::Selection;

use super::options::PlanOptions;

/// What happens to the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    /// All are copied.
    All,
    /// Those for which the condition holds are added to what the target has: a configuration table of
    /// an extension. An empty condition is all.
    OfExtension(String),
    /// None: left out by the filters.
    LeftOut,
    /// None: an unlogged table cannot be read on a standby (T-10).
    Unreadable,
}

/// What happens to the rows of a table; `None` when the table is no business of the plan: not an
/// ordinary one, left out, or a member of an extension that holds nothing of the user's.
///
/// Partitions are ordinary tables; partitioned and foreign tables hold no rows of their own (T-12).
pub(super) fn rows_of(
    table: &Table,
    catalog: &SourceCatalog,
    selection: &Selection,
    options: &PlanOptions,
) -> Option<Rows> {
    if table.kind != TableKind::Ordinary || !selection.keeps_table(table.oid) {
        return None;
    }
    if !selection.copies_data(table.oid) {
        return table.extension.is_none().then_some(Rows::LeftOut);
    }
    if let Some(extension) = &table.extension {
        return config_condition(table.oid, extension, catalog, selection, options)
            .map(|condition| Rows::OfExtension(without_where(condition).to_owned()));
    }
    if table.persistence == Persistence::Unlogged && catalog.server.standby {
        return Some(Rows::Unreadable);
    }
    Some(Rows::All)
}

/// The condition of the user's rows in a relation of an extension; `None` when it holds none, or the
/// extension is left out.
pub(super) fn config_condition<'a>(
    relation: Oid,
    extension: &str,
    catalog: &'a SourceCatalog,
    selection: &Selection,
    options: &PlanOptions,
) -> Option<&'a str> {
    if options.skip.extensions || !selection.keeps_extension(extension) {
        return None;
    }
    let found = catalog.extensions.iter().find(|found| found.name == extension)?;
    let (_, condition) = found.config_tables.iter().find(|(oid, _)| *oid == relation)?;
    Some(condition)
}

/// The condition without the keyword that `pg_extension.extcondition` usually begins with.
fn without_where(condition: &str) -> &str {
    let condition = condition.trim();
    match condition.split_at_checked("where".len()) {
        Some((keyword, rest)) if keyword.eq_ignore_ascii_case("where") => rest.trim_start(),
        _ => condition,
    }
}

/// Tables whose rows are copied in full.
pub(super) fn tables_to_copy<'a>(
    catalog: &'a SourceCatalog,
    selection: &'a Selection,
    options: &'a PlanOptions,
) -> impl Iterator<Item = &'a Table> {
    catalog
        .tables
        .iter()
        .filter(|table| rows_of(table, catalog, selection, options) == Some(Rows::All))
}

/// Bytes of all tables whose rows are copied in full.
pub(super) fn bytes_to_copy(
    catalog: &SourceCatalog,
    selection: &Selection,
    options: &PlanOptions,
) -> u64 {
    tables_to_copy(catalog, selection, options)
        .fold(0, |sum, table| u64::saturating_add(sum, table.bytes))
}
